/* SPDX-License-Identifier: ISC */
#include "gate_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int
rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	if (r == NULL)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	snprintf(r->dir, sizeof r->dir, "/tmp/weft-gate-test.XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		return -1;
	snprintf(r->control, sizeof r->control, "%s/control.sock", r->dir);
	r->listener = -1;
	*state = r;
	return 0;
}

int
rig_teardown(void **state)
{
	struct rig *r = *state;
	char path[128];

	if (r->child > 0) {
		kill(r->child, SIGKILL);
		waitpid(r->child, NULL, 0);
	}
	if (r->listener >= 0)
		close(r->listener);
	unlink(r->control);
	snprintf(path, sizeof path, "%s/fcgi.sock", r->dir);
	unlink(path);
	rmdir(r->dir);
	free(r);
	return 0;
}

int
rig_listen(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	unlink(path);
	assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(sock, 16), 0);
	return sock;
}

void
rig_server_up(struct rig *r)
{
	r->listener = rig_listen(r->control);
}

void
rig_server_down(struct rig *r)
{
	close(r->listener);
	r->listener = -1;
}

static void
rig_redirect(int fd, int to)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd == to)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, to);
}

void
rig_start(struct rig *r, const struct rig_start *how)
{
	char *argv[8] = { GATE_PROGRAM };

	for (int i = 0; how->argv != NULL && how->argv[i] != NULL && i < 6; i++)
		argv[i + 1] = how->argv[i];
	fflush(NULL);
	r->child = fork();
	assert_true(r->child >= 0);
	if (r->child == 0) {
		char *none[] = { NULL };

		rig_redirect(how->in, STDIN_FILENO);
		rig_redirect(how->out, STDOUT_FILENO);
		rig_redirect(how->err, STDERR_FILENO);
		execve(GATE_PROGRAM, argv, how->env == NULL ? none : how->env);
		_exit(127);
	}
}

void
rig_start_gate(struct rig *r, int listener)
{
	char *argv[] = { r->control, NULL };

	rig_start(r, &(struct rig_start){ .in = listener, .out = -1, .err = -1, .argv = argv });
}

int
rig_wait(struct rig *r)
{
	int status = 0, fd = (int)syscall(SYS_pidfd_open, r->child, 0);

	assert_true(fd >= 0);
	rig_poll(fd, POLLIN);
	close(fd);
	assert_int_equal(waitpid(r->child, &status, 0), r->child);
	r->child = 0;
	return status;
}

void
rig_poll(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, RIG_LIMIT), 1);
}

int
rig_accept(struct rig *r, const char *line, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} rights;
	char text[64];
	struct iovec iov = { text, sizeof text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
	ssize_t n;
	int sock;

	rig_poll(r->listener, POLLIN);
	sock = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(sock >= 0);
	rig_poll(sock, POLLIN);
	n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	assert_int_equal(n, strlen(line));
	assert_memory_equal(text, line, strlen(line));
	assert_int_equal(msg.msg_controllen >= CMSG_LEN(sizeof(int)), 1);
	assert_int_equal(rights.head.cmsg_type, SCM_RIGHTS);
	memcpy(fd, CMSG_DATA(&rights.head), sizeof *fd);
	return sock;
}

size_t
rig_read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n;

		rig_poll(fd, POLLIN);
		n = read(fd, buf + len, size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}
