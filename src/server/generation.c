/* SPDX-License-Identifier: ISC */
#include "server/generation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "server/share.h"
#include "server/worker.h"

#define SEAT_BACKOFF_MIN (100 * USEC_PER_MSEC)
#define SEAT_BACKOFF_MAX (30 * USEC_PER_SEC)
#define SEAT_STEADY      (2 * USEC_PER_SEC)	/* who lived so long may be replaced at once */
#define GENERATION_START_MAX (60 * USEC_PER_SEC)

_Static_assert((int)SHARE_WORKERS_MAX >= (int)CONFIG_WORKERS_MAX, "each worker has a place");

static void seat_start(struct seat *s);

/* ---- permits for connections ---- */

static void
seat_tell_of_permits(struct quota_part *part, uint32_t what, unsigned n)
{
	struct seat *s = part->arg;

	if (s->link != NULL)
		link_send(s->link, &(struct link_message){ .what = what, .id = (uint32_t)(part - s->part), .number = n, .fd = -1 });
}

static void
seat_on_grant(struct quota_part *part, unsigned n)
{
	seat_tell_of_permits(part, LINK_GRANT, n);
}

static void
seat_on_recall(struct quota_part *part, unsigned n)
{
	seat_tell_of_permits(part, LINK_RECALL, n);
}

static void
seat_on_spare(struct quota_part *part, unsigned n)
{
	seat_tell_of_permits(part, LINK_SPARE, n);
}

static void
seat_on_cede(struct quota_part *part, unsigned n)
{
	seat_tell_of_permits(part, LINK_CEDE, n);
}

const struct quota_ops generation_quota_ops = { seat_on_grant, seat_on_recall, seat_on_spare, seat_on_cede };

static void
seat_begin_parts(struct seat *s)
{
	const struct generation *g = s->generation;

	for (size_t i = 0; i < g->config->npools; i++)
		quota_begin(&s->part[i], g->pool[i], config_share(g->config->pool[i].conf.max, g->nseats, s->number), s);
}

static void
seat_end_parts(struct seat *s)
{
	for (size_t i = 0; i < s->generation->config->npools; i++)
		quota_end(&s->part[i]);
}

static void
seat_drain_parts(struct seat *s)
{
	for (size_t i = 0; i < s->generation->config->npools; i++)
		quota_drain(&s->part[i]);
}

/* What a worker says of its permits: how many more it wants, or gives back. */
static void
seat_on_permits(struct seat *s, const struct link_message *m)
{
	if (m->id >= s->generation->config->npools || m->number < 0 || m->number > UINT32_MAX)
		log_warn("permits of no pool from worker %u id=%u", s->number + 1, m->id);
	else if (m->what == LINK_WANT)
		quota_want(&s->part[m->id], (unsigned)m->number);
	else
		quota_give(&s->part[m->id], (unsigned)m->number);
}

/* ---- one worker ---- */

/* In the child: keep what a worker needs, and nothing of the master's: neither its
 * control connections, whose end tells gates that the master is gone, nor the links of the other workers. */
static void
seat_close_others(const struct generation *g, int sock)
{
	int keep[CONFIG_LISTEN_MAX + 2 + 2 * CONFIG_WORKERS_MAX], n = 0;
	unsigned from = 3;

	for (size_t i = 0; i < g->nlistens; i++)
		keep[n++] = g->listen_fd[i];
	keep[n++] = sock;
	if (g->share != NULL)
		n += (int)share_fds(g->share, keep + n);
	for (;;) {
		unsigned next = ~0U;

		for (int i = 0; i < n; i++)
			if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next == ~0U)
			break;
		if (next > from)
			close_range(from, next - 1, 0);
		from = next + 1;
	}
	close_range(from, ~0U, 0);
}

/* Runs in the child. */
static int
seat_run(void *arg, int sock)
{
	struct seat *s = arg;
	struct generation *g = s->generation;
	unsigned granted[APP_POOLS_MAX];
	struct worker_start start = {
		.config = g->config,
		.number = s->number,
		.listen_fd = g->listen_fd,
		.nlistens = g->nlistens,
		.ring = g->ring,
		.nrings = g->nrings,
		.own_ring = s->ring,
		.share = g->share,
		.granted = granted,
	};

	for (size_t i = 0; i < g->config->npools && i < APP_POOLS_MAX; i++)
		granted[i] = s->part[i].held;
	seat_close_others(g, sock);
	return worker_run(&start, sock);
}

