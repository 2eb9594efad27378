/* SPDX-License-Identifier: ISC */
/* What a pool does when things break: back-off, breaker, retries and their budget, failover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "back/lease.h"
#include "tests/unit/back_pool_kit.h"

#define STEP (5 * USEC_PER_MSEC)

/* Let time pass until there is a connection, or an attempt at one.  Returns how much passed. */
static usec
test_until_attempt(void)
{
	usec passed = 0;

	for (; fake.count == 0; passed += STEP) {
		test_pass(STEP);
		assert_true(passed < 60 * USEC_PER_SEC);
	}
	return passed;
}

static void
test_fail_attempts(unsigned n)
{
	while (n-- > 0) {
		test_until_attempt();
		fake_lose(0, "connection refused");
	}
}

/* One call, sent and answered by the only connection. */
static void
test_ask_well(void)
{
	struct ask *a = test_asks(1, pool_kind(pool));

	ask_submit(&a[0]);
	fake_all_ready();
	fake_reply(0);
	assert_int_equal(a[0].call.rc, WEFT_OK);
	test_forget(a, 1);
}

/* One call, lost with the only connection after it was sent. */
static void
test_ask_and_lose(void)
{
	struct ask *a = test_asks(1, pool_kind(pool));

	test_pass(2 * USEC_PER_SEC);
	ask_submit(&a[0]);
	fake_all_ready();
	fake_flush(0);
	test_pass(2 * USEC_PER_SEC);
	fake_lose(0, "gone");
	assert_int_equal(a[0].call.rc, WEFT_UNKNOWN);
	test_forget(a, 1);
	test_pass(0);
	fake_all_ready();
}

/* ---- attempts to connect ---- */

static void
connecting_has_a_deadline(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 4, .queue_timeout = 100 * USEC_PER_SEC });
	a = test_asks(2, CALL_SQL);
	test_submit_all(a, 2);
	test_pass(2 * USEC_PER_SEC);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	for (unsigned i = 0; i < 4; i++) {
		test_until_attempt();
		test_pass(2 * USEC_PER_SEC);
	}
	assert_int_equal(a[1].call.rc, WEFT_DOWN);
	assert_string_equal(a[1].fault.text, "pool db: no connection within 2 s, its connect_timeout (fake://u@host:1/x)");
	assert_int_equal(test_stat().down, 1);
	test_forget(a, 2);
}

static void
attempts_come_one_at_a_time_and_ever_later(void **state)
{
	usec last = 0, longest = 0;

	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 3 });
	fake_lose(0, "connection refused");
	for (unsigned i = 0; i < 100; i++) {
		usec most = i < 7 ? (50 * USEC_PER_MSEC) << i : 5 * USEC_PER_SEC;

		last = test_until_attempt();
		assert_int_equal(fake.count, 1);
		assert_true(last <= most + STEP);
		longest = last > longest ? last : longest;
		fake_lose(0, "connection refused");
	}
	/* Full jitter, up to the end: about every other one is over the half. */
	assert_true(longest > 4 * USEC_PER_SEC);
	test_until_attempt();
	fake_all_ready();
	assert_int_equal(fake.count, 3);
}

static void
the_longest_pause_can_be_chosen(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .backoff = 100 * USEC_PER_MSEC });
	fake_lose(0, "connection refused");
	for (unsigned i = 0; i < 50; i++) {
		assert_true(test_until_attempt() <= 100 * USEC_PER_MSEC + STEP);
		fake_lose(0, "connection refused");
	}
}

static void
backend_that_hangs_up_does_not_make_it_spin(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 1 });
	for (unsigned i = 0; i < 1000; i++) {
		test_pass(10 * USEC_PER_MSEC);
		fake_all_ready();
		if (fake.count > 0)
			fake_lose(0, "hung up");
	}
	assert_true(fake.opens < 50);
}

