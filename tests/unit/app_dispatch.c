/* SPDX-License-Identifier: ISC */
/* The way of a request: its route, its handler, what the handler left behind, and warming. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

#include "app/fail.h"
#include "app/page.h"

/* ---- routes ---- */

static int
say_hello(struct weft_request *rq)
{
	return weft_puts(rq, "hello");
}

static int
say_params(struct weft_request *rq)
{
	const char *rest = weft_param(rq, "*"), *none = weft_param(rq, "none");

	return weft_printf(rq, "%s|%s|%s", weft_param(rq, "id"), rest == NULL ? "-" : rest, none == NULL ? "-" : none);
}

static void
finds_routes(void **state)
{
	struct rig *r = *state;

	rig_route(r, "GET", "/", say_hello);
	rig_route(r, "GET", "/item/:id", say_params);
	rig_route(r, "GET", "/file/:id/*", say_params);
	rig_expect(r, "/", 200, "hello");
	rig_expect(r, "/?a=b", 200, "hello");
	rig_expect(r, "/item/7?x=1", 200, "7|-|-");
	rig_expect(r, "/item/a%2Fb+c%20d", 200, "a/b+c d|-|-");
	rig_expect(r, "/file/x/y/z%20", 200, "x|y/z |-");
	rig_expect(r, "/item", 404, "404 not found\n");
	rig_expect(r, "/Item/7", 404, "404 not found\n");
}

static void
refuses_malformed_paths(void **state)
{
	static const char *const bad[] = { "/item/a%00b", "/item/../x", "/item/%2e%2e/x", "/./item/x" };
	struct rig *r = *state;

	rig_route(r, "GET", "/item/:id", say_params);
	rig_route(r, "GET", "/item/:id/x", say_params);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		rig_expect(r, bad[i], 400, "400 bad request: malformed path\n");
	/* What is no code stays as it is. */
	rig_expect(r, "/item/%zz%4", 200, "%zz%4|-|-");
}

static void
names_the_methods_that_it_knows(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/item", say_hello);
	rig_route(r, "PUT", "/item", say_hello);
	rig_new(r, &a, "DELETE", "/item", NULL);
	rig_start(r, &a);
	answer_is(&a, 405, "405 method not allowed\n");
	assert_non_null(strstr(answer_text(&a), "\r\nAllow: "));
	assert_non_null(strstr(answer_text(&a), "GET"));
	assert_non_null(strstr(answer_text(&a), "HEAD"));
	assert_non_null(strstr(answer_text(&a), "PUT"));
	answer_free(&a);
	rig_new(r, &a, "HEAD", "/item", NULL);
	rig_start(r, &a);
	answer_is(&a, 200, "");
	assert_non_null(strstr(answer_text(&a), "\r\nContent-Length: 5\r\n"));
	answer_free(&a);
}

static void
refuses_bad_requests(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "*", "/", say_hello);
	rig_new(r, &a, "GET", "/", "HTTP_X", "a\r\nb", NULL);
	rig_start(r, &a);
	answer_is(&a, 400, "400 bad request\n");
	answer_free(&a);
	rig_new(r, &a, "GET", "/", NULL);
	for (unsigned i = 0; i <= REQUEST_VARS_MAX; i++)
		(void)request_var_add(a.rq, SPAN("HTTP_X"), SPAN("y"));
	rig_start(r, &a);
	answer_is(&a, 431, "431 request header fields too large\n");
	answer_free(&a);
}

static void
routes_must_fit(void **state)
{
	struct rig *r = *state;
	char path[2000];
	const struct weft_route route = { "GET", path, say_hello, 0, 0 };

	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	assert_int_equal(app_add_route(&r->app, NULL, "/p", &route, r->error, sizeof r->error), -1);
	assert_non_null(strstr(r->error, "is too long"));
	strcpy(path, "/a/:");
	assert_int_equal(app_add_route(&r->app, NULL, "/p", &route, r->error, sizeof r->error), -1);
	assert_non_null(strstr(r->error, "weft: GET /p/a/:: "));
}

/* ---- handlers that only return a code ---- */

static int dispatch_rc, dispatch_fault;

static int
give_up(struct weft_request *rq)
{
	weft_puts(rq, "half an ans");
	if (dispatch_fault != 0)
		fail_note(rq, (enum weft_rc)dispatch_fault, 0, "the secret of the back end");
	return dispatch_rc;
}

