/* SPDX-License-Identifier: ISC */
/*
 * A module whose handlers wait for whatever can be waited for, with a deadline, and then make of it what
 * handlers make of it.  For tests/scenario/scenarios/deadline.py.
 *
 *	/waits/WHAT/HOW     WHAT is one of waits_for, HOW one of waits_ends
 */
#include <weft/weft.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAITS_DEADLINE = 300, WAITS_LONG = 3000 };

static const char *
waits_pool(struct weft_request *rq)
{
	const char *pool = weft_query(rq, "pool");

	return pool == NULL ? "db" : pool;
}

/* ---- what for ---- */

static int
waits_sleep(struct weft_request *rq)
{
	return weft_sleep(rq, WAITS_LONG);
}

static int
waits_body(struct weft_request *rq)
{
	const char *body;

	return weft_body(rq, &body, NULL);
}

static int
waits_fd(struct weft_request *rq)
{
	int fd[2], rc;

	if (pipe(fd) != 0)
		return weft_error(rq, 500, "no pipe");
	rc = weft_wait_fd(rq, fd[0], WEFT_READ, -1);
	close(fd[0]);
	close(fd[1]);
	return rc;
}

static void
waits_block(void *arg)
{
	(void)arg;
	usleep(1000000);
}

static int
waits_offload(struct weft_request *rq)
{
	return weft_offload(rq, waits_block, NULL, NULL);
}

static int
waits_redis(struct weft_request *rq)
{
	return weft_redis(rq, "cache", NULL, "GET waits");
}

static int
waits_blpop(struct weft_request *rq)
{
	struct weft_lease *lease;

	if (weft_lend(rq, "cache", &lease) != WEFT_OK)
		return weft_fault(rq);
	return weft_lease_redis(lease, NULL, "BLPOP waits 0");
}

static int
waits_sql(struct weft_request *rq)
{
	static const char *const text[][2] = {
		{ "db", "SELECT pg_sleep(3)" },
		{ "maria", "SELECT SLEEP(3)" },
		{ "lite", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000000) SELECT count(*) FROM c" },
	};
	const char *pool = waits_pool(rq);

	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
		if (strcmp(text[i][0], pool) == 0)
			return weft_sql(rq, pool, NULL, text[i][1]);
	return WEFT_INVALID;
}

static int
waits_http(struct weft_request *rq)
{
	return weft_http(rq, "service", NULL, "GET", "/wait?ms=%d", WAITS_LONG);
}

/* Of a pool with one connection, which somebody else has. */
static int
waits_queue(struct weft_request *rq)
{
	return weft_sql(rq, "one", NULL, "SELECT 1");
}

static int
waits_lend(struct weft_request *rq)
{
	struct weft_lease *lease;

	return weft_lend(rq, "one", &lease);
}

static int
waits_all(struct weft_request *rq)
{
	struct weft_call *call[] = {
		weft_sql_start(rq, "db", "SELECT pg_sleep(3)"),
		weft_http_start(rq, "service", "GET", "/wait?ms=%d", WAITS_LONG),
	};

	return weft_wait_all(rq, call, 2);
}

static int
waits_rows(struct weft_request *rq)
{
	struct weft_stream *stream;
	struct weft_rows *rows;
	int rc = weft_sql_open(rq, "db", &stream, "SELECT pg_sleep(0.02) FROM generate_series(1, 1000)");

	while (rc == WEFT_OK)
		rc = weft_sql_next(rq, stream, &rows);
	return rc;
}

static int
waits_message(struct weft_request *rq)
{
	struct weft_subscription *sub;
	const char *text;
	int rc = weft_subscribe(rq, "cache", &sub, "waits");

	return rc != WEFT_OK ? rc : weft_message(rq, sub, &text, NULL, -1);
}

