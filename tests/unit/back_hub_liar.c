/* SPDX-License-Identifier: ISC */

/*
 * A hub against a Redis that lies: what may not come on its connection costs that, and is never taken for a message; whoever listens is
 * told of the gap, and hears what comes after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "back/channel.h"
#include "back/hub.h"
#include "back/pool.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_liar.h"
#include "tests/unit/back_support.h"

#define SOON (10 * USEC_PER_SEC)

static char dir[64], path[96], url[128];
static struct loop *loop;
static struct pool *pool;
static struct liar liar;
static unsigned hub;			/* the number of the connection that SUBSCRIBE came on last */
static unsigned subscribes;
static struct span answer;		/* to the first SUBSCRIBE; NULL: the right one */
static bool hangs_up;			/* at the first SUBSCRIBE */

static const struct span right = SPAN("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");

/* ---- the server ---- */

/* Takes one command, of words without blanks; returns false when there is none whole. */
static bool
hear_command(struct liar_peer *p, char out[100])
{
	char text[256] = "";
	int words, at = 0, n = 0;

	if (p->in.len == 0)
		return false;
	snprintf(text, sizeof text, "%.*s", (int)p->in.len, p->in.at);
	must(sscanf(text, "*%d\r\n%n", &words, &at) == 1);
	out[0] = '\0';
	for (; words > 0; words--) {
		int len;

		must(sscanf(text + at, "$%d\r\n%n", &len, &n) == 1);
		at += n;
		snprintf(out + strlen(out), 100 - strlen(out), "%s%.*s", out[0] == '\0' ? "" : " ", len, text + at);
		at += len + 2;
	}
	buf_consume(&p->in, (size_t)at);
	return true;
}

static void
hear(struct liar_peer *p)
{
	char command[100];

	while (p->fd >= 0 && hear_command(p, command)) {
		if (strcmp(command, "PING") == 0) {
			liar_say(p, SPAN("+PONG\r\n"));
		} else if (strcmp(command, "SUBSCRIBE c") == 0) {
			hub = p->number;
			subscribes++;
			if (hangs_up && subscribes == 1)
				liar_hang_up(p);
			else
				liar_say(p, subscribes == 1 && answer.at != NULL ? answer : right);
		} else {
			must(strcmp(command, "UNSUBSCRIBE c") == 0);
			liar_say(p, SPAN("*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"));
		}
	}
}

static struct liar_peer *
hub_peer(void)
{
	struct liar_peer *p;

	TAILQ_FOREACH(p, &liar.peers, link)
		if (p->number == hub && p->fd >= 0)
			return p;
	return NULL;
}

/* ---- who listens ---- */

static struct ear {
	struct subscription s;
	struct fault fault;
	enum weft_rc begun;
	bool has_begun, is_done;
	char heard[200];
} ear;

static void
ear_run(void *arg)
{
	struct span text;
	enum weft_rc rc = WEFT_OK;

	ear.begun = hub_subscribe(pool, &ear.s, SPAN("c"), &ear.fault);
	ear.has_begun = true;
	while (ear.begun == WEFT_OK && strstr(ear.heard, "end") == NULL) {
		rc = subscription_next(&ear.s, &text, CLOCK_NEVER);
		must(rc == WEFT_OK || rc == WEFT_GAP);
		snprintf(ear.heard + strlen(ear.heard), sizeof ear.heard - strlen(ear.heard), "%s;", rc == WEFT_OK ? text.at : "(gap)");
	}
	hub_unsubscribe(&ear.s);
	ear.is_done = true;
	(void)arg;
}

static bool
ear_has_begun(void *arg)
{
	return ear.has_begun || arg != NULL;
}

static bool
ear_is_done(void *arg)
{
	return ear.is_done || arg != NULL;
}

static unsigned long long
losses(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s.losses;
}

