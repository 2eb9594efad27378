/* SPDX-License-Identifier: ISC */

/*
 * Results out of a PostgreSQL pipeline: for each statement [the answer to its
 * Parse,] its rows or an error, and its sync, which ends it.  Rows wait in
 * libpq's memory until the sync, since a commit may still fail.
 *
 * An error of severity FATAL, or a connection that ends, leaves the outcome of all
 * that was sent unknown.  "Prepared statement lost" is mended here by a second try,
 * which is safe as the failed one was rolled back whole.
 */
#include "back/postgres/postgres.h"

#include <stdlib.h>
#include <string.h>

#include "back/sql/rows.h"
#include "base/must.h"

/* ---- rows ---- */

static int
postgres_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

/* bytea as the server writes it: \x and hex digits (or, by an old setting, with escapes). */
size_t
postgres_copy_bytea(char *to, const char *at, size_t len)
{
	unsigned char *bytes;
	size_t n = 0;

	if (len >= 2 && at[0] == '\\' && at[1] == 'x') {
		for (size_t i = 2; i + 1 < len; i += 2)
			to[n++] = (char)(postgres_hex(at[i]) << 4 | postgres_hex(at[i + 1]));
	} else if ((bytes = PQunescapeBytea((const unsigned char *)at, &n)) != NULL) {
		must(n <= len);
		memcpy(to, bytes, n);
		PQfreemem(bytes);
	}
	to[n] = '\0';
	return n;
}

/* How many bytes the names and values of a result take, each with a NUL behind it.  NULL has no length. */
static size_t
postgres_rows_size(const PGresult *r, int rows, int columns)
{
	size_t size = (size_t)rows * (size_t)columns;

	for (int j = 0; j < columns; j++)
		size += strlen(PQfname(r, j)) + 1;
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < columns; j++)
			size += (size_t)PQgetlength(r, i, j);
	return size;
}

enum value_kind
postgres_kind(const PGresult *r, int column)
{
	switch (PQftype(r, column)) {
	case POSTGRES_OID_INT2:
	case POSTGRES_OID_INT4:
	case POSTGRES_OID_INT8:
	case POSTGRES_OID_OID:
		return VALUE_INT;
	case POSTGRES_OID_FLOAT4:
	case POSTGRES_OID_FLOAT8:
		return VALUE_REAL;
	case POSTGRES_OID_BYTEA:
		return VALUE_BYTES;
	default:
		return VALUE_TEXT;
	}
}

static char *
postgres_names_copy(struct weft_rows *out, const PGresult *r, char *to)
{
	for (unsigned j = 0; j < out->columns; j++) {
		const char *name = PQfname(r, (int)j);
		size_t size = strlen(name) + 1;

		out->kind[j] = (unsigned char)postgres_kind(r, (int)j);
		out->name[j] = memcpy(to, name, size);
		to += size;
	}
	return to;
}

static void
postgres_rows_copy(struct weft_rows *out, const PGresult *r, char *to)
{
	struct span *cell = out->cell;

	for (int i = 0; i < (int)out->count; i++)
		for (int j = 0; j < (int)out->columns; j++, cell++) {
			size_t len = (size_t)PQgetlength(r, i, j);

			if (len == 0 && PQgetisnull(r, i, j))
				continue;
			cell->at = to;
			if (PQftype(r, j) == POSTGRES_OID_BYTEA)
				cell->len = postgres_copy_bytea(to, PQgetvalue(r, i, j), len);
			else
				memcpy(to, PQgetvalue(r, i, j), (cell->len = len) + 1);
			to += cell->len + 1;
		}
}

/* "INSERT 0 3" changed rows, "SELECT 3" did not. */
long long
postgres_affected(PGresult *r)
{
	static const char *const verbs[] = { "INSERT ", "UPDATE ", "DELETE ", "MERGE " };
	const char *status = PQcmdStatus(r);

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (status[0] == verbs[i][0] && strncmp(status, verbs[i], strlen(verbs[i])) == 0)
			return strtoll(PQcmdTuples(r), NULL, 10);
	return 0;
}

