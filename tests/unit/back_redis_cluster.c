/* SPDX-License-Identifier: ISC */
/*
 * A cluster of Redis: three real nodes, and a fourth as the first one's replica; and nodes that lie.
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

#include "back/redis/redis_key.h"
#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_liar.h"
#include "tests/unit/back_redis_many.h"

enum { NODES = 3, REPLICA = 3, KEYS = 3000 };

static char url[300];
static char id[MANY_MAX][48];
static struct liar liar[2];
static unsigned liars, liar_port[2];
static char lie[400];		/* of a liar, to GET */
static char map[400];		/* and to CLUSTER SLOTS */
static bool mute;		/* the first one says nothing more */
static char other_map[400];		/* to CLUSTER SLOTS, of the second alone; it answers GET with a value then */

/* ---- servers ---- */

static void
node_start(void)
{
	char file[32];
	unsigned i = many.count;
	const char *answer;

	snprintf(file, sizeof file, "nodes%u.conf", i);
	many_start((const char *const[]){ "--cluster-enabled", "yes", "--cluster-config-file", file, "--cluster-node-timeout", "500",
	    "--repl-diskless-sync-delay", "0", "--user", "bob", "on", ">p@w", "~*", "+@all", NULL });
	answer = many_say(i, "CLUSTER MYID");
	must(strncmp(answer, "$40\r\n", 5) == 0);
	snprintf(id[i], sizeof id[i], "%.40s", answer + 5);
}

/* The node that a slot begins with. */
static unsigned
node_of(const char *key)
{
	unsigned slot = redis_key_slot(span_str(key));

	return slot < 5461 ? 0 : slot < 10923 ? 1 : 2;
}

static void
cluster_start(bool has_replica)
{
	static const char *const range[] = { "0 5460", "5461 10922", "10923 16383" };

	for (unsigned i = 0; i < (has_replica ? NODES + 1U : NODES); i++)
		node_start();
	for (unsigned i = 0; i < NODES; i++)
		many_say(i, "CLUSTER ADDSLOTSRANGE %s", range[i]);
	for (unsigned i = 1; i < many.count; i++)
		many_say(i, "CLUSTER MEET 127.0.0.1 %u", many.port[0]);
	for (unsigned i = 0; i < NODES; i++)
		many_await(i, "CLUSTER INFO", "cluster_state:ok");
	if (!has_replica)
		return;
	many_await(REPLICA, "CLUSTER INFO", "cluster_state:ok");
	many_await(REPLICA, "CLUSTER NODES", id[0]);
	many_say(REPLICA, "CLUSTER REPLICATE %s", id[0]);
	many_await(REPLICA, "INFO replication", "master_link_status:up");
	many_await(0, "INFO replication", "connected_slaves:1");
	for (unsigned i = 1; i < NODES; i++) {
		char words[80];

		snprintf(words, sizeof words, "CLUSTER REPLICAS %s", id[0]);
		many_await(i, words, id[REPLICA]);
	}
}

static const char *
cluster_url(void)
{
	/* Nobody is at the first. */
	snprintf(url, sizeof url, "redis+cluster://bob:p%%40w@127.0.0.1:1,127.0.0.1:%u,localhost:%u", many.port[0], many.port[1]);
	return url;
}

/* The number that stands behind this word in what INFO says; 0: it is not there. */
static unsigned
node_count(unsigned i, const char *section, const char *word)
{
	const char *at = strstr(many_say(i, "INFO %s", section), word);

	return at == NULL ? 0 : (unsigned)strtoul(at + strlen(word), NULL, 10);
}

static unsigned
nodes_count(const char *section, const char *word)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < NODES; i++)
		sum += node_count(i, section, word);
	return sum;
}

/* ---- many calls at once ---- */

static struct ask *
crowd_begin(unsigned n, const char *fmt)
{
	struct ask *a = calloc(n, sizeof *a);

	must(a != NULL);
	for (unsigned i = 0; i < n; i++) {
		ask_init(&a[i], many.pool, CALL_REDIS);
		must(redis_command_format(&a[i].arena, &a[i].call.redis, fmt, i, i) == WEFT_OK);
		ask_start(&a[i], many.loop);
	}
	return a;
}

