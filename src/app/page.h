/* SPDX-License-Identifier: ISC */
#ifndef APP_PAGE_H
#define APP_PAGE_H

#include <stddef.h>

struct app;
struct json_t;

/*
 * Add the server's own pages below prefix ("/weft"): / (an overview), /timeline (a page), /timeline.svg,
 * /timeline.json, /status.json.  The timelines take ?last=N and ?match=TEXT.
 *
 * Returns  0, or -1 with one sentence in error
 */
int page_add(struct app *a, const char *prefix, char *error, size_t size);

/* Returns what a worker is doing as JSON, owned by the caller: requests, connections, counters, pools.  NULL: out of memory. */
struct json_t *page_status(const struct app *a);

#endif
