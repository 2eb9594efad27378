/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real PostgreSQL: transactions, and what a borrower leaves behind. */
#include "back_sql_kit.h"

#include <signal.h>
#include <unistd.h>

#include "back_cut.h"
#include "back_server.h"

/* Run a body on a fiber, with a pool of so many connections; of which it makes no more than so many. */
static void
with_pool(const char *url, unsigned max, unsigned connects, void (*body)(void *arg))
{
	struct pool_stat stat;
	struct kit k;

	kit_open(&k, url, max);
	kit_run(&k, body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.lent, 0);
	if (connects > 0)
		assert_int_equal(stat.connects, connects);
	kit_close(&k);
}

static pid_t
backend_of(struct kit_lease *l)
{
	struct kit_ask a;
	pid_t pid;

	assert_int_equal(kit_lease_ask(l, &a, "SELECT pg_backend_pid()"), WEFT_OK);
	pid = atoi(rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	return pid;
}

static void
tables_body(void *arg)
{
	kit_do(arg, "CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0))");
	kit_do(arg, "INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) i");
	kit_do(arg, "CREATE TABLE parent (id int PRIMARY KEY)");
	kit_do(arg, "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	kit_do(arg, "CREATE ROLE somebody");
}

static int
set_up(void **state)
{
	if (server_set_up(state) != 0)
		return -1;
	with_pool(server.url, 1, 1, tables_body);
	return 0;
}

/* ---- transactions ---- */

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "BEGIN");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = amount - 10 WHERE id = 1");
	kit_lease_do(&l, "SAVEPOINT a");
	kit_lease_fails(&l, "UPDATE account SET amount = -1 WHERE id = 1", WEFT_REFUSED, "23514");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_fails(&l, "SELECT 1", WEFT_REFUSED, "25P02");
	kit_lease_do(&l, "ROLLBACK TO a");
	kit_lease_do(&l, "UPDATE account SET amount = amount + 10 WHERE id = 2");
	kit_says(k, "SELECT amount FROM account WHERE id = 1", "100");
	kit_lease_do(&l, "COMMIT");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	kit_says(k, "SELECT amount FROM account WHERE id = 1", "90");
	kit_says(k, "SELECT amount FROM account WHERE id = 2", "110");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0");
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_says(k, "SELECT amount FROM account WHERE id = 1", "90");
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
several_statements_are_one_transaction(void **state)
{
	(void)state;
	with_pool(server.url, 2, 2, transaction_body);
}

static void
uncommitted_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "INSERT INTO parent VALUES (7)");
	kit_lease_fails(&l, "SELECT 1/0", WEFT_REFUSED, "22012");
	/* The server says "ROLLBACK" to that, as if all were well. */
	kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "25P02");
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "BEGIN");
	kit_lease_fails(&l, "SELECT 1/0", WEFT_REFUSED, "22012");
	kit_lease_do(&l, "ROLLBACK");
	/* What fails only then. */
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "INSERT INTO child VALUES (8)");
	kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "23503");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM parent", "0");
	kit_says(k, "SELECT count(*) FROM child", "0");
}

static void
a_commit_that_rolls_back_is_refused(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, uncommitted_body);
}

/* Two that want what the other has, and two that saw what the other changed. */
static void
conflict_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l[2];
	struct kit_ask a[2];
	int bad;

	for (int i = 0; i < 2; i++) {
		kit_lend(k, &l[i]);
		kit_lease_do(&l[i], "BEGIN");
		kit_lease_do(&l[i], "SET LOCAL deadlock_timeout = '20ms'");
		kit_lease_do(&l[i], i == 0 ? "UPDATE account SET amount = 50 WHERE id = 1" : "UPDATE account SET amount = 50 WHERE id = 2");
	}
	for (int i = 0; i < 2; i++)
		kit_lease_start(&l[i], &a[i], i == 0 ? "UPDATE account SET amount = 51 WHERE id = 2" : "UPDATE account SET amount = 51 WHERE id = 1");
	for (int i = 0; i < 2; i++)
		call_wait(&a[i].call, KIT_SOON);
	bad = a[0].call.rc == WEFT_OK;
	kit_assert_fault(&a[bad], WEFT_REFUSED, "40P01");
	assert_int_equal(a[!bad].call.rc, WEFT_OK);
	for (int i = 0; i < 2; i++) {
		kit_end(&a[i]);
		kit_lease_do(&l[i], "ROLLBACK");
		kit_lease_do(&l[i], "BEGIN ISOLATION LEVEL SERIALIZABLE");
		kit_lease_says(&l[i], "SELECT sum(amount) FROM account", "1000");
	}
	for (int i = 0; i < 2; i++)
		kit_lease_do(&l[i], i == 0 ? "UPDATE account SET amount = 51 WHERE id = 2" : "UPDATE account SET amount = 51 WHERE id = 1");
	kit_lease_do(&l[0], "COMMIT");
	kit_lease_fails(&l[1], "COMMIT", WEFT_REFUSED, "40001");
	kit_give(&l[0]);
	kit_give(&l[1]);
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
conflicts_are_told(void **state)
{
	(void)state;
	with_pool(server.url, 2, 2, conflict_body);
}

