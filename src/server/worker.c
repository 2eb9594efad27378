/* SPDX-License-Identifier: ISC */
/*
 * The worker's process.  It takes orders from the master over the link and
 * believes them; the master believes nothing it gets back.
 */
#include "server/worker.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "app/app.h"
#include "app/page.h"
#include "base/log.h"
#include "front/fcgi_conn.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "loop/stall.h"
#include "server/config.h"
#include "server/link.h"
#include "server/sandbox.h"
#include "server/setup.h"
#include "server/share.h"

enum {
	WORKER_FILES = 2048,		/* besides the connections of clients: to back ends, of programs, the worker's own */
	WORKER_END_SECONDS = 10,
	WORKER_STALL_MS_MAX = 3600000,
	WORKER_ACCEPTS = 1	/* in a turn, where there are other workers: they may be about to wake, and what was accepted is counted first */
};

/* A listening socket: inherited (id 0), or handed over by a gate. */
struct worker_listen {
	struct worker *worker;
	uint32_t id;
	int fd;
	const struct allow *allow;	/* besides the server's own list; NULL: nobody else is asked */
	struct listener *listener;
	LIST_ENTRY(worker_listen) link;
};

struct worker {
	const struct worker_start *start;
	struct loop *loop;
	struct app app;
	struct fcgi_conns *conns;
	struct link *link;
	LIST_HEAD(, worker_listen) listens;
	struct timer *drain_timer;
	struct stall *stall;		/* NULL: nobody watches over the loop */
	usec drain_until;		/* 0: not draining */
	bool is_orphan;			/* the master is gone */
};

/* Whom the lists do not name is closed before a byte is read. */
static void
worker_on_accept(void *arg, int fd)
{
	struct worker_listen *wl = arg;
	struct worker *w = wl->worker;

	if (!allow_admits(&w->start->config->web, fd) || (wl->allow != NULL && !allow_admits(wl->allow, fd))) {
		w->app.front.refused++;
		close(fd);
		return;
	}
	if (w->start->share == NULL || !share_pass(w->start->share, fd))
		fcgi_conns_add(w->conns, fd);
}

/* Another worker has accepted it, after asking the lists. */
static void
worker_on_passed(void *arg, int fd)
{
	struct worker *w = arg;

	fcgi_conns_add(w->conns, fd);
}

static int
worker_listen(struct worker *w, uint32_t id, int fd, const struct allow *allow)
{
	struct worker_listen *wl = calloc(1, sizeof *wl);

	if (wl == NULL)
		return -1;
	wl->worker = w;
	wl->id = id;
	wl->fd = fd;
	wl->allow = allow;
	wl->listener = listener_new(w->loop, fd, worker_on_accept, wl);
	if (wl->listener == NULL) {
		free(wl);
		return -1;
	}
	if (w->start->share != NULL)
		listener_set_batch(wl->listener, WORKER_ACCEPTS);
	LIST_INSERT_HEAD(&w->listens, wl, link);
	return 0;
}

static void
worker_unlisten(struct worker_listen *wl)
{
	LIST_REMOVE(wl, link);
	listener_free(&wl->listener);
	if (wl->id != 0)
		close(wl->fd);
	free(wl);
}

static void
worker_unlisten_id(struct worker *w, uint32_t id)
{
	struct worker_listen *wl;

	LIST_FOREACH (wl, &w->listens, link)
		if (wl->id == id) {
			worker_unlisten(wl);
			return;
		}
}

/* ---- permits for connections ---- */

static void
worker_tell_of_pool(struct worker *w, const struct pool *p, uint32_t what, unsigned n)
{
	for (uint32_t i = 0; i < w->app.npools; i++)
		if (w->app.pool[i] == p)
			link_send(w->link, &(struct link_message){ .what = what, .id = i, .number = n, .fd = -1 });
}

/* Without a master nobody keeps the books, and there are only the last requests to finish. */
static void
worker_on_pool_wants(void *arg, struct pool *p, unsigned n)
{
	struct worker *w = arg;

	if (!w->is_orphan)
		worker_tell_of_pool(w, p, LINK_WANT, n);
	else if (pool_is_wanting(p))
		pool_grant(p, 1);
}

static void
worker_on_pool_gives(void *arg, struct pool *p, unsigned n)
{
	worker_tell_of_pool(arg, p, LINK_GIVE, n);
}

static void
worker_on_permits(struct worker *w, const struct link_message *m)
{
	struct pool *p = m->id < w->app.npools ? w->app.pool[m->id] : NULL;
	unsigned n = (unsigned)m->number;

	if (p == NULL)
		log_warn("permits for no pool from the master id=%u", m->id);
	else if (m->what == LINK_GRANT)
		pool_grant(p, n);
	else if (m->what == LINK_RECALL)
		pool_recall(p, n);
	else if (m->what == LINK_CEDE)
		pool_cede(p, n);
	else
		pool_spare(p, n);
}

