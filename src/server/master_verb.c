/* SPDX-License-Identifier: ISC */
/* The verbs of the control socket, and who may say which. */
#include "server/master_own.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "loop/loop.h"
#include "request/timeline.h"
#include "server/config.h"
#include "server/link.h"

#define MASTER_STATUS_MAX USEC_PER_SEC

enum { MASTER_WARM_GATES = 4000 };

void
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
	long want = strtol(args, NULL, 10);

	if (m->warm_conn != NULL || m->serving == NULL)
		master_answer(c, "error %s\n", m->warm_conn != NULL ? "a warming is under way" : "no worker serves yet");
	else if (want < 1 || want > MASTER_WARM_GATES)
		master_answer(c, "error how many gates? 1 to %d\n", MASTER_WARM_GATES);
	else
		master_warm(m, c, (unsigned)want);
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

void
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

void
master_on_verb(void *arg, struct control_conn *c, const char *verb, const char *args)
{
	struct master *m = arg;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (!master_allows(m, control_uid(c), verbs[i].who)) {
			log_warn("control: verb refused verb=%s uid=%u", verb, (unsigned)control_uid(c));
			master_answer(c, "error user %u may not say %s: root may, and user %u, as whom the server runs\n",
			    (unsigned)control_uid(c), verb, (unsigned)geteuid());
			return;
		}
		verbs[i].fn(m, c, args);
		return;
	}
	master_answer(c, "error no such verb\n");
}

void
master_status_end(struct master *m)
{
	while (!LIST_EMPTY(&m->asks))
		master_ask_end(LIST_FIRST(&m->asks));
}
