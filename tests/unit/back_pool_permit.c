/* SPDX-License-Identifier: ISC */
/* Permits: how many connections a worker may have is not its own affair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "back/lease.h"
#include "tests/unit/back_pool_kit.h"

/* What the keeper was told. */
static struct {
	unsigned told, wanted;		/* how often it was told what is wanted, and what the last time */
	unsigned wants, given;		/* how often something was wanted; how many were given back */
} keeper;

static void
keeper_on_want(void *arg, struct pool *p, unsigned n)
{
	assert_ptr_equal(arg, &keeper);
	assert_non_null(p);
	keeper.told++;
	keeper.wanted = n;
	keeper.wants += n > 0;
}

static void
keeper_on_give(void *arg, struct pool *p, unsigned n)
{
	assert_ptr_equal(arg, &keeper);
	assert_ptr_equal(p, pool);
	assert_true(n > 0);
	keeper.given += n;
}

static void
test_open_kept(const struct driver *d, unsigned granted, struct pool_conf conf)
{
	static const struct pool_keeper keepers = { keeper_on_want, keeper_on_give };

	memset(&keeper, 0, sizeof keeper);
	conf.keeper = &keepers;
	conf.keeper_arg = &keeper;
	conf.granted = granted;
	conf.most = conf.most == 0 ? conf.max : conf.most;
	test_open(d, conf);
}

static void
no_more_than_is_granted(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 2, (struct pool_conf){ .max = 4, .min = 3 });
	fake_all_ready();
	a = test_asks(8, CALL_SQL);
	test_submit_all(a, 8);
	fake_all_ready();
	assert_int_equal(fake.opens, 2);
	assert_int_equal(keeper.wants, 0);
	assert_int_equal(test_stat().permits, 2);
	pool_grant(pool, 2);
	fake_all_ready();
	fake_all_ready();
	assert_int_equal(fake.count, 3);
	test_forget(a, 8);
}

static void
without_a_permit_calls_wait_and_one_is_asked_for(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 0, (struct pool_conf){ .max = 1 });
	assert_int_equal(keeper.wants, 0);
	a = test_asks(7, CALL_SQL);
	test_submit_all(a, 6);
	assert_int_equal(fake.opens, 0);
	assert_int_equal(keeper.wants, 1);
	/* In vain for a while: too busy, not down; nor is that a failure of the back end's. */
	test_pass(USEC_PER_SEC);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(a[i].call.rc, WEFT_BUSY);
	assert_int_equal(test_stat().down, 0);
	assert_int_equal(keeper.wanted, 0);
	ask_submit(&a[6]);
	assert_int_equal(keeper.wants, 2);
	pool_grant(pool, 1);
	fake_all_ready();
	assert_int_equal(a[6].call.state, CALL_SENT);
	fake_reply(0);
	/* It is kept for the next one. */
	test_pass(USEC_PER_SEC);
	assert_int_equal(keeper.given, 0);
	assert_int_equal(fake.count, 1);
	test_forget(a, 7);
}

static void
what_is_not_in_use_is_given_back_at_once(void **state)
{
	test_open_kept(&fake_sql, 4, (struct pool_conf){ .max = 4, .min = 1 });
	fake_all_ready();
	pool_recall(pool, 2);
	assert_int_equal(keeper.given, 2);
	pool_recall(pool, 2);
	assert_int_equal(keeper.given, 4);
	assert_int_equal(fake.count, 0);
	assert_int_equal(test_stat().permits, 0);
	/* There is nothing left. */
	pool_recall(pool, 1);
	assert_int_equal(keeper.given, 4);
}

