/* SPDX-License-Identifier: ISC */
#ifndef BACK_POSTGRES_H
#define BACK_POSTGRES_H

/*
 * What the files of the PostgreSQL driver share; nobody else includes it.
 *
 *	postgres.c          the driver's table: open, close, send, abandon; how a connection dies
 *	postgres_connect.c  from a server's address to a connection in pipeline mode
 *	postgres_hosts.c    which of the URL's servers is tried, and for how long
 *	postgres_put.c      statements into the pipeline: values, preparing
 *	postgres_gather.c   no write for each of them, where libpq would
 *	postgres_take.c     results out of the pipeline: rows, errors
 *	postgres_cancel.c   statements that nobody waits for any more
 *	postgres_stream.c   rows that are given in parts
 *	postgres_hear.c     LISTEN
 *	postgres_lease.c    what may be sent down a connection that is shared, or lent; and how that is made as it was
 *
 * Invariants.  Every slot in `sent` owes exactly one sync, in that order.  `live`
 * counts those of them whose call is still wanted, `lost` those whose call was
 * abandoned; the others are the driver's own.  One whose rows are given in parts is
 * live between them, too.  A connection that broke (`dead`)
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
#include "back/sql/rows_draft.h"
#include "back/sql/stmts.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "loop/resolve.h"

enum {
	POSTGRES_DEPTH = 64,			/* statements owed on a connection */
	POSTGRES_PREPARED = 256,		/* statements kept prepared on a connection */
	POSTGRES_VALUES = 65535,		/* of a statement; the protocol's limit */
	POSTGRES_RESULT_MAX = 64 * 1024 * 1024,	/* bytes that a result may take on the wire */
	POSTGRES_HOSTS = 16,			/* servers in a URL */
	POSTGRES_START = 65536,			/* bytes that a server may say while it starts up, and as many turns */
	POSTGRES_READ = 16384,			/* libpq's buffer */
	POSTGRES_READ_LEAST = 256,		/* bytes that each read counts for */
	POSTGRES_OID_BYTEA = 17,
	POSTGRES_OID_INT8 = 20,
	POSTGRES_OID_INT2 = 21,
	POSTGRES_OID_INT4 = 23,
	POSTGRES_OID_OID = 26,
	POSTGRES_OID_FLOAT4 = 700,
	POSTGRES_OID_FLOAT8 = 701,
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
	bool in_parts;			/* its rows are given in parts … */
	bool left;			/* … of which nobody wants more */
	bool owed;			/* the pool waits for its reply, or a part of it; not of what is ours */
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

/* What a URL, or the environment, says of its servers; NULL where it says nothing. */
struct postgres_names {
	const char *host, *address, *port;	/* lists */
	const char *attrs;
};

/* One server, and how it is found. */
struct postgres_host {
	const char *name, *address, *port;	/* "": none */
	bool is_mute;				/* it has not answered: a second round passes it over */
	unsigned number;			/* in the URL */
};

/* What a pool knows of them. */
struct postgres_memory {
	usec mute_until[POSTGRES_HOSTS];	/* it has not answered lately, so until then it is asked after the others */
};

/* All of them, while the connection is made. */
struct postgres_hosts {
	struct timer *timer;
	usec until_all, until;		/* of all of them; of the present one */
	struct postgres_memory *memory;	/* the pool's */
	bool prefers_standby;		/* first a standby, and in a second round any */
	bool begun;
	bool answered;			/* the present one, if only to refuse */
	unsigned count, at, round;
	unsigned addresses, address;	/* of the present one: how many there are; how many have been tried */
	char text[RESOLVE_MAX][INET6_ADDRSTRLEN];
	char said[sizeof((struct fault *)0)->text];	/* what was wrong with those that were tried in this round */
	char *words[3];
	struct postgres_host host[POSTGRES_HOSTS];
};

/* What libpq is told beside the URL; NULL: nothing. */
struct postgres_try {
	const char *host, *address, *port, *attrs;
};

