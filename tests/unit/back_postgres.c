/* SPDX-License-Identifier: ISC */

/* Against a real PostgreSQL. */
#include "back_parts_kit.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "back_cut.h"
#include "back_server.h"

/* ---- values and rows ---- */

static void
values_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	const struct value all[] = { KIT_INT(-42), KIT_REAL(0.1), KIT_TEXT("gr\xc3\xbc\xc3\x9f dich"), KIT_NULL,
		KIT_BYTES("\0\1\xff\\x"), KIT_TEXT("") };
	struct span bytes;

	kit_ask_values(k, &a, "SELECT $1::int4, $2::float8, $3::text, $4::int8, $5 AS b, $6::text", all, 6);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_equal(a.call.rows->name[4], "b");
	bytes = rows_cell(a.call.rows, 0, 4);
	assert_int_equal(bytes.len, 5);
	assert_memory_equal(bytes.at, "\0\1\xff\\x", 6);
	assert_null(rows_cell(a.call.rows, 0, 3).at);
	assert_string_equal(rows_cell(a.call.rows, 0, 0).at, "-42");
	assert_string_equal(rows_cell(a.call.rows, 0, 1).at, "0.1");
	assert_string_equal(rows_cell(a.call.rows, 0, 2).at, "gr\xc3\xbc\xc3\x9f dich");
	assert_non_null(rows_cell(a.call.rows, 0, 5).at);
	assert_int_equal(rows_cell(a.call.rows, 0, 5).len, 0);
	kit_end(&a);

	kit_do(k, "CREATE TABLE item (id int4 PRIMARY KEY, big int8, name text, data bytea)");
	kit_ask_values(k, &a, "INSERT INTO item VALUES ($1, $2, $3, $4)",
	    (const struct value[]){ KIT_INT(7), KIT_INT(8), KIT_TEXT("x"), KIT_BYTES("ab") }, 4);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->affected, 1);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	/* The same text, other kinds: integers, texts and bytes where the server expects its own types. */
	kit_ask_values(k, &a, "SELECT name, data FROM item WHERE id = $1 AND data = $2",
	    (const struct value[]){ KIT_TEXT("7"), KIT_BYTES("ab") }, 2);
	kit_assert_row(&a, "x", "ab");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT name, data FROM item WHERE id = $1 AND data = $2",
	    (const struct value[]){ KIT_INT(7), KIT_TEXT("ab") }, 2);
	kit_assert_row(&a, "x", "ab");
	kit_end(&a);
	kit_ask(k, &a, "SELECT '\\x00ff41'::bytea, true, NULL");
	assert_int_equal(rows_cell(a.call.rows, 0, 0).len, 3);
	assert_memory_equal(rows_cell(a.call.rows, 0, 0).at, "\0\xff" "A", 4);
	assert_string_equal(rows_cell(a.call.rows, 0, 1).at, "t");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT $1::text", (const struct value[]){ { .kind = VALUE_TEXT, .as.bytes = { "a\0b", 3 } } }, 1);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
}

/* $1 to $100: the 70th is text, then bytes, in statements of the same text. */
static void
many_values_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	struct value all[100];
	char sql[1200] = "SELECT $70 AS b, ''";
	size_t len = strlen(sql);

	for (int i = 0; i < 100; i++) {
		all[i] = KIT_INT(i);
		if (i != 69)
			len += (size_t)snprintf(sql + len, sizeof sql - len, " || $%d::int", i + 1);
	}
	for (int i = 0; i < 4; i++) {
		all[69] = i % 2 == 0 ? KIT_TEXT("\\xff") : KIT_BYTES("\xff");
		kit_ask_values(k, &a, sql, all, 100);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_string_equal(rows_cell(a.call.rows, 0, 0).at, i % 2 == 0 ? "\\xff" : "\xff");
		assert_memory_equal(rows_cell(a.call.rows, 0, 1).at, "012345", 6);
		kit_end(&a);
	}
}

