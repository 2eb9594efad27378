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

/* A reset leaves the role, and where the URL names no database it leaves that which was chosen. */
static void
role_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "/* a */ SET ROLE somebody");
	kit_lease_says(&l, "SELECT CURRENT_ROLE()", "somebody");
	kit_give(&l);
	trails_say(k, NULL, "SELECT CURRENT_ROLE()", NULL);
}

static void
database_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "USE information_schema");
	kit_give(&l);
	trails_say(k, NULL, "SELECT DATABASE()", NULL);
}

static void
what_no_reset_undoes_costs_the_connection(void **state)
{
	char url[200];

	(void)state;
	with_pool(maria.url, 1, 2, role_body);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@?socket=%s", maria.socket);
	with_pool(url, 1, 2, database_body);
}

static unsigned
prepared_count(void)
{
	return (unsigned)atoi(maria_admin("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Prepared_stmt_count'"));
}

/* What passes with the transaction does not cost the prepared statements. */
static void
passing_body(void *arg)
{
	static const char *const passing[] = {
		"BEGIN", "SAVEPOINT a", "UPDATE account SET amount = 50 WHERE id = 3", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a",
		"COMMIT AND CHAIN", "COMMIT", "START TRANSACTION READ ONLY", "ROLLBACK", "START TRANSACTION WITH CONSISTENT SNAPSHOT",
	};
	struct kit *k = arg;
	struct kit_lease l;

	kit_do(k, "SELECT 1");
	assert_int_equal(prepared_count(), 1);
	kit_lend(k, &l);
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		kit_lease_do(&l, passing[i]);
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 3", "100");
	kit_give(&l);
	kit_do(k, "SELECT 1");
	assert_int_equal(prepared_count(), 3);
	kit_lend(k, &l);
	kit_lease_do(&l, "SET max_statement_time = 77");
	for (int i = 0; i < 3; i++)
		kit_lease_do(&l, "SELECT 'not kept'");
	assert_int_equal(prepared_count(), 3);
	kit_give(&l);
	kit_do(k, "SELECT 1");
	assert_int_equal(prepared_count(), 1);
}

static void
prepared_statements_are_kept_where_they_can_be(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, passing_body);
}

/* A temporary table hides another of its name from its borrower, and from nobody else; another database has other tables. */
static void
hidden_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_says(k, "SELECT COUNT(*) FROM account", "10");
	kit_lend(k, &l);
	kit_lease_do(&l, "CREATE TEMPORARY TABLE account (a int)");
	kit_lease_says(&l, "SELECT COUNT(*) FROM account", "0");
	kit_give(&l);
	kit_says(k, "SELECT COUNT(*) FROM account", "10");
	kit_lend(k, &l);
	kit_lease_do(&l, "USE information_schema");
	kit_lease_fails(&l, "SELECT COUNT(*) FROM account", WEFT_REFUSED, "1109");
	kit_give(&l);
	kit_says(k, "SELECT COUNT(*) FROM account", "10");
}

static void
names_mean_what_they_mean_to_the_borrower(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, hidden_body);
}

/* What is refused where a connection is shared, after a borrower has sent the same too; and what does not come back from a function. */
static void
shared_body(void *arg)
{
	static const char *const bad[] = { "SET max_statement_time = 77", "BEGIN", "COMMIT", "SAVEPOINT a", "ROLLBACK TO a",
		"LOCK TABLES account READ", "USE weft", "HANDLER account OPEN", "CREATE TEMPORARY TABLE account (a int)", "XA START 'mine'" };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
			kit_fails(k, bad[i], WEFT_INVALID, "");
		kit_ask(k, &a, "SET max_statement_time = 77");
		assert_non_null(strstr(a.fault.text, "weft_lend"));
		kit_end(&a);
		kit_lend(k, &l);
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
			kit_lease_ask(&l, &a, bad[i]);
			assert_int_not_equal(a.call.rc, WEFT_INVALID);
			kit_end(&a);
		}
		kit_lease_fails(&l, "PREPARE a FROM 'SELECT 1'", WEFT_REFUSED, "1295");
		kit_give(&l);
	}
	/* Nor does anything stay that a procedure or a function has done, also where it fails. */
	kit_fails(k, "CALL begins_and_fails()", WEFT_REFUSED, "1146");
	kit_says(k, "SELECT @@in_transaction + @@max_statement_time + SUM(amount) FROM account", "1000.000000");
	kit_says(k, "SELECT sets()", "1");
	kit_says(k, "SELECT @@max_statement_time", "0.000000");
}

