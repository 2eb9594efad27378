/* SPDX-License-Identifier: ISC */
/*
 * Writing and collecting of records.
 *
 * A ring has one writer, its worker, and any number of readers in other
 * processes.  A record's number is taken away while it is filled, and put
 * back last; a reader copies the record and looks whether the number is the
 * same before and behind.  A bar may still be torn while waits are added: it
 * is a picture.  So the writer makes no atomic operation and no system call.
 *
 * What is read from a ring is another process's word.  Places are computed
 * here, never read; a copy is checked field by field before it is handed on.
 */
#include "request/timeline.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
timeline_fence(void)
{
	__atomic_thread_fence(__ATOMIC_ACQ_REL);
}

void
timeline_ring_init(struct timeline_ring *ring)
{
	memset(ring, 0, sizeof *ring);
	ring->pid = (int32_t)getpid();
}

static struct timeline_record *
timeline_place(struct timeline_ring *ring, uint64_t number)
{
	return &ring->record[number % TIMELINE_RECORDS];
}

void
timeline_begin(struct timeline_mark *m, struct timeline_ring *ring, struct span what, usec now)
{
	struct timeline_record *r;

	*m = (struct timeline_mark){ .ring = ring };
	if (ring == NULL)
		return;
	if (ring->pid == 0)
		ring->pid = (int32_t)getpid();
	if (ring->next == 0)
		ring->next = 1;
	m->number = ring->next++;
	r = timeline_place(ring, m->number);
	r->number = 0;
	timeline_fence();
	r->pid = ring->pid;
	r->status = 0;
	r->nsegments = 0;
	r->begin = now;
	r->end = 0;
	if (what.len > TIMELINE_WHAT - 1)
		what.len = TIMELINE_WHAT - 1;
	memcpy(r->what, what.at, what.len);
	r->what[what.len] = '\0';
	timeline_fence();
	r->number = m->number;
}

/* Returns the mark's record, NULL when there is none or a newer request took its place. */
static struct timeline_record *
timeline_record(const struct timeline_mark *m)
{
	struct timeline_record *r;

	if (m->ring == NULL)
		return NULL;
	r = timeline_place(m->ring, m->number);
	return r->number == m->number ? r : NULL;
}

/* Microseconds since the record's begin; UINT32_MAX is kept for what has no end. */
static uint32_t
timeline_since(usec begin, usec at)
{
	if (at == CLOCK_NEVER)
		return UINT32_MAX;
	if (at <= begin)
		return 0;
	return at - begin < UINT32_MAX ? (uint32_t)(at - begin) : UINT32_MAX - 1;
}

/* A wait that was told when it began: with fibers of its own, a request may have several. */
static struct timeline_segment *
timeline_open(struct timeline_record *r, unsigned n, const struct timeline_segment *wait)
{
	while (n-- > 0) {
		struct timeline_segment *s = &r->segment[n];

		if (s->until == UINT32_MAX && s->from == wait->from && s->why == wait->why)
			return s;
	}
	return NULL;
}

void
timeline_wait(void *mark, enum wait_why why, usec from, usec until)
{
	struct timeline_record *r = timeline_record(mark);
	struct timeline_segment new, *begun;
	unsigned n;

	if (r == NULL)
		return;
	new = (struct timeline_segment){ timeline_since(r->begin, from), timeline_since(r->begin, until), (uint8_t)why };
	n = r->nsegments < TIMELINE_SEGMENTS ? r->nsegments : TIMELINE_SEGMENTS;
	begun = new.until == UINT32_MAX ? NULL : timeline_open(r, n, &new);
	if (begun != NULL) {
		begun->until = new.until;
		return;
	}
	if (n == TIMELINE_SEGMENTS) {
		/* No room: the last one stands for the rest. */
		r->segment[n - 1].until = new.until;
		return;
	}
	r->segment[n] = new;
	r->nsegments++;
}

