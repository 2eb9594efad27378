/* SPDX-License-Identifier: ISC */

/* The MariaDB driver against a server that breaks the protocol in its answers. */
#include "tests/unit/back_liar_mariadb.h"

/* ---- what differs from other back ends ---- */

static const char *
lie_put(struct buf *b, size_t i)
{
	if (i == my_nlies)
		return NULL;
	my_put(b, 1, my_lies[i].body);
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_EOF));
	my_put(b, 4, SPAN("\0\0\1x"));
	my_put(b, 5, SPAN(MY_EOF));
	return my_lies[i].name;
}

static const char *
unasked_put(struct buf *b, size_t i)
{
	static const char *const names[] = { "an OK", "an answer", "an error", "a byte", NULL };

	if (i == 0)
		my_put(b, 1, SPAN(MY_OK));
	else if (i == 1)
		my_put_answer(b, "wrong");
	else if (i == 2)
		my_put_error(b, 1, 1927);
	else
		must(buf_add(b, SPAN("\1")) == WEFT_OK);
	return names[i];
}

static const char *
two_put(struct buf *b, size_t i)
{
	my_put_answer(b, "lie");
	my_put(b, 1, SPAN(MY_OK));
	return i == 0 ? "an OK behind it" : NULL;
}

static const char *
flood_put(struct buf *b, size_t i)
{
	if (i == 0) {
		my_put(b, 1, SPAN("\377\377\377\1\1\1\0\0\0\7nothing"));
	} else {
		my_put(b, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 1, SPAN("\1"));
	}
	return i == 0 ? "words of progress" : i == 1 ? "columns" : NULL;
}

const struct play_side side = { MY_SIDE, .lie = lie_put, .unasked = unasked_put, .two = two_put, .flood = flood_put };

/* ---- rows and columns ---- */

/* With an answer of any kind, what comes after it is right. */
static void
play_any(void)
{
	struct kit_ask a;

	play_pool(1);
	play_ask_well("before");
	side.start(NULL, &a, "lie");
	/* What makes no sense is an error, and not NULL. */
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK && a.call.rows->count > 0 && a.call.rows->columns > 0)
		assert_non_null(rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	play_ask_well("after");
	(void)play_read();
	play_ask_well("after a reader");
	my_play_close();
}

/* The library takes a row that ends in the midst of a length for one, with what its buffer holds behind it; no more than that. */
static void
a_row_that_is_not_as_described_is_no_harm(void *arg)
{
	static const struct span rows[] = { SPAN("\0"), SPAN("\0\0"), SPAN("\0\0\2x"), SPAN("\0\0\374\377"), SPAN("\0\0\375\377\377\377x"),
		SPAN("\0\0\376\377\377\377\377\377\377\377\377x"), SPAN("\0\0\376\0\0\0\200\0\0\0\0"), SPAN("\0\0\373"), SPAN("\0\0\377"),
		SPAN("\1\0\1x"), SPAN("\0\0\374\0\200x"), SPAN("\0\0\376\377\377\377\177"), SPAN("\0\0\376\377"), SPAN("\0\0\375\377\377") };

	(void)arg;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		my_put_column_and_row(&play.lie, rows[i]);
		play.last = true;
		play_any();
	}
	/* One more column behind it. */
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		my_put(&play.lie, 1, SPAN("\2"));
		my_put(&play.lie, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 3, SPAN(MY_COLUMN));
		my_put(&play.lie, 4, SPAN(MY_EOF));
		my_put(&play.lie, 5, rows[i]);
		my_put(&play.lie, 6, SPAN(MY_EOF));
		play.last = true;
		play_any();
	}
}

/* Of each type, in as many bytes as it takes, and less. */
static void
no_value_is_read_beyond_its_row(void *arg)
{
	static const unsigned char types[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 100, 245, 246, 247, 248, 249,
		250, 251, 252, 253, 254, 255 };

	(void)arg;
	for (size_t i = 0; i < sizeof types; i++)
		for (size_t len = 0; len < 16; len += 3) {
			char column[] = MY_COLUMN, row[] = "\0\0\14\377\377\377\377\377\377\377\377\377\377\377\377\377\377";

			column[sizeof column - 7] = (char)types[i];
			my_put(&play.lie, 1, SPAN("\1"));
			my_put(&play.lie, 2, (struct span){ column, sizeof column - 1 });
			my_put(&play.lie, 3, SPAN(MY_EOF));
			my_put(&play.lie, 4, (struct span){ row, 2 + len });
			my_put(&play.lie, 5, SPAN(MY_EOF));
			play_any();
		}
}

/* A packet that says it is longer than it is, and one that says it is shorter. */
static void
lengths_that_cannot_be_are_errors(void *arg)
{
	static const size_t lengths[] = { 0, 1, 2, 0xfffffe, 0xffffff };

	(void)arg;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char name[64];

		my_put_head(&play.lie, lengths[i], 1);
		must(buf_add(&play.lie, SPAN("some bytes")) == WEFT_OK);
		play.last = i > 2;
		snprintf(name, sizeof name, "a packet of %zu bytes", lengths[i]);
		play_lie(name);
		my_put(&play.lie, 1, SPAN("\1"));
		my_put_head(&play.lie, lengths[i], 2);
		must(buf_add(&play.lie, SPAN(MY_COLUMN)) == WEFT_OK);
		my_put(&play.lie, 3, SPAN(MY_EOF));
		play.last = i > 2;
		snprintf(name, sizeof name, "a column of %zu bytes", lengths[i]);
		play_lie(name);
	}
}

