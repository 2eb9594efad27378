/* SPDX-License-Identifier: ISC */

/*
 * What a step has ended with, and which is next: [forget another to make room, prepare,] execute, then row after row; or ask as text.
 *
 * "Prepared statement lost" is mended by a second try, which is safe as the first was not executed; but CALL and its like may have
 * done something before they say so, and are not tried again.  A result that has other columns than when the statement was prepared
 * cannot be read by the library: what only reads is asked again.
 */
#include "back/mariadb/mariadb.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

/* Of other servers of the family; not in the library's header. */
enum { MARIADB_ER_DISCONNECTED = 4031 };

/* ---- the end of a statement ---- */

void
mariadb_finish(struct mariadb *d, enum weft_rc rc, const char *code, const char *text)
{
	struct call *call = d->call;

	d->call = NULL;
	if (call != NULL)
		call_finish(call, rc, code, text == NULL ? NULL : "%s", text);
}

void
mariadb_settle(struct mariadb *d)
{
	d->op = MARIADB_NOTHING;
	d->stmt = NULL;
	d->entry = NULL;
	d->in_parts = false;
	rows_draft_shrink(&d->draft);
	if (d->text.text.size > 65536)
		mariadb_text_fini(&d->text);
	if (d->dead)
		return;
	if (mariadb_is_lent(d))
		d->tainted |= mariadb_has_changed(d);
	else if (d->my->server_status & SERVER_STATUS_IN_TRANS)
		mariadb_die(d, NULL, "a statement left a transaction open");
	else if (mariadb_has_changed(d))
		d->op = MARIADB_RESETTING;
}

void
mariadb_retire(struct mariadb *d)
{
	if (d->stmt != NULL && d->entry == NULL)
		d->op = MARIADB_FORGETTING;
	else
		mariadb_settle(d);
}

static void
mariadb_succeed(struct mariadb *d)
{
	struct call *call = d->call;

	d->refused.rc = WEFT_OK;
	mariadb_see_transaction(d);
	if (call != NULL) {
		if (d->drafted && d->stmt->changes)
			d->draft.affected = (long long)(d->given + d->draft.count);
		call->rows = rows_draft_make(&d->draft, call->arena);
		call->last = true;
		if (call->rows != NULL)
			mariadb_finish(d, WEFT_OK, NULL, NULL);
		else
			mariadb_finish(d, WEFT_SYSTEM, NULL, "no memory for the result");
	}
	mariadb_retire(d);
}

/* ---- failures ---- */

/*
 * Said by the library, not by the server: the connection is of no use.  The number does not tell, since a SIGNAL may have any;
 * but what the server has said lies in the library's buffer still, which is gone where it has closed its socket.
 */
static bool
mariadb_is_lost(const struct mariadb *d, unsigned number)
{
	const NET *net = &d->my->net;

	return number == 0 || net->pvio == NULL || net->read_pos[0] != 0xff || (net->read_pos[1] | (unsigned)net->read_pos[2] << 8) != number;
}

/* Said by the server, which goes, or has this connection go. */
static bool
mariadb_is_fatal(unsigned number)
{
	static const unsigned numbers[] = { ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN, ER_SHUTDOWN_COMPLETE, ER_ABORTING_CONNECTION,
		ER_NET_READ_ERROR_FROM_PIPE, ER_NET_FCNTL_ERROR, ER_NET_PACKETS_OUT_OF_ORDER, ER_NET_UNCOMPRESS_ERROR,
		ER_NET_READ_ERROR, ER_NET_READ_INTERRUPTED, ER_NET_ERROR_ON_WRITE, ER_NET_WRITE_INTERRUPTED,
		ER_CONNECTION_KILLED, MARIADB_ER_DISCONNECTED };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (number == numbers[i])
			return true;
	return false;
}

static bool
mariadb_is_read_only(unsigned number)
{
	return number == ER_OPTION_PREVENTS_STATEMENT || number == ER_READ_ONLY_MODE;
}

/* Of one that is shared, since then it is a setting that the session began with; a borrower may have asked for it. */
static bool
mariadb_is_read_only_session(const struct mariadb *d, unsigned number)
{
	return number == ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION && !mariadb_is_lent(d);
}

/* Forget what was prepared, then prepare it anew.  Returns false when this is no case for it. */
static bool
mariadb_try_again(struct mariadb *d)
{
	if (d->call == NULL || d->retried || mariadb_translate(d, d->call) != WEFT_OK)
		return false;
	d->retried = true;
	d->sent = false;
	return true;
}

/* The asker is told; the statement stays prepared if it was. */
static void
mariadb_tell_refused(struct mariadb *d)
{
	mariadb_finish(d, WEFT_REFUSED, d->refused.code, d->refused.text);
	if (d->dropping)
		mariadb_drop(d);
	else
		mariadb_retire(d);
}

