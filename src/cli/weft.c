/* SPDX-License-Identifier: ISC */
/* weft: finds the verb, and the options that verbs have in common. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

#include "back/driver.h"
#include "cli/cli.h"
#include "server/config.h"
#include "server/control.h"

#ifndef WEFT_CONF_DEFAULT
#define WEFT_CONF_DEFAULT "/etc/weft/weft.conf"
#endif

static int cli_version(int argc, char **argv);
static int cli_help(int argc, char **argv);

static const struct cli_verb {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *what;
} cli_verbs[] = {
	{ "serve", cli_serve, "serve FastCGI: a master and its workers" },
	{ "check", cli_check, "check the configuration and load its modules" },
	{ "dev", cli_dev, "serve HTTP on loopback, for development" },
	{ "status", cli_plain, "what the workers and their pools are doing" },
	{ "timeline", cli_timeline, "draw the last requests" },
	{ "reload", cli_plain, "start new workers with the configuration and modules as they are now" },
	{ "stop", cli_plain, "finish all requests and end" },
	{ "warm", cli_warm, "let a web server start N gates" },
	{ "bench", cli_bench, "measure a FastCGI server: requests, latency, CPU time and memory" },
	{ "version", cli_version, "version, and what this build can talk to" },
	{ "help", cli_help, "this" },
};

enum { CLI_NVERBS = sizeof cli_verbs / sizeof cli_verbs[0] };

static void
cli_print_help(FILE *to)
{
	fprintf(to, "usage: weft verb [options]\n\n");
	for (size_t i = 0; i < CLI_NVERBS; i++)
		fprintf(to, "  %-9s %s\n", cli_verbs[i].name, cli_verbs[i].what);
	fprintf(to, "\nThe configuration is -c FILE, else $WEFT_CONF, else %s.  See weft(1).\n", WEFT_CONF_DEFAULT);
}

static int
cli_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	cli_print_help(stdout);
	return CLI_OK;
}

static int
cli_version(int argc, char **argv)
{
	char schemes[256];

	(void)argc;
	(void)argv;
	driver_list(schemes, sizeof schemes);
	printf("weft %s\nmodule interface %d.%d\nback ends: %s\n", PACKAGE_VERSION, WEFT_ABI_MAJOR, WEFT_ABI_MINOR, schemes);
	return CLI_OK;
}

void
cli_opts_init(struct cli_opts *o)
{
	const char *conf = getenv("WEFT_CONF");

	*o = (struct cli_opts){ .config = conf == NULL || conf[0] == '\0' ? WEFT_CONF_DEFAULT : conf };
}

struct config *
cli_config(const struct cli_opts *o)
{
	char error[1024];
	struct config *c = config_read(o->config, error, sizeof error);

	if (c == NULL)
		fprintf(stderr, "weft: %s\n", error);
	return c;
}

int
cli_socket(const struct cli_opts *o, char *out, unsigned size)
{
	struct config *c;
	int rc = CLI_OK;

	if (o->socket != NULL) {
		snprintf(out, size, "%s", o->socket);
		return CLI_OK;
	}
	c = cli_config(o);
	if (c == NULL)
		return CLI_FAILED;
	if (c->control[0] == '\0') {
		fprintf(stderr, "weft: %s names no control socket: control = \"…\"\n", o->config);
		rc = CLI_FAILED;
	}
	snprintf(out, size, "%s", c->control);
	config_free(&c);
	return rc;
}

int
cli_unreachable(const char *socket)
{
	if (errno == EACCES)
		fprintf(stderr, "weft: %s may not be asked by this user: root may, and who runs the server\n", socket);
	else
		fprintf(stderr, "weft: no server answers at %s: %s\n", socket, strerror(errno));
	return CLI_FAILED;
}

int
cli_usage(const char *usage)
{
	fprintf(stderr, "usage: weft %s\n", usage);
	return CLI_USAGE;
}

/* The answer of the server begins with "error " when it is one. */
int
cli_plain(int argc, char **argv)
{
	struct cli_opts o;
	char socket[256], *answer, usage[64];
	int opt, rc;

	cli_opts_init(&o);
	while ((opt = getopt(argc, argv, "c:s:")) != -1)
		if (opt == 'c')
			o.config = optarg;
		else if (opt == 's')
			o.socket = optarg;
		else
			break;
	if (opt != -1 || optind != argc) {
		snprintf(usage, sizeof usage, "%s [-c file | -s socket]", argv[0]);
		return cli_usage(usage);
	}
	if (cli_socket(&o, socket, sizeof socket) != CLI_OK)
		return CLI_FAILED;
	if (control_ask(socket, argv[0], &answer) != 0)
		return cli_unreachable(socket);
	rc = strncmp(answer, "error ", 6) == 0 || answer[0] == '\0' ? CLI_FAILED : CLI_OK;
	if (rc == CLI_OK)
		fputs(answer, stdout);
	else
		fprintf(stderr, "weft: %s", answer[0] == '\0' ? "the server ended before it answered\n" : answer + 6);
	free(answer);
	return rc;
}

/* A web server may have started us without stdout or stderr: what we open must not take their places, and be logged to. */
static void
cli_fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int
main(int argc, char **argv)
{
	cli_fill_descriptors();
	if (argc < 2) {
		cli_print_help(stderr);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < CLI_NVERBS; i++)
		if (strcmp(cli_verbs[i].name, argv[1]) == 0)
			return cli_verbs[i].fn(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cli_help(argc, argv);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return cli_version(argc, argv);
	fprintf(stderr, "weft: no verb \"%s\"\n", argv[1]);
	cli_print_help(stderr);
	return CLI_USAGE;
}
