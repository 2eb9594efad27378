/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate_rig.h"

enum { CGI_BIG = 8 << 20 };

/* One CGI request: the test holds the web server's ends and the server's. */
struct cgi {
	int in, out, err;	/* we write, read, read */
	int conn;		/* the server's end of the FastCGI connection */
};

/* A request as the server has read it. */
struct taken {
	char params[8192], body[64];
	size_t params_len, body_len;
	int last;		/* FCGI_STDIN (its end) or FCGI_ABORT_REQUEST */
};

static void
cgi_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
cgi_end(struct cgi *c)
{
	cgi_close(&c->in);
	cgi_close(&c->out);
	cgi_close(&c->err);
	cgi_close(&c->conn);
}

/* Start the program; length is the CONTENT_LENGTH, NULL for none. */
static void
cgi_start(struct rig *r, const char *control, const char *length, const int fds[3])
{
	char path[300], content_length[64] = "X=";
	char *env[] = { "GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=POST", "QUERY_STRING=-s+foo", path, content_length,
		NULL };
	char *argv[] = { "-s", "foo", NULL };

	snprintf(path, sizeof path, "WEFT_CONTROL=%s", control);
	if (length != NULL)
		snprintf(content_length, sizeof content_length, "CONTENT_LENGTH=%s", length);
	rig_start(r, &(struct rig_start){ .in = fds[0], .out = fds[1], .err = fds[2], .argv = argv, .env = env });
}

static void
cgi_accept(struct rig *r, struct cgi *c)
{
	char byte;
	int control = rig_accept(r, "conn\n", &c->conn);

	rig_poll(control, POLLIN);
	assert_int_equal(read(control, &byte, 1), 0);	/* it keeps no control connection */
	close(control);
}

static void
cgi_start_on_pipes(struct rig *r, struct cgi *c, const char *control, const char *length)
{
	int in[2], out[2], err[2];

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	cgi_start(r, control, length, (int[]){ in[0], out[1], err[1] });
	close(in[0]);
	close(out[1]);
	close(err[1]);
	*c = (struct cgi){ in[1], out[0], err[0], -1 };
}

static void
cgi_open(struct rig *r, struct cgi *c, const char *length)
{
	rig_server_up(r);
	cgi_start_on_pipes(r, c, r->control, length);
	cgi_accept(r, c);
}

static void
take_bytes(int fd, void *bytes, size_t len)
{
	assert_int_equal(rig_read_all(fd, bytes, len), len);
}

/* Read a request up to its end. */
static void
take_request(int conn, struct taken *t)
{
	unsigned char head[8];
	char skipped[8];

	*t = (struct taken){ .last = 0 };
	take_bytes(conn, head, 8);
	assert_memory_equal(head, "\1\1\0\1\0\10\0\0", 8);
	take_bytes(conn, skipped, 8);
	assert_memory_equal(skipped, "\0\1\0\0\0\0\0\0", 8);
	while (t->last == 0) {
		size_t n;

		take_bytes(conn, head, 8);
		assert_memory_equal(head + 2, "\0\1", 2);
		n = (size_t)head[4] << 8 | head[5];
		if (head[1] == FCGI_PARAMS) {
			assert_true(t->params_len + n <= sizeof t->params);
			take_bytes(conn, t->params + t->params_len, n);
			t->params_len += n;
		} else if (head[1] == FCGI_STDIN && n > 0) {
			assert_true(t->body_len + n <= sizeof t->body);
			take_bytes(conn, t->body + t->body_len, n);
			t->body_len += n;
		} else {
			t->last = head[1];
		}
	}
}

static void
say(int conn, const char *bytes, size_t len)
{
	assert_int_equal(send(conn, bytes, len, MSG_NOSIGNAL), len);
}

#define SAY(conn, literal) say(conn, literal, sizeof literal - 1)
#define END_0 "\1\3\0\1\0\10\0\0" "\0\0\0\0\0\0\0\0"

static void
check_text(int fd, const char *want)
{
	char text[512];

	text[rig_read_all(fd, text, sizeof text - 1)] = '\0';
	assert_string_equal(text, want);
}

