/* SPDX-License-Identifier: ISC */
#ifndef BACK_MARIADB_H
#define BACK_MARIADB_H

/*
 * What the files of the MariaDB driver share; nobody else includes it.
 *
 *	mariadb.c         the driver's table: open, close, send, abandon; how a connection lives and dies
 *	mariadb_dial.c    on a thread: from a URL to a connection; KILL over one of its own
 *	mariadb_ear.c     how much the library reads: bounds that it does not have itself
 *	mariadb_put.c     statements and values on their way to the server
 *	mariadb_step.c    one step of the library's after the other
 *	mariadb_run.c     which step is next: prepare, execute, fetch; how a statement ends
 *	mariadb_take.c    values of rows to text
 *	mariadb_stream.c  rows that are given in parts
 *	mariadb_lease.c   connections that are lent, and how they are made as they were; transactions; signs of life
 *	mariadb_cancel.c  statements that nobody waits for any more
 *	mariadb_text.c    pure: what the server's lexer sees in a statement
 *
 * Invariants.  A connection has at most one call, from conn_took to conn_gave (`owed`); `call` is NULL once the
 * asker has left.  Between the two, and while it is washed or asked for a sign of life, one step at a time (`op`) is under way in the library, which runs it
 * on a stack of its own and suspends it where it would wait; it is never abandoned there, but brought to its end
 * with an error before the connection is freed.  While rows are given in parts and nobody asks for the next (`paused`), nothing is owed, and the
 * fetching stands still.  A connection that broke (`dead`) does nothing more; the
 * pool is told at the end of the turn, so nothing here ends the connection under its caller
 * but conn_gave and conn_is_ready, which are the last thing that is done.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <mysql.h>

#include "back/driver.h"
#include "back/mariadb/mariadb_text.h"
#include "back/sql/rows_draft.h"
#include "back/sql/stmts.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "loop/thread.h"

enum {
	MARIADB_PREPARED = 64,			/* statements kept prepared on a connection: a server has room for 16382 of all */
	MARIADB_COLUMNS = 4096,			/* of a result; the server's limit */
	MARIADB_RESULT_MAX = 64 * 1024 * 1024,	/* bytes of a result, and of a statement with its values */
	MARIADB_HEAD_MAX = 2 * 1024 * 1024,	/* bytes of what describes it; the library takes some times as much for it */
	MARIADB_SLICE = 256,			/* rows taken in one turn of the loop … */
	MARIADB_SLICE_BYTES = 262144,		/* … or bytes, whichever comes first */
	MARIADB_DIAL_MOST = 262144,		/* bytes that a server may say until it is ready, which takes some hundred */
	MARIADB_STACK = 262144,			/* of the library's own, for a connection; what is not touched costs nothing */
};

/* How long an abandoned statement may go on once its cancel has been asked for. */
#define MARIADB_DRAIN USEC_PER_SEC

/* How long until it is asked for again. */
#define MARIADB_CANCEL_AGAIN (100 * USEC_PER_MSEC)

/* What a connection begins with, and again after it was reset.  The tracking makes the server tell of changed state. */
#define MARIADB_SET_UP "SET NAMES utf8mb4, SESSION autocommit = 1, SESSION session_track_state_change = 1"

/* It does nothing, and the server answers with its status. */
#define MARIADB_LOOK "DO 0"

#define MARIADB_ROLLBACK "ROLLBACK"

/* Where a pool's URL leads. */
struct mariadb_place {
	char host[512];			/* empty: over the socket */
	unsigned port;
	char socket[108];		/* empty: the library's default */
	char user[64], password[128], database[256];
	bool tls;
	char ca[256], cert[256], key[256];	/* files; empty: the system's CAs, no certificate of ours */
};

/* ---- mariadb_ear.c ---- */

/* Counts what comes over a connection. */
struct mariadb_ear {
	MYSQL *my;
	size_t heard;			/* bytes since it was set */
	size_t most;			/* then the socket is shut down … */
	const char *objection;		/* … and this says why */
	bool before_tls;		/* while set, only the server's greeting may come */
	size_t greeting;		/* how long that is with its head; 0: not known yet */
	unsigned char head[4];
};

