/* SPDX-License-Identifier: ISC */
/*
 * What is read out of the variables once all are there: method, path, length
 * of the body.  Web servers differ in what they send; where one of them sends
 * what RFC 3875 does not allow, the comment says which.
 */
#include "request/request_own.h"

#include <stdint.h>
#include <string.h>

#include "wire/cgi_head.h"
#include "wire/urlencoded.h"

enum { REQUEST_LABEL_MAX = 96 };

/* The path of a REQUEST_URI: "/path", or all of "http://host/path" behind the host; up to '?' or '#'. */
static struct span
request_uri_path(struct span uri)
{
	const char *colon, *slash;
	size_t len = 0;

	if (uri.at[0] != '/' && (colon = memchr(uri.at, ':', uri.len)) != NULL
	    && uri.len - (size_t)(colon - uri.at) >= 3 && memcmp(colon, "://", 3) == 0) {
		uri = span_skip(uri, (size_t)(colon - uri.at) + 3);
		len = 0;
		while (len < uri.len && uri.at[len] != '/' && uri.at[len] != '?' && uri.at[len] != '#')
			len++;
		slash = uri.at + len;
		if (len == uri.len || *slash != '/')
			return SPAN("/");
		uri = span_skip(uri, len);
	}
	for (len = 0; len < uri.len && uri.at[len] != '?' && uri.at[len] != '#'; len++)
		continue;
	return (struct span){ uri.at, len };
}

/* Encode as a path: slashes stay.  Returns bytes put to out, which holds three times s.len. */
static size_t
request_path_encode(char *out, struct span s)
{
	size_t n = 0, len;

	while (s.len > 0) {
		for (len = 0; len < s.len && s.at[len] != '/'; len++)
			continue;
		n += percent_encode(out + n, len * 3, (struct span){ s.at, len });
		if (len < s.len) {
			out[n++] = '/';
			len++;
		}
		s = span_skip(s, len);
	}
	return n;
}

/* SCRIPT_NAME and PATH_INFO were decoded by the web server: back to what the client may have sent. */
static struct span
request_cgi_path(struct request *rq)
{
	struct span script = request_value(rq, SPAN("SCRIPT_NAME"));
	struct span info = request_value(rq, SPAN("PATH_INFO"));
	size_t max = (script.len + info.len) * 3, len;
	char *path;

	if (max == 0)
		return SPAN("/");
	path = arena_alloc(&rq->arena, max);
	if (path == NULL) {
		(void)request_refuse(rq, WEFT_TOO_LARGE, "the path is too long");
		return SPAN("/");
	}
	len = request_path_encode(path, script);
	len += request_path_encode(path + len, info);
	return (struct span){ path, len };
}

/*
 * CONTENT_LENGTH.  Absent or empty: the length is not known, the STDIN stream says it (nginx passes a chunked
 * body on with "").  So is exactly "-1": malformed by RFC 3875, but that is what Caddy sends for a chunked body.
 */
static long long
request_length(struct request *rq, struct span text)
{
	long long n = 0;

	if (text.len == 0 || span_equal(text, SPAN("-1")))
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9' || n > (INT64_MAX - 9) / 10) {
			(void)request_refuse(rq, WEFT_BAD_INPUT, "CONTENT_LENGTH is no length");
			return -1;
		}
		n = n * 10 + (text.at[i] - '0');
	}
	return n;
}

static void
request_set_method(struct request *rq, struct span method)
{
	if (method.len > REQUEST_METHOD_MAX || !cgi_name_is_valid(method))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "REQUEST_METHOD is no method");
	else
		rq->method = method.at;
	rq->response.no_body = span_equal(method, SPAN("HEAD"));
}

/* What every request is asked for. */
struct request_line {
	struct span method, uri, length;
};

static void
request_line_set(struct span *to, const struct request_var *v)
{
	if (to->at == NULL)	/* the first counts */
		*to = request_var_value(v);
}

/* Find them in one walk.  What is not there is empty. */
static void
request_find_line(const struct request *rq, struct request_line *line)
{
	*line = (struct request_line){ { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	for (unsigned i = 0; i < rq->nvars; i++) {
		const struct request_var *v = &rq->var[i];

		if (v->name_len == 11 && memcmp(v->name, "REQUEST_URI", 11) == 0)
			request_line_set(&line->uri, v);
		else if (v->name_len == 14 && memcmp(v->name, "REQUEST_METHOD", 14) == 0)
			request_line_set(&line->method, v);
		else if (v->name_len == 14 && memcmp(v->name, "CONTENT_LENGTH", 14) == 0)
			request_line_set(&line->length, v);
	}
}

static const char *
request_title(const struct request *rq)
{
	return rq->role == REQUEST_AUTHORIZER ? REQUEST_AUTHORIZE : rq->method;
}

/*
 * "GET /path" for the log and the timeline; printable, for it is also written to stderr as it is when the stack overflows.
 * Returns it, empty without memory.
 */
static struct span
request_label(struct request *rq)
{
	const char *title = request_title(rq);
	size_t method = strlen(title), len = method + 1 + rq->path.len;
	const char *path = rq->path.at;
	char *label;

	if (len >= REQUEST_LABEL_MAX)
		len = REQUEST_LABEL_MAX - 1;
	label = request_text_room(rq, len + 1);
	if (label == NULL)
		return SPAN("");
	memcpy(label, title, method);
	label[method] = ' ';
	for (size_t i = method + 1; i < len; i++, path++)
		label[i] = *path > 0x20 && *path < 0x7f ? *path : '?';
	label[len] = '\0';
	fiber_set_label(rq->fiber, label);
	return (struct span){ label, len };
}

void
request_ready(struct request *rq)
{
	const struct request_conf *conf = rq->conf;
	struct request_line line;

	request_find_line(rq, &line);
	request_set_method(rq, line.method);
	rq->path = line.uri.len > 0 ? request_uri_path(line.uri) : request_cgi_path(rq);
	/* What an authorizer is told of a body is about the one that it does not get. */
	body_init(&rq->body, rq->role == REQUEST_AUTHORIZER ? 0 : request_length(rq, line.length), request_conf_body_max(conf),
	    request_conf_body_memory(conf));
	rq->response.is_verdict = rq->role == REQUEST_AUTHORIZER;
	timeline_begin(&rq->timeline, conf->ring, request_label(rq), rq->begin);
	if (conf->ring != NULL)
		fiber_set_trace(rq->fiber, timeline_wait, &rq->timeline);
	fiber_set_deadline(rq->fiber, clock_add(rq->begin, request_conf_timeout(conf)));
}
