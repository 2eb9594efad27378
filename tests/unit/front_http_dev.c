/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "front/http_dev.h"
#include "front_peer.h"
#include "loop/loop.h"

static struct bed bed;
static struct http_dev *dev;

static void
open_dev(const struct front_app *app)
{
	char error[200] = "";

	bed_open_plain(&bed, app);
	dev = http_dev_open(&bed.app, 0, error, sizeof error);
	assert_string_equal(error, "");
	assert_non_null(dev);
	assert_int_not_equal(http_dev_port(dev), 0);
}

static int
setup(void **state)
{
	(void)state;
	open_dev(NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (dev != NULL)
		http_dev_close(&dev);
	assert_null(dev);
	bed_close(&bed);
	return 0;
}

static void
client_open(struct peer *p)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)http_dev_port(dev)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	*p = (struct peer){ .bed = &bed, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	buf_init(&p->in, 64 << 20);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
}

/* Turn until the text has come. */
static void
client_until(struct peer *p, const char *text)
{
	usec until = clock_now() + 10 * USEC_PER_SEC;

	while (p->in.len == 0 || memmem(p->in.at, p->in.len, text, strlen(text)) == NULL) {
		assert_false(p->eof);
		assert_true(clock_now() < until);
		peer_turn(p);
	}
}

static bool
client_has(const struct peer *p, const char *text)
{
	return memmem(p->in.at, p->in.len, text, strlen(text)) != NULL;
}

/* One request on a connection of its own; the whole answer is in p->in. */
static void
client_ask(struct peer *p, const char *request)
{
	client_open(p);
	peer_send(p, span_str(request));
	peer_until_eof(p);
}

static void
expect_body(struct peer *p, const char *body)
{
	struct span got = peer_body(buf_span(&p->in));

	assert_int_equal(got.len, strlen(body));
	assert_memory_equal(got.at, body, got.len);
}

static void
get(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_memory_equal(p.in.at, "HTTP/1.1 200 OK\r\n", 17);
	assert_true(client_has(&p, "Content-Length: 2\r\n"));
	assert_false(client_has(&p, "Status:"));
	expect_body(&p, "ok");
	assert_int_equal(bed.app.served, 1);
	peer_close(&p);
}

