/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <time.h>

#include "loop/stall.h"

/* What is tested is real time: short, and long enough for a busy machine. */
#define LIMIT (40 * USEC_PER_MSEC)

static usec
processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (usec)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

static void
compute(usec length)
{
	usec end = processor_time() + length;

	while (processor_time() < end)
		continue;
}

static void
block(usec length)
{
	struct timespec ts = { .tv_nsec = length * 1000 };

	nanosleep(&ts, NULL);
}

struct work {
	struct loop *loop;
	struct stall *stall;
	struct loop_task task;
	struct fiber *fiber;
	void (*how)(usec length);
	usec length;
	unsigned rounds;
};

static void
work_on_task(void *arg)
{
	struct work *w = arg;

	w->how(w->length);
	if (--w->rounds > 0)
		loop_after_turn(w->loop, &w->task);
}

/* Returns how many stalls were seen. */
static unsigned
work_run(struct loop *l, void (*how)(usec length), usec length, unsigned rounds)
{
	struct work w = { .loop = l, .how = how, .length = length, .rounds = rounds };
	unsigned count;

	w.task = (struct loop_task){ .fn = work_on_task, .arg = &w };
	w.stall = stall_start(l, LIMIT);
	assert_non_null(w.stall);
	loop_after_turn(l, &w.task);
	while (w.rounds > 0)
		loop_turn(l, 0);
	/* And a while of nothing. */
	loop_turn(l, LIMIT / 2);
	count = stall_count(w.stall);
	stall_stop(&w.stall);
	assert_null(w.stall);
	return count;
}

static void
a_callback_that_computes_is_seen(void **state)
{
	assert_int_equal(work_run(*state, compute, 3 * LIMIT, 1), 1);
}

static void
a_callback_that_blocks_is_seen(void **state)
{
	assert_int_equal(work_run(*state, block, 3 * LIMIT, 1), 1);
}

static void
each_turn_is_seen_by_itself(void **state)
{
	assert_int_equal(work_run(*state, block, 2 * LIMIT, 3), 3);
}

static void
short_turns_are_not(void **state)
{
	assert_int_equal(work_run(*state, compute, LIMIT / 8, 30), 0);
	assert_int_equal(work_run(*state, block, LIMIT / 8, 30), 0);
}

static void
polling_is_not(void **state)
{
	struct stall *s = stall_start(*state, LIMIT);

	assert_non_null(s);
	loop_turn(*state, 3 * LIMIT);
	assert_int_equal(stall_count(s), 0);
	stall_stop(&s);
}

static void
fiber_computes(void *arg)
{
	compute(2 * LIMIT);
}

static void
a_fiber_is_seen(void **state)
{
	struct stall *s = stall_start(*state, LIMIT);
	struct fiber *f = fiber_new(loop_fibers(*state), 0);

	assert_non_null(s);
	fiber_set_label(f, "somebody who computes");
	fiber_start(f, fiber_computes, NULL);
	loop_turn(*state, 0);
	assert_int_equal(stall_count(s), 1);
	stall_stop(&s);
}

static void
ending_nothing_is_fine(void **state)
{
	struct stall *s = NULL;

	stall_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_callback_that_computes_is_seen),
		KIT_TEST(a_callback_that_blocks_is_seen),
		KIT_TEST(each_turn_is_seen_by_itself),
		KIT_TEST(short_turns_are_not),
		KIT_TEST(polling_is_not),
		KIT_TEST(a_fiber_is_seen),
		KIT_TEST(ending_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
