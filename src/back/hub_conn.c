/* SPDX-License-Identifier: ISC */
/* The connection of a hub: what comes down it, what is asked of it, and what follows from its end. */
#include "back/hub_impl.h"

#include <string.h>

#include "back/driver.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "base/must.h"

enum { HUB_OWED = 64 };			/* answers owed at once */

/* ---- what comes ---- */

static void
hub_heard(struct hub *h)
{
	h->heard_at = h->waits_since = loop_lately(h->pool->loop);
}

void
conn_hears(struct conn *conn, struct span channel, struct span text)
{
	struct hub *h = conn->lease->hub;
	struct channel *c = hub_find(h, channel);

	hub_heard(h);
	/* Else it crossed our word that nobody listens any more. */
	if (c != NULL && c->state == CHANNEL_HEARD)
		channel_push(c, text.at != NULL ? text : (struct span){ "", CHANNEL_BYTES + 1 });
}

/* The first one owed has been answered. */
static void
hub_take_owed(struct hub *h)
{
	TAILQ_REMOVE(&h->owed, TAILQ_FIRST(&h->owed), order);
	h->nowed--;
	hub_heard(h);
	/* There is place for another one. */
	if (!TAILQ_EMPTY(&h->due))
		hub_look(h);
}

bool
conn_answers_hub(struct conn *conn, enum hear what, struct span channel)
{
	struct hub *h = conn->lease->hub;
	struct channel *c = TAILQ_FIRST(&h->owed);

	if (h->pinged || what == HEAR_PING) {
		hub_heard(h);
		if (!h->pinged || what != HEAR_PING)
			return false;
		h->pinged = false;
		return true;
	}
	if (c == NULL || (c->state == CHANNEL_ASKED) != (what == HEAR_BEGIN))
		return false;
	if (channel.at != NULL && !(channel.len == c->len && memcmp(channel.at, c->name, c->len) == 0))
		return false;
	hub_take_owed(h);
	c->state = what == HEAR_BEGIN ? CHANNEL_HEARD : CHANNEL_UNKNOWN;
	if (what == HEAR_BEGIN)
		channel_begin(c);
	hub_review(h, c);
	return true;
}

bool
conn_refuses_hub(struct conn *conn, const char *code, const char *text)
{
	struct hub *h = conn->lease->hub;
	struct channel *c = TAILQ_FIRST(&h->owed);
	struct fault why;

	if (h->pinged) {
		/* Who may not ask has been answered none the less. */
		h->pinged = false;
		hub_heard(h);
		return true;
	}
	if (c == NULL || c->state != CHANNEL_ASKED)
		return false;
	hub_take_owed(h);
	fault_set(&why, WEFT_REFUSED, code, "pool %s: channel %.80s: %s", h->pool->name, c->name, text);
	log_info("channel refused pool=%s fault=\"%s%s%s\"", h->pool->name, why.code, why.code[0] == '\0' ? "" : " ", why.text);
	c->state = CHANNEL_UNKNOWN;
	channel_refuse(c, &why);
	hub_review(h, c);
	return true;
}

/* ---- the connection ---- */

/* Call fn for each channel, which may free it. */
static void
hub_each(struct hub *h, void (*fn)(struct hub *h, struct channel *c))
{
	for (unsigned i = 0; i < h->buckets; i++) {
		struct channel *c, *next;

		for (c = LIST_FIRST(&h->bucket[i]); c != NULL; c = next) {
			next = LIST_NEXT(c, bucket);
			fn(h, c);
		}
	}
}

static void
hub_forget_channel(struct hub *h, struct channel *c)
{
	if (c->state == CHANNEL_ASKED || c->state == CHANNEL_ENDING)
		TAILQ_REMOVE(&h->owed, c, order);
	c->state = CHANNEL_UNKNOWN;
	hub_review(h, c);
}

static void
hub_lose_channel(struct hub *h, struct channel *c)
{
	channel_lose(c, &h->lease.lost);
	hub_forget_channel(h, c);
}

static void
hub_fail_channel(struct hub *h, struct channel *c)
{
	channel_fail(c, &h->fault);
	hub_review(h, c);
}

/* There is no connection any more. */
static void
hub_rest(struct hub *h, void (*fn)(struct hub *h, struct channel *c))
{
	h->state = HUB_REST;
	h->pinged = false;
	hub_each(h, fn);
	must(TAILQ_EMPTY(&h->owed));
	h->nowed = 0;
}

/* What has become of its place in the queue, and of its connection? */
static void
hub_see(struct hub *h)
{
	usec now = loop_now(h->pool->loop);

	if (h->state == HUB_ASKING && h->lease.place.state == CALL_DONE) {
		h->state = HUB_LIVE;
		h->heard_at = now;
		if (h->lease.place.rc != WEFT_OK) {
			h->again_at = clock_add(now, HUB_AGAIN);
			hub_rest(h, hub_fail_channel);
		}
	}
	if (h->state == HUB_LIVE && !lease_is_live(&h->lease))
		hub_rest(h, hub_lose_channel);
}

