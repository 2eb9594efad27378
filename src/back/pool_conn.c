/* SPDX-License-Identifier: ISC */
/*
 * The pool's connections: birth, use, death.
 *
 * Each move of a connection between lists is made here, by pool_move, and p->least with it.
 * While the back end is not known to take connections (p->proven is false), one attempt at a
 * time is made, so its return is not greeted by a crowd.  A
 * connection lost soon after it was made counts like a failed attempt: a back end which
 * accepts and hangs up does not make the pool spin.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "back/driver.h"
#include "back/hub.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/must.h"
#include "loop/loop.h"

enum { POOL_OPENING = 32 };		/* connections on their way at once, at most */

/* ---- lists ---- */

static void
pool_unlist_ready(struct pool *p, struct conn *c)
{
	TAILQ_REMOVE(&p->owing[c->inflight], c, link);
	if (p->latest == c)
		p->latest = NULL;
	if (p->count[CONN_READY] == 0)
		p->least = 0;
	while (p->count[CONN_READY] > 0 && TAILQ_EMPTY(&p->owing[p->least]))
		p->least++;
}

static void
pool_list(struct pool *p, struct conn *c, enum conn_state state)
{
	c->state = state;
	p->count[state]++;
	if (state != CONN_READY) {
		TAILQ_INSERT_TAIL(&p->list[state], c, link);
		return;
	}
	TAILQ_INSERT_HEAD(&p->owing[0], c, link);
	p->least = 0;
}

static void
pool_unlist(struct pool *p, struct conn *c)
{
	p->count[c->state]--;
	if (c->state == CONN_READY)
		pool_unlist_ready(p, c);
	else
		TAILQ_REMOVE(&p->list[c->state], c, link);
}

static void
pool_move(struct pool *p, struct conn *c, enum conn_state next)
{
	pool_unlist(p, c);
	pool_list(p, c, next);
}

void
pool_set_aside(struct pool *p, struct conn *c)
{
	if (c->state != CONN_READY)
		return;
	pool_move(p, c, CONN_DEAD);
	p->proven = false;
}

unsigned
pool_usable(const struct pool *p)
{
	unsigned all = p->count[CONN_READY] + p->count[CONN_LENT] + p->count[CONN_CLEANING];

	/* No call ever gets the hub's; but where there can be no other, it is that one which they wait for. */
	return p->permits > 1 ? all - p->hearing : all;
}

/* ---- birth ---- */

unsigned
pool_coming(const struct pool *p)
{
	return p->count[CONN_CONNECTING] + p->count[CONN_CHECKING];
}

bool
pool_may_grow(const struct pool *p)
{
	if (p->closing || p->slots >= p->permits)
		return false;
	if (loop_now(p->loop) < p->retry_at)
		return false;
	return p->proven || p->count[CONN_CONNECTING] == 0;
}

unsigned
pool_awaited(const struct pool *p)
{
	if (!p->driver->shares_slow)
		return p->queued;
	return p->places + (p->queued - p->places + POOL_SPREAD - 1) / POOL_SPREAD +
	    (p->count[CONN_READY] > 0 && p->least + 1 >= POOL_SPREAD);
}

unsigned
pool_wanted(const struct pool *p)
{
	unsigned wanted = pool_awaited(p), up = pool_usable(p);

	if (up < p->conf.min && wanted < p->conf.min - up)
		wanted = p->conf.min - up;
	return wanted == 0 && p->down ? 1 : wanted;
}

static enum weft_rc
pool_open_conn(struct pool *p)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return WEFT_SYSTEM;
	c->pool = p;
	c->driver = p->driver;
	c->born = loop_now(p->loop);
	c->expires = clock_add(c->born, p->conf.max_lifetime - pool_jitter(p, p->conf.max_lifetime / 10 + 1) + 1);
	c->generation = p->generation;
	pool_list(p, c, CONN_CONNECTING);
	p->slots++;
	p->stat.connects++;
	pool_arm(p, clock_add(c->born, p->conf.connect_timeout));
	if (p->driver->open(c) == WEFT_OK)
		return WEFT_OK;
	pool_unlist(p, c);
	p->slots--;
	free(c);
	return WEFT_SYSTEM;
}

/* Calls wait for connections that have been idle for too long to be trusted; whether one that is being made comes, nobody knows. */
static void
pool_check_rested(struct pool *p)
{
	struct conn *c;

	while (p->queued > 0 && p->count[CONN_CHECKING] < pool_wanted(p) && (c = TAILQ_FIRST(&p->owing[0])) != NULL &&
	    loop_now(p->loop) - c->used >= p->check_after) {
		pool_move(p, c, CONN_CHECKING);
		c->used = loop_now(p->loop);
		p->stat.checks++;
		pool_arm(p, clock_add(c->used, POOL_CHECK));
		p->driver->ping(c);
	}
}

