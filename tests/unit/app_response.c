/* SPDX-License-Identifier: ISC */
/* The exported API: answers, errors, JSON, and the log. */
#include "tests/unit/app_rig.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/fail.h"

/* The handler of each test, which runs in the request's fiber. */
static void (*response_test)(struct weft_request *rq);

static int
response_handler(struct weft_request *rq)
{
	response_test(rq);
	return WEFT_OK;
}

static void
ask(struct rig *r, struct answer *a, void (*test)(struct weft_request *rq))
{
	response_test = test;
	if (r->app.nroutes == 0)
		rig_route(r, "GET", "/", response_handler);
	rig_get(r, a, "/");
}

static void
write_all_ways(struct weft_request *rq)
{
	assert_int_equal(weft_status(rq, 201, "Made"), WEFT_OK);
	assert_int_equal(weft_set_header(rq, "X-One", "1"), WEFT_OK);
	assert_int_equal(weft_set_header(rq, "X-One", "2"), WEFT_OK);
	assert_int_equal(weft_set_header(rq, "X-Two", "2"), WEFT_OK);
	assert_int_equal(weft_set_header(rq, "X-Two", NULL), WEFT_OK);
	assert_int_equal(weft_add_header(rq, "Set-Cookie", "a=1"), WEFT_OK);
	assert_int_equal(weft_add_header(rq, "Set-Cookie", "b=2"), WEFT_OK);
	assert_int_equal(weft_write(rq, "a\0b", 3), WEFT_OK);
	assert_int_equal(weft_puts(rq, "|"), WEFT_OK);
	assert_int_equal(weft_printf(rq, "%d|", 7), WEFT_OK);
	assert_int_equal(weft_html(rq, "<a href=\"x\">'&'</a>"), WEFT_OK);
}

static void
writes(void **state)
{
	static const char want[] = "a\0b|7|&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;";
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, write_all_ways);
	assert_true(a.is_done);
	assert_int_equal(a.sends, 1);
	assert_memory_equal(answer_text(&a), "Status: 201 Made\r\n", 18);
	assert_non_null(strstr(answer_text(&a), "\r\nX-One: 2\r\n"));
	assert_null(strstr(answer_text(&a), "X-Two"));
	assert_non_null(strstr(answer_text(&a), "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"));
	assert_memory_equal(answer_body(&a), want, sizeof want);
	answer_free(&a);
}

enum { LONG = 5000 };

static void
escape_long(struct weft_request *rq)
{
	char text[LONG + 1];

	memset(text, '"', LONG);
	text[LONG] = '\0';
	weft_html(rq, text);
}

static void
escapes_long_texts(void **state)
{
	struct rig *r = *state;
	struct answer a;
	const char *body;

	ask(r, &a, escape_long);
	body = answer_body(&a);
	assert_int_equal(strlen(body), LONG * 6);
	for (size_t i = 0; i < LONG; i++)
		assert_memory_equal(body + i * 6, "&quot;", 6);
	answer_free(&a);
}

static void
set_bad_headers(struct weft_request *rq)
{
	static const char *const bad[][2] = {
		{ "X", "a\r\nSet-Cookie: b" }, { "X", "a\nb" }, { "X", "a\rb" }, { "X", "a\001b" }, { "X Y", "a" }, { "X:", "a" },
		{ "", "a" }, { "X\r\n", "a" }, { "Connection", "close" }, { "transfer-encoding", "chunked" }, { "Status", "200" },
		{ "Content-Length", "12x" }, { "Content-Length", "-1" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(weft_set_header(rq, bad[i][0], bad[i][1]), WEFT_INVALID);
		assert_int_equal(weft_add_header(rq, bad[i][0], bad[i][1]), WEFT_INVALID);
	}
	assert_int_equal(weft_status(rq, 99, NULL), WEFT_INVALID);
	assert_int_equal(weft_status(rq, 600, NULL), WEFT_INVALID);
	assert_int_equal(weft_status(rq, 200, "O\nK"), WEFT_INVALID);
	assert_int_equal(weft_puts(rq, "fine"), WEFT_OK);
	assert_int_equal(weft_flush(rq), WEFT_OK);
	assert_int_equal(weft_set_header(rq, "X", "late"), WEFT_INVALID);
	assert_int_equal(weft_status(rq, 404, NULL), WEFT_INVALID);
	assert_int_equal(weft_redirect(rq, 302, "/late"), WEFT_INVALID);
}

static void
refuses_headers_that_may_not_be(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, set_bad_headers);
	answer_is(&a, 200, "fine");
	assert_int_equal(a.flushes, 1);
	assert_null(strstr(answer_text(&a), "X"));
	answer_free(&a);
}

/* ---- redirects and errors ---- */

static int redirect_status;
static const char *redirect_to;

static int
redirect(struct weft_request *rq)
{
	weft_puts(rq, "dropped");
	weft_set_header(rq, "X-Dropped", "1");
	return weft_redirect(rq, redirect_status, redirect_to);
}

static void
redirects(void **state)
{
	static const int good[] = { 301, 302, 303, 307, 308 };
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", redirect);
	redirect_to = "/there?a=b";
	for (size_t i = 0; i < 5; i++) {
		redirect_status = good[i];
		rig_get(r, &a, "/");
		answer_is(&a, good[i], "");
		assert_non_null(strstr(answer_text(&a), "\r\nLocation: /there?a=b\r\n"));
		assert_null(strstr(answer_text(&a), "X-Dropped"));
		answer_free(&a);
	}
}

