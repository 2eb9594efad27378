/* SPDX-License-Identifier: ISC */

/*
 * A heap in which each place has four children: half as deep as a binary one,
 * and the four lie side by side.  The times lie in the heap itself:
 * entries are parts of fibers, each in a page of its own, and looking at them
 * to compare would miss the cache each time.  An entry knows its place, so it
 * can be taken out from the middle.
 *
 * Deadlines mostly come in the order of time, so an entry mostly is added
 * where it stays, and taken out again from near the end.
 */
#include "fiber/timerq.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/must.h"

enum { TIMERQ_CHILDREN = 4, TIMERQ_SIZE_MIN = 64 };

struct timerq_slot {
	usec at;
	struct timerq_entry *entry;
};

void
timerq_init(struct timerq *q)
{
	*q = (struct timerq){ 0 };
}

void
timerq_fini(struct timerq *q)
{
	free(q->slot);
	timerq_init(q);
}

int
timerq_reserve(struct timerq *q, unsigned count)
{
	size_t size = q->size == 0 ? TIMERQ_SIZE_MIN : q->size;
	struct timerq_slot *slot;

	if (count <= q->size)
		return 0;
	while (size < count)
		size *= 2;
	if (size > UINT32_MAX / 2 || size > SIZE_MAX / sizeof *slot)
		return -1;
	slot = realloc(q->slot, size * sizeof *slot);
	if (slot == NULL)
		return -1;
	q->slot = slot;
	q->size = (unsigned)size;
	return 0;
}

static void
timerq_put(struct timerq *q, unsigned i, struct timerq_slot s)
{
	q->slot[i] = s;
	s.entry->place = i + 1;
}

/* Place s at i or above. */
static void
timerq_rise(struct timerq *q, unsigned i, struct timerq_slot s)
{
	unsigned up;

	for (; i > 0; i = up) {
		up = (i - 1) / TIMERQ_CHILDREN;
		if (q->slot[up].at <= s.at)
			break;
		timerq_put(q, i, q->slot[up]);
	}
	timerq_put(q, i, s);
}

/* Returns the earliest child of i, or count when it has none. */
static unsigned
timerq_child(const struct timerq *q, unsigned i)
{
	unsigned first = i * TIMERQ_CHILDREN + 1;
	unsigned end = first + TIMERQ_CHILDREN;
	unsigned best = first;

	if (first >= q->count)
		return q->count;
	if (end > q->count)
		end = q->count;
	for (i = first + 1; i < end; i++)
		if (q->slot[i].at < q->slot[best].at)
			best = i;
	return best;
}

/* Place s at i or below. */
static void
timerq_sink(struct timerq *q, unsigned i, struct timerq_slot s)
{
	unsigned down;

	for (;; i = down) {
		down = timerq_child(q, i);
		if (down == q->count || q->slot[down].at >= s.at)
			break;
		timerq_put(q, i, q->slot[down]);
	}
	timerq_put(q, i, s);
}

void
timerq_add(struct timerq *q, struct timerq_entry *e, usec at)
{
	must(e->place == 0);
	must(q->count < q->size);
	q->count++;
	timerq_rise(q, q->count - 1, (struct timerq_slot){ at, e });
}

void
timerq_remove(struct timerq *q, struct timerq_entry *e)
{
	struct timerq_slot last;
	unsigned i = e->place;

	if (i == 0)
		return;
	i--;
	must(i < q->count && q->slot[i].entry == e);
	e->place = 0;
	last = q->slot[--q->count];
	if (i == q->count)
		return;
	/* The last one fills the gap; it may belong above it or below it. */
	if (i > 0 && last.at < q->slot[(i - 1) / TIMERQ_CHILDREN].at)
		timerq_rise(q, i, last);
	else
		timerq_sink(q, i, last);
}

struct timerq_entry *
timerq_pop(struct timerq *q, usec now)
{
	struct timerq_entry *e;

	if (q->count == 0 || q->slot[0].at > now)
		return NULL;
	e = q->slot[0].entry;
	timerq_remove(q, e);
	return e;
}

usec
timerq_next(const struct timerq *q)
{
	return q->count == 0 ? CLOCK_NEVER : q->slot[0].at;
}
