/* SPDX-License-Identifier: ISC */
/*
 * After the end: a connection that we have closed stands in the back end's books until that has noticed, and a new one in
 * its place would be one more than `max`.  A process of PostgreSQL's takes a millisecond for it, or as long as
 * its statement.
 *
 * So the socket is kept open, as a copy from before the driver closes it, and shut down for writing; when the back end closes its side,
 * by an end or a reset, it is done.  Within POOL_GRACE at most, or a back end that hangs would keep its places for ever.
 * Where there are several servers behind a connection it is done when all have closed theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/driver.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "loop/loop.h"

enum { POOL_SOCKETS = 64 };	/* of one connection, at most so many are waited for */

/* One socket of a connection that is gone. */
struct gone {
	struct gone *next;
	struct conn *conn;
	struct watch *watch;
	int fd;
};

void
pool_gone_hold(struct conn *c)
{
	const struct driver *d = c->driver;
	int fd[POOL_SOCKETS];
	unsigned n = 0;

	if (d->sockets != NULL)
		n = d->sockets(c, fd, POOL_SOCKETS);
	else if (d->socket != NULL)
		fd[n++] = d->socket(c);
	while (n-- > 0) {
		struct gone *g = fd[n] < 0 ? NULL : calloc(1, sizeof *g);

		if (g == NULL)
			continue;
		*g = (struct gone){ .next = c->gone, .conn = c, .fd = fcntl(fd[n], F_DUPFD_CLOEXEC, 3) };
		c->gone = g;
	}
}

/* Take one out. */
static void
pool_gone_drop(struct gone *g)
{
	struct gone **at = &g->conn->gone;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	if (g->watch != NULL)
		watch_free(&g->watch);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

void
pool_gone_end(struct conn *c)
{
	struct pool *p = c->pool;

	TAILQ_REMOVE(&p->list[CONN_GONE], c, link);
	p->count[CONN_GONE]--;
	p->slots--;
	while (c->gone != NULL)
		pool_gone_drop(c->gone);
	free(c);
	pool_settle(p);
}

/* What it still says is not for anybody.  Returns true when it has nothing more to say. */
static bool
pool_gone_is_over(const struct gone *g)
{
	char last[1024];
	ssize_t n = recv(g->fd, last, sizeof last, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void
pool_gone_on_ready(void *arg, int what)
{
	struct gone *g = arg;
	struct conn *c = g->conn;
	struct pool *p = c->pool;

	(void)what;
	if (!pool_gone_is_over(g))
		return;
	pool_gone_drop(g);
	if (c->gone != NULL)
		return;
	pool_gone_end(c);
	pool_grow(p);
}

/* Returns false when there is nothing to wait for. */
static bool
pool_gone_watch(struct gone *g)
{
	shutdown(g->fd, SHUT_WR);
	if (!pool_gone_is_over(g))
		g->watch = watch_new(g->conn->pool->loop, g->fd, pool_gone_on_ready, g);
	return g->watch != NULL && watch_want(g->watch, WATCH_READ) == 0;
}

void
pool_gone_await(struct conn *c)
{
	struct pool *p = c->pool;
	struct gone *next;

	for (struct gone *g = c->gone; g != NULL; g = next) {
		next = g->next;
		if (!pool_gone_watch(g))
			pool_gone_drop(g);
	}
	if (c->gone == NULL) {
		pool_gone_end(c);
		return;
	}
	c->used = loop_now(p->loop);
	pool_arm(p, clock_add(c->used, POOL_GRACE));
}
