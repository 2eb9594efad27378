/* SPDX-License-Identifier: ISC */
/* The exported API: messages of channels. */
#include <weft/weft.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "back/hub.h"
#include "back/pool.h"

int
weft_subscribe(struct weft_request *rq, const char *pool, struct weft_subscription **sub, const char *channel)
{
	struct pool *p = app_pool(rq->app, pool);
	struct weft_subscription *s;
	struct fault fault;

	*sub = NULL;
	if (p == NULL)
		return fail_note(rq, WEFT_INVALID, 0, "no pool is called \"%s\"", pool);
	s = arena_zalloc(&rq->rq.arena, sizeof *s);
	if (s == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "no memory for a subscription to pool %s", pool);
	s->pool = pool_name(p);
	if (hub_subscribe(p, &s->subscription, span_str(channel), &fault) != WEFT_OK)
		return fail_note_fault(rq, &fault, s->pool);
	LIST_INSERT_HEAD(&rq->subscriptions, s, link);
	*sub = s;
	return WEFT_OK;
}

int
weft_message(struct weft_request *rq, struct weft_subscription *sub, const char **text, size_t *len, long ms)
{
	struct span got = { NULL, 0 };
	enum weft_rc rc;

	*text = NULL;
	if (len != NULL)
		*len = 0;
	if (sub == NULL || sub->ended || sub->subscription.waiter != NULL)
		return fail_note(rq, WEFT_INVALID, 0, "weft_message: %s", sub == NULL ? "no subscription" :
		    sub->ended ? "the subscription has ended" : "another fiber waits for a message of this subscription");
	rc = subscription_next(&sub->subscription, &got, ms < 0 ? CLOCK_NEVER : api_until(rq, ms));
	if (rc != WEFT_OK)
		return fail_note(rq, rc, 0, "pool %s: message: %s", sub->pool, fail_words(rc));
	*text = got.at;
	if (len != NULL)
		*len = got.len;
	return WEFT_OK;
}

void
weft_unsubscribe(struct weft_subscription *sub)
{
	if (sub == NULL || sub->ended)
		return;
	sub->ended = true;
	LIST_REMOVE(sub, link);
	hub_unsubscribe(&sub->subscription);
}
