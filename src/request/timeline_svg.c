/* SPDX-License-Identifier: ISC */
/*
 * The timeline as an image: one row a request, bars on a common axis.
 *
 * Running is a tall dark bar, each kind of waiting a lower and lighter one, so the
 * picture is read without its colours too; those are of the Okabe-Ito
 * palette, which colour-blind readers can tell apart.  Coordinates are whole
 * tenths of a pixel, for then no locale can put a comma into them.
 */
#include "request/timeline_draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SVG_WIDTH = 9600,
	SVG_LEFT = 2450,		/* of the chart; labels are on its left */
	SVG_RIGHT = 8150,		/* of the chart; status and length are on its right */
	SVG_TOP = 1180,			/* of the first row */
	SVG_ROW = 270,
	SVG_RUN = 180,			/* heights of bars */
	SVG_WAIT = 120,
	SVG_THIN = 18,			/* least width of a bar */
	SVG_LEGEND = 330,
	SVG_TICKS = 8,
	SVG_LABEL = 27,			/* characters */
	SVG_MARGIN = 260,
	SVG_WAITING = 1020,		/* of the words before the waits in the legend */
};

enum svg_legend { SVG_MEASURE, SVG_DRAW };

struct timeline_svg {
	struct buf *to;
	struct timeline_axis axis;
	usec now;
	size_t rows;
};

static const char *const timeline_svg_colour[WAIT_COUNT] = {
	[WAIT_NONE] = "#00573d", [WAIT_POOL] = "#b3aa9b", [WAIT_REDIS] = "#e07b39", [WAIT_SQL] = "#3f94cf",
	[WAIT_HTTP] = "#cc79a7", [WAIT_CLIENT] = "#f0e442", [WAIT_SLEEP] = "#d5dae0", [WAIT_FD] = "#8c96a0",
	[WAIT_THREAD] = "#8fd0f0", [WAIT_FIBER] = "#f2b63c", [WAIT_MESSAGE] = "#7fb98f",
};

static void
timeline_svg_text(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.at[i]) {
		case '&':
			buf_add(to, SPAN("&amp;"));
			break;
		case '<':
			buf_add(to, SPAN("&lt;"));
			break;
		case '>':
			buf_add(to, SPAN("&gt;"));
			break;
		case '"':
			buf_add(to, SPAN("&quot;"));
			break;
		default:
			buf_printf(to, "%c", text.at[i] >= 0x20 && text.at[i] < 0x7f ? text.at[i] : '?');
		}
	}
}

static int
timeline_svg_x(const struct timeline_svg *s, usec at)
{
	double share = (double)(at - s->axis.begin) / (double)(s->axis.end - s->axis.begin);

	return SVG_LEFT + (int)(share * (SVG_RIGHT - SVG_LEFT) + 0.5);
}

static int
timeline_svg_y(size_t row)
{
	return SVG_TOP + (int)row * SVG_ROW;
}

/* Returns how wide an entry of the legend is, about. */
static int
timeline_svg_entry(enum wait_why why)
{
	return 380 + 240 + (int)strlen(wait_why_name(why)) * 82;
}

/* Draw or only measure the legend.  Returns how many lines it has. */
static int
timeline_svg_legend(struct timeline_svg *s, enum svg_legend what)
{
	int x = SVG_MARGIN, y = timeline_svg_y(s->rows) + SVG_LEGEND, lines = 1, height;

	for (enum wait_why why = WAIT_NONE; why < WAIT_COUNT; why++) {
		if ((s->axis.used & 1u << why) == 0)
			continue;
		if (x + timeline_svg_entry(why) > SVG_WIDTH - SVG_MARGIN) {
			x = SVG_MARGIN + timeline_svg_entry(WAIT_NONE) + SVG_WAITING;
			y += SVG_ROW;
			lines++;
		}
		height = why == WAIT_NONE ? SVG_RUN : SVG_WAIT;
		if (what == SVG_DRAW) {
			buf_printf(s->to, "<rect x=\"%d\" y=\"%d\" width=\"300\" height=\"%d\" fill=\"%s\"/>\n", x,
			    y - 50 - height / 2, height, timeline_svg_colour[why]);
			buf_printf(s->to, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 380, y, wait_why_name(why));
		}
		x += timeline_svg_entry(why);
		if (why == WAIT_NONE && what == SVG_DRAW && s->axis.used > 1u << WAIT_NONE)
			buf_printf(s->to, "<text x=\"%d\" y=\"%d\" fill=\"#52606d\">waiting for</text>\n", x, y);
		if (why == WAIT_NONE)
			x += SVG_WAITING;
	}
	return lines;
}

/* What the requests would take one after the other: alone, none would queue for a connection. */
static usec
timeline_svg_alone(const struct timeline_svg *s, const struct timeline_record *r)
{
	struct timeline_piece piece[TIMELINE_PIECES];
	usec alone = s->axis.total;

	for (size_t i = 0; i < s->rows; i++) {
		size_t n = timeline_pieces(&r[i], s->now, piece);

		for (size_t j = 0; j < n; j++)
			if (piece[j].why == WAIT_POOL)
				alone -= piece[j].until - piece[j].from;
	}
	return alone;
}

