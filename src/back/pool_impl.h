/* SPDX-License-Identifier: ISC */
#ifndef BACK_POOL_IMPL_H
#define BACK_POOL_IMPL_H

/*
 * The inside of a pool, and how its files call each other and call.c and lease.c.  Nobody else includes it.
 *
 *	pool_open.c     settings, opening and closing, what is known of it
 *	pool.c          calls: the queue, and which connection a call goes down
 *	pool_pace.c     how long calls take
 *	pool_conn.c     connections: every move of theirs, from birth to death
 *	pool_health.c   when things break: back-off, breaker, retry budget, failover
 *	pool_time.c     the one timer: what is over, overdue, idle or old
 *	pool_permit.c   how many connections this worker may have
 *	pool_gone.c     waiting until the back end has closed what we have closed
 *
 * Every conn is on one list: owing[how many replies it owes] while it is READY, else that of its state.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "back/call.h"
#include "back/driver.h"
#include "back/pool.h"
#include "back/url.h"

struct hub;
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
	void *driver_data;		/* the driver's own */
	struct pool_conf conf;		/* defaults filled in; name and url are below */
	char name[64];
	char text[1024];		/* the URL as given: only here and in url is the password */
	char place[736];		/* the URL without its password */
	struct back_url url;

	struct call_list queue;		/* first come, first served; deadlines rise, but for those of calls taken back */
	unsigned queued;
	unsigned places;		/* of these, those who will have a connection each: lease.h */
	struct call *taken;		/* the last call taken back from the connection that is being closed; NULL: none, or none is being closed */

	struct conn_list list[CONN_STATES];	/* by state; that of READY is empty */
	struct conn_list *owing;	/* READY ones, by replies owed: 0 (idle) to depth; the latest used first */
	unsigned least;			/* no READY one owes less */
	struct conn *latest;		/* READY, and given a call last of all; NULL: gone */
	unsigned count[CONN_STATES];
	unsigned slots;			/* connections in all: what the back end may see */
	unsigned inflight;
	usec check_after;		/* conf's; CLOCK_NEVER where the driver cannot */

	struct timer *timer;
	usec armed;			/* when it will fire */
	bool closing;

	struct hub *hub;		/* of its subscriptions; NULL: there never were any */
	unsigned hearing;		/* connections that it has: 1 at most */

	/* permits: slots are at most permits and giving, but for a moment after a recall */
	unsigned permits;
	unsigned giving;		/* recalled, and still in use */
	usec granted_at;		/* when one came last */
	unsigned lacking;		/* the keeper knows that calls could use so many more permits … */
	usec tell_at;			/* … and is told nothing else before */
	bool lean;			/* draining */

	/* health */
	bool unwell;			/* recent or fails are not zero: a reply is news */
	uint32_t recent;		/* the last outcomes, a bit each, the latest lowest: 1 failed */
	bool proven;			/* the last thing known of the back end is that it takes connections */
	bool down;			/* the breaker is open */
	bool told;			/* and somebody knows */
	usec down_since;
	usec lost_at;			/* when a connection was lost … */
	usec hit_at;			/* … and one that calls waited for */
	unsigned fails;			/* attempts to connect that failed in a row, without a reply between them */
	usec retry_at;			/* no attempt before */
	usec ask_at;			/* nor before this, should a call come */
	unsigned generation;		/* of connections; grows when all of them are to go */
	usec failed_over;		/* when that was last because the back end said so; 0: never */
	unsigned live;			/* calls under way when the connection that is being closed was lost; 0: none is being closed */
	unsigned again;			/* of the calls under way, those that were sent once before */
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

/* ---- pool.c ---- */

/* Begin a call that is submitted.  Returns WEFT_OK; else it is done: of a wrong kind. */
enum weft_rc pool_begin(struct pool *p, struct call *c);

/* Take a call out of the queue. */
void pool_unqueue(struct pool *p, struct call *c);

/*
 * Take a call back whose connection was lost.
 *
 * rc       how it would end: WEFT_NOT_SENT or WEFT_UNKNOWN
 * Returns  false when that is how it ends: it was taken back before, or may not be sent twice, or the pool is down or closing
 */
bool pool_take_back(struct pool *p, struct call *c, enum weft_rc rc);

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

/* ---- pool_pace.c ---- */

/* Set c->pace, by what is known of such calls. */
void pool_expect(struct pool *p, struct call *c);

/* The reply of a call that was sent has come, or will not be waited for: it took from when the connection began with it until now. */
void pool_learn(struct pool *p, const struct call *c);

