/* SPDX-License-Identifier: ISC */
/* The exported API: connections that are borrowed, and transactions, over a driver which the test plays. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

#include "tests/unit/back_fake.h"

static int (*lease_test)(struct weft_request *rq);
static int lease_rc, lease_later;
static char lease_text[256];
static struct weft_lease *lease_kept;

static int
lease_handler(struct weft_request *rq)
{
	return lease_test(rq);
}

static void
add_pool(struct rig *r, const char *name, const struct driver *d)
{
	struct pool_conf conf = { .name = name, .url = "fake://db.internal/x", .min = 1, .max = 1 };
	struct pool *p = pool_open_driver(r->loop, &conf, d, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
lease_setup(void **state)
{
	struct rig *r;

	fake_reset();
	lease_rc = lease_later = -1;
	lease_text[0] = '\0';
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	rig_route(r, "GET", "/", lease_handler);
	add_pool(r, "db", &fake_sql);
	add_pool(r, "cache", &fake_redis);
	add_pool(r, "web", &fake_http);
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define LEASE_TEST(fn) cmocka_unit_test_setup_teardown(fn, lease_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	lease_test = test;
	rig_new(r, a, "GET", "/", NULL);
	rig_start(r, a);
}

static void
ends_with(struct rig *r, struct answer *a, int status, const char *body)
{
	rig_finish(r, a);
	answer_is(a, status, body);
	answer_free(a);
}

static struct pool_stat
stat_of(struct rig *r, const char *pool)
{
	struct pool_stat s;

	pool_stat(app_pool(&r->app, pool), &s);
	return s;
}

/* The connection of a pool. */
static unsigned
conn_of(enum call_kind kind)
{
	unsigned i = 0;

	while (fake.conn[i]->conn->driver->kind != kind)
		i++;
	return i;
}

/* The database was asked this; answer it. */
static void
asked(struct rig *r, const char *sql)
{
	unsigned i = conn_of(CALL_SQL);

	assert_int_equal(fake.conn[i]->count, 1);
	assert_non_null(fake.conn[i]->pipe[0]);
	assert_string_equal(fake.conn[i]->pipe[0]->sql, sql);
	fake_reply(i);
	rig_settle(r);
}

static void
asked_nothing(void)
{
	assert_int_equal(fake.conn[conn_of(CALL_SQL)]->count, 0);
}

/* A connection was lost: there is another one. */
static void
come_back(struct rig *r)
{
	rig_skip(USEC_PER_SEC);
	rig_settle(r);
	fake_all_ready();
	rig_settle(r);
}

static void
keep_text(const struct weft_request *rq)
{
	snprintf(lease_text, sizeof lease_text, "%s", weft_fault_text(rq));
}

/* ---- as it should be ---- */

static int
transfer(struct weft_request *rq)
{
	struct weft_rows *rows = (struct weft_rows *)1;
	struct weft_value word[] = { WEFT_INT(5), WEFT_TEXT("x") };
	struct weft_lease *t;

	if (weft_begin(rq, "db", &t) != WEFT_OK)
		return weft_fail(rq);
	if (weft_lease_sql(t, &rows, "TAKE $1", WEFT_INT(5)) != WEFT_OK || weft_lease_sql_values(t, NULL, "GIVE $1 $2", word, 2) != WEFT_OK)
		return weft_fail(rq);
	assert_true(rows != (struct weft_rows *)1);
	lease_rc = weft_commit(t);
	return lease_rc == WEFT_OK ? weft_puts(rq, "moved") : weft_fail(rq);
}

static void
a_transaction_has_its_connection_alone(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, transfer);
	assert_int_equal(stat_of(r, "db").lent, 1);
	asked(r, FAKE_BEGIN);
	asked(r, "TAKE $1");
	assert_int_equal(fake.conn[conn_of(CALL_SQL)]->pipe[0]->nvalues, 2);
	asked(r, "GIVE $1 $2");
	assert_int_equal(fake.cleans, 0);
	asked(r, "COMMIT");
	ends_with(r, &a, 200, "moved");
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(stat_of(r, "db").lent, 0);
	assert_int_equal(stat_of(r, "db").left, 0);
}

static int
change_ones_mind(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	weft_rollback(t);
	weft_rollback(t);
	weft_rollback(NULL);
	lease_rc = weft_commit(t);
	keep_text(rq);
	return weft_puts(rq, "no");
}

