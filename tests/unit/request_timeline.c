/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "request/timeline.h"
#include "request/timeline_draw.h"

static struct timeline_ring ring, other;
static struct timeline_record out[2 * TIMELINE_RECORDS];

static size_t
collect(size_t max)
{
	struct timeline_ring *rings[] = { &ring, &other };

	return timeline_collect(rings, 2, out, max);
}

static void
reset(void)
{
	timeline_ring_init(&ring);
	timeline_ring_init(&other);
}

static void
a_record_is_kept(void **state)
{
	struct timeline_mark m;

	(void)state;
	reset();
	assert_int_equal(collect(9), 0);
	assert_int_equal(collect(0), 0);
	timeline_begin(&m, &ring, SPAN("GET /item/7"), 5000);
	timeline_wait(&m, WAIT_SQL, 5100, 6100);
	timeline_wait(&m, WAIT_REDIS, 6200, 6300);
	assert_int_equal(collect(9), 1);
	assert_int_equal(out[0].end, 0);
	assert_int_equal(out[0].pid, getpid());
	timeline_end(&m, 200, 6400);
	timeline_wait(&m, WAIT_SQL, 6500, 6600);
	assert_int_equal(collect(9), 1);
	assert_string_equal(out[0].what, "GET /item/7");
	assert_int_equal(out[0].status, 200);
	assert_int_equal(out[0].begin, 5000);
	assert_int_equal(out[0].end, 6400);
	assert_int_equal(out[0].nsegments, 2);
	assert_int_equal(out[0].segment[0].from, 100);
	assert_int_equal(out[0].segment[0].until, 1100);
	assert_int_equal(out[0].segment[1].why, WAIT_REDIS);
}

