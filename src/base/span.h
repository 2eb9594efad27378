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

#endif
