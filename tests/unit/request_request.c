/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/fcgi_param.h"

struct rig {
	struct fiber_sched *sched;
	struct request_conf conf;
	struct rig_sink sink;
	struct request *rq;
};

static void
rig_init(struct rig *r)
{
	*r = (struct rig){ .sched = rig_sched() };
	r->conf.fibers = r->sched;
	rig_sink_init(&r->sink);
	r->rq = request_new(&r->conf, &rig_ops, &r->sink);
	assert_non_null(r->rq);
}

static void
rig_fini(struct rig *r)
{
	if (r->rq != NULL)
		request_drop(&r->rq);
	assert_null(r->rq);
	buf_fini(&r->sink.bytes);
	rig_end(r->sched);
}

static void
var(struct rig *r, const char *name, const char *value)
{
	assert_int_equal(request_var_add(r->rq, span_str(name), span_str(value)), WEFT_OK);
}

/* What nginx sends. */
static const char *const usual[][2] = {
	{ "QUERY_STRING", "page=2&sort=price" }, { "REQUEST_METHOD", "GET" }, { "CONTENT_TYPE", "" }, { "CONTENT_LENGTH", "" },
	{ "SCRIPT_NAME", "/shop/item/7" }, { "REQUEST_URI", "/shop/item/7?page=2&sort=price" }, { "DOCUMENT_URI", "/shop/item/7" },
	{ "DOCUMENT_ROOT", "/usr/share/nginx/html" }, { "SERVER_PROTOCOL", "HTTP/2.0" }, { "REQUEST_SCHEME", "https" },
	{ "HTTPS", "on" }, { "GATEWAY_INTERFACE", "CGI/1.1" }, { "SERVER_SOFTWARE", "nginx/1.22.1" }, { "REMOTE_ADDR", "203.0.113.77" },
	{ "REMOTE_PORT", "50122" }, { "REMOTE_USER", "" }, { "SERVER_ADDR", "198.51.100.12" }, { "SERVER_PORT", "443" },
	{ "SERVER_NAME", "shop.example.org" }, { "REDIRECT_STATUS", "200" }, { "HTTP_HOST", "shop.example.org" },
	{ "HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" },
	{ "HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8" },
	{ "HTTP_ACCEPT_LANGUAGE", "de,en-US;q=0.7,en;q=0.3" }, { "HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd" },
	{ "HTTP_REFERER", "https://shop.example.org/shop/list?category=threads&page=17" },
	{ "HTTP_COOKIE", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; cart=eyJpdGVtcyI6WzEsMiwzXX0" },
	{ "HTTP_SEC_FETCH_DEST", "document" }, { "HTTP_SEC_FETCH_MODE", "navigate" }, { "HTTP_SEC_FETCH_SITE", "same-origin" },
	{ "HTTP_UPGRADE_INSECURE_REQUESTS", "1" }, { "HTTP_PRIORITY", "u=0, i" }, { "HTTP_TE", "trailers" },
};

static struct rig *running;

static void
answer(void *arg)
{
	struct request *rq = arg;
	char body[200];

	assert_ptr_equal(fiber_self(), rq->fiber);
	assert_string_equal(fiber_label(rq->fiber), "GET /shop/item/7");
	assert_int_equal(fiber_deadline(rq->fiber), rig_time + 60 * USEC_PER_SEC);
	memset(body, 'x', sizeof body);
	assert_int_equal(response_set(&rq->response, "Content-Type", "text/html; charset=utf-8"), WEFT_OK);
	assert_int_equal(response_add(&rq->response, "Set-Cookie", "seen=1; Path=/; HttpOnly; SameSite=Lax"), WEFT_OK);
	assert_int_equal(response_write(&rq->response, (struct span){ body, sizeof body }), WEFT_OK);
	response_finish(&rq->response);
	/* All of it fitted into the room. */
	assert_int_equal(rq->arena.total, 0);
	request_fini(rq);
	running->rq = NULL;
}

static void
a_usual_request_costs_no_malloc(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	running = &r;
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		var(&r, usual[i][0], usual[i][1]);
	request_ready(r.rq);
	assert_int_equal(r.rq->bad, WEFT_OK);
	assert_string_equal(r.rq->method, "GET");
	assert_true(span_equal(r.rq->path, SPAN("/shop/item/7")));
	body_end(&r.rq->body);
	request_start(r.rq, answer);
	fiber_sched_run(r.sched);
	assert_null(r.rq);
	assert_int_equal(r.sink.sends, 1);
	assert_int_equal(r.sink.lasts, 1);
	assert_non_null(strstr(rig_sink_text(&r.sink), "Content-Length: 200\r\n"));
	rig_fini(&r);
}

static void
variables_and_headers(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		var(&r, usual[i][0], usual[i][1]);
	var(&r, "HTTP_X_FORWARDED_FOR", "first");
	var(&r, "HTTP_X_FORWARDED_FOR", "second");
	var(&r, "", "no name");
	var(&r, "HTTP_", "no header");
	request_ready(r.rq);
	assert_int_equal(r.rq->nvars, sizeof usual / sizeof usual[0] + 3);
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
		assert_string_equal(request_var(r.rq, span_str(usual[i][0])), usual[i][1]);
		assert_true(span_equal(request_var_name(&r.rq->var[i]), span_str(usual[i][0])));
	}
	assert_null(request_var(r.rq, SPAN("REMOTE_USE")));
	assert_null(request_var(r.rq, SPAN("")));
	assert_string_equal(request_header(r.rq, "user-agent"), usual[21][1]);
	assert_string_equal(request_header(r.rq, "X-Forwarded-For"), "first");
	assert_string_equal(request_header(r.rq, "content-type"), "");
	assert_string_equal(request_header(r.rq, "Content-Length"), "");
	assert_null(request_header(r.rq, "Method"));
	assert_string_equal(request_header(r.rq, ""), "no header");
	rig_fini(&r);
}

