/* SPDX-License-Identifier: ISC */
/*
 * A request's variables.
 *
 * They are copied once, all together and as they came, name-value pairs in their
 * encoding: the value stands behind its name, and behind the value are the lengths of the
 * next pair, which have been read by then and give their place to the NUL.  What is kept of a
 * pair besides is 16 bytes.  They stay in the order in which they came and are searched one by
 * one: there are 30 of them, nearly all comparisons end at the length, and no client
 * can make a table slow that is not there.
 *
 * Nothing of a client is refused while variables come in: the request becomes
 * bad, keeps the first reason, and is answered like any other.
 */
#include "request/request_own.h"

#include <stdint.h>
#include <string.h>

#include "wire/fcgi_param.h"

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

/* ---- finding what may not be there: all bytes of all requests pass here, so sixteen at a time ---- */

typedef unsigned char request_vec __attribute__((vector_size(16)));

enum { REQUEST_VEC = sizeof(request_vec) };

/* Set where a name has '=' or a control byte.  Sixteen bytes are read behind each of its places, however short it is. */
static inline request_vec
request_suspect_name(const char *at, size_t len)
{
	static const unsigned char masks[2 * REQUEST_VEC] = { [0 ... REQUEST_VEC - 1] = 0xff };
	request_vec bytes, mask, found = { 0 };

	for (; len > REQUEST_VEC; at += REQUEST_VEC, len -= REQUEST_VEC) {
		memcpy(&bytes, at, REQUEST_VEC);
		found |= (request_vec)(bytes < ' ') | (request_vec)(bytes == '=');
	}
	memcpy(&bytes, at, REQUEST_VEC);
	memcpy(&mask, masks + REQUEST_VEC - len, REQUEST_VEC);
	return found | (((request_vec)(bytes < ' ') | (request_vec)(bytes == '=')) & mask);
}

/* Set where a byte is not above CR: in values, NUL, CR and LF are not.  Whole vectors only. */
static inline request_vec
request_suspect_bytes(const char *at, const char *end)
{
	request_vec bytes, found = { 0 };

	for (; at < end; at += REQUEST_VEC) {
		memcpy(&bytes, at, REQUEST_VEC);
		found |= (request_vec)(bytes <= '\r');
	}
	return found;
}

static bool
request_is_suspect(request_vec found)
{
	uint64_t word[2];

	memcpy(word, &found, sizeof word);
	return (word[0] | word[1]) != 0;
}

static bool
request_name_is_bad(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.at[i] < ' ' || name.at[i] == '=')
			return true;
	return false;
}

static bool
request_value_is_bad(struct span value)
{
	return memchr(value.at, '\0', value.len) != NULL || memchr(value.at, '\r', value.len) != NULL
	    || memchr(value.at, '\n', value.len) != NULL;
}

/* Look closely at the variables from the first one on. */
static void
request_vars_check(struct request *rq, unsigned first)
{
	for (unsigned i = first; i < rq->nvars; i++) {
		if (request_name_is_bad(request_var_name(&rq->var[i])))
			(void)request_refuse(rq, WEFT_BAD_INPUT, "a variable's name with '=' or control bytes");
		if (request_value_is_bad(request_var_value(&rq->var[i])))
			(void)request_refuse(rq, WEFT_BAD_INPUT, "a header with NUL, CR or LF");
	}
}

/* ---- taking them in ---- */

static enum weft_rc
request_vars_too_many(struct request *rq)
{
	return request_refuse(rq, WEFT_TOO_LARGE, "too many or too large request headers");
}

