/* SPDX-License-Identifier: ISC */

/* Against a real MariaDB of the test's own, in a folder that goes with it. */
#include "back_parts_kit.h"

#include <math.h>

#include "back_cut.h"
#include "back_maria.h"

static void
run_with(const char *url, unsigned max, void (*body)(void *arg), unsigned connects)
{
	struct pool_stat stat;
	struct kit k;

	kit_open(&k, url, max);
	kit_run(&k, body, &k);
	pool_stat(k.pool, &stat);
	if (connects != 0)
		assert_int_equal(stat.connects, connects);
	kit_close(&k);
}

/* ---- values and rows ---- */

static void
values_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	const struct value all[] = { KIT_INT(-42), KIT_REAL(0.1), KIT_TEXT("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80"), KIT_NULL,
		KIT_BYTES("\0\1\xff\\x"), KIT_TEXT(""), KIT_INT(-9223372036854775807LL - 1), KIT_BYTES("") };
	struct span bytes;

	kit_ask_values(k, &a, "SELECT $1, $2, $3, $4, $5 AS b, $6, $7, $8, $3 = CONVERT($3 USING utf8mb4)", all, 8);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_equal(a.call.rows->name[4], "b");
	bytes = rows_cell(a.call.rows, 0, 4);
	assert_int_equal(bytes.len, 5);
	assert_memory_equal(bytes.at, "\0\1\xff\\x", 6);
	assert_null(rows_cell(a.call.rows, 0, 3).at);
	assert_string_equal(rows_cell(a.call.rows, 0, 0).at, "-42");
	assert_string_equal(rows_cell(a.call.rows, 0, 1).at, "0.1");
	assert_string_equal(rows_cell(a.call.rows, 0, 2).at, all[2].as.bytes.at);
	assert_string_equal(rows_cell(a.call.rows, 0, 5).at, "");
	assert_string_equal(rows_cell(a.call.rows, 0, 6).at, "-9223372036854775808");
	assert_string_equal(rows_cell(a.call.rows, 0, 7).at, "");
	assert_string_equal(rows_cell(a.call.rows, 0, 8).at, "1");
	kit_end(&a);

	kit_do(k, "CREATE TABLE item (id int PRIMARY KEY AUTO_INCREMENT, big bigint, name text, data blob)");
	kit_ask_values(k, &a, "INSERT INTO item VALUES ($1, $2, $3, $4)",
	    (const struct value[]){ KIT_INT(7), KIT_INT(8), KIT_TEXT("x"), KIT_BYTES("a\0b") }, 4);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->affected, 1);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	kit_ask_values(k, &a, "INSERT INTO item (name) VALUES ($1), ($1) RETURNING id", (const struct value[]){ KIT_TEXT("y") }, 1);
	kit_assert_row(&a, "8");
	assert_int_equal(a.call.rows->affected, 2);
	kit_end(&a);
	/* The same text, other kinds. */
	kit_ask_values(k, &a, "SELECT name, LENGTH(data) FROM item WHERE id = $1", (const struct value[]){ KIT_TEXT("7") }, 1);
	kit_assert_row(&a, "x", "3");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT name, LENGTH(data) FROM item WHERE id = $1", (const struct value[]){ KIT_INT(7) }, 1);
	kit_assert_row(&a, "x", "3");
	kit_end(&a);
	/* What was found counts, not only what is another value now. */
	kit_ask(k, &a, "UPDATE item SET name = 'y' WHERE name = 'y'");
	assert_int_equal(a.call.rows->affected, 2);
	kit_end(&a);
	kit_ask(k, &a, "DELETE FROM item");
	assert_int_equal(a.call.rows->affected, 3);
	kit_end(&a);
	for (int i = 0; i < 2; i++) {
		kit_ask_values(k, &a, "SELECT $1", (const struct value[]){ KIT_REAL(i == 0 ? (double)NAN : (double)INFINITY) }, 1);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
}

static void
values_of_each_kind_arrive(void **state)
{
	(void)state;
	run_with(maria.url, 1, values_body, 1);
}

