/* SPDX-License-Identifier: ISC */

/*
 * The Redis driver against a server that lies, or is late: what costs the connection, and that
 * no reply ever reaches one who has not asked for it.  What the lies are worth alone is in back_redis.c;
 * here memory and time are measured too.
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

#include "back/pool.h"
#include "back/redis/reply.h"
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
static struct pulse pulse;
static struct span lie;		/* to GET */
static bool whole;		/* it is all there is: hang up behind it */

/* ---- the server ---- */

/* Returns how long the next command is, its last word in tag; 0 until it is whole. */
static size_t
redis_hear_command(struct liar_peer *p, char *name, char *tag)
{
	const char *at = p->in.at, *end = at + p->in.len, *line;
	int words = 0;

	if (p->in.len == 0 || (line = memchr(at, '\n', p->in.len)) == NULL)
		return 0;
	words = atoi(at + 1);
	at = line + 1;
	for (int i = 0; i < words; i++) {
		size_t len;

		line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (line == NULL)
			return 0;
		len = (size_t)atoi(at + 1);
		at = line + 1;
		if ((size_t)(end - at) < len + 2)
			return 0;
		must(len < 64);
		memcpy(i == 0 ? name : tag, at, len);
		(i == 0 ? name : tag)[len] = '\0';
		at += len + 2;
	}
	return (size_t)(at - p->in.at);
}

static void
redis_hear(struct liar_peer *p)
{
	char name[64] = "", tag[64] = "", answer[96];
	size_t n;

	while (p->fd >= 0 && (n = redis_hear_command(p, name, tag)) > 0) {
		buf_consume(&p->in, n);
		if (strcmp(name, "PING") == 0) {
			liar_say(p, SPAN("+PONG\r\n"));
		} else if (strcmp(name, "GET") == 0) {
			p->last = whole;
			liar_say(p, lie);
		} else {
			snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n", strlen(tag), tag);
			liar_say(p, span_str(answer));
		}
	}
}

static int
play_begin(void **state)
{
	(void)state;
	loop = back_loop();
	liar_open(&liar, loop, path, redis_hear);
	lie = SPAN("");
	whole = false;
	pulse_begin(&pulse, loop);
	rss_begin();
	return 0;
}

static int
play_end(void **state)
{
	(void)state;
	rss_end("all");
	pulse_end(&pulse);
	pool_close(&pool);
	liar_close(&liar);
	back_run(loop);
	loop_free(&loop);
	return 0;
}

