/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real MariaDB: transactions, and what a borrower leaves behind. */
#include "back_same.h"

#include "back_maria.h"

/* ---- what differs from other databases ---- */

static const struct same_trail mariadb_trails[] = {
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
	{ { "FLUSH TABLES WITH READ LOCK" }, "REPLACE INTO account VALUES (1, 100) RETURNING amount", "100" },
	{ { "HANDLER account OPEN", "HANDLER account READ FIRST" }, "SELECT COUNT(*) FROM account", "10" },
	{ { "CALL begins()" }, "SELECT @@in_transaction", "0" },
	{ { "!CALL begins_and_fails()" }, "SELECT @@in_transaction + @@max_statement_time + SUM(amount) FROM account", "1000.000000" },
	{ { "SELECT sets()" }, "SELECT @@max_statement_time", "0.000000" },
	{ { "XA START 'mine'", "UPDATE account SET amount = 0" }, "SELECT @@in_transaction + SUM(amount) FROM account", "1000" },
	{ { "BEGIN", "UPDATE account SET amount = 0", "!SELEKT" }, "SELECT @@in_transaction + SUM(amount) FROM account", "1000" },
	{ { "BEGIN NOT ATOMIC SET @x = 5; END" }, "SELECT @x", NULL },
};

static const char *const mariadb_changes[] = { "SET max_statement_time = 77", "BEGIN", "COMMIT", "SAVEPOINT a", "ROLLBACK TO a",
	"LOCK TABLES account READ", "USE weft", "HANDLER account OPEN", "CREATE TEMPORARY TABLE account (a int)", "XA START 'mine'", NULL };

static const char *const mariadb_passes[] = { "START TRANSACTION READ ONLY", "ROLLBACK", "START TRANSACTION WITH CONSISTENT SNAPSHOT", NULL };

const struct same_leases same_leases = {
	.begin = "BEGIN", .commit = "COMMIT", .set = "UPDATE account SET amount = %1$d WHERE id = %2$d",
	.get = "SELECT amount FROM account WHERE id = %d", .add_one = "UPDATE account SET amount = amount + 1 WHERE id = 1",
	.insert = "INSERT INTO parent VALUES (%u)", .count = "SELECT COUNT(*) FROM parent", .empty = "DELETE FROM parent",
	.sleep = "SELECT SLEEP(10)", .taint = "SET max_statement_time = 77", .tainted = "SELECT @@max_statement_time", .untainted = "0.000000",
	.changes = mariadb_changes, .changes_words = "weft_lend", .passes = mariadb_passes, .changed = WEFT_UNKNOWN, .changed_code = "",
	.trails = mariadb_trails, .ntrails = sizeof mariadb_trails / sizeof *mariadb_trails,
};

static void
procedures_body(void *kit)
{
	kit_do(kit, "CREATE PROCEDURE locks() DO GET_LOCK('mine', 0)");
	kit_do(kit, "CREATE PROCEDURE begins() START TRANSACTION");
	kit_do(kit, "CREATE PROCEDURE begins_and_fails() BEGIN SET SESSION max_statement_time = 77; START TRANSACTION; "
	    "UPDATE account SET amount = 0; SELECT * FROM nowhere; END");
	kit_do(kit, "CREATE FUNCTION sets() RETURNS int BEGIN SET SESSION max_statement_time = 77; RETURN 1; END");
}

static int
set_up(void **state)
{
	if (maria_set_up(state) != 0)
		return -1;
	maria_admin("CREATE ROLE somebody");
	maria_admin("GRANT somebody TO weft@'%'");
	maria_admin("GRANT PROCESS, RELOAD ON *.* TO weft@'%'");
	same_make_tables();
	same_with_pool(same.url, 1, 1, procedures_body);
	return 0;
}

/* ---- transactions that end by themselves ---- */

/* Which is said, and what follows is not done on its own. */
static void
implicit_end(struct kit *k, const char *end)
{
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	same_set(k, &l, 1, 99);
	kit_lease_do(&l, end);
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_ask(&l, &a, "UPDATE account SET amount = 0 WHERE id = 2");
	kit_assert_fault(&a, WEFT_REFUSED, "");
	assert_non_null(strstr(a.fault.text, "the statement before has ended it"));
	kit_end(&a);
	kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, "");
	same_set(k, &l, 1, 100);
	kit_give(&l);
}