/* As the server itself writes each of them as text. */
static void
types_body(void *arg)
{
	static const struct {
		const char *type, *value, *want;
	} one[] = {
		{ "tinyint", "-128", "-128" }, { "tinyint unsigned", "255", "255" }, { "smallint", "-32768", "-32768" },
		{ "smallint unsigned", "65535", "65535" }, { "mediumint", "-8388608", "-8388608" },
		{ "mediumint unsigned", "16777215", "16777215" }, { "int", "-2147483648", "-2147483648" },
		{ "int unsigned", "4294967295", "4294967295" }, { "bigint", "-9223372036854775808", "-9223372036854775808" },
		{ "bigint unsigned", "18446744073709551615", "18446744073709551615" }, { "int(6) zerofill", "42", "000042" },
		{ "boolean", "TRUE", "1" }, { "bit(12)", "b'100000001'", "\1\1" }, { "year", "2024", "2024" }, { "year", "0", "0000" },
		{ "decimal(20,5)", "-12345678901234.5", "-12345678901234.50000" },
		{ "decimal(65,0)", "99999999999999999999999999999999999999999999999999999999999999999",
		    "99999999999999999999999999999999999999999999999999999999999999999" },
		{ "float", "0.1", "0.1" }, { "float", "3.4e38", "3.4e+38" }, { "double", "0.1", "0.1" }, { "double", "1e300", "1e+300" },
		{ "double", "-5e-324", "-4.94065645841247e-324" }, { "double(8,2)", "1.5", "1.50" }, { "float(7,3)", "-2.5", "-2.500" },
		{ "date", "'2024-02-29'", "2024-02-29" }, { "datetime", "'1999-12-31 23:59:59'", "1999-12-31 23:59:59" },
		{ "datetime(6)", "'1999-12-31 23:59:59.000001'", "1999-12-31 23:59:59.000001" },
		{ "datetime(3)", "'1999-12-31 00:00:00.25'", "1999-12-31 00:00:00.250" }, { "datetime", "'1999-12-31'", "1999-12-31 00:00:00" },
		{ "timestamp", "'2001-02-03 04:05:06'", "2001-02-03 04:05:06" }, { "time", "'-838:59:59'", "-838:59:59" },
		{ "time(2)", "'00:00:00.07'", "00:00:00.07" }, { "time", "'0'", "00:00:00" }, { "char(4)", "'ab'", "ab" },
		{ "varchar(9)", "'\xc3\xa9'", "\xc3\xa9" }, { "text", "''", "" }, { "enum('a','b')", "'b'", "b" },
		{ "set('a','b')", "'a,b'", "a,b" }, { "json", "'{\"a\": [1]}'", "{\"a\": [1]}" }, { "inet6", "'::1'", "::1" },
		{ "uuid", "'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000" },
		{ "binary(3)", "'a'", "a" }, { "int", "NULL", NULL }, { "datetime", "NULL", NULL }, { "text", "NULL", NULL },
	};
	struct kit *k = arg;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
		char sql[300];

		snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE kind (x %s NULL)", one[i].type);
		kit_do(k, sql);
		snprintf(sql, sizeof sql, "INSERT INTO kind VALUES (%s)", one[i].value);
		kit_do(k, sql);
		kit_ask(k, &a, "SELECT x FROM kind");
		assert_int_equal(a.call.rc, WEFT_OK);
		if (one[i].want == NULL)
			assert_null(rows_cell(a.call.rows, 0, 0).at);
		else if (strcmp(one[i].want, rows_cell(a.call.rows, 0, 0).at) != 0)
			fail_msg("%s %s: %s", one[i].type, one[i].value, rows_cell(a.call.rows, 0, 0).at);
		kit_end(&a);
	}
	kit_ask(k, &a, "SELECT NULL, ROUND(2.5e0, 1), 1/3, COUNT(*), SUM(1), NOW() > '2000-01-01', TIMEDIFF('10:00', '11:30') FROM kind");
	kit_assert_row(&a, NULL, "2.5", "0.3333", "1", "1", "1", "-01:30:00");
	kit_end(&a);
}

static void
each_type_is_written_as_the_server_writes_it(void **state)
{
	(void)state;
	run_with(maria.url, 1, types_body, 1);
}

