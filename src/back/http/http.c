/* SPDX-License-Identifier: ISC */
/*
 * The HTTP driver.
 *
 * http://host:port/path or https://…, with user and password for basic authentication, and ?ca=/file for
 * certificates of one's own.  What a server answers is an answer, whatever its status; a failure is that there is none.
 *
 * The first connection of a pool is ready when it has connected, the others at once.  A server that cannot be
 * connected to is told to the pool as any lost connection is, and the idle ones go with it: then there is a first one again,
 * and the pool finds out when the server is back without anybody's call.
 *
 * A stream's call is done when the head is there.  The connection then goes on to owe its reply, but it is
 * for the reader to say how long that may take.
 */
#include "back/http/http_impl.h"

#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/must.h"

void
http_enter(struct http *x, enum http_state next)
{
	static const unsigned legal[] = {
		[HTTP_OPENS] = 1 << HTTP_PROBES | 1 << HTTP_IDLE,
		[HTTP_PROBES] = 1 << HTTP_IDLE,
		[HTTP_IDLE] = 1 << HTTP_STARTS,
		[HTTP_STARTS] = 1 << HTTP_RUNS | 1 << HTTP_IDLE | 1 << HTTP_STOPS,
		[HTTP_RUNS] = 1 << HTTP_IDLE | 1 << HTTP_STARTS | 1 << HTTP_STOPS,
		[HTTP_STOPS] = 1 << HTTP_IDLE,
	};

	must(legal[x->state] & 1U << next);
	x->state = next;
}

/* ---- a call comes to its end ---- */

static const char *
http_words(const struct http *x, CURLcode code)
{
	if (x->stopped != WEFT_OK)
		return x->why;
	if (code == CURLE_OK)
		return "the answer ends within its head";
	return x->error[0] != '\0' ? x->error : curl_easy_strerror(code);
}

/* No connection could be made: there is no other thing that times out or fails in these ways. */
static bool
http_is_unreachable(CURLcode code)
{
	return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ||
	    code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

static enum weft_rc
http_outcome(const struct http *x, CURLcode code)
{
	if (x->stopped != WEFT_OK)
		return x->stopped;
	if (code == CURLE_OK && x->head.state == HTTP_HEAD_DONE)
		return WEFT_OK;
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return WEFT_SYSTEM;
	case CURLE_URL_MALFORMAT:
		return WEFT_INVALID;
	case CURLE_UNSUPPORTED_PROTOCOL:	/* what comes is not HTTP/1 */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return WEFT_REFUSED;
	default:
		return x->sent ? WEFT_UNKNOWN : WEFT_NOT_SENT;
	}
}

/* Give the place to the next call. */
static void
http_be_idle(struct http *x)
{
	http_easy_clear(x);
	if (x->body.size > HTTP_BODY_KEPT)
		buf_fini(&x->body);
	if (x->is_read)
		conn_read_ends(x->conn);
	x->is_read = false;
	http_enter(x, HTTP_IDLE);
	conn_gave(x->conn);
}

static void
http_finish(struct http *x, enum weft_rc rc, const char *why)
{
	struct call *call = x->call;

	x->call = NULL;
	if (rc == WEFT_OK) {
		call->http = http_answer_new(call->arena, &x->head, buf_span(&x->body));
		rc = call->http == NULL ? WEFT_TOO_LARGE : WEFT_OK;
		why = "the answer is too large for the request's memory";
	}
	if (rc == WEFT_OK)
		call_finish(call, WEFT_OK, NULL, NULL);
	else
		call_finish(call, rc, NULL, "%s", why);
}

/* The server does not take connections: nobody else needs to find that out. */
static void
http_is_down(struct http *x, const char *why)
{
	struct http_client *c = x->client;
	struct http *idle;

	c->is_proven = false;
	c->resolve_at = 0;
	for (;;) {
		TAILQ_FOREACH(idle, &c->all, link)
			if (idle->state == HTTP_IDLE)
				break;
		if (idle == NULL)
			break;
		conn_is_dead(idle->conn, NULL, "%s", why);
	}
	conn_is_dead(x->conn, NULL, "%s", why);
}

/* ---- a transfer ---- */

/* What one hop has learned, before the first and each further one. */
static void
http_reset(struct http *x)
{
	http_head_clear(&x->head);
	buf_clear(&x->body);
	x->body_bytes = 0;
	x->stopped = WEFT_OK;
	x->is_stale = false;
	x->port = 0;
}

static void
http_start(struct http *x)
{
	http_reset(x);
	if (http_easy_ask(x) && http_client_add(x)) {
		http_enter(x, HTTP_RUNS);
		return;
	}
	http_finish(x, WEFT_SYSTEM, "no memory for the request");
	http_be_idle(x);
}

/* Once more, with what is known now. */
static void
http_restart(struct http *x)
{
	curl_slist_free_all(x->fields);
	x->fields = NULL;
	http_enter(x, HTTP_STARTS);
	http_client_queue(x);
}

