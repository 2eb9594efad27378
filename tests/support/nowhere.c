/* SPDX-License-Identifier: ISC */
/*
 * nowhere RESOLV.CONF PROGRAM [argument…]: run a program where names cannot be looked up, and nobody says so.
 *
 * It gets a network of its own, with nothing but loopback, and this file as its /etc/resolv.conf. At
 * 127.0.0.1 there is a name server that takes all questions and answers none.  Unix sockets work as
 * ever.  Needs no privilege, but user namespaces.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int
nowhere_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Root of its own little world. */
static int
nowhere_enter(void)
{
	unsigned uid = getuid(), gid = getgid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
		return -1;
	snprintf(map, sizeof map, "0 %u 1", uid);
	if (nowhere_write("/proc/self/setgroups", "deny") != 0 || nowhere_write("/proc/self/uid_map", map) != 0)
		return -1;
	snprintf(map, sizeof map, "0 %u 1", gid);
	return nowhere_write("/proc/self/gid_map", map);
}

static int
nowhere_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	lo.ifr_flags = IFF_UP | IFF_RUNNING;
	rc = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return rc;
}

/* A process that has the socket and does nothing, as long as the program lives. */
static int
nowhere_name_server(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	close(fd);
	return pid < 0 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: nowhere resolv.conf program [argument…]\n");
		return 2;
	}
	if (nowhere_enter() != 0 || nowhere_loopback() != 0 || mount(argv[1], "/etc/resolv.conf", NULL, MS_BIND, NULL) != 0 ||
	    nowhere_name_server() != 0) {
		perror("nowhere");
		return 1;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