static void
rolling_back_is_giving_back(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, change_ones_mind);
	asked(r, FAKE_BEGIN);
	ends_with(r, &a, 200, "no");
	asked_nothing();
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(lease_rc, WEFT_INVALID);
	assert_string_equal(lease_text, "the connection of pool db has been given back");
}

static int
forget(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	assert_int_equal(weft_lease_sql(t, NULL, "TAKE"), WEFT_OK);
	return weft_puts(rq, "oh");
}

static void
what_is_left_is_given_back_and_counted(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, forget);
	asked(r, FAKE_BEGIN);
	asked(r, "TAKE");
	ends_with(r, &a, 200, "oh");
	asked_nothing();
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(stat_of(r, "db").lent, 0);
	assert_int_equal(stat_of(r, "db").left, 1);
}

static int
wait_for_one(struct weft_request *rq)
{
	struct weft_lease *l = (struct weft_lease *)1;

	lease_rc = weft_lend(rq, "db", &l);
	if (lease_rc != WEFT_OK) {
		assert_null(l);
		return weft_fail(rq);
	}
	weft_give(l);
	weft_give(NULL);
	return weft_puts(rq, "had");
}

static void
it_waits_in_the_pools_queue(void **state)
{
	struct rig *r = *state;
	struct answer first, a, b;

	begin(r, &first, forget);
	begin(r, &a, wait_for_one);
	begin(r, &b, wait_for_one);
	assert_int_equal(stat_of(r, "db").queued, 2);
	assert_int_equal(fiber_why(a.rq->fiber), WAIT_POOL);
	rig_gone(r, &a);
	assert_int_equal(stat_of(r, "db").queued, 1);
	assert_int_equal(lease_rc, WEFT_CANCELED);
	answer_free(&a);
	begin(r, &a, wait_for_one);
	rig_skip(2500 * USEC_PER_MSEC);
	ends_with(r, &a, 503, "503 Service Unavailable: db: too busy\n");
	ends_with(r, &b, 503, "503 Service Unavailable: db: too busy\n");
	begin(r, &a, wait_for_one);
	lease_test = forget;
	asked(r, FAKE_BEGIN);
	asked(r, "TAKE");
	ends_with(r, &first, 200, "oh");
	ends_with(r, &a, 200, "had");
}

static int
ask_redis(struct weft_request *rq)
{
	struct weft_reply *reply;
	struct weft_lease *l;

	assert_int_equal(weft_lend(rq, "cache", &l), WEFT_OK);
	assert_int_equal(weft_lease_redis(l, &reply, "GET %y", 1), WEFT_INVALID);
	assert_int_equal(weft_lease_sql(l, NULL, "SELECT 1"), WEFT_INVALID);
	lease_rc = weft_lease_redis(l, &reply, "WATCH %s", "a b");
	return weft_puts(rq, "watched");
}

static void
commands_go_down_one_too(void **state)
{
	struct rig *r = *state;
	struct answer a;
	unsigned i = conn_of(CALL_REDIS);

	begin(r, &a, ask_redis);
	assert_int_equal(fake.conn[i]->count, 1);
	assert_memory_equal(fake.conn[i]->pipe[0]->redis.at, "*2\r\n$5\r\nWATCH\r\n$3\r\na b\r\n", 24);
	fake_reply(i);
	ends_with(r, &a, 200, "watched");
	assert_int_equal(lease_rc, WEFT_OK);
	assert_int_equal(stat_of(r, "cache").left, 1);
}

/* ---- what the handler does wrong ---- */

