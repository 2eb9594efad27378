/* SPDX-License-Identifier: ISC */
#ifndef BACK_REDIS_CLUSTER_H
#define BACK_REDIS_CLUSTER_H

/*
 * One connection of a pool to a cluster of Redis, shared by redis_cluster.c (what the pool asks of it, and which
 * node a call is for), redis_node.c (its connections to nodes) and redis_map.c (what nodes say of each other).  Nobody else includes it.
 */

#include "back/redis/redis_impl.h"

enum {
	REDIS_HOPS = 5,				/* so often a call is passed on from node to node, MOVED or ASK */
	REDIS_TRIES = 16,			/* and so often it is put off, TRYAGAIN */
	REDIS_MISSES = 5,			/* calls given up in a row after which a silent node is asked nothing more */
	REDIS_SHARE = REDIS_DEPTH / 4,		/* half of what a connection carries: more a silent node does not get */
	REDIS_MAP_MEMORY = 4 << 20,		/* of an answer to CLUSTER SLOTS */
	REDIS_SEEDS = 2 * REDIS_PLACES,
};
#define REDIS_PUT_OFF (20 * USEC_PER_MSEC)
#define REDIS_MAP_PAUSE USEC_PER_SEC		/* the map is not asked for more often */

/* Where a call is that the pool has sent; call->slot is … */
enum redis_where {
	REDIS_CALL_SENT,			/* … its place in a node's ring */
	REDIS_CALL_WAITS,			/* … the connection (struct redis) that is not up yet */
	REDIS_CALL_WAITS_TO_ASK,		/* … the same; ASKING goes before it */
	REDIS_CALL_PUT_OFF,			/* … NULL: sent again in a moment */
};

/* Who is asked for the map when a connection begins, or none that is connected to can be asked. */
struct redis_seeds {
	unsigned count, next;
	struct back_place place[REDIS_SEEDS];
	char code[16];				/* the best reason there is for a failure */
	char text[400];
};

struct redis_cluster {
	struct conn *conn;			/* NULL: the pool has closed it, from within */
	unsigned inside;			/* functions that are at work with it and tell the pool something */
	struct slots *map;			/* the pool's */
	struct redis *node[SLOTS_NODES];	/* connections, by the node's number */
	unsigned nodes;				/* how many there are */
	struct redis *seed;			/* the connection to the node that is asked for the map */
	struct redis_seeds *seeds;		/* while one of them is asked */
	struct redis_calls put_off;
	usec put_off_until;
	struct timer *timer;
	struct loop_task task;			/* pay the debts */
	unsigned debts;				/* replies that will not come, and that the pool has not been told of */
};

/* ---- redis_cluster.c ---- */

/* A reply less that is owed: the pool is told at the end of the turn. */
void redis_cluster_owe(struct redis_cluster *cl);

/* Send a call which the pool has sent to whichever node it is for; or finish it. */
void redis_cluster_resend(struct redis_cluster *cl, struct call *call);

/* Send it again in a moment. */
void redis_cluster_put_off(struct redis_cluster *cl, struct call *call);

/* Begin to ask seeds for the map; none is asked yet.  Returns false when there are none, or memory is short. */
bool redis_cluster_seek(struct redis_cluster *cl);

/* Set the timer for what comes next. */
void redis_cluster_arm(struct redis_cluster *cl);

/* ---- redis_node.c ---- */

/* Ask the next seed; there is one.  Returns false when memory is short. */
bool redis_node_next_seed(struct redis_cluster *cl);

/* Find the connection to a node for a call, or begin one.  Returns WEFT_OK with *out set; else the call is explained, and fails with that. */
enum weft_rc redis_node_get(struct redis_cluster *cl, int number, struct call *call, struct redis **out);

/* Send a call that the pool has sent to a node, or let it wait until the node's connection is up. */
void redis_node_give(struct redis *r, struct call *call, enum redis_where where);

/* A call waits for it no more. */
void redis_node_unwait(struct redis *r, struct call *call);

/* A call that was sent to it has been given up. */
void redis_node_miss(struct redis *r);

/* Does anybody still wait for a reply that may come? */
bool redis_node_is_wanted(struct redis *r);

/* Close the connection; finish its calls as those of a connection of the pool's that is closed. */
void redis_node_close(struct redis *r);

/* Gather a command of the driver's own on a connection that is up.  Returns false when memory is short, and it is doomed. */
bool redis_node_put_own(struct redis *r, struct span command, enum redis_own own);

/* ---- redis_map.c ---- */

/*
 * Ask for the map again, unless that was done just now: some node that is connected to; else seeds.
 *
 * but      not this one: it is cut off from the others, or silent.  NULL: any
 */
void redis_map_ask(struct redis_cluster *cl, const struct redis *but);

#endif
