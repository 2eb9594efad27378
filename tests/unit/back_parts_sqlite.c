/* SPDX-License-Identifier: ISC */

/* Results that come in parts, from real SQLite files, in a folder of the test's own. */
#include "back_parts_kit.h"

#include <unistd.h>

#define SERIES(n) "WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < " n ") "
#define MANY SERIES("1000000") "SELECT i, 'row ' || i AS text FROM g"

static char dir[64], url[96];

static void
with_pool(unsigned max, void (*body)(void *arg))
{
	struct pool_stat stat;
	struct kit k;

	kit_open(&k, url, max);
	kit_run(&k, body, &k);
	kit_settle(&k);
	pool_stat(k.pool, &stat);
	assert_true(stat.connects <= max);
	kit_close(&k);
}

static void
tables_body(void *arg)
{
	kit_do(arg, "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)");
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-parts-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
	with_pool(1, tables_body);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return kit_remove_dir(dir);
}

/* ---- all of it ---- */

static void
million_body(void *arg)
{
	kit_part_million(arg, MANY);
}

static void
a_million_rows_need_little_memory(void **state)
{
	(void)state;
	with_pool(1, million_body);
}

static void
values_body(void *arg)
{
	kit_part_values(arg, "WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < $1)"
	    " SELECT i, $2 AS b, $3 AS none, $4 AS t, '' AS empty, 1.5 AS real FROM g");
}

static void
values_are_what_they_are(void **state)
{
	(void)state;
	with_pool(1, values_body);
}

static void
other_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT id, name FROM thing");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->count, 0);
	assert_string_equal(a.call.rows->name[1], "name");
	kit_end(&a);
	kit_part_open(&l, &a, "INSERT INTO thing " SERIES("1000") "SELECT i, 'x' FROM g");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->affected, 1000);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	kit_part_open(&l, &a, "UPDATE thing SET name = 'y' RETURNING id");
	assert_int_equal(kit_part_count(&l, &a, "id"), 1000);
	assert_int_equal(a.call.rows->affected, 1000);
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT count(*) FROM thing WHERE name = 'y'", "1000");
	/* Nothing else is asked in between. */
	kit_part_open(&l, &a, MANY);
	kit_lease_fails(&l, "SELECT 1", WEFT_INVALID, NULL);
	assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
	kit_end(&a);
	kit_give(&l);
}

static void
what_has_no_rows_ends_at_once(void **state)
{
	(void)state;
	with_pool(1, other_body);
}

/* What takes its time comes as soon as there is a row. */
static void
slow_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	unsigned parts = 1;

	kit_lend(k, &l);
	for (kit_part_open(&l, &a, SERIES("10") "SELECT i, pg_sleep(0.03) FROM g"); !a.call.last; parts++)
		kit_part_next(&l, &a);
	kit_check_part(&a);
	assert_true(parts >= 10);
	kit_end(&a);
	kit_give(&l);
}

static void
slow_rows_are_not_waited_for(void **state)
{
	(void)state;
	with_pool(1, slow_body);
}

/* ---- not all of it ---- */

static void
leave_body(void *arg)
{
	static const unsigned parts[] = { 1, 2, 3, 10, 100, 1000 };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		kit_lend(k, &l);
		/* The one is kept prepared, the other is not. */
		if (i % 2 == 0) {
			kit_part_open(&l, &a, MANY);
		} else {
			kit_lease_do(&l, pool_begin_sql(k->pool));
			kit_lease_do(&l, "DELETE FROM thing");
			kit_part_open(&l, &a, MANY);
		}
		for (unsigned n = 1; n < parts[i]; n++)
			kit_part_next(&l, &a);
		kit_check_part(&a);
		kit_end(&a);
		kit_give(&l);
		kit_says(k, "SELECT 11", "11");
		kit_says(k, "SELECT count(*) FROM thing", "1000");
		kit_lend(k, &l);
		kit_part_open(&l, &a, MANY);
		assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
		kit_end(&a);
		kit_give(&l);
	}
	/* The pool closes with one half done. */
	kit_lend(k, &l);
	kit_part_open(&l, &a, MANY);
	kit_end(&a);
	lease_drop(&l.lease);
}

