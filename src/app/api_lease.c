/* SPDX-License-Identifier: ISC */
/*
 * The exported API: connections that a request borrows, and transactions.
 *
 * Nothing here is tried a second time but the beginning of a transaction on a connection that turned out to be
 * lost: then nothing has been done.  A lease ends with what cannot be gone on with: a call that was given
 * up, after which nobody knows what the connection is at; the connection's loss; and a transaction that the
 * database ended by itself, after which each further statement would be a transaction of its own.
 */
#include <weft/weft.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/sql/sqltext.h"

static const char *
api_lease_pool(const struct weft_lease *l)
{
	return pool_name(l->lease.place.pool);
}

/* ---- borrowing and giving back ---- */

void
api_lease_end(struct weft_lease *l)
{
	LIST_REMOVE(l, link);
	l->given = true;
	l->stream = NULL;
	lease_give(&l->lease);
}

struct weft_lease *
api_lease_new(struct weft_request *rq, struct pool *p, struct fault *fault)
{
	struct weft_lease *l = arena_zalloc(&rq->rq.arena, sizeof *l);
	enum weft_rc rc;

	if (l == NULL) {
		fault_set(fault, WEFT_SYSTEM, NULL, "no memory to borrow a connection of pool %s", pool_name(p));
		return NULL;
	}
	l->rq = rq;
	rc = fiber_may_wait(WAIT_POOL);
	if (rc != WEFT_OK) {
		fault_set(fault, rc, NULL, "no connection of pool %s was asked for: %s", pool_name(p), fail_words(rc));
		return NULL;
	}
	lease_ask(&l->lease, p, &l->over, fiber_label(fiber_self()));
	if (call_wait(&l->lease.place, CLOCK_NEVER) != WEFT_OK) {
		*fault = l->over;
		return NULL;
	}
	LIST_INSERT_HEAD(&rq->leases, l, link);
	return l;
}

struct pool *
api_lease_find_pool(struct weft_request *rq, const char *name)
{
	struct pool *p = app_pool(rq->app, name);

	if (p == NULL)
		(void)fail_note(rq, WEFT_INVALID, 0, "%s", api_no_pool(rq, name));
	return p;
}

int
weft_lend(struct weft_request *rq, const char *pool, struct weft_lease **lease)
{
	struct pool *p = api_lease_find_pool(rq, pool);
	struct fault fault;

	*lease = NULL;
	if (p == NULL)
		return WEFT_INVALID;
	if (!pool_can_lend(p))
		return fail_note(rq, WEFT_INVALID, 0, "pool %s lends no connections", pool);
	*lease = api_lease_new(rq, p, &fault);
	return *lease != NULL ? WEFT_OK : fail_note_fault(rq, &fault, pool_name(p));
}

void
weft_give(struct weft_lease *lease)
{
	if (lease == NULL || lease->given)
		return;
	/* Another fiber waits for it. */
	if (lease->call != NULL)
		call_abandon(lease->call, WEFT_CANCELED);
	api_lease_end(lease);
}

/* ---- calls ---- */

void
api_lease_call_init(struct weft_lease *l, struct weft_call *c, enum call_kind kind, const struct weft_stream *stream)
{
	api_call_init(c, l->rq, kind);
	c->call.pool = l->lease.place.pool;
	if (l->given) {
		api_call_fail(c, WEFT_INVALID, "the connection of pool %s has been given back", api_lease_pool(l));
	} else if (l->call != NULL) {
		api_call_fail(c, WEFT_INVALID, "another fiber uses the connection of pool %s now", api_lease_pool(l));
	} else if (l->stream != stream) {
		api_call_fail(c, WEFT_INVALID, "rows come on the connection of pool %s, until the end of their stream", api_lease_pool(l));
	} else if (l->over.rc != WEFT_OK) {
		api_call_fail(c, l->over.rc, "%s", l->over.text);
		c->fault = l->over;
	}
}

/* What one call's end means for those that follow. */
static void
api_lease_learn(struct weft_lease *l, const struct weft_call *c)
{
	enum weft_rc rc = c->call.rc;

	if (l->given)
		return;
	if (rc == WEFT_TIMEOUT || rc == WEFT_CANCELED)
		fault_set(&l->over, rc, NULL, "pool %s: a call on the connection that was lent has been given up before: %s",
		    api_lease_pool(l), fail_words(rc));
	else if (l->begun && lease_is_live(&l->lease) && !lease_in_transaction(&l->lease))
		fault_set(&l->over, WEFT_REFUSED, c->fault.code, "pool %s: the transaction is over: %s", api_lease_pool(l),
		    rc == WEFT_OK ? "the statement before has ended it" : c->fault.text);
}

enum weft_rc
api_lease_wait(struct weft_lease *l, struct weft_call *c)
{
	if (c->call.state != CALL_DONE && !api_call_is_late(c, l->lease.place.pool)) {
		lease_submit(&l->lease, &c->call);
		l->call = &c->call;
		(void)call_wait(&c->call, CLOCK_NEVER);
		l->call = NULL;
		api_lease_learn(l, c);
	}
	return c->call.rc;
}

static int
api_lease_finish(struct weft_lease *l, struct weft_call *c)
{
	return api_lease_wait(l, c) == WEFT_OK ? WEFT_OK : fail_note_call(l->rq, c);
}

/* Within weft_begin() and weft_commit() there is one transaction, and it is theirs. */
void
api_lease_check_sql(const struct weft_lease *l, struct weft_call *c)
{
	const char *word = l->begun && c->call.state != CALL_DONE ? sql_transaction_word(c->call.sql) : NULL;

	if (word != NULL)
		api_call_fail(c, WEFT_INVALID, "%s within weft_begin(): end it by weft_commit() or weft_rollback()", word);
}

