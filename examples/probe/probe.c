/* SPDX-License-Identifier: ISC */
/*
 * probe: one route for someone who deploys, to see what arrives and how it
 * behaves.  /probe?op=…
 *
 *	ok                 body "ok"
 *	echo               the request's body
 *	env&name=N         that variable of the CGI environment
 *	length             how many bytes of body came
 *	big&n=N            N bytes
 *	sleep&ms=N         wait N milliseconds, on a timer
 *	compute&ms=N       N milliseconds in which nobody else is served: what a handler should not do
 *	stderr&n=N         N bytes to the web server's error log
 *	pid                the worker's process id
 *	redis&key=K        GET K from the pool "cache"
 *	sql&id=N           a row of world from the pool "db"
 *	wait&ms=N          wait N milliseconds in the database of the pool "db"
 *	held&ms=N          the same on a connection that is borrowed for it
 *	pop&ms=N           wait N milliseconds for an element of an empty list, on a connection borrowed from the pool "cache"
 *	rows&n=N           N rows of number from the pool "db", part by part, a line each: the number and 60 more characters
 *	token&n=N          ask Redis and the database at the same time for N, and say what each of them answered
 *	insert&n=N         a row of ledger with N in the pool "db"
 *	commit&n=N         the same in a transaction
 *	http&ms=N          the body of /wait?ms=N from the pool "service"; its status, too
 *	relay&n=N          N bytes of /big?n=N from the pool "service", as they come
 *
 * With &deadline=N the whole of it may take N milliseconds; with &pool=NAME redis, sql, wait, held, pop, rows, insert,
 * commit and http ask that pool.
 *
 * Asked as an authorizer (FastCGI's second role), it goes by the query as well: may=yes lets the request pass, with
 * the variables PROBE_MAY, what was asked, and PROBE_METHOD; may=form redirects; everything else is forbidden.
 *
 * Always text/plain.  Not for a public server: it shows what the web server says.
 */
#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_PIECE = 65536 };

static long
probe_number(struct weft_request *rq, const char *name)
{
	const char *text = weft_query(rq, name);
	long n = text == NULL ? 0 : strtol(text, NULL, 10);

	return n < 0 ? 0 : n;
}

static int
probe_ok(struct weft_request *rq)
{
	return weft_puts(rq, "ok");
}

static int
probe_echo(struct weft_request *rq)
{
	const char *body;
	size_t len;

	if (weft_body(rq, &body, &len) != WEFT_OK)
		return weft_fail(rq);
	return weft_write(rq, body, len);
}

static int
probe_env(struct weft_request *rq)
{
	const char *name = weft_query(rq, "name");
	const char *value = name == NULL ? NULL : weft_var(rq, name);

	if (value == NULL)
		return weft_error(rq, 404, "no such variable");
	return weft_puts(rq, value);
}

static int
probe_length(struct weft_request *rq)
{
	char piece[4096];
	long total = 0, n;

	while ((n = weft_body_read(rq, piece, sizeof piece)) > 0)
		total += n;
	if (n < 0)
		return weft_fail(rq);
	return weft_printf(rq, "%ld", total);
}

/* Bytes that show a hole or a shift: "0123456789abcdef…" over and over. */
static int
probe_big(struct weft_request *rq)
{
	static char piece[PROBE_PIECE];
	long left = probe_number(rq, "n");
	char length[24];
	int rc = WEFT_OK;

	for (size_t i = 0; piece[0] == '\0' && i < sizeof piece; i++)
		piece[i] = "0123456789abcdef"[i % 16];
	snprintf(length, sizeof length, "%ld", left);
	weft_set_header(rq, "Content-Length", length);
	for (; left > 0 && rc == WEFT_OK; left -= PROBE_PIECE)
		rc = weft_write(rq, piece, left < PROBE_PIECE ? (size_t)left : PROBE_PIECE);
	return rc;
}

static int
probe_sleep(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");

	if (weft_sleep(rq, ms) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "slept %ld ms", ms);
}

static int
probe_compute(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");
	clock_t end = clock() + ms * CLOCKS_PER_SEC / 1000;

	while (clock() < end)
		continue;
	return weft_printf(rq, "computed %ld ms", ms);
}

static int
probe_stderr(struct weft_request *rq)
{
	long left = probe_number(rq, "n");
	char piece[1024];

	memset(piece, 'e', sizeof piece);
	for (; left > 0; left -= (long)sizeof piece)
		weft_stderr(rq, piece, left < (long)sizeof piece ? (size_t)left : sizeof piece);
	return weft_puts(rq, "logged");
}

static int
probe_pid(struct weft_request *rq)
{
	return weft_printf(rq, "%ld", (long)getpid());
}

