/* SPDX-License-Identifier: ISC */
/*
 * Timers over libevent's timeouts, armed lazily: setting a timer to a later
 * time than it is armed for only notes the time; when the earlier one comes it
 * is armed anew.  A connection's idle timer, moved on at every request, thus
 * costs an assignment.
 *
 * The base has no EVENT_BASE_FLAG_PRECISE_TIMER: with it libevent sets a timerfd
 * before every poll, a system call a turn, for a precision that deadlines of
 * requests do not need.  Without it libevent reads a coarse clock and may be some
 * milliseconds early; the check against our own clock makes up for it, so a timer never
 * fires before its time.
 */
#include <stdlib.h>

#include "base/log.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

struct timer {
	struct event ev;
	struct loop *loop;
	usec at;		/* when to fire; CLOCK_NEVER: not set */
	usec armed;		/* when libevent will call; CLOCK_NEVER: not armed.  Not after at, if at is set */
	void (*fn)(void *arg);
	void *arg;
};

static void
timer_arm(struct timer *t, usec now)
{
	usec left = t->at > now ? t->at - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(left / USEC_PER_SEC), .tv_usec = (suseconds_t)(left % USEC_PER_SEC) };

	t->armed = t->at;
	if (event_add(&t->ev, &tv) == 0)
		return;
	t->armed = CLOCK_NEVER;
	log_error("timer lost: out of memory");
}

static void
timer_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;
	usec now = loop_now(t->loop);

	t->armed = CLOCK_NEVER;
	if (t->at == CLOCK_NEVER)
		return;
	if (t->at > now) {
		timer_arm(t, now);
		return;
	}
	t->at = CLOCK_NEVER;
	t->fn(t->arg);	/* may have freed t */
}

struct timer *
timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct timer *t = malloc(sizeof *t);

	if (t == NULL)
		return NULL;
	t->loop = l;
	t->at = t->armed = CLOCK_NEVER;
	t->fn = fn;
	t->arg = arg;
	if (evtimer_assign(&t->ev, l->base, timer_on_event, t) != 0) {
		free(t);
		return NULL;
	}
	return t;
}

void
timer_set(struct timer *t, usec at)
{
	t->at = at;
	if (at < t->armed)
		timer_arm(t, loop_now(t->loop));
}

void
timer_free(struct timer **tp)
{
	struct timer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	event_del(&t->ev);
	free(t);
}