static void
no_variables(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	request_ready(r.rq);
	assert_null(request_header(r.rq, "Host"));
	assert_null(request_var(r.rq, SPAN("REQUEST_METHOD")));
	assert_string_equal(r.rq->method, "");
	assert_int_equal(r.rq->bad, WEFT_BAD_INPUT);
	rig_fini(&r);
}

static void
an_authorizer_has_no_body(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.rq->role = REQUEST_AUTHORIZER;
	var(&r, "REQUEST_METHOD", "POST");
	var(&r, "REQUEST_URI", "/x");
	var(&r, "CONTENT_LENGTH", "100");
	request_ready(r.rq);
	assert_int_equal(r.rq->body.state, BODY_COMPLETE);
	assert_string_equal(r.rq->method, "POST");
	assert_string_equal(fiber_label(r.rq->fiber), "AUTHORIZE /x");
	rig_fini(&r);
}

static void
paths(void **state)
{
	/* REQUEST_URI, SCRIPT_NAME, PATH_INFO; the path. */
	static const char *const list[][4] = {
		{ "/a/b?c=d", "x", "y", "/a/b" }, { "/a%2Fb#frag", "", "", "/a%2Fb" }, { "/", "", "", "/" }, { "/?", "", "", "/" },
		{ "/a?b#c?d", "", "", "/a" }, { "/a#b?c", "", "", "/a" }, { "http://host/p/q?x", "", "", "/p/q" },
		{ "https://host:443", "", "", "/" }, { "http://host?x=/y", "", "", "/" }, { "http://host#/y", "", "", "/" },
		{ "http://u@h/a://b", "", "", "/a://b" }, { "*", "", "", "*" }, { "host:443", "", "", "host:443" }, { "x:", "", "", "x:" },
		{ "?x", "", "", "" }, { "/a://b/c", "", "", "/a://b/c" }, { NULL, "/s", "/p i/\xc3\xa9", "/s/p%20i/%C3%A9" },
		{ "", "/s", NULL, "/s" }, { NULL, NULL, "/a%b?c", "/a%25b%3Fc" }, { NULL, NULL, NULL, "/" }, { "", "", "", "/" },
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		rig_init(&r);
		var(&r, "REQUEST_METHOD", "GET");
		if (list[i][0] != NULL)
			var(&r, "REQUEST_URI", list[i][0]);
		if (list[i][1] != NULL)
			var(&r, "SCRIPT_NAME", list[i][1]);
		if (list[i][2] != NULL)
			var(&r, "PATH_INFO", list[i][2]);
		request_ready(r.rq);
		assert_int_equal(r.rq->bad, WEFT_OK);
		if (!span_equal(r.rq->path, span_str(list[i][3])))
			fail_msg("%s: %.*s", list[i][3], (int)r.rq->path.len, r.rq->path.at);
		rig_fini(&r);
	}
}

