/* SPDX-License-Identifier: ISC */
#ifndef LOOP_INSIDE_H
#define LOOP_INSIDE_H

/* What the files of this folder share and nobody else includes: the only header that shows libevent's structs. */

#include <signal.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "fiber/timerq.h"
#include "loop/chunk.h"
#include "loop/loop.h"

struct threads;
struct resolver;
struct loop_signal;

/*
 * A descriptor in the loop.  Reading and writing are two events, so that
 * wanting one more or one less is one epoll_ctl, never a removal and an
 * addition.  The writer is made when it is wanted, which for most descriptors is never.
 * libevent does not touch an event after its callback, and event_del takes
 * one that is due off its queue: a callback may free any watch.
 */
struct watch {
	struct event reader;
	struct event *writer;		/* NULL: writing is not wanted */
	struct loop *loop;
	int wanted;			/* WATCH_ bits */
	watch_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct fiber_sched *fibers;
	struct timerq timers;
	unsigned timer_count;		/* timers made, for which there is room in the queue */
	struct event tick;		/* ends the poll when a timer or a fiber is due */
	usec tick_at;			/* when it is armed for; CLOCK_NEVER: not armed */
	TAILQ_HEAD(, loop_task) tasks;
	struct loop_task mark;		/* in tasks while they run: the end of this turn's */
	bool stopping;
	char *scratch;
	struct chunk_pool chunks;	/* of all streams */
	struct threads *threads;	/* NULL until loop_threads */
	struct resolver *names;		/* NULL until resolve_start */
	int signal_fd;			/* -1 until loop_on_signal */
	sigset_t signals;		/* those that arrive there */
	struct watch *signal_watch;
	SLIST_HEAD(, loop_signal) handlers;
};

/* A callback has returned: if it made the fibers that are ready too many, run them. */
void loop_after_callback(struct loop *l);

/* Begin a watch in the caller's memory; nothing is wanted at first. */
void watch_init(struct watch *w, struct loop *l, int fd, watch_fn *fn, void *arg);

/* End it. */
void watch_fini(struct watch *w);

/* Fire the timers whose time has come. */
void timer_run_due(struct loop *l);

/* End signal handling: forget what is pending, let the signals through again. */
void signal_fini(struct loop *l);

/* In a forked child the threads do not exist: forget them, without touching their locks. */
void threads_forget(struct threads **tp);

/* End the look-ups of a loop: what is under way is left to its threads.  *rp becomes NULL, which it may be. */
void resolver_free(struct resolver **rp);

/* In a forked child: forget them. */
void resolver_forget(struct resolver **rp);

#endif
