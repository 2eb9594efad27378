/* SPDX-License-Identifier: ISC */
#ifndef BACK_CALL_H
#define BACK_CALL_H

/*
 * One thing asked of a back end: a Redis command, an SQL statement, an HTTP request.  It lives
 * in the memory (arena) of whoever asks, is handed to a pool, and is done
 * once: either the driver finishes it, or the asker abandons it.  After
 * that no pool, connection or driver points to it any more.
 *
 *	CALL_NEW ── pool_submit ──► CALL_QUEUED ── driver ──► CALL_SENT ──► CALL_DONE
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/span.h"
#include "fiber/fiber.h"

struct conn;
struct lease;
struct http_ask;
struct pool;
struct weft_http;
struct weft_reply;
struct weft_rows;

enum call_state { CALL_NEW, CALL_QUEUED, CALL_SENT, CALL_DONE };
enum call_kind { CALL_REDIS, CALL_SQL, CALL_HTTP };
enum call_part { CALL_WHOLE, CALL_OPENS, CALL_GOES_ON };		/* the whole result; its first part; the next part of what was opened */
enum call_retry { CALL_FIRST, CALL_UNSENT, CALL_AGAIN };	/* nothing was lost; what was lost had not been sent; it had been */

/* A typed parameter of a statement; the public struct weft_value has the same types. */
enum value_kind { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BYTES };
struct value {
	enum value_kind kind;
	union {
		long long integer;
		double real;
		struct span bytes;	/* TEXT and BYTES; borrowed until the call is done */
	} as;
};

struct call {
	enum call_state state;
	enum call_kind kind;
	enum weft_rc rc;		/* valid when CALL_DONE */
	bool idempotent;		/* asked twice it does no harm: it may be sent again when its connection was lost */
	unsigned char retried;		/* the pool's: CALL_UNSENT or CALL_AGAIN, after its first connection was lost */
	unsigned char was_first;	/* the pool's: it was sent down an idle connection */
	unsigned char patient;		/* the driver's, before conn_took, on a connection that is lent: what it waits for is not the
					   back end but others, so call_timeout does not apply */
	unsigned char effect;		/* the driver's: what it does to a connection that is lent; of a cluster, where it is */
	unsigned char hops, tries;	/* the driver's: how often it was passed on, and put off, by the nodes of a cluster */
	unsigned char part;		/* enum call_part: what is wanted of the result (driver.h) */
	bool last;			/* what came back is the result's last part */
	struct fault *fault;		/* filled when rc is not WEFT_OK; in the asker's memory; may be NULL */
	struct pool *pool;
	struct lease *lease;		/* the connection that it goes down, and no other; NULL: any */
	struct conn *conn;		/* while CALL_SENT */
	void *slot;			/* the driver's place for it in the connection's pipeline, while CALL_SENT */
	struct fiber *waiter;		/* woken when it is done, or moves on from the queue; NULL: nobody waits now */
	struct arena *arena;		/* where the result is built; the asker's */
	usec asked;			/* when it was submitted: the time of that turn (loop_lately) */
	usec deadline;			/* absolute: while queued the queue's, once sent the call's */
	TAILQ_ENTRY(call) link;		/* the pool's queue, while CALL_QUEUED; then the driver's */

	/* What is asked; all borrowed from the asker until the call is done or abandoned. */
	const char *sql;		/* CALL_SQL: one statement, terminated, parameters $1, $2 … */
	const struct value *values;
	unsigned nvalues;
	struct span redis;		/* CALL_REDIS: the command in the protocol's form (RESP), whole */
	uint32_t hash;			/* the pool's: what it is told apart by from other statements (sql_hash) */
	usec pace;			/* the pool's: how long it is expected to take */
	const struct http_ask *ask;	/* CALL_HTTP, with all that it points to */

	/* What came back, in the arena; valid as long as it.  NULL unless rc is WEFT_OK. */
	struct weft_reply *reply;
	struct weft_rows *rows;
	struct weft_http *http;
};

/* Begin a call; everything else zero.  The caller then sets what is asked, and submits it. */
void call_init(struct call *c, enum call_kind kind, struct arena *arena, struct fault *fault);

/*
 * Suspend the running fiber until the call is done.
 *
 * until    absolute; the fiber's own deadline and the call's apply too.  On a
 *          deadline or cancellation the call is abandoned and done
 * Returns  the call's rc.  *fault says more
 */
enum weft_rc call_wait(struct call *c, usec until);

/* Give it up: out of the queue, or its reply, when it comes, is thrown away.  rc becomes as given.  Nothing when done already. */
void call_abandon(struct call *c, enum weft_rc rc);

/*
 * For pools and drivers: the call is done.  Wakes the waiter.
 *
 * A call finished with WEFT_NOT_SENT for the first time is not done: the pool takes it back to the
 * head of its queue, for another connection.  So is an idempotent one that is finished with WEFT_UNKNOWN, where
 * the pool's retry budget allows it.
 *
 * fmt      the reason; the pool's name is put before it.  NULL when rc is WEFT_OK, or to keep
 *          what call_explain has said, or else to let the pool say why it lost the connection
 */
void call_finish(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Say why a call fails, before it is finished with rc and no text: for a driver whose send() refuses the
 * call itself.  The pool's name is put before it.
 */
void call_explain(struct call *c, enum weft_rc rc, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