/* The pool that was asked for. */
static const char *
probe_pool(struct weft_request *rq, const char *usual)
{
	const char *name = weft_query(rq, "pool");

	return name == NULL ? usual : name;
}

static int
probe_redis(struct weft_request *rq)
{
	const char *key = weft_query(rq, "key");
	struct weft_reply *reply;
	const char *value;
	size_t len;

	if (key == NULL)
		return weft_error(rq, 400, "key is missing");
	if (weft_redis(rq, probe_pool(rq, "cache"), &reply, "GET %s", key) != WEFT_OK)
		return weft_fail(rq);
	if (weft_reply_type(reply) != WEFT_REPLY_TEXT)
		return weft_error(rq, 404, "no such key");
	value = weft_reply_text(reply, &len);
	return weft_write(rq, value, len);
}

/* Each number has a key of its own, in one of 32 slots of a cluster. */
static int
probe_count(struct weft_request *rq)
{
	long n = probe_number(rq, "n");
	struct weft_reply *reply;

	if (weft_redis(rq, probe_pool(rq, "cache"), &reply, "INCR count:{%ld}:%ld", n % 32, n) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%lld", weft_reply_int(reply));
}

/* The same by a script. */
static int
probe_script(struct weft_request *rq)
{
	long n = probe_number(rq, "n");
	struct weft_value key = { 0 };
	struct weft_reply *reply;
	char name[60];

	snprintf(name, sizeof name, "count:{%ld}:%ld", n % 32, n);
	key = WEFT_TEXT(name);
	if (weft_redis_script(rq, probe_pool(rq, "cache"), &reply, "return redis.call('INCR', KEYS[1])", &key, 1, NULL, 0) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%lld", weft_reply_int(reply));
}

static int
probe_sql(struct weft_request *rq)
{
	const char *pool = probe_pool(rq, "db");
	struct weft_rows *rows;

	if (weft_sql(rq, pool, &rows, "SELECT id, randomnumber FROM world WHERE id = $1", WEFT_INT(probe_number(rq, "id"))) != WEFT_OK)
		return weft_fail(rq);
	if (weft_rows_count(rows) == 0)
		return weft_error(rq, 404, "no such row");
	return weft_printf(rq, "%s %s", weft_rows_text(rows, 0, 0), weft_rows_text(rows, 0, 1));
}

static int
probe_wait(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");

	if (weft_sql(rq, probe_pool(rq, "db"), NULL, "SELECT pg_sleep($1)", WEFT_REAL((double)ms / 1000)) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "waited %ld ms", ms);
}

/* The same, and it may be sent twice. */
static int
probe_again(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");
	struct weft_call *call = weft_idempotent(weft_sql_start(rq, probe_pool(rq, "db"), "SELECT pg_sleep($1)", WEFT_REAL((double)ms / 1000)));

	if (weft_wait(rq, call) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "waited %ld ms", ms);
}

static int
probe_held(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");
	struct weft_lease *lease;

	if (weft_lend(rq, probe_pool(rq, "db"), &lease) != WEFT_OK ||
	    weft_lease_sql(lease, NULL, "SELECT pg_sleep($1)", WEFT_REAL((double)ms / 1000)) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "waited %ld ms", ms);
}

static int
probe_pop(struct weft_request *rq)
{
	long ms = probe_number(rq, "ms");
	struct weft_lease *lease;
	struct weft_reply *reply;
	char seconds[32];

	snprintf(seconds, sizeof seconds, "%ld.%03ld", ms / 1000, ms % 1000);
	if (weft_lend(rq, probe_pool(rq, "cache"), &lease) != WEFT_OK ||
	    weft_lease_redis(lease, &reply, "BLPOP probe-empty %s", seconds) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "waited %ld ms", ms);
}

static int
probe_rows(struct weft_request *rq)
{
	struct weft_stream *stream;
	struct weft_rows *rows;
	int rc;

	if (weft_sql_open(rq, probe_pool(rq, "db"), &stream,
	    "SELECT i, 'sixty characters that make a row as long as most rows are ..' FROM number LIMIT $1",
	    WEFT_INT(probe_number(rq, "n"))) != WEFT_OK)
		return weft_fail(rq);
	while ((rc = weft_sql_next(rq, stream, &rows)) == WEFT_OK && rows != NULL)
		for (size_t i = 0; i < weft_rows_count(rows); i++) {
			rc = weft_printf(rq, "%s %s\n", weft_rows_text(rows, i, 0), weft_rows_text(rows, i, 1));
			if (rc != WEFT_OK)
				return rc;
		}
	return rc == WEFT_OK ? WEFT_OK : weft_fail(rq);
}

/* Whoever gets the answer to somebody else's question says so. */
static int
probe_token(struct weft_request *rq)
{
	long n = probe_number(rq, "n");
	struct weft_call *call[] = {
		weft_redis_start(rq, "cache", "ECHO %ld", n),
		weft_sql_start(rq, "db", "SELECT $1::bigint", WEFT_INT(n)),
	};

	if (weft_wait_all(rq, call, 2) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%s %s", weft_reply_text(weft_call_reply(call[0]), NULL), weft_rows_text(weft_call_rows(call[1]), 0, 0));
}

static int
probe_insert(struct weft_request *rq)
{
	long n = probe_number(rq, "n");

	if (weft_sql(rq, probe_pool(rq, "db"), NULL, "INSERT INTO ledger (token) VALUES ($1)", WEFT_INT(n)) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%ld", n);
}

static int
probe_commit(struct weft_request *rq)
{
	long n = probe_number(rq, "n");
	struct weft_lease *lease;

	if (weft_begin(rq, probe_pool(rq, "db"), &lease) != WEFT_OK ||
	    weft_lease_sql(lease, NULL, "INSERT INTO ledger (token) VALUES ($1)", WEFT_INT(n)) != WEFT_OK ||
	    weft_commit(lease) != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%ld", n);
}

static int
probe_http(struct weft_request *rq)
{
	struct weft_http *answer;
	const char *body;
	size_t len;

	if (weft_http(rq, probe_pool(rq, "service"), &answer, "GET", "/wait?ms=%ld", probe_number(rq, "ms")) != WEFT_OK)
		return weft_fail(rq);
	body = weft_http_body(answer, &len);
	weft_status(rq, weft_http_status(answer), NULL);
	return weft_write(rq, body, len);
}

static int
probe_relay(struct weft_request *rq)
{
	struct weft_http_ask ask = { .path = weft_http_path(rq, "/big?n=%ld", probe_number(rq, "n")) };
	struct weft_http *stream;
	char *piece = weft_alloc(rq, PROBE_PIECE);
	long n = 0;

	if (piece == NULL)
		return weft_error(rq, 500, "no memory");
	if (weft_http_open(rq, "service", &stream, &ask) != WEFT_OK)
		return weft_fail(rq);
	weft_status(rq, weft_http_status(stream), NULL);
	while ((n = weft_http_read(rq, stream, piece, PROBE_PIECE)) > 0)
		if (weft_write(rq, piece, (size_t)n) != WEFT_OK)
			return weft_fail(rq);
	return n == 0 ? WEFT_OK : weft_fail(rq);
}

static const struct {
	const char *op;
	weft_handler *fn;
} probe_ops[] = {
	{ "ok", probe_ok }, { "echo", probe_echo }, { "env", probe_env }, { "length", probe_length }, { "big", probe_big },
	{ "sleep", probe_sleep }, { "compute", probe_compute }, { "stderr", probe_stderr }, { "pid", probe_pid }, { "redis", probe_redis },
	{ "count", probe_count }, { "script", probe_script }, { "sql", probe_sql }, { "wait", probe_wait }, { "again", probe_again },
	{ "held", probe_held }, { "pop", probe_pop }, { "rows", probe_rows },
	{ "token", probe_token }, { "insert", probe_insert }, { "commit", probe_commit }, { "http", probe_http }, { "relay", probe_relay },
};

static int
probe(struct weft_request *rq)
{
	const char *op = weft_query(rq, "op");

	weft_set_header(rq, "Content-Type", "text/plain");
	if (weft_query(rq, "deadline") != NULL)
		weft_deadline(rq, probe_number(rq, "deadline"));
	for (size_t i = 0; op != NULL && i < sizeof probe_ops / sizeof probe_ops[0]; i++)
		if (strcmp(probe_ops[i].op, op) == 0)
			return probe_ops[i].fn(rq);
	return weft_error(rq, 400, "op: ok echo env length big sleep compute stderr pid redis count script sql wait held pop rows token insert commit http relay");
}

static int
probe_may(struct weft_request *rq)
{
	const char *may = weft_query(rq, "may");
	const char *role = weft_var(rq, "FCGI_APACHE_ROLE");	/* mod_fcgid asks up to three things */

	if (may != NULL && strcmp(may, "form") == 0)
		return weft_redirect(rq, 303, "/form");
	if (may == NULL || strcmp(may, "yes") != 0)
		return weft_error(rq, 403, "the probe says no");
	if (weft_set_variable(rq, "PROBE_MAY", role == NULL ? "AUTHORIZER" : role) != WEFT_OK)
		return weft_error(rq, 500, "no variable");
	return weft_set_variable(rq, "PROBE_METHOD", weft_method(rq));
}

WEFT_MODULE(
	{ "AUTHORIZE", "/*", probe_may },
	{ "*", "/probe", probe },
)