static void
shared_ones_are_not_changed(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, shared_body);
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
	with_pool(maria.url, 2, 2, row_body);
}

static void
cancelled_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	unsigned long id;
	usec began;

	for (int round = 0; round < 3; round++) {
		kit_lend(k, &l);
		id = id_of(&l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, round == 1 ? "SET max_statement_time = 77" : "UPDATE account SET amount = 0 WHERE id = 4");
		kit_lease_start(&l, &a, "SELECT SLEEP(10)");
		assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
		kit_end(&a);
		/* Given back at once, or when the cancel is over. */
		if (round == 2)
			assert_int_equal(fiber_sleep(300 * USEC_PER_MSEC), WEFT_OK);
		began = clock_now();
		kit_give(&l);
		kit_says(k, "SELECT amount FROM account WHERE id = 4", "100");
		kit_says(k, "SELECT @@max_statement_time", "0.000000");
		assert_true(clock_now() - began < USEC_PER_SEC);
		kit_lend(k, &l);
		assert_int_equal(id_of(&l), id);
		kit_give(&l);
	}
}

static void
what_is_abandoned_is_cancelled_and_rolled_back(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, cancelled_body);
}

/* From before a statement's end to behind it; a cancel that is late hits neither the washing nor who comes next. */
static void
late_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	unsigned timeouts = 0;

	for (int round = 0; round < 150; round++) {
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
		kit_lease_start(&l, &a, round % 3 == 0 ? "SELECT SLEEP(0.004) FROM nowhere" : "SELECT SLEEP(0.004)");
		timeouts += call_wait(&a.call, clock_now() + round % 50 * 120) == WEFT_TIMEOUT;
		kit_end(&a);
		kit_give(&l);
		kit_ask(k, &a, "SELECT SLEEP(0.001), SUM(amount) FROM account");
		kit_assert_row(&a, "0", "1000");
		kit_end(&a);
	}
	assert_true(timeouts > 10);
}

static void
a_late_cancel_hits_nobody(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, late_body);
}

static void
wake_body(void *arg)
{
	(void)arg;
	assert_int_equal(fiber_sleep(1300 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(kill(maria.pid, SIGCONT), 0);
}

static void
stubborn_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
	assert_int_equal(kill(maria.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(maria.pid, NULL, WUNTRACED), maria.pid);	/* all of its threads */
	kit_spawn(wake_body, NULL);
	kit_give(&l);
	kit_says(k, "SELECT SUM(amount) FROM account", "1000");
}

static void
what_cannot_be_cleaned_in_time_is_closed(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 2, stubborn_body);
}

static void
killed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	char sql[64];

	kit_lend(k, &l);
	snprintf(sql, sizeof sql, "KILL %lu", id_of(&l));
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0 WHERE id = 4");
	kit_lease_start(&l, &a, "SELECT SLEEP(10)");
	assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), WEFT_OK);
	maria_admin(sql);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_UNKNOWN, NULL);
	kit_end(&a);
	assert_false(lease_is_live(&l.lease));
	for (int i = 0; i < 2; i++)
		kit_lease_fails(&l, "UPDATE account SET amount = 1 WHERE id = 5", WEFT_NOT_SENT, NULL);
	kit_lease_fails(&l, "COMMIT", WEFT_NOT_SENT, NULL);
	kit_give(&l);
	kit_says(k, "SELECT SUM(amount) FROM account", "1000");
	/* A KILL QUERY ends a statement, and not the transaction. */
	kit_lend(k, &l);
	snprintf(sql, sizeof sql, "KILL QUERY %lu", id_of(&l));
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 99 WHERE id = 4");
	kit_lease_start(&l, &a, "UPDATE account SET amount = 1 WHERE SLEEP(10)");
	assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), WEFT_OK);
	maria_admin(sql);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "1317");
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "COMMIT");
	kit_give(&l);
	kit_says(k, "SELECT SUM(amount) FROM account", "999");
	kit_do(k, "UPDATE account SET amount = 100");
}

