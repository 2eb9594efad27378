/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_TIMELINE_DRAW_H
#define REQUEST_TIMELINE_DRAW_H

/* What the drawings of a timeline share: a common axis, and each record cut into pieces of running and waiting. */

#include <stddef.h>

#include "request/timeline.h"

/* WAIT_NONE: running. */
struct timeline_piece {
	enum wait_why why;
	usec from, until;		/* absolute */
};

enum { TIMELINE_PIECES = 2 * TIMELINE_SEGMENTS + 1, TIMELINE_LENGTH_TEXT = 64 };

/* Cut a record into pieces without gaps, from its begin to its end, or to now.  Returns how many. */
size_t timeline_pieces(const struct timeline_record *r, usec now, struct timeline_piece *out);

struct timeline_axis {
	usec begin, end;		/* of all records; end > begin */
	usec step;			/* between ticks: 1, 2 or 5 times a power of ten */
	usec total;			/* the records' lengths added up */
	unsigned live, at_once;		/* records without end; most of them at the same time */
	unsigned used;			/* bit set of enum wait_why */
};

/* Find the axis; max_ticks: how many ticks there may be.  n may be 0. */
struct timeline_axis timeline_axis(const struct timeline_record *r, size_t n, usec now, unsigned max_ticks);

/* Returns the record's end, or now while it lives. */
usec timeline_until(const struct timeline_record *r, usec now);

/* Write a length of time with its unit, three digits or so: "870 µs", "3.2 ms", "312 ms", "1.25 s", "12.5 s". */
void timeline_length(char to[TIMELINE_LENGTH_TEXT], usec length);

/* A label of at most width characters: head, and, where it had to be cut in the middle, an ellipsis and tail. */
struct timeline_label {
	struct span head, tail;		/* into what; tail is empty when nothing is cut */
};

/* Cut in the middle: requests below one long prefix differ at their ends.  width is at least 3. */
struct timeline_label timeline_label(const char *what, size_t width);

/* Write a tick's place with a unit that suits the step: "200 ms". */
void timeline_tick(char to[TIMELINE_LENGTH_TEXT], usec at, usec step);

#endif
