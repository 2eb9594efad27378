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

/* ---- deadlines ---- */

/* Keep where the running fiber was when its waits were ended.  Returns NULL when they were not. */
static struct app_late *
fail_keep_late(struct weft_request *rq, const char *pool)
{
	struct fiber_late wait;

	if (!fiber_is_late(fiber_self(), &wait))
		return NULL;
	if (rq->late == NULL)
		rq->late = arena_zalloc(&rq->rq.arena, sizeof *rq->late);
	if (rq->late == NULL || (rq->late->wait.why != WAIT_NONE && rq->late->wait.why != WAIT_FIBER))
		return rq->late;
	rq->late->wait = wait;
	rq->late->pool = wait.why == WAIT_POOL || wait.why == WAIT_REDIS || wait.why == WAIT_SQL || wait.why == WAIT_HTTP ||
	    wait.why == WAIT_MESSAGE ? pool : NULL;
	return rq->late;
}

/* Returns " waited=sql pool=db for=1203ms"; "" for a request that is in time. */
static const char *
fail_where(const struct weft_request *rq, char *to, size_t size)
{
	const struct app_late *late = rq->late;

	to[0] = '\0';
	if (late != NULL)
		snprintf(to, size, " waited=%s%s%s for=%lldms",
		    late->wait.why == WAIT_POOL ? "queue" : wait_why_name(late->wait.why), late->pool == NULL ? "" : " pool=",
		    late->pool == NULL ? "" : late->pool, (long long)(late->wait.length / USEC_PER_MSEC));
	return to;
}

static void
fail_log(struct weft_request *rq, int status)
{
	char where[160];

	log_info("request failed status=%d route=\"%s\" fault=\"%s%s%s\"%s result=\"%s\"", status, fiber_label(rq->rq.fiber),
	    fail_code(rq), fail_code(rq)[0] == '\0' ? "" : " ", fail_text(rq), fail_where(rq, where, sizeof where),
	    fail_words(rq->fault_rc));
	if (rq->late != NULL)
		rq->late->is_told = true;
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

/* Is anything to be sent in place of what there is?  Not for an error of the handler's own. */
static bool
fail_is_unanswered(const struct response *rs)
{
	return rs->state == RESPONSE_OPEN && (rs->status < 400 || rs->failed != WEFT_OK);
}

/* Messages have no end of their own: where they are sent on as they come, the deadline is it, and nothing has failed. */
static bool
fail_is_end_of_events(const struct weft_request *rq)
{
	return rq->late->wait.why == WAIT_MESSAGE && rq->rq.response.state == RESPONSE_STREAMING;
}

static void
fail_answer_late(struct weft_request *rq)
{
	struct response *rs = &rq->rq.response;
	struct fiber_late own;

	if (!fiber_is_late(rq->rq.fiber, &own) || own.rc != WEFT_TIMEOUT)
		return;
	if (rq->fault_rc != WEFT_TIMEOUT) {
		fail_begin(rq, WEFT_TIMEOUT, 0, NULL);
		fault_set(rq->fault, WEFT_TIMEOUT, NULL, "the deadline of the request has passed");
	}
	if (fail_is_unanswered(rs))
		fail_answer_last(rq);
	else if (!rq->late->is_told && !fail_is_end_of_events(rq))
		fail_log(rq, rs->was_aborted ? 0 : rs->status);
}

/*
 * Its waits have been ended for long, and the handler goes on waiting, or a function of weft_spawn's does: nobody knows until
 * when, so its client gets an answer now.  From here on it is as if the client had left.
 */
static void
fail_answer_for(struct weft_request *rq)
{
	struct response *rs = &rq->rq.response;

	rq->late->is_answered = true;
	log_warn("a handler goes on waiting though it was told to end route=\"%s\"", fiber_label(fiber_self()));
	if (rs->state == RESPONSE_STREAMING)
		response_abort(rs);
	fail_answer_late(rq);
	response_finish(rs);
	body_fail(&rq->rq.body, WEFT_CANCELED);
}

/* A failure has been noted: is it the end of the request? */
static void
fail_look(struct weft_request *rq, const char *pool)
{
	const struct app_late *late = fail_keep_late(rq, rq->fault_rc == WEFT_TIMEOUT || rq->fault_rc == WEFT_CANCELED ? pool : NULL);
	struct fiber_late now;

	if (late == NULL)
		return;
	/* The request itself may be in a section that is held from its deadline, and wait for this fiber there. */
	if (!late->is_answered && fiber_is_late(fiber_self(), &now) && now.is_obstinate && fiber_is_late(rq->rq.fiber, &now))
		fail_answer_for(rq);
	/* Not all that fails then has tried to wait: who only looks at it again and again is slowed down all the same. */
	(void)!fiber_may_wait(WAIT_SLEEP);
}

void
fail_end_late(struct weft_request *rq)
{
	const struct app_late *late = fail_keep_late(rq, NULL);

	if (late != NULL && !late->is_answered)
		fail_answer_late(rq);
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
	fail_look(rq, NULL);
	return rc;
}

int
fail_note_fault(struct weft_request *rq, const struct fault *fault, const char *pool)
{
	fail_begin(rq, fault->rc, 0, pool);
	if (rq->fault != NULL)
		*rq->fault = *fault;
	fail_look(rq, pool);
	return fault->rc;
}

int
fail_note_call(struct weft_request *rq, const struct weft_call *call)
{
	fail_begin(rq, call->call.rc, call->status, call->call.pool == NULL ? call->pool : pool_name(call->call.pool));
	if (rq->fault != NULL)
		*rq->fault = call->fault;
	fail_look(rq, rq->fault_pool);
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

/* weft_fail() of no call that failed: of a write, about which only the response knows, or of nothing.  Returns its result. */
static enum weft_rc
fail_note_unsaid(struct weft_request *rq)
{
	const struct response *rs = &rq->rq.response;
	enum weft_rc rc = rs->failed != WEFT_OK ? rs->failed : rs->ops == NULL ? WEFT_CANCELED : WEFT_INVALID;

	fail_begin(rq, rc, 0, NULL);
	if (rs->failed == WEFT_OK && rs->ops != NULL)
		fault_set(rq->fault, rc, NULL, "weft_fail() was called, but no call had failed that it could answer for");
	else
		fault_set(rq->fault, rc, NULL, "the answer could not be written: %s", fail_words(rc));
	return rc;
}

int
fail_answer_last(struct weft_request *rq)
{
	enum weft_rc rc = rq->fault_rc;
	int status = rq->fault_status != 0 ? rq->fault_status : fail_status(rc);
	char text[160];

	if (rc == WEFT_OK) {
		rc = fail_note_unsaid(rq);
		status = fail_status(rc);
	}
	if (rq->fault_pool != NULL)
		snprintf(text, sizeof text, "%d %s: %s: %s", status, cgi_reason(status), rq->fault_pool, fail_words(rc));
	else
		snprintf(text, sizeof text, "%d %s", status, cgi_reason(status));
	if (rc != WEFT_CANCELED)
		fail_log(rq, status);
	return fail_answer(rq, status, text);
}
