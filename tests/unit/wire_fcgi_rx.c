/* SPDX-License-Identifier: ISC */
/*
 * Conversations are written with talk_put, which notes at the same time what
 * the receiver must report of them.  Each is then fed whole, cut at every
 * offset, one byte at a time and in random pieces; the report may not differ.
 * Every piece is a heap block of its own size, so that a sanitizer sees a
 * read beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/fcgi_rx.h"

enum { TALK_MAX = 2 << 20, TALK_RECORDS = 2048 };

/* What was reported, or what should be. */
struct seen {
	size_t records, ends, bad, len;
	struct fcgi_head head[TALK_RECORDS];
	char content[TALK_MAX];
};

static struct {
	size_t len;
	char wire[TALK_MAX];
	struct seen expected;
} talk;

static struct seen seen;

/* The caller of the receiver: keeps what a step leaves. */
struct peer {
	struct fcgi_rx rx;
	size_t kept, inside;
	bool takes_whole;	/* records that are all there, at once */
	char keep[FCGI_HEAD_SIZE];
};

static void
seen_clear(struct seen *s)
{
	s->records = s->ends = s->bad = s->len = 0;
}

static void
talk_begin(void)
{
	talk.len = 0;
	seen_clear(&talk.expected);
}

static void
talk_add(const void *at, size_t len)
{
	assert_true(len <= TALK_MAX - talk.len);
	memcpy(talk.wire + talk.len, at, len);
	talk.len += len;
}

static void
talk_put(uint8_t type, uint16_t id, struct span content, uint8_t padding)
{
	struct fcgi_head head = { type, padding, id, (uint16_t)content.len };
	unsigned char bytes[FCGI_HEAD_SIZE], pad[255];
	struct seen *x = &talk.expected;

	memset(pad, 0xaa, sizeof pad);
	fcgi_head_encode(bytes, &head);
	talk_add(bytes, sizeof bytes);
	talk_add(content.at, content.len);
	talk_add(pad, padding);
	x->head[x->records++] = head;
	x->ends++;
	memcpy(x->content + x->len, content.at, content.len);
	x->len += content.len;
}

static const struct span talk_begin_body = { "\0\1\0\0\0\0\0\0", 8 };
static const struct span talk_params = { "\x0e\3REQUEST_METHODGET", 19 };

/* The base request G of the protocol's tables, with a padding of one's choice. */
static void
talk_put_request(uint16_t id, uint8_t pad_params, uint8_t pad_others)
{
	talk_put(FCGI_BEGIN_REQUEST, id, talk_begin_body, pad_others);
	talk_put(FCGI_PARAMS, id, talk_params, pad_params);
	talk_put(FCGI_PARAMS, id, SPAN(""), pad_others);
	talk_put(FCGI_STDIN, id, SPAN(""), pad_others);
}

/* Content of the given length: records that begin requests, if anybody believes them. */
static struct span
talk_fake_begins(size_t len)
{
	static char fake[FCGI_CONTENT_MAX];
	unsigned char one[16];

	fcgi_begin_encode(one, 66, &(struct fcgi_begin){ FCGI_RESPONDER, 0 });
	for (size_t i = 0; i < len; i++)
		fake[i] = (char)one[i % sizeof one];
	return (struct span){ fake, len };
}

static void
peer_note(struct peer *p, const struct fcgi_event *ev, struct span in)
{
	switch (ev->kind) {
	case FCGI_EV_NONE:
		return;
	case FCGI_EV_RECORD:
		assert_int_equal(p->inside++, 0);
		assert_true(seen.records < TALK_RECORDS);
		seen.head[seen.records++] = p->rx.head;
		return;
	case FCGI_EV_DATA:
		assert_int_equal(p->inside, 1);
		assert_true(ev->data.len > 0 && ev->data.at == in.at && ev->data.len <= in.len);
		assert_true(ev->data.len <= TALK_MAX - seen.len);
		memcpy(seen.content + seen.len, ev->data.at, ev->data.len);
		seen.len += ev->data.len;
		return;
	case FCGI_EV_END:
		assert_int_equal(p->inside--, 1);
		seen.ends++;
		return;
	case FCGI_EV_BAD:
		assert_int_equal(p->inside, 0);
		seen.bad++;
		return;
	}
	fail();
}

