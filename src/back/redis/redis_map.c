/* SPDX-License-Identifier: ISC */
/*
 * What the nodes of a cluster say of each other: the map of slots, which is asked for again, from any node, when one has said
 * MOVED or cannot be reached; and calls that are for another node.
 */
#include "back/redis/redis_cluster.h"

#include <string.h>

#include "back/pool.h"

static usec
redis_map_now(const struct redis_cluster *cl)
{
	return loop_lately(pool_loop(cl->conn->pool));
}

/* Ask a node that there is a connection to, not always the same first.  Returns false when none can be asked. */
static bool
redis_map_ask_node(struct redis_cluster *cl, const struct redis *but)
{
	static const struct span command = SPAN("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n");
	uint64_t first = (uint64_t)redis_map_now(cl);

	for (unsigned i = 0; i < cl->map->count; i++) {
		struct redis *r = cl->node[(first + i) % cl->map->count];

		if (r == NULL || r == but || !r->is_up || r->doomed || r->is_asked || r->misses >= REDIS_MISSES)
			continue;
		redis_forget_setup(r);
		r->is_asked = redis_node_put_own(r, command, REDIS_OWN_MAP);
		if (r->is_asked)
			return true;
	}
	return false;
}

void
redis_map_ask(struct redis_cluster *cl, const struct redis *but)
{
	usec now = redis_map_now(cl);

	if (cl->map->asked != 0 && now - cl->map->asked < REDIS_MAP_PAUSE)
		return;
	if (redis_map_ask_node(cl, but) || (cl->seed == NULL && redis_cluster_seek(cl)))
		cl->map->asked = now;
}

void
redis_map_on_reply(struct redis *r, const struct weft_reply *reply)
{
	int mine;

	r->is_asked = false;
	r->heard = redis_map_now(r->cluster);
	(void)slots_take(r->cluster->map, reply, r->host, SPAN(""), &mine);
	redis_forget_setup(r);
}

/* Another node has the key, for good (MOVED), or this key already (ASK).  Returns WEFT_OK; else the call is explained, and fails with that. */
static enum weft_rc
redis_map_redirect(struct redis *r, struct call *call, struct span text, enum redis_where where)
{
	struct redis_cluster *cl = r->cluster;
	struct back_place place;
	struct redis *next;
	enum weft_rc rc;
	unsigned slot;
	int number;

	if (call->hops >= REDIS_HOPS || !slots_read_redirect(text, r->host, &slot, &place)) {
		call_explain(call, WEFT_REFUSED, "MOVED", "passed on from node to node %u times, then: %.*s", call->hops, (int)text.len, text.at);
		return WEFT_REFUSED;
	}
	call->hops++;
	number = slots_find(cl->map, &place);
	if (number < 0) {
		call_explain(call, WEFT_SYSTEM, NULL, "the cluster has more than %d nodes", SLOTS_NODES);
		return WEFT_SYSTEM;
	}
	if (where == REDIS_CALL_WAITS) {
		cl->map->of[slot] = (int16_t)number;
		cl->map->node[number]->has_slots = true;
		redis_map_ask(cl, NULL);
	}
	rc = redis_node_get(cl, number, call, &next);
	if (rc == WEFT_OK)
		redis_node_give(next, call, where);
	return rc;
}

bool
redis_map_passes_on(struct redis *r, struct call *call, const struct weft_reply *reply)
{
	char code[sizeof r->code];
	enum weft_rc rc;

	r->heard = redis_map_now(r->cluster);
	r->misses = 0;
	if (call == NULL || reply->kind != REPLY_ERROR)
		return false;
	reply_error_code(reply, code, sizeof code);
	if (strcmp(code, "MOVED") == 0)
		rc = redis_map_redirect(r, call, reply->text, REDIS_CALL_WAITS);
	else if (strcmp(code, "ASK") == 0)
		rc = redis_map_redirect(r, call, reply->text, REDIS_CALL_WAITS_TO_ASK);
	else if (strcmp(code, "TRYAGAIN") == 0 && call->tries++ < REDIS_TRIES) {
		call->hops = 0;
		redis_cluster_put_off(r->cluster, call);
		return true;
	} else if (strcmp(code, "CLUSTERDOWN") == 0) {
		redis_map_ask(r->cluster, r);
		rc = WEFT_DOWN;
		call_explain(call, rc, code, "%s", reply->text.at);
	} else
		return false;
	if (rc != WEFT_OK) {
		call_finish(call, rc, NULL, NULL);
		conn_gave(r->conn);
	}
	return true;
}
