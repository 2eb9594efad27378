/* SPDX-License-Identifier: ISC */
#include "front_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fiber/fiber.h"
#include "loop/loop.h"
#include "wire/fcgi_param.h"

enum { PEER_IN_MAX = 64 << 20 };

#define PEER_PATIENCE (10 * USEC_PER_SEC)

/* ---- the application ---- */

static const char *
app_argument(const struct request *rq)
{
	const char *q = request_var(rq, SPAN("REQUEST_URI"));

	q = q == NULL ? NULL : strchr(q, '?');
	return q == NULL ? "" : q + 1;
}

static bool
app_is(const struct request *rq, const char *path)
{
	return span_equal(rq->path, span_str(path));
}

static void
app_echo(struct bed *b, struct request *rq)
{
	struct span body;

	b->last = body_all(&rq->body, &body, CLOCK_NEVER);
	if (b->last == WEFT_OK)
		response_write(&rq->response, body);
}

static void
app_len(struct bed *b, struct request *rq)
{
	char piece[4096], text[32];
	unsigned long long sum = 0;
	size_t got;

	while ((b->last = body_read(&rq->body, piece, sizeof piece, &got, CLOCK_NEVER)) == WEFT_OK && got > 0)
		sum += got;
	snprintf(text, sizeof text, "%llu", sum);
	response_write(&rq->response, span_str(text));
}

static void
app_big(struct bed *b, struct request *rq)
{
	size_t len = strtoul(app_argument(rq), NULL, 10);
	char *bytes = malloc(len);

	memset(bytes, 'b', len);
	b->last = response_write(&rq->response, (struct span){ bytes, len });
	free(bytes);
}

static void
app_parts(struct bed *b, struct request *rq)
{
	static char part[16384];

	memset(part, 'p', sizeof part);
	for (unsigned long n = strtoul(app_argument(rq), NULL, 10); n > 0; n--) {
		b->last = response_write(&rq->response, (struct span){ part, sizeof part });
		if (b->last == WEFT_OK)
			b->last = response_flush(&rq->response);
		if (b->last != WEFT_OK)
			return;
	}
}

static void
app_say(struct request *rq, struct span text)
{
	if (rq->response.ops != NULL)
		rq->response.ops->log(rq->response.sink, text);
}

static void
app_log(struct request *rq)
{
	size_t len = strtoul(app_argument(rq), NULL, 10);
	char *bytes = malloc(len);

	memset(bytes, 'l', len);
	app_say(rq, (struct span){ bytes, len });
	free(bytes);
	response_write(&rq->response, SPAN("logged"));
}

static void
app_serve(struct bed *b, struct request *rq)
{
	const char *value;

	if (rq->bad != WEFT_OK) {
		response_status(&rq->response, rq->bad == WEFT_TOO_LARGE ? 431 : 400, NULL);
		response_write(&rq->response, SPAN("bad"));
	} else if (app_is(rq, "/echo")) {
		app_echo(b, rq);
	} else if (app_is(rq, "/len")) {
		/* Of an authorizer's 200 no body would be seen. */
		if (rq->role == REQUEST_AUTHORIZER)
			response_status(&rq->response, 403, NULL);
		app_len(b, rq);
	} else if (app_is(rq, "/var")) {
		value = request_var(rq, span_str(app_argument(rq)));
		response_write(&rq->response, span_str(value == NULL ? "(none)" : value));
	} else if (strncmp(rq->path.at, "/info/", 6) == 0) {
		response_write(&rq->response, span_str(request_var(rq, SPAN("PATH_INFO"))));
	} else if (app_is(rq, "/sleep")) {
		b->last = fiber_sleep(strtol(app_argument(rq), NULL, 10) * USEC_PER_MSEC);
		response_write(&rq->response, SPAN("slept"));
	} else if (app_is(rq, "/hang")) {
		b->last = fiber_wait(WAIT_SLEEP, CLOCK_NEVER);
	} else if (app_is(rq, "/big")) {
		app_big(b, rq);
	} else if (app_is(rq, "/parts")) {
		app_parts(b, rq);
	} else if (app_is(rq, "/log")) {
		app_log(rq);
	} else if (app_is(rq, "/text")) {
		app_say(rq, SPAN("x\r\n[FAKE] \x1b[31m\n"));
		response_write(&rq->response, SPAN("logged"));
	} else if (app_is(rq, "/missing")) {
		response_status(&rq->response, 404, NULL);
		response_set(&rq->response, "Content-Type", "text/plain");
		response_write(&rq->response, SPAN("not here"));
	} else {
		response_write(&rq->response, SPAN("ok"));
	}
}

