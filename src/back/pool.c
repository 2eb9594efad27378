/* SPDX-License-Identifier: ISC */
/*
 * The pool's calls: settings, the queue, and which connection a call goes down.
 *
 * Choosing costs the same with 2 connections as with 200: those that are ready
 * stand in lists by how many replies they owe, and the lowest list that is not empty is known.
 * A call in the queue costs no memory of the pool's and leaves it in O(1).
 * The connections' own life is in pool_conn.c.
 */
#include "back/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/driver.h"
#include "back/pool_impl.h"
#include "back/sqltext.h"
#include "base/must.h"
#include "loop/loop.h"

/* How many connections are looked at for one whose oldest reply is not overdue. */
enum { POOL_LOOK = 8 };

/* ---- opening and closing ---- */

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
	if (conf->queue_timeout < 0 || conf->connect_timeout < 0 || conf->call_timeout < 0 || conf->idle_timeout < 0)
		return pool_bad(error, size, conf->name, "a timeout is negative");
	if (*d == NULL)
		*d = driver_find(url->scheme);
	if (*d == NULL) {
		snprintf(why, sizeof why, "no driver for %s:// in this build", url->scheme);
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
	p->conf.queue_timeout = conf->queue_timeout == 0 ? 2 * USEC_PER_SEC : conf->queue_timeout;
	p->conf.connect_timeout = conf->connect_timeout == 0 ? 2 * USEC_PER_SEC : conf->connect_timeout;
	p->conf.call_timeout = conf->call_timeout == 0 ? 30 * USEC_PER_SEC : conf->call_timeout;
	p->conf.idle_timeout = conf->idle_timeout == 0 ? 60 * USEC_PER_SEC : conf->idle_timeout;
}

struct pool *
pool_open_driver(struct loop *l, const struct pool_conf *conf, const struct driver *d, char *error, size_t size)
{
	struct back_url url;
	struct pool *p;

	if (pool_parse(conf, &url, &d, error, size) != WEFT_OK)
		return NULL;
	p = calloc(1, sizeof *p);
	if (p != NULL)
		p->owing = calloc((size_t)d->depth + 1, sizeof *p->owing);
	if (p != NULL && p->owing != NULL)
		p->timer = timer_new(l, pool_on_timer, p);
	if (p == NULL || p->timer == NULL) {
		if (p != NULL)
			free(p->owing);
		free(p);
		pool_bad(error, size, conf->name, "out of memory");
		return NULL;
	}
	p->loop = l;
	p->driver = d;
	p->url = url;
	p->armed = CLOCK_NEVER;
	p->random = (uint64_t)loop_now(l) * 2 + 1;
	pool_set_defaults(p, conf);
	back_url_describe(&url, p->place, sizeof p->place);
	TAILQ_INIT(&p->queue);
	TAILQ_INIT(&p->connecting);
	TAILQ_INIT(&p->lent);
	TAILQ_INIT(&p->cleaning);
	TAILQ_INIT(&p->dying);
	for (unsigned i = 0; i <= d->depth; i++)
		TAILQ_INIT(&p->owing[i]);
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
	pool_fail_queue(p, WEFT_CANCELED);
	pool_drop_all(p);
	must(TAILQ_EMPTY(&p->queue) && p->inflight == 0);
	timer_free(&p->timer);
	free(p->owing);
	explicit_bzero(p, sizeof *p);	/* the password */
	free(p);
}

/* ---- the queue ---- */

static void
pool_enqueue(struct pool *p, struct call *c)
{
	c->state = CALL_QUEUED;
	c->deadline = clock_add(c->asked, p->conf.queue_timeout);
	TAILQ_INSERT_TAIL(&p->queue, c, link);
	p->queued++;
	p->places += c->lease != NULL;
	pool_arm(p, c->deadline);
}

void
pool_unqueue(struct pool *p, struct call *c)
{
	must(c->state == CALL_QUEUED);
	TAILQ_REMOVE(&p->queue, c, link);
	p->queued--;
	p->places -= c->lease != NULL;
}

bool
pool_take_back(struct pool *p, struct call *c)
{
	if (p == NULL || c->state != CALL_SENT || c->retried || c->lease != NULL || p->down || p->closing)
		return false;
	c->retried = 1;
	c->state = CALL_QUEUED;
	c->conn = NULL;
	c->slot = NULL;
	c->deadline = clock_add(c->asked, p->conf.queue_timeout);
	if (p->taken != NULL)
		TAILQ_INSERT_AFTER(&p->queue, p->taken, c, link);
	else
		TAILQ_INSERT_HEAD(&p->queue, c, link);
	p->taken = c;
	p->queued++;
	pool_arm(p, c->deadline);
	if (c->waiter != NULL)
		fiber_wake(c->waiter);	/* what it waits for, and until when, has changed */
	return true;
}

void
pool_expire(struct pool *p, struct call *c)
{
	double seconds = (double)p->conf.queue_timeout / (double)USEC_PER_SEC;

	if (p->nready + p->nlent == 0)
		call_finish(c, WEFT_DOWN, p->code, "no connection within %g s (%s)", seconds, p->place);
	else
		call_finish(c, WEFT_BUSY, NULL, "no connection came free within %g s", seconds);
}

