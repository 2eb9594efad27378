/* SPDX-License-Identifier: ISC */
/*
 * techempower: the tests of the TechEmpower Framework Benchmarks, by their rules.
 *
 *	GET /json			an object, serialised for each request
 *	GET /db				one random row of world
 *	GET /queries?queries=N		N random rows, each by a query of its own
 *	GET /fortunes			all rows of fortune and one more, sorted here, as HTML
 *	GET /updates?queries=N		N random rows, each read by a query of its own, with new numbers that are stored
 *	GET /plaintext			a fixed text
 *	GET /cached-queries?count=N	N random rows of cachedworld, by way of Redis
 *
 * N is 1 to 500: 1 where it is missing, no number or less, 500 where it is more.  seed.sql makes the tables.
 *
 * Content-Type is set here, Content-Length is weft's; the headers Server and Date, which the benchmark demands
 * too, are those of the web server in front.  The benchmark's pipelining of /plaintext is a matter between it and
 * its clients: FastCGI has no such thing.
 *
 * Build: cc -std=c11 -D_DEFAULT_SOURCE -fPIC -shared $(pkg-config --cflags weft jansson) -o techempower.so techempower.c \
 *	$(pkg-config --libs jansson)
 */
#include <weft/weft.h>

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	TE_ROWS = 10000,	/* of world, by its id from 1; its numbers are as large */
	TE_MOST = 500,		/* rows of an answer */
	TE_BATCH = 20,		/* queries of a request under way at once: 500 of one would stand in the pool's queue before all others' */
	TE_KEEP = 600,		/* seconds that Redis keeps a row */
};

struct te_world {
	int id, number;
};

/* ---- random numbers ---- */

static uint64_t te_state;

static int
te_init(const char *name)
{
	(void)name;
	/* Each worker has its own; 0 would stay 0. */
	while (te_state == 0)
		if (getrandom(&te_state, sizeof te_state, 0) != sizeof te_state)
			return -1;
	return 0;
}

/* Returns 1 to TE_ROWS.  xorshift64*; nobody may rely on it for a secret. */
static int
te_random(void)
{
	te_state ^= te_state >> 12;
	te_state ^= te_state << 25;
	te_state ^= te_state >> 27;
	return (int)((te_state * UINT64_C(0x2545f4914f6cdd1d) >> 32) * TE_ROWS >> 32) + 1;
}

static void
te_draw(struct te_world *world, size_t n)
{
	for (size_t i = 0; i < n; i++)
		world[i].id = te_random();
}

/* The same, none of them twice. */
static void
te_draw_distinct(struct te_world *world, size_t n)
{
	unsigned char seen[TE_ROWS / 8 + 1] = { 0 };

	for (size_t i = 0; i < n; i++) {
		do
			world[i].id = te_random();
		while (seen[world[i].id / 8] & 1 << world[i].id % 8);
		seen[world[i].id / 8] |= 1 << world[i].id % 8;
	}
}

/* ---- JSON ---- */

/* The answer takes the value over; NULL: there was no memory for it. */
static int
te_answer_json(struct weft_request *rq, json_t *value)
{
	int rc = value == NULL ? weft_error(rq, 500, "out of memory") : weft_json(rq, value);

	json_decref(value);
	return rc;
}

static json_t *
te_json_of(struct te_world world)
{
	return json_pack("{s:i, s:i}", "id", world.id, "randomNumber", world.number);
}

static int
te_answer(struct weft_request *rq, const struct te_world *world, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(all, te_json_of(world[i])) != 0) {
			json_decref(all);
			all = NULL;
		}
	return te_answer_json(rq, all);
}

/* ---- rows ---- */

/* Returns how many rows the query's NAME asks for. */
static size_t
te_count(struct weft_request *rq, const char *name)
{
	const char *text = weft_query(rq, name);
	char *end;
	long n;

	if (text == NULL)
		return 1;
	n = strtol(text, &end, 10);
	if (*end != '\0' || n < 1)
		return 1;
	return n > TE_MOST ? TE_MOST : (size_t)n;
}

/* Returns WEFT_OK, or WEFT_INVALID when the row is not there: a mistake of ours, 500. */
static int
te_take(struct weft_request *rq, const struct weft_rows *rows, struct te_world *world)
{
	if (weft_rows_count(rows) != 1) {
		weft_log(rq, "there is no row %d: was seed.sql loaded?", world->id);
		return WEFT_INVALID;
	}
	world->number = (int)weft_rows_int(rows, 0, 1);
	return WEFT_OK;
}

