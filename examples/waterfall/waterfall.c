/* SPDX-License-Identifier: ISC */
/*
 * waterfall: three requests which do nothing but wait for a database, the
 * shortest last.
 *
 *	GET /			a page that makes them and shows how long each took
 *	GET /run/:run/:n	request n, 1 to 3; with ?way=serial one at a time
 *
 * Both ways run the same handler.  Overlapped, a request finds a free
 * connection in its pool.  Serial, the pool has one connection for all, as
 * if there were one process which serves one request at a time.
 *
 * :run is any word: the server's timeline is searched for it.
 *
 * page.h is page.html as a C string; the whole build is
 *
 *	sed 's/["\\]/\\&/g; s|.*|"&\\n"|' page.html > page.h
 *	cc -std=c11 -D_DEFAULT_SOURCE -fPIC -shared $(pkg-config --cflags weft) -I. -o waterfall.so waterfall.c
 */
#include <weft/weft.h>

#include <string.h>
#include <time.h>

/* How long the database works for each request, in milliseconds.  page.html knows them too. */
static const long waterfall_own[] = { 600, 450, 150 };

static const char waterfall_html[] =
#include "page.h"
;

static long
waterfall_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Returns the pool for ?way=, NULL for a way that there is not. */
static const char *
waterfall_pool(struct weft_request *rq)
{
	const char *way = weft_query(rq, "way");

	if (way == NULL || strcmp(way, "overlapped") == 0)
		return "db";
	return strcmp(way, "serial") == 0 ? "one" : NULL;
}

static int
waterfall_request(struct weft_request *rq)
{
	const char *n = weft_param(rq, "n"), *pool = waterfall_pool(rq);
	long own, begin = waterfall_now();

	if (strlen(n) != 1 || n[0] < '1' || n[0] > '3')
		return weft_error(rq, 404, "There are requests 1, 2 and 3.");
	if (pool == NULL)
		return weft_error(rq, 400, "way is overlapped or serial.");
	own = waterfall_own[n[0] - '1'];

	/* Straight code, and yet only this request waits here. */
	if (weft_sql(rq, pool, NULL, "SELECT pg_sleep($1)", WEFT_REAL((double)own / 1000)) != WEFT_OK)
		return weft_fail(rq);

	weft_set_header(rq, "Content-Type", "text/plain; charset=utf-8");
	weft_set_header(rq, "Cache-Control", "no-store");
	return weft_printf(rq, "request %s: %ld ms of its own, took %ld ms\n", n, own, waterfall_now() - begin);
}

static int
waterfall_page(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/html; charset=utf-8");
	return weft_write(rq, waterfall_html, sizeof waterfall_html - 1);
}

WEFT_MODULE(
	{ "GET", "/", waterfall_page },
	{ "GET", "/run/:run/:n", waterfall_request },
)