/* All at once is one failure, however young they are; and one that has answered was none. */
static void
young_ones_lost_together_do_not_add_up(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 20, .min = 20 });
	fake_all_ready();
	back_skip(USEC_PER_MSEC);
	for (unsigned i = 0; i < 20; i++)
		fake_lose(0, "killed");
	assert_true(test_until_attempt() <= 50 * USEC_PER_MSEC + STEP);
	fake_all_ready();
	for (unsigned i = 0; i < 30; i++) {
		while (fake.count > 1)
			fake_lose(1, "killed");
		test_ask_well();
		fake_lose(0, "hung up");
		assert_true(test_until_attempt() <= 100 * USEC_PER_MSEC + STEP);
		fake_all_ready();
	}
	assert_int_equal(test_stat().breaks, 0);
}

/* Whatever the pause has grown to. */
static void
who_waits_brings_the_next_attempt_forward(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	fake_lose(1, "too many");
	for (unsigned i = 0; i < 10; i++) {
		while (fake.count == 1)
			test_pass(STEP);
		fake_lose(1, "too many");
	}
	pool->retry_at = loop_now(loop) + 5 * USEC_PER_SEC;
	back_skip(2 * USEC_PER_MSEC);
	fake_lose(0, "gone");
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	assert_true(test_until_attempt() <= POOL_ASK + STEP);
	test_forget(a, 1);
}

static void
many_connections_come_in_portions(void **state)
{
	unsigned portions = 0;

	test_open(&fake_sql, (struct pool_conf){ .max = 200, .min = 200 });
	for (; test_stat().open < 200; portions++) {
		unsigned before = fake.count;

		assert_true(test_stat().connecting > 0 && test_stat().connecting <= 32);
		for (unsigned i = 0; i < before; i++)
			if (fake.conn[i]->conn->state == CONN_CONNECTING)
				conn_is_ready(fake.conn[i]->conn);
	}
	assert_true(portions >= 200 / 32);
	assert_int_equal(test_stat().connecting, 0);
}

static void
system_without_memory_is_a_failed_attempt(void **state)
{
	struct ask *a;

	fake.open_fails = true;
	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 1 });
	assert_int_equal(fake.opens, 1);
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	for (unsigned i = 0; i < 200 && a[0].call.state == CALL_QUEUED; i++)
		test_pass(STEP);
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	assert_int_equal(fake.opens, 5);
	fake.open_fails = false;
	test_until_attempt();
	fake_all_ready();
	assert_int_equal(test_stat().down, 0);
	test_forget(a, 1);
}

static void
min_is_kept_after_losses(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 6, .min = 4 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	fake_lose(3, "gone");
	fake_lose(0, "gone");
	assert_int_equal(test_stat().open, 2);
	fake_all_ready();
	fake_all_ready();
	assert_int_equal(test_stat().open, 4);
	assert_int_equal(test_stat().losses, 2);
	assert_int_equal(test_stat().down, 0);
}

/* ---- the breaker ---- */

static void
breaker_opens_after_five_in_a_row(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 3, .queue_timeout = 10 * USEC_PER_SEC });
	a = test_asks(3, CALL_SQL);
	ask_submit(&a[0]);
	test_fail_attempts(4);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	assert_int_equal(test_stat().down, 0);
	test_fail_attempts(1);
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	assert_string_equal(a[0].fault.code, "F1");
	assert_string_equal(a[0].fault.text, "pool db: connection refused (fake://u@host:1/x)");
	assert_int_equal(test_stat().down, 1);
	assert_int_equal(test_stat().breaks, 1);
	/* Now at once. */
	back_stop_clock();
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.rc, WEFT_DOWN);
	assert_string_equal(a[1].fault.text, "pool db: connection refused (fake://u@host:1/x)");
	/* The attempt that succeeds brings min with it. */
	test_until_attempt();
	fake_all_ready();
	assert_int_equal(fake.count, 3);
	assert_int_equal(test_stat().down, 0);
	ask_submit(&a[2]);
	assert_int_equal(a[2].call.state, CALL_SENT);
	test_forget(a, 3);
}

