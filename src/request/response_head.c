/* SPDX-License-Identifier: ISC */
/*
 * The head of a response: which fields a handler may set, and the bytes that
 * are made of them.  What is refused here never reaches the wire: a web server
 * in front passes nearly everything on, so a header with a line feed in it, or
 * two lengths, would be the client's problem.
 */
#include "request/response_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "fiber/fiber.h"
#include "request/response.h"
#include "wire/cgi_head.h"

const char *
response_label(void)
{
	struct fiber *f = fiber_self();

	return f == NULL ? "no fiber" : fiber_label(f);
}

/* Who wrote this handler wants to know; the client learns nothing. */
static enum weft_rc
response_refuse(const char *what, const char *why)
{
	log_error("%s: response: %.100s: %s", response_label(), what, why);
	return WEFT_INVALID;
}

bool
response_is_bodiless(const struct response *rs)
{
	return rs->status == 204 || rs->status == 304 || (rs->is_verdict && rs->status == 200);
}

enum weft_rc
response_status(struct response *rs, int status, const char *reason)
{
	char *copy = NULL;

	if (rs->state != RESPONSE_OPEN)
		return response_refuse("status", "the head is sent already");
	if (status < 200 || status > 599)
		return response_refuse("status", "not in 200..599");
	if (reason != NULL && !cgi_value_is_valid(span_str(reason)))
		return response_refuse("status", "control bytes in the reason");
	if (reason != NULL && (copy = arena_strdup(rs->arena, span_str(reason))) == NULL)
		return WEFT_SYSTEM;
	rs->status = status;
	rs->reason = copy;
	rs->status_set = true;
	return WEFT_OK;
}

/* Nearly all names differ in their lengths already. */
static bool
response_name_is(struct span name, struct span other)
{
	return name.len == other.len && strncasecmp(name.at, other.at, name.len) == 0;
}

/* CGI has no connection, and the framing of the body is the web server's. */
static bool
response_owns(struct span name)
{
	static const struct span own[] = {
		{ "Status", 6 }, { "Connection", 10 }, { "Transfer-Encoding", 17 }, { "Keep-Alive", 10 },
		{ "Upgrade", 7 }, { "Trailer", 7 },
	};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (response_name_is(name, own[i]))
			return true;
	return name.len >= 6 && response_name_is((struct span){ name.at, 6 }, SPAN("Proxy-"));
}

/* Returns why the field may not be set, NULL when it may. */
static const char *
response_objection(const struct response *rs, struct span name, const char *value)
{
	if (rs->state != RESPONSE_OPEN)
		return "the head is sent already";
	if (!cgi_name_is_valid(name))
		return "not a header's name";
	if (response_owns(name))
		return "this header is the server's own (for the status: weft_status)";
	if (value != NULL && !cgi_value_is_valid(span_str(value)))
		return "control bytes in the value";
	return NULL;
}

/* Returns the number, -1 when the text is not 1 to 18 digits. */
static long long
response_length(const char *text)
{
	long long n = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18 || text[digits] != '\0')
		return -1;
	for (; *text != '\0'; text++)
		n = n * 10 + (*text - '0');
	return n;
}

static struct response_field *
response_find(const struct response *rs, const char *name)
{
	struct response_field *f = rs->fields;

	while (f != NULL && strcasecmp(f->name, name) != 0)
		f = f->next;
	return f;
}

static void
response_remove(struct response *rs, const char *name)
{
	struct response_field **p = &rs->fields;

	while (*p != NULL) {
		if (strcasecmp((*p)->name, name) == 0)
			*p = (*p)->next;
		else
			p = &(*p)->next;
	}
	rs->last = p;
}

static enum weft_rc
response_append(struct response *rs, struct span name, struct span value)
{
	struct response_field *f = arena_alloc(rs->arena, sizeof *f + name.len + value.len + 2);
	char *text;

	if (f == NULL)
		return WEFT_SYSTEM;
	text = (char *)(f + 1);
	memcpy(text, name.at, name.len + 1);
	memcpy(text + name.len + 1, value.at, value.len + 1);
	*f = (struct response_field){ NULL, text, text + name.len + 1 };
	*rs->last = f;
	rs->last = &f->next;
	return WEFT_OK;
}

enum weft_rc
response_set(struct response *rs, const char *name, const char *value)
{
	struct span span = span_str(name);
	const char *why = response_objection(rs, span, value);
	long long n;

	if (why != NULL)
		return response_refuse(name, why);
	if (response_name_is(span, SPAN("Content-Length"))) {
		n = value == NULL ? -1 : response_length(value);
		if (n < 0 && value != NULL)
			return response_refuse(name, "not a length");
		rs->announced = n;
		return WEFT_OK;
	}
	response_remove(rs, name);
	return value == NULL ? WEFT_OK : response_append(rs, span, span_str(value));
}

