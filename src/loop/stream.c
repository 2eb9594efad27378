/* SPDX-License-Identifier: ISC */
/*
 * What the owner of a stream calls.  Nothing here calls the owner back: what
 * there is to tell is left for the end of the turn (stream_io.c).
 */
#include "loop/stream.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/stream_inside.h"

static const struct stream_conf stream_conf_default = {
	.tail_max = 65536,
	.high_water = 131072,
	.pending_max = 16 << 20,
};

struct stream *
stream_new(struct loop *l, int fd, const struct stream_ops *ops, void *arg, const struct stream_conf *conf)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->fd = fd;
	s->holds = 1;
	s->ops = ops;
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
