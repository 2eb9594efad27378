/* SPDX-License-Identifier: ISC */

/*
 * The PostgreSQL driver: libpq in pipeline mode, never blocking.
 *
 * A statement is prepared once per connection, by its text, and each has a sync
 * of its own, so each is a transaction of its own and an error is one call's
 * own.  A call is done when its sync has come: what fails at commit (deferred
 * constraints) is told too.
 *
 * All statements of a turn are given to libpq at its end, one after the other, which is
 * cheaper than in between of all else, and go out with one write, or with further
 * ones where the kernel does not take all of it.
 *
 * Statements that change what the next one on the connection would see
 * (transactions, SET, LISTEN, cursors) are refused where the connection is shared; where it is lent,
 * it is made as it was before when it is given back.
 */
#include "back/postgres/postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "back/pool.h"
#include "base/must.h"

/* ---- slots ---- */

struct postgres_slot *
postgres_slot_new(struct postgres *d)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->spare);

	if (s == NULL)
		return calloc(1, sizeof *s);
	TAILQ_REMOVE(&d->spare, s, link);
	*s = (struct postgres_slot){ .call = NULL };
	return s;
}

void
postgres_slot_free(struct postgres *d, struct postgres_slot *s)
{
	PQclear(s->result);
	s->result = NULL;
	TAILQ_INSERT_HEAD(&d->spare, s, link);
}

static void
postgres_spare_free(struct postgres *d)
{
	struct postgres_slot *s;

	while ((s = TAILQ_FIRST(&d->spare)) != NULL) {
		TAILQ_REMOVE(&d->spare, s, link);
		free(s);
	}
}

/* ---- life ---- */

void
postgres_hold(struct postgres *d)
{
	d->holds++;
}

bool
postgres_release(struct postgres *d)
{
	bool closed = d->closed;

	must(d->holds > 0);
	if (--d->holds == 0 && closed)
		free(d);
	return closed;
}

void
postgres_die(struct postgres *d, const char *code, const char *fmt, ...)
{
	char text[sizeof d->why.text];
	va_list ap;

	if (d->dead)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* A FATAL notice that came before the end says more than "connection closed". */
	if (d->why.code[0] == '\0')
		fault_set(&d->why, WEFT_DOWN, code, "%s", text);
	d->dead = true;
	if (d->watch != NULL)
		(void)watch_want(d->watch, 0);
	loop_after_turn(d->loop, &d->task);
}

void
postgres_die_of_libpq(struct postgres *d)
{
	const char *text = PQerrorMessage(d->pg);

	/* Its first line; the rest is advice. */
	postgres_die(d, NULL, "%.*s", (int)strcspn(text, "\n"), text);
}

void
postgres_flush_later(struct postgres *d)
{
	loop_after_turn(d->loop, &d->task);
}

static void
postgres_flush(struct postgres *d)
{
	int left = PQflush(d->pg);

	if (left < 0 || PQstatus(d->pg) == CONNECTION_BAD) {
		postgres_die_of_libpq(d);
		return;
	}
	if (watch_want(d->watch, (left > 0 ? WATCH_WRITE : 0) | (postgres_is_held_up(d) ? 0 : WATCH_READ)) != 0)
		postgres_die(d, NULL, "its socket cannot be watched");
}

/* End of the turn. */
static void
postgres_on_turn_end(void *arg)
{
	struct postgres *d = arg;
	struct fault why;

	if (d->ready && !d->dead) {
		if (postgres_put_held(d))
			return;
		if (!d->dead)
			postgres_flush(d);
		/* libpq reads too when the kernel takes no more: then no event will tell of those bytes. */
		if (!d->dead)
			postgres_take_all(d);
		return;
	}
	if (!d->dead) {
		postgres_connect_end_turn(d);
		return;
	}
	why = d->why;
	conn_is_dead(d->conn, why.code[0] == '\0' ? NULL : why.code, "%s", why.text);
}

static int
postgres_unread(const struct postgres *d)
{
	int n = 0;

	return ioctl(PQsocket(d->pg), FIONREAD, &n) == 0 ? n : 0;
}

/*
 * Of a TLS record (16 KiB at most) libpq may have read a part (8 KiB at least); no event will tell of the rest,
 * which waits in the TLS library, if it was the last that the kernel had.  A hub's may be notifications, whatever libpq waits for.
 */
