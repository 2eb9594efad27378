/* SPDX-License-Identifier: ISC */
/*
 * The connections to the nodes of a cluster: how they begin and end, and what nodes say of each other.
 *
 * The first is to any node that answers, the seed, which is asked for the map of slots and for its own name in it; then it is the
 * connection to that node.  The others are made when a call is for them, which waits.
 */
#include "back/redis/redis_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/log.h"
#include "base/must.h"

#define REDIS_NODE_PAUSE (50 * USEC_PER_MSEC)	/* after an attempt that failed; doubled up to POOL_ASK */

static usec
redis_node_now(const struct redis_cluster *cl)
{
	return loop_lately(pool_loop(cl->conn->pool));
}

static void
redis_node_name(const struct redis *r, char *out, size_t size)
{
	const struct redis_cluster *cl = r->cluster;
	const struct back_place *place = r->number >= 0 ? &cl->map->node[r->number]->place : &cl->seeds->place[cl->seeds->next - 1];

	redis_url_name(place, REDIS_PORT, out, size);
}

/* It is no connection of the cluster's any more. */
static void
redis_node_unlink(struct redis *r)
{
	struct redis_cluster *cl = r->cluster;

	if (cl->seed == r)
		cl->seed = NULL;
	if (r->number < 0)
		return;
	cl->map->node[r->number]->links--;
	cl->node[r->number] = NULL;
	cl->nodes--;
}

static void
redis_node_link(struct redis *r, int number)
{
	struct redis_cluster *cl = r->cluster;

	r->number = number;
	cl->map->node[number]->links++;
	cl->node[number] = r;
	cl->nodes++;
}

static struct redis *
redis_node_new(struct redis_cluster *cl)
{
	struct redis *r = redis_new(cl->conn);

	if (r == NULL)
		return NULL;
	r->cluster = cl;
	r->number = SLOTS_NOWHERE;
	r->memory = REDIS_MAP_MEMORY;
	return r;
}

/* ---- calls ---- */

/* Ask for a sign of life; calls wait for it as for a connection that is being made. */
static void
redis_node_check(struct redis *r)
{
	r->is_up = false;
	r->was_up = true;
	r->tried = r->naddress;
	r->late = clock_add(redis_node_now(r->cluster), POOL_CHECK);
	redis_forget_setup(r);
	redis_send_own(r, 1, (struct span[]){ SPAN("PING") });
	loop_after_turn(pool_loop(r->conn->pool), &r->task);
	redis_cluster_arm(r->cluster);
}

/*
 * Is it known to be silent; has it failed, and is it not time for an attempt to connect; or is there an attempt which a call
 * waits for already?
 */
static bool
redis_node_is_down(const struct redis *r, const struct slots_node *n, usec now)
{
	if (r == NULL)
		return now < n->retry_at;
	if (r->is_up && r->misses >= REDIS_MISSES)
		return true;
	return !r->is_up && n->fails > 1 && r->waits > 0;
}

/* May a call be given to a node?  Returns WEFT_OK; else it is explained, and fails with that. */
static enum weft_rc
redis_node_admit(const struct redis *r, const struct slots_node *n, usec now, struct call *call)
{
	char name[300];

	if (redis_node_is_down(r, n, now)) {
		redis_url_name(&n->place, REDIS_PORT, name, sizeof name);
		call_explain(call, WEFT_DOWN, NULL, "node %s: %s", name, r != NULL && r->is_up ? "it does not answer" : n->why);
		return WEFT_DOWN;
	}
	if (r != NULL && r->count + r->waits >= REDIS_SHARE && now - r->heard >= POOL_CHECK) {
		redis_url_name(&n->place, REDIS_PORT, name, sizeof name);
		call_explain(call, WEFT_BUSY, NULL, "node %s is silent and owes %u replies", name, r->count + r->waits);
		return WEFT_BUSY;
	}
	return WEFT_OK;
}

enum weft_rc
redis_node_get(struct redis_cluster *cl, int number, struct call *call, struct redis **out)
{
	const struct pool_conf *conf = pool_settings(cl->conn->pool);
	struct slots_node *n = cl->map->node[number];
	struct redis *r = cl->node[number];
	usec now = redis_node_now(cl);
	enum weft_rc rc = redis_node_admit(r, n, now, call);

	*out = r;
	if (rc == WEFT_DOWN)
		redis_map_ask(cl, NULL);
	if (rc != WEFT_OK)
		return rc;
	if (r != NULL) {
		/* The pool does not know how long a single node's was idle. */
		if (r->is_up && !r->doomed && r->count == 0 && now - r->heard >= conf->check_after)
			redis_node_check(r);
		return WEFT_OK;
	}
	*out = r = redis_node_new(cl);
	if (r == NULL) {
		call_explain(call, WEFT_SYSTEM, NULL, "no memory for a connection to a node");
		return WEFT_SYSTEM;
	}
	redis_node_link(r, number);
	r->heard = now;
	r->late = clock_add(now, conf->connect_timeout);
	redis_cluster_arm(cl);
	redis_dial(r, n->place.host, n->place.port, r->late);
	return WEFT_OK;
}

