/* SPDX-License-Identifier: ISC */
/* The exported API: the answer, its errors, and the log. */
#include <weft/weft.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/fail.h"
#include "base/log.h"
#include "wire/html.h"

int
weft_status(struct weft_request *rq, int status, const char *reason)
{
	return response_status(&rq->rq.response, status, reason);
}

int
weft_set_header(struct weft_request *rq, const char *name, const char *value)
{
	return response_set(&rq->rq.response, name, value);
}

int
weft_add_header(struct weft_request *rq, const char *name, const char *value)
{
	return response_add(&rq->rq.response, name, value);
}

int
weft_set_variable(struct weft_request *rq, const char *name, const char *value)
{
	const char *header;

	if (rq->rq.role != REQUEST_AUTHORIZER) {
		log_error("%s: weft_set_variable: only an authorizer sets variables", fiber_label(rq->rq.fiber));
		return WEFT_INVALID;
	}
	if (name[0] == '\0') {
		log_error("%s: weft_set_variable: a name is missing", fiber_label(rq->rq.fiber));
		return WEFT_INVALID;
	}
	header = arena_printf(&rq->rq.arena, "Variable-%s", name);
	return header == NULL ? WEFT_SYSTEM : (int)response_set(&rq->rq.response, header, value);
}

int
weft_write(struct weft_request *rq, const void *bytes, size_t len)
{
	return response_write(&rq->rq.response, (struct span){ bytes, len });
}

int
weft_puts(struct weft_request *rq, const char *text)
{
	return response_write(&rq->rq.response, span_str(text));
}

int
weft_printf(struct weft_request *rq, const char *fmt, ...)
{
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = response_vprintf(&rq->rq.response, fmt, ap);
	va_end(ap);
	return rc;
}

int
weft_html(struct weft_request *rq, const char *text)
{
	struct span in = span_str(text);
	enum weft_rc rc = WEFT_OK;

	while (in.len > 0 && rc == WEFT_OK)
		rc = response_write(&rq->rq.response, html_next(&in));
	return rc;
}

int
weft_flush(struct weft_request *rq)
{
	return response_flush(&rq->rq.response);
}

int
weft_redirect(struct weft_request *rq, int status, const char *location)
{
	struct response *rs = &rq->rq.response;
	enum weft_rc rc;

	switch (status) {
	case 301: case 302: case 303: case 307: case 308:
		break;
	default:
		return WEFT_INVALID;
	}
	if (location == NULL)
		return WEFT_INVALID;
	rc = response_clear(rs);
	if (rc == WEFT_OK)
		rc = response_status(rs, status, NULL);
	if (rc == WEFT_OK)
		rc = response_set(rs, "Location", location);
	return rc;
}

int
weft_error(struct weft_request *rq, int status, const char *text)
{
	return fail_answer(rq, status, text);
}

int
weft_fail(struct weft_request *rq)
{
	return fail_answer_last(rq);
}

static int
api_json_write(const char *bytes, size_t len, void *rs)
{
	return response_write(rs, (struct span){ bytes, len }) == WEFT_OK ? 0 : -1;
}

int
weft_json(struct weft_request *rq, const struct json_t *value)
{
	struct response *rs = &rq->rq.response;
	enum weft_rc rc = response_set(rs, "Content-Type", "application/json");

	if (rc != WEFT_OK || json_dump_callback(value, api_json_write, rs, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		return rc;
	if (rs->failed != WEFT_OK)
		return rs->failed;
	if (rs->ops == NULL)
		return WEFT_CANCELED;
	/* What it has written is no answer. */
	rs->failed = WEFT_INVALID;
	return fail_note(rq, WEFT_INVALID, 0, "weft_json: a value that is no JSON");
}

int
weft_fault(const struct weft_request *rq)
{
	return rq->fault_rc;
}

const char *
weft_fault_code(const struct weft_request *rq)
{
	return fail_code(rq);
}

const char *
weft_fault_text(const struct weft_request *rq)
{
	return fail_text(rq);
}

const char *
weft_strerror(int rc)
{
	return fail_words((enum weft_rc)rc);
}

void
weft_log(struct weft_request *rq, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_info("%s: %s", fiber_label(rq->rq.fiber), text);
}

int
weft_stderr(struct weft_request *rq, const void *bytes, size_t len)
{
	return response_log(&rq->rq.response, (struct span){ bytes, len });
}