static void
crowd_await(struct ask *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_true(back_run_until(many.loop, ask_is_done, &a[i], MANY_SOON));
}

static void
crowd_end(struct ask **ap, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ask_fini(&(*ap)[i]);
	free(*ap);
	*ap = NULL;
}

static void
set_keys(void)
{
	struct ask *a = crowd_begin(KEYS, "SET key:%u value:%u");

	crowd_await(a, KEYS);
	for (unsigned i = 0; i < KEYS; i++)
		if (a[i].rc != WEFT_OK)
			fail_msg("key %u: %s", i, a[i].fault.text);
	crowd_end(&a, KEYS);
}

static void
get_keys(void)
{
	struct ask *a = crowd_begin(KEYS, "GET key:%u");
	char value[24];

	crowd_await(a, KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		if (a[i].rc != WEFT_OK)
			fail_msg("key %u: %s", i, a[i].fault.text);
		snprintf(value, sizeof value, "value:%u", i);
		assert_int_equal(a[i].call.reply->kind, REPLY_TEXT);
		assert_string_equal(a[i].call.reply->text.at, value);
	}
	crowd_end(&a, KEYS);
}

/* ---- liars ---- */

static void
liar_hear(struct liar_peer *p)
{
	const struct {
		const char *word;
		const char *answer;
	} answers[] = { { "MYID", p->liar == &liar[0] ? "$2\r\nme\r\n" : "$3\r\nyou\r\n" },
		{ "SLOTS", p->liar == &liar[1] && other_map[0] != '\0' ? other_map : map }, { "ASKING", "+OK\r\n" },
		{ "GET", p->liar == &liar[1] && other_map[0] != '\0' ? "$1\r\ny\r\n" : lie }, { "PING", "+PONG\r\n" } };
	const char *at = p->in.at, *best = NULL, *end = p->in.at + p->in.len;
	size_t which = 0;

	while (p->fd >= 0 && at < end && !(mute && p->liar == &liar[0])) {
		best = NULL;
		for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
			const char *found = memmem(at, (size_t)(end - at), answers[i].word, strlen(answers[i].word));

			if (found != NULL && (best == NULL || found < best)) {
				best = found;
				which = i;
			}
		}
		if (best == NULL)
			break;
		liar_say(p, span_str(answers[which].answer));
		at = best + strlen(answers[which].word);
	}
	buf_consume(&p->in, p->in.len);
}

