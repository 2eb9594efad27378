/* SPDX-License-Identifier: ISC */
/*
 * What a borrower may do to a connection to Redis, and how that is undone.
 *
 * Replies come in the order of the commands, so what they say of MULTI and WATCH (redis_learn) is exact, whatever had been asked.  Where
 * an answer leaves it open, or was not waited for, the connection is closed in the end: among these the waits that were
 * given up, which Redis would go on with.
 */
#include "back/redis/redis_impl.h"

#include <stdio.h>

#include "back/pool.h"

enum weft_rc
redis_lease_check(struct redis *r, struct call *call, const char **why)
{
	enum redis_effect effect;

	if (redis_command_look(call->redis, &effect, why) != WEFT_OK)
		return WEFT_INVALID;
	call->effect = effect;
	call->patient = effect == REDIS_WAITS;
	/* Within MULTI that is done later, and nothing then says so. */
	r->moved |= effect == REDIS_MOVES;
	r->spoilt |= effect == REDIS_SPOILS;
	return WEFT_OK;
}

/* Gather what makes the connection as it was. */
static void
redis_wash(struct redis *r)
{
	char number[16];

	redis_forget_setup(r);
	if (r->conn->in_transaction)
		redis_send_own(r, 1, (struct span[]){ SPAN("DISCARD") });
	else if (r->watching)
		redis_send_own(r, 1, (struct span[]){ SPAN("UNWATCH") });
	snprintf(number, sizeof number, "%u", r->database);
	if (r->moved)
		redis_send_own(r, 2, (struct span[]){ SPAN("SELECT"), span_str(number) });
	r->conn->in_transaction = r->watching = r->moved = false;
}

enum conn_clean
redis_clean(struct conn *c)
{
	struct redis *r = c->driver_data;

	if (r->doomed || r->spoilt || r->count > 0)
		return CONN_SPOILT;
	if (!c->in_transaction && !r->watching && !r->moved)
		return CONN_CLEAN;
	redis_wash(r);
	if (r->doomed)
		return CONN_SPOILT;
	loop_after_turn(pool_loop(c->pool), &r->task);
	return CONN_WASHING;
}
