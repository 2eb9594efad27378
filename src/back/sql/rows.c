/* SPDX-License-Identifier: ISC */
#include "back/sql/rows.h"

#include <stdint.h>

#include "back/call.h"

/* One piece of memory: the result, its names, its cells, their kinds. */
struct weft_rows *
rows_new(struct arena *a, unsigned columns, size_t count)
{
	size_t names = columns * sizeof(char *), head = sizeof(struct weft_rows) + names + columns;
	struct weft_rows *r;

	_Static_assert(sizeof(struct weft_rows) % _Alignof(struct span) == 0 && sizeof(char *) % _Alignof(struct span) == 0,
	    "what stands behind the other is aligned");
	if (columns > 0 && count > (SIZE_MAX - head) / sizeof(struct span) / columns)
		return NULL;
	r = arena_zalloc(a, head + count * columns * sizeof(struct span));
	if (r == NULL)
		return NULL;
	r->columns = columns;
	r->count = count;
	if (columns > 0)
		r->name = (const char **)(r + 1);
	if (columns > 0 && count > 0)
		r->cell = (struct span *)(r->name + columns);
	if (columns > 0)
		r->kind = (unsigned char *)(r->name + columns) + count * columns * sizeof(struct span);
	return r;
}

struct span
rows_cell(const struct weft_rows *r, size_t row, unsigned column)
{
	if (r == NULL || row >= r->count || column >= r->columns)
		return (struct span){ NULL, 0 };
	return r->cell[row * r->columns + column];
}

int
rows_kind(const struct weft_rows *r, size_t row, unsigned column)
{
	if (rows_cell(r, row, column).at == NULL)
		return VALUE_NULL;
	return r->kind[r->kind_of_cell ? row * r->columns + column : column];
}
