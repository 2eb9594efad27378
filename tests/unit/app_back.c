/* SPDX-License-Identifier: ISC */
/* The exported API: Redis and SQL, over a driver which the test plays. */
#include "tests/unit/app_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "back/redis/reply.h"
#include "back/sql/rows.h"
#include "tests/unit/back_fake.h"

static int (*back_test)(struct weft_request *rq);
static int back_rc;

static int
back_handler(struct weft_request *rq)
{
	return back_test(rq);
}

static void
add_pool(struct rig *r, const char *name, const struct driver *d)
{
	struct pool_conf conf = { .name = name, .url = "fake://user:secret@db.internal/x", .min = 1, .max = 1 };
	struct pool *p = pool_open_driver(r->loop, &conf, d, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
back_setup(void **state)
{
	struct rig *r;

	fake_reset();
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	rig_route(r, "GET", "/", back_handler);
	add_pool(r, "db", &fake_sql);
	add_pool(r, "cache", &fake_redis);
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define BACK_TEST(fn) cmocka_unit_test_setup_teardown(fn, back_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	back_test = test;
	back_rc = -1;
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

/* The connection of a pool. */
static unsigned
conn_of(enum call_kind kind)
{
	unsigned i = 0;

	while (fake.conn[i]->conn->driver->kind != kind)
		i++;
	return i;
}

static int
ask_sql(struct weft_request *rq)
{
	struct weft_rows *rows = (struct weft_rows *)1;

	back_rc = weft_sql(rq, "db", &rows, "SELECT $1, $2, $3, $4, $5", WEFT_INT(7), WEFT_REAL(1.5), WEFT_TEXT("x"),
	    WEFT_BYTES("y", 1), WEFT_NULL_VALUE);
	if (back_rc != WEFT_OK) {
		assert_null(rows);
		return weft_fail(rq);
	}
	return weft_puts(rq, "answered");
}

static void
hands_values_on(void **state)
{
	struct rig *r = *state;
	struct answer a;
	const struct call *c;

	begin(r, &a, ask_sql);
	c = fake.conn[conn_of(CALL_SQL)]->pipe[0];
	assert_string_equal(c->sql, "SELECT $1, $2, $3, $4, $5");
	assert_int_equal(c->nvalues, 5);
	assert_int_equal(c->values[0].kind, VALUE_INT);
	assert_int_equal(c->values[0].as.integer, 7);
	assert_int_equal(c->values[1].kind, VALUE_REAL);
	assert_true(c->values[1].as.real == 1.5);
	assert_int_equal(c->values[2].kind, VALUE_TEXT);
	assert_int_equal(c->values[3].kind, VALUE_BYTES);
	assert_int_equal(c->values[4].kind, VALUE_NULL);
	fake_reply(conn_of(CALL_SQL));
	ends_with(r, &a, 200, "answered");
}

static int
ask_sql_of_many(struct weft_request *rq)
{
	static struct weft_value many[WEFT_SQL_VALUES_MAX];

	for (int i = 0; i < WEFT_SQL_VALUES_MAX; i++)
		many[i] = WEFT_INT(i);
	back_rc = weft_sql_values(rq, "db", NULL, "SELECT 1", many, WEFT_SQL_VALUES_MAX);
	return back_rc == WEFT_OK ? weft_puts(rq, "answered") : weft_fail(rq);
}

static void
hands_many_values_on(void **state)
{
	struct rig *r = *state;
	struct answer a;
	const struct call *c;

	begin(r, &a, ask_sql_of_many);
	c = fake.conn[conn_of(CALL_SQL)]->pipe[0];
	assert_int_equal(c->nvalues, WEFT_SQL_VALUES_MAX);
	for (int i = 0; i < WEFT_SQL_VALUES_MAX; i++)
		assert_int_equal(c->values[i].as.integer, i);
	fake_reply(conn_of(CALL_SQL));
	ends_with(r, &a, 200, "answered");
}

/* The client is told the pool and what kind of failure, not the server, its text, or its URL. */
static void
failures_name_the_pool(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_sql);
	fake_flush(conn_of(CALL_SQL));
	fake_lose(conn_of(CALL_SQL), "FATAL: host db.internal says secret things");
	ends_with(r, &a, 503, "503 Service Unavailable: db: connection lost, outcome unknown\n");
	assert_int_equal(back_rc, WEFT_UNKNOWN);
}

static void
refusals_name_the_pool(void **state)
{
	struct rig *r = *state;
	struct answer a;

	fake.refuse = WEFT_REFUSED;
	begin(r, &a, ask_sql);
	ends_with(r, &a, 500, "500 Internal Server Error: db: refused the request\n");
	assert_int_equal(back_rc, WEFT_REFUSED);
}

static void
lateness_names_the_pool(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_sql);
	rig_skip(30500 * USEC_PER_MSEC);	/* a second later the connection itself is given up */
	ends_with(r, &a, 504, "504 Gateway Timeout: db: no answer in time\n");
	assert_int_equal(back_rc, WEFT_TIMEOUT);
}

static int
look_at_the_fault(struct weft_request *rq)
{
	assert_int_equal(weft_sql(rq, "db", NULL, "SELECT 1"), WEFT_REFUSED);
	assert_int_equal(weft_fault(rq), WEFT_REFUSED);
	assert_string_equal(weft_fault_code(rq), "X1");
	assert_string_equal(weft_fault_text(rq), "pool db: the statement will not do");
	return weft_puts(rq, "seen");
}

static void
the_handler_sees_more(void **state)
{
	struct rig *r = *state;
	struct answer a;

	fake.refuse = WEFT_REFUSED;
	begin(r, &a, look_at_the_fault);
	ends_with(r, &a, 200, "seen");
}

/* A statement and a command that were sent, and whose connections are lost: one of each pair may be sent again. */
static int
ask_twice(struct weft_request *rq)
{
	struct weft_call *call[] = {
		weft_idempotent(weft_sql_start(rq, "db", "SELECT $1", WEFT_INT(1))),
		weft_sql_start(rq, "db", "SELECT 2"),
		weft_idempotent(weft_redis_start(rq, "cache", "GET k")),
		weft_redis_start(rq, "cache", "GET k"),
	};

	assert_null(weft_idempotent(NULL));
	assert_int_equal(weft_wait(rq, call[0]), WEFT_OK);
	assert_int_equal(weft_wait(rq, call[1]), WEFT_UNKNOWN);
	assert_int_equal(weft_wait(rq, call[2]), WEFT_OK);
	assert_int_equal(weft_wait(rq, call[3]), WEFT_UNKNOWN);
	return weft_puts(rq, "twice");
}

static void
what_is_idempotent_may_be_sent_twice(void **state)
{
	struct rig *r = *state;
	struct answer a;

	/* Old enough to be replaced at once. */
	rig_skip(2 * USEC_PER_SEC);
	rig_settle(r);
	begin(r, &a, ask_twice);
	for (unsigned i = 0; i < 2; i++) {
		unsigned lost = conn_of(i == 0 ? CALL_SQL : CALL_REDIS);

		assert_int_equal(fake.conn[lost]->count, 2);
		fake_flush(lost);
		fake_lose(lost, "gone");
	}
	fake_all_ready();
	fake_reply(conn_of(CALL_SQL));
	fake_reply(conn_of(CALL_REDIS));
	ends_with(r, &a, 200, "twice");
}

static int
ask_child(struct weft_request *rq, void *arg)
{
	(void)arg;
	return weft_sql(rq, "db", NULL, "SELECT 1");
}

static int
spawn_ask(struct weft_request *rq)
{
	struct weft_call *c = weft_spawn(rq, ask_child, NULL);

	back_rc = weft_wait(rq, c);
	return weft_fail(rq);
}

static void
a_childs_failure_names_the_pool(void **state)
{
	struct rig *r = *state;
	struct answer a;

	fake.refuse = WEFT_BUSY;
	begin(r, &a, spawn_ask);
	ends_with(r, &a, 503, "503 Service Unavailable: db: too busy\n");
	assert_int_equal(back_rc, WEFT_BUSY);
}

/* ---- wrong questions ---- */

static int
ask_wrong(struct weft_request *rq)
{
	static struct weft_value many[WEFT_SQL_VALUES_MAX + 1];
	struct weft_reply *reply = (struct weft_reply *)1;
	struct weft_call *c;

	assert_int_equal(weft_redis(rq, "none", &reply, "PING"), WEFT_INVALID);
	assert_null(reply);
	assert_string_equal(weft_fault_text(rq), "no pool is called \"none\"; weft.conf has db, cache");
	assert_int_equal(weft_sql(rq, "none", NULL, "SELECT 1"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "no pool is called \"none\"; weft.conf has db, cache");
	assert_int_equal(weft_redis(rq, "db", NULL, "PING"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool db takes no Redis commands");
	assert_int_equal(weft_sql(rq, "cache", NULL, "SELECT 1"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool cache takes no SQL");
	assert_int_equal(weft_redis(rq, "cache", NULL, "GET %y", 1), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), "GET %y"));
	assert_int_equal(weft_sql_values(rq, "db", NULL, "SELECT 1", many, WEFT_SQL_VALUES_MAX + 1), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), "too many parameters"));
	c = weft_sql_start(rq, "none", "SELECT 1");
	assert_non_null(c);
	assert_int_equal(weft_wait(rq, c), WEFT_INVALID);
	assert_null(weft_call_rows(c));
	c = weft_redis_start(rq, "cache", "GET %y", 1);
	assert_int_equal(weft_wait(rq, c), WEFT_INVALID);
	assert_null(weft_call_reply(c));
	return weft_sql(rq, "cache", NULL, "SELECT 1");
}

static void
refuses_wrong_questions(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_wrong);
	ends_with(r, &a, 500, "500 Internal Server Error: cache: asked for something invalid\n");
}

/* ---- begun, and waited for later or never ---- */

static int
ask_both(struct weft_request *rq)
{
	char sql[] = "SELECT $1", text[] = "kept";
	struct weft_call *call[2];

	call[0] = weft_sql_start(rq, "db", sql, WEFT_TEXT(text));
	call[1] = weft_redis_start(rq, "cache", "GET %s", text);
	assert_null(weft_call_rows(call[0]));
	/* The caller's memory may change: a call has its own copy. */
	memset(sql, 'x', sizeof sql - 1);
	memset(text, 'x', sizeof text - 1);
	back_rc = weft_wait_all(rq, call, 2);
	return back_rc == WEFT_OK ? weft_puts(rq, "both") : weft_fail(rq);
}

static void
two_calls_are_on_their_way_at_once(void **state)
{
	struct rig *r = *state;
	struct answer a;
	const struct call *c;

	begin(r, &a, ask_both);
	assert_false(a.is_done);
	c = fake.conn[conn_of(CALL_SQL)]->pipe[0];
	assert_string_equal(c->sql, "SELECT $1");
	assert_memory_equal(c->values[0].as.bytes.at, "kept", 4);
	c = fake.conn[conn_of(CALL_REDIS)]->pipe[0];
	assert_int_equal(c->redis.len, 23);
	assert_memory_equal(c->redis.at, "*2\r\n$3\r\nGET\r\n$4\r\nkept\r\n", 23);
	fake_reply(conn_of(CALL_REDIS));
	rig_settle(r);
	assert_false(a.is_done);
	fake_reply(conn_of(CALL_SQL));
	ends_with(r, &a, 200, "both");
}

static int
ask_and_leave(struct weft_request *rq)
{
	assert_non_null(weft_sql_start(rq, "db", "SELECT 1"));
	assert_non_null(weft_redis_start(rq, "cache", "PING"));
	assert_non_null(weft_redis_start(rq, "none", "PING"));
	return weft_puts(rq, "left");
}

/* Nobody waits for them: they are given up, and the late replies hit nothing. */
static void
calls_left_behind_are_given_up(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_and_leave);
	ends_with(r, &a, 200, "left");
	assert_int_equal(fake.abandons, 2);
	fake_reply(0);
	fake_reply(1);
	rig_settle(r);
}

static void
deferred_call(void *arg)
{
	assert_non_null(weft_redis_start(arg, "cache", "DEL lock"));
}

static int
ask_at_the_end(struct weft_request *rq)
{
	assert_int_equal(weft_defer(rq, deferred_call, rq), WEFT_OK);
	return weft_puts(rq, "locked");
}

static void
calls_of_deferred_functions_are_given_up(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_at_the_end);
	ends_with(r, &a, 200, "locked");
	assert_int_equal(fake.abandons, 1);
	fake_reply(conn_of(CALL_REDIS));
	rig_settle(r);
}

