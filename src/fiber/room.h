/* SPDX-License-Identifier: ISC */
#ifndef FIBER_ROOM_H
#define FIBER_ROOM_H

/*
 * Rooms: pieces of memory of one size, packed without regard to pages.  One pool belongs to one thread.
 */

#include <stddef.h>
#include <sys/queue.h>

enum {
	ROOM_MAX = 16384,		/* bytes of the largest */
	ROOM_SLAB = 65536,		/* bytes that are asked of the system at once */
	ROOM_SPARE = 4			/* empty slabs that are kept */
};

/* Where rooms lie: a mapping that begins with this struct. */
struct room_slab {
	TAILQ_ENTRY(room_slab) link;	/* while it has a free room */
	struct room_free *free;		/* rooms that were put back, the last first */
	size_t size;			/* of its rooms */
	unsigned used;
	unsigned fresh;			/* rooms at its end that nobody has had */
};

TAILQ_HEAD(room_slabs, room_slab);

struct room_pool {
	struct room_slabs open;		/* those of the present size that have a free room */
	size_t size;
	unsigned spare;			/* of these, those that are empty */
};

/* Begin with none. */
void room_pool_init(struct room_pool *p);

/* Unmap all slabs.  All rooms must have been put back. */
void room_pool_fini(struct room_pool *p);

/*
 * Get a room of at least size bytes, at most ROOM_MAX, aligned for any object.  Its content is undefined.
 *
 * All rooms of a pool get as large as the largest that was asked for so far.
 *
 * slab     where it lies; room_put wants to know
 * Returns  the room; NULL when memory is refused
 */
void *room_get(struct room_pool *p, size_t size, struct room_slab **slab);

/* Put a room back into its slab. */
void room_put(struct room_pool *p, struct room_slab *slab, void *room);

#endif
