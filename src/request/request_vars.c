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

/* ---- copying, and finding what may not be there: all bytes of all requests pass here, so both at once and eight at a time ---- */

#define REQUEST_ONES (UINT64_MAX / 255)

static inline uint64_t
request_copy_word(char *to, const char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof word);
	memcpy(to, &word, sizeof word);
	return word;
}

/* Copy one to seven bytes.  Returns a word that holds them and nothing else, some of them twice. */
static inline uint64_t
request_copy_short(char *to, struct span s)
{
	const unsigned char *at = (const unsigned char *)s.at;
	uint32_t low, high;

	if (s.len >= sizeof low) {
		memcpy(&low, s.at, sizeof low);
		memcpy(&high, s.at + s.len - sizeof high, sizeof high);
		memcpy(to, &low, sizeof low);
		memcpy(to + s.len - sizeof high, &high, sizeof high);
		return (uint64_t)high << 32 | low;
	}
	low = (uint32_t)at[0] << 16 | (uint32_t)at[s.len / 2] << 8 | at[s.len - 1];
	to[0] = s.at[0];
	to[s.len / 2] = s.at[s.len / 2];
	to[s.len - 1] = s.at[s.len - 1];
	return (uint64_t)low << 40 | (uint64_t)low << 16 | at[0] * 257u;
}

/* The high bit of the lowest byte that is below n, which is at most 128, is set; other high bits above it may be. */
static inline uint64_t
request_word_below(uint64_t word, unsigned n)
{
	return (word - REQUEST_ONES * n) & ~word;
}

/* A value is suspect when a byte is not above CR: NUL, CR and LF are not. */
static inline uint64_t
request_suspect_value(uint64_t word)
{
	return request_word_below(word, '\r' + 1);
}

/* A name holds neither '=' nor a control byte. */
static inline uint64_t
request_suspect_name(uint64_t word)
{
	return request_word_below(word, ' ') | request_word_below(word ^ REQUEST_ONES * '=', 1);
}

/* Copy to *at and behind it, terminated.  Returns whether the test found something. */
static inline bool
request_text_copy(char **at, struct span s, uint64_t (*test)(uint64_t word))
{
	char *to = *at;
	uint64_t found = 0;
	size_t i;

	to[s.len] = '\0';
	*at = to + s.len + 1;
	if (s.len >= sizeof found) {
		for (i = 0; i + sizeof found < s.len; i += sizeof found)
			found |= test(request_copy_word(to + i, s.at + i));
		/* The last eight, some of them again. */
		found |= test(request_copy_word(to + s.len - sizeof found, s.at + s.len - sizeof found));
	} else if (s.len > 0) {
		found = test(request_copy_short(to, s));
	}
	return (found & REQUEST_ONES << 7) != 0;
}

static bool
request_value_is_bad(struct span value)
{
	return memchr(value.at, '\0', value.len) != NULL || memchr(value.at, '\r', value.len) != NULL
	    || memchr(value.at, '\n', value.len) != NULL;
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
	var = request_var_room(rq);
	text = request_text_room(rq, name.len + value.len + 2);
	if (var == NULL || text == NULL)
		return request_refuse(rq, WEFT_TOO_LARGE, "too many or too large request headers");
	var->name = (struct span){ text, name.len };
	if (request_text_copy(&text, name, request_suspect_name))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "a variable's name with '=' or control bytes");
	var->value = (struct span){ text, value.len };
	if (request_text_copy(&text, value, request_suspect_value) && request_value_is_bad(value))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "a header with NUL, CR or LF");
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
