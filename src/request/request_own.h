/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_REQUEST_OWN_H
#define REQUEST_REQUEST_OWN_H

/* What the three parts of the room share: request.c (life), request_vars.c, request_ready.c. */

#include "request/request.h"

/* The request is to be refused; the first reason stays.  text: one static sentence.  Returns rc. */
enum weft_rc request_refuse(struct request *rq, enum weft_rc rc, const char *text);

/*
 * Memory for text in the arena; NULL when it is refused.  Without alignment: thirty times the
 * padding of arena_alloc would not fit into the room any more.
 */
char *request_text_room(struct request *rq, size_t len);

/* Returns the first value of a variable; empty when there is none. */
struct span request_value(const struct request *rq, struct span name);

/* Returns the member, or its default where it is 0. */
unsigned long long request_conf_body_max(const struct request_conf *conf);
size_t request_conf_body_memory(const struct request_conf *conf);
usec request_conf_timeout(const struct request_conf *conf);

#endif
