/* SPDX-License-Identifier: ISC */
/*
 * Gates that come and go, handed on to the workers; and warming: requests
 * with a token are held until there are as many gates as somebody wants.
 */
#include "server/master_own.h"

#include <stdio.h>
#include <sys/random.h>

#include "loop/loop.h"
#include "server/link.h"

#define MASTER_WARM_MAX (60 * USEC_PER_SEC)

/* The held requests are answered; whoever asked for the warming is told how many gates there are. */
static void
master_warm_end(struct master *m)
{
	struct control_conn *c = m->warm_conn;
	unsigned n = gates_count(m->gates);

	m->warm_conn = NULL;
	timer_set(m->warm_timer, CLOCK_NEVER);
	if (m->serving != NULL)
		generation_send(m->serving, &(struct link_message){ .what = LINK_WARM_END, .fd = -1 });
	if (c == NULL)
		return;
	control_on_close(c, NULL, NULL);
	master_answer(c, "%s gates=%u\n", n >= m->warm_want ? "ok" : "error", n);
}

void
master_on_warm_timer(void *arg)
{
	master_warm_end(arg);
}

static void
master_on_warm_close(void *arg)
{
	struct master *m = arg;

	m->warm_conn = NULL;
	master_warm_end(m);
}

static void
master_on_gate(void *arg, uint32_t id, int fd)
{
	struct master *m = arg;
	struct generation *g;

	TAILQ_FOREACH (g, &m->generations, link)
		if (g->state != GENERATION_DRAINING)
			generation_send(g, &(struct link_message){ .what = LINK_LISTEN, .id = id, .fd = fd });
	if (m->warm_conn != NULL && gates_count(m->gates) >= m->warm_want)
		master_warm_end(m);
}

static void
master_on_gate_end(void *arg, uint32_t id)
{
	struct master *m = arg;
	struct generation *g;

	TAILQ_FOREACH (g, &m->generations, link)
		generation_send(g, &(struct link_message){ .what = LINK_UNLISTEN, .id = id, .fd = -1 });
}

const struct gates_ops master_gates_ops = { master_on_gate, master_on_gate_end };

/* Returns 0, or -1 when the system has no random numbers. */
static int
master_warm_token(char *out, size_t size)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -1;
	for (size_t i = 0; i < sizeof bytes && 2 * i + 3 <= size; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

void
master_warm(struct master *m, struct control_conn *c, unsigned want)
{
	char token[33], line[64];

	if (master_warm_token(token, sizeof token) != 0) {
		master_answer(c, "error no random numbers\n");
		return;
	}
	m->warm_conn = c;
	m->warm_want = want;
	control_on_close(c, master_on_warm_close, m);
	generation_send(m->serving,
	    &(struct link_message){ .what = LINK_WARM, .number = MASTER_WARM_MAX, .text = token, .fd = -1 });
	timer_set(m->warm_timer, loop_now(m->loop) + MASTER_WARM_MAX);
	snprintf(line, sizeof line, "%s\n", token);
	control_reply(c, span_str(line));
	if (gates_count(m->gates) >= want)
		master_warm_end(m);
}
