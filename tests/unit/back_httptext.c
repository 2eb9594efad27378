/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "back/http/httptext.h"

static struct arena arena;

static int
text_begin(void **state)
{
	(void)state;
	arena_init(&arena, NULL, 0, 0);
	return 0;
}

static int
text_end(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void
expect_target(const char *want, const char *fmt, ...)
{
	const char *out = NULL, *why = NULL;
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = http_target_vformat(&arena, &out, &why, fmt, ap);
	va_end(ap);
	if (rc != WEFT_OK)
		fail_msg("%s: %s", fmt, why);
	assert_string_equal(out, want);
}

static void
refuse_target(const char *word, const char *fmt, ...)
{
	const char *out = NULL, *why = NULL;
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = http_target_vformat(&arena, &out, &why, fmt, ap);
	va_end(ap);
	if (rc != WEFT_INVALID || strstr(why, word) == NULL)
		fail_msg("%s is %s: %s", fmt, rc == WEFT_OK ? out : "refused", why);
}

static void
values_are_encoded(void **state)
{
	(void)state;
	expect_target("/item/7", "/item/%d", 7);
	expect_target("/a/b%2Fc%3Fd%23e%26f%3Dg%25h%20i%2Bj/k", "/a/%s/k", "b/c?d#e&f=g%h i+j");
	expect_target("/?q=a%26b%3Dc%2Fd%3F&x=1", "/?q=%s&x=%u", "a&b=c/d?", 1u);
	expect_target("/%C3%BC-._~AZ09%0D%0A%7F", "/%s", "\xc3\xbc-._~AZ09\r\n\x7f");
	expect_target("/-2147483648/4294967295", "/%d/%u", INT_MIN, UINT_MAX);
	expect_target("/-9223372036854775808/18446744073709551615", "/%lld/%llu", LLONG_MIN, ULLONG_MAX);
	expect_target("/-5/5/18446744073709551615", "/%ld/%lu/%zu", -5L, 5ul, SIZE_MAX);
	expect_target("/a%20b/100%25", "/a%%20b/%s", "100%");
	expect_target("/x?a=&b=", "/x?a=%s&b=%s", "", (const char *)NULL);
	expect_target("/x/a", "/x/%s%s", "", "a");
	expect_target("/x//y/", "/x//y/");
	expect_target("/x.y/...", "/x.%s/%s", "y", "...");
	expect_target("/..x?/../y", "/..%s?/../%s", "x", "y");
}

/* A value is never more than a value: no other place, no other thing. */
static void
values_lead_nowhere_else(void **state)
{
	(void)state;
	refuse_target("segment", "/a/%s", "..");
	refuse_target("segment", "/a/%s/b", ".");
	refuse_target("segment", "/a/.%s", ".");
	refuse_target("segment", "/a/%s%s?x", ".", ".");
	refuse_target("segment", "/a/%%2e%%2E");
	refuse_target("segment", "/a/.%%2e/b");
	refuse_target("segment", "/../%s", "x");
	refuse_target("empty", "/item/%s", "");
	refuse_target("empty", "/item/%s/x", "");
	refuse_target("empty", "/item/%s?x=1", (const char *)NULL);
	refuse_target("empty", "/item/%s%s", "", "");
}

static void
wrong_formats_are_refused(void **state)
{
	static char large[HTTP_TARGET_MAX + 2];

	(void)state;
	refuse_target("conversion", "/%x", 1);
	refuse_target("conversion", "/%5d", 1);
	refuse_target("conversion", "/%.1s", "x");
	refuse_target("conversion", "/%c", 'x');
	refuse_target("conversion", "/%lf", 1.0);
	refuse_target("conversion", "/%ls", L"x");
	refuse_target("conversion", "/%");
	refuse_target("begins", "x%s", "y");
	refuse_target("begins", "%s", "/x");
	refuse_target("begins", "%s", "");
	refuse_target("encoded", "/a b");
	refuse_target("encoded", "/a#b");
	refuse_target("encoded", "/a\r\nHost: x");
	refuse_target("encoded", "/\xc3\xbc");
	refuse_target("nothing", "/a%%2");
	refuse_target("nothing", "/a%%zz");
	memset(large, 'a', sizeof large - 1);
	refuse_target("long", "/%s", large);
	large[HTTP_TARGET_MAX] = '\0';
	large[0] = '/';
	expect_target(large, large);
}

static void
headers_are_checked(void **state)
{
	static const struct http_field good[] = { { "X-A", "" }, { "Authorization", "Bearer a.b-c" }, { "Accept", "*/*;q=0.5\ta" } };
	static const struct http_field bad[] = { { "", "x" }, { "X A", "x" }, { "X:", "x" }, { "X\r\nY", "x" }, { "X", "a\r\nY: b" }, { "X", "a\nb" },
		{ "X", "\x7f" }, { NULL, "x" }, { "X", NULL }, { "host", "x" }, { "Content-Length", "1" }, { "TRANSFER-ENCODING", "chunked" },
		{ "Connection", "close" }, { "Upgrade", "x" }, { "TE", "x" }, { "Expect", "100-continue" }, { "Proxy-Authorization", "x" } };
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(http_field_check(&good[i], &why), WEFT_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = NULL;
		assert_int_equal(http_field_check(&bad[i], &why), WEFT_INVALID);
		assert_non_null(why);
	}
}

static void
asks_are_checked(void **state)
{
	static struct http_field many[HTTP_ASK_FIELDS_MAX + 1];
	const char *why = NULL;
	struct http_ask good = { .method = "PROPFIND", .target = "/", .field = many, .nfields = HTTP_ASK_FIELDS_MAX, .redirects = 5 }, ask;

	(void)state;
	for (size_t i = 0; i < sizeof many / sizeof *many; i++)
		many[i] = (struct http_field){ "X", "y" };
	assert_int_equal(http_ask_check(&good, &why), WEFT_OK);
	ask = good;
	ask.nfields++;
	assert_int_equal(http_ask_check(&ask, &why), WEFT_INVALID);
	ask = good;
	ask.redirects++;
	assert_int_equal(http_ask_check(&ask, &why), WEFT_INVALID);
	ask = good;
	ask.method = "HEAD";
	assert_int_equal(http_ask_check(&ask, &why), WEFT_OK);
	ask.body = SPAN("x");
	assert_int_equal(http_ask_check(&ask, &why), WEFT_INVALID);
	ask.method = "a method that is longer than any";
	assert_int_equal(http_ask_check(&ask, &why), WEFT_INVALID);
	ask.method = NULL;
	assert_int_equal(http_ask_check(&ask, &why), WEFT_INVALID);
}

static void
repetition_goes_by_the_method(void **state)
{
	static const char *const safe[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE" }, *const other[] = { "POST", "PATCH", "get", "LOCK" };
	struct http_ask ask = { .target = "/" };

	(void)state;
	for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
		ask.method = safe[i];
		assert_true(http_ask_is_idempotent(&ask));
	}
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		ask.method = other[i];
		ask.is_idempotent = false;
		assert_false(http_ask_is_idempotent(&ask));
		ask.is_idempotent = true;
		assert_true(http_ask_is_idempotent(&ask));
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, text_begin, text_end)
	const struct CMUnitTest tests[] = {
		T(values_are_encoded),
		T(values_lead_nowhere_else),
		T(wrong_formats_are_refused),
		T(headers_are_checked),
		T(asks_are_checked),
		T(repetition_goes_by_the_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
