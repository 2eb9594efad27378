/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/sql/rows.h"
#include "back/sql/rows_draft.h"
#include "back/sql/sqltext.h"
#include "back/sql/stmts.h"

static void
rows_begin_as_null_and_are_checked(void **state)
{
	struct arena a;
	struct weft_rows *r;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	r = rows_new(&a, 2, 3);
	assert_non_null(r);
	assert_int_equal(r->affected, 0);
	r->cell[5] = SPAN("last");
	assert_null(rows_cell(r, 0, 0).at);
	assert_int_equal(rows_cell(r, 2, 1).len, 4);
	assert_null(rows_cell(r, 3, 0).at);
	assert_null(rows_cell(r, 0, 2).at);
	assert_null(rows_cell(NULL, 0, 0).at);
	r = rows_new(&a, 0, 4);
	assert_int_equal(r->count, 4);
	assert_null(rows_cell(r, 0, 0).at);
	arena_fini(&a);
}

static void
rows_respect_the_arena(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 8192);
	assert_null(rows_new(&a, 10, 1000));
	assert_null(rows_new(&a, 1000, SIZE_MAX / 100));
	arena_fini(&a);
}

static void
a_draft_becomes_rows_or_says_that_it_is_full(void **state)
{
	struct rows_draft d;
	struct weft_rows *r;
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	rows_draft_init(&d, 1000);
	for (int round = 0; round < 2; round++) {
		rows_draft_clear(&d);
		d.columns = 2;
		rows_draft_add(&d, SPAN("name"));
		rows_draft_add(&d, SPAN(""));
		rows_draft_add(&d, SPAN("a\0b"));
		rows_draft_add(&d, (struct span){ NULL, 0 });
		rows_draft_add(&d, SPAN("x"));
		rows_draft_add(&d, SPAN(""));
		d.count = 2;
		d.affected = 7;
		assert_false(rows_draft_is_full(&d));
	}
	r = rows_draft_make(&d, &a);
	rows_draft_shrink(&d);
	assert_int_equal(r->affected, 7);
	assert_string_equal(r->name[0], "name");
	assert_string_equal(r->name[1], "");
	assert_int_equal(rows_cell(r, 0, 0).len, 3);
	assert_memory_equal(rows_cell(r, 0, 0).at, "a\0b", 4);
	assert_null(rows_cell(r, 0, 1).at);
	assert_string_equal(rows_cell(r, 1, 0).at, "x");
	assert_string_equal(rows_cell(r, 1, 1).at, "");
	while (!rows_draft_is_full(&d))
		rows_draft_add(&d, SPAN("0123456789"));
	rows_draft_clear(&d);
	assert_false(rows_draft_is_full(&d));
	rows_draft_fini(&d);
	arena_fini(&a);
}

static void
sql_first_word_skips_what_means_nothing(void **state)
{
	static const char *const same[] = { "begin", " \t\nBEGIN;", "-- a\nBegin", "/* a /* b */ c */begin", ";;(begin" };
	char word[SQL_WORD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		sql_first_word(same[i], word);
		assert_string_equal(word, "BEGIN");
		assert_string_equal(sql_session_word(same[i]), "BEGIN");
	}
	sql_first_word("/* without end", word);
	assert_string_equal(word, "");
	sql_first_word("-- without end", word);
	assert_string_equal(word, "");
	sql_first_word("/*/", word);
	assert_string_equal(word, "");
	sql_first_word("abcdefghijklmnopqrstuvwxyz", word);
	assert_string_equal(word, "ABCDEFGHIJKLMNO");
	assert_string_equal(sql_session_word("create temp table a (b int)"), "CREATE TEMPORARY");
	assert_string_equal(sql_session_word("CREATE OR REPLACE LOCAL /* a */ TEMPORARY VIEW a AS SELECT 1"), "CREATE TEMPORARY");
	assert_null(sql_session_word("CREATE TABLE temp (b int)"));
	assert_null(sql_session_word("CREATE"));
	assert_null(sql_session_word("CREATE OR"));
	assert_null(sql_session_word("SELECT 'begin'"));
	assert_null(sql_session_word("SETTLE"));
	assert_null(sql_session_word(""));
}