static void
waits_end_when_the_client_leaves(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_both);
	rig_gone(r, &a);
	assert_int_equal(back_rc, WEFT_CANCELED);
	assert_int_equal(fake.abandons, 2);
	answer_free(&a);
}

static int
ask_words(struct weft_request *rq)
{
	struct weft_value word[] = { WEFT_TEXT("SET"), WEFT_BYTES("a b", 3), WEFT_INT(-12), WEFT_REAL(0.5), WEFT_NULL_VALUE };
	struct weft_reply *reply = (struct weft_reply *)1;

	assert_int_equal(weft_redis_values(rq, "cache", &reply, word, 0), WEFT_INVALID);
	assert_null(reply);
	assert_string_equal(weft_fault_text(rq), "a command without words");
	assert_int_equal(weft_redis_values(rq, "db", NULL, word, 1), WEFT_INVALID);
	back_rc = weft_redis_values(rq, "cache", NULL, word, sizeof word / sizeof word[0]);
	return back_rc == WEFT_OK ? weft_puts(rq, "words") : weft_fail(rq);
}

static void
words_of_an_array_are_one_command(void **state)
{
	static const char wire[] = "*5\r\n$3\r\nSET\r\n$3\r\na b\r\n$3\r\n-12\r\n$3\r\n0.5\r\n$0\r\n\r\n";
	struct rig *r = *state;
	struct answer a;
	const struct call *c;

	begin(r, &a, ask_words);
	c = fake.conn[conn_of(CALL_REDIS)]->pipe[0];
	assert_int_equal(c->redis.len, sizeof wire - 1);
	assert_memory_equal(c->redis.at, wire, sizeof wire - 1);
	fake_reply(conn_of(CALL_REDIS));
	ends_with(r, &a, 200, "words");
}

