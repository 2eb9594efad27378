/* SPDX-License-Identifier: ISC */
/*
 * Signals as something to read.  Those that are asked for are blocked and
 * arrive at a signalfd, like any other readiness: no handler runs in the
 * middle of anything, and no system call is interrupted.  (libevent's own
 * way has one process-wide pipe, which a forked child shares with its parent.)
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/loop_inside.h"

struct loop_signal {
	SLIST_ENTRY(loop_signal) link;
	int signo;
	void (*fn)(void *arg, int signo);
	void *arg;
};

static void
signal_on_read(void *arg, int what)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;
	struct loop_signal *s;

	while (read(l->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		SLIST_FOREACH(s, &l->handlers, link) {
			if ((uint32_t)s->signo == info.ssi_signo)
				s->fn(s->arg, s->signo);
		}
	}
}

/* Let signo arrive at the loop's signalfd, which is made when it is the first. */
static int
signal_route(struct loop *l, int signo)
{
	sigset_t all = l->signals;
	int fd;

	sigaddset(&all, signo);
	fd = signalfd(l->signal_fd, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -1;
	l->signal_fd = fd;
	if (l->signal_watch == NULL) {
		l->signal_watch = watch_new(l, fd, signal_on_read, l);
		if (l->signal_watch == NULL || watch_want(l->signal_watch, WATCH_READ) != 0)
			return -1;
	}
	/* An ignored signal would be dropped before anybody could read it. */
	if (signal(signo, SIG_DFL) == SIG_ERR)
		return -1;
	l->signals = all;
	return pthread_sigmask(SIG_BLOCK, &all, NULL) == 0 ? 0 : -1;
}

int
loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
	struct loop_signal *s;

	if (signo <= 0 || signo >= NSIG || signo == SIGKILL || signo == SIGSTOP) {
		errno = EINVAL;
		return -1;
	}
	s = malloc(sizeof *s);
	if (s == NULL)
		return -1;
	*s = (struct loop_signal){ .signo = signo, .fn = fn, .arg = arg };
	if (signal_route(l, signo) != 0) {
		free(s);
		return -1;
	}
	SLIST_INSERT_HEAD(&l->handlers, s, link);
	return 0;
}

void
signal_fini(struct loop *l)
{
	struct signalfd_siginfo info;
	struct loop_signal *s;

	while ((s = SLIST_FIRST(&l->handlers)) != NULL) {
		SLIST_REMOVE_HEAD(&l->handlers, link);
		free(s);
	}
	watch_free(&l->signal_watch);
	if (l->signal_fd < 0)
		return;
	/* One that came just now has been heard: it must not end the program when it is let through. */
	while (read(l->signal_fd, &info, sizeof info) > 0)
		continue;
	pthread_sigmask(SIG_UNBLOCK, &l->signals, NULL);
	close(l->signal_fd);
	l->signal_fd = -1;
}
