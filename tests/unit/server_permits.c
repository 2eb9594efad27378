/* SPDX-License-Identifier: ISC */
/*
 * Pools and the master's books together, with a back end that counts: what the one says to the other takes its time, and crosses
 * what comes back.  No test sleeps: time is moved on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "loop/loop.h"
#include "server/quota.h"
#include "tests/unit/back_fake.h"
#include "tests/unit/back_support.h"

enum { SIDES = 4, NOTES = 4096, ASKS = 400 };

enum what { GRANT, RECALL, SPARE, CEDE, WANT, GIVE };

/* What is said and not yet heard, in order. */
struct row {
	struct {
		enum what what;
		unsigned n;
	} note[NOTES];
	unsigned first, count;
};

/* A worker, and what the master has of it. */
struct side {
	struct quota_part part;
	struct pool *pool;		/* NULL: it has ended */
	struct lease lease;
	struct row down, up;
};

static struct loop *loop;
static struct quota *quota;
static struct quota_pool *page;
static struct side side[SIDES];
static struct ask ask[ASKS];
static unsigned asked, most, noted;

/* ---- what is said ---- */

static void
post(struct row *r, enum what what, unsigned n)
{
	assert_true(r->count < NOTES);
	r->note[(r->first + r->count) % NOTES].what = what;
	r->note[(r->first + r->count++) % NOTES].n = n;
	noted++;
}

static void
on_grant(struct quota_part *part, unsigned n)
{
	post(&((struct side *)part->arg)->down, GRANT, n);
}

static void
on_recall(struct quota_part *part, unsigned n)
{
	post(&((struct side *)part->arg)->down, RECALL, n);
}

static void
on_spare(struct quota_part *part, unsigned n)
{
	post(&((struct side *)part->arg)->down, SPARE, n);
}

static void
on_cede(struct quota_part *part, unsigned n)
{
	post(&((struct side *)part->arg)->down, CEDE, n);
}

static void
on_want(void *arg, struct pool *p, unsigned n)
{
	(void)p;
	post(&((struct side *)arg)->up, WANT, n);
}

static void
on_give(void *arg, struct pool *p, unsigned n)
{
	(void)p;
	post(&((struct side *)arg)->up, GIVE, n);
}

/* The next note is read, if there is one. */
static void
hear(struct side *s, struct row *r)
{
	unsigned n = r->note[r->first].n;
	enum what what = r->note[r->first].what;

	if (r->count == 0)
		return;
	r->first = (r->first + 1) % NOTES;
	r->count--;
	switch (what) {
	case GRANT:
		pool_grant(s->pool, n);
		break;
	case RECALL:
		pool_recall(s->pool, n);
		break;
	case SPARE:
		pool_spare(s->pool, n);
		break;
	case CEDE:
		pool_cede(s->pool, n);
		break;
	case WANT:
		quota_want(&s->part, n);
		break;
	case GIVE:
		quota_give(&s->part, n);
		break;
	}
	assert_true(fake.count <= most);
}

static void
hear_all(void)
{
	bool is_quiet = false;

	while (!is_quiet) {
		is_quiet = true;
		for (unsigned i = 0; i < SIDES; i++) {
			is_quiet = is_quiet && side[i].down.count == 0 && side[i].up.count == 0;
			hear(&side[i], &side[i].down);
			hear(&side[i], &side[i].up);
		}
	}
}

/* ---- what happens ---- */

static void
begin(unsigned i, unsigned share, unsigned min)
{
	static const struct pool_keeper keeper = { on_want, on_give };
	struct side *s = &side[i];
	struct pool_conf conf = { .name = "db", .url = "fake://host:1/x", .max = share == 0 ? 1 : share, .min = min, .most = most,
		.queue_timeout = 10 * USEC_PER_SEC, .keeper = &keeper, .keeper_arg = s };
	char error[200];

	memset(s, 0, sizeof *s);
	conf.granted = quota_begin(&s->part, page, share, s);
	s->pool = pool_open_driver(loop, &conf, &fake_sql, error, sizeof error);
	assert_non_null(s->pool);
}

static void
end(unsigned i)
{
	pool_close(&side[i].pool);
	memset(&side[i].down, 0, sizeof side[i].down);
	memset(&side[i].up, 0, sizeof side[i].up);
	quota_end(&side[i].part);
}

static struct ask *
submit(unsigned i)
{
	struct ask *a = &ask[asked++ % ASKS];

	while (a->pool != NULL && a->call.state != CALL_DONE)
		a = &ask[asked++ % ASKS];
	if (a->pool != NULL)
		ask_fini(a);
	ask_init(a, side[i].pool, CALL_SQL);
	ask_submit(a);
	return a;
}

/* Time passes, and all that is due is done and said. */
static void
pass(usec length)
{
	back_skip(length);
	back_run(loop);
	hear_all();
	fake_all_ready();
	assert_true(fake.count <= most);
}

static unsigned
running(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake.count; i++)
		n += fake.conn[i]->count > 0;
	return n;
}

