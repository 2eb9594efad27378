/* SPDX-License-Identifier: ISC */
#ifndef SERVER_GENERATION_H
#define SERVER_GENERATION_H

/*
 * A generation: the workers of one reading of weft.conf and of the modules.
 * A reload starts a new one; when all its workers are ready, the old one drains.
 *
 *	STARTING ── all ready ──► SERVING ── drain ──► DRAINING ── last worker ended ──► gone
 *	    └───── refused ─────────────────────────────►┘
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "server/config.h"
#include "server/link.h"
#include "server/quota.h"

struct child;
struct generation;
struct loop;
struct share;
struct timeline_ring;
struct timer;

enum generation_state { GENERATION_STARTING, GENERATION_SERVING, GENERATION_DRAINING };

/* One worker's place; the process in it changes. */
struct seat {
	struct generation *generation;
	unsigned number;
	struct child *child;		/* NULL: none now */
	struct link *link;
	struct timer *restart;
	struct quota_part *part;	/* of the config's pools, in its order */
	size_t ring;
	bool ready;
	usec born, backoff;
};

struct generation_ops {
	void (*ready)(void *arg, struct seat *s);				/* a worker serves now */
	void (*serving)(void *arg, struct generation *g);			/* all do, for the first time */
	void (*refused)(void *arg, struct generation *g, const char *why);	/* while STARTING: it drains itself afterwards */
	void (*status)(void *arg, uint32_t id, const char *json);		/* an answer to LINK_STATUS */
	void (*ended)(void *arg, struct generation *g);				/* the last worker of a DRAINING one is gone; free it */
};

struct generation {
	enum generation_state state;
	struct config *config;		/* owned */
	struct loop *loop;
	const struct generation_ops *ops;
	void *arg;
	int listen_fd[CONFIG_LISTEN_MAX + 1];
	size_t nlistens;
	struct timeline_ring **ring;	/* of all generations; the master's */
	size_t nrings;
	size_t first_ring;		/* ours: one a worker */
	struct seat seat[CONFIG_WORKERS_MAX];
	unsigned nseats;
	struct share *share;		/* of its workers; NULL: there is only one */
	struct quota *quota;		/* of all generations; the master's */
	struct quota_pool **pool;	/* of the config's pools, in its order; from generation_start on */
	usec start_max;			/* how long until all must be ready; set by generation_new */
	struct timer *patience;		/* while STARTING and DRAINING: when it ends */
	TAILQ_ENTRY(generation) link;
};

/* Returns a generation that is not started; owns config (also on failure: NULL).  The caller fills listen_fd, ring, quota. */
struct generation *generation_new(struct loop *l, struct config *config, const struct generation_ops *ops, void *arg);

/* Start its workers. */
void generation_start(struct generation *g);

/* A newer one was refused: there are as many permits for connections as this one's configuration says. */
void generation_claim(struct generation *g);

/* What a worker's seat is told by the quota's books; its parts have the seat as their arg. */
extern const struct quota_ops generation_quota_ops;

/* Tell its workers to finish and end; after the configured grace and a bit they are killed.  ops->ended follows, maybe at once. */
void generation_drain(struct generation *g);

/* Kill its workers now. */
void generation_kill(struct generation *g);

/* Free it; no process may be left.  *gp becomes NULL. */
void generation_free(struct generation **gp);

/* Send a message to each of its workers that is ready.  Returns how many. */
unsigned generation_send(struct generation *g, const struct link_message *m);

/* Send a message to one ready worker, a different one each time.  Returns 0, or -1 when there is none. */
int generation_send_one(struct generation *g, const struct link_message *m);

/* Returns how many of its processes are alive. */
unsigned generation_alive(const struct generation *g);

#endif