static void
post(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
	expect_body(&p, "hello");
	peer_close(&p);
	client_ask(&p, "PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
	expect_body(&p, "hello world");
	peer_close(&p);
}

static void
head_has_a_length_and_no_body(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "HEAD /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(client_has(&p, "Content-Length: 2\r\n"));
	expect_body(&p, "");
	peer_close(&p);
}

static void
status_and_type_are_the_apps(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_memory_equal(p.in.at, "HTTP/1.1 404 Not Found\r\n", 24);
	assert_true(client_has(&p, "Content-Type: text/plain\r\n"));
	expect_body(&p, "not here");
	peer_close(&p);
}

static void
connection_is_kept(void **state)
{
	struct peer p;

	(void)state;
	client_open(&p);
	for (int i = 0; i < 3; i++) {
		peer_forget(&p);
		peer_send(&p, SPAN("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"));
		client_until(&p, "\r\n\r\nok");
		peer_forget(&p);
		peer_send(&p, SPAN("GET /parts?2 HTTP/1.1\r\nHost: x\r\n\r\n"));
		client_until(&p, "\r\n0\r\n\r\n");
	}
	assert_int_equal(bed.app.served, 6);
	peer_close(&p);
}

static void
variables_are_those_of_cgi(void **state)
{
	static const struct { const char *name, *value; } row[] = {
		{ "GATEWAY_INTERFACE", "CGI/1.1" },
		{ "SERVER_PROTOCOL", "HTTP/1.1" },
		{ "SERVER_SOFTWARE", "weft-dev" },
		{ "SERVER_NAME", "example.org" },
		{ "REQUEST_METHOD", "POST" },
		{ "SCRIPT_NAME", "" },
		{ "PATH_INFO", "/var" },
		{ "QUERY_STRING", "QUERY_STRING" },
		{ "REQUEST_URI", "/var?REQUEST_URI" },
		{ "REMOTE_ADDR", "127.0.0.1" },
		{ "CONTENT_TYPE", "text/x" },
		{ "CONTENT_LENGTH", "2" },
		{ "HTTP_CONTENT_TYPE", "(none)" },
		{ "HTTP_PROXY", "(none)" },
		{ "HTTP_X_ONE", "a, b" },
		{ "HTTP_COOKIE", "c=1; d=2" },
		{ "HTTP_X_UNDER", "(none)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char text[600];
		struct peer p;

		snprintf(text, sizeof text, "POST /var?%s HTTP/1.1\r\nHost: example.org:8080\r\nConnection: close\r\nContent-Type: text/x\r\n"
		    "Content-Length: 2\r\nProxy: http://evil\r\nX-One: a\r\nCookie: c=1\r\nx-one: b\r\nCookie: d=2\r\nX_Under: no\r\n\r\nhi",
		    row[i].name);
		client_ask(&p, text);
		expect_body(&p, row[i].value);
		peer_close(&p);
	}
}

static void
path_is_decoded_once(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "GET /info/a+b%2f%2541?%41 HTTP/1.0\r\n\r\n");
	expect_body(&p, "/info/a+b/%41");
	peer_close(&p);
	client_ask(&p, "GET http://host/info/x?y HTTP/1.0\r\n\r\n");
	expect_body(&p, "/info/x");
	peer_close(&p);
	client_ask(&p, "GET http://host HTTP/1.0\r\n\r\n");
	expect_body(&p, "ok");
	peer_close(&p);
}

static void
streams_in_chunks(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "GET /parts?100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(client_has(&p, "Transfer-Encoding: chunked\r\n"));
	assert_true(p.in.len > 100 * 16384);
	assert_memory_equal(p.in.at + p.in.len - 7, "\r\n0\r\n\r\n", 7);
	peer_close(&p);
}

static void
streams_to_http_1_0_until_the_end(void **state)
{
	struct peer p;
	struct span got;

	(void)state;
	client_ask(&p, "GET /parts?3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_false(client_has(&p, "chunked"));
	assert_false(client_has(&p, "Content-Length"));
	got = peer_body(buf_span(&p.in));
	assert_int_equal(got.len, 3 * 16384);
	peer_close(&p);
}

static void
slow_reader_makes_the_handler_wait(void **state)
{
	struct peer p;

	(void)state;
	client_open(&p);
	p.deaf = true;
	peer_send(&p, SPAN("GET /parts?1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	for (int i = 0; i < 30; i++)
		peer_turn(&p);
	assert_int_equal(bed.app.requests, 1);
	assert_int_equal(fiber_sched_alive(loop_fibers(bed.loop)), 1);
	p.deaf = false;
	peer_until_eof(&p);
	assert_true(p.in.len > 1000 * 16384);
	assert_int_equal(bed.app.served, 1);
	peer_close(&p);
}

static void
turn_until_none_is_alive(void)
{
	usec until = clock_now() + 10 * USEC_PER_SEC;

	while (fiber_sched_alive(loop_fibers(bed.loop)) > 0) {
		assert_true(clock_now() < until);
		loop_turn(bed.loop, USEC_PER_MSEC);
	}
}

static void
client_that_leaves_cancels(void **state)
{
	struct peer p;

	(void)state;
	client_open(&p);
	peer_send(&p, SPAN("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"));
	while (bed.started == 0)
		peer_turn(&p);
	peer_close(&p);
	turn_until_none_is_alive();
	assert_int_equal(bed.canceled, 1);
	assert_int_equal(bed.app.aborted, 1);
	assert_int_equal(bed.app.requests, 0);
}

static void
client_that_leaves_a_stream_cancels(void **state)
{
	const struct linger now = { .l_onoff = 1 };
	struct peer p;

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		client_open(&p);
		peer_send(&p, SPAN("GET /parts?10000 HTTP/1.1\r\nHost: x\r\n\r\n"));
		client_until(&p, "ppp");
		if (reset)
			setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		peer_close(&p);
		turn_until_none_is_alive();
	}
	assert_int_equal(bed.app.aborted, 2);
	assert_int_equal(bed.app.served, 0);
}

static void
broken_response_closes(void **state)
{
	struct peer p;

	(void)state;
	client_ask(&p, "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_false(client_has(&p, "\r\n0\r\n\r\n"));
	assert_int_equal(bed.app.aborted, 1);
	peer_close(&p);
}

static void
bad_requests_do_not_reach_the_app(void **state)
{
	static const struct { const char *request, *answer; } row[] = {
		{ "GET\r\n\r\n", "HTTP/1.1 400" },
		{ "BREW /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 501" },
		{ "POST /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 999999999\r\n\r\n", "HTTP/1.1 413" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct peer p;

		client_ask(&p, row[i].request);
		assert_memory_equal(p.in.at, row[i].answer, strlen(row[i].answer));
		peer_close(&p);
	}
	assert_int_equal(bed.started, 0);
}

static void
overload_is_503(void **state)
{
	const struct front_app limits = { .max_requests = 1 };
	struct peer p, q;

	(void)state;
	open_dev(&limits);
	client_open(&p);
	peer_send(&p, SPAN("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"));
	while (bed.started == 0)
		peer_turn(&p);
	client_ask(&q, "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_memory_equal(q.in.at, "HTTP/1.1 503", 12);
	assert_true(client_has(&q, "Retry-After: 1\r\n"));
	assert_int_equal(bed.app.refused, 1);
	http_dev_close(&dev);	/* with a request in flight */
	turn_until_none_is_alive();
	assert_int_equal(bed.canceled, 1);
	peer_close(&p);
	peer_close(&q);
	bed_close(&bed);
}

static void
port_in_use_is_an_error(void **state)
{
	char error[200] = "";
	struct http_dev *second = http_dev_open(&bed.app, http_dev_port(dev), error, sizeof error);

	(void)state;
	assert_null(second);
	assert_non_null(strstr(error, "in use"));
	assert_null(http_dev_open(&bed.app, 65536, error, sizeof error));
}

int
main(void)
{
#define DEV(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		DEV(get),
		DEV(post),
		DEV(head_has_a_length_and_no_body),
		DEV(status_and_type_are_the_apps),
		DEV(connection_is_kept),
		DEV(variables_are_those_of_cgi),
		DEV(path_is_decoded_once),
		DEV(streams_in_chunks),
		DEV(streams_to_http_1_0_until_the_end),
		DEV(slow_reader_makes_the_handler_wait),
		DEV(client_that_leaves_cancels),
		DEV(client_that_leaves_a_stream_cancels),
		DEV(broken_response_closes),
		DEV(bad_requests_do_not_reach_the_app),
		cmocka_unit_test(overload_is_503),
		DEV(port_in_use_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
