/* SPDX-License-Identifier: ISC */
#include "request/timeline.h"

#include <inttypes.h>

/* A JSON string.  What is not ASCII, and could be half a character, is shown as '?'. */
static void
timeline_json_string(struct buf *to, const char *text)
{
	buf_add(to, SPAN("\""));
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf_printf(to, "\\%c", c);
		else if (c < 0x20)
			buf_printf(to, "\\u%04x", c);
		else
			buf_printf(to, "%c", c < 0x7f ? c : '?');
	}
	buf_add(to, SPAN("\""));
}

static void
timeline_json_waits(struct buf *to, const struct timeline_record *r)
{
	unsigned n = r->nsegments < TIMELINE_SEGMENTS ? r->nsegments : TIMELINE_SEGMENTS;

	for (unsigned i = 0; i < n; i++) {
		const struct timeline_segment *s = &r->segment[i];

		buf_printf(to, "%s{\"why\":\"%s\",\"from\":%" PRIu32 ",\"until\":", i > 0 ? "," : "",
		    wait_why_name((enum wait_why)s->why), s->from);
		if (s->until == UINT32_MAX)
			buf_add(to, SPAN("null}"));
		else
			buf_printf(to, "%" PRIu32 "}", s->until);
	}
}

void
timeline_json(struct buf *to, const struct timeline_record *r, size_t n)
{
	buf_add(to, SPAN("["));
	for (size_t i = 0; i < n; i++) {
		buf_printf(to, "%s\n{\"number\":%" PRIu64 ",\"pid\":%" PRId32 ",\"what\":", i > 0 ? "," : "",
		    r[i].number, r[i].pid);
		timeline_json_string(to, r[i].what);
		buf_printf(to, ",\"status\":%u,\"begin\":%" PRId64 ",\"end\":", r[i].status, r[i].begin);
		if (r[i].end == 0)
			buf_add(to, SPAN("null"));
		else
			buf_printf(to, "%" PRId64, r[i].end);
		buf_add(to, SPAN(",\"waits\":["));
		timeline_json_waits(to, &r[i]);
		buf_add(to, SPAN("]}"));
	}
	buf_add(to, SPAN("\n]\n"));
}
