/* SPDX-License-Identifier: ISC */
/*
 * The Redis driver against a real redis-server, on a socket in a folder of its own;
 * and against a server that lies, played by the test itself between two turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back/pool.h"
#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_support.h"

#define SOON (5 * USEC_PER_SEC)

static struct loop *loop;
static struct pool *pool;
static pid_t server;
static char folder[] = "/tmp/back_redis.XXXXXX";
static char path[64];

/* ---- the real server ---- */

static void
server_start(const char *port, const char *pass)
{
	const char *argv[] = { "redis-server", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder, "--port",
		port, "--bind", "127.0.0.1", "--logfile", "/dev/null", pass == NULL ? NULL : "--requirepass", pass,
		"--user", "bob", "on", ">pw2", "~*", "+@all", "-ping", NULL };

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
server_kill(void)
{
	int status;

	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	server = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fail_msg("no redis-server in PATH");
}

/* ---- pools and calls ---- */

static struct pool *
test_open(struct pool_conf conf)
{
	char url[200], error[200];
	struct pool *p;

	conf.name = "cache";
	if (conf.url == NULL) {
		snprintf(url, sizeof url, "redis+unix://%s", path);
		conf.url = url;
	}
	p = pool_open(loop, &conf, error, sizeof error);
	if (p == NULL)
		fail_msg("%s", error);
	return p;
}

static bool
test_is_open(void *arg)
{
	struct pool_stat s;

	pool_stat(arg, &s);
	return s.open > 0;
}

static bool
test_is_down(void *arg)
{
	struct pool_stat s;

	pool_stat(arg, &s);
	return s.down;
}

static struct pool_stat
test_stat(void)
{
	struct pool_stat s;

	pool_stat(pool, &s);
	return s;
}

static void
test_await_open(struct pool *p)
{
	assert_true(back_run_until(loop, test_is_open, p, SOON));
}

/* A pool of a server just started. */
static void
test_serve(struct pool_conf conf)
{
	server_start("0", NULL);
	conf.min = conf.min == 0 ? 1 : conf.min;
	pool = test_open(conf);
	test_await_open(pool);
}

static void
ask_set(struct ask *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	must(redis_command_vformat(&a->arena, fmt, ap, &a->call.redis) == WEFT_OK);
	va_end(ap);
}

/* One command, asked by a fiber and waited for; the caller frees it with ask_fini. */
static enum weft_rc
ask_once(struct ask *a, struct pool *p, const char *fmt, ...)
{
	va_list ap;

	ask_init(a, p, CALL_REDIS);
	va_start(ap, fmt);
	must(redis_command_vformat(&a->arena, fmt, ap, &a->call.redis) == WEFT_OK);
	va_end(ap);
	ask_start(a, loop);
	assert_true(back_run_until(loop, ask_is_done, a, SOON));
	return a->rc;
}

static void
expect_text(const char *text, struct pool *p, const char *command)
{
	struct ask a;

	if (ask_once(&a, p, command, 0) != WEFT_OK)
		fail_msg("%s: %s", command, a.fault.text);
	assert_true(a.call.reply->kind == REPLY_TEXT || a.call.reply->kind == REPLY_STATUS);
	assert_string_equal(a.call.reply->text.at, text);
	ask_fini(&a);
}

static int
test_begin(void **state)
{
	loop = back_loop();
	return 0;
}

static int
test_end(void **state)
{
	pool_close(&pool);
	back_run(loop);
	server_kill();
	unlink(path);
	loop_free(&loop);
	return 0;
}

static void
settings_are_checked(void **state)
{
	static const char *const good[] = { "redis://h", "redis://h/", "redis://h:1/15", "redis://:p@h", "redis://u:p@[::1]:1/0",
		"redis+unix:///run/s", "redis+unix://:p@/run/s?db=3" };
	static const struct {
		const char *url, *word;
	} bad[] = { { "redis://", "host" }, { "redis:///2", "host" }, { "redis://h/x", "database" }, { "redis://h/1/2", "database" },
		{ "redis://h/999999", "database" }, { "redis://h/-1", "database" }, { "redis://h?db=1", "parameters" },
		{ "redis://u@h", "password" }, { "redis+unix://h/s", "path" }, { "redis+unix:s", "path" },
		{ "rediss://h", "no TLS" }, { "redis+unix:///s?db=", "database" }, { "redis+unix:///s?x=1", "database" } };
	struct pool_conf conf = { .name = "cache" };
	char error[200], url[300];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		conf.url = good[i];
		if (pool_check(&conf, error, sizeof error) != WEFT_OK)
			fail_msg("%s", error);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		conf.url = bad[i].url;
		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
		assert_non_null(strstr(error, bad[i].word));
	}
	snprintf(url, sizeof url, "redis+unix:///%0108d", 1);
	conf.url = url;
	assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
	assert_non_null(strstr(error, "too long"));
}

