/* SPDX-License-Identifier: ISC */
/*
 * Paths are checked twice: what a value may not become is seen while it is put in, and the whole once more when it is
 * there, which also finds what several values make together.  Dots are not encoded, since servers take "%2e" for a
 * dot: a segment "." or ".." is refused in either form.
 */
#include "back/http/httptext.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- characters ---- */

static bool
http_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
http_is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
http_is_unreserved(char c)
{
	return http_is_alnum(c) || http_is_one_of(c, "-._~");
}

static bool
http_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

bool
http_is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_is_alnum(s.at[i]) && !http_is_one_of(s.at[i], "!#$%&'*+-.^_`|~"))
			return false;
	return s.len > 0;
}

/* ---- encoding ---- */

/* Text that grows in the caller's bytes, until it is full. */
struct http_text {
	char *at;
	size_t len, size;
	bool is_full;
};

static void
http_text_add(struct http_text *t, char c)
{
	if (t->len == t->size)
		t->is_full = true;
	else
		t->at[t->len++] = c;
}

static void
http_text_encode(struct http_text *t, const char *text, const char *keep)
{
	static const char digit[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (http_is_unreserved(*text) || http_is_one_of(*text, keep)) {
			http_text_add(t, *text);
			continue;
		}
		http_text_add(t, '%');
		http_text_add(t, digit[c >> 4]);
		http_text_add(t, digit[c & 15]);
	}
}

bool
http_encode(char *out, size_t size, const char *text, const char *keep)
{
	struct http_text t = { .at = out, .size = size - 1 };

	http_text_encode(&t, text, keep);
	out[t.len] = '\0';
	return !t.is_full;
}

/* ---- the path ---- */

static enum weft_rc
http_bad(const char **why, const char *what)
{
	*why = what;
	return WEFT_INVALID;
}

/* Is a segment of the path "." or "..", with its dots encoded or not? */
static bool
http_is_dots(struct span segment)
{
	unsigned dots = 0;

	while (segment.len > 0 && dots < 3) {
		size_t n = segment.at[0] == '.' ? 1 : 0;

		if (n == 0 && segment.len >= 3 && segment.at[0] == '%' && segment.at[1] == '2' && (segment.at[2] | 0x20) == 'e')
			n = 3;
		if (n == 0)
			return false;
		segment = span_skip(segment, n);
		dots++;
	}
	return dots == 1 || dots == 2;
}

enum weft_rc
http_target_check(const char *target, const char **why)
{
	size_t len = target == NULL ? 0 : strlen(target);
	struct span path;

	if (len == 0 || target[0] != '/')
		return http_bad(why, "a path begins with '/'");
	if (len > HTTP_TARGET_MAX)
		return http_bad(why, "the path is too long");
	for (size_t i = 0; i < len; i++) {
		if (target[i] == '%' && (!http_is_hex(target[i + 1]) || !http_is_hex(target[i + 2])))
			return http_bad(why, "a '%' in the path that encodes nothing");
		if (!http_is_unreserved(target[i]) && !http_is_one_of(target[i], "%/?:@!$&'()*+,;="))
			return http_bad(why, "a byte in the path that has to be encoded");
	}
	path = (struct span){ target + 1, strcspn(target, "?") - 1 };
	while (path.len > 0)
		if (http_is_dots(span_take(&path, '/')))
			return http_bad(why, "a segment \".\" or \"..\" in the path");
	return WEFT_OK;
}

/* A number, after its length: '\0', 'l', 'L' for ll, 'z'. */
static void
http_text_number(struct http_text *t, char length, bool is_signed, va_list *ap)
{
	char number[24];

	if (is_signed)
		snprintf(number, sizeof number, "%lld", length == 'L' ? va_arg(*ap, long long) : length == 'l' ? va_arg(*ap, long) :
		    length == 'z' ? (long long)va_arg(*ap, ptrdiff_t) : va_arg(*ap, int));
	else
		snprintf(number, sizeof number, "%llu", length == 'L' ? va_arg(*ap, unsigned long long) : length == 'l' ?
		    va_arg(*ap, unsigned long) : length == 'z' ? (unsigned long long)va_arg(*ap, size_t) : va_arg(*ap, unsigned));
	http_text_encode(t, number, "");
}

