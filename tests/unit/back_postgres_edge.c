/* SPDX-License-Identifier: ISC */

/* What happens to a PostgreSQL connection in an order that is rare, against a real server. */
#include "back_sql_kit.h"

#include <dirent.h>
#include <signal.h>

#include "back_server.h"

/* Run a body on a fiber, with a pool of so many connections, of which it makes no more and loses none. */
static void
with_pool(unsigned max, void (*body)(void *arg))
{
	struct kit k;

	kit_open(&k, server.url, max);
	kit_run(&k, body, &k);
	assert_true(kit_stat(&k).connects <= max);
	assert_int_equal(kit_stat(&k).losses, 0);
	kit_close(&k);
}

/* ---- prepared statements ---- */

/* Start a statement that waits for a lock before it is prepared, and leave it; there are two connections. */
static void
leave_before_prepared(struct kit *k, const char *sql)
{
	struct kit_lease other;
	struct kit_ask a;

	kit_lend(k, &other);
	kit_lease_do(&other, "BEGIN");
	kit_lease_do(&other, "LOCK TABLE number");
	kit_start(k, &a, sql, NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 50 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	/* It has been cancelled when something else is answered there. */
	kit_do(k, "SELECT 1");
	kit_lease_do(&other, "ROLLBACK");
	kit_give(&other);
}

static void
unprepared_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l[2];

	kit_do(k, "CREATE TABLE number AS SELECT 7 AS n");
	for (int i = 0; i < 2; i++)
		kit_lend(k, &l[i]);
	for (int i = 0; i < 2; i++)
		kit_give(&l[i]);
	leave_before_prepared(k, "SELECT n FROM number");
	for (int i = 0; i < 2; i++) {
		kit_lend(k, &l[i]);
		kit_lease_do(&l[i], "BEGIN");
		kit_lease_says(&l[i], "SELECT n FROM number", "7");
		kit_lease_do(&l[i], "COMMIT");
	}
	kit_give(&l[0]);
	kit_give(&l[1]);
	kit_do(k, "DROP TABLE number");
}

/* Who comes next, in a transaction, is not told that it was lost. */
static void
what_was_left_before_it_was_prepared_is_prepared_anew(void **state)
{
	(void)state;
	with_pool(2, unprepared_body);
}

static void
failed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	char sql[32];

	kit_lend(k, &l);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 260; i++) {
			snprintf(sql, sizeof sql, "SELECT %d", round * 1000 + i);
			kit_lease_do(&l, sql);
		}
		kit_lease_do(&l, "BEGIN");
		kit_lease_fails(&l, "SELECT 1/0", WEFT_REFUSED, "22012");
		for (int i = 0; i < 100; i++) {
			snprintf(sql, sizeof sql, "SELECT %d", round * 1000 + 500 + i);
			kit_lease_fails(&l, sql, WEFT_REFUSED, "25P02");
		}
		kit_lease_do(&l, "ROLLBACK");
	}
	kit_lease_says(&l, "SELECT count(*) <= 256 FROM pg_prepared_statements", "t");
	kit_give(&l);
}

static void
a_failed_transaction_does_not_fill_the_server(void **state)
{
	(void)state;
	with_pool(1, failed_body);
}

static void
leaving_body(void *arg)
{
	static const char *const sql[] = { "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '25006'; END $$", "SELECT * FROM shape", "SELECT 7" };
	struct kit *k = arg;
	struct kit_ask a[3];

	kit_do(k, "CREATE TABLE shape AS SELECT 1 AS a");
	kit_says(k, "SELECT * FROM shape", "1");
	kit_do(k, "ALTER TABLE shape ADD COLUMN b int DEFAULT 2");
	for (int i = 0; i < 3; i++)
		kit_start(k, &a[i], sql[i], NULL, 0);
	for (int i = 0; i < 3; i++)
		call_wait(&a[i].call, KIT_SOON);
	kit_assert_fault(&a[0], WEFT_REFUSED, "25006");
	kit_assert_row(&a[1], "1", "2");
	kit_assert_row(&a[2], "7");
	for (int i = 0; i < 3; i++)
		kit_end(&a[i]);
	kit_do(k, "DROP TABLE shape");
}

