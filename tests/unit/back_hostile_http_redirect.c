/* SPDX-License-Identifier: ISC */

/* The HTTP driver against a server that sends it elsewhere: no other server is ever asked, and nothing of one pool's goes to another's. */
#include "tests/unit/back_web.h"

#include <signal.h>

static struct pulse pulse;

static int
set_up(void **state)
{
	web_begin(state);
	pulse_begin(&pulse, web.loop);
	rss_begin();
	return 0;
}

static int
tear_down(void **state)
{
	rss_end("all");
	pulse_end(&pulse);
	return web_end(state);
}

/* ---- B61: one pool's connections are its own ---- */

static void
note_who(const struct web_request *rq)
{
	const char *who = web_header("Authorization");

	if (rq->peer->stage++ == 0)
		snprintf(rq->peer->tag, sizeof rq->peer->tag, "%s", who == NULL ? "" : who);
	assert_string_equal(rq->peer->tag, who == NULL ? "" : who);
	web_echo(rq);
}

static void
b61_other_credentials_are_other_connections(void **state)
{
	static const char *const who[] = { "a:1@", "a:2@", "" };
	struct pool *pools[3];
	char url[64], error[200];

	(void)state;
	web.answer = note_who;
	for (size_t i = 0; i < 3; i++) {
		struct pool_conf conf = { .name = "stock", .url = url, .max = 1 };

		snprintf(url, sizeof url, "http://%s127.0.0.1:%u", who[i], web.port);
		pools[i] = pool_open(web.loop, &conf, error, sizeof error);
		assert_non_null(pools[i]);
	}
	for (size_t i = 0; i < 12; i++) {
		web.pool = pools[i % 3];
		web_expect("/x", 200, "/x");
	}
	assert_int_equal(web.connections, 3);
	for (size_t i = 0; i < 3; i++)
		pool_close(&pools[i]);
	web.pool = NULL;
}

/* ---- redirects ---- */

static char location[300];

static void
say_redirect(const struct web_request *rq)
{
	char more[400];

	if (strncmp(rq->target, "/lie", 4) != 0) {
		web_echo(rq);
		return;
	}
	snprintf(more, sizeof more, "Location: %s\r\n", location);
	web_say(rq, "302 Found", more, SPAN("elsewhere"));
}

static void
ask_redirected(struct ask *a, unsigned redirects)
{
	web_ask(a, "GET", "/lie")->redirects = redirects;
	web_start(a);
	if (web_await(a) != WEFT_OK)
		fail_msg("%s: %s", location, a->fault.text);
}

