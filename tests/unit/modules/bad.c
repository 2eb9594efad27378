/* SPDX-License-Identifier: ISC */
/* Modules with one thing wrong in each: -DBAD_what says which. */
#include <weft/weft.h>

int bad_handler(struct weft_request *rq);
int bad_missing(struct weft_request *rq);

int
bad_handler(struct weft_request *rq)
{
#ifdef BAD_unresolved
	return bad_missing(rq);
#else
	return weft_puts(rq, "answered all the same");
#endif
}

#ifdef BAD_old
/* As an older version of the interface had it: the members behind were added later. */
struct bad_route {
	const char *method, *path;
	weft_handler *handler;
};
#elif defined BAD_small
struct bad_route {
	const char *method, *path;
};
#else
#define bad_route weft_route
#endif

static const struct bad_route bad_routes[] = {
#ifdef BAD_method
	{ "GET", "/fine", bad_handler, 0, 0 },
	{ .path = "/bad", .handler = bad_handler },
#elif defined BAD_path
	{ .method = "GET", .handler = bad_handler },
#elif defined BAD_handler
	{ .method = "GET", .path = "/bad" },
#elif defined BAD_slash
	{ .method = "GET", .path = "bad", .handler = bad_handler },
#elif defined BAD_old
	{ "GET", "/old", bad_handler },
	{ "GET", "/older", bad_handler },
#elif defined BAD_small
	{ "GET", "/small" },
#else
	{ .method = "GET", .path = "/bad", .handler = bad_handler },
#endif
};

#ifdef BAD_major
enum { BAD_MAJOR = WEFT_ABI_MAJOR + 1, BAD_MINOR = WEFT_ABI_MINOR };
#elif defined BAD_minor
enum { BAD_MAJOR = WEFT_ABI_MAJOR, BAD_MINOR = WEFT_ABI_MINOR + 1 };
#else
enum { BAD_MAJOR = WEFT_ABI_MAJOR, BAD_MINOR = WEFT_ABI_MINOR };
#endif

#ifdef BAD_empty
enum { BAD_ROUTES = 0 };
#else
enum { BAD_ROUTES = sizeof bad_routes / sizeof bad_routes[0] };
#endif

/* A shared object, but no module. */
#ifdef BAD_symbol
#define BAD_NAME bad_module
#else
#define BAD_NAME weft_module
#endif

WEFT_API extern const struct weft_module BAD_NAME;
const struct weft_module BAD_NAME = {
	BAD_MAJOR, BAD_MINOR, (const struct weft_route *)bad_routes, BAD_ROUTES, sizeof bad_routes[0], NULL, NULL
};
