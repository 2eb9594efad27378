/* SPDX-License-Identifier: ISC */
/*
 * The pool's calls: the queue, and which connection a call goes down.
 *
 * Choosing costs the same with 2 connections as with 200: those that are ready
 * stand in lists by how many replies they owe, and the lowest list that is not empty is known.
 * A call in the queue costs no memory of the pool's and leaves it in O(1).
 * The connections' own life is in pool_conn.c.
 */
#include "back/pool.h"

#include <stddef.h>

#include "back/driver.h"
#include "back/pool_impl.h"
#include "back/sql/sqltext.h"
#include "base/must.h"
#include "loop/loop.h"

/* How many connections are looked at for one whose oldest reply is not overdue. */
enum { POOL_LOOK = 8 };

/* ---- the queue ---- */

static void
pool_enqueue(struct pool *p, struct call *c)
{
	c->state = CALL_QUEUED;
	c->deadline = clock_add(c->asked, p->conf.queue_timeout);
	TAILQ_INSERT_TAIL(&p->queue, c, link);
	p->queued++;
	p->places += c->lease != NULL;
	pool_arm(p, c->deadline);
}

void
pool_unqueue(struct pool *p, struct call *c)
{
	must(c->state == CALL_QUEUED);
	TAILQ_REMOVE(&p->queue, c, link);
	p->queued--;
	p->places -= c->lease != NULL;
}

/* To the head of the queue; behind those that came before it from the same connection, when that is being closed. */
static void
pool_enqueue_again(struct pool *p, struct call *c)
{
	c->state = CALL_QUEUED;
	c->deadline = clock_add(loop_lately(p->loop), p->conf.queue_timeout);
	if (p->taken != NULL)
		TAILQ_INSERT_AFTER(&p->queue, p->taken, c, link);
	else
		TAILQ_INSERT_HEAD(&p->queue, c, link);
	p->taken = p->live > 0 ? c : NULL;
	p->queued++;
	pool_arm(p, c->deadline);
	if (c->waiter != NULL)
		fiber_wake(c->waiter);	/* what it waits for, and until when, has changed */
}

/* May it be sent a second time?  Then it is counted. */
static bool
pool_may_resend(struct pool *p, struct call *c, enum weft_rc rc)
{
	if (p == NULL || c->state != CALL_SENT || c->retried != CALL_FIRST || c->lease != NULL || p->down || p->closing)
		return false;
	if (rc == WEFT_UNKNOWN && (!c->idempotent || !pool_may_repeat(p)))
		return false;
	p->stat.unsent += rc == WEFT_NOT_SENT;
	c->retried = rc == WEFT_NOT_SENT ? CALL_UNSENT : CALL_AGAIN;
	return true;
}

bool
conn_may_resend(struct conn *c, struct call *call, enum weft_rc rc)
{
	return pool_may_resend(c->pool, call, rc);
}

bool
pool_take_back(struct pool *p, struct call *c, enum weft_rc rc)
{
	if (!pool_may_resend(p, c, rc))
		return false;
	pool_unwant(c->conn);
	c->conn = NULL;
	c->slot = NULL;
	pool_enqueue_again(p, c);
	return true;
}

/* Is there no place for a connection, since this worker may have none, or all leave and still owe replies?  The back end can do nothing about it. */
static bool
pool_is_crowded(const struct pool *p)
{
	return p->permits == 0 || (p->slots >= p->permits && p->count[CONN_LEAVING] > 0);
}

void
pool_expire(struct pool *p, struct call *c)
{
	double seconds = (double)p->conf.queue_timeout / (double)USEC_PER_SEC;

	if (pool_usable(p) > 0 || pool_is_crowded(p)) {
		call_finish(c, WEFT_BUSY, NULL, "no connection came free within %g s, its queue_timeout", seconds);
		return;
	}
	if (p->reason[0] == '\0')
		call_finish(c, WEFT_DOWN, NULL, "no connection within %g s (%s)", seconds, p->place);
	else
		call_finish(c, WEFT_DOWN, p->code, "no connection within %g s: %s", seconds, pool_reason(p));
	pool_is_ill(p, POOL_ILL_CALL);
}

void
pool_fail_queue(struct pool *p, enum weft_rc rc)
{
	while (!TAILQ_EMPTY(&p->queue))
		call_finish(TAILQ_FIRST(&p->queue), rc, p->code, "%s", pool_reason(p));
}

/* ---- the choice ---- */