/* Make room for one more variable.  Returns -1 when memory is refused, or there are REQUEST_VARS_MAX. */
static int
request_vars_grow(struct request *rq)
{
	unsigned size = rq->vars_size == 0 ? REQUEST_VARS_FIRST : rq->vars_size * 2;
	struct request_var *var;

	if (size > REQUEST_VARS_MAX)
		size = REQUEST_VARS_MAX;
	var = rq->nvars == size ? NULL : arena_alloc(&rq->arena, size * sizeof *var);
	if (var == NULL)
		return -1;
	if (rq->nvars > 0)
		memcpy(var, rq->var, rq->nvars * sizeof *var);
	rq->var = var;
	rq->vars_size = size;
	return 0;
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

/* Make room for a variable.  Returns where the array ends, *var its next place; NULL when there is none. */
static struct request_var *
request_vars_room(struct request *rq, struct request_var **var)
{
	rq->nvars = (unsigned)(*var - rq->var);
	if (rq->nvars == rq->vars_size && request_vars_grow(rq) != 0) {
		(void)request_vars_too_many(rq);
		return NULL;
	}
	*var = rq->var + rq->nvars;
	return rq->var + rq->vars_size;
}

/*
 * Cut the pairs between at and end, which are our own copy with REQUEST_VEC bytes behind it.  A length that
 * was read is overwritten with bytes that are not suspicious.
 * Returns WEFT_OK; WEFT_INVALID when they end within a pair; WEFT_TOO_LARGE.
 */
static enum weft_rc
request_vars_cut(struct request *rq, char *at, const char *end, request_vec *suspect)
{
	struct request_var *var = rq->var + rq->nvars, *full = rq->var + rq->vars_size;
	size_t name, value, lengths, left;
	request_vec found = *suspect;
	enum weft_rc rc = WEFT_OK;

	for (; (left = (size_t)(end - at)) > 0; at += name + value) {
		lengths = fcgi_param_lengths((struct span){ at, left }, &name, &value);
		rc = lengths == 0 || left - lengths < name || left - lengths - name < value ? WEFT_INVALID : WEFT_OK;
		if (rc != WEFT_OK)
			break;
		memset(at, 0xff, 2);
		if (lengths > 2)
			memset(at + 2, 0xff, lengths - 2);
		at += lengths;
		if (name == 0)
			continue;
		found |= request_suspect_name(at, name);
		if (var == full && (full = request_vars_room(rq, &var)) == NULL)
			return WEFT_TOO_LARGE;
		var->name = at;
		var->name_len = (uint32_t)name;
		var->value_len = (uint32_t)value;
		var++;
	}
	rq->nvars = (unsigned)(var - rq->var);
	*suspect = found;
	return rc;
}

/* End the values, and count them: behind each there is room by now. */
static void
request_vars_terminate(struct request *rq, unsigned first)
{
	size_t bytes = 0, len;

	for (unsigned i = first; i < rq->nvars; i++) {
		len = (size_t)rq->var[i].name_len + rq->var[i].value_len;
		((char *)rq->var[i].name)[len] = '\0';
		bytes += len;
	}
	rq->vars_bytes += bytes;
}

enum weft_rc
request_vars_take(struct request *rq, struct span params)
{
	request_vec suspect;
	unsigned first = rq->nvars;
	enum weft_rc rc;
	char *text;

	if (params.len > REQUEST_VARS_BYTES_MAX - rq->vars_bytes || (text = request_text_room(rq, params.len + REQUEST_VEC)) == NULL) {
		(void)request_vars_too_many(rq);
		return WEFT_OK;
	}
	if (params.len > 0)
		memcpy(text, params.at, params.len);
	memset(text + params.len, 0xff, REQUEST_VEC);
	suspect = (request_vec){ 0 };
	rc = request_vars_cut(rq, text, text + params.len, &suspect);
	suspect |= request_suspect_bytes(text, text + params.len);
	request_vars_terminate(rq, first);
	if (request_is_suspect(suspect))
		request_vars_check(rq, first);
	return rc == WEFT_INVALID ? rc : WEFT_OK;
}

enum weft_rc
request_var_add(struct request *rq, struct span name, struct span value)
{
	unsigned first = rq->nvars;
	char *text;

	if (name.len > REQUEST_VARS_BYTES_MAX - rq->vars_bytes || value.len > REQUEST_VARS_BYTES_MAX - rq->vars_bytes - name.len)
		return request_vars_too_many(rq);
	text = request_text_room(rq, name.len + value.len + 1);
	if (text == NULL)
		return request_vars_too_many(rq);
	memcpy(text, name.at, name.len);
	if (value.len > 0)
		memcpy(text + name.len, value.at, value.len);
	if (name.len == 0)
		return WEFT_OK;
	if (rq->nvars == rq->vars_size && request_vars_grow(rq) != 0)
		return request_vars_too_many(rq);
	rq->var[rq->nvars++] = (struct request_var){ text, (uint32_t)name.len, (uint32_t)value.len };
	request_vars_terminate(rq, first);
	request_vars_check(rq, first);
	return WEFT_OK;
}

/* ---- finding them ---- */

static const struct request_var *
request_find(const struct request *rq, struct span name)
{
	for (unsigned i = 0; i < rq->nvars; i++)
		if (rq->var[i].name_len == name.len && memcmp(rq->var[i].name, name.at, name.len) == 0)
			return &rq->var[i];
	return NULL;
}

const char *
request_var(const struct request *rq, struct span name)
{
	const struct request_var *v = request_find(rq, name);

	return v == NULL ? NULL : request_var_value(v).at;
}

struct span
request_value(const struct request *rq, struct span name)
{
	const struct request_var *v = request_find(rq, name);

	return v == NULL ? (struct span){ "", 0 } : request_var_value(v);
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
		if (v->name_len == len + 5 && memcmp(v->name, "HTTP_", 5) == 0
		    && request_name_equals(v->name + 5, name, len))
			return request_var_value(v).at;
	}
	return NULL;
}