/* ---- the end ---- */

/* While draining: look whether all is done. */
static void
worker_on_drain_timer(void *arg)
{
	struct worker *w = arg;

	if (fcgi_conns_count(w->conns) == 0 && w->app.front.requests == 0) {
		loop_stop(w->loop);
	} else if (loop_now(w->loop) >= w->drain_until) {
		log_warn("grace is over requests=%u connections=%u", w->app.front.requests, fcgi_conns_count(w->conns));
		loop_stop(w->loop);
	} else {
		timer_set(w->drain_timer, loop_now(w->loop) + 20 * USEC_PER_MSEC);
	}
}

static void
worker_drain(struct worker *w)
{
	struct worker_listen *wl;

	if (w->drain_until != 0)
		return;
	w->drain_until = clock_add(loop_now(w->loop), w->start->config->limit.grace);
	/* Before it gives anything back, which would be its own again. */
	if (!w->is_orphan)
		link_send(w->link, &(struct link_message){ .what = LINK_DRAIN, .fd = -1 });
	while ((wl = LIST_FIRST(&w->listens)) != NULL)
		worker_unlisten(wl);
	if (w->start->share != NULL)
		share_leave(w->start->share);
	app_warm_end(&w->app);
	for (size_t i = 0; i < w->app.npools; i++) {
		pool_end_subscriptions(w->app.pool[i]);
		if (!w->is_orphan)
			pool_drain(w->app.pool[i]);
	}
	fcgi_conns_drain(w->conns);
	timer_set(w->drain_timer, loop_now(w->loop));
}

static void
worker_send_status(struct worker *w, uint32_t id)
{
	json_t *status = page_status(&w->app);
	char *text = status == NULL ? NULL : json_dumps(status, JSON_COMPACT);
	struct link_message m = { LINK_STATUS_IS, id, 0, text == NULL ? "{}" : text, -1 };

	link_send(w->link, &m);
	free(text);
	json_decref(status);
}

static void
worker_on_message(void *arg, struct link_message *m)
{
	struct worker *w = arg;

	switch (m->what) {
	case LINK_LISTEN:
		if (w->drain_until != 0 || worker_listen(w, m->id, m->fd, NULL) != 0)
			break;
		return;
	case LINK_CONN:
		fcgi_conns_add(w->conns, m->fd);
		return;
	case LINK_UNLISTEN:
		worker_unlisten_id(w, m->id);
		break;
	case LINK_WARM:
		app_warm(&w->app, m->text, clock_add(loop_now(w->loop), m->number));
		break;
	case LINK_WARM_END:
		app_warm_end(&w->app);
		break;
	case LINK_DRAIN:
		worker_drain(w);
		break;
	case LINK_STATUS:
		worker_send_status(w, m->id);
		break;
	case LINK_GRANT:
	case LINK_RECALL:
	case LINK_SPARE:
	case LINK_CEDE:
		worker_on_permits(w, m);
		break;
	default:
		log_warn("unknown order from the master what=%u", m->what);
	}
	if (m->fd >= 0)
		close(m->fd);
}

/* The master is gone: finish what there is. */
static void
worker_on_link_end(void *arg)
{
	struct worker *w = arg;

	if (w->drain_until == 0)
		log_error("the master is gone, draining");
	w->is_orphan = true;
	worker_drain(w);
	for (size_t i = 0; i < w->app.npools; i++)
		if (pool_is_wanting(w->app.pool[i]))
			pool_grant(w->app.pool[i], 1);
}

static void
worker_on_signal(void *arg, int signo)
{
	(void)signo;
	worker_drain(arg);
}

