/* SPDX-License-Identifier: ISC */
/* Streams: alone, and from the HTTP driver to a fiber that reads as it likes. */
#include "tests/unit/back_web.h"

#include <signal.h>

/* ---- alone ---- */

static unsigned resumed, dropped;

static void
count_resume(void *arg)
{
	(void)arg;
	resumed++;
}

static void
count_drop(void *arg)
{
	(void)arg;
	dropped++;
}

static const struct http_source counting = { count_resume, count_drop };

/* A run of numbers, so that a hole or a shift shows. */
static void
fill(char *out, size_t n, size_t from)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (char)((from + i) * 7 % 251);
}

static void
read_all_in_pieces(void *arg)
{
	static char out[HTTP_STREAM_ROOM], want[HTTP_STREAM_ROOM], in[HTTP_STREAM_ROOM];
	struct http_stream *s = arg;
	size_t put = 0, taken = 0, got;
	bool is_full = false;

	for (size_t step = 1; taken < 20 * HTTP_STREAM_ROOM; step = step * 13 % 40009) {
		fill(in, step, put);
		if (http_stream_put(s, (struct span){ in, step }))
			put += step;
		else
			is_full = true;
		assert_int_equal(http_stream_read(s, out, step / 2 + 1, &got), WEFT_OK);
		fill(want, got, taken);
		assert_memory_equal(out, want, got);
		taken += got;
	}
	assert_true(is_full);
	http_stream_end(s, WEFT_UNKNOWN, "cut short");
	while (http_stream_read(s, out, sizeof out, &got) == WEFT_OK)
		taken += got;
	assert_int_equal(taken, put);
	assert_int_equal(http_stream_read(s, out, sizeof out, &got), WEFT_UNKNOWN);
	assert_string_equal(s->fault.text, "cut short");
	http_stream_close(s);
}

static void
on_a_fiber(void (*fn)(void *arg))
{
	struct arena a;
	struct fiber *f = fiber_new(loop_fibers(web.loop), 0);
	struct http_stream *s;

	arena_init(&a, NULL, 0, 0);
	s = http_stream_new(&a, &counting, NULL);
	must(f != NULL && s != NULL);
	resumed = dropped = 0;
	fiber_start(f, fn, s);
	back_run(web.loop);
	assert_int_equal(fiber_sched_alive(loop_fibers(web.loop)), 0);
	arena_fini(&a);
}

static void
bytes_come_out_as_they_went_in(void **state)
{
	(void)state;
	on_a_fiber(read_all_in_pieces);
	assert_int_equal(dropped, 0);
}

static void
fill_and_empty(void *arg)
{
	static char piece[HTTP_STREAM_LOW];
	struct http_stream *s = arg;
	size_t got;

	assert_true(http_stream_put(s, (struct span){ piece, HTTP_STREAM_LOW }));
	assert_true(http_stream_put(s, (struct span){ piece, HTTP_STREAM_LOW }));
	assert_false(http_stream_put(s, (struct span){ piece, 1 }));
	assert_int_equal(http_stream_read(s, piece, HTTP_STREAM_LOW - 1, &got), WEFT_OK);
	assert_int_equal(resumed, 0);
	assert_int_equal(http_stream_read(s, piece, 1, &got), WEFT_OK);
	assert_int_equal(resumed, 1);
	assert_int_equal(http_stream_read(s, piece, 1, &got), WEFT_OK);
	assert_int_equal(resumed, 1);
	http_stream_close(s);
	assert_int_equal(dropped, 1);
	assert_int_equal(http_stream_read(s, piece, 1, &got), WEFT_INVALID);
	http_stream_close(s);
	assert_int_equal(dropped, 1);
}

static void
a_driver_that_was_stopped_is_told_once(void **state)
{
	(void)state;
	on_a_fiber(fill_and_empty);
}

static void
wait_in_vain(void *arg)
{
	struct http_stream *s = arg;
	char c;
	size_t got;

	s->patience = USEC_PER_MSEC;
	back_skip(0);
	assert_int_equal(http_stream_read(s, &c, 1, &got), WEFT_TIMEOUT);
	assert_true(http_stream_put(s, SPAN("x")));
	assert_int_equal(http_stream_read(s, &c, 1, &got), WEFT_OK);
	http_stream_end(s, WEFT_OK, NULL);
	assert_int_equal(http_stream_read(s, &c, 1, &got), WEFT_OK);
	assert_int_equal(got, 0);
}

static void
a_reader_waits_so_long(void **state)
{
	struct arena a;
	struct fiber *f = fiber_new(loop_fibers(web.loop), 0);

	(void)state;
	arena_init(&a, NULL, 0, 0);
	fiber_start(f, wait_in_vain, http_stream_new(&a, &counting, NULL));
	for (int i = 0; i < 100 && fiber_sched_alive(loop_fibers(web.loop)) > 0; i++)
		loop_turn(web.loop, USEC_PER_MSEC);
	assert_int_equal(fiber_sched_alive(loop_fibers(web.loop)), 0);
	arena_fini(&a);
}

static enum weft_rc read_rc;

