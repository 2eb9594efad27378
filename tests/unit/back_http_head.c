/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "back/http/http_head.h"

static struct http_head head;
static const char *why;

static int
head_begin(void **state)
{
	(void)state;
	http_head_init(&head);
	why = NULL;
	return 0;
}

static int
head_end(void **state)
{
	(void)state;
	http_head_fini(&head);
	return 0;
}

/* Give it a text line by line.  Returns what the last one said, or the first that was not HTTP_HEAD_MORE. */
static enum http_head_rc
head_feed(const char *text)
{
	enum http_head_rc rc = HTTP_HEAD_MORE;

	while (*text != '\0' && rc == HTTP_HEAD_MORE) {
		size_t len = strcspn(text, "\n") + (strchr(text, '\n') != NULL);

		rc = http_head_line(&head, (struct span){ text, len }, &why);
		text += len;
	}
	return rc;
}

static void
an_answer_is_made_of_it(void **state)
{
	struct weft_http *h;
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	assert_int_equal(head_feed("HTTP/1.1 200 OK\r\nA: 1\r\nb:\t 2 \t\r\nC:\r\nA: 3\r\n more\r\n\tof it\r\n\r\n"), HTTP_HEAD_COMPLETE);
	h = http_answer_new(&a, &head, SPAN("body\0"));
	assert_int_equal(h->status, 200);
	assert_int_equal(h->nfields, 4);
	assert_string_equal(h->field[0].name, "A");
	assert_string_equal(h->field[1].value, "2");
	assert_string_equal(h->field[2].value, "");
	assert_string_equal(h->field[3].value, "3 more of it");
	assert_string_equal(http_answer_find(h, "a"), "1");
	assert_string_equal(http_answer_find(h, "B"), "2");
	assert_null(http_answer_find(h, "D"));
	assert_int_equal(h->body.len, 5);
	assert_string_equal(http_head_find(&head, "c"), "");
	assert_null(http_head_find(&head, "2"));
	arena_fini(&a);
}

static void
statuses_are_read(void **state)
{
	static const struct {
		const char *line;
		int status;
	} rows[] = { { "HTTP/1.1 200 OK\r\n", 200 }, { "HTTP/2 404 \r\n", 404 }, { "HTTP/1.0 599\r\n", 599 }, { "HTTP/1.1 204", 204 },
		{ "HTTP/1.1 99 x\r\n", 0 }, { "HTTP/1.1 600 x\r\n", 0 }, { "HTTP/1.1 2000 x\r\n", 0 }, { "HTTP/1.1 20x\r\n", 0 },
		{ "HTTP/1.1  200\r\n", 0 }, { "HTTP/ 200\r\n", 0 }, { "HTTP 200\r\n", 0 }, { "http/1.1 200\r\n", 0 }, { "\r\n", 0 }, { "200 OK\r\n", 0 },
		{ "HTTP/1.1 -12\r\n", 0 }, { "HTTP/1.1 101 Switching\r\n", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		http_head_clear(&head);
		assert_int_equal(head_feed(rows[i].line), rows[i].status != 0 ? HTTP_HEAD_MORE : HTTP_HEAD_BAD);
		if (rows[i].status != 0)
			assert_int_equal(head.status, rows[i].status);
	}
}

static void
interim_answers_are_forgotten(void **state)
{
	(void)state;
	assert_int_equal(head_feed("HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nX-New: 1\r\n\r\n"),
	    HTTP_HEAD_COMPLETE);
	assert_null(http_head_find(&head, "X-Old"));
	assert_string_equal(http_head_find(&head, "X-New"), "1");
	http_head_clear(&head);
	for (int i = 0; i < HTTP_INTERIM_MAX; i++)
		assert_int_equal(head_feed("HTTP/1.1 102 Processing\r\n\r\n"), HTTP_HEAD_MORE);
	assert_int_equal(head_feed("HTTP/1.1 102 Processing\r\n\r\n"), HTTP_HEAD_LARGE);
}

static void
trailers_are_passed_over(void **state)
{
	(void)state;
	assert_int_equal(head_feed("HTTP/1.1 200 OK\r\n\r\n"), HTTP_HEAD_COMPLETE);
	assert_int_equal(head_feed("X-Late: 1\r\n more\r\nno colon\r\n\r\n"), HTTP_HEAD_MORE);
	assert_null(http_head_find(&head, "X-Late"));
	for (int i = 2; i < HTTP_FIELDS_MAX - 1; i++)
		assert_int_equal(head_feed("X-Late: 1\r\n"), HTTP_HEAD_MORE);
	assert_int_equal(head_feed("X-Late: 1\r\n"), HTTP_HEAD_LARGE);
}

static void
malformed_lines_are_refused(void **state)
{
	static const char *const bad[] = { "no colon\r\n", ": x\r\n", "X A: b\r\n", " first: x\r\n", "X: a\1b\r\n", "X: a\rb\r\n", "X: \x7f\r\n",
		"X\t: a\r\n", "X\xc3: a\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		http_head_clear(&head);
		assert_int_equal(head_feed("HTTP/1.1 200 OK\r\n"), HTTP_HEAD_MORE);
		assert_int_equal(head_feed(bad[i]), HTTP_HEAD_BAD);
		assert_non_null(why);
	}
	http_head_clear(&head);
	assert_int_equal(head_feed("HTTP/1.1 200 OK\r\n"), HTTP_HEAD_MORE);
	assert_int_equal(http_head_line(&head, SPAN("X: a\0b\r\n"), &why), HTTP_HEAD_BAD);
}

static void
there_are_bounds(void **state)
{
	static char line[HTTP_HEAD_MAX + 100];

	(void)state;
	assert_int_equal(head_feed("HTTP/1.1 200 OK\r\n"), HTTP_HEAD_MORE);
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		assert_int_equal(head_feed("X: y\r\n"), HTTP_HEAD_MORE);
	assert_int_equal(head_feed("X: y\r\n"), HTTP_HEAD_LARGE);
	/* 17 and 65519 are all, with the CR LF. */
	memset(line, 'x', sizeof line);
	memcpy(line, "X: ", 3);
	for (size_t len = HTTP_HEAD_MAX - 17; len <= HTTP_HEAD_MAX - 16; len++) {
		http_head_clear(&head);
		assert_int_equal(head_feed("HTTP/1.1 200 OK\r\n"), HTTP_HEAD_MORE);
		memset(line + 3, 'x', len);
		memcpy(line + len - 2, "\r\n", 2);
		assert_int_equal(http_head_line(&head, (struct span){ line, len }, &why), len == HTTP_HEAD_MAX - 17 ? HTTP_HEAD_MORE : HTTP_HEAD_LARGE);
	}
}

static void
a_request_without_memory_gets_no_answer(void **state)
{
	struct arena a;

	(void)state;
	assert_int_equal(head_feed("HTTP/1.1 200 OK\r\nA: 1\r\n\r\n"), HTTP_HEAD_COMPLETE);
	for (size_t limit = 1; limit < 3000; limit += 500) {
		arena_init(&a, NULL, 0, limit);
		(void)http_answer_new(&a, &head, SPAN("body"));
		arena_fini(&a);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, head_begin, head_end)
	const struct CMUnitTest tests[] = {
		T(an_answer_is_made_of_it),
		T(statuses_are_read),
		T(interim_answers_are_forgotten),
		T(trailers_are_passed_over),
		T(malformed_lines_are_refused),
		T(there_are_bounds),
		T(a_request_without_memory_gets_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
