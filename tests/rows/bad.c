/* SPDX-License-Identifier: ISC */
/* Modules that must be refused, one for each BAD_…: rows B33 and B37. */
#include <weft/weft.h>

#include <stdlib.h>
#include <unistd.h>

static int
bad_hello(struct weft_request *rq)
{
	return weft_puts(rq, "bad");
}

#if defined BAD_INIT_DIES
static int
bad_init(const char *name)
{
	(void)name;
	abort();
}
#define bad_init_fn bad_init
#elif defined BAD_INIT_REFUSES
static int
bad_init(const char *name)
{
	(void)name;
	return 7;
}
#define bad_init_fn bad_init
#else
#define bad_init_fn NULL
#endif

#if defined BAD_SYMBOL
int bad_nowhere(void);

int bad_use(void);

int
bad_use(void)
{
	return bad_nowhere();
}
#endif

#if defined BAD_EXITS
static void __attribute__((constructor))
bad_construct(void)
{
	_exit(0);
}
#elif defined BAD_LOOPS
static void __attribute__((constructor))
bad_construct(void)
{
	for (;;)
		pause();
}
#endif

#if defined BAD_ENTRY
weft_handler *bad_entry(void);

weft_handler *
bad_entry(void)
{
	return bad_hello;
}
#elif defined BAD_ABI
static const struct weft_route bad_routes[] = { { "GET", "/bad", bad_hello, 0, 0 } };
WEFT_API extern const struct weft_module weft_module;
const struct weft_module weft_module = { WEFT_ABI_MAJOR + 1, 0, bad_routes, 1, sizeof bad_routes[0], bad_init_fn, NULL };
#else
WEFT_MODULE_INIT(bad_init_fn, NULL, { "GET", "/bad", bad_hello })
#endif
