/* SPDX-License-Identifier: ISC */

/* Messages of channels, from a real redis-server. */
#include "tests/unit/back_hub_kit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"

static pid_t server;
static char folder[] = "/tmp/back_hub_redis.XXXXXX";
static char path[64], url[100];

static void
server_begin(void)
{
	const char *argv[] = { "redis-server", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder, "--port",
		"0", "--logfile", "/dev/null", NULL };

	server = fork();
	must(server >= 0);
	if (server > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	perror("redis-server");
	_exit(127);
}

static void
server_end(void)
{
	int status;

	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	unlink(path);
}

/* ---- asking ---- */

static long long
ask(struct kit *k, size_t n, const struct span *word)
{
	struct kit_ask a;
	long long number = 0;

	arena_init(&a.arena, NULL, 0, 0);
	call_init(&a.call, CALL_REDIS, &a.arena, &a.fault);
	assert_int_equal(redis_command_args(&a.arena, n, word, &a.call.redis), WEFT_OK);
	pool_submit(k->pool, &a.call);
	if (call_wait(&a.call, HUB_SOON) != WEFT_OK)
		fail_msg("%.*s: %s", (int)word[0].len, word[0].at, a.fault.text);
	if (a.call.reply->kind == REPLY_INT)
		number = a.call.reply->integer;
	else if (a.call.reply->kind == REPLY_ARRAY && a.call.reply->count == 2 && a.call.reply->element[1]->kind == REPLY_INT)
		number = a.call.reply->element[1]->integer;
	kit_end(&a);
	return number;
}

static void
publish(struct kit *k, const char *channel, const char *text, size_t len)
{
	ask(k, 3, (struct span[]){ SPAN("PUBLISH"), span_str(channel), { text, len } });
}

static void
kill_hubs(struct kit *k)
{
	assert_int_equal(ask(k, 4, (struct span[]){ SPAN("CLIENT"), SPAN("KILL"), SPAN("TYPE"), SPAN("pubsub") }), 1);
}

static void
stop(void)
{
	kill(server, SIGSTOP);
}

static void
go_on(void)
{
	kill(server, SIGCONT);
}

/* How many connections listen to it. */
static long long
listeners(struct kit *k, const char *channel)
{
	return ask(k, 3, (struct span[]){ SPAN("PUBSUB"), SPAN("NUMSUB"), span_str(channel) });
}

static int
set_up(void **state)
{
	(void)state;
	must(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/s", folder);
	snprintf(url, sizeof url, "redis+unix://%s", path);
	server_begin();
	side = (struct hub_side){ .url = url, .odd = "\x01\xff\r\n$3\r\n\"\\", .large = CHANNEL_BYTES, .publish = publish,
		.kill = kill_hubs, .stop = stop, .go_on = go_on };
	/* Its socket; the first connection must not fail. */
	for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
		kit_nap();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	server_end();
	rmdir(folder);
	return 0;
}

/* ---- the tests ---- */

static void
await_listeners(struct kit *k, const char *channel, long long n)
{
	for (int i = 0; i < 500 && listeners(k, channel) != n; i++)
		hub_nap(5 * USEC_PER_MSEC);
	assert_int_equal(listeners(k, channel), n);
}

static void
count_body(void *arg)
{
	struct ear a, b, other;
	struct kit *k = arg;

	ear_begin(k, &a, "c");
	ear_begin(k, &b, "c");
	ear_begin(k, &other, "d");
	assert_int_equal(listeners(k, "c"), 1);
	ear_end(&a);
	hub_nap(20 * USEC_PER_MSEC);
	assert_int_equal(listeners(k, "c"), 1);
	ear_end(&b);
	await_listeners(k, "c", 0);
	assert_int_equal(listeners(k, "d"), 1);
	ear_end(&other);
	await_listeners(k, "d", 0);
	assert_int_equal(hub_pool_stat(k).lent, 1);
}

static void
a_channel_is_asked_for_once_and_ended(void **state)
{
	(void)state;
	hub_with_pool(count_body);
}

static void
many_body(void *arg)
{
	enum { MANY = 3000 };
	static struct ear e[MANY];
	struct kit *k = arg;
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "c%d", i);
		ear_begin(k, &e[i], name);
	}
	kill_hubs(k);
	for (int i = 0; i < MANY; i++)
		ear_has_gap(&e[i]);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "c%d", i);
		hub_say(k, name, name);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "c%d", i);
		ear_hears(&e[i], name);
		ear_end(&e[i]);
	}
	for (int i = 0; i < 500 && hub_pool_stat(k).channels > 0; i++)
		hub_nap(5 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).channels, 0);
}

static void
thousands_of_channels_share_one_connection(void **state)
{
	(void)state;
	hub_with_pool(many_body);
}

static void
too_large_body(void *arg)
{
	char *text = calloc(1, CHANNEL_BYTES + 70000);
	struct kit *k = arg;
	struct ear e;

	assert_non_null(text);
	ear_begin(k, &e, "c");
	for (size_t over = 1; over < 70000; over += 34000) {
		side.publish(k, "c", text, CHANNEL_BYTES + over);
		hub_say(k, "c", "behind");
		ear_has_gap(&e);
		ear_hears(&e, "behind");
	}
	/* Each fits; together they do not. */
	for (int i = 0; i < 3; i++)
		side.publish(k, "c", text, CHANNEL_BYTES * 2 / 3);
	hub_nap(50 * USEC_PER_MSEC);
	ear_has_gap(&e);
	ear_hears_bytes(&e, text, CHANNEL_BYTES * 2 / 3);
	ear_is_silent(&e);
	assert_int_equal(hub_pool_stat(k).losses, 0);
	ear_end(&e);
	free(text);
}

