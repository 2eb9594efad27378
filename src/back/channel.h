/* SPDX-License-Identifier: ISC */
#ifndef BACK_CHANNEL_H
#define BACK_CHANNEL_H

/*
 * A channel of a back end, who in this worker listens to it, and the messages that some of them have not read yet.
 *
 * A message is held once, whoever many wait for it.  All who listen get the same messages, so what one has not read is always the end
 * of what the channel holds: a subscription is a place in that row and costs nothing more.
 *
 * The row is bounded, so each one's unread messages are: who is too slow loses the oldest, and is told so (WEFT_GAP) before the
 * next one.  A gap that all share, such as a connection that was lost, stands in the row like a message.
 *
 * A channel knows neither pools nor connections; hub.h does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <weft/rc.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/span.h"
#include "fiber/why.h"

struct channel;
struct fiber;
struct hub;


enum {
	CHANNEL_NAME_MAX = 1024,
	CHANNEL_MESSAGES = 256,			/* not read, of one subscription */
	CHANNEL_BYTES = 1 << 20,		/* likewise; and of one message */
	CHANNEL_ROOM = 64 << 20,		/* of all messages of a hub */
};

/* What the channels of a hub have in common. */
struct channel_room {
	unsigned subscriptions;			/* to all of them */
	size_t bytes;				/* of the messages that are held */
	unsigned long long messages, gaps;	/* since the start: taken from the back end; told to subscriptions */
};

/* One who listens; in its asker's memory, zeroed at first. */
struct subscription {
	struct channel *channel;		/* NULL: not yet, or no more */
	struct message *next;			/* the oldest one not read; NULL: none */
	struct message *held;			/* the one read last */
	struct fiber *waiter;
	struct fault *fault;			/* where is said why it does not begin, while that is waited for; else NULL */
	enum weft_rc over;			/* what it ends with once all is read; WEFT_OK: it goes on */
	unsigned losses;			/* connections lost while it waited to begin */
	bool live;				/* it has begun */
	bool gap;				/* it has lost the oldest, and was not told yet */
	LIST_ENTRY(subscription) link;
};

/* What the hub's connection knows of a channel. */
enum channel_state {
	CHANNEL_UNKNOWN,
	CHANNEL_ASKED,				/* asked for; not confirmed */
	CHANNEL_HEARD,				/* its messages come */
	CHANNEL_ENDING,				/* not wanted any more; not confirmed */
};

struct channel {
	struct hub *hub;			/* whose it is; the hub's, as all up to `order` */
	enum channel_state state;
	bool is_due;				/* it stands in the hub's list of those to be asked for or ended */
	uint32_t hash;
	LIST_ENTRY(channel) bucket;
	TAILQ_ENTRY(channel) order;

	struct channel_room *room;
	LIST_HEAD(, subscription) subscriptions;
	unsigned live;				/* of these */
	STAILQ_HEAD(message_row, message) row;
	unsigned count;				/* of the row */
	size_t bytes;				/* likewise */
	size_t len;
	char name[];				/* with a NUL behind it */
};

/* Returns a channel that nobody listens to, or NULL.  The room outlives it, and all subscriptions to it. */
struct channel *channel_new(struct span name, struct channel_room *room);

/* Free it; nobody may listen any more.  *cp becomes NULL. */
void channel_free(struct channel **cp);

/* s listens, from the next channel_begin on. */
void channel_add(struct channel *c, struct subscription *s);

/* s, just added, begins: its messages come already. */
void channel_begin_one(struct channel *c, struct subscription *s);

/* The back end has confirmed it.  Those who had begun before have a gap; the others begin. */
void channel_begin(struct channel *c);

/* A message for all who have begun.  One that is too large is a gap. */
void channel_push(struct channel *c, struct span text);

/* The connection that was to confirm it is lost.  Who has waited for that twice ends with the fault; the others go on. */
void channel_lose(struct channel *c, const struct fault *why);

/* Those who have not begun end with the fault; the others go on. */
void channel_fail(struct channel *c, const struct fault *why);

/* All end with the fault, at once. */
void channel_refuse(struct channel *c, const struct fault *why);

/* All end with rc, when they have read what there is. */
void channel_stop(struct channel *c, enum weft_rc rc);

/* Wait until s has begun.  Returns WEFT_OK; what it ended with; or as fiber_wait. */
enum weft_rc subscription_await(struct subscription *s, enum wait_why why, usec until);

/*
 * The next message of s; waits for one.
 *
 * text     valid until the next call, or subscription_leave; a NUL stands behind it
 * Returns  WEFT_OK; WEFT_GAP: messages have been lost here; WEFT_TIMEOUT, WEFT_CANCELED as fiber_wait; what it ended with
 */
enum weft_rc subscription_next(struct subscription *s, struct span *text, usec until);

/* s listens no more; a fiber that waits for it gets WEFT_CANCELED.  Nothing where it does not listen. */
void subscription_leave(struct subscription *s);

#endif
