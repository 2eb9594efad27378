/* SPDX-License-Identifier: ISC */
/* The exported API: waiting for time, descriptors, threads, and functions on fibers of their own. */
#include "tests/unit/app_rig.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "app/fail.h"

/* The handler of each test, and what it found. */
static int (*wait_test)(struct weft_request *rq);
static int wait_rc;
static char wait_log[64];

static int
wait_handler(struct weft_request *rq)
{
	return wait_test(rq);
}

static void
wait_note(const char *what)
{
	size_t len = strlen(wait_log);

	snprintf(wait_log + len, sizeof wait_log - len, "%s ", what);
}

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	wait_test = test;
	wait_log[0] = '\0';
	wait_rc = -1;
	if (r->app.nroutes == 0)
		rig_route(r, "GET", "/", wait_handler);
	rig_new(r, a, "GET", "/", NULL);
	rig_start(r, a);
}

/* ---- time ---- */

static long sleep_ms, deadline_ms;

static int
sleep_once(struct weft_request *rq)
{
	if (deadline_ms != LONG_MAX)
		assert_int_equal(weft_deadline(rq, deadline_ms), WEFT_OK);
	wait_rc = weft_sleep(rq, sleep_ms);
	return wait_rc == WEFT_OK ? weft_puts(rq, "slept") : weft_fail(rq);
}

static void
sleep_case(struct rig *r, long ms, long deadline, long skip, int rc)
{
	struct answer a;

	sleep_ms = ms;
	deadline_ms = deadline;
	begin(r, &a, sleep_once);
	if (skip >= 0) {
		assert_false(a.is_done);
		rig_skip(skip * USEC_PER_MSEC);
	}
	rig_finish(r, &a);
	assert_int_equal(wait_rc, rc);
	answer_is(&a, rc == WEFT_OK ? 200 : 504, rc == WEFT_OK ? "slept" : "504 Gateway Timeout\n");
	answer_free(&a);
}

static void
sleeps(void **state)
{
	struct rig *r = *state;

	sleep_case(r, 0, LONG_MAX, -1, WEFT_OK);
	sleep_case(r, -5, LONG_MAX, -1, WEFT_OK);
	sleep_case(r, 50000, LONG_MAX, 50001, WEFT_OK);
	/* The request's own deadline is 60 s. */
	sleep_case(r, 61000, LONG_MAX, 61001, WEFT_TIMEOUT);
	sleep_case(r, LONG_MAX, LONG_MAX, 61001, WEFT_TIMEOUT);
	/* Brought forward, and never put off. */
	sleep_case(r, 50000, 1000, 1001, WEFT_TIMEOUT);
	sleep_case(r, 90000, 80000, 61001, WEFT_TIMEOUT);
	sleep_case(r, 50000, 0, -1, WEFT_TIMEOUT);
	sleep_case(r, 50000, -7, -1, WEFT_TIMEOUT);
}

static int
look_at_the_time(struct weft_request *rq)
{
	long left = weft_time_left(rq);

	assert_int_equal(left, 60000);
	assert_int_equal(weft_deadline(rq, LONG_MAX), WEFT_OK);
	assert_int_equal(weft_time_left(rq), left);
	assert_int_equal(weft_deadline(rq, 5000), WEFT_OK);
	assert_int_equal(weft_time_left(rq), 5000);
	rig_skip(6 * USEC_PER_SEC);
	assert_int_equal(weft_time_left(rq), 0);
	return WEFT_OK;
}

static void
knows_the_time_left(void **state)
{
	struct answer a;

	begin(*state, &a, look_at_the_time);
	assert_true(a.is_done);
	answer_free(&a);
}

static void
routes_have_deadlines(void **state)
{
	const struct weft_route quick = { "GET", "/", wait_handler, 0, 300 };
	struct rig *r = *state;

	assert_int_equal(app_add_route(&r->app, NULL, "", &quick, r->error, sizeof r->error), 0);
	sleep_case(r, 200, LONG_MAX, 201, WEFT_OK);
	sleep_case(r, 1000, LONG_MAX, 301, WEFT_TIMEOUT);
}

/* ---- descriptors and threads ---- */

static int wait_pipe[2];

static int
wait_for_pipe(struct weft_request *rq)
{
	char c = 0;

	assert_int_equal(weft_wait_fd(rq, -1, WEFT_READ, 0), WEFT_INVALID);
	assert_int_equal(weft_wait_fd(rq, wait_pipe[0], 0, 0), WEFT_INVALID);
	assert_int_equal(weft_wait_fd(rq, wait_pipe[0], WEFT_READ, 0), WEFT_TIMEOUT);
	assert_int_equal(weft_wait_fd(rq, wait_pipe[1], WEFT_WRITE, -1), WEFT_OK);
	if (weft_wait_fd(rq, wait_pipe[0], WEFT_READ, sleep_ms) != WEFT_OK)
		return weft_fail(rq);
	assert_int_equal(read(wait_pipe[0], &c, 1), 1);
	return weft_write(rq, &c, 1);
}

