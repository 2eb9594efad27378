/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "loop/loop.h"

static usec back_skew, back_stopped;
static unsigned ask_order;

static usec
back_clock(void)
{
	return (back_stopped != 0 ? back_stopped : clock_now()) + back_skew;
}

struct loop *
back_loop(void)
{
	struct fiber_conf conf = { .clock = back_clock };
	struct loop *l = loop_new(&conf);

	must(l != NULL);
	back_skew = back_stopped = 0;
	return l;
}

void
back_stop_clock(void)
{
	back_stopped = clock_now();
}

void
back_skip(usec length)
{
	back_skew += length;
}

bool
back_run_until(struct loop *l, bool (*done)(void *arg), void *arg, usec most)
{
	usec end = clock_now() + most;

	while (!done(arg)) {
		if (clock_now() >= end)
			return false;
		loop_turn(l, 5 * USEC_PER_MSEC);
	}
	return true;
}

void
back_run(struct loop *l)
{
	for (int i = 0; i < 4; i++)
		loop_turn(l, 0);
}

void
ask_init(struct ask *a, struct pool *p, enum call_kind kind)
{
	memset(a, 0, sizeof *a);
	arena_init(&a->arena, NULL, 0, 64 << 20);
	call_init(&a->call, kind, &a->arena, &a->fault);
	a->call.sql = "SELECT 1";
	a->pool = p;
}

void
ask_fini(struct ask *a)
{
	arena_fini(&a->arena);
}

void
ask_submit(struct ask *a)
{
	pool_submit(a->pool, &a->call);
}

static void
ask_on_trace(void *arg, enum wait_why why, usec from, usec until)
{
	struct ask *a = arg;

	if (until != CLOCK_NEVER)	/* told when it begins, and when it is over */
		a->waits[why]++;
}

static void
ask_run(void *arg)
{
	struct ask *a = arg;
	usec until = a->wait == 0 ? CLOCK_NEVER : back_clock() + a->wait;

	if (a->call.state == CALL_NEW)
		pool_submit(a->pool, &a->call);
	a->rc = call_wait(&a->call, until);
	a->order = ++ask_order;
	a->is_done = true;
	a->fiber = NULL;
}

void
ask_start(struct ask *a, struct loop *l)
{
	a->fiber = fiber_new(loop_fibers(l), 0);
	must(a->fiber != NULL);
	fiber_set_trace(a->fiber, ask_on_trace, a);
	fiber_start(a->fiber, ask_run, a);
}

bool
ask_is_done(void *ask)
{
	return ((struct ask *)ask)->is_done;
}

void
ask_reset_order(void)
{
	ask_order = 0;
}
