/* SPDX-License-Identifier: ISC */
/*
 * Children.  A pidfd says when one has ended and takes the signals, so neither
 * SIGCHLD nor a number that may belong to somebody else by now is involved.
 *
 * Between fork and the child's first line all signals are blocked: a handler
 * of the parent's must not run in the child.  The death signal is asked for
 * after the fork; a parent that died before is noticed by its number.
 */
#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/loop_inside.h"

struct child {
	pid_t pid;
	int pidfd;
	int sock;
	struct watch watch;
	void (*on_end)(void *end_arg, struct child *c, int status);
	void *end_arg;
};

/* ---- in the child ---- */

static void
child_reset_signals(void)
{
	struct sigaction sa;
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++) {
		if (sigaction(signo, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN && sa.sa_handler != SIG_DFL)
			signal(signo, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
child_main(pid_t parent, int (*fn)(void *arg, int sock), void *arg, int sock)
{
	int status;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
		_exit(127);
	child_reset_signals();
	if (getppid() != parent)	/* it died before we asked for the signal */
		_exit(127);
	status = fn(arg, sock);
	/* Not exit(): what the parent registered with atexit is not ours to do. */
	fflush(NULL);
	_exit(status);
}

/* ---- in the parent ---- */

static void
child_free(struct child *c)
{
	watch_fini(&c->watch);
	close(c->pidfd);
	close(c->sock);
	free(c);
}

static void
child_on_pidfd(void *arg, int what)
{
	struct child *c = arg;
	int status;

	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	watch_want(&c->watch, 0);
	c->on_end(c->end_arg, c, status);
	child_free(c);
}

/* Fork; returns the process id, or -1 with errno.  pair[0] is the parent's. */
static pid_t
child_spawn(int (*fn)(void *arg, int sock), void *arg, int pair[2])
{
	pid_t parent = getpid(), pid;
	sigset_t all, before;

	/* What is buffered now would be written twice. */
	fflush(NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child_main(parent, fn, arg, pair[1]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* A child that cannot be watched is not left behind.  It was not waited for, so the number is still its own. */
static void
child_undo(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int
child_watch(struct child *c, struct loop *l)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0)
		return -1;
	watch_init(&c->watch, l, c->pidfd, child_on_pidfd, c);
	if (watch_want(&c->watch, WATCH_READ) == 0)
		return 0;
	close(c->pidfd);
	return -1;
}

struct child *
child_fork(struct loop *l, int (*fn)(void *arg, int sock), void *arg,
    void (*on_end)(void *end_arg, struct child *c, int status), void *end_arg)
{
	struct child *c = malloc(sizeof *c);
	int pair[2], saved;

	if (c == NULL)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		goto fail;
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
		goto fail_pair;
	c->sock = pair[0];
	c->on_end = on_end;
	c->end_arg = end_arg;
	c->pid = child_spawn(fn, arg, pair);
	if (c->pid < 0)
		goto fail_pair;
	if (child_watch(c, l) != 0) {
		saved = errno;
		child_undo(c->pid);
		errno = saved;
		goto fail_pair;
	}
	close(pair[1]);
	return c;
fail_pair:
	saved = errno;
	close(pair[0]);
	close(pair[1]);
	errno = saved;
fail:
	saved = errno;
	free(c);
	errno = saved;
	return NULL;
}

pid_t
child_pid(const struct child *c)
{
	return c->pid;
}

int
child_sock(const struct child *c)
{
	return c->sock;
}

int
child_kill(struct child *c, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, c->pidfd, signo, NULL, 0);
}

void
child_status_text(int status, char *out, size_t size)
{
	if (WIFEXITED(status))
		snprintf(out, size, "exit status %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "wait status 0x%x", (unsigned)status);
}
