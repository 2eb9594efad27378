/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include <stdio.h>

#include "request/router.h"

static struct router *
routes(const char *const *list, size_t n)
{
	struct router *r = router_new();
	char method[16], pattern[300], error[200];

	assert_non_null(r);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sscanf(list[i], "%15s %299s", method, pattern), 2);
		assert_int_equal(router_add(r, method, pattern, (void *)(uintptr_t)list[i], error, sizeof error), 0);
	}
	return r;
}

/* One look-up as text: "pattern name=value …", or what it is instead. */
static const char *
find(const struct router *r, const char *method, const char *path)
{
	static char text[1000];
	struct route_match m;
	int n;

	switch (router_find(r, method, span_str(path), &m)) {
	case ROUTE_NO_PATH:
		return "404";
	case ROUTE_BAD_PATH:
		return "400";
	case ROUTE_NO_METHOD:
		snprintf(text, sizeof text, "405 %s", m.allow);
		return text;
	case ROUTE_FOUND:
		break;
	}
	assert_non_null(strstr(m.target, m.pattern));
	n = snprintf(text, sizeof text, "%s", m.pattern);
	for (unsigned i = 0; i < m.nparams; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, " %s=%.*s", m.param[i].name, (int)m.param[i].value.len,
		    m.param[i].value.at);
	return text;
}

#define ROUTES(list) routes(list, sizeof list / sizeof list[0])

static void
the_best_pattern_wins(void **state)
{
	static const char *const list[] = {
		"GET /*", "GET /item/*", "GET /item/:id", "GET /item/new", "GET /item/:name/price", "GET /item/new/:day/x",
		"GET /", "GET /a/:x/c", "GET /a/b/*", "GET /:any/b/d",
	};
	static const char *const want[][2] = {
		{ "/", "/" }, { "/item/7", "/item/:id id=7" }, { "/item/new", "/item/new" },
		{ "/item/7/price", "/item/:name/price name=7" }, { "/item/new/price", "/item/:name/price name=new" },
		{ "/item/new/1/x", "/item/new/:day/x day=1" }, { "/item/new/1/y", "/item/* *=new/1/y" },
		{ "/item", "/item/* *=" }, { "/item/", "/item/* *=" }, { "/item//", "/item/* *=/" }, { "/x/y", "/* *=x/y" },
		{ "/a/b/c", "/a/b/* *=c" }, { "/a/z/c", "/a/:x/c x=z" }, { "/a/z/d", "/* *=a/z/d" }, { "/q/b/d", "/:any/b/d any=q" },
		{ "//", "/* *=/" },
	};
	struct router *r = ROUTES(list);

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		assert_string_equal(find(r, "GET", want[i][0]), want[i][1]);
	router_free(&r);
	assert_null(r);
}

static void
methods(void **state)
{
	static const char *const list[] = {
		"GET /a", "POST /a", "HEAD /b", "GET /b", "* /c", "PUT /c", "GET /item/new", "POST /item/:id", "DELETE /item/*",
	};
	struct router *r = ROUTES(list);
	struct route_match m;

	(void)state;
	assert_string_equal(find(r, "HEAD", "/a"), "/a");
	assert_int_equal(router_find(r, "HEAD", SPAN("/b"), &m), ROUTE_FOUND);
	assert_string_equal(m.target, "HEAD /b");
	assert_int_equal(router_find(r, "PUT", SPAN("/c"), &m), ROUTE_FOUND);
	assert_string_equal(m.target, "PUT /c");
	assert_string_equal(find(r, "FROB", "/c"), "/c");
	assert_string_equal(find(r, "DELETE", "/a"), "405 POST, GET, HEAD");
	assert_string_equal(find(r, "POST", "/b"), "405 GET, HEAD");
	assert_string_equal(find(r, "get", "/a"), "405 POST, GET, HEAD");
	assert_string_equal(find(r, "POST", "/item/new"), "/item/:id id=new");
	assert_string_equal(find(r, "PUT", "/item/new"), "405 GET, HEAD, POST, DELETE");
	assert_string_equal(find(r, "GET", "/d"), "404");
	router_free(&r);
}

static void
encoding(void **state)
{
	static const char *const list[] = { "GET /café/:x", "GET /na%C3%AFve", "GET /a b", "GET /f/*" };
	struct router *r = routes(list, 2);
	char error[200];

	(void)state;
	assert_int_equal(router_add(r, "GET", "/f/*", (void *)(uintptr_t)list[3], error, sizeof error), 0);
	assert_string_equal(find(r, "GET", "/caf%C3%A9/1%2f2"), "/café/:x x=1%2f2");
	assert_string_equal(find(r, "GET", "/caf%c3%a9/%C3%A9"), "/café/:x x=%C3%A9");
	assert_string_equal(find(r, "GET", "/na\xc3\xafve"), "/na%C3%AFve");
	assert_string_equal(find(r, "GET", "/f/a%2Fb/c"), "/f/* *=a%2Fb/c");
	assert_string_equal(find(r, "GET", "/%66/x"), "/f/* *=x");
	assert_string_equal(find(r, "GET", "/f/50%"), "/f/* *=50%");
	router_free(&r);
}

