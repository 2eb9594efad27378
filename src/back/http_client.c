/* SPDX-License-Identifier: ISC */
/*
 * libcurl on our loop: a watch for each of its sockets, a timer for its timer; and the names of servers, which are
 * looked up by loop/resolve and handed to libcurl, so that it never does so itself: cancelling a look-up
 * of its own would wait for it.
 *
 * A driver has no place for what belongs to a pool and not to one of its connections, so
 * clients are found by their pool.  A client comes with the first connection and goes with the last.
 */
#include "back/http_impl.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/pool.h"
#include "base/must.h"

/*
 * A connection to the server, from when libcurl opens it until it closes it.  libcurl does not say so when it closes one
 * that never was connected; then its last wish has been that nothing is watched.
 */
struct http_sock {
	LIST_ENTRY(http_sock) link;
	struct http_client *client;
	curl_socket_t fd;
	struct watch *watch;
	int wish;			/* WATCH_ bits; 0: it is kept, and idles */
	bool is_connected;		/* a request was about to be sent down it */
	int port;			/* of our end; 0: not asked for yet */
};

static LIST_HEAD(, http_client) http_clients = LIST_HEAD_INITIALIZER(http_clients);

/* ---- libcurl's events ---- */

static void
http_client_settle(struct http_client *c)
{
	struct http *x;
	CURLMsg *m;
	int left;

	while (c->broken == NULL && (m = curl_multi_info_read(c->multi, &left)) != NULL) {
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x) != CURLE_OK)
			continue;
		http_finished(x, code);
	}
	if (c->broken == NULL)
		return;
	/* The connections that come after these have another client. */
	if (c->link.le_prev != NULL)
		LIST_REMOVE(c, link);
	c->link.le_prev = NULL;
	while ((x = TAILQ_FIRST(&c->all)) != NULL)
		conn_is_dead(x->conn, NULL, "%s", c->broken);
}

/* Let libcurl go on; fd is CURL_SOCKET_TIMEOUT for whatever is due. */
static void
http_client_drive(struct http_client *c, curl_socket_t fd, int what)
{
	CURLMcode rc;
	int running;

	if (c->multi == NULL)
		return;
	c->refs++;
	rc = curl_multi_socket_action(c->multi, fd, what, &running);
	if (rc != CURLM_OK && c->broken == NULL)
		c->broken = curl_multi_strerror(rc);
	http_client_settle(c);
	http_client_unref(&c);
}

/* ---- sockets ---- */

