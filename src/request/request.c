/* SPDX-License-Identifier: ISC */
/*
 * A request's variables and its life.
 *
 * Variables are kept in the order in which they came and searched one by one:
 * there are 30 of them, nearly all searches end at the length, and no client
 * can make a table slow that is not there.  Each is copied once, into the
 * arena, which begins in the fiber's own room.
 *
 * Nothing of a client is refused while variables come in: the request becomes
 * bad, keeps the first reason, and is answered like any other.
 */
#include "request/request.h"

#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "wire/cgi_head.h"
#include "wire/urlencoded.h"

enum { REQUEST_VARS_FIRST = 40, REQUEST_LABEL_MAX = 96 };

#define REQUEST_ALIGN _Alignof(max_align_t)

static const struct request_conf request_default = {
	.room = REQUEST_ROOM,
	.arena_max = (size_t)64 << 20,
	.body_max = 16ULL << 20,
	.body_memory = 65536,
	.timeout = 60 * USEC_PER_SEC,
};

#define REQUEST_CONF(conf, member) ((conf)->member != 0 ? (conf)->member : request_default.member)

struct request *
request_new(const struct request_conf *conf, const struct sink_ops *ops, void *sink)
{
	size_t size = conf->struct_size == 0 ? sizeof(struct request) : conf->struct_size;
	size_t room = REQUEST_CONF(conf, room);
	struct fiber *f;
	struct request *rq;

	must(size >= sizeof *rq);
	size = (size + REQUEST_ALIGN - 1) & ~(REQUEST_ALIGN - 1);
	if (room < size)
		room = size;
	f = fiber_new(conf->fibers, room);
	if (f == NULL)
		return NULL;
	rq = fiber_room(f);
	memset(rq, 0, size);
	rq->fiber = f;
	rq->conf = conf;
	rq->begin = fiber_sched_now(conf->fibers);
	rq->method = "";
	rq->path = SPAN("/");
	arena_init(&rq->arena, (char *)rq + size, room - size, REQUEST_CONF(conf, arena_max));
	response_init(&rq->response, &rq->arena, ops, sink, false);
	body_init(&rq->body, 0, 0, 0);
	return rq;
}

/* The first reason stays. */
static enum weft_rc
request_refuse(struct request *rq, enum weft_rc rc, const char *text)
{
	if (rq->bad == WEFT_OK) {
		rq->bad = rc;
		rq->bad_text = text;
	}
	return rc;
}

/* True when a byte of the value may be one of NUL, CR, LF; tabs make it say so too.  Eight bytes at a time: all values of all requests pass here. */
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
		bad |= name.at[i] == '=' || name.at[i] == '\0';
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

/* Text needs no alignment: thirty times the padding of arena_alloc would not fit into the room any more. */
static char *
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
		(void)request_refuse(rq, WEFT_BAD_INPUT, "a variable's name with '=' or NUL");
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

/* The variable's value; empty when there is none. */
static struct span
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
	for (v = rq->var; v != rq->var + rq->nvars; v++)
		if (v->name.len == len + 5 && memcmp(v->name.at, "HTTP_", 5) == 0
		    && request_name_equals(v->name.at + 5, name, len))
			return v->value.at;
	return NULL;
}

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
request_length(struct request *rq)
{
	struct span text = request_value(rq, SPAN("CONTENT_LENGTH"));
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
request_find_method(struct request *rq)
{
	struct span method = request_value(rq, SPAN("REQUEST_METHOD"));

	if (method.len > REQUEST_METHOD_MAX || !cgi_name_is_valid(method))
		(void)request_refuse(rq, WEFT_BAD_INPUT, "REQUEST_METHOD is no method");
	else
		rq->method = method.at;
	rq->response.no_body = strcmp(rq->method, "HEAD") == 0;
}

/* "GET /path" for the log; printable, for it is also written to stderr as it is when the stack overflows. */
static void
request_label(struct request *rq)
{
	size_t method = strlen(rq->method), len = method + 1 + rq->path.len;
	char *label, c;

	if (len >= REQUEST_LABEL_MAX)
		len = REQUEST_LABEL_MAX - 1;
	label = request_text_room(rq, len + 1);
	if (label == NULL)
		return;
	memcpy(label, rq->method, method);
	label[method] = ' ';
	for (size_t i = method + 1; i < len; i++) {
		c = rq->path.at[i - method - 1];
		label[i] = c > 0x20 && c < 0x7f ? c : '?';
	}
	label[len] = '\0';
	fiber_set_label(rq->fiber, label);
}

void
request_ready(struct request *rq)
{
	const struct request_conf *conf = rq->conf;
	struct span uri = request_value(rq, SPAN("REQUEST_URI"));

	request_find_method(rq);
	rq->path = uri.len > 0 ? request_uri_path(uri) : request_cgi_path(rq);
	body_init(&rq->body, request_length(rq), REQUEST_CONF(conf, body_max), REQUEST_CONF(conf, body_memory));
	request_label(rq);
	timeline_begin(&rq->timeline, conf->ring, rq->method, rq->path, rq->begin);
	if (conf->ring != NULL)
		fiber_set_trace(rq->fiber, timeline_wait, &rq->timeline);
	fiber_set_deadline(rq->fiber, clock_add(rq->begin, REQUEST_CONF(conf, timeout)));
}

void
request_fini(struct request *rq)
{
	struct response *rs = &rq->response;

	if (rs->state != RESPONSE_DONE)
		response_abort(rs);
	fiber_set_trace(rq->fiber, NULL, NULL);
	fiber_set_label(rq->fiber, NULL);
	timeline_end(&rq->timeline, rs->was_aborted ? 0 : (unsigned)rs->status, fiber_sched_now(fiber_sched(rq->fiber)));
	body_fini(&rq->body);
	arena_fini(&rq->arena);
}

void
request_drop(struct request **rp)
{
	struct request *rq = *rp;
	struct fiber *f = rq->fiber;

	*rp = NULL;
	response_detach(&rq->response);
	rq->response.state = RESPONSE_DONE;
	request_fini(rq);
	fiber_drop(&f);
}

void
request_start(struct request *rq, void (*fn)(void *rq))
{
	fiber_start(rq->fiber, fn, rq);
}

void
request_gone(struct request *rq)
{
	response_detach(&rq->response);
	body_fail(&rq->body, WEFT_CANCELED);
	fiber_cancel(rq->fiber);
}

void
request_wake_writer(struct request *rq)
{
	response_wake(&rq->response);
}
