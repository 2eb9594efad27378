/* SPDX-License-Identifier: ISC */
#ifndef BACK_REDIS_IMPL_H
#define BACK_REDIS_IMPL_H

/*
 * One connection to Redis, shared by redis.c (its life, the driver), redis_url.c (what its URL says), redis_seek.c (which
 * server it is to), redis_dial.c (the way there), redis_cluster.c, redis_node.c and redis_map.c (several of them), redis_reply.c (what comes back),
 * redis_lease.c (what a borrower may do to it) and redis_hear.c (channels).  Nobody else includes it.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

#include "back/driver.h"
#include "back/redis/redis_slots.h"
#include "back/redis/reply.h"
#include "base/arena.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "loop/resolve.h"

enum {
	REDIS_DEPTH = 1024,
	REDIS_SETUP = 4,			/* AUTH, ROLE, SELECT, PING */
	REDIS_RING = REDIS_DEPTH + REDIS_SETUP,
	REDIS_NESTING = 7,
	REDIS_ELEMENTS = 1 << 26,		/* of one array: more no server means; for fewer there may be no memory, and then that call fails */
	REDIS_HEARD = 3,			/* likewise, on a hub's connection; and nothing is nested there */
	REDIS_BUFFER = 64 << 20,		/* bytes of one reply, before it is whole */
	REDIS_OUT = 65536,			/* bytes of commands for which memory is kept */
	REDIS_SETUP_MEMORY = 65536,		/* of commands of the driver's own, and their replies */
	REDIS_PORT = 6379,
	REDIS_SENTINEL_PORT = 26379,
	REDIS_PLACES = 16,			/* of a URL */
};

/* What a command is that is no call. */
enum redis_own {
	REDIS_OWN_NONE,		/* a call, abandoned or not */
	REDIS_OWN_SETUP,	/* AUTH and its like */
	REDIS_OWN_ASKING,	/* of a call's that was passed on; nobody wants the answer */
	REDIS_OWN_MAP,		/* CLUSTER SLOTS */
};

struct redis_slot {
	struct call *call;	/* NULL: abandoned, or the driver's own */
	enum redis_own own;
	uint64_t begin, end;	/* where its bytes stand in all that was ever given to this connection */
};

TAILQ_HEAD(redis_calls, call);

struct redis {
	struct conn *conn;	/* NULL: the pool has closed it, from within */
	redisContext *context;	/* NULL: its address is not known yet */
	struct watch *watch;
	struct buf out;		/* commands that hiredis was not given yet */
	struct loop_task task;	/* send, or report what cannot be reported at once */
	unsigned inside;	/* functions that are at work with it */
	bool connected;
	bool is_up;		/* the setup is over */

	/* to a node of a cluster */
	struct redis_cluster *cluster;		/* NULL: of none */
	int number;				/* the node's; SLOTS_NOWHERE: not known yet */
	struct redis_calls waiting;		/* until it is up */
	unsigned waits;				/* how many */
	usec late;				/* when it should be up */
	usec heard;				/* when there last was a reply, or nothing was owed */
	unsigned misses;			/* calls given up since it last said something */
	bool was_up;				/* it was idle for long, and is asked for a sign of life */
	bool is_asked;				/* CLUSTER SLOTS is under way */
	char id[48];				/* the node's, in the beginning */

	struct redis_seek *seek;	/* while a sentinel is asked, and until the server is known to be the master */
	const char *host;		/* what is being connected to; not of a unix socket */
	unsigned port;
	struct resolve *resolving;
	char (*address)[INET6_ADDRSTRLEN];	/* what the host's name means; NULL for a unix socket */
	unsigned naddress, tried;
	usec until;		/* it must be up, for all of them */
	struct timer *timer;	/* the share of one; NULL: there is only one */

	unsigned setup;		/* replies of AUTH, ROLE, SELECT and PING that are owed; later, of what makes the connection as it was */
	unsigned database;
	struct arena setup_arena;
	size_t memory;		/* its limit */
	char setup_room[1024];

	/* What a borrower has left behind; a transaction is in conn->in_transaction. */
	bool watching;		/* WATCH */
	bool moved;		/* perhaps in another database */
	bool spoilt;		/* what nothing here can undo, or nobody knows */

	bool hearing;		/* it is a hub's: what comes is not for the ring, and stands in setup_arena until it is told */

	int doomed;		/* of no use: code and text say why */
	char code[16];
	char text[160];

	uint64_t given, written;	/* bytes */
	unsigned head, count;		/* of the ring */
	struct redis_slot ring[REDIS_RING];
};

/* ---- redis_url.c ---- */

/* The drivers' check(). */
enum weft_rc redis_url_check(const struct back_url *u, char *error, size_t size);
enum weft_rc redis_url_check_sentinel(const struct back_url *u, char *error, size_t size);
enum weft_rc redis_url_check_cluster(const struct back_url *u, char *error, size_t size);

bool redis_url_is_unix(const struct back_url *u);

/* Set *out to the database's number; false: there is something else in its place. */
bool redis_url_database(const struct back_url *u, unsigned *out);

/* Returns the name of the master that sentinels are asked for: len 0: none.  Valid as long as u. */
struct span redis_url_master(const struct back_url *u);

/* Write "host:port" to out, with this port where the place has none. */
void redis_url_name(const struct back_place *place, unsigned port, char *out, size_t size);

/* ---- redis_seek.c ---- */

enum redis_seek_end { REDIS_SEEK_FOUND, REDIS_SEEK_VAIN };

/* The driver's new_data(): in which order sentinels are asked. */
void *redis_seek_new_data(const struct pool *p);

/* r is to be connected to a master: make r->seek.  Returns false when memory is short. */
bool redis_seek_begin(struct redis *r);

