/* SPDX-License-Identifier: ISC */
/*
 * One way of a request through a worker, so that somebody outside (callgrind, strace) can
 * count what it costs: a worker without a master, in this process, and in children
 * a web server that sends N requests over one kept connection, one after the other or ten at a time, and a back end.
 *
 *	path fixed|redis|redis10|postgres|postgres10|sqlite N [DATABASE]
 *
 * It fails when an answer is not the one expected.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "path_back.h"

#include "app/app.h"
#include "base/must.h"
#include "cli/bench_load.h"
#include "front/fcgi_conn.h"
#include "loop/listen.h"
#include "loop/loop.h"

/* libpq is told the folder only. */
#define PATH_SOCKET ".s.PGSQL.5432"

static char path_folder[] = "/tmp/weft-path.XXXXXX", path_web[64], path_socket[64];
static struct fcgi_conns *path_conns;

static void
path_fail(const char *what)
{
	fprintf(stderr, "path: %s\n", what);
	exit(1);
}

/* ---- handlers ---- */

static int
path_fixed(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/plain");
	return weft_write(rq, "Hello, World!", 13);
}

static int
path_get(struct weft_request *rq)
{
	struct weft_reply *reply;
	const char *value;
	size_t len;

	weft_set_header(rq, "Content-Type", "text/plain");
	if (weft_redis(rq, "cache", &reply, "GET %s", weft_query(rq, "key")) != WEFT_OK)
		return weft_fail(rq);
	value = weft_reply_text(reply, &len);
	return weft_write(rq, value, len);
}

static int
path_row(struct weft_request *rq)
{
	struct weft_rows *rows;

	weft_set_header(rq, "Content-Type", "text/plain");
	if (weft_sql(rq, "db", &rows, "SELECT randomnumber FROM world WHERE id = $1", WEFT_INT(atoi(weft_query(rq, "id")))) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, weft_rows_text(rows, 0, 0));
}

static const struct path_kind {
	const char *name;
	unsigned ids;			/* requests at a time */
	struct weft_route route;
	const char *uri, *body;
	const char *pool;		/* NULL: asks nobody */
	const char *url;		/* a format for the place: the folder where PATH_SOCKET is, or the database's file */
	void (*back)(int listener);	/* NULL: needs no process */
} path_kinds[] = {
	{ "fixed", 1, { "GET", "/fixed", path_fixed, 0, 0 }, "/fixed", "Hello, World!", NULL, NULL, NULL },
	{ "redis", 1, { "GET", "/get", path_get, 0, 0 }, "/get?key=k1", "Hello, Redis!", "cache", "redis+unix://%s/" PATH_SOCKET, path_be_redis },
	{ "redis10", 10, { "GET", "/get", path_get, 0, 0 }, "/get?key=k1", "Hello, Redis!", "cache", "redis+unix://%s/" PATH_SOCKET, path_be_redis },
	{ "postgres", 1, { "GET", "/row", path_row, 0, 0 }, "/row?id=1", "7", "db", "postgresql:///db?user=weft&host=%s", path_be_postgres },
	{ "postgres10", 10, { "GET", "/row", path_row, 0, 0 }, "/row?id=1", "7", "db", "postgresql:///db?user=weft&host=%s", path_be_postgres },
	{ "sqlite", 1, { "GET", "/row", path_row, 0, 0 }, "/row?id=1", "7", "db", "sqlite:%s", NULL },
};

/* ---- the children ---- */

static int
path_listener(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(strlen(path) < sizeof un.sun_path);
	strcpy(un.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof un) != 0 || listen(fd, 16) != 0)
		path_fail(strerror(errno));
	return fd;
}

