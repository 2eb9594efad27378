/* SPDX-License-Identifier: ISC */

/* The MariaDB driver against a server that lies to borrowers and of what it has prepared, and what follows from its errors. */
#include "tests/unit/back_liar_mariadb.h"

const struct play_side side = { MY_SIDE };

/* ---- borrowers ---- */

/* A borrower begins, fails, changes the session or does not, and gives it back; in the midst of which it is lied to. */
static void
play_borrow(bool taints)
{
	struct kit_lease l;
	struct kit_ask a;

	play_pool(1);
	play_ask_well("before");
	kit_lend(&play.kit, &l);
	kit_lease_ask(&l, &a, "BEGIN");
	kit_end(&a);
	my.lost = 1;
	my.lost_code = 1062;
	side.start(&l, &a, "tag");
	assert_int_not_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	my.lost = 0;
	if (taints) {
		kit_lease_ask(&l, &a, "USE db");
		kit_end(&a);
	}
	kit_give(&l);
	play_ask_well("after");
	my.begun = false;
	my_play_close();
}

/* Whatever it is, no answer to it is taken for the next one's. */
static void
lies_to_a_borrower_and_after_it_are_no_harm(void *arg)
{
	(void)arg;
	for (const char *when = "BLRZD"; *when != '\0'; when++)
		for (size_t i = 0; i < my_nlies; i++)
			for (int more = 0; more < 2; more++) {
				my_put(&play.lie, 1, my_lies[i].body);
				if (more) {
					my_put(&play.lie, 2, SPAN(MY_COLUMN));
					my_put(&play.lie, 3, SPAN(MY_EOF));
				}
				my.when = *when;
				play_borrow(*when == 'Z' || *when == 'D');
			}
}

static void
a_sign_of_life_and_more_is_none(void *arg)
{
	(void)arg;
	play.check_after = USEC_PER_MSEC;
	for (size_t i = 0; i < my_nlies; i++) {
		my_put(&play.lie, 1, my_lies[i].body);
		my_put(&play.lie, 2, SPAN(MY_OK));
		my.when = 'N';
		play_pool(1);
		play_ask_well("before");
		assert_int_equal(fiber_sleep(2 * USEC_PER_MSEC), WEFT_OK);
		play_ask_well("after");
		assert_int_equal(kit_stat(&play.kit).checks_failed, 1);
		my_play_close();
	}
}

/* ---- prepared statements ---- */

static void
a_lost_preparation_is_mended_once(void *arg)
{
	static const unsigned codes[] = { 1243, 1615 };

	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		struct kit_ask a;

		my.lost_code = codes[i];
		play_pool(1);
		play_ask_well("before");
		my.prepared = my.executed = 0;
		my.lost = 1;
		play_ask_well("mended");
		assert_int_equal(my.prepared, 1);
		assert_int_equal(my.executed, 2);
		/* Once, and not for ever. */
		my.lost = 5;
		side.start(NULL, &a, "tag");
		call_wait(&a.call, KIT_SOON);
		kit_assert_fault(&a, WEFT_REFUSED, i == 0 ? "1243" : "1615");
		kit_end(&a);
		assert_int_equal(my.executed, 4);
		my.lost = 0;
		play_ask_well("after");
		assert_int_equal(play_losses(), 0);
		my_play_close();
	}
}

/* In a transaction what was prepared is not made anew: what was before may be lost with it. */
static void
a_lost_preparation_is_not_mended_in_a_transaction(void *arg)
{
	struct kit_lease l;
	struct kit_ask a;

	(void)arg;
	my.lost_code = 1243;
	play_pool(1);
	play_ask_well("before");
	kit_lend(&play.kit, &l);
	kit_lease_do(&l, "BEGIN");
	my.prepared = my.executed = 0;
	my.lost = 1;
	side.start(&l, &a, "tag");
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "1243");
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	assert_int_equal(my.prepared, 0);
	assert_int_equal(my.executed, 1);
	kit_lease_do(&l, "ROLLBACK");
	play_ask_lent(&l, "prepared again");
	my.lost = 1;
	play_ask_lent(&l, "mended");
	assert_int_equal(my.prepared, 2);
	assert_int_equal(my.executed, 4);
	kit_give(&l);
	assert_int_equal(play_losses(), 0);
	my_play_close();
}

/* Who leaves while the statement is being prepared does not have it executed. */
static void
what_is_left_while_it_is_prepared_is_not_executed(void *arg)
{
	struct kit_ask a;

	(void)arg;
	play.liar->delay = 50 * USEC_PER_MSEC;
	play_pool(1);
	side.start(NULL, &a, "never");
	while (my.prepared == 0)
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	play_ask_well("after");
	assert_int_equal(my.prepared, 1);
	assert_int_equal(my.executed, 1);
	assert_int_equal(my.killed, 0);
	assert_int_equal(play_losses(), 0);
	my_play_close();
}

/* ---- what follows from an error ---- */

static void
a_server_that_is_not_the_right_one_is_left(void *arg)
{
	static const struct {
		unsigned code, failovers;
	} said[] = { { 1047, 1 }, { 1053, 1 }, { 1290, 1 }, { 1836, 1 }, { 1927, 1 }, { 1792, 1 }, { 1062, 0 }, { 1213, 0 },
		{ 4031, 0 } };

	(void)arg;
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct kit_ask a;

		my.lost_code = said[i].code;
		play_pool(1);
		play_ask_well("before");
		my.lost = 1;
		side.start(NULL, &a, "tag");
		assert_int_not_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
		kit_end(&a);
		play_ask_well("after");
		if (kit_stat(&play.kit).failovers != said[i].failovers)
			fail_msg("%u is %llu failovers", said[i].code, kit_stat(&play.kit).failovers);
		my_play_close();
	}
}

/* The statement is never answered.  The KILL goes to the server that runs it, not to another behind the same address. */
static void
a_cancel_goes_to_the_same_server(void *arg)
{

	(void)arg;
	for (int other = 0; other < 2; other++) {
		struct kit_ask a;

		my.killed = 0;
		my.identity = "liar 3306 1";
		play_pool(1);
		play_ask_well("before");
		side.start(NULL, &a, "lie");
		my.identity = other ? "liar 3306 2" : "liar 3306 1";
		assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
		kit_end(&a);
		play_ask_well("after");
		if (other)
			assert_int_equal(my.killed, 0);
		else
			assert_true(my.killed > 0);
		assert_int_equal(play_losses(), 1);
		my_play_close();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(lies_to_a_borrower_and_after_it_are_no_harm),
		PLAY(a_sign_of_life_and_more_is_none),
		PLAY(a_lost_preparation_is_mended_once),
		PLAY(a_lost_preparation_is_not_mended_in_a_transaction),
		PLAY(what_is_left_while_it_is_prepared_is_not_executed),
		PLAY(a_server_that_is_not_the_right_one_is_left),
		PLAY(a_cancel_goes_to_the_same_server),
	};

	return play_run_group(tests);
}
