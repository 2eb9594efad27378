/* SPDX-License-Identifier: ISC */
/*
 * A fiber that waits for a function on a thread.
 *
 * The function cannot be stopped, so when the fiber's wait ends early one of
 * two things is true, and the loop's thread, on which all of this happens, knows which: no thread
 * has begun the job, which is recalled and never runs; or its done will be
 * called, and finds that nobody waits.  Either way the cleanup is called then, once.
 */
#include <stdlib.h>

#include "fiber/fiber.h"
#include "loop/thread.h"

/* On the heap, as it may outlive the fiber's wait.  The loop's thread alone reads and writes fiber and over. */
struct thread_run {
	struct thread_job job;
	struct fiber *fiber;		/* NULL: it does not wait any more */
	bool over;
	void (*fn)(void *arg);
	void (*cleanup)(void *arg);
	void *arg;
};

static void
thread_run_on_thread(void *arg)
{
	struct thread_run *run = arg;

	run->fn(run->arg);
}

/* Nobody waits: what was borrowed for the function goes. */
static void
thread_run_drop(struct thread_run *run)
{
	if (run->cleanup != NULL)
		run->cleanup(run->arg);
	free(run);
}

static void
thread_run_on_done(void *arg)
{
	struct thread_run *run = arg;

	if (run->fiber == NULL) {
		thread_run_drop(run);
		return;
	}
	run->over = true;
	fiber_wake(run->fiber);
}

enum weft_rc
threads_run(struct threads *t, void (*fn)(void *arg), void *arg, void (*cleanup)(void *arg), enum wait_why why, usec deadline)
{
	struct thread_run *run = calloc(1, sizeof *run);
	enum weft_rc rc;

	if (run == NULL)
		return WEFT_SYSTEM;
	run->job = (struct thread_job){ .fn = thread_run_on_thread, .done = thread_run_on_done, .arg = run };
	run->fiber = fiber_self();
	run->fn = fn;
	run->cleanup = cleanup;
	run->arg = arg;
	rc = threads_submit(t, &run->job);
	if (rc != WEFT_OK) {
		free(run);
		return rc;
	}
	while (!run->over && rc == WEFT_OK)
		rc = fiber_wait(why, deadline);
	if (run->over) {	/* though the wait may have been ended early in the same turn */
		free(run);
		return WEFT_OK;
	}
	run->fiber = NULL;
	if (threads_recall(t, &run->job))
		thread_run_drop(run);
	return rc;
}
