/* SPDX-License-Identifier: ISC */
#ifndef BACK_HUB_IMPL_H
#define BACK_HUB_IMPL_H

/*
 * The inside of a hub.  Nobody else includes it.
 *
 *	hub.c           channels by name, subscriptions, beginning and end
 *	hub_conn.c      its connection: what comes, what is asked, when it is lost
 *
 * All that happens to a hub is noted where it happens, and looked at once, at the end of the turn (hub_step): so nothing here ends a
 * connection under a driver that is at work with it, nor under the pool.
 *
 * A channel is one of: due, in h->due, for it is to be asked for or ended and there is no connection, or too much is owed on it; asked
 * or ending, in h->owed, in the order of the answers to come; heard, in no list; or freed.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "back/channel.h"
#include "back/hub.h"
#include "back/lease.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/span.h"
#include "loop/loop.h"

enum hub_state {
	HUB_REST,			/* no connection, and none asked for */
	HUB_ASKING,			/* its place stands in the pool's queue */
	HUB_LIVE,			/* it has one, or has not yet looked at its end */
};

LIST_HEAD(hub_bucket, channel);

struct hub {
	struct pool *pool;
	enum hub_state state;
	struct lease lease;
	struct fault fault;		/* of its place in the queue */
	struct loop_task task;
	struct timer *timer;
	usec armed;

	struct hub_bucket *bucket;
	unsigned buckets, channels;
	TAILQ_HEAD(, channel) due, owed;
	unsigned nowed;
	bool pinged;			/* it owes a sign of life, before all in owed */
	bool stopped;
	usec heard_at;			/* when anything came last */
	usec waits_since;		/* while anything is owed: since when nothing came */
	usec empty_since;		/* while there are no channels */
	usec again_at;			/* no connection is asked for before, but for a new subscription */
	struct channel_room room;
};

/* ---- hub.c ---- */

/* Returns the channel of that name, or NULL. */
struct channel *hub_find(const struct hub *h, struct span name);

/* Somebody has come or left, or its state has changed: what is to be done about it?  It may be freed. */
void hub_review(struct hub *h, struct channel *c);

/* ---- hub_conn.c ---- */

/* The timer's function, and the task's. */
void hub_on_timer(void *arg);
void hub_step(void *arg);

#endif