static int
api_lease_sql_finish(struct weft_lease *l, struct weft_call *c, struct weft_rows **rows)
{
	int rc;

	api_lease_check_sql(l, c);
	rc = api_lease_finish(l, c);
	if (rows != NULL)
		*rows = rc == WEFT_OK ? c->call.rows : NULL;
	return rc;
}

int
weft_lease_sql_n(struct weft_lease *lease, struct weft_rows **rows, int n, const char *sql, ...)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call c;
	va_list ap;

	if (rows != NULL)
		*rows = NULL;
	if (lease == NULL)
		return WEFT_INVALID;
	api_lease_call_init(lease, &c, CALL_SQL, NULL);
	va_start(ap, sql);
	api_sql_args(&c, sql, room, n, ap);
	va_end(ap);
	return api_lease_sql_finish(lease, &c, rows);
}

int
weft_lease_sql_values(struct weft_lease *lease, struct weft_rows **rows, const char *sql, const struct weft_value *value, size_t n)
{
	struct value room[WEFT_SQL_PARAMS_MAX];
	struct weft_call c;

	if (rows != NULL)
		*rows = NULL;
	if (lease == NULL)
		return WEFT_INVALID;
	api_lease_call_init(lease, &c, CALL_SQL, NULL);
	api_sql_take(&c, sql, room, value, n);
	return api_lease_sql_finish(lease, &c, rows);
}

int
weft_lease_redis(struct weft_lease *lease, struct weft_reply **reply, const char *fmt, ...)
{
	struct weft_call c;
	va_list ap;
	int rc;

	if (reply != NULL)
		*reply = NULL;
	if (lease == NULL)
		return WEFT_INVALID;
	api_lease_call_init(lease, &c, CALL_REDIS, NULL);
	va_start(ap, fmt);
	if (c.call.state != CALL_DONE)
		api_redis_vformat(&c, fmt, ap);
	va_end(ap);
	rc = api_lease_finish(lease, &c);
	if (reply != NULL)
		*reply = rc == WEFT_OK ? c.call.reply : NULL;
	return rc;
}

/* ---- transactions ---- */

/*
 * Borrow a connection and begin on it.
 *
 * fault    filled when it fails.  Nothing has been done then, so what is unknown of BEGIN does not matter
 * lost     set when the connection was: one that had been idle may have been closed by the other side, unnoticed
 * Returns  what was borrowed, or NULL
 */
static struct weft_lease *
api_begin(struct weft_request *rq, struct pool *p, struct fault *fault, bool *lost)
{
	struct weft_lease *l = api_lease_new(rq, p, fault);
	struct weft_call c;

	*lost = false;
	if (l == NULL)
		return NULL;
	api_lease_call_init(l, &c, CALL_SQL, NULL);
	c.call.sql = pool_begin_sql(p);
	l->begun = api_lease_wait(l, &c) == WEFT_OK;
	if (l->begun)
		return l;
	*lost = !lease_is_live(&l->lease);
	api_lease_end(l);
	if (c.fault.rc == WEFT_UNKNOWN)
		c.fault.rc = WEFT_NOT_SENT;
	*fault = c.fault;
	return NULL;
}

int
weft_begin(struct weft_request *rq, const char *pool, struct weft_lease **lease)
{
	struct pool *p = api_lease_find_pool(rq, pool);
	struct fault fault;
	bool lost;

	*lease = NULL;
	if (p == NULL)
		return WEFT_INVALID;
	if (pool_begin_sql(p) == NULL)
		return fail_note(rq, WEFT_INVALID, 0, "pool %s has no transactions", pool);
	*lease = api_begin(rq, p, &fault, &lost);
	if (*lease == NULL && lost && fault.rc == WEFT_NOT_SENT)
		*lease = api_begin(rq, p, &fault, &lost);
	return *lease != NULL ? WEFT_OK : fail_note_fault(rq, &fault, pool_name(p));
}

/* What keeps COMMIT from being sent. */
static void
api_commit_check(const struct weft_lease *l, struct weft_call *c)
{
	enum weft_rc late = fiber_check();

	if (c->call.state == CALL_DONE)
		return;
	if (!l->begun)
		api_call_fail(c, WEFT_INVALID, "weft_commit() of what weft_begin() did not begin, in pool %s", api_lease_pool(l));
	else if (late != WEFT_OK)
		api_call_fail(c, late, "rolled back: %s before COMMIT was sent", fail_words(late));
}

/* It was sent, and its answer is not waited for any more. */
static int
api_commit_unknown(struct weft_lease *l, struct weft_call *c)
{
	fault_set(&c->fault, WEFT_UNKNOWN, NULL, "pool %s: COMMIT was sent, and then: %s", api_lease_pool(l), fail_words(c->call.rc));
	c->call.rc = WEFT_UNKNOWN;
	return fail_note_call(l->rq, c);
}

int
weft_commit(struct weft_lease *lease)
{
	struct weft_call c;
	bool tried;
	int rc;

	if (lease == NULL)
		return WEFT_INVALID;
	api_lease_call_init(lease, &c, CALL_SQL, NULL);
	c.call.sql = "COMMIT";
	api_commit_check(lease, &c);
	tried = c.call.state != CALL_DONE;
	rc = api_lease_finish(lease, &c);
	if (tried && (rc == WEFT_TIMEOUT || rc == WEFT_CANCELED))
		rc = api_commit_unknown(lease, &c);
	if (lease->call == NULL && !lease->given)
		api_lease_end(lease);
	return rc;
}

void
weft_rollback(struct weft_lease *lease)
{
	weft_give(lease);
}