static void
check_exit(struct rig *r, int want)
{
	int status = rig_wait(r);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

/* fd 0 stays open behind the body, as RFC 3875 allows. */
static void
carry_brings_a_request_and_its_answer(void **state)
{
	struct rig *r = *state;
	struct taken t;
	struct cgi c;

	cgi_open(r, &c, "5");
	assert_int_equal(write(c.in, "hello and more", 14), 14);
	take_request(c.conn, &t);
	assert_int_equal(t.last, FCGI_STDIN);
	assert_int_equal(t.body_len, 5);
	assert_memory_equal(t.body, "hello", 5);
	assert_non_null(memmem(t.params, t.params_len, "\14\6QUERY_STRING-s+foo", 20));
	assert_non_null(memmem(t.params, t.params_len, "\16\4REQUEST_METHODPOST", 20));
	SAY(c.conn, "\1\6\0\1\0\16\2\0" "Status: 200\r\n\r" "xx");
	SAY(c.conn, "\1\7\0\1\0\5\0\0" "oops\n");
	SAY(c.conn, "\1\6\0\1\0\4\0\0" "\nyes" "\1\6\0\1\0\0\0\0" "\1\3\0\1\0\10\0\0" "\0\0\0\7\0\0\0\0");
	check_text(c.out, "Status: 200\r\n\r\nyes");
	check_text(c.err, "oops\n");
	check_exit(r, 7);
	cgi_end(&c);
}

static void
carry_reads_no_body_without_a_length(void **state)
{
	static const char *const lengths[] = { NULL, "", "0", "-1", "+5", " 5", "5x", "0x5", "9223372036854775808",
		"99999999999999999999999" };
	struct rig *r = *state;
	struct taken t;
	struct cgi c;

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		cgi_open(r, &c, lengths[i]);
		take_request(c.conn, &t);	/* though fd 0 is open and says nothing */
		assert_int_equal(t.last, FCGI_STDIN);
		assert_int_equal(t.body_len, 0);
		SAY(c.conn, "\1\6\0\1\0\2\0\0" "\n\n" END_0);
		check_exit(r, 0);
		cgi_end(&c);
		rig_server_down(r);
	}
}

static void
carry_aborts_a_body_cut_short(void **state)
{
	struct rig *r = *state;
	struct taken t;
	struct cgi c;

	cgi_open(r, &c, "50");
	assert_int_equal(write(c.in, "half", 4), 4);
	cgi_close(&c.in);
	take_request(c.conn, &t);
	assert_int_equal(t.last, FCGI_ABORT_REQUEST);
	assert_int_equal(t.body_len, 4);
	SAY(c.conn, "\1\6\0\1\0\2\0\0" "\n\n" END_0);
	check_exit(r, 0);
	cgi_end(&c);
}

/* The server reads no byte of the body, and the answer is there while the web server still holds it. */
static void
carry_answers_before_the_body(void **state)
{
	struct rig *r = *state;
	struct cgi c;

	cgi_open(r, &c, "1000000000");
	SAY(c.conn, "\1\6\0\1\0\13\0\0" "Status: 413" "\1\6\0\1\0\4\0\0" "\r\n\r\n" END_0);
	check_text(c.out, "Status: 413\r\n\r\n");
	assert_int_equal(write(c.in, "late", 4), 4);	/* and is not punished for writing on */
	cgi_close(&c.in);
	check_exit(r, 0);
	cgi_end(&c);
}

/* A web server that writes the whole body, and reads only then.  Returns an exit status. */
static int
big_client(int in, int out)
{
	static char bytes[65536];
	size_t len = 0;
	ssize_t n;

	for (size_t sent = 0; sent < CGI_BIG; sent += (size_t)n) {
		n = write(in, bytes, sizeof bytes);
		if (n <= 0)
			return 1;
	}
	while ((n = read(out, bytes, sizeof bytes)) > 0)
		len += (size_t)n;
	return n == 0 && len == CGI_BIG ? 0 : 2;
}

/* A server that answers while the request still comes. */
static void
big_server(int conn)
{
	static char record[8 + 32768] = "\1\6\0\1\200\0\0", bytes[65536];
	size_t sent = 0, at = 0;

	fcntl(conn, F_SETFL, O_NONBLOCK);
	while (sent < CGI_BIG) {
		struct pollfd p = { .fd = conn, .events = POLLIN | POLLOUT };
		ssize_t n;

		assert_int_equal(poll(&p, 1, RIG_LIMIT), 1);
		if (p.revents & POLLIN)
			assert_int_not_equal(read(conn, bytes, sizeof bytes), 0);
		if (!(p.revents & POLLOUT))
			continue;
		n = send(conn, record + at, sizeof record - at, MSG_NOSIGNAL);
		assert_true(n > 0);
		at += (size_t)n;
		if (at == sizeof record) {
			at = 0;
			sent += 32768;
		}
	}
	fcntl(conn, F_SETFL, 0);
	SAY(conn, END_0);
	/* What still comes is read and discarded until the end, as a FastCGI server has to. */
	shutdown(conn, SHUT_WR);
	while (rig_read_all(conn, bytes, sizeof bytes) == sizeof bytes)
		;
}

/* A server that answers, and from the start refuses to read. */
static void
big_server_deaf(int conn)
{
	static char record[8 + 32768] = "\1\6\0\1\200\0\0", bytes[65536];

	shutdown(conn, SHUT_RD);
	/* What came before that: as long as it lies there, the gate may not be told. */
	while (read(conn, bytes, sizeof bytes) > 0)
		continue;
	for (size_t sent = 0; sent < CGI_BIG; sent += 32768) {
		for (size_t at = 0; at < sizeof record;) {
			ssize_t n;

			rig_poll(conn, POLLOUT);
			n = send(conn, record + at, sizeof record - at, MSG_NOSIGNAL | MSG_DONTWAIT);
			assert_true(n > 0);
			at += (size_t)n;
		}
	}
	SAY(conn, END_0);
}

