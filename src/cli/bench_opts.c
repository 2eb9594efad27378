/* SPDX-License-Identifier: ISC */
#include "cli/bench_opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BENCH_REQUESTS_MAX UINT64_C(1000000000000)

enum { BENCH_REQUESTS = 10000, BENCH_SECONDS_MAX = 86400, BENCH_PID_MAX = 1 << 22 };

struct bench_error {
	char *at;
	size_t size;
};

static int
bench_opts_wrong(const struct bench_error *e, int opt, const char *what)
{
	snprintf(e->at, e->size, "-%c %s", opt, what);
	return -1;
}

/* Read a whole number from 1 to max, digits only. */
static int
bench_opts_number(const struct bench_error *e, int opt, const char *text, uint64_t max, uint64_t *out)
{
	char what[64], *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out >= 1 && *out <= max)
		return 0;
	snprintf(what, sizeof what, "is a number from 1 to %llu", (unsigned long long)max);
	return bench_opts_wrong(e, opt, what);
}

static int
bench_opts_unsigned(const struct bench_error *e, int opt, const char *text, unsigned max, unsigned *out)
{
	uint64_t n;

	if (bench_opts_number(e, opt, text, max, &n) != 0)
		return -1;
	*out = (unsigned)n;
	return 0;
}

static int
bench_opts_seconds(const struct bench_error *e, const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	/* Written so that what is not a number at all is refused, too. */
	if (end != text && *end == '\0' && *out > 0 && *out <= BENCH_SECONDS_MAX)
		return 0;
	return bench_opts_wrong(e, 't', "is a number of seconds, at most 86400");
}

static int
bench_opts_uri(const struct bench_error *e, const char *text, const char **out)
{
	size_t len = strlen(text);

	if (text[0] != '/' || len > BENCH_URI_MAX)
		return bench_opts_wrong(e, 'u', "is a path that begins with /, at most 4096 bytes");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return bench_opts_wrong(e, 'u', "holds no blanks and no control characters");
	*out = text;
	return 0;
}

/* A number is a length; anything else is the body itself, after a '=' where it would be a number. */
static int
bench_opts_expect(struct bench_opts *o, const char *text)
{
	char *end;
	unsigned long long len = strtoull(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0') {
		o->expect = BENCH_EXPECT_LENGTH;
		o->expect_len = (size_t)len;
		return 0;
	}
	o->expect = BENCH_EXPECT_BODY;
	o->expect_body = text[0] == '=' ? text + 1 : text;
	o->expect_len = strlen(o->expect_body);
	return 0;
}

static int
bench_opts_var(const struct bench_error *e, struct bench_opts *o, const char *text)
{
	const char *equals = strchr(text, '=');

	if (equals == NULL || equals == text || strlen(text) > BENCH_URI_MAX)
		return bench_opts_wrong(e, 'v', "is NAME=value, at most 4096 bytes");
	if (o->nvars == BENCH_VARS_MAX)
		return bench_opts_wrong(e, 'v', "can be given 16 times");
	o->vars[o->nvars++] = text;
	return 0;
}

static int
bench_opts_one(const struct bench_error *e, struct bench_opts *o, int opt, const char *arg)
{
	unsigned n;

	switch (opt) {
	case 'a': o->address = arg; return 0;
	case 'c': o->config = arg; return 0;
	case 'e': return bench_opts_expect(o, arg);
	case 'j': o->json = true; return 0;
	case 'k': return bench_opts_unsigned(e, opt, arg, BENCH_CONNECTIONS_MAX, &o->connections);
	case 'K': o->reuse = BENCH_NEW; return 0;
	case 'm': return bench_opts_unsigned(e, opt, arg, BENCH_IDS_MAX, &o->ids);
	case 'n': return bench_opts_number(e, opt, arg, BENCH_REQUESTS_MAX, &o->requests);
	case 't': return bench_opts_seconds(e, arg, &o->seconds);
	case 'r': return bench_opts_unsigned(e, opt, arg, BENCH_RANDOM_MAX, &o->random_max);
	case 'u': return bench_opts_uri(e, arg, &o->uri);
	case 'v': return bench_opts_var(e, o, arg);
	case 'P':
		if (bench_opts_unsigned(e, opt, arg, BENCH_PID_MAX, &n) != 0)
			return -1;
		o->pid = (pid_t)n;
		return 0;
	default: break;
	}
	if (opt == ':')
		return bench_opts_wrong(e, optopt, "wants an argument");
	return bench_opts_wrong(e, optopt, "is no option");
}

int
bench_opts_parse(struct bench_opts *o, int argc, char **argv, char *error, size_t size)
{
	const struct bench_error e = { error, size };
	int opt;

	*o = (struct bench_opts){ .uri = "/", .connections = 16, .ids = 1 };
	optind = 0;	/* not 1: GNU keeps its place within a word that was not finished */
	while ((opt = getopt(argc, argv, ":a:c:e:jk:Km:n:P:r:t:u:v:")) != -1)
		if (bench_opts_one(&e, o, opt, optarg) != 0)
			return -1;
	if (optind != argc)
		snprintf(error, size, "%s: not an option", argv[optind]);
	else if (o->requests > 0 && o->seconds > 0)
		snprintf(error, size, "-n and -t: one of them");
	else if (o->connections * o->ids > BENCH_LIVE_MAX)
		snprintf(error, size, "-k times -m is at most %d", BENCH_LIVE_MAX);
	else {
		if (o->seconds == 0 && o->requests == 0)
			o->requests = BENCH_REQUESTS;
		return 0;
	}
	return -1;
}
