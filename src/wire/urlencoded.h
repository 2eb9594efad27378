/* SPDX-License-Identifier: ISC */
#ifndef WIRE_URLENCODED_H
#define WIRE_URLENCODED_H

/* Query strings and urlencoded forms, and percent coding.  Source: WHATWG URL, section 5.1; RFC 3986, section 2.1. */

#include <stddef.h>

#include "base/span.h"

/*
 * Take one "name=value" from the front of *in; pairs end at '&'.  Still encoded.
 *
 * Returns  1  a pair; the value is empty where there is no '='.  Empty pairs ("&&") are passed over
 *          0  *in is used up
 */
int urlencoded_next(struct span *in, struct span *name, struct span *value);

enum percent_plus { PERCENT_PLUS_IS_SPACE, PERCENT_PLUS_IS_PLUS };

/*
 * Decode %XX (and '+' in forms).  A '%' not followed by two hex digits stands for itself.
 *
 * out      holds in.len bytes; may be in.at itself.  Not terminated
 * Returns  bytes written, at most in.len.  They may include NUL: the caller decides
 */
size_t percent_decode(char *out, struct span in, enum percent_plus plus);

/*
 * Encode all but unreserved characters as %XX.
 *
 * out, size  nothing is written when the result does not fit
 * Returns    bytes of the result, also when that is more than size
 */
size_t percent_encode(char *out, size_t size, struct span in);

#endif
