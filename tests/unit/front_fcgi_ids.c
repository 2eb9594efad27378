/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "front/fcgi_internal.h"

enum { IDS = 65536 };

static struct fcgi_slot slots[IDS];
static bool is_live[IDS];

static void
ids_add(struct fcgi_ids *t, uint16_t id)
{
	slots[id].id = id;
	is_live[id] = true;
	assert_int_equal(fcgi_ids_add(t, &slots[id]), 0);
}

static void
ids_remove(struct fcgi_ids *t, uint16_t id)
{
	is_live[id] = false;
	fcgi_ids_remove(t, &slots[id]);
}

static void
ids_check(const struct fcgi_ids *t, uint32_t step)
{
	unsigned live = 0;

	for (uint32_t id = 0; id < IDS; id++)
		live += is_live[id];
	assert_int_equal(t->count, live);
	for (uint32_t id = 0; id < IDS; id += step)
		assert_ptr_equal(fcgi_ids_find(t, (uint16_t)id), is_live[id] ? &slots[id] : NULL);
}

static void
few_are_found_without_a_table(void **state)
{
	struct fcgi_ids t;

	(void)state;
	fcgi_ids_init(&t);
	for (uint16_t id = 1; id <= 4; id++)
		ids_add(&t, (uint16_t)(id * 1000));
	assert_null(t.at);
	ids_check(&t, 1);
	for (uint16_t id = 1; id <= 4; id++)
		ids_remove(&t, (uint16_t)(id * 1000));
	ids_check(&t, 1);
	fcgi_ids_fini(&t);
}

/* All orders of coming and going, in ids that lie close, far apart, and on each other's places (also around the table's end). */
static void
many_are_found_whatever_goes(void **state)
{
	static const uint32_t stride[] = { 1, 2, 16, 64, 1024, 4096, 65535 };
	uint32_t seed = 1;

	(void)state;
	for (size_t k = 0; k < sizeof stride / sizeof stride[0]; k++) {
		struct fcgi_ids t;

		fcgi_ids_init(&t);
		for (int i = 0; i < 4000; i++) {
			uint16_t id;

			seed = seed * 1664525 + 1013904223;
			id = (uint16_t)((seed >> 16) % 300 * stride[k] + 65530);
			if (is_live[id])
				ids_remove(&t, id);
			else
				ids_add(&t, id);
			if (i % 100 == 0)
				ids_check(&t, stride[k] < 8 ? 1 : 2);
		}
		for (uint32_t id = 0; id < IDS; id++)
			if (is_live[id])
				ids_remove(&t, (uint16_t)id);
		ids_check(&t, 1);
		fcgi_ids_fini(&t);
	}
}

static void
who_wrote_goes_last(void **state)
{
	struct fcgi_ids t;

	(void)state;
	fcgi_ids_init(&t);
	for (uint16_t id = 1; id <= 3; id++)
		ids_add(&t, id);
	fcgi_ids_wrote(&t, &slots[1]);
	assert_ptr_equal(TAILQ_FIRST(&t.list), &slots[2]);
	fcgi_ids_wrote(&t, &slots[1]);
	assert_ptr_equal(TAILQ_LAST(&t.list, fcgi_slots), &slots[1]);
	for (uint16_t id = 1; id <= 3; id++)
		ids_remove(&t, id);
	fcgi_ids_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_found_without_a_table),
		cmocka_unit_test(many_are_found_whatever_goes),
		cmocka_unit_test(who_wrote_goes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
