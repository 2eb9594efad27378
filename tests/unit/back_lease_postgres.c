/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real PostgreSQL: transactions, and what a borrower leaves behind. */
#include "back_same.h"

#include "back_server.h"

/* ---- what differs from other databases ---- */

static const struct same_trail postgres_trails[] = {
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
	{ { "BEGIN", "!SELECT 1/0" }, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'", "0" },
};

static const char *const postgres_changes[] = { "SELECT set_config('work_mem', '77MB', false)", "SET work_mem = '77MB'", "BEGIN",
	"SELECT SET_CONFIG ('a.b', '1', true)", "SELECT pg_advisory_lock(1)", "SELECT pg_catalog.\"pg_advisory_lock\"(1)",
	"SELECT pg_try_advisory_lock(1, 2)", "SELECT 1 INTO TEMPORARY x", "CREATE TABLE pg_temp.x (a int)",
	"DO $$ BEGIN PERFORM pg_advisory_lock_shared(1); END $$", "SELECT dblink_connect('x')", NULL };

static const char *const postgres_passes[] = { "BEGIN", "SET LOCAL work_mem = '77MB'", "SET TRANSACTION READ ONLY",
	"SET CONSTRAINTS ALL DEFERRED", "SAVEPOINT a", "LOCK TABLE account IN ACCESS SHARE MODE", "ROLLBACK TO SAVEPOINT a", "RELEASE a",
	"COMMIT AND CHAIN", NULL };

const struct same_leases same_leases = {
	.begin = "BEGIN", .commit = "COMMIT", .set = "UPDATE account SET amount = %1$d WHERE id = %2$d",
	.get = "SELECT amount FROM account WHERE id = %d", .add_one = "UPDATE account SET amount = amount + 1 WHERE id = 1",
	.insert = "INSERT INTO parent VALUES (%u)", .count = "SELECT COUNT(*) FROM parent", .empty = "DELETE FROM parent",
	.sleep = "SELECT SLEEP(10)", .taint = "SET work_mem = '77MB'", .tainted = "SELECT current_setting('work_mem')", .untainted = "4MB",
	.changes = postgres_changes, .changes_words = "weft_lend", .passes = postgres_passes, .changed = WEFT_REFUSED, .changed_code = "0A000",
	.trails = postgres_trails, .ntrails = sizeof postgres_trails / sizeof *postgres_trails,
};

static void
roles_body(void *kit)
{
	kit_do(kit, "CREATE ROLE somebody");
}

static int
set_up(void **state)
{
	if (server_set_up(state) != 0)
		return -1;
	same_make_tables();
	same_with_pool(same.url, 1, 1, roles_body);
	return 0;
}

/* ---- transactions ---- */

static void
uncommitted_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
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
	kit_says(kit, "SELECT count(*) FROM parent", "0");
	kit_says(kit, "SELECT count(*) FROM child", "0");
}

static void
a_commit_that_rolls_back_is_refused(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, uncommitted_body);
}

/* Two that saw what the other changed. */
static void
conflict_body(void *kit)
{
	struct kit_lease l[2];

	for (int i = 0; i < 2; i++) {
		kit_lend(kit, &l[i]);
		kit_lease_do(&l[i], "BEGIN ISOLATION LEVEL SERIALIZABLE");
		kit_lease_says(&l[i], "SELECT sum(amount) FROM account", "1000");
	}
	for (int i = 0; i < 2; i++)
		same_set(kit, &l[i], 2 - i, 51);
	kit_lease_do(&l[0], "COMMIT");
	kit_lease_fails(&l[1], "COMMIT", WEFT_REFUSED, "40001");
	kit_give(&l[0]);
	kit_give(&l[1]);
	kit_do(kit, "UPDATE account SET amount = 100");
}

static void
conflicts_are_told(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 2, conflict_body);
}

static void
stale_body(void *kit)
{
	struct kit_lease l;

	kit_lend(kit, &l);
	kit_lease_do(&l, "BEGIN READ ONLY");
	kit_lease_fails(&l, "UPDATE account SET amount = 0", WEFT_REFUSED, "25006");
	assert_true(lease_is_live(&l.lease));
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	kit_says(kit, "SELECT sum(amount) FROM account", "1000");
}

/* It may be the server that is read-only now, so it is not used again; but its borrower keeps it. */
static void
a_read_only_transaction_costs_its_connection(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, stale_body);
}

/* ---- what may be sent ---- */

static void
functions_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;

	kit_ask(kit, &a, postgres_changes[0]);
	kit_assert_fault(&a, WEFT_INVALID, "");
	assert_non_null(strstr(a.fault.text, "set_config"));
	kit_end(&a);
	/* Not on any connection. */
	kit_lend(kit, &l);
	kit_lease_fails(&l, "COPY account TO STDOUT", WEFT_INVALID, "");
	kit_give(&l);
	/* These go with their statement, or are no calls. */
	kit_do(kit, "SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)");
	kit_do(kit, "SELECT proname FROM pg_proc WHERE proname = 'set_config'");
	kit_do(kit, "SELECT nextval(pg_get_serial_sequence('pg_class', 'oid')) WHERE false");
}

static void
functions_are_looked_at(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, functions_body);
}

static void
lost_body(void *kit)
{
	struct kit_lease l;

	kit_says(kit, "SELECT amount FROM account WHERE id = 5", "100");
	kit_do(kit, "DEALLOCATE ALL");
	kit_lend(kit, &l);
	kit_lease_do(&l, "BEGIN");
	/* Not again: it would be refused anyway. */
	kit_lease_fails(&l, "SELECT amount FROM account WHERE id = 5", WEFT_REFUSED, "26000");
	kit_lease_do(&l, "ROLLBACK");
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 5", "100");
	kit_give(&l);
	kit_do(kit, "DEALLOCATE ALL");
	kit_lend(kit, &l);
	kit_lease_says(&l, "SELECT amount FROM account WHERE id = 5", "100");
	kit_give(&l);
}

static void
lost_preparations_are_mended_outside_of_transactions(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, lost_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_TRANSACTIONS(SAME_TEST)
		SAME_LEASES(SAME_TEST)
		cmocka_unit_test(a_commit_that_rolls_back_is_refused),
		cmocka_unit_test(conflicts_are_told),
		cmocka_unit_test(a_read_only_transaction_costs_its_connection),
		cmocka_unit_test(functions_are_looked_at),
		cmocka_unit_test(lost_preparations_are_mended_outside_of_transactions),
	};

	if (!server_find())
		return 1;
	return cmocka_run_group_tests(tests, set_up, server_tear_down);
}