/* The pool's server is the only one that is asked: not another port, nor another way to write a place that is not to be seen. */
static void
b62_no_other_server_is_asked(void **state)
{
	static const char *const places[] = { "file:///etc/passwd", "gopher://127.0.0.1:%u/_x", "http://169.254.169.254/latest/meta-data/",
		"http://127.0.0.1:%u/x", "//127.0.0.1:%u/x", "https://127.0.0.1:%u/", "http://localhost:%u/", "http://2130706433:%u/",
		"http://127.0.0.1:%u@127.0.0.2:1/", "dict://127.0.0.1:%u/x", "ftp://127.0.0.1:%u/", "javascript:1", "http://[::1]:%u/", "data:,x",
		"\\\\127.0.0.1:%u\\x", "http:127.0.0.1:%u", "http://" };
	struct liar elsewhere;
	unsigned port = liar_open_tcp(&elsewhere, web.loop, NULL);
	struct ask a;

	(void)state;
	web.answer = say_redirect;
	web_pool((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		unsigned before = web.requests;

		snprintf(location, sizeof location, places[i], port);
		ask_redirected(&a, 5);
		if (a.call.http->status == 302) {
			assert_int_equal(web.requests, before + 1);
			assert_string_equal(http_answer_find(a.call.http, "Location"), location);
			assert_string_equal(a.call.http->body.at, "elsewhere");
		} else {
			/* What is no URL of another server is a path of this one. */
			assert_true(a.call.http->status == 200 && strchr(places[i], '\\') != NULL);
		}
		ask_fini(&a);
	}
	back_run(web.loop);
	assert_int_equal(elsewhere.accepted, 0);
	liar_close(&elsewhere);
}

/* The same host by another name or with a user is another server; one that is asked for is followed. */
static void
b62_a_user_in_a_redirect_is_not_followed(void **state)
{
	struct ask a;

	(void)state;
	web.answer = say_redirect;
	web_pool((struct pool_conf){ .max = 1 });
	snprintf(location, sizeof location, "http://u:p@127.0.0.1:%u/x", web.port);
	ask_redirected(&a, 5);
	assert_int_equal(a.call.http->status, 302);
	ask_fini(&a);
	snprintf(location, sizeof location, "http://127.0.0.1:%u/there?x#y", web.port);
	ask_redirected(&a, 0);
	assert_int_equal(a.call.http->status, 302);
	ask_fini(&a);
	ask_redirected(&a, 1);
	assert_int_equal(a.call.http->status, 200);
	assert_string_equal(a.call.http->body.at, "/there?x");
	ask_fini(&a);
}

static void
f39_a_loop_of_redirects_ends(void **state)
{
	struct ask a;

	(void)state;
	web.answer = say_redirect;
	web_pool((struct pool_conf){ .max = 1 });
	snprintf(location, sizeof location, "/lie?again");
	ask_redirected(&a, 5);
	assert_int_equal(web.requests, 6);
	assert_int_equal(a.call.http->status, 302);
	assert_int_equal(web.connections, 1);
	ask_fini(&a);
}

/* A body that comes with a redirect is not waited for. */
static void
say_large_redirect(const struct web_request *rq)
{
	if (strcmp(rq->target, "/lie") != 0) {
		web_echo(rq);
		return;
	}
	rq->peer->flood = SPAN("0123456789abcdef");
	rq->peer->flooded = 10737418240;
	liar_say(rq->peer, SPAN("HTTP/1.1 302 Found\r\nLocation: there\r\nContent-Length: 10737418240\r\n\r\n"));
}

static void
f39_a_redirect_with_a_large_body_is_followed_at_once(void **state)
{
	struct ask a;

	(void)state;
	web.answer = say_large_redirect;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "GET", "/lie")->redirects = 1;
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_string_equal(a.call.http->body.at, "/there");
	ask_fini(&a);
}

static char seen[200];
static int redirect_status;

static void
say_moved(const struct web_request *rq)
{
	char status[32];

	snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.20s %.50s %.20s%s,", rq->method, rq->target, rq->body,
	    web_header("Content-Type") != NULL ? "typed" : "");
	snprintf(status, sizeof status, "%d Moved", redirect_status);
	if (strcmp(rq->target, "/old") == 0)
		web_say(rq, status, "Location: /new\r\n", SPAN(""));
	else
		web_say(rq, "200 OK", "", SPAN(""));
}

static void
redirects_change_the_method_as_they_say(void **state)
{
	static const struct http_field field = { "Content-Type", "text/x" };
	static const struct {
		const char *method;
		int status;
		const char *seen;
	} rows[] = { { "POST", 301, "POST /old xtyped,GET /new ," }, { "POST", 302, "POST /old xtyped,GET /new ," },
		{ "POST", 303, "POST /old xtyped,GET /new ," }, { "POST", 307, "POST /old xtyped,POST /new xtyped," },
		{ "POST", 308, "POST /old xtyped,POST /new xtyped," }, { "PUT", 301, "PUT /old xtyped,PUT /new xtyped," },
		{ "PUT", 303, "PUT /old xtyped,GET /new ," }, { "HEAD", 303, "HEAD /old ,HEAD /new ," },
		{ "DELETE", 307, "DELETE /old ,DELETE /new ," }, { "GET", 300, "GET /old ," }, { "GET", 304, "GET /old ," },
		{ "GET", 305, "GET /old ," } };
	struct http_ask *ask;
	struct ask a;

	(void)state;
	web.answer = say_moved;
	web_pool((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		seen[0] = '\0';
		redirect_status = rows[i].status;
		ask = web_ask(&a, rows[i].method, "/old");
		ask->redirects = 5;
		if (rows[i].method[0] == 'P') {
			ask->body = SPAN("x");
			ask->field = &field;
			ask->nfields = 1;
		}
		web_start(&a);
		assert_int_equal(web_await(&a), WEFT_OK);
		assert_string_equal(seen, rows[i].seen);
		ask_fini(&a);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(b61_other_credentials_are_other_connections),
		T(b62_no_other_server_is_asked),
		T(b62_a_user_in_a_redirect_is_not_followed),
		T(f39_a_loop_of_redirects_ends),
		T(f39_a_redirect_with_a_large_body_is_followed_at_once),
		T(redirects_change_the_method_as_they_say),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