bool
redis_node_put_own(struct redis *r, struct span command, enum redis_own own)
{
	if (buf_add(&r->out, command) != WEFT_OK) {
		redis_doom_later(r, "out of memory");
		return false;
	}
	redis_push(r, NULL, command.len)->own = own;
	loop_after_turn(pool_loop(r->conn->pool), &r->task);
	return true;
}

void
redis_node_give(struct redis *r, struct call *call, enum redis_where where)
{
	static const struct span asking = SPAN("*1\r\n$6\r\nASKING\r\n");
	struct redis_slot *slot = NULL;

	if (r->count == 0 && r->is_up)
		r->heard = redis_node_now(r->cluster);
	if (r->is_up && !r->doomed && (where != REDIS_CALL_WAITS_TO_ASK || redis_node_put_own(r, asking, REDIS_OWN_ASKING)))
		slot = redis_put(r, call);
	call->slot = slot;
	call->effect = REDIS_CALL_SENT;
	if (slot != NULL)
		return;
	call->slot = r;
	call->effect = (unsigned char)where;
	TAILQ_INSERT_TAIL(&r->waiting, call, link);
	r->waits++;
}

void
redis_node_unwait(struct redis *r, struct call *call)
{
	TAILQ_REMOVE(&r->waiting, call, link);
	r->waits--;
}

void
redis_node_miss(struct redis *r)
{
	const struct pool_conf *conf = pool_settings(r->conn->pool);
	usec silent = redis_node_now(r->cluster) - r->heard;

	if (silent < POOL_CHECK)
		return;
	if (silent >= conf->call_timeout)
		redis_doom_later(r, "it does not answer");
	else if (++r->misses == REDIS_MISSES) {
		r->late = clock_add(redis_node_now(r->cluster), POOL_GRACE);
		redis_cluster_arm(r->cluster);
	}
}

bool
redis_node_is_wanted(struct redis *r)
{
	usec silent = redis_node_now(r->cluster) - r->heard;

	if (!r->is_up || silent >= pool_settings(r->conn->pool)->call_timeout)
		return false;
	for (unsigned i = 0; i < r->count; i++)
		if (r->ring[(r->head + i) % REDIS_RING].call != NULL)
			return true;
	return false;
}

/* ---- the beginning ---- */

bool
redis_node_next_seed(struct redis_cluster *cl)
{
	const struct pool_conf *conf = pool_settings(cl->conn->pool);
	const struct back_place *place = &cl->seeds->place[cl->seeds->next];

	if (cl->seed == NULL)
		cl->seed = redis_node_new(cl);
	if (cl->seed == NULL)
		return false;
	cl->seeds->next++;
	/* All of them a little before the pool would say less about it. */
	cl->seed->late = clock_add(redis_node_now(cl), (conf->connect_timeout - conf->connect_timeout / 20) / cl->seeds->count);
	redis_cluster_arm(cl);
	redis_dial(cl->seed, place->host, place->port, cl->seed->late);
	return true;
}

void
redis_node_begin_setup(struct redis *r)
{
	if (r->number >= 0) {
		redis_send_own(r, 1, (struct span[]){ SPAN("PING") });
		return;
	}
	redis_send_own(r, 2, (struct span[]){ SPAN("CLUSTER"), SPAN("MYID") });
	redis_send_own(r, 2, (struct span[]){ SPAN("CLUSTER"), SPAN("SLOTS") });
}

/* The map is there: so is the connection.  One that has been there may have found another way to this node meanwhile. */
static void
redis_node_begin(struct redis *r, int mine)
{
	struct redis_cluster *cl = r->cluster;

	free(cl->seeds);
	cl->seeds = NULL;
	r->is_up = true;
	r->heard = redis_node_now(cl);
	if (mine >= 0 && cl->node[mine] == NULL) {
		redis_node_link(r, mine);
		r->host = cl->map->node[mine]->place.host;
		cl->seed = NULL;
	} else
		redis_doom(r, NULL, "it has done its part");	/* a replica is as good for asking */
	if (cl->conn->state == CONN_CONNECTING)
		conn_is_ready(cl->conn);
}

bool
redis_node_on_reply(struct redis *r, const struct weft_reply *reply)
{
	struct redis_cluster *cl = r->cluster;
	char code[sizeof r->code];
	int mine;

	if (r->number >= 0)
		return false;
	if (reply->kind == REPLY_ERROR) {
		reply_error_code(reply, code, sizeof code);
		redis_doom(r, code, "%s", reply->text.at);
	} else if (r->setup == 1 && reply->kind == REPLY_TEXT)
		snprintf(r->id, sizeof r->id, "%s", reply->text.at);
	if (r->setup > 0 || r->doomed)
		return true;
	if (slots_take(cl->map, reply, r->host, span_str(r->id), &mine)) {
		cl->map->asked = redis_node_now(cl);
		redis_node_begin(r, mine);
	} else
		redis_doom(r, "CLUSTERDOWN", "it knows of no node that has slots");
	return true;
}

