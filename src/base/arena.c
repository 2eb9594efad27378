/* SPDX-License-Identifier: ISC */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t size;
	max_align_t bytes[];
};

#define ARENA_ALIGN _Alignof(max_align_t)

static char *
arena_align(char *at)
{
	return at + (-(uintptr_t)at & (ARENA_ALIGN - 1));
}

void
arena_init(struct arena *a, void *first, size_t len, size_t limit)
{
	*a = (struct arena){ .next_size = ARENA_BLOCK_MIN, .limit = limit };
	a->at = first;
	a->end = first == NULL ? NULL : a->at + len;
}

void
arena_fini(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	arena_init(a, NULL, 0, a->limit);
}

void
arena_rewind(struct arena *a)
{
	struct arena_block *kept = a->blocks != NULL && a->blocks->size <= ARENA_BLOCK_MAX ? a->blocks : NULL;
	size_t next_size = a->next_size;

	if (kept != NULL)
		a->blocks = kept->next;
	arena_fini(a);
	a->next_size = next_size;
	if (kept == NULL)
		return;
	kept->next = NULL;
	a->blocks = kept;
	a->total = kept->size;
	a->at = (char *)kept->bytes;
	a->end = a->at + kept->size;
}

static size_t
arena_room(const struct arena *a)
{
	size_t pad;

	if (a->at == NULL)
		return 0;
	pad = -(uintptr_t)a->at & (ARENA_ALIGN - 1);
	return (size_t)(a->end - a->at) > pad ? (size_t)(a->end - a->at) - pad : 0;
}

/* Put a block in front which holds at least len bytes.  What was left of the last one is given up. */
static int
arena_grow(struct arena *a, size_t len)
{
	size_t size = len > a->next_size ? len : a->next_size;
	struct arena_block *b;

	if (len > SIZE_MAX - sizeof *b - ARENA_ALIGN)
		return -1;
	if (a->limit != 0 && size > a->limit - a->total) {
		size = a->limit - a->total;	/* the rest of what it may take */
		if (size < len)
			return -1;
	}
	b = malloc(sizeof *b + size);
	if (b == NULL)
		return -1;
	b->next = a->blocks;
	b->size = size;
	a->blocks = b;
	a->total += size;
	a->at = (char *)b->bytes;
	a->end = a->at + size;
	if (a->next_size < ARENA_BLOCK_MAX)
		a->next_size *= 2;
	return 0;
}

void *
arena_alloc(struct arena *a, size_t len)
{
	char *p;

	if (len == 0)
		len = 1;
	if (arena_room(a) < len && arena_grow(a, len) != 0)
		return NULL;
	p = arena_align(a->at);
	a->at = p + len;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t len)
{
	void *p = arena_alloc(a, len);

	return p == NULL ? NULL : memset(p, 0, len);
}

char *
arena_strdup(struct arena *a, struct span s)
{
	char *p = s.len == SIZE_MAX ? NULL : arena_alloc(a, s.len + 1);

	if (p == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(p, s.at, s.len);
	p[s.len] = '\0';
	return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (p != NULL)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}
