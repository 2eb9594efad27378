/* SPDX-License-Identifier: ISC */
/*
 * What a pool does when things break: back-off, breaker, retry budget, failover.
 *
 * The last outcomes are bits of one word, so the breaker's two rules are a mask and a count.  What it says before there
 * were so many is that they were good.  As long as nothing has failed of late, a reply costs one look.
 *
 * That replies come at a time when connections cannot be made is no reason to go down, so attempts to connect are
 * counted only as long as there is no connection.
 */
#include "back/pool.h"

#include <string.h>

#include "back/driver.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "loop/loop.h"

#define POOL_BACKOFF_FIRST (50 * USEC_PER_MSEC)
#define POOL_YOUNG USEC_PER_SEC		/* lost sooner than that: counts as an attempt that failed */

enum { POOL_ROW = 5, POOL_WINDOW = 20, POOL_RATE = 10, POOL_BUDGET = 5 };	/* one call in so many may be asked again */

usec
pool_jitter(struct pool *p, usec most)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return 1 + (usec)(p->random % (uint64_t)most);
}

/* ---- back-off ---- */

void
pool_back_off(struct pool *p)
{
	usec now = loop_now(p->loop), most = POOL_BACKOFF_FIRST;

	p->proven = false;
	p->unwell = true;
	for (unsigned i = 0; i < p->fails && most < p->conf.backoff; i++)
		most *= 2;
	if (p->fails < 100)
		p->fails++;
	p->retry_at = now + pool_jitter(p, clock_min(most, p->conf.backoff));
	p->ask_at = now + pool_jitter(p, clock_min(POOL_ASK, p->conf.backoff));
}

void
pool_hurry(struct pool *p, usec at)
{
	if (at < p->retry_at)
		p->retry_at = at;
	/* What is under way may still succeed. */
	if (p->count[CONN_CONNECTING] == 0)
		pool_arm(p, p->retry_at);
}

/* ---- the breaker ---- */

static void
pool_go_down(struct pool *p, enum pool_ill what)
{
	p->down = true;
	p->told = what == POOL_ILL_CALL;
	p->down_since = loop_now(p->loop);
	p->stat.breaks++;
	log_warn("pool down pool=%s reason=\"%s\"", p->name, pool_reason(p));
	pool_evict(p);
	pool_fail_queue(p, WEFT_DOWN);
}

void
pool_come_back(struct pool *p)
{
	usec gone = loop_now(p->loop) - p->down_since;

	if (!p->down)
		return;
	p->down = false;
	p->recent = 0;
	log_info("pool back pool=%s url=%s after_ms=%lld", p->name, p->place, (long long)(gone / USEC_PER_MSEC));
}

void
pool_is_ill(struct pool *p, enum pool_ill what)
{
	const uint32_t row = (1U << POOL_ROW) - 1, window = (1U << POOL_WINDOW) - 1;

	p->recent = (p->recent << 1 | 1) & window;
	p->unwell = true;
	p->told |= what == POOL_ILL_CALL;
	if (p->down || p->permits == 0)
		return;
	if ((p->recent & row) == row || __builtin_popcount(p->recent) >= POOL_RATE)
		pool_go_down(p, what);
}

void
pool_is_well(struct pool *p)
{
	p->recent = p->recent << 1 & ((1U << POOL_WINDOW) - 1);
	p->fails = 0;
	p->unwell = p->recent != 0;
	if (!p->down)
		return;
	pool_come_back(p);
	p->retry_at = 0;
	pool_arm(p, loop_now(p->loop));
}

bool
pool_lets_in(struct pool *p)
{
	bool is_probed = p->count[CONN_CONNECTING] > 0, has_room = p->slots < p->permits;
	usec now = loop_now(p->loop);

	if (!p->told && (has_room || is_probed)) {
		pool_hurry(p, now);
		return true;
	}
	if (has_room && !is_probed && now >= p->ask_at) {
		pool_hurry(p, now);
		return true;
	}
	pool_hurry(p, p->ask_at);
	return false;
}

void
pool_miss(struct pool *p, const struct call *c, enum weft_rc rc)
{
	/* A connection that is lent may wait for something. */
	if (rc == WEFT_TIMEOUT && p->driver->shares_slow && !p->driver->is_many && c->lease == NULL &&
	    loop_lately(p->loop) - c->conn->busy_since >= POOL_CHECK)
		pool_is_ill(p, POOL_ILL_CALL);
}

/* ---- losses ---- */

void
pool_log_lost(struct pool *p, enum conn_state was)
{
	usec now = loop_now(p->loop);

	if (p->down)
		return;		/* said when it went down */
	if (p->said != 0 && now - p->said < USEC_PER_SEC) {
		p->unsaid++;
		return;
	}
	log_warn("%s pool=%s reason=\"%s\" more=%u", was == CONN_CONNECTING ? "connection failed" : "connection lost",
	    p->name, pool_reason(p), p->unsaid);
	p->said = now;
	p->unsaid = 0;
}

void
pool_judge_loss(struct pool *p, enum conn_state was, usec born, enum pool_loss loss)
{
	usec now = loop_now(p->loop);

	p->proven = false;
	if (was == CONN_CONNECTING) {
		pool_back_off(p);
		if (pool_usable(p) == 0)
			pool_is_ill(p, POOL_ILL_CONNECT);
		/* Those that came in to wait for this attempt. */
		if (p->down)
			pool_fail_queue(p, WEFT_DOWN);
		return;
	}
	p->stat.losses++;
	p->stat.checks_failed += was == CONN_CHECKING;
	if (born >= p->lost_at && now - born < POOL_YOUNG)
		pool_back_off(p);
	else if (born >= p->lost_at)
		p->fails = 0;
	p->lost_at = now;
	if (loss == POOL_LOST_NOTHING || born < p->hit_at)
		return;
	p->hit_at = now;
	pool_is_ill(p, POOL_ILL_CALL);
}

/* ---- failover ---- */

static bool
pool_is_failover(const struct pool *p, const char *code)
{
	const char *const *known = p->driver->failover;

	for (; known != NULL && *known != NULL; known++)
		if (strcmp(*known, code) == 0)
			return true;
	return false;
}

void
pool_heed(struct pool *p, const char *code)
{
	usec now = loop_now(p->loop);
	struct conn *c;

	if (p->closing || !pool_is_failover(p, code))
		return;
	/* Where the new ones say the same, there is no other back end yet. */
	if (p->failed_over != 0 && now - p->failed_over < p->conf.backoff)
		return;
	p->failed_over = now;
	p->stat.failovers++;
	log_warn("failover pool=%s code=%s connections=%u", p->name, code, p->slots);
	p->proven = false;
	while ((c = TAILQ_FIRST(&p->list[CONN_CONNECTING])) != NULL)
		pool_bury(p, c);
	pool_evict(p);
}

/* ---- the retry budget ---- */

bool
pool_may_repeat(struct pool *p)
{
	unsigned live = p->live > 0 ? p->live : p->queued + p->inflight;

	if (p->again > 0 && (p->again + 1) * POOL_BUDGET > live) {
		p->stat.over_budget++;
		return false;
	}
	p->again++;
	p->stat.again++;
	return true;
}
