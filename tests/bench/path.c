/* SPDX-License-Identifier: ISC */
/*
 * One way of a request through a worker, so that somebody outside (callgrind, strace) can
 * count what it costs: a worker without a master, in this process, and in children
 * a web server that sends N requests over one kept connection, one after the other, and a Redis.
 *
 *	path fixed|redis|sqlite N [DATABASE]
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

#include "app/app.h"
#include "base/must.h"
#include "cli/bench_load.h"
#include "front/fcgi_conn.h"
#include "loop/listen.h"
#include "loop/loop.h"

static char path_folder[] = "/tmp/weft-path.XXXXXX", path_web[64], path_redis[64];
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
	struct weft_route route;
	const char *uri, *body;
} path_kinds[] = {
	{ "fixed", { "GET", "/fixed", path_fixed, 0, 0 }, "/fixed", "Hello, World!" },
	{ "redis", { "GET", "/get", path_get, 0, 0 }, "/get?key=k1", "Hello, Redis!" },
	{ "sqlite", { "GET", "/row", path_row, 0, 0 }, "/row?id=1", "7" },
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

/* A Redis to which every command is GET but those that a connection begins with. */
static void
path_be_redis(int listener)
{
	int fd = accept(listener, NULL, NULL);
	char in[4096];
	ssize_t n;

	while ((n = read(fd, in, sizeof in - 1)) > 0) {
		in[n] = '\0';
		for (const char *at = in; (at = strchr(at, '*')) != NULL; at++) {
			const char *reply = strstr(at, "\r\nGET\r\n") != NULL ? "$13\r\nHello, Redis!\r\n"
			    : strstr(at, "\r\nPING\r\n") != NULL ? "+PONG\r\n" : "+OK\r\n";

			if (write(fd, reply, strlen(reply)) < 0)
				_exit(1);
		}
	}
	_exit(0);
}

static void
path_be_front(const struct path_kind *kind, uint64_t requests)
{
	static struct bench_result res;
	struct bench_opts o = {
		.uri = kind->uri, .requests = requests, .connections = 1, .ids = 1, .expect = BENCH_EXPECT_BODY,
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
path_add_pool(struct app *a, const char *name, const char *url)
{
	struct pool_conf conf = { .name = name, .url = url, .max = 1, .min = 1 };
	char error[256];
	struct pool *p = pool_open(a->loop, &conf, error, sizeof error);

	if (p == NULL || app_add_pool(a, p) != 0)
		path_fail(error);
}

/* One connection: serve until it has come and gone. */
static void
path_serve(const struct path_kind *kind, int listening, const char *database)
{
	struct loop *l = loop_new(NULL);
	struct timeline_ring *ring = calloc(1, sizeof *ring);
	struct listener *listener;
	char error[256], url[160];
	struct app a;

	if (l == NULL || ring == NULL || app_init(&a, l) != 0)
		path_fail("out of memory");
	timeline_ring_init(ring);
	a.front.request.ring = ring;
	if (app_add_route(&a, NULL, "", &kind->route, error, sizeof error) != 0)
		path_fail(error);
	snprintf(url, sizeof url, "redis+unix://%s", path_redis);
	if (strcmp(kind->name, "redis") == 0)
		path_add_pool(&a, "cache", url);
	snprintf(url, sizeof url, "sqlite:%s", database);
	if (strcmp(kind->name, "sqlite") == 0)
		path_add_pool(&a, "db", url);
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
	int web, redis, status;
	uint64_t requests;
	pid_t front, back;

	for (size_t i = 0; argc >= 3 && i < sizeof path_kinds / sizeof path_kinds[0]; i++)
		if (strcmp(argv[1], path_kinds[i].name) == 0)
			kind = &path_kinds[i];
	requests = kind == NULL ? 0 : strtoull(argv[2], NULL, 10);
	if (requests == 0)
		path_fail("usage: path fixed|redis|sqlite N [DATABASE]");
	if (mkdtemp(path_folder) == NULL)
		path_fail(strerror(errno));
	snprintf(path_web, sizeof path_web, "%s/web", path_folder);
	snprintf(path_redis, sizeof path_redis, "%s/redis", path_folder);
	web = path_listener(path_web);
	redis = path_listener(path_redis);
	if ((back = path_fork()) == 0)
		path_be_redis(redis);
	if ((front = path_fork()) == 0)
		path_be_front(kind, requests);
	path_serve(kind, web, argc > 3 ? argv[3] : ":memory:");
	kill(back, SIGKILL);
	waitpid(back, NULL, 0);
	waitpid(front, &status, 0);
	unlink(path_web);
	unlink(path_redis);
	rmdir(path_folder);
	return status == 0 ? 0 : 1;
}
