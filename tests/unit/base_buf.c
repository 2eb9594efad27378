/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"

/* A refusal of malloc is one of the cases tested. */
const char *__asan_default_options(void) __attribute__((visibility("default")));

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
buf_grows_with_what_is_added(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	assert_null(b.at);
	assert_int_equal(buf_span(&b).len, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(i % 2 ? buf_printf(&b, "%04d,", i) : buf_add(&b, SPAN("word,")), WEFT_OK);
	assert_int_equal(b.len, 5000);
	assert_memory_equal(b.at, "word,0001,word,0003,", 20);
	assert_memory_equal(b.at + 4990, "word,0999,", 10);
	assert_int_equal(buf_add(&b, (struct span){ NULL, 0 }), WEFT_OK);
	assert_int_equal(b.len, 5000);
	buf_fini(&b);
	assert_null(b.at);
	assert_int_equal(buf_add(&b, SPAN("again")), WEFT_OK);
	assert_true(span_equal(buf_span(&b), SPAN("again")));
	buf_fini(&b);
}

static void
buf_stops_at_its_limit_and_stays_bad(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_add(&b, SPAN("0123456789")), WEFT_OK);
	assert_int_equal(buf_add(&b, SPAN("")), WEFT_OK);
	assert_int_equal(buf_add(&b, SPAN("x")), WEFT_TOO_LARGE);
	assert_int_equal(buf_add(&b, SPAN("")), WEFT_TOO_LARGE);
	assert_int_equal(buf_printf(&b, "x"), WEFT_TOO_LARGE);
	assert_null(buf_reserve(&b, 0));
	assert_true(span_equal(buf_span(&b), SPAN("0123456789")));
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_printf(&b, "%s", "012345678"), WEFT_OK);
	assert_int_equal(buf_printf(&b, "%s", "9"), WEFT_TOO_LARGE);
	assert_true(b.bad);
	assert_int_equal(b.len, 9);
	buf_fini(&b);
}

static void
buf_ends_where_memory_does(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_null(buf_reserve(&b, SIZE_MAX / 2 + 2));
	assert_true(b.bad);
	buf_clear(&b);
	assert_int_equal(buf_add(&b, SPAN("still here")), WEFT_OK);
	assert_null(buf_reserve(&b, SIZE_MAX - 5));
	assert_true(span_equal(buf_span(&b), SPAN("still here")));
	buf_fini(&b);
}

static void
buf_reserves_room_to_write(void **state)
{
	struct buf b;
	char *to;

	(void)state;
	buf_init(&b, 5000);
	to = buf_reserve(&b, 5000);
	assert_non_null(to);
	memset(to, 'x', 5000);
	b.len += 3;
	assert_ptr_equal(buf_reserve(&b, 4997), b.at + 3);
	assert_null(buf_reserve(&b, 4998));
	buf_fini(&b);
}

static void
buf_is_consumed_from_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_consume(&b, 0);
	assert_int_equal(buf_add(&b, SPAN("hello, world")), WEFT_OK);
	buf_consume(&b, 7);
	assert_true(span_equal(buf_span(&b), SPAN("world")));
	buf_consume(&b, 0);
	assert_true(span_equal(buf_span(&b), SPAN("world")));
	buf_consume(&b, 5);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_add(&b, SPAN("next")), WEFT_OK);
	assert_true(span_equal(buf_span(&b), SPAN("next")));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_grows_with_what_is_added),
		cmocka_unit_test(buf_stops_at_its_limit_and_stays_bad),
		cmocka_unit_test(buf_ends_where_memory_does),
		cmocka_unit_test(buf_reserves_room_to_write),
		cmocka_unit_test(buf_is_consumed_from_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