enum weft_rc
response_add(struct response *rs, const char *name, const char *value)
{
	const char *why = response_objection(rs, span_str(name), value);

	if (why == NULL && value == NULL)
		why = "no value";
	if (why != NULL)
		return response_refuse(name, why);
	if (strcasecmp(name, "Content-Length") == 0)
		return rs->announced >= 0 ? response_refuse(name, "set twice") : response_set(rs, name, value);
	if ((strcasecmp(name, "Content-Type") == 0 || strcasecmp(name, "Location") == 0)
	    && response_find(rs, name) != NULL)
		return response_refuse(name, "set twice");
	return response_append(rs, span_str(name), span_str(value));
}

/* The bytes of the head while they are put together; over: the field that did not fit. */
struct response_bytes {
	char *at;
	size_t len;
	const char *over;
};

static void
response_line(struct response_bytes *b, const char *name, struct span value)
{
	size_t n = strlen(name);
	char *to = b->at + b->len;

	/* Room for the empty line stays. */
	if (n + value.len + 4 + 2 > RESPONSE_HEAD_MAX - b->len) {
		if (b->over == NULL)
			b->over = name;
		return;
	}
	memcpy(to, name, n);
	memcpy(to + n, ": ", 2);
	memcpy(to + n + 2, value.at, value.len);
	memcpy(to + n + 2 + value.len, "\r\n", 2);
	b->len += n + value.len + 4;
}

static void
response_line_status(struct response_bytes *b, const struct response *rs)
{
	const char *reason = rs->reason == NULL ? cgi_reason(rs->status) : rs->reason;
	size_t n = strlen(reason);
	char *to = b->at;

	if (n + sizeof "Status: 200 \r\n" + 2 > RESPONSE_HEAD_MAX) {
		b->over = "Status";
		return;
	}
	memcpy(to, "Status: ", 8);
	to[8] = (char)('0' + rs->status / 100);
	to[9] = (char)('0' + rs->status / 10 % 10);
	to[10] = (char)('0' + rs->status % 10);
	to[11] = ' ';
	memcpy(to + 12, reason, n);
	memcpy(to + 12 + n, "\r\n", 2);
	b->len = n + 14;
}

static void
response_line_length(struct response_bytes *b, unsigned long long length)
{
	char digits[24], *at = digits + sizeof digits;

	do
		*--at = (char)('0' + length % 10);
	while ((length /= 10) > 0);
	response_line(b, "Content-Length", (struct span){ at, (size_t)(digits + sizeof digits - at) });
}

/* Returns the length to name, -1 when there is none or it is not known. */
static long long
response_known_length(const struct response *rs, size_t body, enum sink_more more)
{
	if (rs->announced >= 0)
		return rs->announced;
	if (more == SINK_MORE)
		return -1;
	/* A handler that wrote nothing for HEAD may have left its body out: its length is not known. */
	if (rs->no_body)
		return rs->written > 0 ? (long long)rs->written : -1;
	return (long long)body;
}

enum weft_rc
response_head(struct response *rs, size_t body, enum sink_more more, struct span *out)
{
	/* A thread builds one head at a time, and sends it at once.  Not on the fiber's stack, whose pages stay. */
	static _Thread_local char bytes[RESPONSE_HEAD_MAX];
	struct response_bytes b = { .at = bytes };
	bool has_type = false, bodiless;
	long long length;

	if (!rs->status_set && response_find(rs, "Location") != NULL)
		rs->status = 302;
	bodiless = response_is_bodiless(rs);
	length = bodiless ? -1 : response_known_length(rs, body, more);
	response_line_status(&b, rs);
	for (const struct response_field *f = rs->fields; f != NULL; f = f->next) {
		bool is_type = response_name_is(span_str(f->name), SPAN("Content-Type"));

		has_type = has_type || is_type;
		if (!is_type || !bodiless)
			response_line(&b, f->name, span_str(f->value));
	}
	if (!has_type && !bodiless && (more == SINK_MORE || body > 0 || rs->written > 0))
		response_line(&b, "Content-Type", SPAN("application/octet-stream"));
	if (length >= 0)
		response_line_length(&b, (unsigned long long)length);
	if (b.over != NULL) {
		(void)response_refuse(b.over, "with this field the head is over 8192 bytes");
		return WEFT_TOO_LARGE;
	}
	memcpy(b.at + b.len, "\r\n", 2);
	*out = (struct span){ b.at, b.len + 2 };
	return WEFT_OK;
}
