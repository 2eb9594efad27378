/* SPDX-License-Identifier: ISC */
#ifndef BACK_ROWS_DRAFT_H
#define BACK_ROWS_DRAFT_H

/*
 * A result while it comes, value after value, before it is known how many rows it has.  It is on the heap, so it
 * may be filled on a thread and does not depend on the asker, who may leave; once whole, it is copied to
 * the asker's arena.
 */

#include <stdbool.h>
#include <stddef.h>

#include "back/call.h"
#include "back/sql/rows.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* What a part of a result has that comes in parts: a row more makes it whole. */
enum { ROWS_PART_ROWS = 256, ROWS_PART_BYTES = 65536 };

struct rows_draft {
	unsigned columns;
	size_t count;			/* rows */
	long long affected;
	struct buf bytes;		/* names, then values, each with a NUL behind it */
	struct buf cells;		/* of the names, then row after row: where it is in bytes */
	struct buf kinds;		/* of each column, or of each value */
};

/* Begin empty; neither the bytes nor what says where they are may take more than limit. */
void rows_draft_init(struct rows_draft *r, size_t limit);

/* Free what it holds. */
void rows_draft_fini(struct rows_draft *r);

/* Forget the content, for the next result. */
void rows_draft_clear(struct rows_draft *r);

/* As rows_draft_clear; gives back much memory that a large result took. */
void rows_draft_shrink(struct rows_draft *r);

/* As rows_draft_clear; gives back all memory. */
void rows_draft_drop(struct rows_draft *r);

/* Add a name or a value; .at is NULL for NULL.  What does not fit is remembered: rows_draft_is_full. */
void rows_draft_add(struct rows_draft *r, struct span s);

/* Add what the next column is; or, where there was none for any column, the next value.  What does not fit is remembered, too. */
void rows_draft_add_kind(struct rows_draft *r, enum value_kind kind);

/* Returns true when something did not fit: the result is not whole. */
bool rows_draft_is_full(const struct rows_draft *r);

/* Returns true when it has as much as a part should have. */
bool rows_draft_is_part(const struct rows_draft *r);

/* Build the rows in an arena.  Returns NULL when memory is refused. */
struct weft_rows *rows_draft_make(const struct rows_draft *r, struct arena *a);

#endif
