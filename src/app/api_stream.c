/* SPDX-License-Identifier: ISC */
/*
 * The exported API: rows that come part by part.
 *
 * A stream is a connection that was borrowed, by itself or by the handler, and each part a call on it, with a deadline of its own.
 * The rows of a part are in an arena of the stream's, which is begun again for the next part; what outlives
 * them, the names of the columns, is the request's.
 *
 * Its connection is free as soon as the last part has come.  One that is left before has a back end in the
 * middle of a statement: it is given back as it is, and cleaned like after a call that was given up.  So is one
 * that the handler has borrowed: a statement of a transaction cannot be cancelled without the transaction.
 */
#include <weft/weft.h>

#include <string.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "back/sql/rows.h"
#include "back/sql/sqltext.h"

struct weft_stream {
	struct weft_lease *lease;	/* it is open while lease->stream is this; NULL: it never was */
	bool is_own;			/* the connection was borrowed for it */
	bool is_over;			/* the last part has come */
	struct weft_rows *rows;		/* which have come and were not given yet; NULL: none */
	struct weft_rows *head;
	struct fault fault;		/* why nothing more comes; rc WEFT_OK: nothing is wrong */
	struct arena arena;		/* of the rows */
};

static const char *
api_stream_pool(const struct weft_stream *s)
{
	return pool_name(s->lease->lease.place.pool);
}

static bool
api_stream_is_open(const struct weft_stream *s)
{
	return s->lease != NULL && s->lease->stream == s;
}

/* Nothing more comes: the connection is free, or whoever borrowed it is. */
static void
api_stream_end(struct weft_stream *s)
{
	if (!api_stream_is_open(s))
		return;
	s->lease->stream = NULL;
	if (s->is_own)
		api_lease_end(s->lease);
}

/* The handler has returned. */
static void
api_stream_on_end(void *arg)
{
	struct weft_stream *s = arg;

	api_stream_end(s);
	arena_fini(&s->arena);
}

/* ---- parts ---- */

/* The names of the columns, in the request's memory.  Returns NULL when that is refused. */
static struct weft_rows *
api_stream_copy_head(struct arena *a, const struct weft_rows *rows)
{
	struct weft_rows *head = rows_new(a, rows->columns, 0);

	for (unsigned i = 0; head != NULL && i < rows->columns; i++) {
		head->name[i] = arena_strdup(a, span_str(rows->name[i]));
		if (head->name[i] == NULL)
			return NULL;
	}
	return head;
}

/* Send the call for a part, and take what came. */
static enum weft_rc
api_stream_take(struct weft_stream *s, struct weft_call *c)
{
	struct weft_lease *l = s->lease;
	enum weft_rc rc;

	c->call.arena = &s->arena;
	rc = api_lease_wait(l, c);
	if (rc == WEFT_OK && s->head == NULL)
		s->head = api_stream_copy_head(&l->rq->rq.arena, c->call.rows);
	if (rc == WEFT_OK && s->head == NULL)
		api_call_fail(c, rc = WEFT_SYSTEM, "%s: out of memory", "the names of the columns");
	if (rc != WEFT_OK) {
		s->fault = c->fault;
		api_stream_end(s);
		return rc;
	}
	s->rows = c->call.rows->count > 0 ? c->call.rows : NULL;
	s->is_over = c->call.last;
	if (s->is_over) {
		s->head->affected = c->call.rows->affected;
		api_stream_end(s);
	}
	return WEFT_OK;
}

/* ---- opening ---- */

/* Returns a stream that is closed when the handler has returned; NULL when memory is refused. */
static struct weft_stream *
api_stream_new(struct weft_request *rq)
{
	struct weft_stream *s = arena_zalloc(&rq->rq.arena, sizeof *s);

	if (s == NULL)
		return NULL;
	arena_init(&s->arena, NULL, 0, rq->rq.arena.limit);
	return weft_defer(rq, api_stream_on_end, s) == WEFT_OK ? s : NULL;
}

