/* SPDX-License-Identifier: ISC */
#ifndef FRONT_HTTP_DEV_VARS_H
#define FRONT_HTTP_DEV_VARS_H

#include <event2/http.h>

struct request;

/* The methods that evhttp knows and a handler may see. */
#define HTTP_VARS_METHODS \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH)

/*
 * Give a request the variables that a web server would derive from this HTTP request.
 *
 * port     of the listening socket
 * Source   RFC 3875, section 4.1
 */
void http_vars_add(struct request *rq, struct evhttp_request *req, unsigned port);

#endif
