/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "loop/chunk.h"

static char pattern[200000];

/* Take everything out of the queue, piece bytes at a time, and compare with the pattern. */
static void
expect_pattern(struct chunkq *q, struct chunk_pool *p, size_t piece)
{
	size_t seen = 0;

	while (q->len > 0) {
		struct iovec iov;
		size_t n;

		assert_int_equal(chunkq_iov(q, &iov, 1), 1);
		n = iov.iov_len < piece ? iov.iov_len : piece;
		assert_memory_equal(iov.iov_base, pattern + seen, n);
		chunkq_consume(q, p, n);
		seen += n;
	}
	assert_true(TAILQ_EMPTY(&q->chunks));
}

static void
chunkq_keeps_order_over_all_sizes(void **state)
{
	static const size_t sizes[] = { 1, 100, CHUNK_SMALL - 1, CHUNK_SMALL, CHUNK_SMALL + 1, CHUNK_LARGE, CHUNK_LARGE + 1, 199999 };
	struct chunk_pool pool;
	struct chunkq q;

	chunk_pool_init(&pool);
	chunkq_init(&q);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_int_equal(chunkq_add(&q, &pool, (struct span){ pattern, 1 }), 0);
		assert_int_equal(chunkq_add(&q, &pool, (struct span){ pattern + 1, sizes[i] - 1 }), 0);
		assert_int_equal(q.len, sizes[i]);
		expect_pattern(&q, &pool, 777);
	}
	chunk_pool_fini(&pool);
}

static void
chunkq_reserves_in_one_piece(void **state)
{
	struct chunk_pool pool;
	struct iovec iov[8];
	struct chunkq q;
	char *to;

	chunk_pool_init(&pool);
	chunkq_init(&q);
	chunkq_add(&q, &pool, (struct span){ pattern, 10 });
	to = chunkq_reserve(&q, &pool, CHUNK_LARGE);
	assert_non_null(to);
	memcpy(to, pattern + 10, CHUNK_LARGE);
	chunkq_commit(&q, CHUNK_LARGE);
	to = chunkq_reserve(&q, &pool, 100);
	assert_non_null(to);
	memcpy(to, pattern + 10 + CHUNK_LARGE, 50);
	chunkq_commit(&q, 50);
	assert_int_equal(chunkq_iov(&q, iov, 8), 3);
	assert_int_equal(iov[1].iov_len, CHUNK_LARGE);
	assert_int_equal(chunkq_iov(&q, iov, 2), 2);
	expect_pattern(&q, &pool, SIZE_MAX);

	/* Reserved, and nothing came of it. */
	assert_non_null(chunkq_reserve(&q, &pool, 5));
	chunkq_commit(&q, 0);
	assert_int_equal(chunkq_iov(&q, iov, 8), 0);
	chunkq_clear(&q, &pool);
	chunk_pool_fini(&pool);
}

static void
chunk_pool_keeps_a_bounded_number(void **state)
{
	struct chunk *some[100], *again;
	struct chunk_pool pool;

	chunk_pool_init(&pool);
	for (int i = 0; i < 100; i++)
		some[i] = chunk_get(&pool, 1);
	for (int i = 99; i >= 0; i--) {
		chunk_put(&pool, &some[i]);
		assert_null(some[i]);
	}
	assert_int_equal(pool.count[0], 64);
	some[0] = chunk_get(&pool, CHUNK_SMALL);
	assert_int_equal(pool.count[0], 63);
	chunk_put(&pool, &some[0]);
	again = chunk_get(&pool, CHUNK_LARGE + 1);
	assert_int_equal(again->size, CHUNK_LARGE + 1);
	chunk_put(&pool, &again);
	assert_int_equal(pool.count[1], 0);
	chunk_put(&pool, &again);
	chunk_pool_fini(&pool);
}

/* A burst of large responses does not stay with the process. */
static void
large_chunks_go_back_to_the_kernel(void **state)
{
	enum { BURST = 40, KEPT = 32 };
	struct chunk_pool pool;
	struct chunk *c[BURST];
	void *at[BURST];
	unsigned char in_core;
	int gone = 0;

	chunk_pool_init(&pool);
	for (int i = 0; i < BURST; i++)
		at[i] = c[i] = chunk_get(&pool, CHUNK_LARGE);
	for (int i = 0; i < BURST; i++) {
		assert_non_null(c[i]);
		memset(c[i]->data, 'x', c[i]->size);
		chunk_put(&pool, &c[i]);
	}
	for (int i = 0; i < BURST; i++)
		gone += mincore(at[i], 1, &in_core) != 0 && errno == ENOMEM;
	assert_int_equal(gone, BURST - KEPT);
	chunk_pool_fini(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunkq_keeps_order_over_all_sizes),
		cmocka_unit_test(chunkq_reserves_in_one_piece),
		cmocka_unit_test(chunk_pool_keeps_a_bounded_number),
		cmocka_unit_test(large_chunks_go_back_to_the_kernel),
	};

	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (char)(i * 31 + i / 251);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
