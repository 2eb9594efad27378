/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_TIMELINE_H
#define REQUEST_TIMELINE_H

/*
 * The picture of live and recent requests: for each, when it ran and what it
 * waited for.  Records live in a ring; one ring a worker, in memory that the
 * workers share, so that any worker (and the master) can draw all of them.
 * Whoever reads another process's ring copies first and believes nothing.
 *
 * The ring is bounded: the newest record takes the oldest place, so a request
 * that lives longer than the ring is round loses its record, not its life.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "fiber/why.h"

enum { TIMELINE_RECORDS = 256, TIMELINE_SEGMENTS = 24, TIMELINE_WHAT = 48 };

/* 35 years after boot; later records are not drawn.  Thousands of such lengths may be added up. */
#define TIMELINE_TIME_MAX (INT64_C(1) << 50)

struct timeline_segment {
	uint32_t from, until;		/* microseconds since the record's begin; saturating.  until UINT32_MAX: waits still */
	uint8_t why;			/* enum wait_why */
};

struct timeline_record {
	uint64_t number;		/* 0: empty.  Grows with each request of the ring */
	int32_t pid;
	uint16_t status;		/* of the response; 0 until it is known */
	uint16_t nsegments;		/* over TIMELINE_SEGMENTS: the last one is stretched over the rest */
	usec begin, end;		/* end 0: still live */
	char what[TIMELINE_WHAT];	/* "GET /item/7", cut, printable */
	struct timeline_segment segment[TIMELINE_SEGMENTS];
};

struct timeline_ring {
	uint64_t next;			/* number of the next record */
	int32_t pid;			/* the worker's; 0: asked for at the first record */
	struct timeline_record record[TIMELINE_RECORDS];
};

/* Begin a ring in memory of any content, for this process. */
void timeline_ring_init(struct timeline_ring *ring);

/* A request's hold on its record: NULL ring when there is none. */
struct timeline_mark {
	struct timeline_ring *ring;
	uint64_t number;
};

/*
 * Begin a record.  what: "GET /item/7", printable; it is cut.  ring may be NULL: the mark then does nothing.  Memory of a ring
 * that was all zero needs no timeline_ring_init.
 */
void timeline_begin(struct timeline_mark *m, struct timeline_ring *ring, struct span what, usec now);

/* Add a wait.  A fiber_trace_fn with the mark as its arg.  until CLOCK_NEVER: it has just begun; the same wait follows when it is over. */
void timeline_wait(void *mark, enum wait_why why, usec from, usec until);

/* The request is over.  status 0: the client has not got a response. */
void timeline_end(struct timeline_mark *m, unsigned status, usec now);

/*
 * Copy the newest records of several rings, oldest first, into out.
 *
 * Returns  how many, at most max.  Every field of a copied record is checked:
 *          nsegments, order of times, printable text, known reasons
 */
size_t timeline_collect(struct timeline_ring *const *rings, size_t nrings, struct timeline_record *out, size_t max);

/*
 * The drawings compare all records with each other: some hundreds are meant.
 */

/* Draw records as text: one line each, a bar of columns characters, a legend.  now: where live ones end.  colour: 0 none, 1 ANSI. */
void timeline_text(struct buf *to, const struct timeline_record *r, size_t n, usec now, unsigned columns, int colour);

/* Draw records as an SVG image with its legend; self-contained, no scripts; text escaped. */
void timeline_svg(struct buf *to, const struct timeline_record *r, size_t n, usec now);

/* Write records as a JSON array: number, pid, what, status, begin and end in µs, waits with why, from, until. */
void timeline_json(struct buf *to, const struct timeline_record *r, size_t n);

#endif