/* Returns true when c can be expected to have its reply soon (POOL_NEAR) behind what conn owes. */
bool pool_is_near(const struct pool *p, const struct conn *conn, const struct call *c);

/* ---- pool_conn.c ---- */

/* Open or check as many connections as the queue and min ask for, within permits and back-off. */
void pool_grow(struct pool *p);

/* Returns true when a further connection may be opened now. */
bool pool_may_grow(const struct pool *p);

/* Returns how many connections should be on their way for calls that wait. */
unsigned pool_awaited(const struct pool *p);

/* Returns how many should be: for these, or for min. */
unsigned pool_wanted(const struct pool *p);

/* Returns how many are: they will be ready soon, or will not be. */
unsigned pool_coming(const struct pool *p);

/* Returns how many can be used, now or once they are given back: without those on their way, or on their way out. */
unsigned pool_usable(const struct pool *p);

/* The driver's send() found the connection unusable: no further call goes down it. */
void pool_set_aside(struct pool *p, struct conn *c);

/* Lend an idle connection to the call that is a place in the queue. */
void pool_lend(struct pool *p, struct conn *c, struct call *place);

/* A connection was given back in this state. */
void pool_clean(struct pool *p, struct conn *c, enum conn_clean how);

/* Close and free c, whatever its state; what it owes is finished.  Its place is free when the back end has closed it too. */
void pool_bury(struct pool *p, struct conn *c);

/* c, which is not lent, is to go: now if it owes nothing, else when it has given all that it owes. */
void pool_leave(struct pool *p, struct conn *c);

/* All connections are to go, but for those that are being made. */
void pool_evict(struct pool *p);

/* One call less that waits for an answer of c's: the driver may give up what nobody waits for. */
void pool_unwant(struct conn *c);

/* Close all connections. */
void pool_drop_all(struct pool *p);

/* ---- pool_gone.c ---- */

/* Remember the sockets of c, which is about to be closed, to see the back end's end of them by. */
void pool_gone_hold(struct conn *c);

/* c has been closed: it is gone, and freed, when its back end has closed these. */
void pool_gone_await(struct conn *c);

/* Free it without waiting any longer. */
void pool_gone_end(struct conn *c);

/* ---- pool_health.c ---- */

enum pool_ill { POOL_ILL_CONNECT, POOL_ILL_CALL };	/* a connection could not be made; a call has noticed */

/* A failure; the breaker may open. */
void pool_is_ill(struct pool *p, enum pool_ill what);

/* A reply came; only where the pool is unwell. */
void pool_is_well(struct pool *p);

/* An attempt to connect failed, or its connection soon after: the next one only after a while. */
void pool_back_off(struct pool *p);

/* A connection is ready: the breaker closes. */
void pool_come_back(struct pool *p);

/* The next attempt to connect no later than that. */
void pool_hurry(struct pool *p, usec at);

/* Returns whether a call may go on to the queue, or the breaker ends it at once. */
bool pool_lets_in(struct pool *p);

/* A call that was sent is given up: what does that say of the back end? */
void pool_miss(struct pool *p, const struct call *c, enum weft_rc rc);

/* One line a second at most for all that a back end's end takes with it. */
void pool_log_lost(struct pool *p, enum conn_state was);

enum pool_loss { POOL_LOST_NOTHING, POOL_LOST_CALLS };	/* did anybody wait for a reply? */

/*
 * What follows from the end of a connection that had this state, for the health of the pool.  Those that there were when
 * another one was lost die of the same.
 */
void pool_judge_loss(struct pool *p, enum conn_state was, usec born, enum pool_loss loss);

/* The back end gave this code: all connections go if it says that it has failed over. */
void pool_heed(struct pool *p, const char *code);

/* Returns true when an idempotent call may be sent again; it is counted. */
bool pool_may_repeat(struct pool *p);

/* ---- pool_time.c ---- */

/* The timer: expire, give up, retry, shrink. */
void pool_on_timer(void *arg);

/* Let the timer fire at that time or earlier. */
void pool_arm(struct pool *p, usec at);

/* ---- pool_permit.c ---- */

/* Connections have ended, or are not needed: give back the permits that are due. */
void pool_settle(struct pool *p);

/* More connections than permits: let go of those that are needed least. */
void pool_shed(struct pool *p);

/* Returns true when some connections will have to go. */
bool pool_is_over(const struct pool *p);

/* Calls wait that could use another permit, or none do any more: have the keeper know. */
void pool_want(struct pool *p);

/* Returns true when other workers may have permits of this pool's. */
bool pool_has_others(const struct pool *p);

/* It is time to give back what is above the pool's share and not needed. */
void pool_return(struct pool *p);

#endif
