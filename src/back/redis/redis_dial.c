/* SPDX-License-Identifier: ISC */
/*
 * The way to a host: what its name means, and one address after the other, until one of them is of use.
 *
 * One that says nothing has its share of the time that there is.  Each attempt begins with the first, so if that had all of
 * it, the others would never be tried.
 */
#include "back/redis/redis_impl.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"

static void
redis_dial_on_timer(void *arg)
{
	struct redis *r = arg;

	if (r->is_up || r->tried >= r->naddress)
		return;
	redis_doom(r, NULL, "no answer in time");
	redis_settle(r);
}

/* Set the timer to the share of the next address; the last has what is left. */
static void
redis_dial_share(struct redis *r)
{
	struct loop *l = pool_loop(r->conn->pool);
	unsigned left = r->naddress - r->tried;

	if (r->timer == NULL && left > 1)
		r->timer = timer_new(l, redis_dial_on_timer, r);
	if (r->timer != NULL)
		timer_set(r->timer, left > 1 ? clock_add(loop_now(l), (r->until - loop_now(l)) / left) : CLOCK_NEVER);
}

void
redis_dial_next(struct redis *r)
{
	redis_dial_share(r);
	redis_connect(r, r->address[r->tried++]);
}

static void
redis_on_resolved(void *arg, const struct resolved *found)
{
	struct redis *r = arg;

	r->resolving = NULL;
	r->address = found->count == 0 ? NULL : calloc(found->count, sizeof *r->address);
	if (r->address == NULL) {
		redis_doom(r, NULL, "%s: %s", r->host,
		    found->error != 0 ? gai_strerror(found->error) : "no address");
		loop_after_turn(pool_loop(r->conn->pool), &r->task);
		return;
	}
	r->naddress = found->count;
	for (unsigned i = 0; i < found->count; i++)
		memcpy(r->address[i], found->address[i].text, sizeof r->address[i]);
	redis_dial_next(r);
}

void
redis_dial(struct redis *r, const char *host, unsigned port, usec until)
{
	struct resolve *resolving;

	loop_task_cancel(pool_loop(r->conn->pool), &r->task);
	redis_detach(r);
	if (r->resolving != NULL)
		resolve_cancel(&r->resolving);
	free(r->address);
	r->address = NULL;
	r->naddress = r->tried = 0;
	r->doomed = 0;
	r->host = host;
	r->port = port == 0 ? REDIS_PORT : port;
	r->until = until;
	redis_forget_setup(r);
	/* What is a number is connected to before this returns. */
	resolving = resolve_start(pool_loop(r->conn->pool), r->host, r->port, redis_on_resolved, r);
	if (resolving != NULL)
		r->resolving = resolving;
}