/* Returns bytes consumed by a record that is all there; notes what its steps would have reported. */
static size_t
peer_take_whole(struct peer *p, struct span in)
{
	struct span content;
	size_t used = p->takes_whole ? fcgi_rx_whole(&p->rx, in, &content) : 0;

	if (used == 0)
		return 0;
	peer_note(p, &(struct fcgi_event){ .kind = FCGI_EV_RECORD }, in);
	if (content.len > 0)
		peer_note(p, &(struct fcgi_event){ FCGI_EV_DATA, content }, span_skip(in, FCGI_HEAD_SIZE));
	peer_note(p, &(struct fcgi_event){ .kind = FCGI_EV_END }, in);
	return used;
}

static void
peer_feed(struct peer *p, const char *at, size_t len)
{
	char *joint = malloc(p->kept + len + (p->kept + len == 0));
	struct span in = { joint, p->kept + len };
	struct fcgi_event ev;
	size_t used;

	assert_non_null(joint);
	memcpy(joint, p->keep, p->kept);
	memcpy(joint + p->kept, at, len);
	do {
		while ((used = peer_take_whole(p, in)) > 0)
			in = span_skip(in, used);
		used = fcgi_rx_step(&p->rx, in, &ev);
		assert_true(used <= in.len);
		peer_note(p, &ev, in);
		in = span_skip(in, used);
	} while (used > 0 || ev.kind != FCGI_EV_NONE);
	assert_true(in.len < FCGI_HEAD_SIZE);
	p->kept = in.len;
	memcpy(p->keep, in.at, in.len);
	free(joint);
}

static bool peers_take_whole;

static void
peer_begin(struct peer *p)
{
	*p = (struct peer){ .takes_whole = peers_take_whole };
	fcgi_rx_init(&p->rx);
	seen_clear(&seen);
}

static void
peer_check(const struct peer *p)
{
	const struct seen *x = &talk.expected;

	assert_int_equal(seen.records, x->records);
	assert_int_equal(seen.ends, x->ends);
	assert_int_equal(seen.bad, x->bad);
	assert_int_equal(seen.len, x->len);
	assert_memory_equal(seen.content, x->content, x->len);
	for (size_t i = 0; i < x->records; i++) {
		assert_int_equal(seen.head[i].type, x->head[i].type);
		assert_int_equal(seen.head[i].id, x->head[i].id);
		assert_int_equal(seen.head[i].length, x->head[i].length);
		assert_int_equal(seen.head[i].padding, x->head[i].padding);
	}
	assert_int_equal(p->rx.state, x->bad ? RX_SHUT : RX_HEAD);
	assert_int_equal(p->kept, 0);
}

static void
talk_check_whole(void)
{
	struct peer p;

	peer_begin(&p);
	peer_feed(&p, talk.wire, talk.len);
	peer_check(&p);
}

static void
talk_check_every_cut(void)
{
	struct peer p;

	for (size_t cut = 0; cut <= talk.len; cut++) {
		peer_begin(&p);
		peer_feed(&p, talk.wire, cut);
		peer_feed(&p, talk.wire + cut, talk.len - cut);
		peer_check(&p);
	}
}

static void
talk_check_bytewise(void)
{
	struct peer p;

	peer_begin(&p);
	for (size_t i = 0; i < talk.len; i++)
		peer_feed(&p, talk.wire + i, 1);
	peer_check(&p);
}

/* Pieces of 0..most bytes, the same ones on every run. */
static void
talk_check_random(size_t most, uint32_t seed)
{
	struct peer p;
	size_t at = 0, n;

	peer_begin(&p);
	while (at < talk.len) {
		seed = seed * 1664525u + 1013904223u;
		n = (seed >> 8) % (most + 1);
		n = n < talk.len - at ? n : talk.len - at;
		peer_feed(&p, talk.wire + at, n);
		at += n;
	}
	peer_check(&p);
}

