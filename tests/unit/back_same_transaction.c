/* SPDX-License-Identifier: ISC */

/* Transactions of databases of SQL, on connections that are lent. */
#include "back_same.h"

/* Begin, and change a row, which others wait for then. */
static void
begin_and_set(struct kit *k, struct kit_lease *l, int amount)
{
	kit_lend(k, l);
	kit_lease_do(l, "BEGIN");
	same_set(k, l, 4, amount);
}

/* All is as it was. */
static void
nothing_is_changed(struct kit *k)
{
	kit_says(k, "SELECT SUM(amount) FROM account", "1000");
}

/* ---- in order ---- */

/* An error is the statement's own, or the transaction's, as the database has it. */
static void
error_within(struct kit *k, struct kit_lease *l)
{
	kit_lease_fails(l, "UPDATE account SET amount = -1 WHERE id = 1", WEFT_REFUSED, same.code.check);
	assert_true(lease_in_transaction(&l->lease));
	if (same.code.aborted != NULL) {
		kit_lease_fails(l, "SELECT 1", WEFT_REFUSED, same.code.aborted);
		return;
	}
	kit_lease_fails(l, "SELEKT", WEFT_REFUSED, same.code.syntax);
	assert_true(lease_in_transaction(&l->lease));
	same_set(k, l, 1, 0);
}

static void
transaction_body(void *kit)
{
	struct kit *k = kit;
	struct kit_lease l;

	kit_lend(k, &l);
	assert_false(lease_in_transaction(&l.lease));
	kit_lease_do(&l, pool_begin_sql(k->pool));
	assert_true(lease_in_transaction(&l.lease));
	kit_lease_do(&l, "UPDATE account SET amount = amount - 10 WHERE id = 1");
	kit_lease_do(&l, "SAVEPOINT a");
	error_within(k, &l);
	kit_lease_do(&l, "ROLLBACK TO a");
	kit_lease_do(&l, "UPDATE account SET amount = amount + 10 WHERE id = 2");
	same_has(k, NULL, 1, 100);
	kit_lease_do(&l, "COMMIT");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	same_has(k, NULL, 1, 90);
	same_has(k, NULL, 2, 110);
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "UPDATE account SET amount = 0");
	kit_lease_do(&l, "ROLLBACK");
	kit_give(&l);
	same_has(k, NULL, 1, 90);
	kit_do(k, "UPDATE account SET amount = 100");
}

void
several_statements_are_one_transaction(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 2, transaction_body);
}

/* ---- two that want what the other has ---- */

/* Returns which of them lost, 0 or 1. */
static int
deadlock(struct kit *k, struct kit_lease *l)
{
	struct kit_ask a[2];
	char sql[2][96];
	int bad;

	for (int i = 0; i < 2; i++) {
		kit_lend(k, &l[i]);
		kit_lease_do(&l[i], "BEGIN");
		same_set(k, &l[i], 1 + i, 50);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(sql[i], sizeof sql[i], same_leases.set, 51, 2 - i);
		kit_lease_start(&l[i], &a[i], sql[i]);
	}
	for (int i = 0; i < 2; i++)
		call_wait(&a[i].call, KIT_SOON);
	bad = a[0].call.rc == WEFT_OK;
	kit_assert_fault(&a[bad], WEFT_REFUSED, same.code.deadlock);
	assert_int_equal(a[!bad].call.rc, WEFT_OK);
	for (int i = 0; i < 2; i++)
		kit_end(&a[i]);
	return bad;
}

/* One is rolled back, and what it asks next is not done on its own. */
static void
deadlock_round(struct kit *k, const char *end)
{
	struct kit_lease l[2], *bad = &l[deadlock(k, l)], *good = bad == l ? &l[1] : l;

	assert_int_equal(lease_in_transaction(&bad->lease), same.code.aborted != NULL);
	assert_true(lease_in_transaction(&good->lease));
	kit_lease_fails(bad, "UPDATE account SET amount = 0 WHERE id = 3", WEFT_REFUSED, same.code.after_deadlock);
	kit_lease_fails(bad, "SELECT 1", WEFT_REFUSED, same.code.after_deadlock);
	kit_lease_fails(bad, "ROLLBACK TO SAVEPOINT a", WEFT_REFUSED, same.code.no_savepoint);
	if (strcmp(end, "COMMIT") == 0)
		kit_lease_fails(bad, end, WEFT_REFUSED, same.code.after_deadlock);
	else
		kit_lease_do(bad, end);
	assert_false(lease_in_transaction(&bad->lease));
	kit_lease_do(good, "COMMIT");
	same_has(k, bad, 3, 100);
	kit_lease_do(bad, "BEGIN");
	assert_true(lease_in_transaction(&bad->lease));
	kit_give(good);
	kit_give(bad);
}