static void
who_comes_when_it_is_time_is_the_probe(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8 });
	a = test_asks(6, CALL_SQL);
	ask_submit(&a[0]);
	test_fail_attempts(5);
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	pool->ask_at = pool->retry_at = loop_now(loop) + 100 * USEC_PER_MSEC;
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.rc, WEFT_DOWN);
	back_skip(100 * USEC_PER_MSEC);
	ask_submit(&a[2]);
	ask_submit(&a[3]);
	assert_int_equal(fake.count, 1);
	assert_int_equal(a[2].call.state, CALL_QUEUED);
	assert_int_equal(a[3].call.rc, WEFT_DOWN);
	fake_lose(0, "still not");
	assert_int_equal(a[2].call.rc, WEFT_DOWN);
	assert_string_equal(a[2].fault.text, "pool db: still not (fake://u@host:1/x)");
	/* The next one is lucky. */
	pool->ask_at = loop_now(loop);
	ask_submit(&a[4]);
	fake_all_ready();
	assert_int_equal(a[4].call.state, CALL_SENT);
	ask_submit(&a[5]);
	assert_int_not_equal(a[5].call.state, CALL_DONE);
	assert_int_equal(test_stat().breaks, 1);
	test_forget(a, 6);
}

/* Who asks hears of its return within half a second, and it is not overrun meanwhile. */
static void
while_calls_come_attempts_are_closer(void **state)
{
	struct ask *a = NULL;
	unsigned attempts = 0;
	usec since = 0;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 1 });
	test_fail_attempts(20);
	for (unsigned ms = 0; ms < 20000; ms++) {
		a = test_asks(1, CALL_SQL);
		ask_submit(&a[0]);
		test_pass(USEC_PER_MSEC);
		since += USEC_PER_MSEC;
		assert_true(since <= POOL_ASK + 2 * USEC_PER_MSEC);
		if (fake.count > 0) {
			fake_lose(0, "connection refused");
			attempts++;
			since = 0;
		}
		assert_int_equal(a[0].call.rc, WEFT_DOWN);
		test_forget(a, 1);
	}
	assert_true(attempts > 40 && attempts < 200);
}

/* It went and came back while nobody asked: then nobody need know. */
static void
nobody_is_told_of_what_nobody_noticed(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 1, .queue_timeout = 10 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	fake_lose(0, "restarted");
	test_fail_attempts(8);
	assert_int_equal(test_stat().down, 1);
	assert_int_equal(fake.count, 0);
	a = test_asks(5, CALL_SQL);
	test_submit_all(a, 2);
	assert_int_equal(fake.count, 1);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	fake_all_ready();
	assert_int_equal(test_stat().down, 0);
	assert_int_equal(a[0].call.state, CALL_SENT);
	/* Still away: all that came are told, and from then on the breaker speaks. */
	fake_reply(0);
	fake_all_ready();
	while (fake.count > 0)
		fake_lose(0, "away");
	test_forget(a, 2);
	test_fail_attempts(8);
	a = test_asks(3, CALL_SQL);
	test_submit_all(a, 2);
	fake_lose(0, "away");
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	assert_int_equal(a[1].call.rc, WEFT_DOWN);
	back_stop_clock();
	ask_submit(&a[2]);
	assert_int_equal(a[2].call.rc, WEFT_DOWN);
	test_forget(a, 3);
}

static void
failed_attempt_with_others_ready_is_no_breaker(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 1 });
	fake_all_ready();
	a = test_asks(4, CALL_SQL);
	test_submit_all(a, 2);
	assert_int_equal(fake.count, 2);
	fake_lose(1, "too many connections");
	assert_int_equal(test_stat().down, 0);
	/* While it may not try again, calls share what there is. */
	assert_int_equal(a[1].call.state, CALL_SENT);
	ask_submit(&a[2]);
	assert_int_equal(fake.conn[0]->count, 3);
	assert_int_equal(fake.count, 1);
	test_forget(a, 4);
}

