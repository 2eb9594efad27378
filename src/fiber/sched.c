/* SPDX-License-Identifier: ISC */

/*
 * The scheduler: whose turn it is.
 *
 * READY fibers are in a queue, first in, first out; WAITING ones with a
 * deadline are in the timer queue too.  All fibers switch to and from the thread's
 * own stack, never to each other: the queue is looked at in one place, and an
 * ended fiber's stack is put away by somebody who does not stand on it.
 *
 * The clock is read once a turn, and only when any deadline is set or somebody asks (lately).
 */
#include "fiber/sched.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/must.h"

enum { FIBER_STACK_DEFAULT = 128 * 1024, FIBER_MAX_DEFAULT = 100000, FIBER_CACHE_DEFAULT = 1024 };

_Thread_local struct fiber *fiber_running;

void
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
	room_pool_init(&s->rooms);
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
	room_pool_fini(&s->rooms);
	timerq_fini(&s->timers);
	free(s);
}

unsigned
fiber_sched_turns(const struct fiber_sched *s)
{
	return __atomic_load_n(&s->turn, __ATOMIC_RELAXED);
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
fiber_sched_lately(struct fiber_sched *s)
{
	if (s->has_lately)
		return s->lately;
	if (!s->in_turn)
		return s->clock();
	s->has_lately = true;
	return s->lately = s->clock();
}

void
fiber_sched_turn(struct fiber_sched *s, enum fiber_turn what)
{
	s->in_turn = what == FIBER_TURN_BEGINS;
	s->has_lately = false;
}

usec
fiber_sched_next(const struct fiber_sched *s)
{
	if (s->ready.count > 0 || s->later.count > 0)
		return 0;
	return timerq_next(&s->timers);
}

void
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
	now = fiber_sched_lately(s);
	while ((e = timerq_pop(&s->timers, now)) != NULL)
		fiber_make_ready(fiber_of_timer(e), WEFT_TIMEOUT);
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
fiber_sched_ready(const struct fiber_sched *s)
{
	return s->ready.count;
}

unsigned
fiber_sched_run(struct fiber_sched *s)
{
	return fiber_sched_run_some(s, UINT_MAX);
}

unsigned
fiber_sched_run_some(struct fiber_sched *s, unsigned most)
{
	unsigned ran = 0, round, left;

	must(fiber_running == NULL);
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELAXED);	/* fiber_sched_turns may be looking */
	fiber_sched_expire(s);
	while (s->later.count > 0)
		fiber_queue_add(&s->ready, fiber_queue_take(&s->later));
	for (round = 0; round < FIBER_ROUNDS && s->ready.count > 0 && ran < most; round++) {
		for (left = s->ready.count; left > 0 && ran < most; left--, ran++)
			fiber_resume(fiber_queue_take(&s->ready));
	}
	return ran;
}
