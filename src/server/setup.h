/* SPDX-License-Identifier: ISC */
#ifndef SERVER_SETUP_H
#define SERVER_SETUP_H

/* From a configuration to an app that can serve: limits, pools, modules, pages. */

#include <stddef.h>

struct app;
struct config;
struct loop;
struct pool_keeper;

/* Who gives out permits for connections, and how many there are at the beginning, for each pool in the config's order. */
struct setup_permits {
	const struct pool_keeper *keeper;
	void *arg;
	const unsigned *granted;
};

/* Allow this process, and those that it starts, as many open files as it may have: a connection is one, and the usual 1024 are few. */
void setup_files(void);

/*
 * Have the kernel make room for n open files, or as many as may be, once.  Else it makes more room under way, for twice as many
 * each time, and a process with threads waits for all processors then: 16 ms, and longer where they are busy.  So before there are threads.
 */
void setup_room(unsigned n);

/*
 * Make the app of one worker.
 *
 * n        which of the config's workers, from 0: its share of the pools
 * permits  for connections; NULL: as many as its share, for good
 * error    one sentence when it fails, with file and line
 * Returns  0; -1 with *error: call app_fini all the same
 */
int setup_app(struct app *a, const struct config *c, struct loop *l, unsigned n, const struct setup_permits *permits, char *error,
    size_t size);

/*
 * Check all that can be checked without serving: every module is loaded and its routes are added, in a process of its own, since
 * loading runs code of the module's.
 *
 * Returns  0; -1 with *error
 */
int setup_check(const struct config *c, char *error, size_t size);

#endif