/* ---- the real thing ---- */

static void
every_kind_of_reply_comes_back(void **state)
{
	struct weft_reply *r;
	struct ask a;

	test_serve((struct pool_conf){ .max = 1 });
	expect_text("OK", pool, "SET k value");
	expect_text("value", pool, "GET k");
	assert_int_equal(ask_once(&a, pool, "GET nothing"), WEFT_OK);
	assert_int_equal(a.call.reply->kind, REPLY_NIL);
	assert_int_equal(a.waits[WAIT_REDIS], 1);
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "INCRBY n %d", -42), WEFT_OK);
	assert_int_equal(a.call.reply->kind, REPLY_INT);
	assert_int_equal(a.call.reply->integer, -42);
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "SET bin %b", "a\0b\r\n", (size_t)5), WEFT_OK);
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "MGET k nothing bin"), WEFT_OK);
	r = a.call.reply;
	assert_int_equal(r->kind, REPLY_ARRAY);
	assert_int_equal(r->count, 3);
	assert_string_equal(r->element[0]->text.at, "value");
	assert_int_equal(r->element[1]->kind, REPLY_NIL);
	assert_true(span_equal(r->element[2]->text, SPAN("a\0b\r\n")));
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "EVAL %s 0", "return {1,{2,{3,{4,{5,{6}}}}},redis.error_reply('MY own')}"), WEFT_OK);
	r = a.call.reply;
	for (int i = 1; i <= 5; i++, r = r->element[1])
		assert_int_equal(r->element[0]->integer, i);
	assert_int_equal(r->element[0]->integer, 6);
	assert_int_equal(a.call.reply->element[2]->kind, REPLY_ERROR);
	assert_string_equal(a.call.reply->element[2]->text.at, "MY own");
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "KEYS none*"), WEFT_OK);
	assert_int_equal(a.call.reply->count, 0);
	ask_fini(&a);
}

static void
error_reply_is_refused_with_code_and_text(void **state)
{
	struct ask a;

	test_serve((struct pool_conf){ .max = 1 });
	expect_text("OK", pool, "SET k value");
	assert_int_equal(ask_once(&a, pool, "LPUSH k x"), WEFT_REFUSED);
	assert_string_equal(a.fault.code, "WRONGTYPE");
	assert_int_equal(strncmp(a.fault.text, "pool cache: WRONGTYPE Operation", 31), 0);
	assert_null(a.call.reply);
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "BLPOP k 0"), WEFT_INVALID);
	assert_string_equal(a.fault.text,
	    "pool cache: the command may block, and the connection is shared with other requests: use weft_lend");
	ask_fini(&a);
	assert_int_equal(test_stat().losses, 0);
	expect_text("value", pool, "GET k");
}

static void
thousand_commands_share_one_connection(void **state)
{
	enum { N = 1000 };
	unsigned long long connects;
	struct ask *a;

	test_serve((struct pool_conf){ .max = 1 });
	connects = test_stat().connects;
	a = calloc(N, sizeof *a);
	for (unsigned i = 0; i < N; i++) {
		ask_init(&a[i], pool, CALL_REDIS);
		ask_set(&a[i], "ECHO tag%u", i);
		ask_start(&a[i], loop);
	}
	assert_true(back_run_until(loop, ask_is_done, &a[N - 1], SOON));
	for (unsigned i = 0; i < N; i++) {
		char tag[16];

		snprintf(tag, sizeof tag, "tag%u", i);
		assert_true(a[i].is_done);
		assert_int_equal(a[i].rc, WEFT_OK);
		assert_string_equal(a[i].call.reply->text.at, tag);
		ask_fini(&a[i]);
	}
	free(a);
	assert_int_equal(test_stat().connects, connects);
}

