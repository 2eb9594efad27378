/* SPDX-License-Identifier: ISC */
/*
 * The life of FastCGI connections.
 *
 * A connection ends when the last of its requests has ended and one of them came
 * without KEEP_CONN, the peer has sent its end, or the set drains.  When all input was
 * read it is closed at once, with the last write.  Otherwise closing would make
 * the kernel send a reset, which can overtake the answer; so our side is shut and what
 * still comes is thrown away until the peer ends (linger), within bounds.
 *
 * A half-close is not an abort: requests whose input is complete are answered.  Those
 * whose input is not can never be, and are gone.
 *
 * Time is watched by one timer a set, which looks at every connection a few times per
 * the shortest timeout, so a request on its way sets no timer.  All timeouts here are
 * against broken or hostile peers, so a quarter late does not matter.  The timer rests while no
 * connection waits for anything, so that an idle server does not wake up.
 */
#include "front/fcgi_conn.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"
#include "front/fcgi_internal.h"
#include "loop/loop.h"

enum {
	FCGI_SLOTS_CACHED = 1024,
	FCGI_PENDING_MAX = 32 << 20,
	FCGI_LINGER_BYTES = 256 << 20,
};

#define FCGI_LINGER_TIME  (10 * USEC_PER_SEC)
#define FCGI_PERIOD_MIN   (5 * USEC_PER_MSEC)
#define FCGI_PERIOD_MAX   (1 * USEC_PER_SEC)
#define FCGI_DRAIN_IDLE   (20 * USEC_PER_MSEC)	/* a turn at least, so that what has arrived is read first */
#define FCGI_DRAIN_FRESH  (1 * USEC_PER_SEC)	/* who has just connected is about to ask */

/* ---- slots ---- */

struct fcgi_slot *
fcgi_slot_new(struct fcgi_conn *c, uint16_t id, const struct fcgi_begin *begin)
{
	struct fcgi_conns *set = c->set;
	struct fcgi_slot *s = TAILQ_FIRST(&set->cache);

	if (s != NULL) {
		TAILQ_REMOVE(&set->cache, s, link);
		set->cached--;
	} else if ((s = malloc(sizeof *s)) == NULL) {
		return NULL;
	}
	*s = (struct fcgi_slot){
		.conn = c,
		.id = id,
		.role = (uint8_t)begin->role,
		.keep = (begin->flags & FCGI_KEEP_CONN) != 0,
		.since = loop_now(set->app->loop),
	};
	buf_init(&s->params, FCGI_PARAMS_MAX);
	if (stream_pending(c->stream) == 0)
		c->out_since = s->since;
	if (fcgi_ids_add(&c->ids, s) != 0) {
		free(s);
		return NULL;
	}
	set->app->requests++;
	return s;
}

void
fcgi_slot_end(struct fcgi_slot *s)
{
	struct fcgi_conn *c = s->conn;
	struct fcgi_conns *set = c->set;

	if (s->state != FCGI_SLOT_WHOLE)
		c->owed = true;
	if (!s->keep)
		c->close_after = true;
	if (c->current == s)
		c->current = NULL;
	if (c->holder == s)
		c->holder = NULL;
	fcgi_ids_remove(&c->ids, s);
	set->app->requests--;
	set->held -= s->params.len;
	buf_fini(&s->params);
	s->conn = NULL;
	s->rq = NULL;
	if (set->cached == FCGI_SLOTS_CACHED) {
		free(s);
		return;
	}
	TAILQ_INSERT_HEAD(&set->cache, s, link);
	set->cached++;
}

void
fcgi_slot_gone(struct fcgi_slot *s)
{
	s->conn->set->app->aborted++;
	if (s->rq != NULL)
		request_gone(s->rq);
	fcgi_slot_end(s);
}

/* ---- the end of a connection ---- */

void
fcgi_conn_doom(struct fcgi_conn *c, const char *why)
{
	if (c->doomed)
		return;
	c->doomed = true;
	c->set->app->bad_connections++;
	log_debug("close fastcgi connection reason=\"%s\"", why);
}

enum fcgi_conn_how { FCGI_CONN_CLOSE, FCGI_CONN_RESET };

