/* SPDX-License-Identifier: ISC */
/*
 * Blocking functions on threads.  One lock guards two queues: jobs that wait
 * for a thread, and jobs whose function has ended.  A thread that makes the
 * second non-empty writes to an eventfd; the loop takes all of it at once, so many
 * ends cost one wake-up.
 *
 * Who owns a job: the queue until a thread takes it, then the thread, then the
 * loop.  Under the lock a job either can be recalled or its done will be called.
 *
 * Who is done with the threads does not wait for jobs that can be left.  Their threads stay behind with
 * what they share, and the last of them frees it.
 */
#include "loop/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

enum { THREAD_IDLE_SECONDS = 10 };

TAILQ_HEAD(thread_jobs, thread_job);

struct thread {
	SLIST_ENTRY(thread) link;
	pthread_t id;
	struct threads *owner;
};

struct threads {
	struct loop *loop;
	unsigned max, queue_max;
	int wake_fd;			/* eventfd: ended has become non-empty */
	struct watch *watch;

	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t work;		/* queue or stopping has changed */
	pthread_cond_t quiet;		/* stopping, and there is one less to wait for */
	struct thread_jobs queue;
	struct thread_jobs ended;
	unsigned queued;		/* length of queue */
	unsigned count;			/* threads alive */
	unsigned idle;			/* of these, without a job */
	unsigned leaving;		/* of these, with a job that can be left */
	bool stopping;
	bool is_left;			/* by its owner, to the threads */
	SLIST_HEAD(, thread) gone;	/* threads that have left and are to be joined */
	SLIST_HEAD(, thread) alive;
};

/* ---- on the threads ---- */

/* Wait for a job with the lock held; NULL when the thread is to leave: stopping, or idle for too long. */
static struct thread_job *
thread_await(struct threads *t)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += THREAD_IDLE_SECONDS;
	while (!t->stopping && TAILQ_EMPTY(&t->queue) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&t->work, &t->lock, &until);
	return t->stopping ? NULL : TAILQ_FIRST(&t->queue);
}

/* Hand a job back to the loop, with the lock held. */
static void
thread_report(struct threads *t, struct thread_job *job)
{
	const uint64_t one = 1;
	bool first = TAILQ_EMPTY(&t->ended);

	TAILQ_INSERT_TAIL(&t->ended, job, link);
	/* It cannot fail: the counter is far from its end, and the loop empties it. */
	if (first)
		must(write(t->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

static void
thread_unqueue(struct threads *t, struct thread_job *job)
{
	TAILQ_REMOVE(&t->queue, job, link);
	t->queued--;
	job->queued = false;
}

static void
threads_unmake(struct threads *t)
{
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->quiet);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Run a job, with the lock held but while it runs. */
static void
thread_run_job(struct threads *t, struct thread_job *job)
{
	bool leaving = job->left != NULL;

	thread_unqueue(t, job);
	t->idle--;
	t->leaving += leaving;
	pthread_mutex_unlock(&t->lock);
	job->fn(job->arg);
	pthread_mutex_lock(&t->lock);
	t->leaving -= leaving;
	t->idle++;
	if (!t->is_left) {
		thread_report(t, job);
		return;
	}
	pthread_mutex_unlock(&t->lock);
	job->left(job->arg);
	pthread_mutex_lock(&t->lock);
}

/* The thread ends, with the lock held, and gives it back. */
static void
thread_leave(struct thread *me)
{
	struct threads *t = me->owner;
	bool is_left = t->is_left, is_last;

	t->idle--;
	is_last = --t->count == 0;
	SLIST_REMOVE(&t->alive, me, thread, link);
	if (!is_left)
		SLIST_INSERT_HEAD(&t->gone, me, link);
	pthread_cond_signal(&t->quiet);
	pthread_mutex_unlock(&t->lock);
	if (is_left)
		free(me);
	if (is_left && is_last)
		threads_unmake(t);
}

static void *
thread_main(void *arg)
{
	struct thread *me = arg;
	struct threads *t = me->owner;
	struct thread_job *job;

	pthread_mutex_lock(&t->lock);
	while ((job = thread_await(t)) != NULL)
		thread_run_job(t, job);
	thread_leave(me);
	return NULL;
}

/* ---- on the loop ---- */

/* Start one more thread, with the lock held.  It counts as idle until it takes its first job. */
static int
threads_start_one(struct threads *t)
{
	struct thread *one = malloc(sizeof *one);
	sigset_t all, before;
	int rc;

	if (one == NULL)
		return -1;
	one->owner = t;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&one->id, NULL, thread_main, one);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		free(one);
		return -1;
	}
	SLIST_INSERT_HEAD(&t->alive, one, link);
	t->count++;
	t->idle++;
	return 0;
}

/* Join the threads that have left.  They have only to return, so this does not wait. */
static void
threads_join_gone(struct threads *t)
{
	struct thread *one;

	pthread_mutex_lock(&t->lock);
	while ((one = SLIST_FIRST(&t->gone)) != NULL) {
		SLIST_REMOVE_HEAD(&t->gone, link);
		pthread_mutex_unlock(&t->lock);
		pthread_join(one->id, NULL);
		free(one);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Call done for all jobs that have ended up to now. */
static void
threads_finish(struct threads *t)
{
	struct thread_jobs ended = TAILQ_HEAD_INITIALIZER(ended);
	struct thread_job *job;

	pthread_mutex_lock(&t->lock);
	TAILQ_CONCAT(&ended, &t->ended, link);
	pthread_mutex_unlock(&t->lock);
	while ((job = TAILQ_FIRST(&ended)) != NULL) {
		TAILQ_REMOVE(&ended, job, link);
		job->done(job->arg);	/* may have freed the job */
	}
}

static void
threads_on_wake(void *arg, int what)
{
	struct threads *t = arg;
	uint64_t count;

	/* First this: an end that comes after it writes anew. */
	if (read(t->wake_fd, &count, sizeof count) != (ssize_t)sizeof count)
		return;
	threads_join_gone(t);
	threads_finish(t);
}

static void
threads_init_lock(struct threads *t)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, &attr);
	pthread_cond_init(&t->quiet, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&t->lock, NULL);
}

struct threads *
threads_new(struct loop *l, unsigned max, unsigned queue_max)
{
	struct threads *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->loop = l;
	t->max = max;
	t->queue_max = queue_max;
	TAILQ_INIT(&t->queue);
	TAILQ_INIT(&t->ended);
	SLIST_INIT(&t->gone);
	SLIST_INIT(&t->alive);
	threads_init_lock(t);
	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->wake_fd >= 0)
		t->watch = watch_new(l, t->wake_fd, threads_on_wake, t);
	if (t->watch == NULL || watch_want(t->watch, WATCH_READ) != 0) {
		int saved = errno;

		threads_free(&t);
		errno = saved;
	}
	return t;
}

