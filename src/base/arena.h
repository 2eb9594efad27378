/* SPDX-License-Identifier: ISC */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/span.h"

/*
 * Memory that ends all at once: one arena a request.  The first block is the
 * caller's (a request lends the top of its fiber's stack); further blocks come
 * from malloc, each twice the last up to ARENA_BLOCK_MAX, and are freed by
 * arena_fini.  Nothing is freed singly.
 */
struct arena {
	char *at;			/* next free byte */
	char *end;
	struct arena_block *blocks;	/* those from malloc, newest first */
	size_t next_size;
	size_t total;			/* bytes taken from malloc */
	size_t limit;			/* at most so many; 0: no limit */
};

enum { ARENA_BLOCK_MIN = 1024, ARENA_BLOCK_MAX = 65536 };

/*
 * Begin an arena over the caller's memory.
 *
 * first, len   the first block; may be NULL, 0.  Borrowed until arena_fini
 * limit        bytes it may take from malloc in all; 0 for no limit
 */
void arena_init(struct arena *a, void *first, size_t len, size_t limit);

/* Free all blocks from malloc.  Everything allocated from the arena is gone.  The arena may be begun again. */
void arena_fini(struct arena *a);

/*
 * Begin again, over the block from malloc that was the last, which is usually the largest: for work of which each round takes
 * about as much as the one before.  A block that is much larger than usual is freed like the others.
 */
void arena_rewind(struct arena *a);

/*
 * Allocate len bytes, aligned for any object, uninitialised.
 *
 * Returns  the memory, valid until arena_fini; NULL when malloc refuses or the
 *          limit is reached: answer WEFT_SYSTEM
 */
void *arena_alloc(struct arena *a, size_t len);

/* As arena_alloc, with every byte zero. */
void *arena_zalloc(struct arena *a, size_t len);

/* Copy the bytes of s and terminate them.  Returns the string, or NULL as arena_alloc. */
char *arena_strdup(struct arena *a, struct span s);

/* Format into the arena.  Returns the terminated string, or NULL as arena_alloc. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As arena_printf, with a va_list. */
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
