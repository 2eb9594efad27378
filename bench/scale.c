/* SPDX-License-Identifier: ISC */
/*
 * Handlers for bench/scale.
 *
 *	/until?at=US	waits until this time of the monotonic clock, in microseconds
 *	/wait?ms=N	waits so long
 *	/work?n=N	computes: N rounds of a few nanoseconds each
 *
 * or, as the macro says that is defined, routes:
 *
 *	SCALE_LIST	one, /r100/list
 *	SCALE_ITEM	one with a parameter, /r100/item/:id
 *	SCALE_ROUTES	500, /rN/list and /rN/item/:id, N from 1 to 250
 */
#include <weft/weft.h>

#include <stdlib.h>
#include <time.h>

static long
scale_number(struct weft_request *rq, const char *name)
{
	const char *text = weft_query(rq, name);

	return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int
scale_until(struct weft_request *rq)
{
	struct timespec now;
	long us;

	clock_gettime(CLOCK_MONOTONIC, &now);
	us = scale_number(rq, "at") - now.tv_sec * 1000000 - now.tv_nsec / 1000;
	/* Rounded up, for weft_sleep() takes milliseconds. */
	if (us > 0 && weft_sleep(rq, us / 1000 + 1) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, "ok");
}

static int
scale_wait(struct weft_request *rq)
{
	if (weft_sleep(rq, scale_number(rq, "ms")) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, "ok");
}

static int
scale_work(struct weft_request *rq)
{
	unsigned long long x = 88172645463325252;

	for (long n = scale_number(rq, "n"); n > 0; n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return weft_puts(rq, x == 0 ? "no" : "ok");
}

static int
scale_list(struct weft_request *rq)
{
	return weft_puts(rq, "ok");
}

static int
scale_item(struct weft_request *rq)
{
	return weft_puts(rq, weft_param(rq, "id"));
}

#define SCALE_1(n)   { "GET", "/r" #n "/list", scale_list }, { "GET", "/r" #n "/item/:id", scale_item },
#define SCALE_9(n)   SCALE_1(n##1) SCALE_1(n##2) SCALE_1(n##3) SCALE_1(n##4) SCALE_1(n##5) SCALE_1(n##6) SCALE_1(n##7) SCALE_1(n##8) SCALE_1(n##9)
#define SCALE_10(n)  SCALE_1(n##0) SCALE_9(n)
#define SCALE_90(n)  SCALE_10(n##1) SCALE_10(n##2) SCALE_10(n##3) SCALE_10(n##4) SCALE_10(n##5) SCALE_10(n##6) SCALE_10(n##7) SCALE_10(n##8) SCALE_10(n##9)
#define SCALE_100(n) SCALE_10(n##0) SCALE_90(n)

#if defined(SCALE_LIST)
WEFT_MODULE(
	{ "GET", "/r100/list", scale_list },
)
#elif defined(SCALE_ITEM)
WEFT_MODULE(
	{ "GET", "/r100/item/:id", scale_item },
)
#elif defined(SCALE_ROUTES)
WEFT_MODULE(
	SCALE_9()
	SCALE_90()
	SCALE_100(1)
	SCALE_10(20) SCALE_10(21) SCALE_10(22) SCALE_10(23) SCALE_10(24)
	SCALE_1(250)
)
#else
WEFT_MODULE(
	{ "GET", "/until", scale_until },
	{ "GET", "/wait", scale_wait },
	{ "GET", "/work", scale_work },
)
#endif
