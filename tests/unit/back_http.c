/* SPDX-License-Identifier: ISC */
/* The HTTP driver, against a server that the test plays between two turns. */
#include "tests/unit/back_web.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- settings ---- */

static void
settings_are_checked(void **state)
{
	static const char *const good[] = { "http://h", "http://h/", "http://h:1/a/b", "https://u:p@[::1]:1/", "https://token@h.example",
		"https://h/?ca=/etc/ca%20s.pem" };
	static const struct {
		const char *url, *word;
	} bad[] = { { "http://", "host" }, { "http:///x", "host" }, { "http:x", "host" }, { "http://h%20x", "host" }, { "http://h.", "host" },
		{ "http://h%2Fx", "host" }, { "http://h\xc3\xbc", "host" },
		{ "http://h?x=1", "ca=" }, { "http://h?ca=/x", "https" }, { "https://h?ca=x", "ca=" }, { "https://h?ca=/x&y=1", "ca=" },
		{ "https://h?ca=/x%00", "ca=" }, { "http://h/a/../b", "segment" }, { "http://h/%2e%2e", "segment" } };
	struct pool_conf conf = { .name = "stock" };
	char error[300];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		conf.url = good[i];
		if (pool_check(&conf, error, sizeof error) != WEFT_OK)
			fail_msg("%s: %s", good[i], error);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		conf.url = bad[i].url;
		if (pool_check(&conf, error, sizeof error) != WEFT_INVALID || strstr(error, bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].url, error);
	}
}

/* ---- answers ---- */

static void
say_everything(const struct web_request *rq)
{
	liar_say(rq->peer, SPAN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	    "HTTP/1.1 207 Multi Status\r\nContent-Type: text/x\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n"
	    "X-Empty:\r\nX-Folded: one\r\n  two\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\0\r\n2;x=y\r\ncd\r\n0\r\nX-Trailer: late\r\n\r\n"));
}

static void
an_answer_comes_back_whole(void **state)
{
	const struct weft_http *h;
	struct ask a;

	(void)state;
	web.answer = say_everything;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "GET", "/a/b?c=d%20e&f=..");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_int_equal(a.waits[WAIT_HTTP], 1);
	assert_string_equal(web.last.method, "GET");
	assert_string_equal(web.last.target, "/a/b?c=d%20e&f=..");
	h = a.call.http;
	assert_int_equal(h->status, 207);
	assert_string_equal(http_answer_find(h, "content-type"), "text/x");
	assert_string_equal(http_answer_find(h, "Set-Cookie"), "a=1");
	assert_string_equal(http_answer_find(h, "X-Empty"), "");
	assert_string_equal(http_answer_find(h, "X-Folded"), "one two");
	assert_null(http_answer_find(h, "Link"));
	assert_null(http_answer_find(h, "X-Trailer"));
	assert_int_equal(h->body.len, 5);
	assert_memory_equal(h->body.at, "ab\0cd", 6);
	ask_fini(&a);
}

static void
say_status(const struct web_request *rq)
{
	web_say(rq, rq->target + 1, "", SPAN("words"));
}

/* No status is a failure. */
static void
any_status_is_an_answer(void **state)
{
	(void)state;
	web.answer = say_status;
	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/404", 404, "words");
	web_expect("/500", 500, "words");
	web_expect("/302", 302, "words");
	assert_int_equal(web.connections, 1);
	assert_int_equal(web_stat().failed, 0);
}

static void
say_no_body(const struct web_request *rq)
{
	liar_say(rq->peer, strcmp(rq->method, "HEAD") == 0 ? SPAN("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n") :
	    SPAN("HTTP/1.1 204 No Content\r\n\r\n"));
}

