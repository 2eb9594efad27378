/* SPDX-License-Identifier: ISC */
/*
 * The pool's connections: birth, death, back-off, breaker, and the pool's one timer.
 *
 * Each move of a connection between lists is made here, and p->least with it.
 * While the back end is not known to take connections (p->proven is false), one attempt at a
 * time is made, so its return is not greeted by a crowd.  A
 * connection lost soon after it was made counts like a failed attempt: a back end which
 * accepts and hangs up does not make the pool spin.
 *
 * The timer is never moved to a later time: it fires, looks at everything that has
 * a time, and sets itself to the next.  A busy pool so sets it about once per call_timeout, not per call.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "back/driver.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"

#define POOL_BACKOFF_FIRST (50 * USEC_PER_MSEC)
#define POOL_BACKOFF_MOST USEC_PER_SEC
#define POOL_YOUNG USEC_PER_SEC		/* lost sooner than that: counts as an attempt that failed */

/* ---- lists ---- */

static void
pool_list_ready(struct pool *p, struct conn *c)
{
	c->state = CONN_READY;
	TAILQ_INSERT_HEAD(&p->owing[0], c, link);
	p->nready++;
	p->least = 0;
}

static void
pool_unlist_ready(struct pool *p, struct conn *c)
{
	TAILQ_REMOVE(&p->owing[c->inflight], c, link);
	if (p->latest == c)
		p->latest = NULL;
	p->nready--;
	if (p->nready == 0)
		p->least = 0;
	while (p->nready > 0 && TAILQ_EMPTY(&p->owing[p->least]))
		p->least++;
}

static void
pool_unlist(struct pool *p, struct conn *c, enum conn_state state)
{
	switch (state) {
	case CONN_CONNECTING:
		TAILQ_REMOVE(&p->connecting, c, link);
		p->nconnecting--;
		break;
	case CONN_READY:
		pool_unlist_ready(p, c);
		break;
	case CONN_LENT:
		TAILQ_REMOVE(&p->lent, c, link);
		p->nlent--;
		break;
	case CONN_CLEANING:
		TAILQ_REMOVE(&p->cleaning, c, link);
		p->nlent--;
		break;
	case CONN_DEAD:
		TAILQ_REMOVE(&p->dying, c, link);
		p->ndying--;
		break;
	}
}

void
pool_set_aside(struct pool *p, struct conn *c)
{
	if (c->state != CONN_READY)
		return;
	pool_unlist_ready(p, c);
	c->state = CONN_DEAD;
	TAILQ_INSERT_TAIL(&p->dying, c, link);
	p->ndying++;
	p->proven = false;
}

/* ---- birth ---- */

static usec
pool_backoff(struct pool *p)
{
	unsigned n = p->fails > 6 ? 6 : p->fails;
	usec cap = n == 0 ? 0 : POOL_BACKOFF_FIRST << (n - 1);

	if (cap > POOL_BACKOFF_MOST)
		cap = POOL_BACKOFF_MOST;
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return cap == 0 ? 0 : 1 + (usec)(p->random % (uint64_t)cap);
}

static void
pool_failed(struct pool *p)
{
	p->proven = false;
	if (p->fails < 100)
		p->fails++;
	p->retry_at = loop_now(p->loop) + pool_backoff(p);
}

bool
pool_may_grow(const struct pool *p)
{
	if (p->closing || p->nready + p->nlent + p->nconnecting + p->ndying >= p->conf.max)
		return false;
	if (loop_now(p->loop) < p->retry_at)
		return false;
	return p->proven || p->nconnecting == 0;
}

/* How many connections should be on their way. */
static unsigned
pool_wanted(const struct pool *p)
{
	unsigned wanted = p->queued;

	if (p->driver->shares_slow)
		wanted = p->places + (p->queued - p->places + POOL_SPREAD - 1) / POOL_SPREAD +
		    (p->nready > 0 && p->least + 1 >= POOL_SPREAD);
	if (p->nready + p->nlent < p->conf.min && wanted < p->conf.min - p->nready - p->nlent)
		wanted = p->conf.min - p->nready - p->nlent;
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
	TAILQ_INSERT_TAIL(&p->connecting, c, link);
	p->nconnecting++;
	p->stat.connects++;
	pool_arm(p, clock_add(c->born, p->conf.connect_timeout));
	if (p->driver->open(c) == WEFT_OK)
		return WEFT_OK;
	pool_unlist(p, c, c->state);
	free(c);
	return WEFT_SYSTEM;
}

/* ---- the breaker ---- */

/* No connection is left, and none is on its way. */
static bool
pool_has_none(const struct pool *p)
{
	return p->nready + p->nlent + p->nconnecting == 0;
}