/* Who does without autocommit begins by any statement, and ends by settings too. */
static void
no_autocommit(struct kit *k)
{
	struct kit_lease l;

	kit_lend(k, &l);
	kit_lease_do(&l, "SET autocommit = 0");
	same_set(k, &l, 1, 99);
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "DROP TABLE other");
	assert_false(lease_in_transaction(&l.lease));
	same_set(k, &l, 1, 98);
	kit_lease_do(&l, "SET autocommit = 1");
	assert_false(lease_in_transaction(&l.lease));
	same_has(k, &l, 1, 98);
	kit_lease_do(&l, "SET autocommit = 0");
	kit_lease_do(&l, "UPDATE account SET amount = 0");
	kit_give(&l);
}

static void
implicit_body(void *kit)
{
	implicit_end(kit, "CREATE OR REPLACE TABLE other (a int)");
	implicit_end(kit, "LOCK TABLES account WRITE");
	implicit_end(kit, "TRUNCATE TABLE one");
	no_autocommit(kit);
	same_set(kit, NULL, 1, 100);
	kit_says(kit, "SELECT SUM(amount) FROM account", "1000");
}

static void
a_statement_that_commits_ends_it_for_its_borrower_too(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, implicit_body);
}

/* One which asked for it has asked for it; but what a server that has become read-only says is the end of its connection. */
static void
read_only_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
	kit_lease_do(&l, "START TRANSACTION READ ONLY");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "1792");
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_lend(kit, &l);
	kit_lease_do(&l, "BEGIN");
	maria_admin("SET GLOBAL read_only = 1");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "1290");
	maria_admin("SET GLOBAL read_only = 0");
	assert_true(lease_is_live(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_says(kit, "SELECT SUM(amount) FROM account", "1000");
}

static void
a_read_only_server_costs_its_connection(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, read_only_body);
}

/* ---- what is left behind ---- */

/* A reset leaves the role, and where the URL names no database it leaves that which was chosen. */
static void
role_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
	kit_lease_do(&l, "/* a */ SET ROLE somebody");
	kit_lease_says(&l, "SELECT CURRENT_ROLE()", "somebody");
	kit_give(&l);
	kit_says(kit, "SELECT CURRENT_ROLE()", NULL);
}

static void
database_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
	kit_lease_do(&l, "USE information_schema");
	kit_give(&l);
	kit_says(kit, "SELECT DATABASE()", NULL);
}

static void
what_no_reset_undoes_costs_the_connection(void **state)
{
	char url[200];

	(void)state;
	same_with_pool(same.url, 1, 2, role_body);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@?socket=%s", maria.socket);
	same_with_pool(url, 1, 2, database_body);
}

/* Another database has other tables. */
static void
other_database_body(void *kit)
{
	struct kit_lease l;

	kit_says(kit, "SELECT COUNT(*) FROM account", "10");
	kit_lend(kit, &l);
	kit_lease_do(&l, "USE information_schema");
	kit_lease_fails(&l, "SELECT COUNT(*) FROM account", WEFT_REFUSED, "1109");
	kit_give(&l);
	kit_says(kit, "SELECT COUNT(*) FROM account", "10");
}

static void
names_mean_what_they_mean_to_the_borrower(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, other_database_body);
}

/* Nor does anything stay that a procedure or a function has done, also where it fails. */
static void
functions_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
	kit_lease_fails(&l, "PREPARE a FROM 'SELECT 1'", WEFT_REFUSED, "1295");
	kit_give(&l);
	kit_fails(kit, "CALL begins_and_fails()", WEFT_REFUSED, "1146");
	kit_says(kit, "SELECT @@in_transaction + @@max_statement_time + SUM(amount) FROM account", "1000.000000");
	kit_says(kit, "SELECT sets()", "1");
	kit_says(kit, "SELECT @@max_statement_time", "0.000000");
}

static void
what_functions_do_does_not_stay(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, functions_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_TRANSACTIONS(SAME_TEST)
		SAME_LEASES(SAME_TEST)
		cmocka_unit_test(a_statement_that_commits_ends_it_for_its_borrower_too),
		cmocka_unit_test(a_read_only_server_costs_its_connection),
		cmocka_unit_test(what_no_reset_undoes_costs_the_connection),
		cmocka_unit_test(names_mean_what_they_mean_to_the_borrower),
		cmocka_unit_test(what_functions_do_does_not_stay),
	};

	if (!maria_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, maria_tear_down);
}
