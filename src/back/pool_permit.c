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
	unsigned coming = p->count[CONN_CONNECTING] + p->count[CONN_CHECKING], wanted = pool_wanted(p);
	unsigned needed = p->slots + (wanted > coming ? wanted - coming : 0);

	return p->permits > needed ? p->permits - needed : 0;
}

void
pool_settle(struct pool *p)
{
	unsigned held = p->permits + p->giving, due = held > p->slots ? held - p->slots : 0, spare;

	if (p->conf.keeper == NULL || p->closing)
		return;
	if (due > p->giving)
		due = p->giving;
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

void
pool_want(struct pool *p)
{
	if (p->conf.keeper == NULL || p->permits > 0 || p->wanting || p->queued == 0)
		return;
	p->wanting = true;
	p->conf.keeper->want(p->conf.keeper_arg, p);
}

bool
pool_is_wanting(const struct pool *p)
{
	return p->wanting;
}

void
pool_grant(struct pool *p, unsigned n)
{
	p->permits += n;
	p->wanting = false;
	pool_grow(p);
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
pool_drain(struct pool *p)
{
	p->lean = true;
	p->conf.min = 0;
	p->conf.idle_timeout = POOL_DRAIN_IDLE;
	pool_arm(p, loop_now(p->loop));
}
