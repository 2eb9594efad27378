/* SPDX-License-Identifier: ISC */
/*
 * FastCGI records are taken apart as they come: STDOUT goes to fd 1, STDERR to
 * fd 2, END_REQUEST makes the exit status, everything else is skipped.  Content
 * stays in the read buffer until its descriptor has taken it, and no more is
 * read before that, so nothing is copied and the server feels a slow client.
 */
#include "gate/answer.h"

#include <errno.h>
#include <fastcgi.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/params.h"

/* Not in the struct: a gate that does not carry never touches these pages. */
static unsigned char answer_bytes[32768];

/* Where the content of the open record goes: fd 1, fd 2, or -1 for nowhere. */
static int
answer_descriptor(const struct answer *a)
{
	if (a->head[2] != 0 || a->head[3] != PARAMS_REQUEST)
		return -1;
	switch (a->head[1]) {
	case FCGI_STDOUT:
		return STDOUT_FILENO;
	case FCGI_STDERR:
		return STDERR_FILENO;
	default:
		return -1;
	}
}

static bool
answer_is_end(const struct answer *a)
{
	return a->head[1] == FCGI_END_REQUEST && a->head[2] == 0 && a->head[3] == PARAMS_REQUEST;
}

bool
answer_is_over(const struct answer *a)
{
	return a->state == ANSWER_ENDED || a->state == ANSWER_BROKEN;
}

int
answer_target(const struct answer *a)
{
	return a->state == ANSWER_CONTENT && a->used < a->got ? answer_descriptor(a) : -1;
}

void
answer_abandon(struct answer *a)
{
	a->has_written = true;
	a->state = ANSWER_BROKEN;
}

/* END_REQUEST is here in whole: the handler's status, as an exit status can say it. */
static void
answer_end(struct answer *a)
{
	uint32_t status = (uint32_t)a->end[0] << 24 | (uint32_t)a->end[1] << 16 | (uint32_t)a->end[2] << 8 | a->end[3];

	if (a->end_got < 5 || a->end[4] != FCGI_REQUEST_COMPLETE) {
		a->state = ANSWER_BROKEN;
		return;
	}
	a->state = ANSWER_ENDED;
	a->exit_status = status < 256 ? (int)status : 1;
}

/* N bytes of content are dealt with; a record without content comes here with 0. */
static void
answer_consume(struct answer *a, size_t n)
{
	a->used += n;
	a->content_left -= n;
	if (a->content_left > 0)
		return;
	a->head_got = 0;
	a->state = a->padding_left > 0 ? ANSWER_PADDING : ANSWER_HEAD;
	if (answer_is_end(a))
		answer_end(a);
}

static void
answer_head(struct answer *a)
{
	a->head[a->head_got++] = answer_bytes[a->used++];
	if (a->head_got < PARAMS_HEAD_SIZE)
		return;
	a->content_left = (size_t)a->head[4] << 8 | a->head[5];
	a->padding_left = a->head[6];
	a->state = a->head[0] == FCGI_VERSION_1 ? ANSWER_CONTENT : ANSWER_BROKEN;
	if (a->state == ANSWER_CONTENT && a->content_left == 0)
		answer_consume(a, 0);
}

/* Content that goes to no descriptor: END_REQUEST's is kept, all else skipped. */
static void
answer_content(struct answer *a)
{
	size_t n = a->got - a->used < a->content_left ? a->got - a->used : a->content_left;
	size_t keep = n < sizeof a->end - a->end_got ? n : sizeof a->end - a->end_got;

	if (answer_is_end(a)) {
		memcpy(a->end + a->end_got, answer_bytes + a->used, keep);
		a->end_got += keep;
	}
	answer_consume(a, n);
}

static void
answer_padding(struct answer *a)
{
	size_t n = a->got - a->used < a->padding_left ? a->got - a->used : a->padding_left;

	a->used += n;
	a->padding_left -= n;
	if (a->padding_left == 0)
		a->state = ANSWER_HEAD;
}

/* Deal with what was read, up to the first byte that must wait for fd 1 or fd 2. */
static void
answer_parse(struct answer *a)
{
	while (a->used < a->got && answer_target(a) < 0) {
		switch (a->state) {
		case ANSWER_HEAD:
			answer_head(a);
			break;
		case ANSWER_CONTENT:
			answer_content(a);
			break;
		case ANSWER_PADDING:
			answer_padding(a);
			break;
		case ANSWER_ENDED:
		case ANSWER_BROKEN:
			return;
		}
	}
}

void
answer_read(struct answer *a, int sock)
{
	ssize_t n = recv(sock, answer_bytes, sizeof answer_bytes, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		a->state = ANSWER_BROKEN;
		return;
	}
	a->used = 0;
	a->got = (size_t)n;
	answer_parse(a);
}

void
answer_write(struct answer *a, size_t max)
{
	size_t n = a->got - a->used < a->content_left ? a->got - a->used : a->content_left;
	int fd = answer_target(a);
	ssize_t done = write(fd, answer_bytes + a->used, n < max ? n : max);

	if (done < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (done < 0 && fd == STDOUT_FILENO) {
		answer_abandon(a);
		return;
	}
	if (fd == STDOUT_FILENO)
		a->has_written = true;
	answer_consume(a, done < 0 ? n : (size_t)done);	/* a lost log line loses no answer */
	answer_parse(a);
}
