/* SPDX-License-Identifier: ISC */
#ifndef APP_FAIL_H
#define APP_FAIL_H

/* From a result to an answer: which HTTP status, and what a client is told. */

#include <weft/rc.h>

struct fault;
struct weft_call;
struct weft_request;

/* Returns the HTTP status for a result: 503, 504, 500, … */
int fail_status(enum weft_rc rc);

/* Returns the words for a result.  Static. */
const char *fail_words(enum weft_rc rc);

/* Note that something failed in the request, for weft_fail().  status 0: after rc.  Returns rc. */
int fail_note(struct weft_request *rq, enum weft_rc rc, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Note a fault, of a pool by that name.  Returns its result. */
int fail_note_fault(struct weft_request *rq, const struct fault *fault, const char *pool);

/* Note the fault of a pool's call that failed.  Returns its result. */
int fail_note_call(struct weft_request *rq, const struct weft_call *call);

/* Returns the back end's own code of the failure noted last, and what was said of it; "" where there is none. */
const char *fail_code(const struct weft_request *rq);
const char *fail_text(const struct weft_request *rq);

/* Answer with a plain text; what was written and not sent is dropped.  A response that has begun is aborted.  Returns WEFT_OK. */
int fail_answer(struct weft_request *rq, int status, const char *text);

/* Answer to the last failure noted in the request: weft_fail().  Returns WEFT_OK. */
int fail_answer_last(struct weft_request *rq);

/*
 * The handler has returned.  Where the deadline has ended one of its waits and nothing is sent yet, the answer is 504, unless
 * the handler has made an error of its own.  The log says where it waited.  Nothing for a request that is in time.
 */
void fail_end_late(struct weft_request *rq);

#endif
