/* SPDX-License-Identifier: ISC */
/* The exported API: HTTP services, over a driver which the test plays. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

#include "back/http/http_head.h"
#include "back/http/http_stream.h"
#include "tests/unit/back_fake.h"

static int (*http_test)(struct weft_request *rq);
static int http_rc;
static unsigned resumed, dropped;

static int
http_handler(struct weft_request *rq)
{
	return http_test(rq);
}

static void
add_pool(struct rig *r, const char *name, const struct driver *d)
{
	struct pool_conf conf = { .name = name, .url = "fake://secret@host/x", .min = 2, .max = 2 };
	struct pool *p = pool_open_driver(r->loop, &conf, d, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
http_setup(void **state)
{
	struct rig *r;

	fake_reset();
	resumed = dropped = 0;
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	rig_route(r, "GET", "/", http_handler);
	add_pool(r, "stock", &fake_http);
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define HTTP_TEST(fn) cmocka_unit_test_setup_teardown(fn, http_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	http_test = test;
	http_rc = -1;
	rig_new(r, a, "GET", "/", NULL);
	rig_start(r, a);
}

static void
ends_with(struct rig *r, struct answer *a, int status, const char *body)
{
	rig_finish(r, a);
	answer_is(a, status, body);
	answer_free(a);
}

/* The call that connection i has; the latest used is the first that a call takes. */
static struct call *
sent(unsigned i)
{
	assert_true(fake.conn[i]->count == 1 && fake.conn[i]->pipe[0] != NULL);
	return fake.conn[i]->pipe[0];
}

static unsigned
busy(void)
{
	return fake.conn[0]->count > 0 ? 0 : 1;
}

/* An answer with the headers A: 1, B: 2. */
static struct weft_http *
make_answer(struct call *call, const char *line, struct span body)
{
	const char *why;
	struct http_head h;

	http_head_init(&h);
	assert_int_equal(http_head_line(&h, span_str(line), &why), HTTP_HEAD_MORE);
	assert_int_equal(http_head_line(&h, SPAN("A: 1"), &why), HTTP_HEAD_MORE);
	assert_int_equal(http_head_line(&h, SPAN("B: 2"), &why), HTTP_HEAD_MORE);
	assert_int_equal(http_head_line(&h, SPAN(""), &why), HTTP_HEAD_COMPLETE);
	call->http = http_answer_new(call->arena, &h, body);
	http_head_fini(&h);
	assert_non_null(call->http);
	return call->http;
}

static int
ask_simply(struct weft_request *rq)
{
	struct weft_http *answer = (struct weft_http *)1;
	const char *name, *value, *body;
	size_t len;

	http_rc = weft_http(rq, "stock", &answer, "GET", "/count/%s?n=%d", "a/b", 7);
	if (http_rc != WEFT_OK) {
		assert_null(answer);
		return weft_fail(rq);
	}
	assert_int_equal(weft_http_status(answer), 404);
	assert_string_equal(weft_http_header(answer, "a"), "1");
	assert_null(weft_http_header(answer, "c"));
	assert_int_equal(weft_http_header_at(answer, 1, &name, &value), WEFT_OK);
	assert_string_equal(name, "B");
	assert_string_equal(value, "2");
	assert_int_equal(weft_http_header_at(answer, 2, &name, &value), WEFT_INVALID);
	body = weft_http_body(answer, &len);
	return weft_write(rq, body, len);
}

static void
a_status_is_an_answer(void **state)
{
	struct rig *r = *state;
	struct answer a;
	unsigned i;

	begin(r, &a, ask_simply);
	i = busy();
	assert_string_equal(sent(i)->ask->method, "GET");
	assert_string_equal(sent(i)->ask->target, "/count/a%2Fb?n=7");
	make_answer(sent(i), "HTTP/1.1 404 no", SPAN("none"));
	fake_reply(i);
	ends_with(r, &a, 200, "none");
}

static int
order_simply(struct weft_request *rq)
{
	http_rc = weft_http(rq, "stock", NULL, "POST", "/order");
	return http_rc == WEFT_OK ? weft_puts(rq, "ordered") : weft_fail(rq);
}

