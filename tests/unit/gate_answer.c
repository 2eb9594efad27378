/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/answer.h"

/* What came out of one answer. */
struct seen {
	char out[256], err[256];
	struct answer a;
};

/* fd 1 and fd 2 lead into pipes for as long as the answer runs: cmocka prints on them too. */
struct outlet {
	int fd, saved, read;
};

static void
outlet_open(struct outlet *o, int fd)
{
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	o->fd = fd;
	o->saved = dup(fd);
	o->read = p[0];
	dup2(p[1], fd);
	close(p[1]);
}

static void
outlet_close(struct outlet *o, char text[256])
{
	ssize_t n;

	dup2(o->saved, o->fd);
	close(o->saved);
	n = read(o->read, text, 255);
	text[n < 0 ? 0 : n] = '\0';
	close(o->read);
}

static void
answer_feed(struct answer *a, int pair[2], const void *bytes, size_t len)
{
	if (len == 0 || answer_is_over(a))
		return;
	send(pair[1], bytes, len, 0);
	answer_read(a, pair[0]);
	while (!answer_is_over(a) && answer_target(a) >= 0)
		answer_write(a, 3);
}

/* Feed the bytes in two pieces, then the end of the connection. */
static void
answer_run(const char *bytes, size_t len, size_t cut, struct seen *s)
{
	struct outlet out, err;
	int pair[2];

	*s = (struct seen){ .a = { .exit_status = ANSWER_NONE } };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fflush(NULL);
	outlet_open(&out, STDOUT_FILENO);
	outlet_open(&err, STDERR_FILENO);
	answer_feed(&s->a, pair, bytes, cut);
	answer_feed(&s->a, pair, bytes + cut, len - cut);
	close(pair[1]);
	if (!answer_is_over(&s->a))
		answer_read(&s->a, pair[0]);
	close(pair[0]);
	outlet_close(&out, s->out);
	outlet_close(&err, s->err);
}

#define RUN(wire, s) answer_run(wire, sizeof wire - 1, 0, s)

static void
answer_survives_every_split(void **state)
{
	static const char wire[] = "\1\6\0\1\0\5\3\0" "hello" "xxx"	/* STDOUT, padded */
				   "\1\7\0\1\0\3\0\0" "bad"		/* STDERR */
				   "\1\6\0\2\0\2\0\0" "no"		/* another request's */
				   "\1\13\0\0\0\1\1\0" "?" "x"		/* a management record */
				   "\1\6\0\1\0\6\0\0" " world"
				   "\1\7\0\1\0\0\0\0"
				   "\1\6\0\1\0\0\5\0" "xxxxx"
				   "\1\3\0\1\0\10\0\0" "\0\0\0\7\0\0\0\0";
	struct seen s;

	(void)state;
	for (size_t cut = 0; cut < sizeof wire; cut++) {
		answer_run(wire, sizeof wire - 1, cut, &s);
		assert_string_equal(s.out, "hello world");
		assert_string_equal(s.err, "bad");
		assert_int_equal(s.a.state, ANSWER_ENDED);
		assert_int_equal(s.a.exit_status, 7);
		assert_true(s.a.has_written);
	}
}

static void
answer_breaks_where_the_bytes_do(void **state)
{
	static const char wire[] = "\1\6\0\1\0\5\3\0" "hello" "xxx"
				   "\1\3\0\1\0\10\0\0" "\0\0\0\0\0\0\0\0";
	struct seen s;

	(void)state;
	for (size_t len = 0; len < sizeof wire - 1; len++) {
		answer_run(wire, len, len / 2, &s);
		assert_int_equal(s.a.state, ANSWER_BROKEN);
		assert_int_equal(s.a.exit_status, ANSWER_NONE);
		assert_int_equal(s.a.has_written, len > 8);
	}
}

static void
answer_refuses_what_is_not_fastcgi(void **state)
{
	struct seen s;

	(void)state;
	RUN("\2\6\0\1\0\5\3\0" "hello" "xxx", &s);
	assert_int_equal(s.a.state, ANSWER_BROKEN);
	assert_false(s.a.has_written);
	RUN("HTTP/1.1 400 Bad Request\r\n\r\n", &s);
	assert_int_equal(s.a.state, ANSWER_BROKEN);
	assert_string_equal(s.out, "");
}

static void
answer_ends_only_by_a_whole_end(void **state)
{
	struct seen s;

	(void)state;
	RUN("\1\3\0\1\0\0\0\0", &s);				/* no content */
	assert_int_equal(s.a.exit_status, ANSWER_NONE);
	RUN("\1\3\0\1\0\4\0\0" "\0\0\0\0", &s);			/* without protocolStatus */
	assert_int_equal(s.a.exit_status, ANSWER_NONE);
	RUN("\1\3\0\1\0\10\0\0" "\0\0\0\0\2\0\0\0", &s);	/* FCGI_OVERLOADED */
	assert_int_equal(s.a.exit_status, ANSWER_NONE);
	RUN("\1\3\0\1\0\10\0\0" "\0\0\1\0\0\0\0\0", &s);	/* 256 must not become 0 */
	assert_int_equal(s.a.exit_status, 1);
	RUN("\1\3\0\1\0\10\0\0" "\0\0\0\377\0\0\0\0", &s);
	assert_int_equal(s.a.exit_status, 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_survives_every_split),
		cmocka_unit_test(answer_breaks_where_the_bytes_do),
		cmocka_unit_test(answer_refuses_what_is_not_fastcgi),
		cmocka_unit_test(answer_ends_only_by_a_whole_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
