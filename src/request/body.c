/* SPDX-License-Identifier: ISC */
/*
 * The body of a request: a queue of bytes with two halves.  The older half is
 * in memory, the newer one in a file that has no name; the file is begun when
 * memory is full, and emptied when the reader has caught up, so a handler that
 * reads as fast as the client sends never touches the disk.  What comes while
 * a reader waits goes to memory even over the bound, up to what one turn of the
 * loop can bring: the reader takes it in this very turn.
 *
 * Bytes are written to the file by plain write(2): they go to the page cache.
 * A full disk fails this body and nothing else.
 */
#include "request/body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum {
	BODY_RESERVE_MAX = 16384,
	BODY_TURN_MAX = 262144,		/* as much as one read of a connection brings */
};

void
body_init(struct body *b, long long announced, unsigned long long max, size_t memory_max)
{
	*b = (struct body){ .announced = announced, .max = max, .memory_max = memory_max, .spool = -1 };
	/* One byte more than the longest body, for the NUL behind it. */
	buf_init(&b->memory, max < SIZE_MAX / 4 ? (size_t)max + 1 : SIZE_MAX / 4);
	if (announced == 0)
		b->state = BODY_COMPLETE;
	if (announced > 0 && (unsigned long long)announced > max)
		body_fail(b, WEFT_TOO_LARGE);
}

void
body_none(struct body *b)
{
	b->spool = -1;
}

static void
body_spool_close(struct body *b)
{
	if (b->spool >= 0)
		close(b->spool);
	b->spool = -1;
	b->spool_len = b->spool_read = 0;
}

void
body_fini(struct body *b)
{
	body_spool_close(b);
	buf_fini(&b->memory);
	b->memory_read = 0;
}

/* The only writer of b->state after body_init: OPEN ends in COMPLETE or FAILED, once. */
static void
body_enter(struct body *b, enum body_state state, enum weft_rc rc)
{
	b->state = state;
	b->rc = rc;
	waitlist_wake(&b->waiters);
}

void
body_fail(struct body *b, enum weft_rc rc)
{
	if (b->state != BODY_OPEN)
		return;
	body_fini(b);
	body_enter(b, BODY_FAILED, rc);
}

void
body_end(struct body *b)
{
	if (b->state != BODY_OPEN)
		return;
	if (b->announced > 0 && b->fed < (unsigned long long)b->announced)
		body_enter(b, BODY_FAILED, WEFT_BAD_INPUT);
	else
		body_enter(b, BODY_COMPLETE, WEFT_OK);
}