static void
http_sock_on_watch(void *arg, int what)
{
	struct http_sock *s = arg;

	if (s->wish & what)
		http_client_drive(s->client, s->fd, what & WATCH_READ ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
	else
		(void)watch_want(s->watch, s->wish);	/* it idles: whoever uses it next will see */
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

static void
http_sock_free(struct http_sock *s)
{
	LIST_REMOVE(s, link);
	watch_free(&s->watch);
	free(s);
}

static bool
http_sock_new(struct http_client *c, curl_socket_t fd)
{
	struct http_sock *s = http_sock_find(c, fd);

	/* One that was closed before anything was to be watched. */
	if (s != NULL)
		http_sock_free(s);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return false;
	s->client = c;
	s->fd = fd;
	s->watch = watch_new(c->loop, fd, http_sock_on_watch, s);
	LIST_INSERT_HEAD(&c->socks, s, link);
	if (s->watch != NULL)
		return true;
	http_sock_free(s);
	return false;
}

/* A program that a handler starts must not inherit it. */
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

/*
 * libcurl's wish: from now on these events of fd.  A connection that it keeps stays watched: the next request asks
 * for the same again.  Returns -1 when it cannot be; then the multi handle is of no use any more.
 */
static int
http_client_on_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
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

bool
http_client_has_unread(struct http_client *c, int port)
{
	struct http_sock *s;
	char first;

	LIST_FOREACH(s, &c->socks, link)
		if (http_sock_port(s) == port)
			break;
	if (s == NULL)
		return false;
	s->is_connected = true;
	return recv(s->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* ---- time ---- */

static void
http_client_on_timer(void *arg)
{
	http_client_drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
http_client_on_timer_wish(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;

	timer_set(c->timer, ms < 0 ? CLOCK_NEVER : clock_add(loop_now(c->loop), (usec)ms * USEC_PER_MSEC));
	return 0;
}

/* ---- the multi handle ---- */

static void
http_client_end(struct http_client *c)
{
	curl_multi_cleanup(c->multi);
	c->multi = NULL;
}

/* Make it, the first time.  Returns false when that fails. */
static bool
http_client_begin(struct http_client *c)
{
	static bool is_begun;
	long max = (long)pool_settings(c->pool)->max;

	if (c->multi != NULL)
		return true;
	if (!is_begun)
		is_begun = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	c->multi = is_begun ? curl_multi_init() : NULL;
	if (c->multi == NULL)
		return false;
	if (curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, http_client_on_wish) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, http_client_on_timer_wish) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, max) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, max) == CURLM_OK)
		return true;
	http_client_end(c);
	return false;
}

/* libcurl closes a kept connection only when it looks for one.  With nothing to do, the server is told that they are over. */
static void
http_client_on_rest(void *arg)
{
	struct http_client *c = arg;
	struct http_sock *s;

	if (c->running > 0)
		return;
	LIST_FOREACH(s, &c->socks, link)
		shutdown(s->fd, SHUT_RDWR);
}

bool
http_client_add(struct http *x)
{
	struct http_client *c = x->client;

	if (!http_client_begin(c))
		return false;
	if (c->has_news && curl_easy_setopt(x->easy, CURLOPT_RESOLVE, c->addresses) != CURLE_OK)
		return false;
	if (curl_multi_add_handle(c->multi, x->easy) != CURLM_OK)
		return false;
	c->has_news = false;
	c->running++;
	x->is_in_multi = true;
	return true;
}

void
http_client_remove(struct http *x)
{
	struct http_client *c = x->client;

	if (!x->is_in_multi)
		return;
	curl_multi_remove_handle(c->multi, x->easy);
	curl_easy_setopt(x->easy, CURLOPT_RESOLVE, NULL);
	x->is_in_multi = false;
	if (--c->running == 0)
		timer_set(c->rest_timer, clock_add(loop_now(c->loop), pool_settings(c->pool)->idle_timeout));
}

/* ---- the end of the turn ---- */

void
http_client_queue(struct http *x)
{
	if (x->is_todo)
		return;
	x->is_todo = true;
	/* What stops comes first: its asker's memory may be gone, so nothing of libcurl's may run before. */
	if (x->state == HTTP_STOPS)
		TAILQ_INSERT_HEAD(&x->client->todo, x, todo_link);
	else
		TAILQ_INSERT_TAIL(&x->client->todo, x, todo_link);
	loop_after_turn(x->client->loop, &x->client->task);
}

void
http_client_unqueue(struct http *x)
{
	if (!x->is_todo)
		return;
	x->is_todo = false;
	TAILQ_REMOVE(&x->client->todo, x, todo_link);
}

static void
http_client_on_turn_end(void *arg)
{
	struct http_client *c = arg;
	struct http *x;

	c->refs++;
	while ((x = TAILQ_FIRST(&c->todo)) != NULL) {
		http_client_unqueue(x);
		http_step(x);
	}
	if (c->running > 0 || c->broken != NULL)
		http_client_drive(c, CURL_SOCKET_TIMEOUT, 0);
	http_client_unref(&c);
}

/* ---- names ---- */

/* "host:port:address,address"; an IPv6 address is in brackets. */
static struct curl_slist *
http_client_addresses(const struct http_client *c, const struct resolved *found)
{
	const struct back_url *u = pool_url(c->pool);
	char text[sizeof u->host + 16 + RESOLVE_MAX * (INET6_ADDRSTRLEN + 3)];
	unsigned port = u->port != 0 ? u->port : strcmp(u->scheme, "https") == 0 ? 443 : 80;
	int n = snprintf(text, sizeof text, "%s:%u:", u->host, port);

	for (unsigned i = 0; i < found->count; i++)
		n += snprintf(text + n, sizeof text - (size_t)n,
		    strchr(found->address[i].text, ':') == NULL ? "%s%s" : "%s[%s]", i == 0 ? "" : ",", found->address[i].text);
	return curl_slist_append(NULL, text);
}

static void
http_client_on_resolved(void *arg, const struct resolved *found)
{
	struct http_client *c = arg;
	struct curl_slist *fresh = found->count > 0 ? http_client_addresses(c, found) : NULL;
	struct http *x;

	c->resolving = NULL;
	c->resolve_error = found->count > 0 && fresh == NULL ? EAI_MEMORY : found->error;
	c->resolve_at = clock_add(loop_now(c->loop), fresh != NULL ? HTTP_NAME_FRESH : HTTP_NAME_RETRY);
	if (fresh != NULL) {
		c->has_news = c->addresses == NULL || strcmp(c->addresses->data, fresh->data) != 0 || c->has_news;
		curl_slist_free_all(c->addresses);
		c->addresses = fresh;
	}
	TAILQ_FOREACH(x, &c->all, link)
		if (x->state == HTTP_OPENS)
			http_client_queue(x);
}

void
http_client_look_up(struct http_client *c)
{
	const struct back_url *u = pool_url(c->pool);
	struct resolve *r;

	if (!c->has_name || c->resolving != NULL || (c->resolve_at != 0 && loop_now(c->loop) < c->resolve_at))
		return;
	r = resolve_start(c->loop, u->host, u->port, http_client_on_resolved, c);
	if (r != NULL)
		c->resolving = r;
}

/* ---- life ---- */

static bool
http_is_name(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) != 1 && inet_pton(AF_INET6, host, &any) != 1;
}

