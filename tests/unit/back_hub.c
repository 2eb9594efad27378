/* SPDX-License-Identifier: ISC */

/* The hub, over a driver which the test plays: what is asked, in which order, and what becomes of it when the connection goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "back/channel.h"
#include "back/hub.h"
#include "back/pool.h"
#include "base/log.h"
#include "loop/loop.h"
#include "tests/unit/back_fake.h"
#include "tests/unit/back_support.h"

static struct loop *loop;
static struct pool *pool;

/* One who subscribes, and then takes what comes until it ends. */
struct ear {
	const char *channel;
	struct fiber *fiber;
	struct subscription s;
	struct fault fault;
	enum weft_rc begun, rc;		/* of hub_subscribe; of what came last */
	bool has_begun, is_done;
	char heard[100];
};

static void
ear_run(void *arg)
{
	struct ear *e = arg;
	struct span text;

	e->fiber = fiber_self();
	e->begun = hub_subscribe(pool, &e->s, span_str(e->channel), &e->fault);
	e->has_begun = true;
	while (e->begun == WEFT_OK) {
		e->rc = subscription_next(&e->s, &text, CLOCK_NEVER);
		if (e->rc == WEFT_GAP)
			strcat(e->heard, "(gap)");
		else if (e->rc == WEFT_OK)
			strncat(e->heard, text.at, sizeof e->heard - strlen(e->heard) - 1);
		else
			break;
	}
	hub_unsubscribe(&e->s);
	e->is_done = true;
}

static void
ear_start(struct ear *e, const char *channel)
{
	struct fiber *f = fiber_new(loop_fibers(loop), 0);

	assert_non_null(f);
	*e = (struct ear){ .channel = channel };
	fiber_start(f, ear_run, e);
	back_run(loop);
}

/* It leaves. */
static void
ear_end(struct ear *e)
{
	if (!e->is_done)
		fiber_cancel(e->fiber);
	back_run(loop);
	assert_true(e->is_done);
}

static int
set_up(void **state)
{
	const struct pool_conf conf = { .name = "db", .url = "fake://db.internal/x", .max = 2, .queue_timeout = USEC_PER_SEC,
		.call_timeout = 10 * USEC_PER_SEC, .connect_timeout = 2 * USEC_PER_SEC, .check_after = 30 * USEC_PER_SEC };
	char error[200] = "";

	(void)state;
	fake_reset();
	loop = back_loop();
	back_stop_clock();
	pool = pool_open_driver(loop, &conf, &fake_redis, error, sizeof error);
	assert_string_equal(error, "");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_close(&pool);
	assert_int_equal(fake.count, 0);
	loop_free(&loop);
	return 0;
}

#define HUB_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

static struct pool_stat
stat_now(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s;
}

/* Connect what is on its way, and let the hub ask. */
static void
connect_all(void)
{
	back_run(loop);
	fake_all_ready();
	back_run(loop);
}

/* Time passes. */
static void
pass(usec length)
{
	back_skip(length);
	back_run(loop);
}

/* ---- the tests ---- */

static void
a_subscription_begins_when_it_is_confirmed(void **state)
{
	struct ear a, b;

	(void)state;
	ear_start(&a, "c");
	assert_int_equal(fiber_why(a.fiber), WAIT_REDIS);
	connect_all();
	ear_start(&b, "c");
	assert_int_equal(fake.conn[0]->heard, 1);
	fake_say(0, "c", "early");
	back_run(loop);
	assert_false(a.has_begun);
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	assert_true(a.has_begun && b.has_begun);
	assert_int_equal(fiber_why(a.fiber), WAIT_MESSAGE);
	fake_say(0, "c", "1");
	fake_say(0, "d", "x");
	fake_say(0, "c", "2");
	back_run(loop);
	assert_string_equal(a.heard, "12");
	assert_string_equal(b.heard, "12");
	assert_int_equal(fake.conn[0]->heard, 0);
	ear_end(&a);
	assert_int_equal(fake.conn[0]->heard, 0);
	ear_end(&b);
	fake_answer(0, HEAR_END, "c");
	assert_int_equal(stat_now().channels, 0);
}

