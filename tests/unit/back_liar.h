/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_LIAR_H
#define TESTS_UNIT_BACK_LIAR_H

/*
 * A server that lies, on the loop of the test itself: it accepts, gathers what
 * comes, and says what the test's function wants, late if so asked, or without end.
 * And what the tests against it measure: how long the loop was held, how much memory was taken.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"

struct liar;
struct loop;
struct timer;
struct watch;

struct liar_peer {
	TAILQ_ENTRY(liar_peer) link;
	struct liar *liar;
	int fd;			/* -1: hung up */
	struct watch *watch;
	struct timer *timer;	/* sends what is late */
	struct buf in, out;
	unsigned number;	/* the how manieth, from 1 */
	unsigned stage;		/* the test's, like the next two */
	bool flag;
	char tag[64];
	bool last;		/* hang up once all is sent */
	struct span flood;	/* said again and again until flooded bytes are sent */
	size_t flood_at;
	size_t flooded;
};

struct liar {
	struct loop *loop;
	int fd;
	struct watch *watch;
	char path[96];		/* empty: TCP */
	usec delay;		/* between saying and sending */
	unsigned accepted;
	TAILQ_HEAD(, liar_peer) peers;
	void (*hear)(struct liar_peer *p);	/* something has come: take it from p->in */
	void (*greet)(struct liar_peer *p);	/* NULL, or where the server speaks first; set after liar_open */
};

/* Listen on a unix socket at path. */
void liar_open(struct liar *l, struct loop *loop, const char *path, void (*hear)(struct liar_peer *p));

/* As liar_open, on loopback.  Returns the port. */
unsigned liar_open_tcp(struct liar *l, struct loop *loop, void (*hear)(struct liar_peer *p));

/* The same on this port, also when a liar has just left it; 0: any. */
unsigned liar_open_port(struct liar *l, struct loop *loop, unsigned port, void (*hear)(struct liar_peer *p));

/* Hang up on all, and be gone. */
void liar_close(struct liar *l);

/* Say bytes; to one that has hung up, nothing. */
void liar_say(struct liar_peer *p, struct span s);

/* Close its connection at once. */
void liar_hang_up(struct liar_peer *p);

/* Returns the connection that was accepted last and is still there, or NULL. */
struct liar_peer *liar_last(struct liar *l);

/* ---- measures ---- */

/* A timer on the loop that looks how late it comes, and how much processor time went by. */
struct pulse {
	struct loop *loop;
	struct timer *timer;
	usec due, cpu;
	usec worst_late, worst_cpu;
};

void pulse_begin(struct pulse *p, struct loop *loop);

/* End it.  The loop was never computing for longer than 50 ms, and never blocked for longer than half a second. */
void pulse_end(struct pulse *p);

/* Count the most memory this process takes from now on. */
void rss_begin(void);

/* It has not grown by 16 MB since. */
void rss_end(const char *what);

#endif