static void
lengths_of_the_body(void **state)
{
	static const struct {
		const char *text;
		enum weft_rc bad;
		long long announced;
	} list[] = {
		{ NULL, WEFT_OK, -1 }, { "", WEFT_OK, -1 }, { "-1", WEFT_OK, -1 }, { "0", WEFT_OK, 0 }, { "00012", WEFT_OK, 12 },
		{ "1e9", WEFT_BAD_INPUT, -1 }, { "99999999999999999999", WEFT_BAD_INPUT, -1 }, { "0x5", WEFT_BAD_INPUT, -1 },
		{ "5 ", WEFT_BAD_INPUT, -1 }, { "+5", WEFT_BAD_INPUT, -1 }, { "-2", WEFT_BAD_INPUT, -1 }, { "5,5", WEFT_BAD_INPUT, -1 },
		{ "999999999999999999", WEFT_OK, 999999999999999999 }, { "9223372036854775808", WEFT_BAD_INPUT, -1 },
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		rig_init(&r);
		var(&r, "REQUEST_METHOD", "POST");
		if (list[i].text != NULL)
			var(&r, "CONTENT_LENGTH", list[i].text);
		request_ready(r.rq);
		assert_int_equal(r.rq->bad, list[i].bad);
		assert_int_equal(r.rq->bad_text != NULL, list[i].bad != WEFT_OK);
		assert_int_equal(r.rq->body.announced, list[i].announced);
		assert_int_equal(r.rq->body.state, i == 12 ? BODY_FAILED : i == 3 ? BODY_COMPLETE : BODY_OPEN);
		rig_fini(&r);
	}
}

static void
methods(void **state)
{
	static const char *const bad[] = { NULL, "", "G T", "GET\x01", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "caf\xc3\xa9" };
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rig_init(&r);
		if (bad[i] != NULL)
			var(&r, "REQUEST_METHOD", bad[i]);
		request_ready(r.rq);
		assert_int_equal(r.rq->bad, WEFT_BAD_INPUT);
		assert_string_equal(r.rq->method, "");
		rig_fini(&r);
	}
	rig_init(&r);
	var(&r, "REQUEST_METHOD", "FROB");
	request_ready(r.rq);
	assert_int_equal(r.rq->bad, WEFT_OK);
	assert_string_equal(r.rq->method, "FROB");
	assert_false(r.rq->response.no_body);
	rig_fini(&r);
	rig_init(&r);
	var(&r, "REQUEST_METHOD", "HEAD");
	request_ready(r.rq);
	assert_true(r.rq->response.no_body);
	rig_fini(&r);
}

