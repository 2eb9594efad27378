/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real MariaDB: transactions, and what a borrower leaves behind. */
#include "back_sql_kit.h"

#include <signal.h>

#include "back_cut.h"
#include "back_maria.h"

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

static unsigned long
id_of(struct kit_lease *l)
{
	struct kit_ask a;
	unsigned long id;

	assert_int_equal(kit_lease_ask(l, &a, "SELECT CONNECTION_ID()"), WEFT_OK);
	id = strtoul(rows_cell(a.call.rows, 0, 0).at, NULL, 10);
	kit_end(&a);
	return id;
}

static void
tables_body(void *arg)
{
	kit_do(arg, "CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0))");
	kit_do(arg, "INSERT INTO account SELECT seq, 100 FROM seq_1_to_10");
	kit_do(arg, "CREATE TABLE parent (id int PRIMARY KEY)");
	kit_do(arg, "CREATE PROCEDURE locks() DO GET_LOCK('mine', 0)");
	kit_do(arg, "CREATE PROCEDURE begins() START TRANSACTION");
	kit_do(arg, "CREATE PROCEDURE begins_and_fails() BEGIN SET SESSION max_statement_time = 77; START TRANSACTION; "
	    "UPDATE account SET amount = 0; SELECT * FROM nowhere; END");
	kit_do(arg, "CREATE FUNCTION sets() RETURNS int BEGIN SET SESSION max_statement_time = 77; RETURN 1; END");
}

static int
set_up(void **state)
{
	if (maria_set_up(state) != 0)
		return -1;
	maria_admin("CREATE ROLE somebody");
	maria_admin("GRANT somebody TO weft@'%'");
	maria_admin("GRANT PROCESS, RELOAD ON *.* TO weft@'%'");
	with_pool(maria.url, 1, 1, tables_body);
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
	kit_lease_do(&l, pool_begin_sql(k->pool));
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = amount - 10 WHERE id = 1");
	kit_lease_do(&l, "SAVEPOINT a");
	/* An error is the statement's own, as long as it is not the transaction's. */
	kit_lease_fails(&l, "UPDATE account SET amount = -1 WHERE id = 1", WEFT_REFUSED, "4025");
	kit_lease_fails(&l, "SELEKT", WEFT_REFUSED, "1064");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 1");
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
	with_pool(maria.url, 2, 2, transaction_body);
}

/* Two that want what the other has: one is rolled back, and what it asks next is not done on its own. */
static void
deadlock_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l[2];
	struct kit_ask a[2];
	int bad;

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			kit_lend(k, &l[i]);
			kit_lease_do(&l[i], "BEGIN");
			kit_lease_do(&l[i], i == 0 ? "UPDATE account SET amount = 50 WHERE id = 1" : "UPDATE account SET amount = 50 WHERE id = 2");
		}
		for (int i = 0; i < 2; i++)
			kit_lease_start(&l[i], &a[i], i == 0 ? "UPDATE account SET amount = 51 WHERE id = 2" : "UPDATE account SET amount = 51 WHERE id = 1");
		for (int i = 0; i < 2; i++)
			call_wait(&a[i].call, KIT_SOON);
		bad = a[0].call.rc == WEFT_OK;
		kit_assert_fault(&a[bad], WEFT_REFUSED, "1213");
		assert_int_equal(a[!bad].call.rc, WEFT_OK);
		assert_false(lease_in_transaction(&l[bad].lease));
		assert_true(lease_in_transaction(&l[!bad].lease));
		for (int i = 0; i < 2; i++)
			kit_end(&a[i]);
		kit_lease_fails(&l[bad], "UPDATE account SET amount = 0 WHERE id = 3", WEFT_REFUSED, "1213");
		kit_lease_fails(&l[bad], "SELECT 1", WEFT_REFUSED, "1213");
		kit_lease_fails(&l[bad], "ROLLBACK TO SAVEPOINT a", WEFT_REFUSED, "1213");
		if (round == 0)
			kit_lease_do(&l[bad], "ROLLBACK");
		else
			kit_lease_fails(&l[bad], "COMMIT", WEFT_REFUSED, "1213");
		kit_lease_do(&l[!bad], "COMMIT");
		kit_lease_says(&l[bad], "SELECT amount FROM account WHERE id = 3", "100");
		kit_lease_do(&l[bad], "BEGIN");
		assert_true(lease_in_transaction(&l[bad].lease));
		kit_give(&l[0]);
		kit_give(&l[1]);
	}
	kit_says(k, "SELECT COUNT(*) FROM account WHERE amount = 100", "8");
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
a_deadlock_ends_a_transaction_for_its_borrower_too(void **state)
{
	(void)state;
	with_pool(maria.url, 2, 2, deadlock_body);
}