/* Open it on a connection, with the statement and the values of ask. */
static enum weft_rc
api_stream_begin(struct weft_stream *s, struct weft_lease *l, const struct weft_call *ask)
{
	struct weft_call c;

	s->lease = l;
	api_lease_call_init(l, &c, CALL_SQL, NULL);
	if (c.call.state != CALL_DONE) {
		c.call.sql = ask->call.sql;
		c.call.values = ask->call.values;
		c.call.nvalues = ask->call.nvalues;
		c.call.part = CALL_OPENS;
		api_lease_check_sql(l, &c);
	}
	if (c.call.state == CALL_DONE) {
		s->fault = c.fault;
		return c.call.rc;
	}
	l->stream = s;
	return api_stream_take(s, &c);
}

/* On a connection borrowed for it; and once more, where that turned out to be lost and nothing had been sent. */
static enum weft_rc
api_stream_begin_own(struct weft_stream *s, struct weft_request *rq, struct pool *p, const struct weft_call *ask)
{
	enum weft_rc rc = WEFT_NOT_SENT;

	s->is_own = true;
	for (int tries = 0; tries < 2 && rc == WEFT_NOT_SENT; tries++) {
		struct weft_lease *l = api_lease_new(rq, p, &s->fault);

		if (l == NULL)
			return s->fault.rc;
		rc = api_stream_begin(s, l, ask);
	}
	return rc;
}

/* The rest of weft_sql_open(), when what is asked is known. */
static int
api_stream_open(struct weft_request *rq, const char *pool, struct weft_stream **stream, const struct weft_call *ask)
{
	struct pool *p = api_lease_find_pool(rq, pool);
	struct weft_stream *s;

	if (p == NULL)
		return WEFT_INVALID;
	if (pool_kind(p) != CALL_SQL)
		return fail_note(rq, WEFT_INVALID, 0, "pool %s takes no SQL", pool);
	if (ask->call.state == CALL_DONE)
		return fail_note_call(rq, ask);
	if (sql_transaction_word(ask->call.sql) != NULL)
		return fail_note(rq, WEFT_INVALID, 0, "pool %s: %s has no rows: use weft_begin", pool, sql_transaction_word(ask->call.sql));
	s = api_stream_new(rq);
	if (s == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "weft_sql_open: out of memory");
	if (api_stream_begin_own(s, rq, p, ask) != WEFT_OK)
		return fail_note_fault(rq, &s->fault, pool_name(p));
	*stream = s;
	return WEFT_OK;
}

int
weft_sql_open_n(struct weft_request *rq, const char *pool, struct weft_stream **stream, int n, const char *sql, ...)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call ask;
	va_list ap;

	*stream = NULL;
	api_call_init(&ask, rq, CALL_SQL);
	va_start(ap, sql);
	api_sql_args(&ask, sql, room, n, ap);
	va_end(ap);
	return api_stream_open(rq, pool, stream, &ask);
}

int
weft_sql_open_values(struct weft_request *rq, const char *pool, struct weft_stream **stream, const char *sql,
    const struct weft_value *value, size_t n)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call ask;

	*stream = NULL;
	api_call_init(&ask, rq, CALL_SQL);
	api_sql_take(&ask, sql, room, value, n);
	return api_stream_open(rq, pool, stream, &ask);
}

/* As api_stream_open, on a connection of the handler's. */
static int
api_stream_open_lent(struct weft_lease *l, struct weft_stream **stream, const struct weft_call *ask)
{
	struct weft_stream *s;

	if (ask->call.state == CALL_DONE)
		return fail_note_call(l->rq, ask);
	s = api_stream_new(l->rq);
	if (s == NULL)
		return fail_note(l->rq, WEFT_SYSTEM, 0, "weft_lease_sql_open: out of memory");
	if (api_stream_begin(s, l, ask) != WEFT_OK)
		return fail_note_fault(l->rq, &s->fault, api_stream_pool(s));
	*stream = s;
	return WEFT_OK;
}

