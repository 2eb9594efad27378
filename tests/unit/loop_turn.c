/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What callbacks did, in order. */
struct trail {
	struct loop *loop;
	char at[64];
	size_t len;
	struct loop_task task[3];
	struct timer *timer[3];
	struct watch *watch[2];
	enum weft_rc rc;
	struct fiber *fiber;
	int fd;
	usec deadline;
};

static void
trail_mark(struct trail *t, char c)
{
	t->at[t->len++] = c;
	t->at[t->len] = '\0';
}

/* ---- tasks ---- */

static void
task_on_a(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, 'a');
	loop_after_turn(t->loop, &t->task[1]);
	loop_after_turn(t->loop, &t->task[0]);
}

static void
task_on_b(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, 'b');
	loop_task_cancel(t->loop, &t->task[0]);
}

static void
tasks_run_once_at_the_end_of_the_turn(void **state)
{
	struct trail t = { .loop = *state };

	t.task[0] = (struct loop_task){ .fn = task_on_a, .arg = &t };
	t.task[1] = (struct loop_task){ .fn = task_on_b, .arg = &t };
	loop_after_turn(t.loop, &t.task[0]);
	loop_after_turn(t.loop, &t.task[0]);
	assert_string_equal(t.at, "");
	loop_turn(t.loop, 0);
	assert_string_equal(t.at, "a");
	/* What a task adds is the next turn's, and that turn does not sleep.  b takes a off before it runs. */
	loop_turn(t.loop, CLOCK_NEVER);
	assert_string_equal(t.at, "ab");
	loop_turn(t.loop, 0);
	assert_string_equal(t.at, "ab");
}

static void
task_on_free(void *arg)
{
	free(arg);
}

static void
a_task_may_free_itself(void **state)
{
	struct loop_task *t = calloc(1, sizeof *t);

	t->fn = task_on_free;
	t->arg = t;
	loop_after_turn(*state, t);
	loop_turn(*state, 0);
}

static void
task_on_stop(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, '.');
	if (t->len == 3)
		loop_stop(t->loop);
	else
		loop_after_turn(t->loop, &t->task[0]);
}

static void
the_loop_runs_until_it_is_stopped(void **state)
{
	struct trail t = { .loop = *state };

	t.task[0] = (struct loop_task){ .fn = task_on_stop, .arg = &t };
	loop_after_turn(t.loop, &t.task[0]);
	assert_int_equal(loop_run(t.loop), 0);
	assert_string_equal(t.at, "...");
	loop_stop(t.loop);
	assert_int_equal(loop_run(t.loop), 0);
}

static void
a_turn_sleeps_no_longer_than_it_may(void **state)
{
	usec from = clock_now();

	loop_turn(*state, 3 * USEC_PER_MSEC);
	assert_true(clock_now() - from < 5 * USEC_PER_SEC);
}

/* ---- timers, by a clock of ours ---- */

static void
turn_at(struct loop *l, usec now)
{
	kit_now = now;
	loop_turn(l, 0);
}

static void
timer_on_a(void *arg)
{
	trail_mark(arg, 'a');
}

static void
timer_on_b(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, 'b');
	timer_free(&t->timer[1]);
	timer_free(&t->timer[2]);
}

static void
timer_on_c(void *arg)
{
	trail_mark(arg, 'c');
}

static void
timers_fire_in_order_and_never_early(void **state)
{
	struct trail t = { .loop = *state };
	usec now = loop_now(t.loop);

	t.timer[0] = timer_new(t.loop, timer_on_a, &t);
	t.timer[1] = timer_new(t.loop, timer_on_b, &t);
	t.timer[2] = timer_new(t.loop, timer_on_c, &t);
	timer_set(t.timer[2], now + 20000);
	timer_set(t.timer[1], now + 19999);
	timer_set(t.timer[0], now + 5000);
	turn_at(t.loop, now + 4999);
	assert_string_equal(t.at, "");
	turn_at(t.loop, now + 5000);
	assert_string_equal(t.at, "a");
	turn_at(t.loop, now + 19998);
	assert_string_equal(t.at, "a");
	/* c is due in the same turn as b, and is freed by it. */
	turn_at(t.loop, now + 20000);
	assert_string_equal(t.at, "ab");
	assert_null(t.timer[1]);
	assert_null(t.timer[2]);
	turn_at(t.loop, now + 90000);
	assert_string_equal(t.at, "ab");
	timer_free(&t.timer[0]);
	timer_free(&t.timer[0]);
}

