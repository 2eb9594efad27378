/* SPDX-License-Identifier: ISC */
#ifndef BACK_DRIVER_H
#define BACK_DRIVER_H

/*
 * What the pool asks of a driver, and what a driver tells the pool.
 *
 * A driver knows its client library and the loop; it never waits, never
 * blocks, and knows no other driver.  The pool owns the conn structs and
 * decides which connection a call goes down; the driver owns what hangs
 * on conn->driver_data, and the pipeline of calls it has sent.
 *
 * A connection's life:
 *
 *	open() ─► CONN_CONNECTING ── conn_is_ready() ──► CONN_READY ── conn_is_dead() ─► close()
 *	              │                                   │    ▲                           ▲
 *	              │                                lent    clean(), conn_is_ready()    │
 *	              │                                   ▼    │                           │
 *	              │                                CONN_LENT, CONN_CLEANING ───────────┤
 *	              └──────────── conn_is_dead() ────────────────────────────────────────┘
 *
 * One that has been idle for long is asked for a sign of life before it is used (CONN_CHECKING: ping(), conn_is_ready()).
 * One that is to go (too old, the back end has failed over, too many) is given nothing more and closed when nothing is
 * owed (CONN_LEAVING).
 *
 * What a connection that can be lent asks of a driver, beyond that:
 *
 *	send() looks at call->lease.  Where it is NULL, what would change the connection for the next who
 *	uses it is refused with WEFT_INVALID (sqltext.h knows words for SQL).  Else the connection is the
 *	borrower's own and may be changed; but nothing of that may get to where a shared call finds it without
 *	being looked at, such as a cache of prepared statements.
 *
 *	conn->in_transaction is what the server last said, not what was asked for: some roll back by themselves
 *	(a deadlock in MariaDB, a full disk in SQLite), and what the borrower asks then must not be done on its own.
 *	A COMMIT after which nothing was committed is WEFT_REFUSED, whatever the server calls it.
 *
 *	A statement which did not reach a connection that was lent is never sent down another one, nor a second
 *	time in a transaction, not even where what it was prepared as was lost.
 *
 *	A connection that a hub has (hub.h; call->lease is its lease too) carries no calls but what hear() asks, and what comes down it
 *	unasked goes to conn_hears().
 *
 *	clean() ends what was abandoned, rolls back, resets what was changed, and then says that the connection is
 *	as it was.  What it cannot undo for certain it leaves to close().
 *
 * A result that comes in parts, which only a connection that is lent has (has_parts):
 *
 *	A call with CALL_OPENS begins the statement, and is done with the first rows: as many as have come, up to
 *	what a part has (rows_draft.h), at least one, or none and `last`.  Then the driver holds the back end up: it takes
 *	no more from it than it takes to have something to give, until a call with CALL_GOES_ON, which has no text, asks for the
 *	next part.  `last`, and any failure but of that call itself, end it.  Between the parts nothing is owed; a
 *	connection that is given back in between is cleaned like one with a call that was abandoned.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "back/call.h"
#include "back/url.h"
#include "base/clock.h"
#include "base/span.h"
#include "fiber/why.h"

struct gone;
struct loop;

enum conn_state {
	CONN_CONNECTING,
	CONN_READY,
	CONN_LENT,		/* one borrower's own (lease.h) */
	CONN_CLEANING,		/* given back; the driver makes it as it was */
	CONN_CHECKING,		/* was idle for long: does it still answer? */
	CONN_LEAVING,		/* no call goes down it any more; closed when nothing is owed */
	CONN_DEAD,		/* of no use; the driver will say so */
	CONN_GONE,		/* closed by us, and not yet by the back end */
	CONN_STATES
};

/* How a connection that was lent comes back. */
enum conn_clean {
	CONN_CLEAN,		/* as it was: anybody's at once */
	CONN_WASHING,		/* will be: conn_is_ready or conn_is_dead follows */
	CONN_SPOILT,		/* close it */
};

/* What a hub asks of its connection. */
enum hear {
	HEAR_BEGIN,		/* the messages of a channel … */
	HEAR_END,		/* … no more */
	HEAR_PING,		/* a sign of life */
};

