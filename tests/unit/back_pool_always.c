/* SPDX-License-Identifier: ISC */
/* What holds of a pool whatever comes, and in whatever order: thousands of things that may happen, and a look at all of it after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "back/lease.h"
#include "tests/unit/back_pool_kit.h"

enum { ASKS = 120, LEASES = 5, STEPS = 60000 };

static struct ask ask[ASKS];
static struct lease lease[LEASES];
static struct fault fault[LEASES];
static unsigned seed;

static unsigned
draw(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

/* ---- what holds ---- */

static void
check_list(struct conn_list *list, enum conn_state state, unsigned *conns, unsigned *owed)
{
	struct conn *c;

	TAILQ_FOREACH(c, list, link) {
		assert_int_equal(c->state, state);
		assert_true(c->wanted <= c->inflight);
		assert_true((c->lease != NULL) == (state == CONN_LENT));
		++*conns;
		*owed += c->inflight;
	}
}

static void
check_connections(void)
{
	unsigned conns = 0, owed = 0, ready = 0, least = 0;
	struct conn *c;

	for (int state = 0; state < CONN_STATES; state++) {
		unsigned n = 0;

		if (state != CONN_READY) {
			check_list(&pool->list[state], (enum conn_state)state, &n, &owed);
			assert_int_equal(pool->count[state], n);
			conns += n;
		}
	}
	for (unsigned k = pool->driver->depth + 1; k-- > 0;) {
		TAILQ_FOREACH(c, &pool->owing[k], link)
			assert_int_equal(c->inflight, k);
		if (!TAILQ_EMPTY(&pool->owing[k]))
			least = k;
		check_list(&pool->owing[k], CONN_READY, &ready, &owed);
	}
	assert_int_equal(pool->count[CONN_READY], ready);
	assert_int_equal(pool->least, least);
	assert_int_equal(pool->slots, conns + ready);
	assert_int_equal(pool->slots, fake.count);
	assert_int_equal(pool->inflight, owed);
	assert_true(pool->slots <= pool->permits);
	assert_true(pool->latest == NULL || pool->latest->state == CONN_READY);
}

static void
check_calls(void)
{
	unsigned queued = 0, places = 0, again = 0;
	usec asked = 0;
	struct call *c;

	TAILQ_FOREACH(c, &pool->queue, link) {
		assert_int_equal(c->state, CALL_QUEUED);
		assert_null(c->conn);
		queued++;
		places += c->lease != NULL;
		/* First come, first served; what was taken back comes before them all. */
		assert_true(c->retried == CALL_FIRST ? c->asked >= asked : asked == 0);
		asked = c->retried == CALL_FIRST ? c->asked : 0;
	}
	for (unsigned i = 0; i < ASKS; i++)
		again += ask[i].call.state != CALL_DONE && ask[i].call.retried == CALL_AGAIN;
	assert_int_equal(pool->queued, queued);
	assert_int_equal(pool->places, places);
	assert_int_equal(pool->again, again);
	assert_null(pool->taken);
	assert_int_equal(pool->live, 0);
}

/* Nobody waits for what is there. */
static void
check_nothing_is_idle_in_vain(void)
{
	struct conn *c = TAILQ_FIRST(&pool->owing[0]);

	if (pool->queued > 0 && c != NULL)
		assert_true(loop_now(loop) - c->used >= pool->check_after && pool->count[CONN_CHECKING] > 0);
}

/* What has a time has been seen to. */
static void
check_times(void)
{
	usec now = loop_now(loop);
	struct call *call;
	struct conn *c;

	TAILQ_FOREACH(call, &pool->queue, link)
		assert_true(call->deadline > now);
	TAILQ_FOREACH(c, &pool->list[CONN_CONNECTING], link)
		assert_true(c->born + pool->conf.connect_timeout > now);
	TAILQ_FOREACH(c, &pool->list[CONN_CHECKING], link)
		assert_true(c->used + POOL_CHECK > now);
	TAILQ_FOREACH(c, &pool->list[CONN_CLEANING], link)
		assert_true(c->used + POOL_GRACE > now);
	for (unsigned k = 0; k <= pool->driver->depth; k++)
		TAILQ_FOREACH(c, &pool->owing[k], link) {
			assert_true(c->expires > now);
			assert_true(k == 0 || c->busy_since + pool->conf.call_timeout + POOL_GRACE > now);
		}
	TAILQ_FOREACH(c, &pool->list[CONN_LEAVING], link)
		assert_true(c->wanted > 0 && c->busy_since + pool->conf.call_timeout + POOL_GRACE > now);
	/* While something is to be done about it, somebody looks. */
	if (pool->queued > 0 || (pool_usable(pool) + pool_coming(pool) < pool->conf.min && pool->slots < pool->permits))
		assert_true(pool->armed != CLOCK_NEVER);
}

/* ---- what happens ---- */

/* Nobody overtakes those who wait. */
static void
submit_in_order(struct ask *a)
{
	bool is_waited = pool->queued > 0;

	ask_submit(a);
	assert_false(is_waited && a->call.state == CALL_SENT);
	if (a->call.state == CALL_QUEUED)
		assert_ptr_equal(TAILQ_LAST(&pool->queue, call_list), &a->call);
}