static const struct {
	int rc, status;
	const char *body, *words;
} results[] = {
	{ WEFT_NOT_SENT, 503, "503 Service Unavailable\n", "could not be reached" },
	{ WEFT_UNKNOWN, 503, "503 Service Unavailable\n", "connection lost, outcome unknown" },
	{ WEFT_REFUSED, 500, "500 Internal Server Error\n", "refused the request" },
	{ WEFT_TIMEOUT, 504, "504 Gateway Timeout\n", "no answer in time" },
	{ WEFT_CANCELED, 503, "503 Service Unavailable\n", "cancelled" },
	{ WEFT_BUSY, 503, "503 Service Unavailable\n", "too busy" },
	{ WEFT_DOWN, 503, "503 Service Unavailable\n", "down" },
	{ WEFT_INVALID, 500, "500 Internal Server Error\n", "asked for something invalid" },
	{ WEFT_TOO_LARGE, 500, "500 Internal Server Error\n", "over a limit" },
	{ WEFT_SYSTEM, 500, "500 Internal Server Error\n", "out of memory or descriptors" },
	{ WEFT_BAD_INPUT, 400, "400 Bad Request\n", "malformed request" },
	{ WEFT_GAP, 503, "503 Service Unavailable\n", "messages may have been lost" },
	{ -1, 500, "500 Internal Server Error\n", "unknown result" },
	{ 4711, 500, "500 Internal Server Error\n", "unknown result" },
};

static void
answers_for_each_result(void **state)
{
	struct rig *r = *state;

	rig_route(r, "GET", "/", give_up);
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		dispatch_rc = results[i].rc;
		/* With a failure noted for it, without, and after another that the handler had got over. */
		dispatch_fault = 0;
		rig_expect(r, "/", results[i].status, results[i].body);
		dispatch_fault = results[i].rc > 0 ? WEFT_DOWN : 0;
		rig_expect(r, "/", results[i].status, results[i].body);
		dispatch_fault = results[i].rc;
		rig_expect(r, "/", results[i].status, results[i].body);
		assert_string_equal(weft_strerror(results[i].rc), results[i].words);
		assert_int_equal(fail_status((enum weft_rc)results[i].rc), results[i].status);
	}
	assert_string_equal(weft_strerror(WEFT_OK), "ok");
	/* -1 is what weft_body_read() returns: the failure that it noted is answered. */
	dispatch_rc = -1;
	dispatch_fault = WEFT_BAD_INPUT;
	rig_expect(r, "/", 400, "400 Bad Request\n");
}

static void
asks_to_come_again_when_unavailable(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", give_up);
	dispatch_fault = 0;
	dispatch_rc = WEFT_DOWN;
	rig_get(r, &a, "/");
	assert_non_null(strstr(answer_text(&a), "\r\nRetry-After: 1\r\n"));
	assert_non_null(strstr(answer_text(&a), "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(answer_text(&a), "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	answer_free(&a);
}

static int
fail_while_streaming(struct weft_request *rq)
{
	weft_puts(rq, "the first half");
	weft_flush(rq);
	fail_note(rq, WEFT_DOWN, 0, "gone");
	return dispatch_rc == 0 ? weft_fail(rq) : dispatch_rc;
}

/* What is out cannot be taken back: nobody may take it for the whole. */
static void
aborts_what_has_begun(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", fail_while_streaming);
	for (dispatch_rc = 0; dispatch_rc <= WEFT_DOWN; dispatch_rc += WEFT_DOWN) {
		rig_get(r, &a, "/");
		assert_true(a.is_aborted);
		assert_string_equal(answer_body(&a), "the first half");
		answer_free(&a);
	}
}

static int
fail_for_nothing(struct weft_request *rq)
{
	int rc = weft_fail(rq);

	assert_int_equal(weft_fault(rq), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), "no call had failed"));
	return rc;
}

static int
fail_for_a_write(struct weft_request *rq)
{
	int rc;

	weft_shield(rq, 60000);
	rc = weft_sleep(rq, 1000);
	weft_unshield(rq);
	assert_int_equal(rc, WEFT_OK);
	assert_int_equal(weft_puts(rq, "anybody?"), WEFT_CANCELED);
	rc = weft_fail(rq);
	dispatch_rc = weft_fault(rq);
	return rc;
}

