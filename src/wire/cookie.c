/* SPDX-License-Identifier: ISC */
/*
 * The Cookie header as servers find it: browsers send "a=b; c=d", others leave
 * the blank out, put quotes around values or send stray pieces.  A piece ends
 * at ';' even between quotes, since no cookie may hold one.
 */
#include "wire/cookie.h"

static struct span
cookie_unquote(struct span s)
{
	if (s.len < 2 || s.at[0] != '"' || s.at[s.len - 1] != '"')
		return s;
	return (struct span){ s.at + 1, s.len - 2 };
}

int
cookie_next(struct span *in, struct span *name, struct span *value)
{
	struct span piece, before;
	size_t len;

	while (in->len > 0) {
		piece = span_take(in, ';');
		len = piece.len;
		before = span_take(&piece, '=');
		if (before.len == len)
			continue;
		before = span_trim(before);
		if (before.len == 0)
			continue;
		*name = before;
		*value = cookie_unquote(span_trim(piece));
		return 1;
	}
	return 0;
}