static void
liars_start(void)
{
	while (liars < 2) {
		liar_port[liars] = liar_open_tcp(&liar[liars], many.loop, liar_hear);
		liars++;
	}
	snprintf(map, sizeof map, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nme\r\n", liar_port[0]);
	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u", liar_port[0]);
}

static int
test_begin(void **state)
{
	liars = 0;
	lie[0] = map[0] = other_map[0] = '\0';
	mute = false;
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

/* The fault of a call has this word. */
static void
expect_fault(const char *word, enum weft_rc rc)
{
	struct ask a;

	many_open((struct pool_conf){ .url = url, .max = 1, .queue_timeout = 700 * USEC_PER_MSEC, .connect_timeout = 400 * USEC_PER_MSEC });
	assert_int_equal(many_once(&a, "GET k"), rc);
	print_message("# %s\n", a.fault.text);
	if (strstr(a.fault.text, word) == NULL)
		fail_msg("no \"%s\" in it", word);
	ask_fini(&a);
	pool_close(&many.pool);
}

/* ---- tests ---- */

static void
settings_are_checked(void **state)
{
	static const char *const good[] = { "redis+cluster://h", "redis+cluster://u:p@h:1,[::1]:2,g/" };
	static const struct {
		const char *url, *word;
	} bad[] = { { "redis+cluster://", "nodes" }, { "redis+cluster:///", "nodes" }, { "redis+cluster://h/1", "numbers" },
		{ "redis+cluster://h,/", "empty" }, { "redis+cluster://h?a=1", "parameters" }, { "redis+cluster://u@h", "password" },
		{ "redis+cluster://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "16" } };
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

static void
keys_go_to_their_nodes(void **state)
{
	struct pool_stat stat;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 2 });
	set_keys();
	get_keys();
	assert_int_equal(nodes_count("errorstats", "errorstat_MOVED:count="), 0);
	assert_int_equal(nodes_count("commandstats", "cmdstat_get:calls="), KEYS);
	for (unsigned i = 0; i < NODES; i++) {
		assert_true(node_count(i, "commandstats", "cmdstat_get:calls=") > KEYS / 5);
		assert_int_equal(node_count(i, "keyspace", "db0:keys="), node_count(i, "commandstats", "cmdstat_set:calls="));
		/* And the one that asks this. */
		assert_true(node_count(i, "clients", "connected_clients:") <= 2 + 1);
	}
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.failed, 0);
	assert_false(pool_can_lend(many.pool));
}

/* How many connections the liars have seen at once, at most. */
static unsigned liar_most[2];

static void
liar_greet(struct liar_peer *p)
{
	unsigned which = p->liar == &liar[1], now = 0;
	struct liar_peer *other;

	TAILQ_FOREACH(other, &p->liar->peers, link)
		now += other->fd >= 0;
	if (now > liar_most[which])
		liar_most[which] = now;
}

static void
each_node_sees_max_connections_at_most(void **state)
{
	struct pool_stat stat;
	struct ask *a;
	usec end;

	liars_start();
	liar[0].greet = liar[1].greet = liar_greet;
	liar_most[0] = liar_most[1] = 0;
	snprintf(map, sizeof map,
	    "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nme\r\n"
	    "*3\r\n:8192\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\nyou\r\n",
	    liar_port[0], liar_port[1]);
	snprintf(lie, sizeof lie, "$1\r\nx\r\n");
	/* They are replaced all the time. */
	many_open((struct pool_conf){ .url = url, .max = 1, .max_lifetime = 20 * USEC_PER_MSEC });
	end = clock_now() + MANY_SOON;
	do {
		a = crowd_begin(200, "GET key:%u");
		crowd_await(a, 200);
		for (unsigned i = 0; i < 200; i++)
			if (a[i].rc != WEFT_OK)
				fail_msg("%u: %s", i, a[i].fault.text);
		crowd_end(&a, 200);
		pool_stat(many.pool, &stat);
	} while (stat.aged <= 30 && clock_now() < end);
	assert_true(stat.aged > 30);
	assert_true(liar[1].accepted > 20);
	assert_int_equal(liar_most[0], 1);
	assert_int_equal(liar_most[1], 1);
}

static void
idle_node_is_asked_for_a_sign_of_life(void **state)
{
	unsigned pings;
	struct ask a;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1, .connect_timeout = 400 * USEC_PER_MSEC });
	many_expect("OK", "SET foo x");
	many_expect("OK", "SET hello x");
	pings = node_count(2, "commandstats", "cmdstat_ping:calls=");
	many_expect("x", "GET foo");
	assert_int_equal(node_count(2, "commandstats", "cmdstat_ping:calls="), pings);
	back_skip(31 * USEC_PER_SEC);
	many_expect("x", "GET foo");
	assert_int_equal(node_count(2, "commandstats", "cmdstat_ping:calls="), pings + 1);
	/* One that hangs is told from the others. */
	kill(many.pid[2], SIGSTOP);
	back_skip(31 * USEC_PER_SEC);
	many_expect("x", "GET hello");
	assert_int_equal(many_once(&a, "GET foo"), WEFT_DOWN);
	assert_non_null(strstr(a.fault.text, "no answer in time"));
	ask_fini(&a);
	many_expect("x", "GET hello");
	kill(many.pid[2], SIGCONT);
	many_until_ok(10 * USEC_PER_SEC, "GET foo");
}

static void
what_belongs_to_no_node_or_to_several(void **state)
{
	struct ask a;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	many_expect("PONG", "PING");
	many_expect("OK", "MSET {t}a 1 {t}b 2");
	many_expect("2", "EVAL %s 2 {t}a {t}b", "return redis.call('GET', KEYS[2])");
	assert_int_equal(many_once(&a, "MGET a b"), WEFT_INVALID);
	assert_non_null(strstr(a.fault.text, "several slots"));
	ask_fini(&a);
	assert_int_equal(many_once(&a, "SELECT 1"), WEFT_INVALID);
	ask_fini(&a);
	assert_int_equal(many_once(&a, "LPUSH {t}a x"), WEFT_REFUSED);
	assert_string_equal(a.fault.code, "WRONGTYPE");
	ask_fini(&a);
	many_expect("2", "GET {t}b");
	many_expect("bob", "ACL WHOAMI");
	pool_close(&many.pool);
	snprintf(url, sizeof url, "redis+cluster://bob:no@127.0.0.1:%u", many.port[0]);
	expect_fault("WRONGPASS", WEFT_DOWN);
}