struct conn {
	enum conn_state state;
	struct pool *pool;
	const struct driver *driver;
	void *driver_data;		/* the driver's own */
	struct lease *lease;		/* while CONN_LENT: whose it is */
	bool in_transaction;		/* the driver's to keep true, before call_finish: a transaction is open on it */
	unsigned inflight;		/* replies owed on it, abandoned ones too; these five kept by conn_took and conn_gave */
	unsigned wanted;		/* of these, of calls that were not abandoned */
	usec busy_since;		/* when the oldest owed reply was asked for, or the last reply came; 0: idle */
	usec given;			/* when it was given a call last; the same in all of a turn */
	usec pace;			/* the longest that any call is expected to take which was given to it since it was idle */
	usec born;			/* when it was ready first; while it is CONNECTING, when open() was called */
	usec used;			/* when it last became idle, or began to be cleaned or checked, or was closed */
	usec expires;			/* when it is old */
	unsigned generation;		/* the pool's, when it was opened: of another one it is to go */
	struct gone *gone;		/* while CONN_GONE: where the pool waits for the back end's end of it */
	TAILQ_ENTRY(conn) link;		/* the pool's */
};

struct driver {
	const char *name;		/* "redis" */
	const char *const *schemes;	/* NULL-terminated: "redis", "redis+unix" */
	enum call_kind kind;		/* what it answers */
	enum wait_why why;		/* how the timeline calls a wait for it */
	unsigned depth;			/* calls that may be owed on one connection at once; 1: no pipelining */
	bool shares_slow;		/* true: a call may be sent behind one that has been running for long (Redis);
					   false: it rather waits in the pool's queue (SQL) */

	bool is_many;			/* behind a connection are several servers: that one says nothing tells nothing of the others,
					   and there is none to lend */

	/* Check a URL for what only the driver knows.  Returns WEFT_OK, or WEFT_INVALID with one sentence in error. */
	enum weft_rc (*check)(const struct back_url *url, char *error, size_t size);

	/*
	 * Make what belongs to a pool, and not to one of its connections; pool_driver_data finds it.  Where it fails, the pool is not
	 * opened.  free_data frees it when the last connection is gone.  NULL: there is nothing.
	 */
	void *(*new_data)(const struct pool *p);
	void (*free_data)(void *data);

	/*
	 * Begin to connect c (to pool_url(c->pool), on pool_loop(c->pool)).  Never
	 * waits.  The outcome is told by conn_is_ready or conn_is_dead, not from
	 * within open() itself.  The pool enforces the connect timeout by close().
	 *
	 * Returns  WEFT_OK, or WEFT_SYSTEM when it cannot even begin (no close() follows)
	 */
	enum weft_rc (*open)(struct conn *c);

	/*
	 * Put a call in the connection's pipeline; bytes go out at the end of the
	 * turn.  On success the driver has called conn_took(c, call).
	 *
	 * Returns  WEFT_OK; WEFT_NOT_SENT when the connection turned out unusable:
	 *          the call stays the pool's, the driver reports conn_is_dead later in the turn's end;
	 *          any other rc: the call itself is at fault and the pool finishes it with that (call_explain says why)
	 */
	enum weft_rc (*send)(struct conn *c, struct call *call);

	/*
	 * The asker no longer wants the reply of a call it has sent: forget the pointer, keep the slot, throw
	 * the reply away when it comes (conn_gave is then called as usual).  A driver whose connection cannot be
	 * shared meanwhile (PostgreSQL, SQLite) may cancel the statement.
	 */
	void (*abandon)(struct conn *c, struct call *call);

	/*
	 * A borrower has given c back.  Its transaction is over and its settings, watches, subscriptions and
	 * what else it left behind are gone before anybody else gets it.  Replies may still be owed, of calls that were
	 * abandoned.  The pool closes a connection that takes longer than POOL_GRACE.  NULL: always closed, which is
	 * right too, and costs a connection each time.
	 */
	enum conn_clean (*clean)(struct conn *c);

	/* Returns the statement that begins a transaction on a connection to url; static.  NULL: the back end has none (Redis, HTTP). */
	const char *(*begin)(const struct back_url *url);

	/* Close and free driver_data, at once.  Calls still in its pipeline are finished first, oldest
	   first: WEFT_UNKNOWN if any byte of them was sent, WEFT_NOT_SENT else; with fmt NULL the pool says why.
	   The pool may call it from within conn_gave and conn_is_ready, so within the library's callback. */
	void (*close)(struct conn *c);