static void
who_comes_while_it_ends_has_it_asked_for_again(void **state)
{
	struct ear a, b;

	(void)state;
	ear_start(&a, "c");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	ear_end(&a);
	ear_start(&b, "c");
	assert_int_equal(fake.conn[0]->heard, 1);
	fake_say(0, "c", "old");
	fake_answer(0, HEAR_END, "c");
	back_run(loop);
	assert_false(b.has_begun);
	fake_answer(0, HEAR_BEGIN, "c");
	fake_say(0, "c", "new");
	back_run(loop);
	assert_string_equal(b.heard, "new");
	ear_end(&b);
	/* Gone, before anything of that was asked. */
	ear_start(&a, "d");
	assert_int_equal(fake.conn[0]->heard, 2);
	ear_end(&a);
	fake_answer(0, HEAR_END, "c");
	fake_answer(0, HEAR_BEGIN, "d");
	back_run(loop);
	fake_answer(0, HEAR_END, "d");
	assert_int_equal(stat_now().channels, 0);
}

static void
only_so_much_is_asked_at_once(void **state)
{
	static struct ear e[150];
	static char name[150][16];

	(void)state;
	for (int i = 0; i < 150; i++) {
		snprintf(name[i], sizeof name[i], "c%d", i);
		ear_start(&e[i], name[i]);
	}
	connect_all();
	assert_int_equal(fake.count, 1);
	assert_int_equal(fake.conn[0]->heard, 64);
	for (int i = 0; i < 150; i++) {
		fake_answer(0, HEAR_BEGIN, name[i]);
		back_run(loop);
		assert_true(e[i].has_begun);
	}
	for (int i = 0; i < 150; i++)
		fiber_cancel(e[i].fiber);
	back_run(loop);
	for (int i = 0; i < 150; i++) {
		fake_answer(0, HEAR_END, fake.conn[0]->hear[0].channel);
		back_run(loop);
	}
	assert_int_equal(stat_now().channels, 0);
}

static void
what_was_lost_before_it_was_confirmed_is_asked_again_once(void **state)
{
	struct ear a, old;

	(void)state;
	ear_start(&old, "old");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "old");
	back_run(loop);
	ear_start(&a, "c");
	assert_int_equal(fake.conn[0]->heard, 1);
	fake_lose(0, "gone");
	pass(5 * USEC_PER_SEC / 10);
	connect_all();
	assert_false(a.has_begun);
	/* Its gap is not told before messages come again. */
	assert_string_equal(old.heard, "");
	while (fake.conn[0]->heard > 0)
		fake_answer(0, HEAR_BEGIN, fake.conn[0]->hear[0].channel);
	fake_say(0, "old", "m");
	fake_say(0, "c", "n");
	back_run(loop);
	assert_string_equal(old.heard, "(gap)m");
	assert_string_equal(a.heard, "n");
	ear_end(&a);
	ear_end(&old);
}

static void
lost_twice_it_fails(void **state)
{
	struct ear a;

	(void)state;
	ear_start(&a, "c");
	for (int i = 0; i < 2; i++) {
		connect_all();
		assert_int_equal(fake.conn[0]->heard, 1);
		fake_lose(0, "gone");
		pass(USEC_PER_SEC / 2);
	}
	assert_true(a.is_done);
	assert_int_equal(a.begun, WEFT_NOT_SENT);
	assert_non_null(strstr(a.fault.text, "gone"));
	assert_int_equal(stat_now().channels, 0);
}

static void
what_is_refused_fails_alone(void **state)
{
	struct ear a, b, c;

	(void)state;
	ear_start(&a, "no");
	ear_start(&b, "yes");
	ear_start(&c, "!");
	assert_int_equal(c.begun, WEFT_INVALID);
	assert_string_equal(c.fault.text, "pool db: no such name");
	connect_all();
	fake_deny(0, "no");
	fake_answer(0, HEAR_BEGIN, "yes");
	back_run(loop);
	assert_true(a.is_done && b.has_begun);
	assert_int_equal(a.begun, WEFT_REFUSED);
	assert_string_equal(a.fault.code, "D1");
	assert_string_equal(a.fault.text, "pool db: channel no: not for you");
	/* What it had is taken away. */
	fake_lose(0, "gone");
	pass(USEC_PER_SEC / 2);
	connect_all();
	fake_deny(0, "yes");
	back_run(loop);
	assert_true(b.is_done);
	assert_int_equal(b.rc, WEFT_REFUSED);
}

static void
who_waits_for_no_connection_is_told(void **state)
{
	struct ear a, b;

	(void)state;
	ear_start(&a, "c");
	pass(USEC_PER_SEC);
	assert_true(a.is_done);
	assert_int_equal(a.begun, WEFT_DOWN);
	ear_start(&b, "c");
	fiber_cancel(b.fiber);
	back_run(loop);
	assert_int_equal(b.begun, WEFT_CANCELED);
	assert_int_equal(stat_now().queued, 0);
	assert_int_equal(stat_now().subscriptions, 0);
	/* An answer that does not come. */
	connect_all();
	ear_start(&a, "c");
	assert_int_equal(fake.conn[0]->heard, 1);
	for (int i = 0; i < 12 && !a.is_done; i++) {
		fake_say(0, "x", "it is alive, though");
		pass(USEC_PER_SEC);
	}
	assert_int_equal(a.begun, WEFT_TIMEOUT);
	assert_non_null(strstr(a.fault.text, "confirmed"));
}

