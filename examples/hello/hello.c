/* SPDX-License-Identifier: ISC */
/* The smallest handler: GET /hello/:name */
#include <weft/weft.h>

static int
hello(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/plain; charset=utf-8");
	return weft_printf(rq, "Hello, %s!\n", weft_param(rq, "name"));
}

WEFT_MODULE(
	{ "GET", "/hello/:name", hello },
)