static void
big_values_pass_and_too_big_ones_fail_alone(void **state)
{
	size_t size = 1 << 20;
	char *big = malloc(size);
	struct ask a, b, c;

	test_serve((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < size; i++)
		big[i] = (char)(i * 31 % 251);
	assert_int_equal(ask_once(&a, pool, "SET big %b", big, size), WEFT_OK);
	ask_fini(&a);
	assert_int_equal(ask_once(&a, pool, "GET big"), WEFT_OK);
	assert_true(span_equal(a.call.reply->text, (struct span){ big, size }));
	ask_fini(&a);
	/* No room for it: this call fails, those beside it do not. */
	ask_init(&a, pool, CALL_REDIS);
	ask_init(&b, pool, CALL_REDIS);
	ask_init(&c, pool, CALL_REDIS);
	a.arena.limit = 65536;
	c.arena.limit = 65536;
	ask_set(&a, "MGET small big small");
	ask_set(&b, "ECHO next");
	ask_set(&c, "GET big");
	ask_start(&a, loop);
	ask_start(&b, loop);
	ask_start(&c, loop);
	assert_true(back_run_until(loop, ask_is_done, &c, SOON));
	assert_int_equal(a.rc, WEFT_TOO_LARGE);
	assert_int_equal(b.rc, WEFT_OK);
	assert_string_equal(b.call.reply->text.at, "next");
	assert_int_equal(c.rc, WEFT_TOO_LARGE);
	assert_int_equal(test_stat().losses, 0);
	assert_int_equal(test_stat().busy, 0);
	ask_fini(&a);
	ask_fini(&b);
	ask_fini(&c);
	free(big);
}

/* Above a million, the same holds of elements. */
static void
array_of_a_million_fails_alone(void **state)
{
	struct ask a, b;

	test_serve((struct pool_conf){ .max = 1 });
	ask_init(&a, pool, CALL_REDIS);
	ask_init(&b, pool, CALL_REDIS);
	a.arena.limit = 8 << 20;
	ask_set(&a, "EVAL %s 0", "local t = {} for i = 1, 1100000 do t[i] = 1 end return t");
	ask_set(&b, "ECHO next");
	ask_start(&a, loop);
	ask_start(&b, loop);
	assert_true(back_run_until(loop, ask_is_done, &b, 4 * SOON));
	assert_int_equal(a.rc, WEFT_TOO_LARGE);
	assert_int_equal(b.rc, WEFT_OK);
	assert_string_equal(b.call.reply->text.at, "next");
	assert_int_equal(test_stat().losses, 0);
	ask_fini(&a);
	ask_fini(&b);
}

static void
reply_of_an_abandoned_call_reaches_nobody(void **state)
{
	enum { ROUNDS = 500 };

	test_serve((struct pool_conf){ .max = 1 });
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ask gone, stays;
		char tag[16];

		ask_init(&gone, pool, CALL_REDIS);
		ask_init(&stays, pool, CALL_REDIS);
		ask_set(&gone, i % 2 ? "ECHO gone%u" : "MGET gone%u k k k", i);
		ask_set(&stays, "ECHO stays%u", i);
		snprintf(tag, sizeof tag, "stays%u", i);
		ask_start(&gone, loop);
		ask_start(&stays, loop);
		loop_turn(loop, 0);
		if (!gone.is_done)
			fiber_cancel(gone.fiber);
		assert_true(back_run_until(loop, ask_is_done, &stays, SOON));
		assert_true(gone.is_done);
		assert_int_equal(stays.rc, WEFT_OK);
		assert_string_equal(stays.call.reply->text.at, tag);
		ask_fini(&gone);
		ask_fini(&stays);
	}
	assert_int_equal(test_stat().losses, 0);
}

