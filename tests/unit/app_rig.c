/* SPDX-License-Identifier: ISC */
#include "tests/unit/app_rig.h"

#include <stdio.h>
#include <stdlib.h>

static usec rig_time = 1000 * USEC_PER_SEC;

static usec
rig_clock(void)
{
	return rig_time;
}

void
rig_skip(usec length)
{
	rig_time += length;
}

int
rig_setup(void **state)
{
	struct fiber_conf conf = { .clock = rig_clock };
	struct rig *r = calloc(1, sizeof *r);

	*state = r;
	if (r == NULL)
		return -1;
	r->loop = loop_new(&conf);
	return r->loop == NULL ? -1 : app_init(&r->app, r->loop);
}

int
rig_teardown(void **state)
{
	struct rig *r = *state;

	rig_settle(r);
	if (fiber_sched_alive(loop_fibers(r->loop)) != 0) {
		print_error("%u fibers are left\n", fiber_sched_alive(loop_fibers(r->loop)));
		return -1;
	}
	app_fini(&r->app);
	loop_free(&r->loop);
	free(r);
	return 0;
}

void
rig_route(struct rig *r, const char *method, const char *path, weft_handler *fn)
{
	const struct weft_route route = { method, path, fn, 0, 0 };

	if (app_add_route(&r->app, NULL, "", &route, r->error, sizeof r->error) != 0)
		fail_msg("%s", r->error);
}

void
rig_settle(struct rig *r)
{
	for (int i = 0; i < 5; i++)
		loop_turn(r->loop, 0);
}

void
rig_finish(struct rig *r, struct answer *a)
{
	usec end = clock_now() + 10 * USEC_PER_SEC;

	while (!a->is_done && !a->is_aborted && clock_now() < end)
		loop_turn(r->loop, 5 * USEC_PER_MSEC);
	assert_true(a->is_done || a->is_aborted);
	rig_settle(r);
}

/* ---- the sink ---- */

static enum weft_rc
answer_send(void *sink, struct span head, struct span body, enum sink_more more)
{
	struct answer *a = sink;

	assert_false(a->is_done || a->is_aborted);
	a->sends++;
	assert_int_equal(buf_add(&a->out, head), WEFT_OK);
	assert_int_equal(buf_add(&a->out, body), WEFT_OK);
	if (more == SINK_LAST) {
		a->is_done = true;
		a->rq = NULL;
	}
	return WEFT_OK;
}

static bool
answer_is_full(void *sink)
{
	return ((struct answer *)sink)->is_full;
}

static void
answer_log(void *sink, struct span bytes)
{
	assert_int_equal(buf_add(&((struct answer *)sink)->err, bytes), WEFT_OK);
}

static void
answer_flush(void *sink)
{
	((struct answer *)sink)->flushes++;
}

static void
answer_abort(void *sink)
{
	struct answer *a = sink;

	assert_false(a->is_done || a->is_aborted);
	a->is_aborted = true;
	a->rq = NULL;
}

static const struct sink_ops answer_ops = { answer_send, answer_is_full, answer_log, answer_flush, answer_abort };

/* ---- the front ---- */

struct request *
rig_new(struct rig *r, struct answer *a, const char *method, const char *uri, ...)
{
	const char *query = strchr(uri, '?'), *name;
	va_list ap;

	memset(a, 0, sizeof *a);
	buf_init(&a->out, 16 << 20);
	buf_init(&a->err, 1 << 20);
	a->rq = request_new(&r->app.front.request, &answer_ops, a);
	assert_non_null(a->rq);
	(void)request_var_add(a->rq, SPAN("REQUEST_METHOD"), span_str(method));
	(void)request_var_add(a->rq, SPAN("REQUEST_URI"), span_str(uri));
	(void)request_var_add(a->rq, SPAN("QUERY_STRING"), span_str(query == NULL ? "" : query + 1));
	va_start(ap, uri);
	while ((name = va_arg(ap, const char *)) != NULL)
		(void)request_var_add(a->rq, span_str(name), span_str(va_arg(ap, const char *)));
	va_end(ap);
	return a->rq;
}

void
rig_start(struct rig *r, struct answer *a)
{
	request_ready(a->rq);
	r->app.front.start(r->app.front.arg, a->rq);
	rig_settle(r);
}

void
rig_gone(struct rig *r, struct answer *a)
{
	assert_non_null(a->rq);
	request_gone(a->rq);
	a->rq = NULL;
	rig_settle(r);
}

void
rig_get(struct rig *r, struct answer *a, const char *uri)
{
	rig_new(r, a, "GET", uri, "CONTENT_LENGTH", "0", NULL);
	rig_start(r, a);
	rig_finish(r, a);
}

/* ---- the answer ---- */

void
answer_free(struct answer *a)
{
	buf_fini(&a->out);
	buf_fini(&a->err);
}

const char *
answer_text(struct answer *a)
{
	char *end = buf_reserve(&a->out, 1);

	assert_non_null(end);
	*end = '\0';
	return a->out.at;
}

const char *
answer_body(struct answer *a)
{
	const char *end = strstr(answer_text(a), "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

int
answer_status(struct answer *a)
{
	return strncmp(answer_text(a), "Status: ", 8) == 0 ? atoi(answer_text(a) + 8) : 0;
}

void
answer_is(struct answer *a, int status, const char *body)
{
	assert_true(a->is_done);
	assert_string_equal(answer_body(a), body);
	assert_int_equal(answer_status(a), status);
}

void
rig_expect(struct rig *r, const char *uri, int status, const char *body)
{
	struct answer a;

	rig_get(r, &a, uri);
	answer_is(&a, status, body);
	answer_free(&a);
}