/* Give up root for good. */
static int
worker_become(const char *user, char *error, size_t size)
{
	struct passwd *pw = getpwnam(user);

	if (pw == NULL || (geteuid() == 0 && initgroups(user, pw->pw_gid) != 0) || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0) {
		snprintf(error, size, "user \"%s\": %s", user, pw == NULL ? "there is none of this name" :
		    errno == EPERM ? "only a server that root has started becomes another user" : strerror(errno));
		return -1;
	}
	/* The kernel forgets this when the user changes. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return 0;
}

/* The sockets of the configuration come last, in its order. */
static int
worker_listen_all(struct worker *w)
{
	const struct worker_start *s = w->start;
	size_t given = s->nlistens - s->config->nlistens;

	for (size_t i = 0; i < s->nlistens; i++)
		if (worker_listen(w, 0, s->listen_fd[i], i < given ? NULL : &s->config->listen[i - given].allow) != 0)
			return -1;
	return 0;
}

static int
worker_begin(struct worker *w, int sock, char *error, size_t size)
{
	static const struct link_ops ops = { worker_on_message, worker_on_link_end };
	static const struct pool_keeper keeper = { worker_on_pool_wants, worker_on_pool_gives };
	const struct worker_start *s = w->start;
	struct setup_permits permits = { &keeper, w, s->granted };
	struct fiber_conf fibers = { .stack_size = s->config->limit.stack };

	setup_room(s->config->limit.connections + WORKER_FILES);
	w->loop = loop_new(&fibers);
	w->link = w->loop == NULL ? NULL : link_new(w->loop, sock, &ops, w);
	w->drain_timer = w->loop == NULL ? NULL : timer_new(w->loop, worker_on_drain_timer, w);
	if (w->link == NULL || w->drain_timer == NULL || fiber_guard_install() != 0) {
		snprintf(error, size, "no loop: %s", strerror(errno));
		return -1;
	}
	/* Before root is given up, and before code of modules runs. */
	if (s->config->sandbox && sandbox_enter(error, size) != 0)
		return -1;
	if (s->config->user[0] != '\0' && worker_become(s->config->user, error, size) != 0)
		return -1;
	if (setup_app(&w->app, s->config, w->loop, s->number, &permits, error, size) != 0)
		return -1;
	w->app.nrings = s->nrings < APP_RINGS_MAX ? s->nrings : APP_RINGS_MAX;
	memcpy(w->app.ring, s->ring, w->app.nrings * sizeof *s->ring);
	w->app.front.request.ring = s->ring[s->own_ring];
	timeline_ring_init(s->ring[s->own_ring]);
	w->conns = fcgi_conns_new(&w->app.front);
	if (w->conns == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	if (s->share != NULL && (w->app.front.kept = share_join(s->share, s->number, w->loop, worker_on_passed, w)) == NULL) {
		snprintf(error, size, "cannot share connections: %s", strerror(errno));
		return -1;
	}
	if (worker_listen_all(w) != 0) {
		snprintf(error, size, "cannot accept: %s", strerror(errno));
		return -1;
	}
	loop_on_signal(w->loop, SIGTERM, worker_on_signal, w);
	loop_on_signal(w->loop, SIGINT, worker_on_signal, w);
	return 0;
}

/* Watch over the loop when the environment asks for it. */
static void
worker_watch_stalls(struct worker *w)
{
	const char *ms = getenv("WEFT_STALL_MS");
	long limit = ms == NULL ? 0 : strtol(ms, NULL, 10);

	if (limit <= 0 || limit > WORKER_STALL_MS_MAX)
		return;
	w->stall = stall_start(w->loop, limit * USEC_PER_MSEC);
	if (w->stall == NULL)
		log_warn("stalls are not looked for errno=%d", errno);
}

/* Everything is told to end; what still runs is cancelled and gets a moment for it. */
static void
worker_end(struct worker *w)
{
	usec until = loop_now(w->loop) + USEC_PER_SEC;

	/* A function on a thread, or a module's fini, may never return, and there may be no master left to kill us. */
	alarm(WORKER_END_SECONDS);
	if (w->start->share != NULL)
		share_end(w->start->share);
	fcgi_conns_free(&w->conns);
	while (fiber_sched_alive(loop_fibers(w->loop)) > 0 && loop_now(w->loop) < until)
		loop_turn(w->loop, 10 * USEC_PER_MSEC);
	if (fiber_sched_alive(loop_fibers(w->loop)) > 0) {
		log_warn("requests that do not end requests=%u", fiber_sched_alive(loop_fibers(w->loop)));
		return;
	}
	app_fini(&w->app);
	timer_free(&w->drain_timer);
	link_free(&w->link);
	loop_free(&w->loop);
}

int
worker_run(const struct worker_start *start, int sock)
{
	static struct worker w;		/* large, and one a process */
	struct link_message m = { LINK_READY, 0, 0, NULL, -1 };
	char error[1024], name[32];

	snprintf(name, sizeof name, "worker %u", start->number + 1);
	log_open(2, start->config->log_level, name);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a log or a spool that may not grow: write says so */
	w.start = start;
	LIST_INIT(&w.listens);
	if (worker_begin(&w, sock, error, sizeof error) != 0) {
		m.what = LINK_REFUSED;
		m.text = error;
		if (w.link != NULL)
			link_send(w.link, &m);
		return 1;
	}
	link_send(w.link, &m);
	log_info("ready routes=%zu pools=%zu", w.app.nroutes, w.app.npools);
	worker_watch_stalls(&w);
	loop_run(w.loop);
	stall_stop(&w.stall);
	worker_end(&w);
	log_info("ended");
	return 0;
}
