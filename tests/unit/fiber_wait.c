/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fiber/fiber.h"

static usec now;
static struct fiber_sched *s;
static char seen[256];

static usec
fake_clock(void)
{
	return now;
}

static int
setup(void **state)
{
	const struct fiber_conf conf = { .clock = fake_clock, .max = 50 };

	(void)state;
	now = 1000;
	seen[0] = '\0';
	s = fiber_sched_new(&conf);
	return s == NULL;
}

/* Each test ends with no fiber alive: fiber_sched_free insists. */
static int
teardown(void **state)
{
	(void)state;
	fiber_sched_free(&s);
	return s != NULL;
}

static void
note(const char *what)
{
	strncat(seen, what, sizeof seen - strlen(seen) - 1);
}

static struct fiber *
spawn(void (*fn)(void *arg), void *arg)
{
	struct fiber *f = fiber_new(s, 0);

	assert_non_null(f);
	fiber_start(f, fn, arg);
	return f;
}

/* What a fiber does, and what came of it. */
struct waiter {
	usec deadline;		/* given with the wait */
	int waits;		/* how many */
	int shielded;
	enum weft_rc rc[4];
	int done;
};

static void
wait_fn(void *arg)
{
	struct waiter *w = arg;

	if (w->shielded)
		fiber_shield();
	for (int i = 0; i < w->waits; i++) {
		w->rc[i] = fiber_wait(WAIT_SQL, w->deadline);
		w->done++;
	}
	if (w->shielded)
		fiber_unshield();
}

static struct fiber *
spawn_waiter(struct waiter *w)
{
	struct fiber *f = spawn(wait_fn, w);

	fiber_sched_run(s);
	return f;
}

static void
a_wake_ends_a_wait(void **state)
{
	struct waiter w = { .deadline = CLOCK_NEVER, .waits = 1 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	assert_int_equal(w.done, 0);
	assert_int_equal(fiber_why(f), WAIT_SQL);
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
	fiber_wake(f);
	fiber_wake(f);
	assert_int_equal(fiber_why(f), WAIT_NONE);
	assert_int_equal(fiber_sched_next(s), 0);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.rc[0], WEFT_OK);
}

static void
wakes_are_not_remembered(void **state)
{
	struct waiter w = { .deadline = CLOCK_NEVER, .waits = 1 };
	struct fiber *f = spawn(wait_fn, &w);

	(void)state;
	fiber_wake(f);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(fiber_why(f), WAIT_SQL);
	assert_int_equal(fiber_sched_run(s), 0);
	fiber_wake(f);
	fiber_sched_run(s);
}

static void
wait_and_say(void *arg)
{
	assert_int_equal(fiber_wait(WAIT_POOL, CLOCK_NEVER), WEFT_OK);
	note(arg);
}

static void
the_woken_run_in_the_order_of_their_wakes(void **state)
{
	struct fiber *a = spawn(wait_and_say, "a"), *b = spawn(wait_and_say, "b"), *c = spawn(wait_and_say, "c");

	(void)state;
	assert_int_equal(fiber_sched_run(s), 3);
	fiber_wake(c);
	fiber_wake(a);
	fiber_wake(b);
	assert_int_equal(fiber_sched_run(s), 3);
	assert_string_equal(seen, "cab");
}

static void
a_deadline_ends_a_wait(void **state)
{
	struct waiter w = { .deadline = 2000, .waits = 1 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	assert_int_equal(fiber_sched_next(s), 2000);
	now = 1999;
	assert_int_equal(fiber_sched_run(s), 0);
	now = 2000;
	assert_int_equal(fiber_why(f), WAIT_SQL);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.rc[0], WEFT_TIMEOUT);
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
}

static void
a_passed_deadline_ends_a_wait_at_once(void **state)
{
	struct waiter w = { .deadline = 1000, .waits = 3 };

	(void)state;
	spawn(wait_fn, &w);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.done, 3);
	assert_int_equal(w.rc[2], WEFT_TIMEOUT);
}

