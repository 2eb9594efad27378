/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "back/mariadb/mariadb_text.h"

static const struct {
	const char *sql;
	unsigned modes;
	const char *want;
	const char *which;	/* a digit for each ? */
} good[] = {
	{ "", 0, "", "" },
	{ "SELECT $1", 0, "SELECT ?", "1" },
	{ "$3,$1 ,($2)+$1", 0, "?,? ,(?)+?", "3121" },
	{ "'$1' $1", 0, "'$1' ?", "1" },
	{ "'a''$1' \"b\"\"$1\" `c``$1` $2", 0, "'a''$1' \"b\"\"$1\" `c``$1` ?", "2" },
	{ "'\\'$1' $1", 0, "'\\'$1' ?", "1" },
	{ "'\\' $1", MARIADB_NO_BACKSLASH, "'\\' ?", "1" },
	{ "\"\\\" $1", MARIADB_ANSI_QUOTES, "\"\\\" ?", "1" },
	{ "\"\\\" $1", 0, "\"\\\" $1", "" },
	{ "'\\' $1", MARIADB_ANSI_QUOTES, "'\\' $1", "" },
	{ "`\\` $1", 0, "`\\` ?", "1" },
	{ "1 -- $1\n-- \n$1", 0, "1 -- $1\n-- \n?", "1" },
	{ "1--$1", 0, "1--?", "1" },
	{ "1 --", 0, "1 --", "" },
	{ "# $1 ?\n$1", 0, "# $1 ?\n?", "1" },
	{ "/* $1 /* ? */ $1", 0, "/* $1 /* ? */ ?", "1" },
	{ "/*/ $1 */ $2", 0, "/*/ $1 */ ?", "2" },
	{ "/* $1", 0, "/* $1", "" },
	{ "/*! $1 */ /*M!100100 $2*/ /*!50000$3*/", 0, "/*! ? */ /*M!100100 ?*/ /*!50000$3*/", "12" },
	{ "a$1 $1a _$1 $1_ @$1 t.$1 $$1 $1$2 \xc3\xa4$1 $1\xc3\xa4", 0, "a$1 $1a _$1 $1_ @$1 t.$1 $$1 $1$2 \xc3\xa4$1 $1\xc3\xa4", "" },
	{ "'x'$1\"y\"$2`z`", 0, "'x'?\"y\"?`z`", "12" },
	{ "$ $0 $a", 0, "$ $0 $a", "" },
	{ "'", 0, "'", "" },
	{ "'\\", 0, "'\\", "" },
};

static void
parameters_are_found_outside_of_quotes_and_comments(void **state)
{
	struct mariadb_text t;

	(void)state;
	mariadb_text_init(&t);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		unsigned highest = 0;

		assert_null(mariadb_text_set(&t, good[i].sql, good[i].modes));
		assert_string_equal(t.text.at, good[i].want);
		assert_int_equal(t.which.len, strlen(good[i].which) * sizeof(unsigned short));
		for (size_t j = 0; j < strlen(good[i].which); j++) {
			unsigned short which;

			memcpy(&which, t.which.at + j * sizeof which, sizeof which);
			assert_int_equal(which + 1, good[i].which[j] - '0');
			highest = which + 1u > highest ? which + 1u : highest;
		}
		assert_int_equal(t.highest, highest);
	}
	assert_null(mariadb_text_set(&t, "$65535", 0));
	assert_int_equal(t.highest, 65535);
	assert_non_null(mariadb_text_set(&t, "$65536", 0));
	assert_non_null(mariadb_text_set(&t, "$99999999999999999999", 0));
	assert_non_null(mariadb_text_set(&t, "SELECT ?", 0));
	mariadb_text_fini(&t);
}

static void
what_may_stay_in_a_session_is_seen(void **state)
{
	static const char *const leaves[] = { "SELECT @x", "SELECT 1 INTO @`x`", "SELECT @a:=1", "DO get_lock('a', 1)", "SELECT (GET_LOCK($1,2))" };
	static const char *const does_not[] = { "SELECT @@x", "SELECT '@x'", "SELECT 1 -- @x", "SELECT MY_GET_LOCK(1)", "SELECT `GET_LOCK`" };
	struct mariadb_text t;

	(void)state;
	mariadb_text_init(&t);
	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
		assert_null(mariadb_text_set(&t, leaves[i], 0));
		assert_true(t.leaves);
	}
	for (size_t i = 0; i < sizeof does_not / sizeof *does_not; i++) {
		assert_null(mariadb_text_set(&t, does_not[i], 0));
		assert_false(t.leaves);
	}
	mariadb_text_fini(&t);
}

