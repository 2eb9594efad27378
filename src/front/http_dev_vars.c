/* SPDX-License-Identifier: ISC */
/*
 * From HTTP to CGI variables, as lighttpd sets them for an application at "/".
 *
 * Left out: HTTP_PROXY (it would be taken for configuration by libraries), names with '_' (they would
 * collide with those with '-'), and Transfer-Encoding, as the body has been decoded.
 * A header that came several times becomes one variable, joined by ", " (Cookie: "; ").
 */
#include "front/http_dev_vars.h"

#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "request/request.h"
#include "wire/urlencoded.h"

enum { HTTP_JOINED_MAX = 65536, HTTP_NAME_MAX = 256 };

static void
http_vars_set(struct request *rq, const char *name, struct span value)
{
	(void)request_var_add(rq, span_str(name), value);	/* a bad request refuses itself when it starts */
}

static void
http_vars_set_number(struct request *rq, const char *name, size_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%zu", value);
	http_vars_set(rq, name, span_str(text));
}

static const char *
http_vars_method(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	default:
		return "";
	}
}

/* What follows scheme and host where the target is a whole URL. */
static struct span
http_vars_target(const char *uri)
{
	const char *host = strstr(uri, "://"), *path;

	if (uri[0] == '/' || host == NULL)
		return span_str(uri);
	path = strpbrk(host + 3, "/?");
	return path == NULL ? SPAN("/") : span_str(path);
}

static void
http_vars_add_target(struct request *rq, const char *uri)
{
	struct span target = http_vars_target(uri), path = target, query = { "", 0 };
	const char *mark = memchr(target.at, '?', target.len);
	char *decoded = malloc(target.len + 1);

	if (mark != NULL) {
		path.len = (size_t)(mark - target.at);
		query = span_skip(target, path.len + 1);
	}
	http_vars_set(rq, "REQUEST_URI", target);
	http_vars_set(rq, "SCRIPT_NAME", SPAN(""));
	if (decoded != NULL)
		http_vars_set(rq, "PATH_INFO", (struct span){ decoded, percent_decode(decoded, path, PERCENT_PLUS_IS_PLUS) });
	http_vars_set(rq, "QUERY_STRING", query);
	free(decoded);
}

/* Make "HTTP_USER_AGENT" of "User-Agent".  Returns false for names that are left out. */
static bool
http_vars_name(char out[HTTP_NAME_MAX], const char *name)
{
	static const char *const not[] = { "Content-Type", "Content-Length", "Transfer-Encoding", "Proxy" };
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof not / sizeof not[0]; i++)
		if (strcasecmp(name, not[i]) == 0)
			return false;
	if (len + 6 > HTTP_NAME_MAX || strchr(name, '_') != NULL)
		return false;
	memcpy(out, "HTTP_", 5);
	for (size_t i = 0; i <= len; i++)
		out[5 + i] = name[i] == '-' ? '_' : name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
	return true;
}

/* Join this header with its later namesakes. */
static void
http_vars_join(struct buf *to, const struct evkeyval *header)
{
	const char *comma = strcasecmp(header->key, "Cookie") == 0 ? "; " : ", ";

	(void)buf_add(to, span_str(header->value));
	for (const struct evkeyval *h = TAILQ_NEXT(header, next); h != NULL; h = TAILQ_NEXT(h, next))
		if (strcasecmp(h->key, header->key) == 0)
			(void)buf_printf(to, "%s%s", comma, h->value);
}

static void
http_vars_add_headers(struct request *rq, struct evhttp_request *req)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	char name[HTTP_NAME_MAX];
	struct evkeyval *h;
	struct buf joined;

	buf_init(&joined, HTTP_JOINED_MAX);
	TAILQ_FOREACH(h, headers, next) {
		/* The first of a name holds all of them; the request passes over the others. */
		if (!http_vars_name(name, h->key))
			continue;
		buf_clear(&joined);
		http_vars_join(&joined, h);
		http_vars_set(rq, name, joined.bad ? span_str(h->value) : buf_span(&joined));
	}
	buf_fini(&joined);
}

static void
http_vars_add_peers(struct request *rq, struct evhttp_request *req, unsigned port)
{
	const char *host = evhttp_request_get_host(req);
	char *address = NULL;
	ev_uint16_t peer = 0;

	evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &peer);
	http_vars_set(rq, "SERVER_NAME", span_str(host == NULL ? "127.0.0.1" : host));
	http_vars_set_number(rq, "SERVER_PORT", port);
	http_vars_set(rq, "REMOTE_ADDR", span_str(address == NULL ? "127.0.0.1" : address));
	http_vars_set_number(rq, "REMOTE_PORT", peer);
}

void
http_vars_add(struct request *rq, struct evhttp_request *req, unsigned port)
{
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type");
	size_t length = evbuffer_get_length(evhttp_request_get_input_buffer(req));

	http_vars_set(rq, "GATEWAY_INTERFACE", SPAN("CGI/1.1"));
	http_vars_set(rq, "SERVER_SOFTWARE", SPAN("weft-dev"));
	http_vars_set(rq, "SERVER_PROTOCOL", req->minor == 0 ? SPAN("HTTP/1.0") : SPAN("HTTP/1.1"));
	http_vars_set(rq, "REQUEST_METHOD", span_str(http_vars_method(evhttp_request_get_command(req))));
	http_vars_add_target(rq, evhttp_request_get_uri(req));
	http_vars_add_peers(rq, req, port);
	if (type != NULL)
		http_vars_set(rq, "CONTENT_TYPE", span_str(type));
	http_vars_set_number(rq, "CONTENT_LENGTH", length);
	http_vars_add_headers(rq, req);
}
