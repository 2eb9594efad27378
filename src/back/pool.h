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
 * reply has not been owed for longer than POOL_SLOW; but what may take that long itself is not piled up where there are other workers,
 * which may have a permit for it.  Else the queue, first come, first served.
 * Arrivals never overtake those who wait.
 *
 * Before all this: what is known to be quick (pool_pace.c), and can be expected to be answered within POOL_NEAR, joins
 * those of the same turn, POOL_TOGETHER at most (with shares_slow POOL_SPREAD): one write then does for all, wakes one
 * process of the back end's, and brings their replies with one read.  And where none is idle it joins the one that owes least
 * before a new connection is opened.
 *
 * A connection that has answered takes from the queue: one call when its reply took longer than POOL_SLOW
 * (what is slow is not piled up), else its fair share.  One that has been idle for check_after is asked for a sign of life
 * before it is given a call; where there is none within POOL_CHECK, another one takes its place and the call has not noticed.
 *
 * What a pool does when things break (pool_health.c):
 *
 * A call of which nothing was sent when its connection was lost goes down another one, once.  One that was sent does so only if it
 * is marked as idempotent, once, and as long as those are not over a fifth of all calls under way.
 *
 * When a connection is lost or cannot be made, one at a time is tried until one succeeds, with back-off: 50 ms doubling
 * up to `backoff`, full jitter; at most POOL_ASK apart while calls come.
 *
 * The breaker opens, the pool is down, after 5 failures in a row or 10 of the last 20.  A failure is an attempt to connect when there is no connection,
 * a connection lost that calls waited for, a call that found no connection in time, and with shares_slow a call
 * given up while nothing was heard for POOL_CHECK.  Then all queued calls fail with WEFT_DOWN, and new ones at once, until a connection
 * is ready or a reply comes.  A call that comes when it is time for the next attempt to connect makes that attempt and
 * waits for it; so does every call as long as nobody has been told that the pool is down.
 *
 * A connection is replaced when its oldest reply is overdue by POOL_GRACE, when it is as old as max_lifetime, and when the back end says that it
 * has failed over (codes of the driver's): then all of them are, at most once in `backoff`.
 *
 * The pool knows fibers only through calls, and neither requests nor SQL.
 */

#include <stdbool.h>
#include <stddef.h>

#include "back/call.h"
#include "back/url.h"
#include "base/clock.h"

struct loop;
struct pool;
struct driver;

#define POOL_SLOW (5 * USEC_PER_MSEC)
#define POOL_NEAR (USEC_PER_MSEC / 2)
#define POOL_CHECK (200 * USEC_PER_MSEC)
#define POOL_GRACE USEC_PER_SEC
#define POOL_ASK (500 * USEC_PER_MSEC)
#define POOL_SLICE (50 * USEC_PER_MSEC)		/* so long a connection is used at least before another worker gets its permit */
#define POOL_LACK (10 * USEC_PER_MSEC)		/* so long a call waits for this worker's connections before others are asked for theirs */
#define POOL_TELL (100 * USEC_PER_MSEC)		/* so long they are not told that it has changed how many are lacking */
#define POOL_REST (500 * USEC_PER_MSEC)		/* what has been idle for so long is for a worker whose calls wait */
#define POOL_DRAIN_IDLE (5 * USEC_PER_MSEC)	/* and so long it is kept idle by a worker that drains */
#define POOL_LENT_LONG (30 * USEC_PER_SEC)	/* a connection that is lent for longer is logged, once */
enum { POOL_SPREAD = 64, POOL_TOGETHER = 8 };

/*
 * Permits.  `max` is for the whole server, so each worker has permits for some connections, and somebody keeps the books
 * (server/quota.h).  Without a keeper a pool has max of them, for good.
 *
 * A pool whose calls wait, though all that it may have is in use, says how many more it could use; and again when that has changed.
 * What it has above its share goes back when it has not been needed for POOL_REST.
 */
struct pool_keeper {
	void (*want)(void *arg, struct pool *p, unsigned n);	/* calls wait that could use n more, 0: none any more.  pool_grant may follow; where it has none it does, some time */
	void (*give)(void *arg, struct pool *p, unsigned n);	/* these permits are given back: recalled, or not needed any more */
};

struct pool_conf {
	const char *name;		/* "cache"; copied */
	const char *url;		/* copied */
	unsigned max;			/* connections of this worker, or its share; 0: 8 */
	unsigned min;			/* kept open; at most max */
	unsigned queue;			/* waiting calls at most; 0: 4096 */
	usec queue_timeout;		/* longest wait in the queue, then WEFT_BUSY (WEFT_DOWN when no connection is ready); 0: 1 s */
	usec connect_timeout;		/* 0: 2 s */
	usec call_timeout;		/* longest wait for a reply; 0: 30 s */
	usec idle_timeout;		/* connections above min are closed after idling so long; 0: 10 min */
	usec max_lifetime;		/* a connection as old as that, less up to a tenth, is replaced; 0: 1 h */
	usec check_after;		/* one that was idle for so long is checked before it is used; 0: 30 s */
	usec backoff;			/* longest pause between attempts to connect; 0: 5 s */
	const struct pool_keeper *keeper;	/* of the permits; NULL: none */
	void *keeper_arg;
	unsigned granted;		/* permits at the beginning, where there is a keeper … */
	unsigned most;			/* … and those that all workers have together */
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

/* n more permits. */
void pool_grant(struct pool *p, unsigned n);

/* n permits are to be given back as soon as can be: keeper->give follows, for those that there are. */
void pool_recall(struct pool *p, unsigned n);

/* Give back permits that are not in use now, at most n. */
void pool_spare(struct pool *p, unsigned n);

/* The calls of another worker wait for n: give back what is not in use, and the connections that have been idle for POOL_REST. */
void pool_cede(struct pool *p, unsigned n);

/* Returns true when it has no permit, has asked for one, and none has come. */
bool pool_is_wanting(const struct pool *p);

/* The worker drains: keep no connection that nobody needs, and no permit. */
void pool_drain(struct pool *p);

/* The worker drains: who listens to a channel gets WEFT_CANCELED when he has read what has come. */
void pool_end_subscriptions(struct pool *p);

/* Returns what kind of call it takes. */
enum call_kind pool_kind(const struct pool *p);

/* Returns whether it has connections that can be lent. */
bool pool_can_lend(const struct pool *p);

/* Returns the statement that begins a transaction; NULL: its back end has none. */
const char *pool_begin_sql(const struct pool *p);

const char *pool_name(const struct pool *p);
const struct back_url *pool_url(const struct pool *p);
const struct pool_conf *pool_settings(const struct pool *p);
struct loop *pool_loop(const struct pool *p);

/* Returns a number from 1 to most, for pauses that are not to be everybody's at once. */
usec pool_jitter(struct pool *p, usec most);

/* Returns what the driver has made for this pool (driver.h); NULL: nothing. */
void *pool_driver_data(const struct pool *p);

/* What a pool is doing, for status pages. */
struct pool_stat {
	/* now */
	unsigned permits;				/* connections that it may have */
	unsigned open, connecting, busy, lent, queued;	/* lent ones are open and busy */
	unsigned leaving;				/* open, and to be closed when they owe nothing */
	unsigned down;					/* 1: the breaker is open */
	unsigned channels, subscriptions;		/* that are listened to; to them */

	/* since the start */
	unsigned long long calls, failed, timeouts, busy_refused;
	unsigned long long connects, losses;		/* attempts to connect; connections that were lost */
	unsigned long long unsent, again;		/* calls sent a second time: the first time they were not sent; they were, and are idempotent */
	unsigned long long over_budget;			/* idempotent ones that were not, since too many were */
	unsigned long long checks, checks_failed;	/* of idle connections before use */
	unsigned long long aged, idled;			/* connections closed for their age; for being idle */
	unsigned long long failovers, breaks;		/* how often all connections were replaced; how often the breaker opened */
	unsigned long long lent_long;			/* connections lent for longer than POOL_LENT_LONG */
	unsigned long long messages, gaps;		/* of channels; gaps that subscriptions have */
	unsigned long long left;			/* connections that their borrowers did not give back themselves */
};
void pool_stat(const struct pool *p, struct pool_stat *out);

/* Returns why the pool lost its last connection, with the place; valid until the next call. */
const char *pool_reason(const struct pool *p);

#endif
