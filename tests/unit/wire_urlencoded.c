/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/urlencoded.h"

static void
pairs_check(const char *text, const char *const *want)
{
	struct span in = span_str(text), name, value;

	for (; *want != NULL; want += 2) {
		assert_int_equal(urlencoded_next(&in, &name, &value), 1);
		assert_true(span_equal(name, span_str(want[0])));
		assert_true(span_equal(value, span_str(want[1])));
		assert_true(name.at >= text && value.at + value.len <= text + strlen(text));
	}
	assert_int_equal(urlencoded_next(&in, &name, &value), 0);
	assert_int_equal(in.len, 0);
}

static void
pairs_are_cut_at_ampersands(void **state)
{
	struct span none = { NULL, 0 }, name, value;

	(void)state;
	pairs_check("a=1&b=2", (const char *[]){ "a", "1", "b", "2", NULL });
	pairs_check("&&a=1&&&b=2&", (const char *[]){ "a", "1", "b", "2", NULL });
	pairs_check("a&b=&=c&=", (const char *[]){ "a", "", "b", "", "", "c", "", "", NULL });
	pairs_check("a=b=c&d=%26+;e", (const char *[]){ "a", "b=c", "d", "%26+;e", NULL });
	pairs_check("", (const char *[]){ NULL });
	pairs_check("&&", (const char *[]){ NULL });
	assert_int_equal(urlencoded_next(&none, &name, &value), 0);
}

/* The input is a block of its own size, so that a sanitizer sees a read beyond it; it is decoded aside, then in place. */
static void
decode_check(struct span text, enum percent_plus plus, struct span want)
{
	char *copy = malloc(text.len + (text.len == 0)), out[64];
	struct span in = { copy, text.len };

	assert_non_null(copy);
	assert_true(in.len < sizeof out);
	memcpy(copy, text.at, text.len);
	memset(out, '!', sizeof out);
	assert_int_equal(percent_decode(out, in, plus), want.len);
	assert_memory_equal(out, want.at, want.len);
	assert_int_equal(out[in.len], '!');
	assert_int_equal(percent_decode(copy, in, plus), want.len);
	assert_memory_equal(copy, want.at, want.len);
	free(copy);
}

static void
percent_is_decoded(void **state)
{
	(void)state;
	decode_check(SPAN(""), PERCENT_PLUS_IS_SPACE, SPAN(""));
	decode_check(SPAN("a+b%2Bc%2b"), PERCENT_PLUS_IS_SPACE, SPAN("a b+c+"));
	decode_check(SPAN("a+b%2Bc%2b"), PERCENT_PLUS_IS_PLUS, SPAN("a+b+c+"));
	decode_check(SPAN("%C3%A9%00%fF"), PERCENT_PLUS_IS_PLUS, SPAN("\xc3\xa9\0\xff"));
	decode_check(SPAN("%%41%4%zz%4g%g4%"), PERCENT_PLUS_IS_PLUS, SPAN("%A%4%zz%4g%g4%"));
	decode_check(SPAN("%2541"), PERCENT_PLUS_IS_PLUS, SPAN("%41"));
	decode_check(SPAN("%-1%+1% 1%0x%/0%:0%@0%G0%`0"), PERCENT_PLUS_IS_PLUS, SPAN("%-1%+1% 1%0x%/0%:0%@0%G0%`0"));
	decode_check((struct span){ "a%41", 3 }, PERCENT_PLUS_IS_PLUS, SPAN("a%4"));
	decode_check((struct span){ "a%41", 2 }, PERCENT_PLUS_IS_PLUS, SPAN("a%"));
	assert_int_equal(percent_decode(NULL, (struct span){ NULL, 0 }, PERCENT_PLUS_IS_PLUS), 0);
}

static void
percent_survives_both_ways(void **state)
{
	char all[256], coded[768 + 1], back[768];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	memset(coded, '!', sizeof coded);
	len = percent_encode(coded, 768, (struct span){ all, sizeof all });
	assert_int_equal(len, 66 + 190 * 3);
	assert_int_equal(strspn(coded, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%"), len);
	assert_int_equal(percent_decode(back, (struct span){ coded, len }, PERCENT_PLUS_IS_SPACE), 256);
	assert_memory_equal(back, all, 256);
}

static void
percent_encodes_only_what_fits(void **state)
{
	char out[8] = "!!!!!!!";

	(void)state;
	assert_int_equal(percent_encode(NULL, 0, SPAN("a b")), 5);
	assert_int_equal(percent_encode(out, 4, SPAN("a b")), 5);
	assert_string_equal(out, "!!!!!!!");
	assert_int_equal(percent_encode(out, 5, SPAN("a b")), 5);
	assert_string_equal(out, "a%20b!!");
	assert_int_equal(percent_encode(NULL, 0, (struct span){ NULL, 0 }), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_cut_at_ampersands),
		cmocka_unit_test(percent_is_decoded),
		cmocka_unit_test(percent_survives_both_ways),
		cmocka_unit_test(percent_encodes_only_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
