/* SPDX-License-Identifier: ISC */
/*
 * Redis: whose reply is it, and what does it say.
 *
 * The ring has a slot for every command that was taken, in order.  A slot stays
 * when its call is abandoned, and its reply is skipped.
 *
 * Replies are built by functions of ours in hiredis' reader, straight in the
 * arena of the call: no copy, no malloc, and no assert of hiredis' is in reach of a peer's
 * bytes.  A reply nobody asked for, one nested too deep or one without measure is refused while
 * it is read, and the connection with it.  One that is too large for its call's arena fails that call alone.
 */
#include "back/redis/redis_impl.h"

#include <stdio.h>
#include <string.h>

#include "back/redis/reply.h"
#include "base/must.h"

/* ---- the ring ---- */

struct redis_slot *
redis_first(struct redis *r)
{
	return &r->ring[r->head];
}

struct redis_slot *
redis_push(struct redis *r, struct call *call, size_t len)
{
	struct redis_slot *s = &r->ring[(r->head + r->count) % REDIS_RING];

	must(r->count < REDIS_RING);
	*s = (struct redis_slot){ .call = call, .begin = r->given, .end = r->given + len };
	r->given += len;
	r->count++;
	return s;
}

void
redis_pop(struct redis *r)
{
	must(r->count > 0);
	r->head = (r->head + 1) % REDIS_RING;
	r->count--;
}

void
redis_note_written(struct redis *r)
{
	if (r->context != NULL)
		r->written = r->given - sdslen(r->context->obuf) - r->out.len;
}

bool
redis_owes_reply(struct redis *r)
{
	redis_note_written(r);
	return r->count > 0 && redis_first(r)->end <= r->written;
}

void
redis_doom(struct redis *r, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (r->doomed)
		return;
	r->doomed = 1;
	snprintf(r->code, sizeof r->code, "%s", code == NULL ? "" : code);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof r->text, fmt, ap);
	va_end(ap);
}

/* ---- replies, while hiredis reads them ---- */

struct weft_reply redis_skipped;

/* The arena for the reply that is being read; NULL: skip it. */
static struct arena *
redis_arena(struct redis *r)
{
	const struct redis_slot *s = redis_first(r);

	if (r->hearing)
		return &r->setup_arena;
	if (s->call != NULL)
		return s->call->arena;
	return s->own == REDIS_OWN_SETUP || s->own == REDIS_OWN_MAP ? &r->setup_arena : NULL;
}

/* May this part of a reply be taken at all?  If not, hiredis ends the connection. */
static bool
redis_may_build(struct redis *r, const redisReadTask *task)
{
	if (task->parent != NULL || r->hearing || redis_owes_reply(r))
		return true;
	redis_doom(r, NULL, "a reply came that nobody had asked for");
	return false;
}

/* Put a part where it belongs, or give the call up for which there was no memory. */
static void *
redis_built(struct redis *r, const redisReadTask *task, struct weft_reply *reply)
{
	struct redis_slot *s = redis_first(r);

	if (reply == NULL && r->hearing && task->parent != NULL) {
		reply = &redis_skipped;
	} else if (reply == NULL) {
		if (s->call == NULL || r->hearing) {
			redis_doom(r, NULL, "an answer to what the server itself has asked is too long");
			return NULL;
		}
		r->spoilt |= s->call->effect != REDIS_PLAIN;
		call_finish(s->call, WEFT_TOO_LARGE, NULL, "the reply is too large for the request's memory");
		s->call = NULL;
		return &redis_skipped;
	}
	if (task->parent != NULL)
		((struct weft_reply *)task->parent->obj)->element[task->idx] = reply;
	return reply;
}

static void *
redis_build_text(const redisReadTask *task, char *at, size_t len)
{
	struct redis *r = task->privdata;
	enum reply_kind kind;

	if (!redis_may_build(r, task))
		return NULL;
	switch (task->type) {
	case REDIS_REPLY_STRING:
		kind = REPLY_TEXT;
		break;
	case REDIS_REPLY_STATUS:
		kind = REPLY_STATUS;
		break;
	case REDIS_REPLY_ERROR:
		kind = REPLY_ERROR;
		break;
	default:
		redis_doom(r, NULL, "the reply has a type that was not agreed on");
		return NULL;
	}
	if (redis_arena(r) == NULL)
		return &redis_skipped;
	return redis_built(r, task, reply_new_text(redis_arena(r), kind, (struct span){ at, len }));
}

#if HIREDIS_MAJOR >= 1
static void *
redis_build_array(const redisReadTask *task, size_t count)
#else
static void *
redis_build_array(const redisReadTask *task, int count)
#endif
{
	struct redis *r = task->privdata;

	if (!redis_may_build(r, task))
		return NULL;
	if (task->type != REDIS_REPLY_ARRAY || (size_t)count > (r->hearing ? REDIS_HEARD : REDIS_ELEMENTS) ||
	    r->context->reader->ridx >= (r->hearing ? 1 : REDIS_NESTING)) {
		redis_doom(r, NULL, "an array in a reply is too long or nested too deep");
		return NULL;
	}
	if (redis_arena(r) == NULL)
		return &redis_skipped;
	return redis_built(r, task, reply_new_array(redis_arena(r), (size_t)count));
}

static void *
redis_build_integer(const redisReadTask *task, long long value)
{
	struct redis *r = task->privdata;
	struct weft_reply *reply;

	if (!redis_may_build(r, task))
		return NULL;
	if (redis_arena(r) == NULL)
		return &redis_skipped;
	reply = reply_new(redis_arena(r), REPLY_INT);
	if (reply != NULL)
		reply->integer = value;
	return redis_built(r, task, reply);
}

