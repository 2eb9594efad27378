/* SPDX-License-Identifier: ISC */

/*
 * Rows that are given in parts: a result of any size in little memory.
 *
 * libpq gives the rows one by one (its single-row mode), and they are gathered until a part is whole, or no
 * more have come.  From then until the next part is asked for, nothing is read: libpq's buffer has some KiB, the kernel's
 * become full, and the server waits with the rest.
 *
 * Such a statement is `live` until its end, though mostly no call is at it.  When it is left before, it
 * is cancelled like any other, and its rows are read again, since a server that waits to send does not hear of a cancel.
 */
#include "back/postgres/postgres.h"

#include "base/must.h"

bool
postgres_is_held_up(const struct postgres *d)
{
	const struct postgres_slot *s = TAILQ_FIRST(&d->sent);

	return s != NULL && s->in_parts && s->call == NULL && !s->left;
}

void
postgres_stream_begin(struct postgres *d)
{
	if (!PQsetSingleRowMode(d->pg))
		postgres_die(d, NULL, "libpq does not give rows one by one");
}

enum weft_rc
postgres_stream_ask(struct postgres *d, struct call *call)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->sent);

	if (!postgres_is_held_up(d)) {
		call_explain(call, WEFT_INVALID, NULL, "no rows are on their way");
		return WEFT_INVALID;
	}
	s->call = call;
	s->owed = true;
	conn_took(d->conn, call, s);
	/* Some may have come with the last part. */
	postgres_flush_later(d);
	return WEFT_OK;
}

/* ---- rows ---- */

static void
postgres_stream_add_names(struct rows_draft *part, const PGresult *r)
{
	part->columns = (unsigned)PQnfields(r);
	for (unsigned j = 0; j < part->columns; j++) {
		rows_draft_add(part, span_str(PQfname(r, (int)j)));
		rows_draft_add_kind(part, postgres_kind(r, (int)j));
	}
}

static void
postgres_stream_add_cell(struct rows_draft *part, const PGresult *r, int column)
{
	struct span cell = { PQgetvalue(r, 0, column), (size_t)PQgetlength(r, 0, column) };

	if (cell.len == 0 && PQgetisnull(r, 0, column))
		cell.at = NULL;
	else if (PQftype(r, column) == POSTGRES_OID_BYTEA)
		cell.len = postgres_copy_bytea(PQgetvalue(r, 0, column), cell.at, cell.len);
	rows_draft_add(part, cell);
}

/* Give what has been gathered to who asks for it. */
static void
postgres_stream_give(struct postgres *d, struct postgres_slot *s)
{
	struct call *call = s->call;

	call->rows = rows_draft_is_full(&d->part) ? NULL : rows_draft_make(&d->part, call->arena);
	rows_draft_clear(&d->part);
	s->call = NULL;
	s->owed = false;
	if (call->rows != NULL)
		call_finish(call, WEFT_OK, NULL, NULL);
	else
		call_finish(call, WEFT_SYSTEM, NULL, "no memory for the rows");
	conn_gave(d->conn);
}

static void
postgres_stream_add(struct rows_draft *part, const PGresult *r)
{
	if (part->count == 0)
		postgres_stream_add_names(part, r);
	for (unsigned j = 0; j < part->columns; j++)
		postgres_stream_add_cell(part, r, (int)j);
	part->count++;
}

void
postgres_stream_row(struct postgres *d, struct postgres_slot *s, PGresult *r)
{
	/* What came for the rows before is not held any more. */
	d->unfinished = 0;
	if (s->result != NULL || (d->part.count > 0 && d->part.columns != (unsigned)PQnfields(r)))
		postgres_die(d, NULL, "the server answered a statement twice");
	else if (s->call != NULL)
		postgres_stream_add(&d->part, r);
	PQclear(r);
	if (d->dead)
		return;
	if (s->call != NULL && rows_draft_is_part(&d->part))
		postgres_stream_give(d, s);
}

/* libpq may have read a part of a TLS record, and no event will tell of the rest: where the rows in that part are all taken, it is looked for. */
static void
postgres_stream_look_again(struct postgres *d)
{
	if (!postgres_consume(d))
		postgres_die_of_libpq(d);
	else if (!PQisBusy(d->pg))
		postgres_flush_later(d);
}

void
postgres_stream_pause(struct postgres *d)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->sent);

	if (s == NULL || !s->in_parts || postgres_is_held_up(d))
		return;
	if (s->call != NULL && d->part.count > 0)
		postgres_stream_give(d, s);
	else if (PQsslInUse(d->pg))
		postgres_stream_look_again(d);
}

struct weft_rows *
postgres_stream_rest(struct postgres *d, struct arena *a, PGresult *r)
{
	struct weft_rows *rows = rows_draft_is_full(&d->part) ? NULL : rows_draft_make(&d->part, a);

	if (rows != NULL)
		rows->affected = postgres_affected(r);
	return rows;
}

/* ---- leaving ---- */

void
postgres_stream_leave(struct postgres *d, struct postgres_slot *s)
{
	must(s->in_parts && !s->left);
	s->left = true;
	d->live--;
	d->lost++;
	rows_draft_drop(&d->part);
	/* It is read again, from the end of the turn on. */
	postgres_flush_later(d);
	postgres_cancel_step(d);
}

void
postgres_stream_leave_any(struct postgres *d)
{
	if (!d->dead && postgres_is_held_up(d))
		postgres_stream_leave(d, TAILQ_FIRST(&d->sent));
}
