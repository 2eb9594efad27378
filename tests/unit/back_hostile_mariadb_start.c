/* SPDX-License-Identifier: ISC */

/* The MariaDB driver against a server that breaks the protocol before a session begins. */
#include "tests/unit/back_liar_mariadb.h"

static const char *
no_start_put(struct buf *b, size_t i)
{
	if (i < my_nlies)
		my_put(b, 0, my_lies[i].body);
	else
		my_put_head(b, 0xffffff, 0);
	return i < my_nlies ? my_lies[i].name : i == my_nlies ? "a great length" : NULL;
}

const struct play_side side = { MY_SIDE, .no_start = no_start_put };

/* The greeting in a packet of its own length, which ends too early; and an error instead. */
static void
a_greeting_that_is_none_is_given_up(void *arg)
{
	struct buf good = play.start;

	(void)arg;
	buf_init(&play.start, 1 << 20);
	play.connect_timeout = 100 * USEC_PER_MSEC;
	my_put_error(&play.start, 0, 1040);
	play_start_fails("too many connections", side.url(), "1040");
	play.last = true;
	for (size_t cut = 4; cut < good.len; cut++) {
		buf_clear(&play.start);
		my_put(&play.start, 0, (struct span){ good.at + 4, cut - 4 });
		play_start_fails("a greeting cut short", side.url(), NULL);
	}
	play.last = false;
	buf_fini(&play.start);
	play.start = good;
}

/* What comes after the greeting: who may come in, and the first answers. */
static void
a_start_without_an_end_gives_nothing_away(void *arg)
{
	static const struct span asks[] = { SPAN("\376mysql_clear_password\0"), SPAN("\376dialog\0Password: "),
		SPAN("\376mysql_old_password\0abcdefgh"), SPAN("\376no_such_plugin\0"), SPAN("\376") };

	(void)arg;
	play.connect_timeout = 200 * USEC_PER_MSEC;
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		buf_clear(&my.welcome);
		my_put(&my.welcome, 2, asks[i]);
		play_start_fails(asks[i].at, side.url(), NULL);
	}
	buf_clear(&my.welcome);
	my_put_error(&my.welcome, 2, 1045);
	play_start_fails("access denied", side.url(), "1045");
	buf_clear(&my.welcome);
	play_start_fails("no answer to who we are", side.url(), NULL);
	my_put(&my.welcome, 2, SPAN(MY_OK));
	for (const char *when = "SI"; *when != '\0'; when++)
		for (size_t i = 0; i < my_nlies; i++) {
			buf_clear(&play.lie);
			my.when = *when;
			my_put(&play.lie, 1, my_lies[i].body);
			if (*when == 'S' && i > 0 && i < 5)
				continue;	/* the library takes any such OK for one */
			play_start_fails(my_lies[i].name, side.url(), NULL);
		}
}

static void
a_start_without_end_takes_no_memory(void *arg)
{
	struct buf many;

	(void)arg;
	buf_init(&many, 1 << 20);
	while (many.len < 60000)
		my_put(&many, 1, SPAN("\377\377\377\1\1\1\0\0\0\7nothing"));
	play.connect_timeout = 2 * USEC_PER_SEC;
	play.flood = buf_span(&many);
	play.flooded = 24 << 20;
	my.when = 'I';
	my_put(&play.lie, 1, SPAN("\2"));
	for (int i = 0; i < 2; i++)
		play_start_fails("a start that does not end", side.url(), NULL);
	play.flood = (struct span){ NULL, 0 };
	buf_fini(&many);
}

/* No TLS, TLS that never comes, and what comes in the clear behind the greeting. */
static void
bytes_behind_the_greeting_are_refused(void *arg)
{
	(void)arg;
	my_listen_tcp();
	play.connect_timeout = 300 * USEC_PER_MSEC;
	play_start_fails("no TLS", side.url(), NULL);
	buf_clear(&play.start);
	my_put_greeting(&play.start, true);
	buf_clear(&my.welcome);
	play_start_fails("TLS that never comes", side.url(), NULL);
	must(buf_add(&my.welcome, SPAN("x")) == WEFT_OK);
	play_start_fails("TLS that is none", side.url(), NULL);
	buf_clear(&my.welcome);
	for (int i = 0; i < 4; i++) {
		buf_clear(&play.start);
		my_put_greeting(&play.start, true);
		if (i < 3)
			my_put(&play.start, (unsigned)i + 1, SPAN(MY_OK));
		else
			must(buf_add(&play.start, SPAN("\0")) == WEFT_OK);
		play_start_fails("words before TLS", side.url(), NULL);
	}
	assert_true(play.liar->accepted >= 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_STARTS(PLAY_TEST)
		PLAY(a_greeting_that_is_none_is_given_up),
		PLAY(a_start_without_an_end_gives_nothing_away),
		PLAY(a_start_without_end_takes_no_memory),
		PLAY(bytes_behind_the_greeting_are_refused),
	};

	return play_run_group(tests);
}
