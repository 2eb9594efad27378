/* SPDX-License-Identifier: ISC */

/*
 * The HTTP driver against a server that lies, floods, or sends it elsewhere: no answer takes memory or time without bound,
 * nobody gets another's answer, and no other server is ever asked.
 */
#include "tests/unit/back_web.h"

#include <signal.h>

static struct pulse pulse;
static struct span lie;			/* what is said to "/lie" */
static struct span lie_again;		/* then this, over and over */
static size_t lie_size;			/* until so many bytes are sent */

static void
say_lie(const struct web_request *rq)
{
	if (strcmp(rq->target, "/lie") != 0) {
		web_echo(rq);
		return;
	}
	rq->peer->flood = lie_again;
	rq->peer->flooded = lie_again.len == 0 ? 0 : lie_size;
	liar_say(rq->peer, lie);
}

static int
play_begin(void **state)
{
	web_begin(state);
	web.answer = say_lie;
	lie_again = SPAN("");
	lie_size = 0;
	pulse_begin(&pulse, web.loop);
	rss_begin();
	return 0;
}

static int
play_end(void **state)
{
	rss_end("all");
	pulse_end(&pulse);
	return web_end(state);
}

/* One before, one that is lied to, one after. */
static void
play_lie(enum weft_rc rc, bool decodes)
{
	struct http_ask *ask;
	struct ask a;

	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/before", 200, "/before");
	ask = web_ask(&a, "GET", "/lie");
	ask->wants_decoding = decodes;
	web_start(&a);
	if (web_await(&a) != rc)
		fail_msg("\"%.60s\" ends with %d: %s", lie.at, (int)a.rc, a.fault.text);
	ask_fini(&a);
	web_expect("/after", 200, "/after");
	assert_false(web_is_down(NULL));
}

/* ---- F39: heads ---- */

static struct liar_peer *slow;

static void
say_slowly(const struct web_request *rq)
{
	slow = rq->peer;
}

/* One byte a second: the call has its time, however much comes. */
static void
f39_a_head_of_one_byte_a_second_is_late(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct ask a;
	size_t sent = 0;

	(void)state;
	web.answer = say_slowly;
	web_pool((struct pool_conf){ .max = 1 });
	web_ask(&a, "GET", "/");
	web_start(&a);
	web_run_until_requests(1);
	for (; sent < sizeof head - 1 && !a.is_done; sent++) {
		liar_say(slow, (struct span){ head + sent, 1 });
		loop_turn(web.loop, USEC_PER_MSEC);
		back_skip(USEC_PER_SEC);
		back_run(web.loop);
	}
	assert_true(a.is_done && sent >= 29 && sent <= 31);
	assert_int_equal(a.rc, WEFT_TIMEOUT);
	ask_fini(&a);
	web.answer = web_echo;
	web_expect("/after", 200, "/after");
}

static void
f39_a_million_headers_are_too_many(void **state)
{
	(void)state;
	lie = SPAN("HTTP/1.1 200 OK\r\n");
	lie_again = SPAN("X-Header: value\r\n");
	lie_size = 17 * 1000000;
	play_lie(WEFT_TOO_LARGE, false);
	lie = SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n");	/* as trailers */
	play_lie(WEFT_TOO_LARGE, false);
}

static void
f39_a_header_without_end_is_too_long(void **state)
{
	(void)state;
	lie = SPAN("HTTP/1.1 200 OK\r\nX-Long: ");
	lie_again = SPAN("aaaaaaaaaaaaaaaa");
	lie_size = 100 << 20;
	play_lie(WEFT_TOO_LARGE, false);
}

static void
f39_a_flood_of_interim_answers_ends(void **state)
{
	(void)state;
	lie = SPAN("");
	lie_again = SPAN("HTTP/1.1 102 Processing\r\n\r\n");
	lie_size = 100 << 20;
	play_lie(WEFT_TOO_LARGE, false);
}

static void
f39_other_protocols_are_refused(void **state)
{
	static const struct span lies[] = {
		SPAN("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nand so on"),
		SPAN("<html>HTTP/0.9</html>\r\n"),
		SPAN("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
		SPAN("HTTP/1.1 200 OK\r\nX-Control: a\1b\r\nContent-Length: 0\r\n\r\n"),
		SPAN("HTTP/1.1 200 OK\r\nX Blank: a\r\nContent-Length: 0\r\n\r\n"),
		SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		SPAN("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"),
	};
	struct ask a;

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		lie = lies[i];
		web_pool((struct pool_conf){ .max = 1 });
		web_ask(&a, "GET", "/lie");
		web_start(&a);
		if (web_await(&a) != WEFT_REFUSED && a.rc != WEFT_UNKNOWN)
			fail_msg("lie %zu ends with %d", i, (int)a.rc);
		assert_true(a.fault.text[0] != '\0');
		ask_fini(&a);
		web_expect("/after", 200, "/after");
	}
}

/* ---- F39: bodies ---- */