static void
databases_and_passwords_are_set_before_use(void **state)
{
	struct pool *two, *bad;
	char url[200];
	struct ask a;

	server_start("0", "hunter2");
	snprintf(url, sizeof url, "redis+unix://:hunter2@%s", path);
	pool = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	test_await_open(pool);
	snprintf(url, sizeof url, "redis+unix://bob:pw2@%s?db=2", path);
	two = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	test_await_open(two);
	expect_text("OK", pool, "SET k zero");
	expect_text("OK", two, "SET k two");
	expect_text("zero", pool, "GET k");
	expect_text("two", two, "GET k");
	expect_text("bob", two, "ACL WHOAMI");
	pool_close(&two);

	bad = test_open((struct pool_conf){ .max = 1, .min = 1 });
	assert_true(back_run_until(loop, test_is_down, bad, SOON));
	assert_int_equal(ask_once(&a, bad, "GET k"), WEFT_DOWN);
	assert_string_equal(a.fault.code, "NOAUTH");
	ask_fini(&a);
	pool_close(&bad);

	snprintf(url, sizeof url, "redis+unix://bob:hunter3@%s", path);
	bad = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	assert_true(back_run_until(loop, test_is_down, bad, SOON));
	assert_int_equal(ask_once(&a, bad, "GET k"), WEFT_DOWN);
	assert_string_equal(a.fault.code, "WRONGPASS");
	assert_null(strstr(a.fault.text, "hunter3"));
	ask_fini(&a);
	pool_close(&bad);

	snprintf(url, sizeof url, "redis+unix://:hunter2@%s?db=99", path);
	bad = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	assert_true(back_run_until(loop, test_is_down, bad, SOON));
	pool_close(&bad);
}

/* A name with several addresses: that which answers is found. */
static void
host_names_are_resolved(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char port[16], url[100];

	must(bind(fd, (struct sockaddr *)&in, len) == 0 && getsockname(fd, (struct sockaddr *)&in, &len) == 0);
	close(fd);
	snprintf(port, sizeof port, "%d", ntohs(in.sin_port));
	server_start(port, NULL);
	snprintf(url, sizeof url, "redis://localhost:%s/3", port);
	pool = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	test_await_open(pool);
	expect_text("OK", pool, "SET k v");
	pool_close(&pool);
	snprintf(url, sizeof url, "redis://127.0.0.1:%s/3", port);
	pool = test_open((struct pool_conf){ .max = 1, .min = 1, .url = url });
	test_await_open(pool);
	expect_text("v", pool, "GET k");
}

static void
name_without_address_is_down(void **state)
{
	struct ask a;

	pool = test_open((struct pool_conf){ .max = 1, .url = "redis://no-such-host.invalid" });
	assert_int_equal(ask_once(&a, pool, "GET k"), WEFT_DOWN);
	ask_fini(&a);
}

static bool
test_all_done(void *arg)
{
	struct ask *a = arg;

	for (unsigned i = 0; i < 100; i++)
		if (!a[i].is_done)
			return false;
	return true;
}

static void
killed_server_is_told_and_found_again(void **state)
{
	struct ask *a, one;
	usec back;

	/* Nobody asks while it is away, so it is found again as late as that. */
	test_serve((struct pool_conf){ .max = 4, .min = 2, .backoff = 500 * USEC_PER_MSEC });
	kill(server, SIGSTOP);
	a = calloc(100, sizeof *a);
	for (unsigned i = 0; i < 100; i++) {
		ask_init(&a[i], pool, CALL_REDIS);
		ask_set(&a[i], "SET k %u", i);
		ask_start(&a[i], loop);
	}
	back_run(loop);
	server_kill();
	assert_true(back_run_until(loop, test_all_done, a, SOON));
	for (unsigned i = 0; i < 100; i++) {
		assert_true(a[i].rc == WEFT_UNKNOWN || a[i].rc == WEFT_NOT_SENT || a[i].rc == WEFT_DOWN);
		assert_int_equal(strncmp(a[i].fault.text, "pool cache: ", 12), 0);
		ask_fini(&a[i]);
	}
	assert_int_equal(a[0].rc, WEFT_UNKNOWN);
	free(a);
	assert_true(back_run_until(loop, test_is_down, pool, SOON));
	back = clock_now();
	assert_int_equal(ask_once(&one, pool, "GET k"), WEFT_DOWN);
	assert_true(clock_now() - back < 100 * USEC_PER_MSEC);
	assert_non_null(strstr(one.fault.text, path));
	ask_fini(&one);

	server_start("0", NULL);
	back = clock_now();
	test_await_open(pool);
	expect_text("OK", pool, "SET k v");
	assert_true(clock_now() - back < 2 * USEC_PER_SEC);
}

