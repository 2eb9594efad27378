/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

#include "back/driver.h"
#include "back/url.h"

static const struct {
	const char *text;
	struct back_url is;
	const char *described;
} good[] = {
	{ "redis://127.0.0.1:6379/0", { "redis", "", "", "127.0.0.1", 6379, "/0", "" }, "redis://127.0.0.1:6379/0" },
	{ "REDIS://:s%40cret@cache", { "redis", "", "s@cret", "cache", 0, "", "" }, "redis://cache" },
	{ "redis://bob:p:w@cache:1", { "redis", "bob", "p:w", "cache", 1, "", "" }, "redis://bob@cache:1" },
	{ "redis://a@b:x@cache", { "redis", "a@b", "x", "cache", 0, "", "" }, "redis://a@b@cache" },
	{ "redis://[::1]:7000", { "redis", "", "", "::1", 7000, "", "" }, "redis://[::1]:7000" },
	{ "redis://host:", { "redis", "", "", "host", 0, "", "" }, "redis://host" },
	{ "redis+unix:///run/re%20dis.sock?db=2", { "redis+unix", "", "", "", 0, "/run/re dis.sock", "db=2" },
	  "redis+unix:///run/re dis.sock?db=2" },
	{ "postgresql:///shop", { "postgresql", "", "", "", 0, "/shop", "" }, "postgresql:///shop" },
	{ "postgresql://%2Frun%2Fpg/db?password=x&a=1&sslPassword=y&b=2",
	  { "postgresql", "", "", "/run/pg", 0, "/db", "password=x&a=1&sslPassword=y&b=2" }, "postgresql:///run/pg/db?a=1&b=2" },
	{ "postgresql://u@/db?p%61ssword=x", { "postgresql", "u", "", "", 0, "/db", "p%61ssword=x" }, "postgresql://u@/db" },
	{ "postgresql://u:p@a.example:5433,[::1],%2Frun:1/db?target_session_attrs=any",
	  { "postgresql", "u", "p", "a.example:5433,[::1],%2Frun:1", 0, "/db", "target_session_attrs=any" },
	  "postgresql://u@a.example:5433,[::1],%2Frun:1/db?target_session_attrs=any" },
	{ "postgres://a,b", { "postgres", "", "", "a,b", 0, "", "" }, "postgres://a,b" },
	{ "https://tok%2Fen@api:444/v%201?ca=/x", { "https", "tok/en", "", "api", 444, "/v 1", "ca=/x" }, "https://api:444/v 1?ca=/x" },
	{ "http://h:1/@a/b", { "http", "", "", "h", 1, "/@a/b", "" }, "http://h:1/@a/b" },
	{ "postgresql://h/db?user=a@b", { "postgresql", "", "", "h", 0, "/db", "user=a@b" }, "postgresql://h/db?user=a@b" },
	{ "redis+unix:///run/a@b", { "redis+unix", "", "", "", 0, "/run/a@b", "" }, "redis+unix:///run/a@b" },
	{ "http://u:p@[::1]/", { "http", "u", "p", "::1", 0, "/", "" }, "http://[::1]/" },
	{ "redis+sentinel://bob:pw@a:1,[::1]:2,c/mine/3?sentinel_password=x",
	  { "redis+sentinel", "bob", "pw", "a:1,[::1]:2,c", 0, "/mine/3", "sentinel_password=x" },
	  "redis+sentinel://bob@a:1,[::1]:2,c/mine/3" },
	{ "redis+cluster://[::1]:7000", { "redis+cluster", "", "", "[::1]:7000", 0, "", "" }, "redis+cluster://[::1]:7000" },
	{ "http://h/~me/@x?y=@z", { "http", "", "", "h", 0, "/~me/@x", "y=@z" }, "http://h/~me/@x?y=@z" },
	{ "postgresql://h/db?user=a@b", { "postgresql", "", "", "h", 0, "/db", "user=a@b" }, "postgresql://h/db?user=a@b" },
	{ "sqlite:/var/a@b.db", { "sqlite", "", "", "", 0, "/var/a@b.db", "" }, "sqlite:///var/a@b.db" },
	{ "sqlite:shop.db", { "sqlite", "", "", "", 0, "shop.db", "" }, "sqlite:shop.db" },
	{ "sqlite:/var/shop.db", { "sqlite", "", "", "", 0, "/var/shop.db", "" }, "sqlite:///var/shop.db" },
	{ "sqlite::memory:", { "sqlite", "", "", "", 0, ":memory:", "" }, "sqlite::memory:" },
};

static void
url_is_taken_apart_and_described(void **state)
{
	char error[100], text[200];
	struct back_url u;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (back_url_parse(good[i].text, &u, error, sizeof error) != WEFT_OK)
			fail_msg("%s: %s", good[i].text, error);
		assert_string_equal(u.scheme, good[i].is.scheme);
		assert_string_equal(u.user, good[i].is.user);
		assert_string_equal(u.password, good[i].is.password);
		assert_string_equal(u.host, good[i].is.host);
		assert_int_equal(u.port, good[i].is.port);
		assert_string_equal(u.path, good[i].is.path);
		assert_string_equal(u.query, good[i].is.query);
		back_url_describe(&u, text, sizeof text);
		assert_string_equal(text, good[i].described);
	}
}

