/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against real SQLite files, in a folder of the test's own. */
#include "back_sql_kit.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

static char dir[64], url[96], ro_url[96], path[80];

static void
with_pool(const char *at, unsigned max, void (*body)(void *arg))
{
	struct pool_stat stat;
	struct kit k;

	kit_open(&k, at, max);
	kit_run(&k, body, &k);
	pool_stat(k.pool, &stat);
	assert_int_equal(stat.lent, 0);
	assert_true(stat.connects <= max);
	kit_close(&k);
}

static void
tables_body(void *arg)
{
	kit_do(arg, "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INT NOT NULL CHECK (amount >= 0))");
	kit_do(arg, "INSERT INTO account VALUES (1, 100), (2, 100)");
	kit_do(arg, "CREATE TABLE child (id INTEGER REFERENCES account DEFERRABLE INITIALLY DEFERRED)");
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-sqlite-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a.db", dir);
	snprintf(url, sizeof url, "sqlite:%s", path);
	snprintf(ro_url, sizeof ro_url, "sqlite:%s?mode=ro", path);
	with_pool(url, 1, tables_body);
	return 0;
}

static int
files_remove(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int
tear_down(void **state)
{
	(void)state;
	return nftw(dir, files_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- transactions ---- */

static void
transaction_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, pool_begin_sql(k->pool));
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = amount - 10 WHERE id = 1");
	kit_lease_do(&l, "SAVEPOINT a");
	kit_lease_fails(&l, "UPDATE account SET amount = -1 WHERE id = 1", WEFT_REFUSED, "SQLITE_CONSTRAINT_CHECK");
	assert_true(lease_in_transaction(&l.lease));
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
	kit_lease_do(&l, "UPDATE account SET amount = 100");
	kit_lease_do(&l, "INSERT INTO child VALUES (77)");
	kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "SQLITE_CONSTRAINT_FOREIGNKEY");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "DELETE FROM child");
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
	kit_says(k, "SELECT sum(amount) FROM account", "200");
	kit_says(k, "SELECT count(*) FROM child", "0");
}

static void
several_statements_are_one_transaction(void **state)
{
	(void)state;
	with_pool(url, 2, transaction_body);
}

/* What the borrower asks next would be done on its own. */
static void
rolled_back_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN IMMEDIATE");
	kit_lease_do(&l, "UPDATE account SET amount = 0");
	kit_lease_fails(&l, "INSERT OR ROLLBACK INTO account VALUES (1, 1)", WEFT_REFUSED, "SQLITE_CONSTRAINT_PRIMARYKEY");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	kit_says(k, "SELECT sum(amount) FROM account", "200");
}

static void
a_transaction_that_ended_by_itself_is_told(void **state)
{
	(void)state;
	with_pool(url, 1, rolled_back_body);
}

static void
forgotten_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	usec least = CLOCK_NEVER;

	for (int i = 0; i < 5; i++) {
		struct kit_ask a;
		usec given;

		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN IMMEDIATE");
		kit_lease_do(&l, "UPDATE account SET amount = 0");
		kit_start(k, &a, "UPDATE account SET amount = 100", NULL, 0);
		assert_int_equal(fiber_sleep(20 * USEC_PER_MSEC), WEFT_OK);
		assert_int_equal(a.call.state, CALL_SENT);
		given = clock_now();
		kit_give(&l);
		assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
		least = clock_min(least, clock_now() - given);
		kit_end(&a);
	}
	assert_true(least < 100 * USEC_PER_MSEC);
	kit_says(k, "SELECT sum(amount) FROM account", "200");
}

static void
a_forgotten_one_is_rolled_back_at_once(void **state)
{
	(void)state;
	with_pool(url, 2, forgotten_body);
}

static void
abandoned_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	usec began;

	for (int i = 0; i < 100; i++) {
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN IMMEDIATE");
		kit_lease_do(&l, "UPDATE account SET amount = 0");
		kit_lease_start(&l, &a, i % 2 ? "SELECT pg_sleep(10)" : "UPDATE account SET amount = 1 + length(pg_sleep(0.001))");
		/* Before a thread takes it, or while it runs. */
		if (i % 3 > 0)
			(void)call_wait(&a.call, clock_now() + 20 * i);
		call_abandon(&a.call, WEFT_CANCELED);
		kit_end(&a);
		began = clock_now();
		kit_give(&l);
		kit_says(k, "SELECT sum(amount) FROM account", "200");
		assert_true(clock_now() - began < 5 * USEC_PER_SEC);
	}
}

static void
what_is_abandoned_is_rolled_back(void **state)
{
	(void)state;
	with_pool(url, 1, abandoned_body);
}

static void
writers_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	sqlite3 *other;
	usec began;

	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	began = clock_now();
	kit_lend(k, &l);
	kit_lease_fails(&l, "BEGIN IMMEDIATE", WEFT_REFUSED, "SQLITE_BUSY");
	assert_false(lease_in_transaction(&l.lease));
	assert_true(clock_now() - began < 5 * USEC_PER_SEC);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	kit_lease_do(&l, "BEGIN IMMEDIATE");
	kit_give(&l);
	sqlite3_close(other);
}

