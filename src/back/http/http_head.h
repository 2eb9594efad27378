/* SPDX-License-Identifier: ISC */
#ifndef BACK_HTTP_HEAD_H
#define BACK_HTTP_HEAD_H

/*
 * The head of an HTTP answer, line by line, with bounds; and the answer that a handler gets.  Pure: no client library.
 *
 * Interim answers (1xx) are counted and forgotten, trailers counted and passed over; a switch of protocols is
 * refused, since nobody asked for one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "back/http/httptext.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

struct http_stream;

enum {
	HTTP_HEAD_MAX = 65536,		/* bytes of all lines: interim answers and trailers too */
	HTTP_FIELDS_MAX = 100,		/* lines, likewise */
	HTTP_INTERIM_MAX = 8,
};

/* What a handler gets; the public struct weft_http. */
struct weft_http {
	int status;
	unsigned nfields;
	struct http_field *field;	/* in the order in which they came */
	struct span body;		/* a NUL stands behind it; .at is NULL for a stream */
	struct http_stream *stream;	/* NULL: the body is all there */
};

enum http_head_state {
	HTTP_HEAD_AWAITED,		/* the next line is a status */
	HTTP_HEAD_FIELDS,
	HTTP_HEAD_DONE,			/* what still comes are trailers */
};

struct http_head {
	enum http_head_state state;
	int status;
	unsigned nfields;
	struct buf fields;		/* name NUL value NUL … */
	size_t bytes;			/* all that came */
	unsigned lines, interims;
};

enum http_head_rc {
	HTTP_HEAD_MORE,
	HTTP_HEAD_COMPLETE,		/* that was the empty line of the final head; told once */
	HTTP_HEAD_BAD,			/* against the protocol */
	HTTP_HEAD_LARGE,		/* over a bound */
};

/* Begin empty. */
void http_head_init(struct http_head *h);
void http_head_fini(struct http_head *h);

/* Forget all, for another answer. */
void http_head_clear(struct http_head *h);

/*
 * Take one line, with or without its CR LF.
 *
 * why      static; set with HTTP_HEAD_BAD and HTTP_HEAD_LARGE: give the answer up
 * Source   RFC 9112, sections 4 and 5
 */
enum http_head_rc http_head_line(struct http_head *h, struct span line, const char **why);

/* Returns the first value of a header; NULL when it is not there.  Valid until the next line. */
const char *http_head_find(const struct http_head *h, const char *name);

/*
 * Make the answer in the arena, with a copy of the body.
 *
 * Returns  the answer, or NULL when the arena refuses
 */
struct weft_http *http_answer_new(struct arena *a, const struct http_head *h, struct span body);

/* Returns the first value of a header; NULL when it is not there. */
const char *http_answer_find(const struct weft_http *answer, const char *name);

#endif
