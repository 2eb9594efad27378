/* SPDX-License-Identifier: ISC */
/*
 * Nodes of a cluster, and sentinels with a master, that do at random whatever servers do: send calls elsewhere, put them off, refuse,
 * fall silent, hang up in the middle, and say nonsense.  Whatever it is, each call ends, and who gets an answer gets his own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_liar.h"
#include "tests/unit/back_redis_many.h"

enum { LIARS = 3, ROUNDS = 50, AT_ONCE = 40, WORDS = 4 };

static struct liar liar[LIARS];
static unsigned port[LIARS];
static uint64_t state_of_chance;
static unsigned oks, faults;
static bool calm;		/* they say the truth from now on */

/* Returns a number below n. */
static unsigned
chance(unsigned n)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return (unsigned)(state_of_chance % n);
}

static bool
evil(unsigned one_in)
{
	return !calm && chance(one_in) == 0;
}

/* ---- what they say ---- */

static void
say_text(struct liar_peer *p, const char *text)
{
	char head[32];

	snprintf(head, sizeof head, "$%zu\r\n", strlen(text));
	liar_say(p, span_str(head));
	liar_say(p, span_str(text));
	liar_say(p, SPAN("\r\n"));
}

/* Some of the slots each; here and there none, or a node without a name. */
static void
say_map(struct liar_peer *p)
{
	unsigned end = calm ? 16383 : 16383 - chance(2) * 5000;
	char out[600];
	int n = snprintf(out, sizeof out, "*%d\r\n", LIARS);

	for (unsigned i = 0; i < LIARS; i++) {
		bool is_nameless = evil(10);

		n += snprintf(out + n, sizeof out - (size_t)n, "*3\r\n:%u\r\n:%u\r\n*3\r\n%s\r\n:%u\r\n$1\r\n%u\r\n",
		    i * (end / LIARS), i == LIARS - 1 ? end : (i + 1) * (end / LIARS) - 1, is_nameless ? "$1\r\n?" : "$9\r\n127.0.0.1",
		    port[(i + (calm ? 0 : chance(4) / 3)) % LIARS], i);
	}
	liar_say(p, span_str(out));
}

static void
say_redirect(struct liar_peer *p, const char *how)
{
	char out[96];

	snprintf(out, sizeof out, "-%s %u 127.0.0.1:%u\r\n", how, chance(16384), evil(8) ? 1 : port[chance(LIARS)]);
	liar_say(p, span_str(out));
}

/* Say the right thing, unless chance has it otherwise. */
static void
say_value(struct liar_peer *p, const char *key)
{
	switch (calm ? 0 : chance(150)) {
	case 1:
	case 2:
	case 3:
		say_redirect(p, "MOVED");
		break;
	case 4:
	case 5:
	case 6:
		say_redirect(p, "ASK");
		break;
	case 7:
	case 8:
		liar_say(p, SPAN("-TRYAGAIN later\r\n"));
		break;
	case 9:
		liar_say(p, SPAN("-CLUSTERDOWN Hash slot not served\r\n"));
		break;
	case 10:
		liar_say(p, SPAN("-READONLY You can't write against a read only replica.\r\n"));
		break;
	case 11:
		p->flag = true;		/* silent from now on */
		break;
	case 12:
		liar_hang_up(p);
		break;
	case 13:
		p->last = true;
		liar_say(p, SPAN("$20\r\nhalf"));
		break;
	case 14:
		if (chance(4) == 0)
			liar_say(p, SPAN("nonsense\r\n"));
		else
			say_text(p, key);
		break;
	default:
		say_text(p, key);
	}
}

