/* SPDX-License-Identifier: ISC */

/*
 * A stack is one mapping: the guard area, which cannot be accessed, and above
 * it the bytes to be used.  The kernel gives pages as they are touched.
 *
 * The guard is much more than a page, since it costs only address space: a
 * function with a large array in its frame may touch the far end first, and would step
 * over a single page into whatever lies below.
 *
 * The cache is a stack of stacks.  What was put last is taken first: its pages
 * are there, and in the processor's cache.  The STACK_WARM ones on top keep
 * their pages; when there are more, the one longest unused gives its back.
 * Beyond the cache's size a stack is unmapped.
 *
 * Newer kernels (6.13) can mark pages as guards inside a mapping.  Elsewhere each
 * stack is two mappings for the kernel, of which a process may have 65530
 * (vm.max_map_count), and that limits fibers to about 32000.
 */
#include "fiber/stack.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "fiber/checker.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

int
stack_pool_init(struct stack_pool *p, unsigned cache)
{
	long page = sysconf(_SC_PAGESIZE);

	*p = (struct stack_pool){ .cache = cache, .page = page > 0 ? (size_t)page : 4096 };
	p->free = calloc(cache > 0 ? cache : 1, sizeof *p->free);
	return p->free == NULL ? -1 : 0;
}

static size_t
stack_guard(const struct stack_pool *p)
{
	return p->page > STACK_GUARD ? p->page : STACK_GUARD;
}

static void
stack_unmap(const struct stack_pool *p, struct stack *s)
{
	VALGRIND_STACK_DEREGISTER(s->valgrind);
	ASAN_UNPOISON_MEMORY_REGION(s->low, s->size);
	must(munmap(s->low - stack_guard(p), stack_guard(p) + s->size) == 0);
	*s = (struct stack){ 0 };
}

static void
stack_pool_flush(struct stack_pool *p)
{
	while (p->count > 0)
		stack_unmap(p, &p->free[--p->count]);
	p->cold = 0;
}

void
stack_pool_fini(struct stack_pool *p)
{
	stack_pool_flush(p);
	free(p->free);
	*p = (struct stack_pool){ 0 };
}

/* MAP_STACK keeps huge pages away, which would make one stack as dear as a thousand. */
static int
stack_map(const struct stack_pool *p, size_t size, struct stack *out)
{
	size_t guard = stack_guard(p);
	char *at;

	at = mmap(NULL, guard + size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (at == MAP_FAILED)
		return -1;
	if (madvise(at, guard, MADV_GUARD_INSTALL) != 0 && mprotect(at, guard, PROT_NONE) != 0) {
		must(munmap(at, guard + size) == 0);
		return -1;
	}
	*out = (struct stack){ .low = at + guard, .size = size };
	out->valgrind = VALGRIND_STACK_REGISTER(out->low, out->low + out->size);
	return 0;
}

/* As stack_get, where no stack of the pool is large enough.  Nothing changes when the system refuses. */
static int
stack_get_larger(struct stack_pool *p, size_t size, struct stack *out)
{
	size = (size + p->page - 1) / p->page * p->page;
	if (stack_map(p, size, out) != 0)
		return -1;
	stack_pool_flush(p);
	p->size = size;
	return 0;
}

int
stack_get(struct stack_pool *p, size_t size, struct stack *out)
{
	if (size > SIZE_MAX / 4)
		return -1;
	if (size > p->size)
		return stack_get_larger(p, size, out);
	if (p->count == 0)
		return stack_map(p, p->size, out);
	*out = p->free[--p->count];
	if (p->cold > p->count)
		p->cold = p->count;
	/* What lay below the stack pointer of the one before is no longer out of bounds. */
	(void)VALGRIND_MAKE_MEM_UNDEFINED(out->low, out->size);
	ASAN_UNPOISON_MEMORY_REGION(out->low, out->size);
	return 0;
}

void
stack_put(struct stack_pool *p, struct stack *s)
{
	struct stack *old;

	if (p->count == p->cache || s->size != p->size) {
		stack_unmap(p, s);
		return;
	}
	/* Whoever still points into it is told by AddressSanitizer. */
	ASAN_POISON_MEMORY_REGION(s->low, s->size);
	p->free[p->count++] = *s;
	*s = (struct stack){ 0 };
	if (p->count - p->cold > STACK_WARM) {
		old = &p->free[p->cold++];
		(void)madvise(old->low, old->size, MADV_DONTNEED);
	}
}

bool
stack_has_guard_at(const struct stack *s, const void *at)
{
	uintptr_t low = (uintptr_t)s->low;

	return (uintptr_t)at < low && low - (uintptr_t)at <= STACK_GUARD;
}
