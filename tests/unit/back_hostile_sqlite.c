/* SPDX-License-Identifier: ISC */

/* SQLite files that are broken, locked, or have no room: an error in time, never a crash, and the loop is not held meanwhile. */
#include "back_sql_kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/must.h"
#include "tests/unit/back_liar.h"

#define CALL_TIME (300 * USEC_PER_MSEC)

enum { PAGE = 4096 };

static char dir[64], path[96], url[128];
static struct kit kit;
static struct pulse pulse;
static unsigned noticed;	/* broken files that failed a statement */

static int
files_remove(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int
play_begin(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-sqlite-XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/a.db", dir);
	snprintf(url, sizeof url, "sqlite:%s", path);
	kit.loop = loop_new(NULL);
	must(kit.loop != NULL);
	pulse_begin(&pulse, kit.loop);
	rss_begin();
	return 0;
}

static int
play_end(void **state)
{
	(void)state;
	rss_end("all");
	pulse_end(&pulse);
	for (int i = 0; i < 20; i++)
		loop_turn(kit.loop, USEC_PER_MSEC);
	loop_free(&kit.loop);
	return nftw(dir, files_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
play_pool(unsigned max)
{
	struct pool_conf conf = { .name = "db", .url = url, .max = max, .call_timeout = CALL_TIME };
	char error[256] = "";

	kit.pool = pool_open(kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

/* ---- corrupt ---- */

static void
file_fill(int fd, off_t at, unsigned char with, size_t len)
{
	char bytes[PAGE];

	memset(bytes, with, sizeof bytes);
	must(pwrite(fd, bytes, len, at) == (ssize_t)len);
}

static void
corrupt_make(void)
{
	play_pool(1);
	kit_do(&kit, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
	kit_do(&kit, "CREATE INDEX i ON t (b)");
	kit_do(&kit, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, hex(i) FROM n");
	kit_do(&kit, "PRAGMA wal_checkpoint(TRUNCATE)");
	pool_close(&kit.pool);
}

/* Whatever the file says: an answer, or an error with its reason. */
static void
corrupt_use(const char *what)
{
	static const char *const sql[] = { "SELECT count(b) FROM t", "SELECT b FROM t ORDER BY b LIMIT 3", "INSERT INTO t (b) VALUES ('x')",
		"UPDATE t SET b = a || b WHERE a % 7 = 1", "DELETE FROM t WHERE a > 1000" };
	unsigned failed = 0;

	play_pool(1);
	for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
		struct kit_ask a;

		if (kit_ask(&kit, &a, sql[i]) != WEFT_OK) {
			failed++;
			if (a.fault.text[0] == '\0')
				fail_msg("%s: no reason", what);
		}
		kit_end(&a);
	}
	pool_close(&kit.pool);
	noticed += failed > 0;
}

static void
corrupt_body(void *arg)
{
	char whole[128], what[64];
	static char page[PAGE * 64];
	ssize_t size;
	int fd;

	(void)arg;
	corrupt_make();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	size = pread(fd, page, sizeof page, 0);
	close(fd);
	must(size > 8 * PAGE);
	snprintf(whole, sizeof whole, "%s-wal", path);
	for (ssize_t at = 0; at < size; at += PAGE) {
		unlink(whole);
		fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
		must(fd >= 0 && pwrite(fd, page, (size_t)size, 0) == size);
		/* The head of the file says how to read it: only a part of that. */
		file_fill(fd, at == 0 ? 28 : at, 0x5a, at == 0 ? 72 : PAGE);
		close(fd);
		snprintf(what, sizeof what, "page %zd", at / PAGE);
		corrupt_use(what);
	}
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	must(fd >= 0 && pwrite(fd, page, (size_t)size / 2 + 100, 0) == size / 2 + 100);
	close(fd);
	unlink(whole);
	corrupt_use("half a file");
	/* A log that is none. */
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	must(fd >= 0 && pwrite(fd, page, (size_t)size, 0) == size);
	close(fd);
	fd = open(whole, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0);
	for (off_t at = 0; at < 4 * PAGE; at += PAGE)
		file_fill(fd, at, 0x5a, PAGE);
	close(fd);
	corrupt_use("a log that is none");
	assert_true(noticed > size / PAGE / 2);
}

static void
b63_a_corrupt_file_is_an_error(void **state)
{
	(void)state;
	kit_run(&kit, corrupt_body, NULL);
}

/* ---- locked ---- */

/* An error when the time is up; all others go on meanwhile, and it is used again when the lock has gone. */
static void
locked_body(void *arg)
{
	struct kit_ask a, b;
	sqlite3 *other;
	usec began;

	(void)arg;
	play_pool(2);
	kit_do(&kit, "CREATE TABLE t (a)");
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
	began = clock_now();
	kit_start(&kit, &a, "INSERT INTO t VALUES (2)", NULL, 0);
	kit_ask(&kit, &b, "SELECT count(*) FROM t");
	kit_assert_row(&b, "0");
	assert_true(clock_now() - began < CALL_TIME);
	kit_end(&b);
	call_wait(&a.call, KIT_SOON);
	assert_true(a.call.rc == WEFT_TIMEOUT || (a.call.rc == WEFT_REFUSED && strncmp(a.fault.code, "SQLITE_BUSY", 11) == 0));
	assert_true(clock_now() - began < CALL_TIME + USEC_PER_SEC);
	kit_end(&a);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	kit_do(&kit, "INSERT INTO t VALUES (3)");
	kit_ask(&kit, &a, "SELECT count(*) FROM t");
	kit_assert_row(&a, "2");
	kit_end(&a);
	pool_close(&kit.pool);
}

static void
b63_a_locked_database_is_an_error_in_time(void **state)
{
	(void)state;
	kit_run(&kit, locked_body, NULL);
}

/* ---- full ---- */

/* Files may grow to the size of the database and a little more: the log hits that first. */
static void
full_limit(rlim_t most)
{
	struct rlimit r;

	must(getrlimit(RLIMIT_FSIZE, &r) == 0);
	r.rlim_cur = most;
	must(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

static void
full_body(void *arg)
{
	struct kit_ask a;

	(void)arg;
	play_pool(1);
	kit_do(&kit, "CREATE TABLE t (a)");
	kit_do(&kit, "INSERT INTO t VALUES ('kept')");
	full_limit(64 * 1024);
	kit_ask(&kit, &a, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
	    "INSERT INTO t SELECT zeroblob(1000) FROM n");
	assert_true(a.call.rc == WEFT_REFUSED || a.call.rc == WEFT_UNKNOWN);
	assert_true(strncmp(a.fault.code, "SQLITE_FULL", 11) == 0 || strncmp(a.fault.code, "SQLITE_IOERR", 12) == 0);
	kit_end(&a);
	kit_ask(&kit, &a, "SELECT count(*), min(a) FROM t");
	kit_assert_row(&a, "1", "kept");
	kit_end(&a);
	full_limit(RLIM_INFINITY);
	kit_do(&kit, "INSERT INTO t VALUES ('more')");
	kit_ask(&kit, &a, "SELECT count(*) FROM t");
	kit_assert_row(&a, "2");
	kit_end(&a);
	pool_close(&kit.pool);
}

static void
b63_a_full_disk_is_an_error_and_nothing_is_lost(void **state)
{
	(void)state;
	kit_run(&kit, full_body, NULL);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, play_begin, play_end)
	const struct CMUnitTest tests[] = {
		T(b63_a_corrupt_file_is_an_error),
		T(b63_a_locked_database_is_an_error_in_time),
		T(b63_a_full_disk_is_an_error_and_nothing_is_lost),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
