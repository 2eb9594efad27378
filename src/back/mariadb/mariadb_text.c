/* SPDX-License-Identifier: ISC */

/*
 * Pure.  The rules are MariaDB's: '…', "…" and `…` with the quote doubled inside, \ before any character of a string,
 * "-- " and # up to the end of the line, comments that do not nest.  An executable comment (one that
 * begins with an exclamation mark) is none: what stands in it is part of the statement.
 */
#include "back/mariadb/mariadb_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "back/sql/sqltext.h"

/* ---- strings, names, comments ---- */

/* Behind a quoted string or name that begins at s. */
static const char *
mariadb_skip_quoted(const char *s, unsigned modes)
{
	char quote = *s++;
	bool escapes = !(modes & MARIADB_NO_BACKSLASH) && quote != '`' && !(quote == '"' && modes & MARIADB_ANSI_QUOTES);

	for (; *s != '\0'; s++)
		if (escapes && *s == '\\' && s[1] != '\0')
			s++;
		else if (*s == quote && *++s != quote)	/* doubled, it is a character */
			return s;
	return s;
}

/* Is it an executable comment that begins at s?  Returns how long its opening is; 0: none. */
static size_t
mariadb_opening(const char *s)
{
	size_t n = strncmp(s, "/*!", 3) == 0 ? 3 : strncmp(s, "/*M!", 4) == 0 ? 4 : 0;

	if (n > 0)
		n += strspn(s + n, "0123456789");
	return n;
}

/* Behind what begins at s and is no part of the statement; s when nothing of the kind does. */
static const char *
mariadb_skip_comment(const char *s)
{
	const char *end;

	if (*s == '#' || (s[0] == '-' && s[1] == '-' && (s[2] == '\0' || (unsigned char)s[2] <= ' ' || s[2] == 0x7f)))
		return s + strcspn(s, "\n");
	if (s[0] != '/' || s[1] != '*' || mariadb_opening(s) > 0)
		return s;
	end = strstr(s + 2, "*/");
	return end == NULL ? s + strlen(s) : end + 2;
}

/* ---- values ---- */

static bool
mariadb_in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The number of the value that is named at s, as "$12"; *end behind it.  0: none is. */
static unsigned
mariadb_value_at(const char *sql, const char *s, const char **end)
{
	unsigned n = 0;

	if (*s != '$' || !isdigit((unsigned char)s[1]))
		return 0;
	/* "a$1", "@$1" and "t.$1" are names, and so is "$1a". */
	if (s > sql && (mariadb_in_name(s[-1]) || s[-1] == '@' || s[-1] == '.'))
		return 0;
	for (s++; isdigit((unsigned char)*s); s++)
		n = n > MARIADB_TEXT_VALUES ? n : n * 10 + (unsigned)(*s - '0');
	*end = s;
	return mariadb_in_name(*s) ? 0 : n;
}

void
mariadb_text_init(struct mariadb_text *t)
{
	*t = (struct mariadb_text){ .highest = 0 };
	buf_init(&t->text, SIZE_MAX / 2);
	buf_init(&t->which, SIZE_MAX / 2);
}

void
mariadb_text_fini(struct mariadb_text *t)
{
	buf_fini(&t->text);
	buf_fini(&t->which);
}

static const char *
mariadb_text_add_value(struct mariadb_text *t, unsigned n)
{
	unsigned short i = (unsigned short)(n - 1);

	if (n > MARIADB_TEXT_VALUES || t->which.len / sizeof i >= MARIADB_TEXT_VALUES)
		return "the statement has too many parameters";
	if (n > t->highest)
		t->highest = n;
	(void)buf_add(&t->which, (struct span){ (const char *)(const void *)&i, sizeof i });
	(void)buf_add(&t->text, (struct span){ "?", 1 });
	return NULL;
}

/* A variable of the user's (those of the server have two @), or what takes a lock by its name. */
static bool
mariadb_leaves(const char *sql, const char *s)
{
	static const char lock[] = "GET_LOCK";
	char before = s > sql ? s[-1] : ' ';

	if (*s == '@')
		return s[1] != '@' && before != '@';
	return strncasecmp(s, lock, sizeof lock - 1) == 0 && !mariadb_in_name(before);
}

const char *
mariadb_text_set(struct mariadb_text *t, const char *sql, unsigned modes)
{
	const char *s = sql, *end, *wrong;

	buf_clear(&t->text);
	buf_clear(&t->which);
	t->highest = 0;
	t->leaves = false;
	for (; *s != '\0'; s = end) {
		unsigned n = mariadb_value_at(sql, s, &end);

		if (n > 0) {
			wrong = mariadb_text_add_value(t, n);
			if (wrong != NULL)
				return wrong;
			continue;
		}
		if (*s == '?')
			return "parameters are written $1, $2 and so on";
		t->leaves |= mariadb_leaves(sql, s);
		end = *s == '\'' || *s == '"' || *s == '`' ? mariadb_skip_quoted(s, modes) : mariadb_skip_comment(s);
		if (end == s)
			end++;
		(void)buf_add(&t->text, (struct span){ s, (size_t)(end - s) });
	}
	(void)buf_add(&t->text, (struct span){ "", 1 });
	return NULL;
}

