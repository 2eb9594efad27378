/* SPDX-License-Identifier: ISC */

/* Results that come in parts, from a real MariaDB. */
#include "back_parts_kit.h"

#include <signal.h>

#include "back_maria.h"

#define MANY "SELECT seq AS i, CONCAT('row ', seq) AS text FROM seq_1_to_1000000"

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
	kit_part_with_pool(maria.url, 1, 1, million_body);
	kit_part_with_pool(maria.tcp_url, 1, 1, million_body);
}

static void
values_body(void *arg)
{
	kit_part_values(arg, "SELECT seq AS i, $2 AS b, $3 AS none, $4 AS t, '' AS empty, 1.5 AS dec5 FROM seq_1_to_1000 WHERE seq <= $1");
}

static void
values_are_what_they_are(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, values_body);
}

static void
other_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE thing (id int PRIMARY KEY, name text)");
	kit_do(k, "CREATE PROCEDURE twice() BEGIN SELECT seq AS i FROM seq_1_to_3000; SELECT seq AS j FROM seq_1_to_5000; END");
	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT id, name FROM thing");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->count, 0);
	assert_string_equal(a.call.rows->name[1], "name");
	kit_end(&a);
	kit_part_open(&l, &a, "INSERT INTO thing SELECT seq, 'x' FROM seq_1_to_1000");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->affected, 1000);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	kit_part_open(&l, &a, "INSERT INTO thing SELECT seq + 1000, 'x' FROM seq_1_to_1000 RETURNING id - 1000 AS id");
	assert_int_equal(kit_part_count(&l, &a, "id"), 1000);
	assert_int_equal(a.call.rows->affected, 1000);
	kit_end(&a);
	/* The first result counts. */
	kit_part_open(&l, &a, "CALL twice()");
	assert_int_equal(kit_part_count(&l, &a, "i"), 3000);
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT count(*) FROM thing", "2000");
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
	kit_part_with_pool(maria.url, 1, 1, other_body);
}

static void
large_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	long before = kit_memory();
	size_t rows = 0;

	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT seq, REPEAT('x', IF(seq % 2 = 0, 1000000, 1)) FROM seq_1_to_200");
	for (;; kit_part_next(&l, &a)) {
		kit_check_part(&a);
		rows += a.call.rows->count;
		if (a.call.last)
			break;
	}
	/* More than a whole result may have. */
	assert_int_equal(rows, 200);
	kit_check_memory(before, 32768);
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 100000);
	kit_part_start(&l, &a, "SELECT REPEAT('x', 200000) FROM seq_1_to_100", NULL, 0);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, NULL);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 9", "9");
}

static void
large_rows_come_one_by_one(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, large_body);
}

/* ---- not all of it ---- */

static void
held_up_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	long before;

	kit_lend(k, &l);
	kit_part_open(&l, &a, MANY);
	kit_check_part(&a);
	before = kit_memory();
	for (int i = 0; i < 20; i++) {
		kit_part_nap(20 * USEC_PER_MSEC);
		kit_says(k, "SELECT 5", "5");
	}
	/* The server waits until somebody reads; nothing of it gathers here. */
	kit_says(k, "SELECT count(*) FROM information_schema.processlist WHERE state IN ('Writing to net', 'Sending data')"
	    " AND info LIKE '%1000000%' AND id <> CONNECTION_ID()", "1");
	kit_check_memory(before, 1024);
	assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
	kit_end(&a);
	kit_give(&l);
}

static void
who_does_not_ask_holds_the_server_up(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 2, 2, held_up_body);
}

/* After so many parts; the next one, who shares the connection, and the next who borrows it, get what they asked for. */
static void
leave_body(void *arg)
{
	static const unsigned parts[] = { 1, 2, 3, 10, 100, 1000 };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		usec began;

		kit_lend(k, &l);
		if (i % 2 == 0) {
			kit_lease_do(&l, pool_begin_sql(k->pool));
			kit_lease_do(&l, "DELETE FROM thing");
		}
		kit_part_open(&l, &a, MANY);
		for (unsigned n = 1; n < parts[i]; n++)
			kit_part_next(&l, &a);
		kit_check_part(&a);
		kit_end(&a);
		began = clock_now();
		kit_give(&l);
		kit_says(k, "SELECT 11", "11");
		assert_true(clock_now() - began < USEC_PER_SEC);
		kit_says(k, "SELECT count(*) FROM thing", "2000");
		kit_lend(k, &l);
		kit_part_open(&l, &a, "SELECT seq AS i FROM seq_1_to_3000");
		assert_int_equal(kit_part_count(&l, &a, "i"), 3000);
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
what_is_left_is_cancelled(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, leave_body);
	kit_part_with_pool(maria.tcp_url, 1, 1, leave_body);
}

