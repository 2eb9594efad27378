/* SPDX-License-Identifier: ISC */
/* The pool against a driver that does what the test says.  No test sleeps: time is moved on, and the pool's timer called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/back_pool_kit.h"

/* ---- settings ---- */

static void
settings_that_cannot_work_are_refused(void **state)
{
	static const struct {
		struct pool_conf conf;
		const char *word;
	} bad[] = {
		{ { .name = "", .url = "fake://h" }, "name" },
		{ { .name = "c", .url = NULL }, "URL" },
		{ { .name = "c", .url = "nonsense" }, "scheme" },
		{ { .name = "c", .url = "gopher://h" }, "gopher" },
		{ { .name = "c", .url = "fake://h", .max = 2, .min = 3 }, "min" },
		{ { .name = "c", .url = "fake://h", .min = 9 }, "min" },
		{ { .name = "c", .url = "fake://h", .call_timeout = -1 }, "timeout" },
		{ { .name = "c", .url = "fake://h", .max_lifetime = -1 }, "timeout" },
		{ { .name = "c", .url = "fake://h", .check_after = -1 }, "timeout" },
		{ { .name = "c", .url = "fake://h", .backoff = -1 }, "timeout" },
	};
	struct pool_conf conf = { .name = "c", .url = "fake://h" };
	char error[200];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(pool_check(&bad[i].conf, error, sizeof error), WEFT_INVALID);
		assert_non_null(strstr(error, bad[i].word));
		assert_null(pool_open(loop, &bad[i].conf, error, sizeof error));
	}
	conf.url = "fake://h:666";
	assert_null(pool_open_driver(loop, &conf, &fake_sql, error, sizeof error));
	assert_string_equal(error, "pool c: not that port");
}

static void
settings_have_defaults_that_serve(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 0 });
	assert_int_equal(pool_settings(pool)->max, 8);
	assert_int_equal(pool_settings(pool)->queue, 4096);
	assert_int_equal(pool_settings(pool)->queue_timeout, USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->connect_timeout, 2 * USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->call_timeout, 30 * USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->idle_timeout, 600 * USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->max_lifetime, 3600 * USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->check_after, 30 * USEC_PER_SEC);
	assert_int_equal(pool_settings(pool)->backoff, 5 * USEC_PER_SEC);
	assert_string_equal(pool_name(pool), "db");
	assert_string_equal(pool_url(pool)->password, "secret");
	assert_int_equal(pool_kind(pool), CALL_SQL);
	assert_ptr_equal(pool_loop(pool), loop);
	assert_int_equal(fake.opens, 0);
}

/* ---- choice ---- */

static void
min_is_opened_one_first_then_the_rest(void **state)
{
	test_open(&fake_sql, (struct pool_conf){ .max = 6, .min = 4 });
	assert_int_equal(fake.opens, 1);
	fake_all_ready();
	assert_int_equal(fake.opens, 4);
	assert_int_equal(test_stat().open, 4);
	assert_int_equal(test_stat().busy, 0);
}

static void
burst_gives_each_idle_connection_one_call(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 200, .min = 200 });
	fake_all_ready();
	assert_int_equal(fake.count, 200);
	a = test_asks(200, CALL_SQL);
	test_submit_all(a, 200);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(fake.conn[i]->count, 1);
	assert_int_equal(test_stat().queued, 0);
	assert_int_equal(test_stat().busy, 200);
	for (unsigned i = 0; i < 200; i++)
		fake_reply(i);
	assert_int_equal(test_stat().busy, 0);
	test_forget(a, 200);
}

static void
sql_opens_a_connection_a_call_up_to_max_then_shares_evenly(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 4 });
	a = test_asks(20, CALL_SQL);
	ask_submit(&a[0]);
	assert_int_equal(fake.opens, 1);
	fake_all_ready();
	assert_int_equal(a[0].call.state, CALL_SENT);
	ask_submit(&a[1]);
	ask_submit(&a[2]);
	ask_submit(&a[3]);
	assert_int_equal(fake.opens, 4);
	assert_int_equal(test_stat().queued, 3);
	fake_all_ready();
	test_submit_all(a + 4, 16);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fake.conn[i]->count, 5);
	test_forget(a, 20);
}