static void
many_values_arrive(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, many_values_body, &k);
	kit_close(&k);
}

static void
values_of_each_kind_arrive(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 2);
	kit_run(&k, values_body, &k);
	kit_close(&k);
}

static void
sizes_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	static char big[3000000];
	struct value v = { .kind = VALUE_TEXT, .as.bytes = { big, sizeof big } };

	kit_ask(k, &a, "SELECT 1 WHERE false");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 0);
	assert_int_equal(a.call.rows->columns, 1);
	kit_end(&a);
	kit_ask(k, &a, "SELECT i, 'row ' || i FROM generate_series(0, 9999) i");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 10000);
	for (size_t i = 0; i < 10000; i++) {
		char want[32];

		snprintf(want, sizeof want, "row %zu", i);
		assert_string_equal(rows_cell(a.call.rows, i, 1).at, want);
	}
	kit_end(&a);
	/* More than the kernel takes at once, both ways. */
	memset(big, 'x', sizeof big);
	kit_ask_values(k, &a, "SELECT length($1), $1", &v, 1);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_equal(rows_cell(a.call.rows, 0, 0).at, "3000000");
	assert_int_equal(rows_cell(a.call.rows, 0, 1).len, sizeof big);
	kit_end(&a);
	/* No room in the asker's memory: its own failure. */
	arena_init(&a.arena, NULL, 0, 65536);
	call_init(&a.call, CALL_SQL, &a.arena, &a.fault);
	a.call.sql = "SELECT i FROM generate_series(0, 9999) i";
	pool_submit(k->pool, &a.call);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, "");
	kit_end(&a);
}

static void
results_of_each_size_arrive(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, sizes_body, &k);
	kit_close(&k);
}

static void
endless_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)");
	kit_assert_fault(&a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	kit_do(k, "SELECT 1");
}

/* It takes its connection with it, not all memory. */
static void
a_result_that_does_not_end_is_left(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, endless_body, &k);
	kit_close(&k);
}

/* ---- pipelines ---- */

static void
errors_body(void *arg)
{
	struct kit *k = arg;
	static const char *const sql[] = { "SELECT 1", "SELECT 1/0", "SELEKT", "INSERT INTO child VALUES (1)",
		"INSERT INTO one VALUES (1)", "SELECT count(*) FROM one", "SELECT * FROM nowhere", "SELECT 8" };
	static const char *const code[] = { NULL, "22012", "42601", "23503", "23505", NULL, "42P01", NULL };
	struct kit_ask a[8];

	kit_do(k, "CREATE TABLE one (id int PRIMARY KEY)");
	kit_do(k, "INSERT INTO one VALUES (1)");
	/* Fails at its sync, after the statement itself went well. */
	kit_do(k, "CREATE TABLE child (id int REFERENCES child2 DEFERRABLE INITIALLY DEFERRED)");
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8; i++)
			kit_start(k, &a[i], sql[i], NULL, 0);
		for (unsigned i = 0; i < 8; i++) {
			call_wait(&a[i].call, KIT_SOON);
			if (code[i] != NULL)
				kit_assert_fault(&a[i], WEFT_REFUSED, code[i]);
			else
				assert_int_equal(a[i].call.rc, WEFT_OK);
			kit_end(&a[i]);
		}
	}
	kit_ask(k, &a[0], "SELECT count(*) FROM child");
	kit_assert_row(&a[0], "0");
	kit_end(&a[0]);
}

static void
errors_first_body(void *arg)
{
	kit_do(arg, "CREATE TABLE child2 (id int PRIMARY KEY)");
	errors_body(arg);
}

static void
an_error_is_its_statements_own(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, errors_first_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 1);
	kit_close(&k);
}

enum { TOKENS = 500 };