static void
a_timer_can_be_moved_and_unset(void **state)
{
	struct trail t = { .loop = *state };
	usec now = loop_now(t.loop);

	t.timer[0] = timer_new(t.loop, timer_on_a, &t);
	timer_set(t.timer[0], now + 2000);
	timer_set(t.timer[0], now + 12000);	/* later: fires then, and once */
	turn_at(t.loop, now + 2000);
	turn_at(t.loop, now + 11999);
	assert_string_equal(t.at, "");
	turn_at(t.loop, now + 12000);
	assert_string_equal(t.at, "a");
	turn_at(t.loop, now + 13000);
	timer_set(t.timer[0], now + USEC_PER_SEC * 3600);
	timer_set(t.timer[0], now + 14000);	/* earlier */
	turn_at(t.loop, now + 14000);
	assert_string_equal(t.at, "aa");
	timer_set(t.timer[0], now + 15000);
	timer_set(t.timer[0], CLOCK_NEVER);
	turn_at(t.loop, now + USEC_PER_SEC * 7200);
	assert_string_equal(t.at, "aa");
	timer_free(&t.timer[0]);
}

static void
timer_on_again(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, '.');
	timer_set(t->timer[0], 0);
}

static void
a_timer_that_is_always_due_does_not_hold_the_turn(void **state)
{
	struct trail t = { .loop = *state };

	t.timer[0] = timer_new(t.loop, timer_on_again, &t);
	timer_set(t.timer[0], 0);
	loop_turn(t.loop, CLOCK_NEVER);
	assert_string_equal(t.at, ".");
	loop_turn(t.loop, CLOCK_NEVER);
	assert_string_equal(t.at, "..");
	timer_free(&t.timer[0]);
}

static void
a_timer_ends_a_sleep(void **state)
{
	struct trail t = { .loop = *state };
	usec now = loop_now(t.loop);
	int turns = 0;

	t.timer[0] = timer_new(t.loop, timer_on_a, &t);
	timer_set(t.timer[0], now + 10000);
	for (; t.len == 0 && turns < 1000; turns++)
		loop_turn(t.loop, CLOCK_NEVER);
	assert_string_equal(t.at, "a");
	assert_true(loop_now(t.loop) >= now + 10000);
	assert_true(turns < 12);
	timer_free(&t.timer[0]);
}

/* ---- descriptors ---- */

static void
watch_on_any(void *arg, int what)
{
	trail_mark(arg, what == WATCH_READ ? 'r' : what == WATCH_WRITE ? 'w' : '?');
}

static void
a_watch_reports_what_is_wanted(void **state)
{
	struct trail t = { .loop = *state };
	int p[2];

	assert_int_equal(pipe(p), 0);
	t.watch[0] = watch_new(t.loop, p[0], watch_on_any, &t);
	t.watch[1] = watch_new(t.loop, p[1], watch_on_any, &t);
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_turn(t.loop, 0);
	assert_string_equal(t.at, "");
	assert_int_equal(watch_want(t.watch[0], WATCH_READ), 0);
	loop_turn(t.loop, 0);
	loop_turn(t.loop, 0);	/* level-triggered */
	assert_string_equal(t.at, "rr");
	watch_want(t.watch[0], 0);
	watch_want(t.watch[1], WATCH_WRITE);
	loop_turn(t.loop, 0);
	assert_string_equal(t.at, "rrw");
	watch_free(&t.watch[0]);
	watch_free(&t.watch[1]);
	assert_null(t.watch[0]);
	loop_turn(t.loop, 0);
	assert_string_equal(t.at, "rrw");
	close(p[0]);
	close(p[1]);
}

static void
watch_on_free_both(void *arg, int what)
{
	struct trail *t = arg;

	trail_mark(t, 'f');
	watch_free(&t->watch[0]);
	watch_free(&t->watch[1]);
}

/* Both are ready in the same turn; whichever is first frees both. */
static void
a_callback_may_free_its_watch_and_others(void **state)
{
	struct trail t = { .loop = *state };
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	t.watch[0] = watch_new(t.loop, p[0], watch_on_free_both, &t);
	t.watch[1] = watch_new(t.loop, p[1], watch_on_free_both, &t);
	watch_want(t.watch[0], WATCH_READ);
	watch_want(t.watch[1], WATCH_WRITE);
	kit_settle(t.loop);
	assert_string_equal(t.at, "f");
	close(p[0]);
	close(p[1]);
}