void
pool_grow(struct pool *p)
{
	pool_check_rested(p);
	/* The others when these have come: opening a thousand takes the loop's time, and is a crowd at the back end. */
	while (p->count[CONN_CONNECTING] < POOL_OPENING && pool_coming(p) < pool_wanted(p) && pool_may_grow(p)) {
		if (pool_open_conn(p) == WEFT_OK)
			continue;
		snprintf(p->reason, sizeof p->reason, "the system has no memory or descriptor for a connection");
		p->code[0] = '\0';
		pool_back_off(p);
		if (pool_usable(p) == 0)
			pool_is_ill(p, POOL_ILL_CONNECT);
	}
	if (pool_coming(p) >= pool_wanted(p))
		return;
	if (loop_now(p->loop) < p->retry_at)
		pool_hurry(p, p->queued > 0 ? p->ask_at : p->retry_at);
	pool_want(p);
}

/* ---- death ---- */

void
pool_bury(struct pool *p, struct conn *c)
{
	if (c->state == CONN_GONE) {
		pool_gone_end(c);
		return;
	}
	if (!p->closing)
		pool_gone_hold(c);
	if (c->lease != NULL)
		lease_lost(c->lease);
	pool_move(p, c, CONN_GONE);
	p->live = p->queued + p->inflight;
	p->taken = NULL;
	c->driver->close(c);
	p->taken = NULL;
	p->live = 0;
	p->inflight -= c->inflight;
	c->inflight = 0;
	pool_gone_await(c);
}

/* What leaves, and nobody waits for, is closed: by the timer, since the driver may be at work. */
static void
pool_look_leaving(struct conn *c)
{
	if (c->state == CONN_LEAVING && c->wanted == 0)
		pool_arm(c->pool, loop_now(c->pool->loop));
}

void
pool_leave(struct pool *p, struct conn *c)
{
	if (c->inflight == 0) {
		pool_bury(p, c);
	} else if (c->state == CONN_READY) {
		pool_move(p, c, CONN_LEAVING);
		pool_look_leaving(c);
	}
}

void
pool_evict(struct pool *p)
{
	struct conn *c;

	p->generation++;
	if (p->hub != NULL)
		hub_look(p->hub);
	TAILQ_FOREACH(c, &p->list[CONN_CONNECTING], link)
		c->generation = p->generation;
	while ((c = TAILQ_FIRST(&p->list[CONN_CHECKING])) != NULL)
		pool_bury(p, c);
	for (unsigned owed = 0; owed <= p->driver->depth; owed++)
		while ((c = TAILQ_FIRST(&p->owing[owed])) != NULL)
			pool_leave(p, c);
	/* What nobody waits for is closed, and others are opened: by the timer, since a driver may be at work. */
	pool_arm(p, loop_now(p->loop));
}

void
pool_unwant(struct conn *c)
{
	must(c->wanted > 0);
	c->wanted--;
	pool_look_leaving(c);
}

void
pool_drop_all(struct pool *p)
{
	struct conn *c;

	for (int state = 0; state < CONN_STATES; state++)
		while ((c = TAILQ_FIRST(&p->list[state])) != NULL)
			pool_bury(p, c);
	for (unsigned owed = 0; owed <= p->driver->depth; owed++)
		while ((c = TAILQ_FIRST(&p->owing[owed])) != NULL)
			pool_bury(p, c);
}

/* ---- what drivers tell ---- */

/* How many calls c should owe, were all that there is shared out evenly. */
static unsigned
pool_share(const struct pool *p, const struct conn *c)
{
	unsigned n = p->count[CONN_READY] + p->count[CONN_CONNECTING], all = p->queued + p->inflight, even;

	if (n == 0)
		return 1;
	even = (all + n - 1) / n;
	return even > c->inflight ? even - c->inflight : 0;
}

static bool
pool_is_old(const struct pool *p, const struct conn *c)
{
	return loop_now(p->loop) >= c->expires;
}

/* Is it to go, now that it is given back, or has become ready? */
static bool
pool_is_unwanted(const struct pool *p, const struct conn *c)
{
	return c->generation != p->generation || pool_is_old(p, c);
}

void
conn_is_ready(struct conn *c)
{
	struct pool *p = c->pool;

	must(c->state == CONN_CONNECTING || c->state == CONN_CHECKING || c->state == CONN_CLEANING);
	must(c->inflight == 0);
	p->proven = true;
	pool_come_back(p);
	if (pool_is_unwanted(p, c) || (p->queued == 0 && pool_is_over(p))) {
		p->stat.aged += pool_is_old(p, c);
		pool_bury(p, c);
		pool_grow(p);
		return;
	}
	c->used = loop_now(p->loop);
	if (c->state == CONN_CONNECTING)
		c->born = c->used;
	pool_move(p, c, CONN_READY);
	if (pool_is_over(p))
		pool_arm(p, clock_add(c->born, POOL_SLICE));
	pool_arm(p, clock_min(c->expires, clock_add(c->used, p->conf.idle_timeout)));
	pool_feed(p, c, p->driver->shares_slow ? pool_share(p, c) : 1);
	pool_grow(p);
}