/* Returns a descriptor of a file without a name, or -1 with errno. */
static int
body_spool_open(void)
{
	const char *dir = secure_getenv("TMPDIR");
	char name[PATH_MAX];
	int fd;

	if (dir == NULL || dir[0] == '\0')
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has such files. */
	if (snprintf(name, sizeof name, "%s/weft-body-XXXXXX", dir) >= (int)sizeof name)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static int
body_spool_add(struct body *b, struct span bytes)
{
	ssize_t n;

	if (b->spool < 0)
		b->spool = body_spool_open();
	if (b->spool < 0)
		return -1;
	while (bytes.len > 0) {
		n = pwrite(b->spool, bytes.at, bytes.len, (off_t)b->spool_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		b->spool_len += (unsigned long long)n;
		bytes = span_skip(bytes, (size_t)n);
	}
	return 0;
}

/* True when the bytes were put to memory: nothing newer is in the file, and there is room. */
static bool
body_memory_add(struct body *b, struct span bytes)
{
	size_t max = b->awaited && b->memory_max < BODY_TURN_MAX ? BODY_TURN_MAX : b->memory_max;

	if (b->spool_len > 0 || bytes.len > max)
		return false;
	if (b->memory.len + bytes.len > max) {
		buf_consume(&b->memory, b->memory_read);
		b->memory_read = 0;
		if (b->memory.len + bytes.len > max)
			return false;
	}
	/* A small body whose length is known costs one malloc.  A large one is believed when it is there. */
	if (b->memory.at == NULL && b->announced > 0 && b->announced <= BODY_RESERVE_MAX)
		(void)buf_reserve(&b->memory, (size_t)b->announced + 1);
	return buf_add(&b->memory, bytes) == WEFT_OK;
}

void
body_feed(struct body *b, struct span bytes)
{
	if (b->state != BODY_OPEN || bytes.len == 0)
		return;
	if (b->announced >= 0 && bytes.len > (unsigned long long)b->announced - b->fed)
		bytes.len = (size_t)((unsigned long long)b->announced - b->fed);
	if (bytes.len > b->max - b->fed) {
		body_fail(b, WEFT_TOO_LARGE);
		return;
	}
	if (!body_memory_add(b, bytes) && body_spool_add(b, bytes) != 0) {
		log_error("body: cannot be kept in a file: %s", strerror(errno));
		body_fail(b, WEFT_SYSTEM);
		return;
	}
	b->fed += bytes.len;
	if (b->announced >= 0 && b->fed == (unsigned long long)b->announced)
		body_enter(b, BODY_COMPLETE, WEFT_OK);
	else
		waitlist_wake(&b->waiters);
}

static size_t
body_take_memory(struct body *b, char *to, size_t size)
{
	size_t n = b->memory.len - b->memory_read;

	if (n > size)
		n = size;
	memcpy(to, b->memory.at + b->memory_read, n);
	b->memory_read += n;
	if (b->memory_read == b->memory.len && !b->whole) {
		buf_clear(&b->memory);
		b->memory_read = 0;
	}
	return n;
}

/* Returns bytes read, 0 when the file cannot be read. */
static size_t
body_take_spool(struct body *b, char *to, size_t size)
{
	ssize_t n;

	do
		n = pread(b->spool, to, size, (off_t)b->spool_read);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	b->spool_read += (unsigned long long)n;
	/* The reader has caught up: back to memory. */
	if (b->spool_read == b->spool_len && ftruncate(b->spool, 0) == 0)
		b->spool_len = b->spool_read = 0;
	return (size_t)n;
}

static bool
body_is_empty(const struct body *b)
{
	return b->memory_read == b->memory.len && b->spool_read == b->spool_len;
}

enum weft_rc
body_read(struct body *b, void *to, size_t size, size_t *got, usec deadline)
{
	enum weft_rc rc = WEFT_OK;

	*got = 0;
	if (size == 0)
		return WEFT_INVALID;
	while (body_is_empty(b) && b->state == BODY_OPEN && rc == WEFT_OK) {
		b->awaited = true;
		rc = waitlist_wait(&b->waiters, WAIT_CLIENT, deadline);
		b->awaited = false;
	}
	if (body_is_empty(b))
		return b->state == BODY_FAILED ? b->rc : b->state == BODY_COMPLETE ? WEFT_OK : rc;
	if (b->memory_read < b->memory.len)
		*got = body_take_memory(b, to, size);
	else
		*got = body_take_spool(b, to, size);
	b->read += *got;
	return *got > 0 ? WEFT_OK : WEFT_SYSTEM;
}

/* Read the file back behind what is in memory. */
static enum weft_rc
body_unspool(struct body *b)
{
	char *to = b->spool_len < SIZE_MAX ? buf_reserve(&b->memory, (size_t)b->spool_len + 1) : NULL;
	ssize_t n;

	while (to != NULL && b->spool_read < b->spool_len) {
		n = pread(b->spool, to, (size_t)(b->spool_len - b->spool_read), (off_t)b->spool_read);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		to += n;
		b->memory.len += (size_t)n;
		b->spool_read += (unsigned long long)n;
	}
	if (b->spool_read < b->spool_len)
		return WEFT_SYSTEM;
	body_spool_close(b);
	return WEFT_OK;
}

enum weft_rc
body_all(struct body *b, struct span *out, usec deadline)
{
	enum weft_rc rc = WEFT_OK;
	char *end;

	*out = (struct span){ "", 0 };
	while (b->state == BODY_OPEN && b->read == 0 && rc == WEFT_OK)
		rc = waitlist_wait(&b->waiters, WAIT_CLIENT, deadline);
	if (b->read > 0 && !b->whole)
		return WEFT_INVALID;
	if (b->state != BODY_COMPLETE)
		return b->state == BODY_FAILED ? b->rc : rc;
	if (b->spool_len > 0 && body_unspool(b) != WEFT_OK)
		return WEFT_SYSTEM;
	b->whole = true;
	if (b->memory.len == 0)
		return WEFT_OK;
	end = buf_reserve(&b->memory, 1);
	if (end == NULL)
		return WEFT_SYSTEM;
	*end = '\0';
	*out = buf_span(&b->memory);
	return WEFT_OK;
}