/* Once in a process, before the library is used. */
void mariadb_ear_init(void);

/* Let this thread's reads of e->my be counted by e; NULL: no more. */
void mariadb_ear_set(struct mariadb_ear *e);

/* ---- mariadb_dial.c ---- */

/* Who a server is, as it says itself: a KILL must not go to another one behind the same address. */
enum { MARIADB_IDENTITY = 128 };

/*
 * A connection that is being made on a thread: to become one of the pool's, or to cancel what another one runs.
 * The loop's until it is started, the thread's until `done`, but for what is atomic.
 */
struct mariadb_dial {
	struct thread_job job;
	struct mariadb *d;		/* NULL: closed meanwhile; the loop's */
	struct mariadb_place place;
	struct resolve *resolving;	/* its name; the loop's.  No thread has it yet */
	unsigned addresses;		/* of that name; 0: the library finds out where place is */
	char at[RESOLVE_MAX][INET6_ADDRSTRLEN];
	unsigned long victim;		/* the connection whose statement is to be killed; 0: none */
	char wanted[MARIADB_IDENTITY];	/* with a victim: its server */
	usec until;			/* then it gives up by itself */

	atomic_bool unwanted;		/* give up */
	atomic_int fd;			/* a duplicate of the socket, to shut it down by; -1: none yet */
	bool published;			/* it is that of this attempt */
	struct mariadb_ear ear;
	void (*done)(struct mariadb_dial *k);

	MYSQL *my;			/* the result: connected, or NULL with the reason */
	bool killed;			/* with a victim, when it went well */
	char identity[MARIADB_IDENTITY];
	unsigned long packet_max;	/* bytes that the server takes at once */
	char address[64];		/* numeric; empty for a unix socket */
	char code[12];
	char text[200];
};

/* Check a URL. */
enum weft_rc mariadb_check(const struct back_url *url, char *error, size_t size);

/* Returns a new one, to be started; NULL without memory. */
struct mariadb_dial *mariadb_dial_new(struct mariadb *d);

/* Hand it to a thread; done(k) is called on the loop when it has ended.  Returns as threads_submit; WEFT_BUSY when enough of them kill already. */
enum weft_rc mariadb_dial_start(struct mariadb_dial *k, void (*done)(struct mariadb_dial *k));

/* Nobody waits for it any more: let the thread end soon (a KILL is still sent); done is not called.  *kp becomes NULL. */
void mariadb_dial_drop(struct mariadb_dial **kp);

/* Free it, and the connection if there is one still. */
void mariadb_dial_free(struct mariadb_dial *k);

/* ---- mariadb.c ---- */

enum mariadb_op {
	MARIADB_NOTHING,
	MARIADB_PREPARING,
	MARIADB_EXECUTING,
	MARIADB_FETCHING,	/* a row */
	MARIADB_MOVING,		/* to the next result: a procedure has several */
	MARIADB_SKIPPING,	/* rows that cannot be read */
	MARIADB_FORGETTING,	/* a prepared statement */
	MARIADB_ASKING,		/* a statement as text, which has no rows: what is not to be kept needs not be prepared */
	MARIADB_LOOKING,	/* after an error, which does not say whether the transaction is open still */
	MARIADB_ROLLING_BACK,	/* what a borrower left open */
	MARIADB_RESETTING,	/* the session's state */
	MARIADB_CHOOSING,	/* the URL's database, after that: a reset leaves the one that there is */
	MARIADB_SETTING_UP,	/* the session, after that */
	MARIADB_PINGING,
};

/* A prepared statement. */
struct mariadb_stmt {
	MYSQL_STMT *handle;
	unsigned highest;	/* how many values it wants */
	bool leaves;		/* see struct mariadb_text */
	bool opaque;		/* where it fails, nobody says what it has left */
	bool changes;		/* rows: how many is to be told */
	unsigned count;		/* parameters … */
	unsigned short which[];	/* … and the value of each, from 0 */
};

struct mariadb {
	struct conn *conn;
	struct loop *loop;
	struct mariadb_dial *dial;	/* until connected */
	MYSQL *my;
	char identity[MARIADB_IDENTITY];
	char address[64];
	size_t send_max;		/* bytes of a statement with its values */
	struct watch *watch;
	struct loop_task task;		/* at the end of the turn: begin a call, or tell the pool of the death */
	struct timer *slice;		/* goes on with a long result in the next turn */

