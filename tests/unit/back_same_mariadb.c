/* SPDX-License-Identifier: ISC */

/* MariaDB, for the tests that are the same for several databases. */
#include "back_same.h"

#include "back_cut.h"
#include "back_maria.h"

static const char *const mariadb_schema[] = {
	"CREATE TABLE parent (id int PRIMARY KEY)",
	"CREATE TABLE child (id int REFERENCES parent (id))",
	NULL,
};

static void
mariadb_kill(long long id)
{
	char sql[64];

	snprintf(sql, sizeof sql, "KILL %lld", id);
	maria_admin(sql);
}

static void
mariadb_interrupt(long long id)
{
	char sql[64];

	snprintf(sql, sizeof sql, "KILL QUERY %lld", id);
	maria_admin(sql);
}

/* Its connections are threads: all of them. */
static void
mariadb_freeze(long long id)
{
	(void)id;
	same_freeze_process(maria.pid);
}

static const char *
mariadb_cut(void)
{
	static char url[200];
	char from[108];

	snprintf(from, sizeof from, "%s/cut", maria.dir);
	snprintf(url, sizeof url, "mariadb://weft:se%%2fcret@/weft?socket=%s", from);
	cut_start(from, maria.socket);
	return url;
}

/* The server counts those of all connections, so others have to be gone. */
static unsigned
mariadb_prepared(struct kit *k, struct kit_lease *l)
{
	same_do(k, l, "SELECT 1");
	same_await("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'weft'", "1");
	return (unsigned)atoi(maria_admin("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Prepared_stmt_count'"));
}

const struct same_server same = {
	.url = maria.url, .tcp_url = maria.tcp_url, .schema = mariadb_schema,
	.code = { .syntax = "1064", .foreign_key = "1452", .unique = "1062", .check = "4025", .many_rows = "1242", .no_table = "1146",
	    .no_savepoint = "1213", .deadlock = "1213", .after_deadlock = "1213", .killed_words = "", .interrupted = "1317",
	    .read_only = "1290" },
	.start = same_sql_start, .check = same_sql_check, .id = same_sql_id,
	.kill = mariadb_kill, .interrupt = mariadb_interrupt, .freeze = mariadb_freeze,
	.stop = maria_stop, .start_again = maria_start, .cut = mariadb_cut, .admin = maria_admin, .prepared = mariadb_prepared,
};
