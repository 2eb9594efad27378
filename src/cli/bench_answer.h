/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_ANSWER_H
#define CLI_BENCH_ANSWER_H

/* One answer, checked as it comes. */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "cli/bench_opts.h"

enum { BENCH_LINE_MAX = 1024 };

/* What can be wrong with a request; the first thing counts. */
enum bench_error_kind {
	BENCH_OK,
	BENCH_CONNECT,		/* no connection */
	BENCH_CLOSED,		/* the connection ended before the answer */
	BENCH_PROTOCOL,		/* bytes that are not FastCGI, an answer to nothing, no END_REQUEST of eight bytes */
	BENCH_REFUSED,		/* END_REQUEST says something else than FCGI_REQUEST_COMPLETE */
	BENCH_HEAD,		/* the head of the answer is not one */
	BENCH_STATUS,		/* not 200 */
	BENCH_BODY,		/* not the body that is expected */
	BENCH_TIMEOUT,		/* nothing came for a long time */
	BENCH_NKINDS
};

struct bench_answer {
	enum bench_error_kind wrong;
	int status;
	bool in_body;
	size_t body_len;
	size_t kept;			/* bytes in line */
	char line[BENCH_LINE_MAX];	/* the beginning of a line of the head that has not come whole */
};

/* Begin with nothing received. */
void bench_answer_init(struct bench_answer *a);

/* Take bytes of STDOUT. */
void bench_answer_feed(struct bench_answer *a, const struct bench_opts *o, struct span in);

/* All of STDOUT has come.  Returns what is wrong with it, or BENCH_OK. */
enum bench_error_kind bench_answer_end(const struct bench_answer *a, const struct bench_opts *o);

/* Returns a word for a kind: "status".  Static. */
const char *bench_error_name(enum bench_error_kind kind);

#endif
