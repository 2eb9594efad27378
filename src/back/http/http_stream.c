/* SPDX-License-Identifier: ISC */
#include "back/http/http_stream.h"

#include <string.h>

#include "fiber/fiber.h"

struct http_stream *
http_stream_new(struct arena *a, const struct http_source *source, void *arg)
{
	struct http_stream *s = arena_alloc(a, sizeof *s);

	if (s == NULL)
		return NULL;
	memset(s, 0, offsetof(struct http_stream, room));
	s->source = source;
	s->arg = arg;
	s->patience = CLOCK_NEVER;
	return s;
}

static void
http_stream_wake(struct http_stream *s)
{
	if (s->reader != NULL)
		fiber_wake(s->reader);
}

bool
http_stream_put(struct http_stream *s, struct span bytes)
{
	size_t begin = (s->at + s->len) % HTTP_STREAM_ROOM;
	size_t first = bytes.len < HTTP_STREAM_ROOM - begin ? bytes.len : HTTP_STREAM_ROOM - begin;

	if (bytes.len > HTTP_STREAM_ROOM - s->len) {
		s->is_held = true;
		return false;
	}
	memcpy(s->room + begin, bytes.at, first);
	memcpy(s->room, bytes.at + first, bytes.len - first);
	s->len += bytes.len;
	http_stream_wake(s);
	return true;
}

void
http_stream_end(struct http_stream *s, enum weft_rc rc, const char *why)
{
	s->source = NULL;
	s->rc = rc;
	if (rc != WEFT_OK)
		fault_set(&s->fault, rc, NULL, "%s", why);
	http_stream_wake(s);
}

static size_t
http_stream_take(struct http_stream *s, char *buf, size_t size)
{
	size_t n = size < s->len ? size : s->len;
	size_t first = n < HTTP_STREAM_ROOM - s->at ? n : HTTP_STREAM_ROOM - s->at;

	memcpy(buf, s->room + s->at, first);
	memcpy(buf + first, s->room, n - first);
	s->at = (s->at + n) % HTTP_STREAM_ROOM;
	s->len -= n;
	if (s->is_held && s->len <= HTTP_STREAM_LOW && s->source != NULL) {
		s->is_held = false;
		s->source->resume(s->arg);
	}
	return n;
}

enum weft_rc
http_stream_read(struct http_stream *s, char *buf, size_t size, size_t *got)
{
	usec until = clock_add(fiber_sched_now(fiber_sched(fiber_self())), s->patience);
	enum weft_rc rc = WEFT_OK;

	*got = 0;
	if (s->reader != NULL)
		return WEFT_INVALID;
	s->reader = fiber_self();
	while (s->len == 0 && s->source != NULL && rc == WEFT_OK)
		rc = fiber_wait(WAIT_HTTP, until);
	s->reader = NULL;
	if (s->len > 0) {
		*got = http_stream_take(s, buf, size);
		return WEFT_OK;
	}
	return rc != WEFT_OK && s->source != NULL ? rc : s->rc;
}

void
http_stream_close(struct http_stream *s)
{
	const struct http_source *source = s->source;

	if (source == NULL)
		return;
	s->source = NULL;
	s->len = 0;
	s->rc = WEFT_INVALID;
	http_stream_wake(s);	/* another fiber of the reader's, maybe */
	source->drop(s->arg);
}
