/* SPDX-License-Identifier: ISC */
#ifndef SERVER_SHARE_H
#define SERVER_SHARE_H

/*
 * How the workers of a generation share out the connections that web servers keep.
 *
 * Whoever is awake first accepts, so one worker may come to have them all,
 * and since they last, it has all the work from then on.  So a worker that has clearly more than
 * another hands on what it accepts.  Connections for one request alone are not
 * counted: these share themselves out.  The front says which are which (front_app.kept).
 *
 * The master makes it before it forks; each worker joins in its place.
 */

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct share;

enum { SHARE_WORKERS_MAX = 64 };

/* Returns what so many workers share, or NULL with errno. */
struct share *share_new(unsigned workers);

/* Close and free; *sp becomes NULL. */
void share_free(struct share **sp);

/* Write the descriptors that a worker needs to fds, which holds two for each worker.  Returns how many. */
unsigned share_fds(const struct share *s, int *fds);

/* Nobody serves in this place, from 0: nothing is handed on to it.  For the master, when a worker has ended. */
void share_vacate(struct share *s, unsigned place);

/*
 * In the worker: serve in this place from now on.
 *
 * take     is given each connection that another worker hands on, and owns it
 * Returns  where the worker keeps the number of its kept connections; NULL with errno
 */
uint32_t *share_join(struct share *s, unsigned place, struct loop *l, void (*take)(void *arg, int fd), void *arg);

/* Take no more from others, but what they have sent already. */
void share_leave(struct share *s);

/* After share_leave: end it, for the loop is about to be freed. */
void share_end(struct share *s);

/* A connection was accepted.  Returns true when it was handed on, and is closed here. */
bool share_pass(struct share *s, int fd);

#endif