static void
sizes_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	static char big[3000000];
	struct value v = { .kind = VALUE_TEXT, .as.bytes = { big, sizeof big } };

	kit_ask(k, &a, "SELECT 1 FROM DUAL WHERE false");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 0);
	assert_int_equal(a.call.rows->columns, 1);
	kit_end(&a);
	kit_ask(k, &a, "SELECT seq, CONCAT('row ', seq) FROM seq_0_to_9999");
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
	kit_ask_values(k, &a, "SELECT LENGTH($1), $1", &v, 1);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_equal(rows_cell(a.call.rows, 0, 0).at, "3000000");
	assert_int_equal(rows_cell(a.call.rows, 0, 1).len, sizeof big);
	kit_end(&a);
	/* No room in the asker's memory: its own failure. */
	arena_init(&a.arena, NULL, 0, 65536);
	call_init(&a.call, CALL_SQL, &a.arena, &a.fault);
	a.call.sql = "SELECT seq FROM seq_0_to_9999";
	pool_submit(k->pool, &a.call);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, "");
	kit_end(&a);
}

static void
results_of_each_size_arrive(void **state)
{
	(void)state;
	run_with(maria.url, 1, sizes_body, 1);
}

static void
endless_body(void *arg)
{
	static char big[16 << 20];
	struct value v = { .kind = VALUE_BYTES, .as.bytes = { big, sizeof big } };
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT REPEAT('x', 1000) FROM seq_1_to_1000000");
	kit_assert_fault(&a, WEFT_TOO_LARGE, NULL);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	/* What the server takes at once, 16 MB. */
	for (int i = 0; i < 3; i++) {
		v.as.bytes.len = (16 << 20) - (i == 2 ? 200 : (size_t)i);
		kit_ask_values(k, &a, "SELECT LENGTH($1)", &v, 1);
		if (i == 2)
			kit_assert_row(&a, "16777016");
		else
			kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
}

/* It takes its connection with it, not all memory. */
static void
what_is_too_large_is_left(void **state)
{
	(void)state;
	run_with(maria.url, 1, endless_body, 2);
}

/* ---- texts ---- */

static void
parameters_body(void *arg)
{
	const struct value two[] = { KIT_TEXT("one"), KIT_TEXT("two") };
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask_values(k, &a, "SELECT $2, $1, $2, '$1 ''$2', \"$1 \\\" $2\" /* $1 ? */, `$1`.a -- $1 ?\n FROM (SELECT 'three' a) `$1` # $2", two, 2);
	kit_assert_row(&a, "two", "one", "two", "$1 '$2", "$1 \" $2", "three");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT /*! $2, */ $1, 1-$1-1", two, 2);
	kit_assert_row(&a, "two", "one", "0");
	kit_end(&a);
	/* What this server passes over, we cannot know: the values would be mistaken for each other. */
	kit_ask_values(k, &a, "SELECT /*!999999 $2, */ $1", two, 2);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	kit_ask_values(k, &a, "SELECT $1", two, 2);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	for (int i = 0; i < 2; i++) {
		kit_ask_values(k, &a, "SELECT $1, $2", two, 1);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
		kit_ask_values(k, &a, "SELECT $1, $2", two, 2);
		kit_assert_row(&a, "one", "two");
		kit_end(&a);
	}
	kit_ask_values(k, &a, "SELECT ?", two, 1);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	kit_ask(k, &a, "SELECT 1; SELECT 2");
	kit_assert_fault(&a, WEFT_REFUSED, "1064");
	kit_end(&a);
	kit_ask(k, &a, "");
	kit_assert_fault(&a, WEFT_REFUSED, "1065");
	kit_end(&a);
}

static void
parameters_are_found_where_they_are(void **state)
{
	(void)state;
	run_with(maria.url, 1, parameters_body, 1);
}

static void
modes_body(void *arg)
{
	const struct value one = KIT_TEXT("one");
	struct kit_ask a;

	kit_ask_values(arg, &a, "SELECT '\\', $1, \"x\".a FROM (SELECT '\\''' a) \"x\"", &one, 1);
	kit_assert_row(&a, "\\", "one", "\\'");
	kit_end(&a);
}

/* The server's sql_mode says what a backslash is, and what is in double quotes. */
static void
quotes_are_read_as_the_server_reads_them(void **state)
{
	char before[256];

	(void)state;
	snprintf(before, sizeof before, "SET GLOBAL sql_mode = '%s'", maria_admin("SELECT @@GLOBAL.sql_mode"));
	maria_admin("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'");
	run_with(maria.url, 1, modes_body, 1);
	maria_admin(before);
}

static void
errors_body(void *arg)
{
	struct kit *k = arg;
	static const char *const sql[] = { "SELECT 1", "SELEKT", "INSERT INTO child VALUES (1)", "INSERT INTO one VALUES (1)",
		"SELECT count(*) FROM one", "SELECT * FROM nowhere", "SELECT (SELECT 1 UNION SELECT 2)", "SELECT 8" };
	static const char *const code[] = { NULL, "1064", "1452", "1062", NULL, "1146", "1242", NULL };
	struct kit_ask a[8];

	kit_do(k, "CREATE TABLE one (id int PRIMARY KEY)");
	kit_do(k, "CREATE TABLE child (id int REFERENCES one2 (id))");
	kit_do(k, "INSERT INTO one VALUES (1)");
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
	kit_do(arg, "CREATE TABLE one2 (id int PRIMARY KEY)");
	errors_body(arg);
}

static void
an_error_is_its_statements_own(void **state)
{
	(void)state;
	run_with(maria.url, 1, errors_first_body, 1);
}

enum { TOKENS = 300 };

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
			kit_start(k, &a[i], i % 2 ? "SELECT $1, $2" : "SELECT $1 + 0, CONCAT($2, '')", v[i], 2);
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
	(void)state;
	run_with(maria.url, 4, tokens_body, 4);
}