static void
failed_attempts_never_open_it_while_one_serves(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 2 });
	fake_all_ready();
	fake_lose(1, "too many connections");
	for (unsigned i = 0; i < 2500; i++) {
		test_pass(10 * USEC_PER_MSEC);
		if (fake.count > 1)
			fake_lose(1, "too many connections");
	}
	assert_true(fake.opens > 8);
	assert_int_equal(test_stat().down, 0);
	test_ask_well();
}

static void
breaker_opens_when_half_of_twenty_failed(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	for (unsigned i = 0; i < 9; i++) {
		test_ask_and_lose();
		test_ask_well();
	}
	assert_int_equal(test_stat().down, 0);
	test_ask_and_lose();
	assert_int_equal(test_stat().breaks, 1);
}

static void
less_than_half_is_no_breaker(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	for (unsigned i = 0; i < 40; i++) {
		test_ask_and_lose();
		test_ask_well();
		test_ask_well();
	}
	assert_int_equal(test_stat().breaks, 0);
}

/* A back end that was killed takes all connections with it, and may be back at once. */
static void
what_is_lost_together_counts_as_one(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 12, .min = 12 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(12, CALL_SQL);
	test_submit_all(a, 12);
	for (unsigned i = 0; i < 12; i++)
		fake_flush(i);
	for (unsigned i = 0; i < 12; i++) {
		back_skip(USEC_PER_MSEC);
		fake_lose(0, "killed");
	}
	assert_int_equal(test_stat().breaks, 0);
	assert_int_equal(test_stat().losses, 12);
	fake_all_ready();
	fake_all_ready();
	assert_int_equal(test_stat().open, 12);
	test_forget(a, 12);
}

static void
calls_that_find_no_connection_open_it(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .connect_timeout = 60 * USEC_PER_SEC });
	a = test_asks(7, CALL_SQL);
	test_submit_all(a, 4);
	test_pass(USEC_PER_SEC);
	assert_int_equal(a[3].call.rc, WEFT_DOWN);
	assert_int_equal(test_stat().down, 0);
	test_submit_all(a + 4, 2);
	test_pass(USEC_PER_SEC);
	assert_int_equal(a[5].call.rc, WEFT_DOWN);
	assert_int_equal(test_stat().down, 1);
	/* The attempt under way goes on, as the probe; no call waits for it, as all know. */
	assert_int_equal(fake.count, 1);
	ask_submit(&a[6]);
	assert_int_equal(a[6].call.rc, WEFT_DOWN);
	fake_all_ready();
	assert_int_equal(test_stat().down, 0);
	assert_int_equal(test_stat().open, 1);
	test_forget(a, 7);
}

