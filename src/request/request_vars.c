/* SPDX-License-Identifier: ISC */
/*
 * A request's variables.
 *
 * They are kept in the order in which they came and searched one by one:
 * there are 30 of them, nearly all comparisons end at the length, and no client
 * can make a table slow that is not there.  Each is copied once, into the
 * arena, which begins in the fiber's own room.
 *
 * Nothing of a client is refused while variables come in: the request becomes
 * bad, keeps the first reason, and is answered like any other.
 */
#include "request/request_own.h"

#include <stdint.h>
#include <string.h>

enum { REQUEST_VARS_FIRST = 40 };

enum weft_rc
request_refuse(struct request *rq, enum weft_rc rc, const char *text)
{
	if (rq->bad == WEFT_OK) {
		rq->bad = rc;
		rq->bad_text = text;
	}
	return rc;
}

/*
 * True when a byte of the value may be one of NUL, CR, LF; tabs make it say so
 * too.  Eight bytes at a time: all values of all requests pass here.
 */
static bool
request_value_is_suspect(struct span value)
{
	const uint64_t ones = UINT64_MAX / 255, high = ones << 7;
	uint64_t found = 0, word;
	size_t i = 0;

	for (; i + sizeof word <= value.len; i += sizeof word) {
		memcpy(&word, value.at + i, sizeof word);
		/* The high bit of each byte that is under 14. */
		found |= (word - ones * 14) & ~word & high;
	}
	for (; i < value.len; i++)
		found |= (unsigned char)value.at[i] < 14;
	return found != 0;
}

static bool
request_value_is_bad(struct span value)
{
	if (!request_value_is_suspect(value))
		return false;
	return memchr(value.at, '\0', value.len) != NULL || memchr(value.at, '\r', value.len) != NULL
	    || memchr(value.at, '\n', value.len) != NULL;
}

static bool
request_name_is_bad(struct span name)
{
	bool bad = false;

	for (size_t i = 0; i < name.len; i++)
		bad |= name.at[i] == '=' || (unsigned char)name.at[i] < ' ';
	return bad;
}

/* Room for one more variable. */
static struct request_var *
request_var_room(struct request *rq)
{
	unsigned size = rq->vars_size == 0 ? REQUEST_VARS_FIRST : rq->vars_size * 2;
	struct request_var *var;

	if (rq->nvars < rq->vars_size)
		return &rq->var[rq->nvars];
	var = arena_alloc(&rq->arena, size * sizeof *var);
	if (var == NULL)
		return NULL;
	if (rq->nvars > 0)
		memcpy(var, rq->var, rq->nvars * sizeof *var);
	rq->var = var;
	rq->vars_size = size;
	return &var[rq->nvars];
}

char *
request_text_room(struct request *rq, size_t len)
{
	struct arena *a = &rq->arena;
	char *at = a->at;

	if (at == NULL || (size_t)(a->end - at) < len)
		return arena_alloc(a, len);
	a->at += len;
	return at;
}

/* Copy to *at and behind it, terminated. */
static struct span
request_text_copy(char **at, struct span s)
{
	struct span copy = { *at, s.len };

	if (s.len > 0)
		memcpy(*at, s.at, s.len);
	(*at)[s.len] = '\0';
	*at += s.len + 1;
	return copy;
}

enum weft_rc
request_var_add(struct request *rq, struct span name, struct span value)
{
	struct request_var *var;
	char *text;

	if (name.len == 0)
		return WEFT_OK;
	if (rq->nvars == REQUEST_VARS_MAX || name.len > REQUEST_VARS_BYTES_MAX - rq->vars_bytes
	    || value.len > REQUEST_VARS_BYTES_MAX - rq->vars_bytes - name.len)
		return request_refuse(rq, WEFT_TOO_LARGE, "too many or too large request headers");
	if (request_name_is_bad(name))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "a variable's name with '=' or control bytes");
	if (request_value_is_bad(value))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "a header with NUL, CR or LF");
	var = request_var_room(rq);
	text = request_text_room(rq, name.len + value.len + 2);
	if (var == NULL || text == NULL)
		return request_refuse(rq, WEFT_TOO_LARGE, "too many or too large request headers");
	var->name = request_text_copy(&text, name);
	var->value = request_text_copy(&text, value);
	rq->vars_bytes += name.len + value.len;
	rq->nvars++;
	return WEFT_OK;
}

static const struct request_var *
request_find(const struct request *rq, struct span name)
{
	for (unsigned i = 0; i < rq->nvars; i++)
		if (rq->var[i].name.len == name.len && memcmp(rq->var[i].name.at, name.at, name.len) == 0)
			return &rq->var[i];
	return NULL;
}

const char *
request_var(const struct request *rq, struct span name)
{
	const struct request_var *v = request_find(rq, name);

	return v == NULL ? NULL : v->value.at;
}

struct span
request_value(const struct request *rq, struct span name)
{
	const struct request_var *v = request_find(rq, name);

	return v == NULL ? (struct span){ "", 0 } : v->value;
}

/* As CGI writes a header's name: upper case, '_' for '-'. */
static char
request_cgi_char(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return c == '-' ? '_' : c;
}

static bool
request_name_equals(const char *cgi, const char *http, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (cgi[i] != request_cgi_char(http[i]))
			return false;
	return true;
}

const char *
request_header(const struct request *rq, const char *name)
{
	size_t len = strlen(name);
	const struct request_var *v;

	if (len == 12 && request_name_equals("CONTENT_TYPE", name, len))
		return request_var(rq, SPAN("CONTENT_TYPE"));
	if (len == 14 && request_name_equals("CONTENT_LENGTH", name, len))
		return request_var(rq, SPAN("CONTENT_LENGTH"));
	for (unsigned i = 0; i < rq->nvars; i++) {
		v = &rq->var[i];
		if (v->name.len == len + 5 && memcmp(v->name.at, "HTTP_", 5) == 0
		    && request_name_equals(v->name.at + 5, name, len))
			return v->value.at;
	}
	return NULL;
}