void
pool_fail_queue(struct pool *p, enum weft_rc rc)
{
	while (!TAILQ_EMPTY(&p->queue))
		call_finish(TAILQ_FIRST(&p->queue), rc, p->code, "%s", pool_reason(p));
}

/* ---- the choice ---- */

/* A connection whose pipe is not held up by something slow, among the first few that owe least. */
static struct conn *
pool_pick_quick(struct pool *p, usec now)
{
	unsigned looked = 0;
	struct conn *c;

	for (unsigned owed = p->least; owed < p->driver->depth; owed++)
		TAILQ_FOREACH(c, &p->owing[owed], link) {
			if (now - c->busy_since < POOL_SLOW)
				return c;
			if (++looked == POOL_LOOK)
				return NULL;
		}
	return NULL;
}

/* The connection for a call, or NULL: it waits in the queue. */
static struct conn *
pool_pick(struct pool *p, const struct call *call)
{
	struct conn *c = p->latest;

	if (call->lease != NULL)
		return p->nready > 0 && p->least == 0 ? TAILQ_FIRST(&p->owing[0]) : NULL;
	/* What goes out in this turn goes out together, where that does not hold it up. */
	if (c != NULL && c->given == call->asked && pool_is_near(p, c, call))
		return c;
	if (p->nready == 0)
		return NULL;
	c = TAILQ_FIRST(&p->owing[p->least]);
	if (c->inflight == 0)
		return c;
	if (p->driver->shares_slow)
		return c->inflight < p->driver->depth ? c : NULL;
	if (pool_is_near(p, c, call))
		return c;
	return pool_may_grow(p) ? NULL : pool_pick_quick(p, loop_lately(p->loop));
}

/* Returns false when the connection turned out unusable: the call is still without one. */
static bool
pool_send(struct pool *p, struct conn *conn, struct call *c)
{
	enum weft_rc rc;

	if (c->lease != NULL) {
		pool_lend(p, conn, c);
		return true;
	}
	rc = conn->driver->send(conn, c);
	if (rc == WEFT_NOT_SENT) {
		pool_set_aside(p, conn);
		return false;
	}
	must((rc == WEFT_OK) == (c->state == CALL_SENT));
	if (rc != WEFT_OK)
		call_finish(c, rc, NULL, NULL);
	return true;
}

void
pool_feed(struct pool *p, struct conn *conn, unsigned most)
{
	struct call *c;

	while (most-- > 0 && conn->state == CONN_READY && conn->inflight < p->driver->depth &&
	    (c = TAILQ_FIRST(&p->queue)) != NULL) {
		if (c->lease != NULL && conn->inflight > 0)
			return;		/* it comes first: for the connection that is idle first */
		pool_send(p, conn, c);
	}
}

void
pool_spread(struct pool *p)
{
	struct conn *conn;

	while (p->queued > 0 && (conn = pool_pick(p, TAILQ_FIRST(&p->queue))) != NULL)
		pool_feed(p, conn, 1);
}

enum weft_rc
pool_begin(struct pool *p, struct call *c)
{
	must(c->state == CALL_NEW && !p->closing);
	c->pool = p;
	c->asked = loop_lately(p->loop);
	c->hash = c->kind == CALL_SQL && c->sql != NULL ? sql_hash(c->sql) : 1;
	p->stat.calls++;
	if (c->kind != p->driver->kind) {
		call_finish(c, WEFT_INVALID, NULL, "a pool of %s does not take this call", p->driver->name);
		return WEFT_INVALID;
	}
	return WEFT_OK;
}

void
pool_submit(struct pool *p, struct call *c)
{
	struct conn *conn;

	if (pool_begin(p, c) != WEFT_OK)
		return;
	if (p->down) {
		call_finish(c, WEFT_DOWN, p->code, "%s", pool_reason(p));
		return;
	}
	if (c->lease == NULL)
		pool_expect(p, c);
	while (p->queued == 0 && (conn = pool_pick(p, c)) != NULL)
		if (pool_send(p, conn, c)) {
			if (conn->inflight >= POOL_SPREAD)
				pool_grow(p);
			return;
		}
	if (p->queued >= p->conf.queue) {
		call_finish(c, WEFT_BUSY, NULL, "its queue of %u calls is full", p->conf.queue);
		return;
	}
	pool_enqueue(p, c);
	pool_grow(p);
}

/* ---- what is known of it ---- */

enum weft_rc
pool_final_rc(const struct pool *p, enum weft_rc rc)
{
	return p->closing ? WEFT_CANCELED : rc;
}

void
pool_count(struct pool *p, enum weft_rc rc)
{
	if (rc == WEFT_OK)
		return;
	p->stat.failed++;
	p->stat.timeouts += rc == WEFT_TIMEOUT;
	p->stat.busy_refused += rc == WEFT_BUSY;
}

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

void
pool_stat(const struct pool *p, struct pool_stat *out)
{
	unsigned idle = 0;
	struct conn *c;

	TAILQ_FOREACH(c, &p->owing[0], link)
		idle++;
	*out = p->stat;
	out->open = p->nready + p->nlent;
	out->connecting = p->nconnecting;
	out->busy = p->nready + p->nlent - idle;
	out->lent = p->nlent;
	out->queued = p->queued;
	out->down = p->down;
}
