/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "back/rows.h"
#include "back/rows_draft.h"
#include "back/sqltext.h"
#include "back/stmts.h"

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
		assert_null(stmts_find(&s, text, 0));
		stmts_add(&s, text, 0)->number = i;
	}
	assert_int_equal(stmts_find(&s, "SELECT 0", 0)->number, 0);
	assert_null(stmts_find(&s, "SELECT 0", 1));
	assert_string_equal(stmts_surplus(&s)->text, "SELECT 1");
	stmts_remove(&s, stmts_surplus(&s));
	assert_null(stmts_find(&s, "SELECT 1", 0));
	assert_null(stmts_surplus(&s));
	stmts_add(&s, "SELECT 0", 1)->number = 9;
	assert_int_equal(stmts_find(&s, "SELECT 0", 0)->number, 0);
	assert_int_equal(stmts_find(&s, "SELECT 0", 1)->number, 9);
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
	assert_null(stmts_add(&s, text, 0));
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
		cmocka_unit_test(sql_reals_read_back),
		cmocka_unit_test(stmts_forget_the_least_recently_used),
		cmocka_unit_test(stmts_do_not_keep_a_huge_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
