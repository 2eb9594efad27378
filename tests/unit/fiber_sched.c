/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
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

static void
say(void *arg)
{
	assert_ptr_equal(fiber_sched(fiber_self()), s);
	note(arg);
}

static void
say_twice(void *arg)
{
	note(arg);
	fiber_yield();
	note(arg);
}

static void
fibers_run_in_the_order_of_their_start(void **state)
{
	(void)state;
	spawn(say, "a");
	spawn(say, "b");
	spawn(say, "c");
	assert_string_equal(seen, "");
	assert_int_equal(fiber_sched_alive(s), 3);
	assert_int_equal(fiber_sched_next(s), 0);
	assert_int_equal(fiber_sched_run(s), 3);
	assert_string_equal(seen, "abc");
	assert_int_equal(fiber_sched_alive(s), 0);
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
	assert_int_equal(fiber_sched_run(s), 0);
	assert_null(fiber_self());
}

static void
yield_lets_the_others_run_and_returns_in_the_same_run(void **state)
{
	(void)state;
	spawn(say_twice, "a");
	spawn(say_twice, "b");
	spawn(say, "c");
	assert_int_equal(fiber_sched_run(s), 5);
	assert_string_equal(seen, "abcab");
}

/* Those that are left come first the next time, and what became ready meanwhile behind them. */
static void
some_run_and_the_others_stay_ready(void **state)
{
	(void)state;
	spawn(say_twice, "a");
	spawn(say, "b");
	spawn(say, "c");
	assert_int_equal(fiber_sched_ready(s), 3);
	assert_int_equal(fiber_sched_run_some(s, 2), 2);
	assert_string_equal(seen, "ab");
	assert_int_equal(fiber_sched_ready(s), 2);
	assert_int_equal(fiber_sched_next(s), 0);
	assert_int_equal(fiber_sched_run_some(s, 0), 0);
	assert_int_equal(fiber_sched_run_some(s, 5), 2);
	assert_string_equal(seen, "abca");
	assert_int_equal(fiber_sched_ready(s), 0);
}

static bool enough;

static void
yield_for_ever(void *arg)
{
	unsigned *rounds = arg;

	while (!enough) {
		++*rounds;
		fiber_yield();
	}
}

static void
a_fiber_that_yields_for_ever_starves_nobody(void **state)
{
	unsigned rounds = 0;

	(void)state;
	enough = false;
	spawn(yield_for_ever, &rounds);
	assert_int_equal(fiber_sched_run(s), 2);
	assert_int_equal(rounds, 2);
	assert_int_equal(fiber_sched_next(s), 0);
	spawn(say, "x");
	assert_int_equal(fiber_sched_run(s), 3);
	assert_string_equal(seen, "x");
	enough = true;
	assert_int_equal(fiber_sched_run(s), 1);
	assert_int_equal(rounds, 4);
}

static struct fiber *pair[2];
static unsigned volleys;

static void
volley(void *arg)
{
	struct fiber **other = arg;

	while (!enough) {
		volleys++;
		fiber_wake(*other);
		assert_int_equal(fiber_wait(WAIT_FIBER, CLOCK_NEVER), WEFT_OK);
	}
	pair[other == &pair[0]] = NULL;
	if (*other != NULL)
		fiber_wake(*other);
}

/* They wake each other without end; the run ends all the same, and nothing is lost. */
static void
fibers_that_wake_each_other_for_ever_starve_nobody(void **state)
{
	unsigned before;

	(void)state;
	enough = false;
	volleys = 0;
	pair[0] = spawn(volley, &pair[1]);
	pair[1] = spawn(volley, &pair[0]);
	assert_true(fiber_sched_run(s) <= 2 * FIBER_ROUNDS);
	assert_int_equal(fiber_sched_next(s), 0);
	before = volleys;
	assert_true(before > 2);
	assert_true(fiber_sched_run(s) > 0);
	assert_true(volleys > before);
	enough = true;
	while (fiber_sched_alive(s) > 0)
		assert_true(fiber_sched_run(s) > 0);
}

static void
spawn_one(void *arg)
{
	note("p");
	spawn(say, arg);
	note("q");
}

static void
a_fiber_starts_another_in_the_same_run(void **state)
{
	(void)state;
	spawn(spawn_one, "c");
	assert_int_equal(fiber_sched_run(s), 2);
	assert_string_equal(seen, "pqc");
}

static void
the_limit_is_kept(void **state)
{
	struct fiber *f[50];

	(void)state;
	for (int i = 0; i < 50; i++) {
		f[i] = fiber_new(s, 100);
		assert_non_null(f[i]);
	}
	assert_null(fiber_new(s, 100));
	assert_int_equal(fiber_sched_alive(s), 50);
	fiber_drop(&f[7]);
	assert_null(f[7]);
	f[7] = fiber_new(s, 100);
	assert_non_null(f[7]);
	assert_null(fiber_new(s, 100));
	for (int i = 0; i < 50; i++)
		fiber_drop(&f[i]);
	assert_int_equal(fiber_sched_alive(s), 0);
	fiber_drop(&f[0]);
}

static void
an_impossible_room_is_refused(void **state)
{
	struct fiber *f;

	(void)state;
	assert_null(fiber_new(s, SIZE_MAX));
	assert_null(fiber_new(s, SIZE_MAX / 16));
	f = fiber_new(s, 16);
	assert_non_null(f);
	fiber_drop(&f);
}

