/* SPDX-License-Identifier: ISC */

/*
 * What may be sent down a MariaDB connection that is shared, what more down one that is lent,
 * and how that is made as it was.  And what is asked for nobody: a sign of life.
 *
 * Washing.  What a transaction ends by itself (savepoints, locks on rows) needs a ROLLBACK where one is open, and else nothing.
 * What may outlive it is reset: that rolls back, drops temporary tables, forgets what was prepared, variables, settings,
 * and gives back locks; but it leaves the database that was chosen, which is chosen anew, and the role, for which
 * the connection is closed.
 *
 * Transactions.  A server tells with each success whether a transaction is open, with an error it does not; and some errors (a deadlock)
 * are the end of one.  So after an error on a connection that is lent it is asked, before the borrower hears of the error.  A
 * transaction that ended by an error, or since a statement commits by itself (CREATE TABLE), is over for its borrower
 * too: until it has said ROLLBACK, or begins another one, each statement is refused, as it would be done on its own.
 */
#include "back/mariadb/mariadb.h"

#include <stdio.h>
#include <string.h>

#include "back/pool.h"
#include "back/sql/sqltext.h"

/* ---- what may be sent ---- */

bool
mariadb_is_lent(const struct mariadb *d)
{
	return d->conn->state == CONN_LENT || d->conn->state == CONN_CLEANING;
}

enum weft_rc
mariadb_look(struct mariadb *d, struct call *call)
{
	d->word = mariadb_session_word(call->sql);
	if (d->word == NULL)
		return WEFT_OK;
	if (call->lease == NULL) {
		call_explain(call, WEFT_INVALID, NULL,
		    "%s changes the state of the connection, which is shared with other requests: use weft_begin or weft_lend", d->word);
		return WEFT_INVALID;
	}
	d->unkept = true;
	d->tainted |= !mariadb_is_passing(d->word);
	d->spoilt |= mariadb_sets_role(call->sql);
	return WEFT_OK;
}

enum weft_rc
mariadb_look_fallen(struct mariadb *d, struct call *call)
{
	const char *word = sql_transaction_word(call->sql);

	d->fallen = word == NULL;
	if (word != NULL && strcmp(word, "COMMIT") != 0)
		return WEFT_OK;
	call_explain(call, WEFT_REFUSED, d->end.code, "the transaction is over: %s", d->end.text);
	return WEFT_REFUSED;
}

/* ---- transactions ---- */

const char *
mariadb_begin_sql(const struct back_url *url)
{
	(void)url;
	return "START TRANSACTION";
}

bool
mariadb_may_try_again(const struct mariadb *d)
{
	return !mariadb_is_lent(d) || !d->conn->in_transaction;
}

bool
mariadb_has_changed(const struct mariadb *d)
{
	unsigned status = d->my->server_status;

	return d->leaves || status & SERVER_SESSION_STATE_CHANGED || !(status & SERVER_STATUS_AUTOCOMMIT);
}

void
mariadb_see_transaction(struct mariadb *d)
{
	unsigned status = d->my->server_status;
	bool was_open = d->conn->in_transaction, failed = d->refused.rc != WEFT_OK;

	if (!mariadb_is_lent(d))
		return;
	d->unsure = false;
	d->conn->in_transaction = status & SERVER_STATUS_IN_TRANS;
	if (!was_open || d->conn->in_transaction || (d->word != NULL && mariadb_ends_transaction(d->word, failed)))
		return;
	/* Without autocommit what follows is in a transaction too: the borrower is used to that. */
	d->fallen = failed || status & SERVER_STATUS_AUTOCOMMIT;
	if (failed)
		d->end = d->refused;
	else
		fault_set(&d->end, WEFT_REFUSED, NULL, "the statement before has ended it");
}

/* ---- washing ---- */

const char *
mariadb_database(const struct mariadb *d)
{
	const struct back_url *url = pool_url(d->conn->pool);

	return url->path[0] == '\0' ? "" : url->path + 1;
}

/* Where none was chosen at first, there is no way back to that. */
static bool
mariadb_is_spoilt(const struct mariadb *d)
{
	return d->spoilt || (d->tainted && mariadb_database(d)[0] == '\0');
}

enum conn_clean
mariadb_clean(struct conn *c)
{
	struct mariadb *d = c->driver_data;

	if (d->dead || d->stale || mariadb_is_spoilt(d))
		return CONN_SPOILT;
	d->fallen = false;
	if (d->paused) {
		mariadb_part_leave(d);
		d->washing = true;
		return d->dead ? CONN_SPOILT : CONN_WASHING;
	}
	if (!d->owed && !d->tainted && !d->unsure && !c->in_transaction)
		return CONN_CLEAN;
	d->washing = true;
	if (!d->owed)
		mariadb_own_later(d);
	return CONN_WASHING;
}

void
mariadb_wash(struct mariadb *d)
{
	if (mariadb_is_spoilt(d))
		mariadb_die(d, NULL, "what a borrower left behind cannot be undone");
	else if (d->tainted)
		d->op = MARIADB_RESETTING;
	else if (d->conn->in_transaction || d->unsure)
		d->op = MARIADB_ROLLING_BACK;
}

void
mariadb_on_rolled_back(struct mariadb *d)
{
	d->op = MARIADB_NOTHING;
	d->unsure = false;
	d->conn->in_transaction = false;
	if (d->rc != 0 || mysql_field_count(d->my) > 0 || d->my->server_status & SERVER_STATUS_IN_TRANS)
		mariadb_die(d, NULL, "what a borrower left behind could not be rolled back: %s", mysql_error(d->my));
}

/* What was prepared is gone with the session's state; the library has been told, and sends nothing for it. */
void
mariadb_on_reset(struct mariadb *d)
{
	if (d->rc != 0) {
		mariadb_die(d, NULL, "its session cannot be reset: %s", mysql_error(d->my));
		return;
	}
	mariadb_put_forget_all(d);
	d->leaves = d->tainted = d->unsure = d->conn->in_transaction = false;
	d->op = d->washing ? MARIADB_CHOOSING : MARIADB_SETTING_UP;
}

void
mariadb_on_set_up(struct mariadb *d)
{
	if (d->rc != 0)
		mariadb_die(d, NULL, "%s", mysql_error(d->my));
	d->op = d->op == MARIADB_CHOOSING ? MARIADB_SETTING_UP : MARIADB_NOTHING;
}

/* ---- for nobody ---- */

void
mariadb_ping(struct conn *c)
{
	struct mariadb *d = c->driver_data;

	d->pinging = true;
	mariadb_own_later(d);
}

void
mariadb_on_pinged(struct mariadb *d)
{
	d->op = MARIADB_NOTHING;
	if (d->rc != 0)
		mariadb_die(d, NULL, "%s", mysql_error(d->my));
}

void
mariadb_own_later(struct mariadb *d)
{
	loop_after_turn(d->loop, &d->task);
}

void
mariadb_own_begin(struct mariadb *d)
{
	if (d->washing)
		mariadb_wash(d);
	else
		d->op = MARIADB_PINGING;
	if (!d->dead)
		mariadb_begin_own(d);
}

void
mariadb_own_end(struct mariadb *d)
{
	d->washing = d->pinging = d->fallen = false;
	conn_is_ready(d->conn);
}
