/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

void
buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void
buf_fini(struct buf *b)
{
	free(b->at);
	buf_init(b, b->limit);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->bad = 0;
}

char *
buf_reserve(struct buf *b, size_t len)
{
	size_t size = b->size == 0 ? 256 : b->size;
	char *at;

	if (b->bad || len > b->limit || b->len > b->limit - len) {
		b->bad = 1;
		return NULL;
	}
	if (b->size - b->len >= len && b->at != NULL)
		return b->at + b->len;
	while (size - b->len < len)
		size = size > SIZE_MAX / 2 ? SIZE_MAX : size * 2;
	at = realloc(b->at, size);
	if (at == NULL) {
		b->bad = 1;
		return NULL;
	}
	b->at = at;
	b->size = size;
	return b->at + b->len;
}

enum weft_rc
buf_add(struct buf *b, struct span s)
{
	char *to = buf_reserve(b, s.len);

	if (to == NULL)
		return WEFT_TOO_LARGE;
	if (s.len > 0)
		memcpy(to, s.at, s.len);
	b->len += s.len;
	return WEFT_OK;
}

enum weft_rc
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
	if (to == NULL) {
		b->bad = 1;
		return WEFT_TOO_LARGE;
	}
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return WEFT_OK;
}

void
buf_consume(struct buf *b, size_t len)
{
	must(len <= b->len);
	b->len -= len;
	if (b->len > 0)
		memmove(b->at, b->at + len, b->len);
}
