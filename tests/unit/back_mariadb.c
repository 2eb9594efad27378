/* SPDX-License-Identifier: ISC */

/* Statements down shared connections of a real MariaDB. */
#include "back_same.h"

#include <math.h>

#include "back_maria.h"

/* ---- what differs from other databases ---- */

static const char *const mariadb_changes[] = { "SET @a = 1", "/* a */ SET NAMES latin1", "# a\nUSE mysql", "-- a\n(USE mysql)",
	"/*!50000 SET @a = 1 */", "/*M!100100 SET @a = 1 */", "PREPARE a FROM 'SELECT 1'", "EXECUTE IMMEDIATE 'SELECT 1'",
	"DEALLOCATE PREPARE a", "LOCK TABLES one READ", "UNLOCK TABLES", "FLUSH TABLES WITH READ LOCK", "HANDLER one OPEN", "XA START 'a'",
	"BACKUP LOCK one", "CREATE OR REPLACE TEMPORARY TABLE t (id int)", NULL };

static const char *const mariadb_bad_urls[] = { "mariadb://u@h/db?nosuch=1", "mariadb://h/db", "mariadb:///db", "mariadb://u@h/db?socket=/s",
	"mariadb://u@h/a/b", "mariadb://u@/db?tls=on", "mariadb://u@h/db?tls=maybe", "mariadb://u@h/db?ca=/x", "mariadb://u@h/db?tls=on&ca=%zz",
	"mysql://u@:3306/db", "mariadb://u@/db?socket=/%00", NULL };

static const char *const mariadb_good_urls[] = { "mysql://u@h?tls=off", NULL };

static const char *const mariadb_unreachable[] = { "mariadb://u:hush@/db?socket=/nowhere", "mysql://u:hush@127.0.0.1:1/db",
	"mariadb://u:hush@name.invalid/db", NULL };

static void
mariadb_set_read_only(int on)
{
	maria_admin(on ? "SET GLOBAL read_only = 1" : "SET GLOBAL read_only = 0");
}

static void
mariadb_tls_on(void)
{
	maria_stop(SIGKILL);
	maria_make_certificate();
	maria_start();
}

static const char *
mariadb_tls_url(enum same_tls kind)
{
	static char url[400];

	if (kind == SAME_TLS_ANY)
		return NULL;
	if (kind == SAME_TLS_UNTRUSTED)
		snprintf(url, sizeof url, "%s?tls=on", maria.tcp_url);
	else
		snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@%s:%s/weft?tls=on&ca=%s/server-cert.pem",
		    kind == SAME_TLS_OWN ? "localhost" : "127.0.0.1", maria.port, maria.dir);
	return url;
}

const struct same_asks same_asks = {
	.values = "SELECT $1, $2, $3, $4, $5 AS b, $6, $7, $8, $3 = CONVERT($3 USING utf8mb4)",
	.item = "CREATE TABLE item (id int PRIMARY KEY AUTO_INCREMENT, big bigint, name text, data blob)",
	.reshape = "ALTER TABLE shape ADD COLUMN b text DEFAULT 'two', MODIFY a varchar(9)",
	.changes = mariadb_changes, .keeps = 64,
	.sleepers = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(10)'",
	.sleeper = "SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(11)'",
	.newest = "SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE USER = 'weft'",
	.clients = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'weft'",
	.kill_me = "KILL CONNECTION_ID()", .interrupt_me = "KILL QUERY CONNECTION_ID()",
	.write = "INSERT INTO one VALUES (600)", .set_read_only = mariadb_set_read_only,
	.bad_urls = mariadb_bad_urls, .good_urls = mariadb_good_urls, .unreachable = mariadb_unreachable,
	.nobody = "mariadb://nobody:hush@localhost:%s/weft", .port = maria.port,
	.has_tls = "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
	.tls_on = mariadb_tls_on, .tls_url = mariadb_tls_url,
};

static int
set_up(void **state)
{
	if (maria_set_up(state) != 0)
		return -1;
	same_make_tables();
	return 0;
}

/* ---- values and rows ---- */

static void
no_numbers_body(void *kit)
{
	static const double values[] = { (double)NAN, (double)INFINITY };
	struct kit_ask a;

	for (size_t i = 0; i < 2; i++) {
		kit_ask_values(kit, &a, "SELECT $1", (const struct value[]){ KIT_REAL(values[i]) }, 1);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
}

static void
what_is_no_number_is_refused(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, no_numbers_body);
}

