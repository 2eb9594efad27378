/* SPDX-License-Identifier: ISC */
#ifndef LOOP_STREAM_H
#define LOOP_STREAM_H

/*
 * A connected byte stream: read once a turn into the loop's scratch, parsed in
 * place; written once a turn, gathered.  What a step does not consume (a tail)
 * is kept here and put in front of what comes next.  What the kernel does not
 * take is kept in chunks; an idle stream holds none.
 */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/clock.h"
#include "base/span.h"

struct loop;
struct stream;

enum stream_end {
	STREAM_EOF,	/* the peer sends no more; we may still write */
	STREAM_LOST,	/* reset, another error, or a unix socket's peer gone altogether: nothing can be sent any more */
};

struct stream_ops {
	/*
	 * Bytes have come.  in is valid until return.
	 *
	 * Called again at once with the rest as long as it consumes some of it.
	 *
	 * Returns  bytes consumed; the rest (at most tail_max, or the stream is
	 *          lost) is presented again with more behind it.  After
	 *          stream_pause any amount may be left: it is presented
	 *          after stream_resume.  May call
	 *          stream_close on its own stream and must then return in.len
	 */
	size_t (*on_bytes)(void *arg, struct span in);

	/*
	 * The peer ended, or a write failed.  Once for each kind; never STREAM_EOF after
	 * STREAM_LOST.  Called from the loop, not from within a call on the stream.  May close the stream.
	 */
	void (*on_end)(void *arg, enum stream_end end);

	/* Pending output fell to low_water or below, after it was over high_water.  From the loop, too.  May close the stream. */
	void (*on_drained)(void *arg);
};

struct stream_conf {
	unsigned tail_max;	/* bytes of an unconsumed tail; 0: 64 KiB; at most half of LOOP_SCRATCH_SIZE */
	unsigned high_water;	/* stream_is_full above so many pending bytes; 0: 128 KiB */
	unsigned low_water;	/* 0: a quarter of high_water */
	unsigned pending_max;	/* stream_write over so many bytes loses the stream; 0: 16 MiB */
};

/*
 * Begin reading from a connected, non-blocking descriptor.
 *
 * ops      borrowed as long as the stream is there
 * conf     NULL: defaults; copied
 * Returns  the stream, or NULL with errno (fd is then still the caller's)
 * Owns     the stream owns fd from here on; the caller owns the stream
 */
struct stream *stream_new(struct loop *l, int fd, const struct stream_ops *ops, void *arg, const struct stream_conf *conf);

/*
 * Queue bytes; they are sent at the end of this turn.
 *
 * Returns  WEFT_OK; WEFT_TOO_LARGE over pending_max, WEFT_SYSTEM out of memory
 *          or WEFT_CANCELED on a lost stream: the bytes are dropped and the
 *          stream is of no use any more: close it
 */
enum weft_rc stream_write(struct stream *s, struct span bytes);

/*
 * Room for len (at most 65536 + 1024) contiguous bytes at the end of the output, to be filled in place.
 *
 * Returns  where to write; the bytes count once stream_commit is called, which
 *          must come before any other call on the stream; NULL as stream_write
 */
char *stream_reserve(struct stream *s, size_t len);

/* Add the first len of the reserved bytes to the output. */
void stream_commit(struct stream *s, size_t len);

/* Send now what is queued, without waiting for the end of the turn. */
void stream_flush(struct stream *s);

/* Returns bytes queued and not yet taken by the kernel. */
size_t stream_pending(const struct stream *s);

/* True when more than high_water bytes are pending: suspend whoever writes until on_drained. */
bool stream_is_full(const struct stream *s);

/* True after STREAM_LOST, or a write that failed. */
bool stream_is_lost(const struct stream *s);

/* Stop reading (output goes on); on_bytes is not called again.  A peer that leaves is noticed only by writing. */
void stream_pause(struct stream *s);

/* Read again, at the end of this turn at the earliest: on_bytes is not called from within. */
void stream_resume(struct stream *s);

/* When all output is sent, shutdown(SHUT_WR).  Reading goes on.  Later writes return WEFT_CANCELED, but do not lose the stream. */
void stream_shut_write(struct stream *s);

/*
 * Close the descriptor now and free the stream; *sp becomes NULL.  Output still pending is tried
 * once without waiting.  May be called from the stream's own callbacks.
 */
void stream_close(struct stream **sp);

/* As stream_close, but the peer sees a reset (TCP) or, on a unix socket, an end with output dropped. */
void stream_reset(struct stream **sp);

/* Returns bytes read and bytes written since the beginning. */
void stream_count(const struct stream *s, unsigned long long *in, unsigned long long *out);

#endif
