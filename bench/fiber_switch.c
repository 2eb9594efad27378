/* SPDX-License-Identifier: ISC */

/*
 * What a fiber costs: nanoseconds for a whole life (new, start, run, end), for
 * a wait and its wake, the same with a deadline, the same with ten thousand
 * that wait at once, and the memory of one that waits with 2 KiB of room.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fiber/fiber.h"

enum { TIMES = 2000000, MANY = 10000, ROOM = 2048 };

static unsigned long ran;
static usec wait_length;

static void
bench_nothing(void *arg)
{
	ran++;
}

/* As a request does: an array in the frame, two calls deep. */
static __attribute__((noinline)) int
bench_wait_once(char *scratch, size_t len)
{
	usec until = wait_length == 0 ? CLOCK_NEVER : clock_now() + wait_length;

	memset(scratch, 1, len);
	return fiber_wait(WAIT_REDIS, until) == WEFT_OK;
}

static void
bench_waiter(void *arg)
{
	char scratch[128];

	memset(fiber_room(fiber_self()), 1, ROOM);
	while (bench_wait_once(scratch, sizeof scratch))
		ran++;
}

static void
bench_tell(const char *what, usec from, unsigned long count)
{
	printf("%-40s %7.1f ns\n", what, (double)(clock_now() - from) * 1000 / (double)count);
}

static void
bench_lives(struct fiber_sched *s)
{
	usec from = clock_now();

	for (unsigned i = 0; i < TIMES; i++) {
		struct fiber *f = fiber_new(s, ROOM);

		if (f == NULL)
			return;
		fiber_start(f, bench_nothing, NULL);
		fiber_sched_run(s);
	}
	bench_tell("new, start, run, end", from, TIMES);
}

static void
bench_waits(struct fiber_sched *s, struct fiber **f, unsigned count, const char *what)
{
	unsigned rounds = TIMES / count;
	usec from = clock_now();

	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < count; i++)
			fiber_wake(f[i]);
		fiber_sched_run(s);
	}
	bench_tell(what, from, (unsigned long)rounds * count);
}

/* Returns the resident pages of the process in bytes, without those of files. */
static unsigned long
bench_resident(void)
{
	unsigned long size, all, shared;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu %lu", &size, &all, &shared) != 3)
		all = shared = 0;
	if (f != NULL)
		fclose(f);
	return (all - shared) * (unsigned long)sysconf(_SC_PAGESIZE);
}

static void
bench_many(struct fiber_sched *s)
{
	static struct fiber *f[MANY];
	unsigned long before;

	memset(f, 1, sizeof f);
	before = bench_resident();
	for (unsigned i = 0; i < MANY; i++) {
		f[i] = fiber_new(s, ROOM);
		if (f[i] == NULL)
			return;
		fiber_start(f[i], bench_waiter, NULL);
	}
	fiber_sched_run(s);
	printf("%-40s %7lu bytes\n", "memory of one of 10000 that wait", (bench_resident() - before) / MANY);
	wait_length = 0;
	bench_waits(s, f, 1, "wake, wait");
	bench_waits(s, f, MANY, "wake, wait, 10000 of them");
	wait_length = 3600 * USEC_PER_SEC;
	bench_waits(s, f, 1, "wake, wait with a deadline");
	bench_waits(s, f, MANY, "wake, wait with a deadline, 10000 of them");
	for (unsigned i = 0; i < MANY; i++)
		fiber_cancel(f[i]);
	fiber_sched_run(s);
}

int
main(void)
{
	const struct fiber_conf conf = { .stack_size = 0 };
	struct fiber_sched *s = fiber_sched_new(&conf);

	if (s == NULL)
		return 1;
	bench_lives(s);
	bench_many(s);
	printf("%lu switches to a fiber\n", ran);
	fiber_sched_free(&s);
	return 0;
}
