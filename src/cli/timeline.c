/* SPDX-License-Identifier: ISC */
/* weft timeline: asks the server for its records, and draws them here. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "request/timeline.h"
#include "server/control.h"

enum { TIMELINE_LAST = 20, TIMELINE_TEXT_MAX = 4 * 1024 * 1024 };

static enum wait_why
timeline_why(const char *name)
{
	for (int why = 0; why < WAIT_COUNT; why++)
		if (name != NULL && strcmp(name, wait_why_name((enum wait_why)why)) == 0)
			return (enum wait_why)why;
	return WAIT_NONE;
}

/* Of what still waits it is null. */
static uint32_t
timeline_wait_until(const json_t *until)
{
	return json_is_null(until) ? UINT32_MAX : (uint32_t)json_integer_value(until);
}

static void
timeline_read_record(const json_t *in, struct timeline_record *r)
{
	const json_t *waits = json_object_get(in, "waits"), *wait;
	const char *what = json_string_value(json_object_get(in, "what"));
	size_t i;

	memset(r, 0, sizeof *r);
	r->number = (uint64_t)json_integer_value(json_object_get(in, "number"));
	r->pid = (int32_t)json_integer_value(json_object_get(in, "pid"));
	r->status = (uint16_t)json_integer_value(json_object_get(in, "status"));
	r->begin = json_integer_value(json_object_get(in, "begin"));
	r->end = json_integer_value(json_object_get(in, "end"));
	snprintf(r->what, sizeof r->what, "%s", what == NULL ? "" : what);
	json_array_foreach (waits, i, wait) {
		if (i == TIMELINE_SEGMENTS)
			break;
		r->segment[i].why = (uint8_t)timeline_why(json_string_value(json_object_get(wait, "why")));
		r->segment[i].from = (uint32_t)json_integer_value(json_object_get(wait, "from"));
		r->segment[i].until = timeline_wait_until(json_object_get(wait, "until"));
		r->nsegments++;
	}
}

static unsigned
timeline_columns(void)
{
	struct winsize ws;

	return ioctl(1, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40 ? ws.ws_col : 80;
}

static int
timeline_draw(const char *text, unsigned columns)
{
	json_t *all = json_loads(text, 0, NULL);
	size_t n = json_array_size(all);
	struct timeline_record *r = calloc(n + 1, sizeof *r);
	struct buf out;

	if (!json_is_array(all) || r == NULL) {
		fprintf(stderr, "weft: the server's answer is no timeline\n");
		json_decref(all);
		free(r);
		return CLI_FAILED;
	}
	for (size_t i = 0; i < n; i++)
		timeline_read_record(json_array_get(all, i), &r[i]);
	buf_init(&out, TIMELINE_TEXT_MAX);
	timeline_text(&out, r, n, clock_now(), columns, isatty(1));
	fwrite(out.at, 1, out.len, stdout);
	buf_fini(&out);
	json_decref(all);
	free(r);
	return CLI_OK;
}

int
cli_timeline(int argc, char **argv)
{
	static const char usage[] = "timeline [-c file | -s socket] [-j] [-n count] [-w columns]";
	struct cli_opts o;
	unsigned columns = timeline_columns();
	long last = TIMELINE_LAST;
	char socket[256], line[64], *answer;
	int opt, rc = CLI_OK, json = 0;

	cli_opts_init(&o);
	while ((opt = getopt(argc, argv, "c:s:jn:w:")) != -1)
		switch (opt) {
		case 'c': o.config = optarg; break;
		case 's': o.socket = optarg; break;
		case 'j': json = 1; break;
		case 'n': last = strtol(optarg, NULL, 10); break;
		case 'w': columns = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return cli_usage(usage);
		}
	if (optind != argc || last < 1 || columns < 40 || columns > 1000)
		return cli_usage(usage);
	if (cli_socket(&o, socket, sizeof socket) != CLI_OK)
		return CLI_FAILED;
	snprintf(line, sizeof line, "timeline %ld", last);
	if (control_ask(socket, line, &answer) != 0)
		return cli_unreachable(socket);
	if (strncmp(answer, "error ", 6) == 0) {
		fprintf(stderr, "weft: %s", answer + 6);
		rc = CLI_FAILED;
	} else if (json)
		puts(answer);
	else
		rc = timeline_draw(answer, columns);
	free(answer);
	return rc;
}
