/* SPDX-License-Identifier: ISC */

/*
 * The SQLite driver: SQLite blocks, so each statement is a job on a thread, and a
 * connection takes one at a time.  While one waits for a lock or a disk, the loop goes on.
 *
 * What is asked is copied before it goes to the thread and the result is copied
 * into the call's arena on the loop, so an asker may leave at any moment: then
 * the statement is interrupted, and the connection is free once the thread has let go of it.
 * Closing detaches: the job ends on its thread, then the database is closed there.
 *
 * sqlite:/absolute/path, sqlite:relative/path, ?mode=ro.  sqlite::memory: is private to
 * its connection, so it needs a pool with max = 1; it is empty after the connection idled out (min = 1 keeps it).
 * A connection that is lent may have a transaction over several statements; temporary tables, other files and settings
 * are refused there too, so to roll back is all that makes it as it was.  A result that comes in parts is a job for each part, and
 * in between the statement stays where it is.
 *
 * A function pg_sleep(seconds) is there so that a statement which waits can be written for both SQL back ends.
 */
#include "back/sqlite/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "back/sql/sqltext.h"
#include "base/must.h"
#include "loop/loop.h"

/* ---- opening and closing ---- */

static enum weft_rc
sqlite_check(const struct back_url *url, char *error, size_t size)
{
	const char *wrong = NULL;

	if (url->host[0] != '\0' || url->user[0] != '\0' || url->port != 0)
		wrong = "a SQLite URL has no host: sqlite:/path/to/file";
	else if (url->path[0] == '\0' || strcmp(url->path, "/") == 0)
		wrong = "a SQLite URL needs a path: sqlite:/path/to/file";
	else if (url->query[0] != '\0' && strcmp(url->query, "mode=ro") != 0 && strcmp(url->query, "mode=rw") != 0)
		wrong = "the only parameter of a SQLite URL is mode=ro or mode=rw";
	if (wrong == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s", wrong);
	return WEFT_INVALID;
}

static void
sqlite_free(struct sqlite *d)
{
	must(d->db == NULL);
	free(d->ask.values);
	buf_fini(&d->ask.bytes);
	rows_draft_fini(&d->answer.rows);
	free(d);
}

static void
sqlite_on_closed(void *arg)
{
	sqlite_free(arg);
}

/* Without a thread: there is none, or the loop ends. */
static void
sqlite_close_here(void *arg)
{
	sqlite_job_close(arg);
	sqlite_free(arg);
}

/* No job runs and no conn is left: close the database, which may write to disk, on a thread. */
static void
sqlite_end(struct sqlite *d)
{
	if (d->db == NULL) {
		sqlite_free(d);
		return;
	}
	d->state = SQLITE_IS_CLOSING;
	d->job = (struct thread_job){ .fn = sqlite_job_close, .done = sqlite_on_closed, .dropped = sqlite_close_here, .arg = d };
	if (threads_submit(d->threads, &d->job) != WEFT_OK)
		sqlite_close_here(d);
}

static void
sqlite_on_opened(void *arg)
{
	struct sqlite *d = arg;

	d->state = SQLITE_IS_IDLE;
	if (d->conn == NULL)
		sqlite_end(d);
	else if (d->answer.rc == WEFT_OK)
		conn_is_ready(d->conn);
	else
		conn_is_dead(d->conn, d->answer.code, "%s", d->answer.text);
}

static enum weft_rc
sqlite_start(struct sqlite *d, enum sqlite_state state, void (*fn)(void *arg), void (*done)(void *arg))
{
	enum weft_rc rc;

	must(d->state == SQLITE_IS_IDLE);
	atomic_store(&d->unwanted, false);
	d->job = (struct thread_job){ .fn = fn, .done = done, .arg = d };
	rc = threads_submit(d->threads, &d->job);
	if (rc == WEFT_OK)
		d->state = state;
	return rc;
}

static enum weft_rc
sqlite_open(struct conn *c)
{
	const struct back_url *url = pool_url(c->pool);
	const struct pool_conf *conf = pool_settings(c->pool);
	struct sqlite *d = calloc(1, sizeof *d);

	if (d == NULL)
		return WEFT_SYSTEM;
	d->conn = c;
	d->threads = loop_threads(pool_loop(c->pool));
	d->read_only = strcmp(url->query, "mode=ro") == 0;
	d->refused = strcmp(url->path, ":memory:") == 0 && conf->max > 1;
	d->ask.busy_until = clock_add(loop_now(pool_loop(c->pool)), clock_min(SQLITE_BUSY_WAIT, conf->connect_timeout));
	snprintf(d->path, sizeof d->path, "%s", url->path);
	stmts_init(&d->stmts, SQLITE_PREPARED);
	buf_init(&d->ask.bytes, SIZE_MAX / 2);
	rows_draft_init(&d->answer.rows, SQLITE_RESULT_MAX);
	atomic_init(&d->unwanted, false);
	c->driver_data = d;
	if (d->threads != NULL && sqlite_start(d, SQLITE_IS_OPENING, sqlite_job_open, sqlite_on_opened) == WEFT_OK)
		return WEFT_OK;
	sqlite_free(d);
	return WEFT_SYSTEM;
}

/* Nobody waits for what runs.  Returns true when it had not begun, and never will. */
static bool
sqlite_stop(struct sqlite *d)
{
	if (threads_recall(d->threads, &d->job)) {
		d->state = SQLITE_IS_IDLE;
		return true;
	}
	atomic_store(&d->unwanted, true);
	/* Legal from another thread as long as the database stays open, which the job's state says. */
	if (d->state == SQLITE_IS_RUNNING)
		sqlite3_interrupt(d->db);
	return false;
}

static void
sqlite_close(struct conn *c)
{
	struct sqlite *d = c->driver_data;
	struct call *call = d->call;
	bool stopped = d->state == SQLITE_IS_IDLE || sqlite_stop(d);

	c->driver_data = NULL;
	d->conn = NULL;
	d->call = NULL;
	if (call != NULL)
		call_finish(call, stopped ? WEFT_NOT_SENT : WEFT_UNKNOWN, NULL, NULL);
	if (stopped)
		sqlite_end(d);
}

/* ---- what is asked, and answered ---- */

static size_t
sqlite_value_size(const struct value *v)
{
	return v->kind == VALUE_TEXT || v->kind == VALUE_BYTES ? v->as.bytes.len : 0;
}

static enum weft_rc
sqlite_ask_room(struct sqlite_ask *a, const struct call *call)
{
	size_t size = strlen(call->sql) + 1;

	for (unsigned i = 0; i < call->nvalues; i++)
		size += sqlite_value_size(&call->values[i]);
	buf_clear(&a->bytes);
	if (buf_reserve(&a->bytes, size) == NULL)
		return WEFT_SYSTEM;
	if (call->nvalues > a->room) {
		free(a->values);
		a->values = calloc(call->nvalues, sizeof *a->values);
		a->room = a->values == NULL ? 0 : call->nvalues;
	}
	return call->nvalues > a->room ? WEFT_SYSTEM : WEFT_OK;
}

/* Copy what is asked; it fits. */
static void
sqlite_ask_copy(struct sqlite_ask *a, const struct call *call)
{
	(void)buf_add(&a->bytes, (struct span){ call->sql, strlen(call->sql) + 1 });
	for (unsigned i = 0; i < call->nvalues; i++) {
		struct value *v = &a->values[i];

		*v = call->values[i];
		if (v->kind != VALUE_TEXT && v->kind != VALUE_BYTES)
			continue;
		v->as.bytes.at = a->bytes.at + a->bytes.len;
		(void)buf_add(&a->bytes, call->values[i].as.bytes);
	}
	a->nvalues = call->nvalues;
}

/* One large statement should not be held for the life of the connection. */
static void
sqlite_buf_shrink(struct buf *b)
{
	if (b->size > 65536)
		buf_fini(b);
	else
		buf_clear(b);
}

static void
sqlite_finish(struct call *call, const struct sqlite_answer *from)
{
	if (from->rc != WEFT_OK) {
		call_finish(call, from->rc, from->code, "%s", from->text);
		return;
	}
	call->rows = rows_draft_make(&from->rows, call->arena);
	call->last = from->last;
	if (call->rows != NULL)
		call_finish(call, WEFT_OK, NULL, NULL);
	else
		call_finish(call, WEFT_SYSTEM, NULL, "no memory for the result");
}

/* ---- given back ---- */

static void
sqlite_on_rolled_back(void *arg)
{
	struct sqlite *d = arg;

	d->state = SQLITE_IS_IDLE;
	if (d->conn == NULL) {
		sqlite_end(d);
		return;
	}
	d->conn->in_transaction = d->answer.in_transaction;
	if (d->answer.in_transaction)
		conn_is_dead(d->conn, NULL, "a borrower's transaction could not be rolled back");
	else
		conn_is_ready(d->conn);
}

/* No job runs. */
static enum conn_clean
sqlite_wash(struct sqlite *d)
{
	if (!d->conn->in_transaction && d->half == NULL)
		return CONN_CLEAN;
	return sqlite_start(d, SQLITE_IS_RUNNING, sqlite_job_rollback, sqlite_on_rolled_back) == WEFT_OK ? CONN_WASHING : CONN_SPOILT;
}

static enum conn_clean
sqlite_clean(struct conn *c)
{
	struct sqlite *d = c->driver_data;

	return d->state == SQLITE_IS_IDLE ? sqlite_wash(d) : CONN_WASHING;
}

/* What was abandoned is over. */
static void
sqlite_go_on_washing(struct sqlite *d)
{
	switch (sqlite_wash(d)) {
	case CONN_CLEAN:
		conn_is_ready(d->conn);
		break;
	case CONN_WASHING:
		break;
	case CONN_SPOILT:
		conn_is_dead(d->conn, NULL, "no thread to roll back a borrower's transaction");
		break;
	}
}

/* ---- calls ---- */

static void
sqlite_ran(struct sqlite *d)
{
	bool washing = d->conn->state == CONN_CLEANING;

	if (d->answer.broken) {
		conn_is_dead(d->conn, d->answer.code, "%s", d->answer.text);
		return;
	}
	conn_gave(d->conn);
	if (washing)
		sqlite_go_on_washing(d);
}

static void
sqlite_on_ran(void *arg)
{
	struct sqlite *d = arg;
	struct call *call = d->call;

	d->state = SQLITE_IS_IDLE;
	d->call = NULL;
	if (d->conn != NULL)
		d->conn->in_transaction = d->answer.in_transaction;
	if (call != NULL)
		sqlite_finish(call, &d->answer);
	if (d->half == NULL) {
		sqlite_buf_shrink(&d->ask.bytes);
		rows_draft_shrink(&d->answer.rows);
	}
	if (d->conn == NULL)
		sqlite_end(d);
	else
		sqlite_ran(d);
}

/* May it be sent?  Savepoints and the like are for connections that are lent. */
static enum weft_rc
sqlite_look(struct call *call)
{
	const char *word = sql_session_word(call->sql);

	if (word == NULL || (call->lease != NULL && sql_trace(call->sql) == SQL_LEAVES_TRANSACTION))
		return WEFT_OK;
	if (call->lease != NULL)
		call_explain(call, WEFT_INVALID, NULL, "%s changes the connection for those who have it afterwards", word);
	else
		call_explain(call, WEFT_INVALID, NULL,
		    "%s changes the state of the connection, which is shared with other requests: use weft_begin or weft_lend", word);
	return WEFT_INVALID;
}

/* Copy what is asked. */
static enum weft_rc
sqlite_ask_take(struct sqlite *d, struct call *call)
{
	enum weft_rc rc;

	if (call->nvalues > SQLITE_VALUES) {
		call_explain(call, WEFT_INVALID, NULL, "more than %d values", SQLITE_VALUES);
		return WEFT_INVALID;
	}
	rc = sqlite_ask_room(&d->ask, call);
	if (rc != WEFT_OK)
		return rc;
	sqlite_ask_copy(&d->ask, call);
	d->ask.in_parts = call->part == CALL_OPENS;
	d->ask.lent = call->lease != NULL;
	return WEFT_OK;
}

/* What is half done uses what was asked before: nothing else may be asked until it is done, and else there is nothing to go on with. */
static enum weft_rc
sqlite_check_part(const struct sqlite *d, struct call *call)
{
	if ((d->half != NULL) == (call->part == CALL_GOES_ON))
		return WEFT_OK;
	call_explain(call, WEFT_INVALID, NULL, d->half == NULL ? "no rows are on their way" : "the rows of another statement are on their way");
	return WEFT_INVALID;
}

static enum weft_rc
sqlite_send(struct conn *c, struct call *call)
{
	struct sqlite *d = c->driver_data;
	const struct pool_conf *conf = pool_settings(c->pool);
	bool goes_on = call->part == CALL_GOES_ON;
	enum weft_rc rc = sqlite_check_part(d, call);

	if (rc == WEFT_OK && !goes_on)
		rc = sqlite_look(call);
	if (rc == WEFT_OK && !goes_on)
		rc = sqlite_ask_take(d, call);
	if (rc != WEFT_OK)
		return rc;
	/* Before the call's own time is over, so that the asker hears of the lock. */
	d->ask.busy_until = clock_add(loop_now(pool_loop(c->pool)), clock_min(SQLITE_BUSY_WAIT, conf->call_timeout / 2));
	rc = sqlite_start(d, SQLITE_IS_RUNNING, goes_on ? sqlite_job_go_on : sqlite_job_run, sqlite_on_ran);
	if (rc != WEFT_OK) {
		call_explain(call, rc, NULL, "no thread for the statement");
		return rc;
	}
	d->call = call;
	conn_took(c, call, d);
	return WEFT_OK;
}

static void
sqlite_abandon(struct conn *c, struct call *call)
{
	struct sqlite *d = c->driver_data;

	must(d->call == call);
	d->call = NULL;
	if (sqlite_stop(d))
		conn_gave(c);
}

/* One that will write says so at once: where it begins by reading, what another wrote meanwhile would be its end. */
static const char *
sqlite_begin(const struct back_url *url)
{
	return strcmp(url->query, "mode=ro") == 0 ? "BEGIN" : "BEGIN IMMEDIATE";
}

const struct driver driver_sqlite = {
	.name = "sqlite",
	.schemes = (const char *const[]){ "sqlite", NULL },
	.kind = CALL_SQL,
	.why = WAIT_SQL,
	.depth = 1,
	.shares_slow = false,
	.check = sqlite_check,
	.open = sqlite_open,
	.send = sqlite_send,
	.abandon = sqlite_abandon,
	.clean = sqlite_clean,
	.begin = sqlite_begin,
	.close = sqlite_close,
	.has_parts = true,
};