static struct weft_rows *
postgres_rows(struct arena *a, PGresult *r)
{
	int rows = PQntuples(r), columns = PQnfields(r);
	struct weft_rows *out = rows_new(a, (unsigned)columns, (size_t)rows);
	char *bytes = out == NULL ? NULL : arena_alloc(a, postgres_rows_size(r, rows, columns));

	if (bytes == NULL)
		return NULL;
	out->affected = postgres_affected(r);
	postgres_rows_copy(out, r, postgres_names_copy(out, r, bytes));
	return out;
}

/* ---- the end of a statement ---- */

const char *
postgres_error_code(const PGresult *r)
{
	const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	return code == NULL ? "" : code;
}

const char *
postgres_error_text(const PGresult *r)
{
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	return text == NULL ? PQresultErrorMessage(r) : text;
}

bool
postgres_is_error(const PGresult *r)
{
	return r == NULL || PQresultStatus(r) == PGRES_FATAL_ERROR;
}

static bool
postgres_is_fatal(const PGresult *r)
{
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* Did it fail only because of what it was prepared as? */
static bool
postgres_is_unprepared(const struct postgres_slot *s)
{
	const char *code, *where;

	if (s->number == 0 || s->result == NULL || !postgres_is_error(s->result))
		return false;
	code = postgres_error_code(s->result);
	if (strcmp(code, "26000") == 0 || strcmp(code, "42P05") == 0)
		return true;
	/* "cached plan must not change result type"; the code alone may mean much else, and the text is translated. */
	where = PQresultErrorField(s->result, PG_DIAG_SOURCE_FUNCTION);
	return strcmp(code, "0A000") == 0 && where != NULL && strcmp(where, "RevalidateCachedQuery") == 0;
}

static void
postgres_finish(struct postgres *d, struct call *call, PGresult *r)
{
	if (r == NULL) {
		call_finish(call, WEFT_UNKNOWN, NULL, "the server gave no result");
		return;
	}
	if (call->lease != NULL && postgres_is_uncommitted(call, r)) {
		call_finish(call, WEFT_REFUSED, "25P02", "a statement of the transaction had failed: it was rolled back, not committed");
		return;
	}
	if (!postgres_is_error(r)) {
		if (call->lease != NULL)
			postgres_note_done(d, call);
		call->rows = d->part.count > 0 ? postgres_stream_rest(d, call->arena, r) : postgres_rows(call->arena, r);
		call->last = true;
		if (call->rows != NULL)
			call_finish(call, WEFT_OK, NULL, NULL);
		else
			call_finish(call, WEFT_SYSTEM, NULL, "no memory for the result");
		return;
	}
	call_finish(call, WEFT_REFUSED, postgres_error_code(r), "%s", postgres_error_text(r));
}

/* A failed Parse was never prepared; what was lost has to be forgotten too. */
static void
postgres_settle_prepared(struct postgres *d, const struct postgres_slot *s)
{
	if (s->preparing || postgres_is_unprepared(s))
		postgres_unprepare(d, s);
}

/* Nothing of it was done: it counts as not sent. */
static void
postgres_try_again(struct postgres *d, struct postgres_slot *s)
{
	PQclear(s->result);
	s->result = NULL;
	s->unnamed = true;
	s->is_held = true;
	TAILQ_INSERT_HEAD(&d->held, s, link);
	postgres_flush_later(d);
}

/* Nothing is owed any more: is the connection as it was?  One that is lent need not be. */
static void
postgres_check_idle(struct postgres *d)
{
	PGTransactionStatusType status;

	if (d->conn->state != CONN_READY || !TAILQ_EMPTY(&d->sent) || PQisBusy(d->pg))
		return;
	status = PQtransactionStatus(d->pg);
	if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
		postgres_die(d, NULL, "a statement left a transaction open");
}

/* Of a statement of ours.  May close the connection. */
static void
postgres_take_own(struct postgres *d, struct postgres_slot *s)
{
	bool is_ping = s->owner == POSTGRES_PING;

	if (is_ping && postgres_is_error(s->result))
		postgres_die(d, postgres_error_code(s->result), "%s", postgres_error_text(s->result));
	else if (s->owner == POSTGRES_WASH && postgres_is_error(s->result))
		postgres_die(d, postgres_error_code(s->result), "what a borrower left behind could not be cleaned up: %s",
		    postgres_error_text(s->result));
	else if (s->owner == POSTGRES_HEAR)
		postgres_on_answer(d, s);
	postgres_slot_free(d, s);
	postgres_check_idle(d);
	if (is_ping && !d->dead)
		conn_is_ready(d->conn);
	else
		postgres_cancel_step(d);
}

/* The sync of the oldest statement has come.  May close the connection. */
static void
postgres_take_sync(struct postgres *d)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->sent), *next = TAILQ_NEXT(s, link);
	struct call *call = s->call;
	bool again;

	/* Else the next statement's answer would be this one's. */
	if (s->result == NULL) {
		postgres_die(d, NULL, "the server came to the end of a statement without an answer");
		return;
	}
	TAILQ_REMOVE(&d->sent, s, link);
	if (d->conn->state != CONN_READY)
		postgres_see_transaction(d);
	if (next != NULL && next->in_parts)
		postgres_stream_begin(d);
	if (s->owner != POSTGRES_CALL) {
		postgres_take_own(d, s);
		return;
	}
	d->live -= call != NULL;
	d->lost -= call == NULL;
	again = call != NULL && postgres_is_unprepared(s) && postgres_may_try_again(d);
	postgres_settle_prepared(d, s);
	if (again) {
		postgres_try_again(d, s);
		return;
	}
	if (call != NULL)
		postgres_finish(d, call, s->result);
	if (s->in_parts)
		rows_draft_drop(&d->part);
	/* Between its parts nothing was owed. */
	d->ungiven += s->owed;
	postgres_slot_free(d, s);
	postgres_check_idle(d);
	postgres_cancel_step(d);
}