static int
ask_wrong(struct weft_request *rq)
{
	static const char *const bad[] = { "BEGIN", " commit", "ROLLBACK", "rollback work", "END", "START TRANSACTION", "PREPARE TRANSACTION 'x'" };
	static const char *const good[] = { "SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK WORK TO SAVEPOINT a", "PREPARE x AS SELECT 1" };
	static struct weft_value many[WEFT_SQL_VALUES_MAX + 1];
	struct weft_rows *rows = (struct weft_rows *)1;
	struct weft_lease *l;

	assert_int_equal(weft_lend(rq, "none", &l), WEFT_INVALID);
	assert_null(l);
	assert_int_equal(weft_begin(rq, "none", &l), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "no pool is called \"none\"; weft.conf has db, cache, web");
	assert_int_equal(weft_begin(rq, "cache", &l), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool cache has no transactions");
	assert_int_equal(weft_lend(rq, "web", &l), WEFT_INVALID);
	assert_null(l);
	assert_string_equal(weft_fault_text(rq), "pool web lends no connections");
	assert_int_equal(weft_lease_sql(l, &rows, "SELECT 1"), WEFT_INVALID);
	assert_null(rows);
	assert_int_equal(weft_lease_sql_values(l, NULL, "SELECT 1", NULL, 0), WEFT_INVALID);
	assert_int_equal(weft_lease_redis(l, NULL, "PING"), WEFT_INVALID);
	assert_int_equal(weft_commit(l), WEFT_INVALID);
	assert_int_equal(weft_lend(rq, "db", &l), WEFT_OK);
	assert_int_equal(weft_lease_redis(l, NULL, "PING"), WEFT_INVALID);
	assert_int_equal(weft_lease_sql_values(l, NULL, "SELECT 1", many, WEFT_SQL_VALUES_MAX + 1), WEFT_INVALID);
	assert_int_equal(weft_commit(l), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), "did not begin"));
	assert_int_equal(weft_begin(rq, "db", &l), WEFT_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(weft_lease_sql(l, NULL, bad[i]), WEFT_INVALID);
		assert_non_null(strstr(weft_fault_text(rq), "weft_commit()"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(weft_lease_sql(l, NULL, good[i]), WEFT_OK);
	return weft_commit(l) == WEFT_OK ? weft_puts(rq, "well") : weft_fail(rq);
}

static void
wrong_questions_are_refused(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_wrong);
	asked(r, FAKE_BEGIN);
	asked(r, "SAVEPOINT a");
	asked(r, "ROLLBACK TO a");
	asked(r, "ROLLBACK WORK TO SAVEPOINT a");
	asked(r, "PREPARE x AS SELECT 1");
	asked(r, "COMMIT");
	ends_with(r, &a, 200, "well");
	assert_int_equal(stat_of(r, "db").left, 0);
}

static int
use_from_child(struct weft_request *rq, void *arg)
{
	(void)arg;
	lease_later = weft_lease_sql(lease_kept, NULL, "SELECT 2");
	keep_text(rq);
	return WEFT_OK;
}

static int
give_from_child(struct weft_request *rq, void *arg)
{
	(void)rq;
	(void)arg;
	weft_give(lease_kept);
	return WEFT_OK;
}

static int
use_from_two(struct weft_request *rq)
{
	struct weft_call *child;

	assert_int_equal(weft_begin(rq, "db", &lease_kept), WEFT_OK);
	child = weft_spawn(rq, use_from_child, NULL);
	assert_int_equal(weft_lease_sql(lease_kept, NULL, "SELECT 1"), WEFT_OK);
	assert_int_equal(weft_wait(rq, child), WEFT_OK);
	child = weft_spawn(rq, give_from_child, NULL);
	lease_rc = weft_lease_sql(lease_kept, NULL, "SELECT 3");
	assert_int_equal(weft_wait(rq, child), WEFT_OK);
	assert_int_equal(weft_lease_sql(lease_kept, NULL, "SELECT 4"), WEFT_INVALID);
	return weft_puts(rq, "two");
}

static void
one_fiber_at_a_time_uses_it(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, use_from_two);
	asked(r, FAKE_BEGIN);
	assert_int_equal(lease_later, WEFT_INVALID);
	assert_string_equal(lease_text, "another fiber uses the connection of pool db now");
	asked(r, "SELECT 1");
	ends_with(r, &a, 200, "two");
	assert_int_equal(lease_rc, WEFT_CANCELED);
	assert_int_equal(fake.abandons, 1);
	fake_reply(conn_of(CALL_SQL));
}

/* ---- what goes wrong ---- */

static int
go_on_after_a_failure(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	lease_rc = weft_lease_sql(t, NULL, "TAKE");
	lease_later = weft_lease_sql(t, NULL, "GIVE");
	keep_text(rq);
	assert_int_equal(weft_commit(t), lease_later);
	return weft_fail(rq);
}

static void
after_a_loss_nothing_is_sent(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, go_on_after_a_failure);
	asked(r, FAKE_BEGIN);
	fake_flush(conn_of(CALL_SQL));
	fake_lose(conn_of(CALL_SQL), "the server went away");
	ends_with(r, &a, 503, "503 Service Unavailable: db: could not be reached\n");
	assert_int_equal(lease_rc, WEFT_UNKNOWN);
	assert_int_equal(lease_later, WEFT_NOT_SENT);
	assert_non_null(strstr(lease_text, "pool db: the connection that was lent is gone: the server went away"));
	assert_int_equal(fake.cleans, 0);
	assert_int_equal(stat_of(r, "db").left, 0);
}

