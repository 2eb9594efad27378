/* SPDX-License-Identifier: ISC */
#include "gate/control.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Close, but leave errno as the failure before it set it. */
static void
control_close(int sock)
{
	int why = errno;

	close(sock);
	errno = why;
}

/* Returns the connection, or -1 with errno. */
static int
control_connect(const char *path)
{
	struct timeval limit = { .tv_sec = CONTROL_STALL_MAX / 1000 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int sock;

	if (len >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, len);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	/* It bounds connect() too, which sleeps while the server's backlog is full. */
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(sock, (struct sockaddr *)&to, sizeof to) == 0)
		return sock;
	control_close(sock);
	return -1;
}

/* Returns 0, or -1 with errno. */
static int
control_send(int sock, const char *line, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} rights;
	struct iovec text = { (void *)(uintptr_t)line, strlen(line) };
	struct msghdr msg = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = rights.room,
		.msg_controllen = sizeof rights.room,
	};
	ssize_t n;

	memset(&rights, 0, sizeof rights);
	rights.head.cmsg_len = CMSG_LEN(sizeof fd);
	rights.head.cmsg_level = SOL_SOCKET;
	rights.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&rights.head), &fd, sizeof fd);
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int
control_hand_over(const char *path, const char *line, int fd)
{
	int sock = control_connect(path);

	if (sock < 0)
		return -1;
	if (control_send(sock, line, fd) == 0)
		return sock;
	control_close(sock);
	return -1;
}

void
control_back_off(int *delay)
{
	poll(NULL, 0, *delay);
	*delay = *delay > CONTROL_DELAY_MAX / 2 ? CONTROL_DELAY_MAX : *delay * 2;
}
