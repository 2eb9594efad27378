/* SPDX-License-Identifier: ISC */
#ifndef BACK_HTTP_IMPL_H
#define BACK_HTTP_IMPL_H

/*
 * HTTP, by libcurl's multi interface, shared by http.c (the driver: calls in, outcomes out), http_client.c (what all
 * connections of a pool have in common: libcurl on our loop, names), http_sock.c (its sockets) and http_easy.c (one
 * transfer: options and callbacks).  Nobody else includes it.
 *
 * A connection of the pool is a place for one transfer.  The connections to the server are
 * libcurl's own, never more than there are places; they belong to the pool's client, so no other pool's credentials or TLS
 * settings ever meet them.
 *
 * libcurl is called from the loop only, never from a fiber's stack: what a fiber wants is queued, and done
 * at the end of the turn, what is to stop first.  The pool is told nothing from within libcurl's callbacks.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "back/driver.h"
#include "back/http/http_head.h"
#include "back/http/http_stream.h"
#include "back/http/httptext.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "loop/resolve.h"

enum {
	HTTP_BODY_KEPT = 65536,			/* a buffer that has grown beyond is freed after use */
	HTTP_REDIRECT_BODY = 65536,		/* of an answer that is not looked at: more is not waited for */
	HTTP_SIP = 1024,			/* the least that libcurl reads at once, and the usual */
	HTTP_GULP = 16384,
	HTTP_URL_MAX = 512 + 3 * 256 + 256,	/* of the pool's own URL: scheme, host, port, encoded path */
};

#define HTTP_NAME_FRESH (60 * USEC_PER_SEC)	/* a name is looked up anew when its addresses are older */
#define HTTP_NAME_RETRY USEC_PER_SEC		/* or when that failed so long ago */

enum http_state {
	HTTP_OPENS,		/* waits for the addresses, or for the end of the turn */
	HTTP_PROBES,		/* connects, to see whether the server is there */
	HTTP_IDLE,
	HTTP_STARTS,		/* has a call, begins at the end of the turn */
	HTTP_RUNS,
	HTTP_STOPS,		/* nobody wants it any more; ends at the end of the turn */
};

TAILQ_HEAD(http_list, http);

/* What the connections of one pool share.  Owned by them together: the last one frees it. */
struct http_client {
	LIST_ENTRY(http_client) link;	/* all clients */
	struct pool *pool;
	struct loop *loop;
	CURLM *multi;			/* NULL: to be made for the next transfer */
	unsigned refs;			/* connections, and frames that use it */
	unsigned running;		/* handles in multi */
	unsigned places, limit;		/* connections of the pool; and how many of its own libcurl may have, as it was told last */
	struct timer *timer;		/* libcurl's */
	struct timer *rest_timer;	/* nothing has run for long: close what is kept */
	struct loop_task task;
	LIST_HEAD(, http_sock) socks;	/* its connections */
	bool has_opened;		/* some of them in this call of libcurl */
	struct http_list all, todo;	/* todo: to be looked at, at the end of the turn */
	bool is_proven;			/* the last thing known of the server is that it takes connections */
	const char *broken;		/* why multi is of no use; NULL: it is */

	char url[HTTP_URL_MAX];		/* the pool's own, without user and password: "https://host:port/path" */
	char ca[256];			/* file of certificates; "": the system's */
	bool has_name;			/* the host is not a number */
	struct resolve *resolving;
	int resolve_error;		/* of the last look-up */
	usec resolve_at;		/* when the next one is due */
	struct curl_slist *addresses;	/* as CURLOPT_RESOLVE wants them; NULL: not known */
	bool has_news;			/* libcurl does not know them yet */
};

/* One connection of the pool. */
struct http {
	TAILQ_ENTRY(http) link, todo_link;
	bool is_todo, is_in_multi;
	enum http_state state;
	struct conn *conn;
	struct http_client *client;
	CURL *easy;
	struct call *call;		/* NULL: none, abandoned, or its stream has begun */
	struct http_stream *stream;	/* NULL: none, or the reader has left */
	bool is_read;			/* its stream has begun: until it ends the pool knows that it is wanted */
	bool resumes;			/* the stream has room again */

