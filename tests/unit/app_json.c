/* SPDX-License-Identifier: ISC */
/* The exported API: JSON, as a tree and piece by piece. */
#include "tests/unit/app_rig.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int (*json_test)(struct weft_request *rq);

static int
json_handler(struct weft_request *rq)
{
	return json_test(rq);
}

static void
ask(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	json_test = test;
	if (r->app.nroutes == 0)
		rig_route(r, "GET", "/", json_handler);
	rig_get(r, a, "/");
}

static void
is_answered(struct rig *r, int (*test)(struct weft_request *rq), int status, const char *body)
{
	struct answer a;

	ask(r, &a, test);
	answer_is(&a, status, body);
	answer_free(&a);
}

/* ---- a tree ---- */

static int
write_json(struct weft_request *rq)
{
	json_t *v = json_pack("{s:i, s:[s, n]}", "id", 7, "list", "\303\244\"<");

	assert_non_null(v);
	assert_int_equal(weft_json(rq, v), WEFT_OK);
	json_decref(v);
	return WEFT_OK;
}

/* What is written is what jansson writes, but for digits of numbers that are not needed. */
static json_t *json_given;

static int
write_given_json(struct weft_request *rq)
{
	return weft_json(rq, json_given);
}

static void
json_is_as_jansson_writes_it(void **state)
{
	static const char *const texts[] = {
		"[]", "{}", "[{}, [], [[]], null, true, false]", "\"\"", "0", "-9223372036854775808", "9223372036854775807",
		"[1.0, -0.5, 0.25, 123456.0]", "{\"b\": 1, \"a\": {\"\": [1, {\"x\": \"y\"}]}, \"\\u00e9\\n\\\"\": null}",
		"[\"a\\u0000b\\u001f\\u007f \\\"\\\\ \\/ \\ud83e\\uddf6\", \"\\b\\f\\n\\r\\t\"]",
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct answer a;
		char *want;

		json_given = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		want = json_dumps(json_given, JSON_COMPACT | JSON_ENCODE_ANY);
		assert_non_null(want);
		ask(r, &a, write_given_json);
		answer_is(&a, 200, want);
		answer_free(&a);
		free(want);
		json_decref(json_given);
	}
}

/* So many arrays in each other. */
static json_t *
nested(unsigned n)
{
	json_t *v = json_integer(1);

	while (n-- > 0)
		v = json_pack("[o]", v);
	return v;
}

static void
refuse_json(struct weft_request *rq, json_t *v)
{
	assert_non_null(v);
	assert_int_equal(weft_json(rq, v), WEFT_INVALID);
	json_decref(v);
}

static int
write_no_json(struct weft_request *rq)
{
	json_t *ring = json_array(), *inner = json_array();

	json_array_append_new(ring, inner);
	json_array_append(inner, ring);
	assert_int_equal(weft_json(rq, ring), WEFT_INVALID);
	json_array_clear(inner);
	json_decref(ring);

	refuse_json(rq, json_pack("[o]", json_string_nocheck("\303")));
	json_given = json_object();
	json_object_set_new_nocheck(json_given, "\303", json_null());
	refuse_json(rq, json_given);
	refuse_json(rq, nested(128));
	assert_int_equal(weft_json(rq, NULL), WEFT_INVALID);
	return weft_fail(rq);
}

static int
write_deep_json(struct weft_request *rq)
{
	json_t *v = nested(127);

	assert_int_equal(weft_json(rq, v), WEFT_OK);
	json_decref(v);
	return WEFT_OK;
}

static void
answers_with_json(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, write_json);
	answer_is(&a, 200, "{\"id\":7,\"list\":[\"\303\244\\\"<\",null]}");
	assert_non_null(strstr(answer_text(&a), "\r\nContent-Type: application/json\r\n"));
	answer_free(&a);
	ask(r, &a, write_no_json);
	answer_is(&a, 500, "500 Internal Server Error\n");
	answer_free(&a);
	ask(r, &a, write_deep_json);
	assert_int_equal(strlen(answer_body(&a)), 2 * 127 + 1);
	answer_free(&a);
}

/* ---- piece by piece ---- */

static int
put_all_kinds(struct weft_request *rq)
{
	weft_json_object(rq, NULL);
	weft_json_int(rq, "int", -7);
	weft_json_real(rq, "real", 0.1);
	weft_json_real(rq, "whole", 3);
	weft_json_text(rq, "text", "\303\244\"\\\n");
	weft_json_text(rq, "", NULL);
	weft_json_bool(rq, "yes\t", 2);
	weft_json_bool(rq, "no", 0);
	weft_json_array(rq, "list");
	weft_json_int(rq, NULL, 1);
	weft_json_array(rq, NULL);
	weft_json_end(rq);
	weft_json_object(rq, NULL);
	weft_json_object(rq, "in");
	weft_json_end(rq);
	weft_json_int(rq, "out", 2);
	weft_json_end(rq);
	weft_json_text(rq, NULL, "x");
	weft_json_end(rq);
	weft_json_int(rq, "last", 3);
	return weft_json_end(rq);
}

