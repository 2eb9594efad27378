/* SPDX-License-Identifier: ISC */
/* The rows L of the protocol's table: the life of requests and connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "front_peer.h"
#include "loop/loop.h"

static struct bed bed;
static struct peer peer;
static struct buf w;

static int
setup(void **state)
{
	(void)state;
	bed_open(&bed, NULL);
	peer_open(&peer, &bed);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	peer_close(&peer);
	buf_fini(&w);
	bed_close(&bed);
	return 0;
}

/* Nothing but whole, good answers to the base request came, and the end. */
static void
expect_only_base(void)
{
	peer_until_eof(&peer);
	peer_expect(&peer, 1, 1, "ok");
	assert_int_equal(bed.started, 1);
}

static void
l01_fifty_requests_on_a_kept_connection(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 50; i++) {
		add_base(&w, KEEP);
		peer_send_buf(&peer, &w);
		peer_expect(&peer, 1, i, "ok");
	}
	assert_false(peer.eof);
	assert_int_equal(bed.app.served, 50);
}

static void
l02_ids_at_the_edges(void **state)
{
	static const uint16_t ids[] = { 1, 255, 256, 65535 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		add_request(&w, ids[i], KEEP, "/echo", "mine");
		peer_send_buf(&peer, &w);
		peer_expect(&peer, ids[i], 1, "mine");
	}
}

static void
l03_unknown_role_and_close(void **state)
{
	struct seen s;

	(void)state;
	add_begin(&w, 1, 9, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x01\x01" "ab"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_until_eof(&peer);
	peer_seen(&peer, 1, &s);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.closes, 0);
	assert_int_equal(s.protocol, FCGI_UNKNOWN_ROLE);
	assert_int_equal(peer.in.len, 16);
	assert_int_equal(bed.started, 0);
	seen_free(&s);
}

static void
l04_unknown_roles_and_on(void **state)
{
	struct seen s;

	(void)state;
	add_begin(&w, 2, 0, KEEP);
	add_record(&w, FCGI_PARAMS, 2, SPAN(""), 0);
	add_begin(&w, 2, FCGI_FILTER, KEEP);
	add_begin(&w, 2, 257, KEEP);	/* not 1 in 8 bits */
	add_base(&w, KEEP);
	peer_send_buf(&peer, &w);
	peer_expect(&peer, 1, 1, "ok");
	peer_seen(&peer, 2, &s);
	assert_int_equal(s.ends, 3);
	assert_int_equal(s.protocol, FCGI_UNKNOWN_ROLE);
	assert_false(peer.eof);
	seen_free(&s);
}

