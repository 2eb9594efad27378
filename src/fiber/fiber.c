/* SPDX-License-Identifier: ISC */

/*
 * A fiber's life.  It is in one of these states, and moves so:
 *
 *	NEW -> READY -> RUNNING -> ENDED
 *	         ^         |
 *	         |         +-> READY     fiber_yield
 *	         |         v
 *	         +----- WAITING          fiber_wait; woken, timed out or cancelled
 *
 * Whatever ends a wait first decides what fiber_wait returns
 * (fiber_make_ready); what comes later in the same turn finds the fiber READY
 * and changes nothing.
 *
 * A mapping, from its top: struct fiber, the stack.  They share a page, which
 * is all that a fiber touches of it unless its frames are deep.  The room lies elsewhere, packed
 * with those of other fibers (room.h); a small one, or a very large one, lies above the struct.
 *
 * The clock is read at a wait that has a deadline, and around one that is
 * traced.
 */
#include "fiber/fiber.h"

#include <stdint.h>

#include "base/must.h"
#include "fiber/sched.h"

enum {
	FIBER_ALIGN = 16,		/* of the struct, and of a room above it */
	FIBER_ROOM_NEAR = 256,		/* bytes: of a room up to that more is lost by packing than gained */

	FIBER_PATIENCE = 10000,		/* microseconds in which an owner who has been told may try other waits */
	FIBER_PENALTY = 1000,		/* microseconds that the first one takes after that; each takes twice as long as the one before … */
	FIBER_PENALTY_MAX = 16000	/* … up to that */
};

void
fiber_unmake(struct fiber *f)
{
	struct fiber_sched *s = f->sched;
	struct stack stack = f->stack;

	s->alive--;
	if (f->slab != NULL)
		room_put(&s->rooms, f->slab, f->room);
	stack_put(&s->stacks, &stack);
}

static size_t
fiber_struct_size(void)
{
	return (sizeof(struct fiber) + FIBER_ALIGN - 1) / FIBER_ALIGN * FIBER_ALIGN;
}

/* Go back to the loop until somebody makes the fiber ready. */
static void
fiber_suspend(struct fiber *f)
{
	context_switch(&f->context, &f->sched->loop);
}

/* The outermost function of every fiber. */
static void
fiber_main(void *arg)
{
	struct fiber *f = arg;
	struct fiber_defer *d;

	f->fn(f->arg);
	f->shields++;
	while ((d = f->defers) != NULL) {
		f->defers = d->next;
		d->fn(d->arg);
	}
	f->state = FIBER_ENDED;
	context_leave(&f->context, &f->sched->loop);
}

/* Make a fiber whose room is given, or, where it is NULL, the last bytes of its mapping. */
static struct fiber *
fiber_make(struct fiber_sched *s, size_t room, char *at, struct room_slab *slab)
{
	size_t above = fiber_struct_size() + (at != NULL ? 0 : (room + FIBER_ALIGN - 1) / FIBER_ALIGN * FIBER_ALIGN);
	struct stack stack;
	struct fiber *f;

	if (stack_get(&s->stacks, s->stack_size + above, &stack) != 0)
		return NULL;
	f = (struct fiber *)(stack_top(&stack) - above);
	*f = (struct fiber){ .sched = s, .deadline = CLOCK_NEVER, .stack = stack, .room = at, .slab = slab };
	if (at == NULL)
		f->room = (char *)f + fiber_struct_size();
	context_make(&f->context, stack.low, stack.size - above, fiber_main, f);
	s->alive++;
	return f;
}

struct fiber *
fiber_new(struct fiber_sched *s, size_t room)
{
	struct room_slab *slab = NULL;
	struct fiber *f;
	char *at = NULL;

	if (s->alive >= s->max || room > SIZE_MAX / 8 || s->stack_size > SIZE_MAX / 8)
		return NULL;
	/* One deadline each, so no wait can fail for want of memory. */
	if (timerq_reserve(&s->timers, s->alive + 1) != 0)
		return NULL;
	if (room > FIBER_ROOM_NEAR && room <= ROOM_MAX && (at = room_get(&s->rooms, room, &slab)) == NULL)
		return NULL;
	f = fiber_make(s, room, at, slab);
	if (f == NULL && at != NULL)
		room_put(&s->rooms, slab, at);
	return f;
}

void *
fiber_room(struct fiber *f)
{
	return f->room;
}

void
fiber_drop(struct fiber **fp)
{
	struct fiber *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	must(f->state == FIBER_NEW);
	context_drop(&f->context);
	fiber_unmake(f);
}

