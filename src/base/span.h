/* SPDX-License-Identifier: ISC */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Borrowed bytes.  Not terminated.  Whoever hands one out says how long it is valid. */
struct span {
	const char *at;
	size_t len;
};

/* A span over a string literal, without its terminator. */
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

/* The span of a terminated string, without its terminator; valid as long as the string. */
static inline struct span
span_str(const char *s)
{
	return (struct span){ s, strlen(s) };
}

/* True when both hold the same bytes. */
static inline bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* The span without its first n bytes; n must not exceed its length. */
static inline struct span
span_skip(struct span s, size_t n)
{
	return (struct span){ s.at + n, s.len - n };
}

/*
 * Take what stands before the first c off the front of *in, and that c with it.
 *
 * Returns  what stood before it; all of *in where there is no c.  *in holds
 *          the rest; it may be empty in either case
 */
static inline struct span
span_take(struct span *in, char c)
{
	const char *hit = in->len == 0 ? NULL : memchr(in->at, c, in->len);
	struct span head = { in->at, hit == NULL ? in->len : (size_t)(hit - in->at) };

	if (hit == NULL)
		*in = (struct span){ in->len == 0 ? in->at : in->at + in->len, 0 };
	else
		*in = span_skip(*in, head.len + 1);
	return head;
}

/* The span without the blanks (space, tab) at both of its ends. */
static inline struct span
span_trim(struct span s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
		s = span_skip(s, 1);
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

#endif