static void
sql_does_not_queue_behind_what_is_slow(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	a = test_asks(12, CALL_SQL);
	test_submit_all(a, 2);
	back_skip(2 * POOL_SLOW);
	test_submit_all(a + 2, 10);
	assert_int_equal(test_stat().queued, 10);
	/* Its reply was slow: one more, not more than one. */
	fake_reply(0);
	assert_int_equal(fake.conn[0]->count, 1);
	assert_int_equal(a[2].call.state, CALL_SENT);
	/* Now it was quick: its fair share of the eleven that are left. */
	fake_reply(0);
	assert_int_equal(fake.conn[0]->count, 5);
	assert_int_equal(fake.conn[1]->count, 1);
	test_forget(a, 12);
}

static void
redis_spreads_before_it_opens_more(void **state)
{
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 3, .min = 1 });
	fake_all_ready();
	a = test_asks(700, CALL_REDIS);
	test_submit_all(a, POOL_SPREAD - 1);
	assert_int_equal(fake.opens, 1);
	test_submit_all(a + POOL_SPREAD - 1, 2);
	assert_int_equal(fake.opens, 2);
	fake_all_ready();
	/* The least loaded gets the next ones. */
	test_submit_all(a + POOL_SPREAD + 1, POOL_SPREAD / 2);
	assert_int_equal(fake.conn[1]->count, POOL_SPREAD / 2);
	assert_int_equal(fake.opens, 2);
	test_submit_all(a + POOL_SPREAD + 1 + POOL_SPREAD / 2, 200);
	assert_int_equal(fake.opens, 3);
	fake_all_ready();
	test_submit_all(a + 300 - 3, 403);
	assert_int_equal(fake.count, 3);
	assert_true(fake.conn[2]->count >= 230 && fake.conn[0]->count <= 236);
	assert_int_equal(test_stat().queued, 0);
	while (fake.conn[0]->count + fake.conn[1]->count + fake.conn[2]->count > 0)
		for (unsigned i = 0; i < 3; i++)
			if (fake.conn[i]->count > 0)
				fake_reply(i);
	assert_int_equal(test_stat().busy, 0);
	for (unsigned i = 0; i < 700; i++)
		assert_int_equal(a[i].call.rc, WEFT_OK);
	test_forget(a, 700);
}

/* Have the pool learn that this statement takes so long. */
static void
test_teach(const char *sql, usec took)
{
	for (unsigned i = 0; i < 200; i++) {
		struct ask a;

		ask_init(&a, pool, CALL_SQL);
		a.call.sql = sql;
		ask_submit(&a);
		back_skip(took);
		for (unsigned k = 0; k < fake.count; k++)
			if (fake.conn[k]->count > 0)
				fake_reply(k);
		assert_int_equal(a.call.rc, WEFT_OK);
		ask_fini(&a);
	}
}

static unsigned
test_busy_connections(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake.count; i++)
		n += fake.conn[i]->count > 0;
	return n;
}

static void
quick_calls_of_a_turn_go_together(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 8 });
	fake_all_ready();
	test_teach("SELECT 1", 20);
	a = test_asks(40, CALL_SQL);
	test_submit_all(a, POOL_TOGETHER);
	assert_int_equal(test_busy_connections(), 1);
	ask_submit(&a[POOL_TOGETHER]);
	assert_int_equal(test_busy_connections(), 2);
	/* The next turn begins with an idle one. */
	back_skip(1);
	test_submit_all(a + 9, 3);
	assert_int_equal(test_busy_connections(), 3);
	/* What is not known goes alone, and nothing joins it. */
	a[12].call.sql = "SELECT 2";
	ask_submit(&a[12]);
	assert_int_equal(test_busy_connections(), 4);
	test_submit_all(a + 13, 2);
	assert_int_equal(test_busy_connections(), 5);
	test_forget(a, 40);
}

static void
what_takes_long_goes_alone(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 8 });
	fake_all_ready();
	/* Two can be answered within POOL_NEAR, three cannot. */
	test_teach("SELECT 1", POOL_NEAR / 5 * 2);
	a = test_asks(20, CALL_SQL);
	test_submit_all(a, 3);
	assert_int_equal(test_busy_connections(), 2);
	/* One slow answer is remembered. */
	back_skip(USEC_PER_SEC);
	while (test_busy_connections() > 0)
		for (unsigned i = 0; i < 8; i++)
			if (fake.conn[i]->count > 0)
				fake_reply(i);
	test_submit_all(a + 3, 4);
	assert_int_equal(test_busy_connections(), 4);
	test_forget(a, 20);
}

