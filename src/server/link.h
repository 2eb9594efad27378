/* SPDX-License-Identifier: ISC */
#ifndef SERVER_LINK_H
#define SERVER_LINK_H

/*
 * Messages between the master and a worker, over their socket pair
 * (SOCK_SEQPACKET: one message a packet), some with a descriptor.  What the
 * peer is too slow to take waits in a queue, up to a bound.
 */

#include <stddef.h>
#include <stdint.h>

struct link;
struct loop;

enum link_what {
	/* master to worker */
	LINK_LISTEN = 1,	/* accept on the descriptor; id names it */
	LINK_UNLISTEN,		/* no more on the one of that id */
	LINK_CONN,		/* serve the connected descriptor */
	LINK_WARM,		/* hold requests with the token in text, number microseconds long */
	LINK_WARM_END,
	LINK_DRAIN,		/* accept no more, finish, exit 0; and back: it does, whoever has told it to */
	LINK_STATUS,		/* send LINK_STATUS_IS with the same id */
	LINK_GRANT,		/* the pool of that id, from 0: so many permits more (quota.h) */
	LINK_RECALL,		/* give back so many */
	LINK_SPARE,		/* the same, if they are not in use */
	LINK_CEDE,		/* the same, or if they have not been for a while */
	/* worker to master */
	LINK_READY,		/* serving */
	LINK_REFUSED,		/* cannot serve: text says why; the worker exits */
	LINK_STATUS_IS,		/* text is JSON */
	LINK_WANT,		/* calls of the pool of that id wait that could use so many more; 0: none any more */
	LINK_GIVE,		/* so many permits of it are given back */
};

enum { LINK_TEXT_MAX = 98304 };	/* the status of a worker with as many pools as it may have */

struct link_message {
	uint32_t what;
	uint32_t id;
	int64_t number;
	const char *text;	/* terminated; may be NULL.  On receipt valid until the callback returns */
	int fd;			/* -1: none.  On receipt the callee's; on sending it stays the caller's (a copy is made) */
};

struct link_ops {
	void (*on_message)(void *arg, struct link_message *m);
	void (*on_end)(void *arg);	/* the peer is gone; may free the link */
};

/* Talk over a connected SOCK_SEQPACKET socket, which is made non-blocking; borrowed.  NULL with errno. */
struct link *link_new(struct loop *l, int sock, const struct link_ops *ops, void *arg);

/* Stop and free, dropping what is queued; *lp becomes NULL. */
void link_free(struct link **lp);

/* Queue a message; returns 0, or -1 when it cannot be kept (too many, no memory): it is dropped and logged. */
int link_send(struct link *k, const struct link_message *m);

/* Read one message now, if one is there, and hand it on.  Returns 1 when it did: the callee may have freed the link. */
int link_take(struct link *k);

#endif
