/* SPDX-License-Identifier: ISC */

/*
 * What may be sent down a PostgreSQL connection that is shared, what more down one that is lent,
 * and how that is made as it was.
 *
 * A lent one is washed in up to four steps: what was abandoned is over (postgres_cancel.c), ROLLBACK
 * where a transaction is open, DISCARD ALL where anything was asked that outlives one, and then the server has said that it is idle.
 *
 * DISCARD ALL takes the prepared statements along.  So most borrowers should do without it: what a transaction
 * ends by itself (savepoints, SET LOCAL, locks on rows and tables) does not call for it.
 */
#include "back/postgres/postgres.h"

#include <string.h>

#include "back/sql/sqltext.h"

/* ---- what may be sent ---- */

static enum weft_rc
postgres_refuse(struct call *c, const char *word)
{
	call_explain(c, WEFT_INVALID, NULL,
	    "%s changes the state of the connection, which is shared with other requests: use weft_begin or weft_lend", word);
	return WEFT_INVALID;
}

enum weft_rc
postgres_look(struct postgres *d, struct call *c, bool *unnamed)
{
	const char *word = sql_session_word(c->sql);
	enum sql_trace trace;

	if (word != NULL && strcmp(word, "COPY") == 0) {
		call_explain(c, WEFT_INVALID, NULL, "COPY cannot be sent: its data travel in another way than values and rows");
		return WEFT_INVALID;
	}
	trace = sql_trace(c->sql);
	if (c->lease == NULL) {
		/* What may commit by itself (CALL, DO) must not look as if what it was prepared as were lost; and a borrower's is to be looked at. */
		*unnamed = trace != SQL_LEAVES_NOTHING;
		if (word == NULL)
			word = sql_session_call(c->sql);
		return word == NULL ? WEFT_OK : postgres_refuse(c, word);
	}
	d->tainted |= trace == SQL_LEAVES_STATE;
	/* Calls of others find what is prepared without being looked at; and a temporary table may hide what it was prepared for. */
	*unnamed = d->tainted || trace != SQL_LEAVES_NOTHING;
	return WEFT_OK;
}

/* Connections of the server's own to elsewhere: DISCARD ALL leaves them. */
void
postgres_note_done(struct postgres *d, const struct call *c)
{
	const char *name = d->tainted && c->sql != NULL ? sql_session_call(c->sql) : NULL;

	d->spoilt |= name != NULL && strncmp(name, "dblink_", 7) == 0;
}

/* ---- transactions ---- */

void
postgres_see_transaction(struct postgres *d)
{
	PGTransactionStatusType status = PQtransactionStatus(d->pg);

	/* While more is on its way libpq does not tell. */
	if (status != PQTRANS_ACTIVE)
		d->conn->in_transaction = status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool
postgres_may_try_again(const struct postgres *d)
{
	return d->conn->lease == NULL || PQtransactionStatus(d->pg) == PQTRANS_IDLE;
}

/* After an error a transaction can only be rolled back, and that is what COMMIT does then, with success. */
bool
postgres_is_uncommitted(const struct call *c, const PGresult *r)
{
	const char *word;

	if (PQresultStatus(r) != PGRES_COMMAND_OK || strcmp(PQcmdStatus((PGresult *)(uintptr_t)r), "ROLLBACK") != 0)
		return false;
	word = sql_transaction_word(c->sql);
	return word != NULL && strcmp(word, "ROLLBACK") != 0 && strcmp(word, "ABORT") != 0;
}

/* ---- washing ---- */

/* Do what is next.  Returns true when nothing is: it is as it was. */
static bool
postgres_wash(struct postgres *d)
{
	if (d->dead || d->draining || d->cancel != NULL || !TAILQ_EMPTY(&d->sent))
		return false;
	postgres_see_transaction(d);
	if (d->conn->in_transaction && d->rinsed)
		postgres_die(d, NULL, "what a borrower left behind could not be rolled back");
	else if (d->conn->in_transaction)
		(void)postgres_put_own(d, POSTGRES_WASH, "ROLLBACK");
	d->rinsed |= d->conn->in_transaction;
	if (d->tainted && !d->dead) {
		postgres_forget_prepared(d);
		d->tainted = false;
		(void)postgres_put_own(d, POSTGRES_WASH, "DISCARD ALL");
	}
	return TAILQ_EMPTY(&d->sent) && !d->dead && PQtransactionStatus(d->pg) == PQTRANS_IDLE;
}

enum conn_clean
postgres_clean(struct conn *c)
{
	struct postgres *d = c->driver_data;

	if (d->spoilt)
		return CONN_SPOILT;
	d->rinsed = false;
	postgres_stream_leave_any(d);
	d->washing = !d->dead && !postgres_wash(d);
	if (d->dead)
		return CONN_SPOILT;
	return d->washing ? CONN_WASHING : CONN_CLEAN;
}

void
postgres_wash_step(struct postgres *d)
{
	if (!postgres_wash(d))
		return;
	d->washing = false;
	conn_is_ready(d->conn);
}
