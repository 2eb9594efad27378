/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_POOL_KIT_H
#define TESTS_UNIT_BACK_POOL_KIT_H

/* One pool over the fake driver, for the tests of the pool; after cmocka.h.  No test sleeps: time is moved on, and the pool's timer called. */

#include <stdlib.h>

#include "back/pool.h"
#include "back/pool_impl.h"
#include "base/log.h"
#include "loop/loop.h"
#include "tests/unit/back_fake.h"
#include "tests/unit/back_support.h"

static struct loop *loop;
static struct pool *pool;

static inline int
test_begin(void **state)
{
	fake_reset();
	ask_reset_order();
	loop = back_loop();
	return 0;
}

static inline int
test_end(void **state)
{
	pool_close(&pool);
	back_run(loop);
	loop_free(&loop);
	return fake.count == 0 ? 0 : -1;
}

static inline void
test_open(const struct driver *d, struct pool_conf conf)
{
	char error[200];

	conf.name = "db";
	conf.url = "fake://u:secret@host:1/x";
	pool = pool_open_driver(loop, &conf, d, error, sizeof error);
	if (pool == NULL)
		fail_msg("%s", error);
}

/* Time passes, and what is due is done. */
static inline void
test_pass(usec length)
{
	back_skip(length);
	pool_on_timer(pool);
}

static inline struct ask *
test_asks(unsigned n, enum call_kind kind)
{
	struct ask *a = calloc(n, sizeof *a);

	for (unsigned i = 0; i < n; i++)
		ask_init(&a[i], pool, kind);
	return a;
}

static inline void
test_submit_all(struct ask *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ask_submit(&a[i]);
}

static inline void
test_forget(struct ask *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		call_abandon(&a[i].call, WEFT_CANCELED);
		ask_fini(&a[i]);
	}
	free(a);
}

static inline struct pool_stat
test_stat(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s;
}

#endif