static bool
mariadb_is_unprepared(unsigned number)
{
	return number == ER_UNKNOWN_STMT_HANDLER || number == ER_NEED_REPREPARE;
}

/* Was it refused only because of what is, or is to be, prepared?  Then it goes well once that is mended. */
static bool
mariadb_mends(struct mariadb *d, unsigned number)
{
	/* The server has no room for another: this connection keeps fewer from now on. */
	if (number == ER_MAX_PREPARED_STMT_COUNT_REACHED && d->op == MARIADB_PREPARING) {
		d->stmts.max = d->stmts.count > 2 ? d->stmts.count / 2 : 1;
		return mariadb_try_again(d);
	}
	/* A procedure, and what has begun to give rows, may say so of something else, in the midst of what it does. */
	return mariadb_is_unprepared(number) && d->op == MARIADB_EXECUTING && !d->stmt->opaque && mariadb_may_try_again(d) && mariadb_try_again(d);
}

static void
mariadb_refused(struct mariadb *d, unsigned number, const char *code, const char *text)
{
	d->stale |= mariadb_is_read_only(number) || mariadb_is_read_only_session(d, number);
	d->leaves |= d->stmt != NULL && d->stmt->opaque;
	d->dropping = d->stmt != NULL && (mariadb_is_unprepared(number) || d->op == MARIADB_PREPARING);
	if (d->stmt != NULL && mariadb_mends(d, number)) {
		mariadb_drop(d);
		return;
	}
	if (number == ER_NET_PACKET_TOO_LARGE) {
		mariadb_finish(d, WEFT_REFUSED, code, text);
		mariadb_die(d, code, "%s", text);
		return;
	}
	fault_set(&d->refused, WEFT_REFUSED, code, "%s", text);
	if (mariadb_is_lent(d))
		d->op = MARIADB_LOOKING;
	else
		mariadb_tell_refused(d);
}

/* The step has failed. */
static void
mariadb_failed(struct mariadb *d, unsigned number, const char *said)
{
	const char *text = d->ear.objection == NULL ? said : "the result is too large";
	bool is_lost = mariadb_is_lost(d, number);
	char code[12];

	snprintf(code, sizeof code, "%u", number);
	if (d->ear.objection != NULL || (is_lost && number == CR_NET_PACKET_TOO_LARGE))
		mariadb_finish(d, WEFT_TOO_LARGE, NULL, text);
	if (is_lost && number == CR_SERVER_GONE_ERROR && (d->op == MARIADB_EXECUTING || d->op == MARIADB_ASKING))
		d->sent = false;	/* it could not be written, not in whole */
	if (is_lost || mariadb_is_fatal(number))
		mariadb_die(d, code, "%s", text);
	else
		mariadb_refused(d, number, code, text);
}

static void
mariadb_stmt_failed(struct mariadb *d)
{
	MYSQL_STMT *s = d->stmt->handle;

	/* Not all that fails is noted in both. */
	if (mysql_stmt_errno(s) != 0)
		mariadb_failed(d, mysql_stmt_errno(s), mysql_stmt_error(s));
	else
		mariadb_failed(d, mysql_errno(d->my), mysql_error(d->my));
}

/* ---- what a step has ended with ---- */

static void
mariadb_on_prepared(struct mariadb *d)
{
	if (d->rc != 0) {
		mariadb_stmt_failed(d);
	} else if (d->call == NULL) {
		mariadb_retire(d);
	} else if (mysql_stmt_param_count(d->stmt->handle) != d->stmt->count) {
		mariadb_finish(d, WEFT_INVALID, NULL, "the server sees other parameters in the statement than $1, $2 and so on");
		mariadb_drop(d);
	} else {
		mariadb_execute(d);
	}
}

/* A result begins, with columns or without. */
static void
mariadb_on_result(struct mariadb *d)
{
	MYSQL_STMT *s = d->stmt->handle;

	if (mysql_stmt_field_count(s) > MARIADB_COLUMNS) {
		mariadb_die(d, NULL, "a result of more than %d columns", MARIADB_COLUMNS);
		return;
	}
	if (mysql_stmt_field_count(s) > 0) {
		if (!d->drafted)
			mariadb_take_names(&d->draft, s);
		d->op = MARIADB_FETCHING;
		return;
	}
	if (!d->drafted && d->stmt->changes)
		d->draft.affected = (long long)mysql_stmt_affected_rows(s);
	if (mysql_stmt_more_results(s))
		d->op = MARIADB_MOVING;
	else
		mariadb_succeed(d);
}

static void
mariadb_on_executed(struct mariadb *d)
{
	d->ear.most = MARIADB_HEAD_MAX + MARIADB_RESULT_MAX;
	if (d->rc == 0)
		mariadb_on_result(d);
	else if (mysql_stmt_errno(d->stmt->handle) == CR_NEW_STMT_METADATA)
		d->op = MARIADB_SKIPPING;
	else
		mariadb_stmt_failed(d);
}

