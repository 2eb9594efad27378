/* SPDX-License-Identifier: ISC */
#ifndef FRONT_FCGI_INTERNAL_H
#define FRONT_FCGI_INTERNAL_H

/*
 * What the files of the FastCGI front share: fcgi_conn.c (a connection's
 * life), fcgi_in.c (records in), fcgi_out.c (records out), fcgi_ids.c (which
 * request has which id), fcgi_time.c (timeouts and draining).
 *
 * Who owns what: the set owns its connections and a cache of free slots; a
 * connection owns its stream and the slots of its live requests.  A slot is
 * lent to its request as the sink, so it may go back to the cache only when the request
 * will not call it any more: after SINK_LAST, after abort, or after
 * request_gone.  No slot outlives that, so no slot needs a count of references.
 *
 * Who may touch what: the stream's callbacks run in the loop, sink calls on
 * fibers, never one within the other (a stream calls back from the loop only, and
 * app->start and request_gone run no fiber).  While fcgi_in works through bytes (busy),
 * a connection may be doomed but is not freed; everywhere else it may be gone after
 * fcgi_conn_settle.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "front/front.h"
#include "loop/stream.h"
#include "wire/fcgi_record.h"
#include "wire/fcgi_rx.h"

enum fcgi_slot_state {
	FCGI_SLOT_HEAD,		/* PARAMS are coming; there is no request yet */
	FCGI_SLOT_BODY,		/* the request runs, STDIN is coming */
	FCGI_SLOT_CUT,		/* it runs; its body was given up, or it has none (Authorizer): STDIN is ignored */
	FCGI_SLOT_WHOLE,	/* it runs, STDIN has ended */
};

/* A live request id of a connection, and the sink of its request. */
struct fcgi_slot {
	TAILQ_ENTRY(fcgi_slot) link;	/* of its connection, or of the set's cache */
	struct fcgi_conn *conn;
	struct request *rq;		/* NULL in FCGI_SLOT_HEAD */
	struct span held;		/* PARAMS still where they were read: only conn->holder has some */
	struct buf params;		/* PARAMS so far, once they had to be copied */
	usec since;			/* of BEGIN; then of the last of its STDIN */
	uint16_t id;
	uint8_t role;
	uint8_t state;			/* enum fcgi_slot_state */
	bool keep;
	bool sent;			/* some of its STDOUT is out */
};

TAILQ_HEAD(fcgi_slots, fcgi_slot);

/* The live ids of a connection.  Few are found by walking the list, many by open addressing. */
struct fcgi_ids {
	struct fcgi_slots list;		/* who wrote last is last */
	struct fcgi_slot **at;		/* NULL: only the list */
	unsigned size;			/* a power of two */
	unsigned count;
};

enum fcgi_conn_state {
	FCGI_CONN_OPEN,
	FCGI_CONN_LINGER,	/* all is said; what still comes is read and thrown away until the peer's end */
};

/* What its first request said. */
enum fcgi_lasts {
	FCGI_LASTS_UNKNOWN,	/* none has come */
	FCGI_LASTS_NOT,
	FCGI_LASTS,		/* KEEP_CONN */
};

/* What is done with the content of the record that is being received. */
enum fcgi_content {
	FCGI_CONTENT_SKIP,
	FCGI_CONTENT_BEGIN,
	FCGI_CONTENT_ABORT,
	FCGI_CONTENT_PARAMS,
	FCGI_CONTENT_STDIN,
	FCGI_CONTENT_VALUES,
};

/* There may be thousands, most of them idle, so it is small. */
struct fcgi_conn {
	TAILQ_ENTRY(fcgi_conn) link;
	struct fcgi_conns *set;
	struct stream *stream;
	uint8_t state;			/* enum fcgi_conn_state */
	uint8_t content;		/* enum fcgi_content */
	bool busy;			/* fcgi_in is at work */
	bool doomed;			/* to be closed when it returns */
	bool partial;			/* we have the beginning of a record */
	bool close_after;		/* a request without KEEP_CONN has ended: close when the others have, too */
	bool owed;			/* a request ended before its input: closing would drop what we do not read */
	bool eof;			/* the peer sends no more */
	bool fresh;			/* no request yet */
	uint8_t lasts;			/* enum fcgi_lasts */
	bool next_due;			/* the awaited request has ended: begin with next */
	char head[FCGI_HEAD_SIZE];	/* half a header */
	size_t head_len;
	struct fcgi_rx rx;
	struct fcgi_slot *current;	/* whose PARAMS or STDIN record is being received */
	struct fcgi_slot *awaited;	/* the next request has its id: input rests until it has ended */
	struct fcgi_begin next;		/* that request's BEGIN */
	struct fcgi_slot *holder;	/* whose params are still in the loop's scratch */
	struct span whole;		/* content of BEGIN or GET_VALUES, where it came in one piece */
	struct buf gather;		/* the same, where it did not */
	struct fcgi_ids ids;
	usec since;			/* of idling, of a partial record without request, of lingering */
	usec out_since;			/* pending output made progress last, as the sweep saw it */
	unsigned long long out_seen;
	unsigned long long discarded;	/* bytes thrown away while lingering */
};

