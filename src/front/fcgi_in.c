/* SPDX-License-Identifier: ISC */
/*
 * Records in.  fcgi_rx says where records begin and end; here they become
 * requests and bodies.
 *
 * A request usually comes in one read: BEGIN, one PARAMS, the empty PARAMS.
 * Its pairs are then decoded where they were read and copied once, into
 * the request.  Only one request at a time may have its PARAMS there (the holder);
 * they are copied to its own buffer as soon as a second piece comes, another request
 * wants the place, or the bytes end.  The request itself, with its fiber's stack, is made at the end of
 * PARAMS, so half a request costs little.
 *
 * Records of ids which are not live are skipped: after an early answer the web server
 * may go on sending (section 3.3 calls these ids inactive).
 */
#include <string.h>

#include "base/must.h"
#include "front/fcgi_internal.h"
#include "loop/loop.h"
#include "request/body.h"

#define FCGI_PAGE(status, more, text) \
	SPAN("Status: " status "\r\n" more "Content-Type: text/plain\r\n\r\n" text "\n")

/* Copy content that cannot stay where it was read.  Returns false over a limit. */
static bool
fcgi_in_copy(struct fcgi_conn *c, struct buf *to, struct span bytes)
{
	if (bytes.len > FCGI_HELD_MAX - c->set->held || buf_add(to, bytes) != WEFT_OK)
		return false;
	c->set->held += bytes.len;
	return true;
}

/* ---- ends without the app ---- */

/* Refuse a request that has no slot. */
static void
fcgi_in_refused(struct fcgi_conn *c, const struct fcgi_begin *begin)
{
	c->owed = true;
	if (!(begin->flags & FCGI_KEEP_CONN))
		c->close_after = true;
}

static void
fcgi_in_refuse_busy(struct fcgi_conn *c, uint16_t id)
{
	c->set->app->refused++;
	fcgi_out_page(c, id, FCGI_PAGE("503 Service Unavailable", "Retry-After: 1\r\n", "The server is busy."), FCGI_OVERLOADED);
}

/* Answer a request whose PARAMS cannot be taken. */
static void
fcgi_in_reject(struct fcgi_slot *s, struct span page)
{
	fcgi_out_page(s->conn, s->id, page, FCGI_REQUEST_COMPLETE);
	fcgi_slot_end(s);
}

/* ---- BEGIN, ABORT ---- */

static void
fcgi_in_begin_new(struct fcgi_conn *c, uint16_t id, const struct fcgi_begin *begin)
{
	const struct fcgi_limits *limit = &c->set->limit;
	struct fcgi_slot *s = NULL;

	c->fresh = false;
	if (begin->role != FCGI_RESPONDER && begin->role != FCGI_AUTHORIZER) {
		fcgi_out_end(c, id, FCGI_UNKNOWN_ROLE);
	} else if (c->ids.count >= limit->multiplex) {
		fcgi_out_end(c, id, FCGI_CANT_MPX_CONN);
	} else if (c->set->app->requests >= limit->requests || stream_pending(c->stream) > FCGI_REFUSE_AT) {
		fcgi_in_refuse_busy(c, id);
	} else {
		s = fcgi_slot_new(c, id, begin);
		if (s == NULL)
			fcgi_in_refuse_busy(c, id);
	}
	if (s == NULL)
		fcgi_in_refused(c, begin);
}

/*
 * A live id is not begun a second time.  Where all of its request has come, who sent it does not wait for
 * answers: what follows is left in the stream until the id is free.
 */
static void
fcgi_in_begin(struct fcgi_conn *c, struct span content)
{
	struct fcgi_slot *live = fcgi_ids_find(&c->ids, c->rx.head.id);
	struct fcgi_begin begin;

	must(fcgi_begin_decode(content, &begin) == FCGI_OK);
	if (live == NULL) {
		fcgi_in_begin_new(c, c->rx.head.id, &begin);
	} else if (live->state == FCGI_SLOT_WHOLE) {
		c->awaited = live;
		c->next = begin;
		stream_pause(c->stream);
	}
}

/* "As soon as possible" (section 5.4): at once; the fiber cleans up by itself. */
static void
fcgi_in_abort(struct fcgi_conn *c)
{
	struct fcgi_slot *s = fcgi_ids_find(&c->ids, c->rx.head.id);

	if (s == NULL)
		return;
	fcgi_out_aborted(s);
	fcgi_slot_gone(s);
}

/* ---- PARAMS ---- */

/* The holder's bytes are about to go: copy them. */
static void
fcgi_in_unhold(struct fcgi_conn *c)
{
	struct fcgi_slot *s = c->holder;

	if (s == NULL)
		return;
	c->holder = NULL;
	if (!fcgi_in_copy(c, &s->params, s->held))
		fcgi_in_reject(s, FCGI_PAGE("431 Request Header Fields Too Large", "", "The request's variables are too long."));
}

