/* SPDX-License-Identifier: ISC */
#ifndef BACK_POSTGRES_H
#define BACK_POSTGRES_H

/*
 * What the files of the PostgreSQL driver share; nobody else includes it.
 *
 *	postgres.c          the driver's table: open, close, send, abandon; how a connection dies
 *	postgres_connect.c  from a URL to a connection in pipeline mode
 *	postgres_put.c      statements into the pipeline: values, preparing
 *	postgres_gather.c   no write for each of them, where libpq would
 *	postgres_take.c     results out of the pipeline: rows, errors
 *	postgres_cancel.c   statements that nobody waits for any more
 *	postgres_hear.c     LISTEN
 *	postgres_lease.c    what may be sent down a connection that is shared, or lent; and how that is made as it was
 *
 * Invariants.  Every slot in `sent` owes exactly one sync, in that order.  `live`
 * counts those of them whose call is still wanted, `lost` those whose call was
 * abandoned; the others are the driver's own.  A connection that broke (`dead`)
 * sends and reads nothing more; the pool is told at the end of the turn, so no
 * callback here ends the connection under its caller, but conn_gave and
 * conn_is_ready may: postgres_hold before them where d is needed after.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <libpq-fe.h>

#include "back/driver.h"
#include "back/stmts.h"
#include "base/buf.h"
#include "loop/loop.h"

struct resolve;
struct resolved;

enum {
	POSTGRES_DEPTH = 64,			/* statements owed on a connection */
	POSTGRES_PREPARED = 256,		/* statements kept prepared on a connection */
	POSTGRES_VALUES = 65535,		/* of a statement; the protocol's limit */
	POSTGRES_RESULT_MAX = 64 * 1024 * 1024,	/* bytes that a result may take on the wire */
	POSTGRES_STEPS = 256,			/* reads and writes of a start-up, which takes a dozen */
	POSTGRES_READ = 16384,			/* libpq's buffer */
	POSTGRES_OID_BYTEA = 17,
};

/* How long an abandoned statement may go on once its cancel has been asked for. */
#define POSTGRES_DRAIN USEC_PER_SEC

/* How long until it is asked for again. */
#define POSTGRES_CANCEL_AGAIN (100 * USEC_PER_MSEC)

enum postgres_owner {
	POSTGRES_CALL,		/* a call's, or it was once */
	POSTGRES_OURS,		/* a statement of the driver's own: nobody is told */
	POSTGRES_WASH,		/* likewise, and without it the connection is of no use */
	POSTGRES_HEAR,		/* likewise, and a hub waits for it: LISTEN, UNLISTEN or a sign of life */
	POSTGRES_PING,		/* likewise, and the pool waits for it: the connection is alive */
};

/* One statement and its sync in the pipeline. */
struct postgres_slot {
	TAILQ_ENTRY(postgres_slot) link;
	enum postgres_owner owner;
	struct call *call;		/* NULL: abandoned, or ours */
	unsigned number;		/* of the prepared statement it executes; 0: unnamed */
	bool is_held;			/* it is in `held` */
	bool preparing;			/* the answer to its Parse has not come yet */
	bool unnamed;			/* never as a prepared statement: it is of a borrower's session, or the second try
					   after what it was prepared as was found lost */
	unsigned long long seq;		/* which statement of the connection it is */
	PGresult *result;		/* what came so far: its rows, or the error that counts */
};
TAILQ_HEAD(postgres_slots, postgres_slot);

/* Values as libpq wants them: arrays side by side, reused from call to call. */
struct postgres_bind {
	const char **at;
	int *len;
	int *format;
	Oid *type;
	unsigned room;
	struct buf text;		/* numbers, and texts with their NUL */
};

struct postgres_cancel;

struct postgres {
	struct conn *conn;
	struct loop *loop;
	PGconn *pg;			/* NULL while the name is looked up */
	char host[256];			/* the name being looked up */
	struct resolve *resolve;
	unsigned steps;			/* of the start-up */
	struct watch *watch;
	struct loop_task task;		/* at the end of the turn: give to libpq and flush, or tell the pool of the death */
	struct postgres_slots sent;	/* given to libpq, oldest first */
	struct postgres_slots held;	/* not given to libpq yet: for the end of the turn, or until a cancel is over */
	struct postgres_slots spare;
	unsigned live, lost;
	unsigned long long seq;
	struct stmts stmts;
	unsigned number;		/* of the last statement prepared */
	struct postgres_bind bind;
	size_t unfinished;		/* bytes, about, that came for the statement now being answered … */
	unsigned long long unfinished_seq;	/* … which is this one */
	int grasp;			/* the most bytes that one read was seen to take */

