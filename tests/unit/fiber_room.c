/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fiber/room.h"

enum { SIZE = 3000, N = 200 };

static struct room_pool p;
static char *room[N];
static struct room_slab *slab[N];

static int
setup(void **state)
{
	(void)state;
	room_pool_init(&p);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	room_pool_fini(&p);
	return 0;
}

static void
get(int i, size_t size)
{
	room[i] = room_get(&p, size, &slab[i]);
	assert_non_null(room[i]);
	assert_int_equal((uintptr_t)room[i] % _Alignof(max_align_t), 0);
}

static void
put(int i)
{
	room_put(&p, slab[i], room[i]);
}

/* Returns in how many slabs the first n rooms lie. */
static int
count_slabs(int n)
{
	int count = 0;

	for (int i = 0; i < n; i++) {
		int k = 0;

		while (slab[k] != slab[i])
			k++;
		count += k == i;
	}
	return count;
}

static void
rooms_are_packed_and_apart(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++) {
		get(i, SIZE);
		memset(room[i], i, SIZE);
	}
	/* As if there were no pages. */
	assert_int_equal(count_slabs(N), (N + ROOM_SLAB / SIZE - 1) / (ROOM_SLAB / SIZE));
	for (int i = 0; i < N; i++) {
		assert_int_equal((unsigned char)room[i][0], i);
		assert_int_equal((unsigned char)room[i][SIZE - 1], i);
		put(i);
	}
}

static void
the_last_one_put_is_the_first_one_got(void **state)
{
	char *was;

	(void)state;
	get(0, SIZE);
	get(1, SIZE);
	was = room[0];
	put(1);
	put(0);
	get(2, SIZE);
	assert_ptr_equal(room[2], was);
	put(2);
}

/* A slab that was full serves again before others do. */
static void
a_full_slab_is_open_again(void **state)
{
	char *was;
	int i = 0;

	(void)state;
	do
		get(i++, SIZE);
	while (slab[i - 1] == slab[0]);
	was = room[0];
	put(0);
	get(0, SIZE);
	assert_ptr_equal(room[0], was);
	while (i > 0)
		put(--i);
}

static void
empty_slabs_are_given_back(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < N; i++)
			get(i, SIZE);
		assert_true(count_slabs(N) > ROOM_SPARE + 1);
		assert_int_equal(p.spare, 0);
		for (int i = 0; i < N; i++)
			put(i);
		assert_int_equal(p.spare, ROOM_SPARE);
	}
}

/* Those of the size before stay good, and go when they are empty. */
static void
a_larger_size_is_for_all_from_then_on(void **state)
{
	(void)state;
	get(0, 500);
	get(1, 500);
	memset(room[0], 7, 500);
	get(2, 5000);
	memset(room[2], 8, 5000);
	get(3, 500);
	memset(room[3], 9, 5000);
	assert_ptr_not_equal(slab[2], slab[0]);
	assert_ptr_equal(slab[3], slab[2]);
	assert_int_equal(room[0][499], 7);
	put(1);
	put(0);
	put(2);
	put(3);
	get(0, 1);
	assert_ptr_equal(slab[0], slab[2]);
	put(0);
}

static void
the_largest_fits_into_a_slab(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		get(i, ROOM_MAX);
		memset(room[i], i, ROOM_MAX);
	}
	for (int i = 0; i < 10; i++) {
		assert_int_equal(room[i][ROOM_MAX - 1], i);
		put(i);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rooms_are_packed_and_apart),
		TEST(the_last_one_put_is_the_first_one_got),
		TEST(a_full_slab_is_open_again),
		TEST(empty_slabs_are_given_back),
		TEST(a_larger_size_is_for_all_from_then_on),
		TEST(the_largest_fits_into_a_slab),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