/* ---- words ---- */

/* Write the next word, in capitals, to out.  Returns where it ends. */
static const char *
mariadb_take_word(const char *s, char out[SQL_WORD_MAX])
{
	size_t n = 0;

	for (const char *end;; s = end) {
		end = mariadb_skip_comment(s);
		if (end == s)
			end += isspace((unsigned char)*s) || *s == ';' || *s == '(' ? 1 : mariadb_opening(s);
		if (end == s && s[0] == '*' && s[1] == '/')
			end += 2;	/* of an executable comment */
		if (end == s)
			break;
	}
	while (n < SQL_WORD_MAX - 1 && (isalpha((unsigned char)*s) || *s == '_'))
		out[n++] = (char)toupper((unsigned char)*s++);
	out[n] = '\0';
	return s;
}

static bool
mariadb_is_among(const char *word, const char *const *words)
{
	while (*words != NULL && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

/* CREATE [OR REPLACE] TEMPORARY … */
static bool
mariadb_creates_temporary(const char *s)
{
	char word[SQL_WORD_MAX];

	do
		s = mariadb_take_word(s, word);
	while (strcmp(word, "OR") == 0 || strcmp(word, "REPLACE") == 0);
	return strcmp(word, "TEMPORARY") == 0;
}

/* BEGIN NOT ATOMIC … END and SET STATEMENT … FOR end what they begin. */
static bool
mariadb_is_whole(const char *word, const char *rest)
{
	char next[SQL_WORD_MAX];

	(void)mariadb_take_word(rest, next);
	return (strcmp(word, "BEGIN") == 0 && strcmp(next, "NOT") == 0) ||
	    (strcmp(word, "SET") == 0 && strcmp(next, "STATEMENT") == 0);
}

const char *
mariadb_session_word(const char *sql)
{
	static const char *const words[] = {
		"BACKUP", "BEGIN", "COMMIT", "DEALLOCATE", "EXECUTE", "FLUSH", "HANDLER", "LOCK", "PREPARE", "RELEASE",
		"ROLLBACK", "SAVEPOINT", "SET", "START", "UNLOCK", "USE", "XA", NULL,
	};
	char word[SQL_WORD_MAX];
	const char *s = mariadb_take_word(sql, word);

	if (strcmp(word, "CREATE") == 0 && mariadb_creates_temporary(s))
		return "CREATE TEMPORARY";
	for (const char *const *w = words; *w != NULL; w++)
		if (strcmp(word, *w) == 0)
			return mariadb_is_whole(word, s) ? NULL : *w;
	return NULL;
}

bool
mariadb_is_passing(const char *word)
{
	static const char *const words[] = { "BEGIN", "COMMIT", "RELEASE", "ROLLBACK", "SAVEPOINT", "START", NULL };

	return mariadb_is_among(word, words);
}

bool
mariadb_has_no_rows(const char *word)
{
	static const char *const words[] = { "BEGIN", "COMMIT", "LOCK", "RELEASE", "ROLLBACK", "SAVEPOINT", "SET", "START",
		"UNLOCK", "USE", NULL };

	return mariadb_is_among(word, words);
}

bool
mariadb_ends_transaction(const char *word, bool failed)
{
	static const char *const words[] = { "BEGIN", "COMMIT", "ROLLBACK", "START", "XA", NULL };

	return mariadb_is_among(word, words) || (!failed && strcmp(word, "SET") == 0);
}

bool
mariadb_sets_role(const char *sql)
{
	char word[SQL_WORD_MAX], what[SQL_WORD_MAX];
	const char *s = mariadb_take_word(sql, word);

	(void)mariadb_take_word(s, what);
	return strcmp(word, "SET") == 0 && strcmp(what, "ROLE") == 0;
}

bool
mariadb_is_opaque(const char *sql)
{
	static const char *const words[] = { "ALTER", "CREATE", "DELETE", "DROP", "INSERT", "REPLACE", "TRUNCATE", "UPDATE", NULL };
	char word[SQL_WORD_MAX];

	(void)mariadb_take_word(sql, word);
	return !mariadb_is_among(word, words) && !mariadb_only_reads(sql);
}

bool
mariadb_only_reads(const char *sql)
{
	static const char *const words[] = { "DESC", "DESCRIBE", "EXPLAIN", "SELECT", "SHOW", "TABLE", "VALUES", "WITH", NULL };
	char word[SQL_WORD_MAX];

	(void)mariadb_take_word(sql, word);
	return mariadb_is_among(word, words);
}

bool
mariadb_changes(const char *sql)
{
	static const char *const words[] = { "DELETE", "INSERT", "REPLACE", "UPDATE", NULL };
	char word[SQL_WORD_MAX];

	(void)mariadb_take_word(sql, word);
	return mariadb_is_among(word, words);
}
