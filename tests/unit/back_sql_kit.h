/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACK_SQL_KIT_H
#define TESTS_BACK_SQL_KIT_H

/* For the tests of the SQL drivers: a loop, a pool, statements asked from fibers; and servers of their own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "back/call.h"
#include "back/lease.h"
#include "back/pool.h"
#include "back/sql/rows.h"
#include "base/arena.h"
#include "loop/loop.h"

struct kit {
	struct loop *loop;
	struct pool *pool;
};

/* One statement, with what it needs to live. */
struct kit_ask {
	struct call call;
	struct fault fault;
	struct arena arena;
};

#define KIT_INT(x) ((struct value){ .kind = VALUE_INT, .as.integer = (x) })
#define KIT_REAL(x) ((struct value){ .kind = VALUE_REAL, .as.real = (x) })
#define KIT_TEXT(s) ((struct value){ .kind = VALUE_TEXT, .as.bytes = { s, sizeof(s) - 1 } })
#define KIT_BYTES(s) ((struct value){ .kind = VALUE_BYTES, .as.bytes = { s, sizeof(s) - 1 } })
#define KIT_NULL ((struct value){ .kind = VALUE_NULL })
#define KIT_SOON (clock_now() + 20 * USEC_PER_SEC)

/* With settings; those of a name and of waiting times that are not there are the tests'. */
static inline void
kit_open_with(struct kit *k, struct pool_conf conf)
{
	char error[256] = "";

	conf.name = "db";
	if (conf.queue_timeout == 0)
		conf.queue_timeout = 10 * USEC_PER_SEC;
	if (conf.connect_timeout == 0)
		conf.connect_timeout = 5 * USEC_PER_SEC;
	k->loop = loop_new(NULL);
	assert_non_null(k->loop);
	k->pool = pool_open(k->loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
	assert_non_null(k->pool);
}

static inline void
kit_open(struct kit *k, const char *url, unsigned max)
{
	kit_open_with(k, (struct pool_conf){ .url = url, .max = max });
}

static inline struct pool_stat
kit_stat(const struct kit *k)
{
	struct pool_stat stat;

	pool_stat(k->pool, &stat);
	return stat;
}

static inline void
kit_close(struct kit *k)
{
	pool_close(&k->pool);
	loop_free(&k->loop);
}

/* Run fn(arg) on a fiber, and all fibers that it starts, to their ends. */
static inline void
kit_run(struct kit *k, void (*fn)(void *arg), void *arg)
{
	struct fiber *f = fiber_new(loop_fibers(k->loop), 0);
	usec late = clock_now() + 60 * USEC_PER_SEC;

	assert_non_null(f);
	fiber_start(f, fn, arg);
	while (fiber_sched_alive(loop_fibers(k->loop)) > 0) {
		loop_turn(k->loop, USEC_PER_SEC);
		assert_true(clock_now() < late);
	}
}

static inline void
kit_spawn(void (*fn)(void *arg), void *arg)
{
	struct fiber *f = fiber_new(fiber_sched(fiber_self()), 0);

	assert_non_null(f);
	fiber_start(f, fn, arg);
}

/* Submit; values must live until it is done. */
static inline void
kit_start(struct kit *k, struct kit_ask *a, const char *sql, const struct value *values, unsigned n)
{
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_SQL, &a->arena, &a->fault);
	a->call.sql = sql;
	a->call.values = values;
	a->call.nvalues = n;
	pool_submit(k->pool, &a->call);
}

static inline enum weft_rc
kit_ask_values(struct kit *k, struct kit_ask *a, const char *sql, const struct value *values, unsigned n)
{
	kit_start(k, a, sql, values, n);
	return call_wait(&a->call, KIT_SOON);
}

static inline enum weft_rc
kit_ask(struct kit *k, struct kit_ask *a, const char *sql)
{
	return kit_ask_values(k, a, sql, NULL, 0);
}

static inline void
kit_end(struct kit_ask *a)
{
	arena_fini(&a->arena);
}

/* Ask, and it must go well; nothing of it is kept. */
static inline void
kit_do(struct kit *k, const char *sql)
{
	struct kit_ask a;
	enum weft_rc rc = kit_ask(k, &a, sql);

	if (rc != WEFT_OK)
		print_error("%s: %s %s\n", sql, a.fault.code, a.fault.text);
	assert_int_equal(rc, WEFT_OK);
	kit_end(&a);
}

/* ---- on a connection that is lent ---- */

struct kit_lease {
	struct lease lease;
	struct fault fault;
};

/* Borrow one; it must go well. */
static inline void
kit_lend(struct kit *k, struct kit_lease *l)
{
	lease_ask(&l->lease, k->pool, &l->fault, "a test");
	if (call_wait(&l->lease.place, KIT_SOON) != WEFT_OK)
		print_error("%s %s\n", l->fault.code, l->fault.text);
	assert_int_equal(l->lease.place.rc, WEFT_OK);
}

static inline void
kit_give(struct kit_lease *l)
{
	lease_give(&l->lease);
}

