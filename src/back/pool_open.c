/* SPDX-License-Identifier: ISC */
/* A pool's beginning and end: settings, their checks and defaults; and what others may know of it. */
#include "back/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/driver.h"
#include "back/hub.h"
#include "back/pool_impl.h"
#include "base/must.h"
#include "loop/loop.h"

static enum weft_rc
pool_bad(char *error, size_t size, const char *name, const char *what)
{
	snprintf(error, size, "pool %s: %s", name == NULL || name[0] == '\0' ? "without a name" : name, what);
	return WEFT_INVALID;
}

/* Everything about the settings that can be known without the back end. */
static enum weft_rc
pool_parse(const struct pool_conf *conf, struct back_url *url, const struct driver **d, char *error, size_t size)
{
	char why[160];

	if (conf->name == NULL || conf->name[0] == '\0' || strlen(conf->name) >= sizeof((struct pool *)0)->name)
		return pool_bad(error, size, conf->name, "a name of 1 to 63 bytes is needed");
	if (conf->url == NULL || strlen(conf->url) >= sizeof((struct pool *)0)->text)
		return pool_bad(error, size, conf->name, "a URL of at most 1023 bytes is needed");
	if (back_url_parse(conf->url, url, why, sizeof why) != WEFT_OK)
		return pool_bad(error, size, conf->name, why);
	if (conf->min > (conf->max == 0 ? 8 : conf->max))
		return pool_bad(error, size, conf->name, "min is larger than max");
	if (conf->queue_timeout < 0 || conf->connect_timeout < 0 || conf->call_timeout < 0 || conf->idle_timeout < 0 ||
	    conf->max_lifetime < 0 || conf->check_after < 0 || conf->backoff < 0)
		return pool_bad(error, size, conf->name, "a timeout is negative");
	if (*d == NULL)
		*d = driver_find(url->scheme);
	if (*d == NULL) {
		snprintf(why, sizeof why, "no driver for %s:// in this build: weft version says which it has", url->scheme);
		if (driver_why_not(url->scheme) != NULL)
			return pool_bad(error, size, conf->name, driver_why_not(url->scheme));
		return pool_bad(error, size, conf->name, why);
	}
	if ((*d)->check != NULL && (*d)->check(url, why, sizeof why) != WEFT_OK)
		return pool_bad(error, size, conf->name, why);
	return WEFT_OK;
}

enum weft_rc
pool_check(const struct pool_conf *conf, char *error, size_t size)
{
	const struct driver *d = NULL;
	struct back_url url;

	return pool_parse(conf, &url, &d, error, size);
}

static usec
pool_default(usec length, usec otherwise)
{
	return length == 0 ? otherwise : length;
}

static void
pool_set_defaults(struct pool *p, const struct pool_conf *conf)
{
	p->conf = *conf;
	snprintf(p->name, sizeof p->name, "%s", conf->name);
	snprintf(p->text, sizeof p->text, "%s", conf->url);
	p->conf.name = p->name;
	p->conf.url = p->text;
	p->conf.max = conf->max == 0 ? 8 : conf->max;
	p->conf.queue = conf->queue == 0 ? 4096 : conf->queue;
	p->conf.queue_timeout = pool_default(conf->queue_timeout, USEC_PER_SEC);
	p->conf.connect_timeout = pool_default(conf->connect_timeout, 2 * USEC_PER_SEC);
	p->conf.call_timeout = pool_default(conf->call_timeout, 30 * USEC_PER_SEC);
	p->conf.idle_timeout = pool_default(conf->idle_timeout, 600 * USEC_PER_SEC);
	p->conf.max_lifetime = pool_default(conf->max_lifetime, 3600 * USEC_PER_SEC);
	p->conf.check_after = pool_default(conf->check_after, 30 * USEC_PER_SEC);
	p->conf.backoff = pool_default(conf->backoff, 5 * USEC_PER_SEC);
	p->check_after = p->driver->ping == NULL ? CLOCK_NEVER : p->conf.check_after;
	p->permits = conf->keeper == NULL ? p->conf.max : conf->granted;
}