static void
check_big(struct rig *r, struct cgi *c, void (*serve)(int conn))
{
	int status;
	pid_t client;

	fflush(NULL);
	client = fork();
	if (client == 0) {
		close(c->conn);
		_exit(big_client(c->in, c->out));
	}
	cgi_close(&c->in);
	cgi_close(&c->out);
	serve(c->conn);
	check_exit(r, 0);
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
	cgi_end(c);
}

static void
carry_never_waits_for_one_side_on_pipes(void **state)
{
	struct rig *r = *state;
	struct cgi c;

	cgi_open(r, &c, "8388608");
	check_big(r, &c, big_server);
}

static void
carry_drops_a_body_that_nobody_reads(void **state)
{
	struct rig *r = *state;
	struct cgi c;

	cgi_open(r, &c, "8388608");
	check_big(r, &c, big_server_deaf);
}

/* As mod_cgid does it: fd 0 and fd 1 are one socket. */
static void
carry_never_waits_for_one_side_on_a_socket(void **state)
{
	struct rig *r = *state;
	struct cgi c;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig_server_up(r);
	cgi_start(r, r->control, "8388608", (int[]){ pair[1], pair[1], -1 });
	close(pair[1]);
	c = (struct cgi){ pair[0], dup(pair[0]), -1, -1 };
	cgi_accept(r, &c);
	check_big(r, &c, big_server);
}

/* fd 1 has a whole 503, and nothing else. */
static void
check_refused(struct rig *r, struct cgi *c)
{
	static const char want[] = "Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n";
	char text[512];

	text[rig_read_all(c->out, text, sizeof text - 1)] = '\0';
	assert_memory_equal(text, want, sizeof want - 1);
	check_exit(r, 1);
	cgi_end(c);
}

static void
carry_says_503_without_an_answer(void **state)
{
	struct rig *r = *state;
	char longer[200];
	struct taken t;
	struct cgi c;

	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	cgi_start_on_pipes(r, &c, longer, NULL);	/* no server can be there */
	check_refused(r, &c);
	cgi_open(r, &c, NULL);				/* dropped */
	cgi_close(&c.conn);
	check_refused(r, &c);
	rig_server_down(r);
	cgi_open(r, &c, NULL);				/* read, then dropped */
	take_request(c.conn, &t);
	cgi_close(&c.conn);
	check_refused(r, &c);
	rig_server_down(r);
	cgi_open(r, &c, NULL);				/* ended without a header block */
	take_request(c.conn, &t);
	SAY(c.conn, "\1\6\0\1\0\0\0\0" END_0);
	check_refused(r, &c);
	rig_server_down(r);
	cgi_open(r, &c, NULL);				/* no FastCGI server */
	take_request(c.conn, &t);
	SAY(c.conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
	check_refused(r, &c);
}

static void
carry_adds_nothing_to_an_answer_cut_short(void **state)
{
	struct rig *r = *state;
	struct taken t;
	struct cgi c;

	cgi_open(r, &c, NULL);
	take_request(c.conn, &t);
	SAY(c.conn, "\1\6\0\1\0\20\0\0" "Status: 200\r\n\r\n?");
	cgi_close(&c.conn);
	check_text(c.out, "Status: 200\r\n\r\n?");
	check_exit(r, 1);
	cgi_end(&c);
}

/* The server learns that nobody waits for the answer. */
static void
carry_ends_when_the_web_server_leaves(void **state)
{
	struct rig *r = *state;
	struct taken t;
	struct cgi c;
	char byte;

	cgi_open(r, &c, NULL);
	take_request(c.conn, &t);
	cgi_close(&c.out);
	rig_poll(c.conn, POLLIN);
	assert_int_equal(read(c.conn, &byte, 1), 0);
	check_exit(r, 1);
	cgi_end(&c);
}

#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		GATE_TEST(carry_brings_a_request_and_its_answer),
		GATE_TEST(carry_reads_no_body_without_a_length),
		GATE_TEST(carry_aborts_a_body_cut_short),
		GATE_TEST(carry_answers_before_the_body),
		GATE_TEST(carry_never_waits_for_one_side_on_pipes),
		GATE_TEST(carry_never_waits_for_one_side_on_a_socket),
		GATE_TEST(carry_drops_a_body_that_nobody_reads),
		GATE_TEST(carry_says_503_without_an_answer),
		GATE_TEST(carry_adds_nothing_to_an_answer_cut_short),
		GATE_TEST(carry_ends_when_the_web_server_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
