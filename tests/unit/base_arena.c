/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

static void
arena_serves_from_the_first_block(void **state)
{
	_Alignas(max_align_t) char first[256];
	struct arena a;
	char *p;

	(void)state;
	arena_init(&a, first, sizeof first, 0);
	p = arena_alloc(&a, 100);
	assert_true(p >= first && p + 100 <= first + sizeof first);
	assert_int_equal(a.total, 0);
	assert_int_equal((uintptr_t)arena_alloc(&a, 1) % _Alignof(max_align_t), 0);
	arena_fini(&a);
}

static void
arena_grows_and_respects_its_limit(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 16384);
	assert_non_null(arena_alloc(&a, 4096));
	assert_non_null(arena_alloc(&a, 8000));
	assert_null(arena_alloc(&a, 8000));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_fini(&a);
}

static void
arena_formats_and_copies(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	assert_string_equal(arena_strdup(&a, (struct span){ "hello", 3 }), "hel");
	assert_string_equal(arena_strdup(&a, (struct span){ NULL, 0 }), "");
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_serves_from_the_first_block),
		cmocka_unit_test(arena_grows_and_respects_its_limit),
		cmocka_unit_test(arena_formats_and_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