void
conn_is_dead(struct conn *c, const char *code, const char *fmt, ...)
{
	struct pool *p = c->pool;
	enum conn_state was = c->state;
	enum pool_loss loss = c->wanted > 0 ? POOL_LOST_CALLS : POOL_LOST_NOTHING;
	usec born = c->born;
	va_list ap;

	must(was != CONN_GONE);
	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof p->reason, fmt, ap);
	va_end(ap);
	snprintf(p->code, sizeof p->code, "%s", code == NULL ? "" : code);
	pool_bury(p, c);
	if (p->closing)
		return;
	pool_judge_loss(p, was, born, loss);
	pool_heed(p, p->code);
	pool_log_lost(p, was);
	pool_spread(p);
	pool_grow(p);
}

void
conn_took(struct conn *c, struct call *call, void *slot)
{
	struct pool *p = c->pool;
	usec now = call->state == CALL_QUEUED ? loop_lately(p->loop) : call->asked;

	must(c->state == (call->lease == NULL ? CONN_READY : CONN_LENT) && c->inflight < p->driver->depth);
	if (call->state == CALL_QUEUED)
		pool_unqueue(p, call);
	call->state = CALL_SENT;
	call->conn = c;
	call->slot = slot;
	call->was_first = c->inflight == 0;
	call->deadline = clock_add(now, p->conf.call_timeout);
	if (call->waiter != NULL)
		fiber_wake(call->waiter);	/* what it waits for, and until when, has changed */
	c->wanted++;
	if (c->state == CONN_LENT) {
		if (call->patient)
			call->deadline = CLOCK_NEVER;
		c->inflight++;
		p->inflight++;
		return;
	}
	TAILQ_REMOVE(&p->owing[c->inflight], c, link);
	TAILQ_INSERT_HEAD(&p->owing[c->inflight + 1], c, link);
	if (p->least == c->inflight && TAILQ_EMPTY(&p->owing[p->least]))
		p->least++;
	p->inflight++;
	p->latest = c;
	c->given = now;
	c->pace = c->pace > call->pace ? c->pace : call->pace;
	if (c->inflight++ > 0)
		return;
	c->busy_since = now;
	pool_arm(p, clock_add(call->deadline, POOL_GRACE));
}

/* A reply came on a connection that is lent, or leaves. */
static void
pool_gave_apart(struct pool *p, struct conn *c, usec now)
{
	c->inflight--;
	c->busy_since = now;
	if (c->state != CONN_LEAVING || c->inflight > 0) {
		pool_look_leaving(c);
		return;
	}
	pool_bury(p, c);
	pool_grow(p);
}

void
conn_gave(struct conn *c)
{
	struct pool *p = c->pool;
	usec now = loop_lately(p->loop), took = now - c->busy_since;

	must(c->inflight > 0);
	p->inflight--;
	if (p->unwell)
		pool_is_well(p);
	if (c->state != CONN_READY) {
		pool_gave_apart(p, c, now);
		return;
	}
	TAILQ_REMOVE(&p->owing[c->inflight], c, link);
	c->inflight--;
	TAILQ_INSERT_HEAD(&p->owing[c->inflight], c, link);
	if (c->inflight < p->least || TAILQ_EMPTY(&p->owing[p->least]))
		p->least = c->inflight;
	c->busy_since = c->inflight > 0 ? now : 0;
	if (p->queued > 0 && (p->driver->shares_slow || took < POOL_SLOW))
		pool_feed(p, c, pool_share(p, c));
	else if (p->queued > 0 && c->inflight == 0)
		pool_feed(p, c, 1);
	if (c->inflight > 0)
		return;
	c->used = now;
	c->pace = 0;
	if (p->count[CONN_READY] > p->conf.min)
		pool_arm(p, clock_add(now, p->conf.idle_timeout));
}

/* ---- lending ---- */

void
pool_lend(struct pool *p, struct conn *c, struct call *place)
{
	must(c->state == CONN_READY && c->inflight == 0);
	pool_move(p, c, CONN_LENT);
	pool_arm(p, clock_add(loop_now(p->loop), POOL_LENT_LONG));
	lease_begin(place->lease, c);
}

void
pool_clean(struct pool *p, struct conn *c, enum conn_clean how)
{
	if (how == CONN_SPOILT || pool_is_unwanted(p, c) || pool_is_over(p)) {
		p->stat.aged += pool_is_old(p, c);
		pool_bury(p, c);
		if (!p->closing)
			pool_grow(p);
		return;
	}
	pool_move(p, c, CONN_CLEANING);
	c->used = loop_now(p->loop);
	if (how == CONN_CLEAN)
		conn_is_ready(c);
	else
		pool_arm(p, clock_add(c->used, POOL_GRACE));
}
