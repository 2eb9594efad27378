/* SPDX-License-Identifier: ISC */
/* The life of a pool's connections: checked after a rest, replaced when old, and gone only when the back end says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "back/lease.h"
#include "tests/unit/back_pool_kit.h"

/* ---- checked before use ---- */

static void
rested_connection_is_checked_before_use(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(3, CALL_SQL);
	back_skip(29 * USEC_PER_SEC);
	ask_submit(&a[0]);
	assert_int_equal(a[0].call.state, CALL_SENT);
	fake_reply(0);
	assert_int_equal(fake.pings, 0);
	back_skip(30 * USEC_PER_SEC);
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	assert_int_equal(fake.pings, 1);
	/* No other one is opened meanwhile, and who comes later is later. */
	ask_submit(&a[2]);
	assert_int_equal(fake.opens, 1);
	assert_int_equal(test_stat().queued, 2);
	fake_pong(0);
	assert_int_equal(a[1].call.state, CALL_SENT);
	fake_reply(0);
	assert_int_equal(a[2].call.state, CALL_SENT);
	fake_reply(0);
	assert_int_equal(test_stat().checks, 1);
	assert_int_equal(test_stat().checks_failed, 0);
	test_forget(a, 3);
}

static void
no_sign_of_life_is_not_noticed_by_the_call(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 1 });
	fake_all_ready();
	back_skip(30 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	ask_start(&a[0], loop);
	back_run(loop);
	assert_int_equal(fake.pings, 1);
	test_pass(POOL_CHECK - USEC_PER_MSEC);
	assert_int_equal(fake.closes, 0);
	test_pass(USEC_PER_MSEC);
	assert_int_equal(fake.closes, 1);
	fake_all_ready();
	back_run(loop);
	fake_reply(0);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_OK);
	assert_int_equal(test_stat().checks_failed, 1);
	assert_int_equal(test_stat().down, 0);
	assert_int_equal(pool->recent, 0);
	/* Or it turns out to be dead at once. */
	back_skip(30 * USEC_PER_SEC);
	ask_submit(&a[1]);
	assert_int_equal(fake.pings, 2);
	fake_lose(0, "reset");
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	fake_all_ready();
	assert_int_equal(a[1].call.state, CALL_SENT);
	test_forget(a, 2);
}

static void
as_many_are_checked_as_calls_wait(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 5, .check_after = 3 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(3 * USEC_PER_SEC);
	a = test_asks(8, CALL_SQL);
	test_submit_all(a, 3);
	assert_int_equal(fake.pings, 3);
	assert_int_equal(fake.opens, 5);
	assert_int_equal(test_stat().open, 5);
	assert_int_equal(test_stat().busy, 3);
	/* All five, and one more for the sixth. */
	test_submit_all(a + 3, 3);
	assert_int_equal(fake.pings, 5);
	assert_int_equal(fake.opens, 6);
	for (unsigned i = 0; i < 5; i++)
		fake_pong(i);
	fake_all_ready();
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(a[i].call.state, CALL_SENT);
	test_forget(a, 8);
}

/* One that is being made may never come: what there is, is tried all the same. */
static void
what_rests_is_checked_while_another_connects(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2, .connect_timeout = 60 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(29 * USEC_PER_SEC);
	fake_lose(0, "gone");
	assert_int_equal(test_stat().connecting, 1);
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	assert_int_equal(fake.pings, 1);
	fake_pong(0);
	assert_int_equal(a[0].call.state, CALL_SENT);
	test_forget(a, 1);
}

