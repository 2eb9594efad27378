/* SPDX-License-Identifier: ISC */
/*
 * A stream reads when its descriptor is ready and writes at the end of the
 * turn, each with one system call, so a request that is answered in the turn in
 * which it came costs one read and one write.  Being writable is asked for
 * only after the kernel took less than it was given; until then (blocked) nothing
 * more is tried.
 *
 * Reading goes into the loop's scratch, with the tail of the last time in front.
 * What is left is copied out again, into a chunk, because the next stream uses
 * the scratch.  A stream that was paused in the middle keeps all that is left; when it is
 * resumed that comes first, and only then is more read.
 *
 * Callbacks are called in two places only, stream_on_ready and
 * stream_on_turn_end, never from within a call on the stream.  Both hold the stream while
 * they are in it: when a callback closes it, the descriptor and the memory
 * of its bytes go at once, and the struct when the last holder lets go.
 */
#include "loop/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

enum { STREAM_IOV = 64 };

enum stream_rx {
	STREAM_RX_OPEN,
	STREAM_RX_PAUSED,
	STREAM_RX_RESUMED,	/* at the end of the turn: first what was kept, then open */
	STREAM_RX_ENDED,	/* after STREAM_EOF, or lost */
};

enum stream_tx {
	STREAM_TX_OPEN,
	STREAM_TX_BLOCKED,	/* until the descriptor is writable */
	STREAM_TX_SHUT,		/* shutdown(SHUT_WR) is done */
	STREAM_TX_LOST,		/* STREAM_LOST is to be told */
	STREAM_TX_TOLD,
};

struct stream {
	struct loop *loop;
	int fd;				/* -1: closed, and only held */
	unsigned holds;
	struct watch watch;
	struct loop_task task;
	struct stream_ops ops;
	void *arg;
	struct stream_conf conf;
	enum stream_rx rx;
	enum stream_tx tx;
	bool shut_asked;		/* SHUT_WR after the last byte */
	bool was_full;			/* on_drained is owed */
	bool no_socket;			/* a pipe: write(2) instead of send(2) */
	struct chunk *tail;		/* NULL: none */
	struct chunkq out;
	size_t reserved;
	unsigned long long in_count, out_count;
};

static const struct stream_conf stream_conf_default = {
	.tail_max = 65536,
	.high_water = 131072,
	.pending_max = 16 << 20,
};

static void
stream_hold(struct stream *s)
{
	s->holds++;
}

static void
stream_release(struct stream *s)
{
	must(s->holds > 0);
	if (--s->holds == 0)
		free(s);
}

static bool
stream_is_closed(const struct stream *s)
{
	return s->fd < 0;
}

/* Nothing can be sent or will be read any more.  Told at the end of the turn. */
static void
stream_lose(struct stream *s)
{
	if (stream_is_lost(s))
		return;
	s->rx = STREAM_RX_ENDED;
	s->tx = STREAM_TX_LOST;
	watch_want(&s->watch, 0);
	chunkq_clear(&s->out, &s->loop->chunks);
	loop_after_turn(s->loop, &s->task);
}

/* Ask the loop for what the states need. */
static void
stream_want(struct stream *s)
{
	int what = 0;

	if (s->rx == STREAM_RX_OPEN)
		what |= WATCH_READ;
	if (s->tx == STREAM_TX_BLOCKED)
		what |= WATCH_WRITE;
	if (watch_want(&s->watch, what) != 0)
		stream_lose(s);
}

/* ---- reading ---- */

/* Keep the bytes that were not consumed. */
static void
stream_keep(struct stream *s, struct span rest)
{
	struct chunk *c = s->tail;
	size_t max = s->rx == STREAM_RX_OPEN ? s->conf.tail_max : LOOP_SCRATCH_SIZE;

	if (rest.len == 0 || s->rx == STREAM_RX_ENDED) {
		chunk_put(&s->loop->chunks, &s->tail);
		return;
	}
	if (rest.len > max) {
		stream_lose(s);
		return;
	}
	if (c == NULL || c->size < rest.len) {
		chunk_put(&s->loop->chunks, &s->tail);
		c = s->tail = chunk_get(&s->loop->chunks, rest.len);
		if (c == NULL) {
			stream_lose(s);
			return;
		}
	}
	memcpy(c->data, rest.at, rest.len);
	c->end = rest.len;
}

/* Copy what was kept to the front of the scratch.  Returns its length. */
static size_t
stream_fetch_kept(const struct stream *s)
{
	if (s->tail == NULL)
		return 0;
	memcpy(s->loop->scratch, s->tail->data, s->tail->end);
	return s->tail->end;
}