void
fiber_start(struct fiber *f, void (*fn)(void *arg), void *arg)
{
	must(f->state == FIBER_NEW);
	f->fn = fn;
	f->arg = arg;
	f->state = FIBER_READY;
	fiber_queue_add(&f->sched->ready, f);
}

struct fiber *
fiber_self(void)
{
	return fiber_running;
}

struct fiber_sched *
fiber_sched(const struct fiber *f)
{
	return f->sched;
}

/* When cancellation or its own deadline ends the fiber's waits: 0 at once, CLOCK_NEVER never. */
static usec
fiber_end_of_waits(const struct fiber *f)
{
	usec end = f->canceled ? 0 : f->deadline;

	if (f->shields > 0)
		return CLOCK_NEVER;
	return end < f->held_until ? f->held_until : end;
}

/* When the present wait ends at the latest. */
static usec
fiber_wait_until(const struct fiber *f)
{
	return clock_min(f->wait_deadline, fiber_end_of_waits(f));
}

/* The owner is told; of which wait first is kept.  from 0: nobody has looked at the clock then. */
static enum weft_rc
fiber_tell(struct fiber *f, enum wait_why why, usec from, usec now)
{
	enum weft_rc rc = f->canceled ? WEFT_CANCELED : WEFT_TIMEOUT;

	if (f->late.why == WAIT_NONE)
		f->late = (struct fiber_late){ .why = why, .rc = rc, .length = from == 0 ? 0 : now - from };
	if (f->late_since == 0)
		f->late_since = now;
	return rc;
}

/* A wait that may not begin. */
static enum weft_rc
fiber_refuse(struct fiber *f, enum wait_why why)
{
	usec now = f->sched->clock();
	enum weft_rc rc = fiber_tell(f, why, now, now);

	if (now - f->late_since < FIBER_PATIENCE)
		return rc;
	/* Told before, and waits again, maybe for ever: others have to run meanwhile. */
	f->penalty = f->penalty == 0 ? FIBER_PENALTY : f->penalty < FIBER_PENALTY_MAX ? f->penalty * 2 : FIBER_PENALTY_MAX;
	f->late.is_obstinate = true;
	f->shields++;
	if (fiber_wait(why, now + f->penalty) == WEFT_OK)
		rc = WEFT_OK;
	f->shields--;
	return rc;
}

enum weft_rc
fiber_wait(enum wait_why why, usec deadline)
{
	struct fiber *f = fiber_running;
	usec end, until, from = 0;

	must(f != NULL);
	must((unsigned)why < WAIT_COUNT && why != WAIT_NONE);
	end = fiber_end_of_waits(f);
	if (end == 0)
		return fiber_refuse(f, why);
	f->wait_deadline = deadline;
	until = clock_min(deadline, end);
	if (until != CLOCK_NEVER || f->trace != NULL)
		from = f->sched->clock();
	if (until != CLOCK_NEVER) {
		if (until <= from)
			return end <= from ? fiber_refuse(f, why) : WEFT_TIMEOUT;
		timerq_add(&f->sched->timers, &f->timer, until);
	}
	f->why = why;
	f->state = FIBER_WAITING;
	/* Twice: what waits now is worth seeing too. */
	if (f->trace != NULL)
		f->trace(f->trace_arg, why, from, CLOCK_NEVER);
	fiber_suspend(f);
	if (f->trace != NULL)
		f->trace(f->trace_arg, why, from, f->sched->clock());
	if (f->rc == WEFT_OK)
		return WEFT_OK;
	end = fiber_end_of_waits(f);
	if (f->rc != WEFT_CANCELED && (end == 0 || end >= f->wait_deadline))
		return f->rc;
	return fiber_tell(f, why, from, f->sched->clock());
}

void
fiber_yield(void)
{
	struct fiber *f = fiber_running;
	struct fiber_sched *s;

	must(f != NULL);
	s = f->sched;
	fiber_queue_add(f->yielded == s->turn ? &s->later : &s->ready, f);
	f->yielded = s->turn;
	f->state = FIBER_READY;
	fiber_suspend(f);
}

void
fiber_wake(struct fiber *f)
{
	if (f->state == FIBER_WAITING)
		fiber_make_ready(f, WEFT_OK);
}

/* What ends the present wait has changed. */
static void
fiber_set_timer(struct fiber *f)
{
	usec until = fiber_wait_until(f);

	timerq_remove(&f->sched->timers, &f->timer);
	if (until != CLOCK_NEVER)
		timerq_add(&f->sched->timers, &f->timer, until);
}

