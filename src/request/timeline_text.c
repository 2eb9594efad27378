/* SPDX-License-Identifier: ISC */
/*
 * The timeline for a terminal: one line a request.  A cell of a bar is what
 * the request did most of in that time: a full block where it ran, a letter
 * where it waited.  Letters, not shades: they survive a log, a mail and a
 * colour-blind reader; colour comes on top.
 */
#include "request/timeline_draw.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_STATUS = 4, TEXT_LENGTH = 8, TEXT_COLUMNS_MIN = 40, TEXT_COLUMNS_MAX = 400 };

struct timeline_text {
	struct buf *to;
	struct timeline_axis axis;
	usec now;
	unsigned columns, label, bar;	/* widths */
	int colour;
};

/* Letter, and colour of 256, of each reason. */
static const struct {
	const char *cell;
	unsigned char colour;
} timeline_text_why[WAIT_COUNT] = {
	[WAIT_NONE] = { "█", 29 }, [WAIT_POOL] = { "p", 250 }, [WAIT_REDIS] = { "r", 173 }, [WAIT_SQL] = { "s", 74 },
	[WAIT_HTTP] = { "h", 175 }, [WAIT_CLIENT] = { "c", 228 }, [WAIT_SLEEP] = { "z", 254 }, [WAIT_FD] = { "d", 248 },
	[WAIT_THREAD] = { "t", 117 }, [WAIT_FIBER] = { "f", 214 }, [WAIT_MESSAGE] = { "m", 108 },
};

static void
timeline_text_cell(struct timeline_text *t, enum wait_why why, unsigned count)
{
	if (t->colour && why == WAIT_NONE)
		buf_printf(t->to, "\033[38;5;%um", timeline_text_why[why].colour);
	else if (t->colour)
		buf_printf(t->to, "\033[38;5;16;48;5;%um", timeline_text_why[why].colour);
	while (count-- > 0)
		buf_add(t->to, span_str(timeline_text_why[why].cell));
	if (t->colour)
		buf_add(t->to, SPAN("\033[0m"));
}

static void
timeline_text_pad(struct buf *to, unsigned count)
{
	buf_printf(to, "%*s", (int)count, "");
}

static void
timeline_text_label(struct timeline_text *t, const char *what)
{
	struct timeline_label label = timeline_label(what, t->label);
	bool cut = label.tail.len > 0;

	buf_add(t->to, label.head);
	buf_printf(t->to, "%s", cut ? "…" : "");
	buf_add(t->to, label.tail);
	timeline_text_pad(t->to, t->label - (unsigned)(label.head.len + cut + label.tail.len) + 1);
}

/* Returns the time at the left edge of a column. */
static usec
timeline_text_at(const struct timeline_text *t, unsigned column)
{
	/* In two parts, so that it does not overflow. */
	usec length = t->axis.end - t->axis.begin;

	return t->axis.begin + length / t->bar * column + length % t->bar * column / t->bar;
}

static unsigned
timeline_text_column(const struct timeline_text *t, usec at)
{
	unsigned column = 0;

	while (column + 1 < t->bar && timeline_text_at(t, column + 1) <= at)
		column++;
	return column;
}

/* Returns what most of the time from..until was spent with. */
static enum wait_why
timeline_text_most(const struct timeline_piece *p, size_t n, usec from, usec until)
{
	enum wait_why why = WAIT_NONE;
	usec most = 0, sum[WAIT_COUNT] = { 0 };

	for (size_t i = 0; i < n; i++) {
		usec begin = p[i].from > from ? p[i].from : from;
		usec end = clock_min(p[i].until, until);

		if (end <= begin)
			continue;
		sum[p[i].why] += end - begin;
		if (sum[p[i].why] > most) {
			most = sum[p[i].why];
			why = p[i].why;
		}
	}
	return why;
}