static void
fcgi_in_params(struct fcgi_conn *c, struct span bytes)
{
	struct fcgi_slot *s = c->current;

	if (s == NULL || s->state != FCGI_SLOT_HEAD)
		return;
	if (c->holder != s && s->params.len == 0) {
		fcgi_in_unhold(c);
		s->held = bytes;
		c->holder = s;
		return;
	}
	fcgi_in_unhold(c);
	if (c->current != NULL && !fcgi_in_copy(c, &s->params, bytes))
		fcgi_in_reject(s, FCGI_PAGE("431 Request Header Fields Too Large", "", "The request's variables are too long."));
}

static void
fcgi_in_start(struct fcgi_conn *c, struct fcgi_slot *s)
{
	struct front_app *app = c->set->app;
	struct request *rq = request_new(&app->request, &fcgi_sink_ops, s);

	if (rq == NULL) {
		fcgi_in_refuse_busy(c, s->id);
		fcgi_slot_end(s);
		return;
	}
	if (request_vars_take(rq, c->holder == s ? s->held : buf_span(&s->params)) != WEFT_OK) {
		request_drop(&rq);
		fcgi_in_reject(s, FCGI_PAGE("400 Bad Request", "", "The request's variables are cut short."));
		return;
	}
	if (c->holder == s)
		c->holder = NULL;
	c->set->held -= s->params.len;
	buf_fini(&s->params);
	if (s->role == FCGI_AUTHORIZER)
		rq->role = REQUEST_AUTHORIZER;
	request_ready(rq);
	s->rq = rq;
	/* Section 6.3: an authorizer has no STDIN.  Some web servers do not even end it. */
	s->state = s->role == FCGI_AUTHORIZER ? FCGI_SLOT_CUT : FCGI_SLOT_BODY;
	app->start(app->arg, rq);
}

/* ---- STDIN ---- */

static void
fcgi_in_stdin(struct fcgi_conn *c, struct span bytes)
{
	struct fcgi_slot *s = c->current;

	if (s == NULL)
		return;
	if (s->state == FCGI_SLOT_HEAD) {
		fcgi_conn_doom(c, "STDIN before the end of PARAMS");
	} else if (s->state == FCGI_SLOT_BODY) {
		s->since = loop_lately(c->set->app->loop);
		body_feed(&s->rq->body, bytes);
	}
}

static void
fcgi_in_stdin_end(struct fcgi_conn *c)
{
	struct fcgi_slot *s = c->current;

	if (s == NULL)
		return;
	if (s->state == FCGI_SLOT_HEAD)
		fcgi_conn_doom(c, "STDIN before the end of PARAMS");
	else if (s->state == FCGI_SLOT_BODY)
		body_end(&s->rq->body);
	if (s->state == FCGI_SLOT_BODY || s->state == FCGI_SLOT_CUT)
		s->state = FCGI_SLOT_WHOLE;
}

/* ---- content that is wanted in one piece ---- */

static void
fcgi_in_gather(struct fcgi_conn *c, struct span bytes)
{
	if (bytes.len == c->rx.head.length)
		c->whole = bytes;
	else if (!fcgi_in_copy(c, &c->gather, bytes))
		fcgi_conn_doom(c, "no room for a record");
}

static struct span
fcgi_in_gathered(const struct fcgi_conn *c)
{
	return c->gather.len > 0 ? buf_span(&c->gather) : c->whole;
}

static void
fcgi_in_gather_done(struct fcgi_conn *c)
{
	c->whole = (struct span){ NULL, 0 };
	if (c->gather.len > 0) {
		c->set->held -= c->gather.len;
		buf_fini(&c->gather);
	}
}

/* ---- events ---- */

/* Management records have id 0, and no others (section 3.3). */
static enum fcgi_content
fcgi_in_content(const struct fcgi_head *head)
{
	if (head->id == 0)
		return head->type == FCGI_GET_VALUES ? FCGI_CONTENT_VALUES : FCGI_CONTENT_SKIP;
	switch (head->type) {
	case FCGI_BEGIN_REQUEST:
		return FCGI_CONTENT_BEGIN;
	case FCGI_ABORT_REQUEST:
		return FCGI_CONTENT_ABORT;
	case FCGI_PARAMS:
		return FCGI_CONTENT_PARAMS;
	case FCGI_STDIN:
		return FCGI_CONTENT_STDIN;
	default:
		return FCGI_CONTENT_SKIP;
	}
}

static void
fcgi_in_record(struct fcgi_conn *c)
{
	const struct fcgi_head *head = &c->rx.head;

	c->content = fcgi_in_content(head);
	c->current = NULL;
	if (c->content == FCGI_CONTENT_PARAMS || c->content == FCGI_CONTENT_STDIN)
		c->current = fcgi_ids_find(&c->ids, head->id);
	else if (c->content == FCGI_CONTENT_BEGIN && head->length != 8)
		fcgi_conn_doom(c, "BEGIN_REQUEST of a wrong length");
	else if (c->content == FCGI_CONTENT_SKIP && head->id == 0 && head->type != FCGI_GET_VALUES_RESULT
	    && head->type != FCGI_UNKNOWN_TYPE)	/* answers; to answer them could go on for ever */
		fcgi_out_unknown(c, head->type);
}