/* ---- the session's state ---- */

static void
shared_body(void *arg)
{
	static const char *const bad[] = { "BEGIN", "start transaction", "COMMIT", " rollback", "SAVEPOINT a", "SET @a = 1",
		"/* a */ SET NAMES latin1", "# a\nUSE mysql", "-- a\n(USE mysql)", "/*!50000 SET @a = 1 */", "/*M!100100 SET @a = 1 */",
		"PREPARE a FROM 'SELECT 1'", "EXECUTE IMMEDIATE 'SELECT 1'", "DEALLOCATE PREPARE a", "LOCK TABLES one READ",
		"UNLOCK TABLES", "FLUSH TABLES WITH READ LOCK", "HANDLER one OPEN", "XA START 'a'", "BACKUP LOCK one",
		"create temporary table t (id int)", "CREATE OR REPLACE TEMPORARY TABLE t (id int)", "; BEGIN", "RELEASE SAVEPOINT a" };
	struct kit *k = arg;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		kit_ask(k, &a, bad[i]);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
	/* These end what they begin. */
	kit_ask(k, &a, "SET STATEMENT max_statement_time = 1 FOR SELECT @@max_statement_time");
	kit_assert_row(&a, "1.000000");
	kit_end(&a);
	kit_do(k, "BEGIN NOT ATOMIC DECLARE x int DEFAULT 1; INSERT INTO one SELECT x + 100; END");
	kit_ask(k, &a, "SELECT @@character_set_client, @@character_set_results, @@autocommit, @@max_statement_time");
	kit_assert_row(&a, "utf8mb4", "utf8mb4", "1", "0.000000");
	kit_end(&a);
}

static void
what_changes_a_shared_connection_is_refused(void **state)
{
	(void)state;
	run_with(maria.url, 1, shared_body, 1);
}

static void
procedures_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE PROCEDURE two() BEGIN SELECT 1, 'a' UNION SELECT 2, 'b'; SELECT 3; INSERT INTO one VALUES (300); END");
	kit_do(k, "CREATE PROCEDURE none(n int) INSERT INTO one VALUES (n)");
	kit_do(k, "CREATE PROCEDURE bad() BEGIN SELECT 1; SELECT * FROM nowhere; END");
	kit_do(k, "CREATE PROCEDURE state() BEGIN SET @x = 5; SET SESSION max_statement_time = 7, autocommit = 0; SELECT @x; END");
	for (int i = 0; i < 3; i++) {
		/* The first result is the procedure's. */
		kit_ask(k, &a, "CALL two()");
		if (i == 0) {
			kit_assert_row(&a, "1", "a");
			assert_int_equal(a.call.rows->count, 2);
		} else {
			kit_assert_fault(&a, WEFT_REFUSED, "1062");
		}
		kit_end(&a);
		kit_ask_values(k, &a, "CALL none($1)", (const struct value[]){ KIT_INT(400 + i) }, 1);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_int_equal(a.call.rows->columns, 0);
		kit_end(&a);
		kit_ask(k, &a, "CALL bad()");
		kit_assert_fault(&a, WEFT_REFUSED, "1146");
		kit_end(&a);
		/* Nobody else sees what it leaves behind. */
		kit_ask(k, &a, "CALL state()");
		kit_assert_row(&a, "5");
		kit_end(&a);
		kit_ask(k, &a, "SELECT @x, @@max_statement_time, @@autocommit, @@character_set_client");
		kit_assert_row(&a, NULL, "0.000000", "1", "utf8mb4");
		kit_end(&a);
		kit_ask(k, &a, "SELECT 5 INTO @y");
		assert_int_equal(a.call.rc, WEFT_OK);
		kit_end(&a);
		kit_ask(k, &a, "SELECT @y");
		kit_assert_row(&a, NULL);
		kit_end(&a);
	}
	kit_ask(k, &a, "SELECT COUNT(*) FROM one WHERE id >= 400");
	kit_assert_row(&a, "3");
	kit_end(&a);
}

