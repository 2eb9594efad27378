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
 * The set keeps the timeouts' timer, which is fcgi_time.c's.
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
	FCGI_UNASKED_FEW = 4,
};

/* ---- slots ---- */

/* A connection is one more, or one less, of its kind.  Other processes may look at the number. */
static void
fcgi_conn_tally(struct fcgi_conn *c, uint32_t change)
{
	struct fcgi_conns *set = c->set;
	uint32_t more;

	if (c->lasts == FCGI_LASTS)
		set->kept += change;
	else if (c->lasts == FCGI_LASTS_UNKNOWN)
		set->unasked += change;
	if (set->app->kept == NULL)
		return;
	/* A few are about to ask, also where none is kept. */
	more = set->unasked > FCGI_UNASKED_FEW ? set->unasked - FCGI_UNASKED_FEW : 0;
	__atomic_store_n(set->app->kept, set->kept + more, __ATOMIC_RELAXED);
}

static void
fcgi_conn_set_lasts(struct fcgi_conn *c, enum fcgi_lasts lasts)
{
	fcgi_conn_tally(c, (uint32_t)-1);
	c->lasts = (uint8_t)lasts;
	fcgi_conn_tally(c, 1);
}

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
		.since = loop_lately(set->app->loop),
	};
	buf_init(&s->params, FCGI_PARAMS_MAX);
	if (stream_pending(c->stream) == 0)
		c->out_since = s->since;
	if (fcgi_ids_add(&c->ids, s) != 0) {
		free(s);
		return NULL;
	}
	set->app->requests++;
	if (c->lasts == FCGI_LASTS_UNKNOWN)
		fcgi_conn_set_lasts(c, s->keep ? FCGI_LASTS : FCGI_LASTS_NOT);
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
	if (c->awaited == s) {
		c->awaited = NULL;
		c->next_due = true;
		stream_resume(c->stream);
	}
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

void
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
	fcgi_conn_tally(c, (uint32_t)-1);
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
	c->since = loop_lately(c->set->app->loop);
	if (c->close_after || c->eof || (c->set->draining && !c->partial && !c->fresh))
		return fcgi_conn_finish(c);
	return true;
}

/* ---- from the stream ---- */

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
	fcgi_time_watch(c->set);
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
	return used;
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

/* ---- the set ---- */

struct fcgi_conns *
fcgi_conns_new(struct front_app *app)
{
	struct fcgi_conns *set = calloc(1, sizeof *set);

	if (set == NULL)
		return NULL;
	set->app = app;
	TAILQ_INIT(&set->list);
	TAILQ_INIT(&set->cache);
	if (fcgi_time_init(set) != 0) {
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
	c->since = c->out_since = loop_lately(set->app->loop);
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
	fcgi_conn_tally(c, 1);
	fcgi_time_watch(set);
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
