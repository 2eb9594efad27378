/* SPDX-License-Identifier: ISC */
#ifndef LOOP_CHUNK_H
#define LOOP_CHUNK_H

/*
 * Pieces of memory for bytes that wait: output that was not sent yet, input
 * that was not consumed.  They come from a free list of the loop's, so a busy
 * server allocates none, and an idle stream holds none.
 */

#include <stddef.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/span.h"

/* Sizes kept on the free list; what is larger is freed after use. */
enum { CHUNK_SMALL = 16384, CHUNK_LARGE = 65536 + 1024 };

struct chunk {
	TAILQ_ENTRY(chunk) link;
	size_t size;		/* of data */
	size_t at, end;		/* the bytes in use: data[at..end) */
	char data[];
};

TAILQ_HEAD(chunk_list, chunk);

struct chunk_pool {
	struct chunk_list free[2];	/* small, large */
	unsigned count[2];
};

/* Begin with nothing kept. */
void chunk_pool_init(struct chunk_pool *p);

/* Free all that is kept; every chunk must have come back. */
void chunk_pool_fini(struct chunk_pool *p);

/* Returns an empty chunk with room for at least size bytes, or NULL when memory is refused.  It goes back with chunk_put. */
struct chunk *chunk_get(struct chunk_pool *p, size_t size);

/* Give a chunk back (NULL: nothing); *cp becomes NULL. */
void chunk_put(struct chunk_pool *p, struct chunk **cp);

/* Bytes waiting in a row of chunks.  The owner holds it and gives the same pool to each call. */
struct chunkq {
	struct chunk_list chunks;
	size_t len;		/* bytes in all of them */
};

/* Begin empty. */
void chunkq_init(struct chunkq *q);

/* Drop all bytes. */
void chunkq_clear(struct chunkq *q, struct chunk_pool *p);

/* Returns room for len contiguous bytes at the end, which count once chunkq_commit is called; NULL when memory is refused. */
char *chunkq_reserve(struct chunkq *q, struct chunk_pool *p, size_t len);

/* Add the first len of the bytes that were reserved last. */
void chunkq_commit(struct chunkq *q, size_t len);

/* Append a copy.  Returns 0, or -1 when memory is refused: a part may have been added. */
int chunkq_add(struct chunkq *q, struct chunk_pool *p, struct span bytes);

/* Describe the first bytes, at most max pieces, for writev.  Returns the number of pieces; valid until the queue changes. */
int chunkq_iov(const struct chunkq *q, struct iovec *iov, int max);

/* Remove the first len bytes; len must not exceed the content. */
void chunkq_consume(struct chunkq *q, struct chunk_pool *p, size_t len);

#endif
