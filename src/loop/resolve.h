/* SPDX-License-Identifier: ISC */
#ifndef LOOP_RESOLVE_H
#define LOOP_RESOLVE_H

/* Host names to addresses, off the loop: getaddrinfo runs on a thread, once at a time for a name. */

#include <netinet/in.h>
#include <sys/socket.h>

#include <weft/rc.h>

struct loop;
struct resolve;

enum { RESOLVE_MAX = 8 };

struct resolved {
	int error;			/* 0, or getaddrinfo's code: gai_strerror.  EAI_AGAIN when too many names are being looked up */
	unsigned count;
	struct {
		char text[INET6_ADDRSTRLEN];	/* numeric */
		struct sockaddr_storage addr;	/* with the port */
		socklen_t len;
	} address[RESOLVE_MAX];
};

/*
 * Look a name up.  A numeric address is answered at once, from within the call.
 *
 * done     called once on the loop; *r is valid until it returns.  Not called after resolve_cancel
 * Returns  a handle for resolve_cancel while the look-up runs, NULL when done has been called already
 */
struct resolve *resolve_start(struct loop *l, const char *host, unsigned port,
    void (*done)(void *arg, const struct resolved *r), void *arg);

/* Forget a running look-up, or do nothing where *rp is NULL; *rp becomes NULL. */
void resolve_cancel(struct resolve **rp);

#endif
