/* SPDX-License-Identifier: ISC */
#include "back/sql/sqltext.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_PLACES = 4 };	/* of numbers that are written without printf; with more of them it may write 1e-05 */

/* Behind a comment that begins at s; block comments nest, and a line may end without a newline, as in PostgreSQL. */
static const char *
sql_skip_comment(const char *s)
{
	unsigned depth = 0;

	if (s[0] == '-') {
		s += strcspn(s, "\r\n");
		return s;
	}
	do {
		if (s[0] == '/' && s[1] == '*') {
			depth++;
			s += 2;
		} else if (s[0] == '*' && s[1] == '/') {
			depth--;
			s += 2;
		} else if (*s != '\0') {
			s++;
		}
	} while (depth > 0 && *s != '\0');
	return s;
}

static const char *
sql_skip_blank(const char *s)
{
	for (;;) {
		if (isspace((unsigned char)*s) || *s == ';' || *s == '(')
			s++;
		else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*'))
			s = sql_skip_comment(s);
		else
			return s;
	}
}

/* As sql_first_word; returns what is behind the word. */
static const char *
sql_take_word(const char *sql, char out[SQL_WORD_MAX])
{
	const char *s = sql_skip_blank(sql);
	size_t n = 0;

	while (n < SQL_WORD_MAX - 1 && (isalpha((unsigned char)*s) || *s == '_'))
		out[n++] = (char)toupper((unsigned char)*s++);
	out[n] = '\0';
	return s;
}

void
sql_first_word(const char *sql, char out[SQL_WORD_MAX])
{
	(void)sql_take_word(sql, out);
}

static bool
sql_is_among(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (word[0] == words[i][0] && strcmp(word, words[i]) == 0)
			return true;
	return false;
}

#define SQL_IS_AMONG(word, words) sql_is_among((word), (words), sizeof(words) / sizeof *(words))

/* CREATE [OR REPLACE] [GLOBAL | LOCAL] {TEMP | TEMPORARY} …: it stays with the connection. */
static bool
sql_creates_temporary(const char *sql)
{
	char word[SQL_WORD_MAX];

	sql = sql_take_word(sql, word);
	if (strcmp(word, "CREATE") != 0)
		return false;
	do
		sql = sql_take_word(sql, word);
	while (strcmp(word, "OR") == 0 || strcmp(word, "REPLACE") == 0 || strcmp(word, "GLOBAL") == 0 || strcmp(word, "LOCAL") == 0);
	return strcmp(word, "TEMP") == 0 || strcmp(word, "TEMPORARY") == 0;
}

const char *
sql_session_word(const char *sql)
{
	static const char *const words[] = {
		"ABORT", "ATTACH", "BEGIN", "CLOSE", "COMMIT", "COPY", "DECLARE", "DETACH", "DISCARD", "END", "EXECUTE",
		"FETCH", "LISTEN", "LOCK", "MOVE", "PREPARE", "RELEASE", "RESET", "ROLLBACK", "SAVEPOINT", "SET",
		"START", "UNLISTEN",
	};
	char word[SQL_WORD_MAX];

	sql_first_word(sql, word);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (word[0] == words[i][0] && strcmp(word, words[i]) == 0)
			return words[i];
	if (word[0] == 'C' && sql_creates_temporary(sql))
		return "CREATE TEMPORARY";
	return NULL;
}

/* A name anywhere in a text, in small letters, cut at size; behind it *sql.  Empty at the end of the text. */
static void
sql_next_name(const char **sql, char *out, size_t size)
{
	const char *s = *sql;
	size_t n = 0;

	while (*s != '\0' && !isalpha((unsigned char)*s) && *s != '_')
		s++;
	for (; isalnum((unsigned char)*s) || *s == '_' || *s == '$'; s++)
		if (n < size - 1)
			out[n++] = (char)tolower((unsigned char)*s);
	out[n] = '\0';
	*sql = s;
}

/* The character that a name is used with: '(' calls it, '.' names something in it; quotes do not count. */
static char
sql_use(const char *s)
{
	s += *s == '"';
	while (isspace((unsigned char)*s))
		s++;
	return *s;
}

const char *
sql_session_call(const char *sql)
{
	static const char *const calls[] = {
		"dblink_connect", "dblink_connect_u", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock",
		"pg_try_advisory_lock_shared", "set_config",
	};
	char name[40], before[sizeof name] = "";

	for (sql_next_name(&sql, name, sizeof name); name[0] != '\0'; sql_next_name(&sql, name, sizeof name)) {
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
			if (name[0] == calls[i][0] && strcmp(name, calls[i]) == 0 && sql_use(sql) == '(')
				return calls[i];
		if (strcmp(name, "pg_temp") == 0 && sql_use(sql) == '.')
			return "pg_temp";
		if (strcmp(before, "into") == 0 && (strcmp(name, "temp") == 0 || strcmp(name, "temporary") == 0))
			return "INTO TEMPORARY";
		memcpy(before, name, sizeof name);
	}
	return NULL;
}