static void
a_failure_names_the_pool(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, order_simply);
	fake_flush(busy());
	fake_lose(busy(), "secret things");
	ends_with(r, &a, 503, "503 Service Unavailable: stock: connection lost, outcome unknown\n");
	assert_int_equal(http_rc, WEFT_UNKNOWN);
}

/* What only asks is asked again, of another connection. */
static void
a_question_is_asked_again(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_simply);
	fake_flush(busy());
	fake_lose(busy(), "gone");
	rig_settle(r);
	assert_false(a.is_done);
	make_answer(sent(busy()), "HTTP/1.1 404 no", SPAN("again"));
	fake_reply(busy());
	ends_with(r, &a, 200, "again");
}

/* ---- with all that can be asked ---- */

static int
ask_all(struct weft_request *rq)
{
	struct weft_http_field field[] = { { "X-A", "1" }, { "X-B", "" } };
	struct weft_http_ask ask = { .method = "POST", .path = weft_http_path(rq, "/item/%s", "x y"), .header = field, .nheader = 2, .body = "a\0b",
		.body_len = 3, .max_body = 77, .follow = 3, .flags = WEFT_HTTP_IDEMPOTENT | WEFT_HTTP_DECOMPRESS };

	http_rc = weft_http_send(rq, "stock", NULL, &ask);
	return http_rc == WEFT_OK ? weft_puts(rq, "sent") : weft_fail(rq);
}

static void
everything_is_handed_on(void **state)
{
	struct rig *r = *state;
	const struct http_ask *ask;
	struct answer a;

	begin(r, &a, ask_all);
	ask = sent(busy())->ask;
	assert_string_equal(ask->method, "POST");
	assert_string_equal(ask->target, "/item/x%20y");
	assert_int_equal(ask->nfields, 2);
	assert_string_equal(ask->field[0].name, "X-A");
	assert_string_equal(ask->field[1].value, "");
	assert_int_equal(ask->body.len, 3);
	assert_memory_equal(ask->body.at, "a\0b", 3);
	assert_int_equal(ask->body_max, 77);
	assert_int_equal(ask->redirects, 3);
	assert_true(sent(busy())->idempotent);
	assert_true(ask->is_idempotent && ask->wants_decoding && !ask->wants_stream);
	make_answer(sent(busy()), "HTTP/1.1 200 OK", SPAN(""));
	fake_reply(busy());
	ends_with(r, &a, 200, "sent");
}

static void
expect_refusal(struct weft_request *rq, const struct weft_http_ask *ask, const char *word)
{
	struct weft_http *stream;
	struct weft_call *c;

	assert_int_equal(weft_http_send(rq, "stock", NULL, ask), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), word));
	c = weft_http_send_start(rq, "stock", ask);
	assert_int_equal(weft_wait(rq, c), WEFT_INVALID);
	assert_null(weft_call_http(c));
	assert_int_equal(weft_http_open(rq, "stock", &stream, ask), WEFT_INVALID);
	assert_null(stream);
}

