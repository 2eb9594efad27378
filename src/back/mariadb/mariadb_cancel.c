/* SPDX-License-Identifier: ISC */

/*
 * Statements that nobody waits for any more.
 *
 * KILL QUERY goes over a connection of its own and hits whatever the server runs on ours when it
 * arrives.  So the pool gets ours back only when two things have happened: the thread which asked has
 * ended, and the reply has come.  If that takes longer than MARIADB_DRAIN the connection is closed.  It rarely may: a KILL that
 * meets a statement which is just about to end waits for it, and holds it up, for two seconds in the server itself.
 *
 * What is only being prepared is let go on; it is not executed then.
 */
#include "back/mariadb/mariadb.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static void
mariadb_cancel_done(struct mariadb_dial *k)
{
	struct mariadb *d = k->d;

	if (!k->killed)
		log_warn("cancel failed code=%s text=%s", k->code, k->text);
	mariadb_dial_free(k);
	d->cancel = NULL;
	if (!d->dead && d->op == MARIADB_NOTHING)
		mariadb_give(d);
}

static bool
mariadb_is_running(const struct mariadb *d)
{
	return d->op == MARIADB_EXECUTING || d->op == MARIADB_ASKING || d->op == MARIADB_FETCHING || d->op == MARIADB_MOVING || d->op == MARIADB_SKIPPING;
}

/* Have what runs killed.  When no thread is free it is only waited for. */
static void
mariadb_cancel_start(struct mariadb *d)
{
	struct mariadb_dial *k = mariadb_dial_new(d);

	if (k == NULL)
		return;
	k->victim = mysql_thread_id(d->my);
	memcpy(k->wanted, d->identity, sizeof k->wanted);
	/* By its address, as its name may lead elsewhere now; but with TLS the name is what the certificate is for. */
	if (d->address[0] != '\0' && !k->place.tls)
		snprintf(k->place.host, sizeof k->place.host, "%s", d->address);
	if (mariadb_dial_start(k, mariadb_cancel_done) == WEFT_OK)
		d->cancel = k;
	else
		mariadb_dial_free(k);
}

/* A KILL that came before the server had begun with the statement was in vain: ask again, for as long as there is time. */
static void
mariadb_cancel_on_timer(void *arg)
{
	struct mariadb *d = arg;
	usec now = loop_now(d->loop);

	if (!d->draining || d->dead)
		return;
	if (now >= d->drain_until) {
		mariadb_die(d, NULL, "a cancelled statement went on");
		return;
	}
	timer_set(d->timer, clock_min(clock_add(now, MARIADB_CANCEL_AGAIN), d->drain_until));
	if (d->cancel == NULL && mariadb_is_running(d))
		mariadb_cancel_start(d);
}

void
mariadb_cancel_begin(struct mariadb *d)
{
	if (d->dead)
		return;
	d->draining = true;
	if (d->timer == NULL)
		d->timer = timer_new(d->loop, mariadb_cancel_on_timer, d);
	if (d->timer == NULL) {
		mariadb_die(d, NULL, "no timer for a cancel");
		return;
	}
	d->drain_until = clock_add(loop_now(d->loop), MARIADB_DRAIN);
	timer_set(d->timer, clock_add(loop_now(d->loop), MARIADB_CANCEL_AGAIN));
	if (mariadb_is_running(d))
		mariadb_cancel_start(d);
}

void
mariadb_cancel_end(struct mariadb *d)
{
	if (!d->draining)
		return;
	d->draining = false;
	timer_set(d->timer, CLOCK_NEVER);
}

void
mariadb_cancel_detach(struct mariadb *d)
{
	mariadb_dial_drop(&d->cancel);
}
