/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/bench_hist.h"

static struct bench_hist h;

static void
nothing_counted_is_nothing(void **state)
{
	(void)state;
	bench_hist_init(&h);
	assert_int_equal(bench_hist_percentile(&h, 0), 0);
	assert_int_equal(bench_hist_percentile(&h, 50), 0);
	assert_int_equal(bench_hist_percentile(&h, 100), 0);
}

static void
small_values_are_exact(void **state)
{
	(void)state;
	bench_hist_init(&h);
	for (uint64_t i = 1; i <= 50; i++)
		bench_hist_add(&h, i);
	assert_int_equal(h.count, 50);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 50);
	assert_int_equal(bench_hist_percentile(&h, 0), 1);
	assert_int_equal(bench_hist_percentile(&h, 50), 25);
	assert_int_equal(bench_hist_percentile(&h, 90), 45);
	assert_int_equal(bench_hist_percentile(&h, 100), 50);
}

/* Of any two values, the bucket of the lower one ends below 1.032 times it: asked for as the first of a pair. */
static void
every_value_has_a_bucket_that_is_narrow(void **state)
{
	uint64_t found;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int more = -1; more <= 1; more++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)more;

			bench_hist_init(&h);
			bench_hist_add(&h, value);
			bench_hist_add(&h, UINT64_MAX);
			found = bench_hist_percentile(&h, 50);
			assert_true(found >= value);
			assert_true((double)found <= (double)value * 1.032);
		}
	}
}

static void
values_keep_their_order(void **state)
{
	uint64_t last = 0, found;

	(void)state;
	bench_hist_init(&h);
	for (uint64_t i = 0; i < 100000; i += 7)
		bench_hist_add(&h, i * i);
	for (double p = 0; p <= 100; p += 0.5) {
		found = bench_hist_percentile(&h, p);
		assert_true(found >= last);
		last = found;
	}
	assert_int_equal(last, h.max);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_counted_is_nothing),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(every_value_has_a_bucket_that_is_narrow),
		cmocka_unit_test(values_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
