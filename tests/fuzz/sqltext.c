/* SPDX-License-Identifier: ISC */
/*
 * The first word of a statement is a word of its text, and stays the same behind blanks and comments, and so does what the
 * statement leaves behind.  What a shared connection refuses leaves something on one that is lent.  A number reads back to itself.
 */
// sources: src/back/sql/sqltext.c
// flags: -lm
#include <math.h>

#include "back/sql/sqltext.h"
#include "fuzz.h"

static void
check_word(const char *text, size_t size)
{
	static const char front[] = " ;(/* a /* b */ - */-- c\n\t";
	char word[SQL_WORD_MAX], again[SQL_WORD_MAX], *longer = malloc(sizeof front + size);
	const char *session = sql_session_word(text);

	must(longer != NULL);
	memcpy(longer, front, sizeof front - 1);
	memcpy(longer + sizeof front - 1, text, size + 1);
	sql_first_word(text, word);
	sql_first_word(longer, again);
	must(memchr(word, '\0', sizeof word) != NULL && strcmp(word, again) == 0);
	must(word[0] == '\0' || strcasestr(text, word) != NULL);
	for (const char *p = word; *p != '\0'; p++)
		must((*p >= 'A' && *p <= 'Z') || *p == '_');
	must(session == NULL || (word[0] != '\0' && strncmp(session, word, strlen(word)) == 0));
	must(sql_trace(text) == sql_trace(longer));
	must((session == NULL && sql_session_call(text) == NULL) || sql_trace(text) != SQL_LEAVES_NOTHING);
	must(sql_transaction_word(text) == sql_transaction_word(longer));
	must(sql_transaction_word(text) == NULL || session != NULL);
	free(longer);
}

static void
check_real(const uint8_t *data, size_t size)
{
	char out[SQL_REAL_MAX];
	double x = 0;

	memcpy(&x, data, size < sizeof x ? size : sizeof x);
	sql_real(x, out);
	must(memchr(out, '\0', sizeof out) != NULL);
	must(isnan(x) || strtod(out, NULL) == x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_word(text, strlen(text));
	check_real(data, size);
	free(text);
	return 0;
}
