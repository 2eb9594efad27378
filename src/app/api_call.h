/* SPDX-License-Identifier: ISC */
#ifndef APP_API_CALL_H
#define APP_API_CALL_H

/* What all functions share that ask a pool. */

#include "back/call.h"

struct weft_call;
struct weft_request;

/* Begin a call of the request, in the caller's memory. */
void api_call_init(struct weft_call *c, struct weft_request *rq, enum call_kind kind);

/* Begin one in the request's memory, which is given up at the request's end unless it was waited for.  NULL: no memory. */
struct weft_call *api_keep(struct weft_request *rq, enum call_kind kind);

/* The call cannot be made: it is done.  fmt has one %s, for what. */
void api_call_fail(struct weft_call *c, enum weft_rc rc, const char *fmt, const char *what);

/* Hand a call to the pool of that name, unless it is done already. */
void api_submit(struct weft_call *c, const char *name);

/* Wait for it.  Returns its result; a failure is noted for weft_fail(). */
int api_finish(struct weft_request *rq, struct weft_call *c);

#endif
