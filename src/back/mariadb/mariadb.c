/* SPDX-License-Identifier: ISC */

/*
 * The MariaDB driver: libmariadb's non-blocking calls, one statement at a time on a connection.
 *
 * Connecting is a thread's work: over TLS the library waits in the middle of it, whatever it is asked
 * for.  After that nothing waits: every step of a statement is begun by a _start, which the
 * library suspends where it would wait, and goes on by its _cont when the socket is ready.
 *
 * A statement is prepared once per connection, by its text, and its values travel beside it.  A call
 * is begun at the end of the turn.
 *
 * Statements that change what the next one on the connection would see
 * (transactions, SET, USE, locks) are refused where the connection is shared.  Where one leaves something behind all
 * the same, as a procedure can, the session is reset before anyone else gets it.  Where it is lent, it is
 * made as it was before when it is given back.
 */
#include "back/mariadb/mariadb.h"

#include <ma_pvio.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "back/pool.h"
#include "base/must.h"

/* What a value takes beside its bytes, and more. */
enum { MARIADB_VALUE_HEAD = 32 };

/* ---- life ---- */

void
mariadb_die(struct mariadb *d, const char *code, const char *fmt, ...)
{
	char text[sizeof d->why.text];
	va_list ap;

	if (d->dead)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fault_set(&d->why, WEFT_DOWN, code, "%s", text);
	d->dead = true;
	watch_free(&d->watch);
	loop_after_turn(d->loop, &d->task);
}

/* End of the turn. */
static void
mariadb_on_turn_end(void *arg)
{
	struct mariadb *d = arg;
	struct fault why;

	if (d->dead) {
		why = d->why;
		conn_is_dead(d->conn, why.code[0] == '\0' ? NULL : why.code, "%s", why.text);
	} else if (d->goes_on) {
		mariadb_go_on(d);
	} else if (d->owed && !d->begun) {
		mariadb_begin(d);
	} else if (!d->owed && !d->left && (d->washing || d->pinging)) {
		mariadb_own_begin(d);
	}
}

static void
mariadb_on_dialed(struct mariadb_dial *k)
{
	struct mariadb *d = k->d;

	d->dial = NULL;
	d->my = k->my;
	k->my = NULL;
	strcpy(d->identity, k->identity);
	strcpy(d->address, k->address);
	d->send_max = k->packet_max < MARIADB_RESULT_MAX ? k->packet_max : MARIADB_RESULT_MAX;
	if (d->my == NULL) {
		mariadb_die(d, k->code, "%s", k->text);
		mariadb_dial_free(k);
		return;
	}
	mariadb_dial_free(k);
	d->watch = watch_new(d->loop, mysql_get_socket(d->my), mariadb_on_event, d);
	d->slice = timer_new(d->loop, mariadb_on_slice, d);
	if (d->watch == NULL || d->slice == NULL || watch_want(d->watch, WATCH_READ) != 0) {
		mariadb_die(d, NULL, "its socket cannot be watched");
		return;
	}
	d->ready = true;
	conn_is_ready(d->conn);
}

static enum weft_rc
mariadb_open(struct conn *c)
{
	struct mariadb *d = calloc(1, sizeof *d);

	if (d == NULL)
		return WEFT_SYSTEM;
	d->conn = c;
	d->loop = pool_loop(c->pool);
	d->task = (struct loop_task){ .fn = mariadb_on_turn_end, .arg = d };
	stmts_init(&d->stmts, MARIADB_PREPARED);
	mariadb_text_init(&d->text);
	rows_draft_init(&d->draft, MARIADB_RESULT_MAX);
	d->dial = mariadb_dial_new(d);
	if (d->dial == NULL || mariadb_dial_start(d->dial, mariadb_on_dialed) != WEFT_OK) {
		mariadb_dial_free(d->dial);
		free(d);
		return WEFT_SYSTEM;
	}
	c->driver_data = d;
	return WEFT_OK;
}

/* What is left of the connection; the server is told when it is in a state to listen. */
static void
mariadb_hang_up(struct mariadb *d)
{
	if (d->my == NULL)
		return;
	if (d->op != MARIADB_NOTHING || d->dead)
		shutdown(mysql_get_socket(d->my), SHUT_RDWR);
	mariadb_unwind(d);
	mysql_close(d->my);
	d->my = NULL;
}

static void
mariadb_close(struct conn *c)
{
	struct mariadb *d = c->driver_data;
	struct call *call = d->call;

	c->driver_data = NULL;
	d->dead = true;
	d->call = NULL;
	if (call != NULL)
		call_finish(call, d->sent ? WEFT_UNKNOWN : WEFT_NOT_SENT, d->why.code, NULL);
	watch_free(&d->watch);
	if (d->slice != NULL)
		timer_free(&d->slice);
	if (d->timer != NULL)
		timer_free(&d->timer);
	loop_task_cancel(d->loop, &d->task);
	mariadb_dial_drop(&d->dial);
	mariadb_cancel_detach(d);
	mariadb_hang_up(d);
	mariadb_put_fini(d);
	rows_draft_fini(&d->draft);
	free(d);
}

/* ---- calls ---- */