	struct call *call;
	bool owed, begun;
	bool sent;			/* the statement itself may have been done */
	bool retried;			/* this is its second try: the first found what was prepared lost */
	enum mariadb_op op;
	bool suspended;			/* the library waits in the middle of it */
	int rc;				/* of the step */
	my_bool no;			/* of those steps that only fail or not */
	struct mariadb_stmt *stmt;	/* the call's, or the one being forgotten */
	struct stmt *entry;		/* it among stmts; NULL: not kept */
	struct stmts stmts;		/* data: struct mariadb_stmt */
	struct mariadb_text text;	/* what is to be prepared, or asked */
	const char *word;		/* of the call: by which it changes the session, static; NULL: it does not */
	bool unkept;			/* the call's statement is not for others to find */
	MYSQL_BIND *bind;
	unsigned bind_room;
	bool leaves;			/* the session has to be reset, as the statement may have left something in it */
	struct fault refused;		/* what the server said to the call; rc is WEFT_OK where it was content */
	bool dropping;			/* … and its statement is to be forgotten */
	bool drafted;			/* the first result that has columns is in draft */
	struct rows_draft draft;
	bool malformed;			/* a value in it */
	struct mariadb_ear ear;
	unsigned slice_rows;
	size_t slice_bytes;

	/* of a statement whose rows are given in parts */
	bool in_parts;
	bool paused;			/* nobody asks for the next one */
	bool goes_on;			/* it has been asked for, or left: from the end of the turn on */
	bool left;			/* it is only to come to its end */
	int waits;			/* while paused and suspended: what for */
	size_t given;			/* rows, so far */

	struct mariadb_dial *cancel;	/* on a thread now */
	struct timer *timer;		/* of the draining */
	bool draining;			/* from the asker's leaving until the reply has come */
	usec drain_until;

	/* of a borrower */
	bool tainted;			/* something may outlive its transaction: to be reset */
	bool unsure;			/* nobody has said whether its transaction is open */
	bool spoilt;			/* something that no reset undoes */
	bool fallen;			/* its transaction was ended, not by itself, and it has not taken note: by this */
	struct fault end;

	bool washing;			/* given back, and not yet as it was */
	bool pinging;

	bool ready;
	bool stale;			/* to be closed once nothing is owed */
	bool dead;
	struct fault why;		/* of the death */
};

