/* SPDX-License-Identifier: ISC */

/*
 * Statements that nobody waits for any more.
 *
 * A cancel hits whatever the server runs on that connection when it arrives, so it is
 * asked for only when every statement owed is an abandoned one, and from then on
 * nothing more is sent until two things have happened: the thread which
 * asked has ended (the server has then signalled its process, or never will) and every
 * sync owed has come.  New calls are held meanwhile, and the pool is not told
 * of the replies, so it hands the connection to nobody.  If that
 * takes longer than POSTGRES_DRAIN the connection is closed.
 *
 * PQcancel connects and waits, hence the thread; its struct outlives the connection.  It has no
 * deadline: of a server that hangs it waits for ever, so there are never so many that no thread
 * is left for others, and nobody's end waits for it.
 */
#include "back/postgres/postgres.h"

#include <stdlib.h>

#include "back/pool.h"
#include "base/log.h"
#include "loop/thread.h"

enum { POSTGRES_CANCELS = 32 };		/* on threads at once, of the process */

static unsigned postgres_cancels;

struct postgres_cancel {
	struct thread_job job;
	struct postgres *d;		/* NULL: closed meanwhile */
	PGcancel *how;
	char error[256];
	int sent;
};

static void
postgres_cancel_free(struct postgres_cancel *k)
{
	PQfreeCancel(k->how);
	free(k);
}

/* On a thread. */
static void
postgres_cancel_run(void *arg)
{
	struct postgres_cancel *k = arg;

	k->sent = PQcancel(k->how, k->error, sizeof k->error);
}

/* The loop has ended meanwhile. */
static void
postgres_cancel_left(void *arg)
{
	postgres_cancel_free(arg);
}

static void
postgres_cancel_done(void *arg)
{
	struct postgres_cancel *k = arg;
	struct postgres *d = k->d;

	postgres_cancels--;
	if (!k->sent)
		log_warn("cancel failed text=%s", k->error);
	postgres_cancel_free(k);
	if (d == NULL)
		return;
	d->cancel = NULL;
	postgres_cancel_step(d);
}

/* Have the running statement cancelled.  When no thread is free it is only waited for. */
static void
postgres_cancel_start(struct postgres *d)
{
	struct threads *t = loop_threads(d->loop);
	struct postgres_cancel *k = postgres_cancels < POSTGRES_CANCELS ? calloc(1, sizeof *k) : NULL;

	d->cancel_seq = TAILQ_FIRST(&d->sent)->seq;
	/* It must not overtake what it is for. */
	postgres_flush_later(d);
	(void)PQflush(d->pg);
	if (k == NULL)
		return;
	k->d = d;
	k->job = (struct thread_job){ .fn = postgres_cancel_run, .done = postgres_cancel_done, .left = postgres_cancel_left, .arg = k };
	k->how = PQgetCancel(d->pg);
	if (k->how == NULL || t == NULL || threads_submit(t, &k->job) != WEFT_OK) {
		postgres_cancel_free(k);
		return;
	}
	postgres_cancels++;
	d->cancel = k;
}

/* A cancel that came before the server had begun with the statement was in vain: ask again, for as long as there is time. */
static void
postgres_cancel_on_timer(void *arg)
{
	struct postgres *d = arg;
	usec now = loop_now(d->loop);

	if (!d->draining || d->dead)
		return;
	if (now >= d->drain_until) {
		postgres_die(d, NULL, "a cancelled statement went on");
		return;
	}
	timer_set(d->timer, clock_min(clock_add(now, POSTGRES_CANCEL_AGAIN), d->drain_until));
	if (d->cancel == NULL && d->lost > 0)
		postgres_cancel_start(d);
}

static void
postgres_drain_begin(struct postgres *d)
{
	d->draining = true;
	if (d->timer == NULL)
		d->timer = timer_new(d->loop, postgres_cancel_on_timer, d);
	if (d->timer == NULL) {
		postgres_die(d, NULL, "no timer for a cancel");
		return;
	}
	d->drain_until = clock_add(loop_now(d->loop), POSTGRES_DRAIN);
	timer_set(d->timer, clock_add(loop_now(d->loop), POSTGRES_CANCEL_AGAIN));
}

/* It is over: what was held is sent at the end of the turn. */
static void
postgres_drain_end(struct postgres *d)
{
	d->draining = false;
	timer_set(d->timer, CLOCK_NEVER);
	postgres_flush_later(d);
}

static void
postgres_give(struct postgres *d)
{
	postgres_hold(d);
	while (!d->closed && !d->draining && d->ungiven > 0) {
		d->ungiven--;
		conn_gave(d->conn);
	}
	postgres_release(d);
}

void
postgres_cancel_step(struct postgres *d)
{
	/* Read before: when it is not washed, giving may close it. */
	bool washing = d->washing;

	if (d->dead)
		return;
	if (d->live == 0 && d->lost > 0 && d->cancel == NULL) {
		if (!d->draining)
			postgres_drain_begin(d);
		if (!d->dead && d->cancel_seq != TAILQ_FIRST(&d->sent)->seq)
			postgres_cancel_start(d);
	} else if (d->draining && d->cancel == NULL && TAILQ_EMPTY(&d->sent)) {
		postgres_drain_end(d);
	}
	postgres_give(d);
	if (washing)
		postgres_wash_step(d);
}

void
postgres_cancel_detach(struct postgres *d)
{
	struct postgres_cancel *k = d->cancel;

	d->cancel = NULL;
	if (k == NULL)
		return;
	k->d = NULL;
	if (!threads_recall(loop_threads(d->loop), &k->job))
		return;
	postgres_cancels--;
	postgres_cancel_free(k);
}