static void
tokens_body(void *arg)
{
	static struct kit_ask a[TOKENS];
	static struct value v[TOKENS][2];
	struct kit *k = arg;
	char want[24];

	kit_do(k, "SELECT 1");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < TOKENS; i++) {
			v[i][0] = KIT_INT(i * 7919 + round);
			v[i][1] = KIT_TEXT("t");
			kit_start(k, &a[i], i % 2 ? "SELECT $1::int8, $2::text" : "SELECT $1::int4, $2::text || ''", v[i], 2);
		}
		for (int i = 0; i < TOKENS; i++) {
			call_wait(&a[i].call, KIT_SOON);
			snprintf(want, sizeof want, "%d", i * 7919 + round);
			kit_assert_row(&a[i], want, "t");
			kit_end(&a[i]);
		}
	}
}

static void
each_gets_its_own_answer(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 4);
	kit_run(&k, tokens_body, &k);
	pool_stat(k.pool, &stat);
	assert_true(stat.connects <= 4);
	kit_close(&k);
}

enum { LARGE = 100 * 1024, LARGES = 40 };

/* More in one turn than the kernel takes at once: the rest goes when it can, while answers come. */
static void
large_body(void *arg)
{
	static struct kit_ask a[LARGES];
	static struct value v[LARGES];
	static char text[LARGES][LARGE];
	struct kit *k = arg;

	kit_do(k, "SELECT 1");
	for (int i = 0; i < LARGES; i++) {
		memset(text[i], 'a' + i % 26, LARGE);
		v[i] = (struct value){ .kind = VALUE_TEXT, .as.bytes = { text[i], LARGE } };
		kit_start(k, &a[i], "SELECT $1::text", &v[i], 1);
	}
	for (int i = 0; i < LARGES; i++) {
		assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
		assert_true(span_equal(rows_cell(a[i].call.rows, 0, 0), v[i].as.bytes));
		kit_end(&a[i]);
	}
}

static void
what_the_kernel_does_not_take_at_once_arrives(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, large_body, &k);
	kit_close(&k);
}

static void
shared_body(void *arg)
{
	static const char *const bad[] = { "BEGIN", "start transaction", "COMMIT", " rollback", "SAVEPOINT a", "LISTEN x",
		"/* a */ SET x.y = 1", "COPY item TO STDOUT", "PREPARE a AS SELECT 1", "DECLARE c CURSOR FOR SELECT 1",
		"LOCK item", "create temporary table t (id int)", "; BEGIN", "END", "DISCARD ALL" };
	struct kit *k = arg;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		kit_ask(k, &a, bad[i]);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
	kit_ask(k, &a, "SELECT 1; SELECT 2");
	kit_assert_fault(&a, WEFT_REFUSED, "42601");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT $1::int, $2::int", (const struct value[]){ KIT_INT(1) }, 1);
	kit_assert_fault(&a, WEFT_REFUSED, "08P01");
	kit_end(&a);
	kit_ask(k, &a, "");
	assert_int_equal(a.call.rc, WEFT_OK);
	kit_end(&a);
	kit_do(k, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
}

static void
what_changes_a_shared_connection_is_refused(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, shared_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 1);
	kit_close(&k);
}

/* ---- prepared statements ---- */

