/* SPDX-License-Identifier: ISC */
/* Connections that are lent, against a driver that does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "back/lease.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "loop/loop.h"
#include "tests/unit/back_fake.h"
#include "tests/unit/back_support.h"

enum { ASKS = 8 };

static struct loop *loop;
static struct pool *pool;
static struct ask ask[ASKS];
static struct lease lease[2];
static struct fault fault[2];

static int
test_begin(void **state)
{
	fake_reset();
	loop = back_loop();
	return 0;
}

static int
test_end(void **state)
{
	pool_close(&pool);
	for (int i = 0; i < ASKS; i++)
		if (ask[i].pool != NULL)
			ask_fini(&ask[i]);
	memset(ask, 0, sizeof ask);
	back_run(loop);
	loop_free(&loop);
	return fake.count == 0 ? 0 : -1;
}

static void
test_open(const struct driver *d, unsigned max)
{
	struct pool_conf conf = { .name = "db", .url = "fake://host:1/x", .max = max, .min = max };
	char error[200];

	pool = pool_open_driver(loop, &conf, d, error, sizeof error);
	assert_non_null(pool);
	fake_all_ready();
	for (int i = 0; i < ASKS; i++)
		ask_init(&ask[i], pool, d->kind);
}

static void
test_lend(int i)
{
	lease_ask(&lease[i], pool, &fault[i], "a test");
}

static struct pool_stat
test_stat(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s;
}

static void
one_is_nobody_elses(void **state)
{
	test_open(&fake_sql, 1);
	test_lend(0);
	assert_int_equal(lease[0].place.state, CALL_DONE);
	assert_int_equal(lease[0].place.rc, WEFT_OK);
	assert_true(lease_is_live(&lease[0]));
	assert_int_equal(test_stat().lent, 1);
	assert_int_equal(test_stat().open, 1);
	ask_submit(&ask[0]);
	assert_int_equal(ask[0].call.state, CALL_QUEUED);
	lease_submit(&lease[0], &ask[1].call);
	lease_submit(&lease[0], &ask[2].call);
	assert_int_equal(fake.conn[0]->count, 2);
	fake_reply(0);
	assert_int_equal(ask[1].call.rc, WEFT_OK);
	fake_reply(0);
	assert_int_equal(ask[2].call.state, CALL_DONE);
	assert_int_equal(ask[0].call.state, CALL_QUEUED);
	lease_give(&lease[0]);
	assert_false(lease_is_live(&lease[0]));
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(ask[0].call.state, CALL_SENT);
	fake_reply(0);
	assert_int_equal(test_stat().lent, 0);
	lease_give(&lease[0]);
	assert_int_equal(fake.cleans, 1);
}

/* First come, first served, also where others could go down a pipe that is in use. */
static void
its_place_in_the_queue_is_kept(void **state)
{
	test_open(&fake_redis, 1);
	ask_submit(&ask[0]);
	test_lend(0);
	ask_submit(&ask[1]);
	assert_int_equal(lease[0].place.state, CALL_QUEUED);
	assert_int_equal(ask[1].call.state, CALL_QUEUED);
	assert_int_equal(test_stat().queued, 2);
	fake_reply(0);
	assert_true(lease_is_live(&lease[0]));
	assert_int_equal(ask[1].call.state, CALL_QUEUED);
	lease_give(&lease[0]);
	assert_int_equal(ask[1].call.state, CALL_SENT);
	fake_reply(0);
}

static void
a_place_that_is_given_up(void **state)
{
	test_open(&fake_sql, 1);
	ask_submit(&ask[0]);
	test_lend(0);
	test_lend(1);
	lease_give(&lease[0]);
	assert_int_equal(lease[0].place.rc, WEFT_CANCELED);
	back_skip(3 * USEC_PER_SEC);
	pool_on_timer(pool);
	assert_int_equal(lease[1].place.state, CALL_DONE);
	assert_int_equal(lease[1].place.rc, WEFT_BUSY);
	assert_int_equal(test_stat().queued, 0);
	fake_reply(0);
	assert_int_equal(test_stat().lent, 0);
}

static void
it_is_lost_while_lent(void **state)
{
	test_open(&fake_sql, 2);
	test_lend(0);
	lease_submit(&lease[0], &ask[0].call);
	lease_submit(&lease[0], &ask[1].call);
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.conn[i]->conn == lease[0].conn) {
			fake.conn[i]->written = 1;
			fake_lose(i, "gone");
		}
	assert_false(lease_is_live(&lease[0]));
	assert_int_equal(ask[0].call.rc, WEFT_UNKNOWN);
	assert_int_equal(ask[1].call.rc, WEFT_NOT_SENT);	/* and not sent down the other one */
	assert_int_equal(fake.conn[0]->count, 0);
	lease_submit(&lease[0], &ask[2].call);
	assert_int_equal(ask[2].call.rc, WEFT_NOT_SENT);
	assert_non_null(strstr(ask[2].fault.text, "gone"));
	lease_give(&lease[0]);
	assert_int_equal(fake.cleans, 0);
}

