/* SPDX-License-Identifier: ISC */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

/*
 * A filter of system calls for workers (seccomp, by libseccomp): what no
 * handler needs and an intruder would like.  What it refuses fails with EPERM and
 * is in the kernel's log; nobody is killed.  All else passes, also what a later
 * libc may come to need, so a library update never stops a worker.
 */

#include <stddef.h>

/* Returns 1 when this build can, else 0. */
int sandbox_is_there(void);

/*
 * Filter from now on, for this process, all its threads to come and all its children.  Cannot be undone.  A process without
 * CAP_SYS_ADMIN can gain no privilege by exec afterwards (no_new_privs), so do it before giving up root.
 *
 * error    one sentence when it fails
 * Returns  0, or -1
 */
int sandbox_enter(char *error, size_t size);

#endif