/* No error says that it hangs.  In a pipe that is answered in order, silence does. */
static void
silence_opens_it_and_a_word_closes_it(void **state)
{
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(8, CALL_REDIS);
	test_submit_all(a, 6);
	back_skip(USEC_PER_SEC);
	for (unsigned i = 0; i < 4; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	assert_int_equal(test_stat().down, 0);
	call_abandon(&a[4].call, WEFT_TIMEOUT);
	assert_int_equal(test_stat().down, 1);
	assert_int_equal(test_stat().leaving, 1);
	ask_submit(&a[6]);
	assert_int_equal(a[6].call.rc, WEFT_DOWN);
	/* Somebody waits for it still, so it stays; and its place is taken, so there is no other. */
	test_pass(100 * USEC_PER_MSEC);
	assert_int_equal(fake.opens, 1);
	fake_reply(0);
	assert_int_equal(test_stat().down, 0);
	for (unsigned i = 1; i < 6; i++)
		fake_reply(0);
	assert_int_equal(a[5].call.rc, WEFT_OK);
	assert_int_equal(fake.closes, 1);
	test_until_attempt();
	fake_all_ready();
	ask_submit(&a[7]);
	assert_int_equal(a[7].call.state, CALL_SENT);
	test_forget(a, 8);
}

static void
a_hanging_connection_nobody_waits_for_makes_room(void **state)
{
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(6, CALL_REDIS);
	test_submit_all(a, 6);
	back_skip(USEC_PER_SEC);
	for (unsigned i = 0; i < 6; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	assert_int_equal(test_stat().down, 1);
	test_pass(0);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(fake.opens, 2);
	fake_all_ready();
	assert_int_equal(test_stat().down, 0);
	test_forget(a, 6);
}

static void
impatience_is_no_failure_of_the_back_end(void **state)
{
	struct lease lease = { .label = NULL };
	struct ask *a;

	/* Not much silence; nor where others are heard; nor where a statement may take its time; nor on a lent connection. */
	test_open(&fake_redis, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	a = test_asks(40, CALL_REDIS);
	test_submit_all(a, 20);
	back_skip(POOL_CHECK / 2);
	for (unsigned i = 10; i < 20; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	back_skip(POOL_CHECK);
	fake_reply(0);
	fake_reply(1);
	back_skip(POOL_CHECK / 2);
	for (unsigned i = 4; i < 10; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	while (fake.conn[0]->count > 0)
		fake_reply(0);
	lease_ask(&lease, pool, NULL, "a test");
	assert_true(lease_is_live(&lease));
	for (unsigned i = 20; i < 30; i++)
		lease_submit(&lease, &a[i].call);
	back_skip(10 * USEC_PER_SEC);
	for (unsigned i = 20; i < 30; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	lease_drop(&lease);
	assert_int_equal(test_stat().breaks, 0);
	test_forget(a, 40);
	pool_close(&pool);
	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	a = test_asks(10, CALL_SQL);
	test_submit_all(a, 10);
	back_skip(10 * USEC_PER_SEC);
	for (unsigned i = 0; i < 10; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	assert_int_equal(test_stat().breaks, 0);
	test_forget(a, 10);
}

static void
what_is_lent_goes_on_while_it_is_open(void **state)
{
	struct lease lease = { .label = NULL }, other = { .label = NULL };
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	lease_ask(&lease, pool, NULL, "a test");
	a = test_asks(6, CALL_REDIS);
	test_submit_all(a, 5);
	back_skip(USEC_PER_SEC);
	for (unsigned i = 0; i < 5; i++)
		call_abandon(&a[i].call, WEFT_TIMEOUT);
	assert_int_equal(test_stat().down, 1);
	lease_submit(&lease, &a[5].call);
	assert_int_equal(a[5].call.state, CALL_SENT);
	lease_ask(&other, pool, NULL, "a test");
	assert_int_equal(other.place.rc, WEFT_DOWN);
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.conn[i]->conn == lease.conn)
			fake_reply(i);
	assert_int_equal(a[5].call.rc, WEFT_OK);
	/* It is of the time before, and not kept. */
	lease_give(&lease);
	test_pass(0);
	assert_int_equal(fake.closes, 2);
	test_forget(a, 6);
}

/* ---- retries ---- */

static void
what_was_sent_is_not_sent_again(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	test_submit_all(a, 2);
	fake_flush(0);
	fake_lose(0, "gone");
	assert_int_equal(a[0].call.state == CALL_DONE ? a[0].call.rc : a[1].call.rc, WEFT_UNKNOWN);
	assert_int_equal(test_stat().again, 0);
	assert_int_equal(test_stat().unsent, 0);
	test_forget(a, 2);
}

static void
what_is_idempotent_is_sent_again_once(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	a[0].call.idempotent = a[1].call.idempotent = true;
	ask_start(&a[0], loop);
	back_run(loop);
	fake_flush(0);
	/* However long ago it was asked, it has its time in the queue now. */
	back_skip(5 * USEC_PER_SEC);
	fake_lose(0, "gone");
	back_run(loop);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	fake_all_ready();
	assert_int_equal(a[0].call.state, CALL_SENT);
	assert_int_equal(test_stat().again, 1);
	fake_flush(0);
	back_skip(2 * USEC_PER_SEC);
	fake_lose(0, "gone again");
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_UNKNOWN);
	assert_int_equal(pool->again, 0);
	fake_all_ready();
	/* The next has its own chance. */
	ask_submit(&a[1]);
	fake_flush(0);
	back_skip(2 * USEC_PER_SEC);
	fake_lose(0, "gone");
	fake_all_ready();
	fake_reply(0);
	assert_int_equal(a[1].call.rc, WEFT_OK);
	assert_int_equal(test_stat().again, 2);
	assert_int_equal(pool->again, 0);
	test_forget(a, 2);
}

static void
retries_have_a_budget(void **state)
{
	unsigned unknown = 0;
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(60, CALL_REDIS);
	for (unsigned i = 0; i < 60; i++)
		a[i].call.idempotent = true;
	test_submit_all(a, 60);
	/* Fifty were sent; ten were not, which costs the back end nothing. */
	fake.conn[0]->written = 50;
	fake_lose(0, "gone");
	for (unsigned i = 0; i < 60; i++)
		unknown += a[i].call.state == CALL_DONE && a[i].call.rc == WEFT_UNKNOWN;
	assert_int_equal(test_stat().again, 60 / 5);
	assert_int_equal(test_stat().over_budget, 50 - 12);
	assert_int_equal(unknown, 50 - 12);
	assert_int_equal(test_stat().unsent, 10);
	assert_int_equal(test_stat().queued, 22);
	fake_all_ready();
	while (fake.conn[0]->count > 0)
		fake_reply(0);
	assert_int_equal(pool->again, 0);
	test_forget(a, 60);
}

/* Where the driver's connection outlives a call's: each is sent again, whatever became of the one before it. */
static void
what_a_living_connection_gives_back_is_sent_again(void **state)
{
	struct ask *a;

	(void)state;
	test_open(&fake_http, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(3, CALL_HTTP);
	for (unsigned i = 0; i < 3; i++) {
		a[i].call.idempotent = true;
		ask_submit(&a[i]);
		fake_flush(0);
		fake_fail(0, WEFT_UNKNOWN);
		assert_int_equal(a[i].call.state, CALL_SENT);
		fake_reply(0);
		assert_int_equal(a[i].call.rc, WEFT_OK);
	}
	assert_int_equal(test_stat().again, 3);
	assert_int_equal(test_stat().queued, 0);
	assert_int_equal(test_stat().losses, 0);
	test_forget(a, 3);
}

static void
a_fifth_is_of_those_under_way(void **state)
{
	unsigned again = 0;
	struct ask *a;

	(void)state;
	test_open(&fake_http, (struct pool_conf){ .max = 20, .min = 20 });
	for (int i = 0; i < 20; i++)
		fake_all_ready();
	a = test_asks(20, CALL_HTTP);
	for (unsigned i = 0; i < 20; i++)
		a[i].call.idempotent = true;
	test_submit_all(a, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(a[i].call.state, CALL_SENT);
	for (unsigned i = 0; i < 20; i++)
		fake_fail(i, WEFT_UNKNOWN);
	for (unsigned i = 0; i < 20; i++)
		again += a[i].call.state != CALL_DONE;
	assert_int_equal(again, 4);
	assert_int_equal(test_stat().over_budget, 16);
	test_forget(a, 20);
}

static void
those_taken_back_leave_in_time(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(3, CALL_SQL);
	a[0].call.idempotent = true;
	ask_submit(&a[0]);
	fake_flush(0);
	back_skip(500 * USEC_PER_MSEC);
	test_submit_all(a + 1, 2);
	back_skip(900 * USEC_PER_MSEC);
	fake_lose(0, "gone");
	/* The first of the queue came last; those behind it go before, and are not forgotten when something else is due first. */
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	test_pass(0);
	assert_true(pool->armed <= a[1].call.deadline);
	test_pass(200 * USEC_PER_MSEC);
	assert_int_equal(a[1].call.rc, WEFT_DOWN);
	assert_int_equal(a[2].call.rc, WEFT_DOWN);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	test_pass(800 * USEC_PER_MSEC);
	assert_int_equal(a[0].call.rc, WEFT_DOWN);
	assert_int_equal(pool->again, 0);
	test_forget(a, 3);
}

static void
what_was_lent_is_never_sent_again(void **state)
{
	struct lease lease = { .label = NULL };
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	a[0].call.idempotent = a[1].call.idempotent = true;
	lease_ask(&lease, pool, NULL, "a test");
	lease_submit(&lease, &a[0].call);
	lease_submit(&lease, &a[1].call);
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.conn[i]->conn == lease.conn) {
			fake.conn[i]->written = 1;
			fake_lose(i, "gone");
			break;
		}
	assert_int_equal(a[0].call.rc, WEFT_UNKNOWN);
	assert_int_equal(a[1].call.rc, WEFT_NOT_SENT);
	test_forget(a, 2);
}

/* ---- failover ---- */

static void
failover_replaces_all_connections(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 5, .min = 4 });
	fake_all_ready();
	back_skip(10 * USEC_PER_SEC);
	a = test_asks(7, CALL_SQL);
	test_submit_all(a, 3);
	a[0].call.idempotent = true;
	for (unsigned i = 0; i < 4; i++)
		if (fake.conn[i]->count > 0 && fake.conn[i]->pipe[0] == &a[0].call) {
			fake_refuse(i, "RO");
			break;
		}
	/* The write is refused, once and for all. */
	assert_int_equal(a[0].call.rc, WEFT_REFUSED);
	assert_string_equal(a[0].fault.code, "RO");
	assert_int_equal(test_stat().failovers, 1);
	/* Its connection and the idle one are closed, those in use get no more. */
	assert_int_equal(fake.closes, 2);
	assert_int_equal(test_stat().leaving, 2);
	ask_submit(&a[3]);
	assert_int_equal(a[3].call.state, CALL_QUEUED);
	test_pass(0);
	fake_all_ready();
	assert_int_equal(a[3].call.state, CALL_SENT);
	for (unsigned i = 0; i < 2; i++) {
		fake_reply(0);
		assert_int_equal(test_stat().leaving, 1 - i);
	}
	assert_int_equal(a[1].call.rc, WEFT_OK);
	assert_int_equal(a[2].call.rc, WEFT_OK);
	fake_all_ready();
	assert_int_equal(test_stat().open, 4);
	assert_int_equal(test_stat().losses, 0);
	assert_int_equal(test_stat().breaks, 0);
	test_forget(a, 7);
}

/* Where the new ones say the same there is no other back end yet; but it is asked for again. */
static void
failover_is_not_a_storm(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	for (unsigned i = 0; i < 1000; i++) {
		struct ask *a = test_asks(1, CALL_SQL);

		test_pass(20 * USEC_PER_MSEC);
		fake_all_ready();
		ask_submit(&a[0]);
		for (unsigned k = 0; k < fake.count; k++)
			if (fake.conn[k]->count > 0)
				fake_refuse(k, "RO");
		test_forget(a, 1);
	}
	/* Twenty seconds. */
	assert_true(test_stat().failovers >= 4 && test_stat().failovers <= 5);
	assert_true(fake.opens <= 2 * 6);
}

static void
the_end_of_one_may_be_the_end_of_all(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 4 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	fake_lose_code(2, "OVER");
	assert_int_equal(fake.closes, 4);
	assert_int_equal(test_stat().failovers, 1);
	assert_int_equal(test_stat().losses, 1);
	/* Other codes are not. */
	fake_all_ready();
	test_pass(0);
	fake_all_ready();
	assert_int_equal(test_stat().open, 4);
	test_pass(10 * USEC_PER_SEC);
	fake_lose_code(2, "57014");
	assert_int_equal(test_stat().failovers, 1);
	assert_int_equal(test_stat().open, 3);
}

static void
what_is_lent_leaves_when_it_is_back(void **state)
{
	struct lease lease = { .label = NULL };

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	lease_ask(&lease, pool, NULL, "a test");
	fake_lose_code(fake.conn[0]->conn == lease.conn ? 1 : 0, "OVER");
	assert_true(lease_is_live(&lease));
	assert_int_equal(fake.closes, 1);
	lease_give(&lease);
	assert_int_equal(fake.closes, 2);
	fake_all_ready();
	test_pass(0);
	fake_all_ready();
	assert_int_equal(test_stat().open, 2);
}

static void
nobody_waits_for_what_leaves(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 3, .min = 3, .call_timeout = 10 * USEC_PER_SEC });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	test_submit_all(a, 2);
	for (unsigned i = 0; i < 3; i++)
		fake_flush(i);
	for (unsigned i = 0; i < 3; i++)
		if (fake.conn[i]->count == 0) {
			fake_lose_code(i, "OVER");
			break;
		}
	test_pass(0);
	assert_int_equal(test_stat().leaving, 2);
	call_abandon(&a[0].call, WEFT_CANCELED);
	test_pass(0);
	assert_int_equal(test_stat().leaving, 1);
	/* Nor for ever. */
	test_pass(10 * USEC_PER_SEC + POOL_GRACE);
	assert_int_equal(test_stat().leaving, 0);
	assert_int_equal(a[1].call.rc, WEFT_UNKNOWN);
	test_forget(a, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(connecting_has_a_deadline),
		T(attempts_come_one_at_a_time_and_ever_later),
		T(the_longest_pause_can_be_chosen),
		T(backend_that_hangs_up_does_not_make_it_spin),
		T(young_ones_lost_together_do_not_add_up),
		T(who_waits_brings_the_next_attempt_forward),
		T(many_connections_come_in_portions),
		T(system_without_memory_is_a_failed_attempt),
		T(min_is_kept_after_losses),
		T(breaker_opens_after_five_in_a_row),
		T(who_comes_when_it_is_time_is_the_probe),
		T(while_calls_come_attempts_are_closer),
		T(nobody_is_told_of_what_nobody_noticed),
		T(failed_attempt_with_others_ready_is_no_breaker),
		T(failed_attempts_never_open_it_while_one_serves),
		T(breaker_opens_when_half_of_twenty_failed),
		T(less_than_half_is_no_breaker),
		T(what_is_lost_together_counts_as_one),
		T(calls_that_find_no_connection_open_it),
		T(silence_opens_it_and_a_word_closes_it),
		T(a_hanging_connection_nobody_waits_for_makes_room),
		T(impatience_is_no_failure_of_the_back_end),
		T(what_is_lent_goes_on_while_it_is_open),
		T(what_was_sent_is_not_sent_again),
		T(what_is_idempotent_is_sent_again_once),
		T(retries_have_a_budget),
		T(what_a_living_connection_gives_back_is_sent_again),
		T(a_fifth_is_of_those_under_way),
		T(those_taken_back_leave_in_time),
		T(what_was_lent_is_never_sent_again),
		T(failover_replaces_all_connections),
		T(failover_is_not_a_storm),
		T(the_end_of_one_may_be_the_end_of_all),
		T(what_is_lent_leaves_when_it_is_back),
		T(nobody_waits_for_what_leaves),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