int
weft_lease_sql_open_n(struct weft_lease *lease, struct weft_stream **stream, int n, const char *sql, ...)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call ask;
	va_list ap;

	*stream = NULL;
	if (lease == NULL)
		return WEFT_INVALID;
	api_call_init(&ask, lease->rq, CALL_SQL);
	va_start(ap, sql);
	api_sql_args(&ask, sql, room, n, ap);
	va_end(ap);
	return api_stream_open_lent(lease, stream, &ask);
}

int
weft_lease_sql_open_values(struct weft_lease *lease, struct weft_stream **stream, const char *sql,
    const struct weft_value *value, size_t n)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call ask;

	*stream = NULL;
	if (lease == NULL)
		return WEFT_INVALID;
	api_call_init(&ask, lease->rq, CALL_SQL);
	api_sql_take(&ask, sql, room, value, n);
	return api_stream_open_lent(lease, stream, &ask);
}

/* ---- reading ---- */

const struct weft_rows *
weft_sql_head(const struct weft_stream *stream)
{
	return stream == NULL ? NULL : stream->head;
}

/* Wait for the next part. */
static void
api_stream_go_on(struct weft_stream *s)
{
	struct weft_call c;

	arena_rewind(&s->arena);
	api_lease_call_init(s->lease, &c, CALL_SQL, s);
	c.call.part = CALL_GOES_ON;
	/* The statement was sent: whether it is done nobody knows. */
	if (api_stream_take(s, &c) == WEFT_NOT_SENT)
		s->fault.rc = WEFT_UNKNOWN;
}

int
weft_sql_next(struct weft_request *rq, struct weft_stream *stream, struct weft_rows **rows)
{
	struct weft_stream *s = stream;

	*rows = NULL;
	if (s == NULL)
		return fail_note(rq, WEFT_INVALID, 0, "weft_sql_next() of no stream");
	if (api_stream_is_open(s) && s->lease->call != NULL)
		return fail_note(rq, WEFT_INVALID, 0, "another fiber waits for rows of pool %s now", api_stream_pool(s));
	if (s->rows == NULL && api_stream_is_open(s))
		api_stream_go_on(s);
	if (s->rows == NULL && s->is_over)
		return WEFT_OK;
	if (s->rows == NULL && s->fault.rc == WEFT_OK)
		fault_set(&s->fault, WEFT_INVALID, NULL, "the connection of pool %s, on which the rows came, has been given back", api_stream_pool(s));
	if (s->rows == NULL)
		return fail_note_fault(rq, &s->fault, api_stream_pool(s));
	*rows = s->rows;
	s->rows = NULL;
	return WEFT_OK;
}

/* The handler's own connection goes with what is left of a statement. */
static void
api_stream_leave_lent(struct weft_stream *s)
{
	struct weft_lease *l = s->lease;

	fault_set(&l->over, WEFT_INVALID, NULL, "pool %s: a stream of rows was closed before its end, and so the transaction is over",
	    api_stream_pool(s));
	lease_give(&l->lease);
}

void
weft_sql_close(struct weft_stream *stream)
{
	struct weft_stream *s = stream;

	if (s == NULL)
		return;
	/* Another fiber waits for it. */
	if (api_stream_is_open(s) && s->lease->call != NULL)
		call_abandon(s->lease->call, WEFT_CANCELED);
	if (api_stream_is_open(s) && !s->is_own)
		api_stream_leave_lent(s);
	api_stream_end(s);
	arena_fini(&s->arena);
	s->rows = NULL;
	s->is_over = false;
	if (s->fault.rc == WEFT_OK)
		fault_set(&s->fault, WEFT_INVALID, NULL, "the stream has been closed");
}
