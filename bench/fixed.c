/* SPDX-License-Identifier: ISC */
/* The least that a handler can do: a fixed answer of 13 bytes.  Its twin without a server around it is floor.c. */
#include <weft/weft.h>

static int
fixed(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/plain");
	return weft_write(rq, "Hello, World!", 13);
}

WEFT_MODULE(
	{ "GET", "/fixed", fixed },
)
