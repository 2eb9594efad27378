/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/jsontext.h"

/* The pieces of a text one behind the other. */
static struct span
jsontext_all(char *out, size_t size, struct span in)
{
	size_t len = 0;

	while (in.len > 0) {
		struct span piece = jsontext_next(&in);

		assert_true(piece.len > 0 && piece.len <= size - len);
		memcpy(out + len, piece.at, piece.len);
		len += piece.len;
	}
	assert_int_equal(jsontext_next(&in).len, 0);
	return (struct span){ out, len };
}

static void
check(struct span in, struct span want)
{
	char out[256];
	struct span got = jsontext_all(out, sizeof out, in);

	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.at, want.at, want.len);
}

static void
strings_are_escaped(void **state)
{
	(void)state;
	check(SPAN(""), SPAN(""));
	check((struct span){ NULL, 0 }, SPAN(""));
	check(SPAN("plain text / \xc3\xa9 \x7f, <&'> and more of it"), SPAN("plain text / \xc3\xa9 \x7f, <&'> and more of it"));
	check(SPAN("\"\\\0\b\t\n\f\r\x0b\x1f"), SPAN("\\\"\\\\\\u0000\\b\\t\\n\\f\\r\\u000B\\u001F"));
}

/* Each byte at each place of a text that is looked at by words. */
static void
every_byte_at_every_place(void **state)
{
	static const char filler[] = "abcdefghijklmnopqrstuvw";

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof filler - 1; at++) {
			char text[sizeof filler], out[64];
			struct span got;

			memcpy(text, filler, sizeof text);
			text[at] = (char)c;
			got = jsontext_all(out, sizeof out, (struct span){ text, sizeof text - 1 });
			assert_memory_equal(got.at, text, at);
			assert_int_equal(got.at[at], c < 0x20 || c == '"' || c == '\\' ? '\\' : text[at]);
			assert_int_equal(c < 0x20 || c == '"' || c == '\\', got.len > sizeof text - 1);
			assert_memory_equal(got.at + got.len - (sizeof text - 2 - at), text + at + 1, sizeof text - 2 - at);
		}
}

static void
what_is_utf8(void **state)
{
	static const struct {
		struct span bytes;
		bool is_utf8;
	} cases[] = {
		{ { "", 0 }, true },
		{ { "a\0b", 3 }, true },
		{ { "\x7f", 1 }, true },
		{ { "\x80", 1 }, false },
		{ { "\xbf", 1 }, false },
		{ { "\xc1\xbf", 2 }, false },
		{ { "\xc2\x80", 2 }, true },
		{ { "\xdf\xbf", 2 }, true },
		{ { "\xdf", 1 }, false },
		{ { "\xdf\xc0", 2 }, false },
		{ { "\xe0\x9f\xbf", 3 }, false },
		{ { "\xe0\xa0\x80", 3 }, true },
		{ { "\xed\x9f\xbf", 3 }, true },
		{ { "\xed\xa0\x80", 3 }, false },
		{ { "\xee\x80\x80", 3 }, true },
		{ { "\xef\xbf\xbf", 3 }, true },
		{ { "\xef\xbf", 2 }, false },
		{ { "\xef\xbf\x7f", 3 }, false },
		{ { "\xf0\x8f\xbf\xbf", 4 }, false },
		{ { "\xf0\x90\x80\x80", 4 }, true },
		{ { "\xf4\x8f\xbf\xbf", 4 }, true },
		{ { "\xf4\x90\x80\x80", 4 }, false },
		{ { "\xf0\x9f\xa7\xb6", 4 }, true },
		{ { "\xf0\x9f\xa7", 3 }, false },
		{ { "\xf0\x9f\xa7\xff", 4 }, false },
		{ { "\xf5\x80\x80\x80", 4 }, false },
		{ { "\xff", 1 }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t before = 0; before < 17; before++) {
			char text[32];

			memset(text, 'x', sizeof text);
			memcpy(text + before, cases[i].bytes.at, cases[i].bytes.len);
			assert_int_equal(jsontext_is_utf8((struct span){ text, before + cases[i].bytes.len }), cases[i].is_utf8);
			assert_int_equal(jsontext_is_utf8((struct span){ text, before + cases[i].bytes.len + 9 }), cases[i].is_utf8);
		}
	assert_true(jsontext_is_utf8((struct span){ NULL, 0 }));
}

static void
integers(void **state)
{
	static const long long numbers[] = { 0, 7, -7, 10, 999, 1000, -1000, LLONG_MAX, LLONG_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		char out[JSONTEXT_INTEGER_MAX], want[32];
		int len = snprintf(want, sizeof want, "%lld", numbers[i]);

		assert_int_equal(jsontext_integer(out, numbers[i]), len);
		assert_memory_equal(out, want, (size_t)len);
	}
}

static void
reals(void **state)
{
	static const struct {
		double n;
		const char *want;
	} cases[] = {
		{ 0, "0.0" }, { -0.0, "-0.0" }, { 1, "1.0" }, { -12, "-12.0" }, { 0.1, "0.1" }, { 1.0 / 3, "0.3333333333333333" },
		{ 1e15, "1e+15" }, { 123456789012345, "123456789012345.0" }, { 5e-324, "4.94065645841247e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" }, { 2.5, "2.5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[JSONTEXT_REAL_MAX + 1];
		size_t len = jsontext_real(out, cases[i].n);

		out[len] = '\0';
		assert_string_equal(out, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(every_byte_at_every_place),
		cmocka_unit_test(what_is_utf8),
		cmocka_unit_test(integers),
		cmocka_unit_test(reals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
