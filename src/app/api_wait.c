/* SPDX-License-Identifier: ISC */
/* The exported API: waiting for time, descriptors, threads, and what was begun before. */
#include <weft/weft.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "loop/loop.h"
#include "loop/thread.h"

/* A length of time from the caller's milliseconds: none when negative, and what is too long is very long. */
static usec
api_length(long ms)
{
	return ms < 0 ? 0 : ms > CLOCK_NEVER / USEC_PER_MSEC ? CLOCK_NEVER : (usec)ms * USEC_PER_MSEC;
}

usec
api_until(const struct weft_request *rq, long ms)
{
	return clock_add(loop_now(rq->app->loop), api_length(ms));
}

static int
api_waited(struct weft_request *rq, enum weft_rc rc, const char *what)
{
	if (rc == WEFT_OK)
		return WEFT_OK;
	return fail_note(rq, rc, 0, "%s: %s", what, rc == WEFT_TIMEOUT ? "its time is over" : fail_words(rc));
}

int
weft_sleep(struct weft_request *rq, long ms)
{
	return api_waited(rq, fiber_sleep(api_length(ms)), "sleep");
}

int
weft_wait_fd(struct weft_request *rq, int fd, int what, long ms)
{
	int mask = (what & WEFT_READ ? WATCH_READ : 0) | (what & WEFT_WRITE ? WATCH_WRITE : 0);

	if (fd < 0 || mask == 0)
		return fail_note(rq, WEFT_INVALID, 0, "weft_wait_fd: descriptor %d, what %d", fd, what);
	return api_waited(rq, loop_wait_fd(rq->app->loop, fd, mask, WAIT_FD, ms < 0 ? CLOCK_NEVER : api_until(rq, ms)),
	    "wait for a descriptor");
}

int
weft_offload(struct weft_request *rq, void (*fn)(void *arg), void *arg, void (*cleanup)(void *arg))
{
	struct threads *t = loop_threads(rq->app->loop);
	enum weft_rc late = fiber_may_wait(WAIT_THREAD);

	if (late != WEFT_OK) {
		/* As of a wait that ended early: what was borrowed for fn is not the caller's any more. */
		if (cleanup != NULL)
			cleanup(arg);
		return fail_note(rq, late, 0, "offload: not begun: %s", fail_words(late));
	}
	if (t == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "offload: no threads");
	return api_waited(rq, threads_run(t, fn, arg, cleanup, WAIT_THREAD, CLOCK_NEVER), "offload");
}

long
weft_time_left(const struct weft_request *rq)
{
	usec left = fiber_deadline(rq->rq.fiber) - loop_now(rq->app->loop);

	return left < 0 ? 0 : (long)(left / USEC_PER_MSEC);
}

int
weft_deadline(struct weft_request *rq, long ms)
{
	struct fiber *f = rq->rq.fiber, *self = fiber_self();
	usec until = api_until(rq, ms);

	fiber_set_deadline(f, clock_min(fiber_deadline(f), until));
	/* One that was spawned has its own copy. */
	fiber_set_deadline(self, clock_min(fiber_deadline(self), until));
	return WEFT_OK;
}

int
weft_shield(struct weft_request *rq, long ms)
{
	if (ms < 1 || ms > WEFT_SHIELD_MAX)
		return fail_note(rq, WEFT_INVALID, 0, "weft_shield: %ld ms: 1 to %d are allowed", ms, WEFT_SHIELD_MAX);
	fiber_hold(api_until(rq, ms));
	return WEFT_OK;
}

void
weft_unshield(struct weft_request *rq)
{
	(void)rq;
	fiber_release();
}

/* ---- functions on fibers of their own ---- */

/* What the child noted last is its failure, unless it returned something else or another has noted since. */
static void
api_child_fault(struct weft_call *c)
{
	if (c->rq->fault_rc == c->call.rc && c->rq->fault != NULL) {
		c->fault = *c->rq->fault;
		c->status = c->rq->fault_status;
		c->pool = c->rq->fault_pool;
	} else {
		fault_set(&c->fault, c->call.rc, NULL, "a function on a fiber of its own returned %d (%s)", (int)c->call.rc,
		    fail_words(c->call.rc));
	}
}