/* As browsers do: what is elsewhere is fetched there, and only 307 and 308 say that it is to be sent there again. */
static void
http_follow(struct http *x)
{
	int status = x->head.status;

	x->hops++;
	x->attempts = 0;
	x->wants_fresh = false;
	x->becomes_get = x->becomes_get || (status == 303 && strcmp(x->call->ask->method, "HEAD") != 0) ||
	    (status <= 302 && strcmp(x->call->ask->method, "POST") == 0);
	curl_free(x->url);
	x->url = x->next;
	x->next = NULL;
	http_restart(x);
}

static void
http_probed(struct http *x, CURLcode code)
{
	char why[CURL_ERROR_SIZE];

	snprintf(why, sizeof why, "%s", http_words(x, code));
	if (code != CURLE_OK) {
		http_is_down(x, why);
		return;
	}
	x->client->is_proven = true;
	http_enter(x, HTTP_IDLE);
	conn_is_ready(x->conn);
}

void
http_finished(struct http *x, CURLcode code)
{
	char why[CURL_ERROR_SIZE];
	enum weft_rc rc;

	must(x->state == HTTP_RUNS || x->state == HTTP_PROBES);
	http_easy_ended(x, code);
	http_client_remove(x);
	if (x->state == HTTP_PROBES) {
		http_probed(x, code);
		return;
	}
	if (x->is_stale) {
		x->wants_fresh = true;
		http_restart(x);	/* libcurl has closed that one */
		return;
	}
	if (x->next != NULL && x->head.state == HTTP_HEAD_DONE && x->call != NULL) {
		http_follow(x);
		return;
	}
	rc = http_outcome(x, code);
	snprintf(why, sizeof why, "%s", http_words(x, code));
	if (x->stream == NULL && x->stopped == WEFT_OK && http_is_unreachable(code)) {
		http_is_down(x, why);
		return;
	}
	if (x->stream != NULL)
		http_stream_end(x->stream, rc, why);
	x->stream = NULL;
	if (x->call != NULL)
		http_finish(x, rc, why);
	http_be_idle(x);
}

/* Nobody wants it any more: at the end of the turn it is taken from libcurl, before anything else. */
static void
http_stop(struct http *x)
{
	http_enter(x, HTTP_STOPS);
	http_client_unqueue(x);
	http_client_queue(x);
}

/* ---- streams; called from the reader's fiber ---- */

static void
http_on_resume(void *arg)
{
	struct http *x = arg;

	x->resumes = true;
	http_client_queue(x);
}

static void
http_on_drop(void *arg)
{
	struct http *x = arg;

	x->stream = NULL;
	http_stop(x);
}

bool
http_begin_stream(struct http *x)
{
	static const struct http_source source = { http_on_resume, http_on_drop };
	struct call *call = x->call;
	struct http_stream *s = http_stream_new(call->arena, &source, x);

	call->http = s == NULL ? NULL : http_answer_new(call->arena, &x->head, SPAN(""));
	if (call->http == NULL)
		return false;
	call->http->body.at = NULL;
	call->http->stream = s;
	s->pool = pool_name(x->conn->pool);
	s->patience = pool_settings(x->conn->pool)->call_timeout;
	x->stream = s;
	x->call = NULL;
	call_finish(call, WEFT_OK, NULL, NULL);
	conn_read_begins(x->conn);
	x->is_read = true;
	return true;
}

/* ---- the end of the turn ---- */

/* Addresses first, then a look whether the server is there, if that is in doubt. */
static void
http_step_open(struct http *x)
{
	struct http_client *c = x->client;

	if (c->has_name && c->addresses == NULL) {
		if (c->resolving == NULL)
			conn_is_dead(x->conn, NULL, "%s: %s", pool_url(x->conn->pool)->host, gai_strerror(c->resolve_error));
		return;
	}
	if (!http_easy_new(x)) {
		conn_is_dead(x->conn, NULL, "no memory for a connection");
		return;
	}
	if (c->is_proven) {
		http_enter(x, HTTP_IDLE);
		conn_is_ready(x->conn);
		return;
	}
	if (http_easy_probe(x) && http_client_add(x))
		http_enter(x, HTTP_PROBES);
	else
		conn_is_dead(x->conn, NULL, "no memory for a connection");
}

/* The reader has room again.  What libcurl has kept comes at once, and may be what ends the transfer; it says so to nobody else. */
static void
http_step_run(struct http *x)
{
	CURLcode code = x->resumes ? curl_easy_pause(x->easy, CURLPAUSE_CONT) : CURLE_OK;

	x->resumes = false;
	if (code != CURLE_OK)
		http_finished(x, code);
}