/* A process that has to be woken first makes nobody slow; what makes others wait does. */
static void
what_holds_up_others_counts(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 8 });
	fake_all_ready();
	test_teach("SELECT 1", 20);
	a = test_asks(60, CALL_SQL);
	for (unsigned i = 0; i < 20; i++) {
		ask_submit(&a[i]);
		back_skip(POOL_SLOW - 1);
		for (unsigned k = 0; k < 8; k++)
			if (fake.conn[k]->count > 0)
				fake_reply(k);
	}
	test_submit_all(a + 20, POOL_TOGETHER);
	assert_int_equal(test_busy_connections(), 1);
	for (unsigned i = 0; i < POOL_TOGETHER; i++) {
		back_skip(POOL_NEAR);
		for (unsigned k = 0; k < 8; k++)
			if (fake.conn[k]->count > 0)
				fake_reply(k);
	}
	test_submit_all(a + 40, POOL_TOGETHER);
	assert_true(test_busy_connections() > 2);
	test_forget(a, 60);
}

static void
what_was_given_up_counts_as_slow(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 8 });
	fake_all_ready();
	test_teach("SELECT 1", 20);
	a = test_asks(20, CALL_SQL);
	ask_submit(&a[0]);
	back_skip(USEC_PER_SEC);
	call_abandon(&a[0].call, WEFT_TIMEOUT);
	test_submit_all(a + 1, 4);
	assert_int_equal(test_busy_connections(), 5);
	test_forget(a, 20);
}

static void
quick_calls_open_no_connection(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_sql, (struct pool_conf){ .max = 8, .min = 2 });
	fake_all_ready();
	test_teach("SELECT 1", 20);
	a = test_asks(20, CALL_SQL);
	for (unsigned i = 0; i < 2 * POOL_TOGETHER; i++) {
		ask_submit(&a[i]);
		back_skip(1);
	}
	assert_int_equal(fake.opens, 2);
	assert_int_equal(fake.conn[0]->count, POOL_TOGETHER);
	assert_int_equal(fake.conn[1]->count, POOL_TOGETHER);
	ask_submit(&a[2 * POOL_TOGETHER]);
	assert_int_equal(fake.opens, 3);
	test_forget(a, 20);
}

static void
redis_commands_of_a_turn_go_together(void **state)
{
	struct ask *a;

	back_stop_clock();
	test_open(&fake_redis, (struct pool_conf){ .max = 3, .min = 3 });
	fake_all_ready();
	a = test_asks(500, CALL_REDIS);
	for (unsigned i = 0; i < 200; i++) {
		ask_submit(&a[i]);
		back_skip(4);
		fake_reply(fake.conn[0]->count > 0 ? 0 : fake.conn[1]->count > 0 ? 1 : 2);
	}
	test_submit_all(a + 200, POOL_SPREAD);
	assert_int_equal(test_busy_connections(), 1);
	test_submit_all(a + 200 + POOL_SPREAD, 1);
	assert_int_equal(test_busy_connections(), 2);
	test_forget(a, 500);
}

/* Whatever comes and goes, each in a turn of its own, the least loaded is chosen: against a count made anew each time. */
static void
choice_is_the_least_loaded_always(void **state)
{
	enum { N = 3000 };
	struct ask *a;
	unsigned seed = 7, next = 0;

	test_open(&fake_redis, (struct pool_conf){ .max = 9, .min = 9 });
	fake_all_ready();
	a = test_asks(N, CALL_REDIS);
	while (next < N) {
		unsigned least = FAKE_DEEP, i;

		seed = seed * 1103515245 + 12345;
		i = (seed >> 16) % 9;
		if ((seed >> 8) % 5 < 2 && fake.conn[i]->count > 0) {
			fake_reply(i);
			continue;
		}
		for (i = 0; i < 9; i++)
			least = fake.conn[i]->count < least ? fake.conn[i]->count : least;
		back_skip(1);
		ask_submit(&a[next]);
		assert_int_equal(((struct fake_conn *)a[next].call.slot)->count, least + 1);
		next++;
	}
	test_forget(a, N);
}

/* ---- the queue ---- */

