/* SPDX-License-Identifier: ISC */
#include "app/api_call.h"

#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/fail.h"

void
api_call_init(struct weft_call *c, struct weft_request *rq, enum call_kind kind)
{
	/* All but the call itself, and the fault, of which call_init clears what is read. */
	memset((char *)c + offsetof(struct weft_call, rq), 0, sizeof *c - offsetof(struct weft_call, rq));
	call_init(&c->call, kind, &rq->rq.arena, &c->fault);
	c->rq = rq;
}

void
api_call_fail(struct weft_call *c, enum weft_rc rc, const char *fmt, const char *what)
{
	c->call.state = CALL_DONE;
	c->call.rc = rc;
	fault_set(&c->fault, rc, NULL, fmt, what);
}

const char *
api_no_pool(struct weft_request *rq, const char *name)
{
	const size_t size = sizeof ((struct fault *)NULL)->text;
	const struct app *a = rq->app;
	char *text = arena_alloc(&rq->rq.arena, size);
	int n;

	if (text == NULL)
		return "no such pool";
	n = snprintf(text, size, "no pool is called \"%.63s\"%s", name,
	    a->npools > 0 ? "; weft.conf has" : ": weft.conf names them, and weft dev reads it with -c");
	for (size_t i = 0; i < a->npools && (size_t)n < size; i++)
		n += snprintf(text + n, size - (size_t)n, "%s %s", i == 0 ? "" : ",", pool_name(a->pool[i]));
	return text;
}

bool
api_call_is_late(struct weft_call *c, struct pool *p)
{
	enum weft_rc rc = fiber_may_wait(WAIT_POOL);

	if (rc == WEFT_OK)
		return false;
	c->call.pool = p;
	api_call_fail(c, rc, "not sent: %s", rc == WEFT_TIMEOUT ? "the deadline of the request has passed" : "cancelled");
	return true;
}

void
api_submit(struct weft_call *c, const char *name)
{
	static const char *const wrong[] = { [CALL_REDIS] = "pool %s takes no Redis commands", [CALL_SQL] = "pool %s takes no SQL",
		[CALL_HTTP] = "pool %s takes no HTTP requests" };
	struct pool *p = app_pool(c->rq->app, name);

	if (c->call.state == CALL_DONE)
		return;
	if (p == NULL) {
		api_call_fail(c, WEFT_INVALID, "%s", api_no_pool(c->rq, name));
		return;
	}
	if (pool_kind(p) != c->call.kind) {
		c->call.pool = p;
		api_call_fail(c, WEFT_INVALID, wrong[c->call.kind], name);
		return;
	}
	if (!api_call_is_late(c, p))
		pool_submit(p, &c->call);
}

int
api_finish(struct weft_request *rq, struct weft_call *c)
{
	if (call_wait(&c->call, CLOCK_NEVER) == WEFT_OK)
		return WEFT_OK;
	return fail_note_call(rq, c);
}

struct weft_call *
api_keep(struct weft_request *rq, enum call_kind kind)
{
	struct weft_call *c = arena_alloc(&rq->rq.arena, sizeof *c);

	if (c == NULL)
		return NULL;
	api_call_init(c, rq, kind);
	LIST_INSERT_HEAD(&rq->calls, c, link);
	return c;
}
