/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "request/response.h"

/* A response, its arena and its sink. */
struct rig {
	struct arena arena;
	struct rig_sink sink;
	struct response rs;
	int log;			/* what was logged, as a file */
};

static void
rig_init(struct rig *r, bool head_only)
{
	arena_init(&r->arena, NULL, 0, 1 << 20);
	rig_sink_init(&r->sink);
	response_init(&r->rs, &r->arena, &rig_ops, &r->sink, head_only);
	r->log = memfd_create("log", MFD_CLOEXEC);
	assert_true(r->log >= 0);
	log_open(r->log, LOG_DEBUG_, "test");
}

static void
rig_fini(struct rig *r)
{
	log_open(-1, LOG_ERROR_, "test");
	close(r->log);
	buf_fini(&r->sink.bytes);
	arena_fini(&r->arena);
}

static void
expect_log(const struct rig *r, const char *text)
{
	char log[32768];
	ssize_t n = pread(r->log, log, sizeof log - 1, 0);

	assert_true(n >= 0);
	log[n] = '\0';
	if (text == NULL ? n > 0 : strstr(log, text) == NULL)
		fail_msg("log: %s", log);
}

static enum weft_rc
put(struct rig *r, const char *text)
{
	return response_write(&r->rs, span_str(text));
}

static enum weft_rc __attribute__((format(printf, 2, 3)))
print(struct rig *r, const char *fmt, ...)
{
	va_list ap;
	enum weft_rc rc;

	va_start(ap, fmt);
	rc = response_vprintf(&r->rs, fmt, ap);
	va_end(ap);
	return rc;
}

static void
expect(struct rig *r, const char *bytes)
{
	response_finish(&r->rs);
	assert_string_equal(rig_sink_text(&r->sink), bytes);
	assert_int_equal(r->sink.lasts, 1);
	assert_int_equal(r->sink.aborts, 0);
	/* Again does nothing. */
	response_finish(&r->rs);
	assert_int_equal(r->sink.lasts, 1);
}

static void
a_short_response_is_one_call(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, false);
	assert_int_equal(response_set(&r.rs, "Content-Type", "text/plain"), WEFT_OK);
	assert_int_equal(put(&r, "hello "), WEFT_OK);
	assert_int_equal(print(&r, "%s %d\n", "world", 7), WEFT_OK);
	expect(&r, "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nhello world 7\n");
	assert_int_equal(r.sink.sends, 1);
	assert_int_equal(r.rs.sent, 14);
	rig_fini(&r);
}

static void
what_the_server_adds(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, false);
	expect(&r, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n");
	rig_fini(&r);

	rig_init(&r, false);
	put(&r, "x");
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nx");
	rig_fini(&r);

	rig_init(&r, false);
	assert_int_equal(response_set(&r.rs, "Location", "/x"), WEFT_OK);
	expect(&r, "Status: 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(r.rs.status, 302);
	rig_fini(&r);

	rig_init(&r, false);
	assert_int_equal(response_set(&r.rs, "Location", "/x"), WEFT_OK);
	assert_int_equal(response_status(&r.rs, 201, NULL), WEFT_OK);
	expect(&r, "Status: 201 Created\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
	rig_fini(&r);
}

static void
status(void **state)
{
	static const int bad[] = { 0, -1, 99, 100, 199, 600, 1000 };
	struct rig r;

	(void)state;
	rig_init(&r, false);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(response_status(&r.rs, bad[i], NULL), WEFT_INVALID);
	expect_log(&r, "not in 200..599");
	assert_int_equal(response_status(&r.rs, 404, "a\r\nX: y"), WEFT_INVALID);
	assert_int_equal(response_status(&r.rs, 404, NULL), WEFT_OK);
	assert_int_equal(response_status(&r.rs, 499, "Own reason"), WEFT_OK);
	expect(&r, "Status: 499 Own reason\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(response_status(&r.rs, 200, NULL), WEFT_INVALID);
	rig_fini(&r);
}

static void
fields_that_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "Status", "200" }, { "connection", "close" }, { "Transfer-Encoding", "chunked" }, { "Keep-Alive", "1" },
		{ "UPGRADE", "h2c" }, { "Trailer", "x" }, { "Proxy-Connection", "close" }, { "proxy-", "x" }, { "", "x" }, { "A B", "x" },
		{ "A:", "x" }, { "A\r\nB", "x" }, { "HTTP/1.1 200 OK", "" }, { "X", "a\rb" }, { "X", "a\nb" }, { "X", "a\x7f" },
		{ "X", "\x01" }, { "Content-Length", "-1" }, { "Content-Length", "+1" }, { "Content-Length", "4, 4" },
		{ "Content-Length", "" }, { "Content-Length", "1e3" }, { "Content-Length", "9999999999999999999" },
		{ "Content-Length", " 4" },
	};
	struct rig r;

	(void)state;
	rig_init(&r, false);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(response_set(&r.rs, bad[i][0], bad[i][1]), WEFT_INVALID);
		assert_int_equal(response_add(&r.rs, bad[i][0], bad[i][1]), WEFT_INVALID);
	}
	expect_log(&r, "Transfer-Encoding: this header is the server's own");
	expect_log(&r, "X: control bytes");
	assert_int_equal(response_add(&r.rs, "X", NULL), WEFT_INVALID);
	assert_int_equal(response_add(&r.rs, "Content-Length", "0"), WEFT_OK);
	assert_int_equal(response_add(&r.rs, "content-length", "0"), WEFT_INVALID);
	assert_int_equal(response_add(&r.rs, "Content-Type", "a/b"), WEFT_OK);
	assert_int_equal(response_add(&r.rs, "CONTENT-TYPE", "a/c"), WEFT_INVALID);
	expect(&r, "Status: 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(response_set(&r.rs, "Late", "x"), WEFT_INVALID);
	expect_log(&r, "Late: the head is sent already");
	rig_fini(&r);
}