static void
a_procedure_leaves_nothing_behind(void **state)
{
	(void)state;
	run_with(maria.url, 1, procedures_body, 1);
}

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE PROCEDURE open_end() BEGIN START TRANSACTION; INSERT INTO one VALUES (500); END");
	kit_do(k, "CALL open_end()");
	kit_ask(k, &a, "SELECT COUNT(*) FROM one WHERE id = 500");
	kit_assert_row(&a, "0");
	kit_end(&a);
}

static void
a_transaction_left_open_loses_its_connection(void **state)
{
	(void)state;
	run_with(maria.url, 1, transaction_body, 2);
}

/* ---- prepared statements ---- */

static void
prepared_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b[3];
	char sql[64], want[16];
	static char text[40000];

	kit_do(k, "CREATE TABLE shape (a int)");
	kit_do(k, "INSERT INTO shape VALUES (1)");
	for (int i = 0; i < 2; i++) {
		kit_ask(k, &a, "SELECT * FROM shape");
		kit_assert_row(&a, "1");
		kit_end(&a);
	}
	kit_ask(k, &a, "INSERT INTO shape VALUES (1) RETURNING *");
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_do(k, "ALTER TABLE shape ADD COLUMN b text DEFAULT 'two', MODIFY a varchar(9)");
	for (int i = 0; i < 3; i++)
		kit_start(k, &b[i], "SELECT * FROM shape", NULL, 0);
	for (int i = 0; i < 3; i++) {
		call_wait(&b[i].call, KIT_SOON);
		kit_assert_row(&b[i], "1", "two");
		kit_end(&b[i]);
	}
	/* Asked again, it would be done twice. */
	kit_do(k, "ALTER TABLE shape ADD COLUMN c int DEFAULT 3");
	kit_ask(k, &a, "SELECT COUNT(*) FROM shape");
	kit_assert_row(&a, "2");
	kit_end(&a);
	kit_ask(k, &a, "DELETE FROM shape LIMIT 1 RETURNING *");
	kit_assert_row(&a, "1", "two", "3");
	kit_end(&a);
	kit_do(k, "ALTER TABLE shape ADD COLUMN d int DEFAULT 4");
	kit_do(k, "INSERT INTO shape VALUES (1, 2, 3, 4), (1, 2, 3, 4)");
	kit_ask(k, &a, "DELETE FROM shape LIMIT 1 RETURNING *");
	kit_assert_fault(&a, WEFT_UNKNOWN, "");
	kit_end(&a);
	kit_ask(k, &a, "SELECT COUNT(*) FROM shape");
	kit_assert_row(&a, "2");
	kit_end(&a);
	for (int i = 0; i < 400; i++) {
		snprintf(sql, sizeof sql, "SELECT %d", i % 100);
		snprintf(want, sizeof want, "%d", i % 100);
		kit_ask(k, &a, sql);
		kit_assert_row(&a, want);
		kit_end(&a);
	}
	/* Too long to be kept. */
	snprintf(text, sizeof text, "SELECT '%032000d'", 0);
	for (int i = 0; i < 3; i++)
		kit_do(k, text);
	assert_true(atoi(maria_admin("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Prepared_stmt_count'")) <= 64);
}

static void
lost_preparations_are_mended(void **state)
{
	(void)state;
	run_with(maria.url, 1, prepared_body, 1);
}

/* ---- waits ---- */

static void
overlap_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a[20];
	usec began;

	for (int round = 0; round < 2; round++) {
		began = clock_now();
		for (int i = 0; i < 20; i++)
			kit_start(k, &a[i], round == 0 ? "SELECT SLEEP(0.05)" : "SELECT SLEEP(0.2)", NULL, 0);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
			kit_end(&a[i]);
		}
	}
	assert_true(clock_now() - began < 2 * USEC_PER_SEC);
}