static void
what_is_left_is_ended(void **state)
{
	(void)state;
	with_pool(1, leave_body);
}

/* The wait is given up, or comes to an end at that very moment. */
static void
give_up_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	int late = 0;

	for (int i = 0; i < 40; i++) {
		kit_lend(k, &l);
		kit_part_open(&l, &a, SERIES("100000") "SELECT i, CASE WHEN i > 300 THEN pg_sleep(0.02) END FROM g");
		for (int n = 0; n < 4 && a.call.rc == WEFT_OK; n++) {
			arena_rewind(&a.arena);
			kit_part_start(&l, &a, NULL, NULL, 0);
			call_wait(&a.call, clock_now() + (15 + i % 10) * USEC_PER_MSEC);
		}
		late += a.call.rc == WEFT_TIMEOUT;
		kit_end(&a);
		kit_give(&l);
		kit_says(k, "SELECT 12", "12");
	}
	assert_true(late > 0);
}

static void
a_wait_that_is_given_up_ends_it(void **state)
{
	(void)state;
	with_pool(1, give_up_body);
}

/* ---- what goes wrong ---- */

static void
fails_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT nothing FROM nowhere");
	kit_assert_fault(&a, WEFT_REFUSED, "SQLITE_ERROR");
	kit_end(&a);
	kit_part_open(&l, &a, "");
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_part_open(&l, &a, SERIES("200000") "SELECT i, CASE WHEN i = 100000 THEN json('no json') END FROM g");
	kit_check_part(&a);
	kit_part_fails(&l, &a, WEFT_REFUSED, "SQLITE_ERROR");
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT 14", "14");
	arena_init(&a.arena, NULL, 0, 100000);
	kit_part_start(&l, &a, SERIES("100") "SELECT hex(zeroblob(100000)) FROM g", NULL, 0);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, NULL);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 15", "15");
}

static void
a_failure_in_the_middle_is_told(void **state)
{
	(void)state;
	with_pool(1, fails_body);
}

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_lease_do(&l, pool_begin_sql(k->pool));
	kit_lease_do(&l, "INSERT INTO thing " SERIES("4000") "SELECT i + 1000, 'z' FROM g");
	kit_part_open(&l, &a, "SELECT id FROM thing ORDER BY id");
	assert_true(lease_in_transaction(&l.lease));
	assert_int_equal(kit_part_count(&l, &a, "id"), 5000);
	assert_true(lease_in_transaction(&l.lease));
	kit_end(&a);
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM thing", "5000");
}

static void
it_may_be_within_a_transaction(void **state)
{
	(void)state;
	with_pool(1, transaction_body);
}

/* Rows are those that there were at the beginning, whatever others do meanwhile. */
static void
meanwhile_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT id FROM thing ORDER BY id");
	kit_check_part(&a);
	kit_do(k, "DELETE FROM thing");
	assert_int_equal(kit_part_count(&l, &a, "id"), 5000);
	kit_end(&a);
	kit_lease_says(&l, "SELECT count(*) FROM thing", "0");
	kit_give(&l);
}

static void
others_may_write_meanwhile(void **state)
{
	(void)state;
	with_pool(2, meanwhile_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_rows_need_little_memory),
		cmocka_unit_test(values_are_what_they_are),
		cmocka_unit_test(what_has_no_rows_ends_at_once),
		cmocka_unit_test(slow_rows_are_not_waited_for),
		cmocka_unit_test(what_is_left_is_ended),
		cmocka_unit_test(a_wait_that_is_given_up_ends_it),
		cmocka_unit_test(a_failure_in_the_middle_is_told),
		cmocka_unit_test(it_may_be_within_a_transaction),
		cmocka_unit_test(others_may_write_meanwhile),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
