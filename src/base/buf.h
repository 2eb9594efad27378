/* SPDX-License-Identifier: ISC */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/span.h"

/*
 * Bytes that grow at the end, on the heap, up to a limit.  For what is built
 * off the path of a request: pages, replies of the control socket, tails of
 * what was read.  Once an append fails, the buffer stays failed (buf_is_bad)
 * and later appends do nothing, so a caller may check once at the end.
 */
struct buf {
	char *at;
	size_t len;
	size_t size;
	size_t limit;
	int bad;
};

/* Begin empty; it may grow to limit bytes.  Allocates nothing yet. */
void buf_init(struct buf *b, size_t limit);

/* Free the bytes; the buffer is empty and may be used again. */
void buf_fini(struct buf *b);

/* Forget the content (and a failure), keep the memory. */
void buf_clear(struct buf *b);

/*
 * Make room for len more bytes behind the content; the caller writes there and
 * adds to b->len.
 *
 * Returns  where to write, valid until the next call on the buffer; NULL over
 *          the limit or out of memory: the buffer is bad
 */
char *buf_reserve(struct buf *b, size_t len);

/* Append bytes, which must not lie in the buffer itself.  Returns WEFT_OK, or WEFT_TOO_LARGE when the buffer is bad. */
enum weft_rc buf_add(struct buf *b, struct span s);

/* Append formatted text; while it is written it takes one byte more of the limit.  Returns as buf_add. */
enum weft_rc buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Remove the first len bytes; len must not exceed the content. */
void buf_consume(struct buf *b, size_t len);

/* Returns the content; valid until the next call on the buffer. */
static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){ b->at, b->len };
}

#endif
