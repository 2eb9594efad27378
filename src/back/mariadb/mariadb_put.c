/* SPDX-License-Identifier: ISC */

/*
 * Statements and values on their way to the server.
 *
 * Each statement is prepared the first time that its text is used on a connection; of those over MARIADB_PREPARED the
 * least recently used is forgotten.  One whose text is too long to be kept is forgotten after its call.
 *
 * Values go with the type they have: the server converts them to what it needs, so a text may stand for a date.
 */
#include "back/mariadb/mariadb.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- preparing ---- */

enum weft_rc
mariadb_translate(struct mariadb *d, struct call *call)
{
	unsigned modes = (d->my->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES ? MARIADB_NO_BACKSLASH : 0) |
	    (d->my->server_status & SERVER_STATUS_ANSI_QUOTES ? MARIADB_ANSI_QUOTES : 0);
	const char *wrong;

	wrong = mariadb_text_set(&d->text, call->sql, modes);
	if (wrong != NULL) {
		call_explain(call, WEFT_INVALID, NULL, "%s", wrong);
		return WEFT_INVALID;
	}
	return d->text.text.bad || d->text.which.bad ? WEFT_SYSTEM : WEFT_OK;
}

static enum weft_rc
mariadb_check_count(struct call *call, unsigned wanted)
{
	if (call->nvalues == wanted)
		return WEFT_OK;
	call_explain(call, WEFT_INVALID, NULL, "%s values than parameters", call->nvalues < wanted ? "fewer" : "more");
	return WEFT_INVALID;
}

enum weft_rc
mariadb_look_up(struct mariadb *d, struct call *call)
{
	enum weft_rc rc;

	d->word = NULL;
	d->unkept = d->tainted;
	/* A borrower's USE or temporary table gives another meaning to what was prepared before. */
	d->entry = d->tainted ? NULL : stmts_find(&d->stmts, call->sql, call->hash, 0);
	d->stmt = d->entry == NULL ? NULL : d->entry->data;
	if (d->stmt != NULL)
		return mariadb_check_count(call, d->stmt->highest);
	rc = mariadb_look(d, call);
	if (rc == WEFT_OK)
		rc = mariadb_translate(d, call);
	return rc == WEFT_OK ? mariadb_check_count(call, d->text.highest) : rc;
}

/* From now on it is not found any more; the next step forgets it. */
static void
mariadb_unkeep(struct mariadb *d, struct stmt *entry)
{
	d->stmt = entry->data;
	stmts_remove(&d->stmts, entry);
	d->op = MARIADB_FORGETTING;
}

void
mariadb_drop(struct mariadb *d)
{
	struct stmt *entry = d->entry;

	d->entry = NULL;
	if (entry != NULL)
		mariadb_unkeep(d, entry);
	else
		d->op = MARIADB_FORGETTING;
}

/* Returns what is to be prepared, not yet prepared; NULL without memory. */
static struct mariadb_stmt *
mariadb_stmt_new(struct mariadb *d)
{
	const struct buf *which = &d->text.which;
	struct mariadb_stmt *t = calloc(1, sizeof *t + which->len);

	if (t == NULL)
		return NULL;
	t->handle = mysql_stmt_init(d->my);
	if (t->handle != NULL) {
		(void)mysql_stmt_attr_set(t->handle, STMT_ATTR_CB_USER_DATA, d);
		(void)mysql_stmt_attr_set(t->handle, STMT_ATTR_CB_RESULT, (const void *)(uintptr_t)mariadb_take_value);
	}
	t->highest = d->text.highest;
	t->leaves = d->text.leaves;
	t->opaque = mariadb_is_opaque(d->call->sql);
	t->changes = mariadb_changes(d->call->sql);
	t->count = (unsigned)(which->len / sizeof t->which[0]);
	if (which->len > 0)
		memcpy(t->which, which->at, which->len);
	if (t->handle != NULL)
		return t;
	free(t);
	return NULL;
}