void
timeline_end(struct timeline_mark *m, unsigned status, usec now)
{
	struct timeline_record *r = timeline_record(m);

	m->ring = NULL;
	if (r == NULL)
		return;
	r->status = (uint16_t)status;
	timeline_fence();
	r->end = now;
}

/* ---- collecting ---------------------------------------------------------- */

static void
timeline_check_segments(struct timeline_record *r)
{
	uint32_t last = 0, end = UINT32_MAX;
	unsigned n = r->nsegments < TIMELINE_SEGMENTS ? r->nsegments : TIMELINE_SEGMENTS, kept = 0;
	struct timeline_segment s;

	if (r->end != 0)
		end = timeline_since(r->begin, r->end);
	for (unsigned i = 0; i < n; i++) {
		s = r->segment[i];
		if (s.until > end)
			s.until = end;
		if (s.why == WAIT_NONE || s.why >= WAIT_COUNT || s.from < last || s.until < s.from)
			continue;
		last = s.until;
		r->segment[kept++] = s;
	}
	r->nsegments = (uint16_t)kept;
}

/* Make a copy fit to be drawn.  Returns false when it cannot be a record of this place. */
static bool
timeline_check(struct timeline_record *r, size_t place)
{
	size_t i;

	if (r->number == 0 || r->number > INT64_MAX || r->number % TIMELINE_RECORDS != place || r->pid <= 0)
		return false;
	if (r->begin < 0 || r->begin > TIMELINE_TIME_MAX || r->end > TIMELINE_TIME_MAX)
		return false;
	if (r->end != 0 && r->end < r->begin)
		return false;
	if (r->status < 100 || r->status > 999)
		r->status = 0;
	r->what[TIMELINE_WHAT - 1] = '\0';
	for (i = 0; r->what[i] != '\0'; i++)
		if (r->what[i] < 0x20 || r->what[i] > 0x7e)
			r->what[i] = '?';
	memset(r->what + i, 0, TIMELINE_WHAT - i);
	timeline_check_segments(r);
	return true;
}

/* Copy one record.  Returns false when there is none, or it changed meanwhile. */
static bool
timeline_copy(const struct timeline_ring *ring, size_t place, struct timeline_record *out)
{
	const struct timeline_record *r = &ring->record[place];
	uint64_t before = __atomic_load_n(&r->number, __ATOMIC_ACQUIRE);

	if (before == 0)
		return false;
	memcpy(out, r, sizeof *out);
	timeline_fence();
	if (__atomic_load_n(&r->number, __ATOMIC_RELAXED) != before || out->number != before)
		return false;
	return timeline_check(out, place);
}

static int
timeline_by_begin(const void *a, const void *b)
{
	const struct timeline_record *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Put a record to out, which is a heap with the oldest on top once it is full. */
static void
timeline_keep(struct timeline_record *out, size_t n, const struct timeline_record *r)
{
	size_t at = 0, child;

	if (timeline_by_begin(r, &out[0]) <= 0)
		return;
	while ((child = at * 2 + 1) < n) {
		if (child + 1 < n && timeline_by_begin(&out[child + 1], &out[child]) < 0)
			child++;
		if (timeline_by_begin(r, &out[child]) <= 0)
			break;
		out[at] = out[child];
		at = child;
	}
	out[at] = *r;
}

size_t
timeline_collect(struct timeline_ring *const *rings, size_t nrings, struct timeline_record *out, size_t max)
{
	struct timeline_record r;
	size_t n = 0;

	if (max == 0)
		return 0;
	for (size_t i = 0; i < nrings * TIMELINE_RECORDS; i++) {
		if (!timeline_copy(rings[i / TIMELINE_RECORDS], i % TIMELINE_RECORDS, &r))
			continue;
		if (n == max) {
			timeline_keep(out, n, &r);
			continue;
		}
		out[n++] = r;
		/* A sorted array is a heap. */
		if (n == max)
			qsort(out, n, sizeof out[0], timeline_by_begin);
	}
	if (n > 0)
		qsort(out, n, sizeof out[0], timeline_by_begin);
	return n;
}