static pid_t
path_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		path_fail("cannot fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void
path_be_front(const struct path_kind *kind, uint64_t requests)
{
	static struct bench_result res;
	struct bench_opts o = {
		.uri = kind->uri, .requests = requests, .connections = 1, .ids = kind->ids, .expect = BENCH_EXPECT_BODY,
		.expect_body = kind->body, .expect_len = strlen(kind->body),
	};
	struct bench_address to;
	char address[80], error[256];

	snprintf(address, sizeof address, "unix:%s", path_web);
	if (bench_address_parse(&to, address, error, sizeof error) != 0 || bench_load_run(&o, &to, &res, error, sizeof error) != 0)
		path_fail(error);
	if (res.failed > 0 || res.answered != requests)
		path_fail(res.why);
	_exit(0);
}

/* ---- the worker ---- */

static void
path_on_accept(void *arg, int fd)
{
	fcgi_conns_add(path_conns, fd);
}

static void
path_add_pool(struct app *a, const struct path_kind *kind, const char *where)
{
	char error[256], url[160];
	struct pool_conf conf = { .name = kind->pool, .url = url, .max = 1, .min = 1 };
	struct pool *p;

	snprintf(url, sizeof url, kind->url, where);
	p = pool_open(a->loop, &conf, error, sizeof error);
	if (p == NULL || app_add_pool(a, p) != 0)
		path_fail(error);
}

/* One connection: serve until it has come and gone. */
static void
path_serve(const struct path_kind *kind, int listening, const char *where)
{
	struct loop *l = loop_new(NULL);
	struct timeline_ring *ring = calloc(1, sizeof *ring);
	struct listener *listener;
	char error[256];
	struct app a;

	if (l == NULL || ring == NULL || app_init(&a, l) != 0)
		path_fail("out of memory");
	timeline_ring_init(ring);
	a.front.request.ring = ring;
	if (app_add_route(&a, NULL, "", &kind->route, error, sizeof error) != 0)
		path_fail(error);
	if (kind->pool != NULL)
		path_add_pool(&a, kind, where);
	path_conns = fcgi_conns_new(&a.front);
	listener = listener_new(l, listening, path_on_accept, NULL);
	if (path_conns == NULL || listener == NULL)
		path_fail("out of memory");
	while (fcgi_conns_count(path_conns) == 0)
		loop_turn(l, USEC_PER_SEC);
	while (fcgi_conns_count(path_conns) > 0)
		loop_turn(l, USEC_PER_SEC);
	listener_free(&listener);
	fcgi_conns_free(&path_conns);
	app_fini(&a);
	loop_free(&l);
	free(ring);
}

int
main(int argc, char **argv)
{
	const struct path_kind *kind = NULL;
	int web, status;
	pid_t front, back = 0;
	uint64_t requests;

	for (size_t i = 0; argc >= 3 && i < sizeof path_kinds / sizeof path_kinds[0]; i++)
		if (strcmp(argv[1], path_kinds[i].name) == 0)
			kind = &path_kinds[i];
	requests = kind == NULL ? 0 : strtoull(argv[2], NULL, 10);
	if (requests == 0)
		path_fail("usage: path fixed|redis|redis10|postgres|postgres10|sqlite N [DATABASE]");
	if (mkdtemp(path_folder) == NULL)
		path_fail(strerror(errno));
	snprintf(path_web, sizeof path_web, "%s/web", path_folder);
	snprintf(path_socket, sizeof path_socket, "%s/" PATH_SOCKET, path_folder);
	web = path_listener(path_web);
	if (kind->back != NULL) {
		int listener = path_listener(path_socket);

		if ((back = path_fork()) == 0)
			kind->back(listener);
		close(listener);
	}
	if ((front = path_fork()) == 0)
		path_be_front(kind, requests);
	path_serve(kind, web, kind->back != NULL ? path_folder : argc > 3 ? argv[3] : ":memory:");
	if (back > 0) {
		kill(back, SIGKILL);
		waitpid(back, NULL, 0);
		unlink(path_socket);
	}
	waitpid(front, &status, 0);
	unlink(path_web);
	rmdir(path_folder);
	return status == 0 ? 0 : 1;
}
