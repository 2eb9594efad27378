/* SPDX-License-Identifier: ISC */
/*
 * The exported API: Redis and SQL.  A call that is waited for at once lives on
 * the fiber's stack; one that is begun and waited for later, in the arena.
 */
#include <weft/weft.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_call.h"
#include "app/app.h"
#include "back/reply.h"
#include "back/rows.h"
#include "back/sqltext.h"

_Static_assert((int)WEFT_REPLY_ARRAY == (int)REPLY_ARRAY && (int)WEFT_REPLY_TEXT == (int)REPLY_TEXT,
    "one numbering of replies");

/* ---- Redis ---- */

static void
api_redis_ask(struct weft_call *c, const char *pool, const char *fmt, va_list ap)
{
	enum weft_rc rc = redis_command_vformat(c->call.arena, fmt, ap, &c->call.redis);

	if (rc != WEFT_OK)
		api_call_fail(c, rc, "command \"%s\" cannot be made", fmt);
	api_submit(c, pool);
}

static int
api_redis_finish(struct weft_request *rq, struct weft_call *c, struct weft_reply **reply)
{
	int rc = api_finish(rq, c);

	if (reply != NULL)
		*reply = rc == WEFT_OK ? c->call.reply : NULL;
	return rc;
}

int
weft_redis(struct weft_request *rq, const char *pool, struct weft_reply **reply, const char *fmt, ...)
{
	struct weft_call c;
	va_list ap;

	api_call_init(&c, rq, CALL_REDIS);
	va_start(ap, fmt);
	api_redis_ask(&c, pool, fmt, ap);
	va_end(ap);
	return api_redis_finish(rq, &c, reply);
}

/* The bytes of a word.  at is NULL when memory for a number is refused. */
static struct span
api_redis_word(struct arena *a, const struct weft_value *v)
{
	char *number;

	if (v->type != 1 && v->type != 2)
		return (struct span){ v->len == 0 ? "" : v->bytes, v->len };
	number = arena_alloc(a, SQL_REAL_MAX);
	if (number == NULL)
		return (struct span){ NULL, 0 };
	if (v->type == 1)
		return (struct span){ number, (size_t)snprintf(number, SQL_REAL_MAX, "%lld", v->integer) };
	sql_real(v->real, number);
	return span_str(number);
}

static enum weft_rc
api_redis_words(struct call *call, const struct weft_value *word, size_t n)
{
	struct span *argv = n > SIZE_MAX / sizeof *argv ? NULL : arena_alloc(call->arena, n * sizeof *argv);

	for (size_t i = 0; argv != NULL && i < n; i++) {
		argv[i] = api_redis_word(call->arena, &word[i]);
		if (argv[i].at == NULL)
			argv = NULL;
	}
	return argv == NULL ? WEFT_SYSTEM : redis_command_args(call->arena, n, argv, &call->redis);
}

int
weft_redis_values(struct weft_request *rq, const char *pool, struct weft_reply **reply, const struct weft_value *word, size_t n)
{
	struct weft_call c;
	enum weft_rc rc;

	api_call_init(&c, rq, CALL_REDIS);
	rc = api_redis_words(&c.call, word, n);
	if (rc != WEFT_OK)
		api_call_fail(&c, rc, "a command %s", rc == WEFT_INVALID ? "without words" : "that memory is refused for");
	api_submit(&c, pool);
	return api_redis_finish(rq, &c, reply);
}

struct weft_call *
weft_redis_start(struct weft_request *rq, const char *pool, const char *fmt, ...)
{
	struct weft_call *c = api_keep(rq, CALL_REDIS);
	va_list ap;

	if (c == NULL)
		return NULL;
	va_start(ap, fmt);
	api_redis_ask(c, pool, fmt, ap);
	va_end(ap);
	return c;
}

struct weft_reply *
weft_call_reply(const struct weft_call *call)
{
	return call == NULL || call->call.state != CALL_DONE || call->call.rc != WEFT_OK ? NULL : call->call.reply;
}

enum weft_reply_type
weft_reply_type(const struct weft_reply *reply)
{
	return reply == NULL ? WEFT_REPLY_NIL : (enum weft_reply_type)reply->kind;
}

const char *
weft_reply_text(const struct weft_reply *reply, size_t *len)
{
	if (len != NULL)
		*len = 0;
	if (reply == NULL || (reply->kind != REPLY_TEXT && reply->kind != REPLY_STATUS && reply->kind != REPLY_ERROR))
		return NULL;
	if (len != NULL)
		*len = reply->text.len;
	return reply->text.at;
}

long long
weft_reply_int(const struct weft_reply *reply)
{
	if (reply == NULL)
		return 0;
	if (reply->kind == REPLY_INT)
		return reply->integer;
	return reply->kind == REPLY_TEXT ? strtoll(reply->text.at, NULL, 10) : 0;
}

size_t
weft_reply_count(const struct weft_reply *reply)
{
	return reply == NULL || reply->kind != REPLY_ARRAY ? 0 : reply->count;
}

struct weft_reply *
weft_reply_at(const struct weft_reply *reply, size_t n)
{
	return n < weft_reply_count(reply) ? reply->element[n] : NULL;
}

/* ---- SQL ---- */

/* The public value as the back layer's, which borrows the caller's bytes. */
static struct value
api_value(struct weft_value v)
{
	switch (v.type) {
	case 1:
		return (struct value){ .kind = VALUE_INT, .as.integer = v.integer };
	case 2:
		return (struct value){ .kind = VALUE_REAL, .as.real = v.real };
	case 3:
		return (struct value){ .kind = VALUE_TEXT, .as.bytes = { v.bytes, v.len } };
	case 4:
		return (struct value){ .kind = VALUE_BYTES, .as.bytes = { v.bytes, v.len } };
	default:
		return (struct value){ .kind = VALUE_NULL };
	}
}

