/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_REQUEST_H
#define CLI_BENCH_REQUEST_H

/* The bytes of a request, made once and copied for each. */

#include <stddef.h>
#include <stdint.h>

#include "cli/bench_opts.h"

enum { BENCH_DIGITS_MAX = 5, BENCH_RANDOMS_MAX = 16 };

/* A request whose random number has so many digits. */
struct bench_form {
	unsigned char *bytes;
	size_t len;
	size_t at[BENCH_RANDOMS_MAX];	/* where the number stands */
	unsigned nat;
};

struct bench_request {
	struct bench_form forms[BENCH_DIGITS_MAX];
	size_t size;			/* of the longest */
	uint64_t random;		/* state of the numbers */
	unsigned random_max;
};

/* Returns 0, or -1: the URI holds %r too often, the variables do not fit into one record, or no memory. */
int bench_request_init(struct bench_request *r, const struct bench_opts *o);

/* Free what it holds. */
void bench_request_fini(struct bench_request *r);

/*
 * Write the next request.
 *
 * out      holds r->size bytes
 * Returns  bytes written
 */
size_t bench_request_next(struct bench_request *r, unsigned char *out, uint16_t id);

#endif
