/* SPDX-License-Identifier: ISC */
#ifndef FIBER_FIBER_H
#define FIBER_FIBER_H

/*
 * Fibers: functions with a stack of their own that take turns on one thread.
 *
 * A scheduler owns its fibers and is used by one thread only.  It does no I/O
 * and reads time only through the clock it was given, so tests drive it with a
 * clock of their own.  The loop calls fiber_sched_run() once a turn.
 *
 * A fiber is suspended in one function only, fiber_wait(): it names the reason
 * and has a deadline, and every wait may end in WEFT_TIMEOUT or WEFT_CANCELED.
 * Whoever makes true what a fiber waits for calls fiber_wake().  Wakes are not
 * remembered: waking a fiber which is not waiting does nothing, so a waiter
 * checks its condition first and again after each return:
 *
 *	while (!me.done && rc == WEFT_OK)
 *		rc = fiber_wait(WAIT_POOL, deadline);
 *
 * Whoever goes on waiting for long after having been told of cancellation or of the
 * fiber's deadline is slowed down, so that a loop which never asks why it fails holds up nobody.
 *
 * Memory: a fiber's struct is at the top of its stack's mapping and shares a
 * page with its first frames; below the stack is a guard area.  The room its
 * owner asked for lies side by side with those of others.  Stacks and rooms are kept
 * for the next fiber, so one costs no malloc.
 */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/clock.h"
#include "fiber/why.h"

struct fiber;
struct fiber_sched;

struct fiber_conf {
	size_t stack_size;		/* bytes a fiber may use, at least; 0: 128 KiB */
	unsigned max;			/* fibers at once; 0: 100000.  Before Linux 6.13 vm.max_map_count allows about 32000 */
	unsigned cache;			/* free stacks kept mapped; 0: 1024.  Of those over 128 the pages are given back */
	usec (*clock)(void);		/* NULL: clock_now */
};

/* Returns a scheduler, or NULL when memory is refused.  The caller frees it. */
struct fiber_sched *fiber_sched_new(const struct fiber_conf *conf);

/* Free the scheduler and all cached stacks; *sp becomes NULL.  No fiber may be left alive. */
void fiber_sched_free(struct fiber_sched **sp);

enum { FIBER_ROUNDS = 64 };

/*
 * Wake every fiber whose deadline has passed, then run all ready fibers, and
 * those that they make ready, until none is ready.  Not from within a fiber.
 *
 * Ready fibers run in the order in which they became ready.  The call always
 * ends, so that the loop gets to its descriptors: a fiber's second fiber_yield within
 * one call lasts until the next, and after FIBER_ROUNDS rounds (one is all the
 * fibers that were ready at its beginning) fibers which go on waking each
 * other stay ready for the next call; fiber_sched_next is 0 then.
 *
 * Returns  how many times a fiber ran
 */
unsigned fiber_sched_run(struct fiber_sched *s);

/* As fiber_sched_run, but at most so many times a fiber; the others stay ready. */
unsigned fiber_sched_run_some(struct fiber_sched *s, unsigned most);

/* Returns how many fibers are ready. */
unsigned fiber_sched_ready(const struct fiber_sched *s);

/* Returns when fiber_sched_run must be called next: 0 when a fiber is ready, CLOCK_NEVER when none waits for a time. */
usec fiber_sched_next(const struct fiber_sched *s);

/* Returns how often fiber_sched_run or fiber_sched_run_some was called; wraps around.  Any thread may ask. */
unsigned fiber_sched_turns(const struct fiber_sched *s);

/* Returns the number of fibers alive (made and not yet ended or dropped). */
unsigned fiber_sched_alive(const struct fiber_sched *s);

/* Returns the time by the scheduler's clock, in microseconds. */
usec fiber_sched_now(const struct fiber_sched *s);

/*
 * Returns the time at which it was first asked for in this turn: for what a millisecond is nothing to, such as
 * since when a peer is silent.  Reading the clock several times for each request is a tenth of what a short one costs.
 * Outside of a turn the same as fiber_sched_now.
 */
usec fiber_sched_lately(struct fiber_sched *s);

enum fiber_turn { FIBER_TURN_BEGINS, FIBER_TURN_ENDS };

/* A turn begins, or ends: the time is asked for anew. */
void fiber_sched_turn(struct fiber_sched *s, enum fiber_turn what);

/*
 * Make a fiber that does not run yet.
 *
 * room     bytes which are the caller's until the fiber ends: fiber_room().
 *          Not counted in stack_size.  All rooms of the usual sizes get as large as the largest so far
 * Returns  the fiber, NULL when the limit is reached or memory is refused
 * Owns     the scheduler owns it from fiber_start on; before that, the caller
 *          may fiber_drop it
 */
struct fiber *fiber_new(struct fiber_sched *s, size_t room);

/* Returns the room asked for: aligned for any object, uninitialised, valid until the fiber ends. */
void *fiber_room(struct fiber *f);

/* Give back a fiber that was never started; *fp becomes NULL. */
void fiber_drop(struct fiber **fp);

/*
 * Make a new fiber ready; fn(arg) runs on its stack in the next
 * fiber_sched_run, or in the present one when a fiber calls this.  When fn
 * returns, the fiber and its room are gone.
 */
void fiber_start(struct fiber *f, void (*fn)(void *arg), void *arg);

/* Returns the running fiber, or NULL when none runs (the loop itself). */
struct fiber *fiber_self(void);

/* Returns the scheduler of a fiber. */
struct fiber_sched *fiber_sched(const struct fiber *f);

