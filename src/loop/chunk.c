/* SPDX-License-Identifier: ISC */
/*
 * Chunks come in two sizes that are kept when they come back, newest first, as that
 * one is still in the cache: a small one holds a usual response, a large
 * one the largest FastCGI record.  What is kept is bounded (3 MiB), so a burst of large
 * responses does not stay with the process; that is why a large one is a mapping of its own:
 * malloc would keep it, wherever a younger piece of memory lies above it.
 *
 * A queue fills its last chunk before it takes another, and gives a chunk back
 * as soon as its last byte is taken.  An empty queue therefore has no chunk,
 * unless room was reserved and nothing committed.
 */
#include "loop/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/must.h"

static const size_t chunk_size[2] = { CHUNK_SMALL, CHUNK_LARGE };
static const unsigned chunk_keep[2] = { 64, 32 };

static struct chunk *
chunk_new(size_t size)
{
	struct chunk *c;

	if (size == CHUNK_LARGE) {
		c = mmap(NULL, sizeof *c + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c == MAP_FAILED)
			return NULL;
	} else {
		c = malloc(sizeof *c + size);
		if (c == NULL)
			return NULL;
	}
	c->size = size;
	return c;
}

static void
chunk_free(struct chunk *c)
{
	if (c->size == CHUNK_LARGE)
		must(munmap(c, sizeof *c + CHUNK_LARGE) == 0);
	else
		free(c);
}

void
chunk_pool_init(struct chunk_pool *p)
{
	for (int i = 0; i < 2; i++) {
		TAILQ_INIT(&p->free[i]);
		p->count[i] = 0;
	}
}

void
chunk_pool_fini(struct chunk_pool *p)
{
	struct chunk *c;

	for (int i = 0; i < 2; i++) {
		while ((c = TAILQ_FIRST(&p->free[i])) != NULL) {
			TAILQ_REMOVE(&p->free[i], c, link);
			chunk_free(c);
		}
	}
}

struct chunk *
chunk_get(struct chunk_pool *p, size_t size)
{
	int kind = size <= CHUNK_SMALL ? 0 : 1;
	struct chunk *c = NULL;

	if (size <= CHUNK_LARGE) {
		size = chunk_size[kind];
		c = TAILQ_FIRST(&p->free[kind]);
	}
	if (c != NULL) {
		TAILQ_REMOVE(&p->free[kind], c, link);
		p->count[kind]--;
	} else {
		c = chunk_new(size);
		if (c == NULL)
			return NULL;
	}
	c->at = c->end = 0;
	return c;
}

void
chunk_put(struct chunk_pool *p, struct chunk **cp)
{
	struct chunk *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		if (c->size == chunk_size[i] && p->count[i] < chunk_keep[i]) {
			TAILQ_INSERT_HEAD(&p->free[i], c, link);
			p->count[i]++;
			return;
		}
	}
	chunk_free(c);
}

void
chunkq_init(struct chunkq *q)
{
	TAILQ_INIT(&q->chunks);
	q->len = 0;
}

static void
chunkq_drop_first(struct chunkq *q, struct chunk_pool *p)
{
	struct chunk *c = TAILQ_FIRST(&q->chunks);

	TAILQ_REMOVE(&q->chunks, c, link);
	chunk_put(p, &c);
}

void
chunkq_clear(struct chunkq *q, struct chunk_pool *p)
{
	while (!TAILQ_EMPTY(&q->chunks))
		chunkq_drop_first(q, p);
	q->len = 0;
}

/* The last chunk, if it has room for len bytes, or else a new one. */
static struct chunk *
chunkq_last(struct chunkq *q, struct chunk_pool *p, size_t len)
{
	struct chunk *c = TAILQ_LAST(&q->chunks, chunk_list);

	if (c != NULL && c->size - c->end >= len)
		return c;
	c = chunk_get(p, len);
	if (c != NULL)
		TAILQ_INSERT_TAIL(&q->chunks, c, link);
	return c;
}

char *
chunkq_reserve(struct chunkq *q, struct chunk_pool *p, size_t len)
{
	struct chunk *c = chunkq_last(q, p, len);

	return c == NULL ? NULL : c->data + c->end;
}

void
chunkq_commit(struct chunkq *q, size_t len)
{
	struct chunk *c = TAILQ_LAST(&q->chunks, chunk_list);

	must(c != NULL && len <= c->size - c->end);
	c->end += len;
	q->len += len;
}

int
chunkq_add(struct chunkq *q, struct chunk_pool *p, struct span bytes)
{
	while (bytes.len > 0) {
		struct chunk *c = TAILQ_LAST(&q->chunks, chunk_list);
		size_t n;

		if (c == NULL || c->end == c->size)
			c = chunkq_last(q, p, bytes.len < CHUNK_LARGE ? bytes.len : CHUNK_LARGE);
		if (c == NULL)
			return -1;
		n = c->size - c->end;
		if (n > bytes.len)
			n = bytes.len;
		memcpy(c->data + c->end, bytes.at, n);
		c->end += n;
		q->len += n;
		bytes = span_skip(bytes, n);
	}
	return 0;
}

int
chunkq_iov(const struct chunkq *q, struct iovec *iov, int max)
{
	struct chunk *c;
	int n = 0;

	TAILQ_FOREACH(c, &q->chunks, link) {
		if (n == max)
			break;
		if (c->end > c->at)
			iov[n++] = (struct iovec){ c->data + c->at, c->end - c->at };
	}
	return n;
}

void
chunkq_consume(struct chunkq *q, struct chunk_pool *p, size_t len)
{
	must(len <= q->len);
	q->len -= len;
	for (;;) {
		struct chunk *c = TAILQ_FIRST(&q->chunks);
		size_t n = c == NULL ? 0 : c->end - c->at;

		if (c == NULL || len < n) {
			if (c != NULL)
				c->at += len;
			return;
		}
		chunkq_drop_first(q, p);
		len -= n;
	}
}
