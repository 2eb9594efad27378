/* SPDX-License-Identifier: ISC */

/*
 * Values of a row to text.  They come in binary and become what the server would have written as text, but for
 * numbers with a floating point, which get as many digits as read back to the same.
 *
 * The library hands over each value where it lies in its buffer, and takes the server's word for how long it is; here
 * nothing is read beyond that buffer, nor skipped.
 */
#include "back/mariadb/mariadb.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/sql/sqltext.h"

enum {
	MARIADB_DECIMALS = 31,	/* of a number: from here on, as many as it has */
	MARIADB_FRACTION = 6,	/* of a second, at most */
	MARIADB_WORD = 64,	/* room for a number or a time */
	MARIADB_BINARY = 63,	/* the character set of what is no text */
};

/* ---- bytes ---- */

static uint64_t
mariadb_load(const unsigned char *at, size_t len)
{
	uint64_t n = 0;

	while (len-- > 0)
		n = n << 8 | at[len];
	return n;
}

/* Take len bytes off the front of *in.  Returns where they are, or NULL. */
static const unsigned char *
mariadb_take_raw(struct span *in, size_t len)
{
	const char *at = in->at;

	if (in->len < len)
		return NULL;
	*in = span_skip(*in, len);
	return (const unsigned char *)at;
}

/* A length of 1, 3, 4 or 9 bytes, then as many bytes.  Returns a span with .at NULL when it is none. */
static struct span
mariadb_take_counted(struct span *in)
{
	const struct span none = { NULL, 0 };
	const unsigned char *first = mariadb_take_raw(in, 1), *at;
	size_t more;
	uint64_t len;

	if (first == NULL || *first == 251 || *first == 255)
		return none;
	more = *first < 251 ? 0 : *first == 254 ? 8 : *first - 250u;
	at = mariadb_take_raw(in, more);
	if (at == NULL)
		return none;
	len = more == 0 ? *first : mariadb_load(at, more);
	at = len > SIZE_MAX ? NULL : mariadb_take_raw(in, (size_t)len);
	return at == NULL ? none : (struct span){ (const char *)at, (size_t)len };
}

/* ---- numbers ---- */

/* Each writes at most MARIADB_WORD bytes, and returns false when the bytes are not there. */

static bool
mariadb_take_integer(struct span *in, const MYSQL_FIELD *f, size_t size, char *to)
{
	const unsigned char *at = mariadb_take_raw(in, size);
	int width = (f->flags & ZEROFILL_FLAG) == 0 ? 1 : f->length < MARIADB_WORD ? (int)f->length : 1;
	unsigned unused = 64 - 8 * (unsigned)size;

	if (at == NULL)
		return false;
	if (f->flags & UNSIGNED_FLAG)
		snprintf(to, MARIADB_WORD, "%0*llu", width, (unsigned long long)mariadb_load(at, size));
	else
		snprintf(to, MARIADB_WORD, "%lld", (long long)(mariadb_load(at, size) << unused) >> unused);
	return true;
}

/* FLOAT(7,2), ROUND(x, 2): the decimals are the column's. */
static bool
mariadb_has_decimals(const MYSQL_FIELD *f, double x)
{
	return f->decimals < MARIADB_DECIMALS && fabs(x) < 1e15;
}

static bool
mariadb_take_float(struct span *in, const MYSQL_FIELD *f, char *to)
{
	const unsigned char *at = mariadb_take_raw(in, sizeof(float));
	uint32_t bits = at == NULL ? 0 : (uint32_t)mariadb_load(at, sizeof bits);
	float x;

	memcpy(&x, &bits, sizeof x);
	if (mariadb_has_decimals(f, (double)x)) {
		snprintf(to, MARIADB_WORD, "%.*f", (int)f->decimals, (double)x);
		return at != NULL;
	}
	/* As few digits as read back to the same number of that size. */
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(to, MARIADB_WORD, "%.*g", digits, (double)x);
		if (strtof(to, NULL) == x)
			break;
	}
	return at != NULL;
}

static bool
mariadb_take_double(struct span *in, const MYSQL_FIELD *f, char *to)
{
	const unsigned char *at = mariadb_take_raw(in, sizeof(double));
	uint64_t bits = at == NULL ? 0 : mariadb_load(at, sizeof bits);
	double x;

	memcpy(&x, &bits, sizeof x);
	if (mariadb_has_decimals(f, x))
		snprintf(to, MARIADB_WORD, "%.*f", (int)f->decimals, x);
	else
		sql_real(x, to);
	return at != NULL;
}

/* ---- times ---- */

/* hour, minute, second, and microseconds where they follow; all zero where the server leaves them out. */
static void
mariadb_write_clock(struct span s, unsigned long days, const MYSQL_FIELD *f, char *to, size_t size)
{
	unsigned char part[7] = { 0 };
	unsigned decimals = f->decimals <= MARIADB_FRACTION ? f->decimals : 0;
	unsigned long micro;
	int n;

	memcpy(part, s.at, s.len < sizeof part ? s.len : sizeof part);
	micro = (unsigned long)mariadb_load(part + 3, 4) % 1000000;
	for (unsigned i = decimals; i < MARIADB_FRACTION; i++)
		micro /= 10;
	n = snprintf(to, size, "%02lu:%02u:%02u", days * 24 + part[0], part[1], part[2]);
	if (decimals > 0 && n > 0 && (size_t)n < size)
		snprintf(to + n, size - (size_t)n, ".%0*lu", (int)decimals, micro);
}