static void
prepared_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b[3];
	char sql[64], want[16];

	kit_do(k, "CREATE TABLE shape (a int)");
	kit_do(k, "INSERT INTO shape VALUES (1)");
	kit_ask(k, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_do(k, "ALTER TABLE shape ADD COLUMN b int DEFAULT 2");
	for (int i = 0; i < 3; i++)
		kit_start(k, &b[i], "SELECT * FROM shape", NULL, 0);
	for (int i = 0; i < 3; i++) {
		call_wait(&b[i].call, KIT_SOON);
		kit_assert_row(&b[i], "1", "2");
		kit_end(&b[i]);
	}
	kit_do(k, "DEALLOCATE ALL");
	for (int i = 0; i < 3; i++)
		kit_start(k, &b[i], "SELECT * FROM shape", NULL, 0);
	for (int i = 0; i < 3; i++) {
		call_wait(&b[i].call, KIT_SOON);
		kit_assert_row(&b[i], "1", "2");
		kit_end(&b[i]);
	}
	/* A statement whose own failure looks the same is asked twice, not for ever. */
	kit_ask(k, &a, "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '26000'; END $$");
	kit_assert_fault(&a, WEFT_REFUSED, "26000");
	kit_end(&a);
	for (int i = 0; i < 700; i++) {
		snprintf(sql, sizeof sql, "SELECT %d", i % 350);
		snprintf(want, sizeof want, "%d", i % 350);
		kit_ask(k, &a, sql);
		kit_assert_row(&a, want);
		kit_end(&a);
	}
	kit_ask(k, &a, "SELECT count(*) <= 256 FROM pg_prepared_statements");
	kit_assert_row(&a, "t");
	kit_end(&a);
	/* Too long to be kept: without a name. */
	{
		static char text[40000];

		snprintf(text, sizeof text, "SELECT '%032000d'", 0);
		kit_do(k, text);
		kit_do(k, text);
	}
}

static void
lost_preparations_are_mended(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, prepared_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 1);
	kit_close(&k);
}

/* ---- waits ---- */

static void
overlap_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a[20];
	usec began;

	for (int i = 0; i < 20; i++)
		kit_start(k, &a[i], "SELECT pg_sleep(0.05)", NULL, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
		kit_end(&a[i]);
	}
	began = clock_now();
	for (int i = 0; i < 20; i++)
		kit_start(k, &a[i], "SELECT pg_sleep(0.2)", NULL, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
		kit_end(&a[i]);
	}
	assert_true(clock_now() - began < 2 * USEC_PER_SEC);
}

static void
waits_overlap(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 20);
	kit_run(&k, overlap_body, &k);
	kit_close(&k);
}

static void
slow_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask slow, a;
	usec began;

	kit_start(k, &slow, "SELECT pg_sleep(2)", NULL, 0);
	kit_start(k, &a, "SELECT pg_sleep(0.02)", NULL, 0);
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	began = clock_now();
	for (int i = 0; i < 50; i++)
		kit_do(k, "SELECT 1");
	assert_true(clock_now() - began < USEC_PER_SEC);
	assert_int_equal(slow.call.state, CALL_SENT);
	call_abandon(&slow.call, WEFT_CANCELED);
	kit_end(&slow);
}

static void
a_slow_statement_delays_no_other(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 2);
	kit_run(&k, slow_body, &k);
	kit_close(&k);
}

static void
cancel_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	usec began;

	kit_do(k, "SELECT 1");
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	began = clock_now();
	kit_do(k, "SELECT 1");
	assert_true(clock_now() - began < USEC_PER_SEC);
	/* Sent behind one that is abandoned, and one held while its cancel is under way. */
	kit_start(k, &a, "SELECT pg_sleep(0.3)", NULL, 0);
	kit_start(k, &b, "SELECT 5", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "5");
	kit_end(&b);
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	kit_start(k, &b, "SELECT 6", NULL, 0);
	kit_start(k, &a, "SELECT 7", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "6");
	kit_end(&b);
	/* All that is owed abandoned, one after the other. */
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	kit_start(k, &b, "SELECT pg_sleep(10)", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	call_abandon(&b.call, WEFT_CANCELED);
	kit_end(&a);
	kit_end(&b);
	kit_do(k, "SELECT 1");
}

static void
an_abandoned_statement_is_cancelled(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, cancel_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 1);
	kit_close(&k);
}

static void
late_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	unsigned timeouts = 0;

	kit_do(k, "SELECT 1");
	for (int round = 0; round < 300; round++) {
		kit_start(k, &a, "SELECT pg_sleep(0.003)", NULL, 0);
		/* From before its end to behind it. */
		timeouts += call_wait(&a.call, clock_now() + 2500 + round % 50 * 40) == WEFT_TIMEOUT;
		kit_end(&a);
		kit_ask(k, &a, "SELECT pg_sleep(0.001), 'next'");
		kit_assert_row(&a, "", "next");
		kit_end(&a);
	}
	assert_true(timeouts > 10);
}

