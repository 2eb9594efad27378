/* SPDX-License-Identifier: ISC */

/* Statements that take time, and those that nobody waits for any more. */
#include "back_same.h"

/* ---- side by side ---- */

enum { SLEEPERS = 20 };

/* Ask it so often at once. */
static void
sleep_together(struct kit *k, const char *sql)
{
	struct kit_ask a[SLEEPERS];

	for (int i = 0; i < SLEEPERS; i++)
		kit_start(k, &a[i], sql, NULL, 0);
	for (int i = 0; i < SLEEPERS; i++) {
		assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
		kit_end(&a[i]);
	}
}

static void
overlap_body(void *kit)
{
	usec began;

	sleep_together(kit, "SELECT SLEEP(0.05)");	/* connects */
	began = clock_now();
	sleep_together(kit, "SELECT SLEEP(0.2)");
	assert_true(clock_now() - began < 2 * USEC_PER_SEC);
}

void
waits_overlap(void **state)
{
	(void)state;
	same_with_pool(same.url, SLEEPERS, 0, overlap_body);
}

static void
slow_body(void *kit)
{
	struct kit_ask slow;
	usec began;

	kit_start(kit, &slow, "SELECT SLEEP(2)", NULL, 0);
	kit_do(kit, "SELECT SLEEP(0.02)");
	began = clock_now();
	for (int i = 0; i < 50; i++)
		kit_do(kit, "SELECT 1");
	assert_true(clock_now() - began < USEC_PER_SEC);
	assert_int_equal(slow.call.state, CALL_SENT);
	call_abandon(&slow.call, WEFT_CANCELED);
	kit_end(&slow);
}

void
a_slow_statement_delays_no_other(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 2, slow_body);
}

/* ---- given up ---- */

/* Start, and give up at once. */
static void
abandon(struct kit *k, const char *sql)
{
	struct kit_ask a;

	kit_start(k, &a, sql, NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
}

/* The next one goes well, soon. */
static void
next_is_soon(struct kit *k)
{
	usec began = clock_now();

	kit_do(k, "SELECT 1");
	assert_true(clock_now() - began < USEC_PER_SEC);
}

/* While it runs; not even sent; with one behind it, sent before it was given up or not. */
static void
cancel_body(void *kit)
{
	struct kit_ask a, b;

	kit_do(kit, "SELECT 1");
	same_give_up(kit, NULL, "SELECT SLEEP(10)");
	next_is_soon(kit);
	abandon(kit, "SELECT SLEEP(10)");
	next_is_soon(kit);
	kit_start(kit, &a, "SELECT SLEEP(0.3)", NULL, 0);
	kit_start(kit, &b, "SELECT 5", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "5");
	kit_end(&b);
	abandon(kit, "SELECT SLEEP(10)");
	kit_start(kit, &b, "SELECT 6", NULL, 0);
	abandon(kit, "SELECT 7");
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "6");
	kit_end(&b);
}

/* All that is owed, one after the other; and in the midst of its rows. */
static void
cancel_all_body(void *kit)
{
	struct kit_ask a, b;

	kit_start(kit, &a, "SELECT SLEEP(10)", NULL, 0);
	kit_start(kit, &b, "SELECT SLEEP(10)", NULL, 0);
	call_abandon(&a.call, WEFT_CANCELED);
	call_abandon(&b.call, WEFT_CANCELED);
	kit_end(&a);
	kit_end(&b);
	kit_do(kit, "SELECT 1");
	kit_start(kit, &a, "SELECT REPEAT('x', 1000), SLEEP(0.001) FROM seq_1_to_100000", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 50 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_says(kit, "SELECT 5", "5");
	kit_says(kit, same_asks.sleepers, "0");
}

void
an_abandoned_statement_is_cancelled(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, cancel_body);
	same_with_pool(same.url, 1, 1, cancel_all_body);
}

static void
late_body(void *kit)
{
	struct kit_ask a;
	unsigned timeouts = 0;

	kit_do(kit, "SELECT 1");
	for (int round = 0; round < 300; round++) {
		kit_start(kit, &a, "SELECT SLEEP(0.005)", NULL, 0);
		/* From before its end to behind it. */
		timeouts += call_wait(&a.call, clock_now() + 1500 + round % 50 * 100) == WEFT_TIMEOUT;
		kit_end(&a);
		kit_ask(kit, &a, "SELECT SLEEP(0.001), 'next'");
		kit_assert_row(&a, "0", "next");
		kit_end(&a);
	}
	assert_true(timeouts > 10);
}

void
a_late_cancel_hits_nobody(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, late_body);
}

static void
stubborn_body(void *kit)
{
	long long id = same.id(kit, NULL);
	struct kit_ask a;

	kit_start(kit, &a, "SELECT SLEEP(10)", NULL, 0);
	same_nap(20 * USEC_PER_MSEC);
	same.freeze(id);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(kit, "SELECT 1");
	if (same.thaw != NULL)
		same.thaw(id);
}

/* It takes no notice of its cancel for longer than the draining lasts: its connection is closed, the next one goes well. */
void
a_statement_that_goes_on_loses_its_connection(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, stubborn_body);
}
