/* SPDX-License-Identifier: ISC */
#include "wire/html.h"

#include <stdint.h>

/* What stands for c; empty where c stands for itself. */
static struct span
html_entity(char c)
{
	switch (c) {
	case '&':
		return SPAN("&amp;");
	case '<':
		return SPAN("&lt;");
	case '>':
		return SPAN("&gt;");
	case '"':
		return SPAN("&quot;");
	case '\'':
		return SPAN("&#39;");
	default:
		return SPAN("");
	}
}

#define HTML_ONES (UINT64_MAX / 255)

/* True when a byte of the word is c, apart from the bits in but. */
static inline bool
html_word_has(uint64_t word, unsigned char c, unsigned char but)
{
	word = (word & HTML_ONES * (uint8_t)~but) ^ HTML_ONES * c;
	return ((word - HTML_ONES) & ~word & HTML_ONES * 0x80) != 0;
}

/* True when one of eight bytes may have an entity.  " & ' and < > differ in few bits; with the first three '#' is taken for one. */
static inline bool
html_word_is_suspect(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof word);
	return html_word_has(word, '"', '"' ^ '\'') || html_word_has(word, '<', '<' ^ '>');
}

/* Returns how many bytes stand for themselves. */
static size_t
html_plain(struct span in)
{
	size_t n = 0;

	for (;;) {
		/* Most text is letters: eight at a time. */
		while (in.len - n >= 8 && !html_word_is_suspect(in.at + n))
			n += 8;
		for (size_t end = in.len - n < 8 ? in.len : n + 8; n < end; n++)
			if (html_entity(in.at[n]).len > 0)
				return n;
		if (n == in.len)
			return n;
	}
}

struct span
html_next(struct span *in)
{
	size_t n = html_plain(*in);
	struct span piece = { in->at, n };

	if (n == 0 && in->len > 0) {
		piece = html_entity(in->at[0]);
		n = 1;
	}
	*in = span_skip(*in, n);
	return piece;
}
