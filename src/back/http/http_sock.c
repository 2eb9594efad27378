/* SPDX-License-Identifier: ISC */
/*
 * libcurl's sockets: each is opened and closed through us, so it is watched on our loop for as long as it is there, and
 * not inherited by programs that a handler starts.  libcurl keeps connections, and looks after them only when it wants
 * one; here they are looked at before they are used, and shut down when there should be fewer.
 */
#include "back/http/http_impl.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A connection to the server, from when libcurl opens it until it closes it.  libcurl does not say so when it closes one
 * that never was connected; then its last wish has been that nothing is watched, or it has had none.
 */
struct http_sock {
	LIST_ENTRY(http_sock) link;
	struct http_client *client;
	curl_socket_t fd;
	struct watch *watch;
	int wish;			/* WATCH_ bits; 0: it is kept, or held up by its reader */
	bool is_connected;		/* a request was about to be sent down it */
	bool is_http2;			/* it may have something to say at any time */
	bool is_over;			/* shut down by us; libcurl will notice */
	int port;			/* of our end; 0: not asked for yet */
};

static void
http_sock_free(struct http_sock *s)
{
	LIST_REMOVE(s, link);
	watch_free(&s->watch);
	free(s);
}

static void
http_sock_on_watch(void *arg, int what)
{
	struct http_sock *s = arg;

	if (s->wish & what)
		http_client_drive(s->client, s->fd, what & WATCH_READ ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
	else
		(void)watch_want(s->watch, s->wish);	/* nobody waits for it: whoever uses it next will see */
}

static struct http_sock *
http_sock_find(struct http_client *c, curl_socket_t fd)
{
	struct http_sock *s;

	LIST_FOREACH(s, &c->socks, link)
		if (s->fd == fd)
			break;
	return s;
}

/* libcurl closes a connection that it keeps only when it looks for one; the server is to know at once. */
static void
http_sock_end(struct http_sock *s)
{
	if (!s->is_over)
		shutdown(s->fd, SHUT_RDWR);
	s->is_over = true;
}

static bool
http_sock_new(struct http_client *c, curl_socket_t fd)
{
	struct http_sock *s = http_sock_find(c, fd);

	/* One that failed to connect in the same breath. */
	if (s != NULL)
		http_sock_free(s);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return false;
	c->has_opened = true;
	s->client = c;
	s->fd = fd;
	s->watch = watch_new(c->loop, fd, http_sock_on_watch, s);
	LIST_INSERT_HEAD(&c->socks, s, link);
	if (s->watch != NULL)
		return true;
	http_sock_free(s);
	return false;
}

curl_socket_t
http_sock_on_open(void *arg, curlsocktype what, struct curl_sockaddr *at)
{
	curl_socket_t fd = socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);

	if (fd < 0 || http_sock_new(arg, fd))
		return fd;
	close(fd);
	return CURL_SOCKET_BAD;
}

int
http_sock_on_close(void *arg, curl_socket_t fd)
{
	struct http_sock *s = http_sock_find(arg, fd);

	if (s != NULL)
		http_sock_free(s);
	return close(fd);
}

int
http_sock_on_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct http_client *c = arg;
	struct http_sock *s = http_sock_find(c, fd);

	if (s == NULL)
		return what == CURL_POLL_REMOVE ? 0 : -1;
	if (what == CURL_POLL_REMOVE && !s->is_connected) {
		http_sock_free(s);
		return 0;
	}
	s->wish = what == CURL_POLL_REMOVE ? 0 : (what & CURL_POLL_IN ? WATCH_READ : 0) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0);
	if (watch_want(s->watch, s->wish == 0 ? WATCH_READ : s->wish) == 0)
		return 0;
	c->broken = "a socket cannot be watched";
	return -1;
}

/* The port of our end. */
static int
http_sock_port(struct http_sock *s)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at;
	socklen_t len = sizeof at;

	if (s->port != 0 || getsockname(s->fd, &at.any, &len) != 0)
		return s->port;
	if (at.any.sa_family == AF_INET)
		s->port = ntohs(at.in.sin_port);
	else if (at.any.sa_family == AF_INET6)
		s->port = ntohs(at.in6.sin6_port);
	return s->port;
}

static struct http_sock *
http_sock_find_port(struct http_client *c, int port)
{
	struct http_sock *s;

	LIST_FOREACH(s, &c->socks, link)
		if (http_sock_port(s) == port)
			break;
	return s;
}

bool
http_sock_meets(struct http_client *c, int port)
{
	struct http_sock *s = http_sock_find_port(c, port);
	bool was_connected = s != NULL && s->is_connected;
	char first;

	if (s == NULL)
		return true;
	s->is_connected = true;
	return !was_connected || s->is_http2 || recv(s->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

void
http_sock_hears_http2(struct http_client *c, int port)
{
	struct http_sock *s = http_sock_find_port(c, port);

	if (s != NULL)
		s->is_http2 = true;
}

/* ---- fewer ---- */

void
http_sock_sweep(struct http_client *c)
{
	struct http_sock *s, *next;

	if (!c->has_opened)
		return;
	c->has_opened = false;
	for (s = LIST_FIRST(&c->socks); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (!s->is_connected && s->wish == 0)
			http_sock_free(s);
	}
}

void
http_sock_free_all(struct http_client *c)
{
	while (!LIST_EMPTY(&c->socks))
		http_sock_free(LIST_FIRST(&c->socks));
}

/* Is a request under way on it?  Where its reader holds it up, libcurl wants as little of it as of one that is kept. */
static bool
http_sock_is_used(const struct http_client *c, struct http_sock *s)
{
	int port = http_sock_port(s);
	struct http *x;

	TAILQ_FOREACH(x, &c->all, link)
		if (x->is_in_multi && x->port == port)
			return true;
	return false;
}

/* One that idles, if there are more than so many connections; NULL: there are not, or none idles. */
static struct http_sock *
http_sock_excess(struct http_client *c, unsigned places)
{
	struct http_sock *s, *idle = NULL;
	unsigned n = 0;

	LIST_FOREACH(s, &c->socks, link)
		if (!s->is_over) {
			n++;
			idle = s->is_connected && s->wish == 0 && !http_sock_is_used(c, s) ? s : idle;
		}
	return n > places ? idle : NULL;
}

void
http_sock_end_idle(struct http_client *c, unsigned places)
{
	struct http_sock *s;

	while ((s = http_sock_excess(c, places)) != NULL)
		http_sock_end(s);
}

curl_socket_t
http_sock_last(struct http *x)
{
	struct http_sock *s;

	if (x->is_in_multi)
		s = x->port == 0 ? NULL : http_sock_find_port(x->client, x->port);
	else
		s = http_sock_excess(x->client, x->client->places - 1);
	return s == NULL ? CURL_SOCKET_BAD : s->fd;
}
