/* SPDX-License-Identifier: ISC */

/* What happens to a MariaDB connection in an order that is rare, against a real server. */
#include "back_parts_kit.h"

#include "back_maria.h"

/* ---- prepared statements ---- */

static void
procedure_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_do(k, "CREATE TABLE mark (n int)");
	kit_do(k, "CREATE PROCEDURE fails() BEGIN INSERT INTO mark VALUES (1); EXECUTE nothing; END");
	for (int i = 0; i < 3; i++)
		kit_fails(k, "CALL fails()", WEFT_REFUSED, "1243");
	kit_says(k, "SELECT COUNT(*) FROM mark", "3");
	kit_lend(k, &l);
	kit_lease_fails(&l, "CALL fails()", WEFT_REFUSED, "1243");
	kit_give(&l);
	kit_says(k, "SELECT COUNT(*) FROM mark", "4");
	kit_do(k, "DROP TABLE mark");
}

/* It may have done something when it fails, so whatever it says it is not called again. */
static void
a_procedure_is_called_once(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, procedure_body);
}

static void
full_body(void *arg)
{
	char sql[32], want[16];
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	maria_admin("SET GLOBAL max_prepared_stmt_count = 10");
	for (int i = 0; i < 60; i++) {
		snprintf(sql, sizeof sql, "SELECT %d", i % 20);
		snprintf(want, sizeof want, "%d", i % 20);
		kit_says(k, sql, want);
	}
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	for (int i = 0; i < 30; i++) {
		snprintf(sql, sizeof sql, "SELECT %d", 100 + i);
		snprintf(want, sizeof want, "%d", 100 + i);
		kit_lease_says(&l, sql, want);
	}
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
	/* Where there is no room at all, nothing can be asked; and that is told. */
	maria_admin("SET GLOBAL max_prepared_stmt_count = 0");
	for (int i = 0; i < 3; i++)
		kit_fails(k, "SELECT 'none'", WEFT_REFUSED, "1461");
	maria_admin("SET GLOBAL max_prepared_stmt_count = 16382");
	kit_ask(k, &a, "SELECT 'some'");
	kit_assert_row(&a, "some");
	kit_end(&a);
}

/* Others may have taken the room: then fewer are kept. */
static void
a_server_may_have_little_room_for_prepared_statements(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, full_body);
}

/* As many columns as before, of other types. */
static void
types_body(void *arg)
{
	static const char *const change[][3] = {
		{ "ALTER TABLE typed MODIFY a varchar(99), MODIFY b bigint unsigned", "12", "34" },
		{ "ALTER TABLE typed MODIFY a double, MODIFY b varchar(9)", "12", "34" },
		{ "ALTER TABLE typed MODIFY a tinyint, MODIFY b decimal(9, 2)", "12", "34.00" },
		{ "ALTER TABLE typed MODIFY a mediumblob, MODIFY b int zerofill", "12", "0000000034" },
	};
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE typed (a int, b text)");
	kit_do(k, "INSERT INTO typed VALUES (12, '34')");
	for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
		kit_ask(k, &a, "SELECT * FROM typed");
		assert_int_equal(a.call.rc, WEFT_OK);
		kit_end(&a);
		kit_do(k, change[i][0]);
		kit_ask(k, &a, "SELECT * FROM typed");
		kit_assert_row(&a, change[i][1], change[i][2]);
		kit_end(&a);
	}
	kit_do(k, "DROP TABLE typed");
}

static void
columns_may_change_their_types(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, types_body);
}

static void
columns_body(void *arg)
{
	static const struct value n[] = { KIT_INT(1), KIT_INT(2), KIT_INT(3), KIT_INT(1) };
	struct kit *k = arg;
	struct kit_ask a;

	kit_do(k, "CREATE PROCEDURE columns_of(n int) BEGIN SET SESSION max_statement_time = 7; IF n = 1 THEN SELECT 1; "
	    "ELSEIF n = 2 THEN SELECT 'a', 2.5; SELECT 1, 2, 3; ELSE SELECT NULL, 'b', 18446744073709551615; END IF; END");
	for (int i = 0; i < 4; i++) {
		kit_ask_values(k, &a, "CALL columns_of($1)", &n[i], 1);
		if (i == 1)
			kit_assert_row(&a, "a", "2.5");
		else if (i == 2)
			kit_assert_row(&a, NULL, "b", "18446744073709551615");
		else
			kit_assert_row(&a, "1");
		kit_end(&a);
		kit_says(k, "SELECT @@max_statement_time", "0.000000");
	}
	kit_do(k, "DROP PROCEDURE columns_of");
}

static void
a_procedure_may_answer_in_other_columns_each_time(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, columns_body);
}

/* ---- what a procedure leaves behind on a shared connection ---- */

