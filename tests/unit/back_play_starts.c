/* SPDX-License-Identifier: ISC */

/* Servers that speak first: what they say before a connection is one. */
#include "tests/unit/back_play.h"

/* The start, cut short at each byte. */
static void
cut_starts(struct span good)
{
	play.last = true;
	for (size_t cut = 0; cut < good.len; cut++) {
		buf_clear(&play.start);
		must(buf_add(&play.start, (struct span){ good.at, cut }) == WEFT_OK);
		play_start_fails("a start that ends", side.url(), NULL);
	}
	play.last = false;
}

void
a_start_that_does_not_come_to_its_end_is_given_up(void *arg)
{
	struct buf good = play.start;
	const char *name;

	(void)arg;
	buf_init(&play.start, 1 << 20);
	play.connect_timeout = 50 * USEC_PER_MSEC;
	play_start_fails("a server that never speaks", side.url(), NULL);
	for (size_t i = 0; (name = side.no_start(&play.start, i)) != NULL; i++) {
		play_start_fails(name, side.url(), NULL);
		buf_clear(&play.start);
	}
	cut_starts(buf_span(&good));
	buf_fini(&play.start);
	play.start = good;
}

/* One connection is good, the next never comes: the first goes on, and takes over what had waited for it. */
void
a_server_that_never_answers_delays_no_other(void *arg)
{
	struct kit_ask a, b;

	(void)arg;
	play.connect_timeout = 300 * USEC_PER_MSEC;
	play_pool(2);
	play_ask_well("before");
	buf_clear(&play.start);
	side.start(NULL, &a, "one");
	side.start(NULL, &b, "two");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	side.check(&a, "one");
	assert_int_equal(call_wait(&b.call, KIT_SOON), WEFT_OK);
	side.check(&b, "two");
	kit_end(&a);
	kit_end(&b);
	for (int i = 0; i < 20; i++)
		play_ask_well("meanwhile");
	while (liar_last(play.liar)->number > 1)	/* until the silent one is given up */
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	play_close();
}
