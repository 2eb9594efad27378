/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/thread.h"

enum { JOBS = 200 };

/* A gate holds the threads that come to it until it is opened. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool open;
	int at;			/* threads that have come to it */
};

static void
gate_init(struct gate *g)
{
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->moved, NULL);
	g->open = false;
	g->at = 0;
}

static void
gate_fini(struct gate *g)
{
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->moved);
}

static void
gate_pass(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->at++;
	pthread_cond_broadcast(&g->moved);
	while (!g->open)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void
gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

/* Wait until n threads have come. */
static void
gate_await(struct gate *g, int n)
{
	pthread_mutex_lock(&g->lock);
	while (g->at < n)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

struct work {
	struct loop *loop;
	struct threads *t;
	struct gate gate;
	struct item {
		struct thread_job job;
		struct work *work;
		int number;
		sigset_t mask;
	} item[JOBS];
	int order[JOBS];	/* the numbers as they ran; with one thread only */
	int ran, done;		/* ran is guarded by the gate's lock */
};

static void
item_on_thread(void *arg)
{
	struct item *i = arg;

	gate_pass(&i->work->gate);
	pthread_mutex_lock(&i->work->gate.lock);
	i->work->order[i->work->ran++] = i->number;
	pthread_mutex_unlock(&i->work->gate.lock);
	pthread_sigmask(SIG_BLOCK, NULL, &i->mask);
}

static void
item_on_done(void *arg)
{
	struct item *i = arg;

	i->work->done++;
}

static void
work_init(struct work *w, struct loop *l, unsigned max, unsigned queue_max)
{
	*w = (struct work){ .loop = l };
	gate_init(&w->gate);
	w->t = threads_new(l, max, queue_max);
	assert_non_null(w->t);
	for (int i = 0; i < JOBS; i++) {
		w->item[i].job = (struct thread_job){ .fn = item_on_thread, .done = item_on_done, .arg = &w->item[i] };
		w->item[i].work = w;
		w->item[i].number = i;
	}
}

static void
work_fini(struct work *w)
{
	threads_free(&w->t);
	assert_null(w->t);
	gate_fini(&w->gate);
}

static struct work work;

/* ---- jobs ---- */

static void
jobs_run_in_order(void **state)
{
	struct work *w = &work;

	work_init(w, *state, 1, JOBS);
	gate_open(&w->gate);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(threads_submit(w->t, &w->item[i].job), WEFT_OK);
	TURN_UNTIL(w->loop, w->done == JOBS);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(w->order[i], i);
	assert_true(sigismember(&w->item[0].mask, SIGTERM) && sigismember(&w->item[0].mask, SIGCHLD));
	work_fini(w);
}

/* So many run, so many wait, and not one more. */
static void
threads_and_queue_are_bounded(void **state)
{
	struct work *w = &work;

	work_init(w, *state, 3, 5);
	for (int i = 0; i < 8; i++)
		assert_int_equal(threads_submit(w->t, &w->item[i].job), WEFT_OK);
	assert_int_equal(threads_submit(w->t, &w->item[8].job), WEFT_BUSY);
	gate_await(&w->gate, 3);
	assert_int_equal(threads_submit(w->t, &w->item[8].job), WEFT_BUSY);
	kit_settle(w->loop);
	assert_int_equal(w->gate.at, 3);
	gate_open(&w->gate);
	TURN_UNTIL(w->loop, w->done == 8);
	assert_int_equal(w->ran, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(threads_submit(w->t, &w->item[i].job), WEFT_OK);
	TURN_UNTIL(w->loop, w->done == 16);
	work_fini(w);

	work_init(w, *state, 0, 5);	/* no thread can ever be had */
	assert_int_equal(threads_submit(w->t, &w->item[0].job), WEFT_SYSTEM);
	work_fini(w);
}

static void
a_job_can_be_recalled_until_a_thread_has_it(void **state)
{
	struct work *w = &work;

	work_init(w, *state, 1, 5);
	threads_submit(w->t, &w->item[0].job);
	threads_submit(w->t, &w->item[1].job);
	threads_submit(w->t, &w->item[2].job);
	gate_await(&w->gate, 1);
	assert_false(threads_recall(w->t, &w->item[0].job));
	assert_true(threads_recall(w->t, &w->item[1].job));
	assert_false(threads_recall(w->t, &w->item[1].job));
	gate_open(&w->gate);
	TURN_UNTIL(w->loop, w->done == 2);
	assert_int_equal(w->order[1], 2);
	assert_int_equal(threads_submit(w->t, &w->item[1].job), WEFT_OK);
	TURN_UNTIL(w->loop, w->done == 3);
	work_fini(w);
}

static void *
gate_open_on_thread(void *arg)
{
	gate_open(arg);
	return NULL;
}

static void
freeing_waits_for_running_jobs_and_drops_queued_ones(void **state)
{
	struct work *w = &work;
	pthread_t opener;

	work_init(w, *state, 2, 5);
	for (int i = 0; i < 6; i++)
		threads_submit(w->t, &w->item[i].job);
	gate_await(&w->gate, 2);
	pthread_create(&opener, NULL, gate_open_on_thread, &w->gate);
	threads_free(&w->t);
	pthread_join(opener, NULL);
	assert_true(w->ran >= 2);
	assert_int_equal(w->done, w->ran);
	work_fini(w);
}

static struct gate left;

static void
item_on_left(void *arg)
{
	gate_pass(&left);
}

static void
freeing_does_not_wait_for_what_can_be_left(void **state)
{
	struct work *w = &work;

	work_init(w, *state, 3, 5);
	gate_init(&left);
	gate_open(&left);
	w->item[0].job.left = w->item[1].job.left = item_on_left;
	threads_submit(w->t, &w->item[0].job);
	threads_submit(w->t, &w->item[1].job);
	gate_await(&w->gate, 2);
	threads_free(&w->t);
	assert_int_equal(left.at, 0);
	assert_int_equal(w->ran, 0);
	gate_open(&w->gate);
	gate_await(&left, 2);
	assert_int_equal(w->ran, 2);
	assert_int_equal(w->done, 0);
	gate_fini(&left);
	work_fini(w);
}

static void
what_ends_in_time_is_not_left(void **state)
{
	struct work *w = &work;
	pthread_t opener;

	work_init(w, *state, 3, 5);
	gate_init(&left);
	w->item[0].job.left = item_on_left;
	threads_submit(w->t, &w->item[0].job);
	gate_await(&w->gate, 1);
	gate_open(&w->gate);
	TURN_UNTIL(w->loop, w->done == 1);
	/* One that has to be waited for, all the same. */
	w->gate.open = false;
	threads_submit(w->t, &w->item[1].job);
	gate_await(&w->gate, 2);
	pthread_create(&opener, NULL, gate_open_on_thread, &w->gate);
	threads_free(&w->t);
	pthread_join(opener, NULL);
	assert_int_equal(w->done, 2);
	assert_int_equal(left.at, 0);
	gate_fini(&left);
	work_fini(w);
}

static void
the_loop_has_threads_of_its_own(void **state)
{
	struct work *w = &work;
	struct threads *own = loop_threads(*state);

	assert_non_null(own);
	assert_ptr_equal(own, loop_threads(*state));
	work_init(w, *state, 1, 1);
	gate_open(&w->gate);
	assert_int_equal(threads_submit(own, &w->item[0].job), WEFT_OK);
	TURN_UNTIL(w->loop, w->done == 1);
	work_fini(w);
}

/* ---- fibers ---- */

/* A fiber that lets a function run on a thread; argument and what became of it. */
struct caller {
	struct work *work;
	struct fiber *fiber;
	struct gate *gate;
	usec deadline;
	enum weft_rc rc;
	int ran;		/* written on the thread, read when it is over */
	int returned, cleaned;
};

static void
caller_on_thread(void *arg)
{
	struct caller *c = arg;

	gate_pass(c->gate);
	c->ran++;
}

static void
caller_on_cleanup(void *arg)
{
	struct caller *c = arg;

	c->cleaned++;
}

static void
caller_main(void *arg)
{
	struct caller *c = arg;

	c->rc = threads_run(c->work->t, caller_on_thread, c, caller_on_cleanup, WAIT_THREAD, c->deadline);
	c->returned++;
}

static void
caller_start(struct caller *c, struct work *w, struct gate *g, usec deadline)
{
	*c = (struct caller){ .work = w, .gate = g, .deadline = deadline };
	c->fiber = fiber_new(loop_fibers(w->loop), 0);
	assert_non_null(c->fiber);
	fiber_start(c->fiber, caller_main, c);
	loop_turn(w->loop, 0);
}

static void
a_fiber_waits_for_a_function(void **state)
{
	struct work *w = &work;
	struct caller c;

	work_init(w, *state, 1, 1);
	caller_start(&c, w, &w->gate, CLOCK_NEVER);
	gate_await(&w->gate, 1);
	assert_int_equal(c.returned, 0);
	assert_int_equal(fiber_why(c.fiber), WAIT_THREAD);
	gate_open(&w->gate);
	TURN_UNTIL(w->loop, c.returned);
	assert_int_equal(c.rc, WEFT_OK);
	assert_int_equal(c.ran, 1);
	assert_int_equal(c.cleaned, 0);
	work_fini(w);
	assert_int_equal(c.cleaned, 0);
}

static void
a_function_goes_on_when_its_fiber_leaves(void **state)
{
	struct work *w = &work;
	struct caller c;

	for (int timeout = 0; timeout < 2; timeout++) {
		work_init(w, *state, 1, 1);
		caller_start(&c, w, &w->gate, timeout ? loop_now(w->loop) + 2000 : CLOCK_NEVER);
		gate_await(&w->gate, 1);
		if (!timeout)
			fiber_cancel(c.fiber);
		kit_now += 2000;
		loop_turn(w->loop, 0);
		assert_int_equal(c.returned, 1);
		assert_int_equal(c.rc, timeout ? WEFT_TIMEOUT : WEFT_CANCELED);
		assert_int_equal(c.cleaned, 0);	/* it still uses its argument */
		gate_open(&w->gate);
		TURN_UNTIL(w->loop, c.cleaned);
		assert_int_equal(c.ran, 1);
		work_fini(w);
		assert_int_equal(c.cleaned, 1);
	}
}

static void
a_function_that_has_not_begun_never_runs(void **state)
{
	struct work *w = &work;
	struct caller c[4];

	work_init(w, *state, 1, 2);
	caller_start(&c[0], w, &w->gate, CLOCK_NEVER);
	gate_await(&w->gate, 1);
	caller_start(&c[1], w, &w->gate, CLOCK_NEVER);
	caller_start(&c[2], w, &w->gate, loop_now(w->loop) + 1000);
	caller_start(&c[3], w, &w->gate, CLOCK_NEVER);
	assert_int_equal(c[3].returned, 1);	/* the queue is full */
	assert_int_equal(c[3].rc, WEFT_BUSY);
	assert_int_equal(c[3].cleaned, 0);
	kit_now += 1000;
	loop_turn(w->loop, 0);
	assert_int_equal(c[2].returned, 1);
	assert_int_equal(c[2].rc, WEFT_TIMEOUT);
	assert_int_equal(c[2].cleaned, 1);
	fiber_cancel(c[1].fiber);
	loop_turn(w->loop, 0);
	assert_int_equal(c[1].rc, WEFT_CANCELED);
	assert_int_equal(c[1].cleaned, 1);
	gate_open(&w->gate);
	TURN_UNTIL(w->loop, c[0].returned);
	assert_int_equal(c[0].rc, WEFT_OK);
	work_fini(w);
	assert_int_equal(c[1].ran + c[2].ran, 0);

	work_init(w, *state, 0, 2);
	caller_start(&c[0], w, &w->gate, CLOCK_NEVER);
	assert_int_equal(c[0].rc, WEFT_SYSTEM);
	assert_int_equal(c[0].cleaned, 0);
	work_fini(w);
}

/* A deadline that has passed already: no wait, but the function may have been begun. */
static void
a_deadline_in_the_past_cleans_up_once(void **state)
{
	struct work *w = &work;
	struct caller c;

	work_init(w, *state, 4, 4);
	gate_open(&w->gate);
	for (int i = 0; i < 100; i++) {
		caller_start(&c, w, &w->gate, loop_now(w->loop) - 1);
		assert_int_equal(c.returned, 1);
		assert_int_equal(c.rc, WEFT_TIMEOUT);
		TURN_UNTIL(w->loop, c.cleaned == 1);
		kit_settle(w->loop);
		assert_int_equal(c.cleaned, 1);
	}
	work_fini(w);
}

static void
caller_cancel_on_task(void *arg)
{
	struct caller *c = arg;

	if (!c->returned)
		fiber_cancel(c->fiber);
}

/* The end and the cancellation meet in all ways; either the fiber has its result or the cleanup is called, once. */
static void
end_and_cancellation_may_meet(void **state)
{
	enum { AT_ONCE = 8, ROUNDS = 60 };
	static struct caller c[AT_ONCE];
	struct work *w = &work;

	work_init(w, *state, 4, AT_ONCE);
	gate_open(&w->gate);
	for (int round = 0; round < ROUNDS; round++) {
		struct loop_task task[AT_ONCE] = { { .fn = NULL } };
		int over = 0;

		for (int i = 0; i < AT_ONCE; i++) {
			caller_start(&c[i], w, &w->gate, CLOCK_NEVER);
			task[i] = (struct loop_task){ .fn = caller_cancel_on_task, .arg = &c[i] };
		}
		for (int i = 0; i < AT_ONCE; i += 1 + round % 3) {
			if (c[i].returned)
				continue;
			if (round % 2)
				loop_after_turn(w->loop, &task[i]);
			else
				fiber_cancel(c[i].fiber);
			if (i % 2)
				loop_turn(w->loop, 0);
		}
		for (int i = 0; i < AT_ONCE; i++) {
			TURN_UNTIL(w->loop, c[i].returned && (c[i].rc == WEFT_OK || c[i].cleaned));
			over += c[i].rc == WEFT_OK ? 1 - c[i].cleaned : c[i].cleaned;
		}
		assert_int_equal(over, AT_ONCE);
	}
	work_fini(w);
}

/* Ended and cancelled in one turn: the function has run, so the fiber is told that. */
static void
an_end_counts_more_than_a_cancellation(void **state)
{
	struct work *w = &work;
	struct caller c;

	work_init(w, *state, 1, 1);
	caller_start(&c, w, &w->gate, CLOCK_NEVER);
	gate_await(&w->gate, 1);
	gate_open(&w->gate);
	threads_free(&w->t);	/* waits for it, and calls its done */
	fiber_cancel(c.fiber);
	loop_turn(w->loop, 0);
	assert_int_equal(c.returned, 1);
	assert_int_equal(c.rc, WEFT_OK);
	assert_int_equal(c.ran, 1);
	assert_int_equal(c.cleaned, 0);
	work_fini(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_CLOCK_TEST(jobs_run_in_order),
		KIT_CLOCK_TEST(threads_and_queue_are_bounded),
		KIT_CLOCK_TEST(a_job_can_be_recalled_until_a_thread_has_it),
		KIT_CLOCK_TEST(freeing_waits_for_running_jobs_and_drops_queued_ones),
		KIT_CLOCK_TEST(freeing_does_not_wait_for_what_can_be_left),
		KIT_CLOCK_TEST(what_ends_in_time_is_not_left),
		KIT_CLOCK_TEST(the_loop_has_threads_of_its_own),
		KIT_CLOCK_TEST(a_fiber_waits_for_a_function),
		KIT_CLOCK_TEST(a_function_goes_on_when_its_fiber_leaves),
		KIT_CLOCK_TEST(a_function_that_has_not_begun_never_runs),
		KIT_CLOCK_TEST(a_deadline_in_the_past_cleans_up_once),
		KIT_CLOCK_TEST(end_and_cancellation_may_meet),
		KIT_CLOCK_TEST(an_end_counts_more_than_a_cancellation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
