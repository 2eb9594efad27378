/* SPDX-License-Identifier: ISC */
#include "gate/carry.h"

#include <errno.h>
#include <fastcgi.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/answer.h"
#include "gate/control.h"
#include "gate/params.h"

/*
 * Two streams pass through this process: the request up to the server, the
 * answer down to the web server.  Neither ever waits for the other: a server
 * may answer before the body is complete, and a web server may write the
 * whole body before it reads a byte.  So one poll() watches both, and no
 * descriptor is used before it is ready.
 *
 * fd 0, 1 and 2 are shared with the web server, so they stay blocking: a
 * write of at most PIPE_BUF bytes to a pipe that poll() calls writable does
 * not block, and a longer one is made only when the request has gone up.
 *
 * What is buffered is bounded: one record each way.  There is no deadline
 * here but for reaching the server: the server has its own, and the web
 * server ends a CGI program that takes too long for it.
 */
enum {
	CARRY_RECORD = 32768,	/* bytes of the body read at once */
	CARRY_REACH_MAX = 5000,	/* milliseconds to reach the server */
	CARRY_DRAIN_MAX = 5000,	/* milliseconds of silence of a body that nobody wants */
	CARRY_FAILED = 1,	/* the exit status without an answer */
};

enum carry_up {
	UP_OPENING,	/* BEGIN_REQUEST and PARAMS */
	UP_BODY,	/* STDIN records */
	UP_END,		/* the empty STDIN record, or ABORT_REQUEST */
	UP_DISCARD,	/* the server reads no more, but the web server still writes */
	UP_DONE,
};

struct carry {
	int sock;	/* to the server; non-blocking */

	enum carry_up up;
	const unsigned char *send;	/* bytes on their way up */
	size_t send_left;
	uint64_t body_left;	/* bytes of the body not read from fd 0 yet */

	struct answer answer;
};

/* Not in the struct: a gate that does not carry never touches these pages. */
static unsigned char carry_body[PARAMS_HEAD_SIZE + CARRY_RECORD];

/* Digits only, as RFC 3875 section 4.1.2 has them; whatever else says that there is no body. */
static uint64_t
carry_content_length(const char *text)
{
	uint64_t n = 0;

	if (text == NULL || *text == '\0')
		return 0;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned char)*text - (unsigned)'0';

		if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
			return 0;
		n = n * 10 + digit;
	}
	return n;
}

static void
carry_up_end(struct carry *c, uint8_t type)
{
	params_head(carry_body, type, 0);
	c->send = carry_body;
	c->send_left = PARAMS_HEAD_SIZE;
	c->up = UP_END;
}

/* The bytes on their way are gone: what comes next? */
static void
carry_up_next(struct carry *c)
{
	if (c->up == UP_END)
		c->up = UP_DONE;
	else if (c->body_left == 0)
		carry_up_end(c, FCGI_STDIN);
	else
		c->up = UP_BODY;
}

/* Read some of the body.  Returns bytes; 0 where it ends too early; -1 for nothing this time. */
static ssize_t
carry_body_read(struct carry *c)
{
	size_t want = c->body_left < CARRY_RECORD ? (size_t)c->body_left : CARRY_RECORD;
	ssize_t n = read(STDIN_FILENO, carry_body + PARAMS_HEAD_SIZE, want);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? -1 : 0;
	c->body_left -= (uint64_t)n;
	return n;
}

/* fd 0 is readable: make the next STDIN record. */
static void
carry_up_read(struct carry *c)
{
	ssize_t n = carry_body_read(c);

	if (n < 0)
		return;
	if (c->up == UP_DISCARD) {
		if (n == 0 || c->body_left == 0)
			c->up = UP_DONE;
		return;
	}
	if (n == 0) {	/* a body cut short must not look whole */
		carry_up_end(c, FCGI_ABORT_REQUEST);
		return;
	}
	params_head(carry_body, FCGI_STDIN, (size_t)n);
	c->send = carry_body;
	c->send_left = PARAMS_HEAD_SIZE + (size_t)n;
}

/* The server can take bytes. */
static void
carry_up_send(struct carry *c)
{
	ssize_t n = send(c->sock, c->send, c->send_left, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return;
		c->up = c->body_left > 0 ? UP_DISCARD : UP_DONE;	/* its answer may still be here */
		c->send_left = 0;
		return;
	}
	c->send += n;
	c->send_left -= (size_t)n;
	if (c->send_left == 0)
		carry_up_next(c);
}

