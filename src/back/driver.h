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
 *	              └──────────── conn_is_dead() ──────────────────────────┘
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "back/call.h"
#include "back/url.h"
#include "base/clock.h"
#include "fiber/why.h"

struct loop;

enum conn_state { CONN_CONNECTING, CONN_READY, CONN_DEAD };

struct conn {
	enum conn_state state;
	struct pool *pool;
	const struct driver *driver;
	void *driver_data;		/* the driver's own */
	unsigned inflight;		/* replies owed on it, abandoned ones too; kept by conn_took and conn_gave */
	usec busy_since;		/* when the oldest owed reply was asked for, or the last reply came; 0: idle */
	usec born;			/* when open() was called */
	usec used;			/* when it last became idle */
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

	/* Check a URL for what only the driver knows.  Returns WEFT_OK, or WEFT_INVALID with one sentence in error. */
	enum weft_rc (*check)(const struct back_url *url, char *error, size_t size);

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

	/* Close and free driver_data, at once.  Calls still in its pipeline are finished first, oldest
	   first: WEFT_UNKNOWN if any byte of them was sent, WEFT_NOT_SENT else; with fmt NULL the pool says why.
	   The pool may call it from within conn_gave and conn_is_ready, so within the library's callback. */
	void (*close)(struct conn *c);
};

/* ---- what drivers tell the pool ---- */

/* The connection may be used.  From the loop, never from within open(). */
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

/* ---- the drivers that are built in ---- */

extern const struct driver driver_redis;
extern const struct driver driver_postgres;
extern const struct driver driver_mariadb;
extern const struct driver driver_sqlite;

/* Returns the driver for a scheme; NULL when there is none, or this build is without it. */
const struct driver *driver_find(const char *scheme);

/* Writes the schemes of this build, "redis redis+unix postgresql …", to out. */
void driver_list(char *out, size_t size);

#endif
