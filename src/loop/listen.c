/* SPDX-License-Identifier: ISC */
/*
 * Making listening sockets: addresses as text, and unix sockets with their two
 * questions, the mode and who has the path already.
 *
 * The mode is set by the umask around bind(2): the socket appears in the file
 * system with it and never had another.  (fchmod on the socket before bind
 * cannot give more than the umask leaves, and a chmod of the path afterwards
 * may hit what somebody put there meanwhile.)  The umask is the process's, so
 * listening sockets are opened before there are threads.
 *
 * Whether a path that is taken is in use is asked with connect(2): only a
 * refusal says that nobody listens.  A name that is not a socket is never removed.
 */
#include "loop/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/must.h"

union listen_addr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* What the steps of listen_open hand on to each other. */
struct listen_plan {
	const char *address;
	union listen_addr addr;
	socklen_t len;
	mode_t mode;
	char *error;
	size_t error_size;
};

/* Write the sentence.  Returns -1. */
static int __attribute__((format(printf, 2, 3)))
listen_fail(const struct listen_plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, p->error_size, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- addresses ---- */

static int
listen_parse_unix(struct listen_plan *p, const char *path)
{
	struct sockaddr_un *un = &p->addr.un;
	size_t len = strlen(path);

	if (path[0] != '/')
		return listen_fail(p, "%s: the path of a unix socket begins with a slash", p->address);
	if (len >= sizeof un->sun_path)
		return listen_fail(p, "%s: the path of a unix socket has at most %zu bytes, this one has %zu", p->address,
		    sizeof un->sun_path - 1, len);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	p->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

/* Digits only, at most 65535; -1 otherwise. */
static int
listen_parse_port(const char *text)
{
	int port = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		port = port * 10 + (*text - '0');
		if (port > 65535)
			return -1;
	}
	return port;
}

/* "127.0.0.1:9000" or "[::1]:9000". */
static int
listen_parse_inet(struct listen_plan *p)
{
	const char *colon = strrchr(p->address, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t len = colon == NULL ? 0 : (size_t)(colon - p->address);
	int port = colon == NULL ? -1 : listen_parse_port(colon + 1);

	if (len == 0 || len >= sizeof host)
		return listen_fail(p, "%s: not an address; write unix:/path, 127.0.0.1:9000 or [::1]:9000", p->address);
	if (port < 0)
		return listen_fail(p, "%s: the port is a number from 0 to 65535", p->address);
	memcpy(host, p->address, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		p->addr.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
		p->len = sizeof p->addr.in6;
		if (inet_pton(AF_INET6, host + 1, &p->addr.in6.sin6_addr) == 1)
			return 0;
	} else {
		p->addr.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
		p->len = sizeof p->addr.in;
		if (inet_pton(AF_INET, host, &p->addr.in.sin_addr) == 1)
			return 0;
	}
	return listen_fail(p, "%s: the host is a number, 127.0.0.1 or [::1], not a name", p->address);
}

/* ---- binding ---- */

static int
listen_socket(const struct listen_plan *p)
{
	return socket(p->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int
listen_bind(const struct listen_plan *p, int fd)
{
	const int on = 1;
	mode_t before;
	int rc, saved;

	if (p->addr.any.sa_family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (p->addr.any.sa_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
		return bind(fd, &p->addr.any, p->len);
	}
	before = umask(0777 & ~p->mode);
	rc = bind(fd, &p->addr.any, p->len);
	saved = errno;
	umask(before);
	errno = saved;
	return rc;
}

/* Remove the unix socket at the path if nobody listens on it.  Returns 0 when the path is free now. */
static int
listen_remove_stale(const struct listen_plan *p)
{
	const char *path = p->addr.un.sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : listen_fail(p, "%s: %s", p->address, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return listen_fail(p, "%s: there is a file of this name, and it is not a socket", p->address);
	fd = listen_socket(p);
	if (fd < 0)
		return listen_fail(p, "%s: cannot make a socket: %s", p->address, strerror(errno));
	rc = connect(fd, &p->addr.any, p->len) == 0 ? 0 : errno;
	close(fd);
	if (rc == ENOENT)
		return 0;
	if (rc == 0 || rc == EAGAIN || rc == EPROTOTYPE)
		return listen_fail(p, "%s: in use: another process listens on it", p->address);
	if (rc != ECONNREFUSED)
		return listen_fail(p, "%s: cannot tell whether it is in use: %s", p->address, strerror(rc));
	if (unlink(path) != 0 && errno != ENOENT)
		return listen_fail(p, "%s: cannot remove the stale socket: %s", p->address, strerror(errno));
	return 0;
}

static int
listen_start(const struct listen_plan *p, int fd)
{
	int rc = listen_bind(p, fd);

	if (rc != 0 && errno == EADDRINUSE && p->addr.any.sa_family == AF_UNIX) {
		if (listen_remove_stale(p) != 0)
			return -1;
		rc = listen_bind(p, fd);
	}
	if (rc != 0 && errno == EADDRINUSE)
		return listen_fail(p, "%s: in use: another process listens on it", p->address);
	if (rc != 0)
		return listen_fail(p, "%s: cannot bind: %s", p->address, strerror(errno));
	if (listen(fd, LISTEN_BACKLOG) != 0)
		return listen_fail(p, "%s: cannot listen: %s", p->address, strerror(errno));
	return 0;
}

int
listen_open(const char *address, mode_t mode, char *error, size_t size)
{
	struct listen_plan p = { .address = address, .mode = mode, .error = error, .error_size = size };
	int fd, rc;

	if (strncmp(address, "unix:", 5) == 0)
		rc = listen_parse_unix(&p, address + 5);
	else
		rc = listen_parse_inet(&p);
	if (rc != 0)
		return -1;
	fd = listen_socket(&p);
	if (fd < 0)
		return listen_fail(&p, "%s: cannot make a socket: %s", address, strerror(errno));
	if (listen_start(&p, fd) == 0)
		return fd;
	close(fd);
	return -1;
}

/* ---- asking ---- */

int
listen_address(int fd, char *out, size_t size)
{
	union listen_addr a = { .any = { 0 } };
	socklen_t len = sizeof a;
	char host[INET6_ADDRSTRLEN];

	if (getsockname(fd, &a.any, &len) != 0)
		return -1;
	switch (a.any.sa_family) {
	case AF_UNIX:
		len -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
		snprintf(out, size, "unix:%.*s", (int)len, a.un.sun_path);
		return 0;
	case AF_INET:
		inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof host);
		snprintf(out, size, "%s:%u", host, ntohs(a.in.sin_port));
		return 0;
	case AF_INET6:
		inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof host);
		snprintf(out, size, "[%s]:%u", host, ntohs(a.in6.sin6_port));
		return 0;
	default:
		errno = EAFNOSUPPORT;
		return -1;
	}
}

int
listen_is_listening(int fd)
{
	socklen_t len = sizeof(int);
	int yes = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes != 0;
}