static void
url_errors_name_the_part_and_not_the_password(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "scheme" }, { "cache", "scheme" }, { "/run/x", "scheme" }, { "1x://h", "scheme" }, { "://h", "scheme" },
		{ "redis://u:hunter2@h:0", "port" },
		{ "redis://u:hunter2@h:65536", "port" }, { "redis://u:hunter2@h:99999999999999999999", "port" },
		{ "redis://u:hunter2@h:6x", "port" }, { "redis://u:hunter2%zz@h", "password" },
		{ "redis://u:hunter2%0a@h", "password" }, { "redis://u%00:hunter2@h", "user" }, { "redis://[::1", "bracket" },
		{ "redis://[]:1", "bracket" }, { "redis://[::1]x", "port" }, { "redis://h%4", "host" }, { "redis://h/%", "path" },
		{ "redis://h/\x01", "path" }, { "redis://h/0?a b", "query" },
		{ "redis://u:hunter2@a:1,b:2/0", "one host" }, { "postgresql://u:hunter2@a, b/", "hosts" }, { "postgresql://u:hunter2@a,/db", "hosts" },
		{ "postgresql://u:hunter2@a,b:0/db", "port" }, { "redis://h/0#frag", "fragment" },
		{ "redis://u:6379/hunter2@h/0", "%2F" }, { "mariadb://u:1?hunter2@h/db", "%3F" }, { "postgres://:1/hunter2@a,b/db", "%2F" },
		{ "redis://u:1#hunter2@h", "%23" }, { "redis://:hunter2/x@h", "%2F" }, { "postgresql://u:hunter2?x@h/db", "%3F" },
		{ "postgresql://u:12/hunter2@h/db", "%2F" }, { "http://u:hunter2#x@h", "port" },
	};
	char error[100], text[800];
	struct back_url u;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		error[0] = '\0';
		assert_int_equal(back_url_parse(bad[i].text, &u, error, sizeof error), WEFT_INVALID);
		if (strstr(error, bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].text, error);
		assert_null(strstr(error, "hunter2"));
	}
	/* Every part has a bound. */
	memset(text, 'a', sizeof text);
	memcpy(text, "redis://", 8);
	text[8 + 256] = '\0';
	assert_int_equal(back_url_parse(text, &u, error, sizeof error), WEFT_INVALID);
	text[8 + 255] = '\0';
	assert_int_equal(back_url_parse(text, &u, error, sizeof error), WEFT_OK);
}

static void
url_description_is_cut_to_fit(void **state)
{
	char error[100], text[200];
	struct back_url u;

	assert_int_equal(back_url_parse("redis://bob:x@cache:6379/1", &u, error, sizeof error), WEFT_OK);
	for (size_t size = 1; size < 40; size++) {
		memset(text, 'x', sizeof text);
		back_url_describe(&u, text, size);
		assert_true(strlen(text) < size);
		assert_int_equal(strncmp("redis://bob@cache:6379/1", text, strlen(text)), 0);
		assert_int_equal(text[size], 'x');
	}
}

static void
url_parameters_are_found_by_their_names(void **state)
{
	static const char *const known[] = { "a", "b", "path", NULL };
	char error[100], value[8];
	struct back_url u;

	(void)state;
	assert_int_equal(back_url_parse("x://h/?a=1&path=%2Fs&b&aa=2&a=3", &u, error, sizeof error), WEFT_OK);
	assert_int_equal(back_url_param(&u, "a", value, sizeof value), 1);
	assert_string_equal(value, "1");
	assert_int_equal(back_url_param(&u, "path", value, sizeof value), 1);
	assert_string_equal(value, "/s");
	assert_int_equal(back_url_param(&u, "b", value, sizeof value), 1);
	assert_string_equal(value, "");
	assert_int_equal(back_url_param(&u, "pat", value, sizeof value), 0);
	assert_string_equal(value, "");
	assert_string_equal(back_url_param_unknown(&u, known, value, sizeof value), "aa");
	assert_int_equal(back_url_parse("x://h/?a=%zz&b=12345678&path=&=1", &u, error, sizeof error), WEFT_OK);
	assert_int_equal(back_url_param(&u, "a", value, sizeof value), -1);
	assert_int_equal(back_url_param(&u, "b", value, sizeof value), -1);
	assert_string_equal(back_url_param_unknown(&u, known, value, sizeof value), "");
	assert_int_equal(back_url_parse("x://h", &u, error, sizeof error), WEFT_OK);
	assert_int_equal(back_url_param(&u, "a", value, sizeof value), 0);
	assert_null(back_url_param_unknown(&u, known, value, sizeof value));
}

static void
driver_is_found_by_scheme(void **state)
{
	char list[100], cut[8];

	assert_null(driver_find("gopher"));
#ifdef HAVE_CURL
	assert_ptr_equal(driver_find("http"), &driver_http);
	assert_ptr_equal(driver_find("https"), &driver_http);
#endif
#ifdef HAVE_REDIS
	assert_ptr_equal(driver_find("redis"), &driver_redis);
	assert_ptr_equal(driver_find("redis+unix"), &driver_redis);
	driver_list(list, sizeof list);
	assert_int_equal(strncmp(list, "redis redis+unix", 16), 0);
	driver_list(cut, sizeof cut);
	assert_string_equal(cut, "redis r");
#else
	driver_list(list, sizeof list);
	driver_list(cut, sizeof cut);
	assert_true(strlen(cut) < sizeof cut && strncmp(list, cut, strlen(cut)) == 0);
	assert_null(driver_find("redis"));
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url_is_taken_apart_and_described),
		cmocka_unit_test(url_errors_name_the_part_and_not_the_password),
		cmocka_unit_test(url_description_is_cut_to_fit),
		cmocka_unit_test(url_parameters_are_found_by_their_names),
		cmocka_unit_test(driver_is_found_by_scheme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
