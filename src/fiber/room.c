/* SPDX-License-Identifier: ISC */

/*
 * A room is mostly smaller than a page and lives as long as a fiber.  So rooms lie
 * side by side in slabs: a waiting fiber then costs its room and the touched
 * part of its stack, and not as many whole pages for each.
 *
 * The room put last is got first from its slab, and a slab that was full is the
 * next to be got from: what is used is few pages, and in the processor's cache.
 *
 * A slab whose last room was put back is unmapped; ROOM_SPARE of them are
 * kept.  Slabs of a smaller size than the present one serve no more, and go when they are empty.
 */
#include "fiber/room.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "base/must.h"
#include "fiber/checker.h"

enum { ROOM_ALIGN = 32 };	/* a divisor of a cache line; less would gain nothing */

struct room_free {
	struct room_free *next;
};

static size_t
room_round(size_t size)
{
	return (size + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN;
}

void
room_pool_init(struct room_pool *p)
{
	*p = (struct room_pool){ .size = 0 };
	TAILQ_INIT(&p->open);
}

static void
room_slab_unmap(struct room_slab *s)
{
	ASAN_UNPOISON_MEMORY_REGION(s, ROOM_SLAB);
	must(munmap(s, ROOM_SLAB) == 0);
}

/* The present size is over: slabs that are empty go now, the others are not got from any more. */
static void
room_pool_close(struct room_pool *p)
{
	struct room_slab *s, *next;

	for (s = TAILQ_FIRST(&p->open); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->used == 0)
			room_slab_unmap(s);
	}
	TAILQ_INIT(&p->open);
	p->spare = 0;
}

void
room_pool_fini(struct room_pool *p)
{
	room_pool_close(p);
}

/* MAP_STACK keeps huge pages away, as in stack.c, beside whose mappings it lies. */
static struct room_slab *
room_slab_new(struct room_pool *p)
{
	struct room_slab *s = mmap(NULL, ROOM_SLAB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	*s = (struct room_slab){ .size = p->size, .fresh = (unsigned)((ROOM_SLAB - room_round(sizeof *s)) / p->size) };
	TAILQ_INSERT_HEAD(&p->open, s, link);
	p->spare++;
	return s;
}

static inline bool
room_slab_is_full(const struct room_slab *s)
{
	return s->free == NULL && s->fresh == 0;
}

void *
room_get(struct room_pool *p, size_t size, struct room_slab **slab)
{
	struct room_slab *s;
	struct room_free *r;

	if (size > p->size) {
		must(size <= ROOM_MAX);
		room_pool_close(p);
		p->size = room_round(size);
	}
	s = TAILQ_FIRST(&p->open);
	if (s == NULL && (s = room_slab_new(p)) == NULL)
		return NULL;
	r = s->free;
	if (r != NULL) {
		ASAN_UNPOISON_MEMORY_REGION(r, s->size);
		s->free = r->next;
	} else {
		r = (struct room_free *)((char *)s + ROOM_SLAB - s->fresh-- * s->size);
	}
	if (s->used++ == 0)
		p->spare--;
	if (room_slab_is_full(s))
		TAILQ_REMOVE(&p->open, s, link);
	*slab = s;
	return r;
}

void
room_put(struct room_pool *p, struct room_slab *s, void *room)
{
	struct room_free *r = room;

	if (s->size == p->size && room_slab_is_full(s))
		TAILQ_INSERT_HEAD(&p->open, s, link);
	r->next = s->free;
	s->free = r;
	/* Whoever still points into it is told by AddressSanitizer. */
	ASAN_POISON_MEMORY_REGION(r, s->size);
	if (--s->used > 0)
		return;
	if (s->size == p->size) {
		if (p->spare < ROOM_SPARE) {
			p->spare++;
			return;
		}
		TAILQ_REMOVE(&p->open, s, link);
	}
	room_slab_unmap(s);
}
