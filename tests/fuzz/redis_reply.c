/* SPDX-License-Identifier: ISC */
/*
 * What Redis sends, through hiredis' reader into replies of ours.  However the bytes are cut, the replies are the
 * same; a tree has no holes; one that is too large for the arena fails its call alone; more replies than commands end the connection.
 */
// sources: src/back/redis/redis_reply.c src/back/redis/reply.c
// flags: -lhiredis
#include "back/redis/redis_impl.h"
#include "back/redis/reply.h"
#include "fuzz.h"
#include "redis_rest.h"

enum { CALLS = 5, ARENA = 1 << 16 };

static unsigned failed;

void
call_finish(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	must(rc == WEFT_TOO_LARGE && code == NULL && fmt != NULL && c->state != CALL_DONE);
	c->state = CALL_DONE;
	failed++;
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

void
redis_on_heard(struct redis *r, const struct weft_reply *reply)
{
	must(r == NULL && reply == NULL);
}

/* Returns a number that follows from the tree. */
static uint32_t
check_tree(const struct weft_reply *r, uint32_t hash, unsigned depth)
{
	char code[16];

	must(r != NULL && depth < 12);
	hash = fuzz_hash(hash, &r->kind, sizeof r->kind);
	switch (r->kind) {
	case REPLY_NIL:
		return hash;
	case REPLY_INT:
		return fuzz_hash(hash, &r->integer, sizeof r->integer);
	case REPLY_ERROR:
		reply_error_code(r, code, sizeof code);
		must(memchr(code, '\0', sizeof code) != NULL);
		/* fallthrough */
	case REPLY_TEXT:
	case REPLY_STATUS:
		must(r->text.at[r->text.len] == '\0');
		return fuzz_hash(hash, r->text.at, r->text.len);
	case REPLY_ARRAY:
		for (size_t i = 0; i < r->count; i++)
			hash = check_tree(r->element[i], hash, depth + 1);
		return hash;
	}
	must(!"a kind of reply");
	return hash;
}

static void
begin(struct redis *r, redisContext *context, struct call *call, struct arena *arena)
{
	memset(r, 0, sizeof *r);
	memset(context, 0, sizeof *context);
	r->context = context;
	context->reader = redisReaderCreate();
	context->obuf = sdsempty();
	must(context->reader != NULL && context->obuf != NULL);
	redis_set_builders(r, context->reader);
	for (int i = 0; i < CALLS; i++) {
		arena_init(&arena[i], NULL, 0, ARENA);
		call[i] = (struct call){ .arena = &arena[i], .state = CALL_SENT };
		redis_push(r, i == 3 ? NULL : &call[i], 1);	/* one is abandoned */
	}
}

/* Take what is whole.  Returns false when the connection is of no use any more. */
static bool
take(struct redis *r, uint32_t *hash)
{
	void *reply;

	for (;;) {
		struct call *call = redis_first(r)->call;

		reply = NULL;
		if (redisReaderGetReply(r->context->reader, &reply) != REDIS_OK)
			return false;
		if (reply == NULL)
			return true;
		must(r->count > 0 && !r->doomed);
		if (call != NULL && call->state != CALL_DONE)
			*hash = check_tree(reply, *hash, 0);
		redis_pop(r);
	}
}

static uint32_t
run(struct span in, uint32_t seed)
{
	static struct redis r;
	static redisContext context;
	struct call call[CALLS];
	struct arena arena[CALLS];
	uint32_t hash = 1;
	bool good = true;

	begin(&r, &context, call, arena);
	while (good && in.len > 0) {
		size_t n = seed == 0 ? in.len : fuzz_random(&seed) % 9 + 1;
		struct span piece = fuzz_copy(in.at, n < in.len ? n : in.len);

		good = redisReaderFeed(context.reader, piece.at, piece.len) == REDIS_OK && take(&r, &hash);
		in = span_skip(in, piece.len);
		fuzz_free(piece);
	}
	redisReaderFree(context.reader);
	sdsfree(context.obuf);
	for (int i = 0; i < CALLS; i++)
		arena_fini(&arena[i]);
	hash = fuzz_hash(hash, &r.count, sizeof r.count);
	return fuzz_hash(hash, &good, sizeof good);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	uint32_t whole = run(in, 0);

	must(run(in, fuzz_hash(7, data, size) | 1) == whole);
	return 0;
}
