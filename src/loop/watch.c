/* SPDX-License-Identifier: ISC */
/*
 * Descriptors in the loop, for callbacks (watch) and for fibers (loop_wait_fd).
 *
 * Changes go to the kernel at once and not through libevent's changelist: the
 * list would remove a descriptor only at the next poll, after it was closed
 * here; if a forked child or the receiver of a passed descriptor still has it open, the
 * kernel would go on reporting it, to whoever has the number by then.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "loop/loop_inside.h"

static void
watch_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	struct loop *l = w->loop;

	w->fn(w->arg, WATCH_READ);
	loop_after_callback(l);
}

static void
watch_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	struct loop *l = w->loop;

	w->fn(w->arg, WATCH_WRITE);
	loop_after_callback(l);
}

void
watch_init(struct watch *w, struct loop *l, int fd, watch_fn *fn, void *arg)
{
	w->writer = NULL;
	w->loop = l;
	w->wanted = 0;
	w->fn = fn;
	w->arg = arg;
	must(event_assign(&w->reader, l->base, fd, EV_READ | EV_PERSIST, watch_on_read, w) == 0);
}

void
watch_fini(struct watch *w)
{
	watch_want(w, 0);
}

struct watch *
watch_new(struct loop *l, int fd, watch_fn *fn, void *arg)
{
	struct watch *w = malloc(sizeof *w);

	if (w != NULL)
		watch_init(w, l, fd, fn, arg);
	return w;
}

void
watch_free(struct watch **wp)
{
	struct watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	watch_fini(w);
	free(w);
}

static int
watch_begin_write(struct watch *w)
{
	w->writer = event_new(w->loop->base, event_get_fd(&w->reader), EV_WRITE | EV_PERSIST, watch_on_write, w);
	if (w->writer == NULL)
		return -1;
	if (event_add(w->writer, NULL) == 0)
		return 0;
	event_free(w->writer);
	w->writer = NULL;
	return -1;
}

static void
watch_end_write(struct watch *w)
{
	event_free(w->writer);
	w->writer = NULL;
}

int
watch_want(struct watch *w, int what)
{
	int more = what & ~w->wanted, less = w->wanted & ~what;

	/* What is new first: the descriptor then stays in the epoll set all the time. */
	if ((more & WATCH_READ) && event_add(&w->reader, NULL) != 0)
		return -1;
	w->wanted |= more & WATCH_READ;
	if ((more & WATCH_WRITE) && watch_begin_write(w) != 0)
		return -1;
	w->wanted |= more & WATCH_WRITE;
	if (less & WATCH_READ)
		event_del(&w->reader);
	if (less & WATCH_WRITE)
		watch_end_write(w);
	w->wanted = what;
	return 0;
}

/* A fiber that waits for a descriptor; on its stack. */
struct watch_waiter {
	struct fiber *fiber;
	bool ready;
};

static void
watch_on_waiter(void *arg, int what)
{
	struct watch_waiter *me = arg;

	me->ready = true;
	fiber_wake(me->fiber);
}

enum weft_rc
loop_wait_fd(struct loop *l, int fd, int what, enum wait_why why, usec deadline)
{
	struct watch_waiter me = { .fiber = fiber_self() };
	enum weft_rc rc = WEFT_OK;
	struct watch w;

	watch_init(&w, l, fd, watch_on_waiter, &me);
	if (watch_want(&w, what) != 0)
		rc = WEFT_SYSTEM;
	while (!me.ready && rc == WEFT_OK)
		rc = fiber_wait(why, deadline);
	watch_fini(&w);
	return me.ready ? WEFT_OK : rc;
}