static void
waits_overlap(void **state)
{
	(void)state;
	run_with(maria.url, 20, overlap_body, 0);
}

static void
slow_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask slow, a;
	usec began;

	kit_start(k, &slow, "SELECT SLEEP(2)", NULL, 0);
	kit_start(k, &a, "SELECT SLEEP(0.02)", NULL, 0);
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
	(void)state;
	run_with(maria.url, 2, slow_body, 2);
}

static void
cancel_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	usec began;

	kit_do(k, "SELECT 1");
	/* Running, and not even sent. */
	for (int i = 0; i < 2; i++) {
		kit_start(k, &a, "SELECT SLEEP(10)", NULL, 0);
		if (i == 0)
			assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
		else
			call_abandon(&a.call, WEFT_CANCELED);
		kit_end(&a);
		began = clock_now();
		kit_do(k, "SELECT 1");
		assert_true(clock_now() - began < USEC_PER_SEC);
	}
	/* In the midst of its rows. */
	kit_start(k, &a, "SELECT REPEAT('x', 1000), SLEEP(0.001) FROM seq_1_to_100000", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 50 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	/* One waits behind it. */
	kit_start(k, &b, "SELECT 5", NULL, 0);
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "5");
	kit_end(&b);
}

static void
an_abandoned_statement_is_cancelled(void **state)
{
	(void)state;
	run_with(maria.url, 1, cancel_body, 1);
	assert_string_equal(maria_admin("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(10)'"), "0");
}

static void
late_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	unsigned timeouts = 0;

	kit_do(k, "SELECT 1");
	for (int round = 0; round < 150; round++) {
		kit_start(k, &a, "SELECT SLEEP(0.01)", NULL, 0);
		/* From before its end to behind it. */
		timeouts += call_wait(&a.call, clock_now() + 8000 + round % 50 * 80) == WEFT_TIMEOUT;
		kit_end(&a);
		kit_ask(k, &a, "SELECT SLEEP(0.001), 'next'");
		kit_assert_row(&a, "0", "next");
		kit_end(&a);
	}
	assert_true(timeouts > 10);
}

static void
a_late_cancel_hits_nobody(void **state)
{
	(void)state;
	run_with(maria.url, 1, late_body, 1);
}

static void
wake_body(void *arg)
{
	(void)arg;
	assert_int_equal(fiber_sleep(1300 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(kill(maria.pid, SIGCONT), 0);
}

/* A statement that takes no notice of its cancel for longer than the draining lasts: its connection is closed, the next one goes well. */
static void
stubborn_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "SELECT 1");
	kit_start(k, &a, "SELECT SLEEP(10)", NULL, 0);
	assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(kill(maria.pid, SIGSTOP), 0);
	kit_spawn(wake_body, NULL);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(k, "SELECT 1");
}

static void
a_statement_that_goes_on_loses_its_connection(void **state)
{
	(void)state;
	run_with(maria.url, 1, stubborn_body, 2);
}

/* ---- losses ---- */

static void
killed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	char sql[64];

	kit_start(k, &b, "SELECT SLEEP(11)", NULL, 0);
	/* As soon as it runs. */
	do
		snprintf(sql, sizeof sql, "KILL %s",
		    maria_admin("SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(11)'"));
	while (strcmp(sql, "KILL ") == 0 && fiber_sleep(5 * USEC_PER_MSEC) == WEFT_OK);
	maria_admin(sql);
	call_wait(&b.call, KIT_SOON);
	kit_assert_fault(&b, WEFT_UNKNOWN, NULL);
	kit_end(&b);
	/* Idle ones die unseen. */
	for (int i = 0; i < 5; i++) {
		kit_do(k, "SELECT 1");
		snprintf(sql, sizeof sql, "KILL %s", maria_admin("SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE USER = 'weft'"));
		maria_admin(sql);
		assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
		kit_do(k, "SELECT 1");
	}
	/* Its own. */
	kit_ask(k, &a, "KILL CONNECTION_ID()");
	kit_assert_fault(&a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	/* Somebody else's KILL QUERY is an error like any other. */
	kit_ask(k, &a, "KILL QUERY CONNECTION_ID()");
	kit_assert_fault(&a, WEFT_REFUSED, "1317");
	kit_end(&a);
	kit_do(k, "SELECT 1");
}

