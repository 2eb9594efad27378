/* SPDX-License-Identifier: ISC */
/*
 * A cluster of Redis: each key is on one of several nodes.
 *
 * To the pool a cluster is one back end.  What it has as a connection is, in here, one connection to each node that was asked
 * anything; so `max` holds for each node.  The driver sends a call down that to the node which has the key's slot, as far as
 * is known: a node that has it no more says who has, and the call goes there; it was not executed.  Replies come in the order
 * of each node.
 *
 * A node that cannot be reached makes those calls fail that are for it, at once between two attempts; what was sent to it
 * ends as it would with a pool's connection.  As long as there are other nodes the connection lives, and the pool is well.
 */
#include "back/redis/redis_cluster.h"

#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/must.h"

/* ---- the end ---- */

static void
redis_cluster_free(struct redis_cluster *cl)
{
	if (cl->timer != NULL)
		timer_free(&cl->timer);
	free(cl->seeds);
	free(cl);
}

/* Somebody who was inside is not any more. */
static void
redis_cluster_leave(struct redis_cluster *cl)
{
	if (--cl->inside == 0 && cl->conn == NULL)
		redis_cluster_free(cl);
}

/* ---- debts ---- */

static void
redis_cluster_pay(void *arg)
{
	struct redis_cluster *cl = arg;

	cl->inside++;
	while (cl->conn != NULL && cl->debts > 0) {
		cl->debts--;
		conn_gave(cl->conn);
	}
	redis_cluster_leave(cl);
}

void
redis_cluster_owe(struct redis_cluster *cl)
{
	cl->debts++;
	loop_after_turn(pool_loop(cl->conn->pool), &cl->task);
}

/* ---- which node ---- */

/* How good is a node for what any may be asked: there is a connection to it; there may be one soon; it has failed, or is silent. */
static int
redis_cluster_rank(const struct redis *r, const struct slots_node *n, usec now)
{
	if (r == NULL)
		return now >= n->retry_at;
	if (r->misses >= REDIS_MISSES)
		return 0;
	return r->is_up && !r->doomed ? 2 : 1;
}

/* For what has no key: the best one. */
static int
redis_cluster_any(const struct redis_cluster *cl)
{
	usec now = loop_now(pool_loop(cl->conn->pool));
	int found = SLOTS_NOWHERE, best = -1;

	for (unsigned i = 0; i < cl->map->count && best < 2; i++) {
		int rank = cl->map->node[i]->has_slots ? redis_cluster_rank(cl->node[i], cl->map->node[i], now) : -1;

		if (rank > best) {
			best = rank;
			found = (int)i;
		}
	}
	return found;
}

/* Find the connection for a call; where there is none it is explained. */
static enum weft_rc
redis_cluster_find(struct redis_cluster *cl, struct call *call, struct redis **out)
{
	const char *why;
	int slot, number;

	if (redis_command_check(call->redis, &why) != WEFT_OK || redis_key_find(call->redis, &slot, &why) != WEFT_OK) {
		call_explain(call, WEFT_INVALID, NULL, "%s", why);
		return WEFT_INVALID;
	}
	number = slot == REDIS_NO_SLOT ? redis_cluster_any(cl) : cl->map->of[slot];
	if (number >= 0)
		return redis_node_get(cl, number, call, out);
	redis_map_ask(cl, NULL);
	call_explain(call, WEFT_DOWN, "CLUSTERDOWN", "no node of the cluster is known to have slot %d", slot);
	return WEFT_DOWN;
}

void
redis_cluster_resend(struct redis_cluster *cl, struct call *call)
{
	struct redis *r;
	enum weft_rc rc = redis_cluster_find(cl, call, &r);

	if (rc == WEFT_OK) {
		redis_node_give(r, call, REDIS_CALL_WAITS);
		return;
	}
	call_finish(call, rc, NULL, NULL);
	redis_cluster_owe(cl);
}