static void
fill_frames(void *arg)
{
	volatile char frame[40000];

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (char)i;
	fiber_yield();
	assert_int_equal(frame[4711], (char)4711);
	(void)arg;
}

/* Whatever room was asked for, it is aligned, all of it can be written, and no frame reaches into it. */
static void
rooms_are_aligned_and_their_own(void **state)
{
	static const size_t size[] = { 0, 1, 15, 16, 17, 200, 2048, 4095, 4096, 4097, 8192, 100000 };
	enum { N = sizeof size / sizeof *size };
	unsigned char *room[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct fiber *f = fiber_new(s, size[i]);

		assert_non_null(f);
		room[i] = fiber_room(f);
		assert_int_equal((uintptr_t)room[i] % _Alignof(max_align_t), 0);
		memset(room[i], (int)i + 1, size[i]);
		fiber_start(f, fill_frames, NULL);
		fiber_set_label(f, "filler");
		assert_string_equal(fiber_label(f), "filler");
	}
	/* The first of two steps: all have filled their frames. */
	spawn(fill_frames, NULL);
	fiber_sched_run(s);
	assert_int_equal(fiber_sched_alive(s), 0);
	for (unsigned i = 0; i < N; i++) {
		struct fiber *f = fiber_new(s, size[i]);

		memset(fiber_room(f), 0xff, size[i]);
		assert_string_equal(fiber_label(f), "fiber");
		assert_int_equal(fiber_deadline(f), CLOCK_NEVER);
		assert_int_equal(fiber_why(f), WAIT_NONE);
		assert_false(fiber_is_canceled(f));
		fiber_drop(&f);
	}
}

static void
check_room(void *arg)
{
	unsigned char *room = fiber_room(fiber_self());

	assert_ptr_equal(room, arg);
	fill_frames(NULL);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(room[i], 0x5a);
}

static void
frames_leave_the_room_alone(void **state)
{
	struct fiber *f[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		f[i] = fiber_new(s, 3000);
		assert_non_null(f[i]);
		memset(fiber_room(f[i]), 0x5a, 3000);
		fiber_start(f[i], check_room, fiber_room(f[i]));
	}
	fiber_sched_run(s);
	assert_int_equal(fiber_sched_alive(s), 0);
}

static void
stacks_are_used_again(void **state)
{
	void *room = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct fiber *f = fiber_new(s, 64);

		assert_true(room == NULL || room == fiber_room(f));
		room = fiber_room(f);
		fiber_start(f, say, "");
		assert_int_equal(fiber_sched_run(s), 1);
	}
}

static unsigned
recurse(unsigned depth)
{
	volatile char frame[1000];

	frame[0] = (char)depth;
	frame[999] = 1;
	if (depth == 0)
		return 0;
	return recurse(depth - 1) + (unsigned)frame[999];
}

static void
go_deep(void *arg)
{
	unsigned *depth = arg;

	*depth = recurse(*depth);
	fiber_yield();
	*depth += recurse(10);
}

static void
deep_recursion_within_the_size_works(void **state)
{
	const struct fiber_conf conf = { .stack_size = 1 << 20 };
	struct fiber_sched *big = fiber_sched_new(&conf);
	unsigned depth = 500;
	struct fiber *f;

	(void)state;
	assert_non_null(big);
	f = fiber_new(big, 0);
	assert_int_equal(fiber_stack_size(f), 1 << 20);
	fiber_start(f, go_deep, &depth);
	assert_int_equal(fiber_sched_run(big), 2);
	assert_int_equal(depth, 510);
	assert_true(fiber_sched_now(big) > 0);
	fiber_sched_free(&big);
	assert_null(big);
	fiber_sched_free(&big);
}

static void
every_reason_has_a_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WAIT_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(wait_why_name((enum wait_why)i), wait_why_name((enum wait_why)k));
	assert_string_equal(wait_why_name(WAIT_REDIS), "redis");
	assert_string_equal(wait_why_name(WAIT_SQL), "sql");
	assert_string_equal(wait_why_name(WAIT_POOL), "pool queue");
}

static void
lately_is_one_time_a_turn(void **state)
{
	(void)state;
	assert_int_equal(fiber_sched_lately(s), 1000);
	now = 2000;
	assert_int_equal(fiber_sched_lately(s), 2000);
	fiber_sched_turn(s, FIBER_TURN_BEGINS);
	now = 3000;
	assert_int_equal(fiber_sched_lately(s), 3000);
	now = 4000;
	assert_int_equal(fiber_sched_lately(s), 3000);
	fiber_sched_turn(s, FIBER_TURN_BEGINS);
	assert_int_equal(fiber_sched_lately(s), 4000);
	fiber_sched_turn(s, FIBER_TURN_ENDS);
	now = 5000;
	assert_int_equal(fiber_sched_lately(s), 5000);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fibers_run_in_the_order_of_their_start),
		TEST(yield_lets_the_others_run_and_returns_in_the_same_run),
		TEST(some_run_and_the_others_stay_ready),
		TEST(a_fiber_that_yields_for_ever_starves_nobody),
		TEST(fibers_that_wake_each_other_for_ever_starve_nobody),
		TEST(a_fiber_starts_another_in_the_same_run),
		TEST(the_limit_is_kept),
		TEST(an_impossible_room_is_refused),
		TEST(rooms_are_aligned_and_their_own),
		TEST(frames_leave_the_room_alone),
		TEST(stacks_are_used_again),
		TEST(deep_recursion_within_the_size_works),
		TEST(every_reason_has_a_name),
		TEST(lately_is_one_time_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
