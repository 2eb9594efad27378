/* SPDX-License-Identifier: ISC */
/*
 * Time, as FastCGI connections know it.  One timer a set looks at every
 * connection a few times per the shortest timeout, so a request on its way sets
 * no timer.  All timeouts here are against broken or hostile peers, so a quarter late does
 * not matter.  The timer rests while no connection waits for anything: an idle
 * server does not wake up.
 *
 * The times themselves are noted where things happen (since, of slots and connections);
 * only the progress of output is noted here.
 */
#include "front/fcgi_conn.h"

#include "base/log.h"
#include "front/fcgi_internal.h"
#include "loop/loop.h"

#define FCGI_LINGER_TIME  (10 * USEC_PER_SEC)
#define FCGI_PERIOD_MIN   (5 * USEC_PER_MSEC)
#define FCGI_PERIOD_MAX   (1 * USEC_PER_SEC)
#define FCGI_DRAIN_IDLE   (20 * USEC_PER_MSEC)	/* a turn at least, so that what has arrived is read first */
#define FCGI_DRAIN_FRESH  (1 * USEC_PER_SEC)	/* who has just connected is about to ask */

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
	return c->eof || now - c->since > c->set->limit.linger;
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

void
fcgi_time_watch(struct fcgi_conns *set)
{
	if (set->sweeping)
		return;
	set->sweeping = true;
	timer_set(set->sweep, loop_now(set->app->loop) + set->period);
}

static void
fcgi_time_on_sweep(void *arg)
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
		fcgi_time_watch(set);
}

static usec
fcgi_time_or(usec value, usec instead)
{
	return value > 0 ? value : instead;
}

static void
fcgi_time_limit(struct fcgi_conns *set)
{
	const struct front_app *app = set->app;
	struct fcgi_limits *limit = &set->limit;

	*limit = (struct fcgi_limits){
		.requests = app->max_requests > 0 ? app->max_requests : 10000,
		.connections = app->max_connections > 0 ? app->max_connections : 20000,
		.multiplex = app->multiplex > 0 ? app->multiplex : 1024,
		.head = fcgi_time_or(app->head_timeout, 10 * USEC_PER_SEC),
		.body = fcgi_time_or(app->body_timeout, 30 * USEC_PER_SEC),
		.send = fcgi_time_or(app->send_timeout, 30 * USEC_PER_SEC),
		.idle = fcgi_time_or(app->idle_timeout, CLOCK_NEVER),
	};
	limit->linger = clock_min(FCGI_LINGER_TIME, limit->send);
	set->period = clock_min(clock_min(limit->head, limit->body), clock_min(limit->send, limit->idle)) / 4;
	set->period = clock_min(set->period, FCGI_PERIOD_MAX);
	if (set->period < FCGI_PERIOD_MIN)
		set->period = FCGI_PERIOD_MIN;
}

int
fcgi_time_init(struct fcgi_conns *set)
{
	fcgi_time_limit(set);
	set->sweep = timer_new(set->app->loop, fcgi_time_on_sweep, set);
	return set->sweep == NULL ? -1 : 0;
}

void
fcgi_conns_drain(struct fcgi_conns *set)
{
	set->draining = true;
	set->drain_since = loop_now(set->app->loop);
	set->period = clock_min(set->period, FCGI_DRAIN_IDLE + FCGI_PERIOD_MIN);
	set->sweeping = false;
	fcgi_time_watch(set);
}