/* ---- what comes back ---- */

static void
replies_are_read_by_type(void **state)
{
	struct weft_reply text = { .kind = REPLY_TEXT, .text = SPAN("42x") }, number = { .kind = REPLY_INT, .integer = -7 };
	struct weft_reply *element[] = { &text, &number };
	struct weft_reply array = { .kind = REPLY_ARRAY, .count = 2, .element = element };
	static const char *const numbers[] = { "0", "-0", "7", "-12", "999999999999999999", "-999999999999999999", "1000000000000000000",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "99999999999999999999", " 5", "+5", "--5", "-", "",
		"12.7", "1e3", "007", "x" };
	size_t len = 9;

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct weft_reply reply = { .kind = REPLY_TEXT, .text = span_str(numbers[i]) };
		struct span cell = reply.text;
		struct weft_rows rows = { .columns = 1, .count = 1, .cell = &cell };

		assert_true(weft_reply_int(&reply) == strtoll(numbers[i], NULL, 10));
		assert_true(weft_rows_int(&rows, 0, 0) == strtoll(numbers[i], NULL, 10));
	}
	assert_string_equal(weft_reply_text(&text, &len), "42x");
	assert_int_equal(len, 3);
	assert_int_equal(weft_reply_int(&text), 42);
	assert_null(weft_reply_text(&number, &len));
	assert_int_equal(len, 0);
	assert_int_equal(weft_reply_int(&number), -7);
	assert_int_equal(weft_reply_count(&array), 2);
	assert_ptr_equal(weft_reply_at(&array, 1), &number);
	assert_null(weft_reply_at(&array, 2));
	assert_null(weft_reply_at(&number, 0));
	assert_int_equal(weft_reply_type(&array), WEFT_REPLY_ARRAY);
	assert_int_equal(weft_reply_type(NULL), WEFT_REPLY_NIL);
	assert_null(weft_reply_text(NULL, NULL));
	assert_int_equal(weft_reply_int(NULL), 0);
	assert_int_equal(weft_reply_count(NULL), 0);
	assert_null(weft_call_reply(NULL));
	assert_null(weft_call_rows(NULL));
	assert_int_equal(weft_rows_count(NULL), 0);
	assert_int_equal(weft_rows_columns(NULL), 0);
	assert_int_equal(weft_rows_affected(NULL), 0);
	assert_null(weft_rows_name(NULL, 0));
	assert_null(weft_rows_bytes(NULL, 0, 0, &len));
	assert_true(weft_rows_is_null(NULL, 0, 0));
	assert_int_equal(weft_rows_int(NULL, 0, 0), 0);
	assert_true(weft_rows_real(NULL, 0, 0) == 0);
}