static void
reply_all(void)
{
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.conn[i]->count > 0)
			fake_reply(i);
}

static int
test_begin(void **state)
{
	static const struct quota_ops ops = { on_grant, on_recall, on_spare, on_cede };

	(void)state;
	fake_reset();
	memset(side, 0, sizeof side);
	memset(ask, 0, sizeof ask);
	asked = noted = 0;
	loop = back_loop();
	back_stop_clock();
	quota = quota_new(loop, &ops);
	page = quota_open(quota, "db", "fake://host:1/x");
	return quota == NULL || page == NULL ? -1 : 0;
}

static void
test_limit(unsigned max)
{
	most = max;
	quota_limit(page, max);
}

static int
test_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIDES; i++)
		end(i);
	for (unsigned i = 0; i < ASKS; i++)
		if (ask[i].pool != NULL)
			ask_fini(&ask[i]);
	quota_close(&page);
	quota_free(&quota);
	loop_free(&loop);
	return fake.count == 0 ? 0 : -1;
}

/* ---- tests ---- */

/* One has eight slow statements, the other nothing to do: all four connections are used, whoever had them. */
static void
who_is_busy_gets_what_others_do_not_use(unsigned min)
{
	test_limit(4);
	begin(0, 2, min);
	begin(1, 2, min);
	pass(0);
	pass(POOL_REST);
	for (unsigned i = 0; i < 8; i++)
		submit(0);
	for (unsigned ms = 0; ms < 30 && running() < 4; ms += 5)
		pass(5 * USEC_PER_MSEC);
	assert_int_equal(running(), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fake.conn[i]->count, 1);
	pass(USEC_PER_SEC);
	reply_all();
	pass(USEC_PER_SEC);
	assert_int_equal(running(), 4);
	reply_all();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(ask[i].call.rc, WEFT_OK);
	/* Afterwards each has its own again, and min. */
	for (unsigned i = 0; i < 4; i++)
		pass(POOL_REST / 2);
	assert_int_equal(side[0].pool->permits, 2);
	assert_int_equal(side[1].pool->permits, 2);
	assert_true(fake.count >= 2 * min);
}

static void
those_that_have_no_connection_yet(void **state)
{
	(void)state;
	who_is_busy_gets_what_others_do_not_use(0);
}

static void
those_that_have_all_of_theirs(void **state)
{
	(void)state;
	who_is_busy_gets_what_others_do_not_use(2);
}

/* The one has more work than all connections can do, for ever; the other gets what is its own all the same. */
static void
nobody_starves(void **state)
{
	struct ask *first, *second;
	unsigned ms;

	(void)state;
	test_limit(4);
	begin(0, 2, 0);
	begin(1, 2, 0);
	pass(POOL_REST);
	for (unsigned i = 0; i < 20; i++)
		submit(0);
	for (ms = 0; ms < 500; ms += 10) {
		pass(10 * USEC_PER_MSEC);
		if (ms % 20 == 0) {
			for (unsigned n = running(); n > 0; n--)
				submit(0);
			reply_all();
		}
	}
	assert_int_equal(side[0].pool->permits, 4);
	first = submit(1);
	second = submit(1);
	for (ms = 0; ms < 400 && (first->call.state == CALL_QUEUED || second->call.state == CALL_QUEUED); ms += 10) {
		pass(10 * USEC_PER_MSEC);
		if (ms % 20 == 0) {
			for (unsigned n = 0; n < 2; n++)
				submit(0);
			for (unsigned i = 0; i < fake.count; i++)
				if (fake.conn[i]->conn->pool == side[0].pool && fake.conn[i]->count > 0)
					fake_reply(i--);
		}
	}
	assert_int_equal(first->call.state, CALL_SENT);
	assert_int_equal(second->call.state, CALL_SENT);
	assert_true(ms <= 200);
	/* Not more than its own, as long as the first has calls that wait. */
	assert_int_equal(side[1].pool->permits, 2);
	assert_int_equal(side[0].pool->permits, 2);
}

/* All have too much to do, all the time: there is nothing to say. */
static void
overload_is_no_storm(void **state)
{
	unsigned before;

	(void)state;
	test_limit(8);
	for (unsigned i = 0; i < SIDES; i++)
		begin(i, 2, 0);
	for (unsigned i = 0; i < SIDES; i++)
		for (unsigned k = 0; k < 20; k++)
			submit(i);
	for (unsigned i = 0; i < 100; i++) {
		pass(POOL_LACK);
		reply_all();
		for (unsigned k = 0; k < SIDES; k++)
			while (side[k].pool->queued < 20)
				submit(k);
	}
	before = noted;
	for (unsigned i = 0; i < 1000; i++) {
		pass(POOL_LACK);
		reply_all();
		for (unsigned k = 0; k < SIDES; k++)
			while (side[k].pool->queued < 20)
				submit(k);
	}
	/* In ten seconds. */
	assert_int_equal(noted, before);
	for (unsigned i = 0; i < SIDES; i++)
		assert_int_equal(side[i].pool->permits, 2);
}

