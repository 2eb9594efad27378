/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cgi_head.h"

static void
head_check_field(struct span *in, const char *want_name, const char *want_value)
{
	struct span name, value;

	assert_int_equal(cgi_head_next(in, &name, &value), CGI_HEAD_FIELD);
	assert_true(span_equal(name, span_str(want_name)));
	assert_true(span_equal(value, span_str(want_value)));
}

static void
head_is_read_to_its_body(void **state)
{
	struct span in = SPAN("Content-Type: text/plain\r\nX-Empty:\nX-Tab:\t a\tb \t\r\nX:y:z\n\r\nbody\n");
	struct span name, value;

	(void)state;
	head_check_field(&in, "Content-Type", "text/plain");
	head_check_field(&in, "X-Empty", "");
	head_check_field(&in, "X-Tab", "a\tb");
	head_check_field(&in, "X", "y:z");
	assert_int_equal(cgi_head_next(&in, &name, &value), CGI_HEAD_END);
	assert_true(span_equal(in, SPAN("body\n")));
	in = SPAN("\nbody");
	assert_int_equal(cgi_head_next(&in, &name, &value), CGI_HEAD_END);
	assert_true(span_equal(in, SPAN("body")));
}

/* A head which arrives in two parts reads as if it had come at once. */
static void
head_survives_every_cut(void **state)
{
	static const char wire[] = "Status: 404 Not Found\r\nX: y\n\r\nb";
	size_t len = sizeof wire - 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		char *part = malloc(cut > 0 ? cut : 1);
		struct span in = { part, cut }, name, value;
		enum cgi_head_rc rc;

		assert_non_null(part);
		memcpy(part, wire, cut);
		while ((rc = cgi_head_next(&in, &name, &value)) == CGI_HEAD_FIELD)
			assert_true(value.at + value.len <= part + cut);
		assert_int_equal(rc, cut < len - 1 ? CGI_HEAD_MORE : CGI_HEAD_END);
		assert_true(in.at + in.len == part + cut);
		if (rc == CGI_HEAD_MORE)
			assert_null(memchr(in.at, '\n', in.len));
		free(part);
	}
}

static void
head_wants_whole_lines(void **state)
{
	static const char *const wire[] = { "", "\r", "X", "X: y", "X: y\r", "no colon" };
	struct span none = { NULL, 0 }, name = SPAN("same"), value = SPAN("same");

	(void)state;
	for (size_t i = 0; i < sizeof wire / sizeof wire[0]; i++) {
		struct span in = span_str(wire[i]);

		assert_int_equal(cgi_head_next(&in, &name, &value), CGI_HEAD_MORE);
		assert_true(in.at == wire[i] && in.len == strlen(wire[i]));
	}
	assert_int_equal(cgi_head_next(&none, &name, &value), CGI_HEAD_MORE);
	assert_true(span_equal(name, SPAN("same")) && span_equal(value, SPAN("same")));
}

/* H01, H10, H13 */
static void
head_refuses_what_is_no_field(void **state)
{
	static const struct span wire[] = {
		{ "no colon\n", 9 },
		{ ": value\n", 8 },
		{ "X : y\n", 6 },
		{ " X: y\n", 6 },
		{ "\tcontinued: y\n", 14 },
		{ "X: a\rb\n", 7 },
		{ "X: a\r\r\n", 7 },
		{ "X: a\0b\n", 7 },
		{ "X\0: a\n", 6 },
		{ "X: \x7f\n", 6 },
		{ "X: \x1b[31m\n", 9 },
		{ "\r\r\n", 3 },
		{ "HTTP/1.1 200 OK\n", 16 },
		{ "X\xc3\xa9: y\n", 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wire / sizeof wire[0]; i++) {
		struct span in = wire[i], name = SPAN("same"), value = SPAN("same");

		assert_int_equal(cgi_head_next(&in, &name, &value), CGI_HEAD_BAD);
		assert_true(in.at == wire[i].at && in.len == wire[i].len);
		assert_true(span_equal(name, SPAN("same")) && span_equal(value, SPAN("same")));
	}
}

static void
status_is_three_digits_and_a_reason(void **state)
{
	struct span reason = SPAN("same");

	(void)state;
	assert_int_equal(cgi_head_status(SPAN("404 Not Found"), &reason), 404);
	assert_true(span_equal(reason, SPAN("Not Found")));
	assert_int_equal(cgi_head_status(SPAN("100"), &reason), 100);
	assert_int_equal(reason.len, 0);
	assert_int_equal(cgi_head_status(SPAN("999 \t"), &reason), 999);
	assert_int_equal(reason.len, 0);
	assert_int_equal(cgi_head_status(SPAN("200\t fine "), &reason), 200);
	assert_true(span_equal(reason, SPAN("fine")));
}

/* H05 */
static void
status_refuses_the_rest(void **state)
{
	static const char *const wrong[] = { "", "abc", "99", "099", "000", "1000", "20", "20x", "2 0", " 200", "+200",
		"-20", "200OK", "200 a\rb", "200 a\nb", "200\n" };
	struct span reason = SPAN("same");

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(cgi_head_status(span_str(wrong[i]), &reason), 0);
	assert_int_equal(cgi_head_status((struct span){ NULL, 0 }, &reason), 0);
	assert_true(span_equal(reason, SPAN("same")));
}

static void
names_and_values_are_judged_byte_by_byte(void **state)
{
	static const char tokens[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char s[3] = { 'x', (char)c, 'x' };
		struct span span = { s, 3 };

		assert_int_equal(cgi_name_is_valid(span) != 0, c != 0 && strchr(tokens, c) != NULL);
		assert_int_equal(cgi_value_is_valid(span) != 0, c == '\t' || (c >= 0x20 && c != 0x7f));
	}
	assert_int_equal(cgi_name_is_valid(SPAN("")), 0);
	assert_true(cgi_value_is_valid(SPAN("")));
}

static void
reasons_are_the_usual_ones(void **state)
{
	(void)state;
	assert_string_equal(cgi_reason(100), "Continue");
	assert_string_equal(cgi_reason(200), "OK");
	assert_string_equal(cgi_reason(302), "Found");
	assert_string_equal(cgi_reason(404), "Not Found");
	assert_string_equal(cgi_reason(503), "Service Unavailable");
	assert_string_equal(cgi_reason(511), "Network Authentication Required");
	assert_string_equal(cgi_reason(299), "Unknown");
	assert_string_equal(cgi_reason(0), "Unknown");
	assert_string_equal(cgi_reason(-1), "Unknown");
	assert_string_equal(cgi_reason(65536 + 404), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_is_read_to_its_body),
		cmocka_unit_test(head_survives_every_cut),
		cmocka_unit_test(head_wants_whole_lines),
		cmocka_unit_test(head_refuses_what_is_no_field),
		cmocka_unit_test(status_is_three_digits_and_a_reason),
		cmocka_unit_test(status_refuses_the_rest),
		cmocka_unit_test(names_and_values_are_judged_byte_by_byte),
		cmocka_unit_test(reasons_are_the_usual_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