/* The outer struct, which the front does not know. */
struct app_request {
	struct request rq;
	struct bed *bed;
};

static void
app_main(void *arg)
{
	struct app_request *a = arg;

	app_serve(a->bed, &a->rq);
	if (fiber_is_canceled(a->rq.fiber))
		a->bed->canceled++;
	if (app_is(&a->rq, "/abort")) {
		response_flush(&a->rq.response);
		response_abort(&a->rq.response);
	}
	response_finish(&a->rq.response);
	request_fini(&a->rq);
}

static void
app_start(void *arg, struct request *rq)
{
	struct bed *b = arg;

	((struct app_request *)rq)->bed = b;
	b->started++;
	request_start(rq, app_main);
}

/* ---- the bed ---- */

void
bed_open_plain(struct bed *b, const struct front_app *app)
{
	const struct fiber_conf conf = { .stack_size = 65536 };

	memset(b, 0, sizeof *b);
	if (app != NULL)
		b->app = *app;
	b->loop = loop_new(&conf);
	assert_non_null(b->loop);
	b->app.loop = b->loop;
	b->app.request.fibers = loop_fibers(b->loop);
	b->app.request.struct_size = sizeof(struct app_request);
	b->app.start = app_start;
	b->app.arg = b;
}

void
bed_open(struct bed *b, const struct front_app *app)
{
	bed_open_plain(b, app);
	b->set = fcgi_conns_new(&b->app);
	assert_non_null(b->set);
}

void
bed_close(struct bed *b)
{
	if (b->set != NULL)
		fcgi_conns_free(&b->set);
	assert_null(b->set);
	assert_int_equal(b->app.requests, 0);
	assert_int_equal(b->app.connections, 0);
	for (int i = 0; i < 10; i++)
		loop_turn(b->loop, 0);
	assert_int_equal(fiber_sched_alive(loop_fibers(b->loop)), 0);
	loop_free(&b->loop);
}

/* ---- peers ---- */

static void
peer_init(struct peer *p, struct bed *b, int fd)
{
	*p = (struct peer){ .bed = b, .fd = fd };
	buf_init(&p->in, PEER_IN_MAX);
}

void
peer_open(struct peer *p, struct bed *b)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	peer_init(p, b, sv[0]);
	fcgi_conns_add(b->set, sv[1]);
}

void
peer_open_tcp(struct peer *p, struct bed *b)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	peer_init(p, b, fd);
	fcgi_conns_add(b->set, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	close(listener);
}

void
peer_close(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	buf_fini(&p->in);
}

static void
peer_read(struct peer *p)
{
	char *to;
	ssize_t n;

	while (!p->eof && !p->deaf && p->fd >= 0) {
		to = buf_reserve(&p->in, 65536);
		assert_non_null(to);
		n = read(p->fd, to, 65536);
		if (n > 0)
			p->in.len += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			p->eof = true;
		else
			break;
	}
}

void
peer_turn(struct peer *p)
{
	loop_turn(p->bed->loop, USEC_PER_MSEC);
	peer_read(p);
}

void
peer_settle(struct peer *p)
{
	for (int i = 0; i < 8; i++) {
		loop_turn(p->bed->loop, 0);
		peer_read(p);
	}
}

void
peer_send(struct peer *p, struct span bytes)
{
	usec until = clock_now() + PEER_PATIENCE;

	while (bytes.len > 0 && !p->eof) {
		ssize_t n = send(p->fd, bytes.at, bytes.len, MSG_NOSIGNAL);

		if (n > 0)
			bytes = span_skip(bytes, (size_t)n);
		else if (errno != EAGAIN)
			break;
		else
			peer_turn(p);
		assert_true(clock_now() < until);
	}
}

