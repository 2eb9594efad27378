/* SPDX-License-Identifier: ISC */
#ifndef TESTS_LOOP_KIT_H
#define TESTS_LOOP_KIT_H

/* What the tests of the loop share: cmocka with what it needs before it, and turns until something has happened. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop.h"

/* Turn until cond; fail when it has not come about after some seconds. */
#define TURN_UNTIL(l, cond)						\
	do {								\
		usec kit_end = clock_now() + 10 * USEC_PER_SEC;		\
									\
		while (!(cond) && clock_now() < kit_end)		\
			loop_turn((l), 5 * USEC_PER_MSEC);		\
		assert_true(cond);					\
	} while (0)

/* Turn a few times without sleeping: what is ready now is done after it. */
static inline void
kit_settle(struct loop *l)
{
	for (int i = 0; i < 5; i++)
		loop_turn(l, 0);
}

/* A loop for each test, in *state. */
static inline int
kit_setup(void **state)
{
	*state = loop_new(NULL);
	return *state == NULL ? -1 : 0;
}

static inline int
kit_teardown(void **state)
{
	struct loop *l = *state;

	loop_free(&l);
	return 0;
}

/* The same by a clock of the test's, kit_now. */
static usec kit_now;

static inline usec
kit_clock(void)
{
	return kit_now;
}

static inline int
kit_setup_clock(void **state)
{
	kit_now = USEC_PER_SEC;
	*state = loop_new(&(struct fiber_conf){ .clock = kit_clock });
	return *state == NULL ? -1 : 0;
}

#define KIT_CLOCK_TEST(fn) cmocka_unit_test_setup_teardown(fn, kit_setup_clock, kit_teardown)
#define KIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, kit_setup, kit_teardown)

#endif