static void
begin_call(void)
{
	struct ask *a = &ask[draw(ASKS)];
	struct lease *l = &lease[draw(LEASES)];

	if (a->pool != NULL && a->call.state != CALL_DONE)
		return;
	if (a->pool != NULL)
		ask_fini(a);
	ask_init(a, pool, pool_kind(pool));
	a->call.idempotent = draw(2);
	a->call.sql = draw(2) ? "SELECT 1" : "SELECT 2";
	if (draw(4) == 0 && lease_is_live(l))
		lease_submit(l, &a->call);
	else
		submit_in_order(a);
}

static void
give_up_call(void)
{
	struct ask *a = &ask[draw(ASKS)];

	if (a->pool != NULL)
		call_abandon(&a->call, draw(2) ? WEFT_TIMEOUT : WEFT_CANCELED);
}

/* Those of a lease that are owed are abandoned before it is given back. */
static void
use_lease(void)
{
	struct lease *l = &lease[draw(LEASES)];

	if (l->place.pool == NULL || (l->place.state == CALL_DONE && l->conn == NULL)) {
		lease_ask(l, pool, &fault[l - lease], "a test");
		return;
	}
	for (unsigned i = 0; i < ASKS; i++)
		if (ask[i].pool != NULL && ask[i].call.lease == l)
			call_abandon(&ask[i].call, WEFT_CANCELED);
	fake.clean = draw(4) == 0 ? CONN_SPOILT : CONN_CLEAN;
	if (draw(8) == 0 && l->conn != NULL)
		lease_drop(l);
	else
		lease_give(l);
}

static void
answer(struct fake_conn *f, unsigned i)
{
	if (f->conn->state == CONN_CONNECTING)
		conn_is_ready(f->conn);
	else if (f->is_asked)
		fake_pong(i);
	else if (f->count > 0 && draw(40) == 0)
		fake_refuse(i, draw(40) == 0 ? "RO" : "X");
	else if (f->count > 0)
		fake_reply(i);
}

/* A connection is lost, or turns out to be of no use. */
static void
harm(struct fake_conn *f, unsigned i)
{
	if (draw(4) == 0)
		f->is_broken = true;
	else if (draw(2))
		fake_lose_code(i, draw(20) == 0 ? "OVER" : "X");
}

static void
step(void)
{
	unsigned i = fake.count > 0 ? draw(fake.count) : 0;
	struct fake_conn *f = fake.count > 0 ? fake.conn[i] : NULL;

	switch (draw(20)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		begin_call();
		break;
	case 5:
		give_up_call();
		break;
	case 6:
		use_lease();
		break;
	case 7:
		if (f != NULL && draw(6) == 0)
			harm(f, i);
		break;
	case 8:
		if (f != NULL)
			fake_flush(i);
		break;
	case 9:
		back_skip(1 + (usec)draw(draw(8) == 0 ? 250000 : 200) * USEC_PER_MSEC / 10);
		back_run(loop);
		check_times();
		break;
	case 10:
		fake.open_fails = draw(10) == 0;
		break;
	default:
		if (f != NULL)
			answer(f, i);
		break;
	}
}

/* All that was asked is answered, and then the pool is as it should be. */
static void
come_to_rest(void)
{
	fake.open_fails = false;
	for (unsigned i = 0; i < LEASES; i++)
		if (lease[i].place.pool != NULL) {
			for (unsigned k = 0; k < ASKS; k++)
				if (ask[k].pool != NULL && ask[k].call.lease == &lease[i])
					call_abandon(&ask[k].call, WEFT_CANCELED);
			lease_give(&lease[i]);
		}
	for (unsigned turn = 0; turn < 200; turn++) {
		for (unsigned i = fake.count; i-- > 0;)
			if (i < fake.count && fake.conn[i]->is_broken)
				fake_lose(i, "broken");
		for (unsigned i = 0; i < fake.count; i++)
			answer(fake.conn[i], i);
		back_skip(50 * USEC_PER_MSEC);
		back_run(loop);
	}
	assert_int_equal(pool->queued, 0);
	assert_int_equal(pool->down, 0);
	assert_true(test_stat().open >= pool->conf.min);
	for (unsigned i = 0; i < ASKS; i++)
		assert_true(ask[i].pool == NULL || ask[i].call.state == CALL_DONE);
}

static void
test_always(const struct driver *d, unsigned first)
{
	memset(ask, 0, sizeof ask);
	memset(lease, 0, sizeof lease);
	seed = first;
	back_stop_clock();
	test_open(d, (struct pool_conf){ .max = 6, .min = 2, .queue = 40, .max_lifetime = 60 * USEC_PER_SEC,
	    .check_after = 5 * USEC_PER_SEC, .idle_timeout = 20 * USEC_PER_SEC, .call_timeout = 10 * USEC_PER_SEC });
	pool->random = first;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		check_connections();
		check_calls();
		check_nothing_is_idle_in_vain();
	}
	come_to_rest();
	check_connections();
	check_calls();
	for (unsigned i = 0; i < ASKS; i++)
		if (ask[i].pool != NULL)
			ask_fini(&ask[i]);
}

static void
of_sql(void **state)
{
	test_always(&fake_sql, 1);
}

static void
of_redis(void **state)
{
	test_always(&fake_redis, 2);
}

static void
of_one_at_a_time(void **state)
{
	test_always(&fake_http, 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(of_sql),
		T(of_redis),
		T(of_one_at_a_time),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
