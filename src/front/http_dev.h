/* SPDX-License-Identifier: ISC */
#ifndef FRONT_HTTP_DEV_H
#define FRONT_HTTP_DEV_H

/*
 * HTTP for development, by evhttp: loopback only, never for the public.  It
 * makes of an HTTP request what a web server would make of it in CGI, so a
 * handler sees no difference.
 */

#include <stddef.h>

struct front_app;
struct http_dev;

/*
 * Listen on 127.0.0.1.
 *
 * port     0: a free one
 * error    one sentence when it fails
 * Returns  the front, or NULL.  app is borrowed
 */
struct http_dev *http_dev_open(struct front_app *app, unsigned port, char *error, size_t size);

/* Returns the port it listens on. */
unsigned http_dev_port(const struct http_dev *h);

/* Close all and free; *hp becomes NULL. */
void http_dev_close(struct http_dev **hp);

#endif
