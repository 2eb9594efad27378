/* SPDX-License-Identifier: ISC */

/* What is no answer, what is no whole one, what is one too many, and what has no end. */
#include "tests/unit/back_play.h"

void
what_is_no_answer_is_an_error(void *arg)
{
	const char *name;

	(void)arg;
	for (size_t i = 0; (name = side.lie(&play.lie, i)) != NULL; i++)
		play_lie(name);
}

void
an_answer_may_end_anywhere(void *arg)
{
	struct buf good;

	(void)arg;
	buf_init(&good, 4096);
	side.answer(&good, "lie");
	for (size_t cut = 0; cut < good.len; cut++) {
		char name[64];

		play.whole = play.last = true;
		must(buf_add(&play.lie, (struct span){ good.at, cut }) == WEFT_OK);
		snprintf(name, sizeof name, "an end after %zu bytes", cut);
		play_lie(name);
	}
	buf_fini(&good);
}

/* ---- what nobody asked for ---- */

/* The connection is found out before the next who asks. */
static void
await_loss(void)
{
	if (side.is_sql)
		play_await_losses(1);
	else
		assert_int_equal(fiber_sleep(5 * USEC_PER_MSEC), WEFT_OK);
}

void
an_answer_that_nobody_asked_for_ends_the_connection(void *arg)
{
	const char *name;
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	for (size_t i = 0; (name = side.unasked(&b, i)) != NULL; i++) {
		play_pool(1);
		play_ask_well("before");
		liar_say(liar_last(play.liar), buf_span(&b));
		await_loss();
		play_ask_well("after");
		play_ask_well("later");
		if (side.is_sql && play_losses() != 1)
			fail_msg("%s: %llu connections lost", name, play_losses());
		play_close();
		buf_clear(&b);
	}
	buf_fini(&b);
}

/* A part of an answer while idle, the rest when the next has been asked for: that one does not get it. */
static void
half(struct span wrong, size_t cut)
{
	struct liar_peer *p;
	struct kit_ask a;

	play_pool(1);
	play_ask_well("before");
	p = liar_last(play.liar);
	liar_say(p, (struct span){ wrong.at, cut });
	for (int i = 0; i < 3; i++)
		assert_int_equal(fiber_sleep(100), WEFT_OK);
	side.start(NULL, &a, "after");
	liar_say(p, (struct span){ wrong.at + cut, wrong.len - cut });
	if (call_wait(&a.call, KIT_SOON) != WEFT_OK)
		fail_msg("after %zu bytes: %d %s", cut, (int)a.call.rc, a.fault.text);
	side.check(&a, "after");
	kit_end(&a);
	if (side.is_sql)
		assert_int_equal(play_losses(), 1);
	play_close();
}

void
half_an_answer_that_nobody_asked_for_is_nobodys(void *arg)
{
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	side.answer(&b, "wrong");
	for (size_t cut = 1; cut < b.len; cut++)
		half(buf_span(&b), cut);
	buf_fini(&b);
}

/* Who asks for the lie gets a right answer, and who comes after gets its own; or an error, where a part of a message came along. */
static void
two(const char *name, bool is_part)
{
	struct kit_ask a;

	play_pool(1);
	play_ask_well("before");
	play_ask_well("lie");
	if (is_part && side.keeps_parts) {
		side.start(NULL, &a, "after");
		play_check(&a, "after", name);
	} else {
		play_ask_well("after");
	}
	play_ask_well("later");
	if (side.is_sql && play_losses() != 1)
		fail_msg("%s: %llu connections lost", name, play_losses());
	play_close();
}

/* Behind the right answer stands the one to the next question, or the beginning of one. */
void
a_second_answer_is_nobodys(void *arg)
{
	const char *name;
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	side.answer(&b, "wrong");
	for (size_t cut = 1; cut <= b.len; cut++) {
		char what[64];

		play.whole = true;
		side.answer(&play.lie, "lie");
		must(buf_add(&play.lie, (struct span){ b.at, cut }) == WEFT_OK);
		snprintf(what, sizeof what, "%zu bytes of a second answer", cut);
		two(what, cut < b.len);
	}
	for (size_t i = 0; play.whole = true, (name = side.two(&play.lie, i)) != NULL; i++)
		two(name, false);
	buf_fini(&b);
}

/* ---- what does not end ---- */

/* 48 MB of it, before an answer and while idle. */
static void
flood(const char *name, struct buf *many)
{
	struct kit_ask a;

	play.flood = buf_span(many);
	play.flooded = 48 << 20;
	play_pool(1);
	play_ask_well("before");
	side.start(NULL, &a, "lie");
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("%s: an answer that never came", name);
	kit_end(&a);
	play.flooded = 0;
	play_ask_well("after");
	liar_last(play.liar)->flood = buf_span(many);
	liar_last(play.liar)->flooded = 48 << 20;
	liar_say(liar_last(play.liar), buf_span(many));
	assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
	play_ask_well("while it comes, or after");
	play_close();
}

void
a_flood_takes_no_memory(void *arg)
{
	struct buf line, many;
	const char *name;

	(void)arg;
	buf_init(&line, 4096);
	buf_init(&many, 1 << 20);
	for (size_t i = 0; (name = side.flood(&line, i)) != NULL; i++) {
		while (many.len < 60000)
			must(buf_add(&many, buf_span(&line)) == WEFT_OK);
		flood(name, &many);
		buf_clear(&line);
		buf_clear(&many);
	}
	play.flood = (struct span){ NULL, 0 };
	buf_fini(&line);
	buf_fini(&many);
}
