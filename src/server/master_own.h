/* SPDX-License-Identifier: ISC */
#ifndef SERVER_MASTER_OWN_H
#define SERVER_MASTER_OWN_H

/* What the master's own files share: its state, and how they call each other. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "app/app.h"
#include "server/control.h"
#include "server/gates.h"
#include "server/generation.h"

struct master;
struct timer;

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
	struct quota *quota;			/* of connections to back ends */
	struct control_conn *reload_conn;	/* who waits for it */
	struct control_conn *warm_conn;		/* who waits for gates */
	unsigned warm_want;
	struct timer *warm_timer;
	LIST_HEAD(, master_ask) asks;
	uint32_t last_ask;
	bool stopping;
	int exit_status;
};

/* ---- master_socket.c ---- */

/* Returns the socket of that address that is open already, or NULL. */
struct master_socket *master_socket_find(struct master *m, const char *address);

/*
 * Open a listening socket; the master owns it.
 *
 * group    of a unix socket, "" as it comes
 * Returns  the socket, or NULL with one sentence in error
 */
struct master_socket *master_socket_open(struct master *m, const char *address, mode_t mode, const char *group, char *error,
    size_t size);

/* Close it, and remove its file if it is still ours. */
void master_socket_close(struct master_socket *s);

/* Close the sockets that the serving generation no longer names. */
void master_socket_sweep(struct master *m);

/* ---- master_verb.c ---- */

/* A line came over the control socket: a control_verb_fn with the master as its arg. */
void master_on_verb(void *master, struct control_conn *c, const char *verb, const char *args);

/* Answer a line, and end. */
void master_answer(struct control_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A worker's answer to LINK_STATUS, as JSON: given on to who asked, once all have answered. */
void master_status_is(void *master, uint32_t id, const char *json);

/* Answer whoever still waits for a status, with what there is. */
void master_status_end(struct master *m);

/* ---- master_gate.c ---- */

/* The gates' coming and going, for gates_new. */
extern const struct gates_ops master_gates_ops;

/* Begin a warming: hold requests with a fresh token until there are want gates; c is told.  See weft-gate(8). */
void master_warm(struct master *m, struct control_conn *c, unsigned want);

/* The time for warming is over: a timer's callback with the master as its arg. */
void master_on_warm_timer(void *master);

/* ---- master.c ---- */

/* Begin a generation with the configuration and modules as they are now.  Returns 0, or -1 with one sentence in error. */
int master_reload(struct master *m, char *error, size_t size);

/* Finish all requests and end; told twice: end now. */
void master_stop(struct master *m);

#endif