static int
postgres_consume_tls(struct postgres *d)
{
	if (!PQsslInUse(d->pg) || !(PQisBusy(d->pg) || postgres_is_hub(d)) || postgres_unread(d) > 0)
		return 1;
	return PQconsumeInput(d->pg) && PQconsumeInput(d->pg);
}

/*
 * A result that does not end must not take all memory, and libpq does not say how much it
 * holds: count what comes while one statement is being answered.  One call takes what the kernel has, but at most what
 * libpq's buffer has room for: 16 KiB, so that the count is good, until a larger row has made it
 * grow.  Then it is a guess, and too low: the most that a call was seen to take of what the kernel had.
 * Little may come at a time, over a slow network or with notices; each time it counts for something, or it would never end.
 */
int
postgres_consume(struct postgres *d)
{
	bool ask = d->unfinished > 16 * POSTGRES_READ;
	int before = ask ? postgres_unread(d) : POSTGRES_READ, ok = PQconsumeInput(d->pg);
	int came = ask ? before - postgres_unread(d) : 0;

	/* Less than it took, when more has come meanwhile. */
	if (came > d->grasp)
		d->grasp = came;
	came = before < d->grasp ? before : d->grasp;
	d->unfinished += (size_t)(came > POSTGRES_READ_LEAST ? came : POSTGRES_READ_LEAST);
	return ok && postgres_consume_tls(d);
}

static void
postgres_check_unfinished(struct postgres *d)
{
	struct postgres_slot *s = TAILQ_FIRST(&d->sent);
	struct call *call = s == NULL ? NULL : s->call;

	if (s == NULL || s->seq != d->unfinished_seq)
		d->unfinished = 0;
	d->unfinished_seq = s == NULL ? 0 : s->seq;
	if (d->unfinished <= POSTGRES_RESULT_MAX)
		return;
	if (call != NULL) {
		s->call = NULL;
		d->live--;
		d->lost++;
		call_finish(call, WEFT_TOO_LARGE, NULL, "the result is too large");
	}
	postgres_die(d, NULL, "a result is over %d bytes", POSTGRES_RESULT_MAX);
}

/*
 * While nothing is owed a server may say a notice, a parameter, a notification, or why it goes.  Of anything else libpq would
 * keep the part that has come, and read it as the beginning of the next statement's answer.
 */