static void
read_once(void *arg)
{
	char c;
	size_t got;

	read_rc = http_stream_read(arg, &c, 1, &got);
}

/* One fiber waits for bytes, another one wants no more: nobody would ever wake the first. */
static void
who_waits_is_told_of_the_close(void **state)
{
	struct fiber *f = fiber_new(loop_fibers(web.loop), 0);
	struct http_stream *s;
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	s = http_stream_new(&a, &counting, NULL);
	must(f != NULL && s != NULL);
	read_rc = WEFT_OK;
	fiber_start(f, read_once, s);
	back_run(web.loop);
	http_stream_close(s);
	back_run(web.loop);
	assert_int_equal(fiber_sched_alive(loop_fibers(web.loop)), 0);
	assert_int_equal(read_rc, WEFT_INVALID);
	arena_fini(&a);
}

/* ---- from the driver ---- */

enum { LARGE = 8 * 1024 * 1024 };
static const char flood[] = "0123456789abcdef";

static void
say_flood(const struct web_request *rq)
{
	char head[100];

	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nX-Kind: flood\r\nContent-Length: %d\r\n\r\n", LARGE);
	liar_say(rq->peer, span_str(head));
	rq->peer->flood = SPAN("0123456789abcdef");
	rq->peer->flooded = LARGE;
	liar_say(rq->peer, SPAN(""));
}

static void
a_stream_is_read_to_its_end(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/flood");
	assert_true(back_run_until(web.loop, reading_is_done, &r, 6 * SOON));
	assert_int_equal(r.rc, WEFT_OK);
	assert_int_equal(r.bytes, LARGE);
	for (size_t i = 0; i < sizeof r.text - 1; i++)
		assert_int_equal(r.text[i], flood[i % 16]);
	assert_int_equal(r.ask.call.http->status, 200);
	assert_string_equal(http_answer_find(r.ask.call.http, "x-kind"), "flood");
	assert_null(r.ask.call.http->body.at);
	reading_fini(&r);
	/* The connection is free again, and kept. */
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
	assert_int_equal(web.connections, 1);
}

/* Who does not read holds the server up, and not this process's memory; for as long as he likes. */
static void
a_stream_that_is_not_read_is_held_up(void **state)
{
	struct reading r;
	size_t left;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1, .call_timeout = 5 * USEC_PER_SEC });
	rss_begin();
	reading_start(&r, "/flood");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	for (int i = 0; i < 50; i++)
		loop_turn(web.loop, USEC_PER_MSEC);
	left = liar_last(&web.server)->flooded;
	assert_true(left > LARGE / 8);	/* the kernel's buffers are full, and so is the stream */
	for (int i = 0; i < 6; i++) {
		back_skip(10 * USEC_PER_SEC);
		for (int j = 0; j < 10; j++)
			loop_turn(web.loop, USEC_PER_MSEC);
	}
	assert_int_equal(liar_last(&web.server)->flooded, left);
	assert_false(r.is_done);
	reading_go_on(&r, SIZE_MAX);
	assert_true(back_run_until(web.loop, reading_is_done, &r, 6 * SOON));
	assert_int_equal(r.rc, WEFT_OK);
	assert_int_equal(r.bytes, LARGE);
	rss_end("a stream that is not read");
	reading_fini(&r);
}

static bool
is_left_alone(void *unused)
{
	(void)unused;
	return liar_last(&web.server) == NULL;
}

static bool
is_one_open(void *unused)
{
	(void)unused;
	return web_stat().open == 1;
}

static void
a_stream_that_is_closed_ends_its_connection(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/flood");
	r.stop_at = 3000;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	r.closes = true;
	reading_go_on(&r, 0);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	reading_fini(&r);
	assert_true(back_run_until(web.loop, is_left_alone, NULL, SOON));
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
}

static void
say_half(const struct web_request *rq)
{
	liar_say(rq->peer, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"));
	liar_hang_up(rq->peer);
}

static void
a_stream_that_is_cut_short_says_so(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_half;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/half");
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_UNKNOWN);
	assert_string_equal(r.text, "hello");
	assert_true(r.ask.call.http->stream->fault.text[0] != '\0');
	reading_fini(&r);
}

static void
say_head_only(const struct web_request *rq)
{
	liar_say(rq->peer, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"));
}

/* The head in time, then silence: each wait has the call's time. */
static void
a_stream_that_stops_is_late(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_head_only;
	web_pool((struct pool_conf){ .max = 1, .call_timeout = 5 * USEC_PER_SEC });
	reading_start(&r, "/stops");
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	back_run(web.loop);
	back_skip(6 * USEC_PER_SEC);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_TIMEOUT);
	assert_int_equal(r.bytes, 5);
	reading_fini(&r);
}

static void
a_failure_before_the_head_is_the_openings(void **state)
{
	struct reading r;

	(void)state;
	web.answer = web_hang_up;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/x");
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_false(r.is_open);
	assert_int_equal(r.rc, WEFT_UNKNOWN);
	reading_fini(&r);
}

