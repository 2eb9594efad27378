/* SPDX-License-Identifier: ISC */
/* Cookies lie in the input, in order; a name is never empty; neither part holds what ends it or begins with a blank. */
#include "fuzz.h"
#include "wire/cookie.h"

static bool
cookie_has(struct span s, char c)
{
	return s.len > 0 && memchr(s.at, c, s.len) != NULL;
}

static bool
cookie_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
cookie_check(struct span name, struct span value, struct span whole)
{
	bool quoted = value.at > whole.at && value.at[-1] == '"';

	must(fuzz_is_within(name, whole) && fuzz_is_within(value, whole));
	must(name.len > 0 && name.at + name.len < whole.at + whole.len && value.at > name.at + name.len);
	must(!cookie_has(name, ';') && !cookie_has(name, '=') && !cookie_has(value, ';'));
	must(!cookie_is_blank(name.at[0]) && !cookie_is_blank(name.at[name.len - 1]));
	must(quoted || value.len == 0 || (!cookie_is_blank(value.at[0]) && !cookie_is_blank(value.at[value.len - 1])));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span whole = fuzz_copy(data, size), in = whole, name, value;
	const char *last = whole.at;
	size_t found = 0, possible = 1;

	for (size_t i = 0; i < size; i++)
		possible += data[i] == ';';
	while (cookie_next(&in, &name, &value)) {
		cookie_check(name, value, whole);
		must(name.at >= last && in.at >= value.at + value.len);
		last = in.at;
		found++;
	}
	must(in.len == 0 && found <= possible);
	fuzz_free(whole);
	return 0;
}
