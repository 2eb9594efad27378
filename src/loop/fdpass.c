/* SPDX-License-Identifier: ISC */
#include "loop/fdpass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more than the one that is expected, so that others can be closed; the kernel keeps what does not fit. */
enum { FDPASS_ROOM = 8 };

union fdpass_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDPASS_ROOM * sizeof(int))];
};

int
fdpass_send(int sock, const void *bytes, size_t len, int fd)
{
	union fdpass_control control = { .room = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof fd);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n < len) {	/* a stream socket took a part */
		errno = EMSGSIZE;
		return -1;
	}
	return n < 0 ? -1 : 0;
}

/* Take the first descriptor of a control message, close the others. */
static void
fdpass_take(const struct cmsghdr *c, int *fd)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fd;

	for (size_t i = 0; i < count; i++) {
		int one;

		memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
		if (*fd < 0)
			*fd = one;
		else
			close(one);
	}
}

ssize_t
fdpass_recv(int sock, void *bytes, size_t size, int *fd)
{
	union fdpass_control control;
	struct iovec iov = { bytes, size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control,
	};
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			fdpass_take(c, fd);
	}
	return n;
}

int
fdpass_peer(int sock, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred who;
	socklen_t len = sizeof who;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		return -1;
	*pid = who.pid;
	*uid = who.uid;
	*gid = who.gid;
	return 0;
}
