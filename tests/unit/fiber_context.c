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

#if defined(__x86_64__)
#define R1 "rbx"
#define R2 "r12"
#define R3 "r13"
#define R4 "r14"
#define R5 "r15"
#elif defined(__aarch64__)
#define R1 "x19"
#define R2 "x22"
#define R3 "x24"
#define R4 "x27"
#define R5 "x28"
#endif

/* Put values of our own into named registers; returns how many were others after a switch. */
static int
keep_registers(struct context *me, struct context *other, long base)
{
#ifdef R1
	register long a __asm__(R1) = base + 1;
	register long b __asm__(R2) = base + 2;
	register long c __asm__(R3) = base + 3;
	register long d __asm__(R4) = base + 4;
	register long e __asm__(R5) = base + 5;

	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
	context_switch(me, other);
	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
	return (a != base + 1) + (b != base + 2) + (c != base + 3) + (d != base + 4) + (e != base + 5);
#else
	context_switch(me, other);
	return 0;
#endif
}

static void
keep_entry(void *arg)
{
	*(int *)arg = keep_registers(&side[0], &home, 100);
	context_leave(&side[0], &home);
}

static void
each_preserved_register_survives(void **state)
{
	int theirs = -1, mine;

	(void)state;
	context_make(&side[0], stacks[0].low, SIZE, keep_entry, &theirs);
	mine = keep_registers(&home, &side[0], 200);
	context_switch(&home, &side[0]);
	assert_int_equal(mine, 0);
	assert_int_equal(theirs, 0);
}

static volatile double one = 1, three = 3;

/* Returns how a division is rounded in fact: glibc's fegetround looks at the x87 unit only. */
static int
rounding(void)
{
	double q = one / three, neg = -one / three;

	if (q == 0x1.5555555555556p-2)
		return FE_UPWARD;
	return neg == -0x1.5555555555556p-2 ? FE_DOWNWARD : FE_TONEAREST;
}

static void
round_entry(void *arg)
{
	int *seen = arg;

	fesetround(FE_UPWARD);
	context_switch(&side[0], &home);
	seen[0] = fegetround();
	context_switch(&side[0], &home);
	seen[1] = rounding();
	fesetround(FE_TONEAREST);
	context_leave(&side[0], &home);
}

/* Each side keeps its rounding mode; only the assembly promises that. */
static void
rounding_modes_are_kept_apart(void **state)
{
	int seen[2] = { -1, -1 }, heeded;

	(void)state;
#ifndef FIBER_SWITCH_ASM
	skip();
#endif
	fesetround(FE_UPWARD);
	heeded = rounding() == FE_UPWARD;
	fesetround(FE_TONEAREST);
	/* Valgrind rounds to nearest, whatever it is told. */
	if (!heeded)
		skip();
	context_make(&side[0], stacks[0].low, SIZE, round_entry, seen);
	context_switch(&home, &side[0]);
	assert_int_equal(fegetround(), FE_TONEAREST);
	assert_int_equal(rounding(), FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	context_switch(&home, &side[0]);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	assert_int_equal(rounding(), FE_DOWNWARD);
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
		TEST(each_preserved_register_survives),
		TEST(rounding_modes_are_kept_apart),
		TEST(contexts_switch_among_themselves),
		TEST(longjmp_within_a_stack_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