static void
a_late_cancel_hits_nobody(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, late_body, &k);
	kit_close(&k);
}

/* A statement that takes no notice of its cancel for longer than the draining lasts: its connection is closed, the next one goes well. */
static void
stubborn_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	pid_t pid;

	kit_ask(k, &a, "SELECT pg_backend_pid()");
	pid = atoi(rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	assert_int_equal(kill(pid, SIGCONT), 0);
}

static void
a_statement_that_goes_on_loses_its_connection(void **state)
{
	struct kit k;
	struct pool_stat stat;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, stubborn_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 2);
	kit_close(&k);
}

/* ---- losses ---- */

static void
terminate_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	bool gone;

	kit_start(k, &b, "SELECT pg_sleep(11)", NULL, 0);
	/* As soon as it runs. */
	do {
		kit_ask(k, &a, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(11)'");
		assert_int_equal(a.call.rc, WEFT_OK);
		gone = rows_cell(a.call.rows, 0, 0).at[0] == '1';
		kit_end(&a);
	} while (!gone);
	call_wait(&b.call, KIT_SOON);
	kit_assert_fault(&b, WEFT_UNKNOWN, "57P01");
	kit_end(&b);
	/* Idle ones die unseen. */
	kit_ask(k, &a, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
	    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
	assert_int_equal(a.call.rc, WEFT_OK);
	kit_end(&a);
	for (int i = 0; i < 20; i++)
		kit_do(k, "SELECT 1");
	/* Its own: whether it is told or not, the next goes well. */
	kit_ask(k, &a, "SELECT pg_terminate_backend(pg_backend_pid())");
	kit_assert_fault(&a, WEFT_UNKNOWN, "57P01");
	kit_end(&a);
	kit_do(k, "SELECT 1");
}

static void
a_terminated_connection_is_replaced(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 2);
	kit_run(&k, terminate_body, &k);
	kit_close(&k);
}

static void
crash_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	usec back;

	kit_do(k, "SELECT 1");
	kit_start(k, &b, "SELECT pg_sleep(30)", NULL, 0);
	assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
	server_stop(SIGKILL);
	call_wait(&b.call, KIT_SOON);
	kit_assert_fault(&b, WEFT_UNKNOWN, NULL);
	kit_end(&b);
	kit_ask(k, &a, "SELECT 1");
	assert_true(a.call.rc == WEFT_DOWN || a.call.rc == WEFT_UNKNOWN || a.call.rc == WEFT_NOT_SENT);
	kit_end(&a);
	server_start();
	back = clock_now();
	for (;;) {
		enum weft_rc rc = kit_ask(k, &a, "SELECT 1");

		kit_end(&a);
		if (rc == WEFT_OK)
			break;
		assert_true(clock_now() - back < 2 * USEC_PER_SEC);
		assert_int_equal(fiber_sleep(10 * USEC_PER_MSEC), WEFT_OK);
	}
}

static void
it_goes_on_after_a_crash_of_the_server(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 2);
	kit_run(&k, crash_body, &k);
	kit_close(&k);
}

static void
read_only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	char before[16];

	kit_ask(k, &a, "SELECT pg_backend_pid()");
	snprintf(before, sizeof before, "%s", rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	kit_ask(k, &a, "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '25006'; END $$");
	kit_assert_fault(&a, WEFT_REFUSED, "25006");
	kit_end(&a);
	kit_ask(k, &a, "SELECT pg_backend_pid()");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_not_equal(rows_cell(a.call.rows, 0, 0).at, before);
	kit_end(&a);
}

static void
a_read_only_server_is_left(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, read_only_body, &k);
	kit_close(&k);
}

/* ---- signs of life ---- */

#define RESTED (30 * USEC_PER_MSEC)

