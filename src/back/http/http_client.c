/* SPDX-License-Identifier: ISC */
/*
 * What the connections of one pool share: libcurl on our loop, with a timer for its timer (http_sock.c has a watch for each of its
 * sockets); and the names of servers, which are looked up by loop/resolve and handed to libcurl, so that it never does so itself: cancelling a look-up
 * of its own would wait for it.
 *
 * A driver has no place for what belongs to a pool and not to one of its connections, so
 * clients are found by their pool.  A client comes with the first connection and goes with the last.
 */
#include "back/http/http_impl.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/must.h"

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

void
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
	http_sock_sweep(c);
	http_client_settle(c);
	http_client_unref(&c);
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

/*
 * Make it, the first time.  Returns false when that fails.
 *
 * No multiplexing: with some connections to a server in HTTP/1.1 and some in HTTP/2 libcurl (7.88) sends a second request down
 * one in HTTP/1.1 that is in use, and mixes up the answers.  A stream that is not read would hold up others, too.
 */
static bool
http_client_begin(struct http_client *c)
{
	static bool is_begun;

	if (c->multi != NULL)
		return true;
	if (!is_begun)
		is_begun = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	c->multi = is_begun ? curl_multi_init() : NULL;
	if (c->multi == NULL)
		return false;
	if (curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, http_sock_on_wish) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, http_client_on_timer_wish) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK)
		return true;
	http_client_end(c);
	return false;
}

/* Nothing has run for long. */
static void
http_client_on_rest(void *arg)
{
	struct http_client *c = arg;

	if (c->running == 0)
		http_sock_end_idle(c, 0);
}

/* As many connections as places. */
static bool
http_client_set_limit(struct http_client *c)
{
	long most = (long)c->places;

	if (c->limit == c->places)
		return true;
	c->limit = c->places;
	return curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, most) == CURLM_OK &&
	    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, most) == CURLM_OK;
}

void
http_client_leave(struct http_client *c)
{
	c->places--;
	http_sock_end_idle(c, c->places);
}

bool
http_client_add(struct http *x)
{
	struct http_client *c = x->client;

	if (!http_client_begin(c) || !http_client_set_limit(c))
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

/* Not a number in any form: libcurl writes "127.1" out before it asks for the address. */
static bool
http_is_name(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	return inet_aton(host, &four) == 0 && inet_pton(AF_INET6, host, &six) != 1;
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
	http_sock_free_all(c);
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
