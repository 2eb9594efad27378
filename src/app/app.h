/* SPDX-License-Identifier: ISC */
#ifndef APP_APP_H
#define APP_APP_H

/*
 * What a worker serves: its modules' routes, its pools, and the way from a
 * ready request to a handler.  One struct app a worker.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <weft/weft.h>

#include "back/call.h"
#include "back/channel.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/sql/stmts.h"
#include "base/fault.h"
#include "front/front.h"
#include "request/request.h"

struct loop;
struct module;
struct router;

enum { APP_POOLS_MAX = 64, APP_MODULES_MAX = 256, APP_RINGS_MAX = 128, APP_SCRIPTS_MAX = 256 };

/* One route of a module, as the router's target. */
struct app_route {
	weft_handler *handler;
	struct module *module;	/* NULL: a page of ours */
	const char *label;	/* "shop: GET /item/:id" */
	size_t prefix;		/* bytes of the module's prefix in the path */
	usec timeout;		/* 0: as configured */
};

/* Something asked for and not yet waited for; in the request's arena, or on the stack of its fiber. */
struct weft_call {
	struct call call;		/* of a pool … */
	struct fault fault;
	struct weft_request *rq;
	int (*fn)(struct weft_request *rq, void *arg);	/* … or a function on a fiber */
	void *arg;
	struct fiber *child;		/* while it runs */
	struct weft_call *waits;	/* for this other one its function waits now */
	int status;			/* what its failure noted beside the fault: as fault_status and fault_pool of the request */
	const char *pool;
	bool spawned;
	LIST_ENTRY(weft_call) link;	/* the request's calls which are not waited for yet */
};

/* A connection that a request has borrowed; in its arena. */
struct weft_lease {
	struct lease lease;
	struct fault over;		/* of its place in the queue; then what all further calls fail with: one was given up, or
					   the transaction is over.  rc WEFT_OK: none */
	struct weft_request *rq;
	struct call *call;		/* what a fiber waits for on it now; NULL: nothing */
	struct weft_stream *stream;	/* whose rows come on it; NULL: none */
	bool begun;			/* its transaction is weft_begin's */
	bool given;
	LIST_ENTRY(weft_lease) link;	/* the request's which are not given back */
};

/* To a channel of a pool; in the request's arena. */
struct weft_subscription {
	struct subscription subscription;
	const char *pool;		/* its name */
	bool ended;
	LIST_ENTRY(weft_subscription) link;	/* the request's which have not ended */
};

struct app_defer {
	void (*fn)(void *arg);
	void *arg;
	struct app_defer *next;
};

/* The waits of a request were ended by its deadline, or by its client's leaving. */
struct app_late {
	struct fiber_late wait;		/* the first of them; a fiber of weft_spawn's comes before who waits for it */
	const char *pool;		/* NULL: it was not for a pool */
	bool is_told;			/* the log says so */
	bool is_answered;		/* the handler went on and on, and the server has answered for it */
};

struct app_param {
	const char *name, *value;
};

/* What the handler's opaque pointer points to. */
struct weft_request {
	struct request rq;		/* first: fronts make and know only this */
	struct app *app;
	const struct app_route *route;
	const char *path;		/* decoded, below the prefix; made when asked for */
	const char **var_names;		/* terminated; made when asked for */
	struct app_param *param;	/* of the route, decoded */
	unsigned nparams;
	enum weft_rc fault_rc;		/* of the last call that failed; WEFT_OK: none has */
	int fault_status;		/* of weft_fail(); 0: after fault_rc */
	struct fault *fault;		/* what was said of it; in the arena.  NULL: nothing, or no memory was left for it */
	const char *fault_pool;		/* its pool; NULL: none */
	struct app_late *late;		/* in the arena; NULL: it is not, or no memory was left to say so */
	LIST_HEAD(, weft_call) calls;
	LIST_HEAD(, weft_lease) leases;
	LIST_HEAD(, weft_subscription) subscriptions;
	struct app_defer *defers;
};

struct app {
	struct loop *loop;
	struct router *router;
	struct router *authorizers;	/* of requests in the role of an authorizer; no client's method leads there */
	struct pool *pool[APP_POOLS_MAX];
	size_t npools;
	struct module *module[APP_MODULES_MAX];
	size_t nmodules;
	struct stmts scripts;		/* of Redis, and the hash of each in data */
	struct app_route **route;
	size_t nroutes;
	struct front_app front;
	struct timeline_ring *ring[APP_RINGS_MAX];	/* of all workers, for the pages */
	size_t nrings;
	unsigned worker;		/* our number, from 1 */
	usec timeout_max;		/* of routes that have a timeout of their own; 0: an hour */

	/* Warming (weft-gate(8)): requests that carry the token are held until the master says go, or until the time. */
	char warm_token[40];
	usec warm_until;
	TAILQ_HEAD(, app_held) held;
};

/*
 * Begin an app without routes and pools.  a->front is filled but for its limits, which the caller may set before the
 * first request.
 *
 * Returns  0, or -1 out of memory
 */
int app_init(struct app *a, struct loop *l);

/* Close the pools, wait for what runs on threads, call the modules' fini, free all.  No request may be left. */
void app_fini(struct app *a);

/* Add a pool; the app owns it.  Returns 0, or -1 when there are too many. */
int app_add_pool(struct app *a, struct pool *p);

/*
 * Add a module's routes below prefix; the app owns the module (also on failure).
 *
 * prefix   "" or "/shop"; borrowed
 * Returns  0, or -1 with one sentence in error
 */
int app_add_module(struct app *a, struct module *m, const char *prefix, char *error, size_t size);

/* Add one route of ours.  Returns as app_add_module. */
int app_add_route(struct app *a, struct module *m, const char *prefix, const struct weft_route *r, char *error, size_t size);

/* Call every module's init.  Returns 0, or -1 with one sentence in error. */
int app_start(struct app *a, char *error, size_t size);

/* Returns the pool of that name; NULL when there is none. */
struct pool *app_pool(const struct app *a, const char *name);

/* Hold requests that carry token in the header X-Weft-Warm until app_warm_end, at most until the time.  A worker holds for one token at a time. */
void app_warm(struct app *a, const char *token, usec until);

/* Answer all held requests now. */
void app_warm_end(struct app *a);

#endif