enum { CROWD = 200 };

static struct {
	unsigned order[CROWD], served;
	struct kit *k;
} crowd;

static void
crowd_one(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct kit_lease l;
	struct kit_ask a;
	char sql[96];

	kit_lend(crowd.k, &l);
	crowd.order[crowd.served++] = me;
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = amount + 1 WHERE id = 1");
	snprintf(sql, sizeof sql, "INSERT INTO parent VALUES (%u)", me);
	kit_lease_ask(&l, &a, sql);
	assert_int_equal(a.call.rc, WEFT_OK);
	kit_end(&a);
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
}

static void
crowd_body(void *arg)
{
	crowd.k = arg;
	crowd.served = 0;
	for (uintptr_t i = 0; i < CROWD; i++)
		kit_spawn(crowd_one, (void *)i);
}

static void
crowd_check_body(void *arg)
{
	kit_says(arg, "SELECT amount FROM account WHERE id = 1", "300");
	kit_says(arg, "SELECT count(*) FROM parent", "200");
	kit_do(arg, "UPDATE account SET amount = 100");
	kit_do(arg, "DELETE FROM parent");
}

static void
two_hundred_share_five(void **state)
{
	struct pool_stat stat;
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 5);
	kit_run(&k, crowd_body, &k);
	assert_int_equal(crowd.served, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(crowd.order[i], i);
	kit_run(&k, crowd_check_body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.connects, 5);
	assert_int_equal(stat.failed, 0);
	kit_close(&k);
}

/* ---- what is left behind ---- */

