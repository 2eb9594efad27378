/* SPDX-License-Identifier: ISC */
#ifndef WIRE_FCGI_PARAM_H
#define WIRE_FCGI_PARAM_H

/* Name-value pairs, as in FCGI_PARAMS, FCGI_GET_VALUES and its result. */

#include <stddef.h>
#include <stdint.h>

#include "wire/fcgi_record.h"

#define FCGI_PARAM_MAX UINT32_C(0x7fffffff)	/* name and value together, of what we encode */

struct fcgi_param {
	struct span name;
	struct span value;
};

/* As fcgi_param_lengths, of any form. */
size_t fcgi_param_lengths_any(struct span in, size_t *name, size_t *value);

/*
 * Read the two lengths that a pair begins with.  Nearly every pair of a request has two short
 * ones, so that case is decided with one test of both bytes, where it is asked.
 *
 * Returns  how many bytes they take, 2 to 8; 0 where they are not all there
 */
static inline size_t
fcgi_param_lengths(struct span in, size_t *name, size_t *value)
{
	const unsigned char *p = (const unsigned char *)in.at;
	size_t n = 0, v = 0, taken = 2;

	if (in.len >= 2 && (p[0] | p[1]) <= 0x7f) {
		n = p[0];
		v = p[1];
	} else {
		taken = fcgi_param_lengths_any(in, &n, &v);
	}
	*name = n;
	*value = v;
	return taken;
}

/*
 * Take one pair from the front of *in.
 *
 * in       on FCGI_OK moved past the pair; else unchanged
 * out      written only on FCGI_OK; points into *in
 *
 * Shape    length of name, length of value: each u8 <= 127, or u32be with the
 *          top bit set; then the name's bytes, then the value's
 * Returns  FCGI_OK    a pair
 *          FCGI_MORE  *in is empty, or ends inside the pair.  At the end of
 *                     a stream that is not empty this is an error of the peer
 *          FCGI_BAD   never: any four bytes are a length.  (No bytes are ever
 *                     allocated by an announced length.)
 * Source   FastCGI Specification 1.0, section 3.4
 */
enum fcgi_rc fcgi_param_next(struct span *in, struct fcgi_param *out);

/*
 * Encode one pair.
 *
 * out, size  where to; nothing is written when it does not fit
 * Returns    bytes of the encoded pair, also when that is more than size;
 *            SIZE_MAX, which never fits, above FCGI_PARAM_MAX
 */
size_t fcgi_param_encode(char *out, size_t size, struct span name, struct span value);

#endif
