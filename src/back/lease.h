/* SPDX-License-Identifier: ISC */
#ifndef BACK_LEASE_H
#define BACK_LEASE_H

/*
 * A connection of one's own: for a transaction, WATCH and MULTI, a blocking command, a cursor.
 *
 * Whoever wants one stands in the pool's queue like any call, and gets a connection that owes nothing.
 * From then on it is nobody else's until it is given back, or lost.  Given back, the driver makes it
 * as it was before (its clean()); what cannot be made so is closed.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "back/call.h"
#include "base/clock.h"
#include "base/fault.h"

struct conn;
struct hub;
struct pool;

struct lease {
	struct call place;		/* in the pool's queue; done when the connection is there, or never will be */
	struct conn *conn;		/* NULL: not yet, or no more */
	struct hub *hub;		/* whose it is: told when the connection comes, will not, or is gone.  NULL: a borrower's */
	const char *label;		/* who has it, for the log; borrowed */
	usec since;			/* when it was lent */
	bool told;			/* that it has been out for long */
	struct fault lost;		/* why the connection is gone: rc is WEFT_OK until it is */
};

/*
 * Ask for a connection; never waits.  Then call_wait(&l->place, …): WEFT_OK says that it is there; whatever
 * else ends that wait, nothing is to be given back.
 *
 * l, fault  in the asker's memory until lease_give
 * label     for the log: who keeps it for too long
 */
void lease_ask(struct lease *l, struct pool *p, struct fault *fault, const char *label);

/* As lease_ask, for a hub, which keeps it for as long as it likes. */
void lease_ask_hub(struct lease *l, struct pool *p, struct fault *fault, struct hub *h);

/*
 * Hand a call to the connection; never waits.  It is never sent down another one: where the connection was
 * lost it is done with WEFT_NOT_SENT, and with WEFT_BUSY where that owes as much as it may.
 */
void lease_submit(struct lease *l, struct call *c);

/* Returns true while the connection is there. */
bool lease_is_live(const struct lease *l);

/* Returns true while a transaction is open on the connection, by what the back end last said. */
bool lease_in_transaction(const struct lease *l);

/* Give it back, or leave the queue.  Nothing where it was lost or given before.  Calls that it still owes must have been abandoned. */
void lease_give(struct lease *l);

/* As lease_give, by the server, for a borrower that came to its end before: that is counted. */
void lease_leave(struct lease *l);

/* Close the connection instead: its state is of no use to anybody. */
void lease_drop(struct lease *l);

#endif