static void
generation_check_serving(struct generation *g)
{
	if (g->state != GENERATION_STARTING)
		return;
	for (unsigned i = 0; i < g->nseats; i++)
		if (!g->seat[i].ready)
			return;
	g->state = GENERATION_SERVING;
	timer_set(g->patience, CLOCK_NEVER);
	g->ops->serving(g->arg, g);
}

static void
seat_on_message(void *arg, struct link_message *m)
{
	struct seat *s = arg;
	struct generation *g = s->generation;

	if (m->fd >= 0)
		close(m->fd);
	switch (m->what) {
	case LINK_READY:
		s->ready = true;
		g->ops->ready(g->arg, s);
		if (g->state == GENERATION_DRAINING)
			link_send(s->link, &(struct link_message){ .what = LINK_DRAIN, .fd = -1 });
		generation_check_serving(g);
		break;
	case LINK_REFUSED:
		log_error("worker %u cannot serve: %s", s->number + 1, m->text);
		if (g->state == GENERATION_STARTING)
			g->ops->refused(g->arg, g, m->text);
		break;
	case LINK_DRAIN:
		seat_drain_parts(s);
		break;
	case LINK_STATUS_IS:
		g->ops->status(g->arg, m->id, m->text);
		break;
	case LINK_WANT:
	case LINK_GIVE:
		seat_on_permits(s, m);
		break;
	default:
		log_warn("unknown message from worker %u what=%u", s->number + 1, m->what);
	}
}

/* The process's end is reported by child_fork's callback; here only the talking ends. */
static void
seat_on_link_end(void *arg)
{
	struct seat *s = arg;

	link_free(&s->link);
	s->ready = false;
}

static void
seat_on_restart(void *arg)
{
	struct seat *s = arg;

	if (s->generation->state != GENERATION_DRAINING && s->child == NULL)
		seat_start(s);
}

static void
seat_on_end(void *arg, struct child *child, int status)
{
	struct seat *s = arg;
	struct generation *g = s->generation;
	usec now = loop_now(g->loop);
	char how[128], why[192];

	must(s->child == child);
	/* Its last words may still be there to read; they say more than its status. */
	while (s->link != NULL && link_take(s->link))
		continue;
	child_status_text(status, how, sizeof how);
	if (g->state == GENERATION_DRAINING && status == 0)
		log_info("worker %u ended pid=%d", s->number + 1, (int)child_pid(child));
	else
		log_error("worker %u ended pid=%d %s", s->number + 1, (int)child_pid(child), how);
	link_free(&s->link);
	seat_end_parts(s);
	s->child = NULL;
	s->ready = false;
	if (g->share != NULL)
		share_vacate(g->share, s->number);
	if (g->state == GENERATION_DRAINING) {
		if (generation_alive(g) == 0)
			g->ops->ended(g->arg, g);
		return;
	}
	/* Whatever its status: a module may have called exit(0). */
	if (g->state == GENERATION_STARTING) {
		snprintf(why, sizeof why, "worker %u ended while it started: %s", s->number + 1, how);
		g->ops->refused(g->arg, g, why);
		return;
	}
	if (now - s->born >= SEAT_STEADY) {
		s->backoff = 0;
		seat_start(s);
		return;
	}
	/* It did not live long: not again at once, and not at the same time as the others. */
	s->backoff = s->backoff == 0 ? SEAT_BACKOFF_MIN : clock_min(s->backoff * 2, SEAT_BACKOFF_MAX);
	timer_set(s->restart, now + s->backoff / 2 + random() % (s->backoff / 2 + 1));
}

static void
seat_start(struct seat *s)
{
	static const struct link_ops ops = { seat_on_message, seat_on_link_end };
	struct generation *g = s->generation;

	s->born = loop_now(g->loop);
	seat_begin_parts(s);
	s->child = child_fork(g->loop, seat_run, s, seat_on_end, s);
	if (s->child == NULL) {
		seat_end_parts(s);
		log_error("worker %u cannot be started: %s", s->number + 1, strerror(errno));
		timer_set(s->restart, s->born + USEC_PER_SEC);
		return;
	}
	s->link = link_new(g->loop, child_sock(s->child), &ops, s);
	if (s->link == NULL)
		child_kill(s->child, SIGKILL);
}

static void
generation_on_patience(void *arg)
{
	struct generation *g = arg;
	char why[96];

	if (g->state == GENERATION_STARTING) {
		snprintf(why, sizeof why, "the workers were not ready within %g s", (double)g->start_max / (double)USEC_PER_SEC);
		g->ops->refused(g->arg, g, why);
		return;
	}
	log_warn("workers that do not end are killed count=%u", generation_alive(g));
	generation_kill(g);
}

