/* SPDX-License-Identifier: ISC */
/* The exported API: rows that come part by part, over a driver which the test plays. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

#include "tests/unit/back_fake.h"

static int (*stream_test)(struct weft_request *rq);
static int stream_rc;
static char stream_text[256];
static struct weft_stream *stream_kept;

static int
stream_handler(struct weft_request *rq)
{
	return stream_test(rq);
}

static void
add_pool(struct rig *r, const char *name, const struct driver *d)
{
	struct pool_conf conf = { .name = name, .url = "fake://db.internal/x", .min = 1, .max = 1, .call_timeout = 5 * USEC_PER_SEC };
	struct pool *p = pool_open_driver(r->loop, &conf, d, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
stream_setup(void **state)
{
	struct rig *r;

	fake_reset();
	stream_rc = -1;
	stream_text[0] = '\0';
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	rig_route(r, "GET", "/", stream_handler);
	add_pool(r, "db", &fake_sql);
	add_pool(r, "cache", &fake_redis);
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define STREAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, stream_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	stream_test = test;
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
stat_of(struct rig *r)
{
	struct pool_stat s;

	pool_stat(app_pool(&r->app, "db"), &s);
	return s;
}

/* The connection to the database. */
static unsigned
db(void)
{
	unsigned i = 0;

	while (fake.conn[i]->conn->driver->kind != CALL_SQL)
		i++;
	return i;
}

/* The database was asked for a part; give it so many rows. */
static void
gives(struct rig *r, enum call_part part, size_t rows, enum fake_more more)
{
	assert_int_equal(fake.conn[db()]->count, 1);
	assert_non_null(fake.conn[db()]->pipe[0]);
	assert_int_equal(fake.conn[db()]->pipe[0]->part, part);
	fake_part(db(), rows, more);
	rig_settle(r);
}

static void
asked_nothing(void)
{
	assert_int_equal(fake.conn[db()]->count, 0);
}

static void
keep_text(const struct weft_request *rq)
{
	snprintf(stream_text, sizeof stream_text, "%s", weft_fault_text(rq));
}

/* Write all rows of a stream, a line a part.  Returns how it ended. */
static int
write_all(struct weft_request *rq, struct weft_stream *s)
{
	struct weft_rows *rows;
	int rc;

	while ((rc = weft_sql_next(rq, s, &rows)) == WEFT_OK && rows != NULL) {
		for (size_t i = 0; i < weft_rows_count(rows); i++)
			weft_printf(rq, "%s%s", i == 0 ? "" : ",", weft_rows_text(rows, i, 0));
		weft_puts(rq, "\n");
	}
	assert_true(rc == WEFT_OK || rows == NULL);
	return rc;
}

/* ---- as it should be ---- */

static int
export(struct weft_request *rq)
{
	struct weft_stream *s;

	if (weft_sql_open(rq, "db", &s, "SELECT $1", WEFT_INT(5)) != WEFT_OK)
		return weft_fail(rq);
	weft_printf(rq, "%u %s\n", weft_rows_columns(weft_sql_head(s)), weft_rows_name(weft_sql_head(s), 0));
	assert_int_equal(weft_rows_count(weft_sql_head(s)), 0);
	stream_rc = write_all(rq, s);
	if (stream_rc != WEFT_OK) {
		keep_text(rq);
		return weft_fail(rq);
	}
	/* The end is an end, however often it is asked for. */
	assert_int_equal(write_all(rq, s), WEFT_OK);
	return weft_puts(rq, "end");
}

static void
rows_come_in_parts(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	assert_int_equal(stat_of(r).lent, 1);
	assert_string_equal(fake.conn[db()]->pipe[0]->sql, "SELECT $1");
	assert_int_equal(fake.conn[db()]->pipe[0]->nvalues, 1);
	gives(r, CALL_OPENS, 3, FAKE_MORE);
	gives(r, CALL_GOES_ON, 1, FAKE_MORE);
	assert_int_equal(stat_of(r).lent, 1);
	gives(r, CALL_GOES_ON, 2, FAKE_LAST);
	ends_with(r, &a, 200, "1 n\n1,2,3\n4\n5,6\nend");
	asked_nothing();
	assert_int_equal(stat_of(r).lent, 0);
	assert_int_equal(stat_of(r).left, 0);
	assert_int_equal(fake.cleans, 1);
}

