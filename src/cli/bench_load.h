/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

/* Requests over FastCGI, as many at once as were asked for, and what came of them. */

#include <stdint.h>
#include <sys/socket.h>

#include "cli/bench_answer.h"
#include "cli/bench_hist.h"
#include "cli/bench_opts.h"

/* Where the requests go. */
struct bench_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct bench_result {
	uint64_t answered;			/* as expected */
	uint64_t errors[BENCH_NKINDS];		/* those that were not */
	uint64_t failed;			/* their sum */
	uint64_t connections;			/* opened */
	uint64_t ns;				/* from the first request to the last answer */
	uint64_t first_ns, last_ns;		/* when the first answer was as expected, and the last, since the first request; 0: none was */
	struct bench_hist latency;		/* in ns, of those that were answered as expected */
	char why[128];				/* the first error in words; empty: none */
};

/*
 * Read "unix:/path" or "host:port".
 *
 * error    why not, one line; written only on failure
 * Returns  0, or -1
 */
int bench_address_parse(struct bench_address *a, const char *text, char *error, size_t size);

/*
 * Put the load on.
 *
 * Returns  0: res says what came of it
 *          -1: it could not begin (no memory, no descriptors); error says why, one line
 */
int bench_load_run(const struct bench_opts *o, const struct bench_address *to, struct bench_result *res, char *error, size_t size);

#endif
