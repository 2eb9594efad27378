/* SPDX-License-Identifier: ISC */

/* Results that come in parts, from a real PostgreSQL. */
#include "back_parts_kit.h"

#include <signal.h>

#include "back_server.h"

#define MANY "SELECT i, 'row ' || i AS text FROM generate_series(1, 1000000) i"

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
	kit_part_with_pool(server.url, 1, 1, million_body);
	kit_part_with_pool(server.tcp_url, 1, 1, million_body);
}

static void
values_body(void *arg)
{
	kit_part_values(arg, "SELECT i, $2::bytea AS b, $3::text AS none, $4::text AS t, '' AS empty, 1.5 AS dec5 FROM generate_series(1, $1::int) i");
}

static void
values_are_what_they_are(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, values_body);
}

static void
other_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE thing (id int, name text)");
	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT id, name FROM thing");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->count, 0);
	assert_string_equal(a.call.rows->name[1], "name");
	kit_end(&a);
	kit_part_open(&l, &a, "INSERT INTO thing SELECT i, 'x' FROM generate_series(1, 1000) i");
	kit_check_part(&a);
	assert_true(a.call.last);
	assert_int_equal(a.call.rows->affected, 1000);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	kit_part_open(&l, &a, "UPDATE thing SET name = 'y' RETURNING id");
	assert_int_equal(kit_part_count(&l, &a, "id"), 1000);
	assert_int_equal(a.call.rows->affected, 1000);
	kit_end(&a);
	kit_part_open(&l, &a, "");
	kit_check_part(&a);
	assert_true(a.call.last);
	kit_end(&a);
	/* There is nothing that could go on. */
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT count(*) FROM thing WHERE name = 'y'", "1000");
	kit_give(&l);
}

static void
what_has_no_rows_ends_at_once(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, other_body);
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
	kit_part_open(&l, &a, "SELECT i, repeat('x', CASE WHEN i % 2 = 0 THEN 1000000 ELSE 1 END) FROM generate_series(1, 200) i");
	for (;; kit_part_next(&l, &a)) {
		kit_check_part(&a);
		rows += a.call.rows->count;
		/* The last of a part may be a large one. */
		assert_true(rows_cell(a.call.rows, 0, 1).len <= 1 || a.call.rows->count == 1);
		if (a.call.last)
			break;
	}
	assert_int_equal(rows, 200);
	kit_check_memory(before, 32768);
	kit_end(&a);
	/* One that is more than it may take. */
	arena_init(&a.arena, NULL, 0, 100000);
	kit_part_start(&l, &a, "SELECT repeat('x', 200000) FROM generate_series(1, 100)", NULL, 0);
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
	kit_part_with_pool(server.url, 1, 1, large_body);
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
	kit_says(k, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'", "1");
	kit_check_memory(before, 1024);
	assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
	kit_end(&a);
	kit_give(&l);
}

static void
who_does_not_ask_holds_the_server_up(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 2, 2, held_up_body);
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
		kit_part_open(&l, &a, MANY);
		for (unsigned n = 1; n < parts[i]; n++)
			kit_part_next(&l, &a);
		kit_check_part(&a);
		kit_end(&a);
		began = clock_now();
		kit_give(&l);
		kit_says(k, "SELECT 11", "11");
		assert_true(clock_now() - began < USEC_PER_SEC);
		kit_lend(k, &l);
		kit_part_open(&l, &a, "SELECT i FROM generate_series(1, 3000) i");
		assert_int_equal(kit_part_count(&l, &a, "i"), 3000);
		kit_end(&a);
		kit_give(&l);
		kit_says(k, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000%' AND pid <> pg_backend_pid()", "0");
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
	kit_part_with_pool(server.url, 1, 1, leave_body);
	kit_part_with_pool(server.tcp_url, 1, 1, leave_body);
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
	kit_part_open(&l, &a, "SELECT i, CASE WHEN i = 30000 THEN pg_sleep(30)::text ELSE 'some more text' END FROM generate_series(1, 40000) i");
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
	/* Before there was any. */
	kit_lend(k, &l);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_start(&l, &a, "SELECT pg_sleep(30)", NULL, 0);
	call_wait(&a.call, clock_now() + 100 * USEC_PER_MSEC);
	kit_assert_fault(&a, WEFT_TIMEOUT, NULL);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 13", "13");
}

