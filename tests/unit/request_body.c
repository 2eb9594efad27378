/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "request/body.h"

static struct span
span_of(const char *text)
{
	return span_str(text);
}

/* Returns how a read of up to size bytes ended, and what came. */
static enum weft_rc
take(struct body *b, size_t size, char *to)
{
	size_t got = 99;
	enum weft_rc rc = body_read(b, to, size, &got, CLOCK_NEVER);

	to[got] = '\0';
	return rc;
}

static void
a_body_is_whole_at_every_split(void **state)
{
	static const char text[] = "a=1&b=hello";

	(void)state;
	for (size_t cut = 0; cut < sizeof text; cut++) {
		struct body b;
		struct span all;

		body_init(&b, cut % 2 == 0 ? (long long)sizeof text - 1 : -1, 100, 4);
		body_feed(&b, (struct span){ text, cut });
		body_feed(&b, (struct span){ text + cut, sizeof text - 1 - cut });
		body_end(&b);
		assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
		assert_int_equal(all.len, sizeof text - 1);
		assert_string_equal(all.at, text);
		assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
		assert_string_equal(all.at, text);
		body_fini(&b);
	}
}

static void
no_body_is_complete_at_once(void **state)
{
	char to[8];
	struct body b;
	struct span all;

	(void)state;
	body_init(&b, 0, 100, 10);
	body_feed(&b, span_of("smuggled"));
	assert_int_equal(take(&b, 7, to), WEFT_OK);
	assert_string_equal(to, "");
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
	assert_string_equal(all.at, "");
	body_fini(&b);
}

static void
announced_length_is_kept(void **state)
{
	char to[16];
	struct body b;

	(void)state;
	body_init(&b, 4, 100, 10);
	body_feed(&b, span_of("0123456789"));
	assert_int_equal(b.state, BODY_COMPLETE);
	assert_int_equal(take(&b, 15, to), WEFT_OK);
	assert_string_equal(to, "0123");
	assert_int_equal(take(&b, 15, to), WEFT_OK);
	assert_string_equal(to, "");
	body_fini(&b);

	/* Short: what came, and then that it is short. */
	body_init(&b, 100, 1000, 10);
	body_feed(&b, span_of("abc"));
	body_end(&b);
	assert_int_equal(take(&b, 15, to), WEFT_OK);
	assert_string_equal(to, "abc");
	assert_int_equal(take(&b, 15, to), WEFT_BAD_INPUT);
	body_fini(&b);
}

static void
limits_are_kept(void **state)
{
	char to[16];
	struct body b;
	struct span all;

	(void)state;
	body_init(&b, 101, 100, 10);
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_TOO_LARGE);
	body_feed(&b, span_of("dropped"));
	assert_int_equal(b.fed, 0);
	body_fini(&b);

	body_init(&b, -1, 6, 4);
	body_feed(&b, span_of("12345"));
	assert_true(b.spool >= 0);
	body_feed(&b, span_of("67"));
	assert_int_equal(b.spool, -1);
	assert_int_equal(take(&b, 15, to), WEFT_TOO_LARGE);
	body_end(&b);
	assert_int_equal(take(&b, 15, to), WEFT_TOO_LARGE);
	body_fini(&b);
}

static void
arguments_that_cannot_be(void **state)
{
	char to[16];
	struct body b;
	struct span all;
	size_t got;

	(void)state;
	body_init(&b, 4, 100, 10);
	body_feed(&b, span_of("0123"));
	assert_int_equal(body_read(&b, to, 0, &got, CLOCK_NEVER), WEFT_INVALID);
	assert_int_equal(take(&b, 2, to), WEFT_OK);
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_INVALID);
	body_fini(&b);
	/* Nobody can wait outside a fiber. */
	body_init(&b, 4, 100, 10);
	assert_int_equal(body_read(&b, to, 1, &got, CLOCK_NEVER), WEFT_INVALID);
	body_fini(&b);
}

static void
a_large_body_is_spooled(void **state)
{
	enum { SIZE = 200000, PIECE = 7001 };
	char *sent = malloc(SIZE), *read = malloc(SIZE);
	struct body b;
	struct span all;
	struct stat st;
	size_t got, n = 0;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (char)(i * 7 + i / 251);
	for (int way = 0; way < 2; way++) {
		body_init(&b, SIZE, SIZE, 65536);
		for (size_t at = 0; at < SIZE; at += PIECE)
			body_feed(&b, (struct span){ sent + at, SIZE - at < PIECE ? SIZE - at : PIECE });
		body_end(&b);
		assert_int_equal(b.state, BODY_COMPLETE);
		assert_true(b.spool >= 0 && b.memory.size <= 65536 * 2);
		assert_int_equal(fstat(b.spool, &st), 0);
		assert_int_equal(st.st_nlink, 0);
		if (way == 0) {
			assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
			assert_int_equal(all.len, SIZE);
			assert_memory_equal(all.at, sent, SIZE);
			assert_int_equal(all.at[SIZE], '\0');
		} else {
			while (body_read(&b, read + n, SIZE - n < 5000 ? SIZE - n + 1 : 5000, &got, CLOCK_NEVER) == WEFT_OK && got > 0)
				n += got;
			assert_int_equal(n, SIZE);
			assert_memory_equal(read, sent, SIZE);
		}
		body_fini(&b);
	}
	free(sent);
	free(read);
}