static void
stopped_server_meets_deadlines_and_breaker(void **state)
{
	struct ask a, b;
	usec began;

	test_serve((struct pool_conf){ .max = 1, .call_timeout = 50 * USEC_PER_MSEC, .connect_timeout = 50 * USEC_PER_MSEC });
	kill(server, SIGSTOP);
	began = clock_now();
	assert_int_equal(ask_once(&a, pool, "GET k"), WEFT_TIMEOUT);
	assert_true(clock_now() - began < 500 * USEC_PER_MSEC);
	ask_fini(&a);
	/* No TCP error ever comes: the silent connection is given up, and no new one gets an answer to its PING. */
	back_skip(POOL_GRACE);
	assert_true(back_run_until(loop, test_is_down, pool, SOON));
	assert_int_equal(ask_once(&b, pool, "GET k"), WEFT_DOWN);
	ask_fini(&b);
	began = clock_now();
	kill(server, SIGCONT);
	test_await_open(pool);
	assert_true(clock_now() - began < 2 * USEC_PER_SEC);
	assert_int_equal(ask_once(&a, pool, "GET k"), WEFT_OK);
	ask_fini(&a);
}

/* ---- the server that lies ---- */

static struct {
	int listener, fd;
	struct span greeting;	/* to PING */
	struct span answer;	/* to GET */
	unsigned accepted, asked;
} liar;

static void
liar_open(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	memset(&liar, 0, sizeof liar);
	liar.fd = -1;
	liar.greeting = SPAN("+PONG\r\n");
	liar.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	must(bind(liar.listener, (struct sockaddr *)&un, sizeof un) == 0 && listen(liar.listener, 8) == 0);
}

static void
liar_hang_up(void)
{
	if (liar.fd >= 0)
		close(liar.fd);
	liar.fd = -1;
}

static void
liar_say(struct span s)
{
	if (liar.fd >= 0 && write(liar.fd, s.at, s.len) != (ssize_t)s.len)
		liar_hang_up();
}

/* Between two turns: accept, answer PING rightly and GET with the lie. */
static void
liar_step(void)
{
	char in[4096];
	ssize_t n;
	int fd = accept4(liar.listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0) {
		liar_hang_up();
		liar.fd = fd;
		liar.accepted++;
	}
	n = liar.fd < 0 ? -1 : read(liar.fd, in, sizeof in - 1);
	if (n == 0)
		liar_hang_up();
	if (n <= 0)
		return;
	in[n] = '\0';
	if (strstr(in, "PING") != NULL)
		liar_say(liar.greeting);
	if (strstr(in, "GET") != NULL) {
		liar.asked++;
		liar_say(liar.answer);
	}
}

static bool
liar_until_open(void *arg)
{
	liar_step();
	return test_is_open(arg);
}

static bool
liar_until_done(void *arg)
{
	liar_step();
	return ask_is_done(arg);
}

static bool
liar_until_lost(void *arg)
{
	struct pool_stat s;

	liar_step();
	pool_stat(pool, &s);
	return s.losses >= *(unsigned *)arg;
}

static void
liar_close(void)
{
	pool_close(&pool);
	liar_hang_up();
	close(liar.listener);
	unlink(path);
}

static void
liar_begin(struct pool_conf conf)
{
	liar_open();
	conf.max = conf.min = 1;
	pool = test_open(conf);
	assert_true(back_run_until(loop, liar_until_open, pool, SOON));
}

static void
monstrous_replies_end_the_connection(void **state)
{
	static char deep[4 * 10000];
	struct span lies[] = { SPAN("*2305843009213693952\r\n"), SPAN("*1152921504606846976\r\n"), SPAN("*2147483647\r\n"),
		SPAN("*67108865\r\n"), SPAN("$-2\r\n"), SPAN("*-2\r\n"), SPAN(":99999999999999999999\r\n"), SPAN("*1\r\n$-7\r\n"),
		SPAN("\r\n"), SPAN("HTTP/1.1 200 OK\r\n"), SPAN("%1\r\n+a\r\n+b\r\n"), SPAN("_\r\n"), SPAN(",1.5\r\n"), SPAN("#t\r\n"),
		SPAN(">2\r\n+a\r\n+b\r\n"), { deep, sizeof deep } };

	for (size_t i = 0; i < sizeof deep; i += 4)
		memcpy(deep + i, "*1\r\n", 4);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		unsigned one = 1;
		struct ask a, b;

		liar_begin((struct pool_conf){ .call_timeout = SOON });
		liar.answer = lies[i];
		ask_init(&a, pool, CALL_REDIS);
		ask_init(&b, pool, CALL_REDIS);
		ask_set(&a, "GET k");
		ask_set(&b, "TYPE k");
		ask_start(&a, loop);
		ask_start(&b, loop);
		if (!back_run_until(loop, liar_until_done, &a, SOON))
			fail_msg("lie %zu", i);
		assert_int_equal(a.rc, WEFT_UNKNOWN);
		assert_true(back_run_until(loop, liar_until_done, &b, SOON));
		assert_int_equal(b.rc, WEFT_UNKNOWN);
		assert_true(back_run_until(loop, liar_until_lost, &one, SOON));
		assert_true(back_run_until(loop, liar_until_open, pool, SOON));
		ask_fini(&a);
		ask_fini(&b);
		liar_close();
	}
}