struct fcgi_limits {
	unsigned requests, connections, multiplex;
	usec head, body, send, idle;	/* idle CLOCK_NEVER: never */
	usec linger;			/* how long a peer may take to end after our last byte */
};

struct fcgi_conns {
	struct front_app *app;
	struct fcgi_limits limit;	/* app's, with the defaults filled in */
	TAILQ_HEAD(, fcgi_conn) list;
	struct fcgi_slots cache;
	unsigned cached;
	unsigned count;
	uint32_t kept, unasked;		/* of these, those of FCGI_LASTS and of FCGI_LASTS_UNKNOWN */
	size_t held;			/* bytes of half-received PARAMS and the like, of all connections */
	unsigned long long logs_dropped;
	struct timer *sweep;
	usec period;
	bool sweeping;			/* the timer is set */
	usec drain_since;
	bool draining;
};

enum {
	FCGI_PARAMS_MAX = REQUEST_VARS_BYTES_MAX,	/* of one request */
	FCGI_HELD_MAX = 64 << 20,			/* half-received, of all connections */
	FCGI_HIGH_WATER = 131072,			/* pending output of a connection above which its requests wait */
	FCGI_REFUSE_AT = 4 << 20,			/* pending output above which new requests are refused */
};

/* ---- fcgi_ids.c ---- */

void fcgi_ids_init(struct fcgi_ids *t);

/* Free the table; no id may be left. */
void fcgi_ids_fini(struct fcgi_ids *t);

/* Returns the slot of a live id, or NULL. */
struct fcgi_slot *fcgi_ids_find(const struct fcgi_ids *t, uint16_t id);

/* Add a slot whose id is not there.  Returns 0, or -1 out of memory. */
int fcgi_ids_add(struct fcgi_ids *t, struct fcgi_slot *s);

void fcgi_ids_remove(struct fcgi_ids *t, struct fcgi_slot *s);

/* It has written: all others come before it when there is room again. */
void fcgi_ids_wrote(struct fcgi_ids *t, struct fcgi_slot *s);

/* ---- fcgi_in.c ---- */

/* Work through bytes.  Returns how many: all of them, unless c awaits the end of a request.  c may be doomed then. */
size_t fcgi_in(struct fcgi_conn *c, struct span in);

/* ---- fcgi_out.c ---- */

extern const struct sink_ops fcgi_sink_ops;

/* A whole answer of ours in place of the app's: head and body, END. */
void fcgi_out_page(struct fcgi_conn *c, uint16_t id, struct span page, uint8_t protocol);

/* END_REQUEST alone: there is no STDOUT, as the request was not served. */
void fcgi_out_end(struct fcgi_conn *c, uint16_t id, uint8_t protocol);

/* END_REQUEST after ABORT_REQUEST; closes STDOUT if there was any. */
void fcgi_out_aborted(struct fcgi_slot *s);

void fcgi_out_unknown(struct fcgi_conn *c, uint8_t type);

/* Answer GET_VALUES.  Source: FastCGI Specification 1.0, section 4.1. */
void fcgi_out_values(struct fcgi_conn *c, struct span query);

/* ---- fcgi_conn.c ---- */

/* The peer broke the protocol or a limit: close when fcgi_in returns. */
void fcgi_conn_doom(struct fcgi_conn *c, const char *why);

/* Returns a slot for a new request, counted as in flight; NULL out of memory. */
struct fcgi_slot *fcgi_slot_new(struct fcgi_conn *c, uint16_t id, const struct fcgi_begin *begin);

/* Its request has its answer, or will not get one: the id is free again.  Must not be called before the request has let go of its sink. */
void fcgi_slot_end(struct fcgi_slot *s);

/* Its client is gone: the same for the request, if there is one. */
void fcgi_slot_gone(struct fcgi_slot *s);

/* After a request has ended: is it time to close?  Returns false when c is gone. */
bool fcgi_conn_settle(struct fcgi_conn *c);

enum fcgi_conn_how { FCGI_CONN_CLOSE, FCGI_CONN_RESET };

/* All its requests are gone; c as well.  Not while it is busy. */
void fcgi_conn_free(struct fcgi_conn *c, enum fcgi_conn_how how);

/* Close at once without regard to what is pending; all its requests are gone. */
void fcgi_conn_reset(struct fcgi_conn *c);

/* ---- fcgi_time.c ---- */

/* Fill in the set's limits from the app's, and make its timer.  Returns 0, or -1 out of memory. */
int fcgi_time_init(struct fcgi_conns *set);

/* A connection may be going to wait for something: look at all of them in a while. */
void fcgi_time_watch(struct fcgi_conns *set);

#endif
