/* SPDX-License-Identifier: ISC */
#include "back/sql/rows_draft.h"

#include <stdint.h>
#include <string.h>

enum { ROWS_DRAFT_KEPT = 65536 };

/* Where a value is; len is ROWS_DRAFT_NULL for NULL. */
struct rows_draft_cell {
	size_t at, len;
};
#define ROWS_DRAFT_NULL SIZE_MAX

void
rows_draft_init(struct rows_draft *r, size_t limit)
{
	*r = (struct rows_draft){ .columns = 0 };
	buf_init(&r->bytes, limit);
	buf_init(&r->cells, limit);
	buf_init(&r->kinds, limit);
}

void
rows_draft_fini(struct rows_draft *r)
{
	buf_fini(&r->bytes);
	buf_fini(&r->cells);
	buf_fini(&r->kinds);
}

void
rows_draft_clear(struct rows_draft *r)
{
	r->columns = 0;
	r->count = 0;
	r->affected = 0;
	buf_clear(&r->bytes);
	buf_clear(&r->cells);
	buf_clear(&r->kinds);
}

void
rows_draft_shrink(struct rows_draft *r)
{
	rows_draft_clear(r);
	if (r->bytes.size > ROWS_DRAFT_KEPT)
		buf_fini(&r->bytes);
	if (r->cells.size > ROWS_DRAFT_KEPT)
		buf_fini(&r->cells);
	if (r->kinds.size > ROWS_DRAFT_KEPT)
		buf_fini(&r->kinds);
}

void
rows_draft_drop(struct rows_draft *r)
{
	rows_draft_clear(r);
	rows_draft_fini(r);
}

static void
rows_draft_add_cell(struct rows_draft *r, size_t at, size_t len)
{
	struct rows_draft_cell cell = { at, len };

	(void)buf_add(&r->cells, (struct span){ (const char *)(const void *)&cell, sizeof cell });
}

void
rows_draft_add(struct rows_draft *r, struct span s)
{
	rows_draft_add_cell(r, r->bytes.len, s.at == NULL ? ROWS_DRAFT_NULL : s.len);
	if (s.at == NULL)
		return;
	(void)buf_add(&r->bytes, s);
	(void)buf_add(&r->bytes, (struct span){ "", 1 });
}

void
rows_draft_add_kind(struct rows_draft *r, enum value_kind kind)
{
	(void)buf_add(&r->kinds, (struct span){ (const char[]){ (char)kind }, 1 });
}

bool
rows_draft_is_full(const struct rows_draft *r)
{
	return r->bytes.bad || r->cells.bad || r->kinds.bad;
}

bool
rows_draft_is_part(const struct rows_draft *r)
{
	return r->count >= ROWS_PART_ROWS || r->bytes.len + r->cells.len >= ROWS_PART_BYTES;
}

/* Returns false when memory is refused. */
static bool
rows_draft_make_kinds(const struct rows_draft *from, struct weft_rows *r, struct arena *a)
{
	if (from->kinds.len > r->columns) {
		r->kind_of_cell = true;
		r->kind = arena_alloc(a, from->kinds.len);
	}
	if (r->kind != NULL && from->kinds.len > 0)
		memcpy(r->kind, from->kinds.at, from->kinds.len);
	return r->kind != NULL || from->kinds.len == 0;
}

struct weft_rows *
rows_draft_make(const struct rows_draft *from, struct arena *a)
{
	const struct rows_draft_cell *cell = (const struct rows_draft_cell *)(const void *)from->cells.at;
	struct weft_rows *r = rows_new(a, from->columns, from->count);
	char *bytes = r == NULL ? NULL : arena_alloc(a, from->bytes.len);

	if (bytes == NULL || !rows_draft_make_kinds(from, r, a))
		return NULL;
	if (from->bytes.len > 0)
		memcpy(bytes, from->bytes.at, from->bytes.len);
	r->affected = from->affected;
	for (unsigned i = 0; i < from->columns; i++)
		r->name[i] = bytes + (cell++)->at;
	for (size_t i = 0; i < from->count * from->columns; i++, cell++)
		if (cell->len != ROWS_DRAFT_NULL)
			r->cell[i] = (struct span){ bytes + cell->at, cell->len };
	return r;
}
