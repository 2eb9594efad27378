/* SPDX-License-Identifier: ISC */
/* The rows A (framing) and M (management) of the protocol's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front_peer.h"

/* One request on a connection of its own, sent as it is. */
static void
serve(struct buf *wire, const char *body)
{
	struct bed b;
	struct peer p;

	bed_open(&b, NULL);
	peer_open(&p, &b);
	peer_send_buf(&p, wire);
	peer_expect(&p, 1, 1, body);
	peer_until_eof(&p);
	assert_int_equal(b.app.served, 1);
	assert_int_equal(b.app.bad_connections, 0);
	peer_close(&p);
	bed_close(&b);
}

static void
a01_stdout_ends_once_then_end_then_eof(void **state)
{
	static const char end[] = "\1\6\0\1\0\0\0\0" "\1\3\0\1\0\10\0\0" "\0\0\0\0\0\0\0";	/* and one NUL */
	struct bed b;
	struct peer p;
	struct buf w = { 0 };

	(void)state;
	add_base(&w, 0);
	assert_int_equal(w.len, 16 + 8 + 19 + 5 + 8 + 8);
	bed_open(&b, NULL);
	peer_open(&p, &b);
	peer_send_buf(&p, &w);
	peer_until_eof(&p);
	peer_expect(&p, 1, 1, "ok");
	assert_true(p.in.len > sizeof end);
	assert_memory_equal(p.in.at + p.in.len - sizeof end, end, sizeof end);
	peer_close(&p);
	bed_close(&b);
}

static void
a02_one_byte_at_a_time(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };

	(void)state;
	add_base(&w, 0);
	bed_open(&b, NULL);
	peer_open(&p, &b);
	for (size_t i = 0; i < w.len; i++) {
		peer_send(&p, (struct span){ w.at + i, 1 });
		peer_turn(&p);
	}
	peer_until_eof(&p);
	peer_expect(&p, 1, 1, "ok");
	peer_close(&p);
	buf_fini(&w);
	bed_close(&b);
}

static void
a03_two_writes_split_anywhere(void **state)
{
	struct bed b;
	struct buf w = { 0 };

	(void)state;
	add_base(&w, 0);
	bed_open(&b, NULL);
	for (size_t cut = 1; cut < w.len; cut++) {
		struct peer p;

		peer_open(&p, &b);
		peer_send(&p, (struct span){ w.at, cut });
		peer_turn(&p);
		peer_send(&p, (struct span){ w.at + cut, w.len - cut });
		peer_until_eof(&p);
		peer_expect(&p, 1, 1, "ok");
		peer_close(&p);
	}
	buf_fini(&w);
	bed_close(&b);
}

static void
a04_padding_everywhere(void **state)
{
	struct buf w = { 0 }, params = { 0 };

	(void)state;
	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("POST"));
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/echo"));
	add_pair(&params, SPAN("CONTENT_LENGTH"), SPAN("5"));
	add_record(&w, FCGI_BEGIN_REQUEST, 1, (struct span){ "\0\1\0\0\0\0\0\0", 8 }, 255);
	add_record(&w, FCGI_PARAMS, 1, buf_span(&params), 255);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 255);
	add_record(&w, FCGI_STDIN, 1, SPAN("hello"), 255);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 255);
	serve(&w, "hello");
	buf_fini(&params);
}

static void
a05_reserved_bytes_are_not_looked_at(void **state)
{
	struct buf w = { 0 };

	(void)state;
	add_base(&w, 0);
	w.at[7] = '\xff';
	memset(w.at + 11, 0xff, 5);
	serve(&w, "ok");
}

/* Headers' 16-bit lengths and paddings must not be added in 16 bits; and content is not parsed for records. */
static void
a06_longest_stdin_of_fake_records(void **state)
{
	static char content[FCGI_CONTENT_MAX];
	struct buf w = { 0 }, fake = { 0 };

	(void)state;
	add_base(&fake, 0);
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = fake.at[i % fake.len];
	add_head(&w, 1, 0, "/len");
	w.at[16 + 8 + 16] = 'P';	/* any method: the body counts */
	add_record(&w, FCGI_STDIN, 1, (struct span){ content, sizeof content }, 255);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	serve(&w, "65535");
	buf_fini(&fake);
}

