/* SPDX-License-Identifier: ISC */
/*
 * Timers are in a queue of the loop's own, and libevent has one timeout for
 * all of them and the fibers' deadlines together (the tick, loop.c).  A place
 * in the queue is reserved when a timer is made, so setting one cannot fail.
 *
 * They are moved lazily: setting a timer to a later time than it is queued for
 * only notes the time; when the earlier one comes it is queued anew.  A connection's
 * idle timer, moved on at every request, thus costs an assignment.
 */
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

struct timer {
	struct timerq_entry entry;	/* first: the queue gives it back */
	struct loop *loop;
	usec at;			/* when to fire; CLOCK_NEVER: not set */
	usec queued;			/* what it is queued for, not after at; CLOCK_NEVER: it is not in the queue */
	void (*fn)(void *arg);
	void *arg;
};

static void
timer_queue(struct timer *t)
{
	timerq_remove(&t->loop->timers, &t->entry);
	timerq_add(&t->loop->timers, &t->entry, t->at);
	t->queued = t->at;
}

struct timer *
timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct timer *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	if (timerq_reserve(&l->timers, l->timer_count + 1) != 0) {
		free(t);
		return NULL;
	}
	l->timer_count++;
	t->loop = l;
	t->at = t->queued = CLOCK_NEVER;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void
timer_set(struct timer *t, usec at)
{
	t->at = at;
	if (at < t->queued)
		timer_queue(t);
}

void
timer_free(struct timer **tp)
{
	struct timer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	timerq_remove(&t->loop->timers, &t->entry);
	t->loop->timer_count--;
	free(t);
}

static void
timer_run(struct loop *l, usec now)
{
	/* Not more than there are now, whatever they set anew. */
	for (unsigned n = l->timers.count; n > 0; n--) {
		struct timer *t = (struct timer *)timerq_pop(&l->timers, now);

		if (t == NULL)
			return;
		t->queued = CLOCK_NEVER;
		if (t->at > now) {
			if (t->at != CLOCK_NEVER)
				timer_queue(t);
			continue;
		}
		t->at = CLOCK_NEVER;
		t->fn(t->arg);	/* may have freed t */
	}
}

void
timer_run_due(struct loop *l)
{
	usec now = loop_lately(l);	/* what comes due while the turn lasts is the next one's */

	if (timerq_next(&l->timers) <= now)
		timer_run(l, now);
}