static void
after_a_late_answer_nothing_is_sent(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, go_on_after_a_failure);
	asked(r, FAKE_BEGIN);
	rig_skip(30500 * USEC_PER_MSEC);
	ends_with(r, &a, 504, "504 Gateway Timeout: db: no answer in time\n");
	assert_int_equal(lease_rc, WEFT_TIMEOUT);
	assert_int_equal(lease_later, WEFT_TIMEOUT);
	assert_string_equal(lease_text, "pool db: a call on the connection that was lent has been given up before: no answer in time");
	assert_int_equal(fake.cleans, 1);
	fake_reply(conn_of(CALL_SQL));
}

static void
after_the_client_has_left_nothing_is_sent(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, go_on_after_a_failure);
	asked(r, FAKE_BEGIN);
	rig_gone(r, &a);
	assert_int_equal(lease_rc, WEFT_CANCELED);
	assert_int_equal(lease_later, WEFT_CANCELED);
	assert_int_equal(fake.abandons, 1);
	assert_int_equal(fake.cleans, 1);
	fake_reply(conn_of(CALL_SQL));
	answer_free(&a);
}

/* MariaDB at a deadlock, SQLite at a full disk: what follows would be done on its own. */
static void
after_the_database_has_rolled_back_nothing_is_sent(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, go_on_after_a_failure);
	asked(r, FAKE_BEGIN);
	fake_error(conn_of(CALL_SQL), "1213", FAKE_ROLLS_BACK);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(lease_rc, WEFT_REFUSED);
	assert_int_equal(lease_later, WEFT_REFUSED);
	assert_string_equal(lease_text, "pool db: the transaction is over: pool db: it went wrong");
	assert_int_equal(fake.cleans, 1);
}

static int
look_at_the_code(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	assert_int_equal(weft_lease_sql(t, NULL, "TAKE"), WEFT_REFUSED);
	assert_string_equal(weft_fault_code(rq), "40001");
	lease_rc = weft_lease_sql(t, NULL, "ROLLBACK TO a");
	return weft_puts(rq, "seen");
}

static void
a_refusal_is_the_handlers_to_judge(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, look_at_the_code);
	asked(r, FAKE_BEGIN);
	fake_error(conn_of(CALL_SQL), "40001", FAKE_GOES_ON);
	rig_settle(r);
	asked(r, "ROLLBACK TO a");
	ends_with(r, &a, 200, "seen");
	assert_int_equal(lease_rc, WEFT_OK);
	assert_int_equal(stat_of(r, "db").left, 1);
}

/* ---- COMMIT ---- */

static int
commit_only(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	lease_rc = weft_commit(t);
	keep_text(rq);
	return lease_rc == WEFT_OK ? weft_puts(rq, "done") : weft_fail(rq);
}

static void
a_lost_commit_is_unknown(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_only);
	asked(r, FAKE_BEGIN);
	fake_flush(conn_of(CALL_SQL));
	fake_lose(conn_of(CALL_SQL), "gone");
	ends_with(r, &a, 503, "503 Service Unavailable: db: connection lost, outcome unknown\n");
	assert_int_equal(lease_rc, WEFT_UNKNOWN);
	come_back(r);
	asked_nothing();	/* and is not sent again */
}

static void
a_late_commit_is_unknown(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_only);
	asked(r, FAKE_BEGIN);
	rig_skip(30500 * USEC_PER_MSEC);
	ends_with(r, &a, 503, "503 Service Unavailable: db: connection lost, outcome unknown\n");
	assert_int_equal(lease_rc, WEFT_UNKNOWN);
	assert_string_equal(lease_text, "pool db: COMMIT was sent, and then: no answer in time");
	assert_int_equal(fake.cleans, 1);
	fake_reply(conn_of(CALL_SQL));
}

static void
a_commit_that_is_cancelled_is_unknown(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_only);
	asked(r, FAKE_BEGIN);
	rig_gone(r, &a);
	assert_int_equal(lease_rc, WEFT_UNKNOWN);
	fake_reply(conn_of(CALL_SQL));
	answer_free(&a);
}

static void
a_commit_that_is_refused(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_only);
	asked(r, FAKE_BEGIN);
	fake_error(conn_of(CALL_SQL), "23503", FAKE_ROLLS_BACK);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(lease_rc, WEFT_REFUSED);
	assert_int_equal(fake.cleans, 1);
}

