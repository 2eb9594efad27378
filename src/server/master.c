/* SPDX-License-Identifier: ISC */
/*
 * The master: it opens sockets, starts workers, and passes things on.  It
 * runs no code of modules and parses nothing that comes from a web server.
 * What the workers write into the shared timelines is copied and checked
 * before it is shown, and never acted upon.
 */
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "base/buf.h"
#include "base/log.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "server/config.h"
#include "server/control.h"
#include "server/gates.h"
#include "server/generation.h"

#define MASTER_WARM_MAX   (60 * USEC_PER_SEC)
#define MASTER_STATUS_MAX USEC_PER_SEC

/* A listening socket that we made; shared by the generations that name its address. */
struct master_socket {
	char *address;
	int fd;
	dev_t dev;
	ino_t ino;
	LIST_ENTRY(master_socket) link;
};

/* Somebody waits for the status of the workers. */
struct master_ask {
	struct master *master;
	struct control_conn *conn;
	uint32_t id;
	unsigned missing;
	json_t *workers;
	struct timer *timer;
	LIST_ENTRY(master_ask) link;
};

struct master {
	struct loop *loop;
	char *config_file;
	LIST_HEAD(, master_socket) sockets;
	struct control *control;
	struct master_socket *control_socket;	/* as it was at the start: a reload does not move it */
	struct gates *gates;
	struct timeline_ring *ring[APP_RINGS_MAX];
	TAILQ_HEAD(, generation) generations;	/* oldest first */
	struct generation *serving;		/* NULL before the first serves */
	struct generation *starting;		/* at most one */
	struct control_conn *reload_conn;	/* who waits for it */
	struct control_conn *warm_conn;		/* who waits for gates */
	unsigned warm_want;
	struct timer *warm_timer;
	LIST_HEAD(, master_ask) asks;
	uint32_t last_ask;
	bool stopping;
	int exit_status;
};

static void __attribute__((format(printf, 2, 3)))
master_answer(struct control_conn *c, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	control_reply(c, span_str(text));
	control_end(c);
}

/* ---- sockets ---- */

static struct master_socket *
master_socket_find(struct master *m, const char *address)
{
	struct master_socket *s;

	LIST_FOREACH (s, &m->sockets, link)
		if (strcmp(s->address, address) == 0)
			return s;
	return NULL;
}