static const struct {
	const char *leave[3];	/* the last may be NULL */
	const char *see;	/* what a shared connection may ask … */
	const char *clean;	/* … and what it says where nothing is left */
} trails[] = {
	{ { "SET work_mem = '77MB'" }, "SELECT current_setting('work_mem')", "4MB" },
	{ { "SELECT set_config('work_mem', '77MB', false)" }, "SELECT current_setting('work_mem')", "4MB" },
	{ { "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$" }, "SELECT current_setting('work_mem')", "4MB" },
	{ { "BEGIN", "SET work_mem = '77MB'", "COMMIT" }, "SELECT current_setting('work_mem')", "4MB" },
	{ { "BEGIN", "SET LOCAL work_mem = '77MB'" }, "SELECT current_setting('work_mem')", "4MB" },
	{ { "SET ROLE somebody" }, "SELECT current_user", "weft" },
	{ { "SET SESSION AUTHORIZATION somebody" }, "SELECT session_user", "weft" },
	{ { "LISTEN gossip" }, "SELECT count(*) FROM pg_listening_channels()", "0" },
	{ { "CREATE TEMP TABLE mine (a int)" }, "SELECT count(*) FROM pg_class WHERE relname = 'mine'", "0" },
	{ { "CREATE TABLE pg_temp.mine (a int)" }, "SELECT count(*) FROM pg_class WHERE relname = 'mine'", "0" },
	{ { "SELECT 1 AS a INTO TEMP mine" }, "SELECT count(*) FROM pg_class WHERE relname = 'mine'", "0" },
	{ { "SELECT pg_advisory_lock(5)" }, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0" },
	{ { "SELECT pg_try_advisory_lock_shared(5)" }, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0" },
	{ { "BEGIN", "SELECT pg_advisory_xact_lock(5)" }, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0" },
	{ { "PREPARE mine AS SELECT 1" }, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", "0" },
	{ { "BEGIN", "DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "COMMIT" }, "SELECT count(*) FROM pg_cursors WHERE name = 'mine'", "0" },
	{ { "BEGIN", "LOCK TABLE account" }, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'", "0" },
	{ { "BEGIN", "SELECT 1/0" }, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'", "0" },
};

static void
trails_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	pid_t pid = 0, first = 0;

	for (size_t i = 0; i < sizeof trails / sizeof *trails; i++) {
		kit_says(k, trails[i].see, trails[i].clean);
		kit_lend(k, &l);
		pid = backend_of(&l);
		first = first == 0 ? pid : first;
		assert_int_equal(pid, first);
		for (size_t j = 0; j < 3 && trails[i].leave[j] != NULL; j++) {
			kit_lease_ask(&l, &a, trails[i].leave[j]);
			kit_end(&a);
		}
		kit_give(&l);
		/* The next one, who shares it, and the next who borrows it. */
		kit_says(k, trails[i].see, trails[i].clean);
		kit_lend(k, &l);
		kit_lease_says(&l, trails[i].see, trails[i].clean);
		kit_give(&l);
	}
}

static void
nothing_is_left_behind(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, trails_body);
}

/* What passes with the transaction does not cost the prepared statements. */
static void
passing_body(void *arg)
{
	static const char *const passing[] = {
		"BEGIN", "SET LOCAL work_mem = '77MB'", "SET TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "SAVEPOINT a",
		"LOCK TABLE account IN ACCESS SHARE MODE", "ROLLBACK TO SAVEPOINT a", "RELEASE a", "COMMIT AND CHAIN",
	};
	struct kit *k = arg;
	struct kit_lease l;

	kit_says(k, "SELECT count(*) FROM pg_prepared_statements", "1");
	kit_lend(k, &l);
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		kit_lease_do(&l, passing[i]);
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 3", "100");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM pg_prepared_statements", "2");
	kit_lend(k, &l);
	kit_lease_do(&l, "SET work_mem = '77MB'");
	kit_lease_do(&l, "SELECT 'not prepared'");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM pg_prepared_statements", "1");
}

static void
prepared_statements_are_kept_where_they_can_be(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, passing_body);
}

/* A temporary table hides another of its name from its borrower, and from nobody else. */
static void
hidden_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_says(k, "SELECT count(*) FROM account", "10");
	kit_lend(k, &l);
	kit_lease_do(&l, "CREATE TEMPORARY TABLE something (a int)");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM account", "10");
	kit_lend(k, &l);
	kit_lease_says(&l, "SELECT count(*) FROM account", "10");
	kit_lease_do(&l, "CREATE TEMPORARY TABLE account (a int)");
	kit_lease_says(&l, "SELECT count(*) FROM account", "0");
	kit_give(&l);
	kit_says(k, "SELECT count(*) FROM account", "10");
}

static void
a_temporary_table_is_its_borrowers_own(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, hidden_body);
}

static void
refused_body(void *arg)
{
	static const char *const bad[] = {
		"SET work_mem = '77MB'", "BEGIN", "SELECT set_config('work_mem', '77MB', false)", "SELECT SET_CONFIG ('a.b', '1', true)",
		"SELECT pg_advisory_lock(1)", "SELECT pg_catalog.\"pg_advisory_lock\"(1)", "SELECT pg_try_advisory_lock(1, 2)",
		"SELECT 1 INTO TEMPORARY x", "CREATE TABLE pg_temp.x (a int)", "DO $$ BEGIN PERFORM pg_advisory_lock_shared(1); END $$",
		"SELECT dblink_connect('x')",
	};
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	/* Also after a borrower has sent the same. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
			kit_fails(k, bad[i], WEFT_INVALID, "");
		kit_ask(k, &a, bad[2]);
		assert_non_null(strstr(a.fault.text, "set_config"));
		assert_non_null(strstr(a.fault.text, "weft_lend"));
		kit_end(&a);
		kit_lend(k, &l);
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
			kit_lease_ask(&l, &a, bad[i]);
			assert_int_not_equal(a.call.rc, WEFT_INVALID);
			kit_end(&a);
		}
		kit_lease_fails(&l, "COPY account TO STDOUT", WEFT_INVALID, "");
		kit_give(&l);
	}
	/* These go with their statement, or are no calls. */
	kit_do(k, "SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)");
	kit_do(k, "SELECT proname FROM pg_proc WHERE proname = 'set_config'");
	kit_do(k, "SELECT nextval(pg_get_serial_sequence('pg_class', 'oid')) WHERE false");
}

static void
shared_ones_are_not_changed(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, refused_body);
}

/* ---- given back in the middle ---- */

/* Returns how long another waits for a row once a borrower has given its connection back. */
static usec
row_wait(struct kit *k)
{
	struct kit_lease l;
	struct kit_ask a;
	usec given;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
	kit_start(k, &a, "UPDATE account SET amount = amount + 1 WHERE id = 4", NULL, 0);
	assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(a.call.state, CALL_SENT);
	given = clock_now();
	kit_give(&l);
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	return clock_now() - given;
}

/* The shortest of a few: the machine may do something else. */
static void
row_body(void *arg)
{
	struct kit *k = arg;
	usec least = CLOCK_NEVER;

	kit_do(k, "SELECT 1");
	for (int i = 0; i < 5; i++)
		least = clock_min(least, row_wait(k));
	assert_true(least < 100 * USEC_PER_MSEC);
	kit_says(k, "SELECT amount FROM account WHERE id = 4", "105");
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
a_row_is_free_at_once(void **state)
{
	(void)state;
	with_pool(server.url, 2, 2, row_body);
}

static void
cancelled_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	usec began;
	pid_t pid;

	for (int round = 0; round < 3; round++) {
		kit_lend(k, &l);
		pid = backend_of(&l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, round == 1 ? "SET work_mem = '77MB'" : "UPDATE account SET amount = 0 WHERE id = 4");
		kit_lease_start(&l, &a, "SELECT pg_sleep(10)");
		assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
		kit_end(&a);
		/* Given back at once, or when the cancel is over. */
		if (round == 2)
			assert_int_equal(fiber_sleep(300 * USEC_PER_MSEC), WEFT_OK);
		began = clock_now();
		kit_give(&l);
		kit_says(k, "SELECT amount FROM account WHERE id = 4", "100");
		kit_says(k, "SELECT current_setting('work_mem')", "4MB");
		assert_true(clock_now() - began < USEC_PER_SEC);
		kit_lend(k, &l);
		assert_int_equal(backend_of(&l), pid);
		kit_give(&l);
	}
}

static void
what_is_abandoned_is_cancelled_and_rolled_back(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, cancelled_body);
}