/* The connection is of no use; the first reason counts.  The pool is told at the end of the turn. */
void mariadb_die(struct mariadb *d, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Everything of the call is done: the pool may have the connection back, unless a cancel is under way.  The last
 * thing to do: it may close the connection.
 */
void mariadb_give(struct mariadb *d);

/* ---- mariadb_put.c ---- */

/* Find the call's statement among those prepared, or translate it if it may be sent.  Returns WEFT_OK; else its fault is filled. */
enum weft_rc mariadb_look_up(struct mariadb *d, struct call *call);

/* Write the call's statement as the server wants it to d->text.  Returns WEFT_OK; else its fault is filled. */
enum weft_rc mariadb_translate(struct mariadb *d, struct call *call);

/* Each of these sets the next step: prepare (or make room first), execute, ask as text, forget the call's statement. */
void mariadb_prepare(struct mariadb *d);
void mariadb_execute(struct mariadb *d);
void mariadb_ask(struct mariadb *d);
void mariadb_drop(struct mariadb *d);

/* Free all that was prepared, without a word to the server. */
void mariadb_put_forget_all(struct mariadb *d);

/* Free what preparing and binding hold. */
void mariadb_put_fini(struct mariadb *d);

/* ---- mariadb_step.c ---- */

/* Begin the call which was looked up.  May close the connection. */
void mariadb_begin(struct mariadb *d);

/* Begin with the step that is set, of no call's.  The same. */
void mariadb_begin_own(struct mariadb *d);

/* Go on with rows that were paused.  The same. */
void mariadb_go_on(struct mariadb *d);

/* The watch's callback of a connection that is ready, and the timer's of a slice. */
void mariadb_on_event(void *arg, int what);
void mariadb_on_slice(void *arg);

/* Bring the step under way to its end; the socket is shut down. */
void mariadb_unwind(struct mariadb *d);

/* ---- mariadb_run.c ---- */

/* A step has ended: set the next one. */
void mariadb_run_on(struct mariadb *d);

/* Finish the call if the asker is still there. */
void mariadb_finish(struct mariadb *d, enum weft_rc rc, const char *code, const char *text);

/* The call is done: a statement that is not kept goes. */
void mariadb_retire(struct mariadb *d);

/* The server owes nothing any more: is the connection as it was? */
void mariadb_settle(struct mariadb *d);

/* ---- mariadb_lease.c ---- */

/* May the call be sent down this connection?  What it would leave there is noted.  Returns WEFT_OK; else its fault is filled. */
enum weft_rc mariadb_look(struct mariadb *d, struct call *call);

/* The transaction of a call's borrower is over, and it has to take note first.  Returns as mariadb_look. */
enum weft_rc mariadb_look_fallen(struct mariadb *d, struct call *call);

/* Is the connection somebody's own, or was it until now? */
bool mariadb_is_lent(const struct mariadb *d);

/* May what was not executed be tried again?  Not in a transaction. */
bool mariadb_may_try_again(const struct mariadb *d);

/* What the call leaves in the session: by what the server said last, and what is known of the statement. */
bool mariadb_has_changed(const struct mariadb *d);

/* The server has said how the transaction is: note it, and whether it has ended on its own.  For an error see refused. */
void mariadb_see_transaction(struct mariadb *d);

/* Set the first step by which a borrower's traces go, or none.  May be the end of the connection. */
void mariadb_wash(struct mariadb *d);

/* These steps have ended: set the next one. */
void mariadb_on_rolled_back(struct mariadb *d);
void mariadb_on_reset(struct mariadb *d);
void mariadb_on_set_up(struct mariadb *d);
void mariadb_on_pinged(struct mariadb *d);

/* Returns the database that the pool's URL names; empty: none. */
const char *mariadb_database(const struct mariadb *d);

/* Begin, at the end of the turn, what is to be done for nobody: wash, ask for a sign of life. */
void mariadb_own_later(struct mariadb *d);
void mariadb_own_begin(struct mariadb *d);

/* It is done, or there was nothing to do.  The last thing to do: it may close the connection. */
void mariadb_own_end(struct mariadb *d);

/* The driver's. */
enum conn_clean mariadb_clean(struct conn *c);
void mariadb_ping(struct conn *c);
const char *mariadb_begin_sql(const struct back_url *url);

/* ---- mariadb_take.c ---- */

/* Write the names of the columns to the draft. */
void mariadb_take_names(struct rows_draft *draft, MYSQL_STMT *s);

/*
 * The library's callback for each value of a row, from within a step; arg is the struct mariadb.  It writes it to the
 * draft where it is wanted.
 *
 * row      where the value begins, to be set behind it; NULL for NULL
 */
void mariadb_take_value(void *arg, unsigned column, unsigned char **row);

/* ---- mariadb_stream.c ---- */

/* Returns true when the rows in the draft are to be given: they are a part, or the next is waited for (waits: for what; 0: it is not). */
bool mariadb_part_is_due(const struct mariadb *d, int waits);

/* Give them, and pause.  The last thing to do: it may close the connection. */
void mariadb_part_give(struct mariadb *d, int waits);

/* The driver's send() of a call that asks for the next part. */
enum weft_rc mariadb_part_ask(struct mariadb *d, struct call *call);

/* Nobody will ask for the rest of what is paused: it is cancelled, and what comes is thrown away. */
void mariadb_part_leave(struct mariadb *d);

/* ---- mariadb_cancel.c ---- */

/* The asker of the statement that runs has left. */
void mariadb_cancel_begin(struct mariadb *d);

/* The reply has come and no cancel is under way. */
void mariadb_cancel_end(struct mariadb *d);

/* The connection closes: the thread, if one runs, is left to end alone. */
void mariadb_cancel_detach(struct mariadb *d);

#endif
