/* SPDX-License-Identifier: ISC */
/*
 * The master: it opens sockets, starts workers, and passes things on.  It
 * runs no code of modules and parses nothing that comes from a web server.
 * What the workers write into the shared timelines is copied and checked
 * before it is shown, and never acted upon.
 */
#include "server/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "server/config.h"
#include "server/link.h"
#include "server/master_own.h"
#include "server/setup.h"

/* ---- generations ---- */

/* Or a server with the most workers could never be reloaded. */
_Static_assert((int)APP_RINGS_MAX >= 2 * (int)CONFIG_WORKERS_MAX, "two generations");

static size_t
master_free_rings(const struct master *m, unsigned n)
{
	const struct generation *g;
	size_t first = 0;

	/* At most two or three generations live: the first gap that is wide enough. */
	for (bool moved = true; moved;) {
		moved = false;
		TAILQ_FOREACH (g, &m->generations, link)
			if (first < g->first_ring + g->nseats && g->first_ring < first + n) {
				first = g->first_ring + g->nseats;
				moved = true;
			}
	}
	return first;
}

static void
master_send_gate(void *arg, uint32_t id, int fd)
{
	struct seat *s = arg;

	link_send(s->link, &(struct link_message){ .what = LINK_LISTEN, .id = id, .fd = fd });
}

static void
master_on_ready(void *arg, struct seat *s)
{
	struct master *m = arg;

	if (s->generation->state != GENERATION_DRAINING)
		gates_each(m->gates, master_send_gate, s);
}

static void
master_on_serving(void *arg, struct generation *g)
{
	struct master *m = arg;
	struct generation *old = m->serving;

	m->serving = g;
	m->starting = NULL;
	master_socket_sweep(m);
	if (old == NULL) {
		log_info("serving workers=%u", g->nseats);
	} else {
		log_info("reloaded workers=%u", g->nseats);
		generation_drain(old);
	}
	if (m->reload_conn != NULL) {
		control_on_close(m->reload_conn, NULL, NULL);
		master_answer(m->reload_conn, "ok reloaded\n");
		m->reload_conn = NULL;
	}
}

static void
master_on_refused(void *arg, struct generation *g, const char *why)
{
	struct master *m = arg;

	m->starting = NULL;
	if (m->serving == NULL) {
		m->exit_status = 1;
		m->stopping = true;
	} else {
		log_error("reload refused, the old workers go on: %s", why);
		/* Nobody accepts on what was opened for it. */
		master_socket_sweep(m);
		generation_claim(m->serving);
	}
	if (m->reload_conn != NULL) {
		control_on_close(m->reload_conn, NULL, NULL);
		master_answer(m->reload_conn, "error %s\n", why);
		m->reload_conn = NULL;
	}
	generation_drain(g);
}

static void
master_on_ended(void *arg, struct generation *g)
{
	struct master *m = arg;

	if (m->serving == g)
		m->serving = NULL;
	if (m->starting == g)
		m->starting = NULL;
	TAILQ_REMOVE(&m->generations, g, link);
	generation_free(&g);
	if (m->stopping && TAILQ_EMPTY(&m->generations))
		loop_stop(m->loop);
}

static int
master_open_listens(struct master *m, struct generation *g, char *error, size_t size)
{
	const struct config *c = g->config;

	if (listen_is_listening(0))
		g->listen_fd[g->nlistens++] = 0;
	for (size_t i = 0; i < c->nlistens; i++) {
		const struct config_listen *cl = &c->listen[i];
		struct master_socket *s = master_socket_find(m, cl->address);
		char why[256];

		if (s == NULL)
			s = master_socket_open(m, cl->address, cl->mode, cl->group, why, sizeof why);
		if (s == NULL) {
			snprintf(error, size, "%s:%u: listen \"%s\": %s", c->file, cl->line, cl->name, why);
			return -1;
		}
		g->listen_fd[g->nlistens++] = s->fd;
	}
	return 0;
}