/* Calls that begin one after the other while a slot moves. */
static struct {
	struct ask *ask;
	unsigned count, next;
} moving;

static void
moving_begin(unsigned n, const char *fmt)
{
	moving.ask = calloc(n, sizeof *moving.ask);
	must(moving.ask != NULL);
	moving.count = n;
	moving.next = 0;
	for (unsigned i = 0; i < n; i++) {
		ask_init(&moving.ask[i], many.pool, CALL_REDIS);
		must(redis_command_format(&moving.ask[i].arena, &moving.ask[i].call.redis, fmt, i, i) == WEFT_OK);
	}
}

static void
moving_start(unsigned n)
{
	for (; n > 0 && moving.next < moving.count; n--)
		ask_start(&moving.ask[moving.next++], many.loop);
	loop_turn(many.loop, 0);
}

/* Move a slot with all that is in it, key by key; between them calls begin, and the loop turns. */
static void
migrate(const char *key, unsigned from, unsigned to)
{
	unsigned slot = redis_key_slot(span_str(key)), epoch;
	char *at, found[64];

	many_say(to, "CLUSTER SETSLOT %u IMPORTING %s", slot, id[from]);
	many_say(from, "CLUSTER SETSLOT %u MIGRATING %s", slot, id[to]);
	for (;;) {
		const char *answer = many_say(from, "CLUSTER GETKEYSINSLOT %u 1", slot);

		at = strstr(answer, "\r\n$");
		if (answer[1] == '0' || at == NULL)
			break;
		at = strstr(at + 2, "\r\n") + 2;
		snprintf(found, sizeof found, "%.*s", (int)strcspn(at, "\r"), at);
		moving_start(1);
		many_say(from, "MIGRATE 127.0.0.1 %u %s 0 5000", many.port[to], found);
		moving_start(1);
	}
	many_say(to, "CLUSTER SETSLOT %u NODE %s", slot, id[to]);
	for (unsigned i = 0; i < NODES; i++)
		many_say(i, "CLUSTER SETSLOT %u NODE %s", slot, id[to]);
	/* Before all have heard of it, the next move might confuse them. */
	epoch = (unsigned)strtoul(strstr(many_say(to, "CLUSTER INFO"), "cluster_my_epoch:") + strlen("cluster_my_epoch:"), NULL, 10);
	snprintf(found, sizeof found, "cluster_current_epoch:%u\r", epoch);
	for (unsigned i = 0; i < NODES; i++)
		many_await(i, "CLUSTER INFO", found);
}