static void *
redis_build_nil(const redisReadTask *task)
{
	struct redis *r = task->privdata;

	if (!redis_may_build(r, task))
		return NULL;
	if (redis_arena(r) == NULL)
		return &redis_skipped;
	return redis_built(r, task, reply_new(redis_arena(r), REPLY_NIL));
}

/* What was built is the arena's. */
static void
redis_build_nothing(void *reply)
{
}

#if HIREDIS_MAJOR >= 1
/* RESP3 is never agreed on. */
static void *
redis_build_double(const redisReadTask *task, double value, char *at, size_t len)
{
	redis_doom(task->privdata, NULL, "the reply has a type that was not agreed on");
	return NULL;
}

static void *
redis_build_bool(const redisReadTask *task, int value)
{
	redis_doom(task->privdata, NULL, "the reply has a type that was not agreed on");
	return NULL;
}
#endif

static redisReplyObjectFunctions redis_builders = {
	.createString = redis_build_text,
	.createArray = redis_build_array,
	.createInteger = redis_build_integer,
	.createNil = redis_build_nil,
	.freeObject = redis_build_nothing,
#if HIREDIS_MAJOR >= 1
	.createDouble = redis_build_double,
	.createBool = redis_build_bool,
#endif
};

void
redis_set_builders(struct redis *r, redisReader *reader)
{
	reader->fn = &redis_builders;
	reader->privdata = r;
}

/* ---- replies, when they are whole ---- */

static bool
redis_is_pong(const struct weft_reply *reply)
{
	return reply->kind == REPLY_STATUS && span_equal(reply->text, SPAN("PONG"));
}

static void
redis_on_setup_reply(struct redis *r, const struct weft_reply *reply)
{
	char code[16];

	redis_pop(r);
	r->setup--;
	if (r->seek != NULL && redis_seek_on_reply(r, reply))
		return;
	if (r->cluster != NULL && redis_node_on_reply(r, reply))
		return;
	if (reply->kind == REPLY_ERROR)
		reply_error_code(reply, code, sizeof code);
	if (r->conn->state == CONN_CLEANING && !reply_is_ok(reply))
		redis_doom(r, NULL, "what a borrower left behind could not be undone");
	/* Who says back what he hears is no Redis: a port of one's own, even, that a connection has met itself at. */
	if (r->conn->state != CONN_CLEANING && r->setup == 0 && reply->kind != REPLY_ERROR && !redis_is_pong(reply))
		redis_doom(r, NULL, "its answer to PING is none");
	/* A user who may not PING has been let in none the less. */
	if (reply->kind == REPLY_ERROR && (r->setup > 0 || strcmp(code, "NOPERM") != 0))
		redis_doom(r, code, "%s", reply->text.at);
	/* PING is the last; what comes behind its answer would be a reply nobody asked for. */
	if (r->setup > 0 || r->doomed)
		return;
	redis_seek_end(r, REDIS_SEEK_FOUND);
	r->is_up = true;
	if (r->cluster != NULL)
		redis_node_is_ready(r);
	else
		conn_is_ready(r->conn);
}

/* A reply to what the driver asked for itself. */
static void
redis_on_own_reply(struct redis *r, enum redis_own own, const struct weft_reply *reply)
{
	if (own == REDIS_OWN_SETUP) {
		redis_on_setup_reply(r, reply);
		return;
	}
	redis_pop(r);
	if (own == REDIS_OWN_MAP)
		redis_map_on_reply(r, reply);
}

/* EXEC or DISCARD has ended what MULTI began; that some command could not be queued makes it end, too. */
static bool
redis_is_ended(const struct weft_reply *reply)
{
	char code[16];

	if (reply->kind != REPLY_ERROR)
		return true;
	reply_error_code(reply, code, sizeof code);
	return strcmp(code, "EXECABORT") == 0;
}

/* What a reply says of the connection, after a command with this effect. */
static void
redis_learn(struct redis *r, enum redis_effect effect, const struct weft_reply *reply)
{
	struct conn *c = r->conn;

	if (effect == REDIS_EXECUTES && redis_is_ended(reply))
		c->in_transaction = r->watching = false;
	else if (effect == REDIS_EXECUTES)
		r->spoilt = true;
	/* Within MULTI they are "QUEUED", or errors. */
	if (!reply_is_ok(reply))
		return;
	c->in_transaction |= effect == REDIS_BEGINS;
	r->watching |= effect == REDIS_WATCHES;
	r->watching &= effect != REDIS_UNWATCHES;
}

static void
redis_finish(struct call *call, struct weft_reply *reply)
{
	char code[16];

	if (reply->kind != REPLY_ERROR) {
		call->reply = reply;
		call_finish(call, WEFT_OK, NULL, NULL);
		return;
	}
	reply_error_code(reply, code, sizeof code);
	call_finish(call, WEFT_REFUSED, code, "%s", reply->text.at);
}

void
redis_on_reply(struct redis *r, struct weft_reply *reply)
{
	const struct redis_slot *s = redis_first(r);
	struct call *call = s->call;

	if (r->hearing) {
		redis_on_heard(r, reply);
		return;
	}
	if (s->own != REDIS_OWN_NONE) {
		redis_on_own_reply(r, s->own, reply);
		return;
	}
	redis_pop(r);
	if (r->cluster != NULL && redis_map_passes_on(r, call, reply))
		return;
	if (call != NULL) {
		if (call->effect != REDIS_PLAIN)
			redis_learn(r, call->effect, reply);
		redis_finish(call, reply);
	}
	conn_gave(r->conn);
}