static void
fields_are_replaced_and_repeated(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, false);
	assert_int_equal(response_add(&r.rs, "Set-Cookie", "a=1"), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "X", "old"), WEFT_OK);
	assert_int_equal(response_add(&r.rs, "Set-Cookie", "b=2"), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "x", "new\tcaf\xc3\xa9"), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "Gone", "1"), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "GONE", NULL), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "Content-Length", "77"), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "Content-Length", NULL), WEFT_OK);
	expect(&r, "Status: 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nx: new\tcaf\xc3\xa9\r\nContent-Length: 0\r\n\r\n");
	rig_fini(&r);
}

static void
no_body_for_head(void **state)
{
	struct rig r;
	char *large = calloc(1, 100000);

	(void)state;
	rig_init(&r, true);
	put(&r, "hello");
	print(&r, "%05d", 7);
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\n");
	assert_int_equal(r.sink.sends, 1);
	rig_fini(&r);

	rig_init(&r, true);
	for (int i = 0; i < 100; i++)
		assert_int_equal(response_write(&r.rs, (struct span){ large, 100000 }), WEFT_OK);
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 10000000\r\n\r\n");
	assert_int_equal(r.arena.total, 0);
	rig_fini(&r);

	/* A handler of its own for HEAD writes nothing. */
	rig_init(&r, true);
	assert_int_equal(response_set(&r.rs, "Content-Length", "1234"), WEFT_OK);
	expect(&r, "Status: 200 OK\r\nContent-Length: 1234\r\n\r\n");
	rig_fini(&r);
	rig_init(&r, true);
	expect(&r, "Status: 200 OK\r\n\r\n");
	rig_fini(&r);

	rig_init(&r, true);
	assert_int_equal(response_flush(&r.rs), WEFT_OK);
	put(&r, "hello");
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n");
	rig_fini(&r);
	free(large);
}

static void
no_body_for_204_and_304(void **state)
{
	static const char *const want[] = { "Status: 204 No Content\r\nX: y\r\n\r\n", "Status: 304 Not Modified\r\nX: y\r\n\r\n" };
	struct rig r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		rig_init(&r, false);
		response_status(&r.rs, i % 2 == 0 ? 204 : 304, NULL);
		response_set(&r.rs, "Content-Type", "text/html");
		response_set(&r.rs, "Content-Length", "3");
		response_set(&r.rs, "X", "y");
		put(&r, "body");
		if (i >= 2)
			assert_int_equal(response_flush(&r.rs), WEFT_OK);
		put(&r, "more");
		expect(&r, want[i % 2]);
		rig_fini(&r);
	}
}