static void
a_killed_connection_is_replaced(void **state)
{
	(void)state;
	run_with(maria.url, 1, killed_body, 0);
	run_with(maria.tcp_url, 2, killed_body, 0);
}

static void
read_only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	char before[24];

	kit_start(k, &a, "SELECT SLEEP(0.05)", NULL, 0);
	kit_do(k, "SELECT 1");
	call_wait(&a.call, KIT_SOON);
	kit_end(&a);
	kit_ask(k, &a, "SELECT CONNECTION_ID()");
	snprintf(before, sizeof before, "%s", rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	maria_admin("SET GLOBAL read_only = 1");
	kit_ask(k, &a, "INSERT INTO one VALUES (600)");
	kit_assert_fault(&a, WEFT_REFUSED, "1290");
	kit_end(&a);
	kit_ask(k, &a, "SELECT CONNECTION_ID()");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_not_equal(rows_cell(a.call.rows, 0, 0).at, before);
	kit_end(&a);
	/* What was idle has gone too. */
	assert_int_equal(kit_stat(k).failovers, 1);
	assert_string_equal(maria_admin("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'weft'"), "1");
}

static void
a_read_only_server_is_left(void **state)
{
	(void)state;
	run_with(maria.url, 2, read_only_body, 3);
	maria_admin("SET GLOBAL read_only = 0");
}

static void
crash_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a, b;
	usec back;

	kit_do(k, "SELECT 1");
	kit_start(k, &b, "SELECT SLEEP(30)", NULL, 0);
	assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
	maria_stop(SIGKILL);
	call_wait(&b.call, KIT_SOON);
	kit_assert_fault(&b, WEFT_UNKNOWN, NULL);
	kit_end(&b);
	kit_ask(k, &a, "SELECT 1");
	assert_true(a.call.rc == WEFT_DOWN || a.call.rc == WEFT_UNKNOWN || a.call.rc == WEFT_NOT_SENT);
	kit_end(&a);
	maria_start();
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
	(void)state;
	run_with(maria.url, 2, crash_body, 0);
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
	char from[108], url[200];
	struct kit k;

	(void)state;
	snprintf(from, sizeof from, "%s/cut", maria.dir);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@/weft?socket=%s", from);
	cut_start(from, maria.socket);
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 1, .check_after = RESTED });
	kit_run(&k, rested_body, &k);
	kit_close(&k);
	cut_stop();
}

/* ---- connecting ---- */

static void
tls_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'");
	kit_assert_row(&a, "1");
	kit_end(&a);
	/* Results of many sizes, so that some leave a part of a record behind. */
	for (int i = 0; i < 300; i++) {
		struct value v = KIT_INT(1000 + i * 331);

		kit_ask_values(k, &a, "SELECT REPEAT('x', $1)", &v, 1);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_int_equal(rows_cell(a.call.rows, 0, 0).len, v.as.integer);
		kit_end(&a);
	}
	kit_start(k, &a, "SELECT SLEEP(10)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_lend(k, &l);
	for (int i = 0; i < 30; i++) {
		struct value v = KIT_INT(i * 37);

		arena_init(&a.arena, NULL, 0, 0);
		kit_part_start(&l, &a, "SELECT seq AS i, REPEAT('x', $1) FROM seq_1_to_5000", &v, 1);
		call_wait(&a.call, KIT_SOON);
		assert_int_equal(kit_part_count(&l, &a, "i"), 5000);
		kit_end(&a);
	}
	kit_give(&l);
	sizes_body(k);
	tokens_body(k);
}

static void
down_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;

	kit_ask(k, &a, "SELECT 1");
	kit_assert_fault(&a, WEFT_DOWN, NULL);
	assert_null(strstr(a.fault.text, "hush"));
	assert_null(strstr(a.fault.text, "cret"));
	kit_end(&a);
}

/* The name must be the certificate's, and the certificate one that is trusted. */
static void
it_speaks_tls_and_knows_whom_it_speaks_to(void **state)
{
	char url[400];

	(void)state;
	snprintf(url, sizeof url, "%s?tls=on&ca=%s/server-cert.pem", maria.tcp_url, maria.dir);
	run_with(url, 1, down_body, 0);		/* the server has none yet */
	maria_stop(SIGKILL);
	maria_make_certificate();
	maria_start();
	run_with(url, 2, tls_body, 2);
	snprintf(url, sizeof url, "%s?tls=on", maria.tcp_url);
	run_with(url, 1, down_body, 0);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@127.0.0.1:%s/weft?tls=on&ca=%s/server-cert.pem", maria.port, maria.dir);
	run_with(url, 1, down_body, 0);
}

