/* SPDX-License-Identifier: ISC */

/*
 * The scheduler and its fibers.
 *
 * A fiber is in one of four states, and moves so:
 *
 *	NEW -> READY -> RUNNING -> ENDED
 *	         ^         |
 *	         |         +-> READY     fiber_yield
 *	         |         v
 *	         +----- WAITING          fiber_wait; woken, timed out or cancelled
 *
 * READY fibers are in a queue, first in, first out; WAITING ones with a
 * deadline are in the timer queue.  Whatever ends a wait first decides what
 * fiber_wait returns (fiber_make_ready); what comes later in the same turn
 * finds the fiber READY and changes nothing.
 *
 * All fibers switch to and from the thread's own stack, never to each other:
 * the queue is in one place, and an ended fiber's stack is put away by somebody
 * who does not stand on it.
 *
 * A mapping, from its top: the room, struct fiber, the stack.  The room's
 * beginning, which is used most, is next to the struct and to the outermost
 * frames, so they share a page even where the room is large.
 *
 * The clock is read at a wait that has a deadline, around a wait that is
 * traced, and once a turn when any deadline is set.
 */
#include "fiber/fiber.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/must.h"
#include "fiber/context.h"
#include "fiber/stack.h"
#include "fiber/timerq.h"

enum {
	FIBER_STACK_DEFAULT = 128 * 1024,
	FIBER_MAX_DEFAULT = 100000,
	FIBER_CACHE_DEFAULT = 1024,
	FIBER_ALIGN = 64	/* of the struct; a cache line */
};

enum fiber_state { FIBER_NEW, FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ENDED };

struct fiber_queue {
	struct fiber *head;
	struct fiber *tail;
	unsigned count;
};

/* One a thread's loop.  Its owner is whoever called fiber_sched_new. */
struct fiber_sched {
	struct context loop;		/* the thread's own stack */
	struct fiber_queue ready;
	struct fiber_queue later;	/* those that have yielded twice in this turn */
	struct timerq timers;
	struct stack_pool stacks;
	usec (*clock)(void);
	size_t stack_size;
	unsigned max;
	unsigned alive;
	unsigned turn;			/* counts fiber_sched_run */
};

/* In its stack's mapping.  Owned by its maker while NEW, by the scheduler from then on. */
struct fiber {
	struct context context;
	struct fiber_sched *sched;
	struct fiber *next;		/* in a fiber_queue */
	enum fiber_state state;
	enum weft_rc rc;		/* what the wait that ended returns */
	enum wait_why why;
	unsigned shields;
	bool canceled;
	unsigned yielded;		/* the turn of the last fiber_yield */
	struct timerq_entry timer;
	usec wait_deadline;		/* given with the present wait */
	usec deadline;
	struct fiber_defer *defers;
	fiber_trace_fn *trace;
	void *trace_arg;
	const char *label;
	void (*fn)(void *arg);
	void *arg;
	struct stack stack;
};

/* A fiber stays on its thread, so this may be kept in a register across a wait. */
static _Thread_local struct fiber *fiber_running;

static void
fiber_queue_add(struct fiber_queue *q, struct fiber *f)
{
	f->next = NULL;
	if (q->count++ == 0)
		q->head = f;
	else
		q->tail->next = f;
	q->tail = f;
}

static struct fiber *
fiber_queue_take(struct fiber_queue *q)
{
	struct fiber *f = q->head;

	q->head = f->next;
	q->count--;
	return f;
}

