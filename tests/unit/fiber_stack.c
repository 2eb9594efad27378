/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fiber/stack.h"

/* Returns how many pages of a stack are in memory. */
static size_t
resident(const struct stack *s)
{
	unsigned char map[64];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;

	assert_true(s->size / page <= sizeof map);
	assert_int_equal(mincore(s->low, s->size, map), 0);
	for (size_t i = 0; i < s->size / page; i++)
		n += map[i] & 1;
	return n;
}

static void
sizes_are_whole_pages_and_writable(void **state)
{
	struct stack_pool p;
	struct stack s;

	(void)state;
	assert_int_equal(stack_pool_init(&p, 4), 0);
	assert_int_equal(stack_get(&p, 10000, &s), 0);
	assert_true(s.size >= 10000);
	assert_int_equal(s.size % p.page, 0);
	assert_int_equal((uintptr_t)stack_top(&s) % p.page, 0);
	assert_int_equal(resident(&s), 0);
	memset(s.low, 1, s.size);
	stack_put(&p, &s);
	assert_null(s.low);
	stack_pool_fini(&p);
}

static void
the_guard_is_below(void **state)
{
	struct stack_pool p;
	struct stack s;
	int fd[2];

	(void)state;
	assert_int_equal(stack_pool_init(&p, 4), 0);
	assert_int_equal(stack_get(&p, 4096, &s), 0);
	assert_false(stack_has_guard_at(&s, s.low));
	assert_true(stack_has_guard_at(&s, s.low - 1));
	assert_true(stack_has_guard_at(&s, s.low - STACK_GUARD));
	assert_false(stack_has_guard_at(&s, s.low - STACK_GUARD - 1));
	assert_false(stack_has_guard_at(&s, NULL));
	/* A system call tells what a process may not read. */
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], s.low, 1), 1);
	assert_int_equal(write(fd[1], s.low - 1, 1), -1);
	assert_int_equal(write(fd[1], s.low - STACK_GUARD, 1), -1);
	close(fd[0]);
	close(fd[1]);
	stack_put(&p, &s);
	stack_pool_fini(&p);
}

/* A kernel that marks guards inside a mapping does not do so in locked memory: the older way has to serve. */
static void
the_guard_is_there_in_locked_memory_too(void **state)
{
	struct stack_pool p;
	struct stack s;
	int fd[2];

	(void)state;
	if (mlockall(MCL_FUTURE) != 0)
		skip();
	assert_int_equal(stack_pool_init(&p, 4), 0);
	assert_int_equal(stack_get(&p, 4096, &s), 0);
	assert_int_equal(munlockall(), 0);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], s.low, 1), 1);
	assert_int_equal(write(fd[1], s.low - 1, 1), -1);
	assert_int_equal(write(fd[1], s.low - STACK_GUARD, 1), -1);
	close(fd[0]);
	close(fd[1]);
	stack_put(&p, &s);
	stack_pool_fini(&p);
}

static void
the_last_one_put_is_the_first_one_got(void **state)
{
	struct stack_pool p;
	struct stack a, b, c;
	char *was;

	(void)state;
	assert_int_equal(stack_pool_init(&p, 4), 0);
	assert_int_equal(stack_get(&p, 8192, &a), 0);
	assert_int_equal(stack_get(&p, 8192, &b), 0);
	was = a.low;
	stack_put(&p, &b);
	stack_put(&p, &a);
	assert_int_equal(stack_get(&p, 8000, &c), 0);
	assert_ptr_equal(c.low, was);
	stack_put(&p, &c);
	stack_pool_fini(&p);
}

static void
cold_ones_give_their_pages_back_and_surplus_is_unmapped(void **state)
{
	enum { CACHE = STACK_WARM + 16, N = CACHE + 20 };
	struct stack_pool p;
	struct stack s[N];

	(void)state;
	assert_int_equal(stack_pool_init(&p, CACHE), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(stack_get(&p, 8192, &s[i]), 0);
		s[i].low[0] = 1;
	}
	for (int i = 0; i < N; i++)
		stack_put(&p, &s[i]);
	assert_int_equal(p.count, CACHE);
	assert_int_equal(p.cold, CACHE - STACK_WARM);
	for (unsigned i = 0; i < p.count; i++)
		assert_int_equal(resident(&p.free[i]), i < p.cold ? 0 : 1);
	/* Taken again, cold ones are stacks like all others. */
	for (int i = 0; i < N; i++) {
		assert_int_equal(stack_get(&p, 8192, &s[i]), 0);
		s[i].low[0] = 1;
	}
	assert_int_equal(p.count, 0);
	assert_int_equal(p.cold, 0);
	for (int i = 0; i < N; i++)
		stack_put(&p, &s[i]);
	assert_int_equal(p.cold, CACHE - STACK_WARM);
	stack_pool_fini(&p);
}

static void
a_larger_size_replaces_the_cache(void **state)
{
	struct stack_pool p;
	struct stack small, large, again;

	(void)state;
	assert_int_equal(stack_pool_init(&p, 4), 0);
	assert_int_equal(stack_get(&p, 4096, &small), 0);
	assert_int_equal(stack_get(&p, 65536, &large), 0);
	stack_put(&p, &small);
	assert_int_equal(p.count, 0);
	stack_put(&p, &large);
	assert_int_equal(p.count, 1);
	assert_int_equal(stack_get(&p, 4096, &again), 0);
	assert_true(again.size >= 65536);
	stack_put(&p, &again);
	stack_pool_fini(&p);
}

static void
the_impossible_is_refused(void **state)
{
	struct stack_pool p;
	struct stack s;

	(void)state;
	assert_int_equal(stack_pool_init(&p, 0), 0);
	assert_int_equal(stack_get(&p, SIZE_MAX, &s), -1);
	assert_int_equal(stack_get(&p, SIZE_MAX / 8, &s), -1);
	/* And does no harm. */
	assert_int_equal(stack_get(&p, 4096, &s), 0);
	assert_int_equal(s.size, 4096);
	stack_put(&p, &s);
	assert_int_equal(p.count, 0);
	stack_pool_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_whole_pages_and_writable),
		cmocka_unit_test(the_guard_is_below),
		cmocka_unit_test(the_guard_is_there_in_locked_memory_too),
		cmocka_unit_test(the_last_one_put_is_the_first_one_got),
		cmocka_unit_test(cold_ones_give_their_pages_back_and_surplus_is_unmapped),
		cmocka_unit_test(a_larger_size_replaces_the_cache),
		cmocka_unit_test(the_impossible_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