static int
commit_late(struct weft_request *rq)
{
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	lease_later = weft_sleep(rq, 1000);
	lease_rc = weft_commit(t);
	keep_text(rq);
	return weft_fail(rq);
}

static void
who_has_left_commits_nothing(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_late);
	asked(r, FAKE_BEGIN);
	rig_gone(r, &a);
	assert_int_equal(lease_later, WEFT_CANCELED);
	assert_int_equal(lease_rc, WEFT_CANCELED);
	assert_string_equal(lease_text, "rolled back: cancelled before COMMIT was sent");
	asked_nothing();
	assert_int_equal(fake.cleans, 1);
	answer_free(&a);
}

static void
commit_in_the_end(void *arg)
{
	(void)arg;
	lease_rc = weft_commit(lease_kept);
}

static int
commit_in_a_defer(struct weft_request *rq)
{
	assert_int_equal(weft_begin(rq, "db", &lease_kept), WEFT_OK);
	assert_int_equal(weft_defer(rq, commit_in_the_end, NULL), WEFT_OK);
	return weft_puts(rq, "deferred");
}

/* A deferred function may use what the handler has borrowed, even when the client is gone. */
static void
deferred_functions_may_commit(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, commit_in_a_defer);
	asked(r, FAKE_BEGIN);
	rig_gone(r, &a);
	asked(r, "COMMIT");
	rig_settle(r);
	assert_int_equal(lease_rc, WEFT_OK);
	assert_int_equal(stat_of(r, "db").left, 0);
	answer_free(&a);
}

/* ---- BEGIN ---- */

static int
begin_only(struct weft_request *rq)
{
	struct weft_lease *t = (struct weft_lease *)1;

	lease_rc = weft_begin(rq, "db", &t);
	if (lease_rc == WEFT_OK) {
		assert_int_equal(weft_fault(rq), WEFT_OK);
		return weft_puts(rq, "begun");
	}
	assert_null(t);
	return weft_fail(rq);
}

static void
a_beginning_is_tried_on_another_connection(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, begin_only);
	fake_flush(conn_of(CALL_SQL));
	fake_lose(conn_of(CALL_SQL), "gone");
	come_back(r);
	asked(r, FAKE_BEGIN);
	ends_with(r, &a, 200, "begun");
}

static void
a_beginning_is_tried_twice(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, begin_only);
	for (int i = 0; i < 2; i++) {
		fake_flush(conn_of(CALL_SQL));
		fake_lose(conn_of(CALL_SQL), "gone");
		come_back(r);
	}
	ends_with(r, &a, 503, "503 Service Unavailable: db: could not be reached\n");
	assert_int_equal(lease_rc, WEFT_NOT_SENT);
	asked_nothing();
}

static void
a_beginning_that_is_refused(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, begin_only);
	fake_error(conn_of(CALL_SQL), "SQLITE_BUSY", FAKE_GOES_ON);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(stat_of(r, "db").lent, 0);
	assert_int_equal(stat_of(r, "db").left, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LEASE_TEST(a_transaction_has_its_connection_alone),
		LEASE_TEST(rolling_back_is_giving_back),
		LEASE_TEST(what_is_left_is_given_back_and_counted),
		LEASE_TEST(it_waits_in_the_pools_queue),
		LEASE_TEST(commands_go_down_one_too),
		LEASE_TEST(wrong_questions_are_refused),
		LEASE_TEST(one_fiber_at_a_time_uses_it),
		LEASE_TEST(after_a_loss_nothing_is_sent),
		LEASE_TEST(after_a_late_answer_nothing_is_sent),
		LEASE_TEST(after_the_client_has_left_nothing_is_sent),
		LEASE_TEST(after_the_database_has_rolled_back_nothing_is_sent),
		LEASE_TEST(a_refusal_is_the_handlers_to_judge),
		LEASE_TEST(a_lost_commit_is_unknown),
		LEASE_TEST(a_late_commit_is_unknown),
		LEASE_TEST(a_commit_that_is_cancelled_is_unknown),
		LEASE_TEST(a_commit_that_is_refused),
		LEASE_TEST(who_has_left_commits_nothing),
		LEASE_TEST(deferred_functions_may_commit),
		LEASE_TEST(a_beginning_is_tried_on_another_connection),
		LEASE_TEST(a_beginning_is_tried_twice),
		LEASE_TEST(a_beginning_that_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