/* As the server itself writes each of them as text. */
static void
types_body(void *kit)
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
	struct kit_ask a;

	for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
		char sql[300];

		snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE kind (x %s NULL)", one[i].type);
		kit_do(kit, sql);
		snprintf(sql, sizeof sql, "INSERT INTO kind VALUES (%s)", one[i].value);
		kit_do(kit, sql);
		kit_ask(kit, &a, "SELECT x FROM kind");
		assert_int_equal(a.call.rc, WEFT_OK);
		if (one[i].want == NULL)
			assert_null(rows_cell(a.call.rows, 0, 0).at);
		else if (strcmp(one[i].want, rows_cell(a.call.rows, 0, 0).at) != 0)
			fail_msg("%s %s: %s", one[i].type, one[i].value, rows_cell(a.call.rows, 0, 0).at);
		kit_end(&a);
	}
	kit_ask(kit, &a, "SELECT NULL, ROUND(2.5e0, 1), 1/3, COUNT(*), SUM(1), NOW() > '2000-01-01', TIMEDIFF('10:00', '11:30') FROM kind");
	kit_assert_row(&a, NULL, "2.5", "0.3333", "1", "1", "1", "-01:30:00");
	kit_end(&a);
}

static void
each_type_is_written_as_the_server_writes_it(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, types_body);
}

/* What the server takes at once, 16 MB. */
static void
large_value_body(void *kit)
{
	static char big[16 << 20];
	struct value v = { .kind = VALUE_BYTES, .as.bytes = { big, sizeof big } };
	struct kit_ask a;

	kit_do(kit, "SELECT 1");
	for (int i = 0; i < 3; i++) {
		v.as.bytes.len = (16 << 20) - (i == 2 ? 200 : (size_t)i);
		kit_ask_values(kit, &a, "SELECT LENGTH($1)", &v, 1);
		if (i == 2)
			kit_assert_row(&a, "16777016");
		else
			kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
	}
}

static void
what_is_too_large_for_the_server_is_not_sent(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, large_value_body);
}

/* ---- texts ---- */

static void
parameters_body(void *kit)
{
	const struct value two[] = { KIT_TEXT("one"), KIT_TEXT("two") };
	struct kit_ask a;

	kit_ask_values(kit, &a, "SELECT $2, $1, $2, '$1 ''$2', \"$1 \\\" $2\" /* $1 ? */, `$1`.a -- $1 ?\n FROM (SELECT 'three' a) `$1` # $2", two, 2);
	kit_assert_row(&a, "two", "one", "two", "$1 '$2", "$1 \" $2", "three");
	kit_end(&a);
	kit_ask_values(kit, &a, "SELECT /*! $2, */ $1, 1-$1-1", two, 2);
	kit_assert_row(&a, "two", "one", "0");
	kit_end(&a);
	/* What this server passes over, we cannot know: the values would be mistaken for each other. */
	kit_ask_values(kit, &a, "SELECT /*!999999 $2, */ $1", two, 2);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	kit_ask_values(kit, &a, "SELECT $1", two, 2);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	for (int i = 0; i < 2; i++) {
		kit_ask_values(kit, &a, "SELECT $1, $2", two, 1);
		kit_assert_fault(&a, WEFT_INVALID, "");
		kit_end(&a);
		kit_ask_values(kit, &a, "SELECT $1, $2", two, 2);
		kit_assert_row(&a, "one", "two");
		kit_end(&a);
	}
	kit_ask_values(kit, &a, "SELECT ?", two, 1);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
	kit_fails(kit, "", WEFT_REFUSED, "1065");
}

static void
parameters_are_found_where_they_are(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, parameters_body);
}

static void
modes_body(void *kit)
{
	const struct value one = KIT_TEXT("one");
	struct kit_ask a;

	kit_ask_values(kit, &a, "SELECT '\\', $1, \"x\".a FROM (SELECT '\\''' a) \"x\"", &one, 1);
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
	same_with_pool(same.url, 1, 1, modes_body);
	maria_admin(before);
}

/* ---- the session's state ---- */

/* These end what they begin. */
static void
ends_body(void *kit)
{
	struct kit_ask a;

	kit_says(kit, "SET STATEMENT max_statement_time = 1 FOR SELECT @@max_statement_time", "1.000000");
	kit_do(kit, "BEGIN NOT ATOMIC DECLARE x int DEFAULT 1; INSERT INTO one SELECT x + 100; END");
	kit_ask(kit, &a, "SELECT @@character_set_client, @@character_set_results, @@autocommit, @@max_statement_time");
	kit_assert_row(&a, "utf8mb4", "utf8mb4", "1", "0.000000");
	kit_end(&a);
}

static void
what_ends_with_its_statement_may_be_asked(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, ends_body);
}

