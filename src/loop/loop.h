/* SPDX-License-Identifier: ISC */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

/*
 * The loop of one process: libevent, timers, signals, and the fibers' turns.
 *
 * Work happens once a turn: (1) one poll; every ready descriptor's callback
 * reads once; (2) the ready fibers run until none is ready; (3) the tasks
 * given to loop_after_turn run: streams and back-end connections send with one
 * write each what they gathered.  A task may make fibers ready; they run in
 * the next turn, which then does not sleep.
 *
 * Of many ready fibers a turn runs a batch, and when callbacks have made a batch ready, (2) and (3) come
 * before the next callback.
 *
 * All of it is single-threaded.  No struct here shows libevent.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "fiber/fiber.h"

struct loop;
struct watch;
struct timer;

/* Returns a loop with a scheduler made after conf (NULL: defaults), or NULL with errno.  The caller frees it. */
struct loop *loop_new(const struct fiber_conf *conf);

/* Free it; *lp becomes NULL.  All watches, timers and fibers must be gone. */
void loop_free(struct loop **lp);

/* Run turns until loop_stop.  Returns 0; -1 when polling itself fails. */
int loop_run(struct loop *l);

/* Run one turn that sleeps at most max_wait (microseconds; 0: not at all). */
void loop_turn(struct loop *l, usec max_wait);

/* Let loop_run return at the end of this turn. */
void loop_stop(struct loop *l);

/*
 * After fork, in the child, before anything else touches the loop: a new epoll set, signals again as asked for, and
 * the loop's own threads forgotten with their jobs (threads of threads_new are their owner's affair).  Returns 0 or -1.
 */
int loop_after_fork(struct loop *l);

/* Returns the loop's fibers. */
struct fiber_sched *loop_fibers(struct loop *l);

/* Returns the monotonic time, in microseconds. */
usec loop_now(const struct loop *l);

/* Returns the time as it was early in this turn; see fiber_sched_lately. */
usec loop_lately(const struct loop *l);

/* libevent's base, for the development HTTP front (evhttp) alone. */
struct event_base *loop_event_base(struct loop *l);

/* Bytes that a callback may use as scratch until it returns: one read buffer for the whole loop. */
enum { LOOP_SCRATCH_SIZE = 262144 };
char *loop_scratch(struct loop *l);

/* Something to do at the end of a turn, or of a batch.  The caller's memory, zeroed before first use, fn and arg set. */
struct loop_task {
	void (*fn)(void *arg);
	void *arg;
	TAILQ_ENTRY(loop_task) link;
	bool queued;
};

/* Run t->fn(t->arg) once at the end of this turn; nothing when it is queued already. */
void loop_after_turn(struct loop *l, struct loop_task *t);

/* Take it off again; must be done before t's memory goes. */
void loop_task_cancel(struct loop *l, struct loop_task *t);

/* ---- descriptors ---- */

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* what: the WATCH_ bit that is ready (a call for each, when both are).  The callback may free its own watch. */
typedef void watch_fn(void *arg, int what);

/*
 * Watch a descriptor; nothing is wanted at first.
 *
 * Returns  the watch, or NULL with errno
 * Owns     the caller frees the watch, before it closes fd
 */
struct watch *watch_new(struct loop *l, int fd, watch_fn *fn, void *arg);

/*
 * Set what is wanted, a mask of WATCH_ bits (0: nothing), level-triggered, until set anew.  No system call when nothing changes.
 *
 * Returns  0; -1 with errno when more is wanted and the system refuses: memory, or a regular file
 */
int watch_want(struct watch *w, int what);

/* Stop and free; *wp becomes NULL.  The descriptor stays open. */
void watch_free(struct watch **wp);

/*
 * Suspend the running fiber until fd is ready.
 *
 * what     WATCH_ bits
 * why      the reason the timeline shows
 * Returns  WEFT_OK, or as fiber_wait; WEFT_SYSTEM when fd cannot be watched
 */
enum weft_rc loop_wait_fd(struct loop *l, int fd, int what, enum wait_why why, usec deadline);

/* ---- timers ---- */

/* Returns a timer that is not set, or NULL with errno.  The callback may free its own timer. */
struct timer *timer_new(struct loop *l, void (*fn)(void *arg), void *arg);

/* Fire once at an absolute time (CLOCK_NEVER: not at all); replaces what was set. */
void timer_set(struct timer *t, usec at);

/* Unset and free; *tp becomes NULL. */
void timer_free(struct timer **tp);

/* ---- signals ---- */

/*
 * Call fn(arg, signo) from the loop whenever the signal arrives, until the loop is freed.  The signal is blocked as long (a
 * program that is executed inherits that), and arrives even if it was ignored before.  Call it before other threads start.
 * Returns 0, or -1 with errno.
 */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);

#endif
