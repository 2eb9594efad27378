/* SPDX-License-Identifier: ISC */
/*
 * The body of a response, and its way to the sink.
 *
 * A short body is gathered in a buffer, which begins small in the request's
 * arena and grows up to RESPONSE_BUFFER; head and body then are one call of
 * the sink, when the handler is done.  What does not fit into the buffer is
 * streamed: the buffer goes first, large writes follow in pieces straight from
 * the handler's memory.  So a response of any length holds no more than the
 * buffer, and waits whenever the sink is full.
 *
 * Every byte goes through response_push: it sends the head before the first
 * one, keeps to the announced length, and is the only place that calls send.
 */
#include "request/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/must.h"
#include "fiber/fiber.h"
#include "request/response_head.h"

enum { RESPONSE_BUFFER_FIRST = 512, RESPONSE_BUFFER_GROWTH = 4 };

void
response_init(struct response *rs, struct arena *arena, const struct sink_ops *ops, void *sink, bool no_body)
{
	*rs = (struct response){
		.ops = ops, .sink = sink, .arena = arena, .no_body = no_body, .status = 200, .announced = -1,
	};
	rs->last = &rs->fields;
	rs->last_line = &rs->lines;
}

void
response_detach(struct response *rs)
{
	if (rs->state != RESPONSE_DONE)
		rs->was_aborted = true;
	rs->ops = NULL;
	rs->sink = NULL;
	waitlist_wake(&rs->waiters);
}

void
response_abort(struct response *rs)
{
	const struct sink_ops *ops = rs->ops;
	void *sink = rs->sink;

	response_detach(rs);
	rs->state = RESPONSE_DONE;
	if (ops != NULL)
		ops->abort(sink);
}

void
response_wake(struct response *rs)
{
	waitlist_wake(&rs->waiters);
}

static enum weft_rc
response_fail(struct response *rs, enum weft_rc rc)
{
	rs->failed = rc;
	return rc;
}

enum weft_rc
response_clear(struct response *rs)
{
	if (rs->state != RESPONSE_OPEN)
		return WEFT_INVALID;
	rs->status = 200;
	rs->status_set = false;
	rs->reason = NULL;
	rs->fields = NULL;
	rs->last = &rs->fields;
	rs->failed = WEFT_OK;
	rs->announced = -1;
	rs->written = 0;
	rs->len = 0;
	return WEFT_OK;
}

/* Leave out what the client may not get. */
static struct span
response_cut(struct response *rs, struct span body)
{
	unsigned long long left;

	if (rs->no_body || response_is_bodiless(rs))
		return (struct span){ "", 0 };
	if (rs->announced < 0)
		return body;
	left = (unsigned long long)rs->announced - rs->sent;
	if (body.len <= left)
		return body;
	if (!rs->was_cut)
		log_error("%s: response: cut at its Content-Length %lld", response_label(), rs->announced);
	rs->was_cut = true;
	body.len = (size_t)left;
	return body;
}

enum weft_rc
response_log(struct response *rs, struct span bytes)
{
	struct response_line *line;

	if (rs->ops == NULL)
		return WEFT_CANCELED;
	if (rs->state != RESPONSE_OPEN) {
		rs->ops->log(rs->sink, bytes);
		return WEFT_OK;
	}
	if (bytes.len > RESPONSE_LOG_MAX - rs->lines_size)
		bytes.len = RESPONSE_LOG_MAX - rs->lines_size;
	line = bytes.len == 0 ? NULL : arena_alloc(rs->arena, sizeof *line);
	if (line == NULL)
		return WEFT_OK;
	*line = (struct response_line){ .text = { arena_strdup(rs->arena, bytes), bytes.len } };
	if (line->text.at == NULL)
		return WEFT_OK;
	rs->lines_size += bytes.len;
	*rs->last_line = line;
	rs->last_line = &line->next;
	return WEFT_OK;
}

static enum weft_rc response_send(struct response *rs, struct span head, struct span body, enum sink_more more);

/* Head and body, then the lines that were held back, then the end. */
static enum weft_rc
response_send_lines(struct response *rs, struct span head, struct span body, enum sink_more more)
{
	struct response_line *line = rs->lines;
	enum weft_rc rc;

	rs->lines = NULL;
	rc = response_send(rs, head, body, SINK_MORE);
	for (; rc == WEFT_OK && line != NULL; line = line->next)
		rs->ops->log(rs->sink, line->text);
	if (rc != WEFT_OK || more == SINK_MORE)
		return rc;
	return response_send(rs, (struct span){ "", 0 }, (struct span){ "", 0 }, SINK_LAST);
}