/* It is over, if it was under way. */
void redis_seek_end(struct redis *r, enum redis_seek_end how);

/* Ask the next sentinel, the first time the first; there is one. */
void redis_seek_next(struct redis *r);

/* Is what r connects to a sentinel? */
bool redis_seek_asks(const struct redis_seek *s);

/* Gather what a sentinel is asked. */
void redis_seek_send(struct redis *r);

/* A reply of the setup.  Returns false when there is nothing in it about sentinels and masters. */
bool redis_seek_on_reply(struct redis *r, const struct weft_reply *reply);

/* Nobody is at work with r: what comes next?  Returns false when that is not for here to say. */
bool redis_seek_settle(struct redis *r);

/* ---- redis_node.c ---- */

/* Gather what a node is told or asked at first. */
void redis_node_begin_setup(struct redis *r);

/* A reply of the setup.  Returns false when there is nothing in it about clusters. */
bool redis_node_on_reply(struct redis *r, const struct weft_reply *reply);

/* The setup is over. */
void redis_node_is_ready(struct redis *r);

/* It is doomed, and nobody is at work with it: ends it, and sees to its calls. */
void redis_node_is_dead(struct redis *r);

/* ---- redis_map.c ---- */

/* The answer to CLUSTER SLOTS, when it was asked again. */
void redis_map_on_reply(struct redis *r, const struct weft_reply *reply);

/* A call's reply, call NULL: abandoned.  Returns true when the node sends it elsewhere, and it is on its way there. */
bool redis_map_passes_on(struct redis *r, struct call *call, const struct weft_reply *reply);

/* ---- redis.c ---- */

/* Returns one that is not connected yet; NULL: no memory. */
struct redis *redis_new(struct conn *c);

/* Free it; nobody may be at work with it. */
void redis_free(struct redis *r);

/* Finish the calls in the ring, oldest first, and close; free it as soon as nobody is at work with it. */
void redis_end(struct redis *r);

/* Gather a call, and put it in the ring.  Returns its slot; NULL: there is no memory, and the connection is doomed. */
struct redis_slot *redis_put(struct redis *r, struct call *call);

/* Doomed, and seen to at the end of the turn. */
void redis_doom_later(struct redis *r, const char *text);

/* Let go of what was hiredis'.  How much it has sent is known from now on. */
void redis_detach(struct redis *r);

/* Begin anew, with a connection to one address, a number; NULL: to the URL's socket. */
void redis_connect(struct redis *r, const char *address);

/* Nobody is at work in here any more: has the connection come to its end, is r itself to go? */
void redis_settle(struct redis *r);

/* The driver's own commands and their replies are over: free their memory. */
void redis_forget_setup(struct redis *r);

/* Gather AUTH, where there is a password. */
void redis_send_auth(struct redis *r, const char *user, const char *password);

/* Gather a command of the driver's own; its reply is counted in setup. */
void redis_send_own(struct redis *r, size_t argc, const struct span *argv);

/* ---- redis_dial.c ---- */

/*
 * Begin anew, with a connection to another place.  Nobody may be at work with r.
 *
 * host     valid until the next one, or until r is ready
 * until    absolute: when somebody will give it up, all addresses of the host together
 */
void redis_dial(struct redis *r, const char *host, unsigned port, usec until);

/* Connect to the next address of the host; there is one. */
void redis_dial_next(struct redis *r);

/* ---- redis_lease.c ---- */

/* May a call on a connection that is lent be sent?  Returns WEFT_OK with its effect noted, or WEFT_INVALID with one sentence in why. */
enum weft_rc redis_lease_check(struct redis *r, struct call *call, const char **why);

/* The driver's clean(). */
enum conn_clean redis_clean(struct conn *c);

/* ---- redis_reply.c ---- */

/* Put a call's len bytes, just gathered, in the ring; call may be NULL.  Returns its slot. */
struct redis_slot *redis_push(struct redis *r, struct call *call, size_t len);

/* Returns the slot whose reply comes next; only while there is one. */
struct redis_slot *redis_first(struct redis *r);

/* Take that slot out. */
void redis_pop(struct redis *r);

/* Bring r->written up to date with what was sent. */
void redis_note_written(struct redis *r);

/* Returns true when a command has been sent whole whose reply has not come. */
bool redis_owes_reply(struct redis *r);

/*
 * The connection is of no use: no call goes down it any more; the pool is told as soon as nobody is
 * at work with it.  The first reason counts.
 */
void redis_doom(struct redis *r, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Let hiredis' reader build replies with functions of ours. */
void redis_set_builders(struct redis *r, redisReader *reader);

/* The next reply has come, and is whole.  May close the connection: then r->conn is NULL. */
void redis_on_reply(struct redis *r, struct weft_reply *reply);

/* Stands for every part of a reply that is skipped; hiredis wants a pointer. */
extern struct weft_reply redis_skipped;

/* ---- redis_hear.c ---- */

/* What came on a hub's connection. */
enum redis_heard {
	REDIS_HEARD_NONSENSE,
	REDIS_HEARD_ERROR,
	REDIS_HEARD_PONG,
	REDIS_HEARD_MESSAGE,	/* an array: its kind, channel, text */
	REDIS_HEARD_LARGE,	/* as a message; the text was skipped */
	REDIS_HEARD_BEGUN,	/* an array: its kind, channel, a number */
	REDIS_HEARD_ENDED,	/* likewise */
};
enum redis_heard redis_heard_read(const struct weft_reply *reply);

/* The driver's channel() and hear(). */
const char *redis_channel(struct span name);
enum weft_rc redis_hear(struct conn *c, enum hear what, struct span channel);

/* As redis_on_reply, on a hub's connection. */
void redis_on_heard(struct redis *r, const struct weft_reply *reply);

#endif
