/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_MARIA_H
#define TESTS_UNIT_BACK_MARIA_H

/* A MariaDB of the test's own, in a folder that goes with it. */

#include <stdbool.h>
#include <sys/types.h>

struct maria {
	char dir[64], data[96], socket[108], port[8];
	char url[192], tcp_url[192];	/* over its unix socket; over TCP, by a name */
	pid_t pid;
};
extern struct maria maria;

/* Returns whether there is one to run; says so where there is none. */
bool maria_find(void);

/* cmocka's setup and teardown of a group. */
int maria_set_up(void **state);
int maria_tear_down(void **state);

/* Start it, until it is ready. */
void maria_start(void);

/* Stop it by a signal, and wait for its end. */
void maria_stop(int signo);

/* Make it a certificate for "localhost", and for no other name; it has it when it is started next. */
void maria_make_certificate(void);

/* What only an administrator may do, over a connection of its own.  Returns the first value, static. */
const char *maria_admin(const char *sql);

#endif
