/* SPDX-License-Identifier: ISC */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

/*
 * A worker: one loop, one app, the listening sockets, and a link to the
 * master.  It serves until the master says drain, or is gone.
 */

#include <stddef.h>

struct config;
struct share;
struct timeline_ring;

struct worker_start {
	const struct config *config;
	unsigned number;			/* from 0 */
	const int *listen_fd;			/* inherited listening sockets */
	size_t nlistens;
	struct timeline_ring *const *ring;	/* of all workers */
	size_t nrings;
	size_t own_ring;
	struct share *share;			/* with the other workers; NULL: there are none */
	const unsigned *granted;		/* permits of the config's pools, in its order */
};

/* Run as a worker in a process just forked; sock is the link to the master.  Returns the exit status. */
int worker_run(const struct worker_start *start, int sock);

#endif