/* ---- results ---- */

/* Keep what counts for the oldest statement: the first error, else the last rows. */
static void
postgres_keep(struct postgres_slot *s, PGresult *r)
{
	if (s->result != NULL && postgres_is_error(s->result)) {
		PQclear(r);
		return;
	}
	PQclear(s->result);
	s->result = r;
}

static void
postgres_take_result(struct postgres *d, PGresult *r)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->sent);

	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		if (s->preparing) {
			s->preparing = false;
			PQclear(r);
		} else if (s->result != NULL) {
			PQclear(r);
			postgres_die(d, NULL, "the server answered a statement twice");
		} else {
			postgres_keep(s, r);
		}
		break;
	case PGRES_FATAL_ERROR:
		/* Without a code it is libpq that says so, or a server that is none: what came was no answer, and what follows may not be one. */
		if (postgres_is_fatal(r) || postgres_error_code(r)[0] == '\0' || PQstatus(d->pg) == CONNECTION_BAD)
			postgres_die(d, postgres_error_code(r), "%.*s", (int)strcspn(postgres_error_text(r), "\n"), postgres_error_text(r));
		postgres_keep(s, r);
		break;
	case PGRES_PIPELINE_ABORTED:
		PQclear(r);
		break;
	case PGRES_PIPELINE_SYNC:
		PQclear(r);
		postgres_take_sync(d);
		break;
	case PGRES_SINGLE_TUPLE:
		postgres_stream_row(d, s, r);
		break;
	default:
		PQclear(r);
		postgres_die(d, NULL, "the server answered in a way that cannot be shared (COPY)");
		break;
	}
}

void
postgres_take_all(struct postgres *d)
{
	unsigned ends = 0;

	postgres_hold(d);
	/* A NULL stands between results; several in a row would be a libpq that has lost its place. */
	while (!d->closed && !d->dead && !TAILQ_EMPTY(&d->sent) && !postgres_is_held_up(d) && !PQisBusy(d->pg)) {
		PGresult *r = PQgetResult(d->pg);

		if (r != NULL) {
			ends = 0;
			postgres_take_result(d, r);
		} else if (++ends > 4) {
			postgres_die(d, NULL, "the server's answers do not match what was asked");
		}
	}
	if (!d->closed && !d->dead)
		postgres_stream_pause(d);
	/* What comes unasked (notices, the end of the server) is parsed here. */
	if (!d->closed && !d->dead && TAILQ_EMPTY(&d->sent))
		(void)PQisBusy(d->pg);
	if (!d->closed)
		postgres_tell_notifications(d);
	postgres_release(d);
}