static void
what_is_lent_is_checked_too(void **state)
{
	struct lease lease = { .label = NULL };

	test_open(&fake_redis, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(30 * USEC_PER_SEC);
	lease_ask(&lease, pool, NULL, "a test");
	assert_false(lease_is_live(&lease));
	fake_pong(0);
	assert_true(lease_is_live(&lease));
	lease_give(&lease);
	/* Just used. */
	lease_ask(&lease, pool, NULL, "a test");
	assert_true(lease_is_live(&lease));
	lease_give(&lease);
	assert_int_equal(fake.pings, 1);
}

static void
who_leaves_during_a_check_leaves(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(30 * USEC_PER_SEC);
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	call_abandon(&a[0].call, WEFT_CANCELED);
	fake_pong(0);
	assert_int_equal(test_stat().open, 1);
	assert_int_equal(test_stat().busy, 0);
	test_forget(a, 1);
}

static void
a_driver_need_not_know_how_to_check(void **state)
{
	struct driver deaf = fake_sql;
	struct ask *a;

	deaf.ping = NULL;
	test_open(&deaf, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(1000 * USEC_PER_SEC);
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	assert_int_equal(a[0].call.state, CALL_SENT);
	fake_reply(0);
	test_forget(a, 1);
	pool_close(&pool);
}

/* ---- age ---- */

static void
old_connections_are_replaced_not_all_at_once(void **state)
{
	usec first = 0, last = 0;
	unsigned closes = 0, at_once = 0;

	test_open(&fake_sql, (struct pool_conf){ .max = 20, .min = 20, .max_lifetime = 1000 * USEC_PER_SEC });
	fake_all_ready();
	for (usec passed = USEC_PER_SEC; passed <= 1000 * USEC_PER_SEC; passed += USEC_PER_SEC) {
		test_pass(USEC_PER_SEC);
		if (fake.closes > closes) {
			last = passed;
			first = first == 0 ? passed : first;
			at_once = fake.closes - closes > at_once ? fake.closes - closes : at_once;
		}
		closes = fake.closes;
		fake_all_ready();
		fake_all_ready();
		/* What is closed is replaced. */
		assert_int_equal(test_stat().open, 20);
	}
	assert_int_equal(test_stat().aged, 20);
	assert_int_equal(fake.closes, 20);
	assert_true(first >= 900 * USEC_PER_SEC);
	assert_true(last - first > 30 * USEC_PER_SEC);
	assert_true(at_once < 6);
	assert_int_equal(test_stat().losses, 0);
}

static void
an_old_one_finishes_what_it_owes(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 100 * USEC_PER_SEC,
	    .queue_timeout = 1000 * USEC_PER_SEC, .call_timeout = 1000 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(20 * USEC_PER_SEC);
	a = test_asks(4, CALL_SQL);
	test_submit_all(a, 2);
	assert_int_equal(fake.conn[0]->count, 2);
	test_pass(80 * USEC_PER_SEC);
	assert_int_equal(test_stat().leaving, 1);
	/* It has its place as long. */
	ask_submit(&a[2]);
	test_pass(0);
	assert_int_equal(a[2].call.state, CALL_QUEUED);
	assert_int_equal(fake.opens, 1);
	fake_reply(0);
	fake_reply(0);
	assert_int_equal(a[1].call.rc, WEFT_OK);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(fake.opens, 2);
	fake_all_ready();
	assert_int_equal(a[2].call.state, CALL_SENT);
	test_forget(a, 4);
}

/* All places are taken by those that leave: that is no failure of the back end's. */
static void
old_ones_that_are_slow_to_end_are_no_failure(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 100 * USEC_PER_SEC,
	    .call_timeout = 1000 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(20 * USEC_PER_SEC);
	a = test_asks(8, CALL_SQL);
	ask_submit(&a[0]);
	test_pass(80 * USEC_PER_SEC);
	assert_int_equal(test_stat().leaving, 1);
	test_submit_all(a + 1, 6);
	test_pass(USEC_PER_SEC);
	for (unsigned i = 1; i < 7; i++)
		assert_int_equal(a[i].call.rc, WEFT_BUSY);
	assert_int_equal(test_stat().down, 0);
	fake_reply(0);
	fake_all_ready();
	ask_submit(&a[7]);
	assert_int_equal(a[7].call.state, CALL_SENT);
	test_forget(a, 8);
}

/* What may be sent again does not wait for a new connection where there is one with nothing to do. */
static void
what_an_old_one_owes_too_long_goes_down_another(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2, .max_lifetime = 100 * USEC_PER_SEC, .check_after = 1000 * USEC_PER_SEC,
	    .call_timeout = 30 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(85 * USEC_PER_SEC);
	a = test_asks(3, CALL_SQL);
	test_submit_all(a, 3);
	assert_int_equal(fake.conn[1]->count + fake.conn[0]->count, 3);
	for (unsigned i = 0; i < 2; i++)
		if (fake.conn[i]->count == 1)
			fake_reply(i);
	a[0].call.idempotent = a[1].call.idempotent = a[2].call.idempotent = true;
	test_pass(15 * USEC_PER_SEC);
	assert_int_equal(test_stat().leaving, 1);
	fake_all_ready();
	for (unsigned i = 0; i < fake.count; i++)
		fake_flush(i);
	pool->retry_at = CLOCK_NEVER;
	test_pass(30 * USEC_PER_SEC + POOL_GRACE - 15 * USEC_PER_SEC);
	assert_int_equal(test_stat().leaving, 0);
	assert_int_equal(test_stat().queued, 0);
	assert_true(test_stat().again > 0);
	test_forget(a, 3);
}

static void
one_that_grows_old_while_lent_goes_afterwards(void **state)
{
	struct lease lease = { .label = NULL };

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 100 * USEC_PER_SEC });
	fake_all_ready();
	lease_ask(&lease, pool, NULL, "a test");
	test_pass(100 * USEC_PER_SEC);
	assert_true(lease_is_live(&lease));
	assert_int_equal(test_stat().lent_long, 1);
	lease_give(&lease);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(fake.opens, 2);
	assert_int_equal(test_stat().aged, 1);
}

