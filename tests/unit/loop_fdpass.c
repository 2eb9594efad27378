/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/fdpass.h"

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
a_descriptor_goes_along_with_bytes(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	char got[16];

	for (int i = 0; i < 2; i++) {
		int pair[2], p[2], fd;

		assert_int_equal(socketpair(AF_UNIX, types[i], 0, pair), 0);
		assert_int_equal(pipe(p), 0);
		assert_int_equal(fdpass_send(pair[0], "hi", 2, p[1]), 0);
		assert_int_equal(fdpass_recv(pair[1], got, sizeof got, &fd), 2);
		assert_memory_equal(got, "hi", 2);
		assert_true(fd >= 0 && fd != p[1]);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(write(fd, "x", 1), 1);
		assert_int_equal(read(p[0], got, 1), 1);
		close(fd);

		assert_int_equal(fdpass_send(pair[0], "none", 4, -1), 0);
		assert_int_equal(fdpass_recv(pair[1], got, sizeof got, &fd), 4);
		assert_int_equal(fd, -1);

		close(pair[0]);
		assert_int_equal(fdpass_recv(pair[1], got, sizeof got, &fd), 0);
		assert_int_equal(fdpass_send(pair[1], "x", 1, -1), -1);
		assert_int_equal(errno, EPIPE);
		close(pair[1]);
		close(p[0]);
		close(p[1]);
	}
}

static void
what_does_not_fit_is_an_error(void **state)
{
	static char bytes[4096];
	int pair[2], fd, sent = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(fdpass_recv(pair[1], bytes, sizeof bytes, &fd), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fd, -1);
	assert_int_equal(fdpass_send(pair[0], bytes, 0, -1), -1);
	assert_int_equal(errno, EINVAL);
	while (sent < 10000 && fdpass_send(pair[0], bytes, sizeof bytes, -1) == 0)
		sent++;
	assert_int_equal(errno, EAGAIN);
	while (sent > 0 && fdpass_recv(pair[1], bytes, sizeof bytes, &fd) == (ssize_t)sizeof bytes)
		sent--;
	assert_int_equal(sent, 0);
	close(pair[0]);
	close(pair[1]);
}

/* A peer that sends more descriptors than one cannot fill our table. */
static void
descriptors_too_many_are_closed(void **state)
{
	int many[20], pair[2], fd, before;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof many)];
	} control = { .room = { 0 } };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control,
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	before = open_descriptors();
	for (int i = 0; i < 20; i++)
		many[i] = pair[0];
	for (int count = 1; count <= 20; count++) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		msg.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		memcpy(CMSG_DATA(c), many, (size_t)count * sizeof(int));
		assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
		assert_int_equal(fdpass_recv(pair[1], &byte, 1, &fd), 1);
		assert_true(fd >= 0);
		assert_int_equal(open_descriptors(), before + 1);
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
}

static void
the_peer_is_known(void **state)
{
	int pair[2], p[2];
	pid_t pid;
	uid_t uid;
	gid_t gid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fdpass_peer(pair[0], &pid, &uid, &gid), 0);
	assert_int_equal(pid, getpid());
	assert_int_equal(uid, getuid());
	assert_int_equal(gid, getgid());
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fdpass_peer(p[0], &pid, &uid, &gid), -1);
	close(pair[0]);
	close(pair[1]);
	close(p[0]);
	close(p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_goes_along_with_bytes),
		cmocka_unit_test(what_does_not_fit_is_an_error),
		cmocka_unit_test(descriptors_too_many_are_closed),
		cmocka_unit_test(the_peer_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
