/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate_rig.h"

/* A listening socket as mod_fcgid makes one, and a way to reach it. */
static int
listen_at(struct rig *r, char path[96])
{
	snprintf(path, 96, "%s/fcgi.sock", r->dir);
	return rig_listen(path);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	assert_int_equal(connect(sock, (struct sockaddr *)&to, sizeof to), 0);
	return sock;
}

/* What was handed over is the socket that the web server connects to. */
static void
check_listens(int fd, const char *path)
{
	int client = connect_to(path), conn;

	rig_poll(fd, POLLIN);
	conn = accept(fd, NULL, NULL);
	assert_true(conn >= 0);
	close(conn);
	close(client);
}

static void
gate_hands_its_socket_over(void **state)
{
	struct rig *r = *state;
	char path[96];
	int listener = listen_at(r, path), fd, sock;

	rig_server_up(r);
	rig_start_gate(r, listener);
	close(listener);
	sock = rig_accept(r, "gate\n", &fd);
	check_listens(fd, path);
	close(fd);
	close(sock);
}

static void
gate_takes_the_path_from_the_environment(void **state)
{
	struct rig *r = *state;
	char path[96], variable[128];
	char *env[] = { variable, NULL };
	int listener = listen_at(r, path), fd, sock;

	snprintf(variable, sizeof variable, "WEFT_CONTROL=%s", r->control);
	rig_server_up(r);
	rig_start(r, &(struct rig_start){ .in = listener, .out = -1, .err = -1, .env = env });
	close(listener);
	sock = rig_accept(r, "gate\n", &fd);
	check_listens(fd, path);
	close(fd);
	close(sock);
}

/* The server says something, then closes: the gate ignores the one and answers the other. */
static void
gate_comes_back_when_the_connection_ends(void **state)
{
	struct rig *r = *state;
	char path[96];
	int listener = listen_at(r, path), fd, sock;

	rig_server_up(r);
	rig_start_gate(r, listener);
	close(listener);
	for (int i = 0; i < 3; i++) {
		sock = rig_accept(r, "gate\n", &fd);
		assert_int_equal(send(sock, "hello\n", 6, MSG_NOSIGNAL), 6);
		check_listens(fd, path);
		close(fd);
		close(sock);
	}
}

static void
gate_comes_back_to_another_server(void **state)
{
	struct rig *r = *state;
	char path[96];
	int listener = listen_at(r, path), fd, sock;

	rig_server_up(r);
	rig_start_gate(r, listener);
	sock = rig_accept(r, "gate\n", &fd);
	rig_server_down(r);
	close(fd);
	close(sock);
	rig_server_up(r);
	sock = rig_accept(r, "gate\n", &fd);
	check_listens(fd, path);
	close(fd);
	close(sock);
	close(listener);
}

static void
gate_waits_for_a_server(void **state)
{
	struct rig *r = *state;
	char path[96];
	int listener = listen_at(r, path), fd, sock, client, conn;

	rig_start_gate(r, listener);
	close(listener);
	client = connect_to(path);	/* a request that came before the server */
	rig_server_up(r);
	sock = rig_accept(r, "gate\n", &fd);
	rig_poll(fd, POLLIN);
	conn = accept(fd, NULL, NULL);
	assert_true(conn >= 0);
	close(conn);
	close(client);
	close(fd);
	close(sock);
}

/* Apache blocks or ignores what it likes; a gate ends by SIGTERM's default action all the same. */
static void
gate_ends_on_sigterm(void **state)
{
	struct rig *r = *state;
	char path[96];
	int listener = listen_at(r, path), fd, sock, status;
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	signal(SIGTERM, SIG_IGN);
	rig_server_up(r);
	rig_start_gate(r, listener);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	close(listener);
	sock = rig_accept(r, "gate\n", &fd);
	kill(r->child, SIGTERM);
	status = rig_wait(r);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	close(fd);
	close(sock);
}

/* The process manager is killed: its gate ends too, which its control connection shows. */
static void
gate_ends_with_its_parent(void **state)
{
	struct rig *r = *state;
	char path[96], byte;
	int listener = listen_at(r, path), fd, sock;
	pid_t manager;

	rig_server_up(r);
	fflush(NULL);
	manager = fork();
	if (manager == 0) {
		rig_start_gate(r, listener);
		for (;;)
			pause();
	}
	close(listener);
	sock = rig_accept(r, "gate\n", &fd);
	kill(manager, SIGKILL);
	waitpid(manager, NULL, 0);
	rig_poll(sock, POLLIN);
	assert_int_equal(read(sock, &byte, 1), 0);
	close(fd);
	close(sock);
}

/* What a web server leaks into its children, a gate does not hold open. */
static void
gate_closes_what_it_inherits(void **state)
{
	struct rig *r = *state;
	char path[96], byte;
	int listener = listen_at(r, path), leak[2], fd, sock;

	assert_int_equal(pipe2(leak, 0), 0);
	fcntl(leak[0], F_SETFD, FD_CLOEXEC);
	rig_server_up(r);
	rig_start_gate(r, listener);
	close(listener);
	close(leak[1]);
	sock = rig_accept(r, "gate\n", &fd);
	rig_poll(leak[0], POLLIN);
	assert_int_equal(read(leak[0], &byte, 1), 0);
	close(leak[0]);
	close(fd);
	close(sock);
}

static void
check_usage(struct rig *r, int in, char *const *argv)
{
	char text[512];
	int err[2], status;

	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	rig_start(r, &(struct rig_start){ .in = in, .out = -1, .err = err[1], .argv = argv });
	close(err[1]);
	text[rig_read_all(err[0], text, sizeof text - 1)] = '\0';
	close(err[0]);
	status = rig_wait(r);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
	assert_memory_equal(text, "usage: weft-gate", 16);
}

static void
gate_tells_how_to_use_it(void **state)
{
	struct rig *r = *state;
	char path[96], longer[200];
	char *argv[] = { longer, NULL };
	int listener = listen_at(r, path), pair[2];

	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	check_usage(r, -1, NULL);
	check_usage(r, listener, argv);		/* no socket can have that path */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	check_usage(r, pair[0], NULL);		/* a socket that does not listen */
	close(pair[0]);
	close(pair[1]);
	close(listener);
}

#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		GATE_TEST(gate_hands_its_socket_over),
		GATE_TEST(gate_takes_the_path_from_the_environment),
		GATE_TEST(gate_comes_back_when_the_connection_ends),
		GATE_TEST(gate_comes_back_to_another_server),
		GATE_TEST(gate_waits_for_a_server),
		GATE_TEST(gate_ends_on_sigterm),
		GATE_TEST(gate_ends_with_its_parent),
		GATE_TEST(gate_closes_what_it_inherits),
		GATE_TEST(gate_tells_how_to_use_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
