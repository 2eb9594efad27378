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
response_refuse(struct span what, const char *why)
{
	log_error("%s: response: %.*s: %s", response_label(), what.len < 100 ? (int)what.len : 100, what.at, why);
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
		return response_refuse(SPAN("status"), "the head is sent already");
	if (status < 200 || status > 599)
		return response_refuse(SPAN("status"), "not in 200..599");
	if (reason != NULL && !cgi_value_is_valid(span_str(reason)))
		return response_refuse(SPAN("status"), "control bytes in the reason");
	if (reason != NULL && (copy = arena_strdup(rs->arena, span_str(reason))) == NULL)
		return WEFT_SYSTEM;
	rs->status = status;
	rs->reason = copy;
	rs->status_set = true;
	return WEFT_OK;
}

/* Nearly all names differ in their lengths already, and most that do not are written as we do. */
static bool
response_name_is(struct span name, struct span other)
{
	return span_equal(name, other) || (name.len == other.len && strncasecmp(name.at, other.at, name.len) == 0);
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
	return name.len >= 6 && name.at[5] == '-' && response_name_is((struct span){ name.at, 6 }, SPAN("Proxy-"));
}

/* Returns why the field may not be set, NULL when it may. */
static const char *
response_objection(const struct response *rs, struct span name, struct span value)
{
	if (rs->state != RESPONSE_OPEN)
		return "the head is sent already";
	if (!span_equal(name, SPAN("Content-Type"))) {	/* the one that is always set */
		if (!cgi_name_is_valid(name))
			return "not a header's name";
		if (response_owns(name))
			return "this header is the server's own (for the status: weft_status)";
	}
	if (!cgi_value_is_valid(value))
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

static struct span
response_field_name(const struct response_field *f)
{
	return (struct span){ f->line, f->name };
}

static struct response_field *
response_find(const struct response *rs, struct span name)
{
	struct response_field *f = rs->fields;

	while (f != NULL && !response_name_is(response_field_name(f), name))
		f = f->next;
	return f;
}

static void
response_remove(struct response *rs, struct span name)
{
	struct response_field **p = &rs->fields;

	while (*p != NULL) {
		if (response_name_is(response_field_name(*p), name))
			*p = (*p)->next;
		else
			p = &(*p)->next;
	}
	rs->last = p;
}

static enum weft_rc
response_append(struct response *rs, struct span name, struct span value)
{
	size_t len = name.len + value.len + 4;
	struct response_field *f = arena_alloc(rs->arena, sizeof *f + len);
	char *to;

	if (f == NULL)
		return WEFT_SYSTEM;
	f->next = NULL;
	f->name = name.len;
	f->len = len;
	to = f->line;
	memcpy(to, name.at, name.len);
	memcpy(to + name.len, ": ", 2);
	memcpy(to + name.len + 2, value.at, value.len);
	memcpy(to + name.len + 2 + value.len, "\r\n", 2);
	*rs->last = f;
	rs->last = &f->next;
	return WEFT_OK;
}

static enum weft_rc
response_announce(struct response *rs, struct span name, const char *value)
{
	long long n = value == NULL ? -1 : response_length(value);

	if (n < 0 && value != NULL)
		return response_refuse(name, "not a length");
	rs->announced = n;
	return WEFT_OK;
}

enum weft_rc
response_set(struct response *rs, const char *name, const char *value)
{
	struct span n = span_str(name), v = value == NULL ? SPAN("") : span_str(value);
	const char *why = response_objection(rs, n, v);

	if (why != NULL)
		return response_refuse(n, why);
	if (response_name_is(n, SPAN("Content-Length")))
		return response_announce(rs, n, value);
	response_remove(rs, n);
	return value == NULL ? WEFT_OK : response_append(rs, n, v);
}

enum weft_rc
response_add(struct response *rs, const char *name, const char *value)
{
	struct span n = span_str(name), v = value == NULL ? SPAN("") : span_str(value);
	const char *why = response_objection(rs, n, v);

	if (why == NULL && value == NULL)
		why = "no value";
	if (why != NULL)
		return response_refuse(n, why);
	if (response_name_is(n, SPAN("Content-Length")))
		return rs->announced >= 0 ? response_refuse(n, "set twice") : response_announce(rs, n, value);
	if ((response_name_is(n, SPAN("Content-Type")) || response_name_is(n, SPAN("Location"))) && response_find(rs, n) != NULL)
		return response_refuse(n, "set twice");
	return response_append(rs, n, v);
}

/* The bytes of the head while they are put together; over: the field that did not fit. */
struct response_bytes {
	char *at;
	size_t len;
	struct span over;
};

/* A line, which begins with a name of so many bytes. */
static void
response_line(struct response_bytes *b, struct span line, size_t name)
{
	/* Room for the empty line stays. */
	if (line.len + 2 > RESPONSE_HEAD_MAX - b->len) {
		if (b->over.at == NULL)
			b->over = (struct span){ line.at, name };
		return;
	}
	memcpy(b->at + b->len, line.at, line.len);
	b->len += line.len;
}

static void
response_line_status(struct response_bytes *b, const struct response *rs)
{
	struct span reason = span_str(rs->reason == NULL ? cgi_reason(rs->status) : rs->reason);
	char head[] = "Status: 200 ";

	if (rs->status == 200 && rs->reason == NULL) {
		response_line(b, SPAN("Status: 200 OK\r\n"), 6);
		return;
	}
	head[8] = (char)('0' + rs->status / 100);
	head[9] = (char)('0' + rs->status / 10 % 10);
	head[10] = (char)('0' + rs->status % 10);
	response_line(b, (struct span){ head, sizeof head - 1 }, 6);
	response_line(b, reason, 0);
	response_line(b, SPAN("\r\n"), 0);
	if (b->over.at != NULL)
		b->over = SPAN("Status");
}

static void
response_line_length(struct response_bytes *b, unsigned long long length)
{
	char digits[24], *at = digits + sizeof digits;

	*--at = '\n';
	*--at = '\r';
	do
		*--at = (char)('0' + length % 10);
	while ((length /= 10) > 0);
	response_line(b, SPAN("Content-Length: "), 14);
	response_line(b, (struct span){ at, (size_t)(digits + sizeof digits - at) }, 0);
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
	struct response_bytes b = { bytes, 0, { NULL, 0 } };
	bool has_type = false, bodiless;
	long long length;

	if (!rs->status_set && response_find(rs, SPAN("Location")) != NULL)
		rs->status = 302;
	bodiless = response_is_bodiless(rs);
	length = bodiless ? -1 : response_known_length(rs, body, more);
	response_line_status(&b, rs);
	for (const struct response_field *f = rs->fields; f != NULL; f = f->next) {
		bool is_type = response_name_is(response_field_name(f), SPAN("Content-Type"));

		has_type = has_type || is_type;
		if (!is_type || !bodiless)
			response_line(&b, (struct span){ f->line, f->len }, f->name);
	}
	if (!has_type && !bodiless && (more == SINK_MORE || body > 0 || rs->written > 0))
		response_line(&b, SPAN("Content-Type: application/octet-stream\r\n"), 12);
	if (length >= 0)
		response_line_length(&b, (unsigned long long)length);
	if (b.over.at != NULL) {
		(void)response_refuse(b.over, "with this field the head is over 8192 bytes");
		return WEFT_TOO_LARGE;
	}
	memcpy(b.at + b.len, "\r\n", 2);
	*out = (struct span){ b.at, b.len + 2 };
	return WEFT_OK;
}
