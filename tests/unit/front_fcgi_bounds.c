/* SPDX-License-Identifier: ISC */
/* What bounds the FastCGI front: limits, slow and silent peers, time, and the end of the set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fiber/fiber.h"
#include "front_peer.h"
#include "loop/loop.h"

static struct buf w;

/* Turn until the front has no more than so many connections. */
static void
until_count(struct peer *p, unsigned count)
{
	usec until = clock_now() + 10 * USEC_PER_SEC;

	while (fcgi_conns_count(p->bed->set) > count) {
		assert_true(clock_now() < until);
		peer_turn(p);
	}
}

static void
expect_status(struct peer *p, uint16_t id, const char *status, uint8_t protocol)
{
	struct seen s;

	peer_until_ends(p, id, 1);
	peer_seen(p, id, &s);
	assert_true(s.well_formed);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.closes, 1);
	assert_int_equal(s.protocol, protocol);
	assert_true(s.out.len > 12);
	assert_memory_equal(s.out.at, status, 12 - 1);
	seen_free(&s);
}

/* ---- limits ---- */

static void
l31_overload_is_said_at_once(void **state)
{
	const struct front_app limits = { .max_requests = 2 };
	struct bed b;
	struct peer p, q;
	struct span page;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	peer_open(&q, &b);
	add_request(&w, 1, KEEP, "/hang", NULL);
	add_request(&w, 2, KEEP, "/hang", NULL);
	peer_send_buf(&p, &w);
	peer_settle(&p);
	assert_int_equal(b.app.requests, 2);
	add_request(&w, 1, 0, "/ok", "body");
	peer_send_buf(&q, &w);
	expect_status(&q, 1, "Status: 503 Service", FCGI_OVERLOADED);
	page = peer_record(&q, FCGI_STDOUT, 1, 0);
	assert_non_null(memmem(page.at, page.len, "\r\nRetry-After: 1\r\n", 18));
	peer_until_eof(&q);
	assert_int_equal(b.app.refused, 1);
	assert_int_equal(b.started, 2);
	/* A place is free again once one ends. */
	peer_close(&q);
	peer_open(&q, &b);
	add_record(&w, FCGI_ABORT_REQUEST, 2, SPAN(""), 0);
	peer_send_buf(&p, &w);
	peer_settle(&p);
	add_request(&w, 1, 0, "/ok", NULL);
	peer_send_buf(&q, &w);
	peer_expect(&q, 1, 1, "ok");
	peer_close(&p);
	peer_close(&q);
	bed_close(&b);
}

/* No fiber for a request: the same answer. */
static void
l31_no_fiber_is_an_overload(void **state)
{
	struct bed b;
	struct peer p;
	const struct fiber_conf conf = { .max = 1 };
	struct fiber_sched *one = fiber_sched_new(&conf);
	struct fiber *only = fiber_new(one, 0);

	(void)state;
	bed_open(&b, NULL);
	b.app.request.fibers = one;
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/ok", NULL);
	peer_send_buf(&p, &w);
	expect_status(&p, 1, "Status: 503 Service", FCGI_OVERLOADED);
	assert_int_equal(b.app.requests, 0);
	assert_int_equal(b.app.refused, 1);
	peer_close(&p);
	bed_close(&b);
	fiber_drop(&only);
	fiber_sched_free(&one);
}

static void
l15_too_many_ids_on_a_connection(void **state)
{
	const struct front_app limits = { .multiplex = 2 };
	struct bed b;
	struct peer p;
	struct seen s;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	for (uint16_t id = 1; id <= 3; id++)
		add_request(&w, id, KEEP, "/sleep?10", NULL);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "slept");
	peer_expect(&p, 2, 1, "slept");
	peer_seen(&p, 3, &s);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.closes, 0);
	assert_int_equal(s.protocol, FCGI_CANT_MPX_CONN);
	assert_false(p.eof);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

