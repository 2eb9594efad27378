/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_BODY_H
#define REQUEST_BODY_H

/*
 * The body of a request, between the front that feeds it and the handler that
 * reads it.  Up to memory_max bytes are held in memory (or what comes in one
 * turn, when a reader waits for it), what comes beyond goes to an unlinked
 * file, up to body_max in all.  The front is never asked
 * to stop: a web server that writes the whole body before it reads anything
 * must not be blocked.
 */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "request/waitlist.h"

enum body_state { BODY_OPEN, BODY_COMPLETE, BODY_FAILED };

struct body {
	enum body_state state;
	enum weft_rc rc;		/* why, when BODY_FAILED */
	long long announced;		/* CONTENT_LENGTH; -1 when there is none: the length is what comes */
	unsigned long long fed, read;	/* bytes so far */
	unsigned long long max;
	size_t memory_max;
	struct buf memory;		/* the older part */
	size_t memory_read;		/* of it, read already */
	int spool;			/* descriptor of the unlinked file, which holds the newer part; -1: none */
	bool awaited;			/* a reader waits in body_read, or is about to run after that */
	bool whole;			/* body_all has lent out memory: it must stay as it is */
	unsigned long long spool_len, spool_read;
	struct waitlist waiters;
};

/*
 * Begin.
 *
 * announced  -1: unknown; 0: the body is complete at once.  Over max: it fails at once with WEFT_TOO_LARGE
 */
void body_init(struct body *b, long long announced, unsigned long long max, size_t memory_max);

/* There is none yet: for body_fini, or body_init later.  b is all zero bytes before. */
void body_none(struct body *b);

/* Free buffers and the file. */
void body_fini(struct body *b);

/* More bytes.  With the last of the announced ones the body is complete.  What is beyond them, or comes after a failure, is dropped. */
void body_feed(struct body *b, struct span bytes);

/* The stream ended.  Fewer bytes than announced: the reader gets those, then WEFT_BAD_INPUT. */
void body_end(struct body *b);

/* No more will come, for this reason (client gone, …); what was not read is dropped.  Nothing when the body is complete. */
void body_fail(struct body *b, enum weft_rc rc);

/*
 * Read the next bytes; suspends the running fiber until there are some.
 *
 * Returns  WEFT_OK with *got > 0, or *got == 0 at the end; else why it failed:
 *          WEFT_TOO_LARGE, WEFT_BAD_INPUT (short), WEFT_SYSTEM (no file), what
 *          body_fail said; WEFT_TIMEOUT, WEFT_CANCELED of the wait
 */
enum weft_rc body_read(struct body *b, void *to, size_t size, size_t *got, usec deadline);

/*
 * The whole body in one piece, with a NUL behind it; suspends until it is complete.
 *
 * out      valid until body_fini; may be asked for again.  A spooled body is read back into memory
 * Returns  WEFT_OK, or why it failed, as body_read; WEFT_INVALID after body_read
 */
enum weft_rc body_all(struct body *b, struct span *out, usec deadline);

#endif
