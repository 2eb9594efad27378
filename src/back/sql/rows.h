/* SPDX-License-Identifier: ISC */
#ifndef BACK_ROWS_H
#define BACK_ROWS_H

/*
 * The result of one SQL statement, in an arena: every value as text (or bytes)
 * with a NUL behind it, whichever back end it came from, and what it was there (enum value_kind of call.h): a column of
 * PostgreSQL's and MariaDB's has one type, each value of SQLite's its own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/span.h"

struct weft_rows {
	unsigned columns;
	size_t count;			/* rows */
	long long affected;		/* rows changed by INSERT, UPDATE, DELETE; else 0 */
	const char **name;		/* of each column */
	struct span *cell;		/* row after row; .at is NULL for NULL */
	unsigned char *kind;		/* of each column; with kind_of_cell of each value, row after row */
	bool kind_of_cell;
};

/* Returns rows with space for count rows of columns; NULL when memory is refused.  Cells are NULL, names and kinds of columns too. */
struct weft_rows *rows_new(struct arena *a, unsigned columns, size_t count);

/* Returns the cell; row and column are checked: out of range gives a NULL cell. */
struct span rows_cell(const struct weft_rows *r, size_t row, unsigned column);

/* Returns what the value is, an enum value_kind; VALUE_NULL out of range, too. */
int rows_kind(const struct weft_rows *r, size_t row, unsigned column);

#endif
