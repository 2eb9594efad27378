/* SPDX-License-Identifier: ISC */
#ifndef WIRE_JSONTEXT_H
#define WIRE_JSONTEXT_H

/* The scalars of JSON, as bytes.  Source: RFC 8259. */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Returns true when the bytes are UTF-8, as all JSON is: shortest forms, no surrogates, nothing above U+10FFFF.  NUL is a character. */
bool jsontext_is_utf8(struct span in);

/*
 * Take the next piece off the front of a text that is to stand between the quotes of a string: either bytes that stand for
 * themselves, as many as there are, or an escape.  The pieces one behind the other are the text, escaped; no byte becomes
 * more than 6.
 *
 * Returns  the piece, valid as long as the text; empty when nothing is left
 */
struct span jsontext_next(struct span *in);

enum { JSONTEXT_INTEGER_MAX = 20, JSONTEXT_REAL_MAX = 32 };

/* Write the digits of n, with a sign if it is negative, not terminated.  Returns how many bytes. */
size_t jsontext_integer(char out[JSONTEXT_INTEGER_MAX], long long n);

/*
 * Write n, which must be finite, with as few digits as read back to the same number, and so that it is seen not to be
 * whole by kind: 1.0.  Returns how many bytes.
 */
size_t jsontext_real(char out[JSONTEXT_REAL_MAX], double n);

#endif
