/* SPDX-License-Identifier: ISC */
#ifndef BACK_HTTPTEXT_H
#define BACK_HTTPTEXT_H

/*
 * What is asked of an HTTP service, and the checks that keep values what they are: none becomes
 * a further segment of the path, a parameter, a header or a second request.  Pure: no client library.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/span.h"

enum {
	HTTP_METHOD_MAX = 24,
	HTTP_TARGET_MAX = 8192,			/* path and query */
	HTTP_ASK_FIELDS_MAX = 64,		/* headers of one ask */
	HTTP_REDIRECTS_MAX = 5,
	HTTP_BODY_MAX = 8 * 1024 * 1024,	/* of an answer, unless the ask says something else */
};

struct http_field {
	const char *name, *value;
};

struct http_ask {
	const char *method;
	const char *target;		/* path and query, encoded; below the pool's own path */
	const struct http_field *field;
	unsigned nfields;
	struct span body;		/* .at is NULL: none */
	unsigned long long body_max;	/* of the answer; 0: HTTP_BODY_MAX, or of a stream no limit */
	unsigned redirects;		/* followed at most, to the same server only */
	bool is_idempotent;		/* may be sent again when its connection ends under it, whatever its method */
	bool wants_decoding;		/* gzip is asked for, and undone */
	bool wants_stream;		/* done when the head of the answer is there; the body is read from weft_http.stream */
};

/*
 * Format path and query into the arena: http_target_vformat(a, "/item/%s?n=%d", …).  What stands for a conversion is
 * percent-encoded, all but letters, digits and "-._~", so it is one segment of the path or a part of it, or one value of the query.
 *
 * fmt      %s string, %d %i %u numbers, also with l, ll, z; %%.  The rest is taken as it is: "/a%%20b" is "/a%20b"
 * out      terminated, valid as long as the arena
 * why      one sentence when it fails
 * Returns  WEFT_OK; WEFT_INVALID: another conversion, a segment that is empty, "." or ".." by what was put in, or as http_target_check;
 *          WEFT_SYSTEM: the arena refused
 */
enum weft_rc http_target_vformat(struct arena *a, const char **out, const char **why, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

/* As http_target_vformat, with arguments. */
enum weft_rc http_target_format(struct arena *a, const char **out, const char **why, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Is this a path, with or without a query, as it may stand in a request?
 *
 * why      one sentence when not
 * Returns  WEFT_OK; WEFT_INVALID: it does not begin with '/', has bytes that must be encoded, a '%' that encodes nothing,
 *          a segment "." or "..", or is too long
 * Source   RFC 3986, sections 3.3 and 3.4
 */
enum weft_rc http_target_check(const char *target, const char **why);

/* Percent-encode all but unreserved characters and those of keep, terminated.  Returns false when it does not fit. */
bool http_encode(char *out, size_t size, const char *text, const char *keep);

/* May this name and value be a header of a request?  Not one that frames it or is the connection's.  Returns as http_target_check. */
enum weft_rc http_field_check(const struct http_field *f, const char **why);

/* May all of it be sent?  Returns as http_target_check. */
enum weft_rc http_ask_check(const struct http_ask *ask, const char **why);

/* Is a repetition of this no worse than the first time, by its method or by the asker's word? */
bool http_ask_is_idempotent(const struct http_ask *ask);

/* Is this a token, as names of headers and methods are?  Source: RFC 9110, section 5.6.2. */
bool http_is_token(struct span s);

#endif
