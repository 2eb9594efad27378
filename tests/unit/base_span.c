/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

static void
span_equals_bytes(void **state)
{
	(void)state;
	assert_true(span_equal(SPAN("a\0b"), (struct span){ "a\0b", 3 }));
	assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
	assert_false(span_equal(SPAN("a"), SPAN("ab")));
	assert_true(span_equal(SPAN(""), (struct span){ NULL, 0 }));
	assert_true(span_equal(span_skip(span_str("abc"), 1), SPAN("bc")));
}

static void
span_is_taken_piece_by_piece(void **state)
{
	struct span in = SPAN("a,,b");

	(void)state;
	assert_true(span_equal(span_take(&in, ','), SPAN("a")));
	assert_true(span_equal(span_take(&in, ','), SPAN("")));
	assert_true(span_equal(span_take(&in, ','), SPAN("b")));
	assert_int_equal(in.len, 0);
	assert_true(span_equal(span_take(&in, ','), SPAN("")));
	in = SPAN("a,");
	assert_true(span_equal(span_take(&in, ','), SPAN("a")));
	assert_int_equal(in.len, 0);
	in = (struct span){ NULL, 0 };
	assert_int_equal(span_take(&in, ',').len, 0);
}

static void
span_is_trimmed_of_blanks(void **state)
{
	(void)state;
	assert_true(span_equal(span_trim(SPAN(" \t a b\t ")), SPAN("a b")));
	assert_true(span_equal(span_trim(SPAN("\na\r")), SPAN("\na\r")));
	assert_int_equal(span_trim(SPAN(" \t ")).len, 0);
	assert_int_equal(span_trim((struct span){ NULL, 0 }).len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(span_equals_bytes),
		cmocka_unit_test(span_is_taken_piece_by_piece),
		cmocka_unit_test(span_is_trimmed_of_blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