static void
timeline_text_bar(struct timeline_text *t, const struct timeline_record *r)
{
	struct timeline_piece piece[TIMELINE_PIECES];
	size_t n = timeline_pieces(r, t->now, piece);
	unsigned first = timeline_text_column(t, r->begin), last, run = 0;
	enum wait_why why, before = WAIT_COUNT;
	usec until = timeline_until(r, t->now);

	last = timeline_text_column(t, until > r->begin ? until - 1 : until);
	timeline_text_pad(t->to, first);
	for (unsigned c = first; c <= last; c++) {
		why = timeline_text_most(piece, n, timeline_text_at(t, c), timeline_text_at(t, c + 1));
		if (why != before && run > 0)
			timeline_text_cell(t, before, run);
		run = why == before ? run + 1 : 1;
		before = why;
	}
	timeline_text_cell(t, before, run);
	timeline_text_pad(t->to, t->bar - 1 - last);
}

static void
timeline_text_row(struct timeline_text *t, const struct timeline_record *r)
{
	char status[8], length[TIMELINE_LENGTH_TEXT];

	timeline_length(length, timeline_until(r, t->now) - r->begin);
	if (r->end == 0)
		snprintf(status, sizeof status, "live");
	else if (r->status == 0)
		snprintf(status, sizeof status, "gone");
	else
		snprintf(status, sizeof status, "%u", r->status % 1000u);
	timeline_text_label(t, r->what);
	timeline_text_bar(t, r);
	/* The sign for micro is two bytes wide. */
	buf_printf(t->to, " %*s %*s\n", TEXT_STATUS, status, TEXT_LENGTH + (strstr(length, "µ") != NULL), length);
}

static void
timeline_text_axis(struct timeline_text *t)
{
	unsigned at = 0, column, width;
	char text[TIMELINE_LENGTH_TEXT];

	timeline_text_pad(t->to, t->label + 1);
	for (usec tick = 0; tick <= t->axis.end - t->axis.begin; tick += t->axis.step) {
		column = timeline_text_column(t, t->axis.begin + tick);
		timeline_tick(text, tick, t->axis.step);
		width = (unsigned)strlen(text) - (strstr(text, "µ") != NULL) + 1;
		if (column < at || column + width > t->bar + 1 + TEXT_STATUS + TEXT_LENGTH)
			continue;
		timeline_text_pad(t->to, column - at);
		buf_printf(t->to, "|%s", text);
		at = column + width;
	}
	buf_add(t->to, SPAN("\n"));
}

static void
timeline_text_legend(struct timeline_text *t)
{
	unsigned at = 0, width;

	for (enum wait_why why = WAIT_NONE; why < WAIT_COUNT; why++) {
		if ((t->axis.used & 1u << why) == 0)
			continue;
		width = (unsigned)strlen(wait_why_name(why)) + 2;
		if (at > 0 && at + 3 + width > t->columns) {
			buf_add(t->to, SPAN("\n"));
			at = 0;
		}
		if (at > 0)
			timeline_text_pad(t->to, 3);
		at += width + (at > 0 ? 3 : 0);
		timeline_text_cell(t, why, 1);
		buf_printf(t->to, " %s", wait_why_name(why));
	}
	buf_add(t->to, SPAN("\n"));
}

void
timeline_text(struct buf *to, const struct timeline_record *r, size_t n, usec now, unsigned columns, int colour)
{
	struct timeline_text t = { .to = to, .now = now, .colour = colour };

	if (n == 0) {
		buf_add(to, SPAN("no requests yet\n"));
		return;
	}
	t.columns = columns < TEXT_COLUMNS_MIN ? TEXT_COLUMNS_MIN : columns > TEXT_COLUMNS_MAX ? TEXT_COLUMNS_MAX : columns;
	t.label = t.columns * 3 / 10 < TIMELINE_WHAT ? t.columns * 3 / 10 : TIMELINE_WHAT;
	t.bar = t.columns - t.label - 1 - 1 - TEXT_STATUS - 1 - TEXT_LENGTH;
	t.axis = timeline_axis(r, n, now, t.bar / 9 > 2 ? t.bar / 9 : 2);
	timeline_text_axis(&t);
	for (size_t i = 0; i < n; i++)
		timeline_text_row(&t, &r[i]);
	timeline_text_legend(&t);
}
