/* SPDX-License-Identifier: ISC */

/*
 * Statements into a PostgreSQL pipeline.
 *
 * Each is prepared under a name of its own (w1, w2, …) the first time that its
 * text is used on a connection; of those over POSTGRES_PREPARED the least
 * recently used is deallocated, by a statement of ours with a sync of its own,
 * so that its failure is nobody's.  What the server lost is executed without a
 * name, and prepared the next time under a new one, never under one that may still exist.
 *
 * Values go as text without a type, so the server infers it (id = $1 works for
 * any kind of integer); bytes go in binary, as bytea.  Which parameters are
 * bytes is therefore part of what tells two statements apart.
 */
#include "back/postgres/postgres.h"

#include <stdlib.h>
#include <string.h>

#include "back/postgres/postgres_gather.h"
#include "back/sql/sqltext.h"

/* ---- values ---- */

static enum weft_rc
postgres_values_refuse(struct call *c, unsigned i, const char *why)
{
	call_explain(c, WEFT_INVALID, NULL, "value $%u %s", i + 1, why);
	return WEFT_INVALID;
}

static enum weft_rc
postgres_values_check(struct call *c)
{
	if (c->nvalues > POSTGRES_VALUES)
		return postgres_values_refuse(c, POSTGRES_VALUES, "is one too many");
	for (unsigned i = 0; i < c->nvalues; i++) {
		const struct value *v = &c->values[i];

		if ((v->kind == VALUE_TEXT || v->kind == VALUE_BYTES) && v->as.bytes.len > POSTGRES_RESULT_MAX)
			return postgres_values_refuse(c, i, "is too long");
		if (v->kind == VALUE_TEXT && v->as.bytes.len > 0 && memchr(v->as.bytes.at, '\0', v->as.bytes.len) != NULL)
			return postgres_values_refuse(c, i, "is text with a NUL in it, which PostgreSQL cannot store");
	}
	return WEFT_OK;
}

/* Which of the values are bytes: of the first 64 a bit each, which those behind them mix with (FNV-1a). */
static uint64_t
postgres_values_shape(const struct call *c)
{
	uint64_t shape = 0;

	for (unsigned i = 0; i < c->nvalues; i++)
		if (c->values[i].kind == VALUE_BYTES)
			shape = i < 64 ? shape | UINT64_C(1) << i : (shape ^ i) * UINT64_C(0x100000001b3);
	return shape;
}

static void
postgres_bind_fini(struct postgres_bind *b)
{
	free(b->at);
	free(b->len);
	free(b->format);
	free(b->type);
	buf_fini(&b->text);
	*b = (struct postgres_bind){ .text = b->text };
}

static int
postgres_bind_grow(struct postgres_bind *b, unsigned n)
{
	unsigned room = n < 16 ? 16 : n;

	if (n <= b->room)
		return 0;
	postgres_bind_fini(b);
	b->at = calloc(room, sizeof *b->at);
	b->len = calloc(room, sizeof *b->len);
	b->format = calloc(room, sizeof *b->format);
	b->type = calloc(room, sizeof *b->type);
	if (b->at == NULL || b->len == NULL || b->format == NULL || b->type == NULL) {
		postgres_bind_fini(b);
		return -1;
	}
	b->room = room;
	return 0;
}

static size_t
postgres_bind_size(const struct value *v)
{
	return v->kind == VALUE_TEXT ? v->as.bytes.len + 1 : v->kind == VALUE_INT || v->kind == VALUE_REAL ? SQL_REAL_MAX : 0;
}

/* Set the arrays' element i; there is room in b->text. */
static void
postgres_bind_value(struct postgres_bind *b, unsigned i, const struct value *v)
{
	char *to = b->text.at + b->text.len;

	b->at[i] = to;
	b->len[i] = 0;
	b->format[i] = v->kind == VALUE_BYTES;
	b->type[i] = v->kind == VALUE_BYTES ? POSTGRES_OID_BYTEA : 0;
	switch (v->kind) {
	case VALUE_NULL:
		b->at[i] = NULL;
		break;
	case VALUE_INT:
		sql_integer(v->as.integer, to);
		break;
	case VALUE_REAL:
		sql_real(v->as.real, to);
		break;
	case VALUE_TEXT:
		if (v->as.bytes.len > 0)
			memcpy(to, v->as.bytes.at, v->as.bytes.len);
		to[v->as.bytes.len] = '\0';
		break;
	case VALUE_BYTES:
		b->at[i] = v->as.bytes.len > 0 ? v->as.bytes.at : "";
		b->len[i] = (int)v->as.bytes.len;
		break;
	}
	b->text.len += postgres_bind_size(v);
}

