/* SPDX-License-Identifier: ISC */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* The verbs of weft(1).  Each is main() for what stands behind the verb; see weft(1) for what they do. */

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* What the verbs have in common. */
struct cli_opts {
	const char *config;	/* -c, $WEFT_CONF or the built-in default */
	const char *socket;	/* -s; NULL: the config's control socket */
};

struct config;

/* Each verb: its name is argv[0].  Returns the exit status. */
int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_dev(int argc, char **argv);
int cli_warm(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_timeline(int argc, char **argv);
int cli_plain(int argc, char **argv);	/* status, reload, stop */

/* Begin with the defaults. */
void cli_opts_init(struct cli_opts *o);

/* Read the configuration; complains on stderr.  NULL when it cannot be used. */
struct config *cli_config(const struct cli_opts *o);

/*
 * Find the control socket: -s, or that of the configuration.
 *
 * out      at least 108 bytes
 * Returns  CLI_OK, or CLI_FAILED after a complaint on stderr
 */
int cli_socket(const struct cli_opts *o, char *out, unsigned size);

/* Complain on stderr that the server cannot be reached at this socket, with errno.  Returns CLI_FAILED. */
int cli_unreachable(const char *socket);

/* Print usage of a verb on stderr.  Returns CLI_USAGE. */
int cli_usage(const char *usage);

#endif