/* Returns an empty pool, or NULL. */
static struct pool *
pool_new(struct loop *l, const struct driver *d)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->loop = l;
	p->driver = d;
	p->armed = CLOCK_NEVER;
	p->random = (uint64_t)clock_now() * 2 + 1;
	p->owing = calloc((size_t)d->depth + 1, sizeof *p->owing);
	p->timer = p->owing == NULL ? NULL : timer_new(l, pool_on_timer, p);
	if (p->timer == NULL) {
		free(p->owing);
		free(p);
		return NULL;
	}
	TAILQ_INIT(&p->queue);
	for (int i = 0; i < CONN_STATES; i++)
		TAILQ_INIT(&p->list[i]);
	for (unsigned i = 0; i <= d->depth; i++)
		TAILQ_INIT(&p->owing[i]);
	return p;
}

struct pool *
pool_open_driver(struct loop *l, const struct pool_conf *conf, const struct driver *d, char *error, size_t size)
{
	struct back_url url;
	struct pool *p;

	if (pool_parse(conf, &url, &d, error, size) != WEFT_OK)
		return NULL;
	p = pool_new(l, d);
	if (p == NULL) {
		pool_bad(error, size, conf->name, "out of memory");
		return NULL;
	}
	p->url = url;
	pool_set_defaults(p, conf);
	back_url_describe(&url, p->place, sizeof p->place);
	p->driver_data = d->new_data == NULL ? NULL : d->new_data(p);
	if (d->new_data != NULL && p->driver_data == NULL) {
		pool_bad(error, size, conf->name, "out of memory");
		pool_close(&p);
		return NULL;
	}
	pool_grow(p);
	return p;
}

struct pool *
pool_open(struct loop *l, const struct pool_conf *conf, char *error, size_t size)
{
	return pool_open_driver(l, conf, NULL, error, size);
}

void
pool_close(struct pool **pp)
{
	struct pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	p->closing = true;
	snprintf(p->reason, sizeof p->reason, "the pool is closing");
	hub_free(&p->hub);
	pool_fail_queue(p, WEFT_CANCELED);
	pool_drop_all(p);
	must(TAILQ_EMPTY(&p->queue) && p->inflight == 0 && p->slots == 0);
	if (p->driver_data != NULL)
		p->driver->free_data(p->driver_data);
	timer_free(&p->timer);
	free(p->owing);
	explicit_bzero(p, sizeof *p);	/* the password */
	free(p);
}

void
pool_end_subscriptions(struct pool *p)
{
	hub_stop(p->hub);
}

/* ---- what is known of it ---- */

const char *
pool_reason(const struct pool *p)
{
	static _Thread_local char text[sizeof p->reason + sizeof p->place + 4];

	snprintf(text, sizeof text, "%s (%s)", p->reason[0] == '\0' ? "connection lost" : p->reason, p->place);
	return text;
}

enum call_kind
pool_kind(const struct pool *p)
{
	return p->driver->kind;
}

bool
pool_can_lend(const struct pool *p)
{
	/* No function asks anything of a connection to an HTTP service; and what would a second request on it have in common with the first? */
	return p->driver->kind != CALL_HTTP && !p->driver->is_many;
}

const char *
pool_begin_sql(const struct pool *p)
{
	return p->driver->begin == NULL ? NULL : p->driver->begin(&p->url);
}

const char *
pool_name(const struct pool *p)
{
	return p->name;
}

const struct back_url *
pool_url(const struct pool *p)
{
	return &p->url;
}

const struct pool_conf *
pool_settings(const struct pool *p)
{
	return &p->conf;
}

struct loop *
pool_loop(const struct pool *p)
{
	return p->loop;
}

void *
pool_driver_data(const struct pool *p)
{
	return p->driver_data;
}

void
pool_stat(const struct pool *p, struct pool_stat *out)
{
	unsigned idle = 0;
	struct hub_stat hub;
	struct conn *c;

	TAILQ_FOREACH(c, &p->owing[0], link)
		idle++;
	*out = p->stat;
	out->permits = p->permits;
	out->lent = p->count[CONN_LENT] + p->count[CONN_CLEANING];
	out->open = p->count[CONN_READY] + out->lent + p->count[CONN_CHECKING] + p->count[CONN_LEAVING];
	out->connecting = p->count[CONN_CONNECTING];
	out->busy = out->open - idle;
	out->leaving = p->count[CONN_LEAVING];
	out->queued = p->queued;
	out->down = p->down;
	hub_stat(p->hub, &hub);
	out->channels = hub.channels;
	out->subscriptions = hub.subscriptions;
	out->messages = hub.messages;
	out->gaps = hub.gaps;
}
