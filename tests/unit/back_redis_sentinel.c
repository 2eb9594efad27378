/* SPDX-License-Identifier: ISC */
/*
 * Redis with sentinels: real ones that watch a master with a replica; and some that lie, are silent, or know nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
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

enum { MASTER, REPLICA, SENTINEL };	/* the servers' numbers; SENTINEL and the two behind it */

static char url[300];
static struct liar liar[3];
static unsigned liars;
static struct span lie;		/* to SENTINEL */
static char truth[80];		/* to the same, of the last of them */
static struct span role;	/* to ROLE */

/* ---- servers ---- */

static void
sentinel_start(void)
{
	char conf[128];
	unsigned i = many.count;
	int fd;

	snprintf(conf, sizeof conf, "%s/sentinel%u.conf", many.dir, i);
	fd = open(conf, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0);
	dprintf(fd,
	    "sentinel monitor mine 127.0.0.1 %u 2\nsentinel down-after-milliseconds mine 400\n"
	    "sentinel failover-timeout mine 3000\n",
	    many.port[MASTER]);
	close(fd);
	many_start((const char *const[]){ conf, "--sentinel", NULL });
}

/* A master with a replica, and three sentinels that know of both and of each other. */
static void
sentinels_start(void)
{
	char port[8];

	many_start((const char *const[]){ "--repl-diskless-sync-delay", "0", NULL });
	snprintf(port, sizeof port, "%u", many.port[MASTER]);
	many_start((const char *const[]){ "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", port, NULL });
	many_await(REPLICA, "INFO replication", "master_link_status:up");
	for (int i = 0; i < 3; i++)
		sentinel_start();
	for (unsigned i = SENTINEL; i < SENTINEL + 3; i++) {
		many_await(i, "SENTINEL master mine", "num-slaves\r\n$1\r\n1");
		many_await(i, "SENTINEL master mine", "num-other-sentinels\r\n$1\r\n2");
	}
}

static const char *
sentinels_url(const char *name)
{
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u,localhost:%u,127.0.0.1:%u/%s", many.port[SENTINEL],
	    many.port[SENTINEL + 1], many.port[SENTINEL + 2], name);
	return url;
}

/* Says nothing, whatever it is asked. */
static void
liar_hear_nothing(struct liar_peer *p)
{
	buf_consume(&p->in, p->in.len);
}

/* Says the lies; to what else is asked, PONG. */
static void
liar_hear(struct liar_peer *p)
{
	const char *at = p->in.at;
	size_t len = p->in.len;

	if (at == NULL || len == 0)
		return;
	if (memmem(at, len, "SENTINEL", 8) != NULL)
		liar_say(p, p->liar == &liar[2] ? span_str(truth) : lie);
	if (memmem(at, len, "ROLE", 4) != NULL)
		liar_say(p, role);
	if (memmem(at, len, "PING", 4) != NULL)
		liar_say(p, SPAN("+PONG\r\n"));
	buf_consume(&p->in, len);
}

static unsigned
liar_start(void)
{
	return liar_open_tcp(&liar[liars++], many.loop, liar_hear);
}

