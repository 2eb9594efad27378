/* SPDX-License-Identifier: ISC */
/* Sections in which cancellation and deadline are held back, and owners who do not listen to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fiber/fiber.h"

static usec now;
static struct fiber_sched *s;

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
	s = fiber_sched_new(&conf);
	return s == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	fiber_sched_free(&s);
	return s != NULL;
}

/* A section of one wait, and a wait after it. */
struct section {
	usec hold[2];		/* until then; the second one is within the first.  0: none */
	usec deadline;		/* of its wait */
	enum weft_rc checked, rc[2];
	int done;
	struct fiber_late late;
	int is_late;
};

static void
section_fn(void *arg)
{
	struct section *t = arg;
	int holds = 0;

	for (int i = 0; i < 2; i++)
		if (t->hold[i] != 0) {
			fiber_hold(t->hold[i]);
			holds++;
		}
	t->rc[0] = fiber_wait(WAIT_SQL, t->deadline);
	t->checked = fiber_check();
	t->done = 1;
	while (holds-- > 0)
		fiber_release();
	fiber_release();	/* one too many does no harm */
	t->rc[1] = fiber_wait(WAIT_REDIS, CLOCK_NEVER);
	t->is_late = fiber_is_late(fiber_self(), &t->late);
	t->done = 2;
}

static struct fiber *
begin(struct section *t)
{
	struct fiber *f = fiber_new(s, 0);

	assert_non_null(f);
	t->done = 0;
	fiber_start(f, section_fn, t);
	fiber_sched_run(s);
	return f;
}

static void
what_was_held_back_comes_after_the_section(void **state)
{
	struct section t = { .hold = { 9000 }, .deadline = CLOCK_NEVER };

	(void)state;
	for (int canceled = 0; canceled < 2; canceled++) {
		struct fiber *f = begin(&t);

		now = 1000;
		if (canceled)
			fiber_cancel(f);
		else
			fiber_set_deadline(f, 2000);
		now = 5000;
		assert_int_equal(fiber_sched_run(s), 0);
		assert_int_equal(fiber_sched_next(s), 9000);
		fiber_wake(f);
		assert_int_equal(fiber_sched_run(s), 1);
		assert_int_equal(t.done, 2);
		assert_int_equal(t.rc[0], WEFT_OK);
		assert_int_equal(t.checked, WEFT_OK);
		assert_int_equal(t.rc[1], canceled ? WEFT_CANCELED : WEFT_TIMEOUT);
		assert_true(t.is_late);
		assert_int_equal(t.late.why, WAIT_REDIS);
		assert_int_equal(t.late.length, 0);
		assert_false(t.late.is_obstinate);
	}
}

/* Nobody hangs for longer than it was said. */
static void
a_section_has_a_bound(void **state)
{
	struct section t = { .hold = { 9000 }, .deadline = 90000 };

	(void)state;
	for (int canceled = 0; canceled < 2; canceled++) {
		struct fiber *f;

		now = 1000;
		f = begin(&t);
		if (canceled)
			fiber_cancel(f);
		else
			fiber_set_deadline(f, 2000);
		now = 8999;
		assert_int_equal(fiber_sched_run(s), 0);
		now = 9000;
		assert_int_equal(fiber_sched_run(s), 1);
		assert_int_equal(t.done, 2);
		assert_int_equal(t.rc[0], canceled ? WEFT_CANCELED : WEFT_TIMEOUT);
		assert_int_equal(t.checked, t.rc[0]);
		assert_int_equal(t.rc[1], t.rc[0]);
		assert_int_equal(t.late.why, WAIT_SQL);
		assert_int_equal(t.late.length, 8000);
		assert_int_equal(t.late.rc, t.rc[0]);
	}
}

static void
its_waits_have_their_own_deadlines(void **state)
{
	struct section t = { .hold = { 9000 }, .deadline = 4000 };
	struct fiber *f = begin(&t);

	(void)state;
	fiber_cancel(f);
	assert_int_equal(fiber_sched_next(s), 4000);
	now = 4000;
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(t.rc[0], WEFT_TIMEOUT);
	assert_int_equal(t.checked, WEFT_OK);
	assert_int_equal(t.rc[1], WEFT_CANCELED);
	assert_int_equal(t.late.why, WAIT_REDIS);
}

