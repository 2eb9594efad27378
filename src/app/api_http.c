/* SPDX-License-Identifier: ISC */
/*
 * The exported API: HTTP services.  A call that is waited for at once borrows what the handler's ask points to; one that is
 * begun, and a stream, have copies, since they go on when the handler does.
 */
#include <weft/weft.h>

#include <limits.h>
#include <string.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "back/http/http_head.h"
#include "back/http/http_stream.h"
#include "back/http/httptext.h"

_Static_assert((int)HTTP_REDIRECTS_MAX == 5, "as weft.h says");

/* ---- what is asked ---- */

static const char *
api_http_vpath(struct weft_call *c, const char *fmt, va_list ap)
{
	const char *path = NULL, *why = NULL;
	enum weft_rc rc = http_target_vformat(c->call.arena, &path, &why, fmt, ap);

	if (rc == WEFT_OK)
		return path;
	api_call_fail(c, rc, "%s", why);
	return NULL;
}

/* The headers as the back layer has them, in the arena. */
static const struct http_field *
api_http_fields(struct weft_call *c, const struct weft_http_ask *ask)
{
	struct http_field *field = ask->nheader > HTTP_ASK_FIELDS_MAX ? NULL : arena_alloc(c->call.arena, ask->nheader * sizeof *field);

	for (size_t i = 0; field != NULL && i < ask->nheader; i++)
		field[i] = (struct http_field){ ask->header[i].name, ask->header[i].value };
	return field;
}

/* Take the handler's ask; on failure the call is done. */
static void
api_http_take(struct weft_call *c, struct http_ask *out, const struct weft_http_ask *ask)
{
	*out = (struct http_ask){
		.method = ask->method == NULL ? "GET" : ask->method,
		.target = ask->path,
		.body = { ask->body, ask->body_len },
		.body_max = ask->max_body,
		.redirects = ask->follow,
		.is_idempotent = (ask->flags & WEFT_HTTP_IDEMPOTENT) != 0,
		.wants_decoding = (ask->flags & WEFT_HTTP_DECOMPRESS) != 0,
	};
	if ((ask->flags & ~(unsigned)(WEFT_HTTP_IDEMPOTENT | WEFT_HTTP_DECOMPRESS)) != 0)
		api_call_fail(c, WEFT_INVALID, "%s", "a flag that this version does not know");
	for (size_t i = 0; i < sizeof ask->reserved / sizeof *ask->reserved; i++)
		if (ask->reserved[i] != NULL)
			api_call_fail(c, WEFT_INVALID, "%s", "a member of the ask that this version does not know");
	if (ask->path == NULL)
		api_call_fail(c, WEFT_INVALID, "%s", "no path, or one that could not be made");
	if (ask->nheader == 0)
		return;
	out->field = api_http_fields(c, ask);
	out->nfields = (unsigned)ask->nheader;
	if (out->field == NULL)
		api_call_fail(c, ask->nheader > HTTP_ASK_FIELDS_MAX ? WEFT_INVALID : WEFT_SYSTEM, "%s", "too many headers, or no memory for them");
}

/* Copy a string, and note when that fails. */
static const char *
api_http_copy(struct arena *a, const char *text, bool *ok)
{
	const char *copy = text == NULL ? NULL : arena_strdup(a, span_str(text));

	*ok = *ok && (text == NULL || copy != NULL);
	return copy;
}

/* Have copies of all that the handler may change from now on. */
static void
api_http_keep(struct weft_call *c, struct http_ask *ask)
{
	struct http_field *field = (struct http_field *)ask->field;
	struct arena *a = c->call.arena;
	bool ok = true;

	if (c->call.state == CALL_DONE)
		return;
	ask->method = api_http_copy(a, ask->method, &ok);
	ask->target = api_http_copy(a, ask->target, &ok);
	for (unsigned i = 0; i < ask->nfields; i++) {
		field[i].name = api_http_copy(a, field[i].name, &ok);
		field[i].value = api_http_copy(a, field[i].value, &ok);
	}
	if (ask->body.at != NULL) {
		ask->body.at = arena_strdup(a, ask->body);
		ok = ok && ask->body.at != NULL;
	}
	if (!ok)
		api_call_fail(c, WEFT_SYSTEM, "%s: out of memory", "request");
}

/* ---- one request, one answer ---- */

static void
api_http_submit(struct weft_call *c, const struct http_ask *ask, const char *pool)
{
	c->call.ask = ask;
	c->call.idempotent = c->call.state != CALL_DONE && ask->method != NULL && http_ask_is_idempotent(ask);
	api_submit(c, pool);
}

static int
api_http_finish(struct weft_request *rq, struct weft_call *c, struct weft_http **answer)
{
	int rc = api_finish(rq, c);

	if (answer != NULL)
		*answer = rc == WEFT_OK ? c->call.http : NULL;
	return rc;
}

int
weft_http(struct weft_request *rq, const char *pool, struct weft_http **answer, const char *method, const char *path, ...)
{
	struct http_ask ask = { .method = method };
	struct weft_call c;
	va_list ap;

	api_call_init(&c, rq, CALL_HTTP);
	va_start(ap, path);
	ask.target = api_http_vpath(&c, path, ap);
	va_end(ap);
	api_http_submit(&c, &ask, pool);
	return api_http_finish(rq, &c, answer);
}