static void
idle_ones_go_first_and_their_permits_when_they_are_gone(void **state)
{
	struct ask *a;

	fake.has_sockets = true;
	test_open_kept(&fake_sql, 3, (struct pool_conf){ .max = 3, .min = 3 });
	fake_all_ready();
	back_skip(USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	test_submit_all(a, 2);
	pool_recall(pool, 2);
	/* The idle one is closed, another one gets no more calls; the last stays. */
	assert_int_equal(fake.closes, 1);
	assert_int_equal(test_stat().leaving, 1);
	assert_int_equal(keeper.given, 0);
	close(fake.peer[0]);
	close(fake.peer[1]);
	close(fake.peer[2]);
	back_run(loop);
	assert_int_equal(keeper.given, 1);
	fake_reply(0);
	fake_reply(fake.count - 1);
	assert_int_equal(keeper.given, 2);
	assert_int_equal(fake.count, 1);
	assert_int_equal(fake.opens, 3);
	test_forget(a, 2);
}

static void
turns_are_worth_connecting_for(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1, .min = 1 });
	a = test_asks(20, CALL_SQL);
	test_submit_all(a, 10);
	fake_all_ready();
	fake_reply(0);
	pool_recall(pool, 1);
	/* Just opened: it goes on for a while. */
	assert_int_equal(test_stat().leaving, 0);
	assert_int_equal(fake.conn[0]->count > 0, true);
	test_pass(POOL_SLICE);
	assert_int_equal(test_stat().leaving, 1);
	while (fake.count > 0)
		fake_reply(0);
	assert_int_equal(keeper.given, 1);
	/* What waits still asks for the next turn. */
	ask_submit(&a[10]);
	assert_int_equal(keeper.wants, 1);
	assert_int_equal(fake.opens, 1);
	test_forget(a, 20);
}

/* Recalled before it was there: who waits for it is served first, or the turn was in vain. */
static void
a_turn_does_not_end_before_it_has_begun(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1 });
	a = test_asks(2, CALL_SQL);
	ask_submit(&a[0]);
	pool_recall(pool, 1);
	test_pass(2 * POOL_SLICE);
	assert_int_equal(fake.count, 1);
	fake_all_ready();
	assert_int_equal(a[0].call.state, CALL_SENT);
	test_pass(POOL_SLICE / 2);
	assert_int_equal(test_stat().leaving, 0);
	test_pass(POOL_SLICE / 2);
	assert_int_equal(test_stat().leaving, 1);
	fake_reply(0);
	assert_int_equal(a[0].call.rc, WEFT_OK);
	assert_int_equal(keeper.given, 1);
	/* Nobody waits for this one any more. */
	pool_grant(pool, 1);
	ask_submit(&a[1]);
	assert_int_equal(fake.count, 1);
	call_abandon(&a[1].call, WEFT_CANCELED);
	pool_recall(pool, 1);
	assert_int_equal(fake.count, 0);
	assert_int_equal(keeper.given, 2);
	test_forget(a, 2);
}

static void
what_is_lent_is_given_back_afterwards(void **state)
{
	struct lease lease = { .label = NULL };

	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(USEC_PER_SEC);
	lease_ask(&lease, pool, NULL, "a test");
	pool_recall(pool, 1);
	assert_int_equal(keeper.given, 0);
	assert_true(lease_is_live(&lease));
	lease_give(&lease);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(keeper.given, 1);
}

/* Not at once, not for what another worker may not have either, and not again before it has changed. */
static void
calls_that_wait_for_long_are_worth_another(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open_kept(&fake_sql, 2, (struct pool_conf){ .max = 2, .min = 2, .most = 5, .queue_timeout = 10 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(USEC_PER_SEC);
	a = test_asks(8, CALL_SQL);
	test_submit_all(a, 8);
	/* Nobody knows how long they take: they are not piled up. */
	assert_int_equal(test_stat().queued, 6);
	test_pass(POOL_LACK - 1);
	assert_int_equal(keeper.told, 0);
	test_pass(1);
	assert_int_equal(keeper.told, 1);
	assert_int_equal(keeper.wanted, 3);
	for (unsigned i = 0; i < 20; i++)
		test_pass(POOL_TELL);
	assert_int_equal(keeper.told, 1);
	pool_grant(pool, 1);
	test_pass(0);
	assert_int_equal(keeper.told, 1);
	pool_grant(pool, 2);
	fake_all_ready();
	assert_int_equal(fake.count, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(a[i].call.state, CALL_SENT);
	/* There are no more. */
	test_pass(POOL_TELL);
	assert_int_equal(keeper.told, 1);
	assert_int_equal(test_stat().queued, 3);
	test_forget(a, 8);
}

static void
who_needs_no_more_says_so(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1, .min = 1, .most = 4, .queue_timeout = 10 * USEC_PER_SEC });
	fake_all_ready();
	a = test_asks(3, CALL_SQL);
	test_submit_all(a, 3);
	test_pass(POOL_LACK);
	assert_int_equal(keeper.wanted, 2);
	fake_reply(0);
	fake_reply(0);
	assert_int_equal(test_stat().queued, 0);
	test_pass(POOL_TELL - 1);
	assert_int_equal(keeper.wanted, 2);
	test_pass(1);
	assert_int_equal(keeper.wanted, 0);
	/* What came all the same is not kept. */
	pool_grant(pool, 2);
	assert_int_equal(keeper.given, 2);
	assert_int_equal(test_stat().permits, 1);
	test_forget(a, 3);
}

static void
short_waits_are_nobodys_affair(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1, .min = 1, .most = 4 });
	fake_all_ready();
	a = test_asks(200, CALL_SQL);
	ask_submit(&a[0]);
	for (unsigned i = 1; i < 200; i++) {
		ask_submit(&a[i]);
		assert_true(test_stat().queued > 0);
		test_pass(POOL_LACK - 1);
		fake_reply(0);
	}
	assert_int_equal(keeper.told, 0);
	test_forget(a, 200);
}