static bool
postgres_is_unasked(const struct postgres *d)
{
	char first;

	if (!TAILQ_EMPTY(&d->sent) || PQsslInUse(d->pg) || recv(PQsocket(d->pg), &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return false;
	return memchr("NSAE", first, 4) == NULL;
}

void
postgres_on_event(void *arg, int what)
{
	struct postgres *d = arg;
	int ok;

	if (what & WATCH_WRITE)
		postgres_flush_later(d);
	if (!(what & WATCH_READ))
		return;
	/* It is not watched any more from the end of the turn on. */
	if (postgres_is_held_up(d)) {
		postgres_flush_later(d);
		return;
	}
	if (postgres_is_unasked(d)) {
		postgres_die(d, NULL, "the server said what nobody had asked for");
		return;
	}
	ok = postgres_consume(d);
	/* What came before an end still counts. */
	postgres_hold(d);
	postgres_take_all(d);
	if (postgres_release(d) || d->dead)
		return;
	if (ok)
		postgres_check_unfinished(d);
	else
		postgres_die_of_libpq(d);
}

static enum weft_rc
postgres_open(struct conn *c)
{
	struct postgres *d = calloc(1, sizeof *d);

	if (d == NULL)
		return WEFT_SYSTEM;
	d->conn = c;
	d->loop = pool_loop(c->pool);
	d->task = (struct loop_task){ .fn = postgres_on_turn_end, .arg = d };
	d->grasp = POSTGRES_READ;
	TAILQ_INIT(&d->sent);
	TAILQ_INIT(&d->held);
	TAILQ_INIT(&d->spare);
	stmts_init(&d->stmts, POSTGRES_PREPARED);
	buf_init(&d->bind.text, SIZE_MAX / 2);
	rows_draft_init(&d->part, SIZE_MAX / 2);
	c->driver_data = d;
	postgres_connect(d);
	return WEFT_OK;
}

/* Finish the calls of a list, whose outcome is rc, and free its slots.  Why is the pool's to say. */
static void
postgres_finish_all(struct postgres *d, struct postgres_slots *list, enum weft_rc rc)
{
	struct postgres_slot *s;

	while ((s = TAILQ_FIRST(list)) != NULL) {
		struct call *call = s->call;

		TAILQ_REMOVE(list, s, link);
		s->call = NULL;
		postgres_slot_free(d, s);
		if (call != NULL)
			call_finish(call, rc, d->why.code, NULL);
	}
}

static void
postgres_close(struct conn *c)
{
	struct postgres *d = c->driver_data;

	c->driver_data = NULL;
	d->dead = true;
	postgres_finish_all(d, &d->sent, WEFT_UNKNOWN);
	postgres_finish_all(d, &d->held, WEFT_NOT_SENT);
	postgres_spare_free(d);
	postgres_cancel_detach(d);
	postgres_put_fini(d);
	postgres_hosts_free(&d->hosts);
	rows_draft_fini(&d->part);
	if (d->resolve != NULL)
		resolve_cancel(&d->resolve);
	if (d->watch != NULL)
		watch_free(&d->watch);
	if (d->timer != NULL)
		timer_free(&d->timer);
	loop_task_cancel(d->loop, &d->task);
	PQfinish(d->pg);
	d->pg = NULL;
	d->conn = NULL;
	d->closed = true;
	if (d->holds == 0)
		free(d);
}

/* ---- calls ---- */

static enum weft_rc
postgres_send(struct conn *c, struct call *call)
{
	struct postgres *d = c->driver_data;
	struct postgres_slot *s;

	if (d->dead || !d->ready) {
		if (call->lease != NULL)
			call_explain(call, WEFT_NOT_SENT, d->why.code, "the connection that was lent is gone: %s", d->why.text);
		return WEFT_NOT_SENT;
	}
	if (call->part == CALL_GOES_ON)
		return postgres_stream_ask(d, call);
	if (call->lease != NULL && postgres_is_held_up(d)) {
		call_explain(call, WEFT_INVALID, NULL, "the rows of another statement are on their way");
		return WEFT_INVALID;
	}
	s = postgres_slot_new(d);
	if (s == NULL)
		return WEFT_SYSTEM;
	s->call = call;
	s->owed = true;
	s->is_held = true;
	s->in_parts = call->part == CALL_OPENS;
	/* libpq takes rows one by one only of what is not prepared in the same breath. */
	s->unnamed = s->in_parts;
	TAILQ_INSERT_TAIL(&d->held, s, link);
	conn_took(c, call, s);
	postgres_flush_later(d);
	return WEFT_OK;
}

static void
postgres_abandon(struct conn *c, struct call *call)
{
	struct postgres *d = c->driver_data;
	struct postgres_slot *s = call->slot;

	must(s->call == call);
	s->call = NULL;
	if (s->is_held) {
		/* Nothing of it was sent: it is as if it had been answered. */
		TAILQ_REMOVE(&d->held, s, link);
		postgres_slot_free(d, s);
		conn_gave(c);
		return;
	}
	if (s->in_parts) {
		postgres_stream_leave(d, s);
		return;
	}
	d->live--;
	d->lost++;
	postgres_cancel_step(d);
}

static const char *
postgres_begin(const struct back_url *url)
{
	(void)url;
	return "BEGIN";
}

/* An empty statement: it takes nothing of the server's but an answer. */
static void
postgres_ping(struct conn *c)
{
	struct postgres *d = c->driver_data;

	if (!d->dead)
		(void)postgres_put_own(d, POSTGRES_PING, "");
}

static int
postgres_socket(const struct conn *c)
{
	const struct postgres *d = c->driver_data;

	return d->pg == NULL ? -1 : PQsocket(d->pg);
}

const struct driver driver_postgres = {
	.name = "postgresql",
	.schemes = (const char *const[]){ "postgresql", "postgres", NULL },
	.kind = CALL_SQL,
	.why = WAIT_SQL,
	.depth = POSTGRES_DEPTH,
	.shares_slow = false,
	.check = postgres_check,
	.new_data = postgres_hosts_new_memory,
	.free_data = free,
	.open = postgres_open,
	.send = postgres_send,
	.abandon = postgres_abandon,
	.clean = postgres_clean,
	.begin = postgres_begin,
	.close = postgres_close,
	.ping = postgres_ping,
	.socket = postgres_socket,
	.channel = postgres_channel,
	.hear = postgres_hear,
	/* Read-only; and the server, or this process of it, ends, has ended, or has not begun. */
	.failover = (const char *const[]){ "25006", "57P01", "57P02", "57P03", NULL },
	.has_parts = true,
};
