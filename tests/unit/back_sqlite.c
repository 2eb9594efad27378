/* SPDX-License-Identifier: ISC */

/* Against real SQLite files, in a folder of the test's own. */
#include "back_sql_kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

static char dir[64], url[96], ro_url[96], path[80];

static int
files_set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-sqlite-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a.db", dir);
	snprintf(url, sizeof url, "sqlite:%s", path);
	snprintf(ro_url, sizeof ro_url, "sqlite:%s?mode=ro", path);
	return 0;
}

static int
files_remove(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int
files_tear_down(void **state)
{
	(void)state;
	return nftw(dir, files_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
with_pool(const char *at, unsigned max, void (*body)(void *arg))
{
	struct kit k;

	kit_open(&k, at, max);
	kit_run(&k, body, &k);
	kit_close(&k);
}

/* ---- values and rows ---- */

static void
values_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	struct span bytes;
	const struct value all[] = { KIT_INT(-42), KIT_REAL(0.1), KIT_TEXT("gr\xc3\xbc\xc3\x9f dich"), KIT_NULL,
		KIT_BYTES("\0\1\xff\\x"), KIT_TEXT(""), KIT_BYTES("") };

	for (int round = 0; round < 2; round++) {
		kit_ask_values(k, &a, "SELECT $1, $2, $3, $4, $5 AS b, $6, $7, typeof($1), typeof($2), typeof($5), typeof($6), typeof($7)",
		    all, 7);
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
		assert_non_null(rows_cell(a.call.rows, 0, 6).at);
		assert_string_equal(rows_cell(a.call.rows, 0, 7).at, "integer");
		assert_string_equal(rows_cell(a.call.rows, 0, 8).at, "real");
		assert_string_equal(rows_cell(a.call.rows, 0, 9).at, "blob");
		assert_string_equal(rows_cell(a.call.rows, 0, 10).at, "text");
		assert_string_equal(rows_cell(a.call.rows, 0, 11).at, "blob");
		kit_end(&a);
	}
	kit_do(k, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)");
	kit_ask_values(k, &a, "INSERT INTO item VALUES ($1, $2), ($1 + 1, $2)",
	    (const struct value[]){ KIT_INT(7), KIT_TEXT("x") }, 2);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->affected, 2);
	kit_end(&a);
	kit_ask(k, &a, "SELECT * FROM item WHERE false");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->affected, 0);
	assert_int_equal(a.call.rows->count, 0);
	assert_int_equal(a.call.rows->columns, 2);
	kit_end(&a);
	kit_ask(k, &a, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT i, 'row ' || i FROM n");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 10000);
	assert_string_equal(rows_cell(a.call.rows, 9999, 1).at, "row 9999");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT ?, ?2", (const struct value[]){ KIT_INT(1), KIT_INT(2) }, 2);
	kit_assert_row(&a, "1", "2");
	kit_end(&a);
	kit_ask(k, &a, "PRAGMA journal_mode");
	kit_assert_row(&a, "wal");
	kit_end(&a);
	kit_ask(k, &a, "PRAGMA foreign_keys");
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_do(k, "PRAGMA integrity_check");
}

static void
values_of_each_kind_arrive(void **state)
{
	(void)state;
	with_pool(url, 2, values_body);
}

static void
refused_body(void *arg)
{
	static const struct {
		const char *sql;
		enum weft_rc rc;
		const char *code;
	} bad[] = {
		{ "BEGIN", WEFT_INVALID, "" },
		{ "-- x\nsavepoint a", WEFT_INVALID, "" },
		{ "ATTACH 'x.db' AS x", WEFT_INVALID, "" },
		{ "CREATE TEMP TABLE mine AS SELECT 1", WEFT_INVALID, "" },
		{ "CREATE TABLE temp.mine (id)", WEFT_REFUSED, "SQLITE_AUTH" },
		{ "SELECT 1; SELECT 2", WEFT_INVALID, "" },
		{ "SELECT 1; nonsense", WEFT_INVALID, "" },
		{ "", WEFT_INVALID, "" },
		{ "-- nothing", WEFT_INVALID, "" },
		{ "SELECT $1", WEFT_INVALID, "" },
		{ "SELECT :name", WEFT_INVALID, "" },
		{ "SELECT $0", WEFT_INVALID, "" },
		{ "SELECT $99999999999", WEFT_INVALID, "" },
		{ "EXPLAIN BEGIN", WEFT_REFUSED, "SQLITE_AUTH" },
		{ "PRAGMA foreign_keys = OFF", WEFT_REFUSED, "SQLITE_AUTH" },
		{ "SELECT load_extension('x')", WEFT_REFUSED, NULL },
		{ "SELEKT", WEFT_REFUSED, "SQLITE_ERROR" },
		{ "INSERT INTO uniq VALUES (1)", WEFT_REFUSED, "SQLITE_CONSTRAINT_PRIMARYKEY" },
		{ "INSERT INTO refs VALUES (9)", WEFT_REFUSED, "SQLITE_CONSTRAINT_FOREIGNKEY" },
		{ "INSERT OR ROLLBACK INTO uniq VALUES (1)", WEFT_REFUSED, "SQLITE_CONSTRAINT_PRIMARYKEY" },
		{ "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1000000) FROM n",
		    WEFT_TOO_LARGE, "" },
	};
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE uniq (id INTEGER PRIMARY KEY)");
	kit_do(k, "CREATE TABLE refs (id REFERENCES uniq)");
	kit_do(k, "INSERT INTO uniq VALUES (1)");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		kit_ask(k, &a, bad[i].sql);
		kit_assert_fault(&a, bad[i].rc, bad[i].code);
		kit_end(&a);
	}
	kit_ask_values(k, &a, "SELECT $1", (const struct value[]){ KIT_INT(1), KIT_INT(2) }, 2);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	arena_init(&a.arena, NULL, 0, 4096);
	call_init(&a.call, CALL_SQL, &a.arena, &a.fault);
	a.call.sql = "SELECT hex(zeroblob(10000))";
	pool_submit(k->pool, &a.call);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, "");
	kit_end(&a);
	kit_do(k, "SELECT 1; -- and no more\n;");
	for (int i = 0; i < 200; i++) {
		char sql[32], want[16];

		snprintf(sql, sizeof sql, "SELECT %d", i % 100);
		snprintf(want, sizeof want, "%d", i % 100);
		kit_ask(k, &a, sql);
		kit_assert_row(&a, want);
		kit_end(&a);
	}
}

