/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/lease.h"
#include "back/sql/rows.h"
#include "back/sql/sqltext.h"
#include "base/must.h"

struct fake_world fake;

void
fake_reset(void)
{
	must(fake.count == 0);
	memset(&fake, 0, sizeof fake);
}

static enum weft_rc
fake_check(const struct back_url *u, char *error, size_t size)
{
	if (u->port != 666)
		return WEFT_OK;
	strncpy(error, "not that port", size);
	return WEFT_INVALID;
}

static enum weft_rc
fake_open(struct conn *c)
{
	struct fake_conn *f;
	int pair[2];

	fake.opens++;
	if (fake.open_fails)
		return WEFT_SYSTEM;
	must(fake.count < FAKE_CONNS && fake.peers < FAKE_CONNS);
	f = calloc(1, sizeof *f);
	f->conn = c;
	f->socket = -1;
	if (fake.has_sockets) {
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		f->socket = pair[0];
		fake.peer[fake.peers++] = pair[1];
	}
	fake.conn[fake.count++] = f;
	c->driver_data = f;
	return WEFT_OK;
}

static enum weft_rc
fake_send(struct conn *c, struct call *call)
{
	struct fake_conn *f = c->driver_data;

	must(c->state == (call->lease == NULL ? CONN_READY : CONN_LENT) && f->count < c->driver->depth);
	if (f->is_broken)
		return WEFT_NOT_SENT;
	if (fake.refuse != WEFT_OK) {
		call_explain(call, fake.refuse, "X1", "the statement will not do");
		return fake.refuse;
	}
	f->pipe[f->count++] = call;
	conn_took(c, call, f);
	return WEFT_OK;
}

static void
fake_abandon(struct conn *c, struct call *call)
{
	struct fake_conn *f = c->driver_data;

	must(call->slot == f);
	fake.abandons++;
	for (unsigned i = 0; i < f->count; i++)
		if (f->pipe[i] == call)
			f->pipe[i] = NULL;
}

static enum conn_clean
fake_clean(struct conn *c)
{
	struct fake_conn *f = c->driver_data;

	fake.cleans++;
	must(c->lease == NULL);
	c->in_transaction = false;
	f->is_washing = fake.clean == CONN_CLEAN && f->count > 0;
	return f->is_washing ? CONN_WASHING : fake.clean;
}

/* One reply less is owed. */
static void
fake_gave(struct fake_conn *f)
{
	bool is_over = f->is_washing && f->count == 0;

	conn_gave(f->conn);
	if (!is_over)
		return;
	f->is_washing = false;
	conn_is_ready(f->conn);
}

static const char *
fake_begin(const struct back_url *url)
{
	(void)url;
	return FAKE_BEGIN;
}

static void
fake_close(struct conn *c)
{
	struct fake_conn *f = c->driver_data;
	unsigned at = 0;

	fake.closes++;
	for (unsigned i = 0; i < f->count; i++)
		if (f->pipe[i] != NULL)
			call_finish(f->pipe[i], i < f->written ? WEFT_UNKNOWN : WEFT_NOT_SENT, NULL, NULL);
	while (fake.conn[at] != f)
		at++;
	fake.count--;
	memmove(&fake.conn[at], &fake.conn[at + 1], (fake.count - at) * sizeof *fake.conn);
	if (f->socket >= 0)
		close(f->socket);
	free(f);
}

static void
fake_ping(struct conn *c)
{
	struct fake_conn *f = c->driver_data;

	must(c->state == CONN_CHECKING && c->inflight == 0);
	fake.pings++;
	f->is_asked = true;
}

static int
fake_socket(const struct conn *c)
{
	return ((struct fake_conn *)c->driver_data)->socket;
}

static const char *
fake_channel(struct span name)
{
	return name.at[0] == '!' ? "no such name" : NULL;
}

static enum weft_rc
fake_hear(struct conn *c, enum hear what, struct span channel)
{
	struct fake_conn *f = c->driver_data;

	must(c->state == CONN_LENT && c->lease->hub != NULL && c->inflight == 0 && f->heard < FAKE_HEARD);
	if (f->is_broken)
		return WEFT_NOT_SENT;
	f->hear[f->heard].what = what;
	snprintf(f->hear[f->heard++].channel, sizeof f->hear->channel, "%.*s", (int)channel.len, channel.at);
	return WEFT_OK;
}

/* The oldest question of the hub's, which must be this, out of the row. */
static void
fake_take_heard(struct fake_conn *f, enum hear what, const char *channel)
{
	must(f->heard > 0 && f->hear[0].what == what && strcmp(f->hear[0].channel, channel) == 0);
	f->heard--;
	memmove(f->hear, f->hear + 1, f->heard * sizeof *f->hear);
}

void
fake_answer(unsigned i, enum hear what, const char *channel)
{
	char name[sizeof fake.conn[0]->hear->channel];

	must(i < fake.count);
	snprintf(name, sizeof name, "%s", channel);	/* it may lie in the row */
	fake_take_heard(fake.conn[i], what, name);
	must(conn_answers_hub(fake.conn[i]->conn, what, span_str(name)));
}

