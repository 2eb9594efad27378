/* SPDX-License-Identifier: ISC */
/*
 * Looking up.  The path is cut into segments and each is checked before the
 * trie sees it, so that no handler gets a path which leads out of where it
 * seems to be, however it is encoded.  Then the trie is followed, literals
 * first, with a step back wherever a better beginning leads nowhere.
 */
#include "request/router_own.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "wire/urlencoded.h"

/* One look-up. */
struct router_walk {
	const struct router *r;
	const char *method;
	struct route_match *match;
	int nseg;
	struct span seg[ROUTE_SEGMENTS_MAX];
	const char *end;		/* of the path */
	bool escaped;			/* it has a '%' somewhere */
};

/* Add a method to the list, once. */
static void
router_allow(struct route_match *m, const char *method)
{
	size_t len = strlen(m->allow), n = strlen(method);

	for (const char *at = m->allow; (at = strstr(at, method)) != NULL; at += n)
		if ((at == m->allow || at[-1] == ' ') && (at[n] == '\0' || at[n] == ','))
			return;
	if (len + n + 3 <= sizeof m->allow)
		snprintf(m->allow + len, sizeof m->allow - len, "%s%s", len > 0 ? ", " : "", method);
}

/* Take the route of a list that serves the method.  The params' values are those of the pattern's own places. */
static bool
router_take(struct router_walk *w, struct route *list, int depth)
{
	struct route *route = router_method(list, w->method);
	struct route_match *m = w->match;

	if (route == NULL && strcmp(w->method, "HEAD") == 0)
		route = router_method(list, "GET");
	if (route == NULL)
		route = router_method(list, "*");
	if (route == NULL) {
		for (; list != NULL; list = list->next) {
			router_allow(m, list->method);
			if (strcmp(list->method, "GET") == 0)
				router_allow(m, "HEAD");
		}
		return false;
	}
	m->target = route->target;
	m->pattern = route->pattern;
	for (unsigned i = 0; i < route->nnames; i++)
		m->param[i].name = route->name[i];
	if (route->nnames > m->nparams) {
		/* The rest: from the first segment that no node took to the end. */
		const char *at = depth < w->nseg ? w->seg[depth].at : w->end;

		m->param[m->nparams++].value = (struct span){ at, (size_t)(w->end - at) };
	}
	return true;
}

/* As router_literal, of a segment with escapes.  Apart: every request that waits would keep the page that this buffer touches. */
static __attribute__((noinline)) uint32_t
router_literal_escaped(const struct router *r, uint32_t at, struct span seg)
{
	char decoded[ROUTE_LITERAL_MAX * 3];

	if (seg.len > sizeof decoded)
		return NODE_NONE;
	return *router_place(r, at, (struct span){ decoded, percent_decode(decoded, seg, PERCENT_PLUS_IS_PLUS) });
}

/* Returns the literal child for a segment as the client wrote it. */
static uint32_t
router_literal(const struct router_walk *w, uint32_t at, struct span seg)
{
	if (w->escaped && seg.len > 0 && memchr(seg.at, '%', seg.len) != NULL)
		return router_literal_escaped(w->r, at, seg);
	return seg.len > ROUTE_LITERAL_MAX ? NODE_NONE : *router_place(w->r, at, seg);
}

/* Follow the path from a node on, best first.  At most ROUTE_SEGMENTS_MAX deep. */
static bool
router_walk(struct router_walk *w, uint32_t at, int depth)
{
	const struct router_node *n = &w->r->node[at];
	struct route_match *m = w->match;
	unsigned nparams = m->nparams;
	uint32_t child;

	if (depth == w->nseg) {
		if (router_take(w, n->routes, depth))
			return true;
	} else {
		child = router_literal(w, at, w->seg[depth]);
		if (child != NODE_NONE && router_walk(w, child, depth + 1))
			return true;
		if (n->param != NODE_NONE && w->seg[depth].len > 0) {
			m->param[m->nparams++].value = w->seg[depth];
			if (router_walk(w, n->param, depth + 1))
				return true;
			m->nparams = nparams;
		}
	}
	return n->rest != NULL && router_take(w, n->rest, depth);
}

/* True when a decoded segment, or a piece of it between slashes, leads elsewhere: "." or "..". */
static bool
router_has_dots(struct span s)
{
	size_t len;

	for (;;) {
		for (len = 0; len < s.len && s.at[len] != '/'; len++)
			continue;
		if ((len == 1 || len == 2) && s.at[0] == '.' && s.at[len - 1] == '.')
			return true;
		if (len == s.len)
			return false;
		s = span_skip(s, len + 1);
	}
}

/* True when a segment may be looked up: no dots, and no NUL that is encoded. */
static bool
router_segment_is_sound(const struct router_walk *w, struct span seg)
{
	char decoded[6];
	struct span part;

	if (seg.len == 0)
		return true;
	if (!w->escaped || memchr(seg.at, '%', seg.len) == NULL)
		return seg.at[0] != '.' || !router_has_dots(seg);
	if (memmem(seg.at, seg.len, "%00", 3) != NULL)
		return false;
	/* Pieces between encoded slashes; two dots are at most six bytes. */
	while (seg.len > 0) {
		for (part = (struct span){ seg.at, 0 }; part.len < seg.len; part.len++)
			if (seg.len - part.len >= 3 && seg.at[part.len] == '%' && seg.at[part.len + 1] == '2'
			    && (seg.at[part.len + 2] | 0x20) == 'f')
				break;
		if (part.len > 0 && part.len <= sizeof decoded
		    && router_has_dots((struct span){ decoded, percent_decode(decoded, part, PERCENT_PLUS_IS_PLUS) }))
			return false;
		seg = span_skip(seg, part.len < seg.len ? part.len + 3 : part.len);
	}
	return true;
}

enum route_rc
router_find(const struct router *r, const char *method, struct span path, struct route_match *match)
{
	struct router_walk w;

	w.r = r;
	w.method = method;
	w.match = match;
	match->target = NULL;
	match->pattern = NULL;
	match->nparams = 0;
	match->allow[0] = '\0';
	if (path.len == 0 || path.at[0] != '/' || memchr(path.at, '\0', path.len) != NULL)
		return ROUTE_BAD_PATH;
	w.end = path.at + path.len;
	w.escaped = memchr(path.at, '%', path.len) != NULL;
	w.nseg = router_split(path, w.seg);
	if (w.nseg < 0)
		return ROUTE_BAD_PATH;
	for (int i = 0; i < w.nseg; i++)
		if (!router_segment_is_sound(&w, w.seg[i]))
			return ROUTE_BAD_PATH;
	if (router_walk(&w, NODE_ROOT, 0))
		return ROUTE_FOUND;
	return match->allow[0] != '\0' ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}
