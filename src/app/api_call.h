/* SPDX-License-Identifier: ISC */
#ifndef APP_API_CALL_H
#define APP_API_CALL_H

/* What the files of the exported API share about calls; nobody else includes it. */

#include <stdarg.h>
#include <stddef.h>

#include <weft/weft.h>

#include "back/call.h"

/* ---- api_call.c ---- */

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

/* ---- api_wait.c ---- */

/* Returns when so many milliseconds have passed from now; negative ones: now. */
usec api_until(const struct weft_request *rq, long ms);

/* ---- api_back.c, for api_lease.c and api_script.c ---- */

/* Set what is asked of Redis.  On failure the call is done. */
void api_redis_vformat(struct weft_call *c, const char *fmt, va_list ap);

/* Send one command of n words to a pool and wait for it.  Returns how it ended, of which nothing is noted in the request. */
enum weft_rc api_redis_ask(struct weft_call *c, struct weft_request *rq, const char *pool, const struct weft_value *word, size_t n);

/*
 * Set the statement and its values, which are borrowed; room, for WEFT_SQL_PARAMS_MAX values or n, lives as long as the call.
 * On failure the call is done.
 */
void api_sql_take(struct weft_call *c, const char *sql, struct value *room, const struct weft_value *value, size_t n);

/* As api_sql_take, with n struct weft_value in ap. */
void api_sql_args(struct weft_call *c, const char *sql, struct value *room, int n, va_list ap);

#endif
