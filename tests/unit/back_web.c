/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_web.h"

#include <strings.h>

struct web web;

/* ---- the server ---- */

static const char *
web_find_header(const char *head, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = strchr(head, '\n'); line != NULL; line = strchr(line, '\n')) {
		line++;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			const char *value = line + len + 1 + strspn(line + len + 1, " ");

			snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
			return out;
		}
	}
	return NULL;
}

const char *
web_header(const char *name)
{
	static char value[4096];

	return web_find_header(web.last.head, name, value, sizeof value);
}

static void
web_hear(struct liar_peer *p)
{
	while (p->fd >= 0) {
		struct web_request *rq = &web.last;
		char *end = p->in.len == 0 ? NULL : memmem(p->in.at, p->in.len, "\r\n\r\n", 4), length[32];
		size_t head;

		if (end == NULL)
			return;
		head = (size_t)(end - p->in.at) + 4;
		must(head < sizeof rq->head);
		memset(rq, 0, sizeof *rq);
		rq->peer = p;
		memcpy(rq->head, p->in.at, head);
		must(sscanf(rq->head, "%31s %8499s", rq->method, rq->target) == 2);
		if (web_find_header(rq->head, "Content-Length", length, sizeof length) != NULL)
			rq->body_len = (size_t)atol(length);
		if (p->in.len < head + rq->body_len)
			return;
		memcpy(rq->body, end + 4, rq->body_len < sizeof rq->body ? rq->body_len : sizeof rq->body - 1);
		buf_consume(&p->in, head + rq->body_len);
		web.requests++;
		web.connections += !p->flag;
		p->flag = true;
		web.answer(rq);
	}
}

void
web_say(const struct web_request *rq, const char *status, const char *more, struct span body)
{
	char head[8192];

	snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, body.len, more);
	liar_say(rq->peer, span_str(head));
	liar_say(rq->peer, body);
}

void
web_echo(const struct web_request *rq)
{
	web_say(rq, "200 OK", "Content-Type: text/plain\r\n", strcmp(rq->method, "HEAD") == 0 ? SPAN("") : span_str(rq->target));
}

void
web_silence(const struct web_request *rq)
{
	(void)rq;
}

void
web_hang_up(const struct web_request *rq)
{
	liar_hang_up(rq->peer);
}

void
web_listen(void (*answer)(const struct web_request *rq))
{
	web.answer = answer;
	web.port = liar_open_port(&web.server, web.loop, web.port, web_hear);
}

void
web_close(void)
{
	if (web.server.watch != NULL)
		liar_close(&web.server);
}

int
web_begin(void **state)
{
	(void)state;
	memset(&web, 0, sizeof web);
	web.loop = back_loop();
	web_listen(web_echo);
	return 0;
}

int
web_end(void **state)
{
	(void)state;
	pool_close(&web.pool);
	web_close();
	back_run(web.loop);
	if (fiber_sched_alive(loop_fibers(web.loop)) != 0)
		return -1;
	loop_free(&web.loop);
	return 0;
}

/* ---- asking ---- */

void
web_pool(struct pool_conf conf)
{
	char error[200] = "", url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u", web.port);
	conf.name = "stock";
	if (conf.url == NULL)
		conf.url = url;
	pool_close(&web.pool);
	web.pool = pool_open(web.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
	if (conf.min > 0)
		assert_true(back_run_until(web.loop, web_is_open, NULL, SOON));
}

struct http_ask *
web_ask(struct ask *a, const char *method, const char *target)
{
	struct http_ask *ask;

	ask_init(a, web.pool, CALL_HTTP);
	ask = arena_zalloc(&a->arena, sizeof *ask);
	must(ask != NULL);
	ask->method = method;
	ask->target = target;
	a->call.ask = ask;
	return ask;
}

void
web_start(struct ask *a)
{
	ask_start(a, web.loop);
}

enum weft_rc
web_await(struct ask *a)
{
	assert_true(back_run_until(web.loop, ask_is_done, a, SOON));
	return a->rc;
}

void
web_expect(const char *target, int status, const char *body)
{
	struct ask a;

	web_ask(&a, "GET", target);
	web_start(&a);
	if (web_await(&a) != WEFT_OK)
		fail_msg("%s: %s", target, a.fault.text);
	assert_int_equal(a.call.http->status, status);
	assert_string_equal(a.call.http->body.at, body);
	assert_int_equal(a.call.http->body.len, strlen(body));
	ask_fini(&a);
}

void
web_fails(struct ask *a, const char *method, const char *target, enum weft_rc rc, const char *word)
{
	web_ask(a, method, target);
	web_start(a);
	if (web_await(a) != rc || strstr(a->fault.text, word) == NULL)
		fail_msg("%s %s ends with %d: %s", method, target, (int)a->rc, a->fault.text);
}

struct pool_stat
web_stat(void)
{
	struct pool_stat s;

	pool_stat(web.pool, &s);
	return s;
}

bool
web_is_down(void *unused)
{
	(void)unused;
	return web_stat().down;
}

bool
web_is_open(void *unused)
{
	(void)unused;
	return web_stat().open > 0;
}

static bool
web_has_requests(void *n)
{
	return web.requests >= *(unsigned *)n;
}

void
web_run_until_requests(unsigned n)
{
	assert_true(back_run_until(web.loop, web_has_requests, &n, SOON));
}

/* ---- a stream ---- */

static void
reading_read(struct reading *r)
{
	static char piece[HTTP_STREAM_ROOM];
	struct http_stream *s = r->ask.call.http->stream;
	size_t got;

	for (;;) {
		while (r->bytes >= r->stop_at && !r->go_on)
			must(fiber_wait(WAIT_SLEEP, CLOCK_NEVER) == WEFT_OK);
		r->go_on = false;
		if (r->closes)
			break;
		r->rc = http_stream_read(s, piece, r->piece, &got);
		if (r->rc != WEFT_OK || got == 0)
			break;
		for (size_t i = 0; i < got; i++)
			if (r->bytes + i < sizeof r->text - 1)
				r->text[r->bytes + i] = piece[i];
		r->bytes += got;
	}
	http_stream_close(s);
}

static void
reading_run(void *arg)
{
	struct reading *r = arg;

	pool_submit(web.pool, &r->ask.call);
	r->rc = call_wait(&r->ask.call, CLOCK_NEVER);
	if (r->rc == WEFT_OK) {
		r->is_open = true;
		reading_read(r);
	}
	r->is_done = true;
}

void
reading_start(struct reading *r, const char *target)
{
	memset(r, 0, sizeof *r);
	web_ask(&r->ask, "GET", target)->wants_stream = true;
	r->piece = 1000;
	r->stop_at = SIZE_MAX;
	r->fiber = fiber_new(loop_fibers(web.loop), 0);
	must(r->fiber != NULL);
	fiber_start(r->fiber, reading_run, r);
}

void
reading_go_on(struct reading *r, size_t stop_at)
{
	r->stop_at = stop_at;
	r->go_on = true;
	fiber_wake(r->fiber);
}

bool
reading_is_done(void *r)
{
	return ((struct reading *)r)->is_done;
}

bool
reading_is_open(void *r)
{
	return ((struct reading *)r)->is_open;
}

void
reading_fini(struct reading *r)
{
	ask_fini(&r->ask);
}