/* Which is said, and what follows is not done on its own. */
static void
implicit_body(void *arg)
{
	static const char *const ends[] = { "CREATE OR REPLACE TABLE other (a int)", "LOCK TABLES account WRITE", "TRUNCATE TABLE parent" };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, "UPDATE account SET amount = 99 WHERE id = 1");
		kit_lease_do(&l, ends[i]);
		assert_false(lease_in_transaction(&l.lease));
		kit_lease_ask(&l, &a, "UPDATE account SET amount = 0 WHERE id = 2");
		kit_assert_fault(&a, WEFT_REFUSED, "");
		assert_non_null(strstr(a.fault.text, "the statement before has ended it"));
		kit_end(&a);
		kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "");
		kit_lease_do(&l, "UPDATE account SET amount = 100 WHERE id = 1");
		kit_give(&l);
	}
	/* Who does without autocommit begins by any statement, and ends by settings too. */
	kit_lend(k, &l);
	kit_lease_do(&l, "SET autocommit = 0");
	kit_lease_do(&l, "UPDATE account SET amount = 99 WHERE id = 1");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "DROP TABLE other");
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = 98 WHERE id = 1");
	kit_lease_do(&l, "SET autocommit = 1");
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 1", "98");
	kit_lease_do(&l, "SET autocommit = 0");
	kit_lease_do(&l, "UPDATE account SET amount = 0");
	kit_give(&l);
	kit_do(k, "UPDATE account SET amount = 100 WHERE id = 1");
	kit_says(k, "SELECT SUM(amount) FROM account", "1000");
}

static void
a_statement_that_commits_ends_it_for_its_borrower_too(void **state)
{
	(void)state;
	with_pool(maria.url, 2, 0, implicit_body);
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
	char sql[96];

	kit_lend(crowd.k, &l);
	crowd.order[crowd.served++] = me;
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = amount + 1 WHERE id = 1");
	snprintf(sql, sizeof sql, "INSERT INTO parent VALUES (%u)", me);
	kit_lease_do(&l, sql);
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
	kit_says(arg, "SELECT COUNT(*) FROM parent", "200");
	kit_do(arg, "UPDATE account SET amount = 100");
	kit_do(arg, "DELETE FROM parent");
}