/* It is to be closed as soon as nothing is owed; what is owed is mended like before. */
static void
a_connection_that_is_to_go_mends_lost_preparations(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, leaving_body, &k);
	kit_close(&k);
}

/* ---- procedures ---- */

static void
procedure_body(void *arg)
{
	static const struct value no = KIT_TEXT("f"), yes = KIT_TEXT("t");
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE mark (n int)");
	kit_do(k, "CREATE PROCEDURE fails() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO mark VALUES (1); COMMIT; "
	    "RAISE EXCEPTION 'mine' USING ERRCODE = '26000'; END $$");
	for (int i = 0; i < 3; i++)
		kit_fails(k, "CALL fails()", WEFT_REFUSED, "26000");
	kit_says(k, "SELECT count(*) FROM mark", "3");
	kit_lend(k, &l);
	kit_lease_fails(&l, "CALL fails()", WEFT_REFUSED, "26000");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM mark", "4");
	/* What a borrower has it do is undone, also when others have called it before. */
	kit_do(k, "CREATE PROCEDURE sets(really bool) LANGUAGE plpgsql AS $$ BEGIN IF really THEN SET work_mem = '77MB'; END IF; END $$");
	assert_int_equal(kit_ask_values(k, &a, "CALL sets($1)", &no, 1), WEFT_OK);
	kit_end(&a);
	kit_lend(k, &l);
	kit_lease_start_values(&l, &a, "CALL sets($1)", &yes, 1);
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	kit_lease_says(&l, "SELECT current_setting('work_mem')", "77MB");
	kit_give(&l);
	kit_says(k, "SELECT current_setting('work_mem')", "4MB");
	kit_do(k, "DROP TABLE mark");
}

/* It may have committed when it fails, so whatever it says it is not called again. */
static void
a_procedure_is_called_once(void **state)
{
	(void)state;
	with_pool(1, procedure_body);
}

static void
elsewhere_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	char sql[160];

	kit_do(k, "CREATE EXTENSION dblink");
	kit_lend(k, &l);
	snprintf(sql, sizeof sql, "SELECT dblink_connect('mine', 'host=%s port=%s dbname=postgres user=weft')", server.dir, server.port);
	kit_lease_says(&l, sql, "OK");
	kit_lease_says(&l, "SELECT n FROM dblink('mine', 'SELECT 7') AS t(n int)", "7");
	kit_give(&l);
	kit_ask(k, &a, "SELECT dblink_get_connections()");
	kit_assert_row(&a, NULL);
	kit_end(&a);
	kit_do(k, "DROP EXTENSION dblink");
}

/* No reset undoes that, so it costs the connection. */
static void
what_a_borrower_has_connected_to_is_nobody_elses(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, elsewhere_body, &k);
	assert_int_equal(kit_stat(&k).connects, 2);
	kit_close(&k);
}

/* ---- texts and values ---- */

static void
lines_body(void *arg)
{
	struct kit *k = arg;

	kit_fails(k, "-- a line that ends by a carriage return\rBEGIN", WEFT_INVALID, "");
	kit_says(k, "-- a\r\nSELECT 7 -- b", "7");
}

static void
a_line_may_end_without_a_newline(void **state)
{
	(void)state;
	with_pool(1, lines_body);
}

enum { VALUES = 65535 };

static void
values_body(void *arg)
{
	static struct value v[VALUES + 1];
	static char sql[VALUES * 12 + 64];
	struct kit *k = arg;
	struct kit_ask a;
	size_t len = (size_t)sprintf(sql, "SELECT count(n), sum(n) FROM (VALUES ($1::int)");

	for (int i = 0; i <= VALUES; i++)
		v[i] = KIT_INT(1);
	for (int i = 1; i < VALUES; i++)
		len += (size_t)sprintf(sql + len, ",($%d)", i + 1);
	strcpy(sql + len, ") v(n)");
	v[5] = KIT_NULL;
	kit_ask_values(k, &a, sql, v, VALUES);
	kit_assert_row(&a, "65534", "65534");
	kit_end(&a);
	kit_ask_values(k, &a, sql, v, VALUES + 1);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
}

static void
as_many_values_as_there_may_be_arrive(void **state)
{
	(void)state;
	with_pool(1, values_body);
}

