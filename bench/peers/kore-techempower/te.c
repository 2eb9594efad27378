/* SPDX-License-Identifier: ISC */
/*
 * Some of the TechEmpower tests for Kore 4.1, with its own JSON and its own interface to PostgreSQL; see examples/techempower
 * for the rules.  A request keeps its connection for all of its queries, one after the other.
 *
 * The environment's BENCH_PG says where the database is.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kore/kore.h>
#include <kore/http.h>
#include <kore/pgsql.h>
#include <kore/seccomp.h>

/* Its own filter lets libpq connect, but not look at the folder that holds the socket. */
KORE_SECCOMP_FILTER("te", KORE_SYSCALL_ALLOW(newfstatat))

#define TE_WORLD "SELECT id, randomnumber FROM world WHERE id = $1::int"
#define TE_FORTUNE "SELECT id, message FROM fortune"

enum { TE_ROWS = 10000, TE_MOST = 500, TE_FORTUNES = 64 };

struct te_world {
	int id, number;
};

struct te_fortune {
	char *id, *message;
};

/* What a request asks of the database, and what it has got. */
struct te {
	struct kore_pgsql sql;
	int (*answer)(struct http_request *rq, struct te *te);
	int is_fortunes, wanted, got;
	struct te_world world[TE_MOST];
	struct te_fortune fortune[TE_FORTUNES + 1];
};

int te_is_number(struct http_request *, char *);
int te_plaintext(struct http_request *);
int te_json(struct http_request *);
int te_db(struct http_request *);
int te_queries(struct http_request *);
int te_fortunes(struct http_request *);

/* Called in each worker when it begins. */
void
kore_worker_configure(void)
{
	kore_pgsql_register("te", getenv("BENCH_PG"));
	srandom((unsigned)getpid());
}

/* The validator of a parameter. */
int
te_is_number(struct http_request *rq, char *text)
{
	(void)rq;
	while (isdigit((unsigned char)*text))
		text++;
	return *text == '\0' ? KORE_RESULT_OK : KORE_RESULT_ERROR;
}

/* ---- answers ---- */

static int
te_send_json(struct http_request *rq, struct kore_json_item *root)
{
	struct kore_buf body;

	kore_buf_init(&body, 1024);
	kore_json_item_tobuf(root, &body);
	kore_json_item_free(root);
	http_response_header(rq, "content-type", "application/json");
	http_response(rq, 200, body.data, body.offset);
	kore_buf_cleanup(&body);
	return KORE_RESULT_OK;
}

static void
te_fill(struct kore_json_item *object, const struct te_world *world)
{
	kore_json_create_integer(object, "id", (int64_t)world->id);
	kore_json_create_integer(object, "randomNumber", (int64_t)world->number);
}

static int
te_answer_db(struct http_request *rq, struct te *te)
{
	struct kore_json_item *object = kore_json_create_object(NULL, NULL);

	te_fill(object, &te->world[0]);
	return te_send_json(rq, object);
}

static int
te_answer_queries(struct http_request *rq, struct te *te)
{
	struct kore_json_item *array = kore_json_create_array(NULL, NULL);

	for (int i = 0; i < te->wanted; i++)
		te_fill(kore_json_create_object(array, NULL), &te->world[i]);
	return te_send_json(rq, array);
}

static void
te_put(struct kore_buf *to, const char *text)
{
	kore_buf_append(to, text, strlen(text));
}

static void
te_put_escaped(struct kore_buf *to, const char *text)
{
	size_t n;

	while ((n = strcspn(text, "&<>\"'")), text[n] != '\0') {
		kore_buf_append(to, text, n);
		te_put(to, text[n] == '&' ? "&amp;" : text[n] == '<' ? "&lt;" : text[n] == '>' ? "&gt;" : text[n] == '"' ? "&quot;" : "&#39;");
		text += n + 1;
	}
	kore_buf_append(to, text, n);
}

static int
te_compare(const void *a, const void *b)
{
	return strcmp(((const struct te_fortune *)a)->message, ((const struct te_fortune *)b)->message);
}

static int
te_answer_fortunes(struct http_request *rq, struct te *te)
{
	struct kore_buf body;

	te->fortune[te->got++] = (struct te_fortune){ kore_strdup("0"), kore_strdup("Additional fortune added at request time.") };
	qsort(te->fortune, (size_t)te->got, sizeof te->fortune[0], te_compare);
	kore_buf_init(&body, 2048);
	te_put(&body, "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>");
	for (int i = 0; i < te->got; i++) {
		te_put(&body, "<tr><td>");
		te_put(&body, te->fortune[i].id);
		te_put(&body, "</td><td>");
		te_put_escaped(&body, te->fortune[i].message);
		te_put(&body, "</td></tr>");
	}
	te_put(&body, "</table></body></html>");
	http_response_header(rq, "content-type", "text/html; charset=utf-8");
	http_response(rq, 200, body.data, body.offset);
	kore_buf_cleanup(&body);
	return KORE_RESULT_OK;
}

