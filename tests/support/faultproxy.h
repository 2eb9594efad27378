/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FAULTPROXY_H
#define TESTS_FAULTPROXY_H

/*
 * What the files of the fault proxy share.
 *
 *	faultproxy.c       the listener, the commands, the loop
 *	faultproxy_pair.c  a client's connection and its server's, and what is done to the bytes between them
 *
 * A pair has two lanes: up, from the client to the server, and down.  A lane is a queue of
 * chunks, each with the time when it may go on.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { LANE_UP, LANE_DOWN, LANES };
enum { SIDE_CLIENT, SIDE_SERVER, SIDES };

/* Never reached by a count of bytes. */
#define LANE_NOWHERE UINT64_MAX

enum pair_end { PAIR_CLOSE, PAIR_RESET };

/* What is done to the bytes of one direction, in all pairs. */
struct fault {
	usec delay_min, delay_max;
	usec dribble;			/* one byte each; 0: no such thing */
	bool held;			/* nothing goes on */
	unsigned chance;			/* of a million chunks so many are cut at */
	uint64_t cut_at;		/* after so many bytes of a new pair */
	enum pair_end cut_how;
	bool cut_once;
	uint64_t flip_at;
	unsigned char flip;		/* bits */
};

struct chunk {
	STAILQ_ENTRY(chunk) link;
	usec due;
	uint32_t at, len;
	char bytes[];
};

struct pair;

struct lane {
	struct pair *pair;
	int from, to;			/* sides */
	STAILQ_HEAD(, chunk) queue;
	uint64_t queued;
	uint64_t taken, passed;		/* bytes since the pair began */
	uint64_t cut_at, flip_at;	/* in those that passed */
	enum pair_end cut_how;
	usec due;			/* no chunk goes on before the one ahead of it */
	bool is_over;			/* no more comes */
	bool is_shut;			/* and the other side has been told */
};

/* One end, as the loop knows it. */
struct side {
	struct pair *pair;
	int fd;				/* -1: none */
	uint32_t wanted;		/* events */
};

struct pair {
	LIST_ENTRY(pair) link;
	struct side side[SIDES];
	struct lane lane[LANES];
	bool connecting;
	bool is_hole;			/* it was accepted and nothing more */
	bool dead;			/* freed at the end of the turn */
};

struct proxy_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct proxy {
	int epoll;
	struct proxy_address target;
	struct fault fault[LANES];
	bool hole;
	uint64_t random;
	LIST_HEAD(, pair) pairs;
	unsigned now, peak;		/* pairs */
	unsigned long long ever, cuts, bytes[LANES];
};

/* ---- faultproxy_pair.c ---- */

/* Take a client that was accepted. */
void pair_new(struct proxy *p, int fd);

/* What epoll said of one side. */
void pair_on_event(struct proxy *p, struct side *s, uint32_t events);

/* Let go on what is due, in all pairs; then free those that are dead. */
void pairs_run(struct proxy *p, usec now);

/* Returns when pairs_run has something to do again; CLOCK_NEVER when only events tell. */
usec pairs_next(const struct proxy *p);

/* Cut each pair after so many bytes from now on. */
void pairs_set_cut(struct proxy *p, int lane);

/* Flip a byte of each pair, so many from now on. */
void pairs_set_flip(struct proxy *p, int lane);

/* End all. */
void pairs_end(struct proxy *p, enum pair_end how);

/* A random number below n. */
uint64_t proxy_random(struct proxy *p, uint64_t n);

#endif