static void
what_may_not_be_is_refused(void **state)
{
	(void)state;
	with_pool(url, 1, refused_body);
}

static void
read_only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT id FROM uniq");
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_ask(k, &a, "DELETE FROM uniq");
	kit_assert_fault(&a, WEFT_REFUSED, "SQLITE_READONLY");
	kit_end(&a);
}

static void
read_only_is_read_only(void **state)
{
	(void)state;
	with_pool(ro_url, 2, read_only_body);
}

static void
schema_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE shape (a)");
	kit_do(k, "INSERT INTO shape VALUES (1)");
	kit_ask(k, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_do(k, "ALTER TABLE shape ADD COLUMN b DEFAULT 2");
	kit_ask(k, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1", "2");
	assert_string_equal(a.call.rows->name[1], "b");
	kit_end(&a);
}

static void
a_schema_change_is_seen(void **state)
{
	(void)state;
	with_pool(url, 1, schema_body);
}

/* ---- in memory ---- */

static void
memory_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE t (a)");
	kit_do(k, "INSERT INTO t VALUES (3)");
	kit_ask(k, &a, "SELECT a FROM t");
	kit_assert_row(&a, "3");
	kit_end(&a);
}

static void
down_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT 1");
	kit_assert_fault(&a, WEFT_DOWN, NULL);
	kit_end(&a);
}

static void
memory_is_one_connections_own(void **state)
{
	(void)state;
	with_pool("sqlite::memory:", 1, memory_body);
	with_pool("sqlite::memory:", 2, down_body);
}

/* ---- waits ---- */

enum { SLEEPERS = 8 };

