/* SPDX-License-Identifier: ISC */
/*
 * Records out: the sink of a FastCGI request, and the few answers that the
 * connection gives by itself.  Records are built in place in the stream's output.
 * What ends a request (the empty STDOUT, END_REQUEST) is in one piece with its last bytes, so a
 * short answer is one write.  Records are not padded: no web server reads them
 * aligned.
 *
 * A response that breaks off after its head is out cannot be marked as broken in
 * FastCGI: web servers ignore both statuses of END_REQUEST.  What they do notice is a
 * reset, so abort resets the connection.  Other requests on it are lost as well;
 * their clients see an error, which is better than the first one's client
 * taking half a page for the whole.
 *
 * What the connection says by itself is bounded: a peer that makes it talk and does not
 * listen (more than twice the high water is pending) is closed.
 */
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "front/fcgi_internal.h"
#include "wire/fcgi_param.h"

enum {
	FCGI_OUT_TALK_MAX = 2 * FCGI_HIGH_WATER,
	FCGI_OUT_REFUSE_MAX = 2 * FCGI_REFUSE_AT,
	FCGI_OUT_PIECE = 32768,		/* of what does not fit into one record: head and more */
	FCGI_STDERR_MAX = 4096,		/* of a record: HAProxy 2.6 fails above 16 KiB */
};

static char *
fcgi_put(char *to, struct span bytes)
{
	if (bytes.len > 0)
		memcpy(to, bytes.at, bytes.len);
	return to + bytes.len;
}

static char *
fcgi_put_head(char *to, uint8_t type, uint16_t id, size_t length)
{
	const struct fcgi_head head = { .type = type, .id = id, .length = (uint16_t)length };

	must(length <= FCGI_CONTENT_MAX);
	fcgi_head_encode((unsigned char *)to, &head);
	return to + FCGI_HEAD_SIZE;
}

/* The end of a response: its STDOUT is closed by an empty record, then END_REQUEST. */
static char *
fcgi_put_end(char *to, uint16_t id, uint8_t protocol)
{
	to = fcgi_put_head(to, FCGI_STDOUT, id, 0);
	fcgi_end_encode((unsigned char *)to, id, 0, protocol);
	return to + FCGI_END_SIZE;
}

/* ---- what the connection says by itself ---- */

/* Room for it; NULL when the peer does not listen (c is doomed then) or is lost. */
static char *
fcgi_out_talk(struct fcgi_conn *c, size_t len, size_t pending_max)
{
	if (stream_pending(c->stream) > pending_max) {
		fcgi_conn_doom(c, "the peer does not read");
		return NULL;
	}
	return stream_reserve(c->stream, len);
}

void
fcgi_out_page(struct fcgi_conn *c, uint16_t id, struct span page, uint8_t protocol)
{
	size_t len = FCGI_HEAD_SIZE + page.len + FCGI_HEAD_SIZE + FCGI_END_SIZE;
	char *to = fcgi_out_talk(c, len, FCGI_OUT_REFUSE_MAX);

	if (to == NULL)
		return;
	to = fcgi_put_head(to, FCGI_STDOUT, id, page.len);
	to = fcgi_put(to, page);
	fcgi_put_end(to, id, protocol);
	stream_commit(c->stream, len);
}

void
fcgi_out_end(struct fcgi_conn *c, uint16_t id, uint8_t protocol)
{
	char *to = fcgi_out_talk(c, FCGI_END_SIZE, FCGI_OUT_REFUSE_MAX);

	if (to == NULL)
		return;
	fcgi_end_encode((unsigned char *)to, id, 0, protocol);
	stream_commit(c->stream, FCGI_END_SIZE);
}

void
fcgi_out_aborted(struct fcgi_slot *s)
{
	struct stream *stream = s->conn->stream;
	char *to;

	if (!s->sent) {
		fcgi_out_end(s->conn, s->id, FCGI_REQUEST_COMPLETE);
		return;
	}
	to = fcgi_out_talk(s->conn, FCGI_HEAD_SIZE + FCGI_END_SIZE, FCGI_OUT_REFUSE_MAX);
	if (to == NULL)
		return;
	fcgi_put_end(to, s->id, FCGI_REQUEST_COMPLETE);
	stream_commit(stream, FCGI_HEAD_SIZE + FCGI_END_SIZE);
}

void
fcgi_out_unknown(struct fcgi_conn *c, uint8_t type)
{
	char *to = fcgi_out_talk(c, 16, FCGI_OUT_TALK_MAX);

	if (to == NULL)
		return;
	fcgi_unknown_encode((unsigned char *)to, type);
	stream_commit(c->stream, 16);
}

/* A variable of ours, in the order in which they are answered. */
struct fcgi_value {
	struct span name;
	unsigned value;
	bool asked;
};

/* Mark what is asked for.  Returns false when the query is malformed. */
static bool
fcgi_values_ask(struct fcgi_value *v, size_t n, struct span query)
{
	struct fcgi_param p;

	while (fcgi_param_next(&query, &p) == FCGI_OK)
		for (size_t i = 0; i < n; i++)
			if (span_equal(p.name, v[i].name))
				v[i].asked = true;
	return query.len == 0;
}

