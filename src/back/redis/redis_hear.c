/* SPDX-License-Identifier: ISC */
/*
 * Redis' channels: what goes down a hub's connection, and what comes.
 *
 * Such a connection carries nothing else, so what comes is told apart by its form: a message; the confirmation of SUBSCRIBE or
 * UNSUBSCRIBE; the answer to PING, which is another one while there are subscriptions; an error.  Anything else costs the connection.
 * It is built in memory of the connection's own, a reply at a time; a message for which that is too small is skipped, and a gap.
 */
#include "back/redis/redis_impl.h"

#include <stdio.h>
#include <string.h>

#include "back/channel.h"
#include "back/pool.h"

enum { REDIS_HEARD_MEMORY = CHANNEL_BYTES + CHANNEL_NAME_MAX + 4096 };

const char *
redis_channel(struct span name)
{
	(void)name;
	return NULL;
}

static void
redis_hear_anew(struct redis *r)
{
	arena_fini(&r->setup_arena);
	arena_init(&r->setup_arena, r->setup_room, sizeof r->setup_room, REDIS_HEARD_MEMORY);
}

/* Gather a command of one or two words. */
static enum weft_rc
redis_hear_ask(struct redis *r, const char *name, struct span channel)
{
	size_t before = r->out.len;
	enum weft_rc rc;

	if (channel.len == 0)
		rc = buf_printf(&r->out, "*1\r\n$%zu\r\n%s\r\n", strlen(name), name);
	else
		rc = buf_printf(&r->out, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(name), name, channel.len);
	if (rc == WEFT_OK && channel.len > 0 && (rc = buf_add(&r->out, channel)) == WEFT_OK)
		rc = buf_add(&r->out, SPAN("\r\n"));
	r->given += r->out.len - before;
	return rc;
}

enum weft_rc
redis_hear(struct conn *c, enum hear what, struct span channel)
{
	static const char *const name[] = { [HEAR_BEGIN] = "SUBSCRIBE", [HEAR_END] = "UNSUBSCRIBE", [HEAR_PING] = "PING" };
	struct redis *r = c->driver_data;

	if (r->doomed)
		return WEFT_NOT_SENT;
	if (!r->hearing)
		redis_hear_anew(r);
	r->hearing = r->spoilt = true;
	if (redis_hear_ask(r, name[what], channel) != WEFT_OK)
		redis_doom(r, NULL, "out of memory");
	/* What the kernel did not take before goes first, when it is writable; the end of one that is doomed is told then, too. */
	if (r->doomed || sdslen(r->context->obuf) == 0)
		loop_after_turn(pool_loop(c->pool), &r->task);
	return r->doomed ? WEFT_NOT_SENT : WEFT_OK;
}

/* ---- what comes ---- */

static bool
redis_text_is(const struct weft_reply *reply, const char *text)
{
	return (reply->kind == REPLY_TEXT || reply->kind == REPLY_STATUS) && reply->text.len == strlen(text) &&
	    memcmp(reply->text.at, text, reply->text.len) == 0;
}

enum redis_heard
redis_heard_read(const struct weft_reply *reply)
{
	struct weft_reply *const *e = reply->element;

	if (reply->kind == REPLY_ERROR)
		return REDIS_HEARD_ERROR;
	if (redis_text_is(reply, "PONG") || (reply->kind == REPLY_ARRAY && reply->count == 2 && redis_text_is(e[0], "pong")))
		return REDIS_HEARD_PONG;
	if (reply->kind != REPLY_ARRAY || reply->count != 3 || e[1]->kind != REPLY_TEXT)
		return REDIS_HEARD_NONSENSE;
	if (redis_text_is(e[0], "message") && e[2]->kind == REPLY_TEXT)
		return REDIS_HEARD_MESSAGE;
	if (redis_text_is(e[0], "message") && e[2] == &redis_skipped)
		return REDIS_HEARD_LARGE;
	if (redis_text_is(e[0], "subscribe") && e[2]->kind == REPLY_INT)
		return REDIS_HEARD_BEGUN;
	return redis_text_is(e[0], "unsubscribe") && e[2]->kind == REPLY_INT ? REDIS_HEARD_ENDED : REDIS_HEARD_NONSENSE;
}

/* Returns false for what may not come. */
static bool
redis_heard_tell(struct conn *c, const struct weft_reply *reply)
{
	struct weft_reply *const *e = reply->element;
	char code[16];

	switch (redis_heard_read(reply)) {
	case REDIS_HEARD_MESSAGE:
		conn_hears(c, e[1]->text, e[2]->text);
		return true;
	case REDIS_HEARD_LARGE:
		conn_hears(c, e[1]->text, (struct span){ NULL, 0 });
		return true;
	case REDIS_HEARD_BEGUN:
		return conn_answers_hub(c, HEAR_BEGIN, e[1]->text);
	case REDIS_HEARD_ENDED:
		return conn_answers_hub(c, HEAR_END, e[1]->text);
	case REDIS_HEARD_PONG:
		return conn_answers_hub(c, HEAR_PING, SPAN(""));
	case REDIS_HEARD_ERROR:
		reply_error_code(reply, code, sizeof code);
		return conn_refuses_hub(c, code, reply->text.at);
	case REDIS_HEARD_NONSENSE:
		break;
	}
	return false;
}

void
redis_on_heard(struct redis *r, const struct weft_reply *reply)
{
	/* Others may stand behind the one that was none. */
	if (!r->doomed && !redis_heard_tell(r->conn, reply))
		redis_doom(r, NULL, "what came on the connection of subscriptions is no message, and no answer to what was asked");
	redis_hear_anew(r);
}
