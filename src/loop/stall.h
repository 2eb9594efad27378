/* SPDX-License-Identifier: ISC */
#ifndef LOOP_STALL_H
#define LOOP_STALL_H

/*
 * Who holds the loop up: a callback, or a run of a fiber, that blocks or computes for longer than it may.
 *
 * A thread looks on from outside, so the loop does nothing for it and costs the
 * same whether it is watched or not.
 */

#include "base/clock.h"

struct loop;
struct stall;

/*
 * Watch over a loop that the calling thread runs, until stall_stop.
 *
 * limit    how long one turn may hold the thread without polling; the time in which it was ready but other processes
 *          ran does not count.  What is longer by a tenth is found for certain, what is shorter never.
 *          When it is reached the log says where (in="loop", or the fiber's label), and how long it was once it is over
 * Returns  the watcher, or NULL with errno.  Only one a process, and after fiber_guard_install
 */
struct stall *stall_start(struct loop *l, usec limit);

/* Returns how many stalls there were. */
unsigned stall_count(const struct stall *s);

/* End it; *sp becomes NULL.  On the thread that started it. */
void stall_stop(struct stall **sp);

#endif