static void
stubborn_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	pid_t pid;
	usec began;

	kit_lend(k, &l);
	pid = backend_of(&l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
	assert_int_equal(kill(pid, SIGSTOP), 0);
	began = clock_now();
	kit_give(&l);
	kit_says(k, "SELECT amount FROM account WHERE id = 4", "100");
	assert_true(clock_now() - began < 3 * USEC_PER_SEC);
	assert_int_equal(kill(pid, SIGCONT), 0);
}

static void
what_cannot_be_cleaned_in_time_is_closed(void **state)
{
	(void)state;
	with_pool(server.url, 1, 2, stubborn_body);
}

static void
terminate_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	char sql[64];

	kit_do(k, "SELECT 1");
	kit_lend(k, &l);
	snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", (int)backend_of(&l));
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
	kit_lease_start(&l, &a, "SELECT pg_sleep(10)");
	kit_says(k, sql, "t");
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_UNKNOWN, "57P01");
	kit_end(&a);
	assert_false(lease_is_live(&l.lease));
	for (int i = 0; i < 2; i++) {
		kit_lease_ask(&l, &a, "UPDATE account SET amount = 1 WHERE id = 5");
		kit_assert_fault(&a, WEFT_NOT_SENT, "57P01");
		assert_non_null(strstr(a.fault.text, "terminating connection"));
		kit_end(&a);
	}
	kit_lease_fails(&l, "COMMIT", WEFT_NOT_SENT, "57P01");
	kit_give(&l);
	kit_says(k, "SELECT sum(amount) FROM account", "1000");
}

static void
a_connection_that_is_killed_takes_its_transaction_along(void **state)
{
	(void)state;
	with_pool(server.url, 2, 0, terminate_body);
}

static void
stale_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN READ ONLY");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "25006");
	assert_true(lease_is_live(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_says(k, "SELECT sum(amount) FROM account", "1000");
}

/* It may be the server that is read-only now, so it is not used again; but its borrower keeps it. */
static void
a_read_only_transaction_costs_its_connection(void **state)
{
	(void)state;
	with_pool(server.url, 1, 2, stale_body);
}

static void
lost_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_says(k, "SELECT amount FROM account WHERE id = 5", "100");
	kit_do(k, "DEALLOCATE ALL");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	/* Not again: it would be refused anyway. */
	kit_lease_fails(&l, "SELECT amount FROM account WHERE id = 5", WEFT_REFUSED, "26000");
	kit_lease_do(&l, "ROLLBACK");
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 5", "100");
	kit_give(&l);
	kit_do(k, "DEALLOCATE ALL");
	kit_lend(k, &l);
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 5", "100");
	kit_give(&l);
}