static void
a_deadline_behind_the_bound_stays(void **state)
{
	struct section t = { .hold = { 2000 }, .deadline = CLOCK_NEVER };
	struct fiber *f = begin(&t);

	(void)state;
	fiber_set_deadline(f, 6000);
	assert_int_equal(fiber_sched_next(s), 6000);
	now = 5000;
	fiber_cancel(f);
	/* The bound is over: nothing is held back any more. */
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(t.rc[0], WEFT_CANCELED);
}

static void
sections_nest(void **state)
{
	struct section t = { .hold = { 5000, 3000 }, .deadline = CLOCK_NEVER };
	struct fiber *f = begin(&t);

	(void)state;
	fiber_cancel(f);
	now = 4000;
	assert_int_equal(fiber_sched_run(s), 0);
	now = 5000;
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(t.rc[0], WEFT_CANCELED);
}

static void
parent_fn(void *arg)
{
	struct fiber *child = fiber_new(s, 0);

	assert_non_null(child);
	fiber_hold(9000);
	fiber_hold_as_self(child);
	fiber_start(child, section_fn, arg);
	fiber_cancel(child);
}

static void
a_child_is_held_as_its_parent_is(void **state)
{
	struct section t = { .deadline = CLOCK_NEVER };
	struct fiber *f = fiber_new(s, 0);

	(void)state;
	fiber_start(f, parent_fn, &t);
	fiber_sched_run(s);
	assert_int_equal(t.done, 0);
	now = 9000;
	fiber_sched_run(s);
	assert_int_equal(t.done, 2);
	assert_int_equal(t.rc[0], WEFT_CANCELED);
}

/* ---- who does not listen ---- */

static unsigned tries;
static usec stop_at;

static void
obstinate_fn(void *arg)
{
	struct fiber_late *late = arg;

	while (now < stop_at) {
		assert_int_not_equal(fiber_wait(WAIT_SLEEP, CLOCK_NEVER), WEFT_OK);
		tries++;
		now += 10;	/* what a handler takes for one round */
	}
	assert_true(fiber_is_late(fiber_self(), late));
}

/* 10 ms of trying are free: cleaning up may have many waits.  After that each costs time in which others run, up to 16 ms. */
static void
who_goes_on_waiting_is_slowed_down(void **state)
{
	struct fiber_late late;

	(void)state;
	for (int canceled = 0; canceled < 2; canceled++) {
		struct fiber *f = fiber_new(s, 0);
		usec penalty = 1000;

		now = 1000;
		tries = 0;
		stop_at = 1000000;
		if (canceled)
			fiber_cancel(f);
		else
			fiber_set_deadline(f, 500);
		fiber_start(f, obstinate_fn, &late);
		fiber_sched_run(s);
		assert_int_equal(tries, 1000);
		while (fiber_sched_alive(s) > 0) {
			assert_int_equal(fiber_sched_next(s), now + penalty);
			now += penalty;
			penalty = penalty < 16000 ? penalty * 2 : 16000;
			assert_int_equal(fiber_sched_run(s), 1);
		}
		assert_in_range(tries, 1060, 1070);
		assert_true(late.is_obstinate);
		assert_int_equal(late.length, 0);
	}
}

static void
woken_fn(void *arg)
{
	enum weft_rc *rc = arg;

	rc[0] = fiber_wait(WAIT_SQL, CLOCK_NEVER);
	now += 20000;
	rc[1] = fiber_wait(WAIT_SQL, CLOCK_NEVER);
}

/* What it waits for may still come true meanwhile. */
static void
who_is_slowed_down_can_be_woken(void **state)
{
	enum weft_rc rc[2];
	struct fiber *f = fiber_new(s, 0);

	(void)state;
	fiber_cancel(f);
	fiber_start(f, woken_fn, rc);
	fiber_sched_run(s);
	assert_int_equal(rc[0], WEFT_CANCELED);
	fiber_wake(f);
	fiber_sched_run(s);
	assert_int_equal(rc[1], WEFT_OK);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_held_back_comes_after_the_section),
		TEST(a_section_has_a_bound),
		TEST(its_waits_have_their_own_deadlines),
		TEST(a_deadline_behind_the_bound_stays),
		TEST(sections_nest),
		TEST(a_child_is_held_as_its_parent_is),
		TEST(who_goes_on_waiting_is_slowed_down),
		TEST(who_is_slowed_down_can_be_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
