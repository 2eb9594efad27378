/* SPDX-License-Identifier: ISC */
#include "server/gates.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "loop/listen.h"
#include "server/control.h"

enum { GATES_MAX = 4096 };

struct gate {
	struct gates *gates;
	uint32_t id;
	int fd;
	LIST_ENTRY(gate) link;
};

struct gates {
	const struct gates_ops *ops;
	void *arg;
	uint32_t last;
	unsigned count;
	LIST_HEAD(, gate) all;
};

struct gates *
gates_new(const struct gates_ops *ops, void *arg)
{
	struct gates *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->ops = ops;
	g->arg = arg;
	LIST_INIT(&g->all);
	return g;
}

static void
gate_free(struct gate *gate)
{
	LIST_REMOVE(gate, link);
	gate->gates->count--;
	close(gate->fd);
	free(gate);
}

void
gates_free(struct gates **gp)
{
	struct gate *gate;

	if (*gp == NULL)
		return;
	while ((gate = LIST_FIRST(&(*gp)->all)) != NULL)
		gate_free(gate);
	free(*gp);
	*gp = NULL;
}

/* The gate's control connection is closed: the gate is gone, and its web server asks nothing of it any more. */
static void
gate_on_close(void *arg)
{
	struct gate *gate = arg;

	gate->gates->ops->removed(gate->gates->arg, gate->id);
	gate_free(gate);
}

int
gates_add(struct gates *g, struct control_conn *c, int fd)
{
	struct gate *gate = NULL;

	if (fd >= 0 && listen_is_listening(fd) && g->count < GATES_MAX)
		gate = calloc(1, sizeof *gate);
	if (gate == NULL) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (++g->last == 0)	/* 0 names the inherited sockets */
		g->last = 1;
	*gate = (struct gate){ .gates = g, .id = g->last, .fd = fd };
	LIST_INSERT_HEAD(&g->all, gate, link);
	g->count++;
	control_on_close(c, gate_on_close, gate);
	g->ops->added(g->arg, gate->id, fd);
	return 0;
}

unsigned
gates_count(const struct gates *g)
{
	return g->count;
}

void
gates_each(const struct gates *g, void (*fn)(void *arg, uint32_t id, int fd), void *arg)
{
	struct gate *gate;

	LIST_FOREACH (gate, &g->all, link)
		fn(arg, gate->id, gate->fd);
}