static void
deadlock_body(void *kit)
{
	deadlock_round(kit, "ROLLBACK");
	deadlock_round(kit, "COMMIT");
	kit_says(kit, "SELECT COUNT(*) FROM account WHERE amount = 100", "8");
	kit_do(kit, "UPDATE account SET amount = 100");
}

void
a_deadlock_ends_a_transaction_for_its_borrower_too(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 2, deadlock_body);
}

/* ---- what was prepared ---- */

static void
passes(struct kit_lease *l, const char *const *sql)
{
	for (; *sql != NULL; sql++)
		kit_lease_do(l, *sql);
}

/* What passes with the transaction does not cost the prepared statements. */
static void
passing_body(void *kit)
{
	static const char *const everywhere[] = { "BEGIN", "SAVEPOINT a", "UPDATE account SET amount = 50 WHERE id = 3",
		"ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a", "COMMIT AND CHAIN", "COMMIT", NULL };
	struct kit_lease l;

	assert_int_equal(same.prepared(kit, NULL), 1);
	kit_lend(kit, &l);
	passes(&l, everywhere);
	passes(&l, same_leases.passes);
	same_has(kit, &l, 3, 100);
	kit_give(&l);
	assert_int_equal(same.prepared(kit, NULL), 3);
	kit_lend(kit, &l);
	kit_lease_do(&l, same_leases.taint);
	for (int i = 0; i < 3; i++)
		kit_lease_do(&l, "SELECT 'not kept'");
	assert_int_equal(same.prepared(kit, &l), 3);
	kit_give(&l);
	assert_int_equal(same.prepared(kit, NULL), 1);
}

void
prepared_statements_are_kept_where_they_can_be(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, passing_body);
}

/* Not again within a transaction: what was read there may be locked, or counted. */
static void
changed_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;

	kit_do(kit, "CREATE TABLE shape (a int)");
	kit_do(kit, "INSERT INTO shape VALUES (1)");
	kit_says(kit, "SELECT * FROM shape", "1");
	kit_do(kit, "ALTER TABLE shape ADD COLUMN b int DEFAULT 2");
	kit_lend(kit, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_fails(&l, "SELECT * FROM shape", same_leases.changed, same_leases.changed_code);
	kit_lease_do(&l, same.code.aborted != NULL ? "ROLLBACK" : "COMMIT");
	kit_lease_ask(&l, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1", "2");
	kit_end(&a);
	kit_give(&l);
	kit_do(kit, "ALTER TABLE shape ADD COLUMN c int DEFAULT 3");
	kit_lend(kit, &l);
	kit_lease_ask(&l, &a, "SELECT * FROM shape");
	kit_assert_row(&a, "1", "2", "3");
	kit_end(&a);
	kit_give(&l);
	kit_do(kit, "DROP TABLE shape");
}

void
preparations_are_mended_outside_of_transactions(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, changed_body);
}

/* A temporary table hides another of its name from its borrower, and from nobody else. */
static void
hidden_body(void *kit)
{
	struct kit_lease l;

	kit_says(kit, "SELECT COUNT(*) FROM account", "10");
	kit_lend(kit, &l);
	kit_lease_do(&l, "CREATE TEMPORARY TABLE something (a int)");
	kit_give(&l);
	kit_says(kit, "SELECT COUNT(*) FROM account", "10");
	kit_lend(kit, &l);
	kit_lease_says(&l, "SELECT COUNT(*) FROM account", "10");
	kit_lease_do(&l, "CREATE TEMPORARY TABLE account (a int)");
	kit_lease_says(&l, "SELECT COUNT(*) FROM account", "0");
	kit_give(&l);
	kit_says(kit, "SELECT COUNT(*) FROM account", "10");
}

void
a_temporary_table_is_its_borrowers_own(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, hidden_body);
}

/* ---- given back in the middle ---- */

/* Returns how long another waits for a row once a borrower has given its connection back. */
static usec
row_wait(struct kit *k)
{
	struct kit_lease l;
	struct kit_ask a;
	usec given;

	begin_and_set(k, &l, 0);
	kit_start(k, &a, "UPDATE account SET amount = amount + 1 WHERE id = 4", NULL, 0);
	same_nap(50 * USEC_PER_MSEC);
	assert_int_equal(a.call.state, CALL_SENT);
	given = clock_now();
	kit_give(&l);
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	return clock_now() - given;
}