void
fake_deny(unsigned i, const char *channel)
{
	must(i < fake.count);
	fake_take_heard(fake.conn[i], HEAR_BEGIN, channel);
	must(conn_refuses_hub(fake.conn[i]->conn, "D1", "not for you"));
}

void
fake_say(unsigned i, const char *channel, const char *text)
{
	must(i < fake.count);
	conn_hears(fake.conn[i]->conn, span_str(channel), span_str(text));
}

void
fake_all_ready(void)
{
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.conn[i]->conn->state == CONN_CONNECTING)
			conn_is_ready(fake.conn[i]->conn);
}

/* The oldest call, out of the pipe; NULL: it was abandoned. */
static struct call *
fake_take(struct fake_conn *f)
{
	struct call *call = f->pipe[0];

	must(f->count > 0);
	f->count--;
	f->written -= f->written > 0;
	memmove(f->pipe, f->pipe + 1, f->count * sizeof *f->pipe);
	return call;
}

void
fake_reply(unsigned i)
{
	struct fake_conn *f = fake.conn[i];
	struct call *call = fake_take(f);

	must(i < fake.count);
	if (call != NULL && call->sql != NULL && sql_transaction_word(call->sql) != NULL)
		f->conn->in_transaction = strcmp(call->sql, FAKE_BEGIN) == 0;
	if (call != NULL)
		call_finish(call, WEFT_OK, NULL, NULL);
	fake_gave(f);
}

void
fake_fail(unsigned i, enum weft_rc rc)
{
	struct fake_conn *f = fake.conn[i];
	struct call *call;

	must(i < fake.count);
	call = fake_take(f);
	if (call != NULL)
		call_finish(call, rc, NULL, "it went wrong");
	fake_gave(f);
}

void
fake_part(unsigned i, size_t rows, enum fake_more more)
{
	struct fake_conn *f = fake.conn[i];
	struct call *call = fake_take(f);

	must(i < fake.count && call != NULL && call->part != CALL_WHOLE);
	call->rows = rows_new(call->arena, 1, rows);
	call->last = more == FAKE_LAST;
	must(call->rows != NULL);
	call->rows->name[0] = "n";
	for (size_t row = 0; row < rows; row++)
		call->rows->cell[row] = span_str(arena_printf(call->arena, "%u", ++fake.rows));
	call_finish(call, WEFT_OK, NULL, NULL);
	fake_gave(f);
}

void
fake_error(unsigned i, const char *code, enum fake_end end)
{
	struct fake_conn *f = fake.conn[i];
	struct call *call;

	must(i < fake.count);
	call = fake_take(f);
	f->conn->in_transaction &= end == FAKE_GOES_ON;
	if (call != NULL)
		call_finish(call, WEFT_REFUSED, code, "it went wrong");
	fake_gave(f);
}

void
fake_refuse(unsigned i, const char *code)
{
	struct fake_conn *f = fake.conn[i];
	struct call *call = fake_take(f);

	must(i < fake.count);
	if (call != NULL)
		call_finish(call, WEFT_REFUSED, code, "no");
	conn_gave(f->conn);
}

void
fake_pong(unsigned i)
{
	must(i < fake.count && fake.conn[i]->is_asked);
	fake.conn[i]->is_asked = false;
	conn_is_ready(fake.conn[i]->conn);
}

void
fake_flush(unsigned i)
{
	fake.conn[i]->written = fake.conn[i]->count;
}

void
fake_lose(unsigned i, const char *why)
{
	must(i < fake.count);
	conn_is_dead(fake.conn[i]->conn, "F1", "%s", why);
}

void
fake_lose_code(unsigned i, const char *code)
{
	must(i < fake.count);
	conn_is_dead(fake.conn[i]->conn, code, "it says %s", code);
}

static const char *const fake_schemes[] = { "fake", NULL };
static const char *const fake_failover[] = { "OVER", "RO", NULL };

#define FAKE_DRIVER(kind_, name_, why_, depth_, shares_slow_, begin_, has_parts_, channel_, hear_) \
	{ \
		.name = name_, .schemes = fake_schemes, .kind = kind_, .why = why_, .depth = depth_, \
		.shares_slow = shares_slow_, .check = fake_check, .open = fake_open, .send = fake_send, \
		.abandon = fake_abandon, .clean = fake_clean, .begin = begin_, .close = fake_close, .ping = fake_ping, \
		.socket = fake_socket, .failover = fake_failover, .has_parts = has_parts_, \
		.channel = channel_, .hear = hear_, \
	}

const struct driver fake_sql = FAKE_DRIVER(CALL_SQL, "SQL", WAIT_SQL, FAKE_DEPTH, false, fake_begin, true, fake_channel, fake_hear);
const struct driver fake_redis = FAKE_DRIVER(CALL_REDIS, "Redis", WAIT_REDIS, FAKE_DEEP, true, NULL, false, fake_channel, fake_hear);
const struct driver fake_http = FAKE_DRIVER(CALL_HTTP, "HTTP", WAIT_HTTP, 1, false, NULL, false, NULL, NULL);