static void
bytes_that_may_not_be_there(void **state)
{
	static const struct {
		struct span name, value;
		enum weft_rc bad;
	} list[] = {
		{ { "A=B", 3 }, { "x", 1 }, WEFT_BAD_INPUT }, { { "=", 1 }, { "", 0 }, WEFT_BAD_INPUT },
		{ { "A\0B", 3 }, { "x", 1 }, WEFT_BAD_INPUT }, { { "A", 1 }, { "12345678\0", 9 }, WEFT_BAD_INPUT },
		{ { "A", 1 }, { "a\nb", 3 }, WEFT_BAD_INPUT }, { { "A", 1 }, { "1234\r678", 8 }, WEFT_BAD_INPUT },
		{ { "A", 1 }, { "\t\x01\x0b\x0c\x0e tab\xff\x80", 11 }, WEFT_OK }, { { "LD_PRELOAD", 10 }, { "/x.so", 5 }, WEFT_OK },
	};
	struct rig r;
	char value[20];

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		rig_init(&r);
		var(&r, "REQUEST_METHOD", "GET");
		assert_int_equal(request_var_add(r.rq, list[i].name, list[i].value), WEFT_OK);
		request_ready(r.rq);
		assert_int_equal(r.rq->bad, list[i].bad);
		rig_fini(&r);
	}
	/* In every place of a value. */
	for (size_t at = 0; at < sizeof value; at++) {
		memset(value, 'x', sizeof value);
		value[at] = "\r\n\0"[at % 3];
		rig_init(&r);
		assert_int_equal(request_var_add(r.rq, SPAN("A"), (struct span){ value, sizeof value }), WEFT_OK);
		assert_int_equal(r.rq->bad, WEFT_BAD_INPUT);
		rig_fini(&r);
	}
	assert_null(getenv("LD_PRELOAD"));
}

/* As request_vars_take, of one pair in memory that ends with it. */
static enum weft_rc
take(struct rig *r, struct span name, struct span value)
{
	size_t len = fcgi_param_encode(NULL, 0, name, value);
	char *pair = malloc(len);
	enum weft_rc rc;

	fcgi_param_encode(pair, len, name, value);
	rc = request_vars_take(r->rq, (struct span){ pair, len });
	free(pair);
	return rc;
}

/* Of each length, each byte in each place: copied as it is, and found where it may not be. */
static void
check_taken(enum weft_rc (*add)(struct rig *r, struct span name, struct span value), struct span name, struct span value, bool is_bad)
{
	struct rig r;

	rig_init(&r);
	assert_int_equal(add(&r, name, value), WEFT_OK);
	assert_int_equal(r.rq->bad, is_bad ? WEFT_BAD_INPUT : WEFT_OK);
	assert_int_equal(r.rq->nvars, 1);
	assert_true(span_equal(request_var_name(&r.rq->var[0]), name));
	assert_true(span_equal(request_var_value(&r.rq->var[0]), value));
	assert_int_equal(request_var_value(&r.rq->var[0]).at[value.len], 0);
	rig_fini(&r);
}

static enum weft_rc
add_one(struct rig *r, struct span name, struct span value)
{
	return request_var_add(r->rq, name, value);
}

static void
every_byte_of_every_length(void **state)
{
	static const unsigned char bytes[] = { 0, 1, '\n', '\f', '\r', 14, ' ', '<', '=', '>', 0x7f, 0x80, 0x8a, 0x8d, 0xbd, 0xff };
	char text[50];

	(void)state;
	for (size_t len = 1; len <= sizeof text; len++) {
		for (size_t i = 0; i < len * sizeof bytes; i++) {
			unsigned char c = bytes[i / len];
			struct span s = { text, len };

			for (size_t k = 0; k < len; k++)
				text[k] = (char)('A' + k % 26);
			text[i % len] = (char)c;
			check_taken(take, SPAN("N"), s, c == 0 || c == '\r' || c == '\n');
			check_taken(take, s, SPAN("v"), c < ' ' || c == '=');
			check_taken(add_one, SPAN("N"), s, c == 0 || c == '\r' || c == '\n');
			check_taken(add_one, s, SPAN("v"), c < ' ' || c == '=');
		}
	}
}