void
mariadb_prepare(struct mariadb *d)
{
	struct stmt *surplus = d->unkept ? NULL : stmts_surplus(&d->stmts);

	if (surplus != NULL) {
		mariadb_unkeep(d, surplus);
		return;
	}
	d->stmt = mariadb_stmt_new(d);
	d->entry = NULL;
	if (d->stmt == NULL) {
		mariadb_finish(d, WEFT_SYSTEM, NULL, "no memory for the statement");
		mariadb_settle(d);
		return;
	}
	if (!d->unkept)
		d->entry = stmts_add(&d->stmts, d->call->sql, d->call->hash, 0);
	if (d->entry != NULL)
		d->entry->data = d->stmt;
	d->op = MARIADB_PREPARING;
}

/* ---- values ---- */

static void
mariadb_bind_value(MYSQL_BIND *b, const struct value *v)
{
	*b = (MYSQL_BIND){ .buffer_type = MYSQL_TYPE_NULL };
	switch (v->kind) {
	case VALUE_NULL:
		break;
	case VALUE_INT:
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->buffer = (void *)(uintptr_t)&v->as.integer;
		break;
	case VALUE_REAL:
		b->buffer_type = MYSQL_TYPE_DOUBLE;
		b->buffer = (void *)(uintptr_t)&v->as.real;
		break;
	case VALUE_TEXT:
	case VALUE_BYTES:
		b->buffer_type = v->kind == VALUE_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
		b->buffer = (void *)(uintptr_t)(v->as.bytes.len == 0 ? "" : v->as.bytes.at);
		b->buffer_length = v->as.bytes.len;
		break;
	}
}

/* The library copies them before it sends. */
static int
mariadb_bind(struct mariadb *d)
{
	const struct mariadb_stmt *t = d->stmt;

	if (t->count == 0)
		return 0;
	if (t->count > d->bind_room) {
		free(d->bind);
		d->bind = calloc(t->count, sizeof *d->bind);
		d->bind_room = d->bind == NULL ? 0 : t->count;
	}
	if (d->bind == NULL)
		return -1;
	for (unsigned i = 0; i < t->count; i++)
		mariadb_bind_value(&d->bind[i], &d->call->values[t->which[i]]);
	return mysql_stmt_bind_param(t->handle, d->bind) ? -1 : 0;
}

void
mariadb_execute(struct mariadb *d)
{
	if (mariadb_bind(d) != 0) {
		mariadb_finish(d, WEFT_SYSTEM, NULL, "no memory for the values");
		mariadb_retire(d);
		return;
	}
	rows_draft_clear(&d->draft);
	d->drafted = d->malformed = false;
	d->leaves = d->stmt->leaves || (d->stmt->opaque && mariadb_is_lent(d));
	d->sent = true;
	d->op = MARIADB_EXECUTING;
}

void
mariadb_ask(struct mariadb *d)
{
	rows_draft_clear(&d->draft);
	d->drafted = d->malformed = false;
	d->leaves = d->text.leaves;
	d->sent = true;
	d->op = MARIADB_ASKING;
}

/* ---- the end ---- */

static void
mariadb_stmt_free(struct mariadb_stmt *t)
{
	if (t == NULL)
		return;
	mysql_stmt_close(t->handle);
	free(t);
}

void
mariadb_put_forget_all(struct mariadb *d)
{
	struct stmt *t;

	if (d->entry == NULL)
		mariadb_stmt_free(d->stmt);
	d->stmt = NULL;
	d->entry = NULL;
	while ((t = TAILQ_FIRST(&d->stmts.used)) != NULL) {
		mariadb_stmt_free(t->data);
		stmts_remove(&d->stmts, t);
	}
}

void
mariadb_put_fini(struct mariadb *d)
{
	mariadb_put_forget_all(d);
	free(d->bind);
	mariadb_text_fini(&d->text);
}
