/* SPDX-License-Identifier: ISC */
#include "wire/html.h"

#include <endian.h>
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

/* The high bit of the lowest byte that is c, apart from the bits in but, is set; other high bits above it may be. */
static inline uint64_t
html_word_has(uint64_t word, unsigned char c, unsigned char but)
{
	word = (word & HTML_ONES * (uint8_t)~but) ^ HTML_ONES * c;
	return (word - HTML_ONES) & ~word & HTML_ONES * 0x80;
}

/* As html_word_has, for the bytes that have an entity.  " & ' and < > differ in few bits; '#' is taken for one of the first three. */
static inline uint64_t
html_word_suspects(uint64_t word)
{
	return html_word_has(word, '"', '"' ^ '\'') | html_word_has(word, '<', '<' ^ '>');
}

/* Returns how many bytes stand for themselves.  Eight at a time. */
static size_t
html_plain(struct span in)
{
	size_t n = 0;

	while (n < in.len) {
		uint64_t word = 0, suspects;

		if (in.len - n >= sizeof word)
			memcpy(&word, in.at + n, sizeof word);
		else
			memcpy(&word, in.at + n, in.len - n);
		suspects = html_word_suspects(le64toh(word));
		if (suspects == 0) {
			n += sizeof word;
			continue;
		}
		n += (size_t)__builtin_ctzll(suspects) / 8;
		if (html_entity(in.at[n]).len > 0)
			return n;
		n++;
	}
	return in.len;
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