static enum weft_rc
response_send(struct response *rs, struct span head, struct span body, enum sink_more more)
{
	const struct sink_ops *ops = rs->ops;
	void *sink = rs->sink;
	enum weft_rc rc;

	if (rs->lines != NULL)
		return response_send_lines(rs, head, body, more);
	if (body.len == 0)
		body.at = "";
	rs->sent += body.len;
	rs->state = RESPONSE_STREAMING;
	if (more == SINK_LAST) {
		rs->state = RESPONSE_DONE;
		rs->ops = NULL;
		rs->sink = NULL;
	}
	rc = ops->send(sink, head, body, more);
	if (rc != WEFT_OK) {
		rs->was_aborted = true;
		rs->ops = NULL;
		rs->sink = NULL;
	}
	return rc;
}

/* The head is too long to be sent: a 500 in its place, and the end. */
static enum weft_rc
response_replace(struct response *rs)
{
	static const char text[] = "Internal Server Error\n";
	struct span head, body = SPAN("Internal Server Error\n");

	(void)response_clear(rs);
	rs->status = 500;
	rs->status_set = true;
	rs->written = sizeof text - 1;
	(void)response_set(rs, "Content-Type", "text/plain; charset=utf-8");
	if (response_head(rs, body.len, SINK_LAST, &head) != WEFT_OK)
		must(!"the head of a 500 fits");
	(void)response_send(rs, head, response_cut(rs, body), SINK_LAST);
	return WEFT_CANCELED;
}

static enum weft_rc
response_push(struct response *rs, struct span body, enum sink_more more)
{
	struct span head = { "", 0 };

	if (rs->state == RESPONSE_OPEN && response_head(rs, body.len, more, &head) != WEFT_OK)
		return response_replace(rs);
	body = response_cut(rs, body);
	if (head.len == 0 && body.len == 0 && more == SINK_MORE)
		return WEFT_OK;
	return response_send(rs, head, body, more);
}

/* Has the deadline ended a wait of the writer's?  A page that nobody began to send before is not begun then. */
static bool
response_is_late(const struct response *rs)
{
	struct fiber_late late;

	return rs->state == RESPONSE_OPEN && rs->status < 400 && fiber_self() != NULL && fiber_is_late(fiber_self(), &late) &&
	    late.rc == WEFT_TIMEOUT;
}

/* Suspend while the sink is full.  Anything of rs may have changed afterwards. */
static enum weft_rc
response_await(struct response *rs)
{
	enum weft_rc rc = WEFT_OK;

	if (response_is_late(rs))
		return response_fail(rs, WEFT_TIMEOUT);
	while (rs->ops != NULL && rs->ops->is_full(rs->sink) && fiber_self() != NULL) {
		rc = waitlist_wait(&rs->waiters, WAIT_CLIENT, CLOCK_NEVER);
		if (rc != WEFT_OK)
			return response_fail(rs, rc);
	}
	return rs->ops == NULL ? WEFT_CANCELED : WEFT_OK;
}

static enum weft_rc
response_drain(struct response *rs)
{
	enum weft_rc rc = response_await(rs);
	struct span body = { rs->buffer, rs->len };

	if (rc != WEFT_OK)
		return rc;
	rs->len = 0;
	return response_push(rs, body, SINK_MORE);
}

/* Make the buffer hold len bytes, at most RESPONSE_BUFFER, besides what is in it. */
static enum weft_rc
response_reserve(struct response *rs, size_t len)
{
	size_t size = rs->size == 0 ? RESPONSE_BUFFER_FIRST : rs->size;
	char *to;

	if (rs->size - rs->len >= len)
		return WEFT_OK;
	while (size - rs->len < len)
		size *= RESPONSE_BUFFER_GROWTH;
	if (size > RESPONSE_BUFFER)
		size = RESPONSE_BUFFER;
	to = arena_alloc(rs->arena, size);
	if (to == NULL)
		return response_fail(rs, WEFT_SYSTEM);
	if (rs->len > 0)
		memcpy(to, rs->buffer, rs->len);
	rs->buffer = to;
	rs->size = size;
	return WEFT_OK;
}

/* A write that is larger than the whole buffer: what is buffered, then pieces from where they are. */
static enum weft_rc
response_write_through(struct response *rs, struct span bytes)
{
	enum weft_rc rc = rs->len > 0 ? response_drain(rs) : WEFT_OK;

	while (rc == WEFT_OK && bytes.len > 0) {
		struct span piece = { bytes.at, bytes.len < RESPONSE_PIECE ? bytes.len : RESPONSE_PIECE };

		rc = response_await(rs);
		if (rc == WEFT_OK)
			rc = response_push(rs, piece, SINK_MORE);
		bytes = span_skip(bytes, piece.len);
	}
	return rc;
}