static int
postgres_bind(struct postgres_bind *b, const struct call *c)
{
	size_t size = 1;

	if (postgres_bind_grow(b, c->nvalues) != 0)
		return -1;
	for (unsigned i = 0; i < c->nvalues; i++)
		size += postgres_bind_size(&c->values[i]);
	buf_clear(&b->text);
	if (buf_reserve(&b->text, size) == NULL)
		return -1;
	for (unsigned i = 0; i < c->nvalues; i++)
		postgres_bind_value(b, i, &c->values[i]);
	return 0;
}

/* ---- the pipeline ---- */

/* Every statement has a sync of its own, which is sent at the end of the turn with all others. */
static int
postgres_put_sync(struct postgres *d)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(d->pg);
#else
	int ok;

	postgres_gather(PQsocket(d->pg));
	ok = PQpipelineSync(d->pg);
	postgres_gather_end();
	return ok;
#endif
}

/* What a statement is called on the server. */
static void
postgres_name(char out[STMTS_NAME_MAX], unsigned number)
{
	_Static_assert(1 + SQL_INTEGER_MAX <= STMTS_NAME_MAX, "a letter and any number");
	out[0] = 'w';
	sql_integer(number, out + 1);
}

static void
postgres_put_end(struct postgres *d, struct postgres_slot *s)
{
	s->seq = ++d->seq;
	TAILQ_INSERT_TAIL(&d->sent, s, link);
}

static int
postgres_put_failed(struct postgres *d)
{
	postgres_die_of_libpq(d);
	return -1;
}

static int
postgres_send_own(struct postgres *d, enum postgres_owner owner, const char *sql)
{
	struct postgres_slot *s = postgres_slot_new(d);

	if (s == NULL)
		return -1;
	s->owner = owner;
	if (!PQsendQueryParams(d->pg, sql, 0, NULL, NULL, NULL, NULL, 0) || !postgres_put_sync(d)) {
		postgres_slot_free(d, s);
		return -1;
	}
	postgres_put_end(d, s);
	return 0;
}

int
postgres_put_own(struct postgres *d, enum postgres_owner owner, const char *sql)
{
	if (postgres_send_own(d, owner, sql) != 0)
		return postgres_put_failed(d);
	postgres_flush_later(d);
	return 0;
}

static int
postgres_deallocate(struct postgres *d, unsigned number)
{
	char text[16 + STMTS_NAME_MAX] = "DEALLOCATE ";

	postgres_name(text + strlen(text), number);
	return postgres_send_own(d, POSTGRES_OURS, text);
}

static struct stmt *
postgres_prepared(struct postgres *d, const struct call *c)
{
	return stmts_find(&d->stmts, c->sql, c->hash, postgres_values_shape(c));
}

/*
 * Make the prepared statement of a call.
 *
 * Returns  0 with *out, NULL when it cannot be kept: it is to be executed without a name; -1 when libpq fails
 */
static int
postgres_prepare(struct postgres *d, struct postgres_slot *s, const struct stmt **out)
{
	const struct call *c = s->call;
	struct stmt *old = stmts_surplus(&d->stmts), *t;

	/* In a transaction that has failed nothing can be prepared, nor another deallocated for it. */
	if (strlen(c->sql) > STMTS_TEXT_MAX || PQtransactionStatus(d->pg) == PQTRANS_INERROR)
		return 0;
	if (old != NULL) {
		if (postgres_deallocate(d, old->number) != 0)
			return -1;
		stmts_remove(&d->stmts, old);
	}
	t = stmts_add(&d->stmts, c->sql, c->hash, postgres_values_shape(c));
	if (t == NULL)
		return 0;
	*out = t;
	t->number = ++d->number;
	postgres_name(t->name, t->number);
	s->preparing = true;
	return PQsendPrepare(d->pg, t->name, c->sql, (int)c->nvalues, d->bind.type) ? 0 : -1;
}

