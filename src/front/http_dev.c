/* SPDX-License-Identifier: ISC */
/*
 * A connection of evhttp carries one request at a time: struct http_request
 * is that request for us, and the sink.  It ends in one of four ways, each of
 * which first takes back our callbacks (http_forget), so that evhttp never
 * calls us about a request that is over:
 *
 *	the response is complete	evhttp sends the rest and keeps or closes the connection
 *	the response breaks off		we free the connection, and evhttp the request with it
 *	the client left, we saw it	the same
 *	the client left, evhttp saw it	(a write failed) evhttp frees the connection and has cut
 *					the request off it: then we free the request
 *
 * While a request is being answered evhttp does not read, so it sees a client that leaves only
 * when it writes.  We watch for the peer's end (EV_CLOSED) ourselves; HTTP clients do not
 * half-close, so that end means that the client is gone.
 *
 * Sink calls come from fibers, evhttp's and our events from the loop; never one within the other.
 */
#include "front/http_dev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/log.h"
#include "front/front.h"
#include "front/http_dev_vars.h"
#include "loop/loop.h"
#include "wire/cgi_head.h"

enum {
	HTTP_HIGH_WATER = 131072,
	HTTP_HEAD_MAX = 16384,
	HTTP_BODY_MAX = 16 << 20,	/* as request_conf's own */
	HTTP_TIMEOUT = 60,		/* seconds without progress on a connection */
};

/* One request and its sink.  Owned by the front, on its list, until http_forget. */
struct http_request {
	TAILQ_ENTRY(http_request) link;
	struct http_dev *front;
	struct evhttp_request *req;
	struct evhttp_connection *conn;
	struct event *closed;		/* fires when the client leaves */
	struct request *rq;
	bool was_full;
};

struct http_dev {
	struct front_app *app;
	struct evhttp *http;
	unsigned port;
	TAILQ_HEAD(, http_request) list;
};

/* The request is over for us: take back what would call us, and free. */
static void
http_forget(struct http_request *r)
{
	struct http_dev *h = r->front;

	evhttp_connection_set_closecb(r->conn, NULL, NULL);
	if (r->closed != NULL)
		event_free(r->closed);
	TAILQ_REMOVE(&h->list, r, link);
	h->app->requests--;
	free(r);
}

/* ---- the client leaves ---- */

/* evhttp frees the connection: a write failed, or it timed out. */
static void
http_on_close(struct evhttp_connection *conn, void *arg)
{
	struct http_request *r = arg;
	struct evhttp_request *req = r->req;

	(void)conn;
	r->front->app->aborted++;
	request_gone(r->rq);
	http_forget(r);
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_request_free(req);	/* cut off: ours */
}

static void
http_leave(struct http_request *r)
{
	struct evhttp_connection *conn = r->conn;

	r->front->app->aborted++;
	http_forget(r);
	evhttp_connection_free(conn);
}

static void
http_on_left(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *r = arg;

	(void)fd, (void)what;
	request_gone(r->rq);
	http_leave(r);
}

/* ---- the sink ---- */

static struct evbuffer *
http_output(const struct http_request *r)
{
	return bufferevent_get_output(evhttp_connection_get_bufferevent(r->conn));
}

static void
http_add_field(struct evkeyvalq *to, struct span name, struct span value)
{
	char *n = strndup(name.at, name.len), *v = strndup(value.at, value.len);

	if (n != NULL && v != NULL)
		evhttp_add_header(to, n, v);
	free(n);
	free(v);
}

/* Read the CGI head into the HTTP one.  Returns the status; reason is the caller's to free, may be NULL. */
static int
http_take_head(struct http_request *r, struct span head, char **reason)
{
	struct evkeyvalq *to = evhttp_request_get_output_headers(r->req);
	struct span name, value, text = { "", 0 };
	int status = 200, code;

	while (cgi_head_next(&head, &name, &value) == CGI_HEAD_FIELD) {
		if (name.len != 6 || strncasecmp(name.at, "Status", 6) != 0)
			http_add_field(to, name, value);
		else if ((code = cgi_head_status(value, &text)) != 0)
			status = code;
	}
	*reason = strndup(text.at, text.len);
	return status;
}

static void
http_on_written(struct evhttp_connection *conn, void *arg)
{
	struct http_request *r = arg;

	(void)conn;
	if (!r->was_full)
		return;
	r->was_full = false;
	request_wake_writer(r->rq);
}

/* The response in several calls. */
static void
http_send_part(struct http_request *r, struct evbuffer *bytes, enum sink_more more)
{
	struct evhttp_request *req = r->req;

	if (evbuffer_get_length(bytes) > 0)
		evhttp_send_reply_chunk_with_cb(req, bytes, http_on_written, r);
	if (more == SINK_MORE)
		return;
	r->front->app->served++;
	http_forget(r);
	evhttp_send_reply_end(req);
}

static void
http_send_first(struct http_request *r, struct span head, struct evbuffer *bytes, enum sink_more more)
{
	struct evhttp_request *req = r->req;
	char *reason = NULL;
	int status = http_take_head(r, head, &reason);

	if (more == SINK_LAST) {
		r->front->app->served++;
		http_forget(r);
		evhttp_send_reply(req, status, reason, bytes);
	} else {
		/* To HTTP/1.0 a body of unknown length ends with the connection; evhttp would call it 0 bytes long. */
		if (evhttp_find_header(evhttp_request_get_output_headers(req), "Content-Length") == NULL && req->minor == 0)
			evhttp_remove_header(evhttp_request_get_input_headers(req), "Connection");
		evhttp_send_reply_start(req, status, reason);
		http_send_part(r, bytes, more);
	}
	free(reason);
}

