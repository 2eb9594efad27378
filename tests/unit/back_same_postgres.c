/* SPDX-License-Identifier: ISC */

/* PostgreSQL, for the tests that are the same for several databases. */
#include "back_same.h"

#include <libpq-fe.h>

#include "back_cut.h"
#include "back_server.h"

/* What it calls otherwise. */
static const char *const postgres_schema[] = {
	"CREATE FUNCTION sleep(seconds float8) RETURNS int LANGUAGE sql AS 'SELECT 0 FROM pg_sleep(seconds)'",
	"CREATE FUNCTION connection_id() RETURNS int LANGUAGE sql AS 'SELECT pg_backend_pid()'",
	"CREATE VIEW seq_0_to_9999 AS SELECT generate_series(0, 9999) AS seq",
	"CREATE VIEW seq_1_to_10 AS SELECT generate_series(1, 10) AS seq",
	"CREATE VIEW seq_1_to_5000 AS SELECT generate_series(1, 5000) AS seq",
	"CREATE VIEW seq_1_to_100000 AS SELECT generate_series(1, 100000) AS seq",
	"CREATE VIEW seq_1_to_1000000 AS SELECT generate_series(1, 1000000) AS seq",
	/* Its errors come at the statement's sync, after the statement itself went well. */
	"CREATE TABLE parent (id int PRIMARY KEY)",
	"CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
	"ALTER ROLE weft SET deadlock_timeout = '20ms'",
	NULL,
};

static const char *
postgres_admin(const char *sql)
{
	static char value[256];
	PGconn *pg = PQconnectdb(server.url);
	PGresult *r = PQexec(pg, sql);

	if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(pg));
	snprintf(value, sizeof value, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	PQfinish(pg);
	return value;
}

static void
postgres_kill(long long id)
{
	char sql[64];

	snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)", id);
	assert_string_equal(postgres_admin(sql), "t");
}

static void
postgres_interrupt(long long id)
{
	char sql[64];

	snprintf(sql, sizeof sql, "SELECT pg_cancel_backend(%lld)", id);
	assert_string_equal(postgres_admin(sql), "t");
}

static void
postgres_freeze(long long id)
{
	assert_int_equal(kill((pid_t)id, SIGSTOP), 0);
}

static void
postgres_thaw(long long id)
{
	assert_int_equal(kill((pid_t)id, SIGCONT), 0);
}

static const char *
postgres_cut(void)
{
	static char url[200];
	char from[108], to[108];

	snprintf(from, sizeof from, "%s/.s.PGSQL.1", server.dir);
	snprintf(to, sizeof to, "%s/.s.PGSQL.%s", server.dir, server.port);
	snprintf(url, sizeof url, "postgresql:///postgres?host=%s&port=1&user=weft", server.dir);
	cut_start(from, to);
	return url;
}

static unsigned
postgres_prepared(struct kit *k, struct kit_lease *l)
{
	struct kit_ask a;
	unsigned n;

	same_sql_start(k, l, &a, "SELECT COUNT(*) FROM pg_prepared_statements");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	n = (unsigned)atoi(rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	return n;
}

const struct same_server same = {
	.url = server.url, .tcp_url = server.tcp_url, .schema = postgres_schema,
	.code = { .syntax = "42601", .foreign_key = "23503", .unique = "23505", .check = "23514", .division = "22012",
	    .many_rows = "21000", .no_table = "42P01", .no_savepoint = "3B001", .aborted = "25P02", .deadlock = "40P01",
	    .after_deadlock = "25P02", .killed = "57P01", .killed_words = "terminating connection", .interrupted = "57014",
	    .read_only = "25006" },
	.start = same_sql_start, .check = same_sql_check, .id = same_sql_id,
	.kill = postgres_kill, .interrupt = postgres_interrupt, .freeze = postgres_freeze, .thaw = postgres_thaw,
	.stop = server_stop, .start_again = server_start, .cut = postgres_cut, .admin = postgres_admin, .prepared = postgres_prepared,
};
