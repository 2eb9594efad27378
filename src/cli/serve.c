/* SPDX-License-Identifier: ISC */
/* weft serve, weft check, weft dev. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/module.h"
#include "app/page.h"
#include "base/log.h"
#include "front/http_dev.h"
#include "loop/loop.h"
#include "server/config.h"
#include "server/master.h"
#include "server/setup.h"

/* The options of serve and check.  Returns CLI_OK or CLI_USAGE. */
static int
serve_options(int argc, char **argv, struct cli_opts *o, const char *usage)
{
	int opt;

	cli_opts_init(o);
	while ((opt = getopt(argc, argv, "c:")) != -1)
		if (opt == 'c')
			o->config = optarg;
		else
			return cli_usage(usage);
	return optind == argc ? CLI_OK : cli_usage(usage);
}

int
cli_serve(int argc, char **argv)
{
	struct config *c;
	struct cli_opts o;

	if (serve_options(argc, argv, &o, "serve [-c file]") != CLI_OK)
		return CLI_USAGE;
	c = cli_config(&o);
	return c == NULL ? CLI_FAILED : master_run(c);
}

int
cli_check(int argc, char **argv)
{
	char error[1024];
	struct config *c;
	struct cli_opts o;
	int rc = CLI_OK;

	if (serve_options(argc, argv, &o, "check [-c file]") != CLI_OK)
		return CLI_USAGE;
	c = cli_config(&o);
	if (c == NULL)
		return CLI_FAILED;
	if (c->warning != NULL)
		fprintf(stderr, "weft: %s\n", c->warning);
	if (setup_check(c, error, sizeof error) != 0) {
		fprintf(stderr, "weft: %s\n", error);
		rc = CLI_FAILED;
	} else {
		printf("%s: ok: %zu listen, %zu pool, %zu module sections\n", o.config, c->nlistens, c->npools, c->nmodules);
	}
	config_free(&c);
	return rc;
}

/* ---- weft dev: one process, HTTP on loopback ---- */

enum { DEV_PORT = 8080 };

struct dev {
	struct loop *loop;
	struct app app;
	struct http_dev *http;
	struct timeline_ring *ring;
	bool stopping;
};

static void
dev_on_signal(void *arg, int signo)
{
	struct dev *d = arg;

	(void)signo;
	d->stopping = true;
	loop_stop(d->loop);
}

/* Without a configuration: the modules named on the command line, at the root. */
static int
dev_add_modules(struct app *a, char **file, int n, char *error, size_t size)
{
	for (int i = 0; i < n; i++) {
		const char *slash = strrchr(file[i], '/');
		struct module *m = module_load(slash == NULL ? file[i] : slash + 1, file[i], error, size);

		if (m == NULL || app_add_module(a, m, "", error, size) != 0)
			return -1;
	}
	if (page_add(a, "/weft", error, size) != 0)
		return -1;
	return app_start(a, error, size);
}

static int
dev_begin(struct dev *d, const struct config *c, char **file, int n, unsigned port, char *error, size_t size)
{
	struct fiber_conf fibers = { .stack_size = c == NULL ? 0 : c->limit.stack };

	d->ring = calloc(1, sizeof *d->ring);
	d->loop = loop_new(&fibers);
	if (d->ring == NULL || d->loop == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	if (c != NULL ? setup_app(&d->app, c, d->loop, 0, NULL, error, size) != 0 :
	    app_init(&d->app, d->loop) != 0 || dev_add_modules(&d->app, file, n, error, size) != 0)
		return -1;
	d->app.ring[0] = d->ring;
	d->app.nrings = 1;
	d->app.front.request.ring = d->ring;
	d->http = http_dev_open(&d->app.front, port, error, size);
	if (d->http == NULL)
		return -1;
	fiber_guard_install();
	loop_on_signal(d->loop, SIGINT, dev_on_signal, d);
	loop_on_signal(d->loop, SIGTERM, dev_on_signal, d);
	return 0;
}

/* Cancel what still runs, and give it a moment to notice. */
static void
dev_end(struct dev *d)
{
	usec until = clock_now() + 2 * USEC_PER_SEC;

	http_dev_close(&d->http);
	while (fiber_sched_alive(loop_fibers(d->loop)) > 0 && clock_now() < until)
		loop_turn(d->loop, 10 * USEC_PER_MSEC);
	if (fiber_sched_alive(loop_fibers(d->loop)) > 0)
		return;
	app_fini(&d->app);
	loop_free(&d->loop);
	free(d->ring);
}

static int
dev_run(const struct config *c, char **file, int n, unsigned port)
{
	static struct dev d;
	char error[1024];

	log_open(2, c == NULL ? LOG_INFO_ : c->log_level, "dev");
	if (c != NULL && c->warning != NULL)
		log_warn("%s", c->warning);
	signal(SIGPIPE, SIG_IGN);
	if (dev_begin(&d, c, file, n, port, error, sizeof error) != 0) {
		fprintf(stderr, "weft: %s\n", error);
		return CLI_FAILED;
	}
	printf("http://127.0.0.1:%u/\n", http_dev_port(d.http));
	fflush(stdout);
	loop_run(d.loop);
	dev_end(&d);
	return d.stopping ? CLI_OK : CLI_FAILED;
}

int
cli_dev(int argc, char **argv)
{
	static const char usage[] = "dev [-p port] [-c file | module.so …]";
	unsigned long port = DEV_PORT;
	struct config *c = NULL;
	struct cli_opts o;
	char *end;
	int opt, rc;

	cli_opts_init(&o);
	while ((opt = getopt(argc, argv, "c:p:")) != -1)
		if (opt == 'c') {
			o.config = optarg;
		} else if (opt == 'p') {
			port = strtoul(optarg, &end, 10);
			if (end == optarg || *end != '\0' || port > 65535)
				return cli_usage("dev: the port is 0 to 65535; 0 takes a free one");
		} else {
			return cli_usage(usage);
		}
	if (optind == argc && (c = cli_config(&o)) == NULL)
		return CLI_FAILED;
	if (c != NULL)
		c->workers = 1;	/* the whole of each pool is this process's */
	rc = dev_run(c, argv + optind, argc - optind, (unsigned)port);
	config_free(&c);
	return rc;
}