static void
begin(void)
{
	struct pool_conf conf = { .name = "cache", .url = url, .max = 2, .call_timeout = SOON };
	char error[200] = "";
	struct fiber *f;

	pool_close(&pool);
	back_run(loop);
	ear = (struct ear){ .begun = WEFT_OK };
	subscribes = 0;
	pool = pool_open(loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
	f = fiber_new(loop_fibers(loop), 0);
	assert_non_null(f);
	fiber_start(f, ear_run, NULL);
	assert_true(back_run_until(loop, ear_has_begun, NULL, SOON));
}

/* Let it come to its end: by a message, on whatever connection the hub has now. */
static void
finish(const char *heard)
{
	usec end = clock_now() + SOON;

	while (hub_peer() == NULL || subscribes < (strstr(heard, "(gap)") != NULL ? 2 : 1)) {
		assert_true(clock_now() < end);
		loop_turn(loop, USEC_PER_MSEC);
	}
	liar_say(hub_peer(), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\nend\r\n"));
	assert_true(back_run_until(loop, ear_is_done, NULL, SOON));
	assert_string_equal(ear.heard, heard);
	back_run(loop);
}

static int
play_begin(void **state)
{
	(void)state;
	loop = back_loop();
	liar_open(&liar, loop, path, hear);
	answer = (struct span){ NULL, 0 };
	hangs_up = false;
	return 0;
}

static int
play_end(void **state)
{
	(void)state;
	pool_close(&pool);
	liar_close(&liar);
	back_run(loop);
	loop_free(&loop);
	return 0;
}

/* ---- the tests ---- */

static void
what_may_not_come_costs_the_connection(void **state)
{
	static const struct span lies[] = {
		SPAN("+OK\r\n"), SPAN(":1\r\n"), SPAN("$-1\r\n"), SPAN("*-1\r\n"), SPAN("$7\r\nmessage\r\n"), SPAN("*0\r\n"),
		SPAN("+PONG\r\n"), SPAN("*2\r\n$4\r\npong\r\n$0\r\n\r\n"), SPAN("-ERR no\r\n"), SPAN("*1\r\n$7\r\nmessage\r\n"),
		SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:5\r\n"), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$-1\r\n"),
		SPAN("*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n"), SPAN("*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n"),
		SPAN("*3\r\n*1\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*1\r\n$1\r\nx\r\n"),
		SPAN("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nx\r\n"), SPAN("*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n"),
		SPAN("*1048576\r\n"), SPAN("*2305843009213693952\r\n"), SPAN("$9223372036854775807\r\n"),
		SPAN("*3\r\n$7\r\nMESSAGE\r\n$1\r\nc\r\n$1\r\nx\r\n"), SPAN(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"),
		SPAN("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"), SPAN("*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"),
		SPAN("*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n"), SPAN("message c x\r\n"), SPAN("\0\0\0\0"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		begin();
		liar_say(hub_peer(), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\none\r\n"));
		liar_say(hub_peer(), lies[i]);
		/* Never read, whatever it is. */
		liar_say(hub_peer(), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\ntwo\r\n"));
		/* Those that promise more: when it is asked for a sign of life, and none comes. */
		for (int turn = 0; turn < 150 && losses() == 0; turn++) {
			if (turn == 50 || turn == 100)
				back_skip(turn == 50 ? 30 * USEC_PER_SEC : 2 * USEC_PER_SEC);
			loop_turn(loop, USEC_PER_MSEC);
		}
		if (losses() != 1)
			fail_msg("lie %zu is let pass", i);
		finish("one;(gap);end;");
	}
}

static void
what_is_for_nobody_is_ignored(void **state)
{
	(void)state;
	begin();
	liar_say(hub_peer(), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$1\r\nx\r\n*3\r\n$7\r\nmessage\r\n$0\r\n\r\n$1\r\nx\r\n"));
	finish("end;");
	assert_int_equal(losses(), 0);
}

static void
a_wrong_answer_is_asked_for_again(void **state)
{
	static const struct span lies[] = {
		SPAN("*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n"), SPAN("*3\r\n$9\r\nsubscribe\r\n$2\r\ncc\r\n:1\r\n"),
		SPAN("*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"), SPAN("+PONG\r\n"), SPAN("+OK\r\n"),
		SPAN("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n$1\r\n1\r\n"), SPAN("*2\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		answer = lies[i];
		begin();
		assert_int_equal(ear.begun, WEFT_OK);
		assert_int_equal(subscribes, 2);
		assert_int_equal(losses(), 1);
		finish("end;");
	}
}

static void
an_end_before_the_answer_is_asked_for_again(void **state)
{
	(void)state;
	hangs_up = true;
	begin();
	assert_int_equal(ear.begun, WEFT_OK);
	assert_int_equal(subscribes, 2);
	finish("end;");
}

static void
an_end_at_each_byte_is_a_gap(void **state)
{
	static const char message[] = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof message; cut++) {
		begin();
		liar_say(hub_peer(), (struct span){ message, cut });
		back_run(loop);
		hub_peer()->last = true;
		liar_hang_up(hub_peer());
		finish(cut == sizeof message - 1 ? "hello;(gap);end;" : "(gap);end;");
		if (cut == sizeof message - 1)
			break;
	}
}

static void
each_byte_may_come_alone(void **state)
{
	static const char messages[] = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n";

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof messages - 1; i++) {
		liar_say(hub_peer(), (struct span){ messages + i, 1 });
		back_run(loop);
	}
	finish("hello;;end;");
	assert_int_equal(losses(), 0);
}

#define PLAY(fn) cmocka_unit_test_setup_teardown(fn, play_begin, play_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(what_may_not_come_costs_the_connection),
		PLAY(what_is_for_nobody_is_ignored),
		PLAY(a_wrong_answer_is_asked_for_again),
		PLAY(an_end_before_the_answer_is_asked_for_again),
		PLAY(an_end_at_each_byte_is_a_gap),
		PLAY(each_byte_may_come_alone),
	};
	int failed;

	strcpy(dir, "/tmp/back-hub-XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(url, sizeof url, "redis+unix://%s", path);
	log_open(2, LOG_ERROR_, "test");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
