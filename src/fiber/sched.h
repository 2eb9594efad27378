/* SPDX-License-Identifier: ISC */
#ifndef FIBER_SCHED_H
#define FIBER_SCHED_H

/*
 * What sched.c and fiber.c know of each other.  Private to these two; fiber.h
 * is what others include.
 */

#include "fiber/context.h"
#include "fiber/fiber.h"
#include "fiber/room.h"
#include "fiber/stack.h"
#include "fiber/timerq.h"

enum fiber_state { FIBER_NEW, FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ENDED };

struct fiber_queue {
	struct fiber *head;
	struct fiber *tail;
	unsigned count;
};

/* One a thread's loop.  Its owner is whoever called fiber_sched_new. */
struct fiber_sched {
	struct context loop;		/* the thread's own stack */
	struct fiber_queue ready;
	struct fiber_queue later;	/* those that have yielded twice in this turn */
	struct timerq timers;
	struct stack_pool stacks;
	struct room_pool rooms;
	usec (*clock)(void);
	size_t stack_size;
	unsigned max;
	unsigned alive;
	unsigned turn;			/* counts fiber_sched_run */
	bool in_turn, has_lately;
	usec lately;			/* what fiber_sched_lately says, when has_lately */
};

/* In its stack's mapping.  Owned by its maker while NEW, by the scheduler from then on. */
struct fiber {
	struct context context;
	struct fiber_sched *sched;
	struct fiber *next;		/* in a fiber_queue */
	enum fiber_state state;
	enum weft_rc rc;		/* what the wait that ended returns */
	enum wait_why why;
	unsigned shields;
	bool canceled;
	unsigned yielded;		/* the turn of the last fiber_yield */
	struct timerq_entry timer;
	usec wait_deadline;		/* given with the present wait */
	usec deadline;
	usec held_until;		/* cancellation and deadline are held back until then; 0: they are not */
	unsigned holds;			/* fiber_hold less fiber_release */
	struct fiber_late late;		/* what fiber_is_late says; why WAIT_NONE: it is not */
	usec late_since;		/* when its owner was told of cancellation or deadline, first or after a hold */
	usec penalty;			/* what its last wait took that was refused, in spite of that; 0: none has */
	struct fiber_defer *defers;
	fiber_trace_fn *trace;
	void *trace_arg;
	const char *label;
	void (*fn)(void *arg);
	void *arg;
	struct stack stack;
	char *room;
	struct room_slab *slab;		/* of the room; NULL: it lies above the struct */
};

/* The fiber that runs on this thread.  A fiber stays on its thread, so this may be kept in a register across a wait. */
extern _Thread_local struct fiber *fiber_running;

/* Put a fiber at the queue's end. */
void fiber_queue_add(struct fiber_queue *q, struct fiber *f);

/* End a fiber's wait, as rc says.  The first to come decides, so the fiber must be WAITING. */
void fiber_make_ready(struct fiber *f, enum weft_rc rc);

/* Give back a fiber's mapping, and the fiber with it.  Not on its own stack. */
void fiber_unmake(struct fiber *f);

#endif