/* Begin a generation with this configuration, which it owns.  Returns 0, or -1 with *error. */
static int
master_begin(struct master *m, struct config *config, char *error, size_t size)
{
	static const struct generation_ops ops = { master_on_ready, master_on_serving, master_on_refused, master_status_is,
		master_on_ended };
	struct generation *g = generation_new(m->loop, config, &ops, m);

	if (g == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	if (config->warning != NULL)
		log_warn("%s", config->warning);
	g->ring = m->ring;
	g->nrings = APP_RINGS_MAX;
	g->quota = m->quota;
	g->first_ring = master_free_rings(m, g->nseats);
	if (g->first_ring + g->nseats > APP_RINGS_MAX) {
		snprintf(error, size, "too many workers at once: wait until the old ones have ended");
		generation_free(&g);
		return -1;
	}
	if (master_open_listens(m, g, error, size) != 0) {
		generation_free(&g);
		if (m->serving != NULL)
			master_socket_sweep(m);
		return -1;
	}
	TAILQ_INSERT_TAIL(&m->generations, g, link);
	m->starting = g;
	generation_start(g);
	return 0;
}

int
master_reload(struct master *m, char *error, size_t size)
{
	struct config *c;

	if (m->starting != NULL || m->stopping) {
		snprintf(error, size, m->stopping ? "stopping" : "a reload is under way");
		return -1;
	}
	c = config_read(m->config_file, error, size);
	return c == NULL ? -1 : master_begin(m, c, error, size);
}

void
master_stop(struct master *m)
{
	struct generation *g, *next;

	if (m->stopping) {
		TAILQ_FOREACH (g, &m->generations, link)
			generation_kill(g);
		return;
	}
	log_info("stopping");
	m->stopping = true;
	if (TAILQ_EMPTY(&m->generations))
		loop_stop(m->loop);
	for (g = TAILQ_FIRST(&m->generations); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		generation_drain(g);
	}
}

/* ---- beginning and end ---- */

static void
master_on_signal(void *arg, int signo)
{
	struct master *m = arg;
	char error[1024];

	if (signo != SIGHUP)
		master_stop(m);
	else if (master_reload(m, error, sizeof error) != 0)
		log_error("reload refused, the old workers go on: %s", error);
}

static int
master_open_control(struct master *m, const struct config *c, char *error, size_t size)
{
	struct master_socket *s;
	char address[256];

	if (c->control[0] == '\0')
		return 0;
	snprintf(address, sizeof address, "unix:%s", c->control);
	s = master_socket_open(m, address, c->control_mode, c->control_group, error, size);
	if (s == NULL)
		return -1;
	m->control_socket = s;
	m->control = control_new(m->loop, s->fd, master_on_verb, m);
	if (m->control != NULL)
		return 0;
	snprintf(error, size, "control: %s", strerror(errno));
	return -1;
}

static int
master_open(struct master *m, const struct config *c, char *error, size_t size)
{
	struct timeline_ring *rings = mmap(NULL, APP_RINGS_MAX * sizeof *rings, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	m->loop = loop_new(NULL);
	m->gates = gates_new(&master_gates_ops, m);
	m->quota = m->loop == NULL ? NULL : quota_new(m->loop, &generation_quota_ops);
	m->config_file = strdup(c->file);
	if (rings == MAP_FAILED || m->loop == NULL || m->gates == NULL || m->quota == NULL || m->config_file == NULL ||
	    (m->warm_timer = timer_new(m->loop, master_on_warm_timer, m)) == NULL) {
		snprintf(error, size, "cannot begin: %s", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < APP_RINGS_MAX; i++)
		m->ring[i] = &rings[i];
	if (c->nlistens == 0 && c->control[0] == '\0' && !listen_is_listening(0)) {
		snprintf(error, size, "%s: nothing to listen on: there is no listen section, no control socket for gates, "
		    "and descriptor 0 is no listening socket", c->file);
		return -1;
	}
	loop_on_signal(m->loop, SIGTERM, master_on_signal, m);
	loop_on_signal(m->loop, SIGINT, master_on_signal, m);
	loop_on_signal(m->loop, SIGHUP, master_on_signal, m);
	return master_open_control(m, c, error, size);
}

static void
master_close(struct master *m)
{
	struct master_socket *s;

	master_status_end(m);
	control_free(&m->control);
	gates_free(&m->gates);
	while ((s = LIST_FIRST(&m->sockets)) != NULL)
		master_socket_close(s);
	if (m->warm_timer != NULL)
		timer_free(&m->warm_timer);
	quota_free(&m->quota);
	if (m->loop != NULL)
		loop_free(&m->loop);
	free(m->config_file);
}

int
master_run(struct config *config)
{
	struct master m = { .exit_status = 0 };
	char error[1024];

	LIST_INIT(&m.sockets);
	LIST_INIT(&m.asks);
	TAILQ_INIT(&m.generations);
	log_open(2, config->log_level, "master");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a log or a spool that may not grow: write says so */
	setup_files();
	if (master_open(&m, config, error, sizeof error) != 0) {
		log_error("%s", error);
		config_free(&config);
		m.exit_status = 1;
	} else if (master_begin(&m, config, error, sizeof error) != 0) {
		log_error("%s", error);
		m.exit_status = 1;
	} else {
		loop_run(m.loop);
	}
	master_close(&m);
	log_info("ended status=%d", m.exit_status);
	return m.exit_status;
}
