/* SPDX-License-Identifier: ISC */
#ifndef LOOP_LISTEN_H
#define LOOP_LISTEN_H

/*
 * Listening sockets: made (bound), and accepted on.  On EMFILE and its kin
 * accepting pauses for a moment and resumes; it does not spin.
 */

#include <sys/types.h>

struct loop;
struct listener;

enum { LISTEN_BACKLOG = 4096 };

/*
 * Make a listening socket.
 *
 * address  "unix:/path", "127.0.0.1:9000", "[::1]:9000"; numbers only, no names.
 *          Port 0 takes a free one
 * mode     of a unix socket, e.g. 0660: in force before listen(2), without a
 *          moment in which it is wider
 * error    one sentence when it fails, at most size bytes
 *
 * A stale unix socket, on which nobody answers, is replaced; one in use is an error.
 * Sets the process's umask for a moment: call it before there are threads.
 *
 * Returns  the descriptor, non-blocking and close-on-exec; -1 with *error
 */
int listen_open(const char *address, mode_t mode, char *error, size_t size);

/* Write the address a listening socket really has ("127.0.0.1:41233", "unix:/path") to out.  Returns 0 or -1. */
int listen_address(int fd, char *out, size_t size);

/* True when fd is a listening socket (SO_ACCEPTCONN). */
int listen_is_listening(int fd);

/*
 * Accept on fd from now on: fn(arg, conn) gets each connection, non-blocking
 * and close-on-exec (TCP: with TCP_NODELAY), and owns it.  Calls listen(2) again with our backlog.
 *
 * Returns  the listener, NULL with errno.  It does not own fd
 */
struct listener *listener_new(struct loop *l, int fd, void (*fn)(void *arg, int conn), void *arg);

/*
 * Accept once more all that is waiting (unless it is paused), then stop and free; *lp becomes NULL.  fd stays open.
 * May be called from the listener's own callback, which is then called from within.
 */
void listener_free(struct listener **lp);

/* Accept at most so many in one turn; 64 at first. */
void listener_set_batch(struct listener *l, int batch);

/* Stop accepting for now (connections wait in the backlog). */
void listener_pause(struct listener *l);

/* Accept again. */
void listener_resume(struct listener *l);

#endif
