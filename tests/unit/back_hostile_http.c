/* SPDX-License-Identifier: ISC */

/* The HTTP driver against a server that lies or floods: no answer takes memory or time without bound, and nobody gets another's answer. */
#include "tests/unit/back_play.h"
#include "tests/unit/back_web.h"

/* ---- what differs from other back ends ---- */

static void
http_answer_or_lie(const struct web_request *rq)
{
	if (strcmp(rq->target, "/lie") != 0) {
		web_echo(rq);
		return;
	}
	play_tell(rq->peer);
	liar_say(rq->peer, buf_span(&play.lie));
}

static void
http_open(void)
{
	web_begin(NULL);
	web.answer = http_answer_or_lie;
	play.kit.loop = web.loop;
	play.liar = &web.server;
}

static void
http_close(void)
{
	assert_int_equal(web_end(NULL), 0);
}

static const char *
http_url(void)
{
	static char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u", web.port);
	return url;
}

static void
http_start(struct kit_lease *l, struct kit_ask *a, const char *tag)
{
	struct http_ask *ask;
	char *target;

	(void)l;
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_HTTP, &a->arena, &a->fault);
	ask = arena_zalloc(&a->arena, sizeof *ask);
	target = arena_alloc(&a->arena, strlen(tag) + 2);
	must(ask != NULL && target != NULL);
	snprintf(target, strlen(tag) + 2, "/%s", tag);
	ask->method = "GET";
	ask->target = target;
	a->call.ask = ask;
	a->call.idempotent = true;
	pool_submit(play.kit.pool, &a->call);
}

static void
http_check(const struct kit_ask *a, const char *tag)
{
	assert_int_equal(a->call.http->status, 200);
	assert_string_equal(a->call.http->body.at + 1, tag);
}

static void
http_put_answer(struct buf *b, const char *tag)
{
	char text[128];

	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n/%s", strlen(tag) + 1, tag);
	must(buf_add(b, span_str(text)) == WEFT_OK);
}

static const char *
http_unasked(struct buf *b, size_t i)
{
	static const char *const lies[] = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", "H", "\r\n", NULL };

	if (lies[i] != NULL)
		must(buf_add(b, span_str(lies[i])) == WEFT_OK);
	return lies[i];
}

static const char *
http_two(struct buf *b, size_t i)
{
	static const char *const lies[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n/lie\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
		NULL };

	if (lies[i] != NULL)
		must(buf_add(b, span_str(lies[i])) == WEFT_OK);
	return lies[i];
}

const struct play_side side = { .open = http_open, .close = http_close, .url = http_url, .start = http_start, .check = http_check,
	.answer = http_put_answer, .unasked = http_unasked, .two = http_two };

/* What is said to "/lie", and then over and over, until so many bytes are sent. */
static void
set_lie(struct span lie, struct span again, size_t size)
{
	buf_clear(&play.lie);
	must(buf_add(&play.lie, lie) == WEFT_OK);
	play.flood = again;
	play.flooded = again.len == 0 ? 0 : size;
}

/* One before, one that is lied to, one after. */
static void
lie_ends(enum weft_rc rc, bool decodes)
{
	struct http_ask *ask;
	struct ask a;

	web_pool((struct pool_conf){ .max = 1 });
	web_expect("/before", 200, "/before");
	ask = web_ask(&a, "GET", "/lie");
	ask->wants_decoding = decodes;
	web_start(&a);
	if (web_await(&a) != rc)
		fail_msg("\"%.60s\" ends with %d: %s", play.lie.at, (int)a.rc, a.fault.text);
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
	const struct span again = SPAN("X-Header: value\r\n");

	(void)state;
	set_lie(SPAN("HTTP/1.1 200 OK\r\n"), again, 17 * 1000000);
	lie_ends(WEFT_TOO_LARGE, false);
	set_lie(SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"), again, 17 * 1000000);	/* as trailers */
	lie_ends(WEFT_TOO_LARGE, false);
}

static void
f39_a_header_without_end_is_too_long(void **state)
{
	(void)state;
	set_lie(SPAN("HTTP/1.1 200 OK\r\nX-Long: "), SPAN("aaaaaaaaaaaaaaaa"), 100 << 20);
	lie_ends(WEFT_TOO_LARGE, false);
}

static void
f39_a_flood_of_interim_answers_ends(void **state)
{
	(void)state;
	set_lie(SPAN(""), SPAN("HTTP/1.1 102 Processing\r\n\r\n"), 100 << 20);
	lie_ends(WEFT_TOO_LARGE, false);
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
		set_lie(lies[i], SPAN(""), 0);
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
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		set_lie(lies[i], SPAN("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), 10737418240);
		lie_ends(WEFT_TOO_LARGE, false);
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
	char text[200];

	snprintf(text, sizeof text, head, bomb.len);
	set_lie(span_str(text), SPAN(""), 0);
	must(buf_add(&play.lie, bomb) == WEFT_OK && buf_add(&play.lie, SPAN("\r\n0\r\n\r\n")) == WEFT_OK);
}

static void
f39_a_bomb_does_not_unfold(void **state)
{
	struct ask a;

	(void)state;
	say_bomb("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n");
	lie_ends(WEFT_TOO_LARGE, true);
	/* Not asked for, it is bytes like any others. */
	web_ask(&a, "GET", "/lie");
	web_start(&a);
	assert_int_equal(web_await(&a), WEFT_OK);
	assert_int_equal(a.call.http->body.len, bomb.len);
	assert_null(web_header("Accept-Encoding"));
	ask_fini(&a);
	/* Nor is it unfolded where libcurl would without being asked. */
	say_bomb("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%zx\r\n");
	lie_ends(WEFT_TOO_LARGE, false);
	say_bomb("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n");
	lie_ends(WEFT_REFUSED, true);
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
		PLAY(an_answer_may_end_anywhere),
		PLAY(an_answer_that_nobody_asked_for_ends_the_connection),
		PLAY(half_an_answer_that_nobody_asked_for_is_nobodys),
		PLAY(a_second_answer_is_nobodys),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, make_bomb, NULL);
}
