/* SPDX-License-Identifier: ISC */
/* The exported API: what a request brought, and memory. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

static const char *
or_dash(const char *s)
{
	return s == NULL ? "-" : s;
}

static int
say_path(struct weft_request *rq)
{
	assert_ptr_equal(weft_path(rq), weft_path(rq));
	return weft_puts(rq, weft_path(rq));
}

static void
path_is_below_the_prefix(void **state)
{
	struct rig *r = *state;
	const struct weft_route any = { "GET", "/*", say_path, 0, 0 };
	const struct weft_route top = { "GET", "/", say_path, 0, 0 };

	assert_int_equal(app_add_route(&r->app, NULL, "/caf\303\251", &any, r->error, sizeof r->error), 0);
	assert_int_equal(app_add_route(&r->app, NULL, "", &top, r->error, sizeof r->error), 0);
	rig_expect(r, "/?x", 200, "/");
	/* The prefix counts decoded. */
	rig_expect(r, "/caf%C3%A9/a%2Fb+c?d", 200, "/a/b+c");
	rig_expect(r, "/caf\303\251/a/b", 200, "/a/b");
	rig_expect(r, "/%63af%C3%A9/", 200, "/");
}

static int
say_inputs(struct weft_request *rq)
{
	const char *name, *value;
	size_t n = 0;

	while (weft_var_at(rq, n, &name, &value) == WEFT_OK)
		n++;
	assert_int_equal(weft_var_at(rq, n, &name, &value), WEFT_INVALID);
	assert_int_equal(weft_var_at(rq, 0, &name, &value), WEFT_OK);
	assert_string_equal(name, "REQUEST_METHOD");
	return weft_printf(rq, "%s %s %s %s %s %s %s %zu", weft_method(rq), or_dash(weft_query(rq, "a")),
	    or_dash(weft_query(rq, "none")), or_dash(weft_header(rq, "user-AGENT")), or_dash(weft_header(rq, "None")),
	    or_dash(weft_cookie(rq, "sid")), or_dash(weft_var(rq, "REMOTE_ADDR")), n);
}

static void
gives_what_came(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "*", "/", say_inputs);
	rig_new(r, &a, "PURGE", "/?a=x%20y&a=z", "HTTP_USER_AGENT", "loom", "HTTP_COOKIE", "x=1; sid=abc", "REMOTE_ADDR",
	    "127.0.0.9", NULL);
	rig_start(r, &a);
	answer_is(&a, 200, "PURGE x y - loom - abc 127.0.0.9 6");
	answer_free(&a);
}

/* ---- bodies ---- */

static int
say_form(struct weft_request *rq)
{
	return weft_printf(rq, "%s|%s", or_dash(weft_form(rq, "name")), or_dash(weft_form(rq, "none")));
}

static int
say_body(struct weft_request *rq)
{
	const char *bytes;
	size_t len;

	if (weft_body(rq, &bytes, &len) != WEFT_OK)
		return weft_fail(rq);
	assert_int_equal(bytes[len], '\0');
	return weft_write(rq, bytes, len);
}

static int
say_pieces(struct weft_request *rq)
{
	char piece[4];
	long n;

	while ((n = weft_body_read(rq, piece, sizeof piece)) > 0)
		weft_printf(rq, "[%.*s]", (int)n, piece);
	return n < 0 ? weft_fail(rq) : WEFT_OK;
}

static void
post(struct rig *r, struct answer *a, const char *uri, const char *length)
{
	rig_new(r, a, "POST", uri, "CONTENT_LENGTH", length, "CONTENT_TYPE", "application/x-www-form-urlencoded", NULL);
	rig_start(r, a);
	if (!a->is_done)
		assert_int_equal(a->sends, 0);
}

static void
waits_for_bodies(void **state)
{
	static const char *const way[][2] = {
		{ "/form", "w e|-" }, { "/body", "name=w+e" }, { "/pieces", "[name][=w+][e]" },
	};
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "POST", "/form", say_form);
	rig_route(r, "POST", "/body", say_body);
	rig_route(r, "POST", "/pieces", say_pieces);
	for (size_t i = 0; i < 3; i++) {
		post(r, &a, way[i][0], "8");
		body_feed(&a.rq->body, SPAN("name=w+"));
		rig_settle(r);
		assert_false(a.is_done);
		body_feed(&a.rq->body, SPAN("e"));
		rig_settle(r);
		answer_is(&a, 200, way[i][1]);
		answer_free(&a);
	}
}

static void
says_why_a_body_failed(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "POST", "/body", say_body);
	rig_route(r, "POST", "/pieces", say_pieces);
	for (int i = 0; i < 2; i++) {
		const char *uri = i == 0 ? "/body" : "/pieces";

		post(r, &a, uri, "99999999999");
		answer_is(&a, 413, "413 Content Too Large\n");
		answer_free(&a);
		post(r, &a, uri, "8");
		body_end(&a.rq->body);
		rig_settle(r);
		answer_is(&a, 400, "400 Bad Request\n");
		answer_free(&a);
		post(r, &a, uri, "8");
		rig_skip(61 * USEC_PER_SEC);
		rig_finish(r, &a);
		answer_is(&a, 504, "504 Gateway Timeout\n");
		answer_free(&a);
		/* The front: the client has paused for too long. */
		post(r, &a, uri, "8");
		body_fail(&a.rq->body, WEFT_TIMEOUT);
		rig_settle(r);
		answer_is(&a, 408, "408 Request Timeout\n");
		answer_free(&a);
	}
}

/* ---- memory ---- */

static int
use_memory(struct weft_request *rq)
{
	char *text = weft_strdup(rq, "warp"), *more = weft_sprintf(rq, "%s and %s", text, "weft");

	text[0] = 'W';
	assert_string_equal(text, "Warp");
	assert_string_equal(more, "warp and weft");
	memset(weft_alloc(rq, 100000), 1, 100000);
	assert_null(weft_alloc(rq, (size_t)1 << 40));
	return weft_puts(rq, more);
}

static void
memory_is_the_requests(void **state)
{
	struct rig *r = *state;

	rig_route(r, "GET", "/", use_memory);
	rig_expect(r, "/", 200, "warp and weft");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(path_is_below_the_prefix),
		RIG_TEST(gives_what_came),
		RIG_TEST(waits_for_bodies),
		RIG_TEST(says_why_a_body_failed),
		RIG_TEST(memory_is_the_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