/* Who has it, and for how long. */
static void
a_long_loan_is_logged_once(void **state)
{
	struct lease lease = { .label = NULL };
	char said[1024];
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	lease_ask(&lease, pool, NULL, "shop: POST /buy");
	test_pass(POOL_LENT_LONG - USEC_PER_MSEC);
	assert_int_equal(test_stat().lent_long, 0);
	log_open(ends[1], LOG_WARN_, "test");
	for (int i = 0; i < 3; i++)
		test_pass(POOL_LENT_LONG);
	log_open(2, LOG_ERROR_, "test");
	assert_int_equal(test_stat().lent_long, 1);
	n = read(ends[0], said, sizeof said - 1);
	assert_true(n > 0);
	said[n] = '\0';
	assert_non_null(strstr(said, "connection lent for long pool=db seconds="));
	assert_non_null(strstr(said, "to=\"shop: POST /buy\""));
	assert_ptr_equal(strchr(said, '\n'), said + n - 1);
	lease_give(&lease);
	close(ends[0]);
	close(ends[1]);
}

/* ---- gone ---- */

/* Max is what the back end sees: a place is free when it has closed its side. */
static void
the_back_end_never_sees_one_too_many(void **state)
{
	struct ask *a;

	fake.has_sockets = true;
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 100 * USEC_PER_SEC });
	fake_all_ready();
	a = test_asks(1, CALL_SQL);
	test_pass(100 * USEC_PER_SEC);
	assert_int_equal(fake.closes, 1);
	ask_submit(&a[0]);
	back_run(loop);
	assert_int_equal(fake.opens, 1);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	/* It has been told, and what it still says does not matter. */
	assert_int_equal(read(fake.peer[0], &(char){ 0 }, 1), 0);
	assert_int_equal(write(fake.peer[0], "bye", 3), 3);
	back_run(loop);
	assert_int_equal(fake.opens, 1);
	close(fake.peer[0]);
	back_run(loop);
	assert_int_equal(fake.opens, 2);
	fake_all_ready();
	assert_int_equal(a[0].call.state, CALL_SENT);
	close(fake.peer[1]);
	test_forget(a, 1);
}

static void
what_the_back_end_closed_first_is_gone_at_once(void **state)
{
	fake.has_sockets = true;
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	close(fake.peer[0]);
	fake_lose(0, "closed");
	assert_int_equal(fake.opens, 2);
	close(fake.peer[1]);
}

static void
a_back_end_that_hangs_keeps_its_place_for_a_while(void **state)
{
	fake.has_sockets = true;
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 100 * USEC_PER_SEC });
	fake_all_ready();
	test_pass(100 * USEC_PER_SEC);
	test_pass(POOL_GRACE - USEC_PER_MSEC);
	assert_int_equal(fake.opens, 1);
	test_pass(USEC_PER_MSEC);
	assert_int_equal(fake.opens, 2);
	/* And the pool may close meanwhile. */
	fake_all_ready();
	test_pass(100 * USEC_PER_SEC);
	assert_int_equal(fake.closes, 2);
	pool_close(&pool);
	close(fake.peer[0]);
	close(fake.peer[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rested_connection_is_checked_before_use),
		T(no_sign_of_life_is_not_noticed_by_the_call),
		T(as_many_are_checked_as_calls_wait),
		T(what_rests_is_checked_while_another_connects),
		T(what_is_lent_is_checked_too),
		T(who_leaves_during_a_check_leaves),
		T(a_driver_need_not_know_how_to_check),
		T(old_connections_are_replaced_not_all_at_once),
		T(an_old_one_finishes_what_it_owes),
		T(old_ones_that_are_slow_to_end_are_no_failure),
		T(what_an_old_one_owes_too_long_goes_down_another),
		T(one_that_grows_old_while_lent_goes_afterwards),
		T(a_long_loan_is_logged_once),
		T(the_back_end_never_sees_one_too_many),
		T(what_the_back_end_closed_first_is_gone_at_once),
		T(a_back_end_that_hangs_keeps_its_place_for_a_while),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