/* Make room for len bytes, at most RESPONSE_BUFFER: by growing, or by sending what is there. */
static enum weft_rc
response_make_room(struct response *rs, size_t len)
{
	enum weft_rc rc = WEFT_OK;

	/* Another fiber of this request may write while we wait. */
	while (rc == WEFT_OK && len > RESPONSE_BUFFER - rs->len)
		rc = response_drain(rs);
	return rc == WEFT_OK ? response_reserve(rs, len) : rc;
}

/* Returns why nothing can be written any more, WEFT_OK when it can. */
static enum weft_rc
response_check(const struct response *rs)
{
	enum weft_rc rc = rs->failed != WEFT_OK ? rs->failed : rs->ops == NULL ? WEFT_CANCELED : WEFT_OK;

	/* Who writes on and on, and never asks whether it works, holds up nobody. */
	if (rc != WEFT_OK && fiber_self() != NULL)
		(void)!fiber_may_wait(WAIT_CLIENT);
	return rc;
}

enum weft_rc
response_write_more(struct response *rs, struct span bytes)
{
	enum weft_rc rc = response_check(rs);

	if (rc != WEFT_OK || bytes.len == 0)
		return rc;
	if (rs->no_body) {
		rs->written += bytes.len;
		return WEFT_OK;
	}
	if (bytes.len > RESPONSE_BUFFER)
		return response_write_through(rs, bytes);
	rc = response_make_room(rs, bytes.len);
	return rc == WEFT_OK ? response_write(rs, bytes) : rc;
}

/* Text that is longer than the whole buffer. */
static enum weft_rc
response_vprintf_long(struct response *rs, size_t len, const char *fmt, va_list ap)
{
	/* Not the arena: a stream of such texts would fill it. */
	char *text = malloc(len + 1);
	enum weft_rc rc;

	if (text == NULL)
		return response_fail(rs, WEFT_SYSTEM);
	vsnprintf(text, len + 1, fmt, ap);
	rc = response_write(rs, (struct span){ text, len });
	free(text);
	return rc;
}

enum weft_rc
response_vprintf(struct response *rs, const char *fmt, va_list ap)
{
	enum weft_rc rc = response_check(rs);
	size_t room = rs->no_body ? 0 : rs->size - rs->len;
	va_list again;
	int n;

	if (rc != WEFT_OK)
		return rc;
	va_copy(again, ap);
	n = vsnprintf(room == 0 ? NULL : rs->buffer + rs->len, room, fmt, ap);
	if (n < 0) {
		rc = WEFT_INVALID;
	} else if (rs->no_body) {
		rs->written += (unsigned)n;
	} else if ((size_t)n < room) {
		rs->len += (size_t)n;
	} else if (n >= RESPONSE_BUFFER) {
		rc = response_vprintf_long(rs, (size_t)n, fmt, again);
	} else {
		/* vsnprintf needs a byte more, for its NUL. */
		rc = response_make_room(rs, (size_t)n + 1);
		if (rc == WEFT_OK) {
			vsnprintf(rs->buffer + rs->len, (size_t)n + 1, fmt, again);
			rs->len += (size_t)n;
		}
	}
	va_end(again);
	return rc;
}

enum weft_rc
response_flush(struct response *rs)
{
	enum weft_rc rc = response_check(rs);

	if (rc == WEFT_OK)
		rc = response_drain(rs);
	if (rc == WEFT_OK && rs->ops != NULL)
		rs->ops->flush(rs->sink);
	return rc;
}

/* True when the body is shorter than the handler's own Content-Length says. */
static bool
response_is_short(const struct response *rs)
{
	if (rs->announced < 0 || rs->no_body || response_is_bodiless(rs))
		return false;
	return rs->sent + rs->len < (unsigned long long)rs->announced;
}

void
response_finish(struct response *rs)
{
	if (rs->state == RESPONSE_DONE)
		return;
	if (rs->ops == NULL) {
		rs->state = RESPONSE_DONE;
		return;
	}
	if (rs->failed == WEFT_OK && response_is_short(rs)) {
		log_error("%s: response: %llu bytes of the Content-Length %lld: reset", response_label(),
		    rs->sent + rs->len, rs->announced);
		rs->failed = WEFT_INVALID;
	}
	if (rs->failed != WEFT_OK)
		response_abort(rs);
	else
		(void)response_push(rs, (struct span){ rs->buffer, rs->len }, SINK_LAST);
}