static void
slots_move_while_requests_run(void **state)
{
	struct ask *a;
	unsigned asked;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	set_keys();
	/* Of these all are in one slot. */
	a = crowd_begin(400, "SET {same}%u old%u");
	crowd_await(a, 400);
	crowd_end(&a, 400);
	for (unsigned i = 0; i < 8; i++) {
		char key[24];

		snprintf(key, sizeof key, "key:%u", i * 7);
		migrate(key, node_of(key), (node_of(key) + 1) % NODES);
	}
	get_keys();
	moving_begin(800, "SETRANGE {same}%u 0 new%u");
	migrate("same", node_of("same"), (node_of("same") + 1) % NODES);
	moving_start(800);
	crowd_await(moving.ask, 800);
	for (unsigned i = 0; i < 800; i++) {
		if (moving.ask[i].rc != WEFT_OK)
			fail_msg("%u: %s", i, moving.ask[i].fault.text);
	}
	crowd_end(&moving.ask, 800);
	moving.count = 0;
	assert_int_equal(node_count((node_of("same") + 1) % NODES, "commandstats", "cmdstat_setrange:calls=") +
	    node_count(node_of("same"), "commandstats", "cmdstat_setrange:calls="), 800);
	for (unsigned i = 0; i < 800; i += 50) {
		char value[16], command[32];

		snprintf(value, sizeof value, "new%u", i);
		snprintf(command, sizeof command, "GET {same}%u", i);
		many_expect(value, command, 0);
	}
	asked = nodes_count("errorstats", "errorstat_ASK:count=");
	print_message("# %u MOVED, %u ASK\n", nodes_count("errorstats", "errorstat_MOVED:count="), asked);
	/* What was in the middle of its move. */
	many_expect("OK", "MSET {half}a 1 {half}b 2");
	many_say((node_of("half") + 1) % NODES, "CLUSTER SETSLOT %u IMPORTING %s", redis_key_slot(SPAN("half")), id[node_of("half")]);
	many_say(node_of("half"), "CLUSTER SETSLOT %u MIGRATING %s", redis_key_slot(SPAN("half")), id[(node_of("half") + 1) % NODES]);
	many_say(node_of("half"), "MIGRATE 127.0.0.1 %u {half}a 0 5000", many.port[(node_of("half") + 1) % NODES]);
	many_expect("1", "GET {half}a");
	many_expect("2", "GET {half}b");
	assert_true(nodes_count("errorstats", "errorstat_ASK:count=") > asked);
	/* Two keys of which one has gone are put off until the other has, too; not for ever. */
	a = crowd_begin(1, "MGET {half}a {half}b");
	back_run(many.loop);
	migrate("half", node_of("half"), (node_of("half") + 1) % NODES);
	crowd_await(a, 1);
	assert_int_equal(a->rc, WEFT_OK);
	assert_string_equal(a->call.reply->element[1]->text.at, "2");
	crowd_end(&a, 1);
}

static void
node_that_dies_takes_its_slots_only(void **state)
{
	unsigned ok = 0, down = 0, own = 0;
	char keys[32];
	struct pool_stat stat;
	struct ask *a;

	cluster_start(true);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	set_keys();
	snprintf(keys, sizeof keys, "db0:keys=%u,", node_count(0, "keyspace", "db0:keys="));
	many_await(REPLICA, "INFO keyspace", keys);
	many_kill(0);
	a = crowd_begin(KEYS / 10, "GET key:%u");
	crowd_await(a, KEYS / 10);
	for (unsigned i = 0; i < KEYS / 10; i++) {
		char key[24];

		snprintf(key, sizeof key, "key:%u", i);
		own += node_of(key) == 0;
		ok += a[i].rc == WEFT_OK;
		down += a[i].rc == WEFT_DOWN || a[i].rc == WEFT_UNKNOWN;
		if (a[i].rc != WEFT_OK && node_of(key) != 0)
			fail_msg("%s: %s", key, a[i].fault.text);
		if (a[i].rc == WEFT_DOWN)
			assert_non_null(strstr(a[i].fault.text, "node 127.0.0.1:"));
	}
	crowd_end(&a, KEYS / 10);
	assert_int_equal(ok + down, KEYS / 10);
	assert_int_equal(down, own);
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.down, 0);
	assert_int_equal(stat.breaks, 0);
	/* The replica takes over. */
	assert_int_equal(node_of("foo{}{bar}"), 1);
	assert_int_equal(node_of("hello"), 0);
	print_message("# %u attempts until the replica serves\n", many_until_ok(15 * USEC_PER_SEC, "SET hello again"));
	get_keys();
	assert_non_null(strstr(many_say(REPLICA, "GET hello"), "again"));
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.breaks, 0);
}

static void
node_that_hangs_takes_its_slots_only(void **state)
{
	struct ask *a;
	usec began;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1, .call_timeout = USEC_PER_SEC, .connect_timeout = 500 * USEC_PER_MSEC });
	set_keys();
	kill(many.pid[2], SIGSTOP);
	a = crowd_begin(300, "GET key:%u");
	crowd_await(a, 300);
	for (unsigned i = 0; i < 300; i++) {
		char key[24];

		snprintf(key, sizeof key, "key:%u", i);
		if ((a[i].rc == WEFT_OK) != (node_of(key) != 2))
			fail_msg("%s: %s", key, a[i].fault.text);
	}
	crowd_end(&a, 300);
	/* Then it is known, and others do not wait so long; at most for one more attempt to connect. */
	back_run(many.loop);
	began = clock_now();
	a = crowd_begin(300, "GET key:%u");
	crowd_await(a, 300);
	assert_true(clock_now() - began < 900 * USEC_PER_MSEC);
	crowd_end(&a, 300);
	kill(many.pid[2], SIGCONT);
	/* The others may have thought that it has failed. */
	for (unsigned i = 0; i < NODES; i++)
		many_await(i, "CLUSTER INFO", "cluster_state:ok");
	many_until_ok(5 * USEC_PER_SEC, "GET foo");
	loop_turn(many.loop, 0);
	get_keys();
}

