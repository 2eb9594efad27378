/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_OPTS_H
#define CLI_BENCH_OPTS_H

/* What weft bench was asked for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	BENCH_CONNECTIONS_MAX = 10000,
	BENCH_IDS_MAX = 1000,
	BENCH_LIVE_MAX = 65536,		/* requests under way at once, over all connections */
	BENCH_URI_MAX = 4096,
	BENCH_VARS_MAX = 16,
	BENCH_RANDOM_MAX = 10000,
};

enum bench_expect {
	BENCH_EXPECT_ANY,		/* any body */
	BENCH_EXPECT_LENGTH,		/* one of expect_len bytes */
	BENCH_EXPECT_BODY,		/* these expect_len bytes */
};

enum bench_reuse {
	BENCH_KEEP,			/* connections are kept */
	BENCH_NEW,			/* each request (or -m of them) has a new one */
};

/* Strings are those of argv. */
struct bench_opts {
	const char *address;		/* NULL: the first of the configuration */
	const char *config;		/* NULL: the default one */
	const char *uri;
	const char *vars[BENCH_VARS_MAX];	/* "NAME=value" */
	unsigned nvars;
	uint64_t requests;		/* 0: as many as come in the time */
	double seconds;			/* 0: as long as the requests take */
	unsigned connections, ids;
	unsigned random_max;		/* of the numbers in place of %r, from 1; 0: BENCH_RANDOM_MAX */
	enum bench_reuse reuse;
	enum bench_expect expect;
	const char *expect_body;
	size_t expect_len;
	pid_t pid;			/* 0: none is measured */
	bool json;
};

/*
 * Read the arguments of the verb; argv[0] is its name.
 *
 * error    why not, one line; written only on failure
 * Returns  0, or -1: the arguments cannot be used
 */
int bench_opts_parse(struct bench_opts *o, int argc, char **argv, char *error, size_t size);

#endif