/* Never waits in vain but once. */
static int
waits_look(struct weft_request *rq)
{
	static const char text[] = "SELECT pg_sleep(3)";
	struct weft_call *call = weft_sql_start(rq, "db", text);
	int rc;

	while ((rc = weft_wait(rq, call)) != WEFT_OK && strcmp(weft_param(rq, "how"), "forever") == 0 && weft_flush(rq) != WEFT_CANCELED)
		;
	return rc;
}

static int
waits_child(struct weft_request *rq, void *arg)
{
	(void)arg;
	return waits_sql(rq);
}

static int
waits_spawn(struct weft_request *rq)
{
	struct weft_call *call[] = { weft_spawn(rq, waits_child, NULL), weft_spawn(rq, waits_child, NULL) };

	return weft_wait_all(rq, call, 2);
}

/* Somebody who reads slowly: this ends in a reset, for a part is out. */
static int
waits_client(struct weft_request *rq)
{
	static const char much[65536];
	int rc;

	while ((rc = weft_write(rq, much, sizeof much)) == WEFT_OK)
		;
	return rc;
}

static const struct waits_for {
	const char *name;
	int (*fn)(struct weft_request *rq);
} waits_for[] = {
	{ "sleep", waits_sleep }, { "body", waits_body }, { "fd", waits_fd }, { "offload", waits_offload },
	{ "redis", waits_redis }, { "blpop", waits_blpop }, { "sql", waits_sql }, { "http", waits_http },
	{ "queue", waits_queue }, { "lend", waits_lend }, { "all", waits_all }, { "spawn", waits_spawn },
	{ "client", waits_client }, { "rows", waits_rows }, { "message", waits_message }, { "look", waits_look },
};

static int
waits_now(struct weft_request *rq)
{
	const char *what = weft_param(rq, "what");

	for (size_t i = 0; i < sizeof waits_for / sizeof waits_for[0]; i++)
		if (strcmp(waits_for[i].name, what) == 0)
			return waits_for[i].fn(rq);
	return weft_error(rq, 404, "no such wait");
}

/* ---- and then ---- */

static int
waits(struct weft_request *rq)
{
	const char *how = weft_param(rq, "how");
	int rc;

	weft_puts(rq, "here is ");
	rc = waits_now(rq);
	if (strcmp(how, "fail") == 0)
		return rc == WEFT_OK ? WEFT_OK : weft_fail(rq);
	if (strcmp(how, "code") == 0)
		return rc;
	if (strcmp(how, "again") == 0)
		for (int i = 0; i < 5; i++)
			rc = waits_now(rq);
	else if (strcmp(how, "forever") == 0)
		while (weft_flush(rq) != WEFT_CANCELED)
			rc = waits_now(rq);
	return weft_puts(rq, "what you wanted\n");
}

/* ---- a transaction, whose client leaves ---- */

/* pool=, token=, and shield=MS for a section that is finished. */
static int
waits_order(struct weft_request *rq)
{
	const char *shield = weft_query(rq, "shield"), *token = weft_query(rq, "token"), *pool = waits_pool(rq);
	struct weft_lease *lease;
	int rc;

	if (token == NULL)
		return weft_error(rq, 400, "token is missing");
	if (weft_begin(rq, pool, &lease) != WEFT_OK)
		return weft_fail(rq);
	if (shield != NULL)
		weft_shield(rq, strtol(shield, NULL, 10));
	rc = weft_lease_sql(lease, NULL, "INSERT INTO ledger (token) VALUES ($1)", WEFT_INT(strtoll(token, NULL, 10)));
	if (rc == WEFT_OK)
		rc = weft_sleep(rq, 500);
	if (rc == WEFT_OK)
		rc = weft_commit(lease);
	if (rc == WEFT_OK)
		rc = weft_redis(rq, "cache", NULL, "SET waits:%s committed", token);
	weft_unshield(rq);
	return rc == WEFT_OK ? weft_puts(rq, token) : weft_fail(rq);
}

/* ---- whatever is asked, and how it failed ---- */

