/* SPDX-License-Identifier: ISC */
/*
 * The life of a request.  Struct and first block of the arena are the fiber's
 * room; what a request needs beyond it comes from malloc and goes with
 * request_fini.  The variables are in request_vars.c, what is read out of them
 * in request_ready.c.
 */
#include "request/request_own.h"

#include <string.h>

#include "base/must.h"

#define REQUEST_ALIGN _Alignof(max_align_t)

static size_t
request_conf_room(const struct request_conf *conf)
{
	return conf->room != 0 ? conf->room : REQUEST_ROOM;
}

static size_t
request_conf_arena_max(const struct request_conf *conf)
{
	return conf->arena_max != 0 ? conf->arena_max : (size_t)64 << 20;
}

unsigned long long
request_conf_body_max(const struct request_conf *conf)
{
	return conf->body_max != 0 ? conf->body_max : 16ULL << 20;
}

size_t
request_conf_body_memory(const struct request_conf *conf)
{
	return conf->body_memory != 0 ? conf->body_memory : 65536;
}

usec
request_conf_timeout(const struct request_conf *conf)
{
	return conf->timeout != 0 ? conf->timeout : 60 * USEC_PER_SEC;
}

struct request *
request_new(const struct request_conf *conf, const struct sink_ops *ops, void *sink)
{
	size_t size = conf->struct_size == 0 ? sizeof(struct request) : conf->struct_size;
	size_t room = request_conf_room(conf);
	struct fiber *f;
	struct request *rq;

	must(size >= sizeof *rq);
	size = (size + REQUEST_ALIGN - 1) & ~(REQUEST_ALIGN - 1);
	if (room < size)
		room = size;
	f = fiber_new(conf->fibers, room);
	if (f == NULL)
		return NULL;
	rq = fiber_room(f);
	memset(rq, 0, sizeof *rq);
	rq->fiber = f;
	rq->conf = conf;
	rq->begin = fiber_sched_lately(conf->fibers);
	rq->method = "";
	rq->path = SPAN("/");
	arena_init(&rq->arena, (char *)rq + size, room - size, request_conf_arena_max(conf));
	response_init(&rq->response, &rq->arena, ops, sink, false);
	body_none(&rq->body);
	return rq;
}

void
request_fini(struct request *rq)
{
	struct response *rs = &rq->response;

	if (rs->state != RESPONSE_DONE)
		response_abort(rs);
	fiber_set_trace(rq->fiber, NULL, NULL);
	fiber_set_label(rq->fiber, NULL);
	timeline_end(&rq->timeline, rs->was_aborted ? 0 : (unsigned)rs->status, fiber_sched_now(fiber_sched(rq->fiber)));
	body_fini(&rq->body);
	arena_fini(&rq->arena);
}

void
request_drop(struct request **rp)
{
	struct request *rq = *rp;
	struct fiber *f = rq->fiber;

	*rp = NULL;
	response_detach(&rq->response);
	rq->response.state = RESPONSE_DONE;
	request_fini(rq);
	fiber_drop(&f);
}

void
request_start(struct request *rq, void (*fn)(void *rq))
{
	fiber_start(rq->fiber, fn, rq);
}

void
request_gone(struct request *rq)
{
	response_detach(&rq->response);
	body_fail(&rq->body, WEFT_CANCELED);
	fiber_cancel(rq->fiber);
}

void
request_wake_writer(struct request *rq)
{
	response_wake(&rq->response);
}
