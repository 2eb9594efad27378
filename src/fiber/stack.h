/* SPDX-License-Identifier: ISC */
#ifndef FIBER_STACK_H
#define FIBER_STACK_H

/*
 * Stacks: mappings with a guard area below, and a cache of those that are
 * free.  One pool belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>

struct stack {
	char *low;		/* lowest byte to be used; the guard ends here */
	size_t size;		/* bytes to be used, in whole pages */
	unsigned valgrind;	/* its number there */
};

struct stack_pool {
	struct stack *free;	/* the cache, longest unused first; taken from its end */
	unsigned count;		/* how many lie there */
	unsigned cold;		/* of the first so many the pages are given back */
	unsigned cache;		/* how many may lie there */
	size_t size;		/* of every stack in the cache */
	size_t page;
};

enum {
	STACK_WARM = 128,	/* free stacks that keep their pages */
	STACK_GUARD = 65536	/* bytes: more than one frame is likely to step over */
};

/* Begin with none.  cache: free stacks to keep mapped.  Returns 0, or -1 when memory is refused. */
int stack_pool_init(struct stack_pool *p, unsigned cache);

/* Unmap the free stacks.  All must have been put back. */
void stack_pool_fini(struct stack_pool *p);

/*
 * Get a stack of at least size bytes, the one used last if there is any.  Its content is undefined.
 *
 * All stacks of a pool get as large as the largest that was asked for so far.
 *
 * Returns  0; or -1 when the system refuses: memory, or the process has too many mappings (vm.max_map_count)
 */
int stack_get(struct stack_pool *p, size_t size, struct stack *out);

/* Put a stack back; it becomes empty. */
void stack_put(struct stack_pool *p, struct stack *s);

/* Returns the end of the stack, from where it grows down: aligned to a page. */
static inline char *
stack_top(const struct stack *s)
{
	return s->low + s->size;
}

/* True when the address lies in the stack's guard area. */
bool stack_has_guard_at(const struct stack *s, const void *at);

#endif