void
fcgi_out_values(struct fcgi_conn *c, struct span query)
{
	const struct fcgi_limits *limit = &c->set->limit;
	struct fcgi_value v[] = {
		{ .name = SPAN(FCGI_MAX_CONNS), .value = limit->connections },
		/* HAProxy takes it for each connection, so it is what is never refused on one. */
		{ .name = SPAN(FCGI_MAX_REQS), .value = limit->requests < limit->multiplex ? limit->requests : limit->multiplex },
		{ .name = SPAN(FCGI_MPXS_CONNS), .value = limit->multiplex > 1 },
	};
	char content[128], number[16], *to;
	size_t len = 0;

	if (!fcgi_values_ask(v, 3, query))
		v[0].asked = v[1].asked = v[2].asked = false;
	for (size_t i = 0; i < 3; i++) {
		snprintf(number, sizeof number, "%u", v[i].value);
		if (v[i].asked)
			len += fcgi_param_encode(content + len, sizeof content - len, v[i].name, span_str(number));
	}
	must(len <= sizeof content);
	to = fcgi_out_talk(c, FCGI_HEAD_SIZE + len, FCGI_OUT_TALK_MAX);
	if (to == NULL)
		return;
	to = fcgi_put_head(to, FCGI_GET_VALUES_RESULT, 0, len);
	fcgi_put(to, (struct span){ content, len });
	stream_commit(c->stream, FCGI_HEAD_SIZE + len);
}

/* ---- the sink ---- */

/* Take up to max bytes off the front of both, head first, to the record at to. */
static char *
fcgi_put_some(char *to, size_t max, struct span *head, struct span *body)
{
	size_t h = head->len < max ? head->len : max;
	size_t b = body->len < max - h ? body->len : max - h;

	to = fcgi_put(to, (struct span){ head->at, h });
	to = fcgi_put(to, (struct span){ body->at, b });
	*head = span_skip(*head, h);
	*body = span_skip(*body, b);
	return to;
}

/* One record, and the end with it where it is the last.  Returns false when the stream is lost. */
static bool
fcgi_out_record(struct fcgi_slot *s, struct span *head, struct span *body, enum sink_more more)
{
	size_t left = head->len + body->len;
	size_t n = left <= FCGI_CONTENT_MAX ? left : FCGI_OUT_PIECE;
	bool end = more == SINK_LAST && n == left;
	size_t len = (n > 0 ? FCGI_HEAD_SIZE + n : 0) + (end ? FCGI_HEAD_SIZE + FCGI_END_SIZE : 0);
	char *to = stream_reserve(s->conn->stream, len);

	if (to == NULL)
		return false;
	if (n > 0) {
		to = fcgi_put_head(to, FCGI_STDOUT, s->id, n);
		to = fcgi_put_some(to, n, head, body);
		s->sent = true;
	}
	if (end)
		fcgi_put_end(to, s->id, FCGI_REQUEST_COMPLETE);
	stream_commit(s->conn->stream, len);
	return true;
}

static enum weft_rc
fcgi_sink_send(void *sink, struct span head, struct span body, enum sink_more more)
{
	struct fcgi_slot *s = sink;
	struct fcgi_conn *c = s->conn;
	bool done = head.len + body.len == 0 && more == SINK_MORE;

	while (!done) {
		if (!fcgi_out_record(s, &head, &body, more)) {
			/* The stream tells the connection at the end of the turn; this request is done with now. */
			fcgi_slot_gone(s);
			return WEFT_CANCELED;
		}
		done = head.len + body.len == 0;
	}
	if (more == SINK_MORE) {
		fcgi_ids_wrote(&c->ids, s);
		return WEFT_OK;
	}
	c->set->app->served++;
	fcgi_slot_end(s);
	fcgi_conn_settle(c);
	return WEFT_OK;
}

static bool
fcgi_sink_is_full(void *sink)
{
	struct fcgi_slot *s = sink;

	return stream_is_full(s->conn->stream);
}

/* One record is one line: what else could end a line in the web server's log is taken out. */
static size_t
fcgi_put_line(char *to, struct span bytes)
{
	size_t n = 0;

	while (n < bytes.len && n < FCGI_STDERR_MAX && (n == 0 || to[n - 1] != '\n')) {
		unsigned char ch = (unsigned char)bytes.at[n];

		to[n++] = (ch < ' ' && ch != '\t' && ch != '\n') || ch == 0x7f ? '?' : (char)ch;
	}
	return n;
}

static void
fcgi_sink_log(void *sink, struct span bytes)
{
	struct fcgi_slot *s = sink;
	struct stream *stream = s->conn->stream;
	size_t n;
	char *to;

	while (bytes.len > 0) {
		to = stream_is_full(stream) ? NULL : stream_reserve(stream, FCGI_HEAD_SIZE + FCGI_STDERR_MAX);
		if (to == NULL) {
			s->conn->set->logs_dropped++;
			return;
		}
		n = fcgi_put_line(to + FCGI_HEAD_SIZE, bytes);
		fcgi_put_head(to, FCGI_STDERR, s->id, n);
		stream_commit(stream, FCGI_HEAD_SIZE + n);
		bytes = span_skip(bytes, n);
	}
}

static void
fcgi_sink_flush(void *sink)
{
	struct fcgi_slot *s = sink;

	stream_flush(s->conn->stream);
}

static void
fcgi_sink_abort(void *sink)
{
	struct fcgi_slot *s = sink;
	struct fcgi_conn *c = s->conn;

	c->set->app->aborted++;
	fcgi_slot_end(s);
	fcgi_conn_reset(c);
}

const struct sink_ops fcgi_sink_ops = {
	.send = fcgi_sink_send,
	.is_full = fcgi_sink_is_full,
	.log = fcgi_sink_log,
	.flush = fcgi_sink_flush,
	.abort = fcgi_sink_abort,
};
