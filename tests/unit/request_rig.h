/* SPDX-License-Identifier: ISC */
#ifndef TEST_REQUEST_RIG_H
#define TEST_REQUEST_RIG_H

/*
 * What the tests of the request layer share: cmocka, a scheduler on a clock
 * that stands still until the test moves it, and a sink that records.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "request/request.h"

static usec rig_time = 1000000;

static inline usec
rig_clock(void)
{
	return rig_time;
}

static inline struct fiber_sched *
rig_sched(void)
{
	struct fiber_conf conf = { .clock = rig_clock };
	struct fiber_sched *s = fiber_sched_new(&conf);

	assert_non_null(s);
	return s;
}

/* Run fn(arg) on a fiber until nothing is ready; the fiber may still wait then. */
static inline struct fiber *
rig_run(struct fiber_sched *s, void (*fn)(void *), void *arg)
{
	struct fiber *f = fiber_new(s, 0);

	assert_non_null(f);
	fiber_start(f, fn, arg);
	fiber_sched_run(s);
	return f;
}

/* All fibers must have ended. */
static inline void
rig_end(struct fiber_sched *s)
{
	assert_int_equal(fiber_sched_alive(s), 0);
	fiber_sched_free(&s);
}

struct rig_sink {
	struct buf bytes;
	unsigned sends, heads, lasts, aborts, flushes;
	size_t largest;			/* piece of a body */
	unsigned full_after;		/* is_full from so many sends on; 0: never */
	unsigned refuse_after;		/* WEFT_CANCELED from so many sends on; 0: never */
};

static inline enum weft_rc
rig_sink_send(void *sink, struct span head, struct span body, enum sink_more more)
{
	struct rig_sink *s = sink;

	assert_int_equal(s->lasts + s->aborts, 0);
	if (s->refuse_after != 0 && s->sends >= s->refuse_after)
		return WEFT_CANCELED;
	s->sends++;
	s->heads += head.len > 0;
	s->lasts += more == SINK_LAST;
	s->largest = body.len > s->largest ? body.len : s->largest;
	assert_int_equal(buf_add(&s->bytes, head), WEFT_OK);
	assert_int_equal(buf_add(&s->bytes, body), WEFT_OK);
	return WEFT_OK;
}

static inline bool
rig_sink_is_full(void *sink)
{
	struct rig_sink *s = sink;

	return s->full_after != 0 && s->sends >= s->full_after;
}

static inline void
rig_sink_log(void *sink, struct span bytes)
{
	struct rig_sink *s = sink;

	/* Shown in its place among what was sent. */
	buf_printf(&s->bytes, "[log %.*s]", (int)bytes.len, bytes.at);
}

static inline void
rig_sink_flush(void *sink)
{
	((struct rig_sink *)sink)->flushes++;
}

static inline void
rig_sink_abort(void *sink)
{
	((struct rig_sink *)sink)->aborts++;
}

static const struct sink_ops rig_ops = {
	rig_sink_send, rig_sink_is_full, rig_sink_log, rig_sink_flush, rig_sink_abort,
};

static inline void
rig_sink_init(struct rig_sink *s)
{
	*s = (struct rig_sink){ .sends = 0 };
	buf_init(&s->bytes, (size_t)64 << 20);
}

/* What was sent, as a string. */
static inline const char *
rig_sink_text(struct rig_sink *s)
{
	char *end = buf_reserve(&s->bytes, 1);

	assert_non_null(end);
	*end = '\0';
	return s->bytes.at;
}

#endif
