/* SPDX-License-Identifier: ISC */
/*
 * The turn.  It is a loop of our own around one event_base_loop(EVLOOP_ONCE),
 * which polls once and runs the callbacks of what is ready; then the fibers run, then the
 * tasks.  A turn sleeps only when no fiber is ready and no task is left.
 *
 * The fibers' next deadline is one timer (tick), set before each poll and
 * armed only when it is earlier than it is armed for (timer.c), so a busy server
 * neither touches libevent's heap nor makes a system call for deadlines that never come.
 *
 * Flags of the base: NOLOCK, as one thread uses it (threads report through an
 * eventfd).  No PRECISE_TIMER: timer.c says why.  No EPOLL_USE_CHANGELIST: watch.c says why.
 */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/must.h"
#include "loop/loop_inside.h"
#include "loop/thread.h"

static void
loop_on_library_log(int severity, const char *text)
{
	log_line(severity >= EVENT_LOG_ERR ? LOG_ERROR_ : LOG_WARN_, "libevent text=\"%s\"", text);
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

/* The tick only ends the poll: the fibers' turn comes after each. */
static void
loop_on_tick(void *arg)
{
}

struct loop *
loop_new(const struct fiber_conf *conf)
{
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
	l->fibers = fiber_sched_new(conf);
	if (l->base != NULL && l->fibers != NULL)
		l->tick = timer_new(l, loop_on_tick, NULL);
	if (l->scratch == NULL || l->tick == NULL) {
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
	threads_free(&l->threads);
	signal_fini(l);
	timer_free(&l->tick);
	if (l->fibers != NULL)
		fiber_sched_free(&l->fibers);
	if (l->base != NULL)
		event_base_free(l->base);
	chunk_pool_fini(&l->chunks);
	free(l->scratch);
	free(l);
}

/* Tasks that tasks add come after the mark: they are the next turn's. */
static void
loop_run_tasks(struct loop *l)
{
	struct loop_task mark = { .queued = true }, *t;

	if (TAILQ_EMPTY(&l->tasks))
		return;
	TAILQ_INSERT_TAIL(&l->tasks, &mark, link);
	while ((t = TAILQ_FIRST(&l->tasks)) != &mark) {
		loop_task_cancel(l, t);
		t->fn(t->arg);	/* may have freed t */
	}
	TAILQ_REMOVE(&l->tasks, &mark, link);
}

static int
loop_poll(struct loop *l, usec max_wait)
{
	usec next = fiber_sched_next(l->fibers);
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	if (next == 0 || max_wait <= 0 || !TAILQ_EMPTY(&l->tasks)) {
		flags |= EVLOOP_NONBLOCK;
	} else {
		if (max_wait != CLOCK_NEVER)
			next = clock_min(next, clock_add(loop_now(l), max_wait));
		timer_set(l->tick, next);
	}
	return event_base_loop(l->base, flags) < 0 ? -1 : 0;
}

static int
loop_step(struct loop *l, usec max_wait)
{
	int rc = loop_poll(l, max_wait);

	fiber_sched_run(l->fibers);
	loop_run_tasks(l);
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