/* The pool's own URL, as requests begin with it. */
static void
http_client_set_url(struct http_client *c)
{
	const struct back_url *u = pool_url(c->pool);
	char path[3 * sizeof u->path], port[16] = "";
	size_t len;

	must(http_encode(path, sizeof path, u->path, "/:@!$&'()*+,;="));
	len = strlen(path);
	if (len > 0 && path[len - 1] == '/')
		path[len - 1] = '\0';
	if (u->port != 0)
		snprintf(port, sizeof port, ":%u", u->port);
	snprintf(c->url, sizeof c->url, strchr(u->host, ':') == NULL ? "%s://%s%s%s" : "%s://[%s]%s%s", u->scheme, u->host, port, path);
	(void)back_url_param(u, "ca", c->ca, sizeof c->ca);
	c->has_name = http_is_name(u->host);
	c->has_http1 = strcmp(u->scheme, "http") == 0;
}

static void
http_client_free(struct http_client *c)
{
	if (c->link.le_prev != NULL)
		LIST_REMOVE(c, link);
	loop_task_cancel(c->loop, &c->task);
	if (c->resolving != NULL)
		resolve_cancel(&c->resolving);
	http_client_end(c);
	while (!LIST_EMPTY(&c->socks))
		http_sock_free(LIST_FIRST(&c->socks));
	curl_slist_free_all(c->addresses);
	timer_free(&c->timer);
	timer_free(&c->rest_timer);
	free(c);
}

static struct http_client *
http_client_new(struct pool *p)
{
	struct http_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->pool = p;
	c->loop = pool_loop(p);
	c->task = (struct loop_task){ .fn = http_client_on_turn_end, .arg = c };
	TAILQ_INIT(&c->all);
	TAILQ_INIT(&c->todo);
	LIST_INIT(&c->socks);
	http_client_set_url(c);
	c->timer = timer_new(c->loop, http_client_on_timer, c);
	c->rest_timer = timer_new(c->loop, http_client_on_rest, c);
	if (c->timer != NULL && c->rest_timer != NULL) {
		LIST_INSERT_HEAD(&http_clients, c, link);
		return c;
	}
	http_client_free(c);
	return NULL;
}

struct http_client *
http_client_ref(struct pool *p)
{
	struct http_client *c;

	LIST_FOREACH(c, &http_clients, link)
		if (c->pool == p)
			break;
	if (c == NULL)
		c = http_client_new(p);
	if (c != NULL)
		c->refs++;
	return c;
}

void
http_client_unref(struct http_client **cp)
{
	struct http_client *c = *cp;

	*cp = NULL;
	must(c->refs > 0);
	if (--c->refs == 0)
		http_client_free(c);
}