/* Many pairs in one piece; each ends where it should, and a bad one is found among good ones. */
static void
pairs_in_one_piece(void **state)
{
	char block[8192], name[200], value[300];
	size_t len = 0;
	struct rig r;

	(void)state;
	memset(name, 'N', sizeof name);
	memset(value, 'v', sizeof value);
	for (size_t i = 0; i < 30; i++)
		len += fcgi_param_encode(block + len, sizeof block - len, (struct span){ name, i == 7 ? 0 : i * 6 + 1 }, (struct span){ value, i * 10 });
	rig_init(&r);
	assert_int_equal(request_vars_take(r.rq, (struct span){ block, len }), WEFT_OK);
	assert_int_equal(r.rq->bad, WEFT_OK);
	assert_int_equal(r.rq->nvars, 29);
	for (size_t i = 0; i < 29; i++) {
		size_t n = i < 7 ? i : i + 1;

		assert_int_equal(request_var_name(&r.rq->var[i]).len, n * 6 + 1);
		assert_int_equal(strlen(request_var_value(&r.rq->var[i]).at), n * 10);
	}
	assert_int_equal(request_vars_take(r.rq, SPAN("")), WEFT_OK);
	assert_int_equal(request_vars_take(r.rq, SPAN("\1\1A\n")), WEFT_OK);
	assert_int_equal(r.rq->bad, WEFT_BAD_INPUT);
	assert_int_equal(r.rq->nvars, 30);
	rig_fini(&r);
	for (size_t cut = 1; cut < 12; cut++) {
		rig_init(&r);
		assert_int_equal(request_vars_take(r.rq, (struct span){ "\1\1Ab\4\2NAMEvv", cut }), cut == 4 ? WEFT_OK : WEFT_INVALID);
		rig_fini(&r);
	}
}

static void
too_many_variables(void **state)
{
	struct rig r;
	char name[16], *large = malloc(REQUEST_VARS_BYTES_MAX);
	enum weft_rc rc = WEFT_OK;

	(void)state;
	rig_init(&r);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "N%d", i);
		rc = request_var_add(r.rq, span_str(name), SPAN("v"));
		assert_int_equal(rc, i < REQUEST_VARS_MAX ? WEFT_OK : WEFT_TOO_LARGE);
	}
	request_ready(r.rq);
	assert_int_equal(r.rq->bad, WEFT_TOO_LARGE);
	assert_string_equal(request_var(r.rq, SPAN("N1023")), "v");
	rig_fini(&r);

	memset(large, 'x', REQUEST_VARS_BYTES_MAX);
	rig_init(&r);
	assert_int_equal(request_var_add(r.rq, SPAN("A"), (struct span){ large, REQUEST_VARS_BYTES_MAX }), WEFT_TOO_LARGE);
	assert_int_equal(request_var_add(r.rq, SPAN("A"), (struct span){ large, REQUEST_VARS_BYTES_MAX - 1 }), WEFT_OK);
	assert_int_equal(request_var_add(r.rq, SPAN("B"), SPAN("")), WEFT_TOO_LARGE);
	assert_int_equal(r.rq->bad, WEFT_TOO_LARGE);
	rig_fini(&r);
	free(large);
}

static void
a_limit_of_fibers(void **state)
{
	struct fiber_conf conf = { .clock = rig_clock, .max = 1 };
	struct fiber_sched *s = fiber_sched_new(&conf);
	struct request_conf rc = { .fibers = s, .struct_size = sizeof(struct request) + 100, .room = 1 };
	struct request *one = request_new(&rc, &rig_ops, NULL);

	(void)state;
	assert_non_null(one);
	/* The outer struct is there and empty, however small the room. */
	assert_int_equal(((char *)one)[sizeof(struct request) + 99], 0);
	assert_null(request_new(&rc, &rig_ops, NULL));
	request_drop(&one);
	rig_end(s);
}

static enum weft_rc waited;

static void
wait_for_body(void *arg)
{
	struct request *rq = arg;
	struct span all;

	waited = body_all(&rq->body, &all, CLOCK_NEVER);
	response_finish(&rq->response);
	request_fini(rq);
}

static void
never_finishes(void *arg)
{
	struct request *rq = arg;

	(void)response_write(&rq->response, SPAN("x"));
	request_fini(rq);
}

