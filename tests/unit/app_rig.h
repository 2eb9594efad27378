/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_APP_RIG_H
#define TESTS_UNIT_APP_RIG_H

/*
 * What the tests of the app layer share: an app on a loop whose clock stands
 * still until the test moves it, and requests made by the test itself, in place of a front,
 * with a sink that keeps what was answered.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <weft/weft.h>

#include "app/app.h"
#include "base/buf.h"
#include "loop/loop.h"

struct rig {
	struct loop *loop;
	struct app app;
	char error[512];
};

/* What was answered to one request. */
struct answer {
	struct request *rq;		/* NULL once it has been answered, or told to the fiber that the client is gone */
	struct buf out, err;
	unsigned sends, flushes;
	bool is_done, is_aborted, is_full;
};

/* cmocka's setup and teardown: a struct rig in *state.  The teardown demands that no fiber is left. */
int rig_setup(void **state);
int rig_teardown(void **state);

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

/* Let the loop's clock jump. */
void rig_skip(usec length);

/* Add a route that a handler of the test answers; the app must take it. */
void rig_route(struct rig *r, const char *method, const char *path, weft_handler *fn);

/* Turn a few times without sleeping. */
void rig_settle(struct rig *r);

/* Turn until the request is answered or aborted, at most some seconds. */
void rig_finish(struct rig *r, struct answer *a);

/* Make a request; further variables as name, value, …, NULL.  Not started yet. */
struct request *rig_new(struct rig *r, struct answer *a, const char *method, const char *uri, ...) __attribute__((sentinel));

/* Start it, and let it run as far as it gets without anything happening. */
void rig_start(struct rig *r, struct answer *a);

/* The client leaves. */
void rig_gone(struct rig *r, struct answer *a);

/* The whole: make, start, finish. */
void rig_get(struct rig *r, struct answer *a, const char *uri);

void answer_free(struct answer *a);

/* Returns what was sent, as a string. */
const char *answer_text(struct answer *a);

/* Returns the body of it. */
const char *answer_body(struct answer *a);

/* Returns the number in "Status: …"; 0 when nothing was sent. */
int answer_status(struct answer *a);

/* It is whole, has this status, and this body. */
void answer_is(struct answer *a, int status, const char *body);

/* A request for uri is answered so. */
void rig_expect(struct rig *r, const char *uri, int status, const char *body);

#endif