void
redis_cluster_put_off(struct redis_cluster *cl, struct call *call)
{
	if (TAILQ_EMPTY(&cl->put_off))
		cl->put_off_until = clock_add(loop_now(pool_loop(cl->conn->pool)), REDIS_PUT_OFF);
	call->effect = REDIS_CALL_PUT_OFF;
	call->slot = NULL;
	TAILQ_INSERT_TAIL(&cl->put_off, call, link);
	redis_cluster_arm(cl);
}

/* ---- time ---- */

/* When this connection must be up; or, where the node is silent, when it is given up if nobody waits for it. */
static usec
redis_cluster_late(const struct redis *r)
{
	return r == NULL || (r->is_up && r->misses < REDIS_MISSES) ? CLOCK_NEVER : r->late;
}

void
redis_cluster_arm(struct redis_cluster *cl)
{
	usec at = redis_cluster_late(cl->seed);

	for (unsigned i = 0; i < cl->map->count; i++)
		at = clock_min(at, redis_cluster_late(cl->node[i]));
	if (!TAILQ_EMPTY(&cl->put_off))
		at = clock_min(at, cl->put_off_until);
	timer_set(cl->timer, at);
}

static void
redis_cluster_give_up_late(struct redis *r, usec now)
{
	if (now < redis_cluster_late(r))
		return;
	if (redis_node_is_wanted(r)) {
		r->late = clock_add(now, POOL_GRACE);
		return;
	}
	redis_doom(r, NULL, "no answer in time");
	r->tried = r->naddress;
	redis_settle(r);
}

static void
redis_cluster_send_put_off(struct redis_cluster *cl)
{
	struct redis_calls due = TAILQ_HEAD_INITIALIZER(due);
	struct call *call;

	TAILQ_CONCAT(&due, &cl->put_off, link);
	while ((call = TAILQ_FIRST(&due)) != NULL) {
		TAILQ_REMOVE(&due, call, link);
		redis_cluster_resend(cl, call);
	}
}

static void
redis_cluster_on_timer(void *arg)
{
	struct redis_cluster *cl = arg;
	usec now = loop_now(pool_loop(cl->conn->pool));

	cl->inside++;
	redis_cluster_give_up_late(cl->seed, now);
	for (unsigned i = 0; cl->conn != NULL && i < cl->map->count; i++)
		redis_cluster_give_up_late(cl->node[i], now);
	if (cl->conn != NULL && now >= cl->put_off_until)
		redis_cluster_send_put_off(cl);
	if (cl->conn != NULL)
		redis_cluster_arm(cl);
	redis_cluster_leave(cl);
}

/* ---- what the pool asks ---- */

/* Nodes that are known and not connected to, not always the same first; then, where none is connected to, those of the URL. */
static struct redis_seeds *
redis_cluster_seeds(const struct redis_cluster *cl)
{
	struct redis_seeds *s = calloc(1, sizeof *s);
	usec now = loop_now(pool_loop(cl->conn->pool));
	unsigned n = cl->map->count;

	for (unsigned i = 0; s != NULL && i < n && s->count < REDIS_PLACES; i++) {
		unsigned number = (unsigned)(((uint64_t)now + i) % n);
		const struct slots_node *known = cl->map->node[number];

		if (known->has_slots && cl->node[number] == NULL && now >= known->retry_at)
			s->place[s->count++] = known->place;
	}
	for (unsigned i = 0; s != NULL && cl->nodes == 0 && back_url_place(pool_url(cl->conn->pool), i, &s->place[s->count]); i++)
		s->count++;
	return s;
}

bool
redis_cluster_seek(struct redis_cluster *cl)
{
	cl->seeds = redis_cluster_seeds(cl);
	if (cl->seeds != NULL && cl->seeds->count > 0 && redis_node_next_seed(cl))
		return true;
	free(cl->seeds);
	cl->seeds = NULL;
	return false;
}

static enum weft_rc
redis_cluster_open(struct conn *c)
{
	struct redis_cluster *cl = calloc(1, sizeof *cl);

	if (cl == NULL)
		return WEFT_SYSTEM;
	cl->conn = c;
	cl->map = pool_driver_data(c->pool);
	cl->task = (struct loop_task){ .fn = redis_cluster_pay, .arg = cl };
	TAILQ_INIT(&cl->put_off);
	cl->timer = timer_new(pool_loop(c->pool), redis_cluster_on_timer, cl);
	if (cl->timer == NULL || !redis_cluster_seek(cl)) {
		redis_cluster_free(cl);
		return WEFT_SYSTEM;
	}
	c->driver_data = cl;
	return WEFT_OK;
}

