/* SPDX-License-Identifier: ISC */
/*
 * A list as FCGI_WEB_SERVER_ADDRS has it: it is refused, or each of its pieces is an address by inet_pton's word and all are
 * kept, in order and in one form.  An address to listen on is public or not, and nothing breaks of either.
 */
// sources: src/server/allow.c
#include <arpa/inet.h>
#include <stdio.h>

#include "fuzz.h"
#include "server/allow.h"

/* The plainest reading.  Returns how many there are, 0 when one is none. */
static size_t
model(struct span in, struct in6_addr *out)
{
	char one[64], mapped[80];
	size_t n = 0;
	bool more;

	do {
		struct span piece;
		struct in_addr v4;

		more = in.len > 0 && memchr(in.at, ',', in.len) != NULL;
		piece = span_take(&in, ',');
		if (piece.len >= sizeof one || n == ALLOW_MAX)
			return 0;
		memcpy(one, piece.at, piece.len);
		one[piece.len] = '\0';
		snprintf(mapped, sizeof mapped, "::ffff:%s", one);
		if (inet_pton(AF_INET6, inet_pton(AF_INET, one, &v4) == 1 ? mapped : one, &out[n++]) != 1)
			return 0;
	} while (more);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in6_addr want[ALLOW_MAX];
	struct allow a = { .n = 0 };
	char *text = malloc(size + 1);
	size_t n;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	n = model(span_str(text), want);
	if (allow_parse(&a, text) == 0) {
		must(a.n == n && n > 0);
		must(memcmp(a.address, want, n * sizeof want[0]) == 0);
	} else {
		must(n == 0 && a.n <= ALLOW_MAX);
	}
	(void)allow_is_public(text);
	free(text);
	return 0;
}
