/* SPDX-License-Identifier: ISC */
/* weft bench: measures, and says what it measured. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <jansson.h>

#include "cli/bench_load.h"
#include "cli/bench_tree.h"
#include "server/config.h"

struct bench_report {
	const char *address;
	const struct bench_opts *o;
	struct bench_result res;
	struct bench_tree before, after;	/* with -P only */
	double own_us;				/* CPU time of this process, a request */
};

static const struct {
	const char *name;
	double percent;
} bench_percents[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99_9", 99.9 } };

enum { BENCH_NPERCENTS = sizeof bench_percents / sizeof bench_percents[0] };

static double
bench_us(uint64_t ns)
{
	return (double)ns / 1000;
}

/* An amount for each request that was answered. */
static double
bench_each(const struct bench_report *r, double amount)
{
	return r->res.answered == 0 ? 0 : amount / (double)r->res.answered;
}

static double
bench_tree_us(const struct bench_report *r)
{
	/* Less than before: a process of the tree is gone, and nobody waited for it. */
	if (r->after.cpu_ns < r->before.cpu_ns)
		return 0;
	return bench_each(r, bench_us(r->after.cpu_ns - r->before.cpu_ns));
}

static double
bench_rate(const struct bench_report *r)
{
	return r->res.ns == 0 ? 0 : (double)r->res.answered * 1e9 / (double)r->res.ns;
}

static json_t *
bench_json_errors(const struct bench_report *r)
{
	json_t *errors = json_object();

	for (int kind = BENCH_OK + 1; kind < BENCH_NKINDS; kind++)
		if (r->res.errors[kind] > 0)
			json_object_set_new(errors, bench_error_name((enum bench_error_kind)kind), json_integer((json_int_t)r->res.errors[kind]));
	return errors;
}

static json_t *
bench_json_latency(const struct bench_report *r)
{
	const struct bench_hist *h = &r->res.latency;
	json_t *latency = json_pack("{sf sf}", "min", bench_us(h->min), "max", bench_us(h->max));

	for (int i = 0; i < BENCH_NPERCENTS; i++)
		json_object_set_new(latency, bench_percents[i].name, json_real(bench_us(bench_hist_percentile(h, bench_percents[i].percent))));
	return latency;
}

/* Times are in microseconds, memory in KiB. */
static void
bench_print_json(const struct bench_report *r)
{
	const struct bench_result *res = &r->res;
	json_t *all = json_pack("{ss ss sI sI sI sf sf sf sf sf so so}", "address", r->address, "uri", r->o->uri,
	    "answered", (json_int_t)res->answered, "failed", (json_int_t)res->failed, "connections", (json_int_t)res->connections,
	    "seconds", (double)res->ns / 1e9, "first", bench_us(res->first_ns), "last", bench_us(res->last_ns), "per_second", bench_rate(r), "bench_cpu", r->own_us,
	    "latency", bench_json_latency(r), "errors", bench_json_errors(r));

	if (res->why[0] != '\0')
		json_object_set_new(all, "first_error", json_string(res->why));
	if (r->o->pid > 0)
		json_object_set_new(all, "server", json_pack("{sI sf sI sI}", "processes", (json_int_t)r->after.processes,
		    "cpu", bench_tree_us(r), "rss", (json_int_t)r->after.rss_kib, "pss", (json_int_t)r->after.pss_kib));
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(all);
}

static void
bench_print_kib(const char *name, int64_t kib)
{
	if (kib < 0)
		printf(", %s not known", name);
	else
		printf(", %s %.1f MiB", name, (double)kib / 1024);
}

static void
bench_print_text(const struct bench_report *r)
{
	const struct bench_result *res = &r->res;
	const struct bench_hist *h = &res->latency;

	printf("%llu answered, %llu failed in %.2f s: %.0f a second, %llu connections\n", (unsigned long long)res->answered,
	    (unsigned long long)res->failed, (double)res->ns / 1e9, bench_rate(r), (unsigned long long)res->connections);
	if (res->answered > 0) {
		printf("latency us: min %.0f", bench_us(h->min));
		for (int i = 0; i < BENCH_NPERCENTS; i++)
			printf(", %g%% %.0f", bench_percents[i].percent, bench_us(bench_hist_percentile(h, bench_percents[i].percent)));
		printf(", max %.0f\n", bench_us(h->max));
	}
	if (r->o->pid > 0) {
		printf("server: %.2f us of CPU a request, %u processes", bench_tree_us(r), r->after.processes);
		bench_print_kib("RSS", r->after.rss_kib);
		bench_print_kib("PSS", r->after.pss_kib);
		putchar('\n');
	}
	printf("weft bench: %.2f us of CPU a request\n", r->own_us);
	for (int kind = BENCH_OK + 1; kind < BENCH_NKINDS; kind++)
		if (res->errors[kind] > 0)
			printf("error %s: %llu\n", bench_error_name((enum bench_error_kind)kind), (unsigned long long)res->errors[kind]);
	if (res->why[0] != '\0')
		printf("the first error: %s\n", res->why);
}

static double
bench_own_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int
bench_tree(struct bench_tree *t, const struct bench_opts *o)
{
	if (o->pid == 0 || bench_tree_read(t, o->pid) == 0)
		return 0;
	fprintf(stderr, "weft: process %ld cannot be measured: %s\n", (long)o->pid, strerror(errno));
	return -1;
}

static int
bench_run(struct bench_report *r)
{
	struct bench_address to;
	char error[512];
	double own;

	if (bench_address_parse(&to, r->address, error, sizeof error) != 0) {
		fprintf(stderr, "weft: %s\n", error);
		return CLI_FAILED;
	}
	if (bench_tree(&r->before, r->o) != 0)
		return CLI_FAILED;
	own = bench_own_us();
	if (bench_load_run(r->o, &to, &r->res, error, sizeof error) != 0) {
		fprintf(stderr, "weft: %s: %s\n", r->address, error);
		return CLI_FAILED;
	}
	r->own_us = bench_each(r, bench_own_us() - own);
	if (bench_tree(&r->after, r->o) != 0)
		return CLI_FAILED;
	if (r->res.connections == 0)
		fprintf(stderr, "weft: nothing answers at %s: %s\n", r->address, r->res.why);
	else if (r->o->json)
		bench_print_json(r);
	else
		bench_print_text(r);
	return r->res.failed == 0 && r->res.answered > 0 ? CLI_OK : CLI_FAILED;
}

/* The first address that the configuration listens at.  Returns CLI_OK, or CLI_FAILED after a complaint. */
static int
bench_find_address(const struct bench_opts *o, char *out, size_t size)
{
	struct cli_opts common;
	struct config *c;
	int rc = CLI_OK;

	cli_opts_init(&common);
	if (o->config != NULL)
		common.config = o->config;
	c = cli_config(&common);
	if (c == NULL)
		return CLI_FAILED;
	if (c->nlistens == 0) {
		fprintf(stderr, "weft: %s listens nowhere: name an address with -a\n", common.config);
		rc = CLI_FAILED;
	} else {
		snprintf(out, size, "%s", c->listen[0].address);
	}
	config_free(&c);
	return rc;
}

int
cli_bench(int argc, char **argv)
{
	static const char usage[] = "bench [-a address | -c file] [-n requests | -t seconds] [-k connections] [-m ids] [-K]\n"
	    "            [-u uri] [-r max] [-v name=value] [-e length | -e body] [-P pid] [-j]";
	char error[256], address[512];
	struct bench_report *r;
	struct bench_opts o;
	int rc = CLI_OK;

	if (bench_opts_parse(&o, argc, argv, error, sizeof error) != 0) {
		fprintf(stderr, "weft: bench: %s\n", error);
		return cli_usage(usage);
	}
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return CLI_FAILED;
	r->o = &o;
	r->address = o.address;
	if (r->address == NULL) {
		r->address = address;
		rc = bench_find_address(&o, address, sizeof address);
	}
	if (rc == CLI_OK)
		rc = bench_run(r);
	free(r);
	return rc;
}