static void
two_hundred_share_five(void **state)
{
	struct pool_stat stat;
	struct kit k;

	(void)state;
	kit_open(&k, maria.url, 5);
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
	const char *clean;	/* … and what it says where nothing is left; NULL: NULL */
} trails[] = {
	{ { "SET max_statement_time = 77" }, "SELECT @@max_statement_time", "0.000000" },
	{ { "BEGIN", "SET max_statement_time = 77", "COMMIT" }, "SELECT @@max_statement_time", "0.000000" },
	{ { "SET NAMES latin1" }, "SELECT CONCAT(@@character_set_client, @@character_set_results, @@collation_connection)",
	    "utf8mb4utf8mb4utf8mb4_general_ci" },
	{ { "SET sql_mode = 'ANSI_QUOTES'" }, "SELECT \"x\"", "x" },
	{ { "SET sql_mode = 'NO_BACKSLASH_ESCAPES'" }, "SELECT LENGTH('\\\\')", "1" },
	{ { "SET autocommit = 0" }, "SELECT @@autocommit", "1" },
	{ { "SET session_track_state_change = 0", "SET max_statement_time = 77" }, "SELECT @@max_statement_time", "0.000000" },
	{ { "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE" }, "SELECT @@tx_isolation", "REPEATABLE-READ" },
	{ { "SET SESSION TRANSACTION READ ONLY" }, "SELECT @@tx_read_only", "0" },
	{ { "SET @x = 5" }, "SELECT @x", NULL },
	{ { "SELECT 5 INTO @x" }, "SELECT @x", NULL },
	{ { "USE information_schema" }, "SELECT DATABASE()", "weft" },
	{ { "CREATE TEMPORARY TABLE account (a int)" }, "SELECT COUNT(*) FROM account", "10" },
	{ { "SELECT GET_LOCK('mine', 0)" }, "SELECT IS_FREE_LOCK('mine')", "1" },
	{ { "CALL locks()" }, "SELECT IS_FREE_LOCK('mine')", "1" },
	{ { "BEGIN", "SELECT GET_LOCK('mine', 0)" }, "SELECT IS_FREE_LOCK('mine')", "1" },
	{ { "LOCK TABLES parent READ" }, "SELECT COUNT(*) FROM account", "10" },
	{ { "FLUSH TABLES WITH READ LOCK" }, "UPDATE account SET amount = 100 WHERE id = 0 RETURNING 1", NULL },
	{ { "HANDLER account OPEN", "HANDLER account READ FIRST" }, "SELECT COUNT(*) FROM account", "10" },
	{ { "CALL begins()" }, "SELECT @@in_transaction", "0" },
	{ { "CALL begins_and_fails()" }, "SELECT @@in_transaction + @@max_statement_time + SUM(amount) FROM account", "1000.000000" },
	{ { "SELECT sets()" }, "SELECT @@max_statement_time", "0.000000" },
	{ { "XA START 'mine'", "UPDATE account SET amount = 0" }, "SELECT @@in_transaction + SUM(amount) FROM account", "1000" },
	{ { "BEGIN", "UPDATE account SET amount = 0", "SELEKT" }, "SELECT @@in_transaction + SUM(amount) FROM account", "1000" },
	{ { "BEGIN NOT ATOMIC SET @x = 5; END" }, "SELECT @x", NULL },
};

static void
trails_say(struct kit *k, struct kit_lease *l, const char *sql, const char *want)
{
	struct kit_ask a;

	if (l == NULL)
		kit_ask(k, &a, sql);
	else
		kit_lease_ask(l, &a, sql);
	if (strncmp(sql, "UPDATE", 6) != 0)
		kit_assert_row(&a, want);
	kit_end(&a);
}

static void
trails_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	unsigned long id, first = 0;

	for (size_t i = 0; i < sizeof trails / sizeof *trails; i++) {
		trails_say(k, NULL, trails[i].see, trails[i].clean);
		kit_lend(k, &l);
		id = id_of(&l);
		first = first == 0 ? id : first;
		assert_int_equal(id, first);
		for (size_t j = 0; j < 3 && trails[i].leave[j] != NULL; j++) {
			kit_lease_ask(&l, &a, trails[i].leave[j]);
			kit_end(&a);
		}
		kit_give(&l);
		/* The next one, who shares it, and the next who borrows it. */
		trails_say(k, NULL, trails[i].see, trails[i].clean);
		kit_lend(k, &l);
		trails_say(k, &l, trails[i].see, trails[i].clean);
		kit_give(&l);
	}
	kit_do(k, "SELECT 1");
}

static void
nothing_is_left_behind(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, trails_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_statements_are_one_transaction),
		cmocka_unit_test(a_deadlock_ends_a_transaction_for_its_borrower_too),
		cmocka_unit_test(a_statement_that_commits_ends_it_for_its_borrower_too),
		cmocka_unit_test(two_hundred_share_five),
		cmocka_unit_test(nothing_is_left_behind),
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, maria_tear_down);
}
