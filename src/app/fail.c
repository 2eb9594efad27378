/* SPDX-License-Identifier: ISC */
#include "app/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "base/log.h"
#include "wire/cgi_head.h"

static const struct {
	int status;
	const char *words;
} fail_table[] = {
	[WEFT_OK] = { 200, "ok" },
	[WEFT_NOT_SENT] = { 503, "could not be reached" },
	[WEFT_UNKNOWN] = { 503, "connection lost, outcome unknown" },
	[WEFT_REFUSED] = { 500, "refused the request" },
	[WEFT_TIMEOUT] = { 504, "no answer in time" },
	[WEFT_CANCELED] = { 503, "cancelled" },
	[WEFT_BUSY] = { 503, "too busy" },
	[WEFT_DOWN] = { 503, "down" },
	[WEFT_INVALID] = { 500, "asked for something invalid" },
	[WEFT_TOO_LARGE] = { 500, "over a limit" },
	[WEFT_SYSTEM] = { 500, "out of memory or descriptors" },
	[WEFT_BAD_INPUT] = { 400, "malformed request" },
	[WEFT_GAP] = { 503, "messages may have been lost" },
};

static int
fail_known(enum weft_rc rc)
{
	return (size_t)rc < sizeof fail_table / sizeof fail_table[0];
}

int
fail_status(enum weft_rc rc)
{
	return fail_known(rc) ? fail_table[rc].status : 500;
}

const char *
fail_words(enum weft_rc rc)
{
	return fail_known(rc) ? fail_table[rc].words : "unknown result";
}

/* Another failure, of which nothing is said yet.  Most requests have none, so the place for its text is made for the first. */
static void
fail_begin(struct weft_request *rq, enum weft_rc rc, int status, const char *pool)
{
	rq->fault_rc = rc;
	rq->fault_status = status;
	rq->fault_pool = pool;
	if (rq->fault == NULL)
		rq->fault = arena_alloc(&rq->rq.arena, sizeof *rq->fault);
}

int
fail_note(struct weft_request *rq, enum weft_rc rc, int status, const char *fmt, ...)
{
	char text[sizeof rq->fault->text];
	va_list ap;

	/* First: the arguments may be of the failure before. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fail_begin(rq, rc, status, NULL);
	fault_set(rq->fault, rc, NULL, "%s", text);
	return rc;
}

int
fail_note_fault(struct weft_request *rq, const struct fault *fault, const char *pool)
{
	fail_begin(rq, fault->rc, 0, pool);
	if (rq->fault != NULL)
		*rq->fault = *fault;
	return fault->rc;
}

int
fail_note_call(struct weft_request *rq, const struct weft_call *call)
{
	fail_begin(rq, call->call.rc, call->status, call->call.pool == NULL ? call->pool : pool_name(call->call.pool));
	if (rq->fault != NULL)
		*rq->fault = call->fault;
	return call->call.rc;
}

const char *
fail_code(const struct weft_request *rq)
{
	return rq->fault == NULL ? "" : rq->fault->code;
}

const char *
fail_text(const struct weft_request *rq)
{
	return rq->fault == NULL ? "" : rq->fault->text;
}

int
fail_answer(struct weft_request *rq, int status, const char *text)
{
	struct response *rs = &rq->rq.response;

	if (response_clear(rs) != WEFT_OK) {
		/* Part of an answer is out: nobody may take it for the whole. */
		response_abort(rs);
		return WEFT_OK;
	}
	if (response_status(rs, status, NULL) != WEFT_OK && response_status(rs, 500, NULL) != WEFT_OK)
		return WEFT_OK;
	if (response_set(rs, "Content-Type", "text/plain; charset=utf-8") != WEFT_OK ||
	    response_set(rs, "Cache-Control", "no-store") != WEFT_OK ||
	    (status == 503 && response_set(rs, "Retry-After", "1") != WEFT_OK) ||
	    response_write(rs, span_str(text)) != WEFT_OK || response_write(rs, SPAN("\n")) != WEFT_OK)
		log_debug("error answer not written status=%d", status);
	return WEFT_OK;
}

int
fail_answer_last(struct weft_request *rq)
{
	enum weft_rc rc = rq->fault_rc;
	int status = rq->fault_status != 0 ? rq->fault_status : fail_status(rc);
	char text[160];

	if (rc == WEFT_OK)
		status = 500;
	if (rq->fault_pool != NULL)
		snprintf(text, sizeof text, "%d %s: %s: %s", status, cgi_reason(status), rq->fault_pool, fail_words(rc));
	else
		snprintf(text, sizeof text, "%d %s", status, cgi_reason(status));
	if (rc != WEFT_CANCELED)
		log_info("request failed status=%d route=\"%s\" fault=\"%s%s%s\"", status, fiber_label(rq->rq.fiber),
		    fail_code(rq), fail_code(rq)[0] == '\0' ? "" : " ", fail_text(rq));
	return fail_answer(rq, status, text);
}