/* Its rows are gone, and it would be refused again and again. */
static void
mariadb_on_skipped(struct mariadb *d)
{
	if (d->no) {
		mariadb_stmt_failed(d);
		return;
	}
	d->refused.rc = WEFT_OK;
	mariadb_see_transaction(d);
	if (d->call == NULL || !mariadb_only_reads(d->call->sql) || !mariadb_may_try_again(d) || !mariadb_try_again(d))
		mariadb_finish(d, WEFT_UNKNOWN, NULL, "done, but the columns of its result have changed since it was prepared");
	mariadb_drop(d);
}

/* The library passes over what the end of the rows says of the session; the status that it has noted is from before them. */
static void
mariadb_note_status(struct mariadb *d)
{
	const unsigned char *end = d->my->net.read_pos;

	d->my->server_status = end[3] | (unsigned)end[4] << 8;
}

static void
mariadb_on_fetched(struct mariadb *d)
{
	MYSQL_STMT *s = d->stmt->handle;

	if (d->rc == MYSQL_NO_DATA) {
		mariadb_note_status(d);
		d->drafted = true;
		if (mysql_stmt_more_results(s))
			d->op = MARIADB_MOVING;
		else
			mariadb_succeed(d);
		return;
	}
	if (d->rc == 1) {
		mariadb_stmt_failed(d);
		return;
	}
	if (d->rc != 0 || d->malformed) {
		mariadb_die(d, NULL, "a row is malformed");
		return;
	}
	if (d->call != NULL && !d->drafted)
		d->draft.count++;
	/* What is given in parts may be of any length, and each row of it as long as a result. */
	if (d->in_parts)
		d->ear.most = d->ear.heard + MARIADB_RESULT_MAX;
	if (!rows_draft_is_full(&d->draft))
		return;
	mariadb_finish(d, WEFT_TOO_LARGE, NULL, "the result is too large");
	mariadb_die(d, NULL, "a result is over %d bytes", MARIADB_RESULT_MAX);
}

static void
mariadb_on_moved(struct mariadb *d)
{
	if (d->rc == 0)
		mariadb_on_result(d);
	else if (d->rc < 0)
		mariadb_succeed(d);
	else
		mariadb_stmt_failed(d);
}

static void
mariadb_on_forgotten(struct mariadb *d)
{
	free(d->stmt);
	d->stmt = NULL;
	if (d->no && mysql_get_socket(d->my) < 0)
		mariadb_die(d, NULL, "%s", mysql_error(d->my));
	else if (d->call != NULL)
		mariadb_prepare(d);
	else
		mariadb_settle(d);
}

static void
mariadb_on_asked(struct mariadb *d)
{
	if (d->rc != 0)
		mariadb_failed(d, mysql_errno(d->my), mysql_error(d->my));
	else if (mysql_field_count(d->my) > 0 || mysql_more_results(d->my))
		mariadb_die(d, NULL, "the server said what nobody had asked for");
	else
		mariadb_succeed(d);
}

/* What the error has left open is known, or what was asked for that was taken for the statement by a cancel. */
static void
mariadb_on_looked(struct mariadb *d)
{
	if (d->rc == 0 && mysql_field_count(d->my) == 0)
		mariadb_see_transaction(d);
	else if (d->call == NULL && mysql_errno(d->my) == ER_QUERY_INTERRUPTED)
		d->unsure = true;
	else
		mariadb_die(d, NULL, "whether a transaction is open cannot be told: %s", mysql_error(d->my));
	mariadb_tell_refused(d);
}

void
mariadb_run_on(struct mariadb *d)
{
	switch (d->op) {
	case MARIADB_PREPARING:
		mariadb_on_prepared(d);
		break;
	case MARIADB_EXECUTING:
		mariadb_on_executed(d);
		break;
	case MARIADB_FETCHING:
		mariadb_on_fetched(d);
		break;
	case MARIADB_MOVING:
		mariadb_on_moved(d);
		break;
	case MARIADB_SKIPPING:
		mariadb_on_skipped(d);
		break;
	case MARIADB_FORGETTING:
		mariadb_on_forgotten(d);
		break;
	case MARIADB_ASKING:
		mariadb_on_asked(d);
		break;
	case MARIADB_LOOKING:
		mariadb_on_looked(d);
		break;
	case MARIADB_ROLLING_BACK:
		mariadb_on_rolled_back(d);
		break;
	case MARIADB_RESETTING:
		mariadb_on_reset(d);
		break;
	case MARIADB_PINGING:
		mariadb_on_pinged(d);
		break;
	case MARIADB_CHOOSING:
	case MARIADB_SETTING_UP:
		mariadb_on_set_up(d);
		break;
	case MARIADB_NOTHING:
		break;
	}
}
