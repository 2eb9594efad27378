/* SPDX-License-Identifier: ISC */
/*
 * The way of a request from the front to its handler, and back out: route,
 * deadline, handler, then everything that the handler left behind is put
 * away: fibers it began, calls nobody waited for, its defers, connections that it borrowed, its memory.
 */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/fail.h"
#include "app/module.h"
#include "back/hub.h"
#include "back/lease.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "loop/thread.h"
#include "request/router.h"
#include "wire/urlencoded.h"

struct app_held {
	struct fiber *fiber;
	bool is_over;
	TAILQ_ENTRY(app_held) link;
};

/* Percent-decode into the arena.  NULL when it holds a NUL or memory is refused. */
static char *
app_decode(struct arena *a, struct span in)
{
	char *out = arena_alloc(a, in.len + 1);
	size_t n;

	if (out == NULL)
		return NULL;
	n = percent_decode(out, in, PERCENT_PLUS_IS_PLUS);
	out[n] = '\0';
	return memchr(out, '\0', n) == NULL ? out : NULL;
}

static int
app_take_params(struct weft_request *rq, const struct route_match *match)
{
	rq->param = arena_alloc(&rq->rq.arena, match->nparams * sizeof *rq->param);
	if (rq->param == NULL)
		return -1;
	for (unsigned i = 0; i < match->nparams; i++) {
		rq->param[i].name = match->param[i].name;
		rq->param[i].value = app_decode(&rq->rq.arena, match->param[i].value);
		if (rq->param[i].value == NULL)
			return -1;
	}
	rq->nparams = match->nparams;
	return 0;
}

static enum route_rc
app_router_find(struct weft_request *rq, struct route_match *match)
{
	if (rq->rq.role == REQUEST_AUTHORIZER)
		return router_find(rq->app->authorizers, REQUEST_AUTHORIZE, rq->rq.path, match);
	return router_find(rq->app->router, rq->rq.method, rq->rq.path, match);
}

/* Find the route.  Returns 0, or -1 after having answered. */
static int
app_route_find(struct weft_request *rq)
{
	struct route_match match;

	switch (app_router_find(rq, &match)) {
	case ROUTE_FOUND:
		rq->route = match.target;
		if (match.nparams > 0 && app_take_params(rq, &match) != 0) {
			fail_answer(rq, 400, "400 bad request: malformed path");
			return -1;
		}
		return 0;
	case ROUTE_NO_PATH:
		if (rq->rq.role == REQUEST_AUTHORIZER) {
			/* The client sees it: what it asks for may be there, but nobody can say that it may have it. */
			log_info("no authorizer for this path path=\"%s\"", fiber_label(rq->rq.fiber));
			fail_answer(rq, 403, "403 forbidden");
			return -1;
		}
		fail_answer(rq, 404, "404 not found");
		return -1;
	case ROUTE_NO_METHOD:
		fail_answer(rq, 405, "405 method not allowed");
		if (response_set(&rq->rq.response, "Allow", match.allow) != WEFT_OK)
			log_warn("405 without Allow");
		return -1;
	case ROUTE_BAD_PATH:
		break;
	}
	fail_answer(rq, 400, "400 bad request: malformed path");
	return -1;
}

/* Refuse what the front or the limits found wrong.  Returns 0 when nothing is. */
static int
app_refuse_bad(struct weft_request *rq)
{
	if (rq->rq.bad == WEFT_OK)
		return 0;
	log_info("request refused reason=\"%s\"", rq->rq.bad_text == NULL ? "malformed" : rq->rq.bad_text);
	if (rq->rq.bad == WEFT_TOO_LARGE)
		fail_answer(rq, 431, "431 request header fields too large");
	else
		fail_answer(rq, 400, "400 bad request");
	return -1;
}

/*
 * Wait while the warming lasts, if this request is part of it, and answer it: its only use was to be
 * there at the same time as the others.  Returns 0 when it is no such request.
 */
static int
app_hold(struct weft_request *rq)
{
	struct app *a = rq->app;
	struct app_held me = { .fiber = rq->rq.fiber };
	usec until = a->warm_until;
	const char *token;

	if (a->warm_token[0] == '\0')
		return 0;
	token = request_var(&rq->rq, SPAN("HTTP_X_WEFT_WARM"));
	if (token == NULL || strcmp(token, a->warm_token) != 0)
		return 0;
	TAILQ_INSERT_TAIL(&a->held, &me, link);
	while (!me.is_over && fiber_wait(WAIT_SLEEP, until) == WEFT_OK)
		;
	TAILQ_REMOVE(&a->held, &me, link);
	fail_answer(rq, 200, "warm");
	return 1;
}

void
app_warm(struct app *a, const char *token, usec until)
{
	app_warm_end(a);
	snprintf(a->warm_token, sizeof a->warm_token, "%s", token);
	a->warm_until = until;
}