void
peer_send_buf(struct peer *p, struct buf *b)
{
	assert_false(b->bad);
	peer_send(p, buf_span(b));
	buf_fini(b);
}

/* ---- what came ---- */

/* Take the next record off in.  Returns false at the end, or at half a record. */
static bool
record_next(struct span *in, struct fcgi_head *head, struct span *content)
{
	size_t len;

	if (fcgi_head_decode(*in, head) != FCGI_OK)
		return false;
	len = (size_t)FCGI_HEAD_SIZE + head->length + head->padding;
	if (in->len < len)
		return false;
	*content = (struct span){ in->at + FCGI_HEAD_SIZE, head->length };
	*in = span_skip(*in, len);
	return true;
}

static bool
record_is_clean(const struct fcgi_head *head, struct span content)
{
	if (content.at[-1] != 0)
		return false;
	for (size_t i = 0; i < head->padding; i++)
		if (content.at[content.len + i] != 0)
			return false;
	return head->type != FCGI_END_REQUEST || (head->length == 8 && memcmp(content.at + 5, "\0\0\0", 3) == 0);
}

static void
seen_end(struct seen *s, struct span content)
{
	const unsigned char *at = (const unsigned char *)content.at;

	s->ends++;
	s->status = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	s->protocol = at[4];
}

void
peer_seen(const struct peer *p, uint16_t id, struct seen *s)
{
	struct span in = buf_span(&p->in), content;
	struct fcgi_head head;

	*s = (struct seen){ .well_formed = true };
	buf_init(&s->out, PEER_IN_MAX);
	buf_init(&s->err, PEER_IN_MAX);
	while (record_next(&in, &head, &content)) {
		s->well_formed = s->well_formed && record_is_clean(&head, content);
		if (head.id != id)
			continue;
		if (head.length > s->max)
			s->max = head.length;
		if (head.type == FCGI_END_REQUEST) {
			seen_end(s, content);
		} else if (head.type == FCGI_STDOUT && head.length == 0) {
			s->closes++;
		} else if (head.type == FCGI_STDOUT) {
			buf_add(&s->out, content);
			/* Not after the stream was closed, for that request. */
			s->well_formed = s->well_formed && s->closes == s->ends;
		} else if (head.type == FCGI_STDERR) {
			s->errs++;
			buf_add(&s->err, content);
		}
	}
	s->well_formed = s->well_formed && in.len == 0;
}

void
seen_free(struct seen *s)
{
	buf_fini(&s->out);
	buf_fini(&s->err);
}

struct span
peer_record(const struct peer *p, uint8_t type, uint16_t id, unsigned nth)
{
	struct span in = buf_span(&p->in), content;
	struct fcgi_head head;

	while (record_next(&in, &head, &content))
		if (head.type == type && head.id == id && nth-- == 0)
			return content;
	return (struct span){ NULL, 0 };
}

static unsigned
peer_ends(const struct peer *p, uint16_t id)
{
	struct span in = buf_span(&p->in), content;
	struct fcgi_head head;
	unsigned n = 0;

	while (record_next(&in, &head, &content))
		n += head.type == FCGI_END_REQUEST && (id == 0 || head.id == id);
	return n;
}

void
peer_until_ends(struct peer *p, uint16_t id, unsigned ends)
{
	usec until = clock_now() + PEER_PATIENCE;
	size_t len = SIZE_MAX;

	for (;;) {
		if (p->in.len != len && peer_ends(p, id) >= ends)
			return;
		len = p->in.len;
		if (p->eof)
			return;
		assert_true(clock_now() < until);
		peer_turn(p);
	}
}

void
peer_until_eof(struct peer *p)
{
	usec until = clock_now() + PEER_PATIENCE;

	while (!p->eof) {
		assert_true(clock_now() < until);
		peer_turn(p);
	}
}

void
peer_forget(struct peer *p)
{
	buf_clear(&p->in);
}

struct span
peer_body(struct span out)
{
	const char *end = out.len == 0 ? NULL : memmem(out.at, out.len, "\r\n\r\n", 4);

	assert_non_null(end);
	return span_skip(out, (size_t)(end + 4 - out.at));
}

