/* SPDX-License-Identifier: ISC */
/*
 * The exported API: JSON as the answer, a tree or piece by piece.
 *
 * A value that is written piece by piece cannot be taken back: the first mistake is remembered in the request, all
 * that follows fails, and the handler's end turns into a 500, or into a broken connection.
 */
#include <weft/weft.h>

#include <math.h>

#include "app/app.h"
#include "app/fail.h"
#include "app/jsontree.h"
#include "wire/jsontext.h"

int
weft_json(struct weft_request *rq, const struct json_t *value)
{
	return jsontree_answer(rq, value);
}

/* The first reason counts. */
static enum weft_rc
api_json_refuse(struct weft_request *rq, const char *why)
{
	if (rq->json.failed == WEFT_OK)
		rq->json.failed = (enum weft_rc)fail_note(rq, WEFT_INVALID, 0, "JSON: %s", why);
	return rq->json.failed;
}

/* The first piece of the whole value. */
static enum weft_rc
api_json_begin(struct weft_request *rq)
{
	if (rq->json.is_begun)
		return api_json_refuse(rq, "a second value");
	rq->json.is_begun = true;
	return response_set(&rq->rq.response, "Content-Type", "application/json");
}

/* What stands before a piece: a comma, a key.  Returns WEFT_OK: the piece may follow. */
static enum weft_rc
api_json_next(struct weft_request *rq, const char *key)
{
	struct response *rs = &rq->rq.response;
	struct app_json *j = &rq->json;

	if (j->failed != WEFT_OK)
		return j->failed;
	if (j->in_object != (key != NULL))
		return api_json_refuse(rq, key == NULL ? "a member without a key" : "a key outside of an object");
	if (j->depth == 0)
		return api_json_begin(rq);
	if (j->has_more)
		(void)response_write(rs, SPAN(","));
	j->has_more = true;
	if (key == NULL)
		return WEFT_OK;
	if (!jsontext_is_utf8(span_str(key)))
		return api_json_refuse(rq, "a key that is no UTF-8");
	(void)jsontree_put_text(rs, span_str(key));
	return response_write(rs, SPAN(":"));
}

static int
api_json_open(struct weft_request *rq, const char *key, unsigned is_array)
{
	struct app_json *j = &rq->json;
	enum weft_rc rc = api_json_next(rq, key);

	if (rc == WEFT_OK && j->depth == APP_JSON_DEPTH)
		rc = api_json_refuse(rq, "too many in each other");
	if (rc != WEFT_OK)
		return rc;
	j->arrays &= ~(UINT64_C(1) << j->depth);
	j->arrays |= (uint64_t)is_array << j->depth;
	j->depth++;
	j->in_object = !is_array;
	j->has_more = false;
	return response_write(&rq->rq.response, is_array ? SPAN("[") : SPAN("{"));
}

int
weft_json_object(struct weft_request *rq, const char *key)
{
	return api_json_open(rq, key, 0);
}

int
weft_json_array(struct weft_request *rq, const char *key)
{
	return api_json_open(rq, key, 1);
}

int
weft_json_end(struct weft_request *rq)
{
	struct app_json *j = &rq->json;
	bool is_object = j->in_object;

	if (j->failed != WEFT_OK)
		return j->failed;
	if (j->depth == 0)
		return api_json_refuse(rq, "an end without a beginning");
	j->depth--;
	j->in_object = j->depth > 0 && (j->arrays >> (j->depth - 1) & 1) == 0;
	j->has_more = true;
	return response_write(&rq->rq.response, is_object ? SPAN("}") : SPAN("]"));
}

/* A piece whose bytes are known. */
static int
api_json_piece(struct weft_request *rq, const char *key, struct span bytes)
{
	enum weft_rc rc = api_json_next(rq, key);

	if (rc == WEFT_OK)
		rc = response_write(&rq->rq.response, bytes);
	return rc;
}

int
weft_json_text(struct weft_request *rq, const char *key, const char *text)
{
	enum weft_rc rc;

	if (text == NULL)
		return api_json_piece(rq, key, SPAN("null"));
	rc = api_json_next(rq, key);
	if (rc == WEFT_OK && !jsontext_is_utf8(span_str(text)))
		rc = api_json_refuse(rq, "a string that is no UTF-8");
	if (rc == WEFT_OK)
		rc = jsontree_put_text(&rq->rq.response, span_str(text));
	return rc;
}

int
weft_json_int(struct weft_request *rq, const char *key, long long n)
{
	char number[JSONTEXT_INTEGER_MAX];

	return api_json_piece(rq, key, (struct span){ number, jsontext_integer(number, n) });
}

int
weft_json_real(struct weft_request *rq, const char *key, double n)
{
	char number[JSONTEXT_REAL_MAX];

	if (!isfinite(n))
		return (int)api_json_refuse(rq, "a number that is none");
	return api_json_piece(rq, key, (struct span){ number, jsontext_real(number, n) });
}

int
weft_json_bool(struct weft_request *rq, const char *key, int is_true)
{
	return api_json_piece(rq, key, is_true ? SPAN("true") : SPAN("false"));
}
