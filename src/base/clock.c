/* SPDX-License-Identifier: ISC */
#include "base/clock.h"

#include <time.h>

usec
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (usec)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

usec
clock_add(usec at, usec length)
{
	return length >= CLOCK_NEVER - at ? CLOCK_NEVER : at + length;
}