static void
a_writer_waits_for_another_with_a_bound(void **state)
{
	struct kit k;

	(void)state;
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 1, .call_timeout = USEC_PER_SEC });
	kit_run(&k, writers_body, &k);
	kit_close(&k);
}

enum { CROWD = 200 };

static struct kit *crowd_kit;
static unsigned crowd_order[CROWD], crowd_served;

static void
crowd_one(void *arg)
{
	struct kit_lease l;

	kit_lend(crowd_kit, &l);
	crowd_order[crowd_served++] = (unsigned)(uintptr_t)arg;
	kit_lease_do(&l, pool_begin_sql(crowd_kit->pool));
	kit_lease_do(&l, "UPDATE account SET amount = amount + 1 WHERE id = 1");
	kit_lease_do(&l, "UPDATE account SET amount = amount + 1 WHERE id = 2");
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
}

static void
crowd_body(void *arg)
{
	crowd_kit = arg;
	for (uintptr_t i = 0; i < CROWD; i++)
		kit_spawn(crowd_one, (void *)i);
}

static void
crowd_check_body(void *arg)
{
	kit_says(arg, "SELECT sum(amount) FROM account", "600");
	kit_do(arg, "UPDATE account SET amount = 100");
}

static void
two_hundred_share_five(void **state)
{
	struct kit k;

	(void)state;
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 5, .queue_timeout = 30 * USEC_PER_SEC });
	kit_run(&k, crowd_body, &k);
	assert_int_equal(crowd_served, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(crowd_order[i], i);
	kit_run(&k, crowd_check_body, &k);
	kit_close(&k);
}

/* ---- what may be sent ---- */

static void
refused_body(void *arg)
{
	static const struct {
		const char *sql;
		enum weft_rc rc;
		const char *code;
	} bad[] = {
		{ "ATTACH 'x.db' AS x", WEFT_INVALID, "" },
		{ "CREATE TEMP TABLE mine AS SELECT 1", WEFT_INVALID, "" },
		{ "CREATE TABLE temp.mine (id)", WEFT_REFUSED, "SQLITE_AUTH" },
		{ "PRAGMA foreign_keys = OFF", WEFT_REFUSED, "SQLITE_AUTH" },
		{ "SET x = 1", WEFT_INVALID, "" },
		{ "COMMIT", WEFT_REFUSED, "SQLITE_ERROR" },
	};
	static const char *const passing[] = { "BEGIN", "EXPLAIN BEGIN", "\xef\xbb\xbfSAVEPOINT a", "RELEASE a", "END" };
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		kit_lease_fails(&l, bad[i].sql, bad[i].rc, bad[i].code);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
			kit_lease_do(&l, passing[i]);
	kit_give(&l);
	/* What a borrower has sent is not found by others. */
	kit_fails(k, "BEGIN", WEFT_INVALID, "");
	kit_fails(k, "EXPLAIN BEGIN", WEFT_REFUSED, "SQLITE_AUTH");
	kit_fails(k, "\xef\xbb\xbfSAVEPOINT a", WEFT_REFUSED, "SQLITE_AUTH");
}

static void
what_outlives_a_transaction_is_refused(void **state)
{
	(void)state;
	with_pool(url, 1, refused_body);
}

static void
read_only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, pool_begin_sql(k->pool));
	kit_lease_says(&l, "SELECT sum(amount) FROM account", "200");
	kit_lease_fails(&l, "DELETE FROM account", WEFT_REFUSED, "SQLITE_READONLY");
	kit_give(&l);
	kit_says(k, "SELECT sum(amount) FROM account", "200");
}

static void
a_read_only_database_has_transactions_too(void **state)
{
	(void)state;
	with_pool(ro_url, 1, read_only_body);
}

static void
close_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l[3];
	struct kit_ask a;

	for (int i = 0; i < 3; i++)
		kit_lend(k, &l[i]);
	kit_lease_do(&l[0], "BEGIN IMMEDIATE");
	kit_lease_do(&l[0], "UPDATE account SET amount = 0");
	kit_lease_do(&l[1], "BEGIN");
	kit_lease_start(&l[1], &a, "SELECT pg_sleep(10)");
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_lease_do(&l[2], "BEGIN");
	/* One is being rolled back, one interrupted, one lent. */
	kit_give(&l[0]);
	kit_give(&l[1]);
	pool_close(&k->pool);
	assert_false(lease_is_live(&l[2].lease));
	kit_give(&l[2]);
}

static void
check_body(void *arg)
{
	kit_says(arg, "SELECT sum(amount) FROM account", "200");
}

static void
a_pool_may_close_meanwhile(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, url, 3);
	kit_run(&k, close_body, &k);
	loop_free(&k.loop);
	with_pool(url, 1, check_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_statements_are_one_transaction),
		cmocka_unit_test(a_transaction_that_ended_by_itself_is_told),
		cmocka_unit_test(a_forgotten_one_is_rolled_back_at_once),
		cmocka_unit_test(what_is_abandoned_is_rolled_back),
		cmocka_unit_test(a_writer_waits_for_another_with_a_bound),
		cmocka_unit_test(two_hundred_share_five),
		cmocka_unit_test(what_outlives_a_transaction_is_refused),
		cmocka_unit_test(a_read_only_database_has_transactions_too),
		cmocka_unit_test(a_pool_may_close_meanwhile),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
