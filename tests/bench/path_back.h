/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BENCH_PATH_BACK_H
#define TESTS_BENCH_PATH_BACK_H

/*
 * Back ends that say just enough to be asked: in a process of their own, for one connection.
 * What is asked in one piece is answered with one write, so the calls of who asks can be counted.
 */

/* A Redis to which every command is GET but those that a connection begins with; its answer is "Hello, Redis!".  Does not return. */
void path_be_redis(int listener);

/* A PostgreSQL that answers every statement with one row of one column, "7".  Does not return. */
void path_be_postgres(int listener);

#endif
