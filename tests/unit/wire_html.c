/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire/html.h"

static void
html_check(struct span in, struct span want)
{
	char out[128];

	memset(out, '!', sizeof out);
	assert_int_equal(html_escape(out, want.len, in), want.len);
	assert_memory_equal(out, want.at, want.len);
	assert_int_equal(out[want.len], '!');
}

static void
html_is_escaped(void **state)
{
	(void)state;
	html_check(SPAN(""), SPAN(""));
	html_check((struct span){ NULL, 0 }, SPAN(""));
	html_check(SPAN("plain \xc3\xa9\0text"), SPAN("plain \xc3\xa9\0text"));
	html_check(SPAN("<a href=\"x\" b='y'>&amp;</a>"),
	    SPAN("&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;"));
}

static void
html_writes_only_what_fits(void **state)
{
	char out[8] = "!!!!!!!";

	(void)state;
	assert_int_equal(html_escape(NULL, 0, SPAN("a<b")), 6);
	assert_int_equal(html_escape(out, 5, SPAN("a<b")), 6);
	assert_string_equal(out, "!!!!!!!");
	assert_int_equal(html_escape(out, 6, SPAN("a<b")), 6);
	assert_string_equal(out, "a&lt;b!");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html_is_escaped),
		cmocka_unit_test(html_writes_only_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