/* A span of "host:port" as a sentinel says it; static. */
static struct span
lie_of(unsigned port)
{
	static char text[80];
	char digits[8];
	int n = snprintf(digits, sizeof digits, "%u", port);

	snprintf(text, sizeof text, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", n, digits);
	return span_str(text);
}

static int
test_begin(void **state)
{
	liars = 0;
	lie = SPAN("*-1\r\n");
	role = SPAN("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
	return many_begin(state);
}

static int
test_end(void **state)
{
	pool_close(&many.pool);
	for (unsigned i = 0; i < liars; i++)
		liar_close(&liar[i]);
	return many_end(state);
}

/* ---- tests ---- */

static void
settings_are_checked(void **state)
{
	static const char *const good[] = { "redis+sentinel://h/m", "redis+sentinel://h:1,[::1]:2,g/m/3",
		"redis+sentinel://u:p@h,g/m?sentinel_password=x&sentinel_user=y" };
	static const struct {
		const char *url, *word;
	} bad[] = { { "redis+sentinel:///m", "sentinels" }, { "redis+sentinel://h", "name" }, { "redis+sentinel://h/", "name" },
		{ "redis+sentinel://h,/m", "empty" }, { "redis+sentinel://h,,g/m", "empty" }, { "redis+sentinel://h:0,g/m", "port" },
		{ "redis+sentinel://h/m/x", "database" }, { "redis+sentinel://h/m?db=1", "sentinel_password" },
		{ "redis+sentinel://h/m?sentinel_user=x", "sentinel_password" }, { "redis+sentinel://u@h/m", "password" },
		{ "redis+sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/m", "16" } };
	struct pool_conf conf = { .name = "cache" };
	char error[300];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		conf.url = good[i];
		if (pool_check(&conf, error, sizeof error) != WEFT_OK)
			fail_msg("%s", error);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		conf.url = bad[i].url;
		assert_int_equal(pool_check(&conf, error, sizeof error), WEFT_INVALID);
		if (strstr(error, bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].url, error);
	}
}

/* A counter is raised all the time while the master dies: none that was acknowledged and had reached the replica is lost, and none is raised twice. */
static void
new_master_is_found_when_the_old_one_dies(void **state)
{
	unsigned acknowledged = 0, unknown = 0;
	long long value;
	struct ask a;
	usec died;

	sentinels_start();
	many_open((struct pool_conf){ .url = sentinels_url("mine/2"), .max = 2 });
	many_expect("OK", "SET before x");
	for (int i = 0; i < 200; i++) {
		acknowledged += many_once(&a, "INCR n") == WEFT_OK;
		ask_fini(&a);
	}
	assert_int_equal(acknowledged, 200);
	many_expect("OK", "SET mark %s", "here");
	many_say(MASTER, "WAIT 1 2000");
	many_await(REPLICA, "INFO keyspace", "db2:keys=3");
	many_kill(MASTER);
	died = clock_now();
	while (clock_now() - died < 8 * USEC_PER_SEC) {
		enum weft_rc rc = many_once(&a, "INCR n");

		acknowledged += rc == WEFT_OK;
		unknown += rc == WEFT_UNKNOWN;
		ask_fini(&a);
		if (rc == WEFT_OK)
			break;
		loop_turn(many.loop, 10 * USEC_PER_MSEC);
	}
	print_message("# on with the new master after %lld ms\n", (long long)((clock_now() - died) / USEC_PER_MSEC));
	assert_int_equal(many_once(&a, "INCR n"), WEFT_OK);
	value = a.call.reply->integer;
	ask_fini(&a);
	acknowledged++;
	assert_true(value >= acknowledged && value <= acknowledged + unknown);
	many_expect("x", "GET before");
}

static void
replica_is_not_used_when_roles_change_by_hand(void **state)
{
	sentinels_start();
	many_open((struct pool_conf){ .url = sentinels_url("mine"), .max = 1 });
	many_expect("OK", "SET k v");
	many_await(REPLICA, "INFO keyspace", "db0:keys=1");
	many_say(SENTINEL, "SENTINEL FAILOVER mine");
	many_await(REPLICA, "INFO replication", "role:master");
	many_await(MASTER, "INFO replication", "role:slave");
	many_until_ok(8 * USEC_PER_SEC, "SET k w");
	many_expect("w", "GET k");
	assert_non_null(strstr(many_say(REPLICA, "GET k"), "w\r\n"));
}

static void
first_sentinel_is_dead_and_the_second_knows_nothing(void **state)
{
	unsigned port;

	many_start((const char *const[]){ NULL });
	port = liar_start();
	lie = lie_of(many.port[MASTER]);
	/* A server that is no sentinel, where nobody listens, and one that knows. */
	many_start((const char *const[]){ NULL });
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:1,127.0.0.1:%u,localhost:%u/mine", many.port[1], port);
	many_open((struct pool_conf){ .url = url, .max = 1 });
	many_expect("OK", "SET k v");
	assert_int_equal(liar[0].accepted, 1);
	/* The one that was of use is asked first from now on. */
	many_say(MASTER, "CLIENT KILL TYPE normal");
	many_until_ok(2 * USEC_PER_SEC, "GET k");
	assert_int_equal(liar[0].accepted, 2);
	assert_non_null(strstr(many_say(1, "INFO stats"), "total_error_replies:1\r\n"));
}

/* Cut off from the others, it goes on to name a master that is silent: the next attempt begins with another sentinel. */
static void
sentinel_that_names_a_silent_master_is_not_asked_first_again(void **state)
{
	unsigned one, silent, other;

	many_start((const char *const[]){ NULL });
	one = liar_start();
	silent = liar_open_tcp(&liar[liars++], many.loop, liar_hear_nothing);
	other = liar_start();
	snprintf(truth, sizeof truth, "%s", lie_of(many.port[MASTER]).at);
	lie = lie_of(silent);
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/mine", one, other);
	many_open((struct pool_conf){ .url = url, .max = 1, .connect_timeout = 400 * USEC_PER_MSEC });
	many_until_ok(8 * USEC_PER_SEC, "SET k v");
	assert_true(liar[1].accepted >= 1);
}

/* The fault of a call that can have no connection has all these words. */
static void
expect_fault(const char *const *words)
{
	struct ask a;

	many_open((struct pool_conf){ .url = url, .max = 1, .queue_timeout = 700 * USEC_PER_MSEC, .connect_timeout = 400 * USEC_PER_MSEC });
	assert_int_equal(many_once(&a, "GET k"), WEFT_DOWN);
	for (; *words != NULL; words++)
		if (strstr(a.fault.text, *words) == NULL)
			fail_msg("no \"%s\" in: %s", *words, a.fault.text);
	print_message("# %s\n", a.fault.text);
	ask_fini(&a);
	pool_close(&many.pool);
}

static void
errors_say_what_is_wrong(void **state)
{
	unsigned mute, liar_port;

	mute = liar_open_tcp(&liar[liars++], many.loop, liar_hear);
	lie = SPAN("");
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u/mine", mute);
	expect_fault((const char *const[]){ "sentinel 127.0.0.1:", "no answer in time", NULL });
	liar_port = liar_start();
	lie = SPAN("*-1\r\n");
	/* What one says counts more than that another is gone. */
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u,127.0.0.1:1/nosuch", liar_port);
	expect_fault((const char *const[]){ "sentinel 127.0.0.1:", "knows no master \"nosuch\"", NULL });
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:1,localhost:1/mine");
	expect_fault((const char *const[]){ "sentinel ", "Connection refused", NULL });
	lie = SPAN("-NOAUTH Authentication required.\r\n");
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u/mine", liar_port);
	expect_fault((const char *const[]){ "sentinel 127.0.0.1:", "NOAUTH", NULL });
	lie = lie_of(1);
	expect_fault((const char *const[]){ "master 127.0.0.1:1 (by sentinel 127.0.0.1:", "Connection refused", NULL });
	lie = lie_of(liar_port);
	role = SPAN("*3\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n");
	expect_fault((const char *const[]){ "master 127.0.0.1:", "it is no master", NULL });
	role = SPAN("+OK\r\n");
	expect_fault((const char *const[]){ "master 127.0.0.1:", "does not say whether", NULL });
	role = SPAN("");
	expect_fault((const char *const[]){ "no answer in time", NULL });
}

static void
lies_of_a_sentinel_do_no_harm(void **state)
{
	static const char *const lies[] = { "*0\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "+OK\r\n", ":5\r\n",
		"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n", "*2\r\n*0\r\n*0\r\n",
		"*2\r\n$-1\r\n$-1\r\n", "*2\r\n:1\r\n:2\r\n" };
	unsigned port = liar_start();

	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u/mine", port);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		lie = span_str(lies[i]);
		expect_fault((const char *const[]){ "its answer is not the address of a master", NULL });
	}
}

