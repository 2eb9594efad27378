/* SPDX-License-Identifier: ISC */
/* Requests in the role of an authorizer: their routes, their answers, and the variables that they set. */
#include "tests/unit/app_rig.h"

static unsigned asked;

static int
says_yes(struct weft_request *rq)
{
	const char *body;
	size_t len;

	asked++;
	assert_int_equal(weft_role(rq), WEFT_AUTHORIZER);
	assert_string_equal(weft_method(rq), "POST");
	assert_int_equal(weft_body(rq, &body, &len), WEFT_OK);
	assert_int_equal(len, 0);
	assert_int_equal(weft_set_variable(rq, "SESSION_USER", "nobody"), WEFT_OK);
	assert_int_equal(weft_set_variable(rq, "SESSION_USER", weft_param(rq, "user")), WEFT_OK);
	assert_int_equal(weft_set_variable(rq, "B", ""), WEFT_OK);
	assert_int_equal(weft_set_variable(rq, "GONE", "x"), WEFT_OK);
	assert_int_equal(weft_set_variable(rq, "GONE", NULL), WEFT_OK);
	assert_int_equal(weft_set_variable(rq, "", "x"), WEFT_INVALID);
	assert_int_equal(weft_set_variable(rq, "A B", "x"), WEFT_INVALID);
	assert_int_equal(weft_set_variable(rq, "A:B", "x"), WEFT_INVALID);
	assert_int_equal(weft_set_variable(rq, "A\r\nB", "x"), WEFT_INVALID);
	assert_int_equal(weft_set_variable(rq, "A", "x\r\nSet-Cookie: a"), WEFT_INVALID);
	return weft_puts(rq, "nobody sees this");
}

static int
says_no(struct weft_request *rq)
{
	asked++;
	return weft_error(rq, 401, "who are you?");
}

static int
answers(struct weft_request *rq)
{
	asked++;
	assert_int_equal(weft_role(rq), WEFT_RESPONDER);
	assert_int_equal(weft_set_variable(rq, "A", "x"), WEFT_INVALID);
	return weft_puts(rq, "page");
}

static void
ask(struct rig *r, struct answer *a, const char *method, const char *uri)
{
	asked = 0;
	rig_new(r, a, method, uri, "CONTENT_LENGTH", "100", NULL)->role = REQUEST_AUTHORIZER;
	rig_start(r, a);
	rig_finish(r, a);
}

static void
routes(struct rig *r)
{
	rig_route(r, "AUTHORIZE", "/user/:user/*", says_yes);
	rig_route(r, "AUTHORIZE", "/closed", says_no);
	rig_route(r, "*", "/open", answers);
	rig_route(r, "GET", "/closed", answers);
}

static void
is_allowed_with_variables(void **state)
{
	struct rig *r = *state;
	struct answer a;

	routes(r);
	ask(r, &a, "POST", "/user/an%6ea/x?y");
	answer_is(&a, 200, "");
	assert_int_equal(asked, 1);
	assert_non_null(strstr(answer_text(&a), "\r\nVariable-SESSION_USER: anna\r\n"));
	assert_null(strstr(answer_text(&a), "nobody"));
	assert_non_null(strstr(answer_text(&a), "\r\nVariable-B: \r\n"));
	assert_null(strstr(answer_text(&a), "GONE"));
	assert_null(strstr(answer_text(&a), "Variable-A"));
	/* mod_fcgid would hand them on with the answer of another. */
	assert_null(strstr(answer_text(&a), "Content-"));
	answer_free(&a);
}

static void
is_denied_with_an_answer(void **state)
{
	struct rig *r = *state;
	struct answer a;

	routes(r);
	ask(r, &a, "GET", "/closed");
	answer_is(&a, 401, "who are you?\n");
	answer_free(&a);
	/* The answer goes to the client, who did not ask for a body. */
	ask(r, &a, "HEAD", "/closed");
	answer_is(&a, 401, "");
	answer_free(&a);
}

/* Neither role gets to a route of the other, whatever the client calls its method. */
static void
roles_have_routes_of_their_own(void **state)
{
	struct rig *r = *state;
	struct answer a;

	routes(r);
	ask(r, &a, "GET", "/open");
	answer_is(&a, 403, "403 forbidden\n");
	assert_int_equal(asked, 0);
	answer_free(&a);
	ask(r, &a, "AUTHORIZE", "/open");
	answer_is(&a, 403, "403 forbidden\n");
	answer_free(&a);
	ask(r, &a, "GET", "/closed/../user/x/y");
	answer_is(&a, 400, "400 bad request: malformed path\n");
	answer_free(&a);
	rig_new(r, &a, "AUTHORIZE", "/closed", "CONTENT_LENGTH", "0", NULL);
	rig_start(r, &a);
	rig_finish(r, &a);
	answer_is(&a, 405, "405 method not allowed\n");
	assert_non_null(strstr(answer_text(&a), "\r\nAllow: GET, HEAD\r\n"));
	assert_int_equal(asked, 0);
	answer_free(&a);
	rig_expect(r, "/user/anna/x", 404, "404 not found\n");
	rig_expect(r, "/open", 200, "page");
}

static void
the_same_route_twice_is_refused(void **state)
{
	const struct weft_route route = { "AUTHORIZE", "/closed", says_yes, 0, 0 };
	struct rig *r = *state;

	routes(r);
	assert_int_equal(app_add_route(&r->app, NULL, "", &route, r->error, sizeof r->error), -1);
	assert_non_null(strstr(r->error, "AUTHORIZE /closed"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(is_allowed_with_variables),
		RIG_TEST(is_denied_with_an_answer),
		RIG_TEST(roles_have_routes_of_their_own),
		RIG_TEST(the_same_route_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
