/* SPDX-License-Identifier: ISC */
/* The input is an environment, its strings between NULs.  The server's own receiver and decoder get the same names and values back. */
// sources: src/gate/params.c
#include <fastcgi.h>

#include "fuzz.h"
#include "gate/params.h"
#include "wire/fcgi_param.h"
#include "wire/fcgi_rx.h"

enum { STRINGS = 512 };

/* Returns the content of the PARAMS records, joined; there is nothing else but BEGIN_REQUEST. */
static size_t
join(struct span in, char *out)
{
	unsigned records = 0, ends = 0;
	struct fcgi_event ev;
	struct fcgi_rx rx;
	size_t len = 0, n;

	fcgi_rx_init(&rx);
	do {
		n = fcgi_rx_step(&rx, in, &ev);
		in = span_skip(in, n);
		must(ev.kind != FCGI_EV_BAD && ends == 0);
		if (ev.kind == FCGI_EV_RECORD)
			must(rx.head.id == 1 && rx.head.type == (records++ == 0 ? FCGI_BEGIN_REQUEST : FCGI_PARAMS));
		if (ev.kind == FCGI_EV_END && rx.head.length == 0)
			ends++;
		if (ev.kind == FCGI_EV_DATA && rx.head.type == FCGI_PARAMS) {
			memcpy(out + len, ev.data.at, ev.data.len);
			len += ev.data.len;
		}
	} while (in.len > 0);
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *env[STRINGS + 1], *text = malloc(size + 1), *joined;
	unsigned char *all;
	struct fcgi_param p;
	struct span left;
	size_t n = 0, len;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at <= size && n < STRINGS; at += strlen(text + at) + 1)
		env[n++] = text + at;
	env[n] = NULL;
	all = params_encode(env, &len);
	joined = malloc(len);
	must(all != NULL && joined != NULL);
	left = (struct span){ joined, join((struct span){ (char *)all, len }, joined) };
	for (size_t i = 0; i < n; i++) {
		const char *eq = strchr(env[i], '=');

		if (eq == NULL)
			continue;
		must(fcgi_param_next(&left, &p) == FCGI_OK);
		must(span_equal(p.name, (struct span){ env[i], (size_t)(eq - env[i]) }) && span_equal(p.value, span_str(eq + 1)));
	}
	must(left.len == 0);
	free(joined);
	free(all);
	free(text);
	return 0;
}
