/* SPDX-License-Identifier: ISC */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

/*
 * Child processes of ours: forked with a socket pair to talk over, and
 * reported once when they end.  A signal goes only to a child that has not
 * been reaped (pidfd), never to a number.
 */

#include <stdbool.h>
#include <sys/types.h>

struct loop;
struct child;

/*
 * Fork.  In the child, fn(arg, sock) runs and its result is the exit status; the
 * child dies with its parent (PR_SET_PDEATHSIG: SIGTERM; the parent is the thread that calls, so call it
 * from the main one), its signal mask is empty, and signals that had handlers have their defaults.  The
 * child must not use the parent's loop but to loop_after_fork or to make one of its own.
 * It ends without running what the parent registered with atexit.  Descriptors
 * are as fork leaves them, but that the parent's end of the socket pair is closed; sock blocks.
 *
 * on_end   called from the parent's loop with the wait status; the child
 *          struct is freed after it
 * Returns  the child, or NULL with errno
 */
struct child *child_fork(struct loop *l, int (*fn)(void *arg, int sock), void *arg,
    void (*on_end)(void *end_arg, struct child *c, int status), void *end_arg);

/* Returns its process id. */
pid_t child_pid(const struct child *c);

/* Returns our end of the socket pair (SOCK_SEQPACKET, non-blocking); owned by the child struct. */
int child_sock(const struct child *c);

/* Send a signal; 0, or -1 when it is gone already. */
int child_kill(struct child *c, int signo);

/* Write how a process ended, "exit status 3" or "killed by signal 11 (Segmentation fault)", to out. */
void child_status_text(int status, char *out, size_t size);

#endif