static bool
hub_owes(const struct hub *h)
{
	return h->pinged || h->nowed > 0;
}

/* When a connection that is there is to be seen to next. */
static usec
hub_due_at(const struct hub *h)
{
	usec at;

	if (hub_owes(h))
		return clock_add(h->waits_since, h->pool->conf.connect_timeout);
	at = clock_add(h->heard_at, h->pool->check_after);
	return h->channels == 0 ? clock_min(at, clock_add(h->empty_since, HUB_LINGER)) : at;
}

/* The back end has failed over: its messages come elsewhere. */
static bool
hub_is_stale(const struct hub *h)
{
	return h->lease.conn->generation != h->pool->generation;
}

/* Has it been silent, or idle, for too long? */
static void
hub_check(struct hub *h)
{
	usec now = loop_now(h->pool->loop);
	struct conn *c = h->lease.conn;

	if (h->state != HUB_LIVE || (!hub_is_stale(h) && now < hub_due_at(h)))
		return;
	if (hub_is_stale(h)) {
		fault_set(&h->lease.lost, WEFT_NOT_SENT, h->pool->code, "%s", pool_reason(h->pool));
		lease_drop(&h->lease);
		hub_rest(h, hub_lose_channel);
	} else if (hub_owes(h)) {
		conn_is_dead(c, NULL, "no answer within %g s on the connection of subscriptions",
		    (double)h->pool->conf.connect_timeout / (double)USEC_PER_SEC);
		hub_see(h);
	} else if (h->channels == 0 && now >= clock_add(h->empty_since, HUB_LINGER)) {
		h->state = HUB_REST;
		lease_drop(&h->lease);
	} else if (c->driver->hear(c, HEAR_PING, SPAN("")) == WEFT_OK) {
		h->pinged = true;
		h->waits_since = now;
	}
}

/* Have a connection, or a place in the pool's queue for one, while anybody listens. */
static void
hub_ask(struct hub *h)
{
	if (h->state == HUB_ASKING && h->room.subscriptions == 0) {
		h->state = HUB_REST;
		lease_give(&h->lease);
	}
	if (h->state != HUB_REST || h->room.subscriptions == 0 || loop_now(h->pool->loop) < h->again_at)
		return;
	h->state = HUB_ASKING;
	lease_ask_hub(&h->lease, h->pool, &h->fault, h);
	hub_see(h);
}

/* Ask for what is due. */
static void
hub_send(struct hub *h)
{
	struct conn *conn = h->lease.conn;
	struct channel *c;

	if (h->state != HUB_LIVE)
		return;
	while (h->nowed < HUB_OWED && (c = TAILQ_FIRST(&h->due)) != NULL) {
		enum hear what = c->state == CHANNEL_UNKNOWN ? HEAR_BEGIN : HEAR_END;

		if (conn->driver->hear(conn, what, (struct span){ c->name, c->len }) != WEFT_OK)
			return;
		if (!hub_owes(h))
			h->waits_since = loop_now(h->pool->loop);
		TAILQ_REMOVE(&h->due, c, order);
		c->is_due = false;
		c->state = what == HEAR_BEGIN ? CHANNEL_ASKED : CHANNEL_ENDING;
		TAILQ_INSERT_TAIL(&h->owed, c, order);
		h->nowed++;
	}
}

/* Never moved to a later time: it fires, and is set anew. */
static void
hub_arm(struct hub *h)
{
	usec at = CLOCK_NEVER;

	if (h->state == HUB_LIVE)
		at = hub_due_at(h);
	else if (h->state == HUB_REST && h->room.subscriptions > 0)
		at = h->again_at;
	if (at >= h->armed)
		return;
	h->armed = at;
	timer_set(h->timer, at);
}

void
hub_step(void *arg)
{
	struct hub *h = arg;

	if (h->stopped)
		return;
	hub_see(h);
	hub_check(h);
	hub_ask(h);
	hub_send(h);
	hub_arm(h);
}

void
hub_on_timer(void *arg)
{
	struct hub *h = arg;

	h->armed = CLOCK_NEVER;
	hub_step(h);
}

void
hub_look(struct hub *h)
{
	if (!h->stopped)
		loop_after_turn(h->pool->loop, &h->task);
}

static void
hub_stop_channel(struct hub *h, struct channel *c)
{
	channel_stop(c, WEFT_CANCELED);
	hub_forget_channel(h, c);
}

void
hub_stop(struct hub *h)
{
	if (h == NULL || h->stopped)
		return;
	h->stopped = true;
	loop_task_cancel(h->pool->loop, &h->task);
	if (h->state == HUB_ASKING && h->lease.place.state != CALL_DONE)
		lease_give(&h->lease);
	else if (h->state != HUB_REST)
		lease_drop(&h->lease);
	hub_rest(h, hub_stop_channel);
}