static void
lost_preparations_are_mended_outside_of_transactions(void **state)
{
	(void)state;
	with_pool(server.url, 1, 1, lost_body);
}

static void
close_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l[3];
	struct kit_ask a;

	for (int i = 0; i < 3; i++) {
		kit_lend(k, &l[i]);
		kit_lease_do(&l[i], "BEGIN");
		kit_lease_do(&l[i], "SET work_mem = '77MB'");
	}
	kit_lease_start(&l[0], &a, "SELECT pg_sleep(10)");
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	/* One is being cancelled, one rolled back, one lent. */
	kit_give(&l[0]);
	kit_give(&l[1]);
	pool_close(&k->pool);
	assert_false(lease_is_live(&l[2].lease));
	kit_give(&l[2]);
}

static void
a_pool_may_close_meanwhile(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, server.url, 3);
	kit_run(&k, close_body, &k);
	loop_free(&k.loop);
}

/* ---- a proxy that loses what is said ---- */

static void
commit_lost_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	for (enum cut_mode mode = CUT_DEAF; mode <= CUT_MUTE; mode++) {
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, mode == CUT_DEAF ? "UPDATE account SET amount = 1 WHERE id = 6" : "UPDATE account SET amount = 2 WHERE id = 7");
		cut_set(mode);
		kit_lease_ask(&l, &a, "COMMIT");
		kit_assert_fault(&a, WEFT_UNKNOWN, NULL);
		kit_end(&a);
		assert_false(lease_is_live(&l.lease));
		cut_set(CUT_PASS);
		kit_give(&l);
	}
	/* One was not done and one was, and neither a second time. */
	kit_says(k, "SELECT amount FROM account WHERE id = 6", "100");
	kit_says(k, "SELECT amount FROM account WHERE id = 7", "2");
	/* What was lost before is told, and nothing is tried again. */
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	cut_set(CUT_MUTE);
	kit_lease_fails(&l, "UPDATE account SET amount = 3 WHERE id = 8", WEFT_UNKNOWN, NULL);
	cut_set(CUT_PASS);
	kit_lease_fails(&l, "UPDATE account SET amount = 3 WHERE id = 8", WEFT_NOT_SENT, NULL);
	kit_lease_fails(&l, "COMMIT", WEFT_NOT_SENT, NULL);
	kit_give(&l);
	kit_says(k, "SELECT amount FROM account WHERE id = 8", "100");
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
a_commit_whose_answer_is_lost_is_unknown(void **state)
{
	char from[108], to[108], url[200];

	(void)state;
	snprintf(from, sizeof from, "%s/.s.PGSQL.1", server.dir);
	snprintf(to, sizeof to, "%s/.s.PGSQL.%s", server.dir, server.port);
	snprintf(url, sizeof url, "postgresql:///postgres?host=%s&port=1&user=weft", server.dir);
	cut_start(from, to);
	with_pool(url, 1, 0, commit_lost_body);
	cut_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_statements_are_one_transaction),
		cmocka_unit_test(a_commit_that_rolls_back_is_refused),
		cmocka_unit_test(conflicts_are_told),
		cmocka_unit_test(two_hundred_share_five),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(prepared_statements_are_kept_where_they_can_be),
		cmocka_unit_test(a_temporary_table_is_its_borrowers_own),
		cmocka_unit_test(shared_ones_are_not_changed),
		cmocka_unit_test(a_row_is_free_at_once),
		cmocka_unit_test(what_is_abandoned_is_cancelled_and_rolled_back),
		cmocka_unit_test(what_cannot_be_cleaned_in_time_is_closed),
		cmocka_unit_test(a_connection_that_is_killed_takes_its_transaction_along),
		cmocka_unit_test(a_read_only_transaction_costs_its_connection),
		cmocka_unit_test(lost_preparations_are_mended_outside_of_transactions),
		cmocka_unit_test(a_pool_may_close_meanwhile),
		cmocka_unit_test(a_commit_whose_answer_is_lost_is_unknown),
	};

	if (!server_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, server_tear_down);
}
