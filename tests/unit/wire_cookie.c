/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire/cookie.h"

static void
cookies_check(const char *text, const char *const *want)
{
	struct span in = span_str(text), name, value;

	for (; *want != NULL; want += 2) {
		assert_int_equal(cookie_next(&in, &name, &value), 1);
		assert_true(span_equal(name, span_str(want[0])));
		assert_true(span_equal(value, span_str(want[1])));
		assert_true(name.at >= text && value.at + value.len <= text + strlen(text));
	}
	assert_int_equal(cookie_next(&in, &name, &value), 0);
	assert_int_equal(in.len, 0);
}

static void
cookies_are_cut_at_semicolons(void **state)
{
	(void)state;
	cookies_check("a=1; b=2", (const char *[]){ "a", "1", "b", "2", NULL });
	cookies_check("a=1;b=2;", (const char *[]){ "a", "1", "b", "2", NULL });
	cookies_check(" a = 1 2 \t;\tb\t=\t", (const char *[]){ "a", "1 2", "b", "", NULL });
	cookies_check("a=b=c; $Version=1", (const char *[]){ "a", "b=c", "$Version", "1", NULL });
}

static void
cookies_lose_one_pair_of_quotes(void **state)
{
	(void)state;
	cookies_check("a=\"1 2\"; b=\"\"; c=\"; d=\"\"x\"\"; e=\"x; f=x\"",
	    (const char *[]){ "a", "1 2", "b", "", "c", "\"", "d", "\"x\"", "e", "\"x", "f", "x\"", NULL });
	cookies_check("a= \"1\" ; b=\" x \"", (const char *[]){ "a", "1", "b", " x ", NULL });
	cookies_check("a=\"x;y\"; b=2", (const char *[]){ "a", "\"x", "b", "2", NULL });
}

static void
cookies_that_are_none_are_passed_over(void **state)
{
	struct span none = { NULL, 0 }, name, value;

	(void)state;
	cookies_check("", (const char *[]){ NULL });
	cookies_check(";;; ; =; =x; \t=y; word", (const char *[]){ NULL });
	cookies_check("word; =x; a=1; word", (const char *[]){ "a", "1", NULL });
	assert_int_equal(cookie_next(&none, &name, &value), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cookies_are_cut_at_semicolons),
		cmocka_unit_test(cookies_lose_one_pair_of_quotes),
		cmocka_unit_test(cookies_that_are_none_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
