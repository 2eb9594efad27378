/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/child.h"

/* What is known of a child that has ended. */
struct ended {
	int count;
	int status;
	pid_t pid;
	int killed;		/* what child_kill said in on_end */
	char text[80];
};

static void
ended_on_end(void *arg, struct child *c, int status)
{
	struct ended *e = arg;

	e->count++;
	e->status = status;
	e->pid = child_pid(c);
	e->killed = child_kill(c, SIGTERM);
	child_status_text(status, e->text, sizeof e->text);
}

static int
child_returns(void *arg, int sock)
{
	return *(const int *)arg;
}

/* Wait for a message, or the end of the parent's side. */
static int
child_waits(void *arg, int sock)
{
	char c;

	return recv(sock, &c, 1, 0) == 1 ? c : 99;
}

static void
a_child_is_reported_once_when_it_ends(void **state)
{
	struct ended e = { 0 };
	int three = 3;
	struct child *c = child_fork(*state, child_returns, &three, ended_on_end, &e);
	pid_t pid;

	assert_non_null(c);
	pid = child_pid(c);
	assert_true(pid > 0);
	TURN_UNTIL(*state, e.count == 1);
	assert_int_equal(e.pid, pid);
	assert_string_equal(e.text, "exit status 3");
	assert_int_equal(e.killed, -1);		/* it has been reaped */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	kit_settle(*state);
	assert_int_equal(e.count, 1);
}

static void
a_child_talks_over_its_socket(void **state)
{
	struct ended e = { 0 };
	struct child *c = child_fork(*state, child_waits, NULL, ended_on_end, &e);
	int type = 0;
	socklen_t len = sizeof type;

	assert_int_equal(getsockopt(child_sock(c), SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, SOCK_SEQPACKET);
	assert_true(fcntl(child_sock(c), F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(child_sock(c), F_GETFD), FD_CLOEXEC);
	kit_settle(*state);
	assert_int_equal(e.count, 0);
	assert_int_equal(send(child_sock(c), "\7", 1, MSG_NOSIGNAL), 1);
	TURN_UNTIL(*state, e.count == 1);
	assert_string_equal(e.text, "exit status 7");

	e.count = 0;
	c = child_fork(*state, child_waits, NULL, ended_on_end, &e);
	shutdown(child_sock(c), SHUT_RDWR);
	TURN_UNTIL(*state, e.count == 1);
	assert_string_equal(e.text, "exit status 99");
}

static void
a_child_can_be_killed(void **state)
{
	struct ended e = { 0 };
	struct child *c = child_fork(*state, child_waits, NULL, ended_on_end, &e);

	assert_int_equal(child_kill(c, 0), 0);
	assert_int_equal(child_kill(c, SIGKILL), 0);
	TURN_UNTIL(*state, e.count == 1);
	assert_string_equal(e.text, "killed by signal 9 (Killed)");
	child_status_text(SIGSEGV, e.text, sizeof e.text);
	assert_string_equal(e.text, "killed by signal 11 (Segmentation fault)");
	child_status_text(0x137f, e.text, sizeof e.text);
	assert_string_equal(e.text, "wait status 0x137f");
}

static void
handler_of_the_parent(int signo)
{
	_exit(55);
}

/* Handlers and mask of the parent are not the child's; what is ignored stays so. */
static int
child_looks_at_signals(void *arg, int sock)
{
	struct sigaction sa;
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int signo = 1; signo < 32; signo++) {
		if (sigismember(&now, signo))
			return 1;
	}
	if (sigaction(SIGUSR1, NULL, &sa) != 0 || sa.sa_handler != SIG_DFL)
		return 2;
	if (sigaction(SIGPIPE, NULL, &sa) != 0 || sa.sa_handler != SIG_IGN)
		return 3;
	return 0;
}

static void
a_child_has_its_signals_to_itself(void **state)
{
	struct ended e = { 0 };
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &mask, &before);
	signal(SIGUSR1, handler_of_the_parent);
	signal(SIGPIPE, SIG_IGN);
	child_fork(*state, child_looks_at_signals, NULL, ended_on_end, &e);
	TURN_UNTIL(*state, e.count == 1);
	assert_string_equal(e.text, "exit status 0");
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	assert_true(sigismember(&mask, SIGTERM));
	assert_false(sigismember(&mask, SIGUSR1));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
}

static int
child_prints(void *arg, int sock)
{
	FILE *f = arg;

	fputs("child\n", f);
	return 0;
}

/* What the parent has buffered is written once. */
static void
a_child_does_not_repeat_the_parents_output(void **state)
{
	struct ended e = { 0 };
	int p[2];
	char got[64];
	FILE *f;

	assert_int_equal(pipe(p), 0);
	f = fdopen(p[1], "w");
	fputs("parent\n", f);
	child_fork(*state, child_prints, f, ended_on_end, &e);
	TURN_UNTIL(*state, e.count == 1);
	fclose(f);
	assert_int_equal(read(p[0], got, sizeof got), 13);
	assert_memory_equal(got, "parent\nchild\n", 13);
	close(p[0]);
}

/* Say that it lives, and go on living. */
static int
child_lives(void *arg, int sock)
{
	const int *p = arg;

	if (write(p[1], "g", 1) != 1)
		return 1;
	while (pause() < 0)
		continue;
	return 2;
}

/* A child with a child, which holds the write end of a pipe: its end is the pipe's. */
static int
child_with_a_child(void *arg, int sock)
{
	struct ended e = { 0 };
	struct loop *l = loop_new(NULL);
	const int *p = arg;

	close(p[0]);
	if (child_fork(l, child_lives, arg, ended_on_end, &e) == NULL)
		return 1;
	close(p[1]);
	while (pause() < 0)
		continue;
	return 2;
}

static void
a_child_dies_with_its_parent(void **state)
{
	struct ended e = { 0 };
	struct pollfd pfd;
	struct child *c;
	int p[2], status;
	char byte;

	/* The orphan is to be ours, so that we see how it ends. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(p), 0);
	c = child_fork(*state, child_with_a_child, p, ended_on_end, &e);
	close(p[1]);
	pfd = (struct pollfd){ .fd = p[0], .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	child_kill(c, SIGKILL);
	TURN_UNTIL(*state, e.count == 1);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* A child may make a loop of its own, and fork. */
static int
child_with_a_loop(void *arg, int sock)
{
	struct loop *l = arg, *own;
	struct ended e = { 0 };
	int five = 5;

	if (loop_after_fork(l) != 0)
		return 1;
	own = loop_new(NULL);
	child_fork(own, child_returns, &five, ended_on_end, &e);
	for (int i = 0; i < 1000 && e.count == 0; i++)
		loop_turn(own, 5000);
	loop_free(&own);
	return WEXITSTATUS(e.status);
}

static void
a_child_may_have_a_loop(void **state)
{
	struct ended e = { 0 };

	child_fork(*state, child_with_a_loop, *state, ended_on_end, &e);
	TURN_UNTIL(*state, e.count == 1);
	assert_string_equal(e.text, "exit status 5");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_child_is_reported_once_when_it_ends),
		KIT_TEST(a_child_talks_over_its_socket),
		KIT_TEST(a_child_can_be_killed),
		KIT_TEST(a_child_has_its_signals_to_itself),
		KIT_TEST(a_child_does_not_repeat_the_parents_output),
		KIT_TEST(a_child_dies_with_its_parent),
		KIT_TEST(a_child_may_have_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