static int
put_one(struct weft_request *rq)
{
	return weft_json_text(rq, NULL, "alone");
}

static void
pieces_are_one_value(void **state)
{
	struct rig *r = *state;
	struct answer a;

	is_answered(r, put_all_kinds, 200, "{\"int\":-7,\"real\":0.1,\"whole\":3.0,\"text\":\"\303\244\\\"\\\\\\n\",\"\":null,"
	    "\"yes\\t\":true,\"no\":false,\"list\":[1,[],{\"in\":{},\"out\":2},\"x\"],\"last\":3}");
	ask(r, &a, put_one);
	answer_is(&a, 200, "\"alone\"");
	assert_non_null(strstr(answer_text(&a), "\r\nContent-Type: application/json\r\n"));
	answer_free(&a);
}

/* So many in each other: arrays, and objects in them, which have one member. */
static int json_levels;

static int
put_levels(struct weft_request *rq)
{
	for (int i = 0; i < json_levels; i++)
		(void)(i % 2 == 0 ? weft_json_array(rq, i == 0 ? NULL : "k") : weft_json_object(rq, NULL));
	for (int i = 1; i < json_levels; i++)
		(void)weft_json_end(rq);
	return weft_json_end(rq);
}

static void
containers_remember_what_is_around(void **state)
{
	struct rig *r = *state;
	struct answer a;
	json_t *v;

	for (json_levels = 1; json_levels <= 64; json_levels++) {
		ask(r, &a, put_levels);
		assert_int_equal(answer_status(&a), 200);
		v = json_loads(answer_body(&a), 0, NULL);
		assert_non_null(v);
		json_decref(v);
		answer_free(&a);
	}
	json_levels = 65;
	is_answered(r, put_levels, 500, "500 Internal Server Error\n");
}

/* Each is wrong in one way, and ignores it. */
static int json_wrong;

static int
put_wrong(struct weft_request *rq)
{
	int rc = WEFT_OK;

	weft_json_object(rq, json_wrong == 0 ? "key" : NULL);
	switch (json_wrong) {
	case 1:
		rc = weft_json_int(rq, NULL, 1);
		break;
	case 2:
		weft_json_array(rq, "list");
		rc = weft_json_int(rq, "key", 1);
		break;
	case 3:
		rc = weft_json_text(rq, "text", "\303");
		break;
	case 4:
		rc = weft_json_int(rq, "\303", 1);
		break;
	case 5:
		rc = weft_json_real(rq, "real", NAN);
		break;
	case 6:
		rc = weft_json_real(rq, "real", (double)INFINITY);
		break;
	case 7:
		weft_json_end(rq);
		rc = weft_json_end(rq);
		break;
	case 8:
		weft_json_end(rq);
		rc = weft_json_text(rq, NULL, "second");
		break;
	case 9:
		/* It is only left open. */
		return WEFT_OK;
	}
	assert_int_equal(rc, json_wrong == 0 ? WEFT_OK : WEFT_INVALID);
	assert_int_equal(weft_json_end(rq), WEFT_INVALID);
	assert_int_equal(weft_json_int(rq, "more", 1), WEFT_INVALID);
	assert_int_equal(weft_fault(rq), WEFT_INVALID);
	return WEFT_OK;
}

static void
what_is_no_value_is_no_answer(void **state)
{
	struct rig *r = *state;

	for (json_wrong = 0; json_wrong <= 9; json_wrong++)
		is_answered(r, put_wrong, 500, "500 Internal Server Error\n");
}

/* An error in the middle, and JSON again after it. */
static int
put_anew(struct weft_request *rq)
{
	weft_json_array(rq, NULL);
	weft_json_text(rq, NULL, "\303");
	assert_int_equal(weft_error(rq, 404, "nothing"), WEFT_OK);
	return WEFT_OK;
}

static int
redirect_anew(struct weft_request *rq)
{
	weft_json_array(rq, NULL);
	return weft_redirect(rq, 303, "/");
}

static void
errors_begin_anew(void **state)
{
	struct rig *r = *state;

	is_answered(r, put_anew, 404, "nothing\n");
	is_answered(r, redirect_anew, 303, "");
}

/* Part of it is out when it turns out not to end: nobody may take it for whole. */
static int
put_and_leave(struct weft_request *rq)
{
	weft_json_array(rq, NULL);
	weft_json_int(rq, NULL, 1);
	assert_int_equal(weft_flush(rq), WEFT_OK);
	return WEFT_OK;
}

static void
half_a_value_is_broken_off(void **state)
{
	struct rig *r = *state;
	struct answer a;

	ask(r, &a, put_and_leave);
	assert_true(a.is_aborted);
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(answers_with_json),
		RIG_TEST(json_is_as_jansson_writes_it),
		RIG_TEST(pieces_are_one_value),
		RIG_TEST(containers_remember_what_is_around),
		RIG_TEST(what_is_no_value_is_no_answer),
		RIG_TEST(errors_begin_anew),
		RIG_TEST(half_a_value_is_broken_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