static void
what_is_too_large_is_a_gap(void **state)
{
	(void)state;
	hub_with_pool(too_large_body);
}

/* Many who read nothing, of large messages: all of them together are bounded. */
static void
all_body(void *arg)
{
	enum { MANY = 100 };
	static struct ear e[MANY];
	char *text = calloc(1, CHANNEL_BYTES);
	struct kit *k = arg;
	unsigned gaps = 0;
	char name[16];

	assert_non_null(text);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "c%d", i);
		ear_begin(k, &e[i], name);
		side.publish(k, name, text, CHANNEL_BYTES * 9 / 10);
	}
	hub_nap(100 * USEC_PER_MSEC);
	for (int i = 0; i < MANY; i++) {
		struct span got;
		enum weft_rc rc = subscription_next(&e[i].s, &got, HUB_SOON);

		assert_true(rc == WEFT_OK || rc == WEFT_GAP);
		gaps += rc == WEFT_GAP;
		ear_end(&e[i]);
	}
	assert_int_equal(gaps, MANY - CHANNEL_ROOM / (CHANNEL_BYTES * 9 / 10));
	free(text);
}

static void
all_that_is_held_is_bounded(void **state)
{
	(void)state;
	hub_with_pool(all_body);
}

static void
refused_body(void *arg)
{
	struct kit *k = arg;
	struct ear e, ok;

	ear_begin(k, &e, "secret");
	ear_begin(k, &ok, "public");
	/* Redis ends the connections of those who listen to what they may not any more. */
	ask(k, 5, (struct span[]){ SPAN("ACL"), SPAN("SETUSER"), SPAN("default"), SPAN("resetchannels"), SPAN("&public") });
	ear_gets(&e, WEFT_REFUSED, HUB_SOON);
	ear_gets(&e, WEFT_REFUSED, HUB_SOON);
	ear_has_gap(&ok);
	ear_fails(k, "secret", WEFT_REFUSED, "permissions");
	ear_end(&e);
	ask(k, 4, (struct span[]){ SPAN("ACL"), SPAN("SETUSER"), SPAN("default"), SPAN("allchannels") });
	ear_begin(k, &e, "secret");
	hub_say(k, "secret", "x");
	ear_hears(&e, "x");
	ear_end(&e);
	ear_end(&ok);
}

static void
what_redis_refuses_fails_alone(void **state)
{
	(void)state;
	hub_with_pool(refused_body);
}

static void
down_body(void *arg)
{
	struct kit *k = arg;
	struct ear e;
	usec begin;

	ear_begin(k, &e, "c");
	server_end();
	while (hub_pool_stat(k).losses == 0)
		hub_nap(USEC_PER_MSEC);
	begin = hub_now();
	ear_fails(k, "c", WEFT_DOWN, "pool db");
	ear_fails(k, "new", WEFT_DOWN, "pool db");
	assert_true(hub_now() - begin < 5 * USEC_PER_SEC);
	ear_is_silent(&e);
	server_begin();
	ear_has_gap(&e);
	hub_say(k, "c", "back");
	ear_hears(&e, "back");
	ear_end(&e);
}

static void
a_server_that_is_away_is_said_to_be(void **state)
{
	const struct pool_conf conf = { .name = "db", .url = side.url, .max = 4, .queue_timeout = USEC_PER_SEC };

	(void)state;
	hub_with(&conf, down_body);
}

/* The hub has the only one. */
static void
only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_ask a;
	struct ear e;

	ear_begin(k, &e, "c");
	arena_init(&a.arena, NULL, 0, 0);
	call_init(&a.call, CALL_REDIS, &a.arena, &a.fault);
	assert_int_equal(redis_command_format(&a.arena, &a.call.redis, "PING"), WEFT_OK);
	pool_submit(k->pool, &a.call);
	assert_int_equal(call_wait(&a.call, HUB_SOON), WEFT_BUSY);
	assert_int_equal(hub_pool_stat(k).down, 0);
	kit_end(&a);
	ear_end(&e);
}

static void
it_counts_among_max(void **state)
{
	const struct pool_conf conf = { .name = "db", .url = side.url, .max = 1, .queue_timeout = 50 * USEC_PER_MSEC };

	(void)state;
	hub_with(&conf, only_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HUB_TESTS,
		cmocka_unit_test(a_channel_is_asked_for_once_and_ended),
		cmocka_unit_test(thousands_of_channels_share_one_connection),
		cmocka_unit_test(what_is_too_large_is_a_gap),
		cmocka_unit_test(all_that_is_held_is_bounded),
		cmocka_unit_test(what_redis_refuses_fails_alone),
		cmocka_unit_test(a_server_that_is_away_is_said_to_be),
		cmocka_unit_test(it_counts_among_max),
	};

	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