static void
fcgi_in_data(struct fcgi_conn *c, struct span bytes)
{
	switch (c->content) {
	case FCGI_CONTENT_BEGIN:
	case FCGI_CONTENT_VALUES:
		fcgi_in_gather(c, bytes);
		break;
	case FCGI_CONTENT_PARAMS:
		fcgi_in_params(c, bytes);
		break;
	case FCGI_CONTENT_STDIN:
		fcgi_in_stdin(c, bytes);
		break;
	case FCGI_CONTENT_ABORT:
	case FCGI_CONTENT_SKIP:
		break;
	}
}

static void
fcgi_in_end(struct fcgi_conn *c)
{
	bool empty = c->rx.head.length == 0;	/* ends a stream */

	switch (c->content) {
	case FCGI_CONTENT_BEGIN:
		fcgi_in_begin(c, fcgi_in_gathered(c));
		fcgi_in_gather_done(c);
		break;
	case FCGI_CONTENT_VALUES:
		fcgi_out_values(c, fcgi_in_gathered(c));
		fcgi_in_gather_done(c);
		break;
	case FCGI_CONTENT_ABORT:
		fcgi_in_abort(c);
		break;
	case FCGI_CONTENT_PARAMS:
		if (empty && c->current != NULL && c->current->state == FCGI_SLOT_HEAD)
			fcgi_in_start(c, c->current);
		break;
	case FCGI_CONTENT_STDIN:
		if (empty)
			fcgi_in_stdin_end(c);
		break;
	case FCGI_CONTENT_SKIP:
		break;
	}
}

static void
fcgi_in_event(struct fcgi_conn *c, const struct fcgi_event *ev)
{
	switch (ev->kind) {
	case FCGI_EV_NONE:
		break;
	case FCGI_EV_RECORD:
		fcgi_in_record(c);
		break;
	case FCGI_EV_DATA:
		fcgi_in_data(c, ev->data);
		break;
	case FCGI_EV_END:
		fcgi_in_end(c);
		break;
	case FCGI_EV_BAD:
		fcgi_conn_doom(c, "not FastCGI version 1");
		break;
	}
}

/* The usual record, all there.  Returns bytes consumed. */
static size_t
fcgi_in_whole(struct fcgi_conn *c, struct span in)
{
	struct span content;
	size_t n = fcgi_rx_whole(&c->rx, in, &content);

	if (n == 0)
		return 0;
	fcgi_in_record(c);
	if (content.len > 0 && !c->doomed)
		fcgi_in_data(c, content);
	if (!c->doomed)
		fcgi_in_end(c);
	return n;
}

/* Take whole records, and steps where there are none, as long as they do something.  Returns bytes consumed. */
static size_t
fcgi_in_steps(struct fcgi_conn *c, struct span in)
{
	struct fcgi_event ev;
	size_t used = 0, n;

	do {
		ev.kind = FCGI_EV_NONE;
		n = fcgi_in_whole(c, span_skip(in, used));
		if (n == 0) {
			n = fcgi_rx_step(&c->rx, span_skip(in, used), &ev);
			fcgi_in_event(c, &ev);
		}
		used += n;
	} while (!c->doomed && c->awaited == NULL && (n > 0 || ev.kind != FCGI_EV_NONE));
	return used;
}

/* Half a header is kept here and not by the stream, which would lend it a whole chunk.  Returns bytes taken to complete it. */
static size_t
fcgi_in_complete_head(struct fcgi_conn *c, struct span in)
{
	size_t n = (size_t)FCGI_HEAD_SIZE - c->head_len;

	if (c->head_len == 0)
		return 0;
	if (n > in.len)
		n = in.len;
	memcpy(c->head + c->head_len, in.at, n);
	c->head_len += n;
	if (c->head_len == FCGI_HEAD_SIZE) {
		c->head_len = 0;
		fcgi_in_steps(c, (struct span){ c->head, FCGI_HEAD_SIZE });
	}
	return n;
}

size_t
fcgi_in(struct fcgi_conn *c, struct span in)
{
	size_t len = in.len;

	if (c->next_due) {
		c->next_due = false;
		fcgi_in_begin_new(c, c->rx.head.id, &c->next);	/* no other header has come since */
	}
	in = span_skip(in, fcgi_in_complete_head(c, in));
	if (c->head_len == 0 && !c->doomed)
		in = span_skip(in, fcgi_in_steps(c, in));
	if (!c->doomed)
		fcgi_in_unhold(c);
	if (!c->doomed && c->awaited == NULL) {
		must(in.len < FCGI_HEAD_SIZE);
		memcpy(c->head + c->head_len, in.at, in.len);
		c->head_len += in.len;
		in.len = 0;
	}
	c->partial = c->rx.state != RX_HEAD || c->head_len > 0 || c->awaited != NULL;
	return len - in.len;
}