/* A connection whose pipe is not held up by something slow, among the first few that owe least. */
static struct conn *
pool_pick_quick(struct pool *p, usec now)
{
	unsigned looked = 0;
	struct conn *c;

	for (unsigned owed = p->least; owed < p->driver->depth; owed++)
		TAILQ_FOREACH(c, &p->owing[owed], link) {
			if (now - c->busy_since < POOL_SLOW)
				return c;
			if (++looked == POOL_LOOK)
				return NULL;
		}
	return NULL;
}

/* The connection for a call, or NULL: it waits in the queue.  Those that were idle for long are checked before (pool_grow). */
static struct conn *
pool_pick(struct pool *p, const struct call *call)
{
	struct conn *c = p->latest;

	/* What goes out in this turn goes out together, where that does not hold it up. */
	if (call->lease == NULL && c != NULL && c->given == call->asked && pool_is_near(p, c, call))
		return c;
	if (p->count[CONN_READY] == 0)
		return NULL;
	c = TAILQ_FIRST(&p->owing[p->least]);
	if (c->inflight == 0)
		return call->asked - c->used < p->check_after ? c : NULL;
	if (call->lease != NULL)
		return NULL;
	if (p->driver->shares_slow)
		return c->inflight < p->driver->depth ? c : NULL;
	if (pool_is_near(p, c, call))
		return c;
	/* What may be slow is not piled up where another worker may have a permit for it, or wait for one. */
	if (pool_may_grow(p) || (pool_has_others(p) && call->pace >= POOL_SLOW))
		return NULL;
	return pool_pick_quick(p, loop_lately(p->loop));
}

/* Returns false when the connection turned out unusable: the call is still without one. */
static bool
pool_send(struct pool *p, struct conn *conn, struct call *c)
{
	enum weft_rc rc;

	if (c->lease != NULL) {
		pool_lend(p, conn, c);
		return true;
	}
	rc = conn->driver->send(conn, c);
	if (rc == WEFT_NOT_SENT) {
		pool_set_aside(p, conn);
		return false;
	}
	must((rc == WEFT_OK) == (c->state == CALL_SENT));
	if (rc != WEFT_OK)
		call_finish(c, rc, NULL, NULL);
	return true;
}

void
pool_feed(struct pool *p, struct conn *conn, unsigned most)
{
	struct call *c;

	while (most-- > 0 && conn->state == CONN_READY && conn->inflight < p->driver->depth &&
	    (c = TAILQ_FIRST(&p->queue)) != NULL) {
		if (conn->inflight > 0 && (c->lease != NULL || (pool_has_others(p) && c->pace > POOL_SLOW)))
			return;		/* it comes first: for the connection that is idle first */
		pool_send(p, conn, c);
	}
}

void
pool_spread(struct pool *p)
{
	struct conn *conn;

	while (p->queued > 0 && (conn = pool_pick(p, TAILQ_FIRST(&p->queue))) != NULL)
		pool_feed(p, conn, 1);
}

enum weft_rc
pool_begin(struct pool *p, struct call *c)
{
	must(c->state == CALL_NEW && !p->closing);
	c->pool = p;
	c->asked = loop_lately(p->loop);
	c->hash = c->kind == CALL_SQL && c->sql != NULL ? sql_hash(c->sql) : 1;
	p->stat.calls++;
	if (c->kind != p->driver->kind) {
		call_finish(c, WEFT_INVALID, NULL, "a pool of %s does not take this call", p->driver->name);
		return WEFT_INVALID;
	}
	return WEFT_OK;
}

void
pool_submit(struct pool *p, struct call *c)
{
	struct conn *conn;

	if (pool_begin(p, c) != WEFT_OK)
		return;
	if (p->down && !pool_lets_in(p)) {
		call_finish(c, WEFT_DOWN, p->code, "%s", pool_reason(p));
		return;
	}
	if (c->lease == NULL)
		pool_expect(p, c);
	while (p->queued == 0 && (conn = pool_pick(p, c)) != NULL)
		if (pool_send(p, conn, c)) {
			if (conn->inflight >= POOL_SPREAD)
				pool_grow(p);
			return;
		}
	if (p->queued >= p->conf.queue) {
		call_finish(c, WEFT_BUSY, NULL, "its queue of %u calls is full", p->conf.queue);
		return;
	}
	pool_enqueue(p, c);
	pool_grow(p);
}

/* ---- how calls end ---- */

enum weft_rc
pool_final_rc(const struct pool *p, enum weft_rc rc)
{
	return p->closing ? WEFT_CANCELED : rc;
}

void
pool_count(struct pool *p, enum weft_rc rc)
{
	if (rc == WEFT_OK)
		return;
	p->stat.failed++;
	p->told |= rc == WEFT_DOWN;
	p->stat.timeouts += rc == WEFT_TIMEOUT;
	p->stat.busy_refused += rc == WEFT_BUSY;
}