static void
own_length_too_short_and_too_long(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, false);
	response_set(&r.rs, "Content-Length", "4");
	put(&r, "012345");
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\n0123");
	expect_log(&r, "cut at its Content-Length 4");
	rig_fini(&r);

	for (int flush = 0; flush < 2; flush++) {
		rig_init(&r, false);
		response_set(&r.rs, "Content-Length", "4");
		put(&r, "012");
		if (flush)
			assert_int_equal(response_flush(&r.rs), WEFT_OK);
		response_finish(&r.rs);
		assert_int_equal(r.sink.aborts, 1);
		assert_int_equal(r.sink.lasts, 0);
		assert_true(r.rs.was_aborted);
		expect_log(&r, "3 bytes of the Content-Length 4");
		rig_fini(&r);
	}

	rig_init(&r, false);
	response_set(&r.rs, "Content-Length", "5");
	put(&r, "01");
	response_flush(&r.rs);
	put(&r, "234");
	response_flush(&r.rs);
	put(&r, "567");
	put(&r, "89");
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\n01234");
	rig_fini(&r);
}

static void
a_head_that_is_too_long(void **state)
{
	static const char want[] = "Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 22\r\n\r\nInternal Server Error\n";
	char value[5000];
	struct rig r;

	(void)state;
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (int way = 0; way < 3; way++) {
		rig_init(&r, false);
		put(&r, "secret");
		if (way == 2) {
			char reason[RESPONSE_HEAD_MAX];

			memset(reason, 'r', sizeof reason - 1);
			reason[sizeof reason - 1] = '\0';
			assert_int_equal(response_status(&r.rs, 200, reason), WEFT_OK);
		} else {
			response_set(&r.rs, "X-One", value);
			response_set(&r.rs, "X-Two", value);
			response_set(&r.rs, "X-Three", "small");
		}
		if (way == 1) {
			assert_int_equal(response_flush(&r.rs), WEFT_CANCELED);
			assert_int_equal(put(&r, "more"), WEFT_CANCELED);
		}
		expect(&r, want);
		assert_int_equal(r.rs.status, 500);
		expect_log(&r, way == 2 ? "Status: with this field" : "X-Two: with this field the head is over 8192 bytes");
		rig_fini(&r);
	}
}

/* To the byte: 8192 is sent, 8193 is not. */
static void
a_head_that_just_fits(void **state)
{
	static const char rest[] = "Status: 200 OK\r\nX: \r\nContent-Length: 0\r\n\r\n";
	char value[RESPONSE_HEAD_MAX];
	struct rig r;

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		memset(value, 'v', sizeof value);
		value[RESPONSE_HEAD_MAX - (sizeof rest - 1) + more] = '\0';
		rig_init(&r, false);
		response_set(&r.rs, "X", value);
		response_finish(&r.rs);
		assert_int_equal(r.rs.status, more == 0 ? 200 : 500);
		if (more == 0)
			assert_int_equal(r.sink.bytes.len, RESPONSE_HEAD_MAX);
		rig_fini(&r);
	}
}

static void
clear_forgets_what_is_not_sent(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, false);
	response_status(&r.rs, 404, "x");
	response_set(&r.rs, "X", "y");
	response_set(&r.rs, "Content-Length", "9");
	put(&r, "text");
	assert_int_equal(response_clear(&r.rs), WEFT_OK);
	put(&r, "new");
	response_add(&r.rs, "Y", "z");
	assert_int_equal(response_flush(&r.rs), WEFT_OK);
	assert_int_equal(r.sink.flushes, 1);
	assert_int_equal(response_clear(&r.rs), WEFT_INVALID);
	expect(&r, "Status: 200 OK\r\nY: z\r\nContent-Type: application/octet-stream\r\n\r\nnew");
	rig_fini(&r);
}

/* Whatever the sizes of writes, the bytes are the same, and the arena holds no more than the buffer. */
static void
a_long_response_is_streamed(void **state)
{
	static const size_t size[] = { 1, 511, 512, 513, 4000, 16383, 16384, 16385, 65536, 65537, 131071, 300000 };
	static const char head[] = "Status: 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
	char *body = malloc(3000000);
	struct rig r;

	(void)state;
	for (size_t i = 0; i < 3000000; i++)
		body[i] = (char)('a' + (i * 31 + i / 1000) % 26);
	for (size_t way = 0; way < sizeof size / sizeof size[0] + 3; way++) {
		size_t total = way == 0 ? 100000 : 3000000, at = 0, n;

		rig_init(&r, false);
		while (at < total) {
			n = way < sizeof size / sizeof size[0] ? size[way] : size[(at + way) % (sizeof size / sizeof size[0])];
			n = n < total - at ? n : total - at;
			if (way % 2 == 0)
				assert_int_equal(response_write(&r.rs, (struct span){ body + at, n }), WEFT_OK);
			else
				assert_int_equal(print(&r, "%.*s", (int)n, body + at), WEFT_OK);
			at += n;
		}
		response_finish(&r.rs);
		assert_int_equal(r.sink.bytes.len, sizeof head - 1 + total);
		assert_memory_equal(r.sink.bytes.at, head, sizeof head - 1);
		assert_memory_equal(r.sink.bytes.at + sizeof head - 1, body, total);
		assert_int_equal(r.rs.sent, total);
		assert_int_equal(r.sink.lasts, 1);
		assert_int_equal(r.sink.heads, 1);
		assert_true(r.sink.largest <= RESPONSE_PIECE);
		assert_true(r.arena.total <= 65536);
		rig_fini(&r);
	}
	free(body);
}