static void
trace_body(void *arg)
{
	static const struct {
		const char *does, *see, *clean;
	} trace[] = {
		{ "SET @y = 5", "SELECT @y", NULL },
		{ "CREATE TEMPORARY TABLE mark (a int)", "SELECT COUNT(*) FROM mark", "1" },
		{ "SET SESSION max_statement_time = 7", "SELECT @@max_statement_time", "0.000000" },
		{ "SET autocommit = 0", "SELECT @@autocommit", "1" },
		{ "SET NAMES latin1", "SELECT @@character_set_client", "utf8mb4" },
	};
	struct kit *k = arg;
	struct kit_ask a;
	char sql[200];

	kit_do(k, "CREATE TABLE mark (a int)");
	kit_do(k, "INSERT INTO mark VALUES (1)");
	for (size_t i = 0; i < sizeof trace / sizeof *trace; i++) {
		snprintf(sql, sizeof sql, "CREATE OR REPLACE PROCEDURE leaves() BEGIN %s; SELECT 1; SELECT 2; END", trace[i].does);
		kit_do(k, sql);
		kit_do(k, "CALL leaves()");
		kit_ask(k, &a, trace[i].see);
		kit_assert_row(&a, trace[i].clean);
		kit_end(&a);
	}
	kit_do(k, "DROP TABLE mark");
}

/* However many results are between that and its end. */
static void
a_shared_procedure_leaves_nothing_behind(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, trace_body);
}

/* ---- errors ---- */

static void
signals_body(void *arg)
{
	static const int number[] = { 1, 999, 1243, 1615, 2999, 5000, 30001, 65534 };
	struct kit *k = arg;
	struct kit_lease l;
	char sql[200], code[8];

	for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
		snprintf(sql, sizeof sql, "CREATE OR REPLACE FUNCTION signals() RETURNS int "
		    "BEGIN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %d; RETURN 1; END", number[i]);
		snprintf(code, sizeof code, "%d", number[i]);
		kit_do(k, sql);
		kit_fails(k, "SELECT signals()", WEFT_REFUSED, code);
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_fails(&l, "SELECT signals()", WEFT_REFUSED, code);
		kit_lease_fails(&l, "SET @x = signals()", WEFT_REFUSED, code);
		kit_lease_says(&l, "SELECT @@in_transaction", "1");
		kit_give(&l);
		kit_says(k, "SELECT @@in_transaction", "0");
	}
}

/* Those of the library's own are among them. */
static void
an_error_may_have_any_number(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, signals_body);
}

static void
midst_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE FUNCTION late(n int) RETURNS int BEGIN IF n > 1000 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1243; END IF; "
	    "RETURN n; END");
	kit_lend(k, &l);
	kit_part_open(&l, &a, "SELECT late(seq) AS i FROM seq_1_to_2000");
	kit_check_part(&a);
	kit_part_fails(&l, &a, WEFT_REFUSED, "1243");
	kit_end(&a);
	kit_lease_says(&l, "SELECT 7", "7");
	kit_give(&l);
}

/* Rows have been given by then. */
static void
what_fails_in_its_midst_is_not_begun_again(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, midst_body);
}

/* ---- values ---- */

enum { VALUES = 65535 };

static void
values_body(void *arg)
{
	static struct value v[VALUES + 1];
	static char sql[VALUES * 12 + 64];
	struct kit *k = arg;
	struct kit_ask a;
	size_t len = (size_t)sprintf(sql, "SELECT COUNT(*) FROM (SELECT 1 x) t WHERE x IN ($1");

	for (int i = 0; i <= VALUES; i++)
		v[i] = KIT_INT(i == VALUES - 1);
	for (int i = 1; i < VALUES; i++)
		len += (size_t)sprintf(sql + len, ",$%d", i + 1);
	strcpy(sql + len, ")");
	kit_ask_values(k, &a, sql, v, VALUES);
	kit_assert_row(&a, "1");
	kit_end(&a);
	kit_ask_values(k, &a, sql, v, VALUES + 1);
	kit_assert_fault(&a, WEFT_INVALID, "");
	kit_end(&a);
}

static void
as_many_values_as_there_may_be_arrive(void **state)
{
	(void)state;
	kit_part_with_pool(maria.url, 1, 1, values_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_procedure_is_called_once),
		cmocka_unit_test(a_server_may_have_little_room_for_prepared_statements),
		cmocka_unit_test(columns_may_change_their_types),
		cmocka_unit_test(a_procedure_may_answer_in_other_columns_each_time),
		cmocka_unit_test(a_shared_procedure_leaves_nothing_behind),
		cmocka_unit_test(an_error_may_have_any_number),
		cmocka_unit_test(what_fails_in_its_midst_is_not_begun_again),
		cmocka_unit_test(as_many_values_as_there_may_be_arrive),
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, maria_set_up, maria_tear_down);
}
