/* SPDX-License-Identifier: ISC */
/*
 * A call's life: begun, waited for, finished or given up.
 *
 * Whatever ends it goes through call_end(), the only writer of CALL_DONE, so a
 * call is done once and its waiter is woken once.  A waiter sleeps until the
 * call's own deadline at the latest; that moves on when the call leaves the queue and is sent.
 */
#include "back/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "back/driver.h"
#include "back/hub.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/must.h"

void
call_init(struct call *c, enum call_kind kind, struct arena *arena, struct fault *fault)
{
	*c = (struct call){ .state = CALL_NEW, .kind = kind, .arena = arena, .fault = fault };
	if (fault != NULL) {
		fault->rc = WEFT_OK;
		fault->code[0] = fault->text[0] = '\0';
	}
}

/* Every fault of a call names its pool. */
static void
call_vexplain(struct call *c, enum weft_rc rc, const char *code, const char *fmt, va_list ap)
{
	char who[72];

	if (c->pool != NULL)
		snprintf(who, sizeof who, "pool %s", pool_name(c->pool));
	fault_vset(c->fault, rc, code, c->pool == NULL ? NULL : who, fmt, ap);
}

void
call_explain(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call_vexplain(c, rc, code, fmt, ap);
	va_end(ap);
}

static void
call_end(struct call *c, enum weft_rc rc)
{
	struct fiber *waiter = c->waiter;

	must(c->state != CALL_DONE);
	if (c->state == CALL_QUEUED)
		pool_unqueue(c->pool, c);
	if (c->conn != NULL)
		c->conn->wanted--;
	if (c->retried == CALL_AGAIN)
		c->pool->again--;
	c->state = CALL_DONE;
	c->rc = rc;
	c->conn = NULL;
	c->slot = NULL;
	c->waiter = NULL;
	if (c->pool != NULL)
		pool_count(c->pool, rc);
	if (waiter != NULL && waiter != fiber_self())
		fiber_wake(waiter);
	if (c->lease != NULL && c->lease->hub != NULL)
		hub_look(c->lease->hub);
}

void
call_finish(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	bool said = fmt == NULL && c->fault != NULL && c->fault->rc == rc && c->fault->text[0] != '\0';
	va_list ap;

	if ((rc == WEFT_NOT_SENT || rc == WEFT_UNKNOWN) && pool_take_back(c->pool, c, rc))
		return;
	if (c->state == CALL_SENT && (rc == WEFT_OK || rc == WEFT_REFUSED))
		pool_learn(c->pool, c);
	if (rc == WEFT_REFUSED && c->state == CALL_SENT && code != NULL)
		pool_heed(c->pool, code);
	if (rc != WEFT_OK && c->pool != NULL)
		rc = pool_final_rc(c->pool, rc);
	if (rc != WEFT_OK && c->fault != NULL && !said) {
		va_start(ap, fmt);
		if (fmt != NULL)
			call_vexplain(c, rc, code, fmt, ap);
		else
			call_explain(c, rc, code, "%s", pool_reason(c->pool));
		va_end(ap);
	}
	call_end(c, rc);
}

void
call_abandon(struct call *c, enum weft_rc rc)
{
	static const char *const how[] = { [0] = "given up", [1] = "no answer before the deadline", [2] = "cancelled" };

	if (c->state == CALL_DONE)
		return;
	call_explain(c, rc, NULL, "%s", how[rc == WEFT_TIMEOUT ? 1 : rc == WEFT_CANCELED ? 2 : 0]);
	if (c->state == CALL_SENT) {
		struct conn *conn = c->conn;

		pool_learn(c->pool, c);
		pool_miss(c->pool, c, rc);
		/* The driver may have the connection closed. */
		pool_unwant(conn);
		c->conn = NULL;
		conn->driver->abandon(conn, c);
	}
	call_end(c, rc);
}

/* The wait ended without a wake: the call's own deadline has passed, or the asker's. */
static void
call_on_timeout(struct call *c, usec until, usec tried)
{
	usec now = fiber_sched_now(fiber_sched(fiber_self()));

	if (now < tried || now >= until) {
		call_abandon(c, WEFT_TIMEOUT);
	} else if (now < c->deadline) {
		return;		/* it was sent meanwhile, and has its own time from then */
	} else if (c->state == CALL_QUEUED) {
		pool_expire(c->pool, c);
	} else {
		call_abandon(c, WEFT_TIMEOUT);
		call_explain(c, WEFT_TIMEOUT, NULL, "no answer within %g s, its call_timeout",
		    (double)pool_settings(c->pool)->call_timeout / (double)USEC_PER_SEC);
	}
}

enum weft_rc
call_wait(struct call *c, usec until)
{
	must(fiber_self() != NULL && c->state != CALL_NEW);
	while (c->state != CALL_DONE) {
		usec deadline = clock_min(until, c->deadline);
		enum wait_why why = c->state == CALL_QUEUED ? WAIT_POOL : c->conn->driver->why;
		enum weft_rc rc;

		c->waiter = fiber_self();
		rc = fiber_wait(why, deadline);
		c->waiter = NULL;
		if (c->state == CALL_DONE)
			break;
		if (rc == WEFT_TIMEOUT)
			call_on_timeout(c, until, deadline);
		else if (rc != WEFT_OK)
			call_abandon(c, rc);
	}
	return c->rc;
}