static int
postgres_put_call(struct postgres *d, struct postgres_slot *s, const struct stmt *prepared)
{
	const struct call *c = s->call;
	struct postgres_bind *b = &d->bind;
	int n = (int)c->nvalues;

	s->preparing = false;
	s->number = 0;
	if (postgres_bind(b, c) != 0)
		return -1;
	/* The second try goes without a name: nobody can deallocate that.  The next call prepares it anew. */
	if (prepared == NULL && !s->unnamed && postgres_prepare(d, s, &prepared) != 0)
		return -1;
	if (prepared == NULL)
		return PQsendQueryParams(d->pg, c->sql, n, b->type, b->at, b->len, b->format, 0) ? 0 : -1;
	s->number = prepared->number;
	return PQsendQueryPrepared(d->pg, prepared->name, n, b->at, b->len, b->format, 0) ? 0 : -1;
}

/*
 * Hand the slot's statement, which is prepared so (NULL: not yet, or not to be used), to libpq and append it to `sent`.
 * Returns 0; -1: the connection is dead, the slot in no list.
 */
static int
postgres_put(struct postgres *d, struct postgres_slot *s, const struct stmt *prepared)
{
	if (postgres_put_call(d, s, prepared) != 0 || !postgres_put_sync(d))
		return postgres_put_failed(d);
	d->live++;
	postgres_put_end(d, s);
	if (s->in_parts && TAILQ_FIRST(&d->sent) == s)
		postgres_stream_begin(d);
	/* One large text should not be held for the life of the connection. */
	if (d->bind.text.size > 65536)
		buf_fini(&d->bind.text);
	return 0;
}

/* May it be sent?  What is prepared has been looked at before. */
static enum weft_rc
postgres_check_call(struct postgres *d, struct postgres_slot *s, const struct stmt *prepared)
{
	enum weft_rc rc = postgres_values_check(s->call);
	bool unnamed = false;

	if (rc == WEFT_OK && (prepared == NULL || d->tainted))
		rc = postgres_look(d, s->call, &unnamed);
	s->unnamed |= unnamed;
	return rc;
}

bool
postgres_put_held(struct postgres *d)
{
	struct postgres_slot *s;

	postgres_hold(d);
	while (!d->closed && !d->dead && !d->draining && (s = TAILQ_FIRST(&d->held)) != NULL) {
		struct call *c = s->call;
		const struct stmt *prepared = s->unnamed ? NULL : postgres_prepared(d, c);
		enum weft_rc rc = postgres_check_call(d, s, prepared);

		TAILQ_REMOVE(&d->held, s, link);
		s->is_held = false;
		if (rc != WEFT_OK) {
			postgres_slot_free(d, s);
			call_finish(c, rc, NULL, NULL);
			conn_gave(d->conn);
		} else if (postgres_put(d, s, s->unnamed ? NULL : prepared) != 0) {
			s->is_held = true;
			TAILQ_INSERT_HEAD(&d->held, s, link);
		}
	}
	return postgres_release(d);
}

void
postgres_unprepare(struct postgres *d, const struct postgres_slot *s)
{
	struct stmt *t;

	/* By its number: who asked may have left, and it may have been prepared anew, after the failure of one before this in the pipeline. */
	TAILQ_FOREACH(t, &d->stmts.used, used)
		if (t->number == s->number)
			break;
	if (t == NULL)
		return;
	stmts_remove(&d->stmts, t);
	/* The server may have it still: its plan is stale, or the error was not about it. */
	if (!s->preparing && postgres_deallocate(d, s->number) != 0)
		postgres_put_failed(d);
	postgres_flush_later(d);
}

void
postgres_forget_prepared(struct postgres *d)
{
	struct stmt *t;

	while ((t = TAILQ_FIRST(&d->stmts.used)) != NULL)
		stmts_remove(&d->stmts, t);
}

void
postgres_put_fini(struct postgres *d)
{
	postgres_forget_prepared(d);
	postgres_bind_fini(&d->bind);
}