struct writer {
	struct rig *rig;
	size_t len;
	enum weft_rc rc;
	unsigned done;
};

static void
writer_run(void *arg)
{
	struct writer *w = arg;
	char *bytes = calloc(1, w->len);

	w->rc = response_write(&w->rig->rs, (struct span){ bytes, w->len });
	w->done++;
	free(bytes);
}

static void
a_writer_waits_for_room(void **state)
{
	struct fiber_sched *s = rig_sched();
	struct rig r;
	struct writer w = { &r, 200000, WEFT_DOWN, 0 }, second = { &r, 100000, WEFT_DOWN, 0 };
	struct fiber *f;

	(void)state;
	rig_init(&r, false);
	r.sink.full_after = 2;
	f = rig_run(s, writer_run, &w);
	rig_run(s, writer_run, &second);
	assert_int_equal(fiber_why(f), WAIT_CLIENT);
	assert_int_equal(r.sink.sends, 2);
	response_wake(&r.rs);
	fiber_sched_run(s);
	assert_int_equal(r.sink.sends, 2);
	r.sink.full_after = 0;
	response_wake(&r.rs);
	fiber_sched_run(s);
	assert_int_equal(w.done + second.done, 2);
	assert_int_equal(w.rc, WEFT_OK);
	assert_int_equal(second.rc, WEFT_OK);
	assert_int_equal(r.rs.sent, 300000);
	/* Buffered bytes do not wait. */
	r.sink.full_after = 1;
	assert_int_equal(put(&r, "tail"), WEFT_OK);
	response_finish(&r.rs);
	assert_int_equal(r.sink.lasts, 1);
	rig_fini(&r);
	rig_end(s);
}

static void
waits_of_a_writer_end_early(void **state)
{
	static const enum weft_rc want[] = { WEFT_TIMEOUT, WEFT_CANCELED, WEFT_CANCELED };
	struct fiber_sched *s = rig_sched();

	(void)state;
	for (int way = 0; way < 3; way++) {
		struct rig r;
		struct writer w = { &r, 200000, WEFT_DOWN, 0 };
		struct fiber *f;

		rig_init(&r, false);
		r.sink.full_after = 1;
		f = fiber_new(s, 0);
		fiber_set_deadline(f, rig_time + 1000);
		fiber_start(f, writer_run, &w);
		fiber_sched_run(s);
		assert_int_equal(w.done, 0);
		if (way == 0)
			rig_time += 1000;
		else if (way == 1)
			fiber_cancel(f);
		else
			response_detach(&r.rs);
		fiber_sched_run(s);
		assert_int_equal(w.rc, want[way]);
		assert_int_equal(put(&r, "more"), want[way]);
		assert_int_equal(print(&r, "more"), want[way]);
		assert_int_equal(response_flush(&r.rs), want[way]);
		response_finish(&r.rs);
		assert_int_equal(r.sink.aborts, way == 2 ? 0 : 1);
		assert_int_equal(r.sink.lasts, 0);
		assert_true(r.rs.was_aborted);
		rig_fini(&r);
	}
	rig_end(s);
}