static void
some_answers_have_no_body(void **state)
{
	static const char *const method[] = { "HEAD", "DELETE", "OPTIONS", "HEAD" };

	(void)state;
	web.answer = say_no_body;
	web_pool((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < sizeof method / sizeof *method; i++) {
		struct ask a;

		web_ask(&a, method[i], "/x");
		web_start(&a);
		assert_int_equal(web_await(&a), WEFT_OK);
		assert_string_equal(web.last.method, method[i]);
		assert_int_equal(a.call.http->body.len, 0);
		assert_string_equal(a.call.http->body.at, "");
		ask_fini(&a);
	}
	assert_int_equal(web.connections, 1);
}

static void
say_until_the_end(const struct web_request *rq)
{
	liar_say(rq->peer, SPAN("HTTP/1.0 200 OK\r\n\r\nall of it"));
	liar_hang_up(rq->peer);
}

static void
a_body_may_end_with_the_connection(void **state)
{
	(void)state;
	web.answer = say_until_the_end;
	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/1", 200, "all of it");
	web_expect("/2", 200, "all of it");
	assert_int_equal(web.connections, 2);
}

/* ---- what is sent ---- */

static void
a_body_is_sent_as_it_is(void **state)
{
	static const struct http_field field[] = { { "Content-Type", "text/x" }, { "X-Empty", "" }, { "user-agent", "me" }, { "X-Blank", " \t" } };
	struct http_ask *ask;
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 1 });
	ask = web_ask(&a, "POST", "/item");
	ask->field = field;
	ask->nfields = 4;
	ask->body = SPAN("a\0b");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_string_equal(web.last.method, "POST");
	assert_int_equal(web.last.body_len, 3);
	assert_memory_equal(web.last.body, "a\0b", 3);
	assert_string_equal(web_header("Content-Type"), "text/x");
	assert_string_equal(web_header("X-Empty"), "");
	assert_non_null(web_header("X-Blank"));
	assert_string_equal(web_header("User-Agent"), "me");
	assert_null(web_header("Expect"));
	ask_fini(&a);
	/* Nothing of it is left for the next. */
	web_expect("/after", 200, "/after");
	assert_null(web_header("Content-Type"));
	assert_null(web_header("Content-Length"));
	assert_null(web_header("X-Empty"));
	assert_non_null(strstr(web_header("User-Agent"), "weft"));
}

static void
a_method_that_has_a_body_says_so_without_one(void **state)
{
	struct http_ask *ask;
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "POST", "/x");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_string_equal(web_header("Content-Length"), "0");
	assert_null(web_header("Content-Type"));
	ask_fini(&a);
	ask = web_ask(&a, "GET", "/search");
	ask->body = SPAN("{}");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_string_equal(web.last.method, "GET");
	assert_string_equal(web.last.body, "{}");
	ask_fini(&a);
}

/* Larger than any buffer between. */
static void
a_large_body_arrives(void **state)
{
	enum { LARGE = 6 * 1024 * 1024 };
	char *large = calloc(1, LARGE);
	struct http_ask *ask;
	struct ask a;

	(void)state;
	must(large != NULL);
	web_pool((struct pool_conf){ .max = 1 });
	ask = web_ask(&a, "PUT", "/large");
	ask->body = (struct span){ large, LARGE };
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_int_equal(web.last.body_len, LARGE);
	ask_fini(&a);
	free(large);
}

static void
the_pools_url_is_where_all_begins(void **state)
{
	char url[128];

	(void)state;
	snprintf(url, sizeof url, "http://us%%20er:p%%40ss@localhost:%u/api%%20v1/", web.port);
	web_pool((struct pool_conf){ .max = 1, .url = url });
	web_expect("/x?y", 200, "/api%20v1/x?y");
	assert_string_equal(web_header("Authorization"), "Basic dXMgZXI6cEBzcw==");
	snprintf(url, sizeof url, "localhost:%u", web.port);
	assert_string_equal(web_header("Host"), url);
	/* A number, if an unusual one. */
	snprintf(url, sizeof url, "http://127.1:%u", web.port);
	web_pool((struct pool_conf){ .max = 1, .url = url });
	web_expect("/x", 200, "/x");
}

