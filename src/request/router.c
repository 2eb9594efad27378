/* SPDX-License-Identifier: ISC */
/*
 * A trie of path segments.  Each node has at most one ":name" child and one
 * "*" leaf; its literal children are in one hash table, which all nodes share,
 * by parent and text.  So a step costs the same with one route and with 500,
 * and a look-up visits no node twice: a node has one way from the root.
 *
 * Here routes are added; router_find.c looks them up.  The table is filled
 * from the routes only, so clients cannot make it slow.  Everything lives as
 * long as the router and is never taken out.
 */
#include "request/router_own.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cgi_head.h"
#include "wire/urlencoded.h"

enum { ROUTER_NODES_FIRST = 64 };

static uint32_t
router_hash(uint32_t parent, struct span text)
{
	uint32_t h = 2166136261u ^ parent * 0x9e3779b1u;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.at[i]) * 16777619u;
	return h ^ h >> 15;
}

uint32_t *
router_place(const struct router *r, uint32_t parent, struct span text)
{
	uint32_t i = router_hash(parent, text) & (r->table_size - 1);
	const struct router_node *n;

	for (; r->table[i] != NODE_NONE; i = (i + 1) & (r->table_size - 1)) {
		n = &r->node[r->table[i]];
		if (n->parent == parent && span_equal(n->text, text))
			break;
	}
	return &r->table[i];
}

/* Room for one more node, in the array and in the table. */
static int
router_grow(struct router *r)
{
	uint32_t size = r->nodes_size == 0 ? ROUTER_NODES_FIRST : r->nodes_size * 2;
	struct router_node *node;
	uint32_t *table;

	if (r->nnodes < r->nodes_size)
		return 0;
	if (size > UINT32_MAX / 4 || (table = calloc((size_t)size * 2, sizeof *table)) == NULL)
		return -1;
	node = realloc(r->node, size * sizeof *node);
	if (node == NULL) {
		free(table);
		return -1;
	}
	r->node = node;
	r->nodes_size = size;
	free(r->table);
	r->table = table;
	r->table_size = size * 2;
	for (uint32_t i = NODE_ROOT + 1; i < r->nnodes; i++)
		if (node[i].text.at != NULL)
			*router_place(r, node[i].parent, node[i].text) = i;
	return 0;
}

static uint32_t
router_node_new(struct router *r, uint32_t parent, struct span text)
{
	if (router_grow(r) != 0)
		return NODE_NONE;
	r->node[r->nnodes] = (struct router_node){ .parent = parent, .text = text };
	return r->nnodes++;
}

struct router *
router_new(void)
{
	struct router *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	arena_init(&r->arena, NULL, 0, 0);
	r->nnodes = NODE_ROOT;
	if (router_node_new(r, NODE_NONE, (struct span){ NULL, 0 }) == NODE_NONE)
		router_free(&r);
	return r;
}

void
router_free(struct router **rp)
{
	struct router *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	arena_fini(&r->arena);
	free(r->node);
	free(r->table);
	free(r);
}

int
router_split(struct span path, struct span *seg)
{
	const char *slash;
	int n = 0;

	while (path.len > 0) {
		if (n == ROUTE_SEGMENTS_MAX)
			return -1;
		path = span_skip(path, 1);
		slash = memchr(path.at, '/', path.len);
		seg[n].at = path.at;
		seg[n].len = slash == NULL ? path.len : (size_t)(slash - path.at);
		path = span_skip(path, seg[n].len);
		n++;
	}
	return n;
}

static int
router_sorry(char *error, size_t size, const char *method, const char *pattern, const char *why)
{
	snprintf(error, size, "route \"%.40s %.200s\": %s", method, pattern, why);
	return -1;
}

/* Returns what is wrong with one segment of a pattern, NULL when it is good. */
static const char *
router_segment_fault(struct span s, bool is_last)
{
	size_t name;

	if (s.len > 0 && s.at[0] == ':') {
		name = strspn(s.at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		return name == 0 || name < s.len - 1 ? "a name behind ':' is letters, digits and '_'" : NULL;
	}
	if (s.len > 0 && memchr(s.at, '*', s.len) != NULL)
		return s.len > 1 ? "'*' must be a segment of its own" : is_last ? NULL : "'*' must come last";
	if (s.len > ROUTE_LITERAL_MAX)
		return "a segment is longer than 255 bytes";
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f || s.at[i] == '?' || s.at[i] == '#')
			return "blanks, control bytes, '?' and '#' cannot be in a path";
	return NULL;
}