/* Rows, and then a long wait for the next: the wait is given up. */
static void
give_up_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	usec began;

	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT seq, IF(seq = 30000, SLEEP(30), 'some more text') FROM seq_1_to_40000");
	began = clock_now();
	while (a.call.rc == WEFT_OK) {
		kit_check_part(&a);
		arena_rewind(&a.arena);
		kit_part_start(&l, &a, NULL, NULL, 0);
		call_wait(&a.call, clock_now() + 300 * USEC_PER_MSEC);
	}
	kit_assert_fault(&a, WEFT_TIMEOUT, NULL);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 12", "12");
	assert_true(clock_now() - began < 5 * USEC_PER_SEC);
	/* Asked for and given up in one turn. */
	kit_lend(k, &l);
	kit_part_open(&l, &a, MANY);
	arena_rewind(&a.arena);
	kit_part_start(&l, &a, NULL, NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 13", "13");
}

static void
a_wait_that_is_given_up_ends_it(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, give_up_body);
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
	kit_assert_fault(&a, WEFT_REFUSED, "1146");
	kit_end(&a);
	/* The subquery has more than one row, for this one of the rows alone. */
	kit_part_open(&l, &a, "SELECT o.seq, (SELECT i.seq FROM seq_1_to_2 i WHERE o.seq = 100000 OR i.seq = 1) FROM seq_1_to_200000 o");
	kit_check_part(&a);
	kit_part_fails(&l, &a, WEFT_REFUSED, "1242");
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT 14", "14");
	kit_give(&l);
	kit_says(k, "SELECT 15", "15");
}

static void
a_failure_in_the_middle_is_told(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, fails_body);
}

static void
killed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_part_open(&l, &a, MANY);
	kit_check_part(&a);
	maria_stop(SIGKILL);
	kit_part_fails(&l, &a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	assert_false(lease_is_live(&l.lease));
	kit_give(&l);
}

static void
a_connection_lost_in_the_middle_is_told(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 0, killed_body);
	maria_start();
}

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_lease_do(&l, pool_begin_sql(k->pool));
	kit_lease_do(&l, "INSERT INTO thing SELECT seq + 2000, 'z' FROM seq_1_to_3000");
	kit_part_open(&l, &a, "SELECT id FROM thing ORDER BY id");
	assert_true(lease_in_transaction(&l.lease));
	assert_int_equal(kit_part_count(&l, &a, "id"), 5000);
	assert_true(lease_in_transaction(&l.lease));
	kit_end(&a);
	/* One that fails is the statement's own failure. */
	kit_part_open(&l, &a, "SELECT o.seq, (SELECT i.seq FROM seq_1_to_2 i WHERE o.seq = 100000 OR i.seq = 1) FROM seq_1_to_200000 o");
	kit_part_fails(&l, &a, WEFT_REFUSED, "1242");
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM thing", "5000");
}

static void
it_may_be_within_a_transaction(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, transaction_body);
}

/* ---- many at once ---- */

static struct {
	struct kit *k;
	unsigned whole, left;
} crowd;

static void
crowd_one(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(crowd.k, &l);
	kit_part_open(&l, &a, "SELECT seq AS i, REPEAT('x', 50) FROM seq_1_to_5000");
	if (me % 3 == 0) {
		kit_check_part(&a);
		crowd.left++;
	} else {
		assert_int_equal(kit_part_count(&l, &a, "i"), 5000);
		crowd.whole++;
	}
	kit_end(&a);
	kit_give(&l);
	kit_says(crowd.k, "SELECT 16", "16");
}

static void
crowd_body(void *arg)
{
	crowd.k = arg;
	for (uintptr_t i = 0; i < 60; i++)
		kit_spawn(crowd_one, (void *)i);
}

static void
many_share_few_connections(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 4, 4, crowd_body);
	assert_int_equal(crowd.whole, 40);
	assert_int_equal(crowd.left, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_rows_need_little_memory),
		cmocka_unit_test(values_are_what_they_are),
		cmocka_unit_test(what_has_no_rows_ends_at_once),
		cmocka_unit_test(large_rows_come_one_by_one),
		cmocka_unit_test(who_does_not_ask_holds_the_server_up),
		cmocka_unit_test(what_is_left_is_cancelled),
		cmocka_unit_test(a_wait_that_is_given_up_ends_it),
		cmocka_unit_test(a_failure_in_the_middle_is_told),
		cmocka_unit_test(it_may_be_within_a_transaction),
		cmocka_unit_test(many_share_few_connections),
		cmocka_unit_test(a_connection_lost_in_the_middle_is_told),
	};

	return maria_find() ? cmocka_run_group_tests(tests, maria_set_up, maria_tear_down) : 1;
}