/* After a minute, while connections go on; a name that has become stale holds nobody up. */
static void
a_name_is_looked_up_anew(void **state)
{
	char url[64];

	(void)state;
	snprintf(url, sizeof url, "http://localhost:%u", web.port);
	web_pool((struct pool_conf){ .max = 2, .url = url, .idle_timeout = 3600 * USEC_PER_SEC });
	for (int i = 0; i < 5; i++) {
		web_expect("/x", 200, "/x");
		back_skip(61 * USEC_PER_SEC);
	}
	assert_int_equal(web.connections, 1);
	liar_hang_up(liar_last(&web.server));
	web_expect("/y", 200, "/y");
	assert_int_equal(web.connections, 2);
}

/* Neither in what is said of failures nor in the place. */
static void
secrets_are_not_shown(void **state)
{
	char url[128];
	struct ask a;

	(void)state;
	snprintf(url, sizeof url, "http://tok3n:hunter2@127.0.0.1:%u/", web.port);
	web_close();
	web_pool((struct pool_conf){ .max = 1, .url = url });
	web_fails(&a, "GET", "/", WEFT_DOWN, "127.0.0.1");
	assert_null(strstr(a.fault.text, "tok3n"));
	assert_null(strstr(a.fault.text, "hunter2"));
	ask_fini(&a);
}

/* Under CGI a client can set HTTP_PROXY. */
static void
the_environment_names_no_proxy(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("HTTP_PROXY", "http://127.0.0.1:1/", 1);
	setenv("all_proxy", "http://127.0.0.1:1/", 1);
	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/direct", 200, "/direct");
	unsetenv("http_proxy");
	unsetenv("HTTP_PROXY");
	unsetenv("all_proxy");
}

static void
wrong_questions_are_refused(void **state)
{
	static const struct {
		const char *method, *target, *word;
	} bad[] = { { "GET", "x", "begins" }, { "GET", "/a b", "encoded" }, { "GET", "/a\r\nX: y", "encoded" }, { "GET", "/../x", "segment" },
		{ "CONNECT", "/", "CONNECT" }, { "GE T", "/", "method" }, { "", "/", "method" } };
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		web_fails(&a, bad[i].method, bad[i].target, WEFT_INVALID, bad[i].word);
		ask_fini(&a);
	}
	assert_int_equal(web.requests, 0);
	web_expect("/still", 200, "/still");
}

/* ---- connections ---- */

static void
connections_are_kept(void **state)
{
	(void)state;
	web_pool((struct pool_conf){ .max = 4 });
	for (int i = 0; i < 20; i++)
		web_expect("/again", 200, "/again");
	assert_int_equal(web.connections, 1);
}

static struct liar_peer *late[16];
static unsigned nlate;

static void
say_later(const struct web_request *rq)
{
	late[nlate++] = rq->peer;
}