	/* of the transfer */
	struct curl_slist *fields;
	struct http_head head;
	struct buf body;
	unsigned long long body_max, body_bytes;
	bool wants_stream;
	bool sips;			/* easy is made to read little at once */
	bool sent;			/* some bytes of the request have gone out, in this hop or one before */
	unsigned attempts;		/* in this hop: libcurl would make another one when a kept connection ends under it */
	unsigned hops;			/* redirects followed */
	bool becomes_get;		/* by a redirect */
	char *url;			/* where redirects have led to; NULL: where the ask says */
	char *next;			/* where the answer leads to; NULL: it is the answer */
	int port;			/* at our end, of the connection that it runs on; 0: on none yet */
	bool is_stale;			/* the kept connection was not fit for a request … */
	bool wants_fresh;		/* … and no other kept one is tried */
	enum weft_rc stopped;		/* a callback has ended it, and why */
	const char *why;
	char error[CURL_ERROR_SIZE];	/* libcurl's words */
};

/* ---- http.c ---- */

/* The only writer of x->state, with the table of legal moves. */
void http_enter(struct http *x, enum http_state next);

/* Look at x, which is on the client's list todo no more: do what its state asks for.  x may be gone afterwards. */
void http_step(struct http *x);

/* libcurl is done with a transfer.  x may be gone afterwards. */
void http_finished(struct http *x, CURLcode code);

/* The head of the answer is there, from within libcurl: a stream begins.  Returns false when memory is refused. */
bool http_begin_stream(struct http *x);

/* ---- http_client.c ---- */

/* Returns the client of a pool, made on first use, or NULL.  http_client_unref gives it back. */
struct http_client *http_client_ref(struct pool *p);

/* Returns NULL; the client is freed with its last reference. */
void http_client_unref(struct http_client **cp);

/* Look at x at the end of the turn. */
void http_client_queue(struct http *x);

/* Take x off the list again. */
void http_client_unqueue(struct http *x);

/* Give x's handle to libcurl; it is looked at before the task ends.  Returns false when libcurl refuses. */
bool http_client_add(struct http *x);

/* Take it back, whatever it is doing. */
void http_client_remove(struct http *x);

/* There is one connection of the pool less: the server sees one less, too. */
void http_client_leave(struct http_client *c);

/* See that the addresses of the host are known, and not too old. */
void http_client_look_up(struct http_client *c);

/* Let libcurl go on; fd is CURL_SOCKET_TIMEOUT for whatever is due.  The client may be gone afterwards. */
void http_client_drive(struct http_client *c, curl_socket_t fd, int what);

/* ---- http_sock.c ---- */

/* For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; arg is the client. */
curl_socket_t http_sock_on_open(void *arg, curlsocktype what, struct curl_sockaddr *at);
int http_sock_on_close(void *arg, curl_socket_t fd);

/*
 * For CURLMOPT_SOCKETFUNCTION; arg is the client: from now on these events of fd.  A connection that libcurl keeps stays watched: the next
 * request asks for the same again.  Returns -1 when it cannot be; then the multi handle is of no use any more.
 */
int http_sock_on_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused);

/*
 * The connection with this port at our end is about to be used.  Returns false when it has been used before, and bytes have
 * come since that nobody has read, or its end.
 */
bool http_sock_meets(struct http_client *c, int port);

/* That connection is one in HTTP/2. */
void http_sock_hears_http2(struct http_client *c, int port);

/* After each call of libcurl: forget those that failed to connect at once.  They are closed, and their numbers may be anybody's by now. */
void http_sock_sweep(struct http_client *c);

/* Shut down those that idle, until there are no more than so many connections. */
void http_sock_end_idle(struct http_client *c, unsigned places);

/* Returns the connection to the server that goes with x's place, CURL_SOCKET_BAD when none does. */
curl_socket_t http_sock_last(struct http *x);

/* Forget all; libcurl has closed them. */
void http_sock_free_all(struct http_client *c);

/* ---- http_easy.c ---- */

/* Make x->easy, with all options that are the same for each call.  Returns false when memory is refused. */
bool http_easy_new(struct http *x);
void http_easy_free(struct http *x);

/* Set the options for x->call, at x->url; it may take another handle.  Returns false when memory is refused. */
bool http_easy_ask(struct http *x);

/* Set the options to connect, and no more. */
bool http_easy_probe(struct http *x);

/* Forget what the last call needed. */
void http_easy_clear(struct http *x);

/* libcurl is done with it: note what there is to know of that, while it is in the multi handle. */
void http_easy_ended(struct http *x, CURLcode code);

/* Returns whether any byte of a request has gone out since the handle was started. */
bool http_easy_has_sent(struct http *x);

#endif