/* However the network cuts the bytes, the events are the same. */
static void
talk_check_all(void)
{
	talk_check_whole();
	if (talk.len < 4096)
		talk_check_every_cut();
	if (talk.len < 300000)
		talk_check_bytewise();
	for (uint32_t seed = 0; seed < 20; seed++)
		talk_check_random(talk.len < 4096 ? 17 : 20000, seed);
}

/* Nor does it matter whether records that are all there are taken at once. */
static void
talk_check(void)
{
	talk_check_all();
	peers_take_whole = true;
	talk_check_all();
	peers_take_whole = false;
}

/* A01, A02, A03 */
static void
rx_takes_the_base_request(void **state)
{
	(void)state;
	talk_begin();
	talk_put_request(1, 5, 0);
	assert_int_equal(talk.len, 64);
	talk_check();
}

/* A04: padding also behind records without content */
static void
rx_skips_padding_of_every_record(void **state)
{
	(void)state;
	talk_begin();
	talk_put_request(1, 255, 255);
	talk_put_request(2, 0, 1);
	talk_check();
}

/* A05 */
static void
rx_ignores_the_reserved_byte(void **state)
{
	(void)state;
	talk_begin();
	talk_put_request(1, 5, 0);
	talk.wire[7] = '\xff';
	talk.wire[16 + 7] = '\xff';
	talk_check();
}

/* A06, A07: length and padding together do not fit in 16 bits */
static void
rx_takes_the_longest_records(void **state)
{
	(void)state;
	talk_begin();
	talk_put(FCGI_BEGIN_REQUEST, 1, talk_begin_body, 0);
	talk_put(FCGI_PARAMS, 1, talk_fake_begins(65535), 255);
	talk_put(FCGI_PARAMS, 1, SPAN(""), 0);
	talk_put(FCGI_STDIN, 1, talk_fake_begins(65535), 255);
	talk_put(FCGI_STDIN, 1, talk_fake_begins(65281), 255);
	talk_put(FCGI_STDIN, 1, SPAN(""), 0);
	talk_check();
}

/* A08, A09, A14: streams in records of one byte, and of two unequal parts */
static void
rx_takes_streams_however_they_are_divided(void **state)
{
	(void)state;
	talk_begin();
	talk_put(FCGI_BEGIN_REQUEST, 1, talk_begin_body, 0);
	for (size_t i = 0; i < talk_params.len; i++)
		talk_put(FCGI_PARAMS, 1, (struct span){ talk_params.at + i, 1 }, (uint8_t)(i % 3));
	for (size_t i = 1; i < talk_params.len; i++) {
		talk_put(FCGI_PARAMS, 1, (struct span){ talk_params.at, i }, 0);
		talk_put(FCGI_PARAMS, 1, span_skip(talk_params, i), 7);
	}
	for (size_t i = 0; i < 100; i++)
		talk_put(FCGI_STDIN, 1, SPAN("x"), 0);
	talk_put(FCGI_STDIN, 1, SPAN(""), 0);
	talk_check();
}

/* A15 */
static void
rx_takes_a_mebibyte(void **state)
{
	size_t left = 1 << 20, n;

	(void)state;
	talk_begin();
	talk_put_request(1, 0, 0);
	for (; left > 0; left -= n) {
		n = left < FCGI_CONTENT_MAX ? left : FCGI_CONTENT_MAX;
		talk_put(FCGI_STDIN, 1, talk_fake_begins(n), 0);
	}
	talk_check();
	assert_int_equal(seen.len, (1 << 20) + 8 + talk_params.len);
}