static void
queue_is_first_come_first_served_and_bounded(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .queue = 5 });
	fake_all_ready();
	a = test_asks(7, CALL_SQL);
	ask_start(&a[0], loop);
	back_run(loop);
	back_skip(2 * POOL_SLOW);
	for (unsigned i = 1; i < 7; i++)
		ask_start(&a[i], loop);
	back_run(loop);
	/* Waiter number queue + 1 fails at once. */
	assert_true(a[6].is_done);
	assert_int_equal(a[6].rc, WEFT_BUSY);
	assert_string_equal(a[6].fault.text, "pool db: its queue of 5 calls is full");
	assert_int_equal(test_stat().busy_refused, 1);
	for (unsigned i = 0; i < 6; i++) {
		fake_reply(0);
		back_run(loop);
		back_skip(2 * POOL_SLOW);
		assert_true(a[i].is_done);
		assert_int_equal(a[i].rc, WEFT_OK);
		assert_int_equal(a[i].order, i + 2);
	}
	/* It waited for a place first, then for the reply, and the timeline can tell. */
	assert_int_equal(a[3].waits[WAIT_POOL], 1);
	assert_int_equal(a[3].waits[WAIT_SQL], 1);
	assert_int_equal(a[0].waits[WAIT_POOL], 0);
	test_forget(a, 7);
}

static void
queue_timeout_is_busy_and_down_without_any_connection(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .queue_timeout = USEC_PER_SEC });
	a = test_asks(3, CALL_SQL);
	ask_start(&a[0], loop);
	back_run(loop);
	test_pass(USEC_PER_SEC);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_DOWN);
	assert_string_equal(a[0].fault.text, "pool db: no connection within 1 s (fake://u@host:1/x)");
	fake_all_ready();
	ask_submit(&a[1]);
	back_skip(2 * POOL_SLOW);
	ask_start(&a[2], loop);
	back_run(loop);
	/* By the fiber's own deadline this time: the pool's timer has not been called. */
	back_skip(USEC_PER_SEC);
	back_run(loop);
	assert_int_equal(a[2].rc, WEFT_BUSY);
	assert_string_equal(a[2].fault.text, "pool db: no connection came free within 1 s, its queue_timeout");
	assert_int_equal(test_stat().queued, 0);
	fake_reply(0);
	assert_int_equal(test_stat().busy, 0);
	test_forget(a, 3);
}

static void
sent_call_has_its_own_time(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .queue_timeout = USEC_PER_SEC,
	    .call_timeout = 10 * USEC_PER_SEC });
	a = test_asks(1, CALL_SQL);
	ask_start(&a[0], loop);
	back_run(loop);
	/* Sent in the very turn in which its time in the queue is over. */
	back_skip(USEC_PER_SEC);
	fake_all_ready();
	back_run(loop);
	assert_false(a[0].is_done);
	back_skip(9 * USEC_PER_SEC);
	back_run(loop);
	assert_false(a[0].is_done);
	back_skip(USEC_PER_SEC);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_TIMEOUT);
	assert_string_equal(a[0].fault.text, "pool db: no answer within 10 s, its call_timeout");
	assert_int_equal(fake.abandons, 1);
	assert_int_equal(test_stat().timeouts, 1);
	/* Its reply is nobody's; the connection goes on. */
	fake_reply(0);
	assert_int_equal(test_stat().busy, 0);
	test_forget(a, 1);
}

/* Ready at the same moment as the asker, and before it. */
static void
test_make_ready(void *arg)
{
	/* It wakes before the queue's time is over, in the same turn. */
	assert_int_equal(fiber_sleep(USEC_PER_SEC - 10 * USEC_PER_MSEC), WEFT_OK);
	fake_all_ready();
}

static void
sent_after_its_time_was_over_is_not_given_up(void **state)
{
	struct fiber *f = fiber_new(loop_fibers(loop), 0);
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .queue_timeout = USEC_PER_SEC });
	a = test_asks(1, CALL_SQL);
	fiber_start(f, test_make_ready, NULL);
	ask_start(&a[0], loop);
	back_run(loop);
	timer_set(pool->timer, CLOCK_NEVER);	/* it is late */
	back_skip(USEC_PER_SEC + USEC_PER_MSEC);
	back_run(loop);
	assert_false(a[0].is_done);
	assert_int_equal(a[0].call.state, CALL_SENT);
	fake_reply(0);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_OK);
	test_forget(a, 1);
}

