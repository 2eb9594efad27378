/* SPDX-License-Identifier: ISC */
/* A module that does all right: it counts its beginnings and ends, and its handler uses the server. */
#include <weft/weft.h>

WEFT_API extern int good_begun, good_ended;
int good_begun, good_ended;

static int
good_begin(const char *name)
{
	good_begun++;
	return name[0] == 'n' ? 7 : 0;
}

static void
good_end(void)
{
	good_ended++;
}

static int
good_hello(struct weft_request *rq)
{
	return weft_printf(rq, "hello %s at %s", weft_param(rq, "name"), weft_path(rq));
}

WEFT_MODULE_INIT(good_begin, good_end,
	{ "GET", "/hello/:name", good_hello },
	{ .method = "POST", .path = "/hello", .handler = good_hello, .timeout_ms = 500 },
)
