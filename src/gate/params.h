/* SPDX-License-Identifier: ISC */
#ifndef GATE_PARAMS_H
#define GATE_PARAMS_H

/* The opening of a FastCGI request, made of a CGI program's environment. */

#include <stddef.h>
#include <stdint.h>

enum { PARAMS_REQUEST = 1, PARAMS_HEAD_SIZE = 8, PARAMS_RECORD_MAX = 65535 };

/* Write a record header for the one request; 8 bytes.  Source: FastCGI Specification 1.0, section 3.3. */
void params_head(unsigned char *out, uint8_t type, size_t length);

/*
 * Encode BEGIN_REQUEST (responder, connection not kept), PARAMS and the empty
 * PARAMS record.
 *
 * env      "NAME=value" strings up to a NULL; those without a '=' are left out
 * len      the size of the result, written only on success
 * Shape    PARAMS records are filled to 65535 bytes, so a pair may straddle two
 * Returns  the bytes, the caller's to free(); NULL when there is no memory
 * Source   FastCGI Specification 1.0, sections 3.4, 5.1 and 5.2
 */
unsigned char *params_encode(char *const *env, size_t *len);

#endif