static void
a_pool_that_closes_ends_its_streams(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/flood");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	pool_close(&web.pool);
	reading_go_on(&r, SIZE_MAX);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_UNKNOWN);
	reading_fini(&r);
}

/* Connections of the pool become old while one is read: it goes on to its end. */
static void
a_stream_outlives_its_connections_time(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1, .min = 1, .max_lifetime = 20 * USEC_PER_SEC, .call_timeout = 5 * USEC_PER_SEC });
	reading_start(&r, "/flood");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	for (int i = 0; i < 10; i++) {
		back_skip(5 * USEC_PER_SEC);
		back_run(web.loop);
	}
	reading_go_on(&r, SIZE_MAX);
	assert_true(back_run_until(web.loop, reading_is_done, &r, 6 * SOON));
	assert_int_equal(r.rc, WEFT_OK);
	assert_int_equal(r.bytes, LARGE);
	assert_int_equal(web_stat().losses, 0);
	reading_fini(&r);
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
}

/* One that is held up and one that is not, over the same pool. */
static void
streams_do_not_hold_up_others(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 2 });
	reading_start(&r, "/flood");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	web.answer = web_echo;
	for (int i = 0; i < 5; i++)
		web_expect("/other", 200, "/other");
	r.closes = true;
	reading_go_on(&r, 0);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	reading_fini(&r);
}

/* Nothing is asked of the socket of one that is held up, but it does not idle: what goes with another place is another connection. */
static void
a_place_that_goes_leaves_streams_alone(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 2, .min = 1, .idle_timeout = 20 * USEC_PER_SEC });
	reading_start(&r, "/flood");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	web.answer = web_echo;
	web_expect("/other", 200, "/other");
	assert_int_equal(web.connections, 2);
	for (int i = 0; i < 50; i++)
		loop_turn(web.loop, USEC_PER_MSEC);	/* until it is held up */
	back_skip(21 * USEC_PER_SEC);
	assert_true(back_run_until(web.loop, is_one_open, NULL, SOON));
	reading_go_on(&r, SIZE_MAX);
	assert_true(back_run_until(web.loop, reading_is_done, &r, 6 * SOON));
	assert_int_equal(r.rc, WEFT_OK);
	assert_int_equal(r.bytes, LARGE);
	reading_fini(&r);
}

static void
a_stream_may_have_a_limit(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_flood;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/flood");
	((struct http_ask *)r.ask.call.ask)->body_max = 100000;
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_TOO_LARGE);
	assert_true(r.bytes <= 100000 && r.bytes > 50000);
	reading_fini(&r);
}

static struct liar_peer *chunked;

static void
say_head_of_chunks(const struct web_request *rq)
{
	chunked = rq->peer;
	liar_say(rq->peer, SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

static void
say_chunk(size_t size)
{
	static char bytes[65536];
	char line[16];

	snprintf(line, sizeof line, "%zx\r\n", size);
	liar_say(chunked, span_str(line));
	liar_say(chunked, (struct span){ bytes, size });
	liar_say(chunked, SPAN("\r\n"));
}

static bool
has_so_much(void *r)
{
	return ((struct reading *)r)->ask.call.http->stream->len == 60000;
}

/* libcurl keeps what has come and finds no room, and gives it all at once when there is some: that is when it is too much, and the end. */
static void
a_limit_that_is_met_while_held_up_is_the_end(void **state)
{
	struct reading r;

	(void)state;
	web.answer = say_head_of_chunks;
	web_pool((struct pool_conf){ .max = 1 });
	reading_start(&r, "/chunks");
	((struct http_ask *)r.ask.call.ask)->body_max = 70000;
	r.stop_at = 0;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	say_chunk(60000);
	assert_true(back_run_until(web.loop, has_so_much, &r, SOON));
	say_chunk(8000);
	say_chunk(8000);
	back_run(web.loop);
	reading_go_on(&r, SIZE_MAX);
	back_run(web.loop);
	say_chunk(4);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_TOO_LARGE);
	assert_int_equal(r.bytes, 60000);
	reading_fini(&r);
	web.answer = web_echo;
	web_expect("/next", 200, "/next");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WEB_TEST(bytes_come_out_as_they_went_in),
		WEB_TEST(a_driver_that_was_stopped_is_told_once),
		WEB_TEST(a_reader_waits_so_long),
		WEB_TEST(who_waits_is_told_of_the_close),
		WEB_TEST(a_stream_is_read_to_its_end),
		WEB_TEST(a_stream_that_is_not_read_is_held_up),
		WEB_TEST(a_stream_that_is_closed_ends_its_connection),
		WEB_TEST(a_stream_that_is_cut_short_says_so),
		WEB_TEST(a_stream_that_stops_is_late),
		WEB_TEST(a_failure_before_the_head_is_the_openings),
		WEB_TEST(a_pool_that_closes_ends_its_streams),
		WEB_TEST(a_stream_outlives_its_connections_time),
		WEB_TEST(streams_do_not_hold_up_others),
		WEB_TEST(a_place_that_goes_leaves_streams_alone),
		WEB_TEST(a_stream_may_have_a_limit),
		WEB_TEST(a_limit_that_is_met_while_held_up_is_the_end),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