static void
both_kinds_of_passwords_are_given(void **state)
{
	char conf[128];
	int fd;

	many_start((const char *const[]){ "--requirepass", "m@ster", NULL });
	snprintf(conf, sizeof conf, "%s/s.conf", many.dir);
	fd = open(conf, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0);
	dprintf(fd, "sentinel monitor mine 127.0.0.1 %u 1\nsentinel auth-pass mine m@ster\nrequirepass sent&nel\n", many.port[MASTER]);
	close(fd);
	many_start((const char *const[]){ conf, "--sentinel", NULL });
	snprintf(url, sizeof url, "redis+sentinel://:m%%40ster@127.0.0.1:%u/mine?sentinel_password=sent%%26nel", many.port[1]);
	many_open((struct pool_conf){ .url = url, .max = 1 });
	many_expect("OK", "SET k v");
	pool_close(&many.pool);
	snprintf(url, sizeof url, "redis+sentinel://:m%%40ster@127.0.0.1:%u/mine?sentinel_password=no", many.port[1]);
	expect_fault((const char *const[]){ "sentinel 127.0.0.1:", "WRONGPASS", NULL });
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_are_checked),
		TEST(errors_say_what_is_wrong),
		TEST(lies_of_a_sentinel_do_no_harm),
		TEST(first_sentinel_is_dead_and_the_second_knows_nothing),
		TEST(sentinel_that_names_a_silent_master_is_not_asked_first_again),
		TEST(both_kinds_of_passwords_are_given),
		TEST(new_master_is_found_when_the_old_one_dies),
		TEST(replica_is_not_used_when_roles_change_by_hand),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