static enum weft_rc
http_sink_send(void *sink, struct span head, struct span body, enum sink_more more)
{
	struct http_request *r = sink;
	struct evbuffer *bytes = evbuffer_new();

	if (bytes == NULL || evbuffer_add(bytes, body.at, body.len) != 0) {
		if (bytes != NULL)
			evbuffer_free(bytes);
		http_leave(r);
		return WEFT_CANCELED;
	}
	if (head.len > 0)
		http_send_first(r, head, bytes, more);
	else
		http_send_part(r, bytes, more);
	evbuffer_free(bytes);
	return WEFT_OK;
}

static bool
http_sink_is_full(void *sink)
{
	struct http_request *r = sink;

	r->was_full = evbuffer_get_length(http_output(r)) > HTTP_HIGH_WATER;
	return r->was_full;
}

static void
http_sink_log(void *sink, struct span bytes)
{
	(void)sink;
	log_info("handler says=\"%.*s\"", (int)(bytes.len < 2000 ? bytes.len : 2000), bytes.at);
}

/* evhttp writes as soon as the descriptor takes it. */
static void
http_sink_flush(void *sink)
{
	(void)sink;
}

static void
http_sink_abort(void *sink)
{
	http_leave(sink);
}

static const struct sink_ops http_sink_ops = {
	.send = http_sink_send,
	.is_full = http_sink_is_full,
	.log = http_sink_log,
	.flush = http_sink_flush,
	.abort = http_sink_abort,
};

/* ---- requests ---- */

static void
http_refuse(struct http_dev *h, struct evhttp_request *req)
{
	h->app->refused++;
	evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", "1");
	evhttp_send_reply(req, 503, "Service Unavailable", NULL);
}

/* Returns ours for evhttp's request, on the list and with its callbacks; NULL when that is refused. */
static struct http_request *
http_request_new(struct http_dev *h, struct evhttp_request *req)
{
	struct http_request *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->front = h;
	r->req = req;
	r->conn = evhttp_request_get_connection(req);
	TAILQ_INSERT_TAIL(&h->list, r, link);
	h->app->requests++;
	r->closed = event_new(loop_event_base(h->app->loop),
	    bufferevent_getfd(evhttp_connection_get_bufferevent(r->conn)), EV_CLOSED, http_on_left, r);
	r->rq = request_new(&h->app->request, &http_sink_ops, r);
	if (r->rq == NULL || r->closed == NULL || event_add(r->closed, NULL) != 0) {
		if (r->rq != NULL)
			request_drop(&r->rq);
		http_forget(r);
		return NULL;
	}
	return r;
}

/* Give the whole body to the request. */
static void
http_feed(struct request *rq, struct evbuffer *body)
{
	struct evbuffer_iovec piece;

	while (evbuffer_peek(body, -1, NULL, &piece, 1) > 0) {
		body_feed(&rq->body, (struct span){ piece.iov_base, piece.iov_len });
		evbuffer_drain(body, piece.iov_len);
	}
	body_end(&rq->body);
}

static void
http_on_request(struct evhttp_request *req, void *arg)
{
	struct http_dev *h = arg;
	unsigned max = h->app->max_requests > 0 ? h->app->max_requests : 10000;
	struct http_request *r = h->app->requests < max ? http_request_new(h, req) : NULL;

	if (r == NULL) {
		http_refuse(h, req);
		return;
	}
	http_vars_add(r->rq, req, h->port);
	request_ready(r->rq);
	http_feed(r->rq, evhttp_request_get_input_buffer(req));
	evhttp_connection_set_closecb(r->conn, http_on_close, r);
	h->app->start(h->app->arg, r->rq);
}

/* ---- the front ---- */

static int
http_listen(struct http_dev *h, unsigned port)
{
	struct evhttp_bound_socket *sock = port > 65535 ? NULL :
	    evhttp_bind_socket_with_handle(h->http, "127.0.0.1", (ev_uint16_t)port);
	struct sockaddr_in at;
	socklen_t len = sizeof at;

	if (sock == NULL || getsockname(evhttp_bound_socket_get_fd(sock), (struct sockaddr *)&at, &len) != 0)
		return -1;
	h->port = ntohs(at.sin_port);
	return 0;
}

struct http_dev *
http_dev_open(struct front_app *app, unsigned port, char *error, size_t size)
{
	struct http_dev *h = calloc(1, sizeof *h);

	errno = 0;
	if (h != NULL) {
		h->app = app;
		TAILQ_INIT(&h->list);
		h->http = evhttp_new(loop_event_base(app->loop));
	}
	if (h == NULL || h->http == NULL || http_listen(h, port) != 0) {
		snprintf(error, size, "cannot listen on 127.0.0.1:%u: %s", port, errno == 0 ? "out of memory, or no such port" : strerror(errno));
		http_dev_close(&h);
		return NULL;
	}
	evhttp_set_gencb(h->http, http_on_request, h);
	evhttp_set_allowed_methods(h->http, HTTP_VARS_METHODS);
	evhttp_set_max_headers_size(h->http, HTTP_HEAD_MAX);
	evhttp_set_max_body_size(h->http, app->request.body_max > 0 ? (ev_ssize_t)app->request.body_max : HTTP_BODY_MAX);
	evhttp_set_default_content_type(h->http, NULL);
	evhttp_set_timeout(h->http, HTTP_TIMEOUT);
	return h;
}

unsigned
http_dev_port(const struct http_dev *h)
{
	return h->port;
}

void
http_dev_close(struct http_dev **hp)
{
	struct http_dev *h = *hp;
	struct http_request *r;

	*hp = NULL;
	if (h == NULL)
		return;
	while ((r = TAILQ_FIRST(&h->list)) != NULL) {
		request_gone(r->rq);
		http_leave(r);
	}
	if (h->http != NULL)
		evhttp_free(h->http);
	free(h);
}
