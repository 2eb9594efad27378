/* SPDX-License-Identifier: ISC */
/*
 * Query strings, urlencoded forms and percent coding.  Nothing here is an
 * error: whatever a client sends has one reading, and it is never longer than
 * what was sent.
 */
#include "wire/urlencoded.h"

int
urlencoded_next(struct span *in, struct span *name, struct span *value)
{
	struct span pair;

	while (in->len > 0) {
		pair = span_take(in, '&');
		if (pair.len == 0)
			continue;
		*name = span_take(&pair, '=');
		*value = pair;
		return 1;
	}
	return 0;
}

/* Returns 0..15, or -1 for what is not a hex digit. */
static int
percent_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Read the two digits after a '%'.  Returns 0..255, or -1 where they are not there. */
static int
percent_byte(struct span at)
{
	int high, low;

	if (at.len < 3)
		return -1;
	high = percent_digit(at.at[1]);
	low = percent_digit(at.at[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t
percent_decode(char *out, struct span in, enum percent_plus plus)
{
	size_t n = 0;
	int byte;

	while (in.len > 0) {
		size_t used = 1;
		char c = *in.at;

		if (c == '+' && plus == PERCENT_PLUS_IS_SPACE) {
			c = ' ';
		} else if (c == '%' && (byte = percent_byte(in)) >= 0) {
			c = (char)byte;
			used = 3;
		}
		out[n++] = c;
		in = span_skip(in, used);
	}
	return n;
}

static bool
percent_is_unreserved(char c)
{
	static const bool unreserved[256] = {
		['a' ... 'z'] = true,
		['A' ... 'Z'] = true,
		['0' ... '9'] = true,
		['-'] = true,
		['.'] = true,
		['_'] = true,
		['~'] = true,
	};

	return unreserved[(unsigned char)c];
}

size_t
percent_encode(char *out, size_t size, struct span in)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t need = in.len;

	for (size_t i = 0; i < in.len; i++)
		need += percent_is_unreserved(in.at[i]) ? 0 : 2;
	if (need > size)
		return need;
	for (; in.len > 0; in = span_skip(in, 1)) {
		unsigned char c = (unsigned char)*in.at;

		if (percent_is_unreserved(*in.at)) {
			*out++ = *in.at;
			continue;
		}
		*out++ = '%';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return need;
}
