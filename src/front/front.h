/* SPDX-License-Identifier: ISC */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

/*
 * What a front needs to know of the rest: how to make a request, and whom to
 * give it to.  Fronts do not know what answers.
 */

#include <stdint.h>

#include "base/clock.h"
#include "request/request.h"

struct loop;

struct front_app {
	struct loop *loop;
	struct request_conf request;	/* of each request */
	/* A request is ready: all its variables are there; start its fiber.  Called from the loop, not in a fiber. */
	void (*start)(void *arg, struct request *rq);
	void *arg;

	unsigned max_requests;		/* in flight in this worker; over it: 503 with Retry-After.  0: 10000 */
	unsigned max_connections;	/* 0: 20000.  Over it a connection is closed at once */
	unsigned multiplex;		/* request ids at once on a connection; 0: 1024 */
	usec head_timeout;		/* from a connection's (or, kept, a request's) first byte to the end of PARAMS; 0: 10 s */
	usec body_timeout;		/* longest pause within a body; 0: 30 s */
	usec send_timeout;		/* longest time without progress of pending output, and (at most 10 s) of waiting for the peer's end behind it; 0: 30 s */
	usec idle_timeout;		/* a kept connection without request; 0: never */

	uint32_t *kept;			/* how many connections last, or seem to, is written there; NULL: nowhere */

	/* Counters, kept by the fronts. */
	unsigned requests;		/* in flight now */
	unsigned connections;
	unsigned long long served, refused, aborted, bad_connections;
};

#endif