/* Put the conversion behind a '%' at *fmt in; is_path: before any '?'.  Returns NULL, or what is wrong. */
static const char *
http_text_convert(struct http_text *t, const char **fmt, bool is_path, va_list *ap)
{
	const char *f = *fmt, *text;
	char length = f[0] == 'z' ? 'z' : f[0] != 'l' ? '\0' : f[1] == 'l' ? 'L' : 'l';

	f += length == 'L' ? 2 : length != '\0';
	*fmt = f + 1;
	if (*f == 'd' || *f == 'i' || *f == 'u') {
		http_text_number(t, length, *f != 'u', ap);
		return NULL;
	}
	if (length == '\0' && *f == '%') {
		http_text_add(t, '%');
		return NULL;
	}
	if (length != '\0' || *f != 's')
		return "a conversion that is not one of %s %d %u %ld %lu %lld %llu %zu %%";
	text = va_arg(*ap, const char *);
	if (text == NULL)
		text = "";
	/* "/item/%s" with nothing would be another thing: all items. */
	if (is_path && text[0] == '\0' && t->len > 0 && t->at[t->len - 1] == '/' && (f[1] == '\0' || http_is_one_of(f[1], "/?")))
		return "a segment of the path is empty by what is put in";
	http_text_encode(t, text, "");
	return NULL;
}

enum weft_rc
http_target_vformat(struct arena *a, const char **out, const char **why, const char *fmt, va_list ap)
{
	static _Thread_local char room[HTTP_TARGET_MAX + 1];	/* not on a fiber's stack */
	struct http_text t = { .at = room, .size = sizeof room - 1 };
	const char *wrong = NULL;
	bool is_path = true;
	va_list again;

	va_copy(again, ap);
	while (*fmt != '\0' && wrong == NULL && !t.is_full) {
		char c = *fmt++;

		if (c == '%') {
			wrong = http_text_convert(&t, &fmt, is_path, &again);
			continue;
		}
		is_path = is_path && c != '?';
		http_text_add(&t, c);
	}
	va_end(again);
	if (wrong != NULL || t.is_full)
		return http_bad(why, wrong != NULL ? wrong : "the path is too long");
	room[t.len] = '\0';
	if (http_target_check(room, why) != WEFT_OK)
		return WEFT_INVALID;
	*out = arena_strdup(a, (struct span){ room, t.len });
	if (*out != NULL)
		return WEFT_OK;
	*why = "no memory for the path";
	return WEFT_SYSTEM;
}

enum weft_rc
http_target_format(struct arena *a, const char **out, const char **why, const char *fmt, ...)
{
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = http_target_vformat(a, out, why, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- the rest ---- */

enum weft_rc
http_field_check(const struct http_field *f, const char **why)
{
	/* What frames the request, belongs to the connection, or says whom it is for. */
	static const char *const ours[] = { "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
		"Proxy-Connection", "Proxy-Authorization", "Upgrade", "HTTP2-Settings", "TE", "Trailer", "Expect" };

	if (f->name == NULL || f->value == NULL || !http_is_token(span_str(f->name)))
		return http_bad(why, "a header without a name or a value, or with a name that cannot be");
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcasecmp(f->name, ours[i]) == 0)
			return http_bad(why, "a header that is the server's to set (Host, Content-Length, Connection …)");
	for (const char *c = f->value; *c != '\0'; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return http_bad(why, "a control byte in the value of a header");
	return WEFT_OK;
}

static bool
http_method_is(const char *method, const char *const *set, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(method, set[i]) == 0)
			return true;
	return false;
}

static enum weft_rc
http_method_check(const char *method, const char **why)
{
	static const char *const never[] = { "CONNECT", "TRACE" };

	if (method == NULL || !http_is_token(span_str(method)) || strlen(method) > HTTP_METHOD_MAX)
		return http_bad(why, "a method that cannot be");
	if (http_method_is(method, never, sizeof never / sizeof *never))
		return http_bad(why, "the methods CONNECT and TRACE are not for this");
	return WEFT_OK;
}

enum weft_rc
http_ask_check(const struct http_ask *ask, const char **why)
{
	if (http_method_check(ask->method, why) != WEFT_OK || http_target_check(ask->target, why) != WEFT_OK)
		return WEFT_INVALID;
	if (ask->nfields > HTTP_ASK_FIELDS_MAX)
		return http_bad(why, "too many headers");
	for (unsigned i = 0; i < ask->nfields; i++)
		if (http_field_check(&ask->field[i], why) != WEFT_OK)
			return WEFT_INVALID;
	if (ask->redirects > HTTP_REDIRECTS_MAX)
		return http_bad(why, "more than 5 redirects");
	if (ask->body.at != NULL && strcmp(ask->method, "HEAD") == 0)
		return http_bad(why, "HEAD with a body");
	return WEFT_OK;
}

bool
http_ask_is_idempotent(const struct http_ask *ask)
{
	static const char *const safe[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE" };

	return ask->is_idempotent || http_method_is(ask->method, safe, sizeof safe / sizeof *safe);
}
