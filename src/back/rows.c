/* SPDX-License-Identifier: ISC */
#include "back/rows.h"

#include <stdint.h>

struct weft_rows *
rows_new(struct arena *a, unsigned columns, size_t count)
{
	struct weft_rows *r = arena_zalloc(a, sizeof *r);

	if (r == NULL)
		return NULL;
	r->columns = columns;
	r->count = count;
	if (columns == 0)
		return r;
	if (count > SIZE_MAX / sizeof *r->cell / columns)
		return NULL;
	r->name = arena_zalloc(a, columns * sizeof *r->name);
	r->cell = count == 0 ? NULL : arena_zalloc(a, count * columns * sizeof *r->cell);
	return r->name == NULL || (count > 0 && r->cell == NULL) ? NULL : r;
}

struct span
rows_cell(const struct weft_rows *r, size_t row, unsigned column)
{
	if (r == NULL || row >= r->count || column >= r->columns)
		return (struct span){ NULL, 0 };
	return r->cell[row * r->columns + column];
}
