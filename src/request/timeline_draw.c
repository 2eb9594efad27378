/* SPDX-License-Identifier: ISC */
#include "request/timeline_draw.h"

#include <inttypes.h>
#include <stdio.h>

usec
timeline_until(const struct timeline_record *r, usec now)
{
	usec until = r->end != 0 ? r->end : clock_min(now, TIMELINE_TIME_MAX);

	return until > r->begin ? until : r->begin;
}

static size_t
timeline_piece_add(struct timeline_piece *out, size_t n, enum wait_why why, usec from, usec until)
{
	if (until <= from)
		return n;
	out[n] = (struct timeline_piece){ why, from, until };
	return n + 1;
}

size_t
timeline_pieces(const struct timeline_record *r, usec now, struct timeline_piece *out)
{
	unsigned nsegments = r->nsegments < TIMELINE_SEGMENTS ? r->nsegments : TIMELINE_SEGMENTS;
	usec at = r->begin, end = timeline_until(r, now), from, until;
	size_t n = 0;

	for (unsigned i = 0; i < nsegments; i++) {
		const struct timeline_segment *s = &r->segment[i];

		from = clock_min(r->begin + s->from, end);
		until = s->until == UINT32_MAX ? end : clock_min(r->begin + s->until, end);
		n = timeline_piece_add(out, n, WAIT_NONE, at, from);
		n = timeline_piece_add(out, n, (enum wait_why)s->why, from, until);
		at = until;
	}
	return timeline_piece_add(out, n, WAIT_NONE, at, end);
}

static usec
timeline_step(usec length, unsigned max_ticks)
{
	usec step = 1;

	for (;;) {
		if (length / step < max_ticks)
			return step;
		if (length / (step * 2) < max_ticks)
			return step * 2;
		if (length / (step * 5) < max_ticks)
			return step * 5;
		step *= 10;
	}
}

/* How many records live at the time, of those whose number is at most n. */
static unsigned
timeline_at_once(const struct timeline_record *r, size_t n, usec now, usec at)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += r[i].begin <= at && (timeline_until(&r[i], now) > at || r[i].begin == at);
	return count;
}

struct timeline_axis
timeline_axis(const struct timeline_record *r, size_t n, usec now, unsigned max_ticks)
{
	struct timeline_axis a = { .begin = n > 0 ? r[0].begin : now, .end = 0, .used = 1u << WAIT_NONE };
	struct timeline_piece piece[TIMELINE_PIECES];
	unsigned count;

	for (size_t i = 0; i < n; i++) {
		usec until = timeline_until(&r[i], now);
		size_t pieces = timeline_pieces(&r[i], now, piece);

		a.begin = clock_min(a.begin, r[i].begin);
		a.end = until > a.end ? until : a.end;
		a.total += until - r[i].begin;
		a.live += r[i].end == 0;
		for (size_t j = 0; j < pieces; j++)
			a.used |= 1u << piece[j].why;
		count = timeline_at_once(r, n, now, r[i].begin);
		a.at_once = count > a.at_once ? count : a.at_once;
	}
	if (a.end <= a.begin)
		a.end = a.begin + 1;
	a.step = timeline_step(a.end - a.begin, max_ticks);
	return a;
}

void
timeline_length(char to[TIMELINE_LENGTH_TEXT], usec length)
{
	usec ms = length / USEC_PER_MSEC, s = length / USEC_PER_SEC;

	if (ms == 0)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " µs", length);
	else if (ms < 10)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 ".%" PRId64 " ms", ms, length / 100 % 10);
	else if (s == 0)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " ms", ms);
	else if (s < 10)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 ".%02" PRId64 " s", s, ms / 10 % 100);
	else if (s < 1000)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 ".%" PRId64 " s", s, ms / 100 % 10);
	else
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " s", s);
}

void
timeline_tick(char to[TIMELINE_LENGTH_TEXT], usec at, usec step)
{
	if (at == 0)
		snprintf(to, TIMELINE_LENGTH_TEXT, "0");
	else if (step >= USEC_PER_SEC)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " s", at / USEC_PER_SEC);
	else if (step >= USEC_PER_MSEC)
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " ms", at / USEC_PER_MSEC);
	else
		snprintf(to, TIMELINE_LENGTH_TEXT, "%" PRId64 " µs", at);
}

struct timeline_label
timeline_label(const char *what, size_t width)
{
	struct span all = span_str(what);
	size_t tail = width / 2;

	if (all.len <= width)
		return (struct timeline_label){ all, { "", 0 } };
	return (struct timeline_label){ { what, width - 1 - tail }, { what + all.len - tail, tail } };
}