static void
pool_go_down(struct pool *p)
{
	if (!p->down) {
		p->down = true;
		p->down_since = loop_now(p->loop);
		log_warn("pool down name=%s reason=\"%s\"", p->name, pool_reason(p));
	}
	pool_fail_queue(p, WEFT_DOWN);
}

static void
pool_come_back(struct pool *p)
{
	usec gone = loop_now(p->loop) - p->down_since;

	if (!p->down)
		return;
	p->down = false;
	log_info("pool back name=%s url=%s after_ms=%lld", p->name, p->place, (long long)(gone / USEC_PER_MSEC));
}

void
pool_grow(struct pool *p)
{
	while (p->nconnecting < pool_wanted(p) && pool_may_grow(p)) {
		if (pool_open_conn(p) == WEFT_OK)
			continue;
		snprintf(p->reason, sizeof p->reason, "the system has no memory or descriptor for a connection");
		p->code[0] = '\0';
		pool_failed(p);
		if (pool_has_none(p))
			pool_go_down(p);
	}
	if (p->nconnecting < pool_wanted(p) && loop_now(p->loop) < p->retry_at)
		pool_arm(p, p->retry_at);
}

/* ---- what drivers tell ---- */

/* How many calls c should owe, were all that there is shared out evenly. */
static unsigned
pool_share(const struct pool *p, const struct conn *c)
{
	unsigned n = p->nready + p->nconnecting, all = p->queued + p->inflight, even;

	if (n == 0)
		return 1;
	even = (all + n - 1) / n;
	return even > c->inflight ? even - c->inflight : 0;
}

void
conn_is_ready(struct conn *c)
{
	struct pool *p = c->pool;

	must(c->state == CONN_CONNECTING || (c->state == CONN_CLEANING && c->inflight == 0));
	pool_unlist(p, c, c->state);
	pool_list_ready(p, c);
	c->used = loop_now(p->loop);
	p->proven = true;
	pool_come_back(p);
	pool_arm(p, clock_add(c->used, p->conf.idle_timeout));
	pool_feed(p, c, p->driver->shares_slow ? pool_share(p, c) : 1);
	pool_grow(p);
}

/* Close and free c, which is on the list of its state. */
static void
pool_bury(struct pool *p, struct conn *c)
{
	pool_unlist(p, c, c->state);
	c->state = CONN_DEAD;
	if (c->lease != NULL)
		lease_lost(c->lease);
	p->taken = NULL;
	c->driver->close(c);
	p->taken = NULL;
	p->inflight -= c->inflight;
	free(c);
}

/* One line a second at most for all that a back end's end takes with it. */
static void
pool_log_lost(struct pool *p, enum conn_state was)
{
	usec now = loop_now(p->loop);

	if (p->down)
		return;		/* said when it went down */
	if (p->said != 0 && now - p->said < USEC_PER_SEC) {
		p->unsaid++;
		return;
	}
	log_warn("%s pool=%s reason=\"%s\" more=%u", was == CONN_READY ? "connection lost" : "connection failed",
	    p->name, pool_reason(p), p->unsaid);
	p->said = now;
	p->unsaid = 0;
}

void
conn_is_dead(struct conn *c, const char *code, const char *fmt, ...)
{
	struct pool *p = c->pool;
	enum conn_state was = c->state == CONN_CONNECTING ? CONN_CONNECTING : CONN_READY;
	bool is_young = loop_now(p->loop) - c->born < POOL_YOUNG;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof p->reason, fmt, ap);
	va_end(ap);
	snprintf(p->code, sizeof p->code, "%s", code == NULL ? "" : code);
	p->proven = false;
	p->stat.losses += was == CONN_READY;
	pool_bury(p, c);
	if (p->closing)
		return;
	if (was == CONN_CONNECTING || is_young)
		pool_failed(p);
	else
		p->fails = 0;
	if (was == CONN_CONNECTING && pool_has_none(p))
		pool_go_down(p);
	else
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