static const char *
master_socket_path(const char *address)
{
	return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

static int
master_socket_group(const char *path, const char *group, char *error, size_t size)
{
	struct group *gr;

	if (path == NULL || group[0] == '\0')
		return 0;
	gr = getgrnam(group);
	if (gr != NULL && chown(path, (uid_t)-1, gr->gr_gid) == 0)
		return 0;
	snprintf(error, size, "%s: group \"%s\": %s", path, group, gr == NULL ? "unknown" : strerror(errno));
	return -1;
}

static struct master_socket *
master_socket_open(struct master *m, const char *address, mode_t mode, const char *group, char *error, size_t size)
{
	struct master_socket *s = calloc(1, sizeof *s);
	const char *path = master_socket_path(address);
	struct stat st;

	if (s == NULL || (s->address = strdup(address)) == NULL) {
		snprintf(error, size, "out of memory");
		free(s);
		return NULL;
	}
	s->fd = listen_open(address, mode, error, size);
	if (s->fd < 0 || master_socket_group(path, group, error, size) != 0) {
		if (s->fd >= 0)
			close(s->fd);
		free(s->address);
		free(s);
		return NULL;
	}
	if (path != NULL && stat(path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	LIST_INSERT_HEAD(&m->sockets, s, link);
	return s;
}

/* Close it, and remove its file if it is still ours: another server may have taken the path. */
static void
master_socket_close(struct master_socket *s)
{
	const char *path = master_socket_path(s->address);
	struct stat st;

	if (path != NULL && s->ino != 0 && stat(path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
	LIST_REMOVE(s, link);
	close(s->fd);
	free(s->address);
	free(s);
}

/* Close the sockets that the serving generation no longer names. */
static void
master_sweep_sockets(struct master *m)
{
	const struct config *c = m->serving->config;
	struct master_socket *s, *next;

	for (s = LIST_FIRST(&m->sockets); s != NULL; s = next) {
		bool named = false;

		next = LIST_NEXT(s, link);
		for (size_t i = 0; i < c->nlistens && !named; i++)
			named = strcmp(c->listen[i].address, s->address) == 0;
		if (!named && s != m->control_socket)
			master_socket_close(s);
	}
}

/* ---- generations ---- */

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
	master_sweep_sockets(m);
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
		master_sweep_sockets(m);
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

static void master_status_is(void *arg, uint32_t id, const char *json);

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
	g->ring = m->ring;
	g->nrings = APP_RINGS_MAX;
	g->first_ring = master_free_rings(m, g->nseats);
	if (g->first_ring + g->nseats > APP_RINGS_MAX) {
		snprintf(error, size, "too many workers at once: wait until the old ones have ended");
		generation_free(&g);
		return -1;
	}
	if (master_open_listens(m, g, error, size) != 0) {
		generation_free(&g);
		if (m->serving != NULL)
			master_sweep_sockets(m);
		return -1;
	}
	TAILQ_INSERT_TAIL(&m->generations, g, link);
	m->starting = g;
	generation_start(g);
	return 0;
}

static int
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

static void
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

/* ---- gates and warming ---- */

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

static void
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

/* ---- the verbs of the control socket ---- */

static void
verb_gate(struct master *m, struct control_conn *c, const char *args)
{
	(void)args;
	/* A gate that is refused gets the end, and comes again in a moment. */
	if (gates_add(m->gates, c, control_take_fd(c)) != 0)
		control_end(c);
}

static void
verb_conn(struct master *m, struct control_conn *c, const char *args)
{
	int fd = control_take_fd(c);

	(void)args;
	if (fd >= 0 && m->serving != NULL && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		generation_send_one(m->serving, &(struct link_message){ .what = LINK_CONN, .fd = fd });
	if (fd >= 0)
		close(fd);
	control_end(c);
}

static void
verb_warm(struct master *m, struct control_conn *c, const char *args)
{
	unsigned char random_bytes[16];
	char token[2 * sizeof random_bytes + 1], line[64];
	long want = strtol(args, NULL, 10);

	if (want < 1 || want > 4000 || m->warm_conn != NULL || m->serving == NULL) {
		master_answer(c, "error %s\n", m->warm_conn != NULL ? "a warming is under way" : "how many gates? 1 to 4000");
		return;
	}
	if (getrandom(random_bytes, sizeof random_bytes, 0) != sizeof random_bytes) {
		master_answer(c, "error no random numbers\n");
		return;
	}
	for (size_t i = 0; i < sizeof random_bytes; i++)
		snprintf(token + 2 * i, 3, "%02x", random_bytes[i]);
	m->warm_conn = c;
	m->warm_want = (unsigned)want;
	control_on_close(c, master_on_warm_close, m);
	generation_send(m->serving,
	    &(struct link_message){ .what = LINK_WARM, .number = MASTER_WARM_MAX, .text = token, .fd = -1 });
	timer_set(m->warm_timer, loop_now(m->loop) + MASTER_WARM_MAX);
	snprintf(line, sizeof line, "%s\n", token);
	control_reply(c, span_str(line));
	if (gates_count(m->gates) >= m->warm_want)
		master_warm_end(m);
}

static void
verb_stop(struct master *m, struct control_conn *c, const char *args)
{
	(void)args;
	master_answer(c, "ok stopping\n");
	master_stop(m);
}

static void
master_on_reload_close(void *arg)
{
	((struct master *)arg)->reload_conn = NULL;
}

static void
verb_reload(struct master *m, struct control_conn *c, const char *args)
{
	char error[1024];

	(void)args;
	if (master_reload(m, error, sizeof error) != 0) {
		master_answer(c, "error %s\n", error);
		return;
	}
	m->reload_conn = c;
	control_on_close(c, master_on_reload_close, m);
}

static void
verb_timeline(struct master *m, struct control_conn *c, const char *args)
{
	static struct timeline_record record[TIMELINE_RECORDS];
	long want = strtol(args, NULL, 10);
	struct buf b;
	size_t n, skip;

	n = timeline_collect(m->ring, APP_RINGS_MAX, record, TIMELINE_RECORDS);
	skip = want > 0 && (size_t)want < n ? n - (size_t)want : 0;
	buf_init(&b, CONTROL_REPLY_MAX);
	timeline_json(&b, record + skip, n - skip);
	control_reply(c, buf_span(&b));
	control_end(c);
	buf_fini(&b);
}

static void
master_ask_end(struct master_ask *ask)
{
	struct master *m = ask->master;
	json_t *all = json_pack("{s:i s:i s:o}", "master", (int)getpid(), "gates", (int)gates_count(m->gates), "workers",
	    ask->workers);
	char *text = all == NULL ? NULL : json_dumps(all, JSON_INDENT(2));

	if (ask->conn != NULL) {
		control_on_close(ask->conn, NULL, NULL);
		control_reply(ask->conn, span_str(text == NULL ? "{}" : text));
		control_reply(ask->conn, SPAN("\n"));
		control_end(ask->conn);
	}
	free(text);
	json_decref(all);
	LIST_REMOVE(ask, link);
	timer_free(&ask->timer);
	free(ask);
}

static void
master_on_ask_timer(void *arg)
{
	master_ask_end(arg);
}

static void
master_on_ask_close(void *arg)
{
	((struct master_ask *)arg)->conn = NULL;
}

static void
master_status_is(void *arg, uint32_t id, const char *json)
{
	struct master *m = arg;
	struct master_ask *ask;
	json_t *status;

	LIST_FOREACH (ask, &m->asks, link)
		if (ask->id == id)
			break;
	if (ask == NULL)
		return;
	status = json_loads(json, 0, NULL);
	if (status != NULL)
		json_array_append_new(ask->workers, status);
	if (ask->missing > 0 && --ask->missing == 0)
		master_ask_end(ask);
}

static void
verb_status(struct master *m, struct control_conn *c, const char *args)
{
	struct master_ask *ask = calloc(1, sizeof *ask);
	struct generation *g;

	(void)args;
	if (ask == NULL || (ask->timer = timer_new(m->loop, master_on_ask_timer, ask)) == NULL) {
		free(ask);
		master_answer(c, "error out of memory\n");
		return;
	}
	ask->master = m;
	ask->conn = c;
	ask->id = ++m->last_ask;
	ask->workers = json_array();
	LIST_INSERT_HEAD(&m->asks, ask, link);
	control_on_close(c, master_on_ask_close, ask);
	TAILQ_FOREACH (g, &m->generations, link)
		ask->missing += generation_send(g, &(struct link_message){ .what = LINK_STATUS, .id = ask->id, .fd = -1 });
	timer_set(ask->timer, loop_now(m->loop) + (ask->missing == 0 ? 0 : MASTER_STATUS_MAX));
}

enum verb_for { FOR_OWNER, FOR_GATES };

static const struct verb {
	const char *name;
	enum verb_for who;
	void (*fn)(struct master *m, struct control_conn *c, const char *args);
} verbs[] = {
	{ "gate", FOR_GATES, verb_gate },
	{ "conn", FOR_GATES, verb_conn },
	{ "status", FOR_OWNER, verb_status },
	{ "timeline", FOR_OWNER, verb_timeline },
	{ "warm", FOR_OWNER, verb_warm },
	{ "reload", FOR_OWNER, verb_reload },
	{ "stop", FOR_OWNER, verb_stop },
};

static bool
master_allows(const struct master *m, uid_t uid, enum verb_for who)
{
	const struct generation *g = m->serving != NULL ? m->serving : m->starting;

	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; g != NULL && who == FOR_GATES && i < g->config->ngate_uids; i++)
		if (g->config->gate_uid[i] == uid)
			return true;
	return false;
}

static void
master_on_verb(void *arg, struct control_conn *c, const char *verb, const char *args)
{
	struct master *m = arg;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (!master_allows(m, control_uid(c), verbs[i].who)) {
			log_warn("control: verb refused verb=%s uid=%u", verb, (unsigned)control_uid(c));
			master_answer(c, "error user %u may not say %s\n", (unsigned)control_uid(c), verb);
			return;
		}
		verbs[i].fn(m, c, args);
		return;
	}
	master_answer(c, "error no such verb\n");
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
	static const struct gates_ops ops = { master_on_gate, master_on_gate_end };
	struct timeline_ring *rings = mmap(NULL, APP_RINGS_MAX * sizeof *rings, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	m->loop = loop_new(NULL);
	m->gates = gates_new(&ops, m);
	m->config_file = strdup(c->file);
	if (rings == MAP_FAILED || m->loop == NULL || m->gates == NULL || m->config_file == NULL ||
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

	while (!LIST_EMPTY(&m->asks))
		master_ask_end(LIST_FIRST(&m->asks));
	control_free(&m->control);
	gates_free(&m->gates);
	while ((s = LIST_FIRST(&m->sockets)) != NULL)
		master_socket_close(s);
	if (m->warm_timer != NULL)
		timer_free(&m->warm_timer);
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