void
app_warm_end(struct app *a)
{
	struct app_held *h;

	a->warm_token[0] = '\0';
	/* Each is told: another token may be set before they run. */
	TAILQ_FOREACH (h, &a->held, link) {
		h->is_over = true;
		fiber_wake(h->fiber);
	}
}

/* The deadline of a request whose route has one: what all may take, it may take, too. */
static usec
app_deadline(const struct weft_request *rq, usec timeout)
{
	usec most = rq->app->timeout_max == 0 ? 3600 * USEC_PER_SEC : rq->app->timeout_max;
	usec of_all = fiber_deadline(rq->rq.fiber), last = clock_add(rq->rq.begin, most);

	return clock_min(clock_add(rq->rq.begin, timeout), last > of_all ? last : of_all);
}

static void
app_handle(struct weft_request *rq)
{
	const struct app_route *route;
	int rc;

	if (app_refuse_bad(rq) != 0 || app_route_find(rq) != 0)
		return;
	route = rq->route;
	fiber_set_label(rq->rq.fiber, route->label);
	if (route->timeout != 0)
		fiber_set_deadline(rq->rq.fiber, app_deadline(rq, route->timeout));
	rc = route->handler(rq);
	/* A handler that gave up without a word: the answer follows from its result, and not from a
	 * failure that it had got over before. */
	if (rc != WEFT_OK && rq->rq.response.state == RESPONSE_OPEN) {
		if (rq->fault_rc == WEFT_OK || (rc > 0 && rq->fault_rc != (enum weft_rc)rc))
			fail_note(rq, (enum weft_rc)rc, 0, "the handler returned %d (%s)", rc, fail_words((enum weft_rc)rc));
		fail_answer_last(rq);
	} else if (rc != WEFT_OK && rq->rq.response.state == RESPONSE_STREAMING) {
		response_abort(&rq->rq.response);
	}
	fail_end_late(rq);
}

/* What was begun and never waited for: fibers are cancelled and waited for, calls are given up. */
static void
app_put_away_calls(struct weft_request *rq)
{
	struct weft_call *c;

	while ((c = LIST_FIRST(&rq->calls)) != NULL) {
		/* Off the list first: a child may wait for another one only now. */
		LIST_REMOVE(c, link);
		c->link.le_prev = NULL;
		if (!c->spawned)
			call_abandon(&c->call, WEFT_CANCELED);
		else if (c->child != NULL)
			fiber_cancel(c->child);
		while (c->child != NULL && fiber_wait(WAIT_FIBER, CLOCK_NEVER) == WEFT_OK)
			;
	}
}

/* After a failure that is how handlers end; else one has forgotten to commit, or to give back. */
static void
app_put_away_leases(struct weft_request *rq)
{
	struct weft_lease *l;

	while ((l = LIST_FIRST(&rq->leases)) != NULL) {
		const char *transaction = lease_in_transaction(&l->lease) ? "rolled back" : "none";

		LIST_REMOVE(l, link);
		if (lease_is_live(&l->lease) && rq->fault_rc != WEFT_OK)
			log_info("connection left lent pool=%s route=\"%s\" transaction=\"%s\"", pool_name(l->lease.place.pool),
			    l->lease.label, transaction);
		else if (lease_is_live(&l->lease))
			log_warn("connection left lent pool=%s route=\"%s\" transaction=\"%s\" failure=none",
			    pool_name(l->lease.place.pool), l->lease.label, transaction);
		lease_leave(&l->lease);
	}
}

static void
app_put_away_subscriptions(struct weft_request *rq)
{
	struct weft_subscription *s;

	while ((s = LIST_FIRST(&rq->subscriptions)) != NULL) {
		LIST_REMOVE(s, link);
		s->ended = true;
		hub_unsubscribe(&s->subscription);
	}
}

/* A deferred function may begin calls, borrow connections, and defer others. */
static void
app_put_away(struct weft_request *rq)
{
	struct app_defer *d;

	fiber_shield();
	app_put_away_calls(rq);
	while ((d = rq->defers) != NULL) {
		rq->defers = d->next;
		d->fn(d->arg);
		app_put_away_calls(rq);
	}
	app_put_away_leases(rq);
	app_put_away_subscriptions(rq);
	fiber_unshield();
}

/* The function of every request's fiber. */
static void
app_run(void *arg)
{
	struct weft_request *rq = arg;

	if (app_hold(rq) == 0)
		app_handle(rq);
	/* Who has waited to the deadline does not wait for what is put away.  Nothing more comes of a request that is answered. */
	if (rq->late != NULL) {
		response_finish(&rq->rq.response);
		body_fail(&rq->rq.body, WEFT_CANCELED);
	}
	app_put_away(rq);
	response_finish(&rq->rq.response);
	request_fini(&rq->rq);
}

/* The front's call: a request is ready. */
static void
app_begin(void *arg, struct request *base)
{
	struct weft_request *rq = (struct weft_request *)base;

	memset((char *)rq + sizeof rq->rq, 0, sizeof *rq - sizeof rq->rq);
	rq->app = arg;
	LIST_INIT(&rq->calls);
	LIST_INIT(&rq->leases);
	LIST_INIT(&rq->subscriptions);
	fiber_set_label(base->fiber, "request without a route");
	request_start(base, app_run);
}