static void
bad_paths(void **state)
{
	static const char *const list[] = { "GET /*" };
	static const char *const bad[] = {
		"", "x", "*", "http://h/", "/..", "/../x", "/a/../b", "/./", "/a/.", "/%2e%2e/x", "/.%2E", "/%2e", "/a/..%2f..%2fetc",
		"/a%2f..", "/%2f%2e%2e%2Fb", "/a%00b", "/%00",
	};
	static const char *const good[] = { "/...", "/a..b", "/..a", "/%2e%2e%2e", "/a%2fb", "/.well-known/x", "/%2fa", "/a%2f" };
	struct router *r = ROUTES(list);
	struct route_match m;
	char deep[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_string_equal(find(r, "GET", bad[i]), "400");
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(router_find(r, "GET", span_str(good[i]), &m), ROUTE_FOUND);
	assert_int_equal(router_find(r, "GET", (struct span){ "/a\0b", 4 }, &m), ROUTE_BAD_PATH);
	for (int i = 0; i < ROUTE_SEGMENTS_MAX; i++)
		strcat(deep, "/a");
	assert_int_equal(router_find(r, "GET", span_str(deep), &m), ROUTE_FOUND);
	assert_int_equal(m.param[0].value.len, 127);
	strcat(deep, "/");
	assert_int_equal(router_find(r, "GET", span_str(deep), &m), ROUTE_BAD_PATH);
	router_free(&r);
}

static void
patterns_that_are_refused(void **state)
{
	static const char *const bad[][3] = {
		{ "GET", "", "must begin with '/'" }, { "GET", "a", "must begin with '/'" }, { "GET", "/a/*/b", "must come last" },
		{ "GET", "/a*", "of its own" }, { "GET", "/:", "a name behind ':'" }, { "GET", "/:a-b", "a name behind ':'" },
		{ "GET", "/:a/:a", "name twice" }, { "GET", "/a b", "blanks" }, { "GET", "/a?b", "'?'" }, { "G T", "/a", "no method" },
		{ "", "/a", "no method" }, { "GET", "/there", "there already" }, { "GET", "/p/:other", "there already" },
		{ "GET", "/%74here", "there already" }, { "GET", "/r/*", "there already" },
		{ "GET", "/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p/*", "more than 16" }, { NULL, "/", "needs" },
		{ "GET", NULL, "needs" },
	};
	static const char *const list[] = { "GET /there", "GET /p/:id", "GET /r/*" };
	struct router *r = ROUTES(list);
	char error[200], longer[300] = "/";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		error[0] = '\0';
		assert_int_equal(router_add(r, bad[i][0], bad[i][1], NULL, error, sizeof error), -1);
		if (strstr(error, bad[i][2]) == NULL)
			fail_msg("%s: %s", bad[i][1], error);
	}
	assert_int_equal(router_add(r, "PUT", "/there", (void *)(uintptr_t)"PUT /there", error, sizeof error), 0);
	memset(longer + 1, 'a', ROUTE_LITERAL_MAX + 1);
	assert_int_equal(router_add(r, "GET", longer, NULL, error, sizeof error), -1);
	for (size_t i = 0; i < 65; i++)
		memcpy(longer + i * 2, "/a", 3);
	assert_int_equal(router_add(r, "GET", longer, NULL, error, sizeof error), -1);
	router_free(&r);
}

static void
sixteen_params(void **state)
{
	static const char *const list[] = { "GET /:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p", "GET /:a/:b/*" };
	struct router *r = ROUTES(list);
	struct route_match m;

	(void)state;
	assert_int_equal(router_find(r, "GET", SPAN("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"), &m), ROUTE_FOUND);
	assert_int_equal(m.nparams, 16);
	assert_string_equal(m.param[15].name, "p");
	assert_int_equal(m.param[15].value.len, 2);
	/* All the way down, and back. */
	assert_string_equal(find(r, "GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"),
	    "/:a/:b/* a=1 b=2 *=3/4/5/6/7/8/9/10/11/12/13/14/15/16/17");
	router_free(&r);
}

static void
many_routes(void **state)
{
	enum { MANY = 2000 };
	struct router *r = router_new();
	static char pattern[MANY][32];
	char error[200], path[40];
	struct route_match m;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(pattern[i], sizeof pattern[i], "/s%zu/:id/t%zu", i % 50, i);
		assert_int_equal(router_add(r, "GET", pattern[i], pattern[i], error, sizeof error), 0);
	}
	for (size_t i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "/s%zu/x/t%zu", i % 50, i);
		assert_int_equal(router_find(r, "GET", span_str(path), &m), ROUTE_FOUND);
		assert_ptr_equal(m.target, pattern[i]);
	}
	assert_string_equal(find(r, "GET", "/s1/x/t2"), "404");
	router_free(&r);
	router_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_pattern_wins),
		cmocka_unit_test(methods),
		cmocka_unit_test(encoding),
		cmocka_unit_test(bad_paths),
		cmocka_unit_test(patterns_that_are_refused),
		cmocka_unit_test(sixteen_params),
		cmocka_unit_test(many_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
