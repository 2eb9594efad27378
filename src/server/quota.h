/* SPDX-License-Identifier: ISC */
#ifndef SERVER_QUOTA_H
#define SERVER_QUOTA_H

/*
 * The master's books of who may have how many connections to which back end.
 *
 * `max` of a pool is for the whole server.  Its workers do not know of each other, and during a reload there are two
 * generations of them.  So each worker holds permits, one for each connection that it may have open
 * (back/pool.h), and all of them, with those of workers that have just ended, are never more than max.
 *
 * A worker is entitled to its share, and gets it as soon as permits are free: those of the newest generation first.
 * One that drains is entitled to none and gives back what it does not need.
 *
 * Where max is less than there are workers, and where old workers still need what new ones are entitled to, some have
 * none.  One whose calls wait asks for one, and gets it from whoever has most, or has had it for longest: such workers take turns.
 *
 * One that uses all that it has, and whose calls wait, gets what it lacks of its share from those that have more than theirs.
 * Beyond that it gets what is free, and what others do not use: these are asked, at most once in QUOTA_PATIENCE, but for those whose
 * calls wait too.  A worker gives back by itself what it has above its share and does not use any more.
 *
 * What a worker says is believed as far as it gives: it can harm nobody's books but its own.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "base/clock.h"

struct loop;
struct quota;
struct quota_pool;

/* One worker's part in one pool; in the memory of its seat.  Zeroed at first. */
struct quota_part {
	struct quota_pool *pool;	/* NULL: no worker */
	void *arg;			/* the caller's */
	unsigned share;			/* what it is entitled to */
	unsigned held;			/* what it has */
	unsigned asked;			/* of these, what it is asked to give back */
	unsigned wants;			/* so many more would be of use to calls of its that wait */
	bool drains;
	unsigned long long since;	/* when it was given one last, counted in grants */
	TAILQ_ENTRY(quota_part) link;
	TAILQ_ENTRY(quota_part) want;
};

/* What workers are told. */
struct quota_ops {
	void (*grant)(struct quota_part *part, unsigned n);	/* n more */
	void (*recall)(struct quota_part *part, unsigned n);	/* give back n, as soon as can be */
	void (*spare)(struct quota_part *part, unsigned n);	/* give back n, if they are not in use */
	void (*cede)(struct quota_part *part, unsigned n);	/* the same, or if they have not been for a while: others need them */
};

/* How long the connections of a worker that has ended are counted: its back ends need a moment to notice. */
#define QUOTA_SETTLE (100 * USEC_PER_MSEC)

/* How long one that was asked has before another is asked too. */
#define QUOTA_PATIENCE (100 * USEC_PER_MSEC)

/* Returns empty books; NULL out of memory. */
struct quota *quota_new(struct loop *l, const struct quota_ops *ops);

/* Free them; no pool may be left.  *qp becomes NULL. */
void quota_free(struct quota **qp);

/*
 * Returns the page of a pool, the same for pools of the same name and place in several generations; NULL out of memory.
 * Each quota_open wants a quota_close.
 */
struct quota_pool *quota_open(struct quota *q, const char *name, const char *url);

/* *pp becomes NULL. */
void quota_close(struct quota_pool **pp);

/* From now on there are so many permits.  Where more are out, none is granted until enough are back. */
void quota_limit(struct quota_pool *p, unsigned max);

/* Workers will come that need so many at once: ask those that there are for what they can spare. */
void quota_make_room(struct quota_pool *p, unsigned n);

/* A worker begins.  Returns how many permits it has from the start; ops->grant tells it of further ones. */
unsigned quota_begin(struct quota_part *part, struct quota_pool *p, unsigned share, void *arg);

/* Its process has ended. */
void quota_end(struct quota_part *part);

/* It drains. */
void quota_drain(struct quota_part *part);

/* It has calls that wait, and that could use n more; 0: no more. */
void quota_want(struct quota_part *part, unsigned n);

/* It gives back n. */
void quota_give(struct quota_part *part, unsigned n);

/* The timer's function, with the quota as its arg: those of workers that ended are free, and who still waits is not forgotten. */
void quota_on_timer(void *arg);

#endif
