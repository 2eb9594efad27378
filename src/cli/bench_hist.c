/* SPDX-License-Identifier: ISC */
#include "cli/bench_hist.h"

#include <string.h>

#include "base/must.h"

enum { HIST_STEPS = 1 << BENCH_HIST_FINE };

void
bench_hist_init(struct bench_hist *h)
{
	memset(h, 0, sizeof *h);
}

/* The highest bits of a value choose the group of buckets, the next five the bucket in it. */
static unsigned
bench_hist_index(uint64_t value)
{
	unsigned shift;

	if (value < 2 * HIST_STEPS)
		return (unsigned)value;
	shift = 63 - BENCH_HIST_FINE - (unsigned)__builtin_clzll(value);
	return shift * HIST_STEPS + (unsigned)(value >> shift);
}

static uint64_t
bench_hist_highest(unsigned index)
{
	unsigned shift;

	if (index < 2 * HIST_STEPS)
		return index;
	shift = index / HIST_STEPS - 1;
	return (((uint64_t)(index % HIST_STEPS) + HIST_STEPS + 1) << shift) - 1;
}

void
bench_hist_add(struct bench_hist *h, uint64_t value)
{
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->bucket[bench_hist_index(value)]++;
}

uint64_t
bench_hist_percentile(const struct bench_hist *h, double percent)
{
	double wanted = (double)h->count * percent / 100;
	uint64_t seen = 0, value;

	must(percent >= 0 && percent <= 100);
	for (unsigned i = 0; i < BENCH_HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen == 0 || (double)seen < wanted)
			continue;
		value = bench_hist_highest(i);
		return value > h->max ? h->max : value < h->min ? h->min : value;
	}
	return h->max;
}