static void
silence_is_asked_about_and_then_it_is_lost(void **state)
{
	struct ear a;

	(void)state;
	ear_start(&a, "c");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	pass(20 * USEC_PER_SEC);
	fake_say(0, "c", "m");
	pass(20 * USEC_PER_SEC);
	assert_int_equal(fake.conn[0]->heard, 0);
	pass(10 * USEC_PER_SEC);
	fake_answer(0, HEAR_PING, "");
	pass(30 * USEC_PER_SEC);
	assert_int_equal(fake.conn[0]->heard, 1);
	pass(USEC_PER_SEC);
	assert_int_equal(stat_now().losses, 0);
	pass(USEC_PER_SEC);
	assert_int_equal(stat_now().losses, 1);
	/* The pool has none for a while. */
	pass(USEC_PER_SEC);
	connect_all();
	pass(HUB_AGAIN);
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	assert_string_equal(a.heard, "m(gap)");
	ear_end(&a);
}

static void
it_is_given_up_some_time_after_the_last(void **state)
{
	struct ear a, b;

	(void)state;
	ear_start(&a, "c");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	ear_end(&a);
	fake_answer(0, HEAR_END, "c");
	back_run(loop);
	pass(HUB_LINGER - USEC_PER_SEC);
	ear_start(&b, "d");
	pass(USEC_PER_SEC);
	assert_int_equal(stat_now().lent, 1);
	fake_answer(0, HEAR_BEGIN, "d");
	back_run(loop);
	ear_end(&b);
	fake_answer(0, HEAR_END, "d");
	back_run(loop);
	assert_int_equal(stat_now().lent, 1);
	pass(HUB_LINGER);
	assert_int_equal(stat_now().lent, 0);
	/* In place of the one that was closed. */
	assert_int_equal(fake.closes, 1);
}

static void
after_a_failover_it_is_another_connection(void **state)
{
	struct ear a;
	struct ask ask;

	(void)state;
	ear_start(&a, "c");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "c");
	ask_init(&ask, pool, CALL_REDIS);
	ask_submit(&ask);
	connect_all();
	assert_int_equal(fake.count, 2);
	fake_refuse(1, "RO");
	ask_fini(&ask);
	pass(USEC_PER_SEC);
	connect_all();
	assert_int_equal(fake.closes, 2);
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	assert_string_equal(a.heard, "(gap)");
	ear_end(&a);
}

static void
its_connection_does_not_hide_that_the_back_end_is_down(void **state)
{
	struct ear a;
	struct ask ask;

	(void)state;
	ear_start(&a, "c");
	connect_all();
	fake_answer(0, HEAR_BEGIN, "c");
	back_run(loop);
	ask_init(&ask, pool, CALL_REDIS);
	ask_submit(&ask);
	pass(USEC_PER_SEC);
	assert_int_equal(ask.call.rc, WEFT_DOWN);
	ask_fini(&ask);
	ear_end(&a);
}

static void
the_pool_may_be_closed_at_any_time(void **state)
{
	struct ear a;

	(void)state;
	ear_start(&a, "c");
	pool_end_subscriptions(pool);
	back_run(loop);
	assert_int_equal(a.begun, WEFT_CANCELED);
	ear_start(&a, "c");
	assert_int_equal(a.begun, WEFT_CANCELED);
	assert_int_equal(stat_now().queued, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HUB_TEST(a_subscription_begins_when_it_is_confirmed),
		HUB_TEST(who_comes_while_it_ends_has_it_asked_for_again),
		HUB_TEST(only_so_much_is_asked_at_once),
		HUB_TEST(what_was_lost_before_it_was_confirmed_is_asked_again_once),
		HUB_TEST(lost_twice_it_fails),
		HUB_TEST(what_is_refused_fails_alone),
		HUB_TEST(who_waits_for_no_connection_is_told),
		HUB_TEST(silence_is_asked_about_and_then_it_is_lost),
		HUB_TEST(it_is_given_up_some_time_after_the_last),
		HUB_TEST(after_a_failover_it_is_another_connection),
		HUB_TEST(its_connection_does_not_hide_that_the_back_end_is_down),
		HUB_TEST(the_pool_may_be_closed_at_any_time),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