/* The handler returns what it got: that is an error's answer, and nothing of the location is in it. */
static void
refuses_bad_redirects(void **state)
{
	static const struct { int status; const char *to; } bad[] = {
		{ 200, "/x" }, { 304, "/x" }, { 404, "/x" }, { 302, "/x\r\nSet-Cookie: evil=1" }, { 302, "/x\nb" }, { 302, NULL },
	};
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", redirect);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		redirect_status = bad[i].status;
		redirect_to = bad[i].to;
		rig_get(r, &a, "/");
		answer_is(&a, 500, "500 Internal Server Error\n");
		assert_null(strstr(answer_text(&a), "Location"));
		assert_null(strstr(answer_text(&a), "evil"));
		answer_free(&a);
	}
}

static void
write_then_error(struct weft_request *rq)
{
	weft_status(rq, 201, NULL);
	weft_set_header(rq, "X-Dropped", "1");
	weft_puts(rq, "dropped");
	assert_int_equal(weft_error(rq, 404, "no such item"), WEFT_OK);
}

static void
write_then_bad_error(struct weft_request *rq)
{
	assert_int_equal(weft_error(rq, 42, "answered all the same"), WEFT_OK);
}

static void
fail_without_a_failure(struct weft_request *rq)
{
	assert_int_equal(weft_fault(rq), WEFT_OK);
	assert_string_equal(weft_fault_text(rq), "");
	assert_string_equal(weft_fault_code(rq), "");
	assert_int_equal(weft_fail(rq), WEFT_OK);
}

static void
errors_replace_what_was_written(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, write_then_error);
	answer_is(&a, 404, "no such item\n");
	assert_null(strstr(answer_text(&a), "X-Dropped"));
	answer_free(&a);
	ask(r, &a, write_then_bad_error);
	answer_is(&a, 500, "answered all the same\n");
	answer_free(&a);
	ask(r, &a, fail_without_a_failure);
	answer_is(&a, 500, "500 Internal Server Error\n");
	answer_free(&a);
}

static void
fail_in_secret(struct weft_request *rq)
{
	assert_int_equal(fail_note(rq, WEFT_BUSY, 0, "host %s, user %s", "db.internal", "root"), WEFT_BUSY);
	assert_int_equal(weft_fault(rq), WEFT_BUSY);
	assert_string_equal(weft_fault_text(rq), "host db.internal, user root");
	assert_int_equal(weft_fail(rq), WEFT_OK);
}

static void
tells_the_client_no_text(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, fail_in_secret);
	answer_is(&a, 503, "503 Service Unavailable\n");
	answer_free(&a);
}

/* ---- JSON, the logs ---- */

static void
write_json(struct weft_request *rq)
{
	json_t *v = json_pack("{s:i, s:[s, n]}", "id", 7, "list", "\303\244\"<");

	assert_non_null(v);
	assert_int_equal(weft_json(rq, v), WEFT_OK);
	json_decref(v);
}

static void
write_no_json(struct weft_request *rq)
{
	assert_int_equal(weft_json(rq, NULL), WEFT_INVALID);
	assert_int_equal(weft_fail(rq), WEFT_OK);
}

static void
answers_with_json(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, write_json);
	answer_is(&a, 200, "{\"id\":7,\"list\":[\"\303\244\\\"<\",null]}");
	assert_non_null(strstr(answer_text(&a), "\r\nContent-Type: application/json\r\n"));
	answer_free(&a);
	ask(r, &a, write_no_json);
	answer_is(&a, 500, "500 Internal Server Error\n");
	answer_free(&a);
}

static void
log_some(struct weft_request *rq)
{
	weft_log(rq, "a line with %d", 7);
	assert_int_equal(weft_stderr(rq, "for the web server\n", 19), WEFT_OK);
}

static void
logs(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, log_some);
	answer_is(&a, 200, "");
	assert_int_equal(a.err.len, 19);
	assert_memory_equal(a.err.at, "for the web server\n", 19);
	answer_free(&a);
}

static int gone_rc;

static int
write_to_nobody(struct weft_request *rq)
{
	if (weft_sleep(rq, LONG_MAX) == WEFT_CANCELED)
		gone_rc = weft_puts(rq, "anybody?") == WEFT_CANCELED && weft_stderr(rq, "x", 1) == WEFT_CANCELED;
	return weft_fail(rq);
}

static void
writes_fail_when_the_client_has_left(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", write_to_nobody);
	rig_new(r, &a, "GET", "/", NULL);
	rig_start(r, &a);
	assert_false(a.is_done);
	rig_gone(r, &a);
	assert_true(gone_rc);
	assert_int_equal(a.sends, 0);
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(writes),
		RIG_TEST(escapes_long_texts),
		RIG_TEST(refuses_headers_that_may_not_be),
		RIG_TEST(redirects),
		RIG_TEST(refuses_bad_redirects),
		RIG_TEST(errors_replace_what_was_written),
		RIG_TEST(tells_the_client_no_text),
		RIG_TEST(answers_with_json),
		RIG_TEST(logs),
		RIG_TEST(writes_fail_when_the_client_has_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
