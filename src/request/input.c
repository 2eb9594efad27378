/* SPDX-License-Identifier: ISC */
/*
 * Query, form and cookies are read anew at each question: they are short, and
 * a handler asks for two or three names.  Only the value that is asked for is
 * copied to the arena.
 */
#include "request/input.h"

#include <string.h>
#include <strings.h>

#include "request/request.h"
#include "wire/cookie.h"
#include "wire/urlencoded.h"

/* Returns the decoded bytes, terminated, in the arena; NULL when there is a NUL among them or no memory. */
static char *
input_decode(struct arena *a, struct span in)
{
	char *out = arena_alloc(a, in.len + 1);
	size_t len;

	if (out == NULL)
		return NULL;
	len = percent_decode(out, in, PERCENT_PLUS_IS_SPACE);
	out[len] = '\0';
	return memchr(out, '\0', len) == NULL ? out : NULL;
}

static bool
input_name_is(struct arena *a, struct span encoded, struct span name)
{
	char few[256], *out = few;
	size_t len;

	/* A byte is one character, or three. */
	if (encoded.len < name.len || encoded.len / 3 > name.len)
		return false;
	if (encoded.len == name.len && span_equal(encoded, name))
		return true;
	if (encoded.len > sizeof few && (out = arena_alloc(a, encoded.len)) == NULL)
		return false;
	len = percent_decode(out, encoded, PERCENT_PLUS_IS_SPACE);
	return span_equal((struct span){ out, len }, name);
}

static const char *
input_find(struct arena *a, struct span in, const char *name)
{
	struct span wanted = span_str(name), n, v;

	while (urlencoded_next(&in, &n, &v))
		if (input_name_is(a, n, wanted))
			return input_decode(a, v);
	return NULL;
}

const char *
input_query(struct request *rq, const char *name)
{
	const char *query = request_var(rq, SPAN("QUERY_STRING"));

	return query == NULL ? NULL : input_find(&rq->arena, span_str(query), name);
}

static bool
input_is_form(const struct request *rq)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = request_var(rq, SPAN("CONTENT_TYPE"));

	if (type == NULL || strncasecmp(type, form, sizeof form - 1) != 0)
		return false;
	type += sizeof form - 1;
	return *type == '\0' || *type == ';' || *type == ' ' || *type == '\t';
}

const char *
input_form(struct request *rq, const char *name)
{
	struct span body;

	if (!input_is_form(rq) || body_all(&rq->body, &body, CLOCK_NEVER) != WEFT_OK)
		return NULL;
	return input_find(&rq->arena, body, name);
}

const char *
input_cookie(struct request *rq, const char *name)
{
	struct span wanted = span_str(name), in, n, v;

	/* HTTP/2 may cut a Cookie header into several, and not every web server joins them. */
	for (unsigned i = 0; i < rq->nvars; i++) {
		if (!span_equal(request_var_name(&rq->var[i]), SPAN("HTTP_COOKIE")))
			continue;
		in = request_var_value(&rq->var[i]);
		while (cookie_next(&in, &n, &v))
			if (span_equal(n, wanted))
				return arena_strdup(&rq->arena, v);
	}
	return NULL;
}