static bool
router_is_param(struct span s)
{
	return s.len > 0 && (s.at[0] == ':' || s.at[0] == '*');
}

/* Returns what is wrong with a pattern as a whole, NULL when it is good. */
static const char *
router_pattern_fault(const char *pattern, struct span *seg, int *nseg)
{
	const char *why;
	int params = 0;

	if (pattern[0] != '/')
		return "must begin with '/'";
	*nseg = router_split(span_str(pattern), seg);
	if (*nseg < 0)
		return "has more than 64 segments";
	for (int i = 0; i < *nseg; i++) {
		why = router_segment_fault(seg[i], i == *nseg - 1);
		if (why != NULL)
			return why;
		if (!router_is_param(seg[i]))
			continue;
		if (++params > ROUTE_PARAMS_MAX)
			return "has more than 16 parameters";
		for (int j = 0; j < i; j++)
			if (router_is_param(seg[j]) && span_equal(seg[i], seg[j]))
				return "has a parameter's name twice";
	}
	return NULL;
}

/* Returns the child of a node for a segment of a pattern, made when it is not there; NODE_NONE: no memory. */
static uint32_t
router_child(struct router *r, uint32_t parent, struct span seg)
{
	char *copy;
	uint32_t child;

	if (router_is_param(seg)) {
		if (r->node[parent].param == NODE_NONE) {
			child = router_node_new(r, parent, (struct span){ NULL, 0 });
			r->node[parent].param = child;
		}
		return r->node[parent].param;
	}
	copy = arena_strdup(&r->arena, seg);
	if (copy == NULL)
		return NODE_NONE;
	seg = (struct span){ copy, percent_decode(copy, seg, PERCENT_PLUS_IS_PLUS) };
	if (*router_place(r, parent, seg) != NODE_NONE)
		return *router_place(r, parent, seg);
	child = router_node_new(r, parent, seg);
	if (child != NODE_NONE)
		*router_place(r, parent, seg) = child;
	return child;
}

static struct route *
router_route_new(struct router *r, const char *method, const char *pattern, void *target, const struct span *seg, int nseg)
{
	struct route *new = arena_alloc(&r->arena, sizeof *new + ROUTE_PARAMS_MAX * sizeof new->name[0]);

	if (new == NULL)
		return NULL;
	*new = (struct route){ .target = target };
	new->method = arena_strdup(&r->arena, span_str(method));
	new->pattern = arena_strdup(&r->arena, span_str(pattern));
	for (int i = 0; i < nseg; i++) {
		struct span name = seg[i].at[0] == ':' ? span_skip(seg[i], 1) : seg[i];

		if (!router_is_param(seg[i]))
			continue;
		new->name[new->nnames] = arena_strdup(&r->arena, name);
		if (new->name[new->nnames++] == NULL)
			return NULL;
	}
	return new->method == NULL || new->pattern == NULL ? NULL : new;
}

struct route *
router_method(struct route *list, const char *method)
{
	while (list != NULL && strcmp(list->method, method) != 0)
		list = list->next;
	return list;
}

int
router_add(struct router *r, const char *method, const char *pattern, void *target, char *error, size_t size)
{
	struct span seg[ROUTE_SEGMENTS_MAX];
	struct route *new, **list;
	uint32_t at = NODE_ROOT;
	const char *why;
	int nseg = 0, depth;
	bool rest;

	if (method == NULL || pattern == NULL)
		return router_sorry(error, size, "", "", "needs a method and a path");
	if (strlen(method) > 32 || !cgi_name_is_valid(span_str(method)))
		return router_sorry(error, size, method, pattern, "this is no method");
	why = router_pattern_fault(pattern, seg, &nseg);
	if (why != NULL)
		return router_sorry(error, size, method, pattern, why);
	rest = span_equal(seg[nseg - 1], SPAN("*"));
	depth = rest ? nseg - 1 : nseg;
	for (int i = 0; i < depth && at != NODE_NONE; i++)
		at = router_child(r, at, seg[i]);
	new = router_route_new(r, method, pattern, target, seg, nseg);
	if (at == NODE_NONE || new == NULL)
		return router_sorry(error, size, method, pattern, "out of memory");
	list = rest ? &r->node[at].rest : &r->node[at].routes;
	if (router_method(*list, method) != NULL)
		return router_sorry(error, size, method, pattern, "is there already");
	new->next = *list;
	*list = new;
	return 0;
}