/*
 * Read the numbers of n rows, a query for each: a batch of them is on its way before the first is waited for.  Returns WEFT_OK,
 * or what the handler has to return.
 */
static int
te_read(struct weft_request *rq, const char *sql, struct te_world *world, size_t n)
{
	struct weft_call *call[TE_BATCH];
	int rc = WEFT_OK;

	for (size_t begin = 0; begin < n && rc == WEFT_OK; begin += TE_BATCH) {
		size_t batch = n - begin < TE_BATCH ? n - begin : TE_BATCH;

		for (size_t i = 0; i < batch; i++)
			call[i] = weft_sql_start(rq, "db", sql, WEFT_INT(world[begin + i].id));
		rc = weft_wait_all(rq, call, batch);
		for (size_t i = 0; i < batch && rc == WEFT_OK; i++)
			rc = te_take(rq, weft_call_rows(call[i]), &world[begin + i]);
	}
	return rc;
}

static const char te_select[] = "SELECT id, randomnumber FROM world WHERE id = $1";

static int
te_db(struct weft_request *rq)
{
	struct te_world world = { .id = te_random() };
	struct weft_rows *rows;
	int rc;

	if (weft_sql(rq, "db", &rows, te_select, WEFT_INT(world.id)) != WEFT_OK)
		return weft_fail(rq);
	rc = te_take(rq, rows, &world);
	return rc == WEFT_OK ? te_answer_json(rq, te_json_of(world)) : rc;
}

static int
te_queries(struct weft_request *rq)
{
	struct te_world world[TE_MOST];
	size_t n = te_count(rq, "queries");
	int rc;

	te_draw(world, n);
	rc = te_read(rq, te_select, world, n);
	return rc == WEFT_OK ? te_answer(rq, world, n) : rc;
}

/* ---- updates ---- */

/*
 * All rows of a request in one statement, for PostgreSQL and SQLite alike: an object of JSON is one parameter that holds any
 * number of values.  An UPDATE that is joined with them may read the whole table, in the order in which it lies, and then two
 * of them lock each other out.  What is inserted in order of the ids, each into its place, does not.
 */
static const char te_update[] = "INSERT INTO world (id, randomnumber) "
    "SELECT CAST(key AS integer), CAST(CAST(value AS text) AS integer) FROM json_each($1) WHERE true ORDER BY 1 "
    "ON CONFLICT (id) DO UPDATE SET randomnumber = excluded.randomnumber";

/* Returns {"7":4242,"8":1,…}; NULL when memory is refused. */
static const char *
te_numbers(struct weft_request *rq, const struct te_world *world, size_t n)
{
	char *text = weft_alloc(rq, n * sizeof "\"10000\":10000," + 2), *at = text;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		at += sprintf(at, "%c\"%d\":%d", i == 0 ? '{' : ',', world[i].id, world[i].number);
	strcpy(at, "}");
	return text;
}

