/* SPDX-License-Identifier: ISC */
#ifndef LOOP_STREAM_INSIDE_H
#define LOOP_STREAM_INSIDE_H

/* A stream's states and struct: stream_io.c moves bytes, stream.c serves the owner.  Nobody else includes it. */

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "loop/loop_inside.h"
#include "loop/stream.h"

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

/* There is one for each connection, so it is small, and what each request touches lies together. */
struct stream {
	struct watch watch;
	struct loop *loop;
	int fd;				/* -1: closed, and only held */
	unsigned holds;
	const struct stream_ops *ops;
	void *arg;
	uint8_t rx, tx;			/* enum stream_rx, stream_tx */
	bool shut_asked;		/* SHUT_WR after the last byte */
	bool was_full;			/* on_drained is owed */
	bool no_socket;			/* a pipe: write(2) instead of send(2) */
	struct chunk *tail;		/* NULL: none */
	struct chunkq out;
	size_t reserved;
	unsigned long long in_count, out_count;
	struct loop_task task;
	struct stream_conf conf;
};

/* One holder less; the last one frees. */
void stream_release(struct stream *s);

/* Nothing can be sent or will be read any more; told at the end of the turn.  Nothing when it is lost already. */
void stream_lose(struct stream *s);

/* Ask the loop for what the states need. */
void stream_want(struct stream *s);

/* Send what the kernel takes now, with one system call. */
void stream_send(struct stream *s);

/* The descriptor is ready (a watch_fn). */
void stream_on_ready(void *arg, int what);

/* Bytes wait to be sent, or something is to be told (a task). */
void stream_on_turn_end(void *arg);

#endif
