/* SPDX-License-Identifier: ISC */
/*
 * The turn.  It is a loop of our own around one event_base_loop(EVLOOP_ONCE),
 * which polls once and runs the callbacks of what is ready; then the fibers run, then the
 * tasks.  A turn sleeps only when no fiber is ready and no task is left.
 *
 * Thousands of descriptors may be ready at once, or thousands of deadlines pass.  If all that
 * follows were done in one go, each step would find its memory gone from the processor's cache,
 * and stacks and chunks in the hands of the kernel.  So fibers run in batches, each with its
 * tasks, also between callbacks.
 *
 * All times, of timers and of fibers, are one timeout of libevent's (the tick).  It is
 * looked at before each poll, and armed anew only when something is due earlier than it
 * is armed for; one that comes too early does no harm.  A busy server thus neither touches
 * libevent's heap nor makes a system call for deadlines that never come.
 *
 * Flags of the base: NOLOCK, as one thread uses it (threads report through an
 * eventfd).  No PRECISE_TIMER: with it libevent sets a timerfd before every poll, a system call a turn.
 * Without it it reads a coarse clock and polls in whole milliseconds, which may end a poll
 * some milliseconds early; timers and fibers are compared with our own clock, so nothing
 * fires before its time.  No EPOLL_USE_CHANGELIST: watch.c says why.
 */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/must.h"
#include "loop/loop_inside.h"
#include "loop/thread.h"

enum { LOOP_BATCH = 64 };	/* fibers at once: their stacks, rooms and output fit into the processor's cache, and are those that are kept */

/* What libevent warns of it also returns to us, and who decides what to do logs it. */
static void
loop_on_library_log(int severity, const char *text)
{
	log_line(severity >= EVENT_LOG_ERR ? LOG_ERROR_ : LOG_DEBUG_, "libevent text=\"%s\"", text);
}

static struct event_base *
loop_base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static void
loop_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	l->tick_at = CLOCK_NEVER;
}

/* Let a poll end at this time at the latest. */
static int
loop_arm_tick(struct loop *l, usec at)
{
	usec now, left;
	struct timeval tv;

	if (at >= l->tick_at)
		return 0;
	now = loop_now(l);
	left = at > now ? at - now : 0;
	tv.tv_sec = (time_t)(left / USEC_PER_SEC);
	tv.tv_usec = (suseconds_t)(left % USEC_PER_SEC);
	l->tick_at = at;
	return event_add(&l->tick, &tv);
}

/* The first time it is armed libevent allocates its heap, which holds no more than this one: later it cannot fail. */
static int
loop_init_tick(struct loop *l)
{
	l->tick_at = CLOCK_NEVER;
	return evtimer_assign(&l->tick, l->base, loop_on_tick, l) == 0 ? loop_arm_tick(l, clock_add(loop_now(l), 3600 * USEC_PER_SEC)) : -1;
}

struct loop *
loop_new(const struct fiber_conf *conf)
{
	const struct fiber_conf defaults = { 0 };
	struct loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	event_set_log_callback(loop_on_library_log);
	TAILQ_INIT(&l->tasks);
	SLIST_INIT(&l->handlers);
	chunk_pool_init(&l->chunks);
	sigemptyset(&l->signals);
	l->signal_fd = -1;
	l->scratch = malloc(LOOP_SCRATCH_SIZE);
	l->base = loop_base_new();
	l->fibers = fiber_sched_new(conf == NULL ? &defaults : conf);
	timerq_init(&l->timers);
	if (l->scratch == NULL || l->base == NULL || l->fibers == NULL || loop_init_tick(l) != 0) {
		loop_free(&l);
		errno = ENOMEM;
	}
	return l;
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	resolver_free(&l->names);
	threads_free(&l->threads);
	signal_fini(l);
	timerq_fini(&l->timers);
	if (l->fibers != NULL)
		fiber_sched_free(&l->fibers);
	if (l->base != NULL)	/* the tick goes with it */
		event_base_free(l->base);
	chunk_pool_fini(&l->chunks);
	free(l->scratch);
	free(l);
}

