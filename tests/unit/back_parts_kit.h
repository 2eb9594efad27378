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

#endif
