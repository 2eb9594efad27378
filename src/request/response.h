/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_RESPONSE_H
#define REQUEST_RESPONSE_H

/*
 * The response, built by the handler and sent through a sink, which the front
 * provides.  The head is sent once, complete, with the first bytes of the body
 * behind it: "Status: 200 OK\r\n…\r\n\r\n".  A short response is one call of the sink.
 *
 * Kept by this room: always Status; Content-Type application/octet-stream when the handler names none (and there
 * is a body); Content-Length when the whole body is known before the head is sent; no body for HEAD, 204 and 304 (lengths
 * are kept); a body longer than the handler's own Content-Length is cut and logged, a shorter one ends in a reset, not in an end.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/span.h"

struct fiber;
struct response;

enum sink_more { SINK_MORE, SINK_LAST };

/* Where a response goes.  Implemented by a front.  Never waits. */
struct sink_ops {
	/*
	 * Queue the head (empty after the first time) and bytes of the body.
	 *
	 * more     SINK_LAST: the response is complete; the front forgets the request
	 *          and must not be called again
	 * Returns  WEFT_OK, or WEFT_CANCELED when nobody is there any more
	 */
	enum weft_rc (*send)(void *sink, struct span head, struct span body, enum sink_more more);

	/* True when the client reads slower than we write: wait; the front wakes the fiber with request_wake_writer. */
	bool (*is_full)(void *sink);

	/* Bytes for the web server's error log. */
	void (*log)(void *sink, struct span bytes);

	/* Send now what is queued. */
	void (*flush)(void *sink);

	/* The response cannot be completed: reset, so that nobody takes it for whole.  The front forgets the request. */
	void (*abort)(void *sink);
};

enum response_state { RESPONSE_OPEN, RESPONSE_STREAMING, RESPONSE_DONE };

enum { RESPONSE_HEAD_MAX = 8192, RESPONSE_BUFFER = 16384 };

struct response_field {
	struct response_field *next;
	const char *name, *value;	/* in the arena */
};

struct response {
	enum response_state state;
	const struct sink_ops *ops;	/* NULL: detached, the client is gone */
	void *sink;
	struct arena *arena;
	int status;
	const char *reason;		/* NULL: the usual one */
	struct response_field *fields, **last;
	bool no_body;			/* HEAD */
	long long announced;		/* the handler's own Content-Length; -1 none */
	unsigned long long sent;	/* bytes of body given to the sink */
	char *buffer;			/* body not yet sent, in the arena, up to RESPONSE_BUFFER */
	size_t len, size;
};

/* Begin.  no_body: a HEAD request. */
void response_init(struct response *rs, struct arena *arena, const struct sink_ops *ops, void *sink, bool no_body);

/* As weft_status, weft_set_header, weft_add_header of <weft/weft.h>; the reason of a WEFT_INVALID is logged with the label of the running fiber. */
enum weft_rc response_status(struct response *rs, int status, const char *reason);
enum weft_rc response_set(struct response *rs, const char *name, const char *value);
enum weft_rc response_add(struct response *rs, const char *name, const char *value);

/* Append to the body; suspends the running fiber while the sink is full.  WEFT_OK, WEFT_CANCELED, WEFT_TIMEOUT, WEFT_SYSTEM. */
enum weft_rc response_write(struct response *rs, struct span bytes);

/* As response_write, formatted straight into the buffer where it fits. */
enum weft_rc response_vprintf(struct response *rs, const char *fmt, va_list ap);

/* Send head and what is buffered now.  As response_write. */
enum weft_rc response_flush(struct response *rs);

/* Drop head and body that are not sent yet: status 200, no fields.  WEFT_INVALID when the head is sent already. */
enum weft_rc response_clear(struct response *rs);

/* The handler is done: send the rest and the end.  After a failed or cut response: abort.  May be called once. */
void response_finish(struct response *rs);

/* End abnormally: reset. */
void response_abort(struct response *rs);

/* The front is gone: nothing will be sent any more; every later write returns WEFT_CANCELED. */
void response_detach(struct response *rs);

#endif
