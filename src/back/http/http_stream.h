/* SPDX-License-Identifier: ISC */
#ifndef BACK_HTTP_STREAM_H
#define BACK_HTTP_STREAM_H

/*
 * The body of an answer on its way from a driver to a fiber which reads it in pieces: a ring of bytes with a
 * bound.  When it is full the driver is told so, and holds the other side up until there is room again.
 *
 * Driver and reader may leave in any order.  The stream itself is in the reader's arena; once either has
 * left, the other does not hear of it any more.
 */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/span.h"

struct fiber;

enum {
	HTTP_STREAM_ROOM = 65536,
	HTTP_STREAM_LOW = 32768,	/* a driver that had to stop is told when no more is left than this */
};

/* Where the bytes come from; called from the reader's fiber.  Neither may call back. */
struct http_source {
	void (*resume)(void *arg);	/* there is room again */
	void (*drop)(void *arg);	/* the reader has left: forget the stream */
};

struct http_stream {
	const struct http_source *source;	/* NULL: the driver has left */
	void *arg;
	const char *pool;		/* its name; the driver sets it, like the next one */
	usec patience;			/* how long the next byte may take */
	struct fiber *reader;		/* who waits now */
	bool is_held;			/* the driver was told that it is full */
	enum weft_rc rc;		/* behind the last byte: WEFT_OK for a proper end */
	struct fault fault;		/* why it is not */
	size_t at, len;			/* of the bytes in room */
	char room[HTTP_STREAM_ROOM];
};

/* Returns an empty stream, or NULL when the arena refuses. */
struct http_stream *http_stream_new(struct arena *a, const struct http_source *source, void *arg);

/* ---- the driver ---- */

/* Put bytes in.  Returns false when there is no room for all of them: none is taken, and resume() will be called. */
bool http_stream_put(struct http_stream *s, struct span bytes);

/*
 * There will be no more: the driver leaves.
 *
 * rc       WEFT_OK, or what the reader gets behind the last byte
 * why      one sentence; NULL for WEFT_OK
 */
void http_stream_end(struct http_stream *s, enum weft_rc rc, const char *why);

/* ---- the reader ---- */

/*
 * Take bytes out.  Suspends the running fiber while there are none.
 *
 * got      how many; 0 at the end
 * Returns  WEFT_OK; WEFT_TIMEOUT: none came in time, it may be tried again; WEFT_CANCELED; WEFT_INVALID: another fiber is reading;
 *          or what the driver ended it with
 */
enum weft_rc http_stream_read(struct http_stream *s, char *buf, size_t size, size_t *got);

/* No more is wanted: the reader leaves. */
void http_stream_close(struct http_stream *s);

#endif
