/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_RESPONSE_HEAD_H
#define REQUEST_RESPONSE_HEAD_H

/* Between response.c and response_head.c, which also holds the functions of response.h for status and fields. */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/span.h"
#include "request/response.h"

/* Returns the label of the running fiber, for the log. */
const char *response_label(void);

/* True when the status allows no body: 204 and 304. */
bool response_is_bodiless(const struct response *rs);

/*
 * Put the head together, and settle the status.
 *
 * body, more  bytes of the body that go with the head, and whether those are all
 * out         valid until the next call on this thread
 * Returns     WEFT_OK; WEFT_TOO_LARGE over RESPONSE_HEAD_MAX: the log names the field
 */
enum weft_rc response_head(struct response *rs, size_t body, enum sink_more more, struct span *out);

#endif
