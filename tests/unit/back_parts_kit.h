/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACK_PARTS_KIT_H
#define TESTS_BACK_PARTS_KIT_H

/* For the tests of results that come in parts, whichever database they are from. */

#include "back_sql_kit.h"

#include "back/sql/rows_draft.h"

/* Ask for a part: the first of sql, or with NULL the next one.  The arena of a has been begun. */
static inline void
kit_part_start(struct kit_lease *l, struct kit_ask *a, const char *sql, const struct value *values, unsigned n)
{
	call_init(&a->call, CALL_SQL, &a->arena, &a->fault);
	a->call.part = sql == NULL ? CALL_GOES_ON : CALL_OPENS;
	a->call.sql = sql;
	a->call.values = values;
	a->call.nvalues = n;
	lease_submit(&l->lease, &a->call);
}

/* Begin a result, and wait for its first part. */
static inline enum weft_rc
kit_part_open(struct kit_lease *l, struct kit_ask *a, const char *sql)
{
	arena_init(&a->arena, NULL, 0, 0);
	kit_part_start(l, a, sql, NULL, 0);
	return call_wait(&a->call, KIT_SOON);
}

/* Wait for the next one, in the memory of that before. */
static inline enum weft_rc
kit_part_next(struct kit_lease *l, struct kit_ask *a)
{
	arena_rewind(&a->arena);
	kit_part_start(l, a, NULL, NULL, 0);
	return call_wait(&a->call, KIT_SOON);
}

/* It must be a part as it should be. */
static inline void
kit_check_part(const struct kit_ask *a)
{
	if (a->call.rc != WEFT_OK)
		print_error("%s %s\n", a->fault.code, a->fault.text);
	assert_int_equal(a->call.rc, WEFT_OK);
	assert_non_null(a->call.rows);
	assert_true(a->call.rows->count > 0 || a->call.last);
	assert_true(a->call.rows->count <= ROWS_PART_ROWS);
}

/* Read to the end; the first column has to be 1, 2, 3 …, and the names are to be there each time.  Returns how many rows there were. */
static inline size_t
kit_part_count(struct kit_lease *l, struct kit_ask *a, const char *name)
{
	size_t count = 0;

	for (;;) {
		kit_check_part(a);
		assert_string_equal(a->call.rows->name[0], name);
		for (size_t i = 0; i < a->call.rows->count; i++)
			assert_int_equal(atoll(rows_cell(a->call.rows, i, 0).at), ++count);
		if (a->call.last)
			break;
		kit_part_next(l, a);
	}
	return count;
}

/* Read until something fails; it must fail so. */
static inline void
kit_part_fails(struct kit_lease *l, struct kit_ask *a, enum weft_rc rc, const char *code)
{
	while (a->call.rc == WEFT_OK && !a->call.last)
		kit_part_next(l, a);
	kit_assert_fault(a, rc, code);
}

/* Run until nothing is owed, nor washed any more; soon. */
static inline void
kit_settle(struct kit *k)
{
	usec late = clock_now() + 5 * USEC_PER_SEC;
	struct pool_stat stat;

	for (pool_stat(k->pool, &stat); stat.busy > 0; pool_stat(k->pool, &stat)) {
		loop_turn(k->loop, 5 * USEC_PER_MSEC);
		assert_true(clock_now() < late);
	}
	assert_int_equal(stat.lent, 0);
}

/* Returns the KiB that this process has in memory. */
static inline long
kit_memory(void)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	long pages = 0;

	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	close(fd);
	sscanf(text, "%*s %ld", &pages);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* It must not have grown by more than so many KiB.  Sanitizers keep what was freed: then it is only told. */
static inline void
kit_check_memory(long before, long most)
{
	long grown = kit_memory() - before;

	print_message("%ld KiB more\n", grown);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(grown < most);
#endif
	(void)most;
}

/* Run a body on a fiber, with a pool of so many connections, of which it makes so many; 0: any number. */
static inline void
kit_part_with_pool(const char *url, unsigned max, unsigned connects, void (*body)(void *arg))
{
	struct pool_stat stat;
	struct kit k;

	kit_open(&k, url, max);
	kit_run(&k, body, &k);
	kit_settle(&k);
	pool_stat(k.pool, &stat);
	if (connects > 0)
		assert_int_equal(stat.connects, connects);
	kit_close(&k);
}

static inline void
kit_part_nap(usec length)
{
	assert_int_equal(fiber_wait(WAIT_SLEEP, clock_now() + length), WEFT_TIMEOUT);
}

/* A million rows, with i from 1 on and a text, take little memory. */
static inline void
kit_part_million(struct kit *k, const char *sql)
{
	struct kit_lease l;
	struct kit_ask a;
	long before = kit_memory();

	kit_lend(k, &l);
	kit_part_open(&l, &a, sql);
	assert_false(a.call.last);
	assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
	/* A part, the client library's buffers, and what they grew by. */
	assert_true(a.arena.total <= 2 * ARENA_BLOCK_MAX);
	kit_check_memory(before, 8192);
	/* It has come to its end: the connection may be used as before. */
	kit_lease_says(&l, "SELECT 7", "7");
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 8", "8");
}

/* 600 rows of i, b, none, t, empty, and 1.5; sql takes how many, and the values of b, none and t. */
static inline void
kit_part_values(struct kit *k, const char *sql)
{
	static const struct value values[] = { KIT_INT(600), KIT_BYTES("a\0b"), KIT_NULL, KIT_TEXT("x") };
	struct kit_lease l;
	struct kit_ask a;
	size_t rows = 0;

	kit_lend(k, &l);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_start(&l, &a, sql, values, 4);
	for (call_wait(&a.call, KIT_SOON);; kit_part_next(&l, &a)) {
		kit_check_part(&a);
		assert_int_equal(a.call.rows->columns, 6);
		assert_string_equal(a.call.rows->name[2], "none");
		for (size_t i = 0; i < a.call.rows->count; i++, rows++) {
			assert_int_equal(rows_cell(a.call.rows, i, 1).len, 3);
			assert_memory_equal(rows_cell(a.call.rows, i, 1).at, "a\0b", 4);
			assert_int_equal(rows_kind(a.call.rows, i, 0), VALUE_INT);
			assert_int_equal(rows_kind(a.call.rows, i, 1), VALUE_BYTES);
			assert_null(rows_cell(a.call.rows, i, 2).at);
			assert_string_equal(rows_cell(a.call.rows, i, 3).at, "x");
			assert_string_equal(rows_cell(a.call.rows, i, 4).at, "");
			assert_string_equal(rows_cell(a.call.rows, i, 5).at, "1.5");
		}
		if (a.call.last)
			break;
	}
	assert_int_equal(rows, 600);
	kit_end(&a);
	kit_give(&l);
}

#endif
