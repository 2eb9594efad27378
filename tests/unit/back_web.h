/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_WEB_H
#define TESTS_UNIT_BACK_WEB_H

/* What the tests of the HTTP driver share: a server on the loop of the test itself, which says what the test's function wants. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/http/http_head.h"
#include "back/http/http_stream.h"
#include "back/http/httptext.h"
#include "back/pool.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_liar.h"
#include "tests/unit/back_support.h"

#define SOON (10 * USEC_PER_SEC)

/* A request that the server has got. */
struct web_request {
	struct liar_peer *peer;
	char head[16384];		/* whole, with its empty line */
	char method[32], target[8500];
	char body[4096];		/* as much of it as fits */
	size_t body_len;
};

struct web {
	struct loop *loop;
	struct pool *pool;
	struct liar server;
	unsigned port;
	unsigned requests;		/* got so far, whole */
	unsigned connections;		/* on which some came */
	struct web_request last;
	void (*answer)(const struct web_request *rq);
};
extern struct web web;

/* cmocka's setup and teardown: a loop, and a server which answers 200 with the target as body. */
int web_begin(void **state);
int web_end(void **state);
#define WEB_TEST(fn) cmocka_unit_test_setup_teardown(fn, web_begin, web_end)

/* Begin to listen, again on the same port, or end it with all connections. */
void web_listen(void (*answer)(const struct web_request *rq));
void web_close(void);

/* An answer with a length and this body; more: further headers, each with CR LF. */
void web_say(const struct web_request *rq, const char *status, const char *more, struct span body);

/* Answers: 200 with the target; nothing at all; an end of the connection. */
void web_echo(const struct web_request *rq);
void web_silence(const struct web_request *rq);
void web_hang_up(const struct web_request *rq);

/* Open the pool of the server, or of another URL; what conf leaves out is filled in. */
void web_pool(struct pool_conf conf);

/* What is asked, in a's arena. */
struct http_ask *web_ask(struct ask *a, const char *method, const char *target);

/* Start what was asked; wait for its end. */
void web_start(struct ask *a);
enum weft_rc web_await(struct ask *a);

/* One GET, which must be answered with this status and body. */
void web_expect(const char *target, int status, const char *body);

/* One request, which must end with rc and say word; the caller may look at a and calls ask_fini. */
void web_fails(struct ask *a, const char *method, const char *target, enum weft_rc rc, const char *word);

struct pool_stat web_stat(void);
bool web_is_down(void *unused);
bool web_is_open(void *unused);

/* Run turns until *flag or so many requests have come. */
void web_run_until_requests(unsigned n);

/* The value of a header of the last request, in a static buffer; NULL when it is not there. */
const char *web_header(const char *name);

/* ---- a fiber which reads a stream ---- */

struct reading {
	struct ask ask;
	struct fiber *fiber;
	bool is_open, is_done;
	enum weft_rc rc;		/* of the opening, then of the last read */
	size_t bytes;
	char text[4096];		/* the first of them */
	size_t piece;			/* bytes wanted at once */
	size_t stop_at;			/* pause when so many have come */
	bool go_on;
	bool closes;			/* then close instead of reading on */
};

/* Begin to open a stream of target, and read it. */
void reading_start(struct reading *r, const char *target);

/* Let it go on beyond stop_at. */
void reading_go_on(struct reading *r, size_t stop_at);

bool reading_is_done(void *r);
bool reading_is_open(void *r);
void reading_fini(struct reading *r);

#endif