static void
a_connection_that_is_killed_takes_its_transaction_along(void **state)
{
	(void)state;
	with_pool(maria.url, 2, 0, killed_body);
}

/* One which asked for it has asked for it; but what a server that has become read-only says is the end of its connection. */
static void
read_only_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "START TRANSACTION READ ONLY");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "1792");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	maria_admin("SET GLOBAL read_only = 1");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "1290");
	maria_admin("SET GLOBAL read_only = 0");
	assert_true(lease_is_live(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_says(k, "SELECT SUM(amount) FROM account", "1000");
}

static void
a_read_only_server_costs_its_connection(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 2, read_only_body);
}

static void
changed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_do(k, "CREATE TABLE shape (a int)");
	kit_do(k, "INSERT INTO shape VALUES (1)");
	kit_says(k, "SELECT * FROM shape", "1");
	kit_do(k, "ALTER TABLE shape ADD COLUMN b int DEFAULT 2");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	/* Not again: what it has read may be locked, or counted. */
	kit_lease_fails(&l, "SELECT * FROM shape", WEFT_UNKNOWN, "");
	kit_lease_do(&l, "COMMIT");
	kit_lease_ask(&l, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1", "2");
	kit_end(&a);
	kit_give(&l);
	kit_do(k, "ALTER TABLE shape ADD COLUMN c int DEFAULT 3");
	kit_lend(k, &l);
	kit_lease_ask(&l, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1", "2", "3");
	kit_end(&a);
	kit_give(&l);
}

static void
preparations_are_mended_outside_of_transactions(void **state)
{
	(void)state;
	with_pool(maria.url, 1, 1, changed_body);
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
		kit_lease_do(&l[i], "SET max_statement_time = 77");
	}
	kit_lease_start(&l[0], &a, "SELECT SLEEP(10)");
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	/* One is being cancelled, one reset, one lent. */
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
	for (int round = 0; round < 5; round++) {
		kit_open(&k, maria.url, 3);
		kit_run(&k, close_body, &k);
		loop_free(&k.loop);
	}
}

/* ---- a proxy that loses what is said ---- */

static void
commit_lost_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	for (enum cut_mode mode = CUT_DEAF; mode <= CUT_MUTE; mode++) {
		kit_lend(k, &l);
		kit_lease_do(&l, "BEGIN");
		kit_lease_do(&l, mode == CUT_DEAF ? "UPDATE account SET amount = 1 WHERE id = 6" : "UPDATE account SET amount = 2 WHERE id = 7");
		cut_set(mode);
		kit_lease_fails(&l, "COMMIT", WEFT_UNKNOWN, NULL);
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
	kit_lease_do(&l, "UPDATE account SET amount = 3 WHERE id = 8");
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
	char from[108], url[200];

	(void)state;
	snprintf(from, sizeof from, "%s/cut", maria.dir);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@/weft?socket=%s", from);
	cut_start(from, maria.socket);
	with_pool(url, 1, 0, commit_lost_body);
	cut_stop();
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
		cmocka_unit_test(what_no_reset_undoes_costs_the_connection),
		cmocka_unit_test(prepared_statements_are_kept_where_they_can_be),
		cmocka_unit_test(names_mean_what_they_mean_to_the_borrower),
		cmocka_unit_test(shared_ones_are_not_changed),
		cmocka_unit_test(a_row_is_free_at_once),
		cmocka_unit_test(what_is_abandoned_is_cancelled_and_rolled_back),
		cmocka_unit_test(a_late_cancel_hits_nobody),
		cmocka_unit_test(what_cannot_be_cleaned_in_time_is_closed),
		cmocka_unit_test(a_connection_that_is_killed_takes_its_transaction_along),
		cmocka_unit_test(a_read_only_server_costs_its_connection),
		cmocka_unit_test(preparations_are_mended_outside_of_transactions),
		cmocka_unit_test(a_pool_may_close_meanwhile),
		cmocka_unit_test(a_commit_whose_answer_is_lost_is_unknown),
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, maria_tear_down);
}
