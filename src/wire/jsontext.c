/* SPDX-License-Identifier: ISC */
#include "wire/jsontext.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define JSONTEXT_ONES (UINT64_MAX / 255)

static inline uint64_t
jsontext_word(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof word);
	return word;
}

/* ---- UTF-8 ---- */

/* Returns the length of the character that begins there, 0 when none does. */
static size_t
jsontext_character(const unsigned char *at, size_t left)
{
	unsigned char first = at[0], least = 0x80, most = 0xbf;
	size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	/* What the second byte may be keeps out longer forms than needed, surrogates, and what is too large. */
	if (first == 0xe0)
		least = 0xa0;
	else if (first == 0xed)
		most = 0x9f;
	else if (first == 0xf0)
		least = 0x90;
	else if (first == 0xf4)
		most = 0x8f;
	if (len > left || (len > 1 && (at[1] < least || at[1] > most)))
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
jsontext_is_utf8(struct span in)
{
	while (in.len > 0) {
		size_t n = 8;

		if (in.len < 8 || (jsontext_word(in.at) & JSONTEXT_ONES * 0x80) != 0)
			n = jsontext_character((const unsigned char *)in.at, in.len);
		if (n == 0)
			return false;
		in = span_skip(in, n);
	}
	return true;
}

/* ---- strings ---- */

/* What stands for a character that does not stand for itself. */
static struct span
jsontext_escape(char c)
{
	static const char *const control[] = {
		"\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
		"\\b", "\\t", "\\n", "\\u000B", "\\f", "\\r", "\\u000E", "\\u000F",
		"\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
		"\\u0018", "\\u0019", "\\u001A", "\\u001B", "\\u001C", "\\u001D", "\\u001E", "\\u001F",
	};

	if ((unsigned char)c < sizeof control / sizeof control[0])
		return span_str(control[(unsigned char)c]);
	return c == '"' ? SPAN("\\\"") : SPAN("\\\\");
}

static inline bool
jsontext_has_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* True when one of eight bytes is below n, which is at most 128. */
static inline bool
jsontext_word_has_below(uint64_t word, unsigned n)
{
	return ((word - JSONTEXT_ONES * n) & ~word & JSONTEXT_ONES * 0x80) != 0;
}

/* True when one of eight bytes has an escape. */
static inline bool
jsontext_word_is_suspect(uint64_t word)
{
	return jsontext_word_has_below(word, 0x20) || jsontext_word_has_below(word ^ JSONTEXT_ONES * '"', 1) ||
	    jsontext_word_has_below(word ^ JSONTEXT_ONES * '\\', 1);
}

/* Returns how many bytes stand for themselves. */
static size_t
jsontext_plain(struct span in)
{
	size_t n = 0;

	for (;;) {
		while (in.len - n >= 8 && !jsontext_word_is_suspect(jsontext_word(in.at + n)))
			n += 8;
		for (size_t end = in.len - n < 8 ? in.len : n + 8; n < end; n++)
			if (jsontext_has_escape(in.at[n]))
				return n;
		if (n == in.len)
			return n;
	}
}

struct span
jsontext_next(struct span *in)
{
	size_t n = jsontext_plain(*in);
	struct span piece = { in->at, n };

	if (n == 0 && in->len > 0) {
		piece = jsontext_escape(in->at[0]);
		n = 1;
	}
	*in = span_skip(*in, n);
	return piece;
}

/* ---- numbers ---- */

size_t
jsontext_integer(char out[JSONTEXT_INTEGER_MAX], long long n)
{
	char digits[JSONTEXT_INTEGER_MAX], *end = digits + sizeof digits, *at = end;
	unsigned long long left = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;

	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (n < 0)
		*--at = '-';
	memcpy(out, at, (size_t)(end - at));
	return (size_t)(end - at);
}

size_t
jsontext_real(char out[JSONTEXT_REAL_MAX], double n)
{
	size_t len;

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, JSONTEXT_REAL_MAX, "%.*g", digits, n);
		if (strtod(out, NULL) == n)
			break;
	}
	len = strlen(out);
	if (strspn(out, "-0123456789") == len) {
		memcpy(out + len, ".0", 2);
		return len + 2;
	}
	/* A module may have set a locale with a comma. */
	for (size_t i = 0; i < len; i++)
		if (strchr("-+e0123456789", out[i]) == NULL)
			out[i] = '.';
	return len;
}
