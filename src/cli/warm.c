/* SPDX-License-Identifier: ISC */
/*
 * weft warm: one burst of N requests, each of which the server holds until N
 * gates are there.  A web server that starts a process for each request that
 * finds none idle has then started N.
 */
#include "config.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef HAVE_CURL
#include <curl/curl.h>
#endif

#include "base/clock.h"
#include "server/config.h"
#include "server/control.h"

#ifdef HAVE_CURL

enum { WARM_MAX = 4000, WARM_SECONDS = 90 };

static size_t
warm_on_body(char *at, size_t size, size_t n, void *arg)
{
	(void)at;
	(void)arg;
	return size * n;
}

static CURL *
warm_request(const char *url, struct curl_slist *headers)
{
	CURL *one = curl_easy_init();

	if (one == NULL)
		return NULL;
	curl_easy_setopt(one, CURLOPT_URL, url);
	curl_easy_setopt(one, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(one, CURLOPT_WRITEFUNCTION, warm_on_body);
	curl_easy_setopt(one, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(one, CURLOPT_PROXY, "");
	curl_easy_setopt(one, CURLOPT_TIMEOUT, (long)WARM_SECONDS);
	curl_easy_setopt(one, CURLOPT_NOSIGNAL, 1L);
	return one;
}

/* Send N requests at once and wait for all answers. */
static void
warm_burst(const char *url, const char *token, unsigned n)
{
	CURLM *all = curl_multi_init();
	CURL **one = calloc(n, sizeof(CURL *));
	struct curl_slist *headers = NULL;
	char header[320];
	int running = (int)n;

	snprintf(header, sizeof header, "X-Weft-Warm: %s", token);
	headers = curl_slist_append(headers, header);
	for (unsigned i = 0; one != NULL && i < n; i++)
		if ((one[i] = warm_request(url, headers)) != NULL)
			curl_multi_add_handle(all, one[i]);
	while (running > 0 && curl_multi_perform(all, &running) == CURLM_OK)
		curl_multi_poll(all, NULL, 0, 1000, NULL);
	for (unsigned i = 0; one != NULL && i < n; i++)
		if (one[i] != NULL) {
			curl_multi_remove_handle(all, one[i]);
			curl_easy_cleanup(one[i]);
		}
	free(one);
	curl_slist_free_all(headers);
	curl_multi_cleanup(all);
}

/* Read one line of the server's answer.  Returns its length without the newline, -1 at the end. */
static int
warm_line(int sock, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && read(sock, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return (int)n;
		}
		n++;
	}
	return -1;
}

static int
warm_run(const char *socket, const char *url, unsigned n)
{
	char line[256], token[256];
	usec begin = clock_now();
	int sock, rc = CLI_FAILED;

	snprintf(line, sizeof line, "warm %u", n);
	sock = control_connect(socket, line);
	if (sock < 0)
		return cli_unreachable(socket);
	if (warm_line(sock, token, sizeof token) < 0 || strncmp(token, "error ", 6) == 0) {
		fprintf(stderr, "weft: %s\n", strncmp(token, "error ", 6) == 0 ? token + 6 : "the server ended");
	} else {
		warm_burst(url, token, n);
		/* All answers are in: if the gates are fewer, no more will come. */
		shutdown(sock, SHUT_WR);
		if (warm_line(sock, line, sizeof line) < 0)
			snprintf(line, sizeof line, "error the server said nothing about its gates");
		printf("%s after %.1f s\n", strchr(line, ' ') == NULL ? line : strchr(line, ' ') + 1,
		    (double)(clock_now() - begin) / 1e6);
		rc = strncmp(line, "ok ", 3) == 0 ? CLI_OK : CLI_FAILED;
	}
	close(sock);
	return rc;
}

int
cli_warm(int argc, char **argv)
{
	static const char usage[] = "warm [-c file] [-s socket] count [url]";
	struct cli_opts o;
	struct config *c = NULL;
	const char *url = NULL;
	unsigned long n;
	char socket[256], *end;
	int opt, rc;

	cli_opts_init(&o);
	while ((opt = getopt(argc, argv, "c:s:")) != -1)
		switch (opt) {
		case 'c': o.config = optarg; break;
		case 's': o.socket = optarg; break;
		default: return cli_usage(usage);
		}
	if (argc - optind < 1 || argc - optind > 2)
		return cli_usage(usage);
	n = strtoul(argv[optind], &end, 10);
	if (*end != '\0' || n < 1 || n > WARM_MAX)
		return cli_usage("warm: the count is 1 to 4000");
	if (cli_socket(&o, socket, sizeof socket) != CLI_OK)
		return CLI_FAILED;
	if (argc - optind == 2) {
		url = argv[optind + 1];
	} else {
		c = cli_config(&o);
		if (c == NULL || c->warm_url[0] == '\0') {
			fprintf(stderr, "weft: no URL: name one, or set warm_url in %s\n", o.config);
			config_free(&c);
			return CLI_FAILED;
		}
		url = c->warm_url;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = warm_run(socket, url, (unsigned)n);
	curl_global_cleanup();
	config_free(&c);
	return rc;
}

#else

int
cli_warm(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "weft: this build is without libcurl, which warm needs\n");
	return CLI_FAILED;
}

#endif