/* Present bytes, which lie in the scratch, until nothing more is consumed. */
static void
stream_deliver(struct stream *s, struct span in)
{
	size_t n;

	do {
		n = s->ops.on_bytes(s->arg, in);
		if (stream_is_closed(s))
			return;
		must(n <= in.len);
		in = span_skip(in, n);
	} while (n > 0 && in.len > 0 && s->rx == STREAM_RX_OPEN);
	stream_keep(s, in);
}

/* The peer has closed both directions: a unix socket says so at once, TCP only when we write. */
static bool
stream_is_hung_up(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd };

	return !s->no_socket && s->tx != STREAM_TX_SHUT && poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
stream_end(struct stream *s)
{
	chunk_put(&s->loop->chunks, &s->tail);
	if (stream_is_hung_up(s)) {
		stream_lose(s);
		return;
	}
	s->rx = STREAM_RX_ENDED;
	stream_want(s);
	s->ops.on_end(s->arg, STREAM_EOF);
}

static void
stream_read(struct stream *s)
{
	char *scratch = s->loop->scratch;
	size_t kept = s->tail == NULL ? 0 : s->tail->end;
	ssize_t n = read(s->fd, scratch + kept, LOOP_SCRATCH_SIZE - kept);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			stream_lose(s);
		return;
	}
	if (n == 0) {
		stream_end(s);
		return;
	}
	s->in_count += (unsigned long long)n;
	stream_fetch_kept(s);
	stream_deliver(s, (struct span){ scratch, kept + (size_t)n });
}

/* Resumed: what was kept over the pause comes before more is read. */
static void
stream_read_kept(struct stream *s)
{
	size_t kept;

	if (s->rx != STREAM_RX_RESUMED)
		return;
	s->rx = STREAM_RX_OPEN;
	kept = stream_fetch_kept(s);
	if (kept > 0)
		stream_deliver(s, (struct span){ s->loop->scratch, kept });
	if (!stream_is_closed(s) && !stream_is_lost(s))
		stream_want(s);
}

/* ---- writing ---- */

/* One system call for as much as the kernel takes.  SIGPIPE is asked not to come, where it can be. */
static ssize_t
stream_send_some(struct stream *s)
{
	struct iovec iov[STREAM_IOV];
	int count = chunkq_iov(&s->out, iov, STREAM_IOV);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	if (!s->no_socket) {
		n = count == 1 ? send(s->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
		    : sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0 || errno != ENOTSOCK)
			return n;
		s->no_socket = true;
	}
	return writev(s->fd, iov, count);
}

static void
stream_send(struct stream *s)
{
	ssize_t n = 0;

	if (s->out.len > 0) {
		n = stream_send_some(s);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			stream_lose(s);
			return;
		}
		if (n < 0)
			n = 0;
		s->out_count += (unsigned long long)n;
		chunkq_consume(&s->out, &s->loop->chunks, (size_t)n);
	}
	s->tx = s->out.len > 0 ? STREAM_TX_BLOCKED : STREAM_TX_OPEN;
	if (s->tx == STREAM_TX_OPEN && s->shut_asked) {
		shutdown(s->fd, SHUT_WR);
		s->tx = STREAM_TX_SHUT;
	}
}

/* Tell what has come about, if there is something: at most one thing, as the callback may close the stream. */
static void
stream_tell(struct stream *s)
{
	if (s->tx == STREAM_TX_LOST) {
		s->tx = STREAM_TX_TOLD;
		s->ops.on_end(s->arg, STREAM_LOST);
	} else if (s->was_full && !stream_is_lost(s) && s->out.len <= s->conf.low_water) {
		s->was_full = false;
		s->ops.on_drained(s->arg);
	}
}

/* ---- from the loop ---- */

static void
stream_on_ready(void *arg, int what)
{
	struct stream *s = arg;

	stream_hold(s);
	if (what == WATCH_READ && s->rx == STREAM_RX_OPEN) {
		stream_read(s);
	} else if (what == WATCH_READ) {
		/* Not before now: a pause that ends in the turn in which it began costs no system call. */
		if (s->rx == STREAM_RX_PAUSED)
			stream_want(s);
	} else {
		stream_send(s);
		if (!stream_is_lost(s))
			stream_want(s);
		stream_tell(s);
	}
	stream_release(s);
}

static void
stream_on_turn_end(void *arg)
{
	struct stream *s = arg;

	stream_hold(s);
	stream_read_kept(s);
	if (!stream_is_closed(s) && s->tx == STREAM_TX_OPEN) {
		stream_send(s);
		if (s->tx == STREAM_TX_BLOCKED)
			stream_want(s);
	}
	if (!stream_is_closed(s))
		stream_tell(s);
	stream_release(s);
}

/* ---- for the owner ---- */

