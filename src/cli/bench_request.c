/* SPDX-License-Identifier: ISC */
/*
 * A request is four records: BEGIN, PARAMS with all variables, the end of PARAMS, the end
 * of STDIN.  Between two requests differ the id and, where the URI has %r, a random
 * number; its length is part of the lengths around it.  So there is one form for each number of
 * digits; a request is a copy of one with the id and the digits put in.
 *
 * Where the digits stand is found by making each form twice, with 1s and with 2s:
 * where the two differ.
 */
#include "cli/bench_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/fcgi_param.h"

enum { REQUEST_BEGIN = 16, REQUEST_TAIL = 2 * FCGI_HEAD_SIZE };

/* The URI with each %r replaced by so many of this digit. */
static void
bench_request_expand(struct buf *out, const char *uri, unsigned digits, char digit)
{
	char number[BENCH_DIGITS_MAX];
	const char *mark;

	memset(number, digit, sizeof number);
	for (; (mark = strstr(uri, "%r")) != NULL; uri = mark + 2) {
		buf_add(out, (struct span){ uri, (size_t)(mark - uri) });
		buf_add(out, (struct span){ number, digits });
	}
	buf_add(out, span_str(uri));
}

static void
bench_request_add(struct buf *params, struct span name, struct span value)
{
	size_t need = fcgi_param_encode(NULL, 0, name, value);
	char *to = buf_reserve(params, need);

	if (to != NULL)
		params->len += fcgi_param_encode(to, need, name, value);
}

/* The variables that web servers send. */
static void
bench_request_params(struct buf *params, const struct bench_opts *o, struct span uri)
{
	static const char *const fixed[][2] = {
		{ "REQUEST_METHOD", "GET" }, { "CONTENT_TYPE", "" }, { "CONTENT_LENGTH", "" }, { "SCRIPT_NAME", "" },
		{ "GATEWAY_INTERFACE", "CGI/1.1" }, { "SERVER_PROTOCOL", "HTTP/1.1" }, { "SERVER_SOFTWARE", "weft-bench" },
		{ "REQUEST_SCHEME", "http" }, { "REMOTE_ADDR", "127.0.0.1" }, { "REMOTE_PORT", "40000" },
		{ "SERVER_ADDR", "127.0.0.1" }, { "SERVER_PORT", "80" }, { "SERVER_NAME", "localhost" },
		{ "DOCUMENT_ROOT", "/var/www/html" }, { "HTTP_HOST", "localhost" }, { "HTTP_USER_AGENT", "weft bench" },
		{ "HTTP_ACCEPT", "*/*" }, { "HTTP_CONNECTION", "keep-alive" },
	};
	struct span query = uri, path = span_take(&query, '?');

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		bench_request_add(params, span_str(fixed[i][0]), span_str(fixed[i][1]));
	bench_request_add(params, SPAN("REQUEST_URI"), uri);
	bench_request_add(params, SPAN("DOCUMENT_URI"), path);
	bench_request_add(params, SPAN("PATH_INFO"), path);
	bench_request_add(params, SPAN("QUERY_STRING"), query);
	for (unsigned i = 0; i < o->nvars; i++) {
		struct span value = span_str(o->vars[i]), name = span_take(&value, '=');

		bench_request_add(params, name, value);
	}
}

/* All records, on the heap, with this digit for the random number.  NULL when it does not fit. */
static unsigned char *
bench_request_make(const struct bench_opts *o, unsigned digits, char digit, size_t *len)
{
	const struct fcgi_begin begin = { .role = FCGI_RESPONDER, .flags = o->reuse == BENCH_KEEP ? FCGI_KEEP_CONN : 0 };
	struct fcgi_head head = { .type = FCGI_PARAMS };
	struct buf uri, params;
	unsigned char *out = NULL, *at;

	buf_init(&uri, 2 * BENCH_URI_MAX + BENCH_RANDOMS_MAX * BENCH_DIGITS_MAX);
	buf_init(&params, FCGI_CONTENT_MAX);
	bench_request_expand(&uri, o->uri, digits, digit);
	bench_request_params(&params, o, buf_span(&uri));
	*len = REQUEST_BEGIN + FCGI_HEAD_SIZE + params.len + REQUEST_TAIL;
	if (!uri.bad && !params.bad)
		out = malloc(*len);
	if (out != NULL) {
		fcgi_begin_encode(out, 0, &begin);
		head.length = (uint16_t)params.len;
		fcgi_head_encode(out + REQUEST_BEGIN, &head);
		at = out + REQUEST_BEGIN + FCGI_HEAD_SIZE;
		memcpy(at, params.at, params.len);
		head.length = 0;
		fcgi_head_encode(at + params.len, &head);
		head.type = FCGI_STDIN;
		fcgi_head_encode(at + params.len + FCGI_HEAD_SIZE, &head);
	}
	buf_fini(&uri);
	buf_fini(&params);
	return out;
}

static int
bench_form_init(struct bench_form *f, const struct bench_opts *o, unsigned digits)
{
	unsigned char *other;
	int rc = 0;

	f->bytes = bench_request_make(o, digits, '1', &f->len);
	other = bench_request_make(o, digits, '2', &f->len);
	if (f->bytes == NULL || other == NULL) {
		free(other);
		return -1;
	}
	for (size_t i = 0; rc == 0 && i < f->len; i++) {
		if (f->bytes[i] == other[i])
			continue;
		if (f->nat == BENCH_RANDOMS_MAX)
			rc = -1;
		else
			f->at[f->nat++] = i;
		i += digits - 1;
	}
	free(other);
	return rc;
}

int
bench_request_init(struct bench_request *r, const struct bench_opts *o)
{
	*r = (struct bench_request){ .random = 88172645463325252u, .random_max = o->random_max > 0 ? o->random_max : BENCH_RANDOM_MAX };
	for (unsigned i = 0; i < BENCH_DIGITS_MAX; i++) {
		if (bench_form_init(&r->forms[i], o, i + 1) != 0) {
			bench_request_fini(r);
			return -1;
		}
		if (r->forms[i].len > r->size)
			r->size = r->forms[i].len;
	}
	return 0;
}

void
bench_request_fini(struct bench_request *r)
{
	for (unsigned i = 0; i < BENCH_DIGITS_MAX; i++) {
		free(r->forms[i].bytes);
		r->forms[i] = (struct bench_form){ 0 };
	}
}

/* xorshift: the same numbers in every run. */
static unsigned
bench_request_random(struct bench_request *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (unsigned)(r->random % r->random_max) + 1;
}

static void
bench_request_set_id(unsigned char *record, uint16_t id)
{
	record[2] = (unsigned char)(id >> 8);
	record[3] = (unsigned char)id;
}

size_t
bench_request_next(struct bench_request *r, unsigned char *out, uint16_t id)
{
	const struct bench_form *f = &r->forms[0];
	char number[16];
	int digits = 0;

	if (f->nat > 0) {
		digits = snprintf(number, sizeof number, "%u", bench_request_random(r));
		f = &r->forms[digits - 1];
	}
	memcpy(out, f->bytes, f->len);
	for (unsigned i = 0; i < f->nat; i++)
		memcpy(out + f->at[i], number, (size_t)digits);
	bench_request_set_id(out, id);
	bench_request_set_id(out + REQUEST_BEGIN, id);
	bench_request_set_id(out + f->len - REQUEST_TAIL, id);
	bench_request_set_id(out + f->len - FCGI_HEAD_SIZE, id);
	return f->len;
}
