/* SPDX-License-Identifier: ISC */
#ifndef APP_PAGE_H
#define APP_PAGE_H

#include <stddef.h>

struct app;

/*
 * Add the server's own pages below prefix ("/weft"): / (an overview), /timeline (a page), /timeline.svg,
 * /timeline.json, /status.json.  The timelines take ?last=N and ?match=TEXT.
 *
 * Returns  0, or -1 with one sentence in error
 */
int page_add(struct app *a, const char *prefix, char *error, size_t size);

#endif