struct stream *
stream_new(struct loop *l, int fd, const struct stream_ops *ops, void *arg, const struct stream_conf *conf)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->fd = fd;
	s->holds = 1;
	s->ops = *ops;
	s->arg = arg;
	s->conf = conf == NULL ? stream_conf_default : *conf;
	if (s->conf.tail_max == 0)
		s->conf.tail_max = stream_conf_default.tail_max;
	if (s->conf.tail_max > LOOP_SCRATCH_SIZE / 2)
		s->conf.tail_max = LOOP_SCRATCH_SIZE / 2;
	if (s->conf.high_water == 0)
		s->conf.high_water = stream_conf_default.high_water;
	if (s->conf.low_water == 0)
		s->conf.low_water = s->conf.high_water / 4;
	if (s->conf.pending_max == 0)
		s->conf.pending_max = stream_conf_default.pending_max;
	s->task = (struct loop_task){ .fn = stream_on_turn_end, .arg = s };
	chunkq_init(&s->out);
	watch_init(&s->watch, l, fd, stream_on_ready, s);
	if (watch_want(&s->watch, WATCH_READ) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

/* May len more bytes be queued? */
static enum weft_rc
stream_admit(struct stream *s, size_t len)
{
	if (stream_is_lost(s) || s->shut_asked)
		return WEFT_CANCELED;
	if (len <= s->conf.pending_max && s->out.len <= s->conf.pending_max - len)
		return WEFT_OK;
	stream_lose(s);
	return WEFT_TOO_LARGE;
}

/* Bytes were added: they go at the end of the turn, or when the descriptor is writable again. */
static void
stream_added(struct stream *s)
{
	if (s->out.len > s->conf.high_water)
		s->was_full = true;
	if (s->tx == STREAM_TX_OPEN)
		loop_after_turn(s->loop, &s->task);
}

enum weft_rc
stream_write(struct stream *s, struct span bytes)
{
	enum weft_rc rc = stream_admit(s, bytes.len);

	if (rc != WEFT_OK)
		return rc;
	if (chunkq_add(&s->out, &s->loop->chunks, bytes) != 0) {
		stream_lose(s);
		return WEFT_SYSTEM;
	}
	stream_added(s);
	return WEFT_OK;
}

char *
stream_reserve(struct stream *s, size_t len)
{
	char *to;

	must(len <= CHUNK_LARGE);
	if (stream_admit(s, len) != WEFT_OK)
		return NULL;
	to = chunkq_reserve(&s->out, &s->loop->chunks, len);
	if (to == NULL)
		stream_lose(s);
	s->reserved = len;
	return to;
}

void
stream_commit(struct stream *s, size_t len)
{
	must(len <= s->reserved);
	s->reserved = 0;
	chunkq_commit(&s->out, len);
	if (s->out.len == 0)
		chunkq_clear(&s->out, &s->loop->chunks);
	stream_added(s);
}

void
stream_flush(struct stream *s)
{
	if (s->tx != STREAM_TX_OPEN || s->out.len == 0)
		return;
	stream_send(s);
	if (s->tx == STREAM_TX_BLOCKED)
		stream_want(s);
	if (s->was_full)
		loop_after_turn(s->loop, &s->task);
}

size_t
stream_pending(const struct stream *s)
{
	return s->out.len;
}

bool
stream_is_full(const struct stream *s)
{
	return s->out.len > s->conf.high_water;
}

bool
stream_is_lost(const struct stream *s)
{
	return s->tx == STREAM_TX_LOST || s->tx == STREAM_TX_TOLD;
}

void
stream_pause(struct stream *s)
{
	if (s->rx != STREAM_RX_OPEN && s->rx != STREAM_RX_RESUMED)
		return;
	s->rx = STREAM_RX_PAUSED;
}

void
stream_resume(struct stream *s)
{
	if (s->rx != STREAM_RX_PAUSED)
		return;
	s->rx = STREAM_RX_RESUMED;
	loop_after_turn(s->loop, &s->task);
}

void
stream_shut_write(struct stream *s)
{
	if (stream_is_lost(s) || s->shut_asked)
		return;
	s->shut_asked = true;
	loop_after_turn(s->loop, &s->task);
}

void
stream_close(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (!stream_is_lost(s) && s->out.len > 0)
		stream_send(s);
	watch_fini(&s->watch);
	loop_task_cancel(s->loop, &s->task);
	chunkq_clear(&s->out, &s->loop->chunks);
	chunk_put(&s->loop->chunks, &s->tail);
	close(s->fd);
	s->fd = -1;
	s->rx = STREAM_RX_ENDED;
	s->tx = STREAM_TX_TOLD;
	stream_release(s);
}

void
stream_reset(struct stream **sp)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (*sp == NULL)
		return;
	/* Of no effect on a unix socket, whose peer sees an end. */
	setsockopt((*sp)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	chunkq_clear(&(*sp)->out, &(*sp)->loop->chunks);
	stream_close(sp);
}

void
stream_count(const struct stream *s, unsigned long long *in, unsigned long long *out)
{
	*in = s->in_count;
	*out = s->out_count;
}