/* M06, M07, L10, L12: what nobody understands is stepped over exactly */
static void
rx_steps_over_unknown_records(void **state)
{
	(void)state;
	talk_begin();
	talk_put(0x63, 0, SPAN("abc"), 5);
	talk_put(0, 0, SPAN(""), 0);
	talk_put(255, 0, SPAN(""), 9);
	talk_put_request(1, 5, 0);
	talk_put(FCGI_STDIN, 7, talk_fake_begins(100), 3);
	talk_put(FCGI_PARAMS, 8, SPAN("\xff\xff"), 0);
	talk_put(FCGI_DATA, 9, SPAN(""), 0);
	talk_put_request(1, 5, 0);
	talk_check();
	talk_begin();
	talk_put(200, 0, talk_fake_begins(65535), 255);
	talk_put(FCGI_STDIN, 7, talk_fake_begins(65535), 255);
	talk_put_request(1, 5, 0);
	talk_check();
	assert_int_equal(seen.records, 6);
}

/* L19: known from the first byte on, said once, and what comes later is swallowed */
static void
rx_shuts_at_a_wrong_first_byte(void **state)
{
	static const char *const wrong[] = { "\0", "\2", "\xff", "G" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct fcgi_event ev;
		struct fcgi_rx rx;

		fcgi_rx_init(&rx);
		assert_int_equal(fcgi_rx_step(&rx, (struct span){ wrong[i], 0 }, &ev), 0);
		assert_int_equal(ev.kind, FCGI_EV_NONE);
		assert_int_equal(fcgi_rx_step(&rx, (struct span){ wrong[i], 1 }, &ev), 0);
		assert_int_equal(ev.kind, FCGI_EV_BAD);
		assert_int_equal(rx.state, RX_SHUT);
		talk_begin();
		talk.expected.bad = 1;
		talk_add(wrong[i], 1);
		talk_add(talk_fake_begins(64).at, 64);
		talk_check();
	}
}

/* L20 */
static void
rx_shuts_at_a_wrong_second_record(void **state)
{
	(void)state;
	talk_begin();
	talk_put(FCGI_BEGIN_REQUEST, 1, talk_begin_body, 4);
	talk.expected.bad = 1;
	talk_add("\2\4\0\1\0\0\0\0", 8);
	talk_add(talk_fake_begins(64).at, 64);
	talk_check();
}

/* One event a step, in order, and what each step eats. */
static void
rx_reports_one_event_a_step(void **state)
{
	static const struct {
		enum fcgi_event_kind kind;
		size_t used;
	} step[] = {
		{ FCGI_EV_RECORD, 8 },
		{ FCGI_EV_DATA, 5 },
		{ FCGI_EV_END, 0 },
		{ FCGI_EV_NONE, 3 },
		{ FCGI_EV_RECORD, 8 },
		{ FCGI_EV_END, 0 },
		{ FCGI_EV_NONE, 0 },
	};
	struct span in = SPAN("\1\5\0\7\0\5\3\0hello\0\0\0\1\5\0\7\0\0\0\0\1\5\0");
	struct fcgi_event ev;
	struct fcgi_rx rx;

	(void)state;
	fcgi_rx_init(&rx);
	for (size_t i = 0; i < sizeof step / sizeof step[0]; i++) {
		assert_int_equal(fcgi_rx_step(&rx, in, &ev), step[i].used);
		assert_int_equal(ev.kind, step[i].kind);
		in = span_skip(in, step[i].used);
	}
	assert_int_equal(in.len, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rx_takes_the_base_request),
		cmocka_unit_test(rx_skips_padding_of_every_record),
		cmocka_unit_test(rx_ignores_the_reserved_byte),
		cmocka_unit_test(rx_takes_the_longest_records),
		cmocka_unit_test(rx_takes_streams_however_they_are_divided),
		cmocka_unit_test(rx_takes_a_mebibyte),
		cmocka_unit_test(rx_steps_over_unknown_records),
		cmocka_unit_test(rx_shuts_at_a_wrong_first_byte),
		cmocka_unit_test(rx_shuts_at_a_wrong_second_record),
		cmocka_unit_test(rx_reports_one_event_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