/* ---- scripts ---- */

static char script_text[20000] = "return KEYS[1]";

static int
run_script(struct weft_request *rq)
{
	struct weft_value key = WEFT_TEXT("k"), arg[] = { WEFT_INT(7), WEFT_TEXT("x y") };
	struct weft_reply *reply = (struct weft_reply *)1;

	back_rc = weft_redis_script(rq, "cache", &reply, script_text, &key, 1, arg, 2);
	if (back_rc == WEFT_OK)
		return weft_puts(rq, weft_reply_text(reply, NULL));
	assert_null(reply);
	return weft_fail(rq);
}

/* Redis was asked this; answer it. */
static void
script_asked(struct rig *r, const char *words, const char *answer)
{
	struct fake_conn *c = fake.conn[conn_of(CALL_REDIS)];
	struct weft_reply *reply;

	assert_int_equal(c->count, 1);
	if (memmem(c->pipe[0]->redis.at, c->pipe[0]->redis.len, words, strlen(words)) == NULL)
		fail_msg("%.*s", (int)c->pipe[0]->redis.len, c->pipe[0]->redis.at);
	reply = reply_new_text(c->pipe[0]->arena, REPLY_TEXT, span_str(answer));
	c->pipe[0]->reply = reply;
	fake_reply(conn_of(CALL_REDIS));
	rig_settle(r);
}