static void
washing_takes_its_time_or_too_long(void **state)
{
	test_open(&fake_sql, 1);
	fake.clean = CONN_WASHING;
	test_lend(0);
	lease_give(&lease[0]);
	ask_submit(&ask[0]);
	assert_int_equal(ask[0].call.state, CALL_QUEUED);
	assert_int_equal(test_stat().open, 1);
	conn_is_ready(fake.conn[0]->conn);
	assert_int_equal(ask[0].call.state, CALL_SENT);
	fake_reply(0);
	test_lend(0);
	lease_give(&lease[0]);
	assert_int_equal(fake.closes, 0);
	back_skip(POOL_GRACE);
	pool_on_timer(pool);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(test_stat().lent, 0);
}

static void
what_is_spoilt_is_replaced(void **state)
{
	test_open(&fake_sql, 1);
	fake.clean = CONN_SPOILT;
	test_lend(0);
	ask_submit(&ask[0]);
	lease_give(&lease[0]);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(fake.opens, 2);
	fake_all_ready();
	assert_int_equal(ask[0].call.state, CALL_SENT);
	fake_reply(0);
	fake.clean = CONN_CLEAN;
	test_lend(0);
	lease_drop(&lease[0]);
	lease_drop(&lease[0]);
	assert_int_equal(fake.closes, 2);
	assert_int_equal(fake.cleans, 1);
}

static void
no_more_than_the_driver_takes(void **state)
{
	struct call call[FAKE_DEPTH + 1];

	test_open(&fake_sql, 1);
	test_lend(0);
	for (int i = 0; i <= FAKE_DEPTH; i++) {
		call_init(&call[i], CALL_SQL, NULL, NULL);
		lease_submit(&lease[0], &call[i]);
	}
	assert_int_equal(call[FAKE_DEPTH].rc, WEFT_BUSY);
	for (int i = 0; i < FAKE_DEPTH; i++)
		fake_reply(0);
	assert_int_equal(call[FAKE_DEPTH - 1].rc, WEFT_OK);
	lease_give(&lease[0]);
}

/* Lent ones count: the back end sees no more than max, and is not down because all are out. */
static void
lent_ones_count(void **state)
{
	test_open(&fake_sql, 2);
	test_lend(0);
	test_lend(1);
	assert_int_equal(test_stat().lent, 2);
	for (int i = 0; i < 4; i++)
		ask_submit(&ask[i]);
	assert_int_equal(fake.opens, 2);
	assert_int_equal(test_stat().queued, 4);
	back_skip(3 * USEC_PER_SEC);
	pool_on_timer(pool);
	assert_int_equal(ask[0].call.rc, WEFT_BUSY);
	assert_int_equal(test_stat().down, 0);
	lease_give(&lease[1]);
	lease_give(&lease[0]);
	assert_int_equal(test_stat().busy, 0);
}

static void
the_pool_closes_first(void **state)
{
	test_open(&fake_sql, 2);
	test_lend(0);
	lease_submit(&lease[0], &ask[0].call);
	pool_close(&pool);
	assert_false(lease_is_live(&lease[0]));
	assert_int_equal(ask[0].call.rc, WEFT_CANCELED);
}

static void
abandoned_calls_are_the_drivers_to_clean_up(void **state)
{
	test_open(&fake_sql, 1);
	fake.clean = CONN_WASHING;
	test_lend(0);
	lease_submit(&lease[0], &ask[0].call);
	call_abandon(&ask[0].call, WEFT_CANCELED);
	lease_give(&lease[0]);
	fake_reply(0);
	conn_is_ready(fake.conn[0]->conn);
	test_lend(1);
	assert_true(lease_is_live(&lease[1]));
	lease_give(&lease[1]);
}

static void
results_in_parts_are_for_drivers_that_have_them(void **state)
{
	test_open(&fake_sql, 1);
	test_lend(0);
	ask[0].call.part = CALL_OPENS;
	lease_submit(&lease[0], &ask[0].call);
	fake_part(0, 2, FAKE_MORE);
	assert_int_equal(ask[0].call.rc, WEFT_OK);
	assert_false(ask[0].call.last);
	ask[1].call.part = CALL_GOES_ON;
	lease_submit(&lease[0], &ask[1].call);
	fake_part(0, 0, FAKE_LAST);
	assert_true(ask[1].call.last);
	lease_give(&lease[0]);
}

static void
others_are_not_asked_for_them(void **state)
{
	test_open(&fake_redis, 1);
	test_lend(0);
	ask[0].call.part = CALL_OPENS;
	lease_submit(&lease[0], &ask[0].call);
	assert_int_equal(ask[0].call.rc, WEFT_INVALID);
	assert_non_null(strstr(ask[0].fault.text, "in parts"));
	assert_int_equal(fake.conn[0]->count, 0);
	lease_give(&lease[0]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_is_nobody_elses),
		TEST(its_place_in_the_queue_is_kept),
		TEST(a_place_that_is_given_up),
		TEST(it_is_lost_while_lent),
		TEST(washing_takes_its_time_or_too_long),
		TEST(what_is_spoilt_is_replaced),
		TEST(no_more_than_the_driver_takes),
		TEST(lent_ones_count),
		TEST(the_pool_closes_first),
		TEST(abandoned_calls_are_the_drivers_to_clean_up),
		TEST(results_in_parts_are_for_drivers_that_have_them),
		TEST(others_are_not_asked_for_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
