/* SPDX-License-Identifier: ISC */
/*
 * Handlers for Kore 4.1.  The row goes through its own interface to PostgreSQL, which sends the query's text
 * with the parameters each time: it has no prepared statements.  There is no client for Redis.
 *
 * The environment's BENCH_PG says where the database is.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <kore/kore.h>
#include <kore/http.h>
#include <kore/pgsql.h>
#include <kore/seccomp.h>

/* Its own filter lets libpq connect, but not look at the folder that holds the socket. */
KORE_SECCOMP_FILTER("bench", KORE_SYSCALL_ALLOW(newfstatat))

struct bench_row {
	struct kore_pgsql sql;
	char body[64];
	int length;
};

int bench_fixed(struct http_request *);
int bench_is_number(struct http_request *, char *);
int bench_row(struct http_request *);

/* Called in each worker when it begins. */
void
kore_worker_configure(void)
{
	kore_pgsql_register("db", getenv("BENCH_PG"));
}

int
bench_fixed(struct http_request *rq)
{
	http_response_header(rq, "content-type", "text/plain");
	http_response(rq, 200, "Hello, World!", 13);
	return KORE_RESULT_OK;
}

/* The validator of a parameter. */
int
bench_is_number(struct http_request *rq, char *text)
{
	(void)rq;
	while (isdigit((unsigned char)*text))
		text++;
	return *text == '\0' ? KORE_RESULT_OK : KORE_RESULT_ERROR;
}

static void
bench_row_free(struct http_request *rq)
{
	struct bench_row *row = http_state_get(rq);

	kore_pgsql_cleanup(&row->sql);
}

static int
bench_row_fail(struct http_request *rq, struct bench_row *row)
{
	kore_pgsql_logerror(&row->sql);
	http_response(rq, 500, NULL, 0);
	return KORE_RESULT_OK;
}

/* Ask.  When no connection is free, Kore calls the handler again later. */
static int
bench_row_ask(struct http_request *rq, struct bench_row *row)
{
	char *id;

	if (!kore_pgsql_setup(&row->sql, "db", KORE_PGSQL_ASYNC))
		return row->sql.state == KORE_PGSQL_STATE_INIT ? KORE_RESULT_RETRY : bench_row_fail(rq, row);
	http_populate_qs(rq);
	if (!http_argument_get_string(rq, "id", &id)) {
		http_response(rq, 400, NULL, 0);
		return KORE_RESULT_OK;
	}
	if (!kore_pgsql_query_params(&row->sql, "SELECT id, randomnumber FROM world WHERE id = $1::int",
	    KORE_PGSQL_FORMAT_TEXT, 1, KORE_PGSQL_PARAM_TEXT(id)))
		return bench_row_fail(rq, row);
	return KORE_RESULT_RETRY;
}

int
bench_row(struct http_request *rq)
{
	struct bench_row *row = http_state_get(rq);

	if (row == NULL) {
		row = http_state_create(rq, sizeof *row, bench_row_free);
		kore_pgsql_init(&row->sql);
		kore_pgsql_bind_request(&row->sql, rq);
	}
	for (;;)
		switch (row->sql.state) {
		case KORE_PGSQL_STATE_INIT:
			return bench_row_ask(rq, row);
		case KORE_PGSQL_STATE_WAIT:
			return KORE_RESULT_RETRY;
		case KORE_PGSQL_STATE_RESULT:
			if (kore_pgsql_ntuples(&row->sql) > 0)
				row->length = snprintf(row->body, sizeof row->body, "%s %s",
				    kore_pgsql_getvalue(&row->sql, 0, 0), kore_pgsql_getvalue(&row->sql, 0, 1));
			kore_pgsql_continue(&row->sql);
			break;
		case KORE_PGSQL_STATE_DONE:
			kore_pgsql_continue(&row->sql);
			break;
		case KORE_PGSQL_STATE_COMPLETE:
			http_response_header(rq, "content-type", "text/plain");
			http_response(rq, row->length > 0 ? 200 : 404, row->body, (size_t)row->length);
			return KORE_RESULT_OK;
		default:
			return bench_row_fail(rq, row);
		}
}