static void
the_client_goes(void **state)
{
	struct rig r;

	(void)state;
	for (int way = 0; way < 3; way++) {
		rig_init(&r);
		var(&r, "REQUEST_METHOD", "POST");
		var(&r, "CONTENT_LENGTH", "5");
		request_ready(r.rq);
		request_start(r.rq, way < 2 ? wait_for_body : never_finishes);
		if (way == 0)
			fiber_sched_run(r.sched);
		if (way < 2)
			request_gone(r.rq);
		r.rq = NULL;
		fiber_sched_run(r.sched);
		if (way < 2)
			assert_int_equal(waited, WEFT_CANCELED);
		assert_int_equal(r.sink.aborts, way == 2);
		assert_int_equal(r.sink.sends, 0);
		rig_fini(&r);
	}
}

static void
write_much(void *arg)
{
	struct request *rq = arg;
	static char much[100000];

	waited = response_write(&rq->response, (struct span){ much, sizeof much });
	response_finish(&rq->response);
	request_fini(rq);
}

static void
the_deadline_and_the_writer(void **state)
{
	struct rig r;

	(void)state;
	for (int way = 0; way < 2; way++) {
		rig_init(&r);
		r.conf.timeout = 7000;
		r.sink.full_after = 1;
		var(&r, "REQUEST_METHOD", "GET");
		request_ready(r.rq);
		request_start(r.rq, write_much);
		fiber_sched_run(r.sched);
		if (way == 0) {
			rig_time += 7000;
		} else {
			r.sink.full_after = 0;
			request_wake_writer(r.rq);
		}
		r.rq = NULL;
		fiber_sched_run(r.sched);
		assert_int_equal(waited, way == 0 ? WEFT_TIMEOUT : WEFT_OK);
		assert_int_equal(r.sink.aborts, way == 0);
		rig_fini(&r);
	}
}

static void
the_timeline_is_kept(void **state)
{
	static struct timeline_ring ring;
	struct timeline_ring *rings[] = { &ring };
	struct timeline_record out[4];
	struct rig r;

	(void)state;
	rig_init(&r);
	r.conf.ring = &ring;
	var(&r, "REQUEST_METHOD", "POST");
	var(&r, "REQUEST_URI", "/a?secret");
	request_ready(r.rq);
	rig_time += 1000;
	request_start(r.rq, wait_for_body);
	fiber_sched_run(r.sched);
	assert_int_equal(timeline_collect(rings, 1, out, 4), 1);
	assert_int_equal(out[0].end, 0);
	rig_time += 5000;
	body_end(&r.rq->body);
	r.rq = NULL;
	fiber_sched_run(r.sched);
	assert_int_equal(timeline_collect(rings, 1, out, 4), 1);
	assert_string_equal(out[0].what, "POST /a");
	assert_int_equal(out[0].status, 200);
	assert_int_equal(out[0].end - out[0].begin, 6000);
	assert_int_equal(out[0].nsegments, 1);
	assert_int_equal(out[0].segment[0].why, WAIT_CLIENT);
	assert_int_equal(out[0].segment[0].from, 1000);
	assert_int_equal(out[0].segment[0].until, 6000);
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_usual_request_costs_no_malloc),
		cmocka_unit_test(variables_and_headers),
		cmocka_unit_test(no_variables),
		cmocka_unit_test(an_authorizer_has_no_body),
		cmocka_unit_test(paths),
		cmocka_unit_test(lengths_of_the_body),
		cmocka_unit_test(methods),
		cmocka_unit_test(bytes_that_may_not_be_there),
		cmocka_unit_test(every_byte_of_every_length),
		cmocka_unit_test(pairs_in_one_piece),
		cmocka_unit_test(too_many_variables),
		cmocka_unit_test(a_limit_of_fibers),
		cmocka_unit_test(the_client_goes),
		cmocka_unit_test(the_deadline_and_the_writer),
		cmocka_unit_test(the_timeline_is_kept),
	};

	log_open(-1, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
