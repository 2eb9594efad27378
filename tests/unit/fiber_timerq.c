/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fiber/timerq.h"

enum { ENTRIES = 300, OPERATIONS = 200000 };

struct model {
	struct timerq_entry entry;
	usec at;
	int in;
};

static uint32_t
next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static usec
model_first(const struct model *m)
{
	usec first = CLOCK_NEVER;

	for (int i = 0; i < ENTRIES; i++)
		if (m[i].in && m[i].at < first)
			first = m[i].at;
	return first;
}

static void
model_pop(struct timerq *q, struct model *m, usec now)
{
	struct timerq_entry *e = timerq_pop(q, now);
	usec first = model_first(m);
	struct model *got = (struct model *)e;

	if (first > now) {
		assert_null(e);
		return;
	}
	assert_non_null(e);
	assert_true(got->in);
	assert_int_equal(got->at, first);
	assert_false(timerq_has(e));
	got->in = 0;
}

/* Whatever is added, taken out and popped, the queue agrees with a plain search through all entries. */
static void
agrees_with_a_model(void **state)
{
	static struct model m[ENTRIES];
	struct timerq q;
	uint32_t x = 2463534242;

	(void)state;
	memset(m, 0, sizeof m);
	timerq_init(&q);
	assert_int_equal(timerq_reserve(&q, ENTRIES), 0);
	for (int i = 0; i < OPERATIONS; i++) {
		struct model *one = &m[next_random(&x) % ENTRIES];

		switch (next_random(&x) % 8) {
		case 0:
			model_pop(&q, m, (usec)(next_random(&x) % 1000));
			break;
		case 1:
		case 2:
		case 3:
			timerq_remove(&q, &one->entry);
			one->in = 0;
			break;
		default:
			if (one->in)
				break;
			one->at = (usec)(next_random(&x) % 1000);
			one->in = 1;
			timerq_add(&q, &one->entry, one->at);
		}
		if (i % 16 == 0)
			assert_int_equal(timerq_next(&q), model_first(m));
		assert_int_equal(timerq_has(&one->entry), one->in);
	}
	while (q.count > 0)
		model_pop(&q, m, CLOCK_NEVER - 1);
	assert_int_equal(model_first(m), CLOCK_NEVER);
	timerq_fini(&q);
}

static void
pops_in_order(void **state)
{
	struct timerq_entry e[5] = { { 0 } };
	static const usec at[] = { 30, 10, 50, 20, 40 };
	struct timerq q;

	(void)state;
	timerq_init(&q);
	assert_int_equal(timerq_next(&q), CLOCK_NEVER);
	assert_null(timerq_pop(&q, CLOCK_NEVER - 1));
	assert_int_equal(timerq_reserve(&q, 5), 0);
	for (int i = 0; i < 5; i++)
		timerq_add(&q, &e[i], at[i]);
	assert_int_equal(timerq_next(&q), 10);
	assert_null(timerq_pop(&q, 9));
	assert_ptr_equal(timerq_pop(&q, 10), &e[1]);
	assert_ptr_equal(timerq_pop(&q, 99), &e[3]);
	assert_ptr_equal(timerq_pop(&q, 99), &e[0]);
	assert_ptr_equal(timerq_pop(&q, 99), &e[4]);
	assert_null(timerq_pop(&q, 49));
	assert_ptr_equal(timerq_pop(&q, 50), &e[2]);
	assert_null(timerq_pop(&q, 99));
	timerq_fini(&q);
}

static void
taking_out_what_is_not_in_does_nothing(void **state)
{
	struct timerq_entry e = { 0 };
	struct timerq q;

	(void)state;
	timerq_init(&q);
	timerq_remove(&q, &e);
	assert_int_equal(timerq_reserve(&q, 1), 0);
	timerq_add(&q, &e, 5);
	timerq_remove(&q, &e);
	timerq_remove(&q, &e);
	assert_int_equal(timerq_next(&q), CLOCK_NEVER);
	timerq_fini(&q);
}

static void
reserve_keeps_the_content_and_refuses_the_impossible(void **state)
{
	struct timerq_entry e[2] = { { 0 } };
	struct timerq q;

	(void)state;
	timerq_init(&q);
	assert_int_equal(timerq_reserve(&q, 1), 0);
	timerq_add(&q, &e[0], 5);
	assert_int_equal(timerq_reserve(&q, 10000), 0);
	timerq_add(&q, &e[1], 4);
	assert_int_equal(timerq_reserve(&q, UINT32_MAX), -1);
	assert_ptr_equal(timerq_pop(&q, 9), &e[1]);
	assert_ptr_equal(timerq_pop(&q, 9), &e[0]);
	timerq_fini(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(pops_in_order),
		cmocka_unit_test(taking_out_what_is_not_in_does_nothing),
		cmocka_unit_test(reserve_keeps_the_content_and_refuses_the_impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