/* The log says what it was called for: nothing, or a write that nobody reads. */
static void
failures_that_no_call_has_noted(void **state)
{
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/nothing", fail_for_nothing);
	rig_expect(r, "/nothing", 500, "500 Internal Server Error\n");
	rig_route(r, "GET", "/write", fail_for_a_write);
	dispatch_rc = WEFT_OK;
	rig_new(r, &a, "GET", "/write", NULL);
	rig_start(r, &a);
	rig_gone(r, &a);
	rig_skip(USEC_PER_SEC);
	rig_settle(r);
	assert_int_equal(dispatch_rc, WEFT_CANCELED);
	answer_free(&a);
}

/* ---- defers ---- */

static struct {
	struct weft_request *rq;
	char order[16];
	unsigned n;
	bool child_ended;
} deferred;

static int
child_of_defer(struct weft_request *rq, void *arg)
{
	(void)arg;
	deferred.child_ended = weft_sleep(rq, 100000) == WEFT_CANCELED;
	return WEFT_OK;
}

static void
on_defer(void *arg)
{
	const char *name = arg;

	deferred.order[deferred.n++] = name[0];
	if (name[0] == 'b') {
		assert_int_equal(weft_defer(deferred.rq, on_defer, weft_strdup(deferred.rq, "new")), WEFT_OK);
		assert_non_null(weft_spawn(deferred.rq, child_of_defer, NULL));
	}
}

static int
defer_some(struct weft_request *rq)
{
	deferred.rq = rq;
	assert_int_equal(weft_defer(rq, on_defer, weft_strdup(rq, "a")), WEFT_OK);
	assert_int_equal(weft_defer(rq, on_defer, weft_strdup(rq, "b")), WEFT_OK);
	assert_int_equal(weft_defer(rq, on_defer, weft_strdup(rq, "c")), WEFT_OK);
	if (dispatch_rc == WEFT_CANCELED)
		return weft_sleep(rq, 100000);
	return dispatch_rc;
}

/* Last first, in memory that is still there, however the handler ended; what they defer and begin is put away too. */
static void
defers_run_backwards(void **state)
{
	static const int how[] = { WEFT_OK, WEFT_INVALID, WEFT_CANCELED };
	struct rig *r = *state;
	struct answer a;

	rig_route(r, "GET", "/", defer_some);
	for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
		memset(&deferred, 0, sizeof deferred);
		dispatch_rc = how[i];
		rig_new(r, &a, "GET", "/", NULL);
		rig_start(r, &a);
		if (how[i] == WEFT_CANCELED) {
			assert_int_equal(deferred.n, 0);
			rig_gone(r, &a);
		}
		assert_string_equal(deferred.order, "cbna");
		assert_true(deferred.child_ended);
		answer_free(&a);
	}
}

/* ---- warming ---- */

enum { WARM = 3 };

static void
start_warm(struct rig *r, struct answer *a, const char *token)
{
	rig_new(r, a, "GET", "/", "HTTP_X_WEFT_WARM", token, NULL);
	rig_start(r, a);
}

static void
holds_what_has_the_token(void **state)
{
	struct rig *r = *state;
	struct answer held[WARM], other;

	rig_route(r, "GET", "/", say_hello);
	app_warm(&r->app, "t0ken", loop_now(r->loop) + 60 * USEC_PER_SEC);
	for (int i = 0; i < WARM; i++)
		start_warm(r, &held[i], "t0ken");
	start_warm(r, &other, "t0kem");
	answer_is(&other, 200, "hello");
	answer_free(&other);
	rig_expect(r, "/", 200, "hello");
	for (int i = 0; i < WARM; i++)
		assert_false(held[i].is_done);
	app_warm_end(&r->app);
	rig_settle(r);
	for (int i = 0; i < WARM; i++) {
		answer_is(&held[i], 200, "warm\n");
		answer_free(&held[i]);
	}
	start_warm(r, &other, "t0ken");
	answer_is(&other, 200, "hello");
	answer_free(&other);
	start_warm(r, &other, "");
	answer_is(&other, 200, "hello");
	answer_free(&other);
}