void
peer_expect(struct peer *p, uint16_t id, unsigned ends, const char *body)
{
	struct seen s;
	struct span got;

	peer_until_ends(p, id, ends);
	peer_seen(p, id, &s);
	assert_true(s.well_formed);
	assert_int_equal(s.ends, ends);
	assert_int_equal(s.closes, ends);
	assert_int_equal(s.status, 0);
	assert_int_equal(s.protocol, FCGI_REQUEST_COMPLETE);
	got = peer_body(buf_span(&s.out));
	assert_true(got.len >= strlen(body));
	assert_memory_equal(got.at + got.len - strlen(body), body, strlen(body));
	if (ends == 1)
		assert_int_equal(got.len, strlen(body));
	seen_free(&s);
}

/* ---- what is sent ---- */

void
add_record(struct buf *to, uint8_t type, uint16_t id, struct span content, uint8_t pad)
{
	const struct fcgi_head head = { .type = type, .id = id, .length = (uint16_t)content.len, .padding = pad };
	unsigned char bytes[FCGI_HEAD_SIZE];
	char padding[255];

	if (to->limit == 0)
		buf_init(to, PEER_IN_MAX);
	memset(padding, 0xaa, sizeof padding);
	fcgi_head_encode(bytes, &head);
	buf_add(to, (struct span){ (char *)bytes, sizeof bytes });
	buf_add(to, content);
	buf_add(to, (struct span){ padding, pad });
}

void
add_begin(struct buf *to, uint16_t id, uint16_t role, uint8_t flags)
{
	char content[8] = { (char)(role >> 8), (char)role, (char)flags };

	add_record(to, FCGI_BEGIN_REQUEST, id, (struct span){ content, 8 }, 0);
}

void
add_pair(struct buf *to, struct span name, struct span value)
{
	size_t len = fcgi_param_encode(NULL, 0, name, value);
	char *at;

	if (to->limit == 0)
		buf_init(to, PEER_IN_MAX);
	at = buf_reserve(to, len);
	assert_non_null(at);
	to->len += fcgi_param_encode(at, len, name, value);
}

void
add_head(struct buf *to, uint16_t id, uint8_t flags, const char *uri)
{
	struct buf params = { 0 };

	add_pair(&params, SPAN("REQUEST_METHOD"), SPAN("GET"));
	add_pair(&params, SPAN("REQUEST_URI"), span_str(uri));
	add_begin(to, id, FCGI_RESPONDER, flags);
	add_record(to, FCGI_PARAMS, id, buf_span(&params), 0);
	add_record(to, FCGI_PARAMS, id, SPAN(""), 0);
	buf_fini(&params);
}

void
add_request(struct buf *to, uint16_t id, uint8_t flags, const char *uri, const char *body)
{
	char length[24];
	struct buf params = { 0 };

	snprintf(length, sizeof length, "%zu", body == NULL ? 0 : strlen(body));
	add_pair(&params, SPAN("REQUEST_METHOD"), body == NULL ? SPAN("GET") : SPAN("POST"));
	add_pair(&params, SPAN("REQUEST_URI"), span_str(uri));
	add_pair(&params, SPAN("CONTENT_LENGTH"), span_str(length));
	add_begin(to, id, FCGI_RESPONDER, flags);
	add_record(to, FCGI_PARAMS, id, buf_span(&params), 0);
	add_record(to, FCGI_PARAMS, id, SPAN(""), 0);
	if (body != NULL && body[0] != '\0')
		add_record(to, FCGI_STDIN, id, span_str(body), 0);
	add_record(to, FCGI_STDIN, id, SPAN(""), 0);
	buf_fini(&params);
}

void
add_base(struct buf *to, uint8_t flags)
{
	add_begin(to, 1, FCGI_RESPONDER, flags);
	add_record(to, FCGI_PARAMS, 1, SPAN("\x0e\x03REQUEST_METHODGET"), 5);
	add_record(to, FCGI_PARAMS, 1, SPAN(""), 0);
	add_record(to, FCGI_STDIN, 1, SPAN(""), 0);
}