/* Byte after byte of a column's description, each as it should not be. */
static void
no_description_is_read_beyond_its_end(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof MY_COLUMN - 1; i++)
		for (int bad = 0; bad < 5; bad++) {
			static const char wrong[] = { (char)0xfb, (char)0xfc, (char)0xfd, (char)0xfe, (char)0xff };
			char column[] = MY_COLUMN;

			column[i] = wrong[bad];
			my_put(&play.lie, 1, SPAN("\1"));
			my_put(&play.lie, 2, (struct span){ column, sizeof column - 1 });
			my_put(&play.lie, 3, SPAN(MY_EOF));
			my_put(&play.lie, 4, SPAN("\0\0\1x"));
			my_put(&play.lie, 5, SPAN(MY_EOF));
			play.last = true;
			play_any();
		}
}

/* An OK with a state that has changed, told of in ways that do not fit. */
static void
a_state_that_makes_no_sense_is_no_harm(void *arg)
{
	static const struct span states[] = { SPAN("\0\0\0\2\100\0\0\0"), SPAN("\0\0\0\2\100\0\0\0\377"),
		SPAN("\0\0\0\2\100\0\0\0\5\0\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\5\0\3\376\377\377"),
		SPAN("\0\0\0\2\100\0\0\0\7\0\5\376\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\376\377\377\377\377\377\377\377\377\0"),
		SPAN("\0\0\0\2\100\0\0\376\377\377\377\377\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\3\1\1\0") };

	(void)arg;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		struct kit_ask a;

		my_put(&play.lie, 1, states[i]);
		play_pool(1);
		play_ask_well("before");
		side.start(NULL, &a, "lie");
		call_wait(&a.call, KIT_SOON);
		if (a.call.rc == WEFT_OK)
			assert_int_equal(a.call.rows->columns, 0);
		kit_end(&a);
		play_ask_well("after");
		my_play_close();
	}
}

/* ---- what prepares a statement ---- */

/* It was only being prepared, so nothing was done: the pool tries once more, and then says that it was not sent. */
static void
a_preparation_may_end_anywhere(void *arg)
{
	struct buf good;

	(void)arg;
	buf_init(&good, 4096);
	my_put_prepared(&good);
	my.when = 'P';
	for (size_t cut = 0; cut <= good.len; cut++) {
		bool whole = cut == good.len;
		struct kit_ask a;

		play.last = !whole;
		must(buf_add(&play.lie, (struct span){ good.at, cut }) == WEFT_OK);
		play_pool(1);
		side.start(NULL, &a, "never");
		call_wait(&a.call, KIT_SOON);
		if (whole)
			kit_assert_row(&a, "never");
		else
			kit_assert_fault(&a, WEFT_NOT_SENT, NULL);
		kit_end(&a);
		my_play_close();
		my.when = 'P';
	}
	buf_fini(&good);
}

static void
what_is_no_preparation_is_an_error(void *arg)
{
	static const struct span lies[] = { SPAN(""), SPAN("\0"), SPAN("\0\7\0\0\0\1"), SPAN("\0\7\0\0\0\377\377\377\377\0\0\0"),
		SPAN("\0\7\0\0\0\0\0\2\0\0\0\0"), SPAN("\0\7\0\0\0\0\0\0\0\0\0\0"), SPAN("\377"), SPAN("\373/etc/passwd"), SPAN("\376") };

	(void)arg;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct kit_ask a;

		my.when = 'P';
		my_put(&play.lie, 1, lies[i]);
		my_put(&play.lie, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 3, SPAN(MY_EOF));
		my_put(&play.lie, 4, SPAN(MY_COLUMN));
		my_put(&play.lie, 5, SPAN(MY_EOF));
		play_pool(1);
		side.start(NULL, &a, "x");
		if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
			fail_msg("preparation %zu is believed", i);
		kit_end(&a);
		my.when = 'X';
		play_ask_well("after");
		my_play_close();
	}
}

/* Whatever it was asked, it asks for a file. */
static void
no_file_is_given_to_a_server(void *arg)
{

	(void)arg;
	play.connect_timeout = 300 * USEC_PER_MSEC;
	for (const char *when = "SIPX"; *when != '\0'; when++) {
		struct kit_ask a;

		buf_clear(&play.lie);
		my_put(&play.lie, 1, SPAN("\373/etc/passwd"));
		my_put(&play.lie, 3, SPAN(MY_OK));
		my.when = *when;
		play_pool(1);
		side.start(NULL, &a, "lie");
		if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
			fail_msg("%c: a file is given", *when);
		kit_end(&a);
		my_play_close();
		play_pool(1);
		play_ask_well("after");
		my_play_close();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_LIES(PLAY_TEST)
		PLAY(a_row_that_is_not_as_described_is_no_harm),
		PLAY(no_value_is_read_beyond_its_row),
		PLAY(lengths_that_cannot_be_are_errors),
		PLAY(no_description_is_read_beyond_its_end),
		PLAY(a_state_that_makes_no_sense_is_no_harm),
		PLAY(a_preparation_may_end_anywhere),
		PLAY(what_is_no_preparation_is_an_error),
		PLAY(no_file_is_given_to_a_server),
	};

	return play_run_group(tests);
}
