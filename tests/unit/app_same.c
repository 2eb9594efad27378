/* SPDX-License-Identifier: ISC */
/* The exported API over a real PostgreSQL, MariaDB and SQLite: the same statements, and what is said of their results is the same. */
#include "tests/unit/app_rig.h"

#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/back_maria.h"
#include "tests/unit/back_server.h"

enum { SAME_VALUES = 4, SAME_ANSWER = 8192 };

static const char *const same_pools[] = { "postgres", "mariadb", "sqlite" };
static char same_file[] = "/tmp/weft-same-XXXXXX";

/* What is asked next, of which pool, and what was said. */
static struct {
	const char *pool, *sql;
	struct weft_value value[SAME_VALUES];
	size_t n;
	int (*transaction)(struct weft_request *rq);
	bool types;			/* say what values are, instead of the values */
	char said[SAME_ANSWER];
	size_t len;
} same;

static void same_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
same_say(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(same.said + same.len, sizeof same.said - same.len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof same.said - same.len);
	same.len += (size_t)n;
}

/* All that the API says of a value. */
static void
same_say_value(const struct weft_rows *rows, size_t row, unsigned column)
{
	size_t len;
	const char *bytes = weft_rows_bytes(rows, row, column, &len), *text = weft_rows_text(rows, row, column);

	if (same.types) {
		same_say(" %d", (int)weft_rows_type(rows, row, column));
		return;
	}
	same_say(" [%d %zu ", weft_rows_is_null(rows, row, column), len);
	for (size_t i = 0; i < len; i++)
		same_say(bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "\\%02x", (unsigned char)bytes[i]);
	if (text != NULL)
		assert_int_equal(text[len], 0);
	same_say(" %lld %.17g]", weft_rows_int(rows, row, column), weft_rows_real(rows, row, column));
}

static void
same_say_rows(const struct weft_rows *rows)
{
	same_say("%zu rows, %lld changed:", weft_rows_count(rows), weft_rows_affected(rows));
	for (unsigned i = 0; i < weft_rows_columns(rows); i++)
		same_say(" %s", weft_rows_name(rows, i));
	for (size_t row = 0; row < weft_rows_count(rows); row++) {
		same_say("\n");
		for (unsigned i = 0; i < weft_rows_columns(rows); i++)
			same_say_value(rows, row, i);
	}
}

static int
same_handler(struct weft_request *rq)
{
	struct weft_rows *rows;
	int rc;

	if (same.transaction != NULL)
		return same.transaction(rq);
	rc = weft_sql_values(rq, same.pool, &rows, same.sql, same.value, same.n);
	if (rc == WEFT_OK)
		same_say_rows(rows);
	else
		same_say("rc %d", rc);
	return weft_puts(rq, "asked");
}

/* ---- the databases ---- */