static void
cancel_ends_this_wait_and_all_later_ones(void **state)
{
	struct waiter w = { .deadline = 2000, .waits = 3 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	assert_false(fiber_is_canceled(f));
	fiber_cancel(f);
	fiber_cancel(f);
	assert_true(fiber_is_canceled(f));
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.done, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.rc[i], WEFT_CANCELED);
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
}

/* What came first in the turn decides; what came second is seen at the next wait. */
static void
wake_then_cancel_is_a_wake(void **state)
{
	struct waiter w = { .deadline = CLOCK_NEVER, .waits = 2 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	fiber_wake(f);
	fiber_cancel(f);
	fiber_sched_run(s);
	assert_int_equal(w.rc[0], WEFT_OK);
	assert_int_equal(w.rc[1], WEFT_CANCELED);
}

static void
cancel_then_wake_is_a_cancel(void **state)
{
	struct waiter w = { .deadline = CLOCK_NEVER, .waits = 1 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	fiber_cancel(f);
	fiber_wake(f);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.rc[0], WEFT_CANCELED);
}

static void
wake_before_the_deadline_is_looked_at_is_a_wake(void **state)
{
	struct waiter w = { .deadline = 2000, .waits = 2 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	now = 3000;
	fiber_wake(f);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.rc[0], WEFT_OK);
	assert_int_equal(w.rc[1], WEFT_TIMEOUT);
}

static void
wake_other(void *arg)
{
	fiber_wake(*(struct fiber **)arg);
}

static void
cancel_other(void *arg)
{
	fiber_cancel(*(struct fiber **)arg);
}

/* The deadline is found passed at the turn's beginning; the wake and the cancel come later in it. */
static void
a_deadline_that_came_first_is_a_timeout(void **state)
{
	struct waiter w = { .deadline = 2000, .waits = 1 }, v = { .deadline = 2000, .waits = 1 };
	struct fiber *f = spawn_waiter(&w), *g = spawn_waiter(&v);

	(void)state;
	spawn(wake_other, &f);
	spawn(cancel_other, &g);
	now = 2000;
	assert_int_equal(fiber_sched_run(s), 4);
	assert_int_equal(w.rc[0], WEFT_TIMEOUT);
	assert_int_equal(v.rc[0], WEFT_TIMEOUT);
}

static void
waits_inherit_the_fibers_deadline(void **state)
{
	struct waiter w = { .deadline = 5000, .waits = 2 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	assert_int_equal(fiber_sched_next(s), 5000);
	fiber_set_deadline(f, 3000);
	assert_int_equal(fiber_deadline(f), 3000);
	assert_int_equal(fiber_sched_next(s), 3000);
	fiber_set_deadline(f, CLOCK_NEVER);
	assert_int_equal(fiber_sched_next(s), 5000);
	fiber_set_deadline(f, 4000);
	now = 4000;
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.done, 2);
	assert_int_equal(w.rc[0], WEFT_TIMEOUT);
	assert_int_equal(w.rc[1], WEFT_TIMEOUT);
}

static void
a_deadline_set_before_the_start_applies(void **state)
{
	struct waiter w = { .deadline = CLOCK_NEVER, .waits = 1 };
	struct fiber *f = spawn(wait_fn, &w);

	(void)state;
	fiber_set_deadline(f, 1500);
	fiber_sched_run(s);
	assert_int_equal(fiber_sched_next(s), 1500);
	fiber_set_deadline(f, CLOCK_NEVER);
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
	fiber_wake(f);
	fiber_sched_run(s);
	assert_int_equal(w.rc[0], WEFT_OK);
}

static void
a_shield_holds_off_cancel_and_the_fibers_deadline(void **state)
{
	struct waiter w = { .deadline = 5000, .waits = 2, .shielded = 1 };
	struct fiber *f = spawn_waiter(&w);

	(void)state;
	fiber_set_deadline(f, 2000);
	assert_int_equal(fiber_sched_next(s), 5000);
	fiber_cancel(f);
	assert_int_equal(fiber_sched_run(s), 0);
	assert_true(fiber_is_canceled(f));
	now = 3000;
	assert_int_equal(fiber_sched_run(s), 0);
	fiber_wake(f);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.rc[0], WEFT_OK);
	now = 5000;
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(w.rc[1], WEFT_TIMEOUT);
}