static void
procedures_make(struct kit *k)
{
	kit_do(k, "CREATE PROCEDURE two() BEGIN SELECT 1, 'a' UNION SELECT 2, 'b'; SELECT 3; INSERT INTO one VALUES (300); END");
	kit_do(k, "CREATE PROCEDURE none(n int) INSERT INTO one VALUES (n)");
	kit_do(k, "CREATE PROCEDURE bad() BEGIN SELECT 1; SELECT * FROM nowhere; END");
	kit_do(k, "CREATE PROCEDURE state() BEGIN SET @x = 5; SET SESSION max_statement_time = 7, autocommit = 0; SELECT @x; END");
}

/* The first result is the procedure's, which fails where something later does. */
static void
procedures_answer(struct kit *k, int round)
{
	struct kit_ask a;

	kit_ask(k, &a, "CALL two()");
	if (round == 0) {
		kit_assert_row(&a, "1", "a");
		assert_int_equal(a.call.rows->count, 2);
	} else {
		kit_assert_fault(&a, WEFT_REFUSED, "1062");
	}
	kit_end(&a);
	kit_ask_values(k, &a, "CALL none($1)", (const struct value[]){ KIT_INT(400 + round) }, 1);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
	kit_fails(k, "CALL bad()", WEFT_REFUSED, "1146");
}

/* Nobody else sees what it leaves behind. */
static void
procedures_leave(struct kit *k)
{
	struct kit_ask a;

	kit_says(k, "CALL state()", "5");
	kit_ask(k, &a, "SELECT @x, @@max_statement_time, @@autocommit, @@character_set_client");
	kit_assert_row(&a, NULL, "0.000000", "1", "utf8mb4");
	kit_end(&a);
	kit_do(k, "SELECT 5 INTO @y");
	kit_says(k, "SELECT @y", NULL);
}

static void
procedures_body(void *kit)
{
	procedures_make(kit);
	for (int round = 0; round < 3; round++) {
		procedures_answer(kit, round);
		procedures_leave(kit);
	}
	kit_says(kit, "SELECT COUNT(*) FROM one WHERE id >= 400", "3");
}

static void
a_procedure_leaves_nothing_behind(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, procedures_body);
}

static void
open_end_body(void *kit)
{
	kit_do(kit, "CREATE PROCEDURE open_end() BEGIN START TRANSACTION; INSERT INTO one VALUES (500); END");
	kit_do(kit, "CALL open_end()");
	kit_says(kit, "SELECT COUNT(*) FROM one WHERE id = 500", "0");
}

static void
a_transaction_left_open_loses_its_connection(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, open_end_body);
}

/* ---- prepared statements ---- */

/* Asked again, it would be done twice: what has changed meanwhile is told, once it has been prepared. */
static void
twice_body(void *kit)
{
	struct kit_ask a;

	kit_do(kit, "CREATE TABLE shape (a int, b text DEFAULT 'two')");
	kit_ask(kit, &a, "INSERT INTO shape (a) VALUES (1), (1) RETURNING *");
	kit_assert_row(&a, "1", "two");
	kit_end(&a);
	kit_do(kit, "ALTER TABLE shape ADD COLUMN c int DEFAULT 3");
	kit_says(kit, "SELECT COUNT(*) FROM shape", "2");
	kit_ask(kit, &a, "DELETE FROM shape LIMIT 1 RETURNING *");
	kit_assert_row(&a, "1", "two", "3");
	kit_end(&a);
	kit_do(kit, "ALTER TABLE shape ADD COLUMN d int DEFAULT 4");
	kit_do(kit, "INSERT INTO shape VALUES (1, 2, 3, 4), (1, 2, 3, 4)");
	kit_fails(kit, "DELETE FROM shape LIMIT 1 RETURNING *", WEFT_UNKNOWN, "");
	kit_says(kit, "SELECT COUNT(*) FROM shape", "2");
	kit_do(kit, "DROP TABLE shape");
}

static void
what_changes_rows_is_not_asked_twice(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, twice_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_ANSWERS(SAME_TEST)
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(each_type_is_written_as_the_server_writes_it),
		cmocka_unit_test(what_is_too_large_for_the_server_is_not_sent),
		cmocka_unit_test(parameters_are_found_where_they_are),
		cmocka_unit_test(quotes_are_read_as_the_server_reads_them),
		cmocka_unit_test(what_ends_with_its_statement_may_be_asked),
		cmocka_unit_test(a_procedure_leaves_nothing_behind),
		cmocka_unit_test(a_transaction_left_open_loses_its_connection),
		cmocka_unit_test(what_changes_rows_is_not_asked_twice),
		SAME_WAITS(SAME_TEST)
		SAME_CONNECTS(SAME_TEST)
		SAME_LOSSES(SAME_TEST)
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, maria_tear_down);
}