/* The words of a command, which blanks separate. */
static size_t
waits_words(struct weft_request *rq, const char *text, struct weft_value *word, size_t max)
{
	char *at = weft_strdup(rq, text), *save = NULL;
	size_t n = 0;

	for (char *one = strtok_r(at, " ", &save); one != NULL && n < max; one = strtok_r(NULL, " ", &save))
		word[n++] = WEFT_TEXT(one);
	return n;
}

static int
waits_ask_lent(struct weft_lease *lease, const char *kind, const char *text)
{
	if (strcmp(kind, "redis") == 0)
		return weft_lease_redis(lease, NULL, text);
	return weft_lease_sql_values(lease, NULL, text, NULL, 0);
}

/* On a connection of its own; again= is asked on it some time later. */
static int
waits_ask_twice(struct weft_request *rq, const char *pool, const char *kind, const char *text)
{
	const char *again = weft_query(rq, "again");
	struct weft_lease *lease;
	int rc = weft_lend(rq, pool, &lease);

	if (rc == WEFT_OK)
		rc = waits_ask_lent(lease, kind, text);
	if (rc == WEFT_OK && again != NULL && weft_sleep(rq, 600) == WEFT_OK)
		rc = waits_ask_lent(lease, kind, again);
	return rc;
}

static int
waits_ask(struct weft_request *rq, const char *pool, const char *kind, const char *text)
{
	struct weft_value word[16];
	struct weft_http_ask ask = { .method = weft_query(rq, "method"), .path = text };

	if (weft_query(rq, "lend") != NULL)
		return waits_ask_twice(rq, pool, kind, text);
	if (strcmp(kind, "redis") == 0)
		return weft_redis_values(rq, pool, NULL, word, waits_words(rq, text, word, 16));
	if (strcmp(kind, "http") == 0)
		return weft_http_send(rq, pool, NULL, &ask);
	return weft_sql_values(rq, pool, NULL, text, NULL, 0);
}

/* kind=redis, sql or http; pool=; text=; lend=1 with again=; deadline= */
static int
waits_failure(struct weft_request *rq)
{
	const char *kind = weft_query(rq, "kind"), *text = weft_query(rq, "text"), *deadline = weft_query(rq, "deadline");
	int rc;

	if (kind == NULL || text == NULL)
		return weft_error(rq, 400, "kind or text is missing");
	if (deadline != NULL)
		weft_deadline(rq, strtol(deadline, NULL, 10));
	rc = waits_ask(rq, waits_pool(rq), kind, text);
	if (rc == WEFT_OK)
		return weft_puts(rq, "done");
	weft_log(rq, "failure rc=%d noted=%d code=\"%s\" text=\"%s\"", rc, weft_fault(rq), weft_fault_code(rq), weft_fault_text(rq));
	return weft_fail(rq);
}

/* Keeps the only connection of a pool for ms=. */
static int
waits_hold(struct weft_request *rq)
{
	const char *ms = weft_query(rq, "ms");
	struct weft_lease *lease;

	if (weft_lend(rq, "one", &lease) != WEFT_OK || weft_sleep(rq, ms == NULL ? 1000 : strtol(ms, NULL, 10)) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, "held");
}

/* A section that lasts longer than anybody should wait. */
static int
waits_section(struct weft_request *rq)
{
	int rc;

	weft_shield(rq, 50000);
	rc = weft_sleep(rq, 40000);
	weft_unshield(rq);
	return rc == WEFT_OK ? weft_puts(rq, "slept") : weft_fail(rq);
}

WEFT_MODULE(
	{ .method = "*", .path = "/waits/:what/:how", .handler = waits, .timeout_ms = WAITS_DEADLINE },
	{ "GET", "/order", waits_order },
	{ "GET", "/failure", waits_failure },
	{ "GET", "/hold", waits_hold },
	{ "GET", "/section", waits_section },
)