static void
one_part_may_be_all(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	gives(r, CALL_OPENS, 2, FAKE_LAST);
	ends_with(r, &a, 200, "1 n\n1,2\nend");
	begin(r, &a, export);
	gives(r, CALL_OPENS, 0, FAKE_LAST);
	ends_with(r, &a, 200, "1 n\nend");
	begin(r, &a, export);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	gives(r, CALL_GOES_ON, 0, FAKE_LAST);
	ends_with(r, &a, 200, "1 n\n3\nend");
	assert_int_equal(stat_of(r).lent, 0);
}

/* The connection is free with the last part, not only when the handler has read it. */
static int
dawdle(struct weft_request *rq)
{
	struct weft_stream *s;

	assert_int_equal(weft_sql_open(rq, "db", &s, "SELECT 1"), WEFT_OK);
	assert_int_equal(weft_sleep(rq, 20000), WEFT_OK);
	return write_all(rq, s);
}

static void
the_wait_between_parts_is_nobodys(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, dawdle);
	gives(r, CALL_OPENS, 2, FAKE_LAST);
	assert_int_equal(stat_of(r).lent, 0);
	rig_skip(20 * USEC_PER_SEC);
	ends_with(r, &a, 200, "1,2\n");
	/* Longer than call_timeout, while nothing is asked of the database. */
	begin(r, &a, dawdle);
	gives(r, CALL_OPENS, 2, FAKE_MORE);
	assert_int_equal(stat_of(r).lent, 1);
	rig_skip(20 * USEC_PER_SEC);
	rig_settle(r);
	assert_int_equal(stat_of(r).lent, 1);
	gives(r, CALL_GOES_ON, 1, FAKE_LAST);
	ends_with(r, &a, 200, "3,4\n5\n");
}

/* ---- what goes wrong ---- */

static void
a_statement_that_is_refused_does_not_open(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	fake_error(db(), "42P01", FAKE_GOES_ON);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(stat_of(r).lent, 0);
}

static void
a_failure_between_parts(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	gives(r, CALL_OPENS, 2, FAKE_MORE);
	fake_error(db(), "22012", FAKE_GOES_ON);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(stream_rc, WEFT_REFUSED);
	assert_int_equal(stat_of(r).lent, 0);
}

static void
each_wait_has_its_time(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	for (int i = 0; i < 4; i++) {
		gives(r, i == 0 ? CALL_OPENS : CALL_GOES_ON, 1, FAKE_MORE);
		rig_skip(4 * USEC_PER_SEC);
		rig_settle(r);
	}
	rig_skip(2 * USEC_PER_SEC);
	ends_with(r, &a, 504, "504 Gateway Timeout: db: no answer in time\n");
	assert_int_equal(stream_rc, WEFT_TIMEOUT);
	assert_int_equal(fake.abandons, 1);
	assert_int_equal(fake.cleans, 1);
	fake_reply(db());
	assert_int_equal(stat_of(r).lent, 0);
}

static void
a_connection_that_is_lost(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	fake_flush(db());
	fake_lose(db(), "gone");
	ends_with(r, &a, 503, "503 Service Unavailable: db: connection lost, outcome unknown\n");
	assert_int_equal(stream_rc, WEFT_UNKNOWN);
	assert_int_equal(stat_of(r).lent, 0);
}

/* While nobody waits for it. */
static void
a_connection_that_is_lost_between_parts(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, dawdle);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	fake_lose(db(), "gone");
	rig_skip(20 * USEC_PER_SEC);
	rig_finish(r, &a);
	assert_true(a.is_done);
	assert_int_equal(answer_status(&a), 503);
	assert_non_null(strstr(answer_body(&a), "outcome unknown"));
	answer_free(&a);
}

/* Where nothing was sent, another connection does. */
static void
a_connection_that_was_lost_before(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	fake_lose(db(), "gone before");
	rig_skip(USEC_PER_SEC / 2);
	rig_settle(r);
	fake_all_ready();
	rig_settle(r);
	gives(r, CALL_OPENS, 1, FAKE_LAST);
	ends_with(r, &a, 200, "1 n\n1\nend");
}

static int
wrong(struct weft_request *rq)
{
	struct weft_stream *s = (struct weft_stream *)1;
	struct weft_value value = WEFT_INT(1);
	struct weft_rows *rows;

	assert_int_equal(weft_sql_open(rq, "none", &s, "SELECT 1"), WEFT_INVALID);
	assert_null(s);
	assert_int_equal(weft_sql_open(rq, "cache", &s, "SELECT 1"), WEFT_INVALID);
	assert_int_equal(weft_sql_open(rq, "db", &s, "BEGIN"), WEFT_INVALID);
	keep_text(rq);
	assert_int_equal(weft_sql_open_values(rq, "db", &s, "SELECT 1", &value, WEFT_SQL_VALUES_MAX + 1), WEFT_INVALID);
	assert_int_equal(weft_lease_sql_open(NULL, &s, "SELECT 1"), WEFT_INVALID);
	assert_int_equal(weft_lease_sql_open_values(NULL, &s, "SELECT 1", NULL, 0), WEFT_INVALID);
	assert_int_equal(weft_sql_next(rq, NULL, &rows), WEFT_INVALID);
	assert_null(rows);
	weft_sql_close(NULL);
	assert_null(weft_sql_head(NULL));
	return weft_puts(rq, "no");
}

