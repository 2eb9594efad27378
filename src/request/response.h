/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_RESPONSE_H
#define REQUEST_RESPONSE_H

/*
 * The response, built by the handler and sent through a sink, which the front
 * provides.  The head is sent once, complete, with the first bytes of the body
 * behind it: "Status: 200 OK\r\n…\r\n\r\n".  A short response is one call of the sink.
 *
 * Kept by this room: always Status; Content-Type application/octet-stream when the handler names none (and there
 * is a body); 302 beside a Location when the handler names no status; Content-Length when the whole body is known before the
 * head is sent; no body for HEAD (the length of what would have been sent is kept), 204 and 304, and an authorizer's 200 (no length and no type either); a body longer
 * than the handler's own Content-Length is cut and logged, a shorter one ends in a reset, not in an end.  A head
 * over RESPONSE_HEAD_MAX becomes a 500, and the log names the field; later writes return WEFT_CANCELED.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/span.h"
#include "request/waitlist.h"

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

enum { RESPONSE_HEAD_MAX = 8192, RESPONSE_BUFFER = 16384, RESPONSE_PIECE = 65536, RESPONSE_LOG_MAX = 32768 };

/* A field as it is sent; in the arena. */
struct response_field {
	struct response_field *next;
	size_t name;			/* bytes of the name */
	size_t len;			/* of the line */
	char line[];			/* "Name: value\r\n" */
};

/* A line for the web server's log that waits until the head is sent. */
struct response_line {
	struct response_line *next;
	struct span text;		/* in the arena */
};

struct response {
	enum response_state state;
	const struct sink_ops *ops;	/* NULL: detached: the client is gone, or has everything */
	void *sink;
	struct arena *arena;
	int status;			/* what the client gets; final once the head is sent */
	const char *reason;		/* NULL: the usual one */
	struct response_field *fields, **last;
	enum weft_rc failed;		/* of the first write that failed: the body has a hole */
	bool no_body;			/* HEAD */
	bool is_verdict;		/* an authorizer's: 200 has nothing for the client, and no length or type that could get to it */
	bool status_set;		/* by the handler */
	bool was_cut;			/* over the announced length, and logged */
	bool was_aborted;		/* ended without an end: the client has not got this response */
	long long announced;		/* the handler's own Content-Length; -1 none */
	unsigned long long written;	/* bytes of body that the handler wrote for a HEAD request */
	unsigned long long sent;	/* bytes of body given to the sink */
	char *buffer;			/* body not yet sent, in the arena, up to RESPONSE_BUFFER */
	size_t len, size;
	struct response_line *lines, **last_line;
	size_t lines_size;
	struct waitlist waiters;	/* for room in the sink */
};

/* Begin.  no_body: a HEAD request. */
void response_init(struct response *rs, struct arena *arena, const struct sink_ops *ops, void *sink, bool no_body);

/*
 * Set the status.  reason is copied; NULL: the usual one.
 *
 * Returns  WEFT_OK; WEFT_INVALID, with why in the log: not 200..599, control bytes in the reason, the head is sent; WEFT_SYSTEM
 */
enum weft_rc response_status(struct response *rs, int status, const char *reason);

/*
 * Set a field in place of those of the same name; value NULL takes them away.  Content-Length is kept as a number: the body must keep to it.
 *
 * Returns  WEFT_OK; WEFT_INVALID, with why in the log: no token, control bytes in the value, a name that is the server's
 *          (Status, Connection, Transfer-Encoding, Keep-Alive, Upgrade, Trailer, Proxy-…), a Content-Length that is not
 *          digits, the head is sent; WEFT_SYSTEM
 */
enum weft_rc response_set(struct response *rs, const char *name, const char *value);

/* As response_set, beside those of the same name; WEFT_INVALID also for a second Content-Length, Content-Type or Location. */
enum weft_rc response_add(struct response *rs, const char *name, const char *value);

/*
 * Append to the body; suspends the running fiber while the sink is full.
 * Outside a fiber it does not wait.
 *
 * Returns  WEFT_OK; WEFT_CANCELED, WEFT_TIMEOUT, WEFT_SYSTEM: the response cannot be completed, and later writes return the same
 */
static inline enum weft_rc response_write(struct response *rs, struct span bytes);

/* The same, for what response_write cannot just put into the buffer. */
enum weft_rc response_write_more(struct response *rs, struct span bytes);

/* As response_write, formatted straight into the buffer where it fits; WEFT_INVALID when fmt cannot be formatted. */
enum weft_rc response_vprintf(struct response *rs, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/*
 * Bytes for the web server's error log.  Held back until the head is sent: HAProxy 2.6 takes what comes before it for the end of the
 * response.  At most RESPONSE_LOG_MAX bytes are held, more are dropped.  WEFT_OK, WEFT_CANCELED when nobody is there.
 */
enum weft_rc response_log(struct response *rs, struct span bytes);

/* Send head and what is buffered now.  As response_write. */
enum weft_rc response_flush(struct response *rs);

/* Drop head and body that are not sent yet, and a failure: status 200, no fields.  WEFT_INVALID when the head is sent already. */
enum weft_rc response_clear(struct response *rs);

/* The handler is done: send the rest and the end.  After a failed write, or with less than the announced length: abort.  Again: nothing. */
void response_finish(struct response *rs);

/* End abnormally: reset. */
void response_abort(struct response *rs);

/* The front is gone: nothing will be sent any more; every later write returns WEFT_CANCELED. */
void response_detach(struct response *rs);

/* From the front, by request_wake_writer: there is room again. */
void response_wake(struct response *rs);

/* A page is written by many short pieces, nearly all of which fit. */
static inline enum weft_rc
response_write(struct response *rs, struct span bytes)
{
	if (rs->failed != WEFT_OK || rs->ops == NULL || rs->no_body || bytes.len == 0 || bytes.len > rs->size - rs->len)
		return response_write_more(rs, bytes);
	memcpy(rs->buffer + rs->len, bytes.at, bytes.len);
	rs->len += bytes.len;
	return WEFT_OK;
}

#endif