static int
te_updates(struct weft_request *rq)
{
	struct te_world world[TE_MOST];
	size_t n = te_count(rq, "queries");
	const char *numbers;
	int rc;

	/* A row that is there twice would be answered with two numbers, and stored with one. */
	te_draw_distinct(world, n);
	rc = te_read(rq, te_select, world, n);
	if (rc != WEFT_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		world[i].number = te_random();
	numbers = te_numbers(rq, world, n);
	if (numbers == NULL)
		return weft_error(rq, 500, "out of memory");
	if (weft_sql(rq, "db", NULL, te_update, WEFT_TEXT(numbers)) != WEFT_OK)
		return weft_fail(rq);
	return te_answer(rq, world, n);
}

/* ---- fortunes ---- */

struct te_fortune {
	const char *id, *message;
};

static int
te_compare(const void *a, const void *b)
{
	return strcmp(((const struct te_fortune *)a)->message, ((const struct te_fortune *)b)->message);
}

static const char te_head[] = "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>"
    "<tr><th>id</th><th>message</th></tr>";

static int
te_fortunes(struct weft_request *rq)
{
	struct te_fortune *all;
	struct weft_rows *rows;
	size_t n;

	if (weft_sql(rq, "db", &rows, "SELECT id, message FROM fortune") != WEFT_OK)
		return weft_fail(rq);
	n = weft_rows_count(rows);
	all = weft_alloc(rq, (n + 1) * sizeof *all);
	if (all == NULL)
		return weft_error(rq, 500, "out of memory");
	for (size_t i = 0; i < n; i++)
		all[i] = (struct te_fortune){ weft_rows_text(rows, i, 0), weft_rows_text(rows, i, 1) };
	all[n++] = (struct te_fortune){ "0", "Additional fortune added at request time." };
	qsort(all, n, sizeof *all, te_compare);

	weft_set_header(rq, "Content-Type", "text/html; charset=utf-8");
	weft_puts(rq, te_head);
	for (size_t i = 0; i < n; i++) {
		weft_puts(rq, "<tr><td>");
		weft_puts(rq, all[i].id);
		weft_puts(rq, "</td><td>");
		weft_html(rq, all[i].message);
		weft_puts(rq, "</td></tr>");
	}
	return weft_puts(rq, "</table></body></html>");
}

/* ---- cached rows ---- */

/*
 * The cache is Redis, not the worker's memory: it has what the rules ask of a cache (rows expire, and are evicted when
 * memory is short), all workers and all hosts share it, and a reload does not empty it.  One command asks for
 * all rows; what Redis does not have is read from the database, and put there.
 */
static struct weft_reply *
te_ask_cache(struct weft_request *rq, const struct te_world *world, size_t n)
{
	struct weft_value *word = weft_alloc(rq, (n + 1) * sizeof *word);
	struct weft_reply *reply;

	if (word == NULL)
		return NULL;
	word[0] = WEFT_TEXT("MGET");
	for (size_t i = 0; i < n; i++)
		word[i + 1] = WEFT_TEXT(weft_sprintf(rq, "world:%d", world[i].id));
	return weft_redis_values(rq, "cache", &reply, word, n + 1) == WEFT_OK ? reply : NULL;
}

/* Take the rows that the cache has to the front.  Returns how many. */
static size_t
te_take_cached(struct te_world *world, size_t n, const struct weft_reply *reply)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		const struct weft_reply *number = weft_reply_at(reply, i);
		struct te_world one = { world[i].id, (int)weft_reply_int(number) };

		if (weft_reply_type(number) != WEFT_REPLY_TEXT)
			continue;
		world[i] = world[found];
		world[found++] = one;
	}
	return found;
}

/* A row that cannot be put there costs the next one who wants it a query, and nothing else. */
static void
te_fill_cache(struct weft_request *rq, const struct te_world *world, size_t n)
{
	struct weft_call *call[TE_BATCH];

	for (size_t begin = 0; begin < n; begin += TE_BATCH) {
		size_t batch = n - begin < TE_BATCH ? n - begin : TE_BATCH;

		for (size_t i = 0; i < batch; i++)
			call[i] = weft_redis_start(rq, "cache", "SET world:%d %d EX %d", world[begin + i].id,
			    world[begin + i].number, TE_KEEP);
		if (weft_wait_all(rq, call, batch) != WEFT_OK)
			return;
	}
}

static int
te_cached(struct weft_request *rq)
{
	struct te_world world[TE_MOST];
	size_t n = te_count(rq, "count"), found;
	int rc;

	te_draw(world, n);
	found = te_take_cached(world, n, te_ask_cache(rq, world, n));
	rc = te_read(rq, "SELECT id, randomnumber FROM cachedworld WHERE id = $1", world + found, n - found);
	if (rc != WEFT_OK)
		return rc;
	te_fill_cache(rq, world + found, n - found);
	return te_answer(rq, world, n);
}

/* ---- without a back end ---- */

struct te_message {
	const char *message;
};

static int
te_json(struct weft_request *rq)
{
	struct te_message answer = { "Hello, World!" };

	return te_answer_json(rq, json_pack("{s:s}", "message", answer.message));
}

static int
te_plaintext(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/plain");
	return weft_puts(rq, "Hello, World!");
}

WEFT_MODULE_INIT(te_init, NULL,
	{ "GET", "/json", te_json },
	{ "GET", "/db", te_db },
	{ "GET", "/queries", te_queries },
	{ "GET", "/fortunes", te_fortunes },
	{ "GET", "/updates", te_updates },
	{ "GET", "/plaintext", te_plaintext },
	{ "GET", "/cached-queries", te_cached },
)