static enum weft_rc
redis_cluster_send(struct conn *c, struct call *call)
{
	struct redis_cluster *cl = c->driver_data;
	struct redis *r;
	enum weft_rc rc = redis_cluster_find(cl, call, &r);

	if (rc != WEFT_OK)
		return rc;
	call->hops = call->tries = 0;
	conn_took(c, call, NULL);
	redis_node_give(r, call, REDIS_CALL_WAITS);
	return WEFT_OK;
}

/* The connection in whose ring this slot is. */
static struct redis *
redis_cluster_find_ring(const struct redis_cluster *cl, const struct redis_slot *s)
{
	for (unsigned i = 0; i < cl->map->count; i++) {
		struct redis *r = cl->node[i];

		if (r != NULL && s >= r->ring && s < r->ring + REDIS_RING)
			return r;
	}
	return NULL;
}

static void
redis_cluster_abandon(struct conn *c, struct call *call)
{
	struct redis_cluster *cl = c->driver_data;
	struct redis_slot *s = call->slot;
	struct redis *r;

	if (call->effect == REDIS_CALL_SENT) {
		must(s->call == call);
		s->call = NULL;
		r = redis_cluster_find_ring(cl, s);
		must(r != NULL);
		redis_node_miss(r);
		return;
	}
	r = call->slot;
	if (call->effect == REDIS_CALL_PUT_OFF)
		TAILQ_REMOVE(&cl->put_off, call, link);
	else
		redis_node_unwait(r, call);
	redis_cluster_owe(cl);
}

static void
redis_cluster_close(struct conn *c)
{
	struct redis_cluster *cl = c->driver_data;
	struct call *call;

	c->driver_data = NULL;
	loop_task_cancel(pool_loop(c->pool), &cl->task);
	for (unsigned i = 0; i < cl->map->count; i++)
		if (cl->node[i] != NULL)
			redis_node_close(cl->node[i]);
	if (cl->seed != NULL)
		redis_node_close(cl->seed);
	while ((call = TAILQ_FIRST(&cl->put_off)) != NULL) {
		TAILQ_REMOVE(&cl->put_off, call, link);
		call_finish(call, WEFT_NOT_SENT, NULL, NULL);
	}
	cl->conn = NULL;
	cl->inside++;
	redis_cluster_leave(cl);
}

static unsigned
redis_cluster_sockets(const struct conn *c, int *fd, unsigned most)
{
	const struct redis_cluster *cl = c->driver_data;
	unsigned n = 0;

	for (unsigned i = 0; i < cl->map->count && n < most; i++)
		if (cl->node[i] != NULL && cl->node[i]->context != NULL)
			fd[n++] = cl->node[i]->context->fd;
	if (cl->seed != NULL && cl->seed->context != NULL && n < most)
		fd[n++] = cl->seed->context->fd;
	return n;
}

/* ---- the pool's ---- */

static void *
redis_cluster_new_map(const struct pool *p)
{
	return slots_new();
}

static void
redis_cluster_free_map(void *map)
{
	slots_free(map);
}

const struct driver driver_redis_cluster = {
	.name = "Redis",
	.schemes = (const char *const[]){ "redis+cluster", NULL },
	.kind = CALL_REDIS,
	.why = WAIT_REDIS,
	.depth = REDIS_DEPTH / 2,	/* each may have ASKING before it */
	.shares_slow = true,
	.is_many = true,
	.check = redis_url_check_cluster,
	.new_data = redis_cluster_new_map,
	.free_data = redis_cluster_free_map,
	.open = redis_cluster_open,
	.send = redis_cluster_send,
	.abandon = redis_cluster_abandon,
	.close = redis_cluster_close,
	.sockets = redis_cluster_sockets,
};
