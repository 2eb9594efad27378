/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_SUPPORT_H
#define TESTS_UNIT_BACK_SUPPORT_H

/* What the tests of the back layer share: a loop with a clock that can be moved on, and fibers that wait for a call. */

#include <stdbool.h>

#include "back/call.h"
#include "back/pool.h"
#include "base/arena.h"
#include "base/clock.h"

struct loop;

/* Returns a loop whose clock is the real one, moved on by back_skip. */
struct loop *back_loop(void);

/* Let the loop's clock jump. */
void back_skip(usec length);

/* Let it stand still, until back_loop, but for back_skip.  What happens at one time happens in one turn. */
void back_stop_clock(void);

/* Run turns until done(arg), at most so long.  Returns whether it came true. */
bool back_run_until(struct loop *l, bool (*done)(void *arg), void *arg, usec most);

/* Run turns that do not sleep, a few. */
void back_run(struct loop *l);

/* One call, and a fiber that submits it and waits. */
struct ask {
	struct call call;
	struct fault fault;
	struct arena arena;
	struct pool *pool;
	struct fiber *fiber;
	usec wait;		/* how long; 0: for ever */
	enum weft_rc rc;
	bool is_done;
	unsigned order;		/* the how manieth that was done */
	unsigned waits[16];	/* by enum wait_why */
};

/* Begin; the caller sets what is asked in a->call.  ask_fini ends it. */
void ask_init(struct ask *a, struct pool *p, enum call_kind kind);
void ask_fini(struct ask *a);

/* Submit from outside of any fiber; nobody waits. */
void ask_submit(struct ask *a);

/* Start a fiber that submits (if not done so) and waits. */
void ask_start(struct ask *a, struct loop *l);

/* For back_run_until. */
bool ask_is_done(void *ask);

/* Starts the count of ask.order again. */
void ask_reset_order(void);

#endif
