/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_ROUTER_H
#define REQUEST_ROUTER_H

/*
 * From method and path to a target.  Patterns are segments: literal, ":name"
 * for any one segment, or a last "*" for the rest (also empty).  A literal
 * beats ":name", and ":name" beats "*", segment by segment with backtracking, so the order in which
 * routes were added does not matter.  A look-up takes time by the path's
 * segments, not by the number of routes.
 */

#include <stddef.h>

#include "base/arena.h"
#include "base/span.h"

struct router;

enum { ROUTE_PARAMS_MAX = 16, ROUTE_SEGMENTS_MAX = 64 };

enum route_rc {
	ROUTE_FOUND,
	ROUTE_NO_PATH,		/* 404 */
	ROUTE_NO_METHOD,	/* 405: the path is there, not for this method; match->allow says which are */
	ROUTE_BAD_PATH,		/* 400: no leading '/', a "." or ".." segment, NUL, too many segments */
};

struct route_match {
	void *target;
	const char *pattern;		/* as added, with its prefix; the router's */
	unsigned nparams;
	struct {
		const char *name;	/* the router's; "*" for the rest */
		struct span value;	/* into the path, still encoded */
	} param[ROUTE_PARAMS_MAX];
	char allow[128];		/* ROUTE_NO_METHOD: "GET, HEAD, POST" */
};

/* Returns an empty router, or NULL. */
struct router *router_new(void);

/* Free it; *rp becomes NULL. */
void router_free(struct router **rp);

/*
 * Add a route.
 *
 * method   "GET" (serves HEAD too, unless HEAD has its own), …, "*" for any
 * pattern  copied
 * error    one sentence when it is refused: bad pattern, or there already
 * Returns  0, or -1 with *error
 */
int router_add(struct router *r, const char *method, const char *pattern, void *target, char *error, size_t size);

/*
 * Find the target for a path, without its query, percent-encoded as the client sent it.
 * An encoded slash does not end a segment.  Empty segments ("//") count as segments; a trailing slash is one.
 *
 * match    target, pattern and params when ROUTE_FOUND; allow when ROUTE_NO_METHOD
 */
enum route_rc router_find(const struct router *r, const char *method, struct span path, struct route_match *match);

#endif
