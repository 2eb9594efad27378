/* SPDX-License-Identifier: ISC */
#ifndef BACK_REDIS_SLOTS_H
#define BACK_REDIS_SLOTS_H

/*
 * What a pool knows of a cluster of Redis: which nodes there are, and which has which slot.  It believes what nodes
 * say: the answer to CLUSTER SLOTS, and MOVED.  Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "back/redis/redis_key.h"
#include "back/redis/reply.h"
#include "back/url.h"
#include "base/clock.h"

enum { SLOTS_NODES = 256, SLOTS_NOWHERE = -1 };

/* A node has the same number for as long as it has slots, or there are connections to it. */
struct slots_node {
	struct back_place place;
	bool has_slots;

	/* the driver's */
	unsigned links;			/* connections to it */
	unsigned fails;			/* attempts to connect that failed in a row */
	usec retry_at;			/* no attempt before */
	char why[120];			/* why the last one failed, or was lost */
};

struct slots {
	unsigned count;
	struct slots_node *node[SLOTS_NODES];
	int16_t of[REDIS_SLOTS];	/* SLOTS_NOWHERE, or the number of a node */
	usec asked;			/* the driver's: when it was asked for last; 0: never */
};

/* Returns what knows nothing, or NULL. */
struct slots *slots_new(void);

void slots_free(struct slots *s);

/* Returns the number of the node at this place, a new one where it is not known; SLOTS_NOWHERE: there are too many, or memory is short. */
int slots_find(struct slots *s, const struct back_place *place);

/*
 * Take an answer to CLUSTER SLOTS: what it does not say is not known any more.
 *
 * from     the host that was asked: the one of places without a host
 * id       of the node that was asked; len 0: not known
 * mine     set to the number of that node, where it is a master with slots; else SLOTS_NOWHERE
 * Returns  false when it makes no sense, or no node in it can be asked: nothing has changed.  Of one whose host
 *          it does not know ("?") the slots are nowhere
 */
bool slots_take(struct slots *s, const struct weft_reply *reply, const char *from, struct span id, int *mine);

/*
 * Read "MOVED 3999 127.0.0.1:6381" or the same with ASK.
 *
 * from     the host that said it: the one of a place without a host
 * Returns  false when it is something else
 */
bool slots_read_redirect(struct span text, const char *from, unsigned *slot, struct back_place *place);

#endif
