/* SPDX-License-Identifier: ISC */
#ifndef WEFT_RC_H
#define WEFT_RC_H

/*
 * How a call ended.  One set of codes for the whole server: what a driver
 * reports is what a handler sees.  weft_fail(3) chooses the HTTP status from
 * it.  New codes are only ever appended: the numbers are part of the ABI.
 */
enum weft_rc {
	WEFT_OK = 0,		/* done */
	WEFT_NOT_SENT = 1,	/* never reached the back end: safe to ask again (503) */
	WEFT_UNKNOWN = 2,	/* sent, and the answer was lost: outcome unknown (503) */
	WEFT_REFUSED = 3,	/* the back end said no: see its code and text (500) */
	WEFT_TIMEOUT = 4,	/* a deadline passed (504) */
	WEFT_CANCELED = 5,	/* the client left, or the server is stopping (503) */
	WEFT_BUSY = 6,		/* a queue is full, or no connection came free in time (503) */
	WEFT_DOWN = 7,		/* the back end is down (503) */
	WEFT_INVALID = 8,	/* an argument that cannot be right: a bug of the caller (500) */
	WEFT_TOO_LARGE = 9,	/* over a configured limit (413 for a body, else 500) */
	WEFT_SYSTEM = 10,	/* the operating system refused: memory, descriptors (500) */
	WEFT_BAD_INPUT = 11,	/* the client's bytes are malformed or cut short (400) */
	WEFT_GAP = 12,		/* messages of a subscription may have been lost (503); it goes on */
};

#endif