int
app_init(struct app *a, struct loop *l)
{
	memset(a, 0, sizeof *a);
	TAILQ_INIT(&a->held);
	a->loop = l;
	stmts_init(&a->scripts, APP_SCRIPTS_MAX);
	a->router = router_new();
	a->authorizers = router_new();
	a->front = (struct front_app){
		.loop = l,
		.request = { .fibers = loop_fibers(l), .struct_size = sizeof(struct weft_request) },
		.start = app_begin,
		.arg = a,
	};
	if (a->router != NULL && a->authorizers != NULL)
		return 0;
	router_free(&a->router);
	router_free(&a->authorizers);
	return -1;
}

static void
app_forget_scripts(struct app *a)
{
	struct stmt *t;

	while ((t = TAILQ_FIRST(&a->scripts.used)) != NULL) {
		free(t->data);
		stmts_remove(&a->scripts, t);
	}
}

void
app_fini(struct app *a)
{
	for (size_t i = 0; i < a->npools; i++)
		pool_close(&a->pool[i]);
	/* A function of a module's whose request is long gone may still run there, and its cleanup is to come. */
	loop_end_threads(a->loop);
	for (size_t i = 0; i < a->nmodules; i++)
		module_fini(a->module[i]);
	app_forget_scripts(a);
	for (size_t i = 0; i < a->nmodules; i++)
		module_free(&a->module[i]);
	for (size_t i = 0; i < a->nroutes; i++)
		free(a->route[i]);
	free(a->route);
	router_free(&a->router);
	router_free(&a->authorizers);
}

int
app_add_pool(struct app *a, struct pool *p)
{
	if (a->npools == APP_POOLS_MAX)
		return -1;
	a->pool[a->npools++] = p;
	return 0;
}

struct pool *
app_pool(const struct app *a, const char *name)
{
	/* A handful of pools: comparing beats hashing. */
	for (size_t i = 0; i < a->npools; i++)
		if (strcmp(pool_name(a->pool[i]), name) == 0)
			return a->pool[i];
	return NULL;
}

/* A route and its label in one piece of memory. */
static struct app_route *
app_route_new(struct module *m, const char *prefix, const struct weft_route *r)
{
	const char *name = m == NULL ? "weft" : module_name(m);
	size_t len = strlen(name) + strlen(r->method) + strlen(prefix) + strlen(r->path) + 4;
	struct app_route *route = malloc(sizeof *route + len);
	char *label;

	if (route == NULL)
		return NULL;
	label = (char *)(route + 1);
	snprintf(label, len, "%s: %s %s%s", name, r->method, prefix, r->path);
	*route = (struct app_route){
		.handler = r->handler,
		.module = m,
		.label = label,
		.prefix = strlen(prefix),
		.timeout = (usec)r->timeout_ms * USEC_PER_MSEC,
	};
	return route;
}

int
app_add_route(struct app *a, struct module *m, const char *prefix, const struct weft_route *r, char *error, size_t size)
{
	struct app_route **grown = realloc(a->route, (a->nroutes + 1) * sizeof(struct app_route *));
	struct router *router = strcmp(r->method, REQUEST_AUTHORIZE) == 0 ? a->authorizers : a->router;
	struct app_route *route;
	char pattern[1024], why[256];
	int n;

	if (grown == NULL)
		goto no_memory;
	a->route = grown;
	n = snprintf(pattern, sizeof pattern, "%s%s", prefix, r->path);
	if (n < 0 || (size_t)n >= sizeof pattern) {
		snprintf(error, size, "route \"%s%.40s…\" is too long", prefix, r->path);
		return -1;
	}
	route = app_route_new(m, prefix, r);
	if (route == NULL)
		goto no_memory;
	a->route[a->nroutes++] = route;
	if (router_add(router, r->method, pattern, route, why, sizeof why) == 0)
		return 0;
	snprintf(error, size, "%s: %s", route->label, why);
	return -1;
no_memory:
	snprintf(error, size, "out of memory");
	return -1;
}

int
app_add_module(struct app *a, struct module *m, const char *prefix, char *error, size_t size)
{
	if (a->nmodules == APP_MODULES_MAX) {
		snprintf(error, size, "module %s: more than %d modules", module_name(m), APP_MODULES_MAX);
		module_free(&m);
		return -1;
	}
	a->module[a->nmodules++] = m;
	for (size_t n = 0; n < module_routes(m); n++) {
		struct weft_route r = module_route(m, n);

		if (app_add_route(a, m, prefix, &r, error, size) != 0)
			return -1;
	}
	return 0;
}

int
app_start(struct app *a, char *error, size_t size)
{
	for (size_t i = 0; i < a->nmodules; i++)
		if (module_init(a->module[i], error, size) != 0)
			return -1;
	return 0;
}