static void
api_child_run(void *arg)
{
	struct weft_call *c = *(struct weft_call **)arg;
	struct fiber *waiter;

	c->call.rc = (enum weft_rc)c->fn(c->rq, c->arg);
	if (c->call.rc != WEFT_OK)
		api_child_fault(c);
	c->child = NULL;
	c->call.state = CALL_DONE;
	waiter = c->call.waiter;
	if (waiter != NULL)
		fiber_wake(waiter);
	else
		fiber_wake(c->rq->rq.fiber);	/* it may wait for us at its end */
}

struct weft_call *
weft_spawn(struct weft_request *rq, int (*fn)(struct weft_request *rq, void *arg), void *arg)
{
	struct weft_call *c = arena_zalloc(&rq->rq.arena, sizeof *c);
	struct fiber *self = rq->rq.fiber;

	if (c == NULL)
		return NULL;
	call_init(&c->call, CALL_SQL, &rq->rq.arena, &c->fault);
	c->child = fiber_new(fiber_sched(self), sizeof(struct weft_call *));
	if (c->child == NULL)
		return NULL;
	c->rq = rq;
	c->fn = fn;
	c->arg = arg;
	c->spawned = true;
	*(struct weft_call **)fiber_room(c->child) = c;
	fiber_set_label(c->child, fiber_label(self));
	fiber_set_deadline(c->child, fiber_deadline(self));
	fiber_hold_as_self(c->child);
	fiber_set_trace(c->child, timeline_wait, &rq->rq.timeline);
	LIST_INSERT_HEAD(&rq->calls, c, link);
	fiber_start(c->child, api_child_run, fiber_room(c->child));
	return c;
}

/* The call whose function runs now; NULL on the request's own fiber, for which nobody waits. */
static struct weft_call *
api_self(const struct weft_request *rq)
{
	struct fiber *self = fiber_self();

	return self == rq->rq.fiber ? NULL : *(struct weft_call **)fiber_room(self);
}

/* Would two functions, or more in a ring, wait for each other?  Not even their deadline would end that. */
static bool
api_is_ring(const struct weft_call *c, const struct weft_call *me)
{
	while (c != NULL && c != me)
		c = c->waits;
	return c != NULL;
}

static enum weft_rc
api_wait_child(struct weft_call *c, struct weft_call *me)
{
	enum weft_rc rc = WEFT_OK;

	c->call.waiter = fiber_self();
	if (me != NULL)
		me->waits = c;
	while (c->child != NULL && rc == WEFT_OK)
		rc = fiber_wait(WAIT_FIBER, CLOCK_NEVER);
	/* Cancelled or late: so is the child.  It uses the request's memory, so it is waited for all the same. */
	fiber_shield();
	while (c->child != NULL) {
		fiber_cancel(c->child);
		if (fiber_wait(WAIT_FIBER, CLOCK_NEVER) != WEFT_OK)
			break;
	}
	fiber_unshield();
	if (me != NULL)
		me->waits = NULL;
	c->call.waiter = NULL;
	return c->call.rc;
}

int
weft_wait(struct weft_request *rq, struct weft_call *call)
{
	struct weft_call *me;
	enum weft_rc rc;

	if (call == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "out of memory or fibers");
	me = api_self(rq);
	if (call->link.le_prev != NULL) {
		if (call->spawned && me != NULL && api_is_ring(call, me))
			return fail_note(rq, WEFT_INVALID, 0, "weft_wait: functions that wait for each other");
		LIST_REMOVE(call, link);
		call->link.le_prev = NULL;
		rc = call->spawned ? api_wait_child(call, me) : call_wait(&call->call, CLOCK_NEVER);
	} else if (call->call.state == CALL_DONE) {
		rc = call->call.rc;	/* waited for before */
	} else {
		return fail_note(rq, WEFT_INVALID, 0, "weft_wait: another fiber waits for this call");
	}
	return rc == WEFT_OK ? WEFT_OK : fail_note_call(rq, call);
}

int
weft_wait_all(struct weft_request *rq, struct weft_call *const *call, size_t n)
{
	struct weft_call *bad = NULL;
	int first = WEFT_OK;

	for (size_t i = 0; i < n; i++) {
		int rc = weft_wait(rq, call[i]);

		if (rc != WEFT_OK && first == WEFT_OK) {
			first = rc;
			bad = call[i];
		}
	}
	if (bad != NULL)
		return fail_note_call(rq, bad);
	return first;
}