/* ---- the database ---- */

static void
te_free(struct http_request *rq)
{
	struct te *te = http_state_get(rq);

	kore_pgsql_cleanup(&te->sql);
	for (int i = 0; te->is_fortunes && i < te->got; i++) {
		kore_free(te->fortune[i].id);
		kore_free(te->fortune[i].message);
	}
}

static int
te_fail(struct http_request *rq, struct te *te)
{
	kore_pgsql_logerror(&te->sql);
	http_response(rq, 500, NULL, 0);
	return KORE_RESULT_OK;
}

static int
te_ask(struct http_request *rq, struct te *te)
{
	char id[16];
	int is_sent;

	snprintf(id, sizeof id, "%d", (int)(random() % TE_ROWS) + 1);
	is_sent = te->is_fortunes ? kore_pgsql_query(&te->sql, TE_FORTUNE) :
	    kore_pgsql_query_params(&te->sql, TE_WORLD, KORE_PGSQL_FORMAT_TEXT, 1, KORE_PGSQL_PARAM_TEXT(id));
	return is_sent ? KORE_RESULT_RETRY : te_fail(rq, te);
}

static void
te_take(struct te *te)
{
	int rows = kore_pgsql_ntuples(&te->sql);

	if (!te->is_fortunes && rows == 1 && te->got < te->wanted) {
		te->world[te->got++] = (struct te_world){ atoi(kore_pgsql_getvalue(&te->sql, 0, 0)),
			atoi(kore_pgsql_getvalue(&te->sql, 0, 1)) };
	}
	for (int i = 0; te->is_fortunes && i < rows && te->got < TE_FORTUNES; i++)
		te->fortune[te->got++] = (struct te_fortune){ kore_strdup(kore_pgsql_getvalue(&te->sql, i, 0)),
			kore_strdup(kore_pgsql_getvalue(&te->sql, i, 1)) };
}

/* Kore calls the handler again until it has answered. */
static int
te_go_on(struct http_request *rq, struct te *te)
{
	for (;;)
		switch (te->sql.state) {
		case KORE_PGSQL_STATE_INIT:
			/* When no connection is free, it is called again later. */
			if (kore_pgsql_setup(&te->sql, "te", KORE_PGSQL_ASYNC))
				return te_ask(rq, te);
			return te->sql.state == KORE_PGSQL_STATE_INIT ? KORE_RESULT_RETRY : te_fail(rq, te);
		case KORE_PGSQL_STATE_WAIT:
			return KORE_RESULT_RETRY;
		case KORE_PGSQL_STATE_RESULT:
			te_take(te);
			kore_pgsql_continue(&te->sql);
			break;
		case KORE_PGSQL_STATE_DONE:
			if (te->got < te->wanted)
				return te_ask(rq, te);
			kore_pgsql_continue(&te->sql);
			break;
		case KORE_PGSQL_STATE_COMPLETE:
			return te->answer(rq, te);
		default:
			return te_fail(rq, te);
		}
}

static int
te_begin(struct http_request *rq, int wanted, int (*answer)(struct http_request *rq, struct te *te))
{
	struct te *te = http_state_create(rq, sizeof *te, te_free);

	te->answer = answer;
	te->is_fortunes = wanted == 0;
	te->wanted = wanted;
	kore_pgsql_init(&te->sql);
	kore_pgsql_bind_request(&te->sql, rq);
	return te_go_on(rq, te);
}

/* ---- routes ---- */

int
te_plaintext(struct http_request *rq)
{
	http_response_header(rq, "content-type", "text/plain");
	http_response(rq, 200, "Hello, World!", 13);
	return KORE_RESULT_OK;
}

int
te_json(struct http_request *rq)
{
	struct kore_json_item *object = kore_json_create_object(NULL, NULL);

	kore_json_create_string(object, "message", "Hello, World!");
	return te_send_json(rq, object);
}

int
te_db(struct http_request *rq)
{
	struct te *te = http_state_get(rq);

	return te == NULL ? te_begin(rq, 1, te_answer_db) : te_go_on(rq, te);
}

int
te_queries(struct http_request *rq)
{
	struct te *te = http_state_get(rq);
	char *text;
	int n = 1;

	if (te != NULL)
		return te_go_on(rq, te);
	http_populate_qs(rq);
	if (http_argument_get_string(rq, "queries", &text))
		n = atoi(text);
	return te_begin(rq, n < 1 ? 1 : n > TE_MOST ? TE_MOST : n, te_answer_queries);
}

int
te_fortunes(struct http_request *rq)
{
	struct te *te = http_state_get(rq);

	return te == NULL ? te_begin(rq, 0, te_answer_fortunes) : te_go_on(rq, te);
}
