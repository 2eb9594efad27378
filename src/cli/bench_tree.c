/* SPDX-License-Identifier: ISC */
/*
 * CPU time comes from the process's own clock, which the kernel keeps in
 * nanoseconds; /proc/PID/stat rounds it to ticks of 10 ms.  From there comes only what
 * has no clock any more: the time of children that have ended.
 *
 * A process that ends while the tree is read is left out.
 */
#include "cli/bench_tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TREE_MAX = 4096 };

/* Open a file of /proc/PID. */
static FILE *
bench_tree_open(pid_t pid, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	return fopen(path, "re");
}

/* The time of its children that have ended and were waited for. */
static uint64_t
bench_tree_ended(pid_t pid)
{
	FILE *file = bench_tree_open(pid, "stat");
	unsigned long user = 0, system = 0;
	char line[1024], *at = NULL;

	if (file == NULL)
		return 0;
	/* The name in parentheses may hold anything: count from its end. */
	if (fgets(line, sizeof line, file) != NULL)
		at = strrchr(line, ')');
	fclose(file);
	if (at == NULL || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return 0;
	return (uint64_t)(user + system) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static int
bench_tree_cpu(pid_t pid, uint64_t *out)
{
	struct timespec ts;
	clockid_t clock;

	if ((errno = clock_getcpuclockid(pid, &clock)) != 0 || clock_gettime(clock, &ts) != 0)
		return -1;
	*out = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec + bench_tree_ended(pid);
	return 0;
}

/* Add what one line of smaps_rollup says, if it is this one. */
static int
bench_tree_add_kib(const char *line, const char *name, int64_t *sum)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0)
		return 0;
	if (*sum >= 0)
		*sum += strtoll(line + len, NULL, 10);
	return 1;
}

/* The resident pages, which everybody may know. */
static void
bench_tree_rss(struct bench_tree *t, pid_t pid)
{
	FILE *file = bench_tree_open(pid, "statm");
	long pages = -1;

	if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
		pages = -1;
	if (file != NULL)
		fclose(file);
	t->rss_kib = pages < 0 || t->rss_kib < 0 ? -1 : t->rss_kib + pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
bench_tree_memory(struct bench_tree *t, pid_t pid)
{
	FILE *file = bench_tree_open(pid, "smaps_rollup");
	int found = 0;
	char line[256];

	bench_tree_rss(t, pid);
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		found += bench_tree_add_kib(line, "Pss:", &t->pss_kib);
	if (file != NULL)
		fclose(file);
	if (found == 0)
		t->pss_kib = -1;
}

/* Append the children of one thread to the list. */
static void
bench_tree_thread(pid_t pid, const char *thread, pid_t *list, unsigned *count)
{
	char name[64];
	FILE *file;
	long child;

	snprintf(name, sizeof name, "task/%.20s/children", thread);
	file = bench_tree_open(pid, name);
	while (file != NULL && *count < TREE_MAX && fscanf(file, "%ld", &child) == 1)
		list[(*count)++] = (pid_t)child;
	if (file != NULL)
		fclose(file);
}

static void
bench_tree_children(pid_t pid, pid_t *list, unsigned *count)
{
	struct dirent *entry;
	char path[64];
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
	threads = opendir(path);
	while (threads != NULL && (entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			bench_tree_thread(pid, entry->d_name, list, count);
	if (threads != NULL)
		closedir(threads);
}

int
bench_tree_read(struct bench_tree *t, pid_t pid)
{
	pid_t *list = malloc(TREE_MAX * sizeof *list);
	unsigned count = 1;
	uint64_t cpu;

	*t = (struct bench_tree){ 0 };
	if (list == NULL)
		return -1;
	list[0] = pid;
	for (unsigned i = 0; i < count; i++) {
		if (bench_tree_cpu(list[i], &cpu) != 0)
			continue;
		t->processes++;
		t->cpu_ns += cpu;
		bench_tree_memory(t, list[i]);
		bench_tree_children(list[i], list, &count);
	}
	free(list);
	return t->processes > 0 ? 0 : -1;
}