/* No more connections than max; the others wait in the queue. */
static void
there_are_max_connections_at_most(void **state)
{
	enum { ALL = 7, MAX = 3 };
	struct ask a[ALL];

	(void)state;
	nlate = 0;
	web.answer = say_later;
	web_pool((struct pool_conf){ .max = MAX });
	for (int i = 0; i < ALL; i++) {
		web_ask(&a[i], "GET", "/x");
		web_start(&a[i]);
	}
	web_run_until_requests(MAX);
	back_run(web.loop);
	assert_int_equal(web.requests, MAX);
	assert_int_equal(web_stat().queued, ALL - MAX);
	for (unsigned done = 0; done < ALL; done++) {
		web_run_until_requests(done + 1);
		liar_say(late[done], SPAN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
	}
	for (int i = 0; i < ALL; i++) {
		assert_int_equal(web_await(&a[i]), WEFT_OK);
		ask_fini(&a[i]);
	}
	assert_int_equal(web.connections, MAX);
}

static bool
is_one_left(void *unused)
{
	struct liar_peer *p;
	unsigned n = 0;

	(void)unused;
	TAILQ_FOREACH(p, &web.server.peers, link)
		n += p->fd >= 0;
	return n == 1;
}

/* Where the pool has one less, the server sees one less: the connections of a pool are all that there are. */
static void
a_place_that_goes_takes_a_connection_along(void **state)
{
	struct ask a[3];

	(void)state;
	nlate = 0;
	web.answer = say_later;
	web_pool((struct pool_conf){ .max = 3, .min = 1, .idle_timeout = 20 * USEC_PER_SEC });
	for (int i = 0; i < 3; i++) {
		web_ask(&a[i], "GET", "/x");
		web_start(&a[i]);
	}
	web_run_until_requests(3);
	for (int i = 0; i < 3; i++)
		liar_say(late[i], SPAN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(web_await(&a[i]), WEFT_OK);
		ask_fini(&a[i]);
	}
	back_skip(15 * USEC_PER_SEC);
	web.answer = web_echo;
	web_expect("/busy", 200, "/busy");	/* so that it is not all of them that rest */
	assert_false(is_one_left(NULL));
	back_skip(6 * USEC_PER_SEC);
	assert_true(back_run_until(web.loop, is_one_left, NULL, SOON));
	assert_int_equal(web_stat().open, 1);
	web_expect("/next", 200, "/next");
	assert_int_equal(web.connections, 3);
}

static bool
is_left_alone(void *unused)
{
	(void)unused;
	return liar_last(&web.server) == NULL;
}

/* What idles for long is closed by us, not left for the server to close. */
static void
an_idle_connection_is_closed(void **state)
{
	(void)state;
	web_pool((struct pool_conf){ .max = 1, .min = 1, .idle_timeout = 20 * USEC_PER_SEC });
	web_expect("/1", 200, "/1");
	assert_non_null(liar_last(&web.server));
	back_skip(21 * USEC_PER_SEC);
	assert_true(back_run_until(web.loop, is_left_alone, NULL, SOON));
	web_expect("/2", 200, "/2");
	assert_int_equal(web.connections, 2);
}

/* ---- connections that end ---- */

static void
say_once_then_hang_up(const struct web_request *rq)
{
	if (rq->peer->stage++ == 0)
		web_echo(rq);
	else
		liar_hang_up(rq->peer);
}

static enum weft_rc
ask_twice(const char *method, bool is_idempotent)
{
	struct http_ask *ask;
	enum weft_rc rc;
	struct ask a;

	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/first", 200, "/first");
	web.requests = 0;
	ask = web_ask(&a, method, "/second");
	ask->is_idempotent = is_idempotent;
	web_start(&a);
	rc = web_await(&a);
	ask_fini(&a);
	return rc;
}

/* The kept connection takes the request and ends: was it done?  Only what may be done twice is sent again. */
static void
what_changes_things_is_not_repeated(void **state)
{
	static const char *const once[] = { "POST", "PATCH", "BREW" }, *const twice[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" };

	(void)state;
	web.answer = say_once_then_hang_up;
	for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
		assert_int_equal(ask_twice(once[i], false), WEFT_UNKNOWN);
		assert_int_equal(web.requests, 1);
		web_expect("/after", 200, "/after");
	}
	for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
		assert_int_equal(ask_twice(twice[i], false), WEFT_OK);
		assert_int_equal(web.requests, 2);
	}
	assert_int_equal(ask_twice("POST", true), WEFT_OK);
	assert_int_equal(web.requests, 2);
	assert_int_equal(web_stat().down, 0);
}

static void
hang_up_after_the_first(const struct web_request *rq)
{
	if (web.connections == 1 && rq->peer->stage++ == 0)
		web_echo(rq);
	else
		liar_hang_up(rq->peer);
}

/* On a new connection nothing is repeated, so all in all it is sent twice at most. */
static void
what_may_be_repeated_is_so_once(void **state)
{
	(void)state;
	web.answer = hang_up_after_the_first;
	assert_int_equal(ask_twice("GET", false), WEFT_UNKNOWN);
	assert_int_equal(web.requests, 2);
}