void
conn_gave(struct conn *c)
{
	struct pool *p = c->pool;
	usec now = loop_lately(p->loop), took = now - c->busy_since;

	must(c->inflight > 0);
	p->inflight--;
	if (c->state != CONN_READY) {
		c->inflight--;
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
	if (p->nready > p->conf.min)
		pool_arm(p, clock_add(now, p->conf.idle_timeout));
}

/* ---- lending ---- */

void
pool_lend(struct pool *p, struct conn *c, struct call *place)
{
	must(c->state == CONN_READY && c->inflight == 0);
	pool_unlist_ready(p, c);
	c->state = CONN_LENT;
	TAILQ_INSERT_TAIL(&p->lent, c, link);
	p->nlent++;
	pool_arm(p, clock_add(loop_now(p->loop), POOL_LENT_LONG));
	lease_begin(place->lease, c);
}

void
pool_clean(struct pool *p, struct conn *c, enum conn_clean how)
{
	if (how == CONN_SPOILT) {
		pool_bury(p, c);
		if (!p->closing)
			pool_grow(p);
		return;
	}
	pool_unlist(p, c, c->state);
	c->state = CONN_CLEANING;
	TAILQ_INSERT_TAIL(&p->cleaning, c, link);
	p->nlent++;
	c->used = loop_now(p->loop);
	if (how == CONN_CLEAN)
		conn_is_ready(c);
	else
		pool_arm(p, clock_add(c->used, POOL_GRACE));
}

/* ---- time ---- */

void
pool_arm(struct pool *p, usec at)
{
	if (at >= p->armed)
		return;
	p->armed = at;
	timer_set(p->timer, at);
}

/* Give up the connections whose time is over: connecting, or owing a reply, for too long. */
static void
pool_give_up_overdue(struct pool *p, usec now)
{
	double limit = (double)p->conf.connect_timeout / (double)USEC_PER_SEC;
	double patience = (double)(p->conf.call_timeout + POOL_GRACE) / (double)USEC_PER_SEC;
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&p->connecting); c != NULL && c->born + p->conf.connect_timeout <= now; c = next) {
		next = TAILQ_NEXT(c, link);
		conn_is_dead(c, NULL, "no connection within %g s", limit);
	}
	for (c = TAILQ_FIRST(&p->cleaning); c != NULL && c->used + POOL_GRACE <= now; c = next) {
		next = TAILQ_NEXT(c, link);
		conn_is_dead(c, NULL, "what a borrower left behind could not be cleaned up in time");
	}
	for (unsigned owed = 1; owed <= p->driver->depth; owed++)
		for (c = TAILQ_FIRST(&p->owing[owed]); c != NULL; c = next) {
			next = TAILQ_NEXT(c, link);
			if (now - c->busy_since >= p->conf.call_timeout + POOL_GRACE)
				conn_is_dead(c, NULL, "no reply for %g s", patience);
		}
}

/* Close those above min which have been idle for long; the longest idle stand last. */
static void
pool_shrink(struct pool *p, usec now)
{
	struct conn *c;

	while (p->nready > p->conf.min && (c = TAILQ_LAST(&p->owing[0], conn_list)) != NULL &&
	    now - c->used >= p->conf.idle_timeout)
		pool_bury(p, c);
}

/* Arm the timer for whatever comes next. */
static void
pool_arm_next(struct pool *p, usec now)
{
	struct conn *c;

	TAILQ_FOREACH(c, &p->lent, link)
		pool_arm(p, lease_look(c->lease, now));
	if (!TAILQ_EMPTY(&p->cleaning))
		pool_arm(p, clock_add(TAILQ_FIRST(&p->cleaning)->used, POOL_GRACE));

	if (!TAILQ_EMPTY(&p->queue))
		pool_arm(p, TAILQ_FIRST(&p->queue)->deadline);
	if (!TAILQ_EMPTY(&p->connecting))
		pool_arm(p, clock_add(TAILQ_FIRST(&p->connecting)->born, p->conf.connect_timeout));
	for (unsigned owed = 1; owed <= p->driver->depth; owed++)
		TAILQ_FOREACH(c, &p->owing[owed], link)
			pool_arm(p, clock_add(clock_add(c->busy_since, p->conf.call_timeout), POOL_GRACE));
	if (p->nready > p->conf.min && !TAILQ_EMPTY(&p->owing[0]))
		pool_arm(p, clock_add(TAILQ_LAST(&p->owing[0], conn_list)->used, p->conf.idle_timeout));
}

void
pool_on_timer(void *arg)
{
	struct pool *p = arg;
	usec now = loop_now(p->loop);

	p->armed = CLOCK_NEVER;
	while (!TAILQ_EMPTY(&p->queue) && TAILQ_FIRST(&p->queue)->deadline <= now)
		pool_expire(p, TAILQ_FIRST(&p->queue));
	pool_give_up_overdue(p, now);
	pool_shrink(p, now);
	pool_grow(p);
	pool_arm_next(p, now);
}

void
pool_drop_all(struct pool *p)
{
	struct conn_list *list[] = { &p->connecting, &p->lent, &p->cleaning, &p->dying };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		while (!TAILQ_EMPTY(list[i]))
			pool_bury(p, TAILQ_FIRST(list[i]));
	for (unsigned owed = 0; owed <= p->driver->depth; owed++)
		while (!TAILQ_EMPTY(&p->owing[owed]))
			pool_bury(p, TAILQ_FIRST(&p->owing[owed]));
}