static void
a07_longest_params(void **state)
{
	static char value[65480];
	struct buf w = { 0 }, params = { 0 };

	(void)state;
	memset(value, 'v', sizeof value);
	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("GET"));
	add_pair(&params, SPAN("X"), (struct span){ value, sizeof value - params.len });
	while (params.len < FCGI_CONTENT_MAX)
		add_pair(&params, (struct span){ value, FCGI_CONTENT_MAX - params.len - 2 }, SPAN(""));
	assert_int_equal(params.len, FCGI_CONTENT_MAX);
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, buf_span(&params), 255);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	serve(&w, "ok");
	buf_fini(&params);
}

/* A stream of PARAMS, behind a method, cut into records of these lengths (the last one repeated). */
static void
add_cut_params(struct buf *w, struct span params, size_t first, size_t rest)
{
	add_begin(w, 1, FCGI_RESPONDER, 0);
	add_record(w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET"), 0);
	for (size_t n = first; params.len > 0; n = rest) {
		if (n > params.len)
			n = params.len;
		add_record(w, FCGI_PARAMS, 1, (struct span){ params.at, n }, 3);
		params = span_skip(params, n);
	}
	add_record(w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(w, FCGI_STDIN, 1, SPAN(""), 0);
}

static void
a08_pairs_cut_over_two_records(void **state)
{
	struct bed b;
	struct buf params = { 0 };
	char value[300];

	(void)state;
	memset(value, 'v', sizeof value);
	value[sizeof value - 1] = '\0';
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/var?X_V"));
	add_pair(&params, SPAN("X_V"), span_str(value));
	bed_open(&b, NULL);
	for (size_t cut = 1; cut < params.len; cut++) {
		struct buf w = { 0 };
		struct peer p;

		add_cut_params(&w, buf_span(&params), cut, SIZE_MAX);
		peer_open(&p, &b);
		peer_send_buf(&p, &w);
		peer_until_eof(&p);
		peer_expect(&p, 1, 1, value);
		peer_close(&p);
	}
	buf_fini(&params);
	bed_close(&b);
}

static void
a09_params_in_records_of_one_byte(void **state)
{
	struct buf w = { 0 }, params = { 0 };

	(void)state;
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/var?X_V"));
	add_pair(&params, SPAN("X_V"), SPAN("value"));
	add_cut_params(&w, buf_span(&params), 1, 1);
	serve(&w, "value");
	buf_fini(&params);
}

static void
a10_long_form_of_a_short_length(void **state)
{
	struct buf w = { 0 };

	(void)state;
	add_cut_params(&w, SPAN("\x0b\x08REQUEST_URI/var?X_V" "\x03\x80\x00\x00\x03X_Vabc"), SIZE_MAX, 1);
	serve(&w, "abc");
}

static void
a11_value_lengths(void **state)
{
	static const size_t lengths[] = { 127, 128, 255, 256, 65535, 65536 };
	static char value[65537];

	(void)state;
	memset(value, 'v', sizeof value);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct buf w = { 0 }, params = { 0 };

		add_pair(&params, SPAN("REQUEST_URI"), SPAN("/var?X_V"));
		add_pair(&params, SPAN("X_V"), (struct span){ value, lengths[i] });
		add_cut_params(&w, buf_span(&params), 65535, 65535);
		value[lengths[i]] = '\0';
		serve(&w, value);
		value[lengths[i]] = 'v';
		buf_fini(&params);
	}
}

static void
a13_empty_names_and_values(void **state)
{
	struct buf w = { 0 }, params = { 0 };

	(void)state;
	add_pair(&params, SPAN("X_E"), SPAN(""));
	add_pair(&params, SPAN(""), SPAN("x"));
	add_pair(&params, SPAN(""), SPAN(""));
	add_pair(&params, SPAN("REQUEST_URI"), SPAN("/var?X_E"));
	add_cut_params(&w, buf_span(&params), SIZE_MAX, 1);
	serve(&w, "");
	buf_fini(&params);
}

static void
a14_stdin_in_records_of_one_byte(void **state)
{
	static const char body[] = "one byte each";
	struct buf w = { 0 };

	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x04REQUEST_METHODPOST" "\x0b\x05REQUEST_URI/echo" "\x0e\x02" "CONTENT_LENGTH13"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	for (size_t i = 0; i < sizeof body - 1; i++)
		add_record(&w, FCGI_STDIN, 1, (struct span){ body + i, 1 }, (uint8_t)i);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	serve(&w, body);
}

static void
a15_a_mebibyte_of_stdin(void **state)
{
	static char content[FCGI_CONTENT_MAX];
	struct buf w = { 0 };
	size_t left = 1 << 20;

	(void)state;
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODPUT" "\x0b\x04REQUEST_URI/len" "\x0e\x07" "CONTENT_LENGTH1048576"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	for (size_t n; left > 0; left -= n) {
		n = left < sizeof content ? left : sizeof content;
		add_record(&w, FCGI_STDIN, 1, (struct span){ content, n }, 0);
	}
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	serve(&w, "1048576");
}

