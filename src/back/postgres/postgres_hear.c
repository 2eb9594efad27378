/* SPDX-License-Identifier: ISC */

/*
 * PostgreSQL's channels: LISTEN and UNLISTEN are statements like others, down a hub's connection, and what is notified comes between
 * the answers, or while nothing is owed.
 *
 * A message can come before the answer to its LISTEN has been read whole, but libpq gives it out behind that.
 */
#include "back/postgres/postgres.h"

#include <stdio.h>
#include <string.h>

#include "back/lease.h"

enum { POSTGRES_NAME_MAX = 63 };	/* of an identifier; the server cuts what is longer */

const char *
postgres_channel(struct span name)
{
	return name.len <= POSTGRES_NAME_MAX ? NULL : "a channel of PostgreSQL has a name of at most 63 bytes";
}

/* Returns the statement, with the name quoted. */
static const char *
postgres_hear_sql(char out[32 + 2 * POSTGRES_NAME_MAX], enum hear what, struct span channel)
{
	char *to = out;

	if (what == HEAR_PING)
		return "";
	to += sprintf(to, "%s \"", what == HEAR_BEGIN ? "LISTEN" : "UNLISTEN");
	for (size_t i = 0; i < channel.len; i++) {
		if (channel.at[i] == '"')
			*to++ = '"';
		*to++ = channel.at[i];
	}
	memcpy(to, "\"", 2);
	return out;
}

enum weft_rc
postgres_hear(struct conn *c, enum hear what, struct span channel)
{
	char sql[32 + 2 * POSTGRES_NAME_MAX];
	struct postgres *d = c->driver_data;

	if (d->dead || !d->ready)
		return WEFT_NOT_SENT;
	d->tainted = true;
	return postgres_put_own(d, POSTGRES_HEAR, postgres_hear_sql(sql, what, channel)) == 0 ? WEFT_OK : WEFT_NOT_SENT;
}

/* What was asked: a statement says so in its answer, and the empty one by having none. */
static enum hear
postgres_answered(const PGresult *r)
{
	if (PQresultStatus(r) == PGRES_EMPTY_QUERY)
		return HEAR_PING;
	return strcmp(PQcmdStatus((PGresult *)(uintptr_t)r), "LISTEN") == 0 ? HEAR_BEGIN : HEAR_END;
}

void
postgres_on_answer(struct postgres *d, const struct postgres_slot *s)
{
	bool sound;

	if (postgres_is_error(s->result))
		sound = conn_refuses_hub(d->conn, postgres_error_code(s->result), postgres_error_text(s->result));
	else
		sound = conn_answers_hub(d->conn, postgres_answered(s->result), (struct span){ NULL, 0 });
	if (!sound)
		postgres_die(d, NULL, "the server's answers on the connection of subscriptions do not match what was asked");
}

bool
postgres_is_hub(const struct postgres *d)
{
	return d->conn != NULL && d->conn->lease != NULL && d->conn->lease->hub != NULL;
}

void
postgres_tell_notifications(struct postgres *d)
{
	bool is_hub = postgres_is_hub(d);
	PGnotify *n;

	/* Where nobody listens libpq would keep them for ever. */
	while ((n = PQnotifies(d->pg)) != NULL) {
		if (is_hub)
			conn_hears(d->conn, span_str(n->relname), span_str(n->extra));
		PQfreemem(n);
	}
}