/* Ask what is for one node alone, more than a connection carries. */
static void
node_that_hangs_does_not_take_all_of_a_connection(void **state)
{
	enum { SHARE = 256, MANY = 2000 };	/* what a silent node gets of a connection; and more than that carries */
	struct ask *a, *more;
	unsigned busy = 0;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1, .call_timeout = 2 * USEC_PER_SEC });
	many_expect("OK", "SET foo x");
	many_expect("OK", "SET hello x");
	assert_int_equal(node_of("foo"), 2);
	kill(many.pid[2], SIGSTOP);
	a = crowd_begin(SHARE, "GET {foo}%u");
	for (int i = 0; i < 60; i++)
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	more = crowd_begin(MANY, "GET {foo}%u");
	many_expect("x", "GET hello");
	crowd_await(more, MANY);
	for (unsigned i = 0; i < MANY; i++)
		busy += more[i].rc == WEFT_BUSY;
	assert_int_equal(busy, MANY);
	many_expect("x", "GET hello");
	kill(many.pid[2], SIGCONT);
	crowd_await(a, SHARE);
	for (unsigned i = 0; i < SHARE; i++)
		assert_int_equal(a[i].rc, WEFT_OK);
	crowd_end(&more, MANY);
	crowd_end(&a, SHARE);
}

/*
 * Stop a node, and let six calls for a key of its be given up early, who say that it is silent.  One more waits for longer, so that the
 * connection stays.  Returns that one: crowd_await and crowd_end it.
 */
static struct ask *
node_falls_silent(int node, const char *key)
{
	char get[40], set[40];
	struct ask *early, *patient;

	snprintf(get, sizeof get, "GET {%s}%%u", key);
	snprintf(set, sizeof set, "SETNX {%s} y", key);
	kill(many.pid[node], SIGSTOP);
	early = crowd_begin(6, get);
	patient = crowd_begin(1, set);
	for (int i = 0; i < 60; i++)
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	for (unsigned i = 0; i < 6; i++)
		call_abandon(&early[i].call, WEFT_TIMEOUT);
	crowd_await(early, 6);
	crowd_end(&early, 6);
	return patient;
}

/* The node goes on, and who has waited gets his answer. */
static void
node_speaks_again(int node, struct ask *patient)
{
	kill(many.pid[node], SIGCONT);
	crowd_await(patient, 1);
	assert_int_equal(patient->rc, WEFT_OK);
	crowd_end(&patient, 1);
}

/* Those that are given up early say that it is silent: who comes later is told so at once, who waits longer gets his answer. */
static void
silent_node_is_asked_nothing_more(void **state)
{
	struct ask *patient, a;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	many_expect("OK", "SET foo x");
	many_expect("OK", "SET hello x");
	patient = node_falls_silent(2, "foo");
	assert_int_equal(many_once(&a, "GET foo"), WEFT_DOWN);
	assert_non_null(strstr(a.fault.text, "it does not answer"));
	ask_fini(&a);
	many_expect("x", "GET hello");
	/* Longer than a node is kept that nobody waits for. */
	for (int i = 0; i < 300; i++)
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	node_speaks_again(2, patient);
	many_until_ok(10 * USEC_PER_SEC, "GET foo");
}

/* What has no key is for any node, and there are others. */
static void
silent_node_is_not_asked_what_any_can_answer(void **state)
{
	struct ask *patient;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	many_expect("OK", "SET hello x");
	many_expect("OK", "SET foo x");
	assert_int_equal(node_of("hello"), 0);
	patient = node_falls_silent(0, "hello");
	many_expect("PONG", "PING");
	node_speaks_again(0, patient);
}