static void
a16_long_responses(void **state)
{
	static const char *const uri[] = { "/big?65535", "/big?65536", "/big?65537", "/big?131071", "/big?10000000" };
	struct bed b;

	(void)state;
	bed_open(&b, NULL);
	for (size_t i = 0; i < sizeof uri / sizeof uri[0]; i++) {
		struct buf w = { 0 };
		struct peer p;
		struct seen s;

		add_request(&w, 7, 0, uri[i], NULL);
		peer_open(&p, &b);
		peer_send_buf(&p, &w);
		peer_until_eof(&p);
		peer_seen(&p, 7, &s);
		assert_true(s.well_formed);
		assert_int_equal(s.closes, 1);
		assert_int_equal(s.ends, 1);
		assert_true(s.max <= FCGI_CONTENT_MAX);
		assert_int_equal(peer_body(buf_span(&s.out)).len, strtoul(uri[i] + 5, NULL, 10));
		seen_free(&s);
		peer_close(&p);
	}
	bed_close(&b);
}

/* The whole head is in the first record, however long the body. */
static void
a16_head_is_in_the_first_record(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct span first;

	(void)state;
	add_request(&w, 1, KEEP, "/big?200000", NULL);
	bed_open(&b, NULL);
	peer_open(&p, &b);
	peer_send_buf(&p, &w);
	peer_until_ends(&p, 1, 1);
	first = peer_record(&p, FCGI_STDOUT, 1, 0);
	assert_true(first.len > 0);
	assert_non_null(memmem(first.at, first.len, "\r\n\r\n", 4));
	peer_close(&p);
	bed_close(&b);
}

static void
a17_nothing_of_before_is_in_reserved_bytes(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/big?9000", NULL);
	peer_send_buf(&p, &w);
	peer_until_ends(&p, 1, 1);
	add_base(&w, KEEP);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 2, "ok");
	peer_close(&p);
	bed_close(&b);
}

static void
a18_stderr_records_are_short(void **state)
{
	static const struct { const char *uri; unsigned records; size_t len; } row[] = {
		{ "/log?20000", 5, 20000 }, { "/log?8191", 2, 8191 }, { "/log?8192", 2, 8192 }, { "/log?4096", 1, 4096 },
	};
	struct bed b;
	struct peer p;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf w = { 0 };
		struct seen s;

		add_request(&w, 1, KEEP, row[i].uri, NULL);
		peer_send_buf(&p, &w);
		peer_expect(&p, 1, 1, "logged");
		peer_seen(&p, 1, &s);
		assert_int_equal(s.errs, row[i].records);
		assert_int_equal(s.err.len, row[i].len);
		assert_true(s.max <= 4096);
		seen_free(&s);
		peer_forget(&p);
	}
	peer_close(&p);
	bed_close(&b);
}

