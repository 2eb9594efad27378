/* SPDX-License-Identifier: ISC */
#ifndef WIRE_FCGI_RECORD_H
#define WIRE_FCGI_RECORD_H

/*
 * FastCGI records as values: their header and the fixed bodies.  Pure: no
 * descriptor, clock, allocation or log.  The names of types, roles and flags
 * are fcgi2's, from <fastcgi.h>.
 */

#include <fastcgi.h>
#include <stdint.h>

#include "base/span.h"

enum fcgi_rc {
	FCGI_OK,	/* decoded */
	FCGI_MORE,	/* not enough bytes yet */
	FCGI_BAD,	/* not FastCGI: close this connection, no other */
};

enum { FCGI_HEAD_SIZE = 8, FCGI_CONTENT_MAX = 65535, FCGI_END_SIZE = 16 };

struct fcgi_head {
	uint8_t type;
	uint8_t padding;	/* bytes after the content, 0..255 */
	uint16_t id;		/* request id; 0 for management records */
	uint16_t length;	/* bytes of content, 0..65535 */
};

struct fcgi_begin {
	uint16_t role;
	uint8_t flags;
};

/*
 * Decode one record header.
 *
 * in       bytes received so far; only the first 8 are looked at
 * out      written only when FCGI_OK is returned
 *
 * Shape    version u8 | type u8 | id u16be | length u16be | padding u8 | reserved u8
 * Returns  FCGI_OK    *out is valid; the caller consumes 8 bytes
 *          FCGI_MORE  fewer than 8 bytes (and the first, if any, is version 1)
 *          FCGI_BAD   version is not 1; close this connection
 * Source   FastCGI Specification 1.0, section 3.3
 */
enum fcgi_rc fcgi_head_decode(struct span in, struct fcgi_head *out);

/* Encode one record header into the 8 bytes at out; reserved is zero.  Source: section 3.3. */
void fcgi_head_encode(unsigned char out[FCGI_HEAD_SIZE], const struct fcgi_head *head);

/*
 * Decode the content of FCGI_BEGIN_REQUEST.
 *
 * Returns  FCGI_OK, or FCGI_BAD when content is not exactly 8 bytes
 * Source   section 5.1
 */
enum fcgi_rc fcgi_begin_decode(struct span content, struct fcgi_begin *out);

/* Encode a whole FCGI_BEGIN_REQUEST record, 16 bytes.  Source: section 5.1. */
void fcgi_begin_encode(unsigned char out[16], uint16_t id, const struct fcgi_begin *begin);

/* Encode a whole FCGI_END_REQUEST record, 16 bytes.  protocol: FCGI_REQUEST_COMPLETE …  Source: section 5.5. */
void fcgi_end_encode(unsigned char out[FCGI_END_SIZE], uint16_t id, uint32_t app_status, uint8_t protocol);

/* Encode a whole FCGI_UNKNOWN_TYPE record, 16 bytes.  Source: section 4.2. */
void fcgi_unknown_encode(unsigned char out[16], uint8_t type);

#endif
