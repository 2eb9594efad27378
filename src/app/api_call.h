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

/* Returns the words for that no pool has this name, and for which there are; in the request's memory. */
const char *api_no_pool(struct weft_request *rq, const char *name);

/* Is it too late to send anything?  The call is done then: what nobody will wait for is not sent. */
bool api_call_is_late(struct weft_call *c, struct pool *p);

/* Wait for it.  Returns its result; a failure is noted for weft_fail(). */
int api_finish(struct weft_request *rq, struct weft_call *c);

/* ---- api_wait.c ---- */

/* Returns when so many milliseconds have passed from now; negative ones: now. */
usec api_until(const struct weft_request *rq, long ms);

/* ---- api_back.c, for api_lease.c, api_script.c and api_stream.c ---- */

/* Set what is asked of Redis.  On failure the call is done. */
void api_redis_vformat(struct weft_call *c, const char *fmt, va_list ap);

/* Send one command of n words to a pool and wait for it.  Returns how it ended, of which nothing is noted in the request. */
enum weft_rc api_redis_ask(struct weft_call *c, struct weft_request *rq, const char *pool, const struct weft_value *word, size_t n);

/*
 * Set the statement and its values, which are borrowed; room, for WEFT_SQL_PARAMS_MAX values, lives as long as the call.
 * More than these are put in the request's memory.  On failure the call is done.
 */
void api_sql_take(struct weft_call *c, const char *sql, struct value *room, const struct weft_value *value, size_t n);

/* As api_sql_take, with n struct weft_value in ap, WEFT_SQL_PARAMS_MAX at most; room may be for n only. */
void api_sql_args(struct weft_call *c, const char *sql, struct value *room, int n, va_list ap);

/* ---- api_lease.c, for api_stream.c ---- */

/* Returns the pool of that name; NULL after having noted that there is none. */
struct pool *api_lease_find_pool(struct weft_request *rq, const char *name);

/* Borrow a connection.  Returns it; NULL after having filled the fault. */
struct weft_lease *api_lease_new(struct weft_request *rq, struct pool *p, struct fault *fault);

/* Give it back. */
void api_lease_end(struct weft_lease *l);

/* Begin a call on it, or fail it where none can be made: of this stream while there is one, else with NULL. */
void api_lease_call_init(struct weft_lease *l, struct weft_call *c, enum call_kind kind, const struct weft_stream *stream);

/* Fail a statement that has no place in weft_begin's transaction. */
void api_lease_check_sql(const struct weft_lease *l, struct weft_call *c);

/* Send what was made of api_lease_call_init, unless it has failed, and wait for it.  Returns how it ended, of which nothing is noted. */
enum weft_rc api_lease_wait(struct weft_lease *l, struct weft_call *c);

#endif
