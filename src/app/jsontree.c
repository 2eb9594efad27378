/* SPDX-License-Identifier: ISC */
/*
 * A tree is walked twice: first to see that it can be written whole, then to write it straight into the response.
 * jansson itself would make a string of it, and keep a table of the containers that it is in, to find one that
 * contains itself; here such a one is too deep.
 */
#include "app/jsontree.h"

#include <jansson.h>
#include <stdint.h>

#include "app/app.h"
#include "app/fail.h"
#include "wire/jsontext.h"

enum { JSONTREE_DEPTH = 128 };

static bool jsontree_is_good(json_t *value, unsigned depth);

static bool
jsontree_object_is_good(json_t *object, unsigned depth)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value)
		if (!jsontext_is_utf8(span_str(key)) || !jsontree_is_good(value, depth))
			return false;
	return true;
}

/* Can it be written, with at most so many containers in each other? */
static bool
jsontree_is_good(json_t *value, unsigned depth)
{
	if (value == NULL || depth == 0)
		return false;
	if (json_is_object(value))
		return jsontree_object_is_good(value, depth - 1);
	if (json_is_string(value))
		return jsontext_is_utf8((struct span){ json_string_value(value), json_string_length(value) });
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!jsontree_is_good(json_array_get(value, i), depth - 1))
			return false;
	return true;
}

/* Once a write has failed, later ones fail too: only the last one's result is looked at. */
enum weft_rc
jsontree_put_text(struct response *rs, struct span text)
{
	(void)response_write(rs, SPAN("\""));
	while (text.len > 0)
		(void)response_write(rs, jsontext_next(&text));
	return response_write(rs, SPAN("\""));
}

static enum weft_rc
jsontree_put_scalar(struct response *rs, const json_t *value)
{
	char number[JSONTEXT_REAL_MAX];
	size_t len;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return jsontree_put_text(rs, (struct span){ json_string_value(value), json_string_length(value) });
	case JSON_INTEGER:
		len = jsontext_integer(number, json_integer_value(value));
		return response_write(rs, (struct span){ number, len });
	case JSON_TRUE:
		return response_write(rs, SPAN("true"));
	case JSON_FALSE:
		return response_write(rs, SPAN("false"));
	case JSON_REAL:
		len = jsontext_real(number, json_real_value(value));
		return response_write(rs, (struct span){ number, len });
	default:
		return response_write(rs, SPAN("null"));
	}
}

static enum weft_rc
jsontree_put(struct response *rs, json_t *value)
{
	const char *key;
	json_t *inner;
	size_t n = 0;

	if (json_is_object(value)) {
		json_object_foreach (value, key, inner) {
			(void)response_write(rs, n++ == 0 ? SPAN("{") : SPAN(","));
			(void)jsontree_put_text(rs, span_str(key));
			(void)response_write(rs, SPAN(":"));
			(void)jsontree_put(rs, inner);
		}
		return response_write(rs, n == 0 ? SPAN("{}") : SPAN("}"));
	}
	if (json_is_array(value)) {
		for (; n < json_array_size(value); n++) {
			(void)response_write(rs, n == 0 ? SPAN("[") : SPAN(","));
			(void)jsontree_put(rs, json_array_get(value, n));
		}
		return response_write(rs, n == 0 ? SPAN("[]") : SPAN("]"));
	}
	return jsontree_put_scalar(rs, value);
}

int
jsontree_answer(struct weft_request *rq, const struct json_t *value)
{
	/* jansson's way through an object wants one that may be changed; nothing is. */
	json_t *all = (json_t *)(uintptr_t)value;
	enum weft_rc rc;

	if (!jsontree_is_good(all, JSONTREE_DEPTH))
		return fail_note(rq, WEFT_INVALID, 0, "weft_json: a value that is no JSON, or in which %d are in each other", JSONTREE_DEPTH);
	rc = response_set(&rq->rq.response, "Content-Type", "application/json");
	if (rc == WEFT_OK)
		rc = jsontree_put(&rq->rq.response, all);
	return rc;
}
