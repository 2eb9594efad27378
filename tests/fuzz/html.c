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
	struct span whole = fuzz_copy(data, size), in;
	size_t need = html_escape(NULL, 0, whole);
	char *out = malloc(need + 1);

	must(out != NULL && need >= size && need <= 6 * size);
	out[need] = '!';
	must(html_escape(out, need, whole) == need && out[need] == '!');
	in = (struct span){ out, need };
	for (size_t i = 0; i < size; i++)
		must(in.len > 0 && html_take(&in) == whole.at[i]);
	must(in.len == 0);
	free(out);
	fuzz_free(whole);
	return 0;
}