/* Asked for before a call that comes after a rest, and only then; where none comes, the call has not noticed. */
static void
rested_body(void *arg)
{
	struct kit *k = arg;

	for (int i = 0; i < 3; i++) {
		kit_do(k, "SELECT 1");
		kit_do(k, "SELECT 1");
		assert_int_equal(kit_stat(k).checks, i);
		assert_int_equal(fiber_sleep(2 * RESTED), WEFT_OK);
	}
	assert_int_equal(kit_stat(k).connects, 1);
	cut_hush();
	kit_do(k, "SELECT 1");
	assert_int_equal(kit_stat(k).checks, 3);
	assert_int_equal(kit_stat(k).checks_failed, 1);
	assert_int_equal(kit_stat(k).connects, 2);
	assert_int_equal(kit_stat(k).failed, 0);
}

static void
a_rested_connection_is_asked_for_a_sign_of_life(void **state)
{
	char from[108], to[108], url[200];
	struct kit k;

	(void)state;
	snprintf(from, sizeof from, "%s/.s.PGSQL.1", server.dir);
	snprintf(to, sizeof to, "%s/.s.PGSQL.%s", server.dir, server.port);
	snprintf(url, sizeof url, "postgresql:///postgres?host=%s&port=1&user=weft", server.dir);
	cut_start(from, to);
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 1, .check_after = RESTED });
	kit_run(&k, rested_body, &k);
	kit_close(&k);
	cut_stop();
}

/* ---- connecting ---- */

/* Give the server a certificate, and have it read that.  Returns false where there is no tool for it. */
static bool
server_enable_tls(struct kit *k)
{
	char command[512];
	const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : NULL;

	snprintf(command, sizeof command, "cd %s && openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -newkey rsa:2048 "
	    "-keyout server.key -out server.crt >/dev/null 2>&1 && chmod 600 server.key%s", server.data,
	    pw == NULL ? "" : " && chown postgres server.key server.crt");
	if (system(command) != 0)
		return false;
	kit_do(k, "ALTER SYSTEM SET ssl = on");
	kit_do(k, "SELECT pg_reload_conf()");
	return true;
}

static void
tls_on_body(void *arg)
{
	struct kit *k = arg;

	if (!server_enable_tls(k))
		pool_close(&k->pool);
}

static void
tls_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
	kit_assert_row(&a, "t");
	kit_end(&a);
	/* Results of many sizes, so that some leave a part of a record behind. */
	for (int i = 0; i < 400; i++) {
		struct value v = KIT_INT(1000 + i * 331);

		kit_ask_values(k, &a, "SELECT repeat('x', $1)", &v, 1);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_int_equal(rows_cell(a.call.rows, 0, 0).len, v.as.integer);
		kit_end(&a);
	}
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_lend(k, &l);
	for (int i = 0; i < 30; i++) {
		char sql[96];

		snprintf(sql, sizeof sql, "SELECT i, repeat('x', %d) FROM generate_series(1, 5000) i", i * 37);
		kit_part_open(&l, &a, sql);
		assert_int_equal(kit_part_count(&l, &a, "i"), 5000);
		kit_end(&a);
	}
	kit_give(&l);
	tokens_body(k);
}

static void
it_speaks_tls(void **state)
{
	char url[200];
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 1);
	kit_run(&k, tls_on_body, &k);
	assert_non_null(k.pool);	/* or there is no openssl here to make a certificate */
	kit_close(&k);
	snprintf(url, sizeof url, "%s?sslmode=require", server.tcp_url);
	kit_open(&k, url, 2);
	kit_run(&k, tls_body, &k);
	kit_close(&k);
}

static void
one_body(void *arg)
{
	kit_do(arg, "SELECT 1");
}

static void
a_host_name_is_looked_up(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.tcp_url, 2);
	kit_run(&k, one_body, &k);
	kit_close(&k);
}

static void
down_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT 1");
	kit_assert_fault(&a, WEFT_DOWN, NULL);
	assert_null(strstr(a.fault.text, "hush"));
	kit_end(&a);
}

