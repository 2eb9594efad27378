/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_REDIS_MANY_H
#define TESTS_UNIT_BACK_REDIS_MANY_H

/* Several Redis servers of the test's own, on loopback, with a folder that goes with them; and commands, asked from fibers. */

#include <stdbool.h>
#include <sys/types.h>

#include "back/pool.h"
#include "tests/unit/back_support.h"

enum { MANY_MAX = 8 };

struct many {
	struct loop *loop;
	struct pool *pool;
	char dir[64];
	unsigned count;
	unsigned port[MANY_MAX];
	pid_t pid[MANY_MAX];
};
extern struct many many;

#define MANY_SOON (20 * USEC_PER_SEC)

/* cmocka's setup and teardown of a test: a loop; and the end of all servers, the pool and the loop. */
int many_begin(void **state);
int many_end(void **state);

/* Start a server with these further words, NULL at their end; "%p" in one of them is its own port.  Returns its number. */
unsigned many_start(const char *const *words);

/* Start that one again, as it was told to be the first time. */
void many_restart(unsigned i);

/* Kill -9. */
void many_kill(unsigned i);

/* Returns what a server answers to one command, cut to fit, once it answers at all; static, until the next. */
const char *many_ask(unsigned i, const char *const *words);

/* As that; the words are written with blanks between. */
const char *many_say(unsigned i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Wait until what it answers to this has this text in it. */
void many_await(unsigned i, const char *command, const char *text);

/* Open many.pool, with min = 1 where it is not said. */
void many_open(struct pool_conf conf);

/* Ask the pool one command and wait.  ask_fini frees it. */
enum weft_rc many_once(struct ask *a, const char *fmt, ...);

/* The same until it succeeds, for so long; returns how often it was asked. */
unsigned many_until_ok(usec most, const char *fmt, ...);

/* It is answered with this text. */
void many_expect(const char *text, const char *fmt, ...);

#endif