static void
nested_shields(void *arg)
{
	enum weft_rc *rc = arg;

	fiber_shield();
	fiber_shield();
	fiber_unshield();
	rc[0] = fiber_wait(WAIT_REDIS, CLOCK_NEVER);
	fiber_unshield();
	rc[1] = fiber_wait(WAIT_REDIS, CLOCK_NEVER);
}

static void
shields_nest_and_cancel_comes_after(void **state)
{
	enum weft_rc rc[2] = { WEFT_BUSY, WEFT_BUSY };
	struct fiber *f = spawn(nested_shields, rc);

	(void)state;
	fiber_sched_run(s);
	fiber_cancel(f);
	assert_int_equal(fiber_sched_run(s), 0);
	fiber_wake(f);
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(rc[0], WEFT_OK);
	assert_int_equal(rc[1], WEFT_CANCELED);
}

static void
checks(void *arg)
{
	enum weft_rc *rc = arg;

	rc[0] = fiber_check();
	rc[1] = fiber_wait(WAIT_REDIS, CLOCK_NEVER);
	rc[2] = fiber_check();
	fiber_shield();
	rc[3] = fiber_check();
	fiber_unshield();
}

static void
what_a_wait_would_return_is_known_before(void **state)
{
	enum weft_rc rc[4];
	struct fiber *f;

	(void)state;
	for (int late = 0; late < 2; late++) {
		f = spawn(checks, rc);
		fiber_set_deadline(f, now + 1000);
		fiber_sched_run(s);
		assert_int_equal(rc[0], WEFT_OK);
		if (late)
			now += 1000;
		else
			fiber_cancel(f);
		assert_int_equal(fiber_sched_run(s), 1);
		assert_int_equal(rc[1], late ? WEFT_TIMEOUT : WEFT_CANCELED);
		assert_int_equal(rc[2], rc[1]);
		assert_int_equal(rc[3], WEFT_OK);
	}
}

static struct fiber_defer late;

static void
defer_note(void *arg)
{
	note(arg);
}

static void
defer_wait(void *arg)
{
	(void)arg;
	/* Canceled long ago, past the deadline: and still it can say good-bye to a back end. */
	note(fiber_wait(WAIT_SQL, 9000) == WEFT_OK ? "w" : "!");
	late = (struct fiber_defer){ .fn = defer_note, .arg = "l" };
	fiber_defer(&late);
}

static void
defers_fn(void *arg)
{
	static const struct fiber_defer what[] = {
		{ .fn = defer_note, .arg = "a" },
		{ .fn = defer_wait },
		{ .fn = defer_note, .arg = "c" },
		{ .fn = defer_note, .arg = "d" },
	};
	struct fiber_defer *d = memcpy(fiber_room(fiber_self()), what, sizeof what);

	(void)arg;
	for (int i = 0; i < 4; i++)
		fiber_defer(&d[i]);
	assert_true(fiber_undefer(&d[2]));
	assert_false(fiber_undefer(&d[2]));
	note(fiber_wait(WAIT_SQL, CLOCK_NEVER) == WEFT_CANCELED ? "x" : "!");
	note(".");
}

static void
defers_run_last_first_and_shielded(void **state)
{
	struct fiber *f = fiber_new(s, 4 * sizeof(struct fiber_defer));

	(void)state;
	fiber_start(f, defers_fn, NULL);
	fiber_set_deadline(f, 2000);
	fiber_sched_run(s);
	fiber_cancel(f);
	fiber_sched_run(s);
	assert_string_equal(seen, "x.d");
	now = 4000;
	assert_int_equal(fiber_sched_run(s), 0);
	fiber_wake(f);
	fiber_sched_run(s);
	assert_string_equal(seen, "x.dwla");
	assert_int_equal(fiber_sched_alive(s), 0);
}

static void
sleep_fn(void *arg)
{
	*(enum weft_rc *)arg = fiber_sleep(500);
}