void
redis_node_is_ready(struct redis *r)
{
	struct slots_node *n = r->cluster->map->node[r->number];
	char name[300];
	struct call *call;

	r->heard = redis_node_now(r->cluster);
	if (n->why[0] != '\0') {
		redis_node_name(r, name, sizeof name);
		log_info("node back pool=%s node=%s", pool_name(r->conn->pool), name);
	}
	r->was_up = false;
	n->fails = 0;
	n->retry_at = 0;
	n->why[0] = '\0';
	while (!r->doomed && (call = TAILQ_FIRST(&r->waiting)) != NULL) {
		redis_node_unwait(r, call);
		redis_node_give(r, call, call->effect);
	}
}

/* ---- the end ---- */

/* A seed is of no use: the next one. */
static void
redis_node_seed_is_dead(struct redis *r)
{
	struct redis_cluster *cl = r->cluster;
	struct redis_seeds *s = cl->seeds;
	char name[300];

	if (s == NULL) {
		redis_node_close(r);
		return;
	}
	if (s->code[0] == '\0') {
		redis_node_name(r, name, sizeof name);
		snprintf(s->code, sizeof s->code, "%s", r->code);
		snprintf(s->text, sizeof s->text, "node %.200s: %s", name, r->text);
	}
	if (s->next < s->count)
		redis_node_next_seed(cl);
	else if (cl->nodes == 0)
		conn_is_dead(cl->conn, s->code, "%s", s->text);
	else {
		free(s);
		cl->seeds = NULL;
		redis_node_close(r);
	}
}

/* Remember that it failed: the next attempt only after a while. */
static void
redis_node_note(struct redis *r, const char *name)
{
	struct slots_node *n = r->cluster->map->node[r->number];
	const struct pool_conf *conf = pool_settings(r->conn->pool);
	usec pause = REDIS_NODE_PAUSE << (n->fails < 8 ? n->fails : 8);

	if (n->why[0] == '\0')
		log_warn("node lost pool=%s node=%s reason=\"%s\"", pool_name(r->conn->pool), name, r->text);
	snprintf(n->why, sizeof n->why, "%.119s", r->text);
	if (r->is_up || r->was_up)
		return;
	n->fails++;
	/* What is put off now comes back before, and does not wait for one more attempt. */
	n->retry_at = clock_add(redis_node_now(r->cluster),
	    2 * REDIS_PUT_OFF + pool_jitter(r->conn->pool, clock_min(pause, clock_min(POOL_ASK, conf->backoff))));
}

/* What it owes is lost: take out what may be sent again, and finish the others. */
static void
redis_node_lose_calls(struct redis *r, const char *name, struct redis_calls *again)
{
	struct redis_cluster *cl = r->cluster;
	struct call *call;

	redis_note_written(r);
	for (; r->count > 0; redis_pop(r)) {
		struct redis_slot s = *redis_first(r);
		enum weft_rc rc = s.begin < r->written ? WEFT_UNKNOWN : WEFT_NOT_SENT;

		if (s.own != REDIS_OWN_NONE)
			continue;
		if (s.call != NULL && conn_may_resend(cl->conn, s.call, rc)) {
			TAILQ_INSERT_TAIL(again, s.call, link);
			continue;
		}
		if (s.call != NULL)
			call_finish(s.call, rc, r->code, "node %s: %s", name, r->text);
		redis_cluster_owe(cl);
	}
	while ((call = TAILQ_FIRST(&r->waiting)) != NULL) {
		redis_node_unwait(r, call);
		if ((r->is_up || r->was_up) && conn_may_resend(cl->conn, call, WEFT_NOT_SENT)) {
			TAILQ_INSERT_TAIL(again, call, link);
			continue;
		}
		/* The map may be old, of a worker that was idle while another node took over: the others are asked, and then it is seen. */
		if (call->tries++ == 0) {
			redis_cluster_put_off(cl, call);
			continue;
		}
		call_finish(call, WEFT_DOWN, r->code, "node %s: %s", name, r->text);
		redis_cluster_owe(cl);
	}
}

void
redis_node_is_dead(struct redis *r)
{
	struct redis_calls again = TAILQ_HEAD_INITIALIZER(again);
	struct redis_cluster *cl = r->cluster;
	struct call *call;
	char name[300];

	if (r == cl->seed) {
		redis_node_seed_is_dead(r);
		return;
	}
	redis_node_name(r, name, sizeof name);
	redis_node_note(r, name);
	if (r->is_up && cl->nodes == 1) {
		conn_is_dead(cl->conn, r->code, "node %s: %s", name, r->text);
		return;
	}
	redis_node_lose_calls(r, name, &again);
	redis_node_unlink(r);
	redis_end(r);
	while ((call = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, call, link);
		redis_cluster_resend(cl, call);
	}
	redis_map_ask(cl, NULL);
}

void
redis_node_close(struct redis *r)
{
	struct call *call;

	redis_node_unlink(r);
	while ((call = TAILQ_FIRST(&r->waiting)) != NULL) {
		redis_node_unwait(r, call);
		call_finish(call, WEFT_NOT_SENT, NULL, NULL);
	}
	redis_end(r);
}
