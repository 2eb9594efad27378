/* SPDX-License-Identifier: ISC */
/*
 * How long calls take, and so whether one more may go down the pipe of others.
 *
 * For each statement (all commands of Redis count as one) the pool keeps a mean
 * that follows the last sixteen or so: one slow answer shows in it for long.  A
 * statement that has not been seen yet counts as slow.  What two statements of one number
 * tell of each other is wrong, but not for long: one takes the other's place.
 *
 * What counts is how much longer those wait who stand behind.  The first answer of a connection that was idle comes
 * later than that, by the time in which a sleeping process is woken and gets a processor: it counts only
 * where it is better than what is known, or slow by any measure.
 *
 * A connection is as slow as the slowest statement that it owes.
 */
#include "back/pool_impl.h"
#include "loop/loop.h"

/* What is known of a statement, sixteen times its mean; 0: nothing yet. */
static usec *
pool_pace_of(struct pool *p, uint32_t hash)
{
	struct pool_pace *pace = &p->pace[hash % POOL_PACES];

	if (pace->hash != hash)
		*pace = (struct pool_pace){ .hash = hash };
	return &pace->sixteen;
}

void
pool_expect(struct pool *p, struct call *c)
{
	usec sixteen = *pool_pace_of(p, c->hash);

	c->pace = sixteen == 0 ? POOL_SLOW : sixteen / 16;
}

void
pool_learn(struct pool *p, const struct call *c)
{
	usec *sixteen, took = loop_lately(p->loop) - c->conn->busy_since;

	/* Of a connection that is lent nobody asks when it is free. */
	if (c->lease != NULL)
		return;
	sixteen = pool_pace_of(p, c->hash);
	if (*sixteen == 0)
		*sixteen = 16 * POOL_SLOW;
	if (!c->was_first || took < *sixteen / 16 || took >= POOL_SLOW)
		*sixteen += took - *sixteen / 16;
}

bool
pool_is_near(const struct pool *p, const struct conn *conn, const struct call *c)
{
	unsigned most = p->driver->shares_slow ? POOL_SPREAD : POOL_TOGETHER;
	usec pace = conn->pace > c->pace ? conn->pace : c->pace;

	if (conn->inflight >= most || conn->inflight >= p->driver->depth)
		return false;
	return (conn->inflight + 1) * pace <= POOL_NEAR && c->asked - conn->busy_since <= POOL_NEAR;
}
