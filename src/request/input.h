/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_INPUT_H
#define REQUEST_INPUT_H

/* What a request brought besides its variables: query, form and cookies, looked up by name. */

struct request;

/* Returns the first value of name in QUERY_STRING, decoded, in the request's arena; NULL when it is not there, holds a NUL or memory is refused. */
const char *input_query(struct request *rq, const char *name);

/* As input_query, in an urlencoded body.  Suspends until the body is complete.  NULL also when the body failed. */
const char *input_form(struct request *rq, const char *name);

/* Returns the first value of a cookie; NULL when it is not there. */
const char *input_cookie(struct request *rq, const char *name);

#endif
