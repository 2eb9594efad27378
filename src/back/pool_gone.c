/* SPDX-License-Identifier: ISC */
/*
 * After the end: a connection that we have closed stands in the back end's books until that has noticed, and a new one in
 * its place would be one more than `max`.  A process of PostgreSQL's takes a millisecond for it, or as long as
 * its statement.
 *
 * So the socket is kept open, as a copy from before the driver closes it, and shut down for writing; when the back end closes its side,
 * by an end or a reset, it is done.  Within POOL_GRACE at most, or a back end that hangs would keep its places for ever.
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

int
pool_gone_hold(const struct conn *c)
{
	int fd = c->driver->socket == NULL ? -1 : c->driver->socket(c);

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void
pool_gone_end(struct conn *c)
{
	struct pool *p = c->pool;

	TAILQ_REMOVE(&p->list[CONN_GONE], c, link);
	p->count[CONN_GONE]--;
	p->slots--;
	if (c->watch != NULL)
		watch_free(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	pool_settle(p);
}

/* What it still says is not for anybody.  Returns true when it has nothing more to say. */
static bool
pool_gone_is_over(const struct conn *c)
{
	char last[1024];
	ssize_t n = recv(c->fd, last, sizeof last, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void
pool_gone_on_ready(void *arg, int what)
{
	struct conn *c = arg;
	struct pool *p = c->pool;

	(void)what;
	if (!pool_gone_is_over(c))
		return;
	pool_gone_end(c);
	pool_grow(p);
}

void
pool_gone_await(struct conn *c, int fd)
{
	struct pool *p = c->pool;

	c->fd = fd;
	if (fd < 0) {
		pool_gone_end(c);
		return;
	}
	shutdown(fd, SHUT_WR);
	if (!pool_gone_is_over(c))
		c->watch = watch_new(p->loop, fd, pool_gone_on_ready, c);
	if (c->watch == NULL || watch_want(c->watch, WATCH_READ) != 0) {
		pool_gone_end(c);
		return;
	}
	c->used = loop_now(p->loop);
	pool_arm(p, clock_add(c->used, POOL_GRACE));
}
