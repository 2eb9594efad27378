/* SPDX-License-Identifier: ISC */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* A point in monotonic time, or a length of time, in microseconds. */
typedef int64_t usec;

#define CLOCK_NEVER INT64_MAX	/* a deadline that never passes */
#define USEC_PER_MSEC INT64_C(1000)
#define USEC_PER_SEC  INT64_C(1000000)

/* Returns the monotonic time now, in microseconds.  Never goes back, never jumps with the wall clock. */
usec clock_now(void);

/* Returns at + length, or CLOCK_NEVER where that is not a time.  Both in microseconds, length >= 0. */
usec clock_add(usec at, usec length);

/* Returns the earlier of two points in time. */
static inline usec
clock_min(usec a, usec b)
{
	return a < b ? a : b;
}

#endif