struct fiber_sched *
fiber_sched_new(const struct fiber_conf *conf)
{
	struct fiber_sched *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->clock = conf->clock != NULL ? conf->clock : clock_now;
	s->stack_size = conf->stack_size != 0 ? conf->stack_size : FIBER_STACK_DEFAULT;
	s->max = conf->max != 0 ? conf->max : FIBER_MAX_DEFAULT;
	timerq_init(&s->timers);
	if (stack_pool_init(&s->stacks, conf->cache != 0 ? conf->cache : FIBER_CACHE_DEFAULT) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

void
fiber_sched_free(struct fiber_sched **sp)
{
	struct fiber_sched *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	must(s->alive == 0);
	stack_pool_fini(&s->stacks);
	timerq_fini(&s->timers);
	free(s);
}

unsigned
fiber_sched_alive(const struct fiber_sched *s)
{
	return s->alive;
}

usec
fiber_sched_now(const struct fiber_sched *s)
{
	return s->clock();
}

usec
fiber_sched_next(const struct fiber_sched *s)
{
	if (s->ready.count > 0 || s->later.count > 0)
		return 0;
	return timerq_next(&s->timers);
}

/* End a wait, as rc says.  The first to come decides. */
static void
fiber_make_ready(struct fiber *f, enum weft_rc rc)
{
	must(f->state == FIBER_WAITING);
	timerq_remove(&f->sched->timers, &f->timer);
	f->state = FIBER_READY;
	f->rc = rc;
	f->why = WAIT_NONE;
	fiber_queue_add(&f->sched->ready, f);
}

static struct fiber *
fiber_of_timer(struct timerq_entry *e)
{
	return (struct fiber *)((char *)e - offsetof(struct fiber, timer));
}

static void
fiber_sched_expire(struct fiber_sched *s)
{
	struct timerq_entry *e;
	usec now;

	if (timerq_next(&s->timers) == CLOCK_NEVER)
		return;
	now = s->clock();
	while ((e = timerq_pop(&s->timers, now)) != NULL)
		fiber_make_ready(fiber_of_timer(e), WEFT_TIMEOUT);
}

/* Give back the mapping, and the fiber with it. */
static void
fiber_unmake(struct fiber *f)
{
	struct fiber_sched *s = f->sched;
	struct stack stack = f->stack;

	s->alive--;
	stack_put(&s->stacks, &stack);
}

static void
fiber_resume(struct fiber *f)
{
	must(f->state == FIBER_READY);
	f->state = FIBER_RUNNING;
	fiber_running = f;
	context_switch(&f->sched->loop, &f->context);
	fiber_running = NULL;
	if (f->state == FIBER_ENDED)
		fiber_unmake(f);
}

unsigned
fiber_sched_run(struct fiber_sched *s)
{
	unsigned ran = 0, round, left;

	must(fiber_running == NULL);
	s->turn++;
	fiber_sched_expire(s);
	while (s->later.count > 0)
		fiber_queue_add(&s->ready, fiber_queue_take(&s->later));
	for (round = 0; round < FIBER_ROUNDS && s->ready.count > 0; round++) {
		for (left = s->ready.count; left > 0; left--, ran++)
			fiber_resume(fiber_queue_take(&s->ready));
	}
	return ran;
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

struct fiber *
fiber_new(struct fiber_sched *s, size_t room)
{
	struct stack stack;
	struct fiber *f;
	size_t above;

	if (s->alive >= s->max || room > SIZE_MAX / 8 || s->stack_size > SIZE_MAX / 8)
		return NULL;
	above = fiber_struct_size() + (room + FIBER_ALIGN - 1) / FIBER_ALIGN * FIBER_ALIGN;
	/* One deadline each, so no wait can fail for want of memory. */
	if (timerq_reserve(&s->timers, s->alive + 1) != 0)
		return NULL;
	if (stack_get(&s->stacks, s->stack_size + above, &stack) != 0)
		return NULL;
	f = (struct fiber *)(stack_top(&stack) - above);
	*f = (struct fiber){ .sched = s, .deadline = CLOCK_NEVER, .stack = stack };
	context_make(&f->context, stack.low, stack.size - above, fiber_main, f);
	s->alive++;
	return f;
}

void *
fiber_room(struct fiber *f)
{
	return (char *)f + fiber_struct_size();
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

/* When the present wait ends at the latest. */
static usec
fiber_wait_until(const struct fiber *f)
{
	return f->shields > 0 ? f->wait_deadline : clock_min(f->wait_deadline, f->deadline);
}

enum weft_rc
fiber_wait(enum wait_why why, usec deadline)
{
	struct fiber *f = fiber_running;
	usec until, from = 0;

	must(f != NULL);
	must((unsigned)why < WAIT_COUNT && why != WAIT_NONE);
	if (f->canceled && f->shields == 0)
		return WEFT_CANCELED;
	f->wait_deadline = deadline;
	until = fiber_wait_until(f);
	if (until != CLOCK_NEVER || f->trace != NULL)
		from = f->sched->clock();
	if (until != CLOCK_NEVER) {
		if (until <= from)
			return WEFT_TIMEOUT;
		timerq_add(&f->sched->timers, &f->timer, until);
	}
	f->why = why;
	f->state = FIBER_WAITING;
	fiber_suspend(f);
	if (f->trace != NULL)
		f->trace(f->trace_arg, why, from, f->sched->clock());
	return f->rc;
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

void
fiber_cancel(struct fiber *f)
{
	f->canceled = true;
	if (f->state == FIBER_WAITING && f->shields == 0)
		fiber_make_ready(f, WEFT_CANCELED);
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
fiber_set_deadline(struct fiber *f, usec deadline)
{
	usec until;

	f->deadline = deadline;
	if (f->state != FIBER_WAITING)
		return;
	timerq_remove(&f->sched->timers, &f->timer);
	until = fiber_wait_until(f);
	if (until != CLOCK_NEVER)
		timerq_add(&f->sched->timers, &f->timer, until);
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
