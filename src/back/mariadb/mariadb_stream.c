/* SPDX-License-Identifier: ISC */

/*
 * Rows that are given in parts: a result of any size in little memory.
 *
 * The library fetches row by row as it is.  Where there are enough for a part, or it would have to wait for the next, they are
 * given, and no further step is begun, nor the one under way gone on with, until the next part is asked for: its buffer has some
 * KiB, the kernel's become full, and the server waits with the rest, for as long as its net_write_timeout.
 *
 * Between the parts nothing is owed.  What is left then is killed, and read to its end, before the connection is washed.
 */
#include "back/mariadb/mariadb.h"

#include "base/must.h"

bool
mariadb_part_is_due(const struct mariadb *d, int waits)
{
	if (!d->in_parts || d->call == NULL || d->op != MARIADB_FETCHING || d->drafted || d->draft.count == 0)
		return false;
	return waits != 0 || rows_draft_is_part(&d->draft);
}

void
mariadb_part_give(struct mariadb *d, int waits)
{
	struct call *call = d->call;

	if (d->watch != NULL)
		(void)watch_want(d->watch, 0);
	call->rows = rows_draft_make(&d->draft, call->arena);
	d->given += d->draft.count;
	rows_draft_clear(&d->draft);
	mariadb_take_names(&d->draft, d->stmt->handle);
	d->waits = waits;
	d->paused = true;
	d->owed = false;
	if (call->rows != NULL)
		mariadb_finish(d, WEFT_OK, NULL, NULL);
	else
		mariadb_finish(d, WEFT_SYSTEM, NULL, "no memory for the rows");
	conn_gave(d->conn);
}

enum weft_rc
mariadb_part_ask(struct mariadb *d, struct call *call)
{
	if (!d->paused || call->part != CALL_GOES_ON) {
		call_explain(call, WEFT_INVALID, NULL, d->paused ? "the rows of another statement are on their way" : "no rows are on their way");
		return WEFT_INVALID;
	}
	d->call = call;
	d->owed = true;
	d->paused = false;
	d->goes_on = true;
	loop_after_turn(d->loop, &d->task);
	conn_took(d->conn, call, d);
	return WEFT_OK;
}

void
mariadb_part_leave(struct mariadb *d)
{
	must(d->paused && d->call == NULL && !d->owed);
	d->paused = false;
	d->goes_on = d->left = true;
	loop_after_turn(d->loop, &d->task);
	mariadb_cancel_begin(d);
}