static void
nobody_is_there(void **state)
{
	struct rig r;
	char *large = calloc(1, 100000);

	(void)state;
	rig_init(&r, false);
	put(&r, "x");
	response_detach(&r.rs);
	assert_int_equal(put(&r, "x"), WEFT_CANCELED);
	response_finish(&r.rs);
	response_abort(&r.rs);
	assert_int_equal(r.sink.sends + r.sink.aborts, 0);
	rig_fini(&r);

	rig_init(&r, false);
	r.sink.refuse_after = 1;
	assert_int_equal(response_write(&r.rs, (struct span){ large, 100000 }), WEFT_CANCELED);
	assert_int_equal(put(&r, "x"), WEFT_CANCELED);
	response_finish(&r.rs);
	assert_int_equal(r.sink.sends, 1);
	assert_int_equal(r.sink.aborts, 0);
	rig_fini(&r);

	rig_init(&r, false);
	response_abort(&r.rs);
	response_abort(&r.rs);
	response_finish(&r.rs);
	assert_int_equal(r.sink.aborts, 1);
	rig_fini(&r);
	free(large);
}

static void
memory_that_is_refused(void **state)
{
	struct rig r;
	char value[3000];

	(void)state;
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	rig_init(&r, false);
	r.arena.limit = 4096;
	assert_int_equal(response_set(&r.rs, "X", value), WEFT_OK);
	assert_int_equal(response_set(&r.rs, "Y", value), WEFT_SYSTEM);
	assert_int_equal(response_status(&r.rs, 200, value), WEFT_SYSTEM);
	assert_int_equal(put(&r, value), WEFT_SYSTEM);
	assert_int_equal(put(&r, "x"), WEFT_SYSTEM);
	assert_int_equal(response_clear(&r.rs), WEFT_OK);
	assert_int_equal(put(&r, "x"), WEFT_OK);
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nx");
	rig_fini(&r);
}

static void
a_format_that_cannot_be(void **state)
{
	struct rig r;
	static const wchar_t bad[] = { 0x7fffffff, 0 };

	(void)state;
	rig_init(&r, false);
	assert_int_equal(print(&r, "%ls", bad), WEFT_INVALID);
	assert_int_equal(put(&r, "x"), WEFT_OK);
	response_finish(&r.rs);
	assert_int_equal(r.sink.lasts, 1);
	rig_fini(&r);
}

/* What is logged before the head waits for it, what comes later does not. */
static void
lines_for_the_log_follow_the_head(void **state)
{
	static char much[RESPONSE_LOG_MAX + 100];
	struct rig r;

	(void)state;
	rig_init(&r, false);
	assert_int_equal(response_log(&r.rs, SPAN("one")), WEFT_OK);
	assert_int_equal(response_log(&r.rs, SPAN("two")), WEFT_OK);
	put(&r, "x");
	assert_int_equal(r.sink.bytes.len, 0);
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nx[log one][log two]");
	assert_int_equal(response_log(&r.rs, SPAN("late")), WEFT_CANCELED);
	rig_fini(&r);

	rig_init(&r, false);
	assert_int_equal(response_log(&r.rs, SPAN("one")), WEFT_OK);
	put(&r, "x");
	assert_int_equal(response_flush(&r.rs), WEFT_OK);
	assert_int_equal(response_log(&r.rs, SPAN("two")), WEFT_OK);
	put(&r, "y");
	expect(&r, "Status: 200 OK\r\nContent-Type: application/octet-stream\r\n\r\nx[log one][log two]y");
	rig_fini(&r);

	/* Held back within a bound. */
	rig_init(&r, false);
	memset(much, 'm', sizeof much);
	assert_int_equal(response_log(&r.rs, (struct span){ much, sizeof much }), WEFT_OK);
	assert_int_equal(response_log(&r.rs, SPAN("dropped")), WEFT_OK);
	response_finish(&r.rs);
	assert_null(strstr(rig_sink_text(&r.sink), "dropped"));
	assert_int_equal(r.sink.lasts, 1);
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_response_is_one_call),
		cmocka_unit_test(what_the_server_adds),
		cmocka_unit_test(status),
		cmocka_unit_test(fields_that_are_refused),
		cmocka_unit_test(fields_are_replaced_and_repeated),
		cmocka_unit_test(no_body_for_head),
		cmocka_unit_test(no_body_for_204_and_304),
		cmocka_unit_test(own_length_too_short_and_too_long),
		cmocka_unit_test(a_head_that_is_too_long),
		cmocka_unit_test(a_head_that_just_fits),
		cmocka_unit_test(clear_forgets_what_is_not_sent),
		cmocka_unit_test(a_long_response_is_streamed),
		cmocka_unit_test(a_writer_waits_for_room),
		cmocka_unit_test(waits_of_a_writer_end_early),
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(memory_that_is_refused),
		cmocka_unit_test(a_format_that_cannot_be),
		cmocka_unit_test(lines_for_the_log_follow_the_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