/* Tell the owners of jobs that will never run. */
static void
threads_drop(struct thread_jobs *jobs)
{
	struct thread_job *job;

	while ((job = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, job, link);
		if (job->dropped != NULL)
			job->dropped(job->arg);	/* may have freed the job */
	}
}

/* Wait for all threads but those that can be left, which are on their own from now on.  The owner counts as one until threads_let_go. */
static void
threads_stop(struct threads *t, struct thread_jobs *never)
{
	struct thread *one;

	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	TAILQ_CONCAT(never, &t->queue, link);
	pthread_cond_broadcast(&t->work);
	while (t->count > t->leaving)
		pthread_cond_wait(&t->quiet, &t->lock);
	t->is_left = true;
	t->count++;
	SLIST_FOREACH(one, &t->alive, link)
		pthread_detach(one->id);
	pthread_mutex_unlock(&t->lock);
}

static void
threads_let_go(struct threads *t)
{
	bool is_last;

	pthread_mutex_lock(&t->lock);
	is_last = --t->count == 0;
	pthread_mutex_unlock(&t->lock);
	if (is_last)
		threads_unmake(t);
}

void
threads_free(struct threads **tp)
{
	struct thread_jobs never = TAILQ_HEAD_INITIALIZER(never);
	struct threads *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	threads_stop(t, &never);
	threads_join_gone(t);
	threads_finish(t);
	threads_drop(&never);
	watch_free(&t->watch);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	threads_let_go(t);
}

void
threads_forget(struct threads **tp)
{
	struct threads *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	watch_free(&t->watch);
	close(t->wake_fd);
	free(t);
}

/* With the lock held: may one more job wait, or is there a thread for it? */
static enum weft_rc
threads_admit(struct threads *t)
{
	if (t->stopping)
		return WEFT_SYSTEM;
	if (t->queued < t->idle)
		return WEFT_OK;
	if (t->count < t->max && threads_start_one(t) == 0)
		return WEFT_OK;
	if (t->count == 0)
		return WEFT_SYSTEM;
	return t->queued - t->idle < t->queue_max ? WEFT_OK : WEFT_BUSY;
}

enum weft_rc
threads_submit(struct threads *t, struct thread_job *job)
{
	enum weft_rc rc;

	pthread_mutex_lock(&t->lock);
	rc = threads_admit(t);
	if (rc == WEFT_OK) {
		TAILQ_INSERT_TAIL(&t->queue, job, link);
		t->queued++;
		job->queued = true;
		pthread_cond_signal(&t->work);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

bool
threads_recall(struct threads *t, struct thread_job *job)
{
	bool mine;

	pthread_mutex_lock(&t->lock);
	mine = job->queued;
	if (mine)
		thread_unqueue(t, job);
	pthread_mutex_unlock(&t->lock);
	return mine;
}
