/* SPDX-License-Identifier: ISC */
#ifndef BACK_POOL_IMPL_H
#define BACK_POOL_IMPL_H

/*
 * The inside of a pool, shared by pool.c (calls: queue and choice), pool_pace.c (how long
 * they take), pool_conn.c (connections: birth, death, back-off, the timer) and call.c.  Nobody else includes it.
 *
 * Every conn is on one list: connecting, owing[how many replies it owes], lent, cleaning, or dying (of no
 * use, waiting for the driver to say so).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "back/call.h"
#include "back/driver.h"
#include "back/pool.h"
#include "back/url.h"

struct timer;

TAILQ_HEAD(call_list, call);
TAILQ_HEAD(conn_list, conn);

enum { POOL_PACES = 256 };

/* What is known of the statements of one number: of the last one. */
struct pool_pace {
	uint32_t hash;
	usec sixteen;
};

struct pool {
	struct loop *loop;
	const struct driver *driver;
	struct pool_conf conf;		/* defaults filled in; name and url are below */
	char name[64];
	char text[1024];		/* the URL as given: only here and in url is the password */
	char place[480];		/* the URL without its password */
	struct back_url url;

	struct call_list queue;		/* first come, first served; deadlines rise */
	unsigned queued;
	unsigned places;		/* of these, those who will have a connection each: lease.h */
	struct call *taken;		/* the last call taken back from the connection that is being closed */

	struct conn_list connecting, lent, cleaning, dying;
	struct conn_list *owing;	/* READY ones, by replies owed: 0 (idle) to depth; the latest used first */
	unsigned least;			/* no READY one owes less */
	struct conn *latest;		/* READY, and given a call last of all; NULL: gone */
	unsigned nconnecting, nready, nlent, ndying;	/* nlent: those in cleaning, too */
	unsigned inflight;

	struct timer *timer;
	usec armed;			/* when it will fire */

	bool closing;
	bool proven;			/* the last thing known of the back end is that it takes connections */
	bool down;			/* the breaker is open */
	usec down_since;
	unsigned fails;			/* attempts to connect that failed in a row */
	usec retry_at;			/* not before */
	uint64_t random;
	char reason[200];		/* why the last connection was lost or could not be made */
	char code[sizeof((struct fault *)0)->code];

	usec said;			/* when a lost connection was last logged */
	unsigned unsaid;		/* and how many since */
	struct pool_stat stat;
	struct pool_pace pace[POOL_PACES];
};

/* ---- lease.c ---- */

/* c is lent to l from now on; it is on the pool's list of those. */
void lease_begin(struct lease *l, struct conn *c);

/* Its connection is gone. */
void lease_lost(struct lease *l);

/* Log who has a connection for too long.  Returns when to look again. */
usec lease_look(struct lease *l, usec now);

/* ---- pool.c, for call.c, lease.c and pool_conn.c ---- */

/* Begin a call that is submitted.  Returns WEFT_OK; else it is done: of a wrong kind. */
enum weft_rc pool_begin(struct pool *p, struct call *c);

/* Take a call out of the queue. */
void pool_unqueue(struct pool *p, struct call *c);

/* Take a call back which was never sent.  Returns false when it has been before, or the pool is down or closing: it fails. */
bool pool_take_back(struct pool *p, struct call *c);

/* Finish a queued call whose time in the queue is over. */
void pool_expire(struct pool *p, struct call *c);

/* Send from the queue down c, at most so many. */
void pool_feed(struct pool *p, struct conn *c, unsigned most);

/* Send from the queue down whichever connections take it: after calls have been taken back. */
void pool_spread(struct pool *p);

/* Finish all queued calls. */
void pool_fail_queue(struct pool *p, enum weft_rc rc);

/* Count how a call ended. */
void pool_count(struct pool *p, enum weft_rc rc);

/* Returns the rc a call fails with: WEFT_CANCELED when the pool is closing. */
enum weft_rc pool_final_rc(const struct pool *p, enum weft_rc rc);

/* Returns why the pool lost its last connection, with the place; valid until the next call. */
const char *pool_reason(const struct pool *p);

/* ---- pool_pace.c ---- */

/* Set c->pace, by what is known of such calls. */
void pool_expect(struct pool *p, struct call *c);

/* The reply of a call that was sent has come, or will not be waited for: it took from when the connection began with it until now. */
void pool_learn(struct pool *p, const struct call *c);

/* Returns true when c can be expected to have its reply soon (POOL_NEAR) behind what conn owes. */
bool pool_is_near(const struct pool *p, const struct conn *conn, const struct call *c);

/* ---- pool_conn.c, for pool.c ---- */

/* Open as many connections as the queue and min ask for, within max and back-off. */
void pool_grow(struct pool *p);

/* Returns true when a further connection may be opened now. */
bool pool_may_grow(const struct pool *p);

/* The driver's send() found the connection unusable: no further call goes down it. */
void pool_set_aside(struct pool *p, struct conn *c);

/* Lend an idle connection to the call that is a place in the queue. */
void pool_lend(struct pool *p, struct conn *c, struct call *place);

/* A connection was given back in this state. */
void pool_clean(struct pool *p, struct conn *c, enum conn_clean how);

/* Close all connections. */
void pool_drop_all(struct pool *p);

/* The timer: expire, give up, retry, shrink. */
void pool_on_timer(void *arg);

/* Let the timer fire at that time or earlier. */
void pool_arm(struct pool *p, usec at);

#endif