/* Submit; values must live until it is done. */
static inline void
kit_lease_start_values(struct kit_lease *l, struct kit_ask *a, const char *sql, const struct value *values, unsigned n)
{
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_SQL, &a->arena, &a->fault);
	a->call.sql = sql;
	a->call.values = values;
	a->call.nvalues = n;
	lease_submit(&l->lease, &a->call);
}

static inline void
kit_lease_start(struct kit_lease *l, struct kit_ask *a, const char *sql)
{
	kit_lease_start_values(l, a, sql, NULL, 0);
}

static inline enum weft_rc
kit_lease_ask(struct kit_lease *l, struct kit_ask *a, const char *sql)
{
	kit_lease_start(l, a, sql);
	return call_wait(&a->call, KIT_SOON);
}

/* As kit_do. */
static inline void
kit_lease_do(struct kit_lease *l, const char *sql)
{
	struct kit_ask a;
	enum weft_rc rc = kit_lease_ask(l, &a, sql);

	if (rc != WEFT_OK)
		print_error("%s: %s %s\n", sql, a.fault.code, a.fault.text);
	assert_int_equal(rc, WEFT_OK);
	kit_end(&a);
}

/* The answer's first row must read so, column after column; NULL for NULL. */
#define kit_assert_row(a, ...) \
	kit_check_row((a), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static inline void
kit_check_row(const struct kit_ask *a, const char *const *want, size_t n)
{
	if (a->call.rc != WEFT_OK)
		print_error("%s %s\n", a->fault.code, a->fault.text);
	assert_int_equal(a->call.rc, WEFT_OK);
	assert_int_equal(a->call.rows->columns, n);
	assert_true(a->call.rows->count >= 1);
	for (unsigned i = 0; i < n; i++) {
		struct span cell = rows_cell(a->call.rows, 0, i);

		if (want[i] == NULL) {
			assert_null(cell.at);
			continue;
		}
		assert_non_null(cell.at);
		assert_string_equal(cell.at, want[i]);
		assert_int_equal(cell.len, strlen(want[i]));
	}
}

/* The question failed so; code may be NULL. */
static inline void
kit_assert_fault(const struct kit_ask *a, enum weft_rc rc, const char *code)
{
	if (a->call.rc != rc)
		print_error("rc %d, %s %s\n", (int)a->call.rc, a->fault.code, a->fault.text);
	assert_int_equal(a->call.rc, rc);
	assert_int_equal(a->fault.rc, rc);
	if (code != NULL)
		assert_string_equal(a->fault.code, code);
	assert_true(a->fault.text[0] != '\0');
	assert_null(a->call.rows);
}

/* Ask, and it must fail so. */
static inline void
kit_fails(struct kit *k, const char *sql, enum weft_rc rc, const char *code)
{
	struct kit_ask a;

	kit_ask(k, &a, sql);
	kit_assert_fault(&a, rc, code);
	kit_end(&a);
}

static inline void
kit_lease_fails(struct kit_lease *l, const char *sql, enum weft_rc rc, const char *code)
{
	struct kit_ask a;

	kit_lease_ask(l, &a, sql);
	kit_assert_fault(&a, rc, code);
	kit_end(&a);
}

/* Ask, and the answer must be this one value. */
static inline void
kit_says(struct kit *k, const char *sql, const char *want)
{
	struct kit_ask a;

	kit_ask(k, &a, sql);
	kit_assert_row(&a, want);
	kit_end(&a);
}

static inline void
kit_lease_says(struct kit_lease *l, const char *sql, const char *want)
{
	struct kit_ask a;

	kit_lease_ask(l, &a, sql);
	kit_assert_row(&a, want);
	kit_end(&a);
}

/* ---- servers ---- */

static inline void
kit_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static inline int
kit_free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

/* Make a folder after a template for mkdtemp, which belongs to user where this is root. */
static inline void
kit_make_dir(char *path, const char *user)
{
	const struct passwd *pw = getuid() == 0 ? getpwnam(user) : NULL;

	assert_non_null(mkdtemp(path));
	if (pw != NULL)
		assert_int_equal(chown(path, pw->pw_uid, pw->pw_gid), 0);
}

/* Start a program, quietly; as user where this is root, since servers refuse root.  It ends with the test. */
static inline pid_t
kit_spawn_server(const char *path, char *argv[], const char *dir, const char *user, int at_end)
{
	const struct passwd *pw = getuid() == 0 ? getpwnam(user) : NULL;
	pid_t pid = fork();
	int null;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (pw != NULL && (setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, at_end);
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (chdir(dir) != 0)
		_exit(126);
	execv(path, argv);
	_exit(127);
}

/* Run a program to its end, which must be a good one. */
static inline void
kit_run_program(const char *path, char *argv[], const char *dir, const char *user)
{
	pid_t pid = kit_spawn_server(path, argv, dir, user, SIGKILL);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline int
kit_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Remove a folder with all that is in it. */
static inline int
kit_remove_dir(const char *path)
{
	return nftw(path, kit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