static int
ask_wrong(struct weft_request *rq)
{
	static struct weft_http_field many[65];
	struct weft_http *answer;
	struct weft_lease *lease;
	struct weft_call *c;

	expect_refusal(rq, &(struct weft_http_ask){ .path = "/", .flags = 4 }, "flag");
	expect_refusal(rq, &(struct weft_http_ask){ .path = "/", .reserved = { "x" } }, "member");
	expect_refusal(rq, &(struct weft_http_ask){ .path = NULL }, "no path");
	expect_refusal(rq, &(struct weft_http_ask){ .path = weft_http_path(rq, "/%s", "..") }, "no path");
	expect_refusal(rq, &(struct weft_http_ask){ .path = "/", .header = many, .nheader = 65 }, "headers");
	assert_null(weft_http_path(rq, "/%s", ".."));
	assert_non_null(strstr(weft_fault_text(rq), "segment"));
	assert_int_equal(weft_http(rq, "stock", &answer, "GET", "/%s/x", ""), WEFT_INVALID);
	assert_non_null(strstr(weft_fault_text(rq), "empty"));
	assert_int_equal(weft_http(rq, "none", &answer, "GET", "/"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "no pool is called \"none\"; weft.conf has stock");
	assert_int_equal(weft_lend(rq, "stock", &lease), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool stock lends no connections");
	assert_int_equal(weft_redis(rq, "stock", NULL, "PING"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool stock takes no Redis commands");
	c = weft_http_start(rq, "stock", "GET", "/%s", "..");
	assert_int_equal(weft_wait(rq, c), WEFT_INVALID);
	assert_int_equal(weft_http_status(NULL), 0);
	assert_null(weft_http_header(NULL, "A"));
	assert_null(weft_http_body(NULL, NULL));
	assert_null(weft_call_http(NULL));
	weft_http_close(NULL);
	assert_int_equal(weft_http_read(rq, NULL, NULL, 0), -1);
	assert_non_null(strstr(weft_fault_text(rq), "weft_http_open"));
	return weft_puts(rq, "refused");
}

static void
what_cannot_be_is_refused(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_wrong);
	ends_with(r, &a, 200, "refused");
}

/* ---- begun, and waited for later ---- */

static int
ask_two(struct weft_request *rq)
{
	char text[] = "kept", body[] = "body", name[] = "X-Name";
	struct weft_http_field field = { name, text };
	struct weft_http_ask ask = { .method = "PUT", .path = text + 4, .header = &field, .nheader = 1, .body = body, .body_len = 4 };
	struct weft_call *call[2];

	ask.path = weft_http_path(rq, "/put");
	call[0] = weft_http_start(rq, "stock", "GET", "/%s", text);
	call[1] = weft_http_send_start(rq, "stock", &ask);
	memset(text, 'x', 4);
	memset(body, 'x', 4);
	memset(name, 'x', 4);
	memset(&ask, 0, sizeof ask);
	http_rc = weft_wait_all(rq, call, 2);
	if (http_rc != WEFT_OK)
		return weft_fail(rq);
	return weft_printf(rq, "%d %d", weft_http_status(weft_call_http(call[0])), weft_http_status(weft_call_http(call[1])));
}

static void
two_requests_are_on_their_way_at_once(void **state)
{
	struct rig *r = *state;
	struct answer a;
	unsigned get;

	begin(r, &a, ask_two);
	assert_false(a.is_done);
	get = strcmp(sent(0)->ask->method, "GET") == 0 ? 0 : 1;
	assert_string_equal(sent(get)->ask->target, "/kept");
	assert_string_equal(sent(!get)->ask->target, "/put");
	assert_string_equal(sent(!get)->ask->field[0].name, "X-Name");
	assert_string_equal(sent(!get)->ask->field[0].value, "kept");
	assert_memory_equal(sent(!get)->ask->body.at, "body", 4);
	make_answer(sent(0), "HTTP/1.1 200 OK", SPAN(""));
	make_answer(sent(1), "HTTP/1.1 200 OK", SPAN(""));
	fake_reply(0);
	rig_settle(r);
	assert_false(a.is_done);
	fake_reply(1);
	ends_with(r, &a, 200, "200 200");
}

static int
ask_and_leave(struct weft_request *rq)
{
	assert_non_null(weft_http_start(rq, "stock", "GET", "/"));
	return weft_puts(rq, "left");
}

static void
a_request_left_behind_is_given_up(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, ask_and_leave);
	ends_with(r, &a, 200, "left");
	assert_int_equal(fake.abandons, 1);
	fake_reply(busy());
}

/* ---- streams ---- */

static void
count_resume(void *arg)
{
	(void)arg;
	resumed++;
}

static void
count_drop(void *arg)
{
	(void)arg;
	dropped++;
}

/* The head of a stream comes.  What it returns is gone if the handler is. */
static struct http_stream *
stream_begins(struct rig *r)
{
	static const struct http_source source = { count_resume, count_drop };
	unsigned i = busy();
	struct weft_http *answer = make_answer(sent(i), "HTTP/1.1 206 Partial", SPAN(""));
	struct http_stream *s = http_stream_new(sent(i)->arena, &source, NULL);

	assert_true(s != NULL && sent(i)->ask->wants_stream);
	s->pool = "stock";
	answer->body.at = NULL;
	answer->stream = s;
	fake_reply(i);
	rig_settle(r);
	return s;
}

static int
relay(struct weft_request *rq)
{
	struct weft_http_ask ask = { .path = "/big" };
	struct weft_http *stream;
	char piece[3];
	long n;

	if (weft_http_open(rq, "stock", &stream, &ask) != WEFT_OK)
		return weft_fail(rq);
	assert_int_equal(weft_http_status(stream), 206);
	assert_string_equal(weft_http_header(stream, "B"), "2");
	assert_null(weft_http_body(stream, NULL));
	while ((n = weft_http_read(rq, stream, piece, sizeof piece)) > 0)
		if (weft_write(rq, piece, (size_t)n) != WEFT_OK)
			return weft_fail(rq);
	http_rc = weft_fault(rq);
	return n == 0 ? WEFT_OK : weft_fail(rq);
}

static void
a_stream_is_read_in_pieces(void **state)
{
	struct rig *r = *state;
	struct http_stream *s;
	struct answer a;

	begin(r, &a, relay);
	s = stream_begins(r);
	assert_true(http_stream_put(s, SPAN("hello")));
	rig_settle(r);
	assert_true(http_stream_put(s, SPAN(" world")));
	rig_settle(r);
	assert_false(a.is_done);
	http_stream_end(s, WEFT_OK, NULL);
	ends_with(r, &a, 200, "hello world");
	assert_int_equal(dropped, 0);
}

static void
a_stream_that_fails_names_the_pool(void **state)
{
	struct rig *r = *state;
	struct http_stream *s;
	struct answer a;

	begin(r, &a, relay);
	s = stream_begins(r);
	assert_true(http_stream_put(s, SPAN("half")));
	http_stream_end(s, WEFT_UNKNOWN, "it ended");
	ends_with(r, &a, 503, "503 Service Unavailable: stock: connection lost, outcome unknown\n");
	assert_int_equal(http_rc, WEFT_UNKNOWN);
}

static int
open_and_leave(struct weft_request *rq)
{
	struct weft_http *stream;

	http_rc = weft_http_open(rq, "stock", &stream, &(struct weft_http_ask){ .path = "/" });
	return weft_puts(rq, "left");
}

static void
a_stream_left_behind_is_closed(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, open_and_leave);
	stream_begins(r);
	ends_with(r, &a, 200, "left");
	assert_int_equal(http_rc, WEFT_OK);
	assert_int_equal(dropped, 1);
}

static int
open_and_close(struct weft_request *rq)
{
	struct weft_http *stream;
	char c;

	assert_int_equal(weft_http_open(rq, "stock", &stream, &(struct weft_http_ask){ .path = "/" }), WEFT_OK);
	weft_http_close(stream);
	assert_int_equal(dropped, 1);
	assert_int_equal(weft_http_read(rq, stream, &c, 1), -1);
	assert_int_equal(weft_fault(rq), WEFT_INVALID);
	weft_http_close(stream);
	return weft_puts(rq, "closed");
}

static void
a_stream_is_closed_once(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, open_and_close);
	stream_begins(r);
	ends_with(r, &a, 200, "closed");
	assert_int_equal(dropped, 1);
}

/* Before its head, and while it is read. */
static void
a_client_that_leaves_ends_a_stream(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, relay);
	rig_gone(r, &a);
	assert_int_equal(fake.abandons, 1);
	fake_reply(busy());
	answer_free(&a);
	begin(r, &a, relay);
	stream_begins(r);
	rig_gone(r, &a);
	assert_int_equal(dropped, 1);
	assert_int_equal(http_rc, WEFT_CANCELED);
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(a_status_is_an_answer),
		HTTP_TEST(a_failure_names_the_pool),
		HTTP_TEST(a_question_is_asked_again),
		HTTP_TEST(everything_is_handed_on),
		HTTP_TEST(what_cannot_be_is_refused),
		HTTP_TEST(two_requests_are_on_their_way_at_once),
		HTTP_TEST(a_request_left_behind_is_given_up),
		HTTP_TEST(a_stream_is_read_in_pieces),
		HTTP_TEST(a_stream_that_fails_names_the_pool),
		HTTP_TEST(a_stream_left_behind_is_closed),
		HTTP_TEST(a_stream_is_closed_once),
		HTTP_TEST(a_client_that_leaves_ends_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
