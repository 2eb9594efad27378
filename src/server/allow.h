/* SPDX-License-Identifier: ISC */
#ifndef SERVER_ALLOW_H
#define SERVER_ALLOW_H

/*
 * Which addresses may connect.  FastCGI has no passwords, so over TCP this is all that stands between
 * a handler and whoever can reach the port.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { ALLOW_MAX = 64 };

/* A list of addresses, IPv4 as mapped into IPv6; all zero: everybody may. */
struct allow {
	struct in6_addr address[ALLOW_MAX];
	size_t n;
};

/*
 * Add one address: "192.0.2.1", "2001:db8::1"; numbers only.
 *
 * Returns  0; -1 when it is none, or the list is full
 */
int allow_add(struct allow *a, const char *text);

/*
 * Read a list as FCGI_WEB_SERVER_ADDRS has it: addresses with a comma between two.
 *
 * Returns  0; -1 when one of them is none
 * Source   FastCGI Specification 1.0, section 3.2
 */
int allow_parse(struct allow *a, const char *text);

/* Returns whether the list lets the peer of this connected socket in.  A list with an address in it lets no unix socket in. */
bool allow_admits(const struct allow *a, int fd);

/* Returns whether others than this machine's processes can reach an address to listen on ("0.0.0.0:9000"); false for what is none. */
bool allow_is_public(const char *address);

#endif