static void
l05_other_flags_do_not_keep(void **state)
{
	(void)state;
	add_base(&w, 0xfe);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l06_begin_of_a_wrong_length(void **state)
{
	static const size_t lengths[] = { 0, 7, 9 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct peer p;

		peer_open(&p, &bed);
		add_record(&w, FCGI_BEGIN_REQUEST, 1, (struct span){ "\0\1\1\0\0\0\0\0\0", lengths[i] }, 0);
		peer_send_buf(&p, &w);
		peer_until_eof(&p);
		assert_int_equal(p.in.len, 0);
		peer_close(&p);
	}
	assert_int_equal(bed.app.bad_connections, 3);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l07_abort_before_the_end_of_params(void **state)
{
	struct seen s;

	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST"), 0);
	add_record(&w, FCGI_ABORT_REQUEST, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 1, 1);
	peer_seen(&peer, 1, &s);
	assert_int_equal(peer.in.len, 16);
	assert_int_equal(s.protocol, FCGI_REQUEST_COMPLETE);
	assert_int_equal(bed.started, 0);
	assert_int_equal(bed.app.aborted, 1);
	assert_int_equal(bed.app.requests, 0);
	seen_free(&s);
	add_base(&w, KEEP);
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 1, 2);
	assert_int_equal(bed.app.served, 1);
}

static void
l08_abort_ends_at_once_and_cancels(void **state)
{
	(void)state;
	add_request(&w, 1, KEEP, "/hang", NULL);
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	assert_int_equal(bed.started, 1);
	assert_int_equal(bed.app.requests, 1);
	add_record(&w, FCGI_ABORT_REQUEST, 1, SPAN(""), 3);
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	assert_int_equal(peer.in.len, 16);	/* END, no STDOUT */
	assert_int_equal(peer.in.at[1], FCGI_END_REQUEST);
	assert_int_equal(bed.canceled, 1);
	assert_int_equal(bed.last, WEFT_CANCELED);
	assert_int_equal(fiber_sched_alive(loop_fibers(bed.loop)), 0);
	assert_int_equal(bed.app.requests, 0);
}

static void
l08_abort_in_the_same_read(void **state)
{
	(void)state;
	add_request(&w, 1, KEEP, "/hang", NULL);
	add_record(&w, FCGI_ABORT_REQUEST, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	assert_int_equal(peer.in.len, 16);
	assert_int_equal(bed.canceled, 1);
}

/* Some of the response was out: its stream is closed, so that the web server is not left waiting for the rest. */
static void
l08_abort_of_a_response_on_its_way(void **state)
{
	struct seen s;

	(void)state;
	add_request(&w, 1, KEEP, "/parts?100", NULL);
	peer.deaf = true;
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	add_record(&w, FCGI_ABORT_REQUEST, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	assert_int_equal(bed.app.aborted, 1);
	peer.deaf = false;
	peer_until_ends(&peer, 1, 1);
	peer_seen(&peer, 1, &s);
	assert_true(s.well_formed);
	assert_int_equal(s.closes, 1);
	assert_true(s.out.len < 100 * 16384);
	seen_free(&s);
}

static void
l09_abort_of_an_id_never_begun(void **state)
{
	(void)state;
	add_record(&w, FCGI_ABORT_REQUEST, 77, SPAN(""), 0);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l10_records_of_inactive_ids(void **state)
{
	(void)state;
	add_record(&w, FCGI_STDIN, 7, SPAN("0123456789"), 3);
	add_record(&w, FCGI_PARAMS, 8, SPAN("\xff\xff"), 0);
	add_record(&w, FCGI_DATA, 9, SPAN("x"), 0);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l11_empty_record_of_an_inactive_id(void **state)
{
	(void)state;
	add_record(&w, FCGI_STDIN, 7, SPAN(""), 0);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l12_fake_begins_for_an_inactive_id(void **state)
{
	static char content[FCGI_CONTENT_MAX];
	struct buf fake = { 0 };

	(void)state;
	add_base(&fake, 0);
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = fake.at[i % fake.len];
	add_record(&w, FCGI_STDIN, 7, (struct span){ content, sizeof content }, 255);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
	buf_fini(&fake);
}

static void
l13_late_stdin_after_the_end(void **state)
{
	(void)state;
	add_head(&w, 1, KEEP, "/ok");
	peer_send_buf(&peer, &w);
	peer_expect(&peer, 1, 1, "ok");
	add_record(&w, FCGI_STDIN, 1, SPAN("late"), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	add_base(&w, KEEP);
	peer_send_buf(&peer, &w);
	peer_expect(&peer, 1, 2, "ok");
	assert_int_equal(bed.started, 2);
}

static void
l14_begin_of_a_live_id(void **state)
{
	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_expect(&peer, 1, 1, "ok");
	peer_settle(&peer);
	assert_int_equal(bed.started, 1);
	assert_int_equal(bed.app.requests, 0);
	assert_false(peer.eof);
}

static void
l15_interleaved_requests(void **state)
{
	struct buf params = { 0 };

	(void)state;
	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("POST"));
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/echo"));
	add_pair(&params, SPAN("CONTENT_LENGTH"), SPAN("1"));
	/* Each stream is cut into records that alternate between 100 ids. */
	for (uint16_t id = 1; id <= 100; id++)
		add_begin(&w, id, FCGI_RESPONDER, KEEP);
	for (size_t at = 0; at < params.len; at += 9)
		for (uint16_t id = 1; id <= 100; id++)
			add_record(&w, FCGI_PARAMS, id, (struct span){ params.at + at, params.len - at < 9 ? params.len - at : 9 }, 0);
	for (uint16_t id = 1; id <= 100; id++)
		add_record(&w, FCGI_PARAMS, id, SPAN(""), 0);
	for (uint16_t id = 100; id >= 1; id--)
		add_record(&w, FCGI_STDIN, id, (struct span){ &"0123456789"[id % 10], 1 }, 0);
	for (uint16_t id = 1; id <= 100; id++)
		add_record(&w, FCGI_STDIN, id, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 0, 100);
	for (uint16_t id = 1; id <= 100; id++) {
		char body[2] = { "0123456789"[id % 10] };

		peer_expect(&peer, id, 1, body);
	}
	assert_int_equal(bed.started, 100);
	buf_fini(&params);
}

/* Whole requests of many ids, which are taken from where they were read, and all live at once. */
static void
l15_a_thousand_at_once(void **state)
{
	struct seen s;

	(void)state;
	for (unsigned id = 1; id <= 1000; id++)
		add_request(&w, (uint16_t)(id * 64), KEEP, "/sleep?20", NULL);	/* collide */
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 0, 1000);
	for (unsigned id = 1; id <= 1000; id++) {
		peer_seen(&peer, (uint16_t)(id * 64), &s);
		assert_int_equal(s.ends, 1);
		assert_int_equal(s.closes, 1);
		seen_free(&s);
	}
}

static void
l16_the_quick_one_is_answered_first(void **state)
{
	(void)state;
	add_request(&w, 1, KEEP, "/sleep?30", NULL);
	add_request(&w, 2, KEEP, "/ok", NULL);
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 2, 1);
	peer_expect(&peer, 2, 1, "ok");
	assert_null(peer_record(&peer, FCGI_END_REQUEST, 1, 0).at);
	peer_expect(&peer, 1, 1, "slept");
}

static void
l17_four_requests_in_one_write(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		add_request(&w, (uint16_t)(i + 1), KEEP, "/ok", NULL);
	peer_send_buf(&peer, &w);
	for (uint16_t id = 1; id <= 4; id++)
		peer_expect(&peer, id, 1, "ok");
}

/* G as it is: the same id each time, so each waits for the one before. */
static void
l17_the_same_id_four_times_in_one_write(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		add_request(&w, 7, i < 3 ? KEEP : 0, "/ok", NULL);
	add_record(&w, FCGI_GET_VALUES, 0, SPAN(""), 0);	/* behind the end */
	peer_send_buf(&peer, &w);
	for (int i = 0; i < 4; i++)
		peer_expect(&peer, 7, 1, "ok");
	peer_settle(&peer);
	assert_true(peer.eof);
	assert_int_equal(bed.started, 4);
}

static void
l18_unknown_type_with_an_id(void **state)
{
	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, 42, 1, SPAN("zz"), 9);
	add_record(&w, FCGI_GET_VALUES, 1, SPAN("zz"), 9);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l19_not_fastcgi(void **state)
{
	static const char first[] = { 0, 2, '\xff', 'G' };

	(void)state;
	for (size_t i = 0; i < sizeof first; i++) {
		struct peer p;

		peer_open(&p, &bed);
		peer_send(&p, (struct span){ &first[i], 1 });
		peer_until_eof(&p);
		assert_int_equal(p.in.len, 0);
		peer_close(&p);
	}
	assert_int_equal(bed.app.bad_connections, 4);
}

static void
l20_version_2_in_the_second_record(void **state)
{
	(void)state;
	add_base(&w, 0);
	w.at[16] = 2;
	peer_send_buf(&peer, &w);
	peer_until_eof(&peer);
	assert_int_equal(peer.in.len, 0);
	assert_int_equal(bed.started, 0);
	assert_int_equal(bed.app.bad_connections, 1);
	assert_int_equal(bed.app.requests, 0);
}

static void
l21_l22_application_records_without_id(void **state)
{
	static const uint8_t types[] = { FCGI_BEGIN_REQUEST, FCGI_PARAMS, FCGI_STDIN, FCGI_STDOUT, FCGI_END_REQUEST, FCGI_ABORT_REQUEST };

	(void)state;
	for (size_t i = 0; i < sizeof types; i++)
		add_record(&w, types[i], 0, SPAN("\0\1\1\0\0\0\0\0"), 0);
	add_base(&w, 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
	for (unsigned i = 0; i < sizeof types; i++)
		assert_int_equal(peer_record(&peer, FCGI_UNKNOWN_TYPE, 0, i).at[0], types[i]);
}

static void
l23_params_and_stdin_after_their_end(void **state)
{
	(void)state;
	add_head(&w, 1, KEEP, "/var?X_V");
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x03\x03X_Vabc"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN("more"), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_expect(&peer, 1, 1, "(none)");
	peer_settle(&peer);
	assert_int_equal(bed.started, 1);
	assert_false(peer.eof);
}

static void
l24_stdin_before_the_end_of_params(void **state)
{
	(void)state;
	for (int empty = 0; empty < 2; empty++) {
		struct peer p;

		peer_open(&p, &bed);
		add_begin(&w, 1, FCGI_RESPONDER, KEEP);
		add_record(&w, FCGI_STDIN, 1, empty ? SPAN("") : SPAN("x"), 0);
		peer_send_buf(&p, &w);
		peer_until_eof(&p);
		assert_int_equal(p.in.len, 0);
		peer_close(&p);
	}
	assert_int_equal(bed.app.bad_connections, 2);
}

static void
l25_half_close_is_not_an_abort(void **state)
{
	static const char *const uri[] = { "/ok", "/sleep?20", "/big?1000000" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int tcp = 0; tcp < 2; tcp++) {
			struct peer p;
			struct seen s;

			if (tcp)
				peer_open_tcp(&p, &bed);
			else
				peer_open(&p, &bed);
			add_request(&w, 1, KEEP, uri[i], NULL);
			peer_send_buf(&p, &w);
			assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
			peer_until_eof(&p);
			peer_seen(&p, 1, &s);
			assert_true(s.well_formed);
			assert_int_equal(s.ends, 1);
			seen_free(&s);
			peer_close(&p);
		}
	assert_int_equal(bed.app.served, 6);
	assert_int_equal(bed.app.aborted, 0);
}

/* What is not complete then never will be. */
static void
l25_half_close_in_the_middle(void **state)
{
	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x01"), 0);
	add_request(&w, 2, KEEP, "/sleep?10", NULL);
	add_head(&w, 3, KEEP, "/hang");
	peer_send_buf(&peer, &w);
	shutdown(peer.fd, SHUT_WR);
	peer_until_eof(&peer);
	peer_expect(&peer, 2, 1, "slept");
	assert_int_equal(peer_record(&peer, FCGI_END_REQUEST, 1, 0).len, 0);
	assert_int_equal(bed.app.aborted, 2);
	assert_int_equal(bed.canceled, 1);
}

static void
b16_end_after_each_byte(void **state)
{
	struct buf g = { 0 };

	(void)state;
	add_base(&g, KEEP);
	for (size_t cut = 0; cut < g.len; cut++) {
		struct peer p;

		peer_open(&p, &bed);
		peer_send(&p, (struct span){ g.at, cut });
		shutdown(p.fd, SHUT_WR);
		peer_until_eof(&p);
		peer_close(&p);
	}
	buf_fini(&g);
	peer_settle(&peer);
	assert_int_equal(fcgi_conns_count(bed.set), 1);
	assert_int_equal(bed.app.requests, 0);
}

static void
b22_peers_that_leave(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct peer p;

		if (i % 2 == 0)
			peer_open_tcp(&p, &bed);
		else
			peer_open(&p, &bed);
		add_request(&w, 1, KEEP, i % 3 == 0 ? "/hang" : "/parts?40", NULL);
		peer_send_buf(&p, &w);
		if (i % 5 == 0)
			loop_turn(bed.loop, 0);
		if (i % 2 == 0) {
			const struct linger now = { .l_onoff = 1 };

			setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		}
		peer_close(&p);
		loop_turn(bed.loop, 0);
	}
	peer_settle(&peer);
	peer_settle(&peer);
	assert_int_equal(fcgi_conns_count(bed.set), 1);
	assert_int_equal(bed.app.requests, 0);
}

static void
l26_authorizer_without_stdin(void **state)
{
	struct buf params = { 0 };

	(void)state;
	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("GET"));
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/len"));
	add_pair(&params, SPAN("CONTENT_LENGTH"), SPAN("5"));	/* of the body that it does not get */
	add_begin(&w, 1, FCGI_AUTHORIZER, 0);
	add_record(&w, FCGI_PARAMS, 1, buf_span(&params), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_until_eof(&peer);
	peer_expect(&peer, 1, 1, "0");
	buf_fini(&params);
}

static void
l26_authorizer_that_allows(void **state)
{
	struct buf params = { 0 };

	(void)state;
	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("GET"));
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/ok"));
	add_begin(&w, 1, FCGI_AUTHORIZER, 0);
	add_record(&w, FCGI_PARAMS, 1, buf_span(&params), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	peer_until_eof(&peer);
	peer_expect(&peer, 1, 1, "");
	buf_fini(&params);
}

static void
l29_nothing_before_the_end_of_params(void **state)
{
	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET"), 0);
	peer_send_buf(&peer, &w);
	peer_settle(&peer);
	assert_int_equal(peer.in.len, 0);
	assert_int_equal(fiber_sched_alive(loop_fibers(bed.loop)), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);
	expect_only_base();
}

static void
l30_all_are_finished_before_the_close(void **state)
{
	(void)state;
	add_request(&w, 1, 0, "/ok", NULL);
	add_request(&w, 2, KEEP, "/sleep?20", NULL);
	peer_send_buf(&peer, &w);
	peer_until_ends(&peer, 1, 1);
	peer_settle(&peer);
	assert_false(peer.eof);
	peer_until_eof(&peer);
	peer_expect(&peer, 1, 1, "ok");
	peer_expect(&peer, 2, 1, "slept");
}

/* ---- answers before the end of the input ---- */

static void
early_answer_is_not_lost_by_the_close(void **state)
{
	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		struct peer p;
		static char body[50000];

		if (tcp)
			peer_open_tcp(&p, &bed);
		else
			peer_open(&p, &bed);
		p.deaf = true;		/* first writes all, then reads */
		add_head(&w, 1, 0, "/ok");
		peer_send_buf(&p, &w);
		peer_settle(&p);
		assert_int_equal(bed.app.served, (unsigned)tcp + 1);
		for (int i = 0; i < 100; i++)
			add_record(&w, FCGI_STDIN, 1, (struct span){ body, sizeof body }, 0);
		add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
		peer_send_buf(&p, &w);
		p.deaf = false;
		peer_until_eof(&p);
		peer_expect(&p, 1, 1, "ok");
		assert_int_equal(fcgi_conns_count(bed.set), 2);	/* lingers until we end */
		peer_close(&p);
		for (int i = 0; i < 200 && fcgi_conns_count(bed.set) > 1; i++)
			peer_turn(&peer);
		assert_int_equal(fcgi_conns_count(bed.set), 1);
	}
}

/* The handler writes before it reads, the web server writes all before it reads. */
static void
c05_neither_side_waits_for_the_other(void **state)
{
	static char body[65000];
	struct seen s;

	(void)state;
	peer.deaf = true;
	add_head(&w, 1, KEEP, "/big?5000000");
	for (int i = 0; i < 80; i++)
		add_record(&w, FCGI_STDIN, 1, (struct span){ body, sizeof body }, 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&peer, &w);	/* would not return */
	peer.deaf = false;
	peer_until_ends(&peer, 1, 1);
	peer_seen(&peer, 1, &s);
	assert_true(s.well_formed);
	assert_int_equal(peer_body(buf_span(&s.out)).len, 5000000);
	seen_free(&s);
}

static void
b17_early_answer_and_the_id_again(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 200; i++) {
		if (i > 1) {
			add_record(&w, FCGI_STDIN, 1, SPAN("late"), 2);
			add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
		}
		add_head(&w, 1, KEEP, "/ok");
		peer_send_buf(&peer, &w);
		peer_until_ends(&peer, 1, i);
	}
	assert_int_equal(bed.app.served, 200);
	assert_false(peer.eof);
}

static void
broken_response_is_a_reset(void **state)
{
	struct peer p;

	(void)state;
	peer_open_tcp(&p, &bed);
	add_request(&w, 1, KEEP, "/abort", NULL);
	add_request(&w, 2, KEEP, "/hang", NULL);
	peer_send_buf(&p, &w);
	peer_until_eof(&p);
	assert_null(peer_record(&p, FCGI_END_REQUEST, 1, 0).at);
	assert_int_equal(bed.app.aborted, 2);
	peer_settle(&peer);
	assert_int_equal(bed.canceled, 1);
	peer_close(&p);
}

/* What other workers are told: connections that last, and many that have not asked yet. */
static void
connections_that_last_are_counted(void **state)
{
	uint32_t kept = 77;
	struct peer more[10];

	(void)state;
	bed.app.kept = &kept;
	for (int i = 0; i < 10; i++)
		peer_open(&more[i], &bed);
	/* 11 with the first one, of which a few are as usual. */
	peer_settle(&peer);
	assert_int_equal(kept, 11 - 4);
	for (unsigned i = 1; i <= 2; i++) {
		add_base(&w, KEEP);
		peer_send_buf(&peer, &w);
		peer_expect(&peer, 1, i, "ok");
	}
	assert_int_equal(kept, 1 + 10 - 4);
	for (int i = 1; i < 10; i++) {
		add_base(&w, 0);
		peer_send_buf(&more[i], &w);
		peer_until_eof(&more[i]);
	}
	assert_int_equal(kept, 1);
	add_base(&w, KEEP);
	peer_send_buf(&more[0], &w);
	peer_expect(&more[0], 1, 1, "ok");
	assert_int_equal(kept, 2);
	for (int i = 0; i < 10; i++)
		peer_close(&more[i]);
	peer_settle(&peer);
	assert_int_equal(kept, 1);
	bed.app.kept = NULL;
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(l01_fifty_requests_on_a_kept_connection),
		ROW(l02_ids_at_the_edges),
		ROW(l03_unknown_role_and_close),
		ROW(l04_unknown_roles_and_on),
		ROW(l05_other_flags_do_not_keep),
		ROW(l06_begin_of_a_wrong_length),
		ROW(l07_abort_before_the_end_of_params),
		ROW(l08_abort_ends_at_once_and_cancels),
		ROW(l08_abort_in_the_same_read),
		ROW(l08_abort_of_a_response_on_its_way),
		ROW(l09_abort_of_an_id_never_begun),
		ROW(l10_records_of_inactive_ids),
		ROW(l11_empty_record_of_an_inactive_id),
		ROW(l12_fake_begins_for_an_inactive_id),
		ROW(l13_late_stdin_after_the_end),
		ROW(l14_begin_of_a_live_id),
		ROW(l15_interleaved_requests),
		ROW(l15_a_thousand_at_once),
		ROW(l16_the_quick_one_is_answered_first),
		ROW(l17_four_requests_in_one_write),
		ROW(l17_the_same_id_four_times_in_one_write),
		ROW(l18_unknown_type_with_an_id),
		ROW(l19_not_fastcgi),
		ROW(l20_version_2_in_the_second_record),
		ROW(l21_l22_application_records_without_id),
		ROW(l23_params_and_stdin_after_their_end),
		ROW(l24_stdin_before_the_end_of_params),
		ROW(l25_half_close_is_not_an_abort),
		ROW(l25_half_close_in_the_middle),
		ROW(b16_end_after_each_byte),
		ROW(b22_peers_that_leave),
		ROW(l26_authorizer_without_stdin),
		ROW(l26_authorizer_that_allows),
		ROW(l29_nothing_before_the_end_of_params),
		ROW(l30_all_are_finished_before_the_close),
		ROW(early_answer_is_not_lost_by_the_close),
		ROW(c05_neither_side_waits_for_the_other),
		ROW(b17_early_answer_and_the_id_again),
		ROW(broken_response_is_a_reset),
		ROW(connections_that_last_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