static void
one_body(void *arg)
{
	kit_do(arg, "SELECT 1");
}

static void
a_host_name_is_looked_up(void **state)
{
	(void)state;
	run_with(maria.tcp_url, 2, one_body, 1);
}

static void
what_cannot_be_reached_is_down_and_tells_no_password(void **state)
{
	static const char *const urls[] = { "mariadb://u:hush@/db?socket=/nowhere", "mysql://u:hush@127.0.0.1:1/db",
		"mariadb://u:hush@name.invalid/db" };
	char url[256];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		run_with(urls[i], 1, down_body, 0);
	snprintf(url, sizeof url, "mariadb://nobody:hush@localhost:%s/weft", maria.port);
	run_with(url, 1, down_body, 0);
}

static void
a_pool_may_close_while_connecting(void **state)
{
	struct kit k;

	(void)state;
	for (int turns = 0; turns < 8; turns++) {
		kit_open_with(&k, (struct pool_conf){ .url = turns % 2 ? maria.url : maria.tcp_url, .max = 4, .min = 4 });
		for (int i = 0; i < turns; i++)
			loop_turn(k.loop, USEC_PER_MSEC);
		kit_close(&k);
	}
}

static void
urls_that_cannot_work_are_refused(void **state)
{
	static const char *const urls[] = { "mariadb://u@h/db?nosuch=1", "mariadb://h/db", "mariadb:///db", "mariadb://u@h/db?socket=/s",
		"mariadb://u@h/a/b", "mariadb://u@/db?tls=on", "mariadb://u@h/db?tls=maybe", "mariadb://u@h/db?ca=/x",
		"mariadb://u@h/db?tls=on&ca=%zz", "mysql://u@:3306/db", "mariadb://u@/db?socket=/%00" };
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct pool_conf conf = { .name = "db", .url = urls[i] };

		error[0] = '\0';
		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
		assert_string_not_equal(error, "");
	}
	assert_int_equal(pool_check(&(struct pool_conf){ .name = "db", .url = maria.url }, error, sizeof error), WEFT_OK);
	assert_int_equal(pool_check(&(struct pool_conf){ .name = "db", .url = "mysql://u@h?tls=off" }, error, sizeof error), WEFT_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_cannot_work_are_refused),
		cmocka_unit_test(values_of_each_kind_arrive),
		cmocka_unit_test(each_type_is_written_as_the_server_writes_it),
		cmocka_unit_test(results_of_each_size_arrive),
		cmocka_unit_test(what_is_too_large_is_left),
		cmocka_unit_test(parameters_are_found_where_they_are),
		cmocka_unit_test(quotes_are_read_as_the_server_reads_them),
		cmocka_unit_test(an_error_is_its_statements_own),
		cmocka_unit_test(each_gets_its_own_answer),
		cmocka_unit_test(what_changes_a_shared_connection_is_refused),
		cmocka_unit_test(a_procedure_leaves_nothing_behind),
		cmocka_unit_test(a_transaction_left_open_loses_its_connection),
		cmocka_unit_test(lost_preparations_are_mended),
		cmocka_unit_test(waits_overlap),
		cmocka_unit_test(a_slow_statement_delays_no_other),
		cmocka_unit_test(an_abandoned_statement_is_cancelled),
		cmocka_unit_test(a_late_cancel_hits_nobody),
		cmocka_unit_test(a_statement_that_goes_on_loses_its_connection),
		cmocka_unit_test(a_killed_connection_is_replaced),
		cmocka_unit_test(a_read_only_server_is_left),
		cmocka_unit_test(a_rested_connection_is_asked_for_a_sign_of_life),
		cmocka_unit_test(a_host_name_is_looked_up),
		cmocka_unit_test(it_speaks_tls_and_knows_whom_it_speaks_to),
		cmocka_unit_test(what_cannot_be_reached_is_down_and_tells_no_password),
		cmocka_unit_test(a_pool_may_close_while_connecting),
		cmocka_unit_test(it_goes_on_after_a_crash_of_the_server),
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, maria_set_up, maria_tear_down);
}