static void
b23_too_long_params(void **state)
{
	static char content[50000];
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	for (int i = 0; i < 100; i++)
		add_record(&w, FCGI_PARAMS, 1, (struct span){ content, sizeof content }, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	add_request(&w, 2, KEEP, "/ok", NULL);
	peer_send_buf(&p, &w);
	expect_status(&p, 1, "Status: 431 Request", FCGI_REQUEST_COMPLETE);
	peer_expect(&p, 2, 1, "ok");
	assert_int_equal(b.started, 1);
	peer_close(&p);
	bed_close(&b);
}

/* 100000 pairs: the request itself knows how many it takes. */
static void
b23_too_many_params(void **state)
{
	static char pairs[65532];
	struct bed b;
	struct peer p;

	(void)state;
	for (size_t i = 0; i < sizeof pairs; i += 3)
		memcpy(pairs + i, "\x01\0A", 3);
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	add_record(&w, FCGI_PARAMS, 1, (struct span){ pairs, sizeof pairs }, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&p, &w);
	expect_status(&p, 1, "Status: 431 Request", FCGI_REQUEST_COMPLETE);
	peer_close(&p);
	bed_close(&b);
}

/* ---- memory ---- */

static void
slow_reader_costs_the_high_water(void **state)
{
	struct bed b;
	struct peer p;
	struct seen s;
	size_t before, most = 0;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	add_request(&w, 1, KEEP, "/parts?640", NULL);
	peer_send_buf(&p, &w);
	p.deaf = true;
	for (int i = 0; i < 50; i++) {
		size_t now;

		peer_turn(&p);
		now = mallinfo2().uordblks + mallinfo2().hblkhd;
		most = now > most ? now : most;
	}
	assert_int_equal(b.app.requests, 1);
	assert_true(most < before + 400000);	/* sanitizers count nothing here */
	p.deaf = false;
	peer_until_ends(&p, 1, 1);
	peer_seen(&p, 1, &s);
	assert_true(s.well_formed);
	assert_int_equal(peer_body(buf_span(&s.out)).len, 640 * 16384);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

/* Writers of one connection take turns: none is starved by those before it. */
static void
writers_take_turns(void **state)
{
	struct bed b;
	struct peer p;
	size_t least = SIZE_MAX;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	for (uint16_t id = 1; id <= 20; id++)
		add_request(&w, id, KEEP, "/parts?640", NULL);
	peer_send_buf(&p, &w);
	while (p.in.len < 20 * 640 * 16384 / 4)
		peer_turn(&p);
	for (uint16_t id = 1; id <= 20; id++) {
		struct seen s;

		peer_seen(&p, id, &s);
		least = s.out.len < least ? s.out.len : least;
		seen_free(&s);
	}
	assert_true(least > 640 * 16384 / 8);
	peer_close(&p);
	bed_close(&b);
}

/* Half a request: its connection, stream, slot and variables so far. */
static void
measure_half_a_request(size_t cut)
{
	enum { COUNT = 200 };
	static struct peer p[COUNT];
	static char value[500];
	struct bed b;
	struct buf half = { 0 }, pair = { 0 };
	size_t before, each;

	memset(value, 'v', sizeof value);
	add_pair(&pair, SPAN("HTTP_COOKIE"), (struct span){ value, sizeof value });
	add_begin(&half, 1, FCGI_RESPONDER, KEEP);
	add_record(&half, FCGI_PARAMS, 1, buf_span(&pair), 0);
	add_record(&half, FCGI_PARAMS, 1, SPAN(""), 0);
	half.len -= cut;
	bed_open(&b, NULL);
	peer_open(&p[0], &b);
	peer_send(&p[0], buf_span(&half));
	peer_settle(&p[0]);
	before = mallinfo2().uordblks;
	for (int i = 1; i < COUNT; i++) {
		peer_open(&p[i], &b);
		peer_send(&p[i], buf_span(&half));
	}
	for (int i = 0; i < 20; i++)
		loop_turn(b.loop, 0);
	each = (mallinfo2().uordblks - before) / (COUNT - 1);
	print_message("half a request of %zu bytes: %zu bytes\n", half.len, each);
	assert_int_equal(b.app.requests, COUNT);
	assert_true(each <= 4096);
	for (int i = 0; i < COUNT; i++)
		peer_close(&p[i]);
	buf_fini(&half);
	buf_fini(&pair);
	bed_close(&b);
}

static void
half_a_request_costs_little(void **state)
{
	(void)state;
	measure_half_a_request(100);	/* in the pair */
	measure_half_a_request(5);	/* in a header */
}

/* ---- time ---- */

#define SHORT (30 * USEC_PER_MSEC)

static void
head_timeout_closes(void **state)
{
	const struct front_app limits = { .head_timeout = SHORT };
	struct bed b;
	struct peer p, q;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	peer_open(&q, &b);
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	peer_send_buf(&p, &w);
	peer_send(&q, SPAN("\1\1\0"));
	until_count(&p, 0);
	peer_until_eof(&p);
	peer_until_eof(&q);
	assert_int_equal(p.in.len, 0);
	assert_int_equal(b.app.aborted, 1);
	peer_close(&p);
	peer_close(&q);
	bed_close(&b);
}

/* A byte now and then does not help. */
static void
head_timeout_is_of_the_whole_head(void **state)
{
	const struct front_app limits = { .head_timeout = SHORT };
	struct bed b;
	struct peer p;
	usec begin = clock_now();

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	peer_send(&p, SPAN("\1\x63\0\0\x7f\0\0\0"));
	for (usec last = 0; fcgi_conns_count(b.set) > 0; peer_turn(&p)) {
		if (clock_now() - last < 2 * USEC_PER_MSEC)
			continue;
		last = clock_now();
		peer_send(&p, SPAN("x"));
		assert_true(last - begin < 5 * USEC_PER_SEC);
	}
	peer_close(&p);
	bed_close(&b);
}

/* With others on the connection only the late one is given up. */
static void
head_timeout_spares_the_others(void **state)
{
	const struct front_app limits = { .head_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_request(&w, 2, KEEP, "/sleep?120", NULL);
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	peer_send_buf(&p, &w);
	expect_status(&p, 1, "Status: 408 Request", FCGI_REQUEST_COMPLETE);
	peer_expect(&p, 2, 1, "slept");
	peer_close(&p);
	bed_close(&b);
}

static void
body_timeout_fails_the_body(void **state)
{
	const struct front_app limits = { .body_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/echo", "body");
	w.len -= 10;	/* without its last bytes and end */
	peer_send_buf(&p, &w);
	peer_until_ends(&p, 1, 1);
	assert_int_equal(b.last, WEFT_TIMEOUT);
	peer_close(&p);
	bed_close(&b);
}

/* A handler that does not read is not disturbed by a body that does not end. */
static void
body_timeout_leaves_others_alone(void **state)
{
	const struct front_app limits = { .body_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_head(&w, 1, KEEP, "/sleep?100");
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "slept");
	assert_int_equal(b.last, WEFT_OK);
	peer_close(&p);
	bed_close(&b);
}

static void
send_timeout_resets(void **state)
{
	const struct front_app limits = { .send_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	p.deaf = true;
	add_request(&w, 1, KEEP, "/parts?640", NULL);
	peer_send_buf(&p, &w);
	until_count(&p, 0);
	assert_int_equal(b.app.aborted, 1);
	peer_settle(&p);
	assert_int_equal(b.last, WEFT_CANCELED);
	peer_close(&p);
	bed_close(&b);
}

/* An early answer without KEEP_CONN, and a peer that neither goes on nor ends. */
static void
lingering_is_bounded_in_time(void **state)
{
	const struct front_app limits = { .send_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_head(&w, 1, 0, "/ok");
	peer_send_buf(&p, &w);
	peer_until_eof(&p);
	peer_expect(&p, 1, 1, "ok");
	assert_int_equal(fcgi_conns_count(b.set), 1);
	until_count(&p, 0);
	assert_int_equal(b.app.served, 1);
	assert_int_equal(b.app.aborted, 0);
	peer_close(&p);
	bed_close(&b);
}

static void
idle_timeout_closes_kept_connections(void **state)
{
	const struct front_app limits = { .idle_timeout = SHORT };
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/sleep?100", NULL);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "slept");
	assert_false(p.eof);
	peer_until_eof(&p);
	peer_close(&p);
	bed_close(&b);
}

/* While nothing is awaited, no timer wakes the loop; a request sets it again. */
static void
idle_connections_wake_nobody(void **state)
{
	const struct front_app limits = { .head_timeout = SHORT, .send_timeout = SHORT };
	struct bed b;
	struct peer p;
	usec begin, slept = 0;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p, &b);
	add_base(&w, KEEP);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "ok");
	for (int i = 0; i < 6 && slept < 2 * SHORT; i++) {	/* the first are for what is set still */
		begin = clock_now();
		loop_turn(b.loop, 2 * SHORT);
		slept = clock_now() - begin;
	}
	assert_true(slept >= 2 * SHORT);
	add_request(&w, 1, KEEP, "/parts?640", NULL);
	p.deaf = true;
	peer_send_buf(&p, &w);
	until_count(&p, 0);
	peer_close(&p);
	bed_close(&b);
}

/* ---- anything ---- */

static uint32_t seed;

static uint32_t
any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Requests and other records, of which some bytes are wrong, in pieces of any length. */
static void
add_anything(struct buf *to)
{
	static const char *const uri[] = { "/ok", "/echo", "/parts?3", "/sleep?1", "/hang", "/log?5000", "/abort" };
	char bytes[64];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)any(256);
	for (uint32_t n = 1 + any(6); n > 0; n--) {
		uint16_t id = (uint16_t)any(4);

		switch (any(6)) {
		case 0:
			add_record(to, (uint8_t)any(14), id, (struct span){ bytes, any(64) }, (uint8_t)any(256));
			break;
		case 1:
			add_head(to, id, (uint8_t)any(2), uri[any(7)]);
			break;
		case 2:
			add_record(to, FCGI_ABORT_REQUEST, id, SPAN(""), 0);
			break;
		default:
			add_request(to, id, (uint8_t)any(2), uri[any(7)], any(2) ? "body" : NULL);
		}
	}
	for (uint32_t n = any(3); n > 0; n--)
		to->at[any((uint32_t)to->len)] = (char)any(256);
}

static void
any_bytes_leave_nothing_behind(void **state)
{
	const struct front_app limits = { .head_timeout = SHORT, .body_timeout = SHORT };
	struct bed b;

	(void)state;
	seed = 1;
	bed_open(&b, &limits);
	b.app.request.timeout = SHORT;
	for (int i = 0; i < 2000; i++) {
		struct peer p;
		size_t at = 0, n;

		if (any(2))
			peer_open(&p, &b);
		else
			peer_open_tcp(&p, &b);
		add_anything(&w);
		for (; at < w.len && !p.eof; at += n) {
			n = 1 + any((uint32_t)(w.len - at));
			peer_send(&p, (struct span){ w.at + at, n });
			if (any(2))
				loop_turn(b.loop, 0);
			if (any(4) == 0)
				peer_settle(&p);
			if (any(40) == 0)
				shutdown(p.fd, SHUT_WR);
		}
		buf_fini(&w);
		if (any(2))
			peer_settle(&p);
		peer_close(&p);
	}
	assert_true(b.app.served > 500);
	assert_true(b.app.bad_connections > 50);
	assert_true(b.app.aborted > 50);
	bed_close(&b);
}

/* ---- the end ---- */

static void
drain_closes_idle_and_serves_the_rest(void **state)
{
	struct bed b;
	struct peer idle, busy, late, fresh;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&idle, &b);
	peer_open(&busy, &b);
	peer_open(&late, &b);
	peer_open(&fresh, &b);
	add_base(&w, KEEP);
	peer_send(&idle, buf_span(&w));
	peer_expect(&idle, 1, 1, "ok");
	peer_send(&late, buf_span(&w));
	peer_expect(&late, 1, 1, "ok");
	buf_fini(&w);
	add_request(&w, 1, KEEP, "/sleep?100", NULL);
	peer_send_buf(&busy, &w);
	peer_settle(&busy);
	add_base(&w, KEEP);
	peer_send(&late, buf_span(&w));		/* on its way when we drain */
	fcgi_conns_drain(b.set);
	peer_until_eof(&idle);
	peer_until_eof(&late);
	peer_expect(&late, 1, 2, "ok");
	assert_false(fresh.eof);
	peer_send(&fresh, SPAN("\1\x09\0\0\0\0\0\0"));	/* connected before; HAProxy first asks for our values */
	peer_settle(&fresh);
	assert_int_equal(fresh.in.len, 8);
	assert_false(fresh.eof);
	peer_send_buf(&fresh, &w);
	peer_until_eof(&fresh);
	peer_expect(&fresh, 1, 1, "ok");
	peer_until_eof(&busy);
	peer_expect(&busy, 1, 1, "slept");
	until_count(&busy, 0);
	peer_close(&idle);
	peer_close(&busy);
	peer_close(&late);
	peer_close(&fresh);
	bed_close(&b);
}

static void
drain_does_not_wait_for_ever_for_who_just_connected(void **state)
{
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	fcgi_conns_drain(b.set);
	peer_until_eof(&p);
	peer_close(&p);
	bed_close(&b);
}

static void
free_cancels_what_runs(void **state)
{
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/hang", NULL);
	add_head(&w, 2, KEEP, "/echo");
	add_begin(&w, 3, FCGI_RESPONDER, KEEP);
	peer_send_buf(&p, &w);
	peer_settle(&p);
	bed_close(&b);		/* checks that nothing is left */
	assert_int_equal(b.canceled, 2);
	peer_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(l31_overload_is_said_at_once),
		cmocka_unit_test(l31_no_fiber_is_an_overload),
		cmocka_unit_test(l15_too_many_ids_on_a_connection),
		cmocka_unit_test(b23_too_long_params),
		cmocka_unit_test(b23_too_many_params),
		cmocka_unit_test(slow_reader_costs_the_high_water),
		cmocka_unit_test(writers_take_turns),
		cmocka_unit_test(half_a_request_costs_little),
		cmocka_unit_test(head_timeout_closes),
		cmocka_unit_test(head_timeout_is_of_the_whole_head),
		cmocka_unit_test(head_timeout_spares_the_others),
		cmocka_unit_test(body_timeout_fails_the_body),
		cmocka_unit_test(body_timeout_leaves_others_alone),
		cmocka_unit_test(send_timeout_resets),
		cmocka_unit_test(lingering_is_bounded_in_time),
		cmocka_unit_test(idle_timeout_closes_kept_connections),
		cmocka_unit_test(idle_connections_wake_nobody),
		cmocka_unit_test(any_bytes_leave_nothing_behind),
		cmocka_unit_test(drain_closes_idle_and_serves_the_rest),
		cmocka_unit_test(drain_does_not_wait_for_ever_for_who_just_connected),
		cmocka_unit_test(free_cancels_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
