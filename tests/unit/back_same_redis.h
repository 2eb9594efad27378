/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_SAME_REDIS_H
#define TESTS_UNIT_BACK_SAME_REDIS_H

/* A Redis of the test's own, in a folder that goes with it; for the tests that are the same for several back ends. */

#include "back_same.h"

struct weft_reply;

/* cmocka's setup and teardown of a group. */
int redis_set_up(void **state);
int redis_tear_down(void **state);

/* Submit a command, on a connection that is lent or, with l NULL, on any. */
void redis_start(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *command);

/* Write a reply as text. */
void redis_text(const struct weft_reply *r, char *out, size_t size);

#endif