static void
fcgi_conn_free(struct fcgi_conn *c, enum fcgi_conn_how how)
{
	struct fcgi_conns *set = c->set;
	struct fcgi_slot *s;

	must(!c->busy);
	while ((s = TAILQ_FIRST(&c->ids.list)) != NULL)
		fcgi_slot_gone(s);
	fcgi_ids_fini(&c->ids);
	set->held -= c->gather.len;
	buf_fini(&c->gather);
	if (how == FCGI_CONN_RESET)
		stream_reset(&c->stream);
	else
		stream_close(&c->stream);
	TAILQ_REMOVE(&set->list, c, link);
	set->count--;
	set->app->connections--;
	free(c);
}

void
fcgi_conn_reset(struct fcgi_conn *c)
{
	if (c->busy)
		c->doomed = true;
	else
		fcgi_conn_free(c, FCGI_CONN_RESET);
}

/* All is said.  Returns false when that was all, and c is gone. */
static bool
fcgi_conn_finish(struct fcgi_conn *c)
{
	bool all_read = !c->owed && !c->partial;

	if (all_read || c->eof) {
		stream_flush(c->stream);
		if (stream_pending(c->stream) == 0) {
			fcgi_conn_free(c, FCGI_CONN_CLOSE);
			return false;
		}
	}
	stream_shut_write(c->stream);
	c->state = FCGI_CONN_LINGER;
	c->discarded = 0;
	return true;
}

bool
fcgi_conn_settle(struct fcgi_conn *c)
{
	if (c->busy || c->ids.count > 0 || c->state == FCGI_CONN_LINGER)
		return true;
	c->since = loop_now(c->set->app->loop);
	if (c->close_after || c->eof || (c->set->draining && !c->partial && !c->fresh))
		return fcgi_conn_finish(c);
	return true;
}

/* ---- from the stream ---- */

/* Look at all connections in a while; they may be going to wait for something. */
static void
fcgi_conns_sweep_soon(struct fcgi_conns *set)
{
	if (set->sweeping)
		return;
	set->sweeping = true;
	timer_set(set->sweep, loop_now(set->app->loop) + set->period);
}

static size_t
fcgi_conn_discard(struct fcgi_conn *c, size_t len)
{
	c->discarded += len;
	if (c->discarded > FCGI_LINGER_BYTES)
		fcgi_conn_free(c, FCGI_CONN_CLOSE);
	return len;
}

static size_t
fcgi_conn_on_bytes(void *arg, struct span in)
{
	struct fcgi_conn *c = arg;
	bool was_partial = c->partial && c->ids.count == 0;
	usec since = c->since;
	size_t used;

	if (c->state == FCGI_CONN_LINGER)
		return fcgi_conn_discard(c, in.len);
	fcgi_conns_sweep_soon(c->set);
	c->busy = true;
	used = fcgi_in(c, in);
	c->busy = false;
	if (c->doomed) {
		fcgi_conn_free(c, FCGI_CONN_CLOSE);
		return in.len;
	}
	if (!fcgi_conn_settle(c))
		return in.len;
	if (was_partial && c->partial)
		c->since = since;	/* still the same wait, however slowly its bytes come */
	return c->state == FCGI_CONN_LINGER ? in.len : used;
}

/* The peer sends no more: what has not come will not. */
static void
fcgi_conn_on_eof(struct fcgi_conn *c)
{
	struct fcgi_slot *s, *next;

	c->eof = true;
	for (s = TAILQ_FIRST(&c->ids.list); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state == FCGI_SLOT_HEAD || s->state == FCGI_SLOT_BODY)
			fcgi_slot_gone(s);
	}
	if (c->state == FCGI_CONN_LINGER) {
		if (stream_pending(c->stream) == 0)
			fcgi_conn_free(c, FCGI_CONN_CLOSE);
		return;		/* else the sweep sees when it is sent */
	}
	fcgi_conn_settle(c);
}

static void
fcgi_conn_on_end(void *arg, enum stream_end end)
{
	struct fcgi_conn *c = arg;

	if (end == STREAM_LOST)
		fcgi_conn_free(c, FCGI_CONN_RESET);
	else
		fcgi_conn_on_eof(c);
}

static void
fcgi_conn_on_drained(void *arg)
{
	struct fcgi_conn *c = arg;
	struct fcgi_slot *s;

	TAILQ_FOREACH(s, &c->ids.list, link)
		if (s->rq != NULL)
			request_wake_writer(s->rq);
}

