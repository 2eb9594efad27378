/* SPDX-License-Identifier: ISC */
/*
 * What Redis sends on a connection of subscriptions, through hiredis' reader to a hub that the target plays.  However the bytes are
 * cut, the hub is told the same; what it is told has an end; and after the first thing that may not come it is told nothing.
 */
// sources: src/back/redis/redis_reply.c src/back/redis/redis_hear.c src/back/redis/reply.c
// flags: -lhiredis
#include "back/pool.h"
#include "back/redis/redis_impl.h"
#include "back/redis/reply.h"
#include "fuzz.h"
#include "redis_rest.h"

enum { ANSWERS = 4 };

static struct redis r;
static uint32_t told;			/* follows from all that the hub was told */
static unsigned answers;

/* ---- the hub ---- */

static void
tell(unsigned what, struct span text)
{
	must(!r.doomed);
	told = fuzz_hash(told, &what, sizeof what);
	told = fuzz_hash(told, &text.len, sizeof text.len);
	if (text.at == NULL)
		return;
	must(text.at[text.len] == '\0');
	told = fuzz_hash(told, text.at, text.len);
}

bool
conn_answers_hub(struct conn *c, enum hear what, struct span channel)
{
	must(c == r.conn);
	tell(what, channel);
	return ++answers <= ANSWERS;
}

bool
conn_refuses_hub(struct conn *c, const char *code, const char *text)
{
	must(c == r.conn);
	tell(10, span_str(code));
	tell(11, span_str(text));
	return ++answers <= ANSWERS;
}

void
conn_hears(struct conn *c, struct span channel, struct span text)
{
	must(c == r.conn && channel.at != NULL);
	tell(20, channel);
	tell(21, text);
}

/* ---- what is never called, or does nothing here ---- */

void
call_finish(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	must(c == NULL && rc == WEFT_OK && code == fmt);
}

void
conn_is_ready(struct conn *c)
{
	must(c == NULL);
}

void
conn_gave(struct conn *c)
{
	must(c == NULL);
}

struct loop *
pool_loop(const struct pool *p)
{
	must(p == NULL);
	return NULL;
}

void
loop_after_turn(struct loop *l, struct loop_task *t)
{
	must(l == NULL && t == &r.task);
}

/* ---- the target ---- */

static void
begin(struct conn *conn, redisContext *context)
{
	memset(&r, 0, sizeof r);
	memset(context, 0, sizeof *context);
	*conn = (struct conn){ .driver_data = &r };
	r.conn = conn;
	r.context = context;
	context->reader = redisReaderCreate();
	context->obuf = sdsempty();
	must(context->reader != NULL && context->obuf != NULL);
	redis_set_builders(&r, context->reader);
	buf_init(&r.out, SIZE_MAX / 2);
	arena_init(&r.setup_arena, r.setup_room, sizeof r.setup_room, 4096);
	must(redis_hear(conn, HEAR_BEGIN, SPAN("c")) == WEFT_OK);
	told = 1;
	answers = 0;
}

/* Take what is whole.  Returns false when the connection is of no use any more. */
static bool
take(void)
{
	void *reply;

	for (;;) {
		reply = NULL;
		if (redisReaderGetReply(r.context->reader, &reply) != REDIS_OK)
			return false;
		if (reply == NULL)
			return !r.doomed;
		redis_on_reply(&r, reply);
	}
}

static uint32_t
run(struct span in, uint32_t seed)
{
	redisContext context;
	struct conn conn;
	bool good = true;

	begin(&conn, &context);
	while (good && in.len > 0) {
		size_t n = seed == 0 ? in.len : fuzz_random(&seed) % 9 + 1;
		struct span piece = fuzz_copy(in.at, n < in.len ? n : in.len);

		good = redisReaderFeed(context.reader, piece.at, piece.len) == REDIS_OK && take();
		in = span_skip(in, piece.len);
		fuzz_free(piece);
	}
	redisReaderFree(context.reader);
	sdsfree(context.obuf);
	arena_fini(&r.setup_arena);
	buf_fini(&r.out);
	return fuzz_hash(told, &good, sizeof good);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	uint32_t whole = run(in, 0);

	must(run(in, fuzz_hash(7, data, size) | 1) == whole);
	return 0;
}
