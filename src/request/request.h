/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

/*
 * One web request, whoever brought it.  It lives in the room of its fiber,
 * struct and first block of the arena, so a request costs no malloc.
 *
 * Its life: a front makes it when all variables are there (request_new,
 * request_vars_take, request_ready), the app starts the fiber
 * (request_start), the front feeds the body, the handler writes the response.
 * The fiber's end is the request's end.  A front that loses its client
 * cancels and detaches; the fiber then ends by itself.
 *
 * A layer above may keep more in the same room: struct_size bytes begin with
 * struct request.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/span.h"
#include "fiber/fiber.h"
#include "request/body.h"
#include "request/response.h"
#include "request/timeline.h"

/* What the web server wants (FastCGI Specification 1.0, section 6). */
enum request_role {
	REQUEST_RESPONDER,		/* an answer for the client */
	REQUEST_AUTHORIZER,		/* whether the client may have one, of somebody else; there is no body */
};

struct request_conf {
	struct fiber_sched *fibers;
	size_t struct_size;		/* bytes of the outer struct, which begins with struct request; the rest of it is not set */
	size_t room;			/* of the fiber: outer struct and first block of the arena; 0: REQUEST_ROOM */
	size_t arena_max;		/* bytes a request may allocate; 0: 64 MiB */
	unsigned long long body_max;	/* 0: 16 MiB */
	size_t body_memory;		/* of a body held in memory; 0: 64 KiB */
	usec timeout;			/* of the whole request; 0: 60 s */
	struct timeline_ring *ring;	/* may be NULL */
};

/* The value stands behind the name, with a NUL behind it; there is none behind the name. */
struct request_var {
	const char *name;
	uint32_t name_len, value_len;
};

static inline struct span
request_var_name(const struct request_var *v)
{
	return (struct span){ v->name, v->name_len };
}

/* Terminated. */
static inline struct span
request_var_value(const struct request_var *v)
{
	return (struct span){ v->name + v->name_len, v->value_len };
}

struct request {
	struct fiber *fiber;
	const struct request_conf *conf;
	enum request_role role;		/* the front may set it before request_ready */
	struct arena arena;
	struct request_var *var;	/* in the order in which they came */
	unsigned nvars, vars_size;
	size_t vars_bytes;		/* of names and values */
	const char *method;		/* REQUEST_METHOD; never NULL once ready, "" when it is bad */
	struct span path;		/* of REQUEST_URI, still encoded, without the query; else SCRIPT_NAME + PATH_INFO, encoded */
	struct body body;
	struct response response;
	struct timeline_mark timeline;
	usec begin;
	enum weft_rc bad;		/* WEFT_OK, or why it is to be refused (WEFT_BAD_INPUT 400, WEFT_TOO_LARGE 431) */
	const char *bad_text;		/* one sentence, static; NULL when bad is WEFT_OK */
};

#define REQUEST_AUTHORIZE "AUTHORIZE"	/* stands for the method where an authorizer's routes and labels have one */

enum { REQUEST_VARS_MAX = 1024, REQUEST_VARS_BYTES_MAX = 262144, REQUEST_METHOD_MAX = 32 };

/*
 * The room of a usual request: 35 variables of 1.5 KiB, a response of 200
 * bytes.  With the page of its stack that a waiting request touches, and what a connection of its own
 * takes, that is less than two pages.  21 of them fill a slab of rooms.
 */
enum { REQUEST_ROOM = 3104 };

/*
 * Make a request.
 *
 * sink     where its response goes; the front's
 * Returns  the request, or NULL: no fiber or memory; the front answers 503
 */
struct request *request_new(const struct request_conf *conf, const struct sink_ops *ops, void *sink);

/*
 * Take variables in, copied, all at once.  The first of a name counts.  Names that are empty are passed over.  Names with '=' or
 * control bytes, values with NUL, CR or LF, more or larger ones than the limits: the request becomes bad, and is refused when it starts.
 *
 * params   name-value pairs, as fcgi_param_next takes them
 * Returns  WEFT_OK; WEFT_INVALID when they end within a pair: drop the request
 * Source   FastCGI Specification 1.0, section 3.4
 */
enum weft_rc request_vars_take(struct request *rq, struct span params);

/*
 * The same for one variable.
 *
 * Returns  WEFT_OK; WEFT_TOO_LARGE over the limits (the request is bad then)
 */
enum weft_rc request_var_add(struct request *rq, struct span name, struct span value);

/*
 * All variables are there: find method, path and CONTENT_LENGTH, begin body, timeline and deadline, and
 * label the fiber "GET /path", or "AUTHORIZE /path".  Before, the body must not be fed; an authorizer's is complete and empty.
 */
void request_ready(struct request *rq);

/* Give a request back that was never started; *rp becomes NULL. */
void request_drop(struct request **rp);

/*
 * Start its fiber: fn(rq) runs there in this turn.  Must end the response (response_finish) and then call request_fini last of all.
 * fiber_defer runs after fn, so what is registered there must not be in the arena.
 */
void request_start(struct request *rq, void (*fn)(void *rq));

/* On its fiber, at its end: time line, body, arena.  A response without end is aborted.  The struct itself goes with the fiber. */
void request_fini(struct request *rq);

/* Returns the first value of a variable, a terminated string; NULL when there is none. */
const char *request_var(const struct request *rq, struct span name);

/* Returns a header of the request by its HTTP name, any case: "User-Agent" is HTTP_USER_AGENT; Content-Type and Content-Length are CGI's own. */
const char *request_header(const struct request *rq, const char *name);

/* From the front, after request_start: the client (or its connection) is gone.  Cancels the fiber, fails the body, detaches the sink. */
void request_gone(struct request *rq);

/* From the front: there is room for output again. */
void request_wake_writer(struct request *rq);

#endif
