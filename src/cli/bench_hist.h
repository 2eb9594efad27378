/* SPDX-License-Identifier: ISC */
#ifndef CLI_BENCH_HIST_H
#define CLI_BENCH_HIST_H

/*
 * How long things took, as counts in buckets: exact below 64, then 32 buckets for
 * each doubling, so a percentile is at most 3.2 % too high.  Any 64-bit number has a bucket.
 */

#include <stdint.h>

enum { BENCH_HIST_FINE = 5, BENCH_HIST_BUCKETS = (64 - BENCH_HIST_FINE + 1) << BENCH_HIST_FINE };

struct bench_hist {
	uint64_t count, min, max;
	uint64_t bucket[BENCH_HIST_BUCKETS];
};

/* Begin with nothing counted. */
void bench_hist_init(struct bench_hist *h);

/* Count one value. */
void bench_hist_add(struct bench_hist *h, uint64_t value);

/*
 * The value that this many of 100 do not exceed.
 *
 * percent  0 to 100
 * Returns  the highest value of its bucket, but not more than the highest value that
 *          was counted and not less than the lowest; 0 when nothing was counted
 */
uint64_t bench_hist_percentile(const struct bench_hist *h, double percent);

#endif