static void
timeline_svg_head(struct timeline_svg *s, const struct timeline_record *r)
{
	char in[TIMELINE_LENGTH_TEXT], total[TIMELINE_LENGTH_TEXT];
	int height = timeline_svg_y(s->rows) + SVG_LEGEND + timeline_svg_legend(s, SVG_MEASURE) * SVG_ROW;

	timeline_length(in, s->axis.end - s->axis.begin);
	timeline_length(total, timeline_svg_alone(s, r));
	buf_printf(s->to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
	    "font-family=\"-apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\" font-size=\"140\" "
	    "fill=\"#1f2933\">\n",
	    SVG_WIDTH / 10, height / 10, SVG_WIDTH, height);
	buf_printf(s->to, "<rect width=\"%d\" height=\"%d\" rx=\"80\" fill=\"#fdfdfc\"/>\n", SVG_WIDTH, height);
	buf_printf(s->to, "<text x=\"%d\" y=\"430\" font-size=\"230\" font-weight=\"600\">%zu request%s in %s</text>\n",
	    SVG_MARGIN, s->rows,
	    s->rows == 1 ? "" : "s", in);
	buf_printf(s->to, "<text x=\"260\" y=\"690\" font-size=\"150\" fill=\"#52606d\">");
	if (s->axis.at_once > 1)
		buf_printf(s->to, "Up to %u at once; one after the other they would take %s", s->axis.at_once, total);
	else
		buf_printf(s->to, "One at a time");
	if (s->axis.live > 0)
		buf_printf(s->to, "; %u still live", s->axis.live);
	buf_add(s->to, SPAN(".</text>\n"));
}

static void
timeline_svg_grid(struct timeline_svg *s)
{
	int bottom = timeline_svg_y(s->rows);
	char text[TIMELINE_LENGTH_TEXT];

	for (size_t row = 0; row < s->rows; row += 2)
		buf_printf(s->to, "<rect x=\"160\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f3f5f6\"/>\n",
		    timeline_svg_y(row), SVG_WIDTH - 320, SVG_ROW);
	for (usec tick = 0; tick <= s->axis.end - s->axis.begin; tick += s->axis.step) {
		int x = timeline_svg_x(s, s->axis.begin + tick);

		timeline_tick(text, tick, s->axis.step);
		buf_printf(s->to, "<path d=\"M%d %dV%d\" stroke=\"#cbd2d9\" stroke-width=\"8\"/>\n", x, SVG_TOP - 70,
		    bottom);
		buf_printf(s->to, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"130\" "
		    "fill=\"#52606d\">%s</text>\n", x, SVG_TOP - 120, text);
	}
}

static void
timeline_svg_piece(struct timeline_svg *s, const struct timeline_piece *p, size_t row)
{
	int x = timeline_svg_x(s, p->from), width = timeline_svg_x(s, p->until) - x;
	int height = p->why == WAIT_NONE ? SVG_RUN : SVG_WAIT;
	char length[TIMELINE_LENGTH_TEXT];

	timeline_length(length, p->until - p->from);
	buf_printf(s->to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"><title>%s %s</title></rect>\n", x,
	    timeline_svg_y(row) + (SVG_ROW - height) / 2, width < SVG_THIN ? SVG_THIN : width, height,
	    timeline_svg_colour[p->why], wait_why_name(p->why), length);
}

static void
timeline_svg_row(struct timeline_svg *s, const struct timeline_record *r, size_t row)
{
	struct timeline_piece piece[TIMELINE_PIECES];
	size_t n = timeline_pieces(r, s->now, piece);
	struct timeline_label label = timeline_label(r->what, SVG_LABEL);
	int base = timeline_svg_y(row) + SVG_ROW / 2 + 50, x;
	char length[TIMELINE_LENGTH_TEXT];

	timeline_length(length, timeline_until(r, s->now) - r->begin);
	buf_printf(s->to, "<text x=\"260\" y=\"%d\">", base);
	timeline_svg_text(s->to, label.head);
	buf_printf(s->to, "%s", label.tail.len > 0 ? "…" : "");
	timeline_svg_text(s->to, label.tail);
	buf_printf(s->to, "</text>\n");
	/* What ran lies on top: it may be thinner than a line. */
	for (size_t i = 0; i < n; i++)
		if (piece[i].why != WAIT_NONE)
			timeline_svg_piece(s, &piece[i], row);
	for (size_t i = 0; i < n; i++)
		if (piece[i].why == WAIT_NONE)
			timeline_svg_piece(s, &piece[i], row);
	if (r->end == 0) {
		x = timeline_svg_x(s, timeline_until(r, s->now));
		buf_printf(s->to, "<path d=\"M%d %dl70 60l-70 60z\" fill=\"#00573d\"/>\n", x + 20,
		    timeline_svg_y(row) + SVG_ROW / 2 - 60);
	}
	buf_printf(s->to, "<text x=\"8640\" y=\"%d\" text-anchor=\"end\" fill=\"%s\">", base,
	    r->end == 0 ? "#00573d" : r->status >= 400 || r->status == 0 ? "#b03a00" : "#52606d");
	if (r->end == 0)
		buf_add(s->to, SPAN("live"));
	else if (r->status == 0)
		buf_add(s->to, SPAN("gone"));
	else
		buf_printf(s->to, "%u", r->status % 1000u);
	buf_printf(s->to, "</text>\n<text x=\"9340\" y=\"%d\" text-anchor=\"end\">%s</text>\n", base, length);
}

void
timeline_svg(struct buf *to, const struct timeline_record *r, size_t n, usec now)
{
	struct timeline_svg s = { .to = to, .now = now, .rows = n };

	s.axis = timeline_axis(r, n, now, SVG_TICKS);
	timeline_svg_head(&s, r);
	timeline_svg_grid(&s);
	for (size_t i = 0; i < n; i++)
		timeline_svg_row(&s, &r[i], i);
	timeline_svg_legend(&s, SVG_DRAW);
	buf_add(to, SPAN("</svg>\n"));
}
