/* SPDX-License-Identifier: ISC */
#ifndef FRONT_FCGI_CONN_H
#define FRONT_FCGI_CONN_H

/*
 * One FastCGI connection from a web server, with any number of requests
 * interleaved on it.  Source: FastCGI Specification 1.0.
 */

struct fcgi_conn;
struct fcgi_conns;
struct front_app;

/* Returns the (empty) set of the FastCGI connections of a worker, or NULL.  app is borrowed. */
struct fcgi_conns *fcgi_conns_new(struct front_app *app);

/* Serve a connected descriptor from now on; owns it.  It may be closed at once when there are too many. */
void fcgi_conns_add(struct fcgi_conns *set, int fd);

/* Take no new requests: connections without one are closed, the others after their last response. */
void fcgi_conns_drain(struct fcgi_conns *set);

/* Returns how many connections there are. */
unsigned fcgi_conns_count(const struct fcgi_conns *set);

/* Close all connections now (their requests are cancelled) and free; *sp becomes NULL.  Run the loop's fibers to their end afterwards. */
void fcgi_conns_free(struct fcgi_conns **sp);

#endif
