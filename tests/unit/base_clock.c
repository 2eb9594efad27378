/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void
clock_never_goes_back(void **state)
{
	usec last = clock_now();

	(void)state;
	assert_true(last > 0);
	for (int i = 0; i < 1000; i++) {
		usec now = clock_now();

		assert_true(now >= last);
		last = now;
	}
}

static void
clock_adds_up_to_never(void **state)
{
	(void)state;
	assert_true(clock_add(5, 7) == 12);
	assert_true(clock_add(0, 0) == 0);
	assert_true(clock_add(5, CLOCK_NEVER) == CLOCK_NEVER);
	assert_true(clock_add(CLOCK_NEVER, 0) == CLOCK_NEVER);
	assert_true(clock_add(CLOCK_NEVER, CLOCK_NEVER) == CLOCK_NEVER);
	assert_true(clock_add(5, CLOCK_NEVER - 6) == CLOCK_NEVER - 1);
	assert_true(clock_add(5, CLOCK_NEVER - 5) == CLOCK_NEVER);
	assert_true(clock_min(3, CLOCK_NEVER) == 3);
	assert_true(clock_min(4, 3) == 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_never_goes_back),
		cmocka_unit_test(clock_adds_up_to_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
