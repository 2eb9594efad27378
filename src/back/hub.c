/* SPDX-License-Identifier: ISC */
/* The channels of a hub, by name; who subscribes to them; its beginning and end. */
#include "back/hub.h"

#include <stdlib.h>
#include <string.h>

#include "back/driver.h"
#include "back/hub_impl.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/must.h"

enum { HUB_BUCKETS = 64 };		/* at first */

/* ---- channels, by name ---- */

static uint32_t
hub_hash(struct span name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.at[i]) * 16777619u;
	return hash;
}

struct channel *
hub_find(const struct hub *h, struct span name)
{
	uint32_t hash = hub_hash(name);
	struct channel *c;

	LIST_FOREACH(c, &h->bucket[hash % h->buckets], bucket)
		if (c->hash == hash && c->len == name.len && memcmp(c->name, name.at, name.len) == 0)
			return c;
	return NULL;
}

/* More room, when there are as many channels as buckets.  Where memory is refused it goes on with what there is. */
static void
hub_grow(struct hub *h)
{
	struct hub_bucket *grown;
	struct channel *c;

	if (h->channels < h->buckets || (grown = calloc(h->buckets * 2, sizeof *grown)) == NULL)
		return;
	for (unsigned i = 0; i < h->buckets; i++)
		while ((c = LIST_FIRST(&h->bucket[i])) != NULL) {
			LIST_REMOVE(c, bucket);
			LIST_INSERT_HEAD(&grown[c->hash % (h->buckets * 2)], c, bucket);
		}
	free(h->bucket);
	h->bucket = grown;
	h->buckets *= 2;
}

static struct channel *
hub_add(struct hub *h, struct span name)
{
	struct channel *c = channel_new(name, &h->room);

	if (c == NULL)
		return NULL;
	hub_grow(h);
	c->hub = h;
	c->hash = hub_hash(name);
	LIST_INSERT_HEAD(&h->bucket[c->hash % h->buckets], c, bucket);
	h->channels++;
	return c;
}

static void
hub_remove(struct hub *h, struct channel *c)
{
	LIST_REMOVE(c, bucket);
	channel_free(&c);
	if (--h->channels > 0)
		return;
	h->empty_since = loop_now(h->pool->loop);
	hub_look(h);
}

static bool
hub_is_wanted(const struct channel *c)
{
	return !LIST_EMPTY(&c->subscriptions);
}

void
hub_review(struct hub *h, struct channel *c)
{
	bool wanted = hub_is_wanted(c);
	bool due = (c->state == CHANNEL_UNKNOWN && wanted) || (c->state == CHANNEL_HEARD && !wanted);

	if (due && !c->is_due) {
		TAILQ_INSERT_TAIL(&h->due, c, order);
		hub_look(h);
	} else if (!due && c->is_due) {
		TAILQ_REMOVE(&h->due, c, order);
	}
	c->is_due = due;
	if (c->state == CHANNEL_UNKNOWN && !wanted)
		hub_remove(h, c);
}

/* ---- beginning and end ---- */

/* Returns the hub of a pool, made for the first who subscribes; NULL: no memory. */
static struct hub *
hub_of(struct pool *p)
{
	struct hub *h = p->hub;

	if (h != NULL)
		return h;
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return NULL;
	h->pool = p;
	h->armed = CLOCK_NEVER;
	h->task = (struct loop_task){ .fn = hub_step, .arg = h };
	h->buckets = HUB_BUCKETS;
	h->bucket = calloc(h->buckets, sizeof *h->bucket);
	h->timer = h->bucket == NULL ? NULL : timer_new(p->loop, hub_on_timer, h);
	TAILQ_INIT(&h->due);
	TAILQ_INIT(&h->owed);
	if (h->timer == NULL) {
		free(h->bucket);
		free(h);
		return NULL;
	}
	p->hub = h;
	return h;
}

void
hub_free(struct hub **hp)
{
	struct hub *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	hub_stop(h);
	must(h->room.subscriptions == 0 && h->channels == 0);
	timer_free(&h->timer);
	free(h->bucket);
	free(h);
}

void
hub_stat(const struct hub *h, struct hub_stat *out)
{
	*out = (struct hub_stat){ 0 };
	if (h != NULL)
		*out = (struct hub_stat){ h->channels, h->room.subscriptions, h->room.messages, h->room.gaps };
}

/* ---- subscriptions ---- */

static enum weft_rc
hub_check_name(const struct pool *p, struct span channel, struct fault *fault)
{
	const char *why = "its back end has no channels";

	if (p->driver->channel != NULL && (channel.len == 0 || channel.len > CHANNEL_NAME_MAX))
		why = "the name of a channel has 1 to 1024 bytes";
	else if (p->driver->channel != NULL)
		why = p->driver->channel(channel);
	if (why == NULL)
		return WEFT_OK;
	fault_set(fault, WEFT_INVALID, NULL, "pool %s: %s", p->name, why);
	return WEFT_INVALID;
}

/* Put s to its channel.  Returns WEFT_OK, or WEFT_SYSTEM. */
static enum weft_rc
hub_join(struct hub *h, struct subscription *s, struct span channel)
{
	struct channel *c = hub_find(h, channel);

	if (c == NULL && (c = hub_add(h, channel)) == NULL)
		return WEFT_SYSTEM;
	channel_add(c, s);
	h->again_at = 0;
	if (c->state == CHANNEL_HEARD)
		channel_begin_one(c, s);
	hub_review(h, c);
	hub_look(h);
	return WEFT_OK;
}

static const char *
hub_words(enum weft_rc rc)
{
	return rc == WEFT_TIMEOUT ? "the channel was not confirmed in time" : "cancelled before the channel was confirmed";
}

enum weft_rc
hub_subscribe(struct pool *p, struct subscription *s, struct span channel, struct fault *fault)
{
	enum weft_rc rc = hub_check_name(p, channel, fault);
	usec until = clock_add(loop_now(p->loop), p->conf.call_timeout);
	struct hub *h;

	*s = (struct subscription){ .fault = fault };
	if (rc != WEFT_OK)
		return rc;
	h = hub_of(p);
	if (h == NULL || (!h->stopped && hub_join(h, s, channel) != WEFT_OK)) {
		fault_set(fault, WEFT_SYSTEM, NULL, "pool %s: no memory for a subscription", p->name);
		return WEFT_SYSTEM;
	}
	fault->rc = WEFT_OK;
	rc = h->stopped ? WEFT_CANCELED : subscription_await(s, p->driver->why, until);
	s->fault = NULL;
	if (rc == WEFT_OK)
		return WEFT_OK;
	if (fault->rc != rc)
		fault_set(fault, rc, NULL, "pool %s: %s", p->name, hub_words(rc));
	hub_unsubscribe(s);
	return rc;
}

void
hub_unsubscribe(struct subscription *s)
{
	struct channel *c = s->channel;

	subscription_leave(s);
	if (c != NULL)
		hub_review(c->hub, c);
}