static void
a18_a_megabyte_of_log_is_cut(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct seen s;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/log?1048576", NULL);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "logged");
	peer_seen(&p, 1, &s);
	assert_true(s.err.len > 100000 && s.err.len < 200000);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

static void
a18_one_stderr_record_is_one_line(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct seen s;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_request(&w, 1, KEEP, "/text", NULL);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "logged");
	peer_seen(&p, 1, &s);
	assert_int_equal(s.errs, 2);
	assert_int_equal(s.err.len, 16);
	assert_memory_equal(s.err.at, "x?\n[FAKE] ?[31m\n", 16);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

static void
a19_no_stderr_without_log(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct seen s;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_base(&w, KEEP);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "ok");
	peer_seen(&p, 1, &s);
	assert_int_equal(s.errs, 0);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

static void
a20_bad_values_are_refused(void **state)
{
	static const struct span value[] = { { "a\0b", 3 }, { "a\rb", 3 }, { "a\nb", 3 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf w = { 0 }, params = { 0 };

		add_pair(&params, SPAN("X"), value[i]);
		add_cut_params(&w, buf_span(&params), SIZE_MAX, 1);
		serve(&w, "bad");
		buf_fini(&params);
	}
}

/* Params whose last pair claims more than there is. */
static void
b11_params_cut_short_are_refused(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct seen s;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_begin(&w, 1, FCGI_RESPONDER, KEEP);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x01\x01" "AB" "\xff\xff\xff\xff\xff\xff\xff\xff" "AAAA"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	add_base(&w, KEEP);
	peer_send_buf(&p, &w);
	peer_until_ends(&p, 1, 2);
	peer_seen(&p, 1, &s);
	assert_true(s.well_formed);
	assert_memory_equal(s.out.at, "Status: 400", 11);
	assert_int_equal(b.started, 1);
	seen_free(&s);
	peer_close(&p);
	bed_close(&b);
}

/* ---- management ---- */

/* Send one record with id 0 on a new connection; returns its answer's content, and checks that the connection is of use still. */
static void
manage(uint8_t type, struct span content, uint8_t pad, uint8_t answer, struct span expected)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	struct span got;

	bed_open(&b, NULL);
	for (size_t cut = 0; cut <= 12; cut += 4) {
		peer_open(&p, &b);
		add_record(&w, type, 0, content, pad);
		peer_send(&p, (struct span){ w.at, cut < w.len ? cut : w.len });
		peer_settle(&p);
		peer_send(&p, cut < w.len ? span_skip(buf_span(&w), cut) : SPAN(""));
		buf_fini(&w);
		peer_settle(&p);
		got = peer_record(&p, answer, 0, 0);
		assert_non_null(got.at);
		assert_int_equal(got.len, expected.len);
		assert_memory_equal(got.at, expected.at, expected.len);
		assert_int_equal(p.in.len, FCGI_HEAD_SIZE + expected.len);
		add_base(&w, 0);
		peer_send_buf(&p, &w);
		peer_expect(&p, 1, 1, "ok");
		peer_close(&p);
	}
	bed_close(&b);
}

static void
m01_values_alone(void **state)
{
	(void)state;
	manage(FCGI_GET_VALUES, SPAN("\x0e\0FCGI_MAX_CONNS" "\x0d\0FCGI_MAX_REQS" "\x0f\0FCGI_MPXS_CONNS"), 0, FCGI_GET_VALUES_RESULT,
	    SPAN("\x0e\x05" "FCGI_MAX_CONNS20000" "\x0d\x04" "FCGI_MAX_REQS1024" "\x0f\x01" "FCGI_MPXS_CONNS1"));
}

static void
m02_unknown_and_empty_queries(void **state)
{
	(void)state;
	manage(FCGI_GET_VALUES, SPAN("\x04\0NOPE" "\x0d\0FCGI_MAX_REQS"), 5, FCGI_GET_VALUES_RESULT, SPAN("\x0d\x04" "FCGI_MAX_REQS1024"));
	manage(FCGI_GET_VALUES, SPAN(""), 0, FCGI_GET_VALUES_RESULT, SPAN(""));
}

static void
m03_each_name_once(void **state)
{
	struct buf query = { 0 };

	(void)state;
	for (int i = 0; i < 3000; i++)
		add_pair(&query, SPAN("FCGI_MAX_CONNS"), SPAN(""));
	manage(FCGI_GET_VALUES, buf_span(&query), 0, FCGI_GET_VALUES_RESULT, SPAN("\x0e\x05" "FCGI_MAX_CONNS20000"));
	buf_fini(&query);
}

static void
m04_values_at_any_time(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_begin(&w, 1, FCGI_RESPONDER, 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET" "\x0b\x08REQUEST_URI/var"), 0);	/* goes on in the next */
	add_record(&w, FCGI_GET_VALUES, 0, SPAN("\x0f\0FCGI_MPXS_CONNS"), 0);
	peer_send_buf(&p, &w);
	peer_settle(&p);
	assert_int_equal(peer_record(&p, FCGI_GET_VALUES_RESULT, 0, 0).len, 18);
	add_record(&w, FCGI_PARAMS, 1, SPAN("?X_V" "\x03\x03X_Vabc"), 0);
	add_record(&w, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(&w, FCGI_STDIN, 1, SPAN(""), 0);
	peer_send_buf(&p, &w);
	peer_expect(&p, 1, 1, "abc");
	peer_close(&p);
	bed_close(&b);
}

static void
m05_malformed_query(void **state)
{
	(void)state;
	manage(FCGI_GET_VALUES, SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\x41"), 0, FCGI_GET_VALUES_RESULT, SPAN(""));
	manage(FCGI_GET_VALUES, SPAN("\x0d\0FCGI_MAX_REQS" "\x0d\x7f" "FCGI"), 0, FCGI_GET_VALUES_RESULT, SPAN(""));
}

static void
m06_unknown_type_is_said_and_skipped(void **state)
{
	(void)state;
	manage(0x63, SPAN("abc"), 5, FCGI_UNKNOWN_TYPE, SPAN("\x63\0\0\0\0\0\0\0"));
}

static void
m07_its_content_is_not_parsed(void **state)
{
	static char content[FCGI_CONTENT_MAX];
	struct buf fake = { 0 };

	(void)state;
	add_base(&fake, 0);
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = fake.at[i % fake.len];
	manage(200, (struct span){ content, sizeof content }, 255, FCGI_UNKNOWN_TYPE, SPAN("\xc8\0\0\0\0\0\0\0"));
	buf_fini(&fake);
}

static void
m08_types_at_the_edges(void **state)
{
	(void)state;
	manage(0, SPAN(""), 0, FCGI_UNKNOWN_TYPE, SPAN("\0\0\0\0\0\0\0\0"));
	manage(255, SPAN("x"), 0, FCGI_UNKNOWN_TYPE, SPAN("\xff\0\0\0\0\0\0\0"));
}

/* Answers of the peer to questions that we never asked are passed over; to answer them could go on for ever. */
static void
m08_answers_are_not_answered(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	add_record(&w, FCGI_UNKNOWN_TYPE, 0, SPAN("\x63\0\0\0\0\0\0\0"), 0);
	add_record(&w, FCGI_GET_VALUES_RESULT, 0, SPAN("x"), 0);
	peer_send_buf(&p, &w);
	peer_settle(&p);
	assert_int_equal(p.in.len, 0);
	assert_false(p.eof);
	peer_close(&p);
	bed_close(&b);
}

/* A peer that makes us talk and does not listen is closed at a cap. */
static void
m09_talking_is_bounded(void **state)
{
	struct bed b;
	struct peer p;
	struct buf w = { 0 };
	unsigned i;

	(void)state;
	bed_open(&b, NULL);
	peer_open(&p, &b);
	p.deaf = true;
	add_request(&w, 1, KEEP, "/parts?64", NULL);
	for (i = 0; i < 20; i++)
		add_record(&w, FCGI_GET_VALUES, 0, SPAN("\x0e\0FCGI_MAX_CONNS" "\x0d\0FCGI_MAX_REQS" "\x0f\0FCGI_MPXS_CONNS"), 0);
	peer_send_buf(&p, &w);
	for (i = 0; i < 20; i++)
		add_record(&w, FCGI_GET_VALUES, 0, SPAN("\x0e\0FCGI_MAX_CONNS" "\x0d\0FCGI_MAX_REQS" "\x0f\0FCGI_MPXS_CONNS"), 0);
	for (i = 0; i < 500 && fcgi_conns_count(b.set) > 0; i++) {
		peer_send(&p, buf_span(&w));
		peer_turn(&p);
	}
	assert_int_equal(fcgi_conns_count(b.set), 0);
	assert_int_equal(b.app.bad_connections, 1);
	assert_true(i > 50);	/* some are queued behind */
	buf_fini(&w);
	peer_close(&p);
	bed_close(&b);
}

static void
m10_values_are_the_limits(void **state)
{
	const struct front_app limits = { .max_connections = 2, .max_requests = 1, .multiplex = 1 };
	struct bed b;
	struct peer p[3];
	struct buf w = { 0 };
	struct span got;

	(void)state;
	bed_open(&b, &limits);
	peer_open(&p[0], &b);
	peer_open(&p[1], &b);
	peer_open(&p[2], &b);
	peer_settle(&p[2]);
	assert_true(p[2].eof);
	assert_int_equal(b.app.refused, 1);
	add_record(&w, FCGI_GET_VALUES, 0, SPAN("\x0e\0FCGI_MAX_CONNS" "\x0d\0FCGI_MAX_REQS" "\x0f\0FCGI_MPXS_CONNS"), 0);
	peer_send_buf(&p[0], &w);
	peer_settle(&p[0]);
	got = peer_record(&p[0], FCGI_GET_VALUES_RESULT, 0, 0);
	assert_int_equal(got.len, 51);
	assert_memory_equal(got.at, "\x0e\x01" "FCGI_MAX_CONNS2" "\x0d\x01" "FCGI_MAX_REQS1" "\x0f\x01" "FCGI_MPXS_CONNS0", 51);
	for (int i = 0; i < 3; i++)
		peer_close(&p[i]);
	bed_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a01_stdout_ends_once_then_end_then_eof),
		cmocka_unit_test(a02_one_byte_at_a_time),
		cmocka_unit_test(a03_two_writes_split_anywhere),
		cmocka_unit_test(a04_padding_everywhere),
		cmocka_unit_test(a05_reserved_bytes_are_not_looked_at),
		cmocka_unit_test(a06_longest_stdin_of_fake_records),
		cmocka_unit_test(a07_longest_params),
		cmocka_unit_test(a08_pairs_cut_over_two_records),
		cmocka_unit_test(a09_params_in_records_of_one_byte),
		cmocka_unit_test(a10_long_form_of_a_short_length),
		cmocka_unit_test(a11_value_lengths),
		cmocka_unit_test(a13_empty_names_and_values),
		cmocka_unit_test(a14_stdin_in_records_of_one_byte),
		cmocka_unit_test(a15_a_mebibyte_of_stdin),
		cmocka_unit_test(a16_long_responses),
		cmocka_unit_test(a16_head_is_in_the_first_record),
		cmocka_unit_test(a17_nothing_of_before_is_in_reserved_bytes),
		cmocka_unit_test(a18_stderr_records_are_short),
		cmocka_unit_test(a18_a_megabyte_of_log_is_cut),
		cmocka_unit_test(a18_one_stderr_record_is_one_line),
		cmocka_unit_test(a19_no_stderr_without_log),
		cmocka_unit_test(a20_bad_values_are_refused),
		cmocka_unit_test(b11_params_cut_short_are_refused),
		cmocka_unit_test(m01_values_alone),
		cmocka_unit_test(m02_unknown_and_empty_queries),
		cmocka_unit_test(m03_each_name_once),
		cmocka_unit_test(m04_values_at_any_time),
		cmocka_unit_test(m05_malformed_query),
		cmocka_unit_test(m06_unknown_type_is_said_and_skipped),
		cmocka_unit_test(m07_its_content_is_not_parsed),
		cmocka_unit_test(m08_types_at_the_edges),
		cmocka_unit_test(m08_answers_are_not_answered),
		cmocka_unit_test(m09_talking_is_bounded),
		cmocka_unit_test(m10_values_are_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