struct weft_call *
weft_http_start(struct weft_request *rq, const char *pool, const char *method, const char *path, ...)
{
	struct weft_call *c = api_keep(rq, CALL_HTTP);
	struct http_ask *ask = c == NULL ? NULL : arena_zalloc(&rq->rq.arena, sizeof *ask);
	va_list ap;

	if (c == NULL)
		return NULL;
	if (ask == NULL) {
		api_call_fail(c, WEFT_SYSTEM, "%s: out of memory", "request");
		return c;
	}
	ask->method = method;
	va_start(ap, path);
	ask->target = api_http_vpath(c, path, ap);
	va_end(ap);
	api_http_keep(c, ask);
	api_http_submit(c, ask, pool);
	return c;
}

int
weft_http_send(struct weft_request *rq, const char *pool, struct weft_http **answer, const struct weft_http_ask *ask)
{
	struct http_ask own;
	struct weft_call c;

	api_call_init(&c, rq, CALL_HTTP);
	api_http_take(&c, &own, ask);
	api_http_submit(&c, &own, pool);
	return api_http_finish(rq, &c, answer);
}

struct weft_call *
weft_http_send_start(struct weft_request *rq, const char *pool, const struct weft_http_ask *ask)
{
	struct weft_call *c = api_keep(rq, CALL_HTTP);
	struct http_ask *own = c == NULL ? NULL : arena_alloc(&rq->rq.arena, sizeof *own);

	if (c == NULL)
		return NULL;
	if (own == NULL) {
		api_call_fail(c, WEFT_SYSTEM, "%s: out of memory", "request");
		return c;
	}
	api_http_take(c, own, ask);
	api_http_keep(c, own);
	api_http_submit(c, own, pool);
	return c;
}

struct weft_http *
weft_call_http(const struct weft_call *call)
{
	return call == NULL || call->call.state != CALL_DONE || call->call.rc != WEFT_OK ? NULL : call->call.http;
}

const char *
weft_http_path(struct weft_request *rq, const char *path, ...)
{
	const char *out = NULL, *why = NULL;
	enum weft_rc rc;
	va_list ap;

	va_start(ap, path);
	rc = http_target_vformat(&rq->rq.arena, &out, &why, path, ap);
	va_end(ap);
	if (rc == WEFT_OK)
		return out;
	fail_note(rq, rc, 0, "weft_http_path: %s", why);
	return NULL;
}

/* ---- answers ---- */

int
weft_http_status(const struct weft_http *answer)
{
	return answer == NULL ? 0 : answer->status;
}

const char *
weft_http_header(const struct weft_http *answer, const char *name)
{
	return answer == NULL ? NULL : http_answer_find(answer, name);
}

int
weft_http_header_at(const struct weft_http *answer, size_t n, const char **name, const char **value)
{
	if (answer == NULL || n >= answer->nfields)
		return WEFT_INVALID;
	*name = answer->field[n].name;
	*value = answer->field[n].value;
	return WEFT_OK;
}

const char *
weft_http_body(const struct weft_http *answer, size_t *len)
{
	if (len != NULL)
		*len = answer == NULL ? 0 : answer->body.len;
	return answer == NULL ? NULL : answer->body.at;
}

/* ---- streams ---- */

static void
api_http_on_end(void *arg)
{
	weft_http_close(*(struct weft_http **)arg);
}

int
weft_http_open(struct weft_request *rq, const char *pool, struct weft_http **stream, const struct weft_http_ask *ask)
{
	struct http_ask *own = arena_alloc(&rq->rq.arena, sizeof *own);
	struct weft_http **kept = arena_zalloc(&rq->rq.arena, sizeof *kept);
	struct weft_call c;
	int rc;

	*stream = NULL;
	/* Before anything is open that would have to be closed. */
	if (own == NULL || kept == NULL || weft_defer(rq, api_http_on_end, kept) != WEFT_OK)
		return fail_note(rq, WEFT_SYSTEM, 0, "weft_http_open: out of memory");
	api_call_init(&c, rq, CALL_HTTP);
	api_http_take(&c, own, ask);
	own->wants_stream = true;
	api_http_keep(&c, own);
	api_http_submit(&c, own, pool);
	rc = api_http_finish(rq, &c, stream);
	*kept = *stream;
	return rc;
}

static long
api_http_read_failed(struct weft_request *rq, const struct http_stream *s, enum weft_rc rc)
{
	if (s == NULL) {
		fail_note(rq, rc, 0, "weft_http_read: this is no stream: weft_http_open() makes one");
		return -1;
	}
	fail_note(rq, rc, 0, "pool %s: %s", s->pool, s->fault.rc == rc ? s->fault.text : fail_words(rc));
	rq->fault_pool = s->pool;
	return -1;
}

long
weft_http_read(struct weft_request *rq, struct weft_http *stream, void *buf, size_t size)
{
	struct http_stream *s = stream == NULL ? NULL : stream->stream;
	enum weft_rc rc = WEFT_INVALID;
	size_t got = 0;

	if (s != NULL)
		rc = http_stream_read(s, buf, size < LONG_MAX ? size : LONG_MAX, &got);
	if (rc == WEFT_OK)
		return (long)got;
	return api_http_read_failed(rq, s, rc);
}

void
weft_http_close(struct weft_http *stream)
{
	if (stream != NULL && stream->stream != NULL)
		http_stream_close(stream->stream);
}