/* Both want the only one, and it is of no use to either: it is not passed to and fro all the time. */
static void
a_back_end_that_is_down_is_no_storm(void **state)
{
	(void)state;
	test_limit(1);
	begin(0, 1, 0);
	begin(1, 0, 0);
	for (unsigned ms = 0; ms < 1000; ms++) {
		for (unsigned i = 0; i < 2; i++)
			while (side[i].pool->queued < 5)
				submit(i);
		back_skip(USEC_PER_MSEC);
		back_run(loop);
		for (unsigned i = 0; i < 20; i++)
			for (unsigned k = 0; k < 2; k++) {
				hear(&side[k], &side[k].down);
				hear(&side[k], &side[k].up);
			}
		while (fake.count > 0)
			fake_lose(0, "refused");
	}
	/* Three notes a turn. */
	assert_true(noted < 100);
}

/* A worker that was told to end by somebody else than the master: what it gives back does not come back to it. */
static void
who_drains_gives_once(void **state)
{
	(void)state;
	test_limit(4);
	begin(0, 2, 2);
	begin(1, 2, 2);
	pass(POOL_REST);
	noted = 0;
	quota_drain(&side[0].part);
	pool_drain(side[0].pool);
	for (unsigned i = 0; i < 10; i++)
		pass(POOL_REST);
	assert_true(noted < 10);
	assert_int_equal(side[0].pool->permits, 0);
}

/* What each has, as it sees it, and as the master does. */
static void
check_books(void)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (side[i].pool != NULL)
			assert_int_equal(side[i].part.held, side[i].pool->permits + side[i].pool->giving);
}

static void
use_lease(struct side *s)
{
	if (s->lease.place.pool == NULL || (s->lease.place.state == CALL_DONE && s->lease.conn == NULL))
		lease_ask(&s->lease, s->pool, NULL, "a test");
	else
		lease_give(&s->lease);
}

/* Workers come and go and drain, calls come and are given up, connections are lent and lost: there are never more than max, and none is forgotten. */
static void
step(unsigned seed)
{
	unsigned i = (seed >> 16) % SIDES, k = fake.count > 0 ? (seed >> 12) % fake.count : 0;
	struct side *s = &side[i];

	switch ((seed >> 24) % 14) {
	case 0:
		if (s->pool == NULL)
			begin(i, i < 2 ? 2 : 1, (seed >> 8) % 2);
		break;
	case 1:
		if (s->pool != NULL && (seed >> 8) % 16 == 0)
			end(i);
		break;
	case 2:
		if (s->pool != NULL && (seed >> 8) % 32 == 0) {
			quota_drain(&s->part);
			pool_drain(s->pool);
		}
		break;
	case 3:
		if (fake.count > 0 && (seed >> 8) % 8 == 0)
			fake_lose(k, "gone");
		break;
	case 9:
		if (s->pool != NULL)
			use_lease(s);
		break;
	case 10:
		if (ask[(seed >> 8) % ASKS].pool != NULL)
			call_abandon(&ask[(seed >> 8) % ASKS].call, WEFT_CANCELED);
		break;
	case 4:
	case 5:
		if (s->pool != NULL && s->pool->queued < 20)
			submit(i);
		break;
	case 6:
		fake_all_ready();
		break;
	case 7:
		if (fake.count > 0 && fake.conn[k]->count > 0)
			fake_reply(k);
		break;
	case 8:
		back_skip((seed >> 8) % 64 * USEC_PER_MSEC);
		back_run(loop);
		break;
	default:
		hear(s, (seed >> 8) % 2 ? &s->up : &s->down);
		break;
	}
	assert_true(fake.count <= most);
}

static void
the_books_are_right_always(void **state)
{
	struct ask *last[SIDES];
	unsigned seed = 3;

	(void)state;
	test_limit(6);
	for (unsigned i = 0; i < 60000; i++) {
		seed = seed * 1103515245 + 12345;
		step(seed);
		if (i % 500 != 0)
			continue;
		hear_all();
		check_books();
	}
	/* Whatever was, who is there is served. */
	for (unsigned i = 0; i < SIDES; i++) {
		if (side[i].pool == NULL || side[i].pool->lean) {
			end(i);
			begin(i, i < 2 ? 2 : 1, 1);
		}
		if (side[i].lease.place.pool != NULL)
			lease_give(&side[i].lease);
		last[i] = submit(i);
	}
	for (unsigned i = 0; i < 200; i++) {
		pass(20 * USEC_PER_MSEC);
		reply_all();
	}
	for (unsigned i = 0; i < SIDES; i++) {
		assert_int_equal(last[i]->call.state, CALL_DONE);
		assert_int_equal(last[i]->call.rc, WEFT_OK);
		assert_int_equal(side[i].pool->permits, i < 2 ? 2 : 1);
	}
	check_books();
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(those_that_have_no_connection_yet),
		T(those_that_have_all_of_theirs),
		T(nobody_starves),
		T(overload_is_no_storm),
		T(a_back_end_that_is_down_is_no_storm),
		T(who_drains_gives_once),
		T(the_books_are_right_always),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