static void
asker_that_leaves_is_out_of_queue_and_pipe(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(4, CALL_SQL);
	ask_start(&a[0], loop);
	back_run(loop);
	back_skip(2 * POOL_SLOW);
	a[1].wait = 20 * USEC_PER_MSEC;
	for (unsigned i = 1; i < 4; i++)
		ask_start(&a[i], loop);
	back_run(loop);
	fiber_cancel(a[0].fiber);
	fiber_cancel(a[2].fiber);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_CANCELED);
	assert_int_equal(a[2].rc, WEFT_CANCELED);
	assert_string_equal(a[2].fault.text, "pool db: cancelled");
	assert_int_equal(fake.abandons, 1);
	back_skip(20 * USEC_PER_MSEC);
	back_run(loop);
	assert_int_equal(a[1].rc, WEFT_TIMEOUT);
	assert_int_equal(test_stat().queued, 1);
	fake_reply(0);
	assert_ptr_equal(fake.conn[0]->pipe[0], &a[3].call);
	fake_reply(0);
	back_run(loop);
	assert_int_equal(a[3].rc, WEFT_OK);
	test_forget(a, 4);
}

/* ---- losses ---- */

static void
lost_connection_tells_sent_from_not_sent(void **state)
{
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 2, .min = 2 });
	fake_all_ready();
	a = test_asks(8, CALL_REDIS);
	back_skip(2 * USEC_PER_SEC);
	for (unsigned i = 0; i < 8; i++)
		ask_start(&a[i], loop);
	back_run(loop);
	assert_int_equal(fake.conn[0]->count, 4);
	fake.conn[0]->written = 2;
	fake_flush(1);
	fake_lose(0, "reset by\nthe peer");
	back_run(loop);
	for (unsigned i = 0, unknown = 0; i < 8; i++) {
		unknown += a[i].is_done;
		if (a[i].is_done) {
			assert_int_equal(a[i].rc, WEFT_UNKNOWN);
			assert_string_equal(a[i].fault.text, "pool db: reset by the peer (fake://u@host:1/x)");
		}
		if (i == 7)
			assert_int_equal(unknown, 2);
	}
	/* The two that were not sent went to the other connection at once. */
	assert_int_equal(fake.conn[0]->count, 6);
	assert_int_equal(test_stat().losses, 1);
	assert_int_equal(test_stat().connecting, 1);
	/* That one dies too, with two unsent: these have had their second chance. */
	fake_lose(0, "again");
	back_run(loop);
	for (unsigned i = 0, not_sent = 0; i < 8; i++) {
		assert_true(a[i].is_done);
		not_sent += a[i].rc == WEFT_NOT_SENT;
		if (i == 7)
			assert_int_equal(not_sent, 2);
	}
	test_forget(a, 8);
}

static void
calls_taken_back_keep_their_order(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(8, CALL_SQL);
	test_submit_all(a, 5);
	back_skip(2 * POOL_SLOW);
	test_submit_all(a + 5, 3);
	fake_lose(0, "gone");
	assert_int_equal(test_stat().queued, 8);
	fake_all_ready();
	for (unsigned i = 0; i < 8; i++) {
		assert_ptr_equal(fake.conn[0]->pipe[0], &a[i].call);
		fake_reply(0);
	}
	test_forget(a, 8);
}

static void
unusable_connection_is_set_aside(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 3, .min = 2 });
	fake_all_ready();
	back_skip(2 * USEC_PER_SEC);
	a = test_asks(2, CALL_SQL);
	fake.conn[0]->is_broken = fake.conn[1]->is_broken = true;
	ask_submit(&a[0]);
	assert_int_equal(a[0].call.state, CALL_QUEUED);
	assert_int_equal(test_stat().open, 0);
	assert_int_equal(fake.opens, 3);
	fake_lose(0, "broken pipe");
	fake_lose(0, "broken pipe");
	fake_all_ready();
	assert_int_equal(a[0].call.state, CALL_SENT);
	test_forget(a, 2);
}

static void
silent_connection_is_given_up(void **state)
{
	struct ask *a;

	test_open(&fake_redis, (struct pool_conf){ .max = 1, .min = 1, .call_timeout = 3 * USEC_PER_SEC });
	fake_all_ready();
	a = test_asks(2, CALL_REDIS);
	ask_start(&a[0], loop);
	back_run(loop);
	fake_flush(0);
	back_skip(3 * USEC_PER_SEC);
	back_run(loop);
	assert_int_equal(a[0].rc, WEFT_TIMEOUT);
	assert_int_equal(fake.closes, 0);
	ask_submit(&a[1]);
	fake_flush(0);
	test_pass(POOL_GRACE);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(a[1].call.rc, WEFT_UNKNOWN);
	assert_string_equal(a[1].fault.text, "pool db: no reply for 4 s (fake://u@host:1/x)");
	test_forget(a, 2);
}