static void
waits_for_descriptors(void **state)
{
	static const long at_most[] = { -1, 50000, LONG_MAX };
	struct rig *r = *state;
	struct answer a;

	assert_int_equal(pipe(wait_pipe), 0);
	for (size_t i = 0; i < sizeof at_most / sizeof at_most[0]; i++) {
		sleep_ms = at_most[i];
		begin(r, &a, wait_for_pipe);
		assert_false(a.is_done);
		assert_int_equal(write(wait_pipe[1], "w", 1), 1);
		rig_finish(r, &a);
		answer_is(&a, 200, "w");
		answer_free(&a);
	}
	sleep_ms = 500;
	begin(r, &a, wait_for_pipe);
	rig_skip(501 * USEC_PER_MSEC);
	rig_finish(r, &a);
	answer_is(&a, 504, "504 Gateway Timeout\n");
	answer_free(&a);
	close(wait_pipe[0]);
	close(wait_pipe[1]);
}

static int offload_begun, offload_got, offload_cleaned;

/* Reads one byte, however long that takes. */
static void
offload_read(void *arg)
{
	char c = 0;

	(void)arg;
	__atomic_store_n(&offload_begun, 1, __ATOMIC_SEQ_CST);
	if (read(wait_pipe[0], &c, 1) == 1)
		offload_got = c;
}

static void
offload_clean(void *arg)
{
	(void)arg;
	__atomic_store_n(&offload_cleaned, 1, __ATOMIC_SEQ_CST);
}

static int
offload_once(struct weft_request *rq)
{
	wait_rc = weft_offload(rq, offload_read, NULL, offload_clean);
	return wait_rc == WEFT_OK ? weft_printf(rq, "%c", offload_got) : weft_fail(rq);
}

/* Turn until a thread has set it. */
static void
turn_until_set(struct rig *r, const int *flag)
{
	usec end = clock_now() + 10 * USEC_PER_SEC;

	while (clock_now() < end && !__atomic_load_n(flag, __ATOMIC_SEQ_CST))
		loop_turn(r->loop, USEC_PER_MSEC);
	assert_int_equal(*flag, 1);
}

static void
runs_functions_on_threads(void **state)
{
	struct rig *r = *state;
	struct answer a;

	assert_int_equal(pipe(wait_pipe), 0);
	begin(r, &a, offload_once);
	assert_false(a.is_done);
	assert_int_equal(write(wait_pipe[1], "t", 1), 1);
	rig_finish(r, &a);
	answer_is(&a, 200, "t");
	answer_free(&a);
	/* Nobody waits any more: the function goes on, and what it uses is cleaned up after it. */
	offload_begun = offload_cleaned = 0;
	begin(r, &a, offload_once);
	turn_until_set(r, &offload_begun);
	rig_gone(r, &a);
	assert_int_equal(wait_rc, WEFT_CANCELED);
	assert_int_equal(offload_cleaned, 0);
	assert_int_equal(write(wait_pipe[1], "u", 1), 1);
	turn_until_set(r, &offload_cleaned);
	answer_free(&a);
	close(wait_pipe[0]);
	close(wait_pipe[1]);
}

/* A module that ends frees what its functions use. */
static void
functions_on_threads_end_before_their_module(void **state)
{
	struct rig *r = *state;
	struct answer a;

	assert_int_equal(pipe(wait_pipe), 0);
	offload_begun = offload_cleaned = 0;
	begin(r, &a, offload_once);
	turn_until_set(r, &offload_begun);
	rig_gone(r, &a);
	assert_int_equal(wait_rc, WEFT_CANCELED);
	answer_free(&a);
	assert_int_equal(write(wait_pipe[1], "v", 1), 1);
	app_fini(&r->app);
	assert_int_equal(offload_cleaned, 1);
	assert_int_equal(app_init(&r->app, r->loop), 0);
	close(wait_pipe[0]);
	close(wait_pipe[1]);
}

/* ---- functions on fibers of their own ---- */

/* Sleeps arg milliseconds, then returns WEFT_OK; for a negative one fails with its result, at once. */
static int
child(struct weft_request *rq, void *arg)
{
	long ms = *(long *)arg;
	char note[32];
	int rc;

	if (ms < 0)
		return fail_note(rq, (enum weft_rc)-ms, 0, "child %ld", ms);
	rc = weft_sleep(rq, ms);
	snprintf(note, sizeof note, "%ld%s", ms, rc == WEFT_OK ? "" : rc == WEFT_CANCELED ? "-gone" : "-late");
	wait_note(note);
	return rc;
}

