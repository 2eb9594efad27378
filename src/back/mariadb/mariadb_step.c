/* SPDX-License-Identifier: ISC */

/*
 * Steps of the library's, one at a time: begun, gone on with when the socket is ready, and followed by the next, which
 * mariadb_run.c decides on.  Those that need not wait follow each other in a loop, not in each other; a long
 * result lets others in between after every MARIADB_SLICE rows.
 */
#include "back/mariadb/mariadb.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How often a step is asked to come to its end before the connection is freed under it. */
enum { MARIADB_UNWIND = 100 };

/* ---- steps ---- */

/* Returns what it waits for, a mask of MYSQL_WAIT_; 0: it has ended. */
static int
mariadb_op_start(struct mariadb *d)
{
	MYSQL_STMT *s = d->stmt == NULL ? NULL : d->stmt->handle;

	switch (d->op) {
	case MARIADB_PREPARING:
		return mysql_stmt_prepare_start(&d->rc, s, d->text.text.at, d->text.text.len - 1);
	case MARIADB_EXECUTING:
		return mysql_stmt_execute_start(&d->rc, s);
	case MARIADB_FETCHING:
		return mysql_stmt_fetch_start(&d->rc, s);
	case MARIADB_MOVING:
		return mysql_stmt_next_result_start(&d->rc, s);
	case MARIADB_SKIPPING:
		return mysql_stmt_free_result_start(&d->no, s);
	case MARIADB_FORGETTING:
		return mysql_stmt_close_start(&d->no, s);
	case MARIADB_ASKING:
		return mysql_real_query_start(&d->rc, d->my, d->text.text.at, d->text.text.len - 1);
	case MARIADB_LOOKING:
		return mysql_real_query_start(&d->rc, d->my, MARIADB_LOOK, sizeof MARIADB_LOOK - 1);
	case MARIADB_ROLLING_BACK:
		return mysql_real_query_start(&d->rc, d->my, MARIADB_ROLLBACK, sizeof MARIADB_ROLLBACK - 1);
	case MARIADB_RESETTING:
		return mysql_reset_connection_start(&d->rc, d->my);
	case MARIADB_CHOOSING:
		return mysql_select_db_start(&d->rc, d->my, mariadb_database(d));
	case MARIADB_SETTING_UP:
		return mysql_real_query_start(&d->rc, d->my, MARIADB_SET_UP, sizeof MARIADB_SET_UP - 1);
	case MARIADB_PINGING:
		return mysql_ping_start(&d->rc, d->my);
	case MARIADB_NOTHING:
		break;
	}
	return 0;
}

static int
mariadb_op_continue(struct mariadb *d, int ready)
{
	MYSQL_STMT *s = d->stmt == NULL ? NULL : d->stmt->handle;

	switch (d->op) {
	case MARIADB_PREPARING:
		return mysql_stmt_prepare_cont(&d->rc, s, ready);
	case MARIADB_EXECUTING:
		return mysql_stmt_execute_cont(&d->rc, s, ready);
	case MARIADB_FETCHING:
		return mysql_stmt_fetch_cont(&d->rc, s, ready);
	case MARIADB_MOVING:
		return mysql_stmt_next_result_cont(&d->rc, s, ready);
	case MARIADB_SKIPPING:
		return mysql_stmt_free_result_cont(&d->no, s, ready);
	case MARIADB_FORGETTING:
		return mysql_stmt_close_cont(&d->no, s, ready);
	case MARIADB_RESETTING:
		return mysql_reset_connection_cont(&d->rc, d->my, ready);
	case MARIADB_CHOOSING:
		return mysql_select_db_cont(&d->rc, d->my, ready);
	case MARIADB_ASKING:
	case MARIADB_LOOKING:
	case MARIADB_ROLLING_BACK:
	case MARIADB_SETTING_UP:
		return mysql_real_query_cont(&d->rc, d->my, ready);
	case MARIADB_PINGING:
		return mysql_ping_cont(&d->rc, d->my, ready);
	case MARIADB_NOTHING:
		break;
	}
	return 0;
}

/* Begin the step (ready: 0) or go on with it.  Returns what it waits for. */
static int
mariadb_step(struct mariadb *d, int ready)
{
	int waits;

	mariadb_ear_set(&d->ear);
	waits = ready == 0 ? mariadb_op_start(d) : mariadb_op_continue(d, ready);
	mariadb_ear_set(NULL);
	d->suspended = waits != 0;
	/* The library has closed its socket: nobody else's of the same number is to be unwatched later. */
	if (mysql_get_socket(d->my) < 0)
		watch_free(&d->watch);
	return waits;
}

/* ---- going on ---- */

