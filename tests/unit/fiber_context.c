/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fenv.h>
#include <string.h>

#include "config.h"
#include "fiber/context.h"
#include "fiber/stack.h"

enum { SIZE = 65536 };

static struct context home, side[2];
static struct stack_pool pool;
static struct stack stacks[2];
static int steps;

static int
setup(void **state)
{
	(void)state;
	memset(&home, 0, sizeof home);
	steps = 0;
	if (stack_pool_init(&pool, 2) != 0 || stack_get(&pool, SIZE, &stacks[0]) != 0)
		return -1;
	return stack_get(&pool, SIZE, &stacks[1]);
}

static int
teardown(void **state)
{
	(void)state;
	stack_put(&pool, &stacks[0]);
	stack_put(&pool, &stacks[1]);
	stack_pool_fini(&pool);
	return 0;
}

static void
count_and_leave(void *arg)
{
	steps += *(int *)arg;
	context_leave(&side[0], &home);
}

static void
entry_gets_its_argument_and_an_aligned_stack(void **state)
{
	int by = 7;

	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, count_and_leave, &by);
	assert_int_equal(steps, 0);
	context_switch(&home, &side[0]);
	assert_int_equal(steps, 7);
}

static void
a_stack_can_be_used_again(void **state)
{
	int by = 1;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		context_make(&side[0], stacks[0].low, SIZE, count_and_leave, &by);
		context_switch(&home, &side[0]);
		stack_put(&pool, &stacks[0]);
		assert_int_equal(stack_get(&pool, SIZE, &stacks[0]), 0);
	}
	assert_int_equal(steps, 1000);
}

static void
one_never_entered_is_dropped(void **state)
{
	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, count_and_leave, NULL);
	context_drop(&side[0]);
	assert_int_equal(steps, 0);
}

static volatile long seed = 3;

/* More values than there are registers which a call preserves, changed and checked around each switch. */
static long
churn(struct context *me, struct context *other, long base)
{
	long a = seed + base, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13, g = a * 17;
	double x = (double)a / 3, y = (double)a / 7, z = (double)a / 11;
	long bad = 0;

	for (int i = 0; i < 1000; i++) {
		long sum = a + b + c + d + e + f + g;
		double product = x * y * z;

		context_switch(me, other);
		bad += sum != a + b + c + d + e + f + g;
		bad += memcmp(&product, &(double){ x * y * z }, sizeof product) != 0;
		a += seed; b ^= a; c += b; d -= c; e ^= d; f += e & 255; g ^= f;
		x += 0.25; y += 0.5; z -= 0.125;
		a &= 0xffff; b &= 0xffff; c &= 0xffff; d &= 0xffff; e &= 0xffff; f &= 0xffff; g &= 0xffff;
	}
	return bad;
}

static void
churn_entry(void *arg)
{
	*(long *)arg = churn(&side[0], &home, 1000);
	context_leave(&side[0], &home);
}

static void
registers_and_floating_point_survive(void **state)
{
	long bad = -1, mine;

	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, churn_entry, &bad);
	mine = churn(&home, &side[0], 1);
	context_switch(&home, &side[0]);
	assert_int_equal(mine, 0);
	assert_int_equal(bad, 0);
}

static void
round_entry(void *arg)
{
	int *seen = arg;

	fesetround(FE_UPWARD);
	context_switch(&side[0], &home);
	seen[0] = fegetround();
	context_switch(&side[0], &home);
	seen[1] = fegetround();
	fesetround(FE_TONEAREST);
	context_leave(&side[0], &home);
}

/* Each side keeps its rounding mode; only the assembly promises that. */
static void
rounding_modes_are_kept_apart(void **state)
{
	int seen[2] = { -1, -1 };

	(void)state;
#ifndef FIBER_SWITCH_ASM
	skip();
#endif
	context_make(&side[0], stacks[0].low, SIZE, round_entry, seen);
	context_switch(&home, &side[0]);
	assert_int_equal(fegetround(), FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	context_switch(&home, &side[0]);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	fesetround(FE_TONEAREST);
	context_switch(&home, &side[0]);
	assert_int_equal(fegetround(), FE_TONEAREST);
	assert_int_equal(seen[0], FE_UPWARD);
	assert_int_equal(seen[1], FE_UPWARD);
}

static void
hand_on(void *arg)
{
	steps++;
	context_switch(&side[0], &side[1]);
	steps++;
	context_leave(&side[0], &home);
}

static void
hand_back(void *arg)
{
	steps += 10;
	context_leave(&side[1], &side[0]);
}

static void
contexts_switch_among_themselves(void **state)
{
	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, hand_on, NULL);
	context_make(&side[1], stacks[1].low, SIZE, hand_back, NULL);
	context_switch(&home, &side[0]);
	assert_int_equal(steps, 12);
}

static jmp_buf on_this_stack;

static void
jump_within(void *arg)
{
	if (setjmp(on_this_stack) == 0) {
		context_switch(&side[0], &home);
		longjmp(on_this_stack, 1);
	}
	steps++;
	context_leave(&side[0], &home);
}

static void
longjmp_within_a_stack_works(void **state)
{
	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, jump_within, NULL);
	context_switch(&home, &side[0]);
	context_switch(&home, &side[0]);
	assert_int_equal(steps, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entry_gets_its_argument_and_an_aligned_stack),
		TEST(a_stack_can_be_used_again),
		TEST(one_never_entered_is_dropped),
		TEST(registers_and_floating_point_survive),
		TEST(rounding_modes_are_kept_apart),
		TEST(contexts_switch_among_themselves),
		TEST(longjmp_within_a_stack_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