/* Few places or many: it is what printf writes with the fewest digits that read back. */
static void
sql_reals_are_as_printf_writes_them(void **state)
{
	static const double scale[] = { 1, 10, 100, 1000, 10000, 100000, 1e-3, 1e7 };
	static const double more[] = { 0.0, -0.0, 999999999999999, 1e15, 99999999999.9999, 0.0001, 0.00001, 0.30000000000000004, 2.675, 1e22 };
	char text[SQL_REAL_MAX], expected[SQL_REAL_MAX];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		double x = i < 10 ? more[i] : (i * 7919 % 30011 - 15000) / scale[i % 8];
		int digits = 15;

		do
			snprintf(expected, sizeof expected, "%.*g", digits, x);
		while (strtod(expected, NULL) != x && digits++ < 17);
		sql_real(x, text);
		assert_string_equal(text, expected);
	}
}

static void
sql_calls_are_found_in_all_of_a_text(void **state)
{
	static const char *const none[] = {
		"", "set_config", "SELECT 'set_config', 1", "SELECT my_set_config(1)", "SELECT set_config2(1)",
		"SELECT pg_advisory_xact_lock(1)", "SELECT pg_temp", "INSERT INTO temperature VALUES (1)", "SELECT a INTO b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_null(sql_session_call(none[i]));
	assert_string_equal(sql_session_call("SELECT Set_Config('a', 'b', true)"), "set_config");
	assert_string_equal(sql_session_call("WITH a AS (SELECT pg_catalog.set_config\n('a', 'b', true)) SELECT 1"), "set_config");
	assert_string_equal(sql_session_call("DO $$ BEGIN PERFORM \"pg_advisory_lock\" (1); END $$"), "pg_advisory_lock");
	assert_string_equal(sql_session_call("select 1 into temp x"), "INTO TEMPORARY");
	assert_string_equal(sql_session_call("INSERT INTO pg_temp.x VALUES (1)"), "pg_temp");
}

static void
sql_traces_are_told_apart(void **state)
{
	static const char *const nothing[] = { "SELECT 1", "UPDATE a SET b = 1", "CREATE TABLE a (b int)", "", "NOTIFY a" };
	static const char *const transaction[] = {
		"BEGIN", "commit", " savepoint a", "ROLLBACK TO a", "SET LOCAL a = 1", "set /* a */ transaction read only",
		"SET CONSTRAINTS ALL DEFERRED", "LOCK a", "FETCH a",
	};
	static const char *const state_of_it[] = {
		"SET a = 1", "SET local.a = 1", "SET SESSION a = 1", "RESET ALL", "LISTEN a", "DECLARE a CURSOR FOR SELECT 1", "PREPARE a AS SELECT 1",
		"CREATE TEMP TABLE a (b int)", "DO $$ BEGIN END $$", "CALL a()", "DEALLOCATE ALL", "SELECT set_config('a', 'b', false)",
		"SELECT 1 INTO TEMP a", "SET",
	};

	(void)state;
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
		assert_int_equal(sql_trace(nothing[i]), SQL_LEAVES_NOTHING);
	for (size_t i = 0; i < sizeof transaction / sizeof *transaction; i++)
		assert_int_equal(sql_trace(transaction[i]), SQL_LEAVES_TRANSACTION);
	for (size_t i = 0; i < sizeof state_of_it / sizeof *state_of_it; i++)
		assert_int_equal(sql_trace(state_of_it[i]), SQL_LEAVES_STATE);
}

static void
sql_ends_of_transactions_are_told(void **state)
{
	static const char *const none[] = {
		"SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "rollback work to savepoint a", "ROLLBACK TRANSACTION TO a", "SELECT 1",
		"PREPARE a AS SELECT 1", "",
	};

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_null(sql_transaction_word(none[i]));
	assert_string_equal(sql_transaction_word("-- a\nrollback"), "ROLLBACK");
	assert_string_equal(sql_transaction_word("ROLLBACK AND CHAIN"), "ROLLBACK");
	assert_string_equal(sql_transaction_word("begin immediate"), "BEGIN");
	assert_string_equal(sql_transaction_word("END"), "END");
	assert_string_equal(sql_transaction_word("prepare transaction 'a'"), "PREPARE TRANSACTION");
}

static void
sql_reals_read_back(void **state)
{
	static const double same[] = { 0, 1, -1.5, 0.1, 1.0 / 3, 1e100, 5e-324, 123456789.123456789, 9007199254740993.0 };
	char text[SQL_REAL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		double back;

		sql_real(same[i], text);
		assert_int_equal(sscanf(text, "%lf", &back), 1);
		assert_memory_equal(&back, &same[i], sizeof back);
	}
	sql_real(0.1, text);
	assert_string_equal(text, "0.1");
	sql_real(NAN, text);
	assert_string_equal(text, "NaN");
	sql_real(-INFINITY, text);
	assert_string_equal(text, "-Infinity");
	sql_real(INFINITY, text);
	assert_string_equal(text, "Infinity");
}

static void
stmts_forget_the_least_recently_used(void **state)
{
	struct stmts s;
	char text[32];

	(void)state;
	stmts_init(&s, 3);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(text, sizeof text, "SELECT %u", i);
		assert_null(stmts_surplus(&s));
		assert_null(stmts_find(&s, text, sql_hash(text), 0));
		stmts_add(&s, text, sql_hash(text), 0)->number = i;
	}
	assert_int_equal(stmts_find(&s, "SELECT 0", sql_hash("SELECT 0"), 0)->number, 0);
	assert_null(stmts_find(&s, "SELECT 0", sql_hash("SELECT 0"), 1));
	assert_string_equal(stmts_surplus(&s)->text, "SELECT 1");
	stmts_remove(&s, stmts_surplus(&s));
	assert_null(stmts_find(&s, "SELECT 1", sql_hash("SELECT 1"), 0));
	assert_null(stmts_surplus(&s));
	stmts_add(&s, "SELECT 0", sql_hash("SELECT 0"), 1)->number = 9;
	assert_int_equal(stmts_find(&s, "SELECT 0", sql_hash("SELECT 0"), 0)->number, 0);
	assert_int_equal(stmts_find(&s, "SELECT 0", sql_hash("SELECT 0"), 1)->number, 9);
	while (stmts_surplus(&s) != NULL)
		stmts_remove(&s, stmts_surplus(&s));
	while (!TAILQ_EMPTY(&s.used))
		stmts_remove(&s, TAILQ_FIRST(&s.used));
	assert_int_equal(s.count, 0);
}

static void
stmts_do_not_keep_a_huge_text(void **state)
{
	static char text[STMTS_TEXT_MAX + 2];
	struct stmts s;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	stmts_init(&s, 3);
	assert_null(stmts_add(&s, text, sql_hash(text), 0));
	assert_int_equal(s.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_begin_as_null_and_are_checked),
		cmocka_unit_test(rows_respect_the_arena),
		cmocka_unit_test(a_draft_becomes_rows_or_says_that_it_is_full),
		cmocka_unit_test(sql_first_word_skips_what_means_nothing),
		cmocka_unit_test(sql_reals_are_as_printf_writes_them),
		cmocka_unit_test(sql_calls_are_found_in_all_of_a_text),
		cmocka_unit_test(sql_traces_are_told_apart),
		cmocka_unit_test(sql_ends_of_transactions_are_told),
		cmocka_unit_test(sql_reals_read_back),
		cmocka_unit_test(stmts_forget_the_least_recently_used),
		cmocka_unit_test(stmts_do_not_keep_a_huge_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