/* A length that never ends is not memory: the deadline comes first. */
static void
endless_length_meets_the_deadline(void **state)
{
	struct ask a;

	liar_begin((struct pool_conf){ .call_timeout = 50 * USEC_PER_MSEC });
	liar.answer = SPAN("$9223372036854775807\r\nabc");
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_start(&a, loop);
	assert_true(back_run_until(loop, liar_until_done, &a, SOON));
	assert_true(a.rc == WEFT_TIMEOUT || a.rc == WEFT_UNKNOWN);
	ask_fini(&a);
	liar_close();
}

static void
bytes_nobody_asked_for_end_the_connection(void **state)
{
	struct span lies[] = { SPAN("+OK\r\n"), SPAN("+O"), SPAN("-ERR max number of clients reached\r\n"), SPAN("$5\r\nhel"),
		SPAN("*3\r\n+message\r\n+a\r\n+b\r\n"), SPAN("\0") };

	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		unsigned one = 1;

		liar_begin((struct pool_conf){ .max = 1 });
		liar_say(lies[i]);
		assert_true(back_run_until(loop, liar_until_lost, &one, SOON));
		assert_true(back_run_until(loop, liar_until_open, pool, SOON));
		assert_int_equal(liar.accepted, 2);
		liar_close();
	}
}

static void
who_says_back_what_he_hears_is_no_redis(void **state)
{
	static const char *const greetings[] = { "*1\r\n$4\r\nPING\r\n", "$4\r\nPONG\r\n", "+OK\r\n", ":1\r\n", "$-1\r\n" };

	for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
		struct ask a;

		liar_open();
		liar.greeting = span_str(greetings[i]);
		liar.answer = SPAN("$5\r\nwrong\r\n");
		pool = test_open((struct pool_conf){ .max = 1, .queue_timeout = 300 * USEC_PER_MSEC });
		ask_init(&a, pool, CALL_REDIS);
		ask_set(&a, "GET k");
		ask_start(&a, loop);
		assert_true(back_run_until(loop, liar_until_done, &a, SOON));
		assert_int_equal(a.rc, WEFT_DOWN);
		assert_non_null(strstr(a.fault.text, "PING"));
		assert_int_equal(liar.asked, 0);
		ask_fini(&a);
		liar_close();
	}
}

/* The second reply is nobody's: above all it is not the next caller's. */
static void
reply_too_many_never_reaches_the_next_call(void **state)
{
	unsigned one = 1;
	struct ask a;

	liar_begin((struct pool_conf){ .max = 1 });
	liar.answer = SPAN("$5\r\nright\r\n$5\r\nwrong\r\n");
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_start(&a, loop);
	assert_true(back_run_until(loop, liar_until_done, &a, SOON));
	assert_int_equal(a.rc, WEFT_OK);
	assert_string_equal(a.call.reply->text.at, "right");
	assert_true(back_run_until(loop, liar_until_lost, &one, SOON));
	ask_fini(&a);
	liar_close();
}