static long child_ms[] = { 3000, 1000, 2000 };

static int
spawn_three(struct weft_request *rq)
{
	struct weft_call *call[3];

	for (int i = 0; i < 3; i++)
		assert_non_null(call[i] = weft_spawn(rq, child, &child_ms[i]));
	wait_rc = weft_wait_all(rq, call, 3);
	wait_note("all");
	if (wait_rc != WEFT_OK)
		return weft_fail(rq);
	/* Again: the same results, at once. */
	assert_int_equal(weft_wait(rq, call[1]), WEFT_OK);
	assert_null(weft_call_reply(call[1]));
	assert_null(weft_call_rows(call[1]));
	return weft_puts(rq, wait_log);
}

static void
children_run_at_the_same_time(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, spawn_three);
	for (int i = 0; i < 3; i++) {
		rig_skip(1001 * USEC_PER_MSEC);
		rig_settle(r);
	}
	answer_is(&a, 200, "1000 2000 3000 all ");
	answer_free(&a);
}

static void
children_go_with_their_request(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, spawn_three);
	rig_gone(r, &a);
	assert_int_equal(wait_rc, WEFT_CANCELED);
	assert_non_null(strstr(wait_log, "3000-gone"));
	assert_non_null(strstr(wait_log, "1000-gone"));
	assert_non_null(strstr(wait_log, "2000-gone"));
	answer_free(&a);
}

static int
fail_two(struct weft_request *rq)
{
	static long ms[] = { 1000, -WEFT_BUSY, -WEFT_REFUSED };
	struct weft_call *call[3];

	for (int i = 0; i < 3; i++)
		call[i] = weft_spawn(rq, child, &ms[i]);
	wait_rc = weft_wait_all(rq, call, 3);
	assert_string_equal(weft_fault_text(rq), "child -6");
	assert_int_equal(weft_wait(rq, call[2]), WEFT_REFUSED);
	assert_string_equal(weft_fault_text(rq), "child -3");
	assert_int_equal(weft_wait(rq, call[0]), WEFT_OK);
	assert_int_equal(weft_wait(rq, NULL), WEFT_SYSTEM);
	return weft_wait(rq, call[1]);
}

static void
the_first_failure_by_place_counts(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, fail_two);
	assert_false(a.is_done);	/* all are waited for */
	rig_skip(1001 * USEC_PER_MSEC);
	rig_finish(r, &a);
	assert_int_equal(wait_rc, WEFT_BUSY);
	answer_is(&a, 503, "503 Service Unavailable\n");
	answer_free(&a);
}

static int
return_a_number(struct weft_request *rq, void *arg)
{
	(void)rq;
	return *(int *)arg;
}

static int
wait_for_a_number(struct weft_request *rq)
{
	int rc = WEFT_TIMEOUT;

	fail_note(rq, WEFT_DOWN, 0, "of something else");
	wait_rc = weft_wait(rq, weft_spawn(rq, return_a_number, &rc));
	assert_string_equal(weft_fault_text(rq), "a function on a fiber of its own returned 4 (no answer in time)");
	return weft_fail(rq);
}

static void
a_child_may_only_return_a_code(void **state)
{
	struct answer a;

	begin(*state, &a, wait_for_a_number);
	assert_int_equal(wait_rc, WEFT_TIMEOUT);
	answer_is(&a, 504, "504 Gateway Timeout\n");
	answer_free(&a);
}

static int
leave_children(struct weft_request *rq)
{
	static long ms = 50000;

	for (int i = 0; i < 3; i++)
		assert_non_null(weft_spawn(rq, child, &ms));
	weft_puts(rq, "done");
	return WEFT_OK;
}

/* Nobody waits for them: they are told, and the request ends after they did. */
static void
children_left_behind_are_put_away(void **state)
{
	struct answer a;

	begin(*state, &a, leave_children);
	answer_is(&a, 200, "done");
	assert_string_equal(wait_log, "50000-gone 50000-gone 50000-gone ");
	answer_free(&a);
}

static int
wait_late(struct weft_request *rq, void *arg)
{
	if (weft_sleep(rq, 500) == WEFT_OK)
		wait_note(weft_wait(rq, *(struct weft_call **)arg) == WEFT_INVALID ? "busy" : "done");
	return WEFT_OK;
}

static int
slow_to_leave(struct weft_request *rq, void *arg)
{
	(void)rq;
	(void)arg;
	fiber_shield();
	assert_int_equal(fiber_sleep(USEC_PER_SEC), WEFT_OK);
	fiber_unshield();
	wait_note("slow");
	return WEFT_OK;
}

