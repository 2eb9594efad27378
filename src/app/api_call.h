/* SPDX-License-Identifier: ISC */
#ifndef APP_API_CALL_H
#define APP_API_CALL_H

/* What the files of the exported API share about calls (api_back.c has it, api_lease.c and api_script.c use it); nobody else includes it. */

#include <stdarg.h>
#include <stddef.h>

#include <weft/weft.h>

#include "back/call.h"

/* Begin a call, in memory of the caller's. */
void api_call_init(struct weft_call *c, struct weft_request *rq, enum call_kind kind);

/* It is done before it was sent: what is the %s of fmt. */
void api_call_fail(struct weft_call *c, enum weft_rc rc, const char *fmt, const char *what);

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