static void
what_cannot_be_reached_is_down_and_tells_no_password(void **state)
{
	static const char *const urls[] = { "postgresql://u:hush@/db?host=/nowhere", "postgresql://u:hush@127.0.0.1:1/db",
		"postgresql://u:hush@name.invalid/db" };
	char url[256];
	struct kit k;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		kit_open(&k, urls[i], 1);
		kit_run(&k, down_body, &k);
		kit_close(&k);
	}
	snprintf(url, sizeof url, "postgresql://nobody:hush@localhost:%s/postgres", server.port);
	kit_open(&k, url, 1);
	kit_run(&k, down_body, &k);
	kit_close(&k);
}

static void
a_pool_may_close_while_connecting(void **state)
{
	struct kit k;

	(void)state;
	for (int turns = 0; turns < 6; turns++) {
		kit_open_with(&k, (struct pool_conf){ .url = turns % 2 ? server.url : server.tcp_url, .max = 4, .min = 4 });
		for (int i = 0; i < turns; i++)
			loop_turn(k.loop, USEC_PER_MSEC);
		kit_close(&k);
	}
}

static void
urls_that_cannot_work_are_refused(void **state)
{
	static const char *const urls[] = { "postgresql:///db?nosuch=1", "postgresql:///db?service=x",
		"postgresql:///db?replication=1", "postgresql://a,b:0/db", "postgresql://a:1,b:x/db", "postgresql://a,/db",
		"postgresql:///db?host=a,b&port=1,2,3", "postgresql:///db?host=a,b&hostaddr=127.0.0.1",
		"postgresql://a,b/db?target_session_attrs=best", "postgresql://a,b/db?load_balance_hosts=random" };
	static const char *const good[] = { "postgresql://a:1,b:2/db?target_session_attrs=read-write",
		"postgresql:///db?host=a,/run&port=1,", "postgres://[::1],b:5433/db?target_session_attrs=prefer-standby",
		"postgresql:///db?host=a,b&hostaddr=127.0.0.1,::1&port=5433" };
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct pool_conf conf = { .name = "db", .url = urls[i] };

		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct pool_conf conf = { .name = "db", .url = good[i] };

		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_OK);
	}
	assert_int_equal(pool_check(&(struct pool_conf){ .name = "db", .url = server.url }, error, sizeof error), WEFT_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_cannot_work_are_refused),
		cmocka_unit_test(values_of_each_kind_arrive),
		cmocka_unit_test(many_values_arrive),
		cmocka_unit_test(results_of_each_size_arrive),
		cmocka_unit_test(a_result_that_does_not_end_is_left),
		cmocka_unit_test(an_error_is_its_statements_own),
		cmocka_unit_test(each_gets_its_own_answer),
		cmocka_unit_test(what_the_kernel_does_not_take_at_once_arrives),
		cmocka_unit_test(what_changes_a_shared_connection_is_refused),
		cmocka_unit_test(lost_preparations_are_mended),
		cmocka_unit_test(waits_overlap),
		cmocka_unit_test(a_slow_statement_delays_no_other),
		cmocka_unit_test(an_abandoned_statement_is_cancelled),
		cmocka_unit_test(a_late_cancel_hits_nobody),
		cmocka_unit_test(a_statement_that_goes_on_loses_its_connection),
		cmocka_unit_test(a_terminated_connection_is_replaced),
		cmocka_unit_test(a_read_only_server_is_left),
		cmocka_unit_test(a_rested_connection_is_asked_for_a_sign_of_life),
		cmocka_unit_test(a_host_name_is_looked_up),
		cmocka_unit_test(it_speaks_tls),
		cmocka_unit_test(what_cannot_be_reached_is_down_and_tells_no_password),
		cmocka_unit_test(a_pool_may_close_while_connecting),
		cmocka_unit_test(it_goes_on_after_a_crash_of_the_server),
	};

	if (!server_find())
		return 1;
	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
