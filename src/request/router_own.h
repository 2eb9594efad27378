/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_ROUTER_OWN_H
#define REQUEST_ROUTER_OWN_H

/* What router.c, which adds routes, and router_find.c, which looks them up, share: the trie. */

#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "request/router.h"

/* One method of one pattern. */
struct route {
	struct route *next;
	const char *method;
	const char *pattern;
	void *target;
	unsigned nnames;
	const char *name[];		/* of the params, in order; "*" for the rest */
};

enum { NODE_NONE = 0, NODE_ROOT = 1 };

/* Nodes are named by their index, for the array moves as it grows. */
struct router_node {
	uint32_t parent;
	uint32_t param;			/* child for any segment; NODE_NONE */
	struct span text;		/* of a literal */
	struct route *routes;		/* of patterns that end here */
	struct route *rest;		/* of patterns that end here with "*" */
};

struct router {
	struct arena arena;
	struct router_node *node;
	uint32_t nnodes, nodes_size;
	uint32_t *table;		/* open addressing, at most half full; NODE_NONE: free */
	uint32_t table_size;		/* a power of two */
};

/* Returns the place of the child in the table, or the free place where it belongs. */
uint32_t *router_place(const struct router *r, uint32_t parent, struct span text);

/* Cut a path, which begins with '/', at its slashes.  seg holds ROUTE_SEGMENTS_MAX.  Returns how many segments, -1 when there are too many. */
int router_split(struct span path, struct span *seg);

/* Returns the route of a list for exactly this method, or NULL. */
struct route *router_method(struct route *list, const char *method);

#endif