static void
scripts_are_sent_by_their_hash(void **state)
{
	static const char eval[] = "*6\r\n$4\r\nEVAL\r\n$14\r\nreturn KEYS[1]\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\n7\r\n$3\r\nx y\r\n";
	static const char evalsha[] = "*6\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\n7\r\n$3\r\nx y\r\n";
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, run_script);
	script_asked(r, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$14\r\nreturn KEYS[1]\r\n", "abc");
	script_asked(r, evalsha, "one");
	ends_with(r, &a, 200, "one");
	/* It is known now. */
	begin(r, &a, run_script);
	script_asked(r, evalsha, "two");
	ends_with(r, &a, 200, "two");
	/* The server has forgotten it. */
	begin(r, &a, run_script);
	fake_error(conn_of(CALL_REDIS), "NOSCRIPT", FAKE_GOES_ON);
	rig_settle(r);
	script_asked(r, eval, "three");
	ends_with(r, &a, 200, "three");
	/* Once, not for ever. */
	begin(r, &a, run_script);
	fake_error(conn_of(CALL_REDIS), "NOSCRIPT", FAKE_GOES_ON);
	rig_settle(r);
	fake_error(conn_of(CALL_REDIS), "NOSCRIPT", FAKE_GOES_ON);
	rig_finish(r, &a);
	assert_int_equal(answer_status(&a), 500);
	assert_int_equal(back_rc, WEFT_REFUSED);
	answer_free(&a);
}

static void
many_and_long_scripts_are_loaded(void **state)
{
	struct rig *r = *state;
	struct answer a;

	for (int i = 0; i < APP_SCRIPTS_MAX + 10; i++) {
		snprintf(script_text, sizeof script_text, "return %d", i);
		begin(r, &a, run_script);
		script_asked(r, "LOAD", "abc");
		script_asked(r, "EVALSHA", "fine");
		ends_with(r, &a, 200, "fine");
	}
	memset(script_text, ' ', sizeof script_text - 1);
	for (int i = 0; i < 2; i++) {
		begin(r, &a, run_script);
		script_asked(r, "LOAD", "abc");
		script_asked(r, "EVALSHA", "long");
		ends_with(r, &a, 200, "long");
	}
	/* Lost while it was being loaded: it has not been run. */
	begin(r, &a, run_script);
	fake_flush(conn_of(CALL_REDIS));
	fake_lose(conn_of(CALL_REDIS), "gone");
	rig_finish(r, &a);
	assert_int_equal(back_rc, WEFT_NOT_SENT);
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BACK_TEST(hands_values_on),
		BACK_TEST(hands_many_values_on),
		BACK_TEST(failures_name_the_pool),
		BACK_TEST(refusals_name_the_pool),
		BACK_TEST(lateness_names_the_pool),
		BACK_TEST(the_handler_sees_more),
		BACK_TEST(a_childs_failure_names_the_pool),
		BACK_TEST(what_is_idempotent_may_be_sent_twice),
		BACK_TEST(refuses_wrong_questions),
		BACK_TEST(words_of_an_array_are_one_command),
		BACK_TEST(two_calls_are_on_their_way_at_once),
		BACK_TEST(calls_left_behind_are_given_up),
		BACK_TEST(calls_of_deferred_functions_are_given_up),
		BACK_TEST(scripts_are_sent_by_their_hash),
		BACK_TEST(many_and_long_scripts_are_loaded),
		BACK_TEST(waits_end_when_the_client_leaves),
		cmocka_unit_test(replies_are_read_by_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
