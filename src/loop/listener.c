/* SPDX-License-Identifier: ISC */
/*
 * Accepting.  A listening socket stays ready as long as a connection waits in
 * its backlog, so when descriptors run out, a loop that only reports the error
 * spins.  Here the listener rests for a moment: it is not watched until a timer
 * has passed.  Meanwhile connections wait in the backlog, and those which are
 * served may end and free descriptors.
 *
 * A turn accepts a bounded number, so that a flood of connections does not
 * keep those that are there from being served.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/must.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

enum { LISTENER_BATCH = 64 };

#define LISTENER_REST (100 * USEC_PER_MSEC)

struct listener {
	struct loop *loop;
	int fd;
	unsigned holds;			/* the owner, and the frame that accepts */
	bool ended;
	bool paused;			/* by the owner */
	bool resting;			/* for want of descriptors, until the timer */
	struct watch watch;
	struct timer *timer;
	int batch;			/* how many are accepted in one turn */
	usec log_next;
	void (*fn)(void *arg, int conn);
	void *arg;
};

static void
listener_release(struct listener *l)
{
	must(l->holds > 0);
	if (--l->holds == 0)
		free(l);
}

static void
listener_want(struct listener *l)
{
	bool on = !l->ended && !l->paused && !l->resting;

	if (watch_want(&l->watch, on ? WATCH_READ : 0) != 0)
		log_error("listener fd=%d cannot be watched: %s", l->fd, strerror(errno));
}

static void
listener_on_rested(void *arg)
{
	struct listener *l = arg;

	l->resting = false;
	listener_want(l);
}

static void
listener_rest(struct listener *l, int error)
{
	usec now = loop_now(l->loop);

	if (now >= l->log_next) {
		l->log_next = clock_add(now, USEC_PER_SEC);
		log_warn("accept paused fd=%d: %s", l->fd, strerror(error));
	}
	l->resting = true;
	timer_set(l->timer, clock_add(now, LISTENER_REST));
	listener_want(l);
}

/* Accept one.  Returns false when no more can be had now. */
static bool
listener_accept(struct listener *l)
{
	int conn = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn >= 0) {
		l->fn(l->arg, conn);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	/* Errors of that one connection, which is gone: accept(2). */
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case ETIMEDOUT:
		return true;
	default:
		listener_rest(l, errno);
		return false;
	}
}

static void
listener_on_ready(void *arg, int what)
{
	struct listener *l = arg;

	l->holds++;
	for (int i = 0; i < l->batch && !l->paused && !l->ended; i++) {
		if (!listener_accept(l))
			break;
	}
	listener_release(l);
}

/* As the owner's socket may come from elsewhere, make it what we need.  Accepted sockets inherit TCP_NODELAY. */
static int
listener_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL), domain = 0;
	socklen_t len = sizeof domain;
	const int on = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return -1;
	if (domain != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
		return -1;
	return listen(fd, LISTEN_BACKLOG);
}

struct listener *
listener_new(struct loop *loop, int fd, void (*fn)(void *arg, int conn), void *arg)
{
	struct listener *l;
	int saved;

	if (listener_prepare(fd) != 0)
		return NULL;
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	l->loop = loop;
	l->fd = fd;
	l->holds = 1;
	l->batch = LISTENER_BATCH;
	l->fn = fn;
	l->arg = arg;
	l->timer = timer_new(loop, listener_on_rested, l);
	watch_init(&l->watch, loop, fd, listener_on_ready, l);
	if (l->timer != NULL && watch_want(&l->watch, WATCH_READ) == 0)
		return l;
	saved = errno;
	timer_free(&l->timer);
	free(l);
	errno = saved;
	return NULL;
}

void
listener_free(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	watch_fini(&l->watch);
	for (int i = 0; i < LISTEN_BACKLOG && !l->paused && !l->resting; i++) {
		if (!listener_accept(l))
			break;
	}
	timer_free(&l->timer);
	l->ended = true;
	watch_fini(&l->watch);
	listener_release(l);
}

void
listener_set_batch(struct listener *l, int batch)
{
	l->batch = batch;
}

void
listener_pause(struct listener *l)
{
	l->paused = true;
	listener_want(l);
}

void
listener_resume(struct listener *l)
{
	l->paused = false;
	listener_want(l);
}
