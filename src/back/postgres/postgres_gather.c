/* SPDX-License-Identifier: ISC */
/*
 * libpq before 17 can end a statement in a pipeline only by PQpipelineSync, which
 * sends.  That would be a system call for each statement, and each would wake
 * a process of the server's.
 *
 * So send() and recv() are functions of ours.  A program's own come before those of
 * the C library, for the shared libraries too (they are exported for that), and do the same by sendto() and recvfrom(), but
 * for the descriptor that is being gathered: for that one nothing can be sent or read
 * just now (EAGAIN).  libpq has to live with that at any time, so nothing of its
 * state is new: what it keeps, it sends when it is asked to flush, with an error where
 * there is one.  Its messages between the syncs it sends by itself when they come to 8 KiB, so it
 * does not keep more than that and one statement.
 *
 * The descriptor is the thread's: nobody else's calls are touched, nor those of this thread at any other time.
 * Where the calls of libpq do not come here (a program that was linked in another way) it
 * sends at each sync, and all else stays true.
 */
/* Where it is set, the C library's headers define recv() themselves. */
#undef _FORTIFY_SOURCE

#include "back/postgres/postgres_gather.h"

#include <errno.h>
#include <libpq-fe.h>
#include <sys/socket.h>

#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC

static _Thread_local int postgres_gathered = -1;

void
postgres_gather(int fd)
{
	postgres_gathered = fd;
}

void
postgres_gather_end(void)
{
	postgres_gathered = -1;
}

/* As the C library's, which is sendto() too. */
__attribute__((visibility("default"))) ssize_t
send(int fd, const void *at, size_t len, int flags)
{
	if (fd == postgres_gathered && fd >= 0) {
		errno = EAGAIN;
		return -1;
	}
	return sendto(fd, at, len, flags, NULL, 0);
}

/* What libpq could not send, it tries to make room for by reading. */
__attribute__((visibility("default"))) ssize_t
recv(int fd, void *at, size_t len, int flags)
{
	if (fd == postgres_gathered && fd >= 0) {
		errno = EAGAIN;
		return -1;
	}
	return recvfrom(fd, at, len, flags, NULL, NULL);
}

#endif