void
http_step(struct http *x)
{
	switch (x->state) {
	case HTTP_OPENS:
		http_step_open(x);
		break;
	case HTTP_STARTS:
		http_client_look_up(x->client);
		http_start(x);
		break;
	case HTTP_RUNS:
		http_step_run(x);
		break;
	case HTTP_STOPS:
		http_client_remove(x);
		http_be_idle(x);
		break;
	case HTTP_PROBES:
	case HTTP_IDLE:
		break;
	}
}

/* ---- what the pool asks ---- */

static bool
http_is_host(const char *host)
{
	for (const char *c = host; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("-._:", *c) == NULL)
			return false;
	return host[0] != '\0' && host[strlen(host) - 1] != '.';
}

/* Nothing, or "ca=" and the path of a file. */
static bool
http_is_query(const struct back_url *u)
{
	char ca[sizeof u->query];

	return u->query[0] == '\0' || (strncmp(u->query, "ca=/", 4) == 0 && strchr(u->query, '&') == NULL && back_url_param(u, "ca", ca, sizeof ca) == 1);
}

static enum weft_rc
http_check(const struct back_url *u, char *error, size_t size)
{
	bool is_https = strcmp(u->scheme, "https") == 0;
	char path[3 * sizeof u->path];
	const char *why = NULL, *wrong;

	if (!http_is_host(u->host))
		why = "an HTTP URL needs the name or the number of a host, like http://127.0.0.1:8080/";
	else if (!http_is_query(u) || (u->query[0] != '\0' && !is_https))
		why = "the only parameter of an HTTP URL is ca=, the file with the certificates to trust, with https";
	else if (u->path[0] != '\0' && (!http_encode(path, sizeof path, u->path, "/:@!$&'()*+,;=") || http_target_check(path, &wrong) != WEFT_OK))
		why = "the path in the URL has a segment \".\" or \"..\"";
	else if (is_https && (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SSL) == 0)
		why = "this libcurl knows no TLS";
	if (why == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s", why);
	return WEFT_INVALID;
}

static void
http_free(struct http *x)
{
	http_easy_free(x);
	http_head_fini(&x->head);
	buf_fini(&x->body);
	if (x->client != NULL)
		http_client_unref(&x->client);
	free(x);
}

static enum weft_rc
http_open(struct conn *c)
{
	struct http *x = calloc(1, sizeof *x);

	if (x == NULL)
		return WEFT_SYSTEM;
	x->conn = c;
	x->state = HTTP_OPENS;
	http_head_init(&x->head);
	buf_init(&x->body, SIZE_MAX / 2);
	x->client = http_client_ref(c->pool);
	if (x->client == NULL) {
		http_free(x);
		return WEFT_SYSTEM;
	}
	c->driver_data = x;
	TAILQ_INSERT_TAIL(&x->client->all, x, link);
	x->client->places++;
	http_client_look_up(x->client);
	http_client_queue(x);
	return WEFT_OK;
}

static enum weft_rc
http_send(struct conn *c, struct call *call)
{
	struct http *x = c->driver_data;
	const char *why;

	if (http_ask_check(call->ask, &why) != WEFT_OK) {
		call_explain(call, WEFT_INVALID, NULL, "%s", why);
		return WEFT_INVALID;
	}
	x->call = call;
	x->sent = false;
	x->hops = x->attempts = 0;
	x->becomes_get = x->wants_fresh = x->resumes = false;
	http_enter(x, HTTP_STARTS);
	http_client_queue(x);
	conn_took(c, call, x);
	return WEFT_OK;
}

static void
http_abandon(struct conn *c, struct call *call)
{
	struct http *x = c->driver_data;

	must(x->call == call);
	x->call = NULL;
	http_stop(x);
}

static void
http_close(struct conn *c)
{
	struct http *x = c->driver_data;
	struct call *call = x->call;

	c->driver_data = NULL;
	x->sent = x->sent || (x->is_in_multi && http_easy_has_sent(x));
	http_client_remove(x);
	http_client_unqueue(x);
	TAILQ_REMOVE(&x->client->all, x, link);
	http_client_leave(x->client);
	x->call = NULL;
	if (x->stream != NULL)
		http_stream_end(x->stream, WEFT_UNKNOWN, "the connection was given up");
	if (call != NULL)
		call_finish(call, x->sent ? WEFT_UNKNOWN : WEFT_NOT_SENT, NULL, NULL);
	http_free(x);
}

/* What the pool keeps its place for until the server has closed it too. */
static int
http_socket(const struct conn *c)
{
	return http_sock_last(c->driver_data);
}

const struct driver driver_http = {
	.name = "HTTP",
	.schemes = (const char *const[]){ "http", "https", NULL },
	.kind = CALL_HTTP,
	.why = WAIT_HTTP,
	.depth = 1,
	.shares_slow = false,
	.check = http_check,
	.open = http_open,
	.send = http_send,
	.abandon = http_abandon,
	.close = http_close,
	.socket = http_socket,
};