/* ---- little at a time ---- */

static void
notices_body(void *arg)
{
	kit_do(arg, "DO $$ BEGIN FOR i IN 1..6000 LOOP RAISE NOTICE 'little'; PERFORM pg_sleep(0.0001); END LOOP; END $$");
	kit_says(arg, "SELECT 7", "7");
}

/* Thousands of reads, of a few bytes each. */
static void
what_comes_little_by_little_is_not_too_much(void **state)
{
	(void)state;
	with_pool(1, notices_body);
}

/* ---- threads ---- */

static unsigned
threads_count(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
outlived_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a[2];

	for (int i = 0; i < 2; i++)
		kit_start(k, &a[i], "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(kill(server.pid, SIGSTOP), 0);
	for (int i = 0; i < 2; i++) {
		call_abandon(&a[i].call, WEFT_CANCELED);
		kit_end(&a[i]);
	}
	/* It has been accepted by the kernel, and will not be answered. */
	assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), WEFT_OK);
	pool_close(&k->pool);
}

/* Who asks a server to cancel something waits for it on a thread, for as long as it takes; neither the pool nor the loop do. */
static void
a_cancel_may_outlive_the_loop(void **state)
{
	usec began, late = clock_now() + 20 * USEC_PER_SEC;
	unsigned before = threads_count();
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 2);
	kit_run(&k, outlived_body, &k);
	began = clock_now();
	loop_free(&k.loop);
	assert_true(clock_now() - began < 2 * USEC_PER_SEC);
	assert_true(threads_count() > before);
	assert_int_equal(kill(server.pid, SIGCONT), 0);
	while (threads_count() > before) {
		assert_true(clock_now() < late);
		kit_nap();
	}
}

/* ---- hosts ---- */

/* Nobody can be connected to there, and that is known at once: the next one's name is looked up before the number's look-up has returned. */
static void
a_pool_may_close_while_a_name_behind_a_number_is_looked_up(void **state)
{
	struct call call;
	char url[128];
	struct kit k;

	(void)state;
	snprintf(url, sizeof url, "postgresql://weft@255.255.255.255:1,localhost:%s/postgres", server.port);
	kit_open(&k, url, 1);
	call_init(&call, CALL_SQL, NULL, NULL);
	call.sql = "SELECT 1";
	pool_submit(k.pool, &call);
	pool_close(&k.pool);
	assert_int_equal(call.state, CALL_DONE);
	/* For the look-up to end, which nobody waits for any more. */
	for (int i = 0; i < 10; i++)
		loop_turn(k.loop, 10 * USEC_PER_MSEC);
	loop_free(&k.loop);
}

static void
refused_body(void *arg)
{
	kit_fails(arg, "SELECT 1", WEFT_DOWN, NULL);
}

/* All of them at once, twice, and not on the stack of who asks. */
static void
sixteen_hosts_may_refuse(void **state)
{
	char url[512] = "postgresql://weft@255.255.255.255:1";
	struct kit k;

	(void)state;
	for (int i = 1; i < 16; i++)
		strcat(url, ",255.255.255.255:1");
	strcat(url, "/postgres?target_session_attrs=prefer-standby");
	kit_open(&k, url, 1);
	kit_run(&k, refused_body, &k);
	kit_close(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_left_before_it_was_prepared_is_prepared_anew),
		cmocka_unit_test(a_failed_transaction_does_not_fill_the_server),
		cmocka_unit_test(a_connection_that_is_to_go_mends_lost_preparations),
		cmocka_unit_test(a_procedure_is_called_once),
		cmocka_unit_test(what_a_borrower_has_connected_to_is_nobody_elses),
		cmocka_unit_test(a_line_may_end_without_a_newline),
		cmocka_unit_test(as_many_values_as_there_may_be_arrive),
		cmocka_unit_test(what_comes_little_by_little_is_not_too_much),
		cmocka_unit_test(a_cancel_may_outlive_the_loop),
		cmocka_unit_test(a_pool_may_close_while_a_name_behind_a_number_is_looked_up),
		cmocka_unit_test(sixteen_hosts_may_refuse),
	};

	if (!server_find())
		return 1;
	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
