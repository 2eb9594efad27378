/* SPDX-License-Identifier: ISC */
#ifndef BACK_HUB_H
#define BACK_HUB_H

/*
 * The hub of a pool: messages that a back end sends by itself, of Redis' SUBSCRIBE and PostgreSQL's LISTEN, to those who subscribed.
 *
 * All subscriptions of a worker to a pool share one connection, whatever number of channels they are to.  It is one of the pool's, a
 * lease that the hub keeps, so `max` counts it: taken when the first one subscribes, given up HUB_LINGER after the last
 * has left.
 *
 * A channel is asked for when the first one comes, and ended when the last has left.  A subscription begins when the back end has
 * confirmed its channel, so whatever is published after that arrives, or there is a gap.
 *
 * When the connection is lost the hub takes another one, as soon as the pool has one, and asks for all channels again.  Who had
 * begun before is told of the gap only then, when messages come again: what he reads anew on being told of it is whole.
 *
 * A connection that was silent for check_after is asked for a sign of life.  One that leaves the hub without an answer for
 * connect_timeout counts as lost.
 */

#include <weft/rc.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/span.h"

struct hub;
struct pool;
struct subscription;

#define HUB_LINGER (5 * USEC_PER_SEC)
#define HUB_AGAIN (250 * USEC_PER_MSEC)		/* after the pool had no connection for it, with subscriptions that wait for their messages */

/*
 * Listen to a channel; waits until it is confirmed, at most call_timeout.
 *
 * s        in the asker's memory; hub_unsubscribe ends what began
 * fault    filled when it fails
 * Returns  WEFT_OK; WEFT_INVALID: the back end has no channels, or none of that name; WEFT_REFUSED by the back end;
 *          WEFT_DOWN, WEFT_BUSY, WEFT_NOT_SENT: there is no connection, or it was lost twice; WEFT_CANCELED: also, the worker drains;
 *          WEFT_TIMEOUT, WEFT_SYSTEM
 */
enum weft_rc hub_subscribe(struct pool *p, struct subscription *s, struct span channel, struct fault *fault);

/* s listens no more; nothing where it does not. */
void hub_unsubscribe(struct subscription *s);

/* ---- for the pool ---- */

/* Something has become of the hub's connection, or of its place in the queue; it looks at the end of the turn. */
void hub_look(struct hub *h);

/* Give up the connection: subscriptions end with WEFT_CANCELED when they have read what there is. */
void hub_stop(struct hub *h);

/* Free it; nobody may be subscribed any more.  *hp becomes NULL. */
void hub_free(struct hub **hp);

struct hub_stat {
	unsigned channels, subscriptions;
	unsigned long long messages, gaps;
};
void hub_stat(const struct hub *h, struct hub_stat *out);

#endif