/*
 * Suspend the running fiber.
 *
 * why       what for; reported to the fiber's trace
 * deadline  absolute; CLOCK_NEVER for the fiber's own deadline alone.  The
 *           fiber's own (fiber_set_deadline) applies too, unless shielded
 *
 * Returns  WEFT_OK        woken by fiber_wake: check the condition again
 *          WEFT_TIMEOUT   a deadline passed (at once, without a switch, when
 *                         it already has)
 *          WEFT_CANCELED  fiber_cancel was called (at once when it already
 *                         was); stays so at every later wait
 */
enum weft_rc fiber_wait(enum wait_why why, usec deadline) __attribute__((warn_unused_result));

/* Let the other ready fibers run first; returns in the same fiber_sched_run, the second time in the next one. */
void fiber_yield(void);

/* Make a waiting fiber ready; fiber_wait returns WEFT_OK.  Nothing when it does not wait. */
void fiber_wake(struct fiber *f);

/* Cancel: the present wait and all later ones return WEFT_CANCELED, unless shielded.  May be called more than once. */
void fiber_cancel(struct fiber *f);

/* Returns what a wait of the running fiber would return at once: WEFT_CANCELED, WEFT_TIMEOUT; else WEFT_OK. */
enum weft_rc fiber_check(void);

/*
 * Before something is begun that will be waited for: may a wait begin?  By the time of this turn, which costs less.
 *
 * Returns  WEFT_OK; WEFT_TIMEOUT, WEFT_CANCELED: fiber_wait would refuse, and this counts as a wait that was refused
 */
enum weft_rc fiber_may_wait(enum wait_why why) __attribute__((warn_unused_result));

/* Returns true when the fiber has been cancelled, shielded or not. */
bool fiber_is_canceled(const struct fiber *f);

/* From here on the running fiber's waits ignore cancellation and its own deadline.  Nests. */
void fiber_shield(void);

/* Ends the innermost fiber_shield. */
void fiber_unshield(void);

/*
 * From here on, until a time at most, the running fiber's waits ignore cancellation and its own deadline; what was
 * held back arrives at the first wait after it, or at the present one when the time is over.  Nests: the latest time
 * counts.
 */
void fiber_hold(usec until);

/* Ends the innermost fiber_hold; nothing where there is none. */
void fiber_release(void);

/* Hold back for another fiber, until the same time, what is held back for the running one. */
void fiber_hold_as_self(struct fiber *f);

/* The wait that was ended first by cancellation or by the fiber's own deadline. */
struct fiber_late {
	enum wait_why why;
	enum weft_rc rc;		/* WEFT_TIMEOUT, WEFT_CANCELED */
	usec length;			/* of that wait */
	bool is_obstinate;		/* its owner was told long ago and goes on waiting: its waits are slowed down */
};

/* True when there is one; *out is set then. */
bool fiber_is_late(const struct fiber *f, struct fiber_late *out);

/* Set the absolute deadline that all waits of the fiber inherit, the present one too; CLOCK_NEVER for none. */
void fiber_set_deadline(struct fiber *f, usec deadline);

/* Returns that deadline. */
usec fiber_deadline(const struct fiber *f);

/*
 * Something to do when the fiber ends, however it ends.  The struct is the
 * caller's and must live until then: in the fiber's room or its arena, not in
 * a frame, since all functions have returned by then.
 */
struct fiber_defer {
	void (*fn)(void *arg);
	void *arg;
	struct fiber_defer *next;
};

/*
 * Register d with the running fiber.  After the fiber's function has returned, all run on its
 * stack, last registered first, shielded from cancellation and deadline.
 */
void fiber_defer(struct fiber_defer *d);

/* Take back a registration of the running fiber; true when it was registered. */
bool fiber_undefer(struct fiber_defer *d);

/*
 * Where a fiber's time goes.  Called before each wait and after it, on the fiber's
 * stack; not for one that returned at once.
 *
 * from, until  the wait's beginning and end, by the scheduler's clock; until is CLOCK_NEVER
 *              before it
 */
typedef void fiber_trace_fn(void *arg, enum wait_why why, usec from, usec until);

/* Report each wait of f to fn(arg, …) from now on; NULL for none. */
void fiber_set_trace(struct fiber *f, fiber_trace_fn *fn, void *arg);

/* Name the fiber for when it crashes, e.g. "shop: GET /item/:id"; borrowed, must live as long as the fiber. */
void fiber_set_label(struct fiber *f, const char *label);

/* Returns the label, or "fiber". */
const char *fiber_label(const struct fiber *f);

/* Returns what the fiber waits for now, WAIT_NONE when it runs or is ready. */
enum wait_why fiber_why(const struct fiber *f);

/*
 * Sleep.  length in microseconds.
 *
 * Returns  WEFT_OK when the time has passed; WEFT_TIMEOUT when the fiber's
 *          deadline came first; WEFT_CANCELED
 */
enum weft_rc fiber_sleep(usec length) __attribute__((warn_unused_result));

/* Returns the bytes of stack that the fiber may use, as configured. */
size_t fiber_stack_size(const struct fiber *f);

/* True when the address lies in the guard area below the fiber's stack: whoever touched it has overflowed. */
bool fiber_has_guard_at(const struct fiber *f, const void *at);

/*
 * Catch stack overflows and crashes: on SIGSEGV and SIGBUS (on an alternate
 * stack) say on stderr which fiber, by its label, and whether its stack
 * overflowed into its guard area, then let the signal take the action that was
 * set before, by default a core dump.  Once a process; for the thread that
 * calls it.
 *
 * Returns  0, or -1 with errno
 */
int fiber_guard_install(void);

#endif