struct postgres {
	struct conn *conn;
	struct loop *loop;
	PGconn *pg;			/* NULL while the name is looked up */
	struct postgres_hosts *hosts;	/* NULL once it is connected, and where the URL leaves all to libpq */
	struct resolve *resolve;
	size_t heard;			/* bytes while it starts up, and turns */
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
	struct rows_draft part;		/* rows that have come, and are not given yet */
	int grasp;			/* the most bytes that one read was seen to take */

	struct postgres_cancel *cancel;	/* on a thread now */
	unsigned long long cancel_seq;	/* the statement it was meant for */
	bool draining;			/* from the first cancel until nothing is owed and no cancel is under way */
	unsigned ungiven;		/* replies that have come but are not given while draining */
	usec drain_until;
	struct timer *timer;		/* ends the draining */

	bool tainted;			/* its borrower may have changed its session: nothing more is prepared, nor used that was */
	bool spoilt;			/* … or done what cannot be undone */
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

/* Have libpq read what has come, and count it.  Returns 0 when the connection is of no use. */
int postgres_consume(struct postgres *d);

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

/* Begin one try; its outcome is ready, or postgres_try_failed, but not from within. */
void postgres_connect_start(struct postgres *d, const struct postgres_try *t);

/* The end of a turn, before it is ready: what failed at once has failed. */
void postgres_connect_end_turn(struct postgres *d);

/* ---- postgres_hosts.c ---- */

/* Returns the servers, none of which is being tried; NULL with *why, static, when the names cannot be right, or memory is refused.  The caller frees it. */
struct postgres_hosts *postgres_hosts_new(const struct postgres_names *names, const char **why);
void postgres_hosts_free(struct postgres_hosts **hp);

/* What a pool remembers of them, for those who come after.  NULL: no memory. */
void *postgres_hosts_new_memory(const struct pool *p);

/* Begin to try d->hosts. */
void postgres_hosts_begin(struct postgres *d);

/* The present try has failed: the next one, or the end. */
void postgres_try_failed(struct postgres *d, const char *why);

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

/* Returns how many rows the statement changed. */
long long postgres_affected(PGresult *r);

/* Returns what a column is. */
enum value_kind postgres_kind(const PGresult *r, int column);

/* Decode a bytea as the server writes it; to may be at, and has room for len + 1 bytes.  Returns its length. */
size_t postgres_copy_bytea(char *to, const char *at, size_t len);

bool postgres_is_error(const PGresult *r);

/* Returns its SQLSTATE, or ""; and what it says. */
const char *postgres_error_code(const PGresult *r);
const char *postgres_error_text(const PGresult *r);

/* ---- postgres_stream.c ---- */

/* Returns true while the oldest statement has rows to give in parts and nobody asks for them: the server is to be held up. */
bool postgres_is_held_up(const struct postgres *d);

/* A statement whose rows are given in parts has become the oldest: libpq is to give them one by one. */
void postgres_stream_begin(struct postgres *d);

/* The driver's send() of a call that asks for the next part. */
enum weft_rc postgres_stream_ask(struct postgres *d, struct call *call);

/* One row of the oldest statement has come; r is used up. */
void postgres_stream_row(struct postgres *d, struct postgres_slot *s, PGresult *r);

/* Nothing more has come for now: give the rows that have. */
void postgres_stream_pause(struct postgres *d);

/* The statement came to its end with r.  Returns the rows not given yet; NULL: no memory. */
struct weft_rows *postgres_stream_rest(struct postgres *d, struct arena *a, PGresult *r);

/* Nobody wants more of it: the rest is cancelled, and thrown away as it comes. */
void postgres_stream_leave(struct postgres *d, struct postgres_slot *s);

/* The connection is given back: leave what is open. */
void postgres_stream_leave_any(struct postgres *d);

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

/* A borrower's statement went well: note what no reset undoes. */
void postgres_note_done(struct postgres *d, const struct call *c);

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