static void
what_cannot_be_asked(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, wrong);
	ends_with(r, &a, 200, "no");
	asked_nothing();
	assert_string_equal(stream_text, "pool db: BEGIN has no rows: use weft_begin");
}

/* ---- leaving ---- */

static int
leave(struct weft_request *rq)
{
	struct weft_value value = WEFT_TEXT("x");
	struct weft_stream *s;
	struct weft_rows *rows;

	assert_int_equal(weft_sql_open_values(rq, "db", &s, "SELECT $1", &value, 1), WEFT_OK);
	assert_int_equal(weft_sql_next(rq, s, &rows), WEFT_OK);
	weft_sql_close(s);
	weft_sql_close(s);
	assert_int_equal(weft_sql_next(rq, s, &rows), WEFT_INVALID);
	assert_null(rows);
	keep_text(rq);
	return weft_puts(rq, weft_rows_name(weft_sql_head(s), 0));
}

static void
what_is_left_is_given_back(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, leave);
	gives(r, CALL_OPENS, 2, FAKE_MORE);
	ends_with(r, &a, 200, "n");
	assert_int_equal(fake.cleans, 1);
	assert_string_equal(stream_text, "the stream has been closed");
}

static int
forget(struct weft_request *rq)
{
	struct weft_stream *s;

	assert_int_equal(weft_sql_open(rq, "db", &s, "SELECT 1"), WEFT_OK);
	return weft_puts(rq, "oh");
}

static void
what_is_forgotten_is_closed(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, forget);
	gives(r, CALL_OPENS, 2, FAKE_MORE);
	ends_with(r, &a, 200, "oh");
	assert_int_equal(fake.cleans, 1);
	assert_int_equal(stat_of(r).left, 0);
}

static void
the_client_leaves(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, export);
	gives(r, CALL_OPENS, 2, FAKE_MORE);
	rig_gone(r, &a);
	assert_int_equal(stream_rc, WEFT_CANCELED);
	assert_int_equal(fake.abandons, 1);
	assert_int_equal(fake.cleans, 1);
	fake_reply(db());
	answer_free(&a);
}

/* ---- two fibers ---- */

static int
reader(struct weft_request *rq, void *arg)
{
	struct weft_rows *rows;

	(void)arg;
	stream_rc = weft_sql_next(rq, stream_kept, &rows);
	return stream_rc;
}

static int
two_readers(struct weft_request *rq)
{
	struct weft_rows *rows;
	struct weft_call *c;

	assert_int_equal(weft_sql_open(rq, "db", &stream_kept, "SELECT 1"), WEFT_OK);
	assert_int_equal(weft_sql_next(rq, stream_kept, &rows), WEFT_OK);
	c = weft_spawn(rq, reader, NULL);
	assert_int_equal(weft_sleep(rq, 10), WEFT_OK);
	assert_int_equal(weft_sql_next(rq, stream_kept, &rows), WEFT_INVALID);
	keep_text(rq);
	weft_sql_close(stream_kept);
	assert_int_equal(weft_wait(rq, c), WEFT_CANCELED);
	return weft_puts(rq, "closed");
}

static void
one_fiber_reads_and_another_closes(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, two_readers);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	rig_skip(10 * USEC_PER_MSEC);
	ends_with(r, &a, 200, "closed");
	assert_string_equal(stream_text, "another fiber waits for rows of pool db now");
	assert_int_equal(stream_rc, WEFT_CANCELED);
	fake_reply(db());
	assert_int_equal(stat_of(r).lent, 0);
}

/* ---- on a connection that is borrowed ---- */