static void
holds_no_longer_than_told(void **state)
{
	struct rig *r = *state;
	struct answer held, gone;

	app_warm(&r->app, "t0ken", loop_now(r->loop) + 60 * USEC_PER_SEC);
	r->app.front.request.timeout = 3600 * USEC_PER_SEC;
	start_warm(r, &held, "t0ken");
	start_warm(r, &gone, "t0ken");
	rig_gone(r, &gone);
	assert_false(held.is_done);
	rig_skip(61 * USEC_PER_SEC);
	rig_finish(r, &held);
	answer_is(&held, 200, "warm\n");
	answer_free(&held);
	answer_free(&gone);
}

static int
sleep_for_minutes(struct weft_request *rq)
{
	return weft_sleep(rq, 600 * 1000);
}

/* Longer or shorter than others, but never longer than the longest of all. */
static void
a_route_may_have_a_time_of_its_own(void **state)
{
	static const struct {
		usec route, all, most, until;
	} t[] = {
		{ 0, 60, 300, 60 }, { 20, 60, 300, 20 }, { 120, 60, 300, 120 }, { 400, 60, 300, 300 }, { 400, 500, 300, 400 },
	};
	struct rig *r = *state;

	rig_route(r, "GET", "/long", sleep_for_minutes);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct answer a;

		r->app.route[r->app.nroutes - 1]->timeout = t[i].route * USEC_PER_SEC;
		r->app.front.request.timeout = t[i].all * USEC_PER_SEC;
		r->app.timeout_max = t[i].most * USEC_PER_SEC;
		(void)rig_new(r, &a, "GET", "/long", NULL);
		rig_start(r, &a);
		rig_skip((t[i].until - 1) * USEC_PER_SEC);
		assert_false(a.is_done);
		rig_skip(USEC_PER_SEC);
		rig_finish(r, &a);
		answer_is(&a, 504, "504 Gateway Timeout\n");
		answer_free(&a);
	}
}

/* A new token ends the old one's hold, though something is held for again when those fibers run. */
static void
another_token_ends_the_first(void **state)
{
	struct rig *r = *state;
	struct answer first, second;

	app_warm(&r->app, "first", loop_now(r->loop) + 60 * USEC_PER_SEC);
	start_warm(r, &first, "first");
	app_warm(&r->app, "second", loop_now(r->loop) + 60 * USEC_PER_SEC);
	rig_settle(r);
	answer_is(&first, 200, "warm\n");
	start_warm(r, &second, "second");
	assert_false(second.is_done);
	app_warm_end(&r->app);
	rig_settle(r);
	answer_is(&second, 200, "warm\n");
	answer_free(&first);
	answer_free(&second);
}

/* ---- the server's own pages ---- */

static void
shows_its_own_pages(void **state)
{
	static const char *const page[][3] = {
		{ "/weft/", "text/html; charset=utf-8", "<h1>weft</h1>" },
		{ "/weft/timeline?last=1", "text/html; charset=utf-8", "<svg" },
		{ "/weft/timeline.svg?match=none", "image/svg+xml", "<svg" },
		{ "/weft/timeline.json?last=-1", "application/json", "[" },
		{ "/weft/status.json", "application/json", "\"worker\":3" },
	};
	struct rig *r = *state;
	struct answer a;

	r->app.worker = 3;
	assert_int_equal(page_add(&r->app, "/weft", r->error, sizeof r->error), 0);
	for (size_t i = 0; i < sizeof page / sizeof page[0]; i++) {
		rig_get(r, &a, page[i][0]);
		assert_int_equal(answer_status(&a), 200);
		assert_non_null(strstr(answer_text(&a), page[i][1]));
		assert_non_null(strstr(answer_body(&a), page[i][2]));
		answer_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(finds_routes),
		RIG_TEST(refuses_malformed_paths),
		RIG_TEST(names_the_methods_that_it_knows),
		RIG_TEST(refuses_bad_requests),
		RIG_TEST(routes_must_fit),
		RIG_TEST(answers_for_each_result),
		RIG_TEST(asks_to_come_again_when_unavailable),
		RIG_TEST(aborts_what_has_begun),
		RIG_TEST(failures_that_no_call_has_noted),
		RIG_TEST(defers_run_backwards),
		RIG_TEST(holds_what_has_the_token),
		RIG_TEST(holds_no_longer_than_told),
		RIG_TEST(another_token_ends_the_first),
		RIG_TEST(a_route_may_have_a_time_of_its_own),
		RIG_TEST(shows_its_own_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