static const struct stream_ops fcgi_conn_stream_ops = {
	.on_bytes = fcgi_conn_on_bytes,
	.on_end = fcgi_conn_on_end,
	.on_drained = fcgi_conn_on_drained,
};

/* ---- time ---- */

/* True when output has been pending without progress for too long. */
static bool
fcgi_conn_is_stuck(struct fcgi_conn *c, usec now)
{
	unsigned long long in, out;

	stream_count(c->stream, &in, &out);
	if (stream_pending(c->stream) == 0 || out != c->out_seen) {
		c->out_seen = out;
		c->out_since = now;
	}
	return now - c->out_since > c->set->limit.send;
}

/* Lingering ends with the peer's end, or in time; the time runs from when all is sent. */
static bool
fcgi_conn_has_lingered(struct fcgi_conn *c, usec now)
{
	if (stream_pending(c->stream) > 0) {
		c->since = now;
		return false;
	}
	return c->eof || now - c->since > FCGI_LINGER_TIME;
}

/* Without a request: half a record must go on within the time for a head, a kept connection may idle. */
static bool
fcgi_conn_has_idled(const struct fcgi_conn *c, usec now)
{
	const struct fcgi_conns *set = c->set;
	usec idle = now - c->since;

	if (c->ids.count > 0)
		return false;
	if (c->partial)
		return idle > set->limit.head;
	if (stream_pending(c->stream) > 0)
		return false;
	if (set->draining && clock_min(idle, now - set->drain_since) > (c->fresh ? FCGI_DRAIN_FRESH : FCGI_DRAIN_IDLE))
		return true;
	return idle > set->limit.idle;
}

/* Returns false when c is to be closed because of this request. */
static bool
fcgi_slot_is_in_time(struct fcgi_slot *s, usec now)
{
	static const struct span page = SPAN("Status: 408 Request Timeout\r\nContent-Type: text/plain\r\n\r\n"
	    "The request's variables did not come in time.\n");
	struct fcgi_conn *c = s->conn;
	const struct fcgi_limits *limit = &c->set->limit;

	if (s->state == FCGI_SLOT_HEAD && now - s->since > limit->head) {
		if (c->ids.count == 1)
			return false;
		fcgi_out_page(c, s->id, page, FCGI_REQUEST_COMPLETE);
		c->close_after = true;
		fcgi_slot_end(s);
	} else if (s->state == FCGI_SLOT_BODY && now - s->since > limit->body) {
		s->state = FCGI_SLOT_CUT;
		if (s->rq->body.state == BODY_OPEN)
			body_fail(&s->rq->body, WEFT_TIMEOUT);
	}
	return true;
}

static bool
fcgi_conn_is_in_time(struct fcgi_conn *c, usec now)
{
	struct fcgi_slot *s, *next;

	for (s = TAILQ_FIRST(&c->ids.list); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!fcgi_slot_is_in_time(s, now))
			return false;
	}
	return !c->doomed;
}

static void
fcgi_conn_check(struct fcgi_conn *c, usec now)
{
	bool idle = c->ids.count == 0;

	if (fcgi_conn_is_stuck(c, now)) {
		log_debug("close fastcgi connection reason=\"output does not move\"");
		fcgi_conn_free(c, FCGI_CONN_RESET);
	} else if (c->state == FCGI_CONN_LINGER) {
		if (fcgi_conn_has_lingered(c, now))
			fcgi_conn_free(c, FCGI_CONN_CLOSE);
	} else if (fcgi_conn_has_idled(c, now) || !fcgi_conn_is_in_time(c, now)) {
		fcgi_conn_free(c, FCGI_CONN_CLOSE);
	} else if (!idle) {
		fcgi_conn_settle(c);
	}
}

/* True when time may bring something about for c without a byte of its peer. */
static bool
fcgi_conn_is_timed(const struct fcgi_conn *c)
{
	return c->ids.count > 0 || c->state == FCGI_CONN_LINGER || c->partial || stream_pending(c->stream) > 0
	    || c->set->limit.idle != CLOCK_NEVER || c->set->draining;
}