static void
what_is_cut(void **state)
{
	struct timeline_mark m;

	(void)state;
	reset();
	timeline_begin(&m, &ring, SPAN("GET /abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"), 1);
	assert_int_equal(collect(9), 1);
	assert_string_equal(out[0].what, "GET /abcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
	assert_int_equal(strlen(out[0].what), TIMELINE_WHAT - 1);
	timeline_begin(&m, &ring, SPAN("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTU"), 2);
	assert_int_equal(collect(9), 2);
	assert_int_equal(strlen(out[1].what), TIMELINE_WHAT - 1);
	/* No ring: nothing happens. */
	timeline_begin(&m, NULL, SPAN("GET /"), 3);
	timeline_wait(&m, WAIT_SQL, 3, 4);
	timeline_end(&m, 200, 5);
	assert_int_equal(collect(9), 2);
}

static void
more_waits_than_segments(void **state)
{
	struct timeline_mark m;

	(void)state;
	reset();
	timeline_begin(&m, &ring, SPAN("GET /"), 0);
	for (int i = 0; i < 70000; i++)
		timeline_wait(&m, WAIT_SQL, i * 10, i * 10 + 5);
	timeline_end(&m, 200, 700000);
	assert_int_equal(collect(9), 1);
	assert_int_equal(out[0].nsegments, TIMELINE_SEGMENTS);
	assert_int_equal(out[0].segment[TIMELINE_SEGMENTS - 1].from, (TIMELINE_SEGMENTS - 1) * 10);
	assert_int_equal(out[0].segment[TIMELINE_SEGMENTS - 1].until, 699995);
}

static void
a_wait_that_has_begun(void **state)
{
	struct timeline_mark m;

	(void)state;
	reset();
	timeline_begin(&m, &ring, SPAN("GET /"), 1000);
	timeline_wait(&m, WAIT_HTTP, 1500, CLOCK_NEVER);
	assert_int_equal(collect(9), 1);
	assert_int_equal(out[0].nsegments, 1);
	assert_true(out[0].segment[0].until == UINT32_MAX);
	timeline_wait(&m, WAIT_HTTP, 1500, 2500);
	timeline_wait(&m, WAIT_SQL, 2600, 2700);
	timeline_wait(&m, WAIT_SQL, 2800, CLOCK_NEVER);
	timeline_end(&m, 200, 3000);
	assert_int_equal(collect(9), 1);
	assert_int_equal(out[0].nsegments, 3);
	assert_int_equal(out[0].segment[0].until, 1500);
	assert_int_equal(out[0].segment[2].until, 2000);
}

static void
times_saturate(void **state)
{
	struct timeline_mark m;

	(void)state;
	reset();
	timeline_begin(&m, &ring, SPAN("GET /"), 1000);
	timeline_wait(&m, WAIT_SQL, 500, 10000 * USEC_PER_SEC);
	assert_int_equal(collect(9), 1);
	assert_int_equal(out[0].segment[0].from, 0);
	assert_true(out[0].segment[0].until == UINT32_MAX - 1);
}

/* The ring is bounded; who lost the record notices. */
static void
the_ring_goes_round(void **state)
{
	struct timeline_mark old, m;
	char path[24];

	(void)state;
	reset();
	timeline_begin(&old, &ring, SPAN("GET /old"), 1);
	for (int i = 0; i < TIMELINE_RECORDS; i++) {
		snprintf(path, sizeof path, "GET /%d", i);
		timeline_begin(&m, &ring, span_str(path), 10 + i);
		if (i % 2 == 0)
			timeline_end(&m, 200, 11 + i);
	}
	timeline_wait(&old, WAIT_SQL, 2, 1000);
	timeline_end(&old, 500, 2000);
	assert_int_equal(collect(2 * TIMELINE_RECORDS), TIMELINE_RECORDS);
	for (size_t i = 0; i < TIMELINE_RECORDS; i++) {
		snprintf(path, sizeof path, "GET /%zu", i);
		assert_string_equal(out[i].what, path);
		assert_int_equal(out[i].nsegments, 0);
	}
	/* The newest of all rings, oldest first. */
	for (int i = 0; i < 100; i++)
		timeline_begin(&m, &other, SPAN("PUT /"), 10 + TIMELINE_RECORDS - 50 + i);
	for (size_t max = 1; max < 300; max += 7) {
		assert_int_equal(collect(max), max);
		for (size_t i = 1; i < max; i++)
			assert_true(out[i - 1].begin <= out[i].begin);
		assert_int_equal(out[max - 1].begin, 10 + TIMELINE_RECORDS + 49);
		if (max > 150)
			assert_int_equal(out[0].begin, 10 + TIMELINE_RECORDS - (max - 100));
	}
}

static void
check(const struct timeline_record *r)
{
	uint32_t last = 0;

	assert_true(r->number != 0 && r->pid > 0 && r->begin >= 0);
	assert_true(r->end == 0 || r->end >= r->begin);
	assert_true(r->nsegments <= TIMELINE_SEGMENTS);
	assert_true(r->status == 0 || (r->status >= 100 && r->status <= 999));
	assert_true(memchr(r->what, '\0', TIMELINE_WHAT) != NULL);
	for (const char *p = r->what; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	for (unsigned i = 0; i < r->nsegments; i++) {
		assert_true(r->segment[i].why > WAIT_NONE && r->segment[i].why < WAIT_COUNT);
		assert_true(r->segment[i].from >= last && r->segment[i].until >= r->segment[i].from);
		last = r->segment[i].until;
	}
}

static void
draw_all(size_t n, usec now)
{
	struct buf b;
	json_t *json;

	for (unsigned columns = 0; columns < 200; columns += 79) {
		buf_init(&b, 1 << 24);
		timeline_text(&b, out, n, now, columns, columns > 100);
		assert_false(b.bad);
		buf_fini(&b);
	}
	buf_init(&b, 1 << 24);
	timeline_svg(&b, out, n, now);
	assert_false(b.bad);
	buf_clear(&b);
	timeline_json(&b, out, n);
	assert_false(b.bad);
	json = json_loadb(b.at, b.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_array_size(json), n);
	json_decref(json);
	buf_fini(&b);
}

/* Another process wrote nonsense into its ring: what is collected is sound, and can be drawn. */
static void
scribbled_memory(void **state)
{
	uint32_t seed = 12345;
	unsigned char *bytes = (unsigned char *)&ring;
	size_t found = 0, n;

	(void)state;
	reset();
	for (int round = 0; round < 60; round++) {
		for (size_t i = 0; i < sizeof ring; i++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[i] = round % 3 == 0 ? (unsigned char)(seed >> 24) : (unsigned char)(seed >> 31 ? 0xff : 0);
		}
		/* Records which get past the first look. */
		for (size_t i = 0; i < TIMELINE_RECORDS && round % 3 != 2; i++) {
			ring.record[i].number = TIMELINE_RECORDS * 3 + i;
			ring.record[i].pid &= 0x7fffffff;
			ring.record[i].begin &= TIMELINE_TIME_MAX / 2 - 1;
			if (i % 2 == 0)
				ring.record[i].end = ring.record[i].begin + (i % 4 == 0 ? TIMELINE_TIME_MAX / 2 : 1000);
			else
				ring.record[i].end = 0;
		}
		n = collect(TIMELINE_RECORDS);
		for (size_t i = 0; i < n; i++)
			check(&out[i]);
		found += n;
		draw_all(n < 20 ? n : 20, round % 2 == 0 ? 0 : CLOCK_NEVER / 2);
	}
	assert_true(found > 1000);
	reset();
}

/* A little afternoon of a shop. */
static size_t
afternoon(void)
{
	static const struct {
		const char *method, *path;
		unsigned status;
		int begin;			/* ms */
		struct {
			enum wait_why why;
			int from, until;	/* tenths of a millisecond after begin */
		} wait[5];
		int end;
	} list[] = {
		{ "GET", "/shop/list", 200, 0, { { WAIT_SQL, 10, 1800 }, { WAIT_REDIS, 1830, 2000 } }, 203 },
		{ "GET", "/item/17", 200, 12, { { WAIT_POOL, 8, 600 }, { WAIT_SQL, 600, 1500 }, { WAIT_HTTP, 1540, 2950 } }, 297 },
		{ "POST", "/cart", 303, 30, { { WAIT_CLIENT, 5, 400 }, { WAIT_REDIS, 420, 700 } }, 72 },
		{ "GET", "/report/2026?<&\">", 200, 45, { { WAIT_THREAD, 100, 2200 }, { WAIT_FIBER, 2400, 2900 } }, 330 },
		{ "GET", "/health", 200, 90, { { WAIT_NONE, 0, 0 } }, 1 },
		{ "GET", "/item/a-rather-long-path/that-goes-on-and-on", 504, 120, { { WAIT_SQL, 20, 2000 } }, 201 },
		{ "GET", "/search", 200, 140, { { WAIT_HTTP, 30, 1200 }, { WAIT_SQL, 1260, 1900 }, { WAIT_SLEEP, 1950, 2100 } }, 214 },
		{ "GET", "/stream", 0, 160, { { WAIT_FD, 10, 800 }, { WAIT_CLIENT, 900, 1500 } }, 152 },
		{ "GET", "/item/18", 0, 210, { { WAIT_POOL, 5, 300 }, { WAIT_SQL, 310, 320 } }, 0 },
	};
	struct timeline_mark m;
	char what[100];

	reset();
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		usec begin = 1000000 + list[i].begin * USEC_PER_MSEC;

		snprintf(what, sizeof what, "%s %s", list[i].method, list[i].path);
		timeline_begin(&m, &ring, span_str(what), begin);
		for (int j = 0; j < 5 && list[i].wait[j].why != WAIT_NONE; j++)
			timeline_wait(&m, list[i].wait[j].why, begin + list[i].wait[j].from * 100, begin + list[i].wait[j].until * 100);
		if (list[i].end != 0)
			timeline_end(&m, list[i].status, begin + list[i].end * USEC_PER_MSEC);
	}
	return collect(100);
}

/* Returns columns of a line of UTF-8; the line ends at LF. */
static size_t
columns_of(const char *line)
{
	size_t n = 0;

	for (; *line != '\n' && *line != '\0'; line++)
		n += (*line & 0xc0) != 0x80;
	return n;
}

static void
drawn_as_text(void **state)
{
	size_t n = afternoon();
	struct buf b;
	const char *line;
	int lines = 0;

	(void)state;
	buf_init(&b, 1 << 20);
	timeline_text(&b, out, n, 1000000 + 350 * USEC_PER_MSEC, 80, 0);
	buf_add(&b, (struct span){ "", 1 });
	if (getenv("SHOW") != NULL)
		fputs(b.at, stderr);
	for (line = b.at; *line != '\0'; line = strchr(line, '\n') + 1, lines++)
		assert_true(lines == 0 || lines > (int)n ? columns_of(line) <= 80 : columns_of(line) == 80);
	assert_true(lines >= (int)n + 2);
	assert_non_null(strstr(b.at, "GET /shop/list"));
	assert_non_null(strstr(b.at, " 504 "));
	assert_non_null(strstr(b.at, " live "));
	assert_non_null(strstr(b.at, "█ running"));
	buf_clear(&b);
	timeline_text(&b, out, 0, 0, 80, 0);
	assert_true(span_equal(buf_span(&b), SPAN("no requests yet\n")));
	buf_fini(&b);
}

static void
drawn_as_svg(void **state)
{
	size_t n = afternoon();
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	timeline_svg(&b, out, n, 1000000 + 350 * USEC_PER_MSEC);
	buf_add(&b, (struct span){ "", 1 });
	assert_memory_equal(b.at, "<svg ", 5);
	assert_string_equal(b.at + b.len - 8, "</svg>\n");
	assert_non_null(strstr(b.at, "/report/2026?&lt;&amp;&quot;&gt;"));
	assert_non_null(strstr(b.at, "<title>sql 179 ms</title>"));
	assert_null(strstr(b.at, "<script"));
	if (getenv("SHOW") != NULL) {
		FILE *f = fopen(getenv("SHOW"), "w");

		fputs(b.at, f);
		fclose(f);
	}
	buf_fini(&b);
}

static void
written_as_json(void **state)
{
	size_t n = afternoon();
	json_t *json, *one, *wait;
	struct buf b;

	(void)state;
	strcpy(out[0].what, "a\"\\\x01\xc3");
	buf_init(&b, 1 << 20);
	timeline_json(&b, out, n);
	json = json_loadb(b.at, b.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_array_size(json), n);
	one = json_array_get(json, 0);
	assert_string_equal(json_string_value(json_object_get(one, "what")), "a\"\\\x01?");
	assert_int_equal(json_integer_value(json_object_get(one, "number")), 1);
	assert_int_equal(json_integer_value(json_object_get(one, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(one, "begin")), 1000000);
	assert_int_equal(json_integer_value(json_object_get(one, "end")), 1203000);
	wait = json_array_get(json_object_get(one, "waits"), 1);
	assert_string_equal(json_string_value(json_object_get(wait, "why")), "redis");
	assert_int_equal(json_integer_value(json_object_get(wait, "from")), 183000);
	assert_int_equal(json_integer_value(json_object_get(wait, "until")), 200000);
	assert_true(json_is_null(json_object_get(json_array_get(json, n - 1), "end")));
	json_decref(json);
	buf_fini(&b);
	draw_all(n, 0);
	draw_all(1, 0);
	draw_all(0, 0);
}

static void
labels_are_cut_in_the_middle(void **state)
{
	struct timeline_label l = timeline_label("GET /a/b", 8);

	(void)state;
	assert_true(span_equal(l.head, SPAN("GET /a/b")) && l.tail.len == 0);
	l = timeline_label("GET /a/bc", 8);
	assert_true(span_equal(l.head, SPAN("GET")) && span_equal(l.tail, SPAN("a/bc")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_kept),
		cmocka_unit_test(what_is_cut),
		cmocka_unit_test(more_waits_than_segments),
		cmocka_unit_test(a_wait_that_has_begun),
		cmocka_unit_test(times_saturate),
		cmocka_unit_test(the_ring_goes_round),
		cmocka_unit_test(scribbled_memory),
		cmocka_unit_test(drawn_as_text),
		cmocka_unit_test(drawn_as_svg),
		cmocka_unit_test(written_as_json),
		cmocka_unit_test(labels_are_cut_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
