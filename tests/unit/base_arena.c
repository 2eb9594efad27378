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

static void
arena_rewinds_over_its_last_block(void **state)
{
	struct arena a;
	char *p;
	size_t total;

	(void)state;
	arena_init(&a, NULL, 0, 300000);
	arena_rewind(&a);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&a, 1000));
	arena_rewind(&a);
	total = a.total;
	assert_true(total > 1000 && total <= ARENA_BLOCK_MAX);
	p = arena_alloc(&a, 1000);
	assert_non_null(p);
	assert_int_equal(a.total, total);
	arena_rewind(&a);
	assert_ptr_equal(arena_alloc(&a, 1000), p);
	/* What is much larger than usual is not kept. */
	assert_non_null(arena_alloc(&a, 2 * ARENA_BLOCK_MAX));
	arena_rewind(&a);
	assert_int_equal(a.total, 0);
	/* Of what it may take nothing is lost. */
	for (int i = 0; i < 10; i++) {
		assert_non_null(arena_alloc(&a, 250000));
		arena_rewind(&a);
	}
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_serves_from_the_first_block),
		cmocka_unit_test(arena_grows_and_respects_its_limit),
		cmocka_unit_test(arena_formats_and_copies),
		cmocka_unit_test(arena_rewinds_over_its_last_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