static void
fcgi_conns_on_sweep(void *arg)
{
	struct fcgi_conns *set = arg;
	usec now = loop_now(set->app->loop);
	struct fcgi_conn *c, *next;
	bool again = false;

	set->sweeping = false;
	for (c = TAILQ_FIRST(&set->list); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);	/* a check frees no other */
		again = again || fcgi_conn_is_timed(c);
		fcgi_conn_check(c, now);
	}
	if (again)
		fcgi_conns_sweep_soon(set);
}

/* ---- the set ---- */

static usec
fcgi_or(usec value, usec instead)
{
	return value > 0 ? value : instead;
}

static void
fcgi_conns_limit(struct fcgi_conns *set)
{
	const struct front_app *app = set->app;
	struct fcgi_limits *limit = &set->limit;

	*limit = (struct fcgi_limits){
		.requests = app->max_requests > 0 ? app->max_requests : 10000,
		.connections = app->max_connections > 0 ? app->max_connections : 20000,
		.multiplex = app->multiplex > 0 ? app->multiplex : 1024,
		.head = fcgi_or(app->head_timeout, 10 * USEC_PER_SEC),
		.body = fcgi_or(app->body_timeout, 30 * USEC_PER_SEC),
		.send = fcgi_or(app->send_timeout, 30 * USEC_PER_SEC),
		.idle = fcgi_or(app->idle_timeout, CLOCK_NEVER),
	};
	set->period = clock_min(clock_min(limit->head, limit->body), clock_min(limit->send, limit->idle)) / 4;
	set->period = clock_min(set->period, FCGI_PERIOD_MAX);
	if (set->period < FCGI_PERIOD_MIN)
		set->period = FCGI_PERIOD_MIN;
}

struct fcgi_conns *
fcgi_conns_new(struct front_app *app)
{
	struct fcgi_conns *set = calloc(1, sizeof *set);

	if (set == NULL)
		return NULL;
	set->app = app;
	TAILQ_INIT(&set->list);
	TAILQ_INIT(&set->cache);
	fcgi_conns_limit(set);
	set->sweep = timer_new(app->loop, fcgi_conns_on_sweep, set);
	if (set->sweep == NULL) {
		free(set);
		return NULL;
	}
	return set;
}

/* Returns the connection, or NULL: fd is still the caller's. */
static struct fcgi_conn *
fcgi_conn_new(struct fcgi_conns *set, int fd)
{
	static const struct stream_conf conf = { .high_water = FCGI_HIGH_WATER, .pending_max = FCGI_PENDING_MAX };
	struct fcgi_conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->set = set;
	c->fresh = true;
	c->since = c->out_since = loop_now(set->app->loop);
	fcgi_rx_init(&c->rx);
	fcgi_ids_init(&c->ids);
	buf_init(&c->gather, FCGI_CONTENT_MAX);
	c->stream = stream_new(set->app->loop, fd, &fcgi_conn_stream_ops, c, &conf);
	if (c->stream == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
fcgi_conns_add(struct fcgi_conns *set, int fd)
{
	struct fcgi_conn *c = NULL;

	if (set->count < set->limit.connections)
		c = fcgi_conn_new(set, fd);
	if (c == NULL) {
		set->app->refused++;
		close(fd);
		return;
	}
	TAILQ_INSERT_TAIL(&set->list, c, link);
	set->app->connections++;
	set->count++;
	fcgi_conns_sweep_soon(set);
}

void
fcgi_conns_drain(struct fcgi_conns *set)
{
	set->draining = true;
	set->drain_since = loop_now(set->app->loop);
	set->period = clock_min(set->period, FCGI_DRAIN_IDLE + FCGI_PERIOD_MIN);
	set->sweeping = false;
	fcgi_conns_sweep_soon(set);
}

unsigned
fcgi_conns_count(const struct fcgi_conns *set)
{
	return set->count;
}

void
fcgi_conns_free(struct fcgi_conns **sp)
{
	struct fcgi_conns *set = *sp;
	struct fcgi_conn *c;
	struct fcgi_slot *s;

	*sp = NULL;
	if (set == NULL)
		return;
	while ((c = TAILQ_FIRST(&set->list)) != NULL)
		fcgi_conn_free(c, FCGI_CONN_CLOSE);
	must(set->count == 0 && set->held == 0);
	while ((s = TAILQ_FIRST(&set->cache)) != NULL) {
		TAILQ_REMOVE(&set->cache, s, link);
		free(s);
	}
	timer_free(&set->sweep);
	free(set);
}