/* SET {LOCAL | TRANSACTION | CONSTRAINTS} …, behind the SET: over with the transaction. */
static bool
sql_sets_transaction(const char *sql)
{
	static const char *const kinds[] = { "CONSTRAINTS", "LOCAL", "TRANSACTION" };
	char word[SQL_WORD_MAX];

	sql = sql_take_word(sql, word);
	return SQL_IS_AMONG(word, kinds) && isspace((unsigned char)*sql);
}

enum sql_trace
sql_trace(const char *sql)
{
	/* In a block, a procedure or a library there may be anything. */
	static const char *const opaque[] = { "CALL", "DEALLOCATE", "DO", "EXECUTE", "LOAD" };
	static const char *const passing[] = {
		"ABORT", "BEGIN", "CLOSE", "COMMIT", "END", "FETCH", "LOCK", "MOVE", "RELEASE", "ROLLBACK", "SAVEPOINT", "START",
	};
	char word[SQL_WORD_MAX];
	const char *behind = sql_take_word(sql, word);

	if (SQL_IS_AMONG(word, opaque) || sql_session_call(sql) != NULL)
		return SQL_LEAVES_STATE;
	if (SQL_IS_AMONG(word, passing) || (strcmp(word, "SET") == 0 && sql_sets_transaction(behind)))
		return SQL_LEAVES_TRANSACTION;
	return sql_session_word(sql) == NULL ? SQL_LEAVES_NOTHING : SQL_LEAVES_STATE;
}

/* ROLLBACK [WORK | TRANSACTION] TO …, behind the ROLLBACK. */
static bool
sql_goes_back_to(const char *sql)
{
	char word[SQL_WORD_MAX];

	sql = sql_take_word(sql, word);
	if (strcmp(word, "WORK") == 0 || strcmp(word, "TRANSACTION") == 0)
		sql_first_word(sql, word);
	return strcmp(word, "TO") == 0;
}

const char *
sql_transaction_word(const char *sql)
{
	static const char *const words[] = { "ABORT", "BEGIN", "COMMIT", "END", "ROLLBACK", "START" };
	char word[SQL_WORD_MAX], kind[SQL_WORD_MAX];
	const char *behind = sql_take_word(sql, word);

	if (strcmp(word, "PREPARE") == 0) {
		sql_first_word(behind, kind);
		return strcmp(kind, "TRANSACTION") == 0 ? "PREPARE TRANSACTION" : NULL;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return strcmp(word, "ROLLBACK") == 0 && sql_goes_back_to(behind) ? NULL : words[i];
	return NULL;
}

/* Eight bytes at a time.  Texts come from the handlers' code, not from peers: no secret is needed. */
uint32_t
sql_hash(const char *sql)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	size_t len = strlen(sql);
	uint64_t h = len, word = 0;

	for (; len >= sizeof word; sql += sizeof word, len -= sizeof word) {
		memcpy(&word, sql, sizeof word);
		h = (h ^ word) * odd;
		h ^= h >> 32;
	}
	word = 0;
	while (len > 0)
		word = word << 8 | (unsigned char)sql[--len];
	h = (h ^ word) * odd;
	return (uint32_t)(h >> 32);
}

size_t
sql_integer(long long x, char out[SQL_INTEGER_MAX])
{
	unsigned long long n = x < 0 ? 0 - (unsigned long long)x : (unsigned long long)x;
	size_t len = x < 0 ? 2 : 1, at;

	for (unsigned long long more = n; more >= 10; more /= 10)
		len++;
	out[0] = '-';
	out[at = len] = '\0';
	do
		out[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return len;
}

/* Write n / scale, which is 10^places. */
static void
sql_decimal(long long n, int places, long long scale, char *out)
{
	long long rest = n % scale;

	out += sql_integer(n / scale, out);
	if (places == 0)
		return;
	*out++ = '.';
	out[places] = '\0';
	for (; places > 0; rest /= 10)
		out[--places] = (char)('0' + rest % 10);
}

/* As sql_real, of a number with few places, as most are: printf's frames are so deep that a request would touch another page for it. */
static bool
sql_real_short(double x, char *out)
{
	double size = fabs(x);
	long long scale = 1;

	for (int places = 0; places <= SQL_PLACES; places++, scale *= 10) {
		long long n;

		if (!(size * (double)scale < 1e15))
			return false;
		n = (long long)(size * (double)scale + 0.5);
		if ((double)n / (double)scale != size)
			continue;
		if (signbit(x))
			*out++ = '-';
		sql_decimal(n, places, scale, out);
		return true;
	}
	return false;
}

void
sql_real(double x, char out[SQL_REAL_MAX])
{
	if (sql_real_short(x, out))
		return;
	if (isnan(x)) {
		strcpy(out, "NaN");
		return;
	}
	if (isinf(x)) {
		strcpy(out, x > 0 ? "Infinity" : "-Infinity");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, SQL_REAL_MAX, "%.*g", digits, x);
		if (digits == 17 || strtod(out, NULL) == x)
			return;
	}
}
