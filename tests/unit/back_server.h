/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_SERVER_H
#define TESTS_UNIT_BACK_SERVER_H

/* A PostgreSQL of the test's own, in a folder that goes with it. */

#include <stdbool.h>
#include <sys/types.h>

struct server {
	char bin[256], dir[64], data[96], port[8];
	char url[160], tcp_url[160];	/* over its unix socket; over TCP, by a name */
	pid_t pid;
};
extern struct server server;

/* Returns whether there is one to run; says so where there is none. */
bool server_find(void);

/* cmocka's setup and teardown of a group. */
int server_set_up(void **state);
int server_tear_down(void **state);

/* Start it, again where the last one's memory is still in use, until it is ready. */
void server_start(void);

/* Stop it by a signal, and wait for its end. */
void server_stop(int signo);

#endif
