/* SPDX-License-Identifier: ISC */
/*
 * Connections that are lent.  The pool knows of them as a list (POOL's lent); what is lent is
 * counted against max, and a back end of which all connections are lent is not down.
 */
#include "back/lease.h"

#include <stddef.h>

#include "back/driver.h"
#include "back/hub.h"
#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"

static void
lease_submit_place(struct lease *l, struct pool *p, struct fault *fault)
{
	call_init(&l->place, pool_kind(p), NULL, fault);
	l->place.lease = l;
	pool_submit(p, &l->place);
}

void
lease_ask(struct lease *l, struct pool *p, struct fault *fault, const char *label)
{
	*l = (struct lease){ .label = label };
	lease_submit_place(l, p, fault);
}

void
lease_ask_hub(struct lease *l, struct pool *p, struct fault *fault, struct hub *h)
{
	*l = (struct lease){ .label = "subscriptions", .hub = h };
	lease_submit_place(l, p, fault);
}

bool
lease_is_live(const struct lease *l)
{
	return l->conn != NULL;
}

bool
lease_in_transaction(const struct lease *l)
{
	return l->conn != NULL && l->conn->in_transaction;
}

/* The connection is the borrower's no more. */
static void
lease_end(struct lease *l)
{
	l->conn->pool->hearing -= l->hub != NULL;
	l->conn->lease = NULL;
	l->conn = NULL;
}

/* The connection is there: its place in the queue is done. */
void
lease_begin(struct lease *l, struct conn *c)
{
	c->pool->hearing += l->hub != NULL;
	c->lease = l;
	l->conn = c;
	l->since = loop_now(c->pool->loop);
	call_finish(&l->place, WEFT_OK, NULL, NULL);
}

void
lease_submit(struct lease *l, struct call *c)
{
	struct pool *p = l->place.pool;
	enum weft_rc rc;

	c->lease = l;
	if (pool_begin(p, c) != WEFT_OK)
		return;
	if (l->conn == NULL) {
		call_finish(c, WEFT_NOT_SENT, l->lost.code, "the connection that was lent is gone: %s",
		    l->lost.rc == WEFT_OK ? "it was given back" : l->lost.text);
		return;
	}
	if (c->part != CALL_WHOLE && !p->driver->has_parts) {
		call_finish(c, WEFT_INVALID, NULL, "%s gives no rows in parts here", p->driver->name);
		return;
	}
	if (l->conn->inflight >= p->driver->depth) {
		call_finish(c, WEFT_BUSY, NULL, "the connection that was lent owes %u replies", l->conn->inflight);
		return;
	}
	rc = p->driver->send(l->conn, c);
	if (rc != WEFT_OK)
		call_finish(c, rc, NULL, NULL);
}

void
lease_give(struct lease *l)
{
	struct conn *c = l->conn;

	if (c == NULL) {
		call_abandon(&l->place, WEFT_CANCELED);
		return;
	}
	lease_end(l);
	pool_clean(c->pool, c, c->driver->clean == NULL ? CONN_SPOILT : c->driver->clean(c));
}

void
lease_leave(struct lease *l)
{
	struct conn *c = l->conn;

	if (c != NULL)
		c->pool->stat.left++;
	lease_give(l);
}

void
lease_drop(struct lease *l)
{
	struct conn *c = l->conn;

	if (c == NULL)
		return;
	lease_end(l);
	pool_clean(c->pool, c, CONN_SPOILT);
}

void
lease_lost(struct lease *l)
{
	const struct pool *p = l->conn->pool;

	lease_end(l);
	fault_set(&l->lost, WEFT_NOT_SENT, p->code, "%s", pool_reason(p));
	if (l->hub != NULL)
		hub_look(l->hub);
}

usec
lease_look(struct lease *l, usec now)
{
	usec at = clock_add(l->since, POOL_LENT_LONG);

	if (l->told || l->hub != NULL)
		return CLOCK_NEVER;
	if (at > now)
		return at;
	l->told = true;
	log_warn("connection lent for long pool=%s seconds=%lld to=\"%s\"", pool_name(l->conn->pool),
	    (long long)((now - l->since) / USEC_PER_SEC), l->label);
	return CLOCK_NEVER;
}
