/* SPDX-License-Identifier: ISC */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

/*
 * weft.conf as values.  Read with libconfuse; every mistake is one sentence
 * with file and line.  See weft.conf(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "back/pool.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/allow.h"

struct cfg_t;

enum { CONFIG_LISTEN_MAX = 32, CONFIG_WORKERS_MAX = 64 };

struct config_listen {
	const char *name;
	const char *address;
	mode_t mode;
	const char *group;		/* of a unix socket; "": as it comes */
	struct allow allow;		/* who may connect, besides what web says */
	unsigned line;
};

struct config_module {
	const char *name;
	const char *file;
	const char *prefix;
	unsigned line;
};

struct config_pool {
	struct pool_conf conf;		/* max and min for the whole server */
	unsigned line;
};

struct config_limit {
	unsigned requests, connections, multiplex;
	unsigned long long body;
	size_t body_memory, memory, stack;
	usec timeout, timeout_max, head_timeout, body_timeout, send_timeout, idle_timeout, grace;
};

struct config {
	char *file;
	struct cfg_t *cfg;		/* owns the strings */
	unsigned workers;
	const char *control;		/* path; "": none */
	mode_t control_mode;
	const char *control_group;
	uid_t *gate_uid;		/* who may hand over sockets besides root and ourselves */
	size_t ngate_uids;
	const char *user;		/* of the workers; "": unchanged */
	const char *status;		/* where the server's own pages are; "": nowhere */
	const char *warm_url;		/* "": none */
	bool sandbox;			/* filter the workers' system calls */
	enum log_level log_level;
	struct config_listen *listen;
	size_t nlistens;
	struct config_pool *pool;
	size_t npools;
	struct config_module *module;
	size_t nmodules;
	struct config_limit limit;
	struct allow web;		/* FCGI_WEB_SERVER_ADDRS of the environment: who may connect anywhere */
	char *warning;			/* of what can be, but hardly is meant: one sentence with file and line; NULL: nothing */
};

/*
 * Read a file.
 *
 * error    one sentence when it fails: "weft.conf:12: no such option 'maxx'"
 * Returns  the configuration, owned by the caller; NULL with *error
 */
struct config *config_read(const char *file, char *error, size_t size);

/* Free it; *cp becomes NULL. */
void config_free(struct config **cp);

/* Returns what one of workers gets of a pool's max (or min): shared out, the rest to the first.  n from 0. */
unsigned config_share(unsigned whole, unsigned workers, unsigned n);

/* Read a length of time: "250ms", "2s", "5m", "1h", "0".  Returns 0, or -1 when it is none. */
int config_duration(const char *text, usec *out);

/* Read an amount of bytes: "4096", "64k", "16M", "2G".  Returns 0, or -1 when it is none. */
int config_bytes(const char *text, unsigned long long *out);

#endif