/* It comes before the command has been sent, while that waits for the end of the turn. */
static void
reply_too_early_never_reaches_the_call(void **state)
{
	unsigned one = 1;
	struct ask a;

	liar_open();
	liar.greeting = SPAN("+PONG\r\n$5\r\nwrong\r\n");
	liar.answer = SPAN("$5\r\nright\r\n");
	pool = test_open((struct pool_conf){ .max = 1, .min = 1 });
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_start(&a, loop);
	assert_true(back_run_until(loop, liar_until_lost, &one, SOON));
	assert_false(a.is_done);
	liar.greeting = SPAN("+PONG\r\n");
	assert_true(back_run_until(loop, liar_until_done, &a, SOON));
	assert_int_equal(a.rc, WEFT_OK);
	assert_string_equal(a.call.reply->text.at, "right");
	ask_fini(&a);
	liar_close();
}

/* Of what was not sent, nothing is unknown: it goes to the next connection, and nobody notices. */
static void
command_not_sent_goes_to_another_connection(void **state)
{
	struct ask a;

	liar_begin((struct pool_conf){ .max = 1 });
	liar.answer = SPAN("$5\r\nright\r\n");
	liar_hang_up();
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_submit(&a);
	assert_int_equal(a.call.state, CALL_SENT);
	ask_start(&a, loop);
	assert_true(back_run_until(loop, liar_until_done, &a, SOON));
	assert_int_equal(a.rc, WEFT_OK);
	assert_string_equal(a.call.reply->text.at, "right");
	assert_int_equal(test_stat().losses, 1);
	ask_fini(&a);
	liar_close();
}

/* The server has answered and gone, and that is noticed first by who sends the next command: the answers are there all the same. */
static void
answers_that_came_before_the_end_are_not_lost(void **state)
{
	enum { N = 8, SIZE = 10000 };
	static char answer[SIZE + 16];
	struct ask a[N], next;
	int head = snprintf(answer, sizeof answer, "$%d\r\n", SIZE);

	memset(answer + head, 'x', SIZE);
	memcpy(answer + head + SIZE, "\r\n", 3);
	liar_begin((struct pool_conf){ .max = 1 });
	for (unsigned i = 0; i < N; i++) {
		ask_init(&a[i], pool, CALL_REDIS);
		ask_set(&a[i], "GET k");
		ask_start(&a[i], loop);
	}
	while (liar.asked == 0) {
		loop_turn(loop, 0);
		liar_step();
	}
	for (unsigned i = 0; i < N; i++)
		liar_say((struct span){ answer, strlen(answer) });
	liar_hang_up();
	liar.answer = SPAN("$5\r\nright\r\n");
	ask_init(&next, pool, CALL_REDIS);
	ask_set(&next, "GET k");
	ask_start(&next, loop);
	assert_true(back_run_until(loop, liar_until_done, &next, SOON));
	assert_int_equal(next.rc, WEFT_OK);
	assert_string_equal(next.call.reply->text.at, "right");
	ask_fini(&next);
	for (unsigned i = 0; i < N; i++) {
		if (a[i].rc != WEFT_OK)
			fail_msg("%u: %s", i, a[i].fault.text);
		assert_int_equal(a[i].call.reply->text.len, SIZE);
		ask_fini(&a[i]);
	}
	assert_int_equal(test_stat().losses, 1);
	liar_close();
}

static void
reply_survives_every_split(void **state)
{
	static const char whole[] = "*3\r\n$5\r\nhello\r\n*2\r\n:-7\r\n$-1\r\n-ERR x\r\n";

	liar_begin((struct pool_conf){ .max = 1 });
	for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
		struct weft_reply *r;
		struct ask a;

		liar.answer = (struct span){ whole, cut };
		liar.asked = 0;
		ask_init(&a, pool, CALL_REDIS);
		ask_set(&a, "GET k");
		ask_start(&a, loop);
		while (liar.asked == 0) {
			loop_turn(loop, 0);
			liar_step();
		}
		back_run(loop);
		liar_say((struct span){ whole + cut, sizeof whole - 1 - cut });
		assert_true(back_run_until(loop, ask_is_done, &a, SOON));
		assert_int_equal(a.rc, WEFT_OK);
		r = a.call.reply;
		assert_string_equal(r->element[0]->text.at, "hello");
		assert_int_equal(r->element[1]->element[0]->integer, -7);
		assert_int_equal(r->element[1]->element[1]->kind, REPLY_NIL);
		assert_int_equal(r->element[2]->kind, REPLY_ERROR);
		ask_fini(&a);
	}
	assert_int_equal(test_stat().losses, 0);
	liar_close();
}