/* Back to its share when it has been idle for a while; what it needs it keeps. */
static void
what_is_above_its_share_goes_back(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 4, (struct pool_conf){ .max = 2, .min = 1, .most = 4 });
	pool_grant(pool, 0);
	assert_int_equal(keeper.given, 2);
	pool_grant(pool, 2);
	assert_int_equal(keeper.given, 4);
	a = test_asks(4, CALL_SQL);
	fake_all_ready();
	test_submit_all(a, 4);
	pool_grant(pool, 2);
	fake_all_ready();
	assert_int_equal(fake.count, 4);
	test_pass(2 * POOL_REST);
	assert_int_equal(keeper.given, 4);
	for (unsigned i = 0; i < 4; i++)
		fake_reply(i);
	test_pass(POOL_REST / 2);
	assert_int_equal(fake.count, 4);
	test_pass(POOL_REST / 2);
	assert_int_equal(fake.count, 2);
	assert_int_equal(keeper.given, 6);
	test_pass(POOL_REST);
	assert_int_equal(keeper.given, 6);
	test_forget(a, 4);
}

static void
what_rests_is_for_others_whose_calls_wait(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 4, (struct pool_conf){ .max = 4, .min = 3 });
	fake_all_ready();
	assert_int_equal(fake.count, 3);
	/* One has no connection; those that there are have just been used. */
	pool_cede(pool, 2);
	assert_int_equal(keeper.given, 1);
	back_skip(POOL_REST);
	a = test_asks(2, CALL_SQL);
	ask_submit(&a[0]);
	pool_cede(pool, 1);
	assert_int_equal(keeper.given, 2);
	assert_int_equal(fake.count, 2);
	pool_cede(pool, 5);
	assert_int_equal(keeper.given, 3);
	assert_int_equal(fake.count, 1);
	fake_reply(0);
	pool_cede(pool, 5);
	assert_int_equal(keeper.given, 3);
	back_skip(POOL_REST);
	pool_cede(pool, 5);
	assert_int_equal(keeper.given, 4);
	assert_int_equal(fake.count, 0);
	/* It is not asked back for the sake of min. */
	test_pass(USEC_PER_SEC);
	assert_int_equal(keeper.told, 0);
	ask_submit(&a[1]);
	assert_int_equal(keeper.wanted, 1);
	pool_grant(pool, 1);
	fake_all_ready();
	assert_int_equal(a[1].call.state, CALL_SENT);
	test_forget(a, 2);
}

static void
spare_permits_are_those_nobody_misses(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 4, (struct pool_conf){ .max = 4, .min = 1 });
	fake_all_ready();
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	pool_spare(pool, 2);
	assert_int_equal(keeper.given, 2);
	pool_spare(pool, 2);
	assert_int_equal(keeper.given, 3);
	assert_int_equal(fake.count, 1);
	assert_int_equal(test_stat().permits, 1);
	test_forget(a, 1);
}