/* The only node that there is a connection to has gone somewhere else while nothing was asked, without a word: the URL knows others. */
static void
node_that_has_moved_is_found_by_the_others(void **state)
{
	struct pool_stat stat;
	struct ask a;

	liars_start();
	snprintf(lie, sizeof lie, "$1\r\nx\r\n");
	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u", liar_port[0], liar_port[1]);
	many_open((struct pool_conf){ .url = url, .max = 1, .connect_timeout = USEC_PER_SEC });
	many_expect("x", "GET k");
	assert_int_equal(liar[0].accepted, 1);
	assert_int_equal(liar[1].accepted, 0);
	mute = true;
	snprintf(map, sizeof map, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\nyou\r\n", liar_port[1]);
	back_skip(31 * USEC_PER_SEC);
	for (int i = 0; i < 20; i++) {
		many_once(&a, "GET k");
		ask_fini(&a);
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	}
	many_until_ok(MANY_SOON, "GET k");
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.breaks, 0);
	many_expect("x", "GET k");
	/* And one is enough. */
	assert_int_equal(liar[1].accepted, 1);
}

/* It says that the cluster is down, and knows no better; the others have given its slots to another one. */
static void
node_that_is_cut_off_is_not_asked_for_the_map(const char *before, const char *answer)
{
	liars_start();
	snprintf(map, sizeof map,
	    "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nme\r\n"
	    "*3\r\n:8192\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\nyou\r\n",
	    liar_port[0], liar_port[1]);
	snprintf(other_map, sizeof other_map, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\nyou\r\n", liar_port[1]);
	snprintf(lie, sizeof lie, "-CLUSTERDOWN The cluster is down\r\n");
	many_open((struct pool_conf){ .url = url, .max = 1 });
	many_expect(answer, before, 0);
	back_skip(2 * USEC_PER_SEC);
	assert_true(many_until_ok(4 * USEC_PER_SEC, "GET k") > 1);
	many_expect("y", "GET k");
	assert_int_equal(liar[0].accepted, 1);
	assert_int_equal(liar[1].accepted, 1);
}

static void
node_that_is_cut_off_is_not_believed(void **state)
{
	node_that_is_cut_off_is_not_asked_for_the_map("PING", "PONG");
}

static void
node_that_is_cut_off_is_not_believed_but_others_are(void **state)
{
	assert_true(redis_key_slot(SPAN("foo")) > 8191 && redis_key_slot(SPAN("k")) < 8192);
	node_that_is_cut_off_is_not_asked_for_the_map("GET foo", "y");
}

static void
all_of_it_dies_and_comes_back(void **state)
{
	struct pool_stat stat;
	struct ask a;

	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1, .backoff = 300 * USEC_PER_MSEC });
	set_keys();
	for (unsigned i = 0; i < NODES; i++)
		many_kill(i);
	for (int i = 0; i < 40; i++) {
		assert_int_not_equal(many_once(&a, "GET hello"), WEFT_OK);
		ask_fini(&a);
		loop_turn(many.loop, 30 * USEC_PER_MSEC);
	}
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.down, 1);
	for (unsigned i = 0; i < NODES; i++)
		many_restart(i);
	for (unsigned i = 0; i < NODES; i++)
		many_await(i, "CLUSTER INFO", "cluster_state:ok");
	many_until_ok(10 * USEC_PER_SEC, "SET hello x");
	many_until_ok(10 * USEC_PER_SEC, "SET foo x");
	many_until_ok(10 * USEC_PER_SEC, "SET bar x");
	set_keys();
	get_keys();
}