/* ---- the rest ---- */

static void
idle_connections_above_min_are_closed(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 4, .min = 1 });
	a = test_asks(4, CALL_SQL);
	test_submit_all(a, 4);
	fake_all_ready();
	fake_all_ready();
	assert_int_equal(fake.count, 4);
	for (unsigned i = 0; i < 4; i++)
		while (fake.conn[i]->count > 0)
			fake_reply(i);
	test_pass(599 * USEC_PER_SEC);
	assert_int_equal(fake.count, 4);
	test_pass(USEC_PER_SEC);
	assert_int_equal(fake.count, 1);
	assert_int_equal(test_stat().losses, 0);
	assert_int_equal(test_stat().idled, 3);
	test_forget(a, 4);
}

static void
call_at_fault_fails_alone(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	a = test_asks(3, CALL_SQL);
	a[0].call.kind = CALL_REDIS;
	ask_submit(&a[0]);
	assert_int_equal(a[0].call.rc, WEFT_INVALID);
	fake.refuse = WEFT_TOO_LARGE;
	ask_submit(&a[1]);
	assert_int_equal(a[1].call.state, CALL_QUEUED);
	fake_all_ready();
	assert_int_equal(a[1].call.rc, WEFT_TOO_LARGE);
	assert_string_equal(a[1].fault.text, "pool db: the statement will not do");
	fake.refuse = WEFT_OK;
	ask_submit(&a[2]);
	assert_int_equal(a[2].call.state, CALL_SENT);
	test_forget(a, 3);
}

static void
closing_cancels_everything(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1 });
	fake_all_ready();
	a = test_asks(6, CALL_SQL);
	test_submit_all(a, 2);
	fake.conn[0]->written = 1;
	back_skip(2 * POOL_SLOW);
	for (unsigned i = 2; i < 6; i++)
		ask_start(&a[i], loop);
	back_run(loop);
	pool_close(&pool);
	assert_null(pool);
	back_run(loop);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(a[i].call.state, CALL_DONE);
		assert_int_equal(a[i].call.rc, WEFT_CANCELED);
	}
	assert_true(a[5].is_done);
	test_forget(a, 6);
}

/* The timer by the loop itself, in real time. */
static void
timer_fires_by_itself(void **state)
{
	struct ask *a;

	test_open(&fake_sql, (struct pool_conf){ .max = 1, .min = 1, .queue_timeout = 20 * USEC_PER_MSEC,
	    .connect_timeout = 40 * USEC_PER_MSEC });
	a = test_asks(1, CALL_SQL);
	ask_submit(&a[0]);
	ask_start(&a[0], loop);
	assert_true(back_run_until(loop, ask_is_done, &a[0], USEC_PER_SEC));
	assert_int_equal(a[0].rc, WEFT_DOWN);
	test_forget(a, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(settings_that_cannot_work_are_refused),
		T(settings_have_defaults_that_serve),
		T(min_is_opened_one_first_then_the_rest),
		T(burst_gives_each_idle_connection_one_call),
		T(sql_opens_a_connection_a_call_up_to_max_then_shares_evenly),
		T(sql_does_not_queue_behind_what_is_slow),
		T(quick_calls_of_a_turn_go_together),
		T(what_takes_long_goes_alone),
		T(what_holds_up_others_counts),
		T(what_was_given_up_counts_as_slow),
		T(quick_calls_open_no_connection),
		T(redis_commands_of_a_turn_go_together),
		T(redis_spreads_before_it_opens_more),
		T(choice_is_the_least_loaded_always),
		T(queue_is_first_come_first_served_and_bounded),
		T(queue_timeout_is_busy_and_down_without_any_connection),
		T(sent_call_has_its_own_time),
		T(sent_after_its_time_was_over_is_not_given_up),
		T(asker_that_leaves_is_out_of_queue_and_pipe),
		T(lost_connection_tells_sent_from_not_sent),
		T(calls_taken_back_keep_their_order),
		T(unusable_connection_is_set_aside),
		T(silent_connection_is_given_up),
		T(idle_connections_above_min_are_closed),
		T(call_at_fault_fails_alone),
		T(closing_cancels_everything),
		T(timer_fires_by_itself),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