/* Values are always in the arena: a call that was begun outlives the caller's arguments. */
static void
api_sql_take(struct weft_call *c, const char *sql, const struct weft_value *value, size_t n)
{
	struct value *out;

	c->call.sql = sql;
	if (n == 0)
		return;
	out = n > WEFT_SQL_PARAMS_MAX ? NULL : arena_alloc(c->call.arena, n * sizeof *out);
	if (out == NULL) {
		api_call_fail(c, n > WEFT_SQL_PARAMS_MAX ? WEFT_INVALID : WEFT_SYSTEM, "\"%s\": too many parameters, or no memory", sql);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = api_value(value[i]);
	c->call.values = out;
	c->call.nvalues = (unsigned)n;
}

/* What was begun may be sent after its caller has gone on: keep copies of what it points to. */
static void
api_sql_keep(struct weft_call *c)
{
	struct value *v = (struct value *)c->call.values;

	if (c->call.state == CALL_DONE)
		return;
	c->call.sql = arena_strdup(c->call.arena, span_str(c->call.sql));
	for (unsigned i = 0; i < c->call.nvalues; i++)
		if (v[i].kind == VALUE_TEXT || v[i].kind == VALUE_BYTES)
			v[i].as.bytes.at = arena_strdup(c->call.arena, v[i].as.bytes);
	for (unsigned i = 0; i < c->call.nvalues; i++)
		if ((v[i].kind == VALUE_TEXT || v[i].kind == VALUE_BYTES) && v[i].as.bytes.at == NULL)
			c->call.sql = NULL;
	if (c->call.sql == NULL)
		api_call_fail(c, WEFT_SYSTEM, "%s: out of memory", "statement");
}

static void
api_sql_values(struct weft_call *c, const char *sql, int n, va_list ap)
{
	struct weft_value value[WEFT_SQL_PARAMS_MAX];

	for (int i = 0; i < n && i < WEFT_SQL_PARAMS_MAX; i++)
		value[i] = va_arg(ap, struct weft_value);
	api_sql_take(c, sql, value, (size_t)(n < 0 ? 0 : n));
}

static int
api_sql_finish(struct weft_request *rq, struct weft_call *c, struct weft_rows **rows)
{
	int rc = api_finish(rq, c);

	if (rows != NULL)
		*rows = rc == WEFT_OK ? c->call.rows : NULL;
	return rc;
}

int
weft_sql_n(struct weft_request *rq, const char *pool, struct weft_rows **rows, int n, const char *sql, ...)
{
	struct weft_call c;
	va_list ap;

	api_call_init(&c, rq, CALL_SQL);
	va_start(ap, sql);
	api_sql_values(&c, sql, n, ap);
	va_end(ap);
	api_submit(&c, pool);
	return api_sql_finish(rq, &c, rows);
}

int
weft_sql_values(struct weft_request *rq, const char *pool, struct weft_rows **rows, const char *sql,
    const struct weft_value *value, size_t n)
{
	struct weft_call c;

	api_call_init(&c, rq, CALL_SQL);
	api_sql_take(&c, sql, value, n);
	api_submit(&c, pool);
	return api_sql_finish(rq, &c, rows);
}

struct weft_call *
weft_sql_start_n(struct weft_request *rq, const char *pool, int n, const char *sql, ...)
{
	struct weft_call *c = api_keep(rq, CALL_SQL);
	va_list ap;

	if (c == NULL)
		return NULL;
	va_start(ap, sql);
	api_sql_values(c, sql, n, ap);
	va_end(ap);
	api_sql_keep(c);
	api_submit(c, pool);
	return c;
}

struct weft_rows *
weft_call_rows(const struct weft_call *call)
{
	return call == NULL || call->call.state != CALL_DONE || call->call.rc != WEFT_OK ? NULL : call->call.rows;
}

size_t
weft_rows_count(const struct weft_rows *rows)
{
	return rows == NULL ? 0 : rows->count;
}

unsigned
weft_rows_columns(const struct weft_rows *rows)
{
	return rows == NULL ? 0 : rows->columns;
}

long long
weft_rows_affected(const struct weft_rows *rows)
{
	return rows == NULL ? 0 : rows->affected;
}

const char *
weft_rows_name(const struct weft_rows *rows, unsigned column)
{
	return rows == NULL || column >= rows->columns ? NULL : rows->name[column];
}

const char *
weft_rows_bytes(const struct weft_rows *rows, size_t row, unsigned column, size_t *len)
{
	struct span cell = rows == NULL ? (struct span){ NULL, 0 } : rows_cell(rows, row, column);

	if (len != NULL)
		*len = cell.len;
	return cell.at;
}

const char *
weft_rows_text(const struct weft_rows *rows, size_t row, unsigned column)
{
	return weft_rows_bytes(rows, row, column, NULL);
}

long long
weft_rows_int(const struct weft_rows *rows, size_t row, unsigned column)
{
	const char *text = weft_rows_text(rows, row, column);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

double
weft_rows_real(const struct weft_rows *rows, size_t row, unsigned column)
{
	const char *text = weft_rows_text(rows, row, column);

	return text == NULL ? 0 : strtod(text, NULL);
}

int
weft_rows_is_null(const struct weft_rows *rows, size_t row, unsigned column)
{
	return weft_rows_text(rows, row, column) == NULL;
}