struct generation *
generation_new(struct loop *l, struct config *config, const struct generation_ops *ops, void *arg)
{
	struct generation *g = calloc(1, sizeof *g);
	bool is_whole;

	if (g == NULL) {
		config_free(&config);
		return NULL;
	}
	*g = (struct generation){ .loop = l, .config = config, .ops = ops, .arg = arg, .nseats = config->workers,
		.start_max = GENERATION_START_MAX };
	g->patience = timer_new(l, generation_on_patience, g);
	g->pool = calloc(config->npools + 1, sizeof *g->pool);
	is_whole = g->patience != NULL && g->pool != NULL;
	for (unsigned i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seat[i];

		s->generation = g;
		s->number = i;
		s->restart = timer_new(l, seat_on_restart, s);
		s->part = calloc(config->npools + 1, sizeof *s->part);
		is_whole = is_whole && s->restart != NULL && s->part != NULL;
	}
	if (g->nseats > 1)
		g->share = share_new(g->nseats);
	if (!is_whole || (g->nseats > 1 && g->share == NULL))
		generation_free(&g);
	return g;
}

void
generation_claim(struct generation *g)
{
	for (size_t i = 0; i < g->config->npools; i++)
		quota_limit(g->pool[i], g->config->pool[i].conf.max);
}

/* How many permits of a pool its workers can use at once. */
static unsigned
generation_first_need(const struct generation *g, const struct pool_conf *conf)
{
	unsigned need = conf->min > g->nseats ? conf->min : g->nseats;

	return need < conf->max ? need : conf->max;
}

/* Returns 0, or -1 out of memory. */
static int
generation_open_pools(struct generation *g)
{
	for (size_t i = 0; i < g->config->npools; i++) {
		const struct pool_conf *conf = &g->config->pool[i].conf;

		g->pool[i] = quota_open(g->quota, conf->name, conf->url);
		if (g->pool[i] == NULL)
			return -1;
		quota_limit(g->pool[i], conf->max);
		quota_make_room(g->pool[i], generation_first_need(g, conf));
	}
	return 0;
}

void
generation_start(struct generation *g)
{
	timer_set(g->patience, clock_add(loop_now(g->loop), g->start_max));
	if (generation_open_pools(g) != 0) {
		g->ops->refused(g->arg, g, "out of memory");
		return;
	}
	for (unsigned i = 0; i < g->nseats; i++) {
		g->seat[i].ring = g->first_ring + i;
		seat_start(&g->seat[i]);
	}
}

void
generation_drain(struct generation *g)
{
	if (g->state == GENERATION_DRAINING)
		return;
	g->state = GENERATION_DRAINING;
	for (unsigned i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seat[i];

		seat_drain_parts(s);
		if (s->link == NULL || link_send(s->link, &(struct link_message){ .what = LINK_DRAIN, .fd = -1 }) == 0)
			continue;
		child_kill(s->child, SIGTERM);
	}
	timer_set(g->patience, clock_add(loop_now(g->loop), g->config->limit.grace + 2 * USEC_PER_SEC));
	if (generation_alive(g) == 0)
		g->ops->ended(g->arg, g);
}

void
generation_kill(struct generation *g)
{
	for (unsigned i = 0; i < g->nseats; i++)
		if (g->seat[i].child != NULL)
			child_kill(g->seat[i].child, SIGKILL);
}

void
generation_free(struct generation **gp)
{
	struct generation *g = *gp;

	*gp = NULL;
	must(generation_alive(g) == 0);
	for (unsigned i = 0; i < g->nseats; i++) {
		timer_free(&g->seat[i].restart);
		free(g->seat[i].part);
	}
	for (size_t i = 0; g->pool != NULL && i < g->config->npools; i++)
		quota_close(&g->pool[i]);
	free(g->pool);
	timer_free(&g->patience);
	share_free(&g->share);
	config_free(&g->config);
	free(g);
}

unsigned
generation_send(struct generation *g, const struct link_message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->nseats; i++)
		if (g->seat[i].ready && g->seat[i].link != NULL && link_send(g->seat[i].link, m) == 0)
			n++;
	return n;
}

int
generation_send_one(struct generation *g, const struct link_message *m)
{
	static unsigned turn;

	for (unsigned i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seat[turn++ % g->nseats];

		if (s->ready && s->link != NULL && link_send(s->link, m) == 0)
			return 0;
	}
	return -1;
}

unsigned
generation_alive(const struct generation *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->nseats; i++)
		if (g->seat[i].child != NULL)
			n++;
	return n;
}