static int
in_transaction(struct weft_request *rq)
{
	struct weft_value value = WEFT_INT(7);
	struct weft_stream *s, *other;
	struct weft_lease *t;

	if (weft_begin(rq, "db", &t) != WEFT_OK || weft_lease_sql_open(t, &s, "SELECT $1", WEFT_TEXT("x")) != WEFT_OK)
		return weft_fail(rq);
	/* Nothing else until its end. */
	assert_int_equal(weft_lease_sql(t, NULL, "SELECT 2"), WEFT_INVALID);
	keep_text(rq);
	assert_int_equal(weft_lease_sql_open(t, &other, "SELECT 3"), WEFT_INVALID);
	assert_null(other);
	assert_int_equal(write_all(rq, s), WEFT_OK);
	assert_int_equal(weft_lease_sql_open_values(t, &other, "SELECT $1", &value, 1), WEFT_OK);
	assert_int_equal(write_all(rq, other), WEFT_OK);
	return weft_commit(t) == WEFT_OK ? weft_puts(rq, "done") : weft_fail(rq);
}

static void
it_may_be_within_a_transaction(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, in_transaction);
	fake_reply(db());
	rig_settle(r);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	gives(r, CALL_GOES_ON, 1, FAKE_LAST);
	gives(r, CALL_OPENS, 1, FAKE_LAST);
	assert_string_equal(fake.conn[db()]->pipe[0]->sql, "COMMIT");
	fake_reply(db());
	ends_with(r, &a, 200, "1\n2\n3\ndone");
	assert_int_equal(fake.cleans, 1);
	assert_string_equal(stream_text, "rows come on the connection of pool db, until the end of their stream");
}

static int
left_in_transaction(struct weft_request *rq)
{
	struct weft_stream *s;
	struct weft_lease *t;

	assert_int_equal(weft_begin(rq, "db", &t), WEFT_OK);
	assert_int_equal(weft_lease_sql_open(t, &s, "COMMIT"), WEFT_INVALID);
	assert_int_equal(weft_lease_sql_open(t, &s, "SELECT 1"), WEFT_OK);
	weft_sql_close(s);
	assert_int_equal(weft_lease_sql(t, NULL, "SELECT 2"), WEFT_INVALID);
	keep_text(rq);
	assert_int_equal(weft_commit(t), WEFT_INVALID);
	return weft_puts(rq, "rolled back");
}

static void
one_that_is_left_ends_the_transaction(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, left_in_transaction);
	fake_reply(db());
	rig_settle(r);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	ends_with(r, &a, 200, "rolled back");
	asked_nothing();
	assert_int_equal(fake.cleans, 1);
	assert_string_equal(stream_text, "pool db: a stream of rows was closed before its end, and so the transaction is over");
}

static int
given_away(struct weft_request *rq)
{
	struct weft_stream *s;
	struct weft_lease *l;
	struct weft_rows *rows;

	assert_int_equal(weft_lend(rq, "db", &l), WEFT_OK);
	assert_int_equal(weft_lease_sql_open(l, &s, "SELECT 1"), WEFT_OK);
	weft_give(l);
	/* What has come may still be read. */
	assert_int_equal(weft_sql_next(rq, s, &rows), WEFT_OK);
	assert_string_equal(weft_rows_text(rows, 0, 0), "1");
	assert_int_equal(weft_sql_next(rq, s, &rows), WEFT_INVALID);
	keep_text(rq);
	assert_int_equal(weft_lease_sql_open(l, &s, "SELECT 1"), WEFT_INVALID);
	return weft_puts(rq, "gone");
}

static void
it_ends_with_its_connection(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, given_away);
	gives(r, CALL_OPENS, 1, FAKE_MORE);
	ends_with(r, &a, 200, "gone");
	assert_int_equal(fake.cleans, 1);
	assert_string_equal(stream_text, "the connection of pool db, on which the rows came, has been given back");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(rows_come_in_parts),
		STREAM_TEST(one_part_may_be_all),
		STREAM_TEST(the_wait_between_parts_is_nobodys),
		STREAM_TEST(a_statement_that_is_refused_does_not_open),
		STREAM_TEST(a_failure_between_parts),
		STREAM_TEST(each_wait_has_its_time),
		STREAM_TEST(a_connection_that_is_lost),
		STREAM_TEST(a_connection_that_is_lost_between_parts),
		STREAM_TEST(a_connection_that_was_lost_before),
		STREAM_TEST(what_cannot_be_asked),
		STREAM_TEST(what_is_left_is_given_back),
		STREAM_TEST(what_is_forgotten_is_closed),
		STREAM_TEST(the_client_leaves),
		STREAM_TEST(one_fiber_reads_and_another_closes),
		STREAM_TEST(it_may_be_within_a_transaction),
		STREAM_TEST(one_that_is_left_ends_the_transaction),
		STREAM_TEST(it_ends_with_its_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
