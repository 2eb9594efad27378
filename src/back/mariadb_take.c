/* SPDX-License-Identifier: ISC */

/*
 * Values of a row to text.  The server sends them in binary; they become what it would have written as text,
 * but for numbers with a floating point, which get as many digits as read back to the same.
 */
#include "back/mariadb.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/sqltext.h"

enum {
	MARIADB_DECIMALS = 31,	/* of a number: from here on, as many as it has */
	MARIADB_FRACTION = 6,	/* of a second, at most */
	MARIADB_WORD = 64,	/* room for a number or a time */
	MARIADB_FIRST = 256,	/* room for a string, at first */
};

void
mariadb_take_names(struct rows_draft *draft, MYSQL_STMT *s)
{
	const MYSQL_FIELD *f = mariadb_stmt_fetch_fields(s);

	draft->columns = mysql_stmt_field_count(s);
	for (unsigned i = 0; i < draft->columns; i++)
		rows_draft_add(draft, span_str(f[i].name == NULL ? "" : f[i].name));
}

/* Fetch a column in the form of b.  Returns 1, 0 for NULL, -1 when the library refuses. */
static int
mariadb_take(MYSQL_STMT *s, unsigned column, MYSQL_BIND *b)
{
	my_bool null = 0;

	b->is_null = &null;
	if (mysql_stmt_fetch_column(s, b, column, 0) != 0)
		return -1;
	return !null;
}

static int
mariadb_take_integer(MYSQL_STMT *s, unsigned column, const MYSQL_FIELD *f, char *to)
{
	unsigned long long n = 0;
	MYSQL_BIND b = { .buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &n, .is_unsigned = (f->flags & UNSIGNED_FLAG) != 0 };
	int width = (f->flags & ZEROFILL_FLAG) == 0 ? 1 : f->length < MARIADB_WORD ? (int)f->length : 1;
	int rc = mariadb_take(s, column, &b);

	if (f->flags & UNSIGNED_FLAG)
		snprintf(to, MARIADB_WORD, "%0*llu", width, n);
	else
		snprintf(to, MARIADB_WORD, "%lld", (long long)n);
	return rc;
}

/* As few digits as read back to the same number of that size. */
static void
mariadb_write_float(float x, char *to)
{
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(to, SQL_REAL_MAX, "%.*g", digits, (double)x);
		if (strtof(to, NULL) == x)
			return;
	}
}

static int
mariadb_take_real(MYSQL_STMT *s, unsigned column, const MYSQL_FIELD *f, char *to)
{
	bool is_float = f->type == MYSQL_TYPE_FLOAT;
	float small = 0;
	double x = 0;
	MYSQL_BIND b = { .buffer_type = f->type, .buffer = is_float ? (void *)&small : &x };
	int rc = mariadb_take(s, column, &b);

	if (is_float)
		x = (double)small;
	/* FLOAT(7,2), ROUND(x, 2): the decimals are the column's. */
	if (f->decimals < MARIADB_DECIMALS && fabs(x) < 1e15)
		snprintf(to, MARIADB_WORD, "%.*f", (int)f->decimals, x);
	else if (is_float)
		mariadb_write_float(small, to);
	else
		sql_real(x, to);
	return rc;
}

static int
mariadb_take_time(MYSQL_STMT *s, unsigned column, const MYSQL_FIELD *f, char *to)
{
	MYSQL_TIME t = { .year = 0 };
	MYSQL_BIND b = { .buffer_type = f->type == MYSQL_TYPE_NEWDATE ? MYSQL_TYPE_DATE : f->type, .buffer = &t,
		.buffer_length = sizeof t };
	unsigned long micro, decimals = f->decimals <= MARIADB_FRACTION ? f->decimals : 0;
	int rc = mariadb_take(s, column, &b), n = 0;

	if (b.buffer_type != MYSQL_TYPE_TIME)
		n = snprintf(to, MARIADB_WORD, "%04u-%02u-%02u", t.year % 10000, t.month % 100, t.day % 100);
	if (b.buffer_type == MYSQL_TYPE_DATE)
		return rc;
	if (b.buffer_type == MYSQL_TYPE_TIME)
		n = snprintf(to, MARIADB_WORD, "%s%02u", t.neg ? "-" : "", t.day * 24 + t.hour);
	else
		n += snprintf(to + n, MARIADB_WORD - (size_t)n, " %02u", t.hour % 100);
	n += snprintf(to + n, MARIADB_WORD - (size_t)n, ":%02u:%02u", t.minute % 100, t.second % 100);
	micro = t.second_part % 1000000;
	for (unsigned long i = decimals; i < MARIADB_FRACTION; i++)
		micro /= 10;
	if (decimals > 0)
		snprintf(to + n, MARIADB_WORD - (size_t)n, ".%0*lu", (int)decimals, micro);
	return rc;
}

/* Strings, decimals, and all that comes as bytes. */
static int
mariadb_take_bytes(struct rows_draft *draft, MYSQL_STMT *s, unsigned column)
{
	unsigned long room = MARIADB_FIRST, len = 0;

	for (;;) {
		MYSQL_BIND b = { .buffer_type = MYSQL_TYPE_BLOB, .length = &len, .buffer_length = room };
		int rc;

		b.buffer = rows_draft_room(draft, room);
		if (b.buffer == NULL)
			return 0;	/* too large, which the draft remembers */
		rc = mariadb_take(s, column, &b);
		if (rc > 0 && len > room) {
			room = len;
			continue;
		}
		if (rc > 0)
			rows_draft_added(draft, len);
		else if (rc == 0)
			rows_draft_add(draft, (struct span){ NULL, 0 });
		return rc < 0 ? -1 : 0;
	}
}

static int
mariadb_take_cell(struct rows_draft *draft, MYSQL_STMT *s, unsigned column, const MYSQL_FIELD *f)
{
	char text[MARIADB_WORD];
	int rc;

	switch (f->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
	case MYSQL_TYPE_YEAR:
		rc = mariadb_take_integer(s, column, f, text);
		break;
	case MYSQL_TYPE_FLOAT:
	case MYSQL_TYPE_DOUBLE:
		rc = mariadb_take_real(s, column, f, text);
		break;
	case MYSQL_TYPE_DATE:
	case MYSQL_TYPE_NEWDATE:
	case MYSQL_TYPE_TIME:
	case MYSQL_TYPE_DATETIME:
	case MYSQL_TYPE_TIMESTAMP:
		rc = mariadb_take_time(s, column, f, text);
		break;
	default:
		return mariadb_take_bytes(draft, s, column);
	}
	if (rc >= 0)
		rows_draft_add(draft, rc == 0 ? (struct span){ NULL, 0 } : span_str(text));
	return rc < 0 ? -1 : 0;
}

int
mariadb_take_row(struct rows_draft *draft, MYSQL_STMT *s)
{
	const MYSQL_FIELD *f = mariadb_stmt_fetch_fields(s);

	for (unsigned i = 0; i < draft->columns; i++)
		if (mariadb_take_cell(draft, s, i, &f[i]) != 0)
			return -1;
	draft->count++;
	return 0;
}
