/* SPDX-License-Identifier: ISC */
/*
 * The exported API: Redis and SQL.  A call that is waited for at once lives on
 * the fiber's stack; one that is begun and waited for later, in the arena.
 */
#include <weft/weft.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_call.h"
#include "app/app.h"
#include "back/redis/reply.h"
#include "back/sql/rows.h"
#include "back/sql/sqltext.h"

_Static_assert((int)WEFT_REPLY_ARRAY == (int)REPLY_ARRAY && (int)WEFT_REPLY_TEXT == (int)REPLY_TEXT,
    "one numbering of replies");

/* As strtoll: but nearly all numbers are a few digits and nothing else, and no locale has anything to say of them. */
static long long
api_number(const char *text)
{
	const char *at = text[0] == '-' ? text + 1 : text, *first = at;
	long long n = 0;

	while (*at >= '0' && *at <= '9' && at - first < 18)
		n = n * 10 + (*at++ - '0');
	if (*at != '\0' || at == first)
		return strtoll(text, NULL, 10);
	return first > text ? -n : n;
}

struct weft_call *
weft_idempotent(struct weft_call *call)
{
	if (call != NULL && (call->call.kind == CALL_SQL || call->call.kind == CALL_REDIS))
		call->call.idempotent = true;
	return call;
}

/* ---- Redis ---- */

void
api_redis_vformat(struct weft_call *c, const char *fmt, va_list ap)
{
	enum weft_rc rc = redis_command_vformat(c->call.arena, fmt, ap, &c->call.redis);

	if (rc == WEFT_INVALID)
		api_call_fail(c, rc, "command \"%.100s\": it has no words, or a %% that weft_redis(3) does not know", fmt);
	else if (rc != WEFT_OK)
		api_call_fail(c, rc, "command \"%.100s\": no memory for it", fmt);
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
	api_redis_vformat(&c, fmt, ap);
	va_end(ap);
	api_submit(&c, pool);
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

static void
api_redis_begin(struct weft_call *c, struct weft_request *rq, const char *pool, const struct weft_value *word, size_t n)
{
	enum weft_rc rc;

	api_call_init(c, rq, CALL_REDIS);
	rc = api_redis_words(&c->call, word, n);
	if (rc != WEFT_OK)
		api_call_fail(c, rc, "a command %s", rc == WEFT_INVALID ? "without words" : "that memory is refused for");
	api_submit(c, pool);
}

enum weft_rc
api_redis_ask(struct weft_call *c, struct weft_request *rq, const char *pool, const struct weft_value *word, size_t n)
{
	api_redis_begin(c, rq, pool, word, n);
	return call_wait(&c->call, CLOCK_NEVER);
}

int
weft_redis_values(struct weft_request *rq, const char *pool, struct weft_reply **reply, const struct weft_value *word, size_t n)
{
	struct weft_call c;

	api_redis_begin(&c, rq, pool, word, n);
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
	api_redis_vformat(c, fmt, ap);
	va_end(ap);
	api_submit(c, pool);
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
	return reply->kind == REPLY_TEXT ? api_number(reply->text.at) : 0;
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
static void
api_value(struct value *to, const struct weft_value *v)
{
	switch (v->type) {
	case WEFT_TYPE_INT:
		to->kind = VALUE_INT;
		to->as.integer = v->integer;
		break;
	case WEFT_TYPE_REAL:
		to->kind = VALUE_REAL;
		to->as.real = v->real;
		break;
	case WEFT_TYPE_TEXT:
	case WEFT_TYPE_BYTES:
		to->kind = v->type == WEFT_TYPE_TEXT ? VALUE_TEXT : VALUE_BYTES;
		to->as.bytes = (struct span){ v->bytes, v->len };
		break;
	default:
		to->kind = VALUE_NULL;
		break;
	}
}

/* Set what is asked; room, for n values, lives as long as the call.  Returns false when there are too many, or there is no room. */
static bool
api_sql_set(struct weft_call *c, const char *sql, struct value *room, size_t n, size_t most)
{
	c->call.sql = sql;
	c->call.values = room;
	c->call.nvalues = (unsigned)n;
	if (n <= most && room != NULL)
		return true;
	api_call_fail(c, n > most ? WEFT_INVALID : WEFT_SYSTEM, "\"%s\": too many parameters, or no memory", sql);
	return false;
}

void
api_sql_take(struct weft_call *c, const char *sql, struct value *room, const struct weft_value *value, size_t n)
{
	if (n > WEFT_SQL_PARAMS_MAX)
		room = n > WEFT_SQL_VALUES_MAX ? NULL : arena_alloc(c->call.arena, n * sizeof *room);
	if (api_sql_set(c, sql, room, n, WEFT_SQL_VALUES_MAX))
		for (size_t i = 0; i < n; i++)
			api_value(&room[i], &value[i]);
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

void
api_sql_args(struct weft_call *c, const char *sql, struct value *room, int n, va_list ap)
{
	struct weft_value value;

	if (api_sql_set(c, sql, room, n < 0 ? 0 : (size_t)n, WEFT_SQL_PARAMS_MAX))
		for (int i = 0; i < n; i++) {
			value = va_arg(ap, struct weft_value);
			api_value(&room[i], &value);
		}
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
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call c;
	va_list ap;

	api_call_init(&c, rq, CALL_SQL);
	va_start(ap, sql);
	api_sql_args(&c, sql, room, n, ap);
	va_end(ap);
	api_submit(&c, pool);
	return api_sql_finish(rq, &c, rows);
}

int
weft_sql_values(struct weft_request *rq, const char *pool, struct weft_rows **rows, const char *sql,
    const struct weft_value *value, size_t n)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call c;

	api_call_init(&c, rq, CALL_SQL);
	api_sql_take(&c, sql, room, value, n);
	api_submit(&c, pool);
	return api_sql_finish(rq, &c, rows);
}

struct weft_call *
weft_sql_start_n(struct weft_request *rq, const char *pool, int n, const char *sql, ...)
{
	size_t room = n < 0 || n > WEFT_SQL_PARAMS_MAX ? 0 : (size_t)n * sizeof(struct value);
	struct weft_call *c = api_keep(rq, CALL_SQL);
	va_list ap;

	if (c == NULL)
		return NULL;
	va_start(ap, sql);
	api_sql_args(c, sql, arena_alloc(c->call.arena, room), n, ap);
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

	return text == NULL ? 0 : api_number(text);
}

double
weft_rows_real(const struct weft_rows *rows, size_t row, unsigned column)
{
	const char *text = weft_rows_text(rows, row, column);

	return text == NULL ? 0 : strtod(text, NULL);
}

enum weft_type
weft_rows_type(const struct weft_rows *rows, size_t row, unsigned column)
{
	_Static_assert((int)WEFT_TYPE_NULL == VALUE_NULL && (int)WEFT_TYPE_INT == VALUE_INT && (int)WEFT_TYPE_REAL == VALUE_REAL &&
	    (int)WEFT_TYPE_TEXT == VALUE_TEXT && (int)WEFT_TYPE_BYTES == VALUE_BYTES, "types are kinds");
	return (enum weft_type)rows_kind(rows, row, column);
}

int
weft_rows_is_null(const struct weft_rows *rows, size_t row, unsigned column)
{
	return weft_rows_text(rows, row, column) == NULL;
}