static void
first_words_are_seen_behind_what_means_nothing(void **state)
{
	static const char *const same[] = { "begin", " \t\nBEGIN;", "-- a\nBegin", "#a\nbegin", "/* a /* b */begin", ";;(begin", "--\nbegin",
		"/*!begin*/", "/*!50000 begin */", "/*M! */ begin", "begin -- NOT ATOMIC" };

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		assert_string_equal(mariadb_session_word(same[i]), "BEGIN");
	assert_string_equal(mariadb_session_word("create or replace /* a */ temporary table t (a int)"), "CREATE TEMPORARY");
	assert_string_equal(mariadb_session_word("SET @a = 1"), "SET");
	assert_string_equal(mariadb_session_word("SET"), "SET");
	assert_string_equal(mariadb_session_word("BACKUP NOT"), "BACKUP");
	assert_null(mariadb_session_word("SET STATEMENT max_statement_time = 1 FOR SELECT 1"));
	assert_null(mariadb_session_word("BEGIN NOT ATOMIC SELECT 1; END"));
	assert_null(mariadb_session_word("CREATE TABLE temporary (a int)"));
	assert_null(mariadb_session_word("--begin"));
	assert_null(mariadb_session_word("/* begin"));
	assert_null(mariadb_session_word("SELECT 'begin'"));
	assert_null(mariadb_session_word("SETTLE"));
	assert_null(mariadb_session_word(""));
	assert_true(mariadb_only_reads("(select 1)"));
	assert_true(mariadb_only_reads("WITH a AS (SELECT 1) SELECT * FROM a"));
	assert_false(mariadb_only_reads("INSERT INTO a VALUES (1) RETURNING *"));
	assert_false(mariadb_only_reads("CALL a()"));
	assert_false(mariadb_only_reads(""));
	assert_true(mariadb_changes("replace into a values (1)"));
	assert_false(mariadb_changes("SELECT 1"));
}

/* What a borrower's statement is to its connection. */
static void
words_are_known_for_what_they_do(void **state)
{
	static const char *const opaque[] = { "CALL a()", "DO 1", "BEGIN NOT ATOMIC SELECT 1; END", "/*!CALL a()*/", "SET STATEMENT a = 1 FOR SELECT 1",
		"IF 1 THEN SELECT 1; END IF", "" };
	static const char *const clear[] = { "SELECT 1", "(select 1)", "INSERT INTO a VALUES (1)", "create table a (b int)", "TRUNCATE a", "WITH a AS (SELECT 1) SELECT 1" };

	(void)state;
	for (size_t i = 0; i < sizeof opaque / sizeof *opaque; i++)
		assert_true(mariadb_is_opaque(opaque[i]));
	for (size_t i = 0; i < sizeof clear / sizeof *clear; i++)
		assert_false(mariadb_is_opaque(clear[i]));
	assert_true(mariadb_is_passing("SAVEPOINT"));
	assert_false(mariadb_is_passing("SET"));
	assert_true(mariadb_has_no_rows("SET"));
	assert_false(mariadb_has_no_rows("HANDLER"));
	assert_true(mariadb_sets_role("/* a */ set role b"));
	assert_false(mariadb_sets_role("SET @role = 1"));
	assert_false(mariadb_sets_role("ROLE"));
	assert_true(mariadb_ends_transaction("COMMIT", true));
	assert_true(mariadb_ends_transaction("SET", false));
	assert_false(mariadb_ends_transaction("SET", true));
	assert_false(mariadb_ends_transaction("LOCK", false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_found_outside_of_quotes_and_comments),
		cmocka_unit_test(what_may_stay_in_a_session_is_seen),
		cmocka_unit_test(first_words_are_seen_behind_what_means_nothing),
		cmocka_unit_test(words_are_known_for_what_they_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