static bool
mariadb_take_date(struct span *in, const MYSQL_FIELD *f, char *to)
{
	struct span s = mariadb_take_counted(in);
	unsigned char part[4] = { 0 };
	int n;

	if (s.at == NULL)
		return false;
	memcpy(part, s.at, s.len < sizeof part ? s.len : sizeof part);
	n = snprintf(to, MARIADB_WORD, "%04u-%02u-%02u", part[0] | (unsigned)part[1] << 8, part[2], part[3]);
	if (f->type == MYSQL_TYPE_DATE || f->type == MYSQL_TYPE_NEWDATE)
		return true;
	to[n] = ' ';
	mariadb_write_clock(span_skip(s, s.len < 4 ? s.len : 4), 0, f, to + n + 1, MARIADB_WORD - (size_t)n - 1);
	return true;
}

/* Of a day or of many. */
static bool
mariadb_take_time(struct span *in, const MYSQL_FIELD *f, char *to)
{
	struct span s = mariadb_take_counted(in);
	unsigned char part[5] = { 0 };

	if (s.at == NULL)
		return false;
	memcpy(part, s.at, s.len < sizeof part ? s.len : sizeof part);
	if (part[0])
		*to++ = '-';
	mariadb_write_clock(span_skip(s, s.len < 5 ? s.len : 5), (unsigned long)mariadb_load(part + 1, 4), f, to, MARIADB_WORD - 1);
	return true;
}

/* ---- rows ---- */

static enum value_kind
mariadb_kind(const MYSQL_FIELD *f)
{
	switch (f->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_YEAR:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
		return VALUE_INT;
	case MYSQL_TYPE_FLOAT:
	case MYSQL_TYPE_DOUBLE:
		return VALUE_REAL;
	case MYSQL_TYPE_BIT:
		return VALUE_BYTES;
	case MYSQL_TYPE_STRING:
	case MYSQL_TYPE_VAR_STRING:
	case MYSQL_TYPE_VARCHAR:
	case MYSQL_TYPE_TINY_BLOB:
	case MYSQL_TYPE_MEDIUM_BLOB:
	case MYSQL_TYPE_LONG_BLOB:
	case MYSQL_TYPE_BLOB:
		return f->charsetnr == MARIADB_BINARY ? VALUE_BYTES : VALUE_TEXT;
	default:
		return VALUE_TEXT;
	}
}

void
mariadb_take_names(struct rows_draft *draft, MYSQL_STMT *s)
{
	const MYSQL_FIELD *f = mariadb_stmt_fetch_fields(s);

	draft->columns = mysql_stmt_field_count(s);
	for (unsigned i = 0; i < draft->columns; i++) {
		rows_draft_add(draft, span_str(f[i].name == NULL ? "" : f[i].name));
		rows_draft_add_kind(draft, mariadb_kind(&f[i]));
	}
}

/* Take the value at the front of *in.  Returns it, in word where it is a number or a time; .at is NULL when it makes no sense. */
static struct span
mariadb_take(struct span *in, const MYSQL_FIELD *f, char word[MARIADB_WORD])
{
	bool ok;

	switch (f->type) {
	case MYSQL_TYPE_TINY:
		ok = mariadb_take_integer(in, f, 1, word);
		break;
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_YEAR:
		ok = mariadb_take_integer(in, f, 2, word);
		break;
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
		ok = mariadb_take_integer(in, f, 4, word);
		break;
	case MYSQL_TYPE_LONGLONG:
		ok = mariadb_take_integer(in, f, 8, word);
		break;
	case MYSQL_TYPE_FLOAT:
		ok = mariadb_take_float(in, f, word);
		break;
	case MYSQL_TYPE_DOUBLE:
		ok = mariadb_take_double(in, f, word);
		break;
	case MYSQL_TYPE_DATE:
	case MYSQL_TYPE_NEWDATE:
	case MYSQL_TYPE_DATETIME:
	case MYSQL_TYPE_TIMESTAMP:
		ok = mariadb_take_date(in, f, word);
		break;
	case MYSQL_TYPE_TIME:
		ok = mariadb_take_time(in, f, word);
		break;
	default:
		return mariadb_take_counted(in);
	}
	return ok ? span_str(word) : (struct span){ NULL, 0 };
}

void
mariadb_take_value(void *arg, unsigned column, unsigned char **row)
{
	struct mariadb *d = arg;
	const NET *net = &d->my->net;
	const MYSQL_FIELD *f = &mariadb_stmt_fetch_fields(d->stmt->handle)[column];
	bool is_wanted = d->call != NULL && !d->drafted;
	char word[MARIADB_WORD];
	struct span in, value = { NULL, 0 };

	if (row != NULL) {
		in = (struct span){ (const char *)*row, (size_t)(net->buff_end - *row) };
		value = mariadb_take(&in, f, word);
		d->malformed |= value.at == NULL;
		/* Where nothing makes sense, the library reads on from a place that is there. */
		*row = d->malformed ? net->read_pos : (unsigned char *)(uintptr_t)in.at;
	}
	if (is_wanted && !d->malformed)
		rows_draft_add(&d->draft, value);
}