	struct postgres_cancel *cancel;	/* on a thread now */
	unsigned long long cancel_seq;	/* the statement it was meant for */
	bool draining;			/* from the first cancel until nothing is owed and no cancel is under way */
	unsigned ungiven;		/* replies that have come but are not given while draining */
	usec drain_until;
	struct timer *timer;		/* ends the draining */

	bool tainted;			/* its borrower may have changed its session: nothing more is prepared, nor used that was */
	bool washing;			/* given back, and not yet as it was */
	bool rinsed;			/* … and told to roll back */

	bool ready;
	bool dead;
	struct fault why;		/* of the death */
	unsigned holds;
	bool closed;			/* freed when the last hold goes */
};

/* ---- postgres.c ---- */

/* The connection is of no use; the first reason counts.  The pool is told at the end of the turn. */
void postgres_die(struct postgres *d, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As postgres_die, with the reason that libpq gives. */
void postgres_die_of_libpq(struct postgres *d);

/* Put what is held, and flush, at the end of this turn. */
void postgres_flush_later(struct postgres *d);

/* The watch's callback of a connection that is ready. */
void postgres_on_event(void *arg, int what);

/* Keep d's memory over a call that may close the connection. */
void postgres_hold(struct postgres *d);

/* Ends a hold.  Returns true when the connection has been closed meanwhile: d is gone, or will be. */
bool postgres_release(struct postgres *d);

/* Returns a zeroed slot, or NULL. */
struct postgres_slot *postgres_slot_new(struct postgres *d);

/* Put a slot that is in no list back. */
void postgres_slot_free(struct postgres *d, struct postgres_slot *s);

/* ---- postgres_connect.c ---- */

/* Check what only libpq knows of a URL. */
enum weft_rc postgres_check(const struct back_url *url, char *error, size_t size);

/* Begin to connect; the outcome is ready, or postgres_die. */
void postgres_connect(struct postgres *d);

/* ---- postgres_put.c ---- */

/*
 * Give all that is held to libpq, unless a cancel is under way; what cannot be sent is refused.
 *
 * Returns  true when the connection has been closed meanwhile, as postgres_release
 */
bool postgres_put_held(struct postgres *d);

/* Hand a statement of the driver's own to libpq, without values.  Returns 0; -1: the connection is dead. */
int postgres_put_own(struct postgres *d, enum postgres_owner owner, const char *sql);

/* The server has no prepared statements any more, or will not have them before anything else is sent. */
void postgres_forget_prepared(struct postgres *d);

/* The server has lost, or must lose, what the slot's statement was prepared as. */
void postgres_unprepare(struct postgres *d, const struct postgres_slot *s);

/* Free what preparing and binding hold. */
void postgres_put_fini(struct postgres *d);

/* ---- postgres_take.c ---- */

/* Take all results that have come whole.  May close the connection (hold). */
void postgres_take_all(struct postgres *d);

bool postgres_is_error(const PGresult *r);

/* Returns its SQLSTATE, or ""; and what it says. */
const char *postgres_error_code(const PGresult *r);
const char *postgres_error_text(const PGresult *r);

/* ---- postgres_cancel.c ---- */

/* Something was abandoned, or answered: cancel what runs when nobody wants it, end the draining when it is over.  May close the connection (hold). */
void postgres_cancel_step(struct postgres *d);

/* The connection closes: the thread, if one runs, is left to end alone. */
void postgres_cancel_detach(struct postgres *d);

/* ---- postgres_hear.c ---- */

/* The driver's channel() and hear(). */
const char *postgres_channel(struct span name);
enum weft_rc postgres_hear(struct conn *c, enum hear what, struct span channel);

/* Returns whether a hub has the connection. */
bool postgres_is_hub(const struct postgres *d);

/* A statement of the hub's is answered. */
void postgres_on_answer(struct postgres *d, const struct postgres_slot *s);

/* Tell the hub what notifications have come; those that nobody listens for are dropped. */
void postgres_tell_notifications(struct postgres *d);

/* ---- postgres_lease.c ---- */

/*
 * May the call's statement, which is not prepared or whose connection is tainted, be sent?  Notes what it does to its borrower's connection.
 *
 * unnamed  set when it must not be prepared
 * Returns  WEFT_OK; else its fault is filled
 */
enum weft_rc postgres_look(struct postgres *d, struct call *c, bool *unnamed);

/* A sync has come on a connection that is not shared: is a transaction open? */
void postgres_see_transaction(struct postgres *d);

/* Returns true when a statement that failed for what it was prepared as may be sent again: nothing else depends on it. */
bool postgres_may_try_again(const struct postgres *d);

/* Returns true when it was to commit, and the server has rolled back. */
bool postgres_is_uncommitted(const struct call *c, const PGresult *r);

/* The driver's clean(). */
enum conn_clean postgres_clean(struct conn *c);

/* Something was answered or cancelled while it is washed: go on with that.  May close the connection (hold). */
void postgres_wash_step(struct postgres *d);

#endif