/* Closed while nobody used it: that is seen before anything is sent. */
static void
an_ended_connection_is_not_used(void **state)
{
	static const char *const method[] = { "POST", "GET" };
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 1 });
	for (size_t i = 0; i < 2; i++) {
		web_expect("/first", 200, "/first");
		liar_hang_up(liar_last(&web.server));
		web.requests = 0;
		web_ask(&a, method[i], "/second");
		web_start(&a);
		assert_int_equal(web_await(&a), WEFT_OK);
		assert_int_equal(web.requests, 1);
		ask_fini(&a);
	}
}

static size_t cut;

static void
say_a_part(const struct web_request *rq)
{
	liar_say(rq->peer, (struct span){ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", cut });
	liar_hang_up(rq->peer);
}

/* Whatever is missing, the asker hears that nobody knows. */
static void
an_answer_cut_short_is_no_answer(void **state)
{
	size_t whole = strlen("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	struct ask a;

	(void)state;
	web.answer = say_a_part;
	web_pool((struct pool_conf){ .max = 1 });
	for (cut = 0; cut < whole; cut++) {
		web_fails(&a, "POST", "/x", WEFT_UNKNOWN, "");
		assert_null(a.call.http);
		ask_fini(&a);
	}
	web_expect("/x", 200, "hello");
	assert_int_equal(web_stat().down, 0);
}

/* ---- a server that is not there ---- */

static void
a_server_that_is_not_there_is_down(void **state)
{
	struct ask a;
	usec begin;

	(void)state;
	web_pool((struct pool_conf){ .max = 4, .min = 1 });
	web_expect("/1", 200, "/1");
	web_close();
	web_fails(&a, "POST", "/2", WEFT_DOWN, "pool stock: ");
	ask_fini(&a);
	assert_true(back_run_until(web.loop, web_is_down, NULL, SOON));
	begin = clock_now();
	web_fails(&a, "GET", "/3", WEFT_DOWN, "127.0.0.1");
	assert_true(clock_now() - begin < 50 * USEC_PER_MSEC);
	ask_fini(&a);
	web_listen(web_echo);
	assert_true(back_run_until(web.loop, web_is_open, NULL, SOON));
	web_expect("/4", 200, "/4");
}

static void
the_first_call_finds_out(void **state)
{
	struct ask a;

	(void)state;
	web_close();
	web_pool((struct pool_conf){ .max = 8 });
	web_fails(&a, "POST", "/1", WEFT_DOWN, "onnect");
	ask_fini(&a);
	assert_true(web_is_down(NULL));
	web_listen(web_echo);
	assert_true(back_run_until(web.loop, web_is_open, NULL, SOON));
	web_expect("/2", 200, "/2");
}

static void
a_name_that_means_nothing_is_down(void **state)
{
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 2, .url = "http://nowhere.invalid:1/" });
	web_fails(&a, "GET", "/", WEFT_DOWN, "nowhere.invalid");
	ask_fini(&a);
}

/* ---- who asked is gone ---- */

static void
a_call_given_up_ends_its_connection(void **state)
{
	struct ask a;

	(void)state;
	web.answer = web_silence;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "GET", "/never");
	web_start(&a);
	web_run_until_requests(1);
	fiber_cancel(a.fiber);
	loop_turn(web.loop, 0);
	assert_true(a.is_done);
	assert_int_equal(a.rc, WEFT_CANCELED);
	ask_fini(&a);
	assert_true(back_run_until(web.loop, is_left_alone, NULL, SOON));
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
	assert_int_equal(web_stat().losses, 0);
}

/* At each moment from the first on. */
static void
a_call_may_be_given_up_at_any_moment(void **state)
{
	struct ask a;

	(void)state;
	web_pool((struct pool_conf){ .max = 1, .min = 1 });
	for (int turns = 0; turns < 12; turns++) {
		web_ask(&a, "GET", "/gone");
		web_start(&a);
		for (int i = 0; i < turns; i++)
			loop_turn(web.loop, USEC_PER_MSEC);
		if (!a.is_done)
			fiber_cancel(a.fiber);
		assert_true(web_await(&a) == (a.call.http != NULL ? WEFT_OK : WEFT_CANCELED));
		ask_fini(&a);
		web_expect("/stays", 200, "/stays");
	}
}