	/*
	 * Ask the back end for a sign of life, down a connection that owes nothing.  conn_is_ready follows, or conn_is_dead, neither
	 * from within ping() itself; the pool closes a connection that takes longer than POOL_CHECK.  NULL: never asked.
	 */
	void (*ping)(struct conn *c);

	/* Returns the socket of a connection, -1 when it has none: the pool waits there, after close(), until the back end has closed
	   it too, and then only opens another in its place.  NULL: what is closed is gone. */
	int (*socket)(const struct conn *c);

	/* The same where there are several: writes them to fd, at most so many, and returns how many.  NULL: socket() is asked. */
	unsigned (*sockets)(const struct conn *c, int *fd, unsigned most);

	/*
	 * Codes by which the back end says that it is not the right one any more (read-only, shutting down): connections made
	 * until then are not used again.  In whatever way it says so: as a call's failure, or as the end of a connection.
	 * NULL-terminated; NULL: none.
	 */
	const char *const *failover;

	bool has_parts;			/* it gives results in parts, too */

	/* May a channel have this name, which has no NUL and 1 to CHANNEL_NAME_MAX bytes?  Returns NULL; else one sentence.  NULL: the back end has no channels. */
	const char *(*channel)(struct span name);

	/*
	 * Down a connection that a hub has: ask it.  conn_answers_hub follows, in the order in which was asked, not from within hear() itself;
	 * and conn_hears for each message.  Returns WEFT_OK; else the connection is of no use, and conn_is_dead follows.
	 * NULL where channel is.
	 */
	enum weft_rc (*hear)(struct conn *c, enum hear what, struct span channel);
};

/* ---- what drivers tell the pool ---- */

/* The connection may be used: it is connected, clean again, or alive.  From the loop, never from within open(), clean() or ping(). */
void conn_is_ready(struct conn *c);

/*
 * The connection is of no use (refused, lost, protocol error); the pool calls
 * close() and frees c before this returns.
 *
 * code  the back end's own code, or NULL
 */
void conn_is_dead(struct conn *c, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A call has been put in c's pipeline: becomes CALL_SENT with conn and slot. */
void conn_took(struct conn *c, struct call *call, void *slot);

/*
 * One owed reply has come (for a call just finished, or an abandoned one).
 * The pool may at once send the next call from its queue down c.  Call it after call_finish, as the last thing: c may be gone afterwards.
 */
void conn_gave(struct conn *c);

/*
 * A call in c's pipeline was lost, with one of several servers behind c.
 *
 * rc       how it would end: WEFT_NOT_SENT or WEFT_UNKNOWN
 * Returns  true when it may be sent again by the driver, in the same pipeline: as the pool does when all of a connection is lost
 */
bool conn_may_resend(struct conn *c, struct call *call, enum weft_rc rc);

/*
 * A call is done, and the rest of its reply goes to the asker bit by bit (a stream): it is owed, and wanted, for as long as the asker
 * likes, and never overdue.  conn_read_ends before conn_gave.
 */
static inline void
conn_read_begins(struct conn *c)
{
	c->busy_since = CLOCK_NEVER;
	c->wanted++;
}

static inline void
conn_read_ends(struct conn *c)
{
	c->wanted--;
}

/*
 * The oldest question of the hub's is answered, or refused with the back end's code and text.  c is still there afterwards.
 *
 * channel  what the answer names; at NULL: it names none
 * Returns  false when that is no answer to what was asked: the connection is of no use
 */
bool conn_answers_hub(struct conn *c, enum hear what, struct span channel);
bool conn_refuses_hub(struct conn *c, const char *code, const char *text);

/* A message has come.  text.at NULL: one that was too large.  c is still there afterwards. */
void conn_hears(struct conn *c, struct span channel, struct span text);

/* ---- the drivers that are built in ---- */

extern const struct driver driver_redis;
extern const struct driver driver_redis_cluster;
extern const struct driver driver_redis_sentinel;
extern const struct driver driver_postgres;
extern const struct driver driver_mariadb;
extern const struct driver driver_sqlite;
extern const struct driver driver_http;

/* Returns the driver for a scheme; NULL when there is none, or this build is without it. */
const struct driver *driver_find(const char *scheme);

/* Returns a sentence for a scheme that is known and cannot be served; NULL: nothing is known of it. */
const char *driver_why_not(const char *scheme);

/* Writes the schemes of this build, "redis redis+unix postgresql …", to out. */
void driver_list(char *out, size_t size);

#endif