/* A server answers what is too long for it by hanging up, and then it would look as if nothing had been wrong with it. */
static bool
mariadb_fits(const struct mariadb *d, const struct call *c)
{
	size_t size = strlen(c->sql) + MARIADB_VALUE_HEAD;

	for (unsigned i = 0; i < c->nvalues && size <= d->send_max; i++) {
		bool has_bytes = c->values[i].kind == VALUE_TEXT || c->values[i].kind == VALUE_BYTES;

		if (has_bytes && c->values[i].as.bytes.len > d->send_max)
			return false;
		size += MARIADB_VALUE_HEAD + (has_bytes ? c->values[i].as.bytes.len : 0);
	}
	return size <= d->send_max;
}

static enum weft_rc
mariadb_values_check(struct mariadb *d, struct call *c)
{
	if (!mariadb_fits(d, c)) {
		call_explain(c, WEFT_INVALID, NULL, "statement and values have more than the %zu bytes that the server takes", d->send_max);
		return WEFT_INVALID;
	}
	for (unsigned i = 0; i < c->nvalues; i++)
		if (c->values[i].kind == VALUE_REAL && !isfinite(c->values[i].as.real)) {
			call_explain(c, WEFT_INVALID, NULL, "value $%u is no finite number, which MariaDB cannot store", i + 1);
			return WEFT_INVALID;
		}
	return WEFT_OK;
}

static enum weft_rc
mariadb_send(struct conn *c, struct call *call)
{
	struct mariadb *d = c->driver_data;
	enum weft_rc rc;

	if (d->dead || !d->ready) {
		if (call->lease != NULL)
			call_explain(call, WEFT_NOT_SENT, d->why.code, "the connection that was lent is gone: %s", d->why.text);
		return WEFT_NOT_SENT;
	}
	if (call->part == CALL_GOES_ON || d->paused)
		return mariadb_part_ask(d, call);
	rc = mariadb_values_check(d, call);
	if (rc == WEFT_OK && d->fallen)
		rc = mariadb_look_fallen(d, call);
	if (rc == WEFT_OK)
		rc = mariadb_look_up(d, call);
	if (rc != WEFT_OK)
		return rc;
	must(!d->owed);
	d->call = call;
	d->owed = true;
	d->begun = d->sent = d->retried = false;
	d->in_parts = call->part == CALL_OPENS;
	d->given = 0;
	loop_after_turn(d->loop, &d->task);
	conn_took(c, call, d);
	return WEFT_OK;
}

/* What has come beyond the reply would be read as the beginning of the next. */
static bool
mariadb_has_unread(const struct mariadb *d)
{
	const MARIADB_PVIO *v = d->my->net.pvio;

	return v != NULL && v->cache_pos < v->cache + v->cache_size;
}

void
mariadb_give(struct mariadb *d)
{
	if (mariadb_has_unread(d))
		mariadb_die(d, NULL, "the server said what nobody had asked for");
	else if (d->stale && !mariadb_is_lent(d))
		mariadb_die(d, "1290", "the server is read-only");
	if (d->dead || d->cancel != NULL)
		return;
	mariadb_cancel_end(d);
	if (d->left) {
		d->left = false;
		mariadb_own_later(d);
		return;
	}
	if (!d->owed) {
		mariadb_own_end(d);
		return;
	}
	d->owed = false;
	/* Given back in the middle: then conn_gave leaves it alone. */
	if (d->washing)
		mariadb_own_later(d);
	conn_gave(d->conn);
}

static void
mariadb_abandon(struct conn *c, struct call *call)
{
	struct mariadb *d = c->driver_data;

	must(d->call == call);
	d->call = NULL;
	if (d->begun) {
		mariadb_cancel_begin(d);
		return;
	}
	d->owed = false;
	conn_gave(c);
}

static int
mariadb_socket(const struct conn *c)
{
	const struct mariadb *d = c->driver_data;

	return d->my == NULL ? -1 : mysql_get_socket(d->my);
}

const struct driver driver_mariadb = {
	.name = "mariadb",
	.schemes = (const char *const[]){ "mariadb", "mysql", NULL },
	.kind = CALL_SQL,
	.why = WAIT_SQL,
	.depth = 1,
	.shares_slow = false,
	.check = mariadb_check,
	.open = mariadb_open,
	.send = mariadb_send,
	.abandon = mariadb_abandon,
	.clean = mariadb_clean,
	.begin = mariadb_begin_sql,
	.close = mariadb_close,
	.ping = mariadb_ping,
	.socket = mariadb_socket,
	/*
	 * Read-only: since it is a replica now (1290, which is told of other options too: then it costs new connections, and
	 * nothing else), or since its storage engine is (1836).  It ends (1053), or somebody has ended this connection (1927).  Of a
	 * Galera cluster, it has not joined that, or has lost it (1047).  1792 is of a transaction that is read-only, which
	 * its borrower may have asked for; but where nobody can have, it is the server's setting, and a 1290 is made of it.  Source: the server's errmsg-utf8.txt.
	 */
	.failover = (const char *const[]){ "1047", "1053", "1290", "1836", "1927", NULL },
	.has_parts = true,
};