static void
a_pool_may_close_at_any_moment(void **state)
{
	struct ask a[3];

	(void)state;
	for (int turns = 0; turns < 12; turns++) {
		web_pool((struct pool_conf){ .max = 2, .min = 1 });
		for (int i = 0; i < 3; i++) {
			web_ask(&a[i], "GET", "/x");
			ask_submit(&a[i]);
			web_start(&a[i]);
		}
		for (int i = 0; i < turns; i++)
			loop_turn(web.loop, USEC_PER_MSEC);
		pool_close(&web.pool);
		for (int i = 0; i < 3; i++) {
			assert_true(web_await(&a[i]) == WEFT_OK || a[i].rc == WEFT_CANCELED);
			ask_fini(&a[i]);
		}
	}
}

static void
a_call_has_its_time(void **state)
{
	struct ask a;

	(void)state;
	web.answer = web_silence;
	web_pool((struct pool_conf){ .max = 1, .call_timeout = 5 * USEC_PER_SEC });
	web_ask(&a, "GET", "/never");
	web_start(&a);
	web_run_until_requests(1);
	back_skip(4900 * USEC_PER_MSEC);
	back_run(web.loop);
	assert_false(a.is_done);
	back_skip(200 * USEC_PER_MSEC);
	assert_int_equal(web_await(&a), WEFT_TIMEOUT);
	ask_fini(&a);
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
	assert_int_equal(web_stat().losses, 0);
}

/* ---- the request's memory ---- */

static void
say_much(const struct web_request *rq)
{
	static char much[100000];

	web_say(rq, "200 OK", "", (struct span){ much, sizeof much });
}

static void
an_answer_that_does_not_fit_is_refused(void **state)
{
	struct http_ask *ask;
	struct ask a;

	(void)state;
	web.answer = say_much;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "GET", "/");
	a.arena.limit = a.arena.total + 50000;
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_TOO_LARGE);
	assert_non_null(strstr(a.fault.text, "memory"));
	ask_fini(&a);
	for (unsigned long long max = 99999; max <= 100000; max++) {
		ask = web_ask(&a, "GET", "/");
		ask->body_max = max;
		web_start(&a);
		assert_int_equal(web_await(&a), max == 100000 ? WEFT_OK : WEFT_TOO_LARGE);
		ask_fini(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_checked),
		WEB_TEST(an_answer_comes_back_whole),
		WEB_TEST(any_status_is_an_answer),
		WEB_TEST(some_answers_have_no_body),
		WEB_TEST(a_body_may_end_with_the_connection),
		WEB_TEST(a_body_is_sent_as_it_is),
		WEB_TEST(a_method_that_has_a_body_says_so_without_one),
		WEB_TEST(a_large_body_arrives),
		WEB_TEST(the_pools_url_is_where_all_begins),
		WEB_TEST(a_name_is_looked_up_anew),
		WEB_TEST(secrets_are_not_shown),
		WEB_TEST(the_environment_names_no_proxy),
		WEB_TEST(wrong_questions_are_refused),
		WEB_TEST(connections_are_kept),
		WEB_TEST(there_are_max_connections_at_most),
		WEB_TEST(a_place_that_goes_takes_a_connection_along),
		WEB_TEST(an_idle_connection_is_closed),
		WEB_TEST(what_changes_things_is_not_repeated),
		WEB_TEST(what_may_be_repeated_is_so_once),
		WEB_TEST(an_ended_connection_is_not_used),
		WEB_TEST(an_answer_cut_short_is_no_answer),
		WEB_TEST(a_server_that_is_not_there_is_down),
		WEB_TEST(the_first_call_finds_out),
		WEB_TEST(a_name_that_means_nothing_is_down),
		WEB_TEST(a_call_given_up_ends_its_connection),
		WEB_TEST(a_call_may_be_given_up_at_any_moment),
		WEB_TEST(a_pool_may_close_at_any_moment),
		WEB_TEST(a_call_has_its_time),
		WEB_TEST(an_answer_that_does_not_fit_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