/* Tasks that tasks add come after the mark: they are the next turn's. */
static void
loop_run_tasks(struct loop *l)
{
	struct loop_task *t;

	if (TAILQ_EMPTY(&l->tasks))
		return;
	TAILQ_INSERT_TAIL(&l->tasks, &l->mark, link);
	while ((t = TAILQ_FIRST(&l->tasks)) != &l->mark) {
		loop_task_cancel(l, t);
		t->fn(t->arg);	/* may have freed t */
	}
	TAILQ_REMOVE(&l->tasks, &l->mark, link);
}

/* Some of the fibers that are ready, and what follows from them. */
static void
loop_run_some(struct loop *l)
{
	fiber_sched_run_some(l->fibers, LOOP_BATCH);
	loop_run_tasks(l);
}

void
loop_after_callback(struct loop *l)
{
	if (fiber_sched_ready(l->fibers) < LOOP_BATCH)
		return;
	loop_run_some(l);
	fiber_sched_turn(l->fibers, FIBER_TURN_BEGINS);
}

static int
loop_poll(struct loop *l, usec max_wait)
{
	usec fiber = fiber_sched_next(l->fibers), next = clock_min(fiber, timerq_next(&l->timers));
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	if (fiber == 0 || max_wait <= 0 || !TAILQ_EMPTY(&l->tasks))
		flags |= EVLOOP_NONBLOCK;
	else if (max_wait != CLOCK_NEVER)
		next = clock_min(next, clock_add(loop_now(l), max_wait));
	if (!(flags & EVLOOP_NONBLOCK) && loop_arm_tick(l, next) != 0)
		return -1;
	return event_base_loop(l->base, flags) < 0 ? -1 : 0;
}

static int
loop_step(struct loop *l, usec max_wait)
{
	int rc;

	fiber_sched_turn(l->fibers, FIBER_TURN_BEGINS);
	rc = loop_poll(l, max_wait);
	if (l->timers.count > 0)
		timer_run_due(l);
	loop_run_some(l);
	fiber_sched_turn(l->fibers, FIBER_TURN_ENDS);
	return rc;
}

void
loop_turn(struct loop *l, usec max_wait)
{
	if (loop_step(l, max_wait) != 0)
		log_error("poll failed errno=%d", errno);
}

int
loop_run(struct loop *l)
{
	int rc = 0;

	while (!l->stopping && rc == 0)
		rc = loop_step(l, CLOCK_NEVER);
	l->stopping = false;
	return rc;
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}

int
loop_after_fork(struct loop *l)
{
	if (event_reinit(l->base) != 0)
		return -1;
	resolver_forget(&l->names);
	threads_forget(&l->threads);
	/* child_fork let all signals through. */
	return pthread_sigmask(SIG_BLOCK, &l->signals, NULL) == 0 ? 0 : -1;
}

struct fiber_sched *
loop_fibers(struct loop *l)
{
	return l->fibers;
}

usec
loop_now(const struct loop *l)
{
	return fiber_sched_now(l->fibers);
}

usec
loop_lately(const struct loop *l)
{
	return fiber_sched_lately(l->fibers);
}

struct event_base *
loop_event_base(struct loop *l)
{
	return l->base;
}

char *
loop_scratch(struct loop *l)
{
	return l->scratch;
}

void
loop_after_turn(struct loop *l, struct loop_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	TAILQ_INSERT_TAIL(&l->tasks, t, link);
}

void
loop_task_cancel(struct loop *l, struct loop_task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	TAILQ_REMOVE(&l->tasks, t, link);
}

struct threads *
loop_threads(struct loop *l)
{
	enum { LOOP_THREADS = 64, LOOP_JOBS = 4096 };

	if (l->threads == NULL)
		l->threads = threads_new(l, LOOP_THREADS, LOOP_JOBS);
	return l->threads;
}

void
loop_end_threads(struct loop *l)
{
	threads_free(&l->threads);
}