static void
a_reader_that_keeps_up_uses_no_file(void **state)
{
	char piece[1000], to[1001];
	struct body b;

	(void)state;
	memset(piece, 'x', sizeof piece);
	body_init(&b, -1, 1000000, 1500);
	for (int i = 0; i < 100; i++) {
		body_feed(&b, (struct span){ piece, sizeof piece });
		assert_int_equal(b.spool, -1);
		while (b.memory_read < b.memory.len)
			assert_int_equal(take(&b, 400, to), WEFT_OK);
	}
	/* It falls behind, and catches up: the file is emptied and left. */
	body_feed(&b, (struct span){ piece, sizeof piece });
	body_feed(&b, (struct span){ piece, sizeof piece });
	assert_int_equal(b.spool_len, 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(take(&b, 1000, to), WEFT_OK);
	assert_int_equal(b.spool_len, 0);
	body_feed(&b, span_of("tail"));
	assert_int_equal(b.memory.len, 4);
	body_fini(&b);
}

/* However feeding and reading alternate, through memory and file and back, the bytes come in order. */
static void
feeding_and_reading_alternate(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		unsigned char piece[400];
		char to[400];
		unsigned fed = 0, read = 0;
		size_t got, n;
		struct body b;

		body_init(&b, -1, 1 << 20, 64 + (size_t)round);
		for (int step = 0; step < 200; step++) {
			seed = seed * 1664525u + 1013904223u;
			n = 1 + (seed >> 10) % (seed >> 30 == 0 ? sizeof piece : 60);
			if (seed >> 31) {
				for (size_t i = 0; i < n; i++)
					piece[i] = (unsigned char)((fed + i) * 7 >> 2);
				body_feed(&b, (struct span){ (char *)piece, n });
				fed = (unsigned)b.fed;
				continue;
			}
			if (step == 150)
				body_end(&b);
			if (read == fed)
				continue;
			assert_int_equal(body_read(&b, to, n, &got, CLOCK_NEVER), WEFT_OK);
			assert_true(got > 0 && got <= n);
			for (size_t i = 0; i < got; i++)
				assert_int_equal((unsigned char)to[i], (unsigned char)((read + i) * 7 >> 2));
			read += (unsigned)got;
		}
		assert_int_equal(b.read, read);
		assert_true(b.memory.len <= 64 + (size_t)round);
		body_fini(&b);
	}
}

static void
no_file_fails_the_body(void **state)
{
	struct body b;
	struct span all;

	(void)state;
	assert_int_equal(setenv("TMPDIR", "/proc/nowhere", 1), 0);
	body_init(&b, -1, 100, 4);
	body_feed(&b, span_of("12345"));
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_SYSTEM);
	body_fini(&b);
	unsetenv("TMPDIR");
}

/* A disk that is full: the file is there, the write is refused. */
static void
a_full_disk_fails_the_body(void **state)
{
	struct body b;
	char to[8];

	(void)state;
	body_init(&b, -1, 100, 4);
	b.spool = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_true(b.spool >= 0);
	body_feed(&b, span_of("12345"));
	assert_int_equal(take(&b, 7, to), WEFT_SYSTEM);
	body_fini(&b);
}

struct reader {
	struct body *body;
	enum weft_rc rc;
	char text[32];
	size_t got;
	usec deadline;
};

static void
reader_read(void *arg)
{
	struct reader *r = arg;

	r->rc = body_read(r->body, r->text, sizeof r->text - 1, &r->got, r->deadline);
	r->text[r->got] = '\0';
}

static void
reader_all(void *arg)
{
	struct reader *r = arg;
	struct span all;

	r->rc = body_all(r->body, &all, r->deadline);
	snprintf(r->text, sizeof r->text, "%s", all.at);
}