static void
a_regular_file_cannot_be_watched(void **state)
{
	struct watch *w;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	w = watch_new(*state, fd, watch_on_any, NULL);
	assert_int_equal(watch_want(w, WATCH_READ), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(watch_want(w, 0), 0);
	watch_free(&w);
	close(fd);
}

/* ---- fibers ---- */

static void
fiber_waits(void *arg)
{
	struct trail *t = arg;

	trail_mark(t, '<');
	t->rc = loop_wait_fd(t->loop, t->fd, WATCH_READ, WAIT_FD, t->deadline);
	trail_mark(t, '>');
}

static void
start_waiting(struct trail *t, int fd, usec deadline)
{
	t->fd = fd;
	t->deadline = deadline;
	t->rc = WEFT_BUSY;
	t->len = 0;
	t->fiber = fiber_new(loop_fibers(t->loop), 0);
	fiber_start(t->fiber, fiber_waits, t);
	loop_turn(t->loop, 0);
}

static void
a_fiber_waits_for_a_descriptor(void **state)
{
	struct trail t = { .loop = *state };
	int p[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pipe(p), 0);
	start_waiting(&t, p[0], CLOCK_NEVER);
	assert_string_equal(t.at, "<");
	assert_int_equal(write(p[1], "x", 1), 1);
	TURN_UNTIL(t.loop, t.len == 2);
	assert_int_equal(t.rc, WEFT_OK);
	assert_int_equal(read(p[0], t.at, 1), 1);

	start_waiting(&t, p[0], kit_now + 5000);
	turn_at(t.loop, kit_now + 4999);
	assert_string_equal(t.at, "<");
	turn_at(t.loop, kit_now + 1);
	assert_string_equal(t.at, "<>");
	assert_int_equal(t.rc, WEFT_TIMEOUT);

	start_waiting(&t, p[0], CLOCK_NEVER);
	fiber_cancel(t.fiber);
	loop_turn(t.loop, CLOCK_NEVER);
	assert_int_equal(t.rc, WEFT_CANCELED);

	start_waiting(&t, file, CLOCK_NEVER);
	assert_int_equal(t.rc, WEFT_SYSTEM);
	assert_int_equal(fiber_sched_alive(loop_fibers(t.loop)), 0);
	close(file);
	close(p[0]);
	close(p[1]);
}

static void
fiber_sleeps(void *arg)
{
	struct trail *t = arg;

	t->rc = fiber_sleep(20 * USEC_PER_MSEC);
	trail_mark(t, '.');
	loop_stop(t->loop);
}

static void
a_sleeping_fiber_does_not_keep_the_loop_busy(void **state)
{
	struct trail t = { .loop = *state };
	struct fiber *f = fiber_new(loop_fibers(t.loop), 0);
	usec from = loop_now(t.loop);
	int turns = 0;

	fiber_start(f, fiber_sleeps, &t);
	for (; t.len == 0 && turns < 1000; turns++)
		loop_turn(t.loop, CLOCK_NEVER);
	assert_int_equal(t.rc, WEFT_OK);
	assert_true(loop_now(t.loop) - from >= 20 * USEC_PER_MSEC);
	assert_true(turns < 12);
}

/* ---- many at once ---- */

enum { CROWD = 200, CROWD_BATCH = 64 };

struct crowd {
	struct loop *loop;
	struct watch *watch[CROWD];
	struct loop_task task;
	unsigned ran, most_ready, tasks;
};

static void
crowd_runs(void *arg)
{
	struct crowd *c = arg;

	c->ran++;
	loop_after_turn(c->loop, &c->task);
}

static void
crowd_on_task(void *arg)
{
	struct crowd *c = arg;

	c->tasks++;
}

static void
crowd_add(struct crowd *c)
{
	struct fiber_sched *s = loop_fibers(c->loop);
	struct fiber *f = fiber_new(s, 0);

	assert_non_null(f);
	fiber_start(f, crowd_runs, c);
	if (fiber_sched_ready(s) > c->most_ready)
		c->most_ready = fiber_sched_ready(s);
}

static void
crowd_on_ready(void *arg, int what)
{
	(void)what;
	crowd_add(arg);
}

/* A turn runs some of them and then its tasks; the rest is for the next, which looks at the descriptors before. */
static void
many_ready_fibers_are_several_turns(void **state)
{
	struct crowd c = { .loop = *state };

	c.task = (struct loop_task){ .fn = crowd_on_task, .arg = &c };
	for (int i = 0; i < CROWD; i++)
		crowd_add(&c);
	for (unsigned turn = 1; c.ran < CROWD; turn++) {
		loop_turn(c.loop, CLOCK_NEVER);
		assert_int_equal(c.ran, turn * CROWD_BATCH < CROWD ? turn * CROWD_BATCH : CROWD);
		assert_int_equal(c.tasks, turn);
	}
}

/* What many descriptors bring in one turn does not pile up. */
static void
fibers_run_between_callbacks_when_there_are_many(void **state)
{
	struct crowd c = { .loop = *state };
	int p[2], fd[CROWD];

	c.task = (struct loop_task){ .fn = crowd_on_task, .arg = &c };
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	for (int i = 0; i < CROWD; i++) {
		fd[i] = dup(p[0]);
		c.watch[i] = watch_new(c.loop, fd[i], crowd_on_ready, &c);
		assert_int_equal(watch_want(c.watch[i], WATCH_READ), 0);
	}
	/* libevent takes 32 events from its first poll, and more from later ones. */
	while (c.ran < 3 * CROWD)
		loop_turn(c.loop, 0);
	assert_int_equal(c.most_ready, CROWD_BATCH);
	assert_true(c.tasks > 3);
	for (int i = 0; i < CROWD; i++) {
		watch_free(&c.watch[i]);
		close(fd[i]);
	}
	while (fiber_sched_alive(loop_fibers(c.loop)) > 0)
		loop_turn(c.loop, 0);
	loop_task_cancel(c.loop, &c.task);
	close(p[0]);
	close(p[1]);
}

/* ---- signals, fork ---- */

static void
signal_on_any(void *arg, int signo)
{
	trail_mark(arg, signo == SIGUSR1 ? '1' : signo == SIGUSR2 ? '2' : '?');
}

static void
signals_arrive_in_the_loop(void **state)
{
	struct trail t = { .loop = loop_new(NULL) };
	sigset_t now;

	signal(SIGUSR2, SIG_IGN);
	assert_int_equal(loop_on_signal(t.loop, SIGUSR1, signal_on_any, &t), 0);
	assert_int_equal(loop_on_signal(t.loop, SIGUSR2, signal_on_any, &t), 0);
	assert_int_equal(loop_on_signal(t.loop, SIGKILL, signal_on_any, &t), -1);
	assert_int_equal(loop_on_signal(t.loop, 0, signal_on_any, &t), -1);
	kill(getpid(), SIGUSR1);
	assert_string_equal(t.at, "");
	TURN_UNTIL(t.loop, t.len == 1);
	kill(getpid(), SIGUSR2);
	TURN_UNTIL(t.loop, t.len == 2);
	assert_string_equal(t.at, "12");
	/* One that comes last does not end the program when the loop goes. */
	kill(getpid(), SIGUSR1);
	loop_free(&t.loop);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	assert_false(sigismember(&now, SIGUSR1));
	assert_string_equal(t.at, "12");
}

/* The child gets its own readiness and signals, and takes nothing of the parent's. */
static void
the_loop_goes_on_after_fork(void **state)
{
	struct trail t = { .loop = *state };
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	t.watch[0] = watch_new(t.loop, p[0], watch_on_any, &t);
	watch_want(t.watch[0], WATCH_READ);
	assert_int_equal(loop_on_signal(t.loop, SIGUSR1, signal_on_any, &t), 0);
	pid = fork();
	if (pid == 0) {
		if (loop_after_fork(t.loop) != 0)
			_exit(1);
		loop_turn(t.loop, 0);
		if (t.len != 0)
			_exit(2);
		kill(getpid(), SIGUSR1);
		loop_turn(t.loop, USEC_PER_SEC);
		if (strcmp(t.at, "1") != 0 || write(p[1], "x", 1) != 1)
			_exit(3);
		loop_turn(t.loop, USEC_PER_SEC);
		_exit(strcmp(t.at, "1r") == 0 ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	loop_turn(t.loop, USEC_PER_SEC);
	assert_string_equal(t.at, "r");
	watch_free(&t.watch[0]);
	close(p[0]);
	close(p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(tasks_run_once_at_the_end_of_the_turn),
		KIT_TEST(a_task_may_free_itself),
		KIT_TEST(the_loop_runs_until_it_is_stopped),
		KIT_TEST(a_turn_sleeps_no_longer_than_it_may),
		KIT_CLOCK_TEST(timers_fire_in_order_and_never_early),
		KIT_CLOCK_TEST(a_timer_can_be_moved_and_unset),
		KIT_TEST(a_timer_that_is_always_due_does_not_hold_the_turn),
		KIT_TEST(a_timer_ends_a_sleep),
		KIT_TEST(a_watch_reports_what_is_wanted),
		KIT_TEST(a_callback_may_free_its_watch_and_others),
		KIT_TEST(a_regular_file_cannot_be_watched),
		KIT_CLOCK_TEST(a_fiber_waits_for_a_descriptor),
		KIT_TEST(a_sleeping_fiber_does_not_keep_the_loop_busy),
		KIT_TEST(many_ready_fibers_are_several_turns),
		KIT_TEST(fibers_run_between_callbacks_when_there_are_many),
		cmocka_unit_test(signals_arrive_in_the_loop),
		KIT_TEST(the_loop_goes_on_after_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