static void
errors_say_what_is_wrong(void **state)
{
	many_start((const char *const[]){ NULL });
	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u,127.0.0.1:1", many.port[0]);
	expect_fault("cluster support disabled", WEFT_DOWN);
	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:1,localhost:1");
	expect_fault("Connection refused", WEFT_DOWN);
	many_start((const char *const[]){ "--cluster-enabled", "yes", "--cluster-config-file", "alone.conf", NULL });
	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u", many.port[1]);
	expect_fault("no node that has slots", WEFT_DOWN);
	liars_start();
	snprintf(lie, sizeof lie, "-MOVED 5 127.0.0.1:%u\r\n", liar_port[0]);
	expect_fault("passed on from node to node 5 times, then", WEFT_REFUSED);
	snprintf(lie, sizeof lie, "-ASK 5 127.0.0.1:%u\r\n", liar_port[0]);
	expect_fault("passed on from node to node 5 times, then", WEFT_REFUSED);
	/* To and fro. */
	snprintf(lie, sizeof lie, "-MOVED 5 127.0.0.1:%u\r\n", liar_port[1]);
	expect_fault("passed on from node to node 5 times, then", WEFT_REFUSED);
	snprintf(lie, sizeof lie, "-MOVED 5 127.0.0.1:1\r\n");
	expect_fault("node 127.0.0.1:1: Connection refused", WEFT_DOWN);
	snprintf(lie, sizeof lie, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
	expect_fault("TRYAGAIN Multiple keys", WEFT_REFUSED);
	snprintf(lie, sizeof lie, "-CLUSTERDOWN Hash slot not served\r\n");
	expect_fault("CLUSTERDOWN Hash slot", WEFT_DOWN);
	snprintf(lie, sizeof lie, "-MOVED nonsense\r\n");
	expect_fault("MOVED nonsense", WEFT_REFUSED);
	snprintf(map, sizeof map, "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nh\r\n:1\r\n");
	expect_fault("no node that has slots", WEFT_DOWN);
	snprintf(map, sizeof map, "*1\r\n*3\r\n:0\r\n:5\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nme\r\n", liar_port[0]);
	expect_fault("is known to have slot 7629", WEFT_DOWN);
	map[0] = '\0';
	expect_fault("no answer in time", WEFT_DOWN);
}

static void
calls_are_given_up_wherever_they_are(void **state)
{
	struct ask *a;

	/* Some nodes are connected to, others not yet; half of the calls are given up, and their replies do not confuse the others. */
	cluster_start(false);
	many_open((struct pool_conf){ .url = cluster_url(), .max = 1 });
	many_expect("PONG", "PING");
	a = crowd_begin(600, "SET key:%u value:%u");
	back_run(many.loop);
	for (unsigned i = 0; i < 600; i += 2)
		call_abandon(&a[i].call, WEFT_CANCELED);
	crowd_await(a, 600);
	for (unsigned i = 0; i < 600; i++)
		assert_true(a[i].rc == WEFT_OK || i % 2 == 0);
	crowd_end(&a, 600);
	/* While they are put off. */
	liars_start();
	pool_close(&many.pool);
	snprintf(lie, sizeof lie, "-TRYAGAIN later\r\n");
	many_open((struct pool_conf){ .url = url, .max = 1 });
	many_expect("PONG", "PING");
	a = crowd_begin(10, "GET %u");
	for (int i = 0; i < 5; i++)
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	for (unsigned i = 0; i < 10; i += 2)
		call_abandon(&a[i].call, WEFT_CANCELED);
	crowd_await(a, 10);
	crowd_end(&a, 10);
	/* And while the pool closes. */
	a = crowd_begin(10, "GET %u");
	for (int i = 0; i < 5; i++)
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	pool_close(&many.pool);
	crowd_await(a, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(a[i].rc, WEFT_CANCELED);
	crowd_end(&a, 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_are_checked),
		TEST(errors_say_what_is_wrong),
		TEST(keys_go_to_their_nodes),
		TEST(each_node_sees_max_connections_at_most),
		TEST(idle_node_is_asked_for_a_sign_of_life),
		TEST(what_belongs_to_no_node_or_to_several),
		TEST(slots_move_while_requests_run),
		TEST(calls_are_given_up_wherever_they_are),
		TEST(node_that_dies_takes_its_slots_only),
		TEST(node_that_hangs_takes_its_slots_only),
		TEST(node_that_hangs_does_not_take_all_of_a_connection),
		TEST(silent_node_is_asked_nothing_more),
		TEST(silent_node_is_not_asked_what_any_can_answer),
		TEST(node_that_has_moved_is_found_by_the_others),
		TEST(node_that_is_cut_off_is_not_believed),
		TEST(node_that_is_cut_off_is_not_believed_but_others_are),
		TEST(all_of_it_dies_and_comes_back),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(200);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