static void
overlap_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a[SLEEPERS];
	struct value v = KIT_REAL(0.2);
	usec began = clock_now();

	for (int i = 0; i < SLEEPERS; i++)
		kit_start(k, &a[i], "SELECT pg_sleep($1)", &v, 1);
	for (int i = 0; i < SLEEPERS; i++) {
		call_wait(&a[i].call, KIT_SOON);
		kit_assert_row(&a[i], "");
		kit_end(&a[i]);
	}
	assert_true(clock_now() - began < SLEEPERS * 200 * USEC_PER_MSEC / 2);
}

static void
waits_overlap(void **state)
{
	(void)state;
	with_pool(url, SLEEPERS, overlap_body);
}

static void
locked_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	sqlite3 *other;
	usec began;

	kit_do(k, "CREATE TABLE lock (a)");
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	began = clock_now();
	kit_start(k, &a, "INSERT INTO lock VALUES (1)", NULL, 0);
	/* Readers go on. */
	kit_ask(k, &b, "SELECT count(*) FROM lock");
	kit_assert_row(&b, "0");
	kit_end(&b);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "SQLITE_BUSY");
	kit_end(&a);
	assert_true(clock_now() - began < 5 * USEC_PER_SEC);
	/* Given up while it waits for the lock. */
	kit_start(k, &a, "INSERT INTO lock VALUES (2)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	/* Let go of in time. */
	kit_start(k, &a, "INSERT INTO lock VALUES (3)", NULL, 0);
	assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	call_wait(&a.call, KIT_SOON);
	assert_int_equal(a.call.rc, WEFT_OK);
	kit_end(&a);
	kit_ask(k, &a, "SELECT count(*) FROM lock");
	kit_assert_row(&a, "1");
	kit_end(&a);
	sqlite3_close(other);
}

static void
a_lock_of_anothers_is_waited_for_with_a_bound(void **state)
{
	struct kit k;

	(void)state;
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 2, .call_timeout = USEC_PER_SEC });
	kit_run(&k, locked_body, &k);
	kit_close(&k);
}

static void
abandon_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	usec began = clock_now();

	kit_do(k, "SELECT 1");
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	kit_start(k, &a, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	/* At once, before or just as a thread takes it; the next one is never hit. */
	for (int i = 0; i < 300; i++) {
		kit_start(k, &a, "SELECT pg_sleep(0.001)", NULL, 0);
		if (i % 3 > 0)
			(void)call_wait(&a.call, clock_now() + 10 * i);
		call_abandon(&a.call, WEFT_CANCELED);
		kit_end(&a);
		kit_do(k, "SELECT pg_sleep(0)");
	}
	assert_true(clock_now() - began < 10 * USEC_PER_SEC);
}

static void
an_abandoned_statement_ends_early(void **state)
{
	(void)state;
	with_pool(url, 1, abandon_body);
}

static void
close_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a[3];
	usec began;

	kit_do(k, "SELECT 1");
	for (int i = 0; i < 3; i++)
		kit_start(k, &a[i], "SELECT pg_sleep(20)", NULL, 0);
	assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
	began = clock_now();
	pool_close(&k->pool);
	assert_true(clock_now() - began < USEC_PER_SEC);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(a[i].call.state, CALL_DONE);
		assert_int_not_equal(a[i].call.rc, WEFT_OK);
		kit_end(&a[i]);
	}
}

static void
a_pool_may_close_while_statements_run(void **state)
{
	struct kit k;
	usec began = clock_now();

	(void)state;
	kit_open(&k, url, 2);
	kit_run(&k, close_body, &k);
	loop_free(&k.loop);
	assert_true(clock_now() - began < 10 * USEC_PER_SEC);
	for (int turns = 0; turns < 4; turns++) {
		kit_open_with(&k, (struct pool_conf){ .url = url, .max = 4, .min = 4 });
		for (int i = 0; i < turns; i++)
			loop_turn(k.loop, USEC_PER_MSEC);
		pool_close(&k.pool);
		for (int i = 0; i < 20; i++)
			loop_turn(k.loop, USEC_PER_MSEC);
		loop_free(&k.loop);
	}
}

/* ---- broken files ---- */