/* Half a reply has been built in the arena when the asker goes, and the arena with it. */
static void
asker_may_go_in_the_middle_of_its_reply(void **state)
{
	struct ask a;

	liar_begin((struct pool_conf){ .max = 1 });
	liar.answer = SPAN("*3\r\n$1\r\na\r\n*2\r\n:1\r\n");
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_start(&a, loop);
	while (liar.asked == 0) {
		loop_turn(loop, 0);
		liar_step();
	}
	back_run(loop);
	fiber_cancel(a.fiber);
	back_run(loop);
	assert_int_equal(a.rc, WEFT_CANCELED);
	ask_fini(&a);
	liar_say(SPAN(":2\r\n*1\r\n$1\r\nb\r\n"));
	liar.answer = SPAN("$4\r\nnext\r\n");
	ask_init(&a, pool, CALL_REDIS);
	ask_set(&a, "GET k");
	ask_start(&a, loop);
	assert_true(back_run_until(loop, liar_until_done, &a, SOON));
	assert_string_equal(a.call.reply->text.at, "next");
	ask_fini(&a);
	liar_close();
}

static bool
liar_until_replaced(void *arg)
{
	struct pool_stat s;

	liar_step();
	pool_stat(arg, &s);
	return s.failovers == 1 && s.open == 0;
}

static void
unfit_server_loses_the_connection(void **state)
{
	static const char *const codes[] = { "LOADING", "READONLY", "MASTERDOWN" };

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		char answer[64];
		struct ask a;

		liar_begin((struct pool_conf){ .max = 1 });
		snprintf(answer, sizeof answer, "-%s not now\r\n", codes[i]);
		liar.answer = span_str(answer);
		ask_init(&a, pool, CALL_REDIS);
		ask_set(&a, "GET k");
		ask_start(&a, loop);
		assert_true(back_run_until(loop, liar_until_done, &a, SOON));
		assert_int_equal(a.rc, WEFT_REFUSED);
		assert_string_equal(a.fault.code, codes[i]);
		assert_true(back_run_until(loop, liar_until_replaced, pool, SOON));
		ask_fini(&a);
		liar_close();
	}
}

static void
pool_may_close_at_any_moment(void **state)
{
	struct ask a;

	/* Before the socket is accepted, with the setup owed, with a call owed. */
	for (int turns = 0; turns < 6; turns++) {
		liar_open();
		pool = test_open((struct pool_conf){ .max = 1, .min = 1 });
		ask_init(&a, pool, CALL_REDIS);
		ask_set(&a, "GET k");
		ask_submit(&a);
		for (int i = 0; i < turns; i++) {
			loop_turn(loop, 0);
			liar_step();
		}
		pool_close(&pool);
		assert_int_equal(a.call.rc, WEFT_CANCELED);
		ask_fini(&a);
		liar_close();
	}
	pool = test_open((struct pool_conf){ .max = 1, .min = 1, .url = "redis://localhost:1" });
	pool_close(&pool);
	back_run(loop);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(settings_are_checked),
		T(every_kind_of_reply_comes_back),
		T(error_reply_is_refused_with_code_and_text),
		T(thousand_commands_share_one_connection),
		T(big_values_pass_and_too_big_ones_fail_alone),
		T(array_of_a_million_fails_alone),
		T(reply_of_an_abandoned_call_reaches_nobody),
		T(databases_and_passwords_are_set_before_use),
		T(host_names_are_resolved),
		T(name_without_address_is_down),
		T(killed_server_is_told_and_found_again),
		T(stopped_server_meets_deadlines_and_breaker),
		T(monstrous_replies_end_the_connection),
		T(endless_length_meets_the_deadline),
		T(bytes_nobody_asked_for_end_the_connection),
		T(who_says_back_what_he_hears_is_no_redis),
		T(reply_too_many_never_reaches_the_next_call),
		T(reply_too_early_never_reaches_the_call),
		T(command_not_sent_goes_to_another_connection),
		T(answers_that_came_before_the_end_are_not_lost),
		T(reply_survives_every_split),
		T(asker_may_go_in_the_middle_of_its_reply),
		T(unfit_server_loses_the_connection),
		T(pool_may_close_at_any_moment),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	must(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/s", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_kill();
	unlink(path);
	rmdir(folder);
	return failed;
}
