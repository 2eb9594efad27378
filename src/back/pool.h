/* SPDX-License-Identifier: ISC */
#ifndef BACK_POOL_H
#define BACK_POOL_H

/*
 * A pool: the connections of one worker to one back end, and the queue before them.
 *
 * Calls are shared out: an idle connection first.  Else, for a driver with shares_slow (Redis),
 * the one that owes least, below the driver's depth; a further connection is opened
 * only when all owe POOL_SPREAD replies or more.  For the others (SQL) a new connection, for which the call waits
 * in the queue, while there are fewer than max; else the one that owes least and whose oldest
 * reply has not been owed for longer than POOL_SLOW.  Else the queue, first come, first served.
 * Arrivals never overtake those who wait.
 *
 * Before all this: what is known to be quick (pool_pace.c), and can be expected to be answered within POOL_NEAR, joins
 * those of the same turn, POOL_TOGETHER at most (with shares_slow POOL_SPREAD): one write then does for all, wakes one
 * process of the back end's, and brings their replies with one read.  And where none is idle it joins the one that owes least
 * before a new connection is opened.
 *
 * A connection that has answered takes from the queue: one call when its reply took longer than POOL_SLOW
 * (what is slow is not piled up), else its fair share.
 *
 * When a connection is lost or cannot be made, one at a time is tried until one succeeds, with
 * back-off: 50 ms doubling up to 1 s, full jitter.  A failure with no connection left opens the breaker:
 * the pool is down, all queued calls and new ones fail with WEFT_DOWN at once, until a
 * connection is ready again.  A connection whose oldest reply is overdue by POOL_GRACE is given up.
 *
 * The pool knows fibers only through calls, and neither requests nor SQL.
 */

#include <stddef.h>

#include "back/call.h"
#include "back/url.h"
#include "base/clock.h"

struct loop;
struct pool;
struct driver;

#define POOL_SLOW (5 * USEC_PER_MSEC)
#define POOL_NEAR (USEC_PER_MSEC / 2)
#define POOL_GRACE USEC_PER_SEC
#define POOL_LENT_LONG (30 * USEC_PER_SEC)	/* a connection that is lent for longer is logged, once */
enum { POOL_SPREAD = 64, POOL_TOGETHER = 8 };

struct pool_conf {
	const char *name;		/* "cache"; copied */
	const char *url;		/* copied */
	unsigned max;			/* connections of this worker; 0: 8 */
	unsigned min;			/* kept open; at most max */
	unsigned queue;			/* waiting calls at most; 0: 4096 */
	usec queue_timeout;		/* longest wait in the queue, then WEFT_BUSY (WEFT_DOWN when no connection is ready); 0: 2 s */
	usec connect_timeout;		/* 0: 2 s */
	usec call_timeout;		/* longest wait for a reply; 0: 30 s */
	usec idle_timeout;		/* connections above min are closed after idling so long; 0: 60 s */
};

/*
 * Check settings without connecting.
 *
 * error    one sentence when they cannot work
 * Returns  WEFT_OK or WEFT_INVALID
 */
enum weft_rc pool_check(const struct pool_conf *conf, char *error, size_t size);

/*
 * Open a pool and begin to connect its min connections.  A back end that is down is no error.
 *
 * Returns  the pool, or NULL with one sentence in error
 */
struct pool *pool_open(struct loop *l, const struct pool_conf *conf, char *error, size_t size);

/* As pool_open, with a driver that is not found by the URL's scheme: one outside this folder, or a test's. */
struct pool *pool_open_driver(struct loop *l, const struct pool_conf *conf, const struct driver *d, char *error,
    size_t size);

/* Close all connections, finish all calls (WEFT_CANCELED), free; *pp becomes NULL.  Not from within a driver's callback. */
void pool_close(struct pool **pp);

/*
 * Hand a call to the pool; never waits.  The call may be done on return (queue
 * full: WEFT_BUSY; back end down: WEFT_DOWN at once).  The kind must be pool_kind().
 */
void pool_submit(struct pool *p, struct call *c);

/* Returns what kind of call it takes. */
enum call_kind pool_kind(const struct pool *p);

/* Returns the statement that begins a transaction; NULL: its back end has none. */
const char *pool_begin_sql(const struct pool *p);

const char *pool_name(const struct pool *p);
const struct back_url *pool_url(const struct pool *p);
const struct pool_conf *pool_settings(const struct pool *p);
struct loop *pool_loop(const struct pool *p);

/* What a pool is doing, for status pages. */
struct pool_stat {
	unsigned open, connecting, busy, lent, queued;	/* now; lent ones are open and busy */
	unsigned down;					/* 1: the breaker is open */
	unsigned long long calls, failed, timeouts, busy_refused, connects, losses;	/* since the start */
	unsigned long long left;			/* connections that their borrowers did not give back themselves */
};
void pool_stat(const struct pool *p, struct pool_stat *out);

#endif
