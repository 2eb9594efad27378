/* SPDX-License-Identifier: ISC */
#ifndef GATE_ANSWER_H
#define GATE_ANSWER_H

/* The answer on its way from the server to fd 1 and fd 2: the records of one FastCGI request. */

#include <stdbool.h>
#include <stddef.h>

enum { ANSWER_NONE = -1 };

enum answer_state {
	ANSWER_HEAD,	/* in a record's header */
	ANSWER_CONTENT,
	ANSWER_PADDING,
	ANSWER_ENDED,	/* END_REQUEST was read */
	ANSWER_BROKEN,	/* no more of it will come, or nobody wants it */
};

/* Owned by the caller; begins as zeroes, with exit_status ANSWER_NONE. */
struct answer {
	enum answer_state state;
	size_t got, used;	/* bytes read, and how many of them are dealt with */
	size_t head_got;	/* bytes in head[] */
	unsigned char head[8];
	size_t content_left, padding_left;
	size_t end_got;		/* bytes in end[] */
	unsigned char end[8];	/* the content of END_REQUEST */
	bool has_written;	/* fd 1 had a byte, or is gone */
	int exit_status;	/* the handler's; ANSWER_NONE without a whole answer */
};

/* Read what the server has sent, and deal with it up to the first byte for fd 1 or fd 2. */
void answer_read(struct answer *a, int sock);

/* Returns the descriptor that the next byte is for, 1 or 2; -1 when more must be read first. */
int answer_target(const struct answer *a);

/* Write at most MAX bytes to the target, once. */
void answer_write(struct answer *a, size_t max);

/* Nobody listens at fd 1 any more. */
void answer_abandon(struct answer *a);

/* Returns whether nothing more will happen to it. */
bool answer_is_over(const struct answer *a);

#endif