static void
readers_wait_for_what_comes(void **state)
{
	struct fiber_sched *s = rig_sched();
	struct body b;
	struct reader one = { &b, WEFT_DOWN, "", 0, CLOCK_NEVER }, two = one;
	struct fiber *f;

	(void)state;
	body_init(&b, -1, 100, 10);
	f = rig_run(s, reader_all, &one);
	rig_run(s, reader_all, &two);
	assert_int_equal(fiber_why(f), WAIT_CLIENT);
	body_feed(&b, span_of("he"));
	fiber_sched_run(s);
	assert_int_equal(one.rc, WEFT_DOWN);
	body_feed(&b, span_of("llo"));
	body_end(&b);
	fiber_sched_run(s);
	assert_int_equal(one.rc, WEFT_OK);
	assert_string_equal(one.text, "hello");
	assert_string_equal(two.text, "hello");
	body_fini(&b);
	rig_end(s);
}

/* One turn brings more than may be held: a reader that waits for it takes it from memory, and only that turn's. */
static void
what_a_reader_waits_for_is_not_spooled(void **state)
{
	struct fiber_sched *s = rig_sched();
	struct body b;
	struct reader one = { &b, WEFT_DOWN, "", 0, CLOCK_NEVER };
	char to[101];

	(void)state;
	body_init(&b, -1, 10000, 50);
	rig_run(s, reader_read, &one);
	for (int i = 0; i < 10; i++)
		body_feed(&b, span_of("0123456789"));
	assert_int_equal(b.spool, -1);
	fiber_sched_run(s);
	assert_int_equal(one.rc, WEFT_OK);
	assert_int_equal(one.got, 31);
	/* It does something else now. */
	body_feed(&b, span_of("late"));
	assert_int_equal(b.spool_len, 4);
	assert_int_equal(take(&b, 100, to), WEFT_OK);
	assert_int_equal(strlen(to), 69);
	assert_int_equal(take(&b, 100, to), WEFT_OK);
	assert_string_equal(to, "late");
	body_fini(&b);
	rig_end(s);
}

/* Even then memory is bounded. */
static void
a_turn_for_a_reader_is_bounded(void **state)
{
	struct fiber_sched *s = rig_sched();
	struct body b;
	struct reader one = { &b, WEFT_DOWN, "", 0, CLOCK_NEVER };
	static char piece[65536];

	(void)state;
	body_init(&b, -1, 1 << 20, 50);
	rig_run(s, reader_read, &one);
	for (int i = 0; i < 6; i++)
		body_feed(&b, (struct span){ piece, sizeof piece });
	assert_int_equal(b.memory.len, 4 * sizeof piece);
	assert_int_equal(b.spool_len, 2 * sizeof piece);
	fiber_sched_run(s);
	body_fini(&b);
	rig_end(s);
}

static void
waits_end_early(void **state)
{
	struct fiber_sched *s = rig_sched();
	struct body b;
	struct reader r = { &b, WEFT_DOWN, "", 0, rig_time + 5000 }, late = r;

	(void)state;
	late.deadline = CLOCK_NEVER;
	body_init(&b, 10, 100, 10);
	rig_run(s, reader_read, &r);
	rig_run(s, reader_read, &late);
	rig_time += 5000;
	fiber_sched_run(s);
	assert_int_equal(r.rc, WEFT_TIMEOUT);
	assert_int_equal(late.rc, WEFT_DOWN);
	/* The client goes. */
	body_feed(&b, span_of("abc"));
	fiber_sched_run(s);
	assert_string_equal(late.text, "abc");
	rig_run(s, reader_read, &late);
	body_fail(&b, WEFT_CANCELED);
	fiber_sched_run(s);
	assert_int_equal(late.rc, WEFT_CANCELED);
	body_fail(&b, WEFT_DOWN);
	assert_int_equal(b.rc, WEFT_CANCELED);
	body_fini(&b);
	rig_end(s);
}

static void
what_is_complete_stays(void **state)
{
	struct body b;
	struct span all;

	(void)state;
	body_init(&b, 3, 100, 10);
	body_feed(&b, span_of("abc"));
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
	body_fail(&b, WEFT_CANCELED);
	assert_string_equal(all.at, "abc");
	assert_int_equal(body_all(&b, &all, CLOCK_NEVER), WEFT_OK);
	body_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_whole_at_every_split),
		cmocka_unit_test(no_body_is_complete_at_once),
		cmocka_unit_test(announced_length_is_kept),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(arguments_that_cannot_be),
		cmocka_unit_test(a_large_body_is_spooled),
		cmocka_unit_test(a_reader_that_keeps_up_uses_no_file),
		cmocka_unit_test(feeding_and_reading_alternate),
		cmocka_unit_test(no_file_fails_the_body),
		cmocka_unit_test(a_full_disk_fails_the_body),
		cmocka_unit_test(readers_wait_for_what_comes),
		cmocka_unit_test(what_a_reader_waits_for_is_not_spooled),
		cmocka_unit_test(a_turn_for_a_reader_is_bounded),
		cmocka_unit_test(waits_end_early),
		cmocka_unit_test(what_is_complete_stays),
	};

	log_open(-1, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