static void
say_master(struct liar_peer *p)
{
	char out[96], digits[8];
	int n = snprintf(digits, sizeof digits, "%u", port[chance(LIARS)]);

	if (evil(20))
		liar_say(p, SPAN("*-1\r\n"));
	else {
		snprintf(out, sizeof out, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", n, digits);
		liar_say(p, span_str(out));
	}
}

static void
answer(struct liar_peer *p, char word[WORDS][64])
{
	char id[2] = { (char)('0' + (p->liar - liar)), '\0' };

	if (evil(500))
		p->flag = true;
	if (p->flag)
		return;
	if (strcmp(word[0], "GET") == 0)
		say_value(p, word[1]);
	else if (strcmp(word[0], "PING") == 0)
		liar_say(p, evil(30) ? SPAN("-LOADING not yet\r\n") : SPAN("+PONG\r\n"));
	else if (strcmp(word[1], "MYID") == 0)
		say_text(p, id);
	else if (strcmp(word[1], "SLOTS") == 0)
		say_map(p);
	else if (strcmp(word[0], "SENTINEL") == 0)
		say_master(p);
	else if (strcmp(word[0], "ROLE") == 0)
		liar_say(p, evil(20) ? SPAN("*1\r\n$5\r\nslave\r\n") : SPAN("*1\r\n$6\r\nmaster\r\n"));
	else
		liar_say(p, SPAN("+OK\r\n"));
}

/* Takes one command; returns false when there is none whole. */
static bool
hear_command(struct liar_peer *p, char word[WORDS][64])
{
	const char *at = p->in.at, *end = at + p->in.len, *line;
	int words;

	if (p->in.len == 0 || (line = memchr(at, '\n', p->in.len)) == NULL)
		return false;
	words = atoi(at + 1);
	must(words <= WORDS);
	at = line + 1;
	for (int i = 0; i < words; i++) {
		size_t len;

		line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (line == NULL)
			return false;
		len = (size_t)atoi(at + 1);
		at = line + 1;
		if ((size_t)(end - at) < len + 2)
			return false;
		must(len < 64);
		memcpy(word[i], at, len);
		word[i][len] = '\0';
		at += len + 2;
	}
	buf_consume(&p->in, (size_t)(at - (const char *)p->in.at));
	return true;
}

static void
hear(struct liar_peer *p)
{
	char word[WORDS][64];

	while (p->fd >= 0) {
		memset(word, 0, sizeof word);
		if (!hear_command(p, word))
			return;
		answer(p, word);
	}
}

/* ---- those who ask ---- */

static bool
all_are_done(void *arg)
{
	struct ask *a = arg;

	for (unsigned i = 0; i < AT_ONCE; i++)
		if (!a[i].is_done)
			return false;
	return true;
}

static void
ask_round(unsigned round, struct ask *a)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		ask_init(&a[i], many.pool, CALL_REDIS);
		a[i].call.idempotent = chance(4) == 0;
		must(redis_command_format(&a[i].arena, &a[i].call.redis, "GET key:%u:%u", round, i) == WEFT_OK);
		ask_start(&a[i], many.loop);
		if (chance(8) == 0)
			loop_turn(many.loop, 0);
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (chance(10) == 0 && a[i].fiber != NULL && !a[i].is_done)
			fiber_cancel(a[i].fiber);
	/* The clock is ahead of the servers when they have said what they have to say. */
	for (unsigned turns = 0; !all_are_done(a); turns++) {
		must(turns < 10000);
		loop_turn(many.loop, USEC_PER_MSEC / 4);
		if (turns > 10 && turns % 2 == 0)
			back_skip(chance(40) * USEC_PER_MSEC);
	}
	/* While a pool is down they are done at once, and it comes back with time only. */
	back_skip(chance(20) == 0 ? 31 * USEC_PER_SEC : chance(50) * USEC_PER_MSEC);
	for (unsigned turns = 0; turns < 10; turns++)
		loop_turn(many.loop, 0);
}

static void
check_round(unsigned round, struct ask *a)
{
	char key[40];

	for (unsigned i = 0; i < AT_ONCE; i++) {
		snprintf(key, sizeof key, "key:%u:%u", round, i);
		if (a[i].rc == WEFT_OK)
			assert_string_equal(a[i].call.reply->text.at, key);
		oks += a[i].rc == WEFT_OK;
		faults += a[i].rc != WEFT_OK;
		ask_fini(&a[i]);
	}
}

static void
play(const char *scheme, const char *path)
{
	static struct ask a[AT_ONCE];
	char url[200];

	snprintf(url, sizeof url, "%s://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u%s", scheme, port[0], port[1], port[2], path);
	many_open((struct pool_conf){ .url = url, .max = 3, .call_timeout = 400 * USEC_PER_MSEC, .connect_timeout = 200 * USEC_PER_MSEC,
	    .queue_timeout = 400 * USEC_PER_MSEC, .backoff = 100 * USEC_PER_MSEC, .max_lifetime = 5 * USEC_PER_SEC });
	for (unsigned round = 0; round < ROUNDS; round++) {
		ask_round(round, a);
		check_round(round, a);
	}
	print_message("# %u answered, %u not\n", oks, faults);
	assert_true(oks > ROUNDS && faults > ROUNDS);
	/* And when it is over, it is over. */
	calm = true;
	back_skip(10 * USEC_PER_SEC);
	many_until_ok(MANY_SOON, "GET key");
	many_expect("again", "GET again");
}

static int
test_begin(void **state)
{
	int rc = many_begin(state);

	state_of_chance = 88172645463325252;
	oks = faults = 0;
	calm = false;
	for (unsigned i = 0; i < LIARS; i++)
		port[i] = liar_open_tcp(&liar[i], many.loop, hear);
	return rc;
}

static int
test_end(void **state)
{
	pool_close(&many.pool);
	for (unsigned i = 0; i < LIARS; i++)
		liar_close(&liar[i]);
	return many_end(state);
}

static void
whatever_nodes_do_each_call_ends(void **state)
{
	(void)state;
	play("redis+cluster", "");
}

static void
whatever_sentinels_and_masters_do_each_call_ends(void **state)
{
	(void)state;
	play("redis+sentinel", "/mine");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whatever_nodes_do_each_call_ends),
		TEST(whatever_sentinels_and_masters_do_each_call_ends),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