/* The shortest of a few: the machine may do something else. */
static void
row_body(void *kit)
{
	usec least = CLOCK_NEVER;

	kit_do(kit, "SELECT 1");
	for (int i = 0; i < 5; i++)
		least = clock_min(least, row_wait(kit));
	assert_true(least < 100 * USEC_PER_MSEC);
	same_has(kit, NULL, 4, 105);
	same_set(kit, NULL, 4, 100);
}

void
a_row_is_free_at_once(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 2, row_body);
}

/* Given back at once, or after so long. */
static void
given_up(struct kit *k, bool taints, usec after)
{
	struct kit_lease l;
	long long id;
	usec began;

	begin_and_set(k, &l, 0);
	id = same.id(k, &l);
	if (taints)
		kit_lease_do(&l, same_leases.taint);
	same_give_up(k, &l, same_leases.sleep);
	if (after > 0)
		same_nap(after);
	began = clock_now();
	kit_give(&l);
	same_has(k, NULL, 4, 100);
	kit_says(k, same_leases.tainted, same_leases.untainted);
	assert_true(clock_now() - began < USEC_PER_SEC);
	kit_lend(k, &l);
	assert_int_equal(same.id(k, &l), id);
	kit_give(&l);
}

static void
given_up_body(void *kit)
{
	given_up(kit, false, 0);
	given_up(kit, true, 0);
	given_up(kit, false, 300 * USEC_PER_MSEC);	/* when the cancel is over */
}

void
what_is_abandoned_is_cancelled_and_rolled_back(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, given_up_body);
}

/* From before a statement's end to behind it; a cancel that is late hits neither the washing nor who comes next. */
static void
late_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;
	unsigned timeouts = 0;

	for (int round = 0; round < 150; round++) {
		begin_and_set(kit, &l, 0);
		kit_lease_start(&l, &a, round % 3 == 0 ? "SELECT SLEEP(0.004) FROM nowhere" : "SELECT SLEEP(0.004)");
		timeouts += call_wait(&a.call, clock_now() + round % 50 * 120) == WEFT_TIMEOUT;
		kit_end(&a);
		kit_give(&l);
		kit_ask(kit, &a, "SELECT SLEEP(0.001), SUM(amount) FROM account");
		kit_assert_row(&a, "0", "1000");
		kit_end(&a);
	}
	assert_true(timeouts > 10);
	/* Rarely MariaDB takes seconds for what is interrupted just as it ends: that costs its connection, and no more. */
	assert_in_range(kit_stat(kit).connects, 1, 2);
}

void
a_late_cancel_hits_no_transaction(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, late_body);
}

/* ---- ended by somebody else ---- */

static void
killed_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;
	long long id;

	begin_and_set(kit, &l, 0);
	id = same.id(kit, &l);
	kit_lease_start(&l, &a, same_leases.sleep);
	same_nap(50 * USEC_PER_MSEC);
	same.kill(id);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_UNKNOWN, same.code.killed);
	kit_end(&a);
	assert_false(lease_is_live(&l.lease));
	for (int i = 0; i < 2; i++) {
		kit_lease_ask(&l, &a, "UPDATE account SET amount = 1 WHERE id = 5");
		kit_assert_fault(&a, WEFT_NOT_SENT, same.code.killed);
		assert_non_null(strstr(a.fault.text, same.code.killed_words));
		kit_end(&a);
	}
	kit_lease_fails(&l, "COMMIT", WEFT_NOT_SENT, same.code.killed);
	kit_give(&l);
	nothing_is_changed(kit);
}

void
a_connection_that_is_killed_takes_its_transaction_along(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, killed_body);
}

/* The transaction goes on, where an error is not its end too. */
static void
interrupted_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;
	long long id;

	begin_and_set(kit, &l, 99);
	id = same.id(kit, &l);
	kit_lease_start(&l, &a, "UPDATE account SET amount = 1 WHERE SLEEP(10) = 5");
	same_nap(50 * USEC_PER_MSEC);
	same.interrupt(id);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, same.code.interrupted);
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	if (same.code.aborted == NULL)
		kit_lease_do(&l, "COMMIT");
	else
		kit_lease_fails(&l, "COMMIT", WEFT_REFUSED, same.code.aborted);
	kit_give(&l);
	same_has(kit, NULL, 4, same.code.aborted == NULL ? 99 : 100);
	same_set(kit, NULL, 4, 100);
}

void
a_statement_that_is_interrupted_is_its_own_failure(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, interrupted_body);
}
