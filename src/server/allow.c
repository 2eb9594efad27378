/* SPDX-License-Identifier: ISC */
/*
 * Addresses are compared over all their bytes, and in one form only: an IPv4
 * peer on an IPv6 socket is the same as on an IPv4 one.
 */
#include "server/allow.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static void
allow_map(struct in6_addr *out, const struct in_addr *in)
{
	static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(out->s6_addr, prefix, sizeof prefix);
	memcpy(out->s6_addr + sizeof prefix, in, sizeof *in);
}

int
allow_add(struct allow *a, const char *text)
{
	struct in6_addr *to = &a->address[a->n];
	struct in_addr in;

	if (a->n == ALLOW_MAX)
		return -1;
	if (inet_pton(AF_INET, text, &in) == 1)
		allow_map(to, &in);
	else if (inet_pton(AF_INET6, text, to) != 1)
		return -1;
	a->n++;
	return 0;
}

int
allow_parse(struct allow *a, const char *text)
{
	char one[INET6_ADDRSTRLEN];
	size_t len;

	for (;;) {
		len = strcspn(text, ",");
		if (len >= sizeof one)
			return -1;
		memcpy(one, text, len);
		one[len] = '\0';
		if (allow_add(a, one) != 0)
			return -1;
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

bool
allow_admits(const struct allow *a, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} peer = { .any = { 0 } };
	socklen_t len = sizeof peer;
	struct in6_addr address;

	if (a->n == 0)
		return true;
	if (getpeername(fd, &peer.any, &len) != 0)
		return false;
	if (peer.any.sa_family == AF_INET)
		allow_map(&address, &peer.in.sin_addr);
	else if (peer.any.sa_family == AF_INET6)
		address = peer.in6.sin6_addr;
	else
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (memcmp(&a->address[i], &address, sizeof address) == 0)
			return true;
	return false;
}

bool
allow_is_public(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - address);
	char host[INET6_ADDRSTRLEN + 2];
	struct in6_addr in6;
	struct in_addr in;

	if (len == 0 || len >= sizeof host)
		return false;
	memcpy(host, address, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &in) == 1)
		return ntohl(in.s_addr) >> 24 != IN_LOOPBACKNET;
	if (host[0] != '[' || host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &in6) == 1 && !IN6_IS_ADDR_LOOPBACK(&in6);
}