static void
file_write(const char *name, off_t at, const char *bytes, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static void
corrupt_prepare_body(void *arg)
{
	kit_do(arg, "CREATE TABLE t (a)");
	kit_do(arg, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT hex(i) FROM n");
	kit_do(arg, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void
corrupt_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	struct pool_stat stat;

	kit_do(k, "SELECT 1");
	kit_ask(k, &a, "SELECT count(a) FROM t");
	kit_assert_fault(&a, WEFT_REFUSED, "SQLITE_CORRUPT");
	kit_end(&a);
	kit_do(k, "SELECT 1");
	pool_stat(k->pool, &stat);
	assert_int_equal(stat.connects, 2);
}

static void
a_corrupt_file_costs_its_connection(void **state)
{
	static char junk[4096];
	char name[128], at[160];

	(void)state;
	memset(junk, 0x5a, sizeof junk);
	snprintf(name, sizeof name, "%s/corrupt.db", dir);
	snprintf(at, sizeof at, "sqlite:%s", name);
	with_pool(at, 1, corrupt_prepare_body);
	for (int page = 1; page < 5; page++)
		file_write(name, page * 4096, junk, sizeof junk);
	with_pool(at, 1, corrupt_body);
	snprintf(name, sizeof name, "%s/not.db", dir);
	snprintf(at, sizeof at, "sqlite:%s", name);
	file_write(name, 0, junk, sizeof junk);
	with_pool(at, 1, down_body);
	with_pool("sqlite:/nowhere/at/all.db", 1, down_body);
}

/* What is said to be done is done in the file that is there: the next statement finds the other one. */
static void
gone_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE t (a)");
	kit_do(k, "INSERT INTO t VALUES (1)");
	assert_int_equal(unlink(pool_url(k->pool)->path), 0);
	kit_ask(k, &a, "INSERT INTO t VALUES (2)");
	kit_assert_fault(&a, WEFT_REFUSED, "SQLITE_ERROR");
	kit_end(&a);
	kit_do(k, "CREATE TABLE t (a)");
	assert_int_equal(access(pool_url(k->pool)->path, F_OK), 0);
	assert_int_equal(kit_stat(k).connects, 2);
}

static void
replaced_body(void *arg)
{
	struct kit *k = arg;
	char fresh[128];
	struct kit_ask a;
	sqlite3 *other;

	kit_do(k, "SELECT * FROM t");
	snprintf(fresh, sizeof fresh, "%s/fresh.db", dir);
	assert_int_equal(sqlite3_open(fresh, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "CREATE TABLE t (a); INSERT INTO t VALUES ('fresh')", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	assert_int_equal(rename(fresh, pool_url(k->pool)->path), 0);
	kit_ask(k, &a, "SELECT * FROM t");
	kit_assert_row(&a, "fresh");
	kit_end(&a);
}

static void
another_file_in_the_place_is_seen(void **state)
{
	char at[160];

	(void)state;
	snprintf(at, sizeof at, "sqlite:%s/gone.db", dir);
	with_pool(at, 1, gone_body);
	snprintf(at, sizeof at, "sqlite:%s/gone.db?mode=ro", dir);
	with_pool(at, 2, replaced_body);
}

static void
urls_that_cannot_work_are_refused(void **state)
{
	static const char *const urls[] = { "sqlite:", "sqlite://host/x", "sqlite:/x?mode=memory", "sqlite:/x?cache=shared" };
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct pool_conf conf = { .name = "db", .url = urls[i] };

		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
	}
	assert_int_equal(pool_check(&(struct pool_conf){ .name = "db", .url = url }, error, sizeof error), WEFT_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_cannot_work_are_refused),
		cmocka_unit_test(values_of_each_kind_arrive),
		cmocka_unit_test(what_may_not_be_is_refused),
		cmocka_unit_test(read_only_is_read_only),
		cmocka_unit_test(a_schema_change_is_seen),
		cmocka_unit_test(memory_is_one_connections_own),
		cmocka_unit_test(waits_overlap),
		cmocka_unit_test(a_lock_of_anothers_is_waited_for_with_a_bound),
		cmocka_unit_test(an_abandoned_statement_ends_early),
		cmocka_unit_test(a_pool_may_close_while_statements_run),
		cmocka_unit_test(a_corrupt_file_costs_its_connection),
		cmocka_unit_test(another_file_in_the_place_is_seen),
	};

	return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
