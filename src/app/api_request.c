/* SPDX-License-Identifier: ISC */
/*
 * The exported API: what a request brought.  Thin: each function hands on to
 * the request layer.  The docblocks are in <weft/weft.h>.
 */
#include <weft/weft.h>

#include <string.h>

#include "app/app.h"
#include "app/fail.h"
#include "request/input.h"
#include "wire/urlencoded.h"

const char *
weft_method(const struct weft_request *rq)
{
	return rq->rq.method;
}

enum weft_role
weft_role(const struct weft_request *rq)
{
	return rq->rq.role == REQUEST_AUTHORIZER ? WEFT_AUTHORIZER : WEFT_RESPONDER;
}

const char *
weft_path(const struct weft_request *crq)
{
	/* Made once, when asked for: the request is ours to change. */
	struct weft_request *rq = (struct weft_request *)crq;
	struct span path = rq->rq.path;
	size_t prefix = rq->route == NULL ? 0 : rq->route->prefix;
	char *out;

	if (rq->path != NULL)
		return rq->path;
	/* The prefix is counted decoded; a client may have encoded it. */
	out = arena_alloc(&rq->rq.arena, path.len + 2);
	if (out == NULL)
		return "";
	out[percent_decode(out, path, PERCENT_PLUS_IS_PLUS)] = '\0';
	if (strlen(out) >= prefix)
		out += prefix;
	rq->path = out[0] == '\0' ? "/" : out;
	return rq->path;
}

const char *
weft_param(const struct weft_request *rq, const char *name)
{
	for (unsigned i = 0; i < rq->nparams; i++)
		if (strcmp(rq->param[i].name, name) == 0)
			return rq->param[i].value;
	return NULL;
}

const char *
weft_query(struct weft_request *rq, const char *name)
{
	return input_query(&rq->rq, name);
}

static int
api_body_failed(struct weft_request *rq, enum weft_rc rc)
{
	/* 408 is for a client that pauses for too long; the deadline of the request is 504, wherever it waits. */
	bool paused = rc == WEFT_TIMEOUT && rq->rq.body.state == BODY_FAILED;
	int status = rc == WEFT_TOO_LARGE ? 413 : paused ? 408 : 0;

	return fail_note(rq, rc, status, "request body: %s", fail_words(rc));
}

const char *
weft_form(struct weft_request *rq, const char *name)
{
	const char *value = input_form(&rq->rq, name);
	enum weft_rc rc = value != NULL ? WEFT_OK : fiber_check();

	if (rc != WEFT_OK)
		(void)api_body_failed(rq, rc);
	return value;
}

const char *
weft_cookie(struct weft_request *rq, const char *name)
{
	return input_cookie(&rq->rq, name);
}

const char *
weft_header(const struct weft_request *rq, const char *name)
{
	return request_header(&rq->rq, name);
}

const char *
weft_var(const struct weft_request *rq, const char *name)
{
	return request_var(&rq->rq, span_str(name));
}

/* The names of all variables as strings: made once, when asked for.  NULL without memory. */
static const char **
api_var_names(struct weft_request *rq)
{
	const struct request *base = &rq->rq;
	const char **names = arena_alloc(&rq->rq.arena, base->nvars * sizeof *names);

	for (unsigned i = 0; names != NULL && i < base->nvars; i++) {
		names[i] = arena_strdup(&rq->rq.arena, request_var_name(&base->var[i]));
		if (names[i] == NULL)
			return NULL;
	}
	return names;
}

int
weft_var_at(const struct weft_request *crq, size_t n, const char **name, const char **value)
{
	struct weft_request *rq = (struct weft_request *)crq;

	if (n >= rq->rq.nvars)
		return WEFT_INVALID;
	if (rq->var_names == NULL)
		rq->var_names = api_var_names(rq);
	if (rq->var_names == NULL)
		return WEFT_SYSTEM;
	*name = rq->var_names[n];
	*value = request_var_value(&rq->rq.var[n]).at;
	return WEFT_OK;
}

int
weft_body(struct weft_request *rq, const char **bytes, size_t *len)
{
	struct span all;
	enum weft_rc rc = body_all(&rq->rq.body, &all, CLOCK_NEVER);

	if (rc != WEFT_OK)
		return api_body_failed(rq, rc);
	*bytes = all.at;
	if (len != NULL)
		*len = all.len;
	return WEFT_OK;
}

long
weft_body_read(struct weft_request *rq, void *buf, size_t size)
{
	size_t got;
	enum weft_rc rc = body_read(&rq->rq.body, buf, size, &got, CLOCK_NEVER);

	if (rc == WEFT_OK)
		return (long)got;
	api_body_failed(rq, rc);
	return -1;
}

void *
weft_alloc(struct weft_request *rq, size_t len)
{
	return arena_alloc(&rq->rq.arena, len);
}

char *
weft_strdup(struct weft_request *rq, const char *text)
{
	return arena_strdup(&rq->rq.arena, span_str(text));
}

char *
weft_sprintf(struct weft_request *rq, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(&rq->rq.arena, fmt, ap);
	va_end(ap);
	return text;
}

int
weft_defer(struct weft_request *rq, void (*fn)(void *arg), void *arg)
{
	struct app_defer *d = arena_alloc(&rq->rq.arena, sizeof *d);

	if (d == NULL)
		return WEFT_SYSTEM;
	*d = (struct app_defer){ fn, arg, rq->defers };
	rq->defers = d;
	return WEFT_OK;
}
