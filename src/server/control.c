/* SPDX-License-Identifier: ISC */
#include "server/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/fdpass.h"
#include "loop/listen.h"
#include "loop/loop.h"

enum { CONTROL_CONNS_MAX = 4096 };

struct control_conn {
	struct control *control;
	struct watch *watch;
	int sock;
	int fd;				/* that came with the line */
	uid_t uid;
	bool asked;			/* the line is complete */
	bool ending;			/* close when out is empty */
	size_t len;
	char line[CONTROL_LINE_MAX];
	struct buf out;
	void (*on_close)(void *arg);
	void *on_close_arg;
	LIST_ENTRY(control_conn) link;
};

struct control {
	struct loop *loop;
	struct listener *listener;
	control_verb_fn *fn;
	void *arg;
	unsigned count;
	LIST_HEAD(, control_conn) conns;
};

static void
control_close(struct control_conn *c)
{
	if (c->on_close != NULL)
		c->on_close(c->on_close_arg);
	LIST_REMOVE(c, link);
	c->control->count--;
	watch_free(&c->watch);
	close(c->sock);
	if (c->fd >= 0)
		close(c->fd);
	buf_fini(&c->out);
	free(c);
}

/* Send what there is.  Returns false when the connection is gone. */
static bool
control_flush(struct control_conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->sock, c->out.at, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			control_close(c);
			return false;
		}
		buf_consume(&c->out, (size_t)n);
	}
	if (c->out.len == 0 && c->ending) {
		control_close(c);
		return false;
	}
	watch_want(c->watch, c->out.len > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
	return true;
}

static void
control_run_line(struct control_conn *c, char *end)
{
	char *args;

	c->asked = true;
	*end = '\0';
	if (end > c->line && end[-1] == '\r')
		end[-1] = '\0';
	args = strchr(c->line, ' ');
	if (args != NULL)
		*args++ = '\0';
	c->control->fn(c->control->arg, c, c->line, args == NULL ? "" : args);
}

static void
control_read(struct control_conn *c)
{
	char drop[256];
	int fd = -1;
	ssize_t n;
	char *end;

	if (c->asked)
		n = recv(c->sock, drop, sizeof drop, MSG_DONTWAIT);
	else
		n = fdpass_recv(c->sock, c->line + c->len, sizeof c->line - 1 - c->len, &fd);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (fd >= 0 && c->fd >= 0)
		close(c->fd);
	if (fd >= 0)
		c->fd = fd;
	/* The end, an error, or a line that is too long. */
	if (n <= 0 || (!c->asked && c->len + (size_t)n == sizeof c->line - 1)) {
		control_close(c);
		return;
	}
	if (c->asked)
		return;
	c->len += (size_t)n;
	end = memchr(c->line, '\n', c->len);
	if (end != NULL)
		control_run_line(c, end);
}

static void
control_on_ready(void *arg, int what)
{
	struct control_conn *c = arg;

	if ((what & WATCH_WRITE) && !control_flush(c))
		return;
	if (what & WATCH_READ)
		control_read(c);
}

static void
control_on_accept(void *arg, int fd)
{
	struct control *k = arg;
	struct control_conn *c = k->count == CONTROL_CONNS_MAX ? NULL : calloc(1, sizeof *c);
	gid_t gid;
	pid_t pid;

	if (c == NULL || fdpass_peer(fd, &pid, &c->uid, &gid) != 0 ||
	    (c->watch = watch_new(k->loop, fd, control_on_ready, c)) == NULL) {
		free(c);
		close(fd);
		return;
	}
	c->control = k;
	c->sock = fd;
	c->fd = -1;
	buf_init(&c->out, CONTROL_REPLY_MAX);
	LIST_INSERT_HEAD(&k->conns, c, link);
	k->count++;
	watch_want(c->watch, WATCH_READ);
}

struct control *
control_new(struct loop *l, int listen_fd, control_verb_fn *fn, void *arg)
{
	struct control *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->loop = l;
	k->fn = fn;
	k->arg = arg;
	LIST_INIT(&k->conns);
	k->listener = listener_new(l, listen_fd, control_on_accept, k);
	if (k->listener == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
control_free(struct control **cp)
{
	struct control *k = *cp;
	struct control_conn *c;

	*cp = NULL;
	if (k == NULL)
		return;
	listener_free(&k->listener);
	while ((c = LIST_FIRST(&k->conns)) != NULL)
		control_close(c);
	free(k);
}

uid_t
control_uid(const struct control_conn *c)
{
	return c->uid;
}

int
control_take_fd(struct control_conn *c)
{
	int fd = c->fd;

	c->fd = -1;
	return fd;
}

void
control_reply(struct control_conn *c, struct span text)
{
	if (buf_add(&c->out, text) == WEFT_OK)
		watch_want(c->watch, WATCH_READ | WATCH_WRITE);
}

void
control_end(struct control_conn *c)
{
	c->ending = true;
	/* From the loop: the caller may hold the connection still. */
	watch_want(c->watch, WATCH_READ | WATCH_WRITE);
}

void
control_on_close(struct control_conn *c, void (*fn)(void *arg), void *arg)
{
	c->on_close = fn;
	c->on_close_arg = arg;
}

/* ---- the client's side ---- */

int
control_connect(const char *path, const char *line)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int sock;

	if (strlen(path) >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	if (connect(sock, (struct sockaddr *)&sun, sizeof sun) != 0 || send(sock, line, strlen(line), MSG_NOSIGNAL) < 0 ||
	    send(sock, "\n", 1, MSG_NOSIGNAL) < 0) {
		int saved = errno;

		close(sock);
		errno = saved;
		return -1;
	}
	return sock;
}

int
control_ask(const char *path, const char *line, char **answer)
{
	int sock = control_connect(path, line);
	struct buf b;
	ssize_t n = 0;
	char *to;

	if (sock < 0)
		return -1;
	buf_init(&b, CONTROL_REPLY_MAX + 1);
	while ((to = buf_reserve(&b, 4096)) != NULL && (n = read(sock, to, 4096)) > 0)
		b.len += (size_t)n;
	close(sock);
	if (to == NULL || n < 0 || buf_add(&b, (struct span){ "", 1 }) != WEFT_OK) {
		buf_fini(&b);
		errno = n < 0 ? errno : EMSGSIZE;
		return -1;
	}
	*answer = b.at;
	return 0;
}