static void
a_worker_that_drains_keeps_only_what_it_needs(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 4, (struct pool_conf){ .max = 4, .min = 3 });
	fake_all_ready();
	a = test_asks(3, CALL_SQL);
	ask_submit(&a[0]);
	back_skip(USEC_PER_SEC);
	pool_drain(pool);
	test_pass(0);
	assert_int_equal(fake.count, 1);
	assert_int_equal(keeper.given, 3);
	fake_reply(0);
	/* A handler asks again, soon after. */
	test_pass(POOL_DRAIN_IDLE / 2);
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.state, CALL_SENT);
	fake_reply(0);
	test_pass(POOL_DRAIN_IDLE);
	assert_int_equal(fake.count, 0);
	assert_int_equal(keeper.given, 4);
	/* Or later. */
	ask_submit(&a[2]);
	assert_int_equal(keeper.wants, 1);
	pool_grant(pool, 1);
	fake_all_ready();
	fake_reply(0);
	assert_int_equal(a[2].call.rc, WEFT_OK);
	test_pass(POOL_DRAIN_IDLE);
	assert_int_equal(keeper.given, 5);
	/* One that nobody needs any more does not stay. */
	pool_grant(pool, 1);
	assert_int_equal(keeper.given, 6);
	test_forget(a, 3);
}

static void
without_a_permit_nothing_is_known(void **state)
{
	struct ask *a;

	test_open_kept(&fake_sql, 1, (struct pool_conf){ .max = 1 });
	a = test_asks(2, CALL_SQL);
	ask_submit(&a[0]);
	for (unsigned i = 0; i < 1000 && test_stat().down == 0; i++) {
		if (fake.count > 0)
			fake_lose(0, "refused");
		test_pass(USEC_PER_MSEC);
	}
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	pool_recall(pool, 1);
	assert_int_equal(keeper.given, 1);
	assert_int_equal(test_stat().down, 0);
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	assert_int_equal(keeper.wants, 1);
	test_forget(a, 2);
}

/* Whatever comes: there are never more connections than permits that were granted and not given back. */
static void
the_books_are_right_always(void **state)
{
	unsigned seed = 11, granted = 3, next = 0;
	enum { N = 2000 };
	struct ask *a;

	test_open_kept(&fake_sql, 3, (struct pool_conf){ .max = 8, .min = 2, .max_lifetime = 20 * USEC_PER_SEC });
	a = test_asks(N, CALL_SQL);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k;

		seed = seed * 1103515245 + 12345;
		k = fake.count > 0 ? (seed >> 12) % fake.count : 0;
		switch ((seed >> 20) % 8) {
		case 0:
			if (granted - keeper.given < 8) {
				pool_grant(pool, 1);
				granted++;
			}
			break;
		case 1:
			pool_recall(pool, 1 + (seed >> 16) % 2);
			break;
		case 2:
			if (fake.count > 0 && (seed >> 16) % 4 == 0)
				fake_lose_code(k, (seed >> 18) % 2 ? "OVER" : "X");
			break;
		case 3:
		case 4:
			if (next < N)
				ask_submit(&a[next++]);
			break;
		case 5:
			if (fake.count > 0 && fake.conn[k]->is_asked)
				fake_pong(k);
			fake_all_ready();
			break;
		case 6:
			if (fake.count > 0 && fake.conn[k]->count > 0)
				fake_reply(k);
			break;
		default:
			test_pass((seed >> 8) % 100 * USEC_PER_MSEC);
			break;
		}
		assert_true(fake.count <= granted - keeper.given);
		assert_int_equal(pool->permits + pool->giving, granted - keeper.given);
		assert_int_equal(pool->slots, fake.count);
	}
	assert_int_equal(next, N);
	test_forget(a, N);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_more_than_is_granted),
		T(without_a_permit_calls_wait_and_one_is_asked_for),
		T(what_is_not_in_use_is_given_back_at_once),
		T(idle_ones_go_first_and_their_permits_when_they_are_gone),
		T(turns_are_worth_connecting_for),
		T(a_turn_does_not_end_before_it_has_begun),
		T(what_is_lent_is_given_back_afterwards),
		T(calls_that_wait_for_long_are_worth_another),
		T(who_needs_no_more_says_so),
		T(short_waits_are_nobodys_affair),
		T(what_is_above_its_share_goes_back),
		T(what_rests_is_for_others_whose_calls_wait),
		T(spare_permits_are_those_nobody_misses),
		T(a_worker_that_drains_keeps_only_what_it_needs),
		T(without_a_permit_nothing_is_known),
		T(the_books_are_right_always),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