static void
play_pool(usec call_timeout)
{
	struct pool_conf conf = { .name = "cache", .url = url, .max = 1, .min = 1, .call_timeout = call_timeout };
	char error[200] = "";

	pool_close(&pool);
	pool = pool_open(loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

static void
ask_begin(struct ask *a, const char *command, const char *tag)
{
	ask_init(a, pool, CALL_REDIS);
	a->arena.limit = 8 << 20;	/* as a request has it, about */
	must(redis_command_format(&a->arena, &a->call.redis, "%s %s", command, tag) == WEFT_OK);
	ask_submit(a);
	ask_start(a, loop);
}

static void
ask_await(struct ask *a)
{
	assert_true(back_run_until(loop, ask_is_done, a, SOON));
}

static void
expect_own(struct ask *a, const char *tag)
{
	ask_await(a);
	if (a->rc != WEFT_OK)
		fail_msg("%s: %s", tag, a->fault.text);
	assert_string_equal(a->call.reply->text.at, tag);
	ask_fini(a);
}

static void
expect_echo(const char *tag)
{
	struct ask a;

	ask_begin(&a, "ECHO", tag);
	expect_own(&a, tag);
}

static unsigned long long
play_losses(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s.losses;
}

/* One before, one that is lied to, one behind it, one after. */
static void
play_lie(struct span what, size_t number)
{
	struct ask a, b;

	play_pool(200 * USEC_PER_MSEC);
	expect_echo("before");
	lie = what;
	ask_begin(&a, "GET", "k");
	ask_begin(&b, "ECHO", "behind");
	ask_await(&a);
	ask_await(&b);
	if (a.rc == WEFT_OK)
		fail_msg("lie %zu is believed", number);
	assert_true(a.fault.text[0] != '\0');
	if (b.rc == WEFT_OK)
		fail_msg("behind lie %zu comes an answer", number);
	ask_fini(&a);
	ask_fini(&b);
	if (play_losses() == 0)
		back_skip(POOL_GRACE);	/* it waits for bytes: until it is given up */
	for (int i = 0; i < 1000 && play_losses() == 0; i++)
		loop_turn(loop, USEC_PER_MSEC);
	assert_int_equal(play_losses(), 1);
	expect_echo("after");
}

/* ---- the rows ---- */

static void
b50_monstrous_replies_cost_the_connection_and_no_memory(void **state)
{
	static const struct span lies[] = { SPAN("*2305843009213693952\r\n"), SPAN("*1152921504606846976\r\n"), SPAN("*2147483647\r\n"),
		SPAN("$9223372036854775807\r\n"), SPAN("$-2\r\n"), SPAN(":99999999999999999999\r\n") };

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		play_lie(lies[i], i);
}

/* Arrays that stay below each limit, one in the other: together they are beyond all. */
static void
b50_arrays_of_arrays_take_no_memory(void **state)
{
	static const struct span lies[] = { SPAN("*1048576\r\n*1048576\r\n*1048576\r\n*1048576\r\n*1048576\r\n*1048576\r\n"),
		SPAN("*1048577\r\n") };

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		play_lie(lies[i], i);
}

static void
b51_a_reply_10000_deep_is_refused(void **state)
{
	static char deep[4 * 10000];

	(void)state;
	for (size_t i = 0; i < sizeof deep; i += 4)
		memcpy(deep + i, "*1\r\n", 4);
	play_lie((struct span){ deep, sizeof deep }, 0);
}

/* An end at each byte, and the pool closed at each moment. */
static void
b52_an_end_at_any_moment_frees_all_once(void **state)
{
	static const char good[] = "*2\r\n$5\r\nhello\r\n*1\r\n:7\r\n";

	(void)state;
	whole = true;
	for (size_t cut = 0; cut < sizeof good - 1; cut++)
		play_lie((struct span){ good, cut }, cut);
	lie = (struct span){ good, sizeof good - 1 };
	for (int turns = 0; turns < 8; turns++) {
		struct ask a;

		play_pool(SOON);
		ask_begin(&a, "GET", "k");
		for (int i = 0; i < turns; i++)
			loop_turn(loop, 0);
		pool_close(&pool);
		ask_await(&a);
		assert_true(a.rc == WEFT_OK || a.rc == WEFT_CANCELED);
		ask_fini(&a);
	}
}

static bool
echo_is_sent(void *arg)
{
	struct ask *a = arg;

	return a->call.state == CALL_SENT || a->is_done;
}

/* Behind a server that is late; who asked is gone before the reply comes. */
static void
b53_a_late_reply_never_reaches_another(void **state)
{
	enum { ROUNDS = 2000, AT_ONCE = 10 };
	static struct ask gone[AT_ONCE], stays[AT_ONCE];
	unsigned canceled = 0;
	char tag[32];

	(void)state;
	liar.delay = 2 * USEC_PER_MSEC;
	play_pool(SOON);
	for (unsigned round = 0; round < ROUNDS; round += AT_ONCE) {
		for (unsigned i = 0; i < AT_ONCE; i++) {
			snprintf(tag, sizeof tag, "gone%u", round + i);
			ask_begin(&gone[i], "ECHO", tag);
		}
		assert_true(back_run_until(loop, echo_is_sent, &gone[AT_ONCE - 1], SOON));
		/* Sent it is; on its way at once, or a turn or two later. */
		for (unsigned i = 0; i < round / AT_ONCE % 3; i++)
			loop_turn(loop, 0);
		for (unsigned i = 0; i < AT_ONCE; i++)
			if (!gone[i].is_done)
				fiber_cancel(gone[i].fiber);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			snprintf(tag, sizeof tag, "stays%u", round + i);
			ask_begin(&stays[i], "ECHO", tag);
		}
		for (unsigned i = 0; i < AT_ONCE; i++) {
			snprintf(tag, sizeof tag, "stays%u", round + i);
			expect_own(&stays[i], tag);
			assert_true(gone[i].is_done);
			canceled += gone[i].rc == WEFT_CANCELED;
			ask_fini(&gone[i]);
		}
	}
	assert_true(canceled > ROUNDS / 2);
	assert_int_equal(play_losses(), 0);
}

static void
b54_bytes_while_idle_end_the_connection(void **state)
{
	static const struct span lies[] = { SPAN("+OK\r\n"), SPAN("+"), SPAN("+1700000000.0 [0 127.0.0.1:1] \"GET\" \"k\"\r\n"),
		SPAN(">3\r\n$10\r\ninvalidate\r\n"), SPAN("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n") };

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		play_pool(SOON);
		expect_echo("before");
		liar_say(liar_last(&liar), lies[i]);
		for (int turn = 0; turn < 1000 && play_losses() == 0; turn++)
			loop_turn(loop, USEC_PER_MSEC);
		if (play_losses() != 1)
			fail_msg("bytes %zu stay", i);
		expect_echo("after");
	}
}

/* The first byte of one more, in the same breath as the reply. */
static void
b54_one_byte_behind_a_reply_ends_the_connection(void **state)
{
	struct ask a;

	(void)state;
	play_pool(SOON);
	lie = SPAN("$5\r\nright\r\n$");
	ask_begin(&a, "GET", "k");
	expect_own(&a, "right");
	for (int turn = 0; turn < 1000 && play_losses() == 0; turn++)
		loop_turn(loop, USEC_PER_MSEC);
	assert_int_equal(play_losses(), 1);
	expect_echo("after");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, play_begin, play_end)
	const struct CMUnitTest tests[] = {
		T(b50_monstrous_replies_cost_the_connection_and_no_memory),
		T(b50_arrays_of_arrays_take_no_memory),
		T(b51_a_reply_10000_deep_is_refused),
		T(b52_an_end_at_any_moment_frees_all_once),
		T(b53_a_late_reply_never_reaches_another),
		T(b54_bytes_while_idle_end_the_connection),
		T(b54_one_byte_behind_a_reply_ends_the_connection),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	strcpy(dir, "/tmp/weft-liar-XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(url, sizeof url, "redis+unix://%s", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
