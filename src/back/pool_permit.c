/* SPDX-License-Identifier: ISC */
/*
 * How many connections this worker may have.
 *
 * A permit is for one connection.  It is kept when that ends, and used for the next; only somebody else's need of it, or the end of
 * this worker, makes the pool give it back.  It is given back when the connection is gone, not
 * before: so the permits of all workers, and what they are still in use for, are never more than max.
 *
 * A worker whose permits are recalled closes idle connections first.  One in use is left to its calls for POOL_SLICE,
 * and then gets no more of them: workers that share too few connections take turns that are worth connecting for.
 *
 * Calls that have waited for POOL_LACK while all permits are in use are worth another one, which a worker may have that
 * has nothing to do.  That is told when it changes, and at most once in POOL_TELL: in a pool that is
 * always short of connections it does not change.
 */
#include "back/driver.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "loop/loop.h"

/* Connections that are to stay. */
static unsigned
pool_staying(const struct pool *p)
{
	return p->slots - p->count[CONN_LEAVING] - p->count[CONN_DEAD] - p->count[CONN_GONE];
}

bool
pool_is_over(const struct pool *p)
{
	return pool_staying(p) > p->permits;
}

static void
pool_give(struct pool *p, unsigned n)
{
	if (n > 0)
		p->conf.keeper->give(p->conf.keeper_arg, p, n);
}

/* Permits that are neither used nor needed. */
static unsigned
pool_idle_permits(const struct pool *p)
{
	unsigned coming = pool_coming(p), wanted = pool_wanted(p);
	unsigned needed = p->slots + (wanted > coming ? wanted - coming : 0);

	return p->permits > needed ? p->permits - needed : 0;
}

/* Recalled as soon as it had come, and of no use yet to calls that wait: the next worker may have no use for it either, and it would go to and fro. */
static bool
pool_is_its_turn(struct pool *p)
{
	usec until = clock_add(p->granted_at, POOL_SLICE);

	if (p->giving == 0 || p->queued == 0 || loop_now(p->loop) >= until)
		return false;
	pool_arm(p, until);
	return true;
}

void
pool_settle(struct pool *p)
{
	unsigned held = p->permits + p->giving, due = held > p->slots ? held - p->slots : 0, spare;

	if (p->conf.keeper == NULL || p->closing)
		return;
	if (due > p->giving)
		due = p->giving;
	if (pool_is_its_turn(p))
		due = 0;
	p->giving -= due;
	pool_give(p, due);
	spare = p->lean ? pool_idle_permits(p) : 0;
	p->permits -= spare;
	pool_give(p, spare);
}

/* The one that is needed least; NULL when none can be let go of now.  One that calls wait for is left until it has served them for a while. */
static struct conn *
pool_least_needed(struct pool *p)
{
	struct conn *c = TAILQ_LAST(&p->owing[0], conn_list);

	if (c == NULL && p->queued == 0)
		c = TAILQ_LAST(&p->list[CONN_CONNECTING], conn_list);
	if (c == NULL && p->queued == 0)
		c = TAILQ_LAST(&p->list[CONN_CHECKING], conn_list);
	if (c == NULL && p->count[CONN_READY] > 0)
		c = TAILQ_LAST(&p->owing[p->least], conn_list);
	return c;
}

void
pool_shed(struct pool *p)
{
	struct conn *c;

	while (pool_is_over(p) && (c = pool_least_needed(p)) != NULL) {
		if (c->inflight > 0 && loop_now(p->loop) - c->born < POOL_SLICE) {
			pool_arm(p, clock_add(c->born, POOL_SLICE));
			return;
		}
		pool_leave(p, c);
	}
}

bool
pool_has_others(const struct pool *p)
{
	return p->conf.most > p->conf.max;
}

/* May it have more than it has?  One that drains may have one. */
static bool
pool_may_borrow(const struct pool *p)
{
	return p->permits == 0 || (p->permits < p->conf.most && !p->lean);
}

/* How many more permits calls that wait could use. */
static unsigned
pool_lack(struct pool *p)
{
	unsigned awaited = pool_awaited(p), coming = pool_coming(p), most = p->conf.most - p->permits;
	usec since;

	if (p->queued == 0 || p->slots < p->permits || awaited <= coming || !pool_may_borrow(p))
		return 0;
	since = clock_add(TAILQ_FIRST(&p->queue)->asked, POOL_LACK);
	if (p->permits > 0 && loop_now(p->loop) < since) {
		pool_arm(p, since);
		return 0;
	}
	return awaited - coming < most ? awaited - coming : most;
}

void
pool_want(struct pool *p)
{
	usec now;
	unsigned n;

	if (p->conf.keeper == NULL || (p->queued == 0 && p->lacking == 0))
		return;
	n = pool_lack(p);
	if (n == p->lacking)
		return;
	now = loop_now(p->loop);
	/* But one that has none, and has not said so, waits for nothing. */
	if (now < p->tell_at && (p->permits > 0 || p->lacking > 0)) {
		pool_arm(p, p->tell_at);
		return;
	}
	p->lacking = n;
	p->tell_at = clock_add(now, POOL_TELL);
	pool_arm(p, p->tell_at);
	p->conf.keeper->want(p->conf.keeper_arg, p, n);
}

bool
pool_is_wanting(const struct pool *p)
{
	return p->permits == 0 && p->lacking > 0;
}

void
pool_grant(struct pool *p, unsigned n)
{
	p->permits += n;
	p->granted_at = loop_now(p->loop);
	/* The keeper counts along. */
	p->lacking = p->lacking > n ? p->lacking - n : 0;
	pool_grow(p);
	pool_return(p);
	pool_settle(p);
}

void
pool_recall(struct pool *p, unsigned n)
{
	if (n > p->permits)
		n = p->permits;
	p->permits -= n;
	p->giving += n;
	/* Who may not connect knows nothing of the back end. */
	if (p->permits == 0)
		pool_come_back(p);
	pool_shed(p);
	pool_settle(p);
	pool_want(p);
}

void
pool_spare(struct pool *p, unsigned n)
{
	unsigned idle = pool_idle_permits(p);

	if (n > idle)
		n = idle;
	p->permits -= n;
	p->giving += n;
	pool_settle(p);
}

void
pool_cede(struct pool *p, unsigned n)
{
	unsigned spare = pool_idle_permits(p);
	usec now = loop_now(p->loop);
	struct conn *c;

	if (p->queued > 0)
		return;
	TAILQ_FOREACH_REVERSE(c, &p->owing[0], conn_list, link) {
		if (spare >= n || now - c->used < POOL_REST)
			break;
		spare++;
	}
	pool_recall(p, spare < n ? spare : n);
}

void
pool_return(struct pool *p)
{
	if (p->conf.keeper == NULL || p->permits <= p->conf.max)
		return;
	pool_cede(p, p->permits - p->conf.max);
	if (p->permits > p->conf.max)
		pool_arm(p, clock_add(loop_now(p->loop), POOL_REST));
}

void
pool_drain(struct pool *p)
{
	p->lean = true;
	p->conf.min = 0;
	p->conf.idle_timeout = POOL_DRAIN_IDLE;
	pool_arm(p, loop_now(p->loop));
}
