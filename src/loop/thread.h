/* SPDX-License-Identifier: ISC */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

/*
 * Blocking functions on threads.  One set of threads a loop, started as they
 * are needed, up to a maximum, ended after idling.  Jobs beyond that wait in order, up to a bound.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include <weft/rc.h>

#include "base/clock.h"
#include "fiber/why.h"

struct loop;
struct threads;

/* One job.  The caller's memory, zeroed; it must live until done has been called. */
struct thread_job {
	void (*fn)(void *arg);		/* on a thread, all signals blocked */
	void (*done)(void *arg);	/* on the loop, after fn; not within a fiber */
	void (*dropped)(void *arg);	/* NULL, or called by threads_free instead, for a job that no thread has taken */
	void (*left)(void *arg);	/* NULL: threads_free waits for fn.  Else it does not, and this is called instead of done,
					   on the thread, after fn: for what may block for long and changes nothing */
	void *arg;
	TAILQ_ENTRY(thread_job) link;
	bool queued;			/* for the use of thread.c: no thread has taken it yet */
};

/* Threads of this loop: at most max, at most queue_max jobs waiting.  NULL with errno.  loop_threads() makes one on first use. */
struct threads *threads_new(struct loop *l, unsigned max, unsigned queue_max);

/*
 * Wait for running jobs, but for those that can be left, and call their done, drop queued ones (dropped is called, not done), free; *tp becomes NULL.
 * No fiber may be in threads_run.  Not from within a done.
 */
void threads_free(struct threads **tp);

/* The loop's own set (64 threads, 4096 jobs), made on first use; freed with the loop.  NULL when that fails. */
struct threads *loop_threads(struct loop *l);

/* End that set now, as threads_free, before what its jobs use is gone.  Nothing where there is none. */
void loop_end_threads(struct loop *l);

/* Returns WEFT_OK: done will be called.  WEFT_BUSY: the queue is full; WEFT_SYSTEM: no thread could be started; neither fn nor done will run. */
enum weft_rc threads_submit(struct threads *t, struct thread_job *job);

/* Take a job back before a thread has begun it.  Returns true: neither fn nor done will run; false: done will be called. */
bool threads_recall(struct threads *t, struct thread_job *job);

/*
 * Suspend the running fiber while fn(arg) runs on a thread.
 *
 * When the wait ends early (deadline, cancellation), fn goes on, so arg must
 * not be on the fiber's stack or in its arena: cleanup(arg), if not NULL, is called on the loop
 * once fn has ended and the fiber no longer waits for it; or at once, from the fiber, when no thread has begun fn, which then never runs.
 * When the wait ends well, or fn has run by the time it ends early, cleanup is not called.
 *
 * Returns  WEFT_OK: fn has run; WEFT_BUSY, WEFT_SYSTEM: it never will (cleanup is not called); else as fiber_wait
 */
enum weft_rc threads_run(struct threads *t, void (*fn)(void *arg), void *arg, void (*cleanup)(void *arg),
    enum wait_why why, usec deadline);

#endif