static int
leave_two_that_know_each_other(struct weft_request *rq)
{
	static struct weft_call *slow;

	assert_non_null(weft_spawn(rq, wait_late, &slow));
	assert_non_null(slow = weft_spawn(rq, slow_to_leave, NULL));
	return WEFT_OK;
}

/* The end of the request waits for one child; another one asks for it only then. */
static void
children_may_know_each_other(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, leave_two_that_know_each_other);
	assert_false(a.is_done);
	rig_skip(501 * USEC_PER_MSEC);
	rig_settle(r);
	assert_string_equal(wait_log, "busy ");
	rig_skip(2 * USEC_PER_SEC);
	rig_finish(r, &a);
	answer_is(&a, 200, "");
	assert_string_equal(wait_log, "busy slow ");
	answer_free(&a);
}

static int
two_wait_for_one(struct weft_request *rq)
{
	static long ms = 50000;
	static struct weft_call *one;
	struct weft_call *other;

	one = weft_spawn(rq, child, &ms);
	other = weft_spawn(rq, wait_late, &one);
	assert_non_null(other);
	return weft_wait(rq, one);
}

static void
only_one_waits_for_a_call(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, two_wait_for_one);
	rig_skip(501 * USEC_PER_MSEC);
	rig_settle(r);
	assert_string_equal(wait_log, "busy ");
	rig_gone(r, &a);
	assert_string_equal(wait_log, "busy 50000-gone ");
	answer_free(&a);
}

/* The calls of a ring; each function waits for the next one, the last for the first. */
static struct weft_call *ring[3];

static int
wait_for_the_next(struct weft_request *rq, void *arg)
{
	struct weft_call **next = arg;
	int rc;

	rc = weft_wait(rq, *next);
	wait_note(rc == WEFT_OK ? "ok" : rc == WEFT_INVALID ? "ring" : "other");
	return WEFT_OK;
}

static int
wait_in_a_ring(struct weft_request *rq)
{
	for (size_t i = 0; i < 3; i++)
		assert_non_null(ring[i] = weft_spawn(rq, wait_for_the_next, &ring[(i + 1) % 3]));
	return weft_wait(rq, ring[0]);
}

static int
wait_for_oneself(struct weft_request *rq)
{
	return weft_wait(rq, ring[0] = weft_spawn(rq, wait_for_the_next, &ring[0]));
}

/* Each would wait for the others to end, whatever the deadline. */
static void
functions_that_wait_for_each_other_are_told(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, wait_in_a_ring);
	rig_finish(r, &a);
	answer_is(&a, 200, "");
	assert_non_null(strstr(wait_log, "ring "));
	answer_free(&a);
}

static void
a_function_that_waits_for_itself_is_told(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, wait_for_oneself);
	rig_finish(r, &a);
	assert_string_equal(wait_log, "ring ");
	answer_free(&a);
}

static int
child_with_deadline(struct weft_request *rq, void *arg)
{
	(void)arg;
	assert_int_equal(weft_deadline(rq, 1000), WEFT_OK);
	return weft_sleep(rq, 50000);
}

static int
spawn_with_deadline(struct weft_request *rq)
{
	struct weft_call *c = weft_spawn(rq, child_with_deadline, NULL);

	wait_rc = weft_wait(rq, c);
	return weft_fail(rq);
}

static void
a_child_may_bring_the_deadline_forward(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, spawn_with_deadline);
	assert_false(a.is_done);
	rig_skip(1001 * USEC_PER_MSEC);
	rig_finish(r, &a);
	assert_int_equal(wait_rc, WEFT_TIMEOUT);
	answer_is(&a, 504, "504 Gateway Timeout\n");
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(sleeps),
		RIG_TEST(knows_the_time_left),
		RIG_TEST(routes_have_deadlines),
		RIG_TEST(waits_for_descriptors),
		RIG_TEST(runs_functions_on_threads),
		RIG_TEST(functions_on_threads_end_before_their_module),
		RIG_TEST(children_run_at_the_same_time),
		RIG_TEST(children_go_with_their_request),
		RIG_TEST(the_first_failure_by_place_counts),
		RIG_TEST(a_child_may_only_return_a_code),
		RIG_TEST(children_left_behind_are_put_away),
		RIG_TEST(children_may_know_each_other),
		RIG_TEST(only_one_waits_for_a_call),
		RIG_TEST(functions_that_wait_for_each_other_are_told),
		RIG_TEST(a_function_that_waits_for_itself_is_told),
		RIG_TEST(a_child_may_bring_the_deadline_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
