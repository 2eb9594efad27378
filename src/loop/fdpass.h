/* SPDX-License-Identifier: ISC */
#ifndef LOOP_FDPASS_H
#define LOOP_FDPASS_H

/* Descriptors over unix sockets (SCM_RIGHTS), and who is at the other end (SO_PEERCRED). */

#include <sys/types.h>

/*
 * Send bytes and one descriptor.
 *
 * bytes, len  at least 1 byte goes along
 * fd          to pass; -1 for none.  Stays open here
 * Returns     0, or -1 with errno (EAGAIN: try again when writable; nothing was sent)
 */
int fdpass_send(int sock, const void *bytes, size_t len, int fd);

/*
 * Receive bytes and at most one descriptor; more than one are closed.
 *
 * fd       the descriptor, close-on-exec, now the caller's; -1 when none came
 * Returns  bytes read, 0 at the end, -1 with errno
 */
ssize_t fdpass_recv(int sock, void *bytes, size_t size, int *fd);

/* The peer's process and user, as the kernel noted them when it connected.  Returns 0 or -1. */
int fdpass_peer(int sock, pid_t *pid, uid_t *uid, gid_t *gid);

#endif