static void
f39_ten_gigabytes_are_not_taken(void **state)
{
	static const struct span lies[] = { SPAN("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"),
		SPAN("HTTP/1.0 200 OK\r\n\r\n"), SPAN("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
		SPAN("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 10737418240\r\n\r\n") };

	(void)state;
	lie_again = SPAN("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	lie_size = 10737418240;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		lie = lies[i];
		play_lie(WEFT_TOO_LARGE, false);
	}
}

/* 64 MB of nothing, in 64 KB; made once, while nothing is measured. */
static struct span bomb;

static int
make_bomb(void **state)
{
	static char bytes[262144];
	FILE *f = popen("head -c 67108864 /dev/zero | gzip -c", "r");

	(void)state;
	must(f != NULL);
	bomb = (struct span){ bytes, fread(bytes, 1, sizeof bytes, f) };
	must(pclose(f) == 0 && bomb.len > 1000 && bomb.len < sizeof bytes);
	return 0;
}

static void
say_bomb(const char *head)
{
	static char all[300000];
	int n = snprintf(all, sizeof all, head, bomb.len);

	memcpy(all + n, bomb.at, bomb.len);
	memcpy(all + n + bomb.len, "\r\n0\r\n\r\n", 7);
	lie = (struct span){ all, (size_t)n + bomb.len + 7 };
}

static void
f39_a_bomb_does_not_unfold(void **state)
{
	struct ask a;

	(void)state;
	say_bomb("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n");
	play_lie(WEFT_TOO_LARGE, true);
	/* Not asked for, it is bytes like any others. */
	web_ask(&a, "GET", "/lie");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_int_equal(a.call.http->body.len, bomb.len);
	assert_null(web_header("Accept-Encoding"));
	ask_fini(&a);
	/* Nor is it unfolded where libcurl would without being asked. */
	say_bomb("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%zx\r\n");
	play_lie(WEFT_TOO_LARGE, false);
	say_bomb("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n");
	play_lie(WEFT_REFUSED, true);
}

/* Who reads a stream slowly holds up what unfolds it, too. */
static void
f39_a_bomb_in_a_stream_waits_for_its_reader(void **state)
{
	struct reading r[4];

	(void)state;
	say_bomb("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n");
	web_pool((struct pool_conf){ .max = 4 });
	for (int i = 0; i < 4; i++) {
		reading_start(&r[i], "/lie");
		((struct http_ask *)r[i].ask.call.ask)->wants_decoding = true;
		r[i].stop_at = 1;
	}
	for (int i = 0; i < 4; i++)
		assert_true(back_run_until(web.loop, reading_is_open, &r[i], SOON));
	for (int i = 0; i < 50; i++)
		loop_turn(web.loop, USEC_PER_MSEC);
	rss_end("streams of which nobody reads");
	for (int i = 0; i < 4; i++) {
		reading_go_on(&r[i], SIZE_MAX);
		assert_true(back_run_until(web.loop, reading_is_done, &r[i], 6 * SOON));
		assert_int_equal(r[i].rc, WEFT_OK);
		assert_int_equal(r[i].bytes, 67108864);
		reading_fini(&r[i]);
	}
}

/* ---- answers to questions that nobody asked ---- */

static void
bytes_while_idle_are_nobodys_answer(void **state)
{
	static const struct span lies[] = { SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"), SPAN("H"), SPAN("\r\n") };

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		web_pool((struct pool_conf){ .max = 1 });
		web_expect("/before", 200, "/before");
		liar_say(liar_last(&web.server), lies[i]);
		back_run(web.loop);
		web_expect("/after", 200, "/after");
		web_expect("/later", 200, "/later");
	}
}

static void
bytes_behind_an_answer_are_nobodys(void **state)
{
	static const struct span lies[] = {
		SPAN("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n/lieHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"),
		SPAN("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n/lieH"),
		SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n/lie\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong") };

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		lie = lies[i];
		web_pool((struct pool_conf){ .max = 1 });
		web_expect("/lie", 200, "/lie");
		web_expect("/after", 200, "/after");
		web_expect("/later", 200, "/later");
	}
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
f39_a_redirect_with_a_large_body_is_followed_at_once(void **state)
{
	struct ask a;

	(void)state;
	lie = SPAN("HTTP/1.1 302 Found\r\nLocation: there\r\nContent-Length: 10737418240\r\n\r\n");
	lie_again = SPAN("0123456789abcdef");
	lie_size = 10737418240;
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
#define T(name) cmocka_unit_test_setup_teardown(name, play_begin, play_end)
	const struct CMUnitTest tests[] = {
		T(f39_a_head_of_one_byte_a_second_is_late),
		T(f39_a_million_headers_are_too_many),
		T(f39_a_header_without_end_is_too_long),
		T(f39_a_flood_of_interim_answers_ends),
		T(f39_other_protocols_are_refused),
		T(f39_ten_gigabytes_are_not_taken),
		T(f39_a_bomb_does_not_unfold),
		T(f39_a_bomb_in_a_stream_waits_for_its_reader),
		T(bytes_while_idle_are_nobodys_answer),
		T(bytes_behind_an_answer_are_nobodys),
		T(b61_other_credentials_are_other_connections),
		T(b62_no_other_server_is_asked),
		T(b62_a_user_in_a_redirect_is_not_followed),
		T(f39_a_loop_of_redirects_ends),
		T(f39_a_redirect_with_a_large_body_is_followed_at_once),
		T(redirects_change_the_method_as_they_say),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, make_bomb, NULL);
}
