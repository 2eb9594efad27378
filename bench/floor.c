/* SPDX-License-Identifier: ISC */
/*
 * The floor: the smallest FastCGI responder that is correct.  It reads
 * records however they are cut, serves many connections with many ids each, honours
 * KEEP_CONN, and answers a request with 13 fixed bytes when its STDIN ends; it looks at
 * nothing in between.  One epoll, one read, and one write for all answers to what was read.
 *
 * No server that does more can cost less, so what weft costs is given as a
 * multiple of this.  It has no timeouts, and it ends a connection that does not take its answers.
 *
 *	floor SOCKET
 */
#include <errno.h>
#include <fastcgi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FLOOR_HEAD = 8, FLOOR_BEGIN = 16, FLOOR_IDS = 64, FLOOR_READ = 65536, FLOOR_EVENTS = 256, FLOOR_BACKLOG = 4096 };

#define FLOOR_TEXT "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"

struct floor_conn {
	int fd;
	int ends;			/* after the last answer */
	unsigned have;			/* bytes of the record's head, and of BEGIN's content */
	unsigned left;			/* bytes of content and padding to pass over */
	unsigned nids;
	unsigned short ids[FLOOR_IDS];	/* those under way */
	unsigned char head[FLOOR_BEGIN];
};

/* STDOUT with the text, STDOUT's end, END_REQUEST, whose last byte is the terminator. */
static unsigned char floor_answer[] =
    "\1\6\0\0\0\0\0\0" FLOOR_TEXT
    "\1\6\0\0\0\0\0\0"
    "\1\3\0\0\0\10\0\0\0\0\0\0\0\0\0";

enum { FLOOR_TEXT_LEN = sizeof FLOOR_TEXT - 1, FLOOR_ANSWER = sizeof floor_answer };

static unsigned char floor_in[FLOOR_READ], floor_out[16 * FLOOR_IDS * FLOOR_ANSWER];
static size_t floor_out_len;

static void
floor_fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Returns -1 when the client does not take it. */
static int
floor_send(struct floor_conn *c)
{
	size_t len = floor_out_len;

	floor_out_len = 0;
	return len == 0 || send(c->fd, floor_out, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static unsigned
floor_find(const struct floor_conn *c, unsigned id)
{
	unsigned i = 0;

	while (i < c->nids && c->ids[i] != id)
		i++;
	return i;
}

static int
floor_finish(struct floor_conn *c, unsigned i)
{
	unsigned char *out = floor_out + floor_out_len;
	static const unsigned at[] = { 0, FLOOR_HEAD + FLOOR_TEXT_LEN, 2 * FLOOR_HEAD + FLOOR_TEXT_LEN };

	memcpy(out, floor_answer, FLOOR_ANSWER);
	for (unsigned k = 0; k < 3; k++) {
		out[at[k] + 2] = (unsigned char)(c->ids[i] >> 8);
		out[at[k] + 3] = (unsigned char)c->ids[i];
	}
	floor_out_len += FLOOR_ANSWER;
	c->ids[i] = c->ids[--c->nids];
	return floor_out_len + FLOOR_ANSWER > sizeof floor_out ? floor_send(c) : 0;
}

/* A record's head is whole, and the content of a BEGIN.  Returns -1 when the connection is to end. */
static int
floor_record(struct floor_conn *c)
{
	const unsigned char *h = c->head;
	unsigned id = (unsigned)h[2] << 8 | h[3], length = (unsigned)h[4] << 8 | h[5], i = floor_find(c, id);

	c->have = 0;
	c->left = length + h[6];
	if (h[0] != FCGI_VERSION_1)
		return -1;
	if (h[1] == FCGI_BEGIN_REQUEST) {
		if (length != 8 || c->nids == FLOOR_IDS)
			return -1;
		c->left = h[6];
		if (!(h[10] & FCGI_KEEP_CONN))
			c->ends = 1;
		if (i == c->nids)
			c->ids[c->nids++] = (unsigned short)id;
	}
	if (i < c->nids && ((h[1] == FCGI_STDIN && length == 0) || h[1] == FCGI_ABORT_REQUEST))
		return floor_finish(c, i);
	return 0;
}

static int
floor_take(struct floor_conn *c, const unsigned char *in, size_t len)
{
	while (len > 0) {
		unsigned want = c->have >= FLOOR_HEAD && c->head[1] == FCGI_BEGIN_REQUEST ? FLOOR_BEGIN : FLOOR_HEAD;
		size_t n = c->left > 0 ? c->left : want - c->have;

		if (n > len)
			n = len;
		if (c->left > 0) {
			c->left -= (unsigned)n;
		} else {
			memcpy(c->head + c->have, in, n);
			c->have += (unsigned)n;
			if (c->have == FLOOR_HEAD && c->head[1] == FCGI_BEGIN_REQUEST)
				want = FLOOR_BEGIN;
			if (c->have == want && floor_record(c) != 0)
				return -1;
		}
		in += n;
		len -= n;
	}
	return floor_send(c);
}

static void
floor_on_ready(struct floor_conn *c)
{
	ssize_t n = recv(c->fd, floor_in, sizeof floor_in, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	floor_out_len = 0;
	if (n <= 0 || floor_take(c, floor_in, (size_t)n) != 0 || (c->ends && c->nids == 0)) {
		close(c->fd);
		free(c);
	}
}

static void
floor_accept(int epoll, int listener)
{
	struct floor_conn *c = calloc(1, sizeof *c);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (c == NULL)
		floor_fail("calloc");
	c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd < 0)
		free(c);
	else if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
		floor_fail("epoll_ctl");
}

int
main(int argc, char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct epoll_event events[FLOOR_EVENTS], e = { .events = EPOLLIN };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC), n;

	if (argc != 2 || strlen(argv[1]) >= sizeof un.sun_path) {
		fprintf(stderr, "usage: floor SOCKET\n");
		return 2;
	}
	strcpy(un.sun_path, argv[1]);
	floor_answer[4] = FLOOR_TEXT_LEN >> 8;
	floor_answer[5] = FLOOR_TEXT_LEN & 255;
	if (bind(listener, (struct sockaddr *)&un, sizeof un) != 0 || listen(listener, FLOOR_BACKLOG) != 0)
		floor_fail(argv[1]);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) != 0)
		floor_fail("epoll_ctl");
	for (;;) {
		n = epoll_wait(epoll, events, FLOOR_EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == NULL)
				floor_accept(epoll, listener);
			else
				floor_on_ready(events[i].data.ptr);
	}
}