static void
same_add(struct rig *r, const char *name, const char *url)
{
	struct pool_conf conf = { .name = name, .url = url, .max = 2, .connect_timeout = 60 * USEC_PER_SEC };
	struct pool *p = pool_open(r->loop, &conf, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
same_setup(void **state)
{
	char url[64];
	struct rig *r;

	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	/* Threads that connect look at the real clock. */
	rig_skip(clock_now() - loop_now(r->loop));
	rig_route(r, "GET", "/", same_handler);
	snprintf(url, sizeof url, "sqlite:%s/a.db", same_file);
	same_add(r, "postgres", server.url);
	same_add(r, "mariadb", maria.url);
	same_add(r, "sqlite", url);
	return 0;
}

static int
same_servers_start(void **state)
{
	assert_non_null(mkdtemp(same_file));
	return server_set_up(state) == 0 ? maria_set_up(state) : -1;
}

static int
same_servers_stop(void **state)
{
	static const char *const files[] = { "a.db", "a.db-wal", "a.db-shm" };
	char path[64];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", same_file, files[i]);
		(void)unlink(path);
	}
	rmdir(same_file);
	return server_tear_down(state) == 0 ? maria_tear_down(state) : -1;
}

/* Ask one of them what is in same. */
static void
same_ask(struct rig *r, const char *pool)
{
	struct answer a;

	same.pool = pool;
	same.len = 0;
	same.said[0] = '\0';
	rig_get(r, &a, "/");
	answer_is(&a, 200, "asked");
	answer_free(&a);
}

/* Ask all of them what is in same; each must say this, or NULL: what the first has said. */
static void
same_expect(struct rig *r, const char *want)
{
	char first[SAME_ANSWER];

	for (size_t i = 0; i < sizeof same_pools / sizeof *same_pools; i++) {
		same_ask(r, same_pools[i]);
		if (i == 0)
			strcpy(first, want == NULL ? same.said : want);
		if (strcmp(same.said, first) != 0)
			fail_msg("%s: %s\n%s\ninstead of\n%s", same.sql, same_pools[i], same.said, first);
	}
}

static void
same_values(const struct weft_value *value, size_t n)
{
	assert_true(n <= SAME_VALUES);
	for (size_t i = 0; i < n; i++)
		same.value[i] = value[i];
	same.n = n;
}

#define SAME(r, want, text, ...) \
	do { \
		const struct weft_value values_[] = { WEFT_NULL_VALUE, ##__VA_ARGS__ }; \
		same.sql = (text); \
		same_values(values_ + 1, sizeof values_ / sizeof *values_ - 1); \
		same_expect((r), (want)); \
	} while (0)

/* ---- what is the same ---- */

/* The tables differ in what bytes are called. */
static void
same_make_tables(struct rig *r)
{
	static const char *const bytes[] = { "bytea", "longblob", "blob" };
	char sql[300];

	same.n = 0;
	for (size_t i = 0; i < sizeof same_pools / sizeof *same_pools; i++) {
		snprintf(sql, sizeof sql, "CREATE TABLE same (id integer PRIMARY KEY, big bigint, num double precision, "
		    "name varchar(100) UNIQUE, data %s, day date, at %s, price numeric(12,2))", bytes[i], i == 0 ? "timestamp" : "datetime");
		same.sql = sql;
		same_ask(r, same_pools[i]);
		assert_string_equal(same.said, "0 rows, 0 changed:");
	}
}

static void
each_kind_of_value_is_the_same_everywhere(void **state)
{
	struct rig *r = *state;

	same_make_tables(r);
	SAME(r, "0 rows, 1 changed:", "INSERT INTO same (id, big, num, name) VALUES ($1, $2, $3, $4)", WEFT_INT(1), WEFT_INT(LLONG_MIN),
	    WEFT_REAL(0.1), WEFT_TEXT("gr\xc3\xbc\xc3\x9f dich, \xf0\x9f\x98\x80 '\"\\%"));
	SAME(r, "0 rows, 1 changed:", "UPDATE same SET data = $1, day = $2, at = $3, price = 19.95 WHERE id = $4", WEFT_BYTES("\0\1\xff\\x'\0", 7),
	    WEFT_TEXT("2024-02-29"), WEFT_TEXT("1999-12-31 23:59:59"), WEFT_INT(1));
	SAME(r, "0 rows, 1 changed:", "INSERT INTO same (id, big, num, name) VALUES ($1, $2, $3, $4)", WEFT_INT(2), WEFT_INT(LLONG_MAX),
	    WEFT_REAL(-DBL_MAX), WEFT_TEXT(""));
	SAME(r, "0 rows, 1 changed:", "UPDATE same SET data = $1 WHERE id = 2", WEFT_BYTES("", 0));
	SAME(r, "0 rows, 1 changed:", "INSERT INTO same (id, big, num, name) VALUES ($1, $2, $3, $4)", WEFT_INT(3), WEFT_NULL_VALUE,
	    WEFT_NULL_VALUE, WEFT_TEXT(NULL));
	SAME(r, "0 rows, 1 changed:", "INSERT INTO same (id, big, num) VALUES ($1, $2, $3)", WEFT_INT(-4), WEFT_INT(0), WEFT_REAL(DBL_MIN));
	/* As each has it, and as it was sent. */
	SAME(r, NULL, "SELECT id, big, num, name, data, day, at FROM same ORDER BY id");
	SAME(r, "1 rows, 0 changed: price\n [0 5 19.95 19 19.949999999999999]", "SELECT CAST(price AS char(5)) AS price FROM same WHERE id = 1");
	SAME(r, "1 rows, 0 changed: big num\n [0 20 -9223372036854775808 -9223372036854775808 -9.2233720368547758e+18] [0 3 0.1 0 0.10000000000000001]",
	    "SELECT big, num FROM same WHERE id = 1");
	SAME(r, "1 rows, 0 changed: data name\n [0 7 \\00\\01\\ff\\x'\\00 0 0] [0 22 gr\\c3\\bc\\c3\\9f dich, \\f0\\9f\\98\\80 '\"\\% 0 0]",
	    "SELECT data, name FROM same WHERE id = 1");
	SAME(r, "1 rows, 0 changed: day at\n [0 10 2024-02-29 2024 2024] [0 19 1999-12-31 23:59:59 1999 1999]", "SELECT day, at FROM same WHERE id = 1");
	SAME(r, "1 rows, 0 changed: big num name data day\n [1 0  0 0] [1 0  0 0] [1 0  0 0] [1 0  0 0] [1 0  0 0]",
	    "SELECT big, num, name, data, day FROM same WHERE id = 3");
	SAME(r, "1 rows, 0 changed: name data\n [0 0  0 0] [0 0  0 0]", "SELECT name, data FROM same WHERE id = 2");
	SAME(r, "1 rows, 0 changed: num\n [0 23 2.2250738585072014e-308 2 2.2250738585072014e-308]", "SELECT num FROM same WHERE id = -4");
}

/* One row, and several; NULL has no type; and beyond them there is nothing. */
static void
types_are_the_same_everywhere(void **state)
{
	struct rig *r = *state;

	same.types = true;
	SAME(r, "1 rows, 0 changed: id big num name data day at\n 1 1 2 3 4 3 3", "SELECT id, big, num, name, data, day, at FROM same WHERE id = 1");
	SAME(r, "4 rows, 0 changed: id big num name data\n 1 1 2 0 0\n 1 1 2 3 4\n 1 1 2 3 4\n 1 0 0 0 0",
	    "SELECT id, big, num, name, data FROM same ORDER BY id");
	SAME(r, "0 rows, 0 changed: id", "SELECT id FROM same WHERE id = 7");
	same.types = false;
	assert_int_equal(weft_rows_type(NULL, 0, 0), WEFT_TYPE_NULL);
}

static void
each_kind_of_value_is_found_everywhere(void **state)
{
	struct rig *r = *state;
	const char *one = "1 rows, 0 changed: id\n [0 1 1 1 1]", *none = "0 rows, 0 changed: id";

	SAME(r, one, "SELECT id FROM same WHERE big = $1", WEFT_INT(LLONG_MIN));
	SAME(r, one, "SELECT id FROM same WHERE num = $1", WEFT_REAL(0.1));
	SAME(r, one, "SELECT id FROM same WHERE name = $1", WEFT_TEXT("gr\xc3\xbc\xc3\x9f dich, \xf0\x9f\x98\x80 '\"\\%"));
	SAME(r, one, "SELECT id FROM same WHERE data = $1", WEFT_BYTES("\0\1\xff\\x'\0", 7));
	SAME(r, none, "SELECT id FROM same WHERE data = $1", WEFT_BYTES("\0\1\xff\\x'", 6));
	SAME(r, one, "SELECT id FROM same WHERE day = $1", WEFT_TEXT("2024-02-29"));
	SAME(r, one, "SELECT id FROM same WHERE at < $1", WEFT_TEXT("2000-01-01 00:00:00"));
	SAME(r, one, "SELECT id FROM same WHERE id = $1", WEFT_TEXT("1"));
	SAME(r, one, "SELECT id FROM same WHERE id = $2 AND big = $1 AND id < $2 + 1", WEFT_INT(LLONG_MIN), WEFT_INT(1));
	SAME(r, none, "SELECT id FROM same WHERE big = $1", WEFT_NULL_VALUE);
}

static void
counts_and_names_are_the_same_everywhere(void **state)
{
	struct rig *r = *state;

	SAME(r, "1 rows, 0 changed: one two_3\n [0 1 1 1 1] [0 1 4 4 4]", "SELECT 1 AS one, count(*) AS two_3 FROM same");
	SAME(r, "1 rows, 0 changed: s\n [0 1 2 2 2]", "SELECT sum(id) AS s FROM same");
	SAME(r, "0 rows, 3 changed:", "UPDATE same SET price = 1 WHERE id > 0");
	SAME(r, "0 rows, 3 changed:", "UPDATE same SET price = 1 WHERE id > 0");
	SAME(r, "0 rows, 0 changed:", "UPDATE same SET price = 1 WHERE id > 99");
	SAME(r, "0 rows, 2 changed:", "INSERT INTO same (id) VALUES ($1), ($2)", WEFT_INT(10), WEFT_INT(11));
	SAME(r, "2 rows, 2 changed: id\n [0 2 12 12 12]\n [0 2 13 13 13]", "INSERT INTO same (id) VALUES ($1), ($2) RETURNING id", WEFT_INT(12), WEFT_INT(13));
	SAME(r, "0 rows, 4 changed:", "DELETE FROM same WHERE id > 9");
	SAME(r, "0 rows, 0 changed: id", "SELECT id FROM same WHERE id > 9");
}

static void
failures_are_the_same_everywhere(void **state)
{
	struct rig *r = *state;
	char refused[16], invalid[16];

	snprintf(refused, sizeof refused, "rc %d", WEFT_REFUSED);
	snprintf(invalid, sizeof invalid, "rc %d", WEFT_INVALID);
	SAME(r, refused, "INSERT INTO same (id) VALUES ($1)", WEFT_INT(1));
	SAME(r, refused, "INSERT INTO same (id, name) VALUES ($1, $2)", WEFT_INT(9), WEFT_TEXT(""));
	SAME(r, refused, "SELEKT");
	SAME(r, refused, "SELECT * FROM nowhere");
	SAME(r, invalid, "BEGIN");
	SAME(r, invalid, "COMMIT");
	SAME(r, invalid, "SAVEPOINT a");
	SAME(r, invalid, "CREATE TEMPORARY TABLE mine (a int)");
	SAME(r, "1 rows, 0 changed: n\n [0 1 4 4 4]", "SELECT count(*) AS n FROM same");
}

/* ---- transactions ---- */

static int
same_transaction(struct weft_request *rq)
{
	struct weft_rows *rows;
	struct weft_lease *l;

	same_say("begin %d", weft_begin(rq, same.pool, &l));
	same_say(", insert %d", weft_lease_sql(l, NULL, "INSERT INTO same (id) VALUES ($1)", WEFT_INT(20)));
	same_say(", savepoint %d", weft_lease_sql(l, NULL, "SAVEPOINT a"));
	same_say(", twice %d", weft_lease_sql(l, NULL, "INSERT INTO same (id) VALUES ($1)", WEFT_INT(20)));
	same_say(", back %d", weft_lease_sql(l, NULL, "ROLLBACK TO SAVEPOINT a"));
	same_say(", its own end %d", weft_lease_sql(l, NULL, "COMMIT"));
	same_say(", sum %d: ", weft_lease_sql(l, &rows, "SELECT sum(id) AS s FROM same"));
	same_say_rows(rows);
	weft_rollback(l);
	same_say("; begin %d", weft_begin(rq, same.pool, &l));
	same_say(", insert %d", weft_lease_sql(l, NULL, "INSERT INTO same (id) VALUES ($1)", WEFT_INT(30)));
	same_say(", commit %d", weft_commit(l));
	return weft_puts(rq, "asked");
}

static void
transactions_are_the_same_everywhere(void **state)
{
	struct rig *r = *state;

	same.transaction = same_transaction;
	same.sql = "a transaction";
	same_expect(r, NULL);
	assert_non_null(strstr(same.said, "begin 0, insert 0, savepoint 0"));
	assert_non_null(strstr(same.said, "begin 0, insert 0, commit 0"));
	same.transaction = NULL;
	SAME(r, "1 rows, 0 changed: s\n [0 2 32 32 32]", "SELECT sum(id) AS s FROM same");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_kind_of_value_is_the_same_everywhere, same_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(types_are_the_same_everywhere, same_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(each_kind_of_value_is_found_everywhere, same_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(counts_and_names_are_the_same_everywhere, same_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(failures_are_the_same_everywhere, same_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(transactions_are_the_same_everywhere, same_setup, rig_teardown),
	};

	if (!server_find() || !maria_find())
		return 1;
	return cmocka_run_group_tests(tests, same_servers_start, same_servers_stop);
}
