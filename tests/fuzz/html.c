/* SPDX-License-Identifier: ISC */
/* Escaped text holds nothing that could end a tag or an attribute, and reads back as what it was. */
#include "fuzz.h"
#include "wire/html.h"

/* Take one character, escaped or not, from the front of *in. */
static char
html_take(struct span *in)
{
	static const struct {
		struct span entity;
		char c;
	} known[] = { { { "&amp;", 5 }, '&' }, { { "&lt;", 4 }, '<' }, { { "&gt;", 4 }, '>' }, { { "&quot;", 6 }, '"' },
		{ { "&#39;", 5 }, '\'' } };
	char c = in->at[0];

	if (c == '&') {
		struct span entity = span_take(in, ';');

		for (size_t i = 0; i < 5; i++)
			if (span_equal((struct span){ entity.at, entity.len + 1 }, known[i].entity))
				return known[i].c;
		abort(); /* none that we write */
	}
	must(c != '<' && c != '>' && c != '"' && c != '\'');
	*in = span_skip(*in, 1);
	return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span whole = fuzz_copy(data, size), left = whole, in;
	char *out = malloc(6 * size + 1);
	size_t len = 0;

	must(out != NULL);
	while (left.len > 0) {
		struct span piece = html_next(&left);

		must(piece.len > 0 && len + piece.len <= 6 * size);
		memcpy(out + len, piece.at, piece.len);
		len += piece.len;
	}
	in = (struct span){ out, len };
	for (size_t i = 0; i < size; i++)
		must(in.len > 0 && html_take(&in) == whole.at[i]);
	must(in.len == 0);
	free(out);
	fuzz_free(whole);
	return 0;
}
