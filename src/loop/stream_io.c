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
#include "loop/stream_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"

enum { STREAM_IOV = 64 };

static void
stream_hold(struct stream *s)
{
	s->holds++;
}

void
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

void
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

void
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
		n = s->ops->on_bytes(s->arg, in);
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
	s->ops->on_end(s->arg, STREAM_EOF);
}

/* A socket's own call is a little cheaper than read(2), which has to find out what it reads from. */
static ssize_t
stream_receive(struct stream *s, char *to, size_t len)
{
	ssize_t n;

	if (!s->no_socket) {
		n = recv(s->fd, to, len, MSG_DONTWAIT);
		if (n >= 0 || errno != ENOTSOCK)
			return n;
		s->no_socket = true;
	}
	return read(s->fd, to, len);
}

static void
stream_read(struct stream *s)
{
	char *scratch = s->loop->scratch;
	size_t kept = s->tail == NULL ? 0 : s->tail->end;
	ssize_t n = stream_receive(s, scratch + kept, LOOP_SCRATCH_SIZE - kept);

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

void
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
		s->ops->on_end(s->arg, STREAM_LOST);
	} else if (s->was_full && !stream_is_lost(s) && s->out.len <= s->conf.low_water) {
		s->was_full = false;
		s->ops->on_drained(s->arg);
	}
}

/* ---- from the loop ---- */

void
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

void
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