/* Has this turn had its share of a long result? */
static bool
mariadb_slice_is_over(struct mariadb *d)
{
	return d->op == MARIADB_FETCHING && (++d->slice_rows > MARIADB_SLICE || d->ear.heard - d->slice_bytes > MARIADB_SLICE_BYTES);
}

/* Watch for what the library waits for, or for anything that comes unasked. */
static void
mariadb_await(struct mariadb *d, int waits)
{
	int want = (waits & MYSQL_WAIT_READ ? WATCH_READ : 0) | (waits & MYSQL_WAIT_WRITE ? WATCH_WRITE : 0);

	if (d->watch == NULL || watch_want(d->watch, want == 0 ? WATCH_READ : want) != 0)
		mariadb_die(d, NULL, "the server has closed the connection");
}

/* From a step that waits for nothing to one that does, or to the end of the statement.  waits: what the one under way waits for. */
static void
mariadb_go(struct mariadb *d, int waits)
{
	d->slice_rows = 0;
	d->slice_bytes = d->ear.heard;
	while (waits == 0 && !d->dead) {
		mariadb_run_on(d);
		if (d->dead || d->op == MARIADB_NOTHING)
			break;
		if (mariadb_part_is_due(d, 0))
			break;
		if (d->watch != NULL && mariadb_slice_is_over(d)) {
			(void)watch_want(d->watch, 0);
			timer_set(d->slice, loop_now(d->loop));
			return;
		}
		waits = mariadb_step(d, 0);
	}
	if (!d->dead && mariadb_part_is_due(d, waits)) {
		mariadb_part_give(d, waits);
		return;
	}
	if (!d->dead)
		mariadb_await(d, waits);
	if (!d->dead && d->op == MARIADB_NOTHING)
		mariadb_give(d);
}

void
mariadb_go_on(struct mariadb *d)
{
	d->goes_on = false;
	if (d->suspended)
		mariadb_await(d, d->waits);
	else
		mariadb_go(d, mariadb_step(d, 0));
}

void
mariadb_begin(struct mariadb *d)
{
	d->begun = true;
	d->leaves = false;
	d->my->server_status &= ~(unsigned)SERVER_SESSION_STATE_CHANGED;
	if (d->stmt != NULL)
		mariadb_execute(d);
	else if (d->word != NULL && d->call->nvalues == 0 && mariadb_has_no_rows(d->word))
		mariadb_ask(d);
	else
		mariadb_prepare(d);
	mariadb_begin_own(d);
}

void
mariadb_begin_own(struct mariadb *d)
{
	d->ear = (struct mariadb_ear){ .my = d->my, .most = MARIADB_HEAD_MAX };
	mariadb_go(d, d->op == MARIADB_NOTHING ? 0 : mariadb_step(d, 0));
}

/* A row was taken in, and the next one is not yet asked for. */
void
mariadb_on_slice(void *arg)
{
	struct mariadb *d = arg;

	if (!d->dead && d->op == MARIADB_FETCHING)
		mariadb_go(d, mariadb_step(d, 0));
}

/* A server may say something while nothing is owed: why it ends the connection.  Anything else would be read as the next statement's answer. */
static void
mariadb_on_unasked(struct mariadb *d)
{
	unsigned char said[256];
	ssize_t n = recv(mysql_get_socket(d->my), said, sizeof said - 1, MSG_PEEK | MSG_DONTWAIT);
	char code[12] = "";
	size_t text = 7;

	if (n <= 0) {
		mariadb_die(d, NULL, "the server has closed the connection");
	} else if (mysql_get_ssl_cipher(d->my) != NULL || n < 7 || said[4] != 0xff) {
		mariadb_die(d, NULL, "the server said what nobody had asked for");
	} else {
		said[n] = '\0';
		text += n > 13 && said[7] == '#' ? 6 : 0;
		snprintf(code, sizeof code, "%u", said[5] | (unsigned)said[6] << 8);
		mariadb_die(d, code, "%s", (const char *)said + text);
	}
}

void
mariadb_on_event(void *arg, int what)
{
	struct mariadb *d = arg;

	if (d->dead)
		return;
	if (d->op == MARIADB_NOTHING)
		mariadb_on_unasked(d);
	else
		mariadb_go(d, mariadb_step(d, what & WATCH_WRITE ? MYSQL_WAIT_WRITE : MYSQL_WAIT_READ));
}

/* ---- the end ---- */

void
mariadb_unwind(struct mariadb *d)
{
	int left = MARIADB_UNWIND;

	/* Whatever it waits for, its time is over; what it has allocated on its stack it frees on its way out. */
	while (d->suspended && left-- > 0)
		d->suspended = mariadb_op_continue(d, MYSQL_WAIT_TIMEOUT) != 0;
	if (d->op == MARIADB_FORGETTING && left < MARIADB_UNWIND) {
		free(d->stmt);
		d->stmt = NULL;
	}
}