void
fiber_cancel(struct fiber *f)
{
	f->canceled = true;
	if (f->state != FIBER_WAITING)
		return;
	if (fiber_end_of_waits(f) == 0)
		fiber_make_ready(f, WEFT_CANCELED);
	else
		fiber_set_timer(f);
}

enum weft_rc
fiber_check(void)
{
	const struct fiber *f = fiber_running;
	usec end;

	must(f != NULL);
	end = fiber_end_of_waits(f);
	if (end == CLOCK_NEVER || (end != 0 && end > f->sched->clock()))
		return WEFT_OK;
	return f->canceled ? WEFT_CANCELED : WEFT_TIMEOUT;
}

enum weft_rc
fiber_may_wait(enum wait_why why)
{
	struct fiber *f = fiber_running;
	usec end;

	must(f != NULL);
	end = fiber_end_of_waits(f);
	if (end == CLOCK_NEVER || (end != 0 && end > fiber_sched_lately(f->sched)))
		return WEFT_OK;
	/* Though it may have been woken: by whatever it was, not by what has not begun. */
	(void)fiber_refuse(f, why);
	return f->canceled ? WEFT_CANCELED : WEFT_TIMEOUT;
}

bool
fiber_is_canceled(const struct fiber *f)
{
	return f->canceled;
}

void
fiber_shield(void)
{
	must(fiber_running != NULL);
	fiber_running->shields++;
}

void
fiber_unshield(void)
{
	must(fiber_running != NULL && fiber_running->shields > 0);
	fiber_running->shields--;
}

void
fiber_hold(usec until)
{
	struct fiber *f = fiber_running;

	must(f != NULL);
	f->holds++;
	if (f->held_until < until)
		f->held_until = until;
}

void
fiber_release(void)
{
	struct fiber *f = fiber_running;

	must(f != NULL);
	if (f->holds == 0 || --f->holds > 0)
		return;
	f->held_until = 0;
	/* What it was told before the section is told anew. */
	f->late_since = f->penalty = 0;
}

void
fiber_hold_as_self(struct fiber *f)
{
	must(fiber_running != NULL && f->state != FIBER_WAITING);
	if (fiber_running->held_until == 0)
		return;
	f->holds++;
	f->held_until = fiber_running->held_until;
}

bool
fiber_is_late(const struct fiber *f, struct fiber_late *out)
{
	if (f->late.why == WAIT_NONE)
		return false;
	*out = f->late;
	return true;
}

void
fiber_set_deadline(struct fiber *f, usec deadline)
{
	f->deadline = deadline;
	if (f->state == FIBER_WAITING)
		fiber_set_timer(f);
}

usec
fiber_deadline(const struct fiber *f)
{
	return f->deadline;
}

void
fiber_defer(struct fiber_defer *d)
{
	must(fiber_running != NULL);
	d->next = fiber_running->defers;
	fiber_running->defers = d;
}

bool
fiber_undefer(struct fiber_defer *d)
{
	struct fiber_defer **at;

	must(fiber_running != NULL);
	for (at = &fiber_running->defers; *at != NULL; at = &(*at)->next) {
		if (*at == d) {
			*at = d->next;
			return true;
		}
	}
	return false;
}

void
fiber_set_trace(struct fiber *f, fiber_trace_fn *fn, void *arg)
{
	f->trace = fn;
	f->trace_arg = arg;
}

void
fiber_set_label(struct fiber *f, const char *label)
{
	f->label = label;
}

const char *
fiber_label(const struct fiber *f)
{
	return f->label != NULL ? f->label : "fiber";
}

enum wait_why
fiber_why(const struct fiber *f)
{
	return f->why;
}

enum weft_rc
fiber_sleep(usec length)
{
	struct fiber *f = fiber_running;
	enum weft_rc rc = WEFT_OK;
	usec until;

	must(f != NULL);
	until = clock_add(f->sched->clock(), length);
	while (rc == WEFT_OK)
		rc = fiber_wait(WAIT_SLEEP, until);
	/* Two deadlines may have passed; the sleep is over when its own was the earlier. */
	if (rc == WEFT_TIMEOUT && fiber_wait_until(f) == until)
		return WEFT_OK;
	return rc;
}

size_t
fiber_stack_size(const struct fiber *f)
{
	return f->sched->stack_size;
}

bool
fiber_has_guard_at(const struct fiber *f, const void *at)
{
	return stack_has_guard_at(&f->stack, at);
}
