/* SPDX-License-Identifier: ISC */
/*
 * The pool's one timer.
 *
 * It is never moved to a later time: it fires, looks at everything that has
 * a time, and sets itself to the next.  A busy pool so sets it about once per call_timeout, not per call.
 */
#include "back/driver.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "loop/loop.h"

void
pool_arm(struct pool *p, usec at)
{
	if (at >= p->armed)
		return;
	p->armed = at;
	timer_set(p->timer, at);
}

/* ---- what is over ---- */

/* Calls taken back stand at the head and may wait longer than those behind them. */
static void
pool_expire_queue(struct pool *p, usec now)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&p->queue); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->deadline > now && c->retried == CALL_FIRST)
			return;
		if (c->deadline > now)
			continue;
		pool_expire(p, c);
		/* The breaker may have opened and taken all. */
		if (p->queued == 0)
			return;
	}
}

/* Those in a state that must not last. */
static void
pool_give_up_late(struct pool *p, usec now)
{
	double limit = (double)p->conf.connect_timeout / (double)USEC_PER_SEC;
	struct conn *c;

	while ((c = TAILQ_FIRST(&p->list[CONN_CONNECTING])) != NULL && c->born + p->conf.connect_timeout <= now)
		conn_is_dead(c, NULL, "no connection within %g s, its connect_timeout", limit);
	while ((c = TAILQ_FIRST(&p->list[CONN_CLEANING])) != NULL && c->used + POOL_GRACE <= now)
		conn_is_dead(c, NULL, "what a borrower left behind could not be cleaned up in time");
	while ((c = TAILQ_FIRST(&p->list[CONN_CHECKING])) != NULL && c->used + POOL_CHECK <= now)
		conn_is_dead(c, NULL, "idle for long, and no sign of life within %d ms", (int)(POOL_CHECK / USEC_PER_MSEC));
	while ((c = TAILQ_FIRST(&p->list[CONN_GONE])) != NULL && c->used + POOL_GRACE <= now)
		pool_gone_end(c);
}

static bool
pool_is_overdue(const struct pool *p, const struct conn *c, usec now)
{
	return now - c->busy_since >= p->conf.call_timeout + POOL_GRACE;
}

/* Those that owe a reply for too long. */
static void
pool_give_up_overdue(struct pool *p, usec now)
{
	double patience = (double)(p->conf.call_timeout + POOL_GRACE) / (double)USEC_PER_SEC;
	struct conn *c, *next;

	for (unsigned owed = 1; owed <= p->driver->depth; owed++)
		for (c = TAILQ_FIRST(&p->owing[owed]); c != NULL; c = next) {
			next = TAILQ_NEXT(c, link);
			if (!pool_is_overdue(p, c, now))
				continue;
			conn_is_dead(c, NULL, "no reply for %g s", patience);
			/* The lists may be others now. */
			next = TAILQ_FIRST(&p->owing[owed]);
		}
	for (c = TAILQ_FIRST(&p->list[CONN_LEAVING]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->wanted == 0 || pool_is_overdue(p, c, now))
			pool_bury(p, c);
	}
}

static void
pool_retire_old(struct pool *p, usec now)
{
	struct conn *c, *next;

	for (unsigned owed = 0; owed <= p->driver->depth; owed++)
		for (c = TAILQ_FIRST(&p->owing[owed]); c != NULL; c = next) {
			next = TAILQ_NEXT(c, link);
			if (c->expires > now)
				continue;
			p->stat.aged++;
			pool_leave(p, c);
		}
}

/* Close those above min which have been idle for long; the longest idle stand last. */
static void
pool_shrink(struct pool *p, usec now)
{
	struct conn *c;

	while (p->count[CONN_READY] > p->conf.min && (c = TAILQ_LAST(&p->owing[0], conn_list)) != NULL &&
	    now - c->used >= p->conf.idle_timeout) {
		p->stat.idled++;
		pool_bury(p, c);
	}
}

/* ---- what comes next ---- */

/* For the first to be late: of those taken back each may be it, of the others the first one. */
static void
pool_arm_queue(struct pool *p)
{
	struct call *c;

	TAILQ_FOREACH(c, &p->queue, link) {
		pool_arm(p, c->deadline);
		if (c->retried == CALL_FIRST)
			return;
	}
}

static void
pool_arm_state(struct pool *p, enum conn_state state, usec patience)
{
	struct conn *c = TAILQ_FIRST(&p->list[state]);

	if (c != NULL)
		pool_arm(p, clock_add(state == CONN_CONNECTING ? c->born : c->used, patience));
}

/* For those that are lent to be back. */
static void
pool_arm_lent(struct pool *p, usec now)
{
	struct conn *c;

	TAILQ_FOREACH(c, &p->list[CONN_LENT], link) {
		bool was_told = c->lease->told;

		pool_arm(p, lease_look(c->lease, now));
		p->stat.lent_long += c->lease->told && !was_told;
	}
}

static void
pool_arm_ready(struct pool *p)
{
	struct conn *c;

	for (unsigned owed = 0; owed <= p->driver->depth; owed++)
		TAILQ_FOREACH(c, &p->owing[owed], link) {
			pool_arm(p, c->expires);
			if (owed > 0)
				pool_arm(p, clock_add(clock_add(c->busy_since, p->conf.call_timeout), POOL_GRACE));
		}
	TAILQ_FOREACH(c, &p->list[CONN_LEAVING], link)
		pool_arm(p, clock_add(clock_add(c->busy_since, p->conf.call_timeout), POOL_GRACE));
	if (p->count[CONN_READY] > p->conf.min && !TAILQ_EMPTY(&p->owing[0]))
		pool_arm(p, clock_add(TAILQ_LAST(&p->owing[0], conn_list)->used, p->conf.idle_timeout));
}

/* Arm the timer for whatever comes next. */
static void
pool_arm_next(struct pool *p, usec now)
{
	pool_arm_queue(p);
	pool_arm_state(p, CONN_CONNECTING, p->conf.connect_timeout);
	pool_arm_state(p, CONN_CLEANING, POOL_GRACE);
	pool_arm_state(p, CONN_CHECKING, POOL_CHECK);
	pool_arm_state(p, CONN_GONE, POOL_GRACE);
	pool_arm_lent(p, now);
	pool_arm_ready(p);
	if (p->lacking > 0)
		pool_arm(p, clock_add(now, POOL_TELL));
}

void
pool_on_timer(void *arg)
{
	struct pool *p = arg;
	usec now = loop_now(p->loop);

	p->armed = CLOCK_NEVER;
	pool_expire_queue(p, now);
	pool_give_up_late(p, now);
	pool_give_up_overdue(p, now);
	pool_retire_old(p, now);
	pool_shrink(p, now);
	pool_shed(p);
	pool_return(p);
	/* What was taken back from those that were closed goes down others. */
	pool_spread(p);
	pool_grow(p);
	pool_settle(p);
	pool_want(p);
	pool_arm_next(p, now);
}