static void
a_wait_that_is_given_up_ends_it(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, give_up_body);
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
	kit_assert_fault(&a, WEFT_REFUSED, "42P01");
	kit_end(&a);
	kit_part_open(&l, &a, "COPY thing TO STDOUT");
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_part_open(&l, &a, "SELECT i, 1 / (100000 - i) FROM generate_series(1, 200000) i");
	kit_check_part(&a);
	kit_part_fails(&l, &a, WEFT_REFUSED, "22012");
	kit_end(&a);
	/* Nothing is open any more, and the connection is as good as ever. */
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_INVALID, NULL);
	kit_end(&a);
	kit_lease_says(&l, "SELECT 14", "14");
	kit_lease_do(&l, "SET statement_timeout = '300ms'");
	kit_part_open(&l, &a, "SELECT i, CASE WHEN i = 30000 THEN pg_sleep(30)::text ELSE 'some more text' END FROM generate_series(1, 40000) i");
	kit_part_fails(&l, &a, WEFT_REFUSED, "57014");
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT current_setting('statement_timeout')", "0");
}

static void
a_failure_in_the_middle_is_told(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, fails_body);
}

static void
lost_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_part_open(&l, &a, MANY);
	kit_check_part(&a);
	kit_do(k, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%1000000%'");
	kit_part_fails(&l, &a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	assert_false(lease_is_live(&l.lease));
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_next(&l, &a);
	kit_assert_fault(&a, WEFT_NOT_SENT, NULL);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT 15", "15");
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
	server_stop(SIGQUIT);
	kit_part_fails(&l, &a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	kit_give(&l);
}

static void
a_connection_lost_in_the_middle_is_told(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 2, 0, lost_body);
	kit_part_with_pool(server.url, 1, 0, killed_body);
	server_start();
}

/* ---- in a transaction ---- */

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE mine (id int)");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "INSERT INTO mine SELECT generate_series(1, 5000)");
	kit_part_open(&l, &a, "SELECT id FROM mine ORDER BY id");
	assert_true(lease_in_transaction(&l.lease));
	assert_int_equal(kit_part_count(&l, &a, "id"), 5000);
	assert_true(lease_in_transaction(&l.lease));
	kit_end(&a);
	kit_lease_do(&l, "COMMIT");
	/* What had failed, and what fails. */
	kit_lease_do(&l, "BEGIN");
	kit_lease_fails(&l, "SELECT 1/0", WEFT_REFUSED, "22012");
	kit_part_open(&l, &a, "SELECT id FROM mine ORDER BY id");
	kit_assert_fault(&a, WEFT_REFUSED, "25P02");
	kit_end(&a);
	kit_lease_do(&l, "ROLLBACK");
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "DELETE FROM mine");
	kit_part_open(&l, &a, "SELECT i, 1 / (5000 - i) FROM generate_series(1, 9000) i");
	kit_part_fails(&l, &a, WEFT_REFUSED, "22012");
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "25P02");
	/* One that is left takes the transaction along. */
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "DELETE FROM mine");
	kit_part_open(&l, &a, MANY);
	kit_check_part(&a);
	kit_end(&a);
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM mine", "5000");
}

static void
it_may_be_within_a_transaction(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, transaction_body);
}

/* The driver's own statement, which makes room for another prepared one, is answered before. */
static void
behind_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE shape (a int)");
	kit_do(k, "INSERT INTO shape VALUES (1)");
	kit_says(k, "SELECT * FROM shape", "1");
	kit_do(k, "ALTER TABLE shape ADD COLUMN b int");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_fails(&l, "SELECT * FROM shape", WEFT_REFUSED, "0A000");
	kit_part_open(&l, &a, "SELECT 1");
	kit_assert_fault(&a, WEFT_REFUSED, "25P02");
	kit_end(&a);
	kit_lease_do(&l, "ROLLBACK");
	kit_part_open(&l, &a, MANY);
	assert_int_equal(kit_part_count(&l, &a, "i"), 1000000);
	kit_end(&a);
	kit_give(&l);
}

static void
statements_of_the_drivers_do_not_matter(void **state)
{
	(void)state;
	kit_part_with_pool(server.url, 1, 1, behind_body);
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
	kit_part_open(&l, &a, "SELECT i, repeat('x', 50) FROM generate_series(1, 5000) i");
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
	kit_part_with_pool(server.url, 4, 4, crowd_body);
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
		cmocka_unit_test(a_connection_lost_in_the_middle_is_told),
		cmocka_unit_test(it_may_be_within_a_transaction),
		cmocka_unit_test(statements_of_the_drivers_do_not_matter),
		cmocka_unit_test(many_share_few_connections),
	};

	return server_find() ? cmocka_run_group_tests(tests, server_set_up, server_tear_down) : 1;
}