static void
carry_pump(struct carry *c)
{
	enum { AT_SERVER, AT_BODY, AT_OUT };
	struct answer *a = &c->answer;

	while (!answer_is_over(a)) {
		int target = answer_target(a);
		bool is_reading = (c->up == UP_BODY && c->send_left == 0) || c->up == UP_DISCARD;
		struct pollfd p[] = {
			[AT_SERVER] = { .fd = c->sock },
			[AT_BODY] = { .fd = is_reading ? STDIN_FILENO : -1, .events = POLLIN },
			/* Without events it still tells that the web server has left. */
			[AT_OUT] = { .fd = target < 0 ? STDOUT_FILENO : target },
		};

		if (target < 0)
			p[AT_SERVER].events = POLLIN;
		else
			p[AT_OUT].events = POLLOUT;
		if (c->send_left > 0)
			p[AT_SERVER].events |= POLLOUT;
		if (p[AT_SERVER].events == 0)
			p[AT_SERVER].fd = -1;	/* or its POLLHUP would make this loop spin */
		if (poll(p, sizeof p / sizeof p[0], -1) < 0)
			continue;
		if (p[AT_OUT].revents != 0 && target < 0)
			answer_abandon(a);
		else if (p[AT_OUT].revents != 0)
			answer_write(a, c->up == UP_DONE ? SIZE_MAX : PIPE_BUF);
		else if (target < 0 && (p[AT_SERVER].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			answer_read(a, c->sock);
		if (c->send_left > 0 && (p[AT_SERVER].revents & (POLLOUT | POLLHUP | POLLERR)) != 0)
			carry_up_send(c);
		if (p[AT_BODY].revents != 0)
			carry_up_read(c);
	}
}

/*
 * The answer is out before the body was in.  To leave now would reset a web
 * server that holds both on one socket (mod_cgid does) and still writes.
 */
static void
carry_drain(struct carry *c)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	if (c->body_left == 0)
		return;
	shutdown(STDOUT_FILENO, SHUT_WR);
	close(STDOUT_FILENO);
	while (c->body_left > 0 && poll(&p, 1, CARRY_DRAIN_MAX) > 0) {
		if (carry_body_read(c) == 0)
			break;
	}
}

static int
carry_refuse(void)
{
	static const char answer[] = "Status: 503 Service Unavailable\r\n"
				     "Content-Type: text/plain\r\n\r\n"
				     "The application server does not answer.\n";
	ssize_t n;

	do
		n = write(STDOUT_FILENO, answer, sizeof answer - 1);
	while (n < 0 && errno == EINTR);
	return CARRY_FAILED;
}

/* Returns our end of a connection whose other end the server has, or -1. */
static int
carry_connect(const char *control)
{
	int delay = CONTROL_DELAY_MIN, waited = 0, pair[2], sock;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	for (;;) {
		sock = control_hand_over(control, "conn\n", pair[1]);
		if (sock >= 0 || errno == ENAMETOOLONG || errno == EAGAIN || waited >= CARRY_REACH_MAX)
			break;
		waited += delay;
		control_back_off(&delay);
	}
	close(pair[1]);
	if (sock < 0) {
		close(pair[0]);
		return -1;
	}
	close(sock);
	return pair[0];
}

int
carry_request(const char *control, char *const *env)
{
	struct carry c = {
		.body_left = carry_content_length(getenv("CONTENT_LENGTH")),
		.answer = { .exit_status = ANSWER_NONE },
	};
	unsigned char *opening;

	signal(SIGPIPE, SIG_IGN);
	opening = params_encode(env, &c.send_left);
	if (opening == NULL)
		return carry_refuse();
	c.send = opening;
	c.sock = carry_connect(control);
	if (c.sock >= 0) {
		carry_pump(&c);
		close(c.sock);
	}
	free(opening);
	if (!c.answer.has_written)
		c.answer.exit_status = carry_refuse();
	else if (c.answer.exit_status == ANSWER_NONE)
		c.answer.exit_status = CARRY_FAILED;
	carry_drain(&c);
	return c.answer.exit_status;
}
