/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_TREE_H
#define CLI_BENCH_TREE_H

/* What a process and its descendants use. */

#include <stdint.h>
#include <sys/types.h>

struct bench_tree {
	unsigned processes;
	uint64_t cpu_ns;	/* of all that live, and of those they waited for */
	int64_t rss_kib;	/* -1: not known */
	int64_t pss_kib;	/* -1: not known; it wants the rights of the process's user */
};

/* Returns 0, or -1 with errno when there is no such process. */
int bench_tree_read(struct bench_tree *t, pid_t pid);

#endif