static void
sleep_ends_when_its_time_has_passed(void **state)
{
	enum weft_rc rc = WEFT_BUSY;
	struct fiber *f = spawn(sleep_fn, &rc);

	(void)state;
	fiber_sched_run(s);
	assert_int_equal(fiber_why(f), WAIT_SLEEP);
	assert_int_equal(fiber_sched_next(s), 1500);
	/* A wake is not the time. */
	now = 1400;
	fiber_wake(f);
	fiber_sched_run(s);
	assert_int_equal(rc, WEFT_BUSY);
	now = 1500;
	fiber_sched_run(s);
	assert_int_equal(rc, WEFT_OK);
}

static void
sleep_ends_early_at_the_deadline_or_by_cancel(void **state)
{
	enum weft_rc rc = WEFT_BUSY;
	struct fiber *f = spawn(sleep_fn, &rc);

	(void)state;
	fiber_set_deadline(f, 1300);
	fiber_sched_run(s);
	/* Both have passed when it is looked at; the deadline came first. */
	now = 1600;
	fiber_sched_run(s);
	assert_int_equal(rc, WEFT_TIMEOUT);
	f = spawn(sleep_fn, &rc);
	fiber_sched_run(s);
	fiber_cancel(f);
	fiber_sched_run(s);
	assert_int_equal(rc, WEFT_CANCELED);
	f = spawn(sleep_fn, &rc);
	fiber_set_deadline(f, now + 501);
	fiber_sched_run(s);
	now += 9000;
	fiber_sched_run(s);
	assert_int_equal(rc, WEFT_OK);
}

static void
trace_note(void *arg, enum wait_why why, usec from, usec until)
{
	char line[64];

	if (until == CLOCK_NEVER)
		snprintf(line, sizeof line, "%s%s %d-…;", (const char *)arg, wait_why_name(why), (int)from);
	else
		snprintf(line, sizeof line, "%s%s %d-%d;", (const char *)arg, wait_why_name(why), (int)from, (int)until);
	note(line);
}

static void
traced(void *arg)
{
	(void)arg;
	(void)!fiber_wait(WAIT_REDIS, CLOCK_NEVER);
	(void)!fiber_wait(WAIT_SQL, 1700);
	fiber_yield();
	(void)!fiber_wait(WAIT_SQL, 1000);
	fiber_set_trace(fiber_self(), NULL, NULL);
	(void)!fiber_wait(WAIT_HTTP, CLOCK_NEVER);
}

static void
a_trace_gets_each_wait(void **state)
{
	struct fiber *f = spawn(traced, NULL);

	(void)state;
	fiber_set_trace(f, trace_note, "#");
	fiber_sched_run(s);
	now = 1200;
	fiber_wake(f);
	fiber_sched_run(s);
	now = 1750;
	fiber_sched_run(s);
	fiber_wake(f);
	fiber_sched_run(s);
	assert_string_equal(seen, "#redis 1000-…;#redis 1000-1200;#sql 1200-…;#sql 1200-1750;");
	assert_int_equal(fiber_sched_alive(s), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wake_ends_a_wait),
		TEST(wakes_are_not_remembered),
		TEST(the_woken_run_in_the_order_of_their_wakes),
		TEST(a_deadline_ends_a_wait),
		TEST(a_passed_deadline_ends_a_wait_at_once),
		TEST(cancel_ends_this_wait_and_all_later_ones),
		TEST(wake_then_cancel_is_a_wake),
		TEST(cancel_then_wake_is_a_cancel),
		TEST(wake_before_the_deadline_is_looked_at_is_a_wake),
		TEST(a_deadline_that_came_first_is_a_timeout),
		TEST(waits_inherit_the_fibers_deadline),
		TEST(a_deadline_set_before_the_start_applies),
		TEST(a_shield_holds_off_cancel_and_the_fibers_deadline),
		TEST(shields_nest_and_cancel_comes_after),
		TEST(what_a_wait_would_return_is_known_before),
		TEST(defers_run_last_first_and_shielded),
		TEST(sleep_ends_when_its_time_has_passed),
		TEST(sleep_ends_early_at_the_deadline_or_by_cancel),
		TEST(a_trace_gets_each_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
