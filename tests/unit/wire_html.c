/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/html.h"

/* The pieces of a text; *pieces is how many. */
static struct span
html_all(char *out, size_t size, struct span in, unsigned *pieces)
{
	size_t len = 0;

	for (*pieces = 0; in.len > 0; ++*pieces) {
		struct span piece = html_next(&in);

		assert_true(piece.len > 0 && piece.len <= size - len);
		memcpy(out + len, piece.at, piece.len);
		len += piece.len;
	}
	assert_int_equal(html_next(&in).len, 0);
	return (struct span){ out, len };
}

static void
html_check(struct span in, struct span want, unsigned pieces)
{
	char out[128];
	unsigned found;
	struct span got = html_all(out, sizeof out, in, &found);

	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.at, want.at, want.len);
	assert_int_equal(found, pieces);
}

static void
html_is_escaped(void **state)
{
	(void)state;
	html_check(SPAN(""), SPAN(""), 0);
	html_check((struct span){ NULL, 0 }, SPAN(""), 0);
	html_check(SPAN("plain \xc3\xa9\0text, \xff and more of it"), SPAN("plain \xc3\xa9\0text, \xff and more of it"), 1);
	html_check(SPAN("'"), SPAN("&#39;"), 1);
	html_check(SPAN("<a href=\"x\" b='y'>&amp;</a>"),
	    SPAN("&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;"), 15);
}

/* Each byte at each place of a text that is looked at by words. */
static void
every_byte_at_every_place(void **state)
{
	static const char filler[] = "abcdefghijklmnopqrstuvw";

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof filler - 1; at++) {
			bool is_special = c != 0 && strchr("&<>\"'", (int)c) != NULL;
			char text[sizeof filler], out[64];
			unsigned pieces;
			struct span got;

			memcpy(text, filler, sizeof text);
			text[at] = (char)c;
			got = html_all(out, sizeof out, (struct span){ text, sizeof text - 1 }, &pieces);
			assert_memory_equal(got.at, text, at);
			assert_int_equal(got.at[at], is_special ? '&' : text[at]);
			assert_int_equal(is_special, got.len > sizeof text - 1);
			assert_memory_equal(got.at + got.len - (sizeof text - 2 - at), text + at + 1, sizeof text - 2 - at);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html_is_escaped),
		cmocka_unit_test(every_byte_at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
