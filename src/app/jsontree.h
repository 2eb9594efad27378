/* SPDX-License-Identifier: ISC */
#ifndef APP_JSONTREE_H
#define APP_JSONTREE_H

/* A value of jansson's as the answer. */

#include <weft/rc.h>

#include "base/span.h"

struct json_t;
struct response;
struct weft_request;

/* The whole answer: weft_json().  Returns WEFT_OK; WEFT_INVALID, noted, when it is no value or too deep; else as response_write. */
int jsontree_answer(struct weft_request *rq, const struct json_t *value);

/* Write a text, which is UTF-8, as a string with its quotes.  As response_write. */
enum weft_rc jsontree_put_text(struct response *rs, struct span text);

#endif
