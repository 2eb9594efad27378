/* SPDX-License-Identifier: ISC */
#ifndef FIBER_TIMERQ_H
#define FIBER_TIMERQ_H

/*
 * A queue of deadlines.  Entries are the caller's and are part of what waits.
 * Room is reserved beforehand, so adding allocates nothing and cannot fail.
 */

#include <stdbool.h>

#include "base/clock.h"

struct timerq_entry {
	unsigned place;		/* its place in the heap, from 1; 0: not in the queue */
};

struct timerq {
	struct timerq_slot *slot;
	unsigned count;
	unsigned size;
};

/* Begin empty.  Allocates nothing yet. */
void timerq_init(struct timerq *q);

/* Free the queue.  Entries still in it are forgotten. */
void timerq_fini(struct timerq *q);

/* Make room for count entries in all.  Returns 0, or -1 when memory is refused: the queue is as before. */
int timerq_reserve(struct timerq *q, unsigned count);

/* Add an entry that is in no queue.  There must be room: timerq_reserve.  Borrowed until it is out again. */
void timerq_add(struct timerq *q, struct timerq_entry *e, usec at);

/* Take an entry out; nothing when it is not in. */
void timerq_remove(struct timerq *q, struct timerq_entry *e);

/* Take out the earliest entry, if it is at now or before.  Returns it, or NULL.  Equal times come in any order. */
struct timerq_entry *timerq_pop(struct timerq *q, usec now);

/* Returns the earliest time in the queue, CLOCK_NEVER when it is empty. */
usec timerq_next(const struct timerq *q);

/* True when the entry is in a queue. */
static inline bool
timerq_has(const struct timerq_entry *e)
{
	return e->place != 0;
}

#endif
