/* SPDX-License-Identifier: ISC */
/*
 * The server's own pages: the timeline of all workers, and what the pools are
 * doing.  They are handlers like any other, off unless weft.conf names a place
 * for them, since they show paths of requests.
 */
#include "app/page.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/fail.h"
#include "base/buf.h"
#include "request/timeline.h"

enum { PAGE_MAX = 4 * 1024 * 1024, PAGE_LAST = 40, PAGE_RECORDS = 1024 };

static const char page_head[] =
    "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>weft</title>"
    "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}svg{max-width:100%;height:auto}"
    "code{background:#f3f3f3;padding:0 .2em}</style></head><body>";

/* Take the records that the query asks for: those which match, the newest last.  Freed by the caller; NULL: no memory. */
static struct timeline_record *
page_records(struct weft_request *rq, size_t *n)
{
	struct timeline_record *r = malloc(PAGE_RECORDS * sizeof *r);
	const char *match = weft_query(rq, "match"), *last = weft_query(rq, "last");
	long want = last == NULL ? PAGE_LAST : strtol(last, NULL, 10);
	size_t all, kept = 0;

	*n = 0;
	if (r == NULL)
		return NULL;
	all = timeline_collect(rq->app->ring, rq->app->nrings, r, PAGE_RECORDS);
	for (size_t i = 0; i < all; i++)
		if (match == NULL || strstr(r[i].what, match) != NULL)
			r[kept++] = r[i];
	if (want >= 0 && (size_t)want < kept) {
		memmove(r, r + kept - (size_t)want, (size_t)want * sizeof *r);
		kept = (size_t)want;
	}
	*n = kept;
	return r;
}

static int
page_send(struct weft_request *rq, struct buf *b, const char *type)
{
	int rc = b->bad ? fail_note(rq, WEFT_SYSTEM, 0, "page too large") : weft_set_header(rq, "Content-Type", type);

	if (rc == WEFT_OK)
		rc = weft_set_header(rq, "Cache-Control", "no-store");
	if (rc == WEFT_OK)
		rc = weft_write(rq, b->at, b->len);
	buf_fini(b);
	return rc;
}

enum page_form { PAGE_SVG, PAGE_HTML, PAGE_JSON };

static int
page_timeline(struct weft_request *rq, enum page_form form)
{
	static const char *const type[] = { "image/svg+xml", "text/html; charset=utf-8", "application/json" };
	struct timeline_record *r;
	struct buf b;
	size_t n;

	r = page_records(rq, &n);
	if (r == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "timeline: out of memory");
	buf_init(&b, PAGE_MAX);
	if (form == PAGE_JSON) {
		timeline_json(&b, r, n);
	} else if (form == PAGE_SVG) {
		timeline_svg(&b, r, n, clock_now());
	} else {
		buf_printf(&b, "%s<h1>Timeline</h1><p>The last requests of all workers: running, and waiting for what. "
		    "<a href=\"timeline\">Reload</a>, or take the last <a href=\"?last=10\">10</a>, <a href=\"?last=100\">100</a>; "
		    "as <a href=\"timeline.svg\">SVG</a> or <a href=\"timeline.json\">JSON</a>.</p>", page_head);
		timeline_svg(&b, r, n, clock_now());
		buf_add(&b, SPAN("</body></html>\n"));
	}
	free(r);
	return page_send(rq, &b, type[form]);
}

static int
page_timeline_svg(struct weft_request *rq)
{
	return page_timeline(rq, PAGE_SVG);
}

static int
page_timeline_html(struct weft_request *rq)
{
	return page_timeline(rq, PAGE_HTML);
}

static int
page_timeline_json(struct weft_request *rq)
{
	return page_timeline(rq, PAGE_JSON);
}

/* A number of a pool's, and its name in the status. */
struct page_number {
	const char *name;
	unsigned long long value;
};

enum { PAGE_NUMBERS = 28 };

static void
page_pool_numbers(const struct pool *p, struct page_number *out)
{
	struct pool_stat s;

	pool_stat(p, &s);
	memcpy(out, (const struct page_number[PAGE_NUMBERS]){
		{ "permits", s.permits }, { "open", s.open }, { "connecting", s.connecting }, { "busy", s.busy },
		{ "lent", s.lent }, { "leaving", s.leaving }, { "queued", s.queued }, { "calls", s.calls },
		{ "failed", s.failed }, { "timeouts", s.timeouts }, { "refused", s.busy_refused },
		{ "connects", s.connects }, { "losses", s.losses }, { "unsent", s.unsent }, { "again", s.again },
		{ "over_budget", s.over_budget }, { "checks", s.checks }, { "checks_failed", s.checks_failed },
		{ "idled", s.idled }, { "aged", s.aged }, { "failovers", s.failovers }, { "breaks", s.breaks },
		{ "left", s.left }, { "lent_long", s.lent_long }, { "channels", s.channels },
		{ "subscriptions", s.subscriptions }, { "messages", s.messages }, { "gaps", s.gaps },
	}, PAGE_NUMBERS * sizeof *out);
}

static bool
page_pool_is_down(const struct pool *p)
{
	struct pool_stat s;

	pool_stat(p, &s);
	return s.down != 0;
}

static json_t *
page_pool(const struct pool *p)
{
	struct page_number number[PAGE_NUMBERS];
	char url[512];
	json_t *out;

	page_pool_numbers(p, number);
	back_url_describe(pool_url(p), url, sizeof url);
	out = json_pack("{s:s s:s s:b}", "name", pool_name(p), "url", url, "down", page_pool_is_down(p));
	if (out != NULL && page_pool_is_down(p))
		json_object_set_new(out, "reason", json_string(pool_reason(p)));
	for (size_t i = 0; out != NULL && i < PAGE_NUMBERS; i++)
		json_object_set_new(out, number[i].name, json_integer((json_int_t)number[i].value));
	return out;
}

json_t *
page_status(const struct app *a)
{
	const struct front_app *f = &a->front;
	json_t *pools = json_array();

	for (size_t i = 0; i < a->npools; i++)
		json_array_append_new(pools, page_pool(a->pool[i]));
	return json_pack("{s:i s:i s:i s:i s:I s:I s:I s:I s:o}", "worker", (int)a->worker, "pid", (int)getpid(),
	    "requests", (int)f->requests, "connections", (int)f->connections, "served", (json_int_t)f->served,
	    "refused", (json_int_t)f->refused, "aborted", (json_int_t)f->aborted,
	    "bad_connections", (json_int_t)f->bad_connections, "pools", pools);
}

static int
page_status_json(struct weft_request *rq)
{
	json_t *all = page_status(rq->app);
	int rc = all == NULL ? fail_note(rq, WEFT_SYSTEM, 0, "status: out of memory") : weft_json(rq, all);

	json_decref(all);
	return rc;
}

/* A column for each pool. */
static void
page_pools(const struct app *a, struct buf *b)
{
	struct page_number number[PAGE_NUMBERS];

	if (a->npools == 0)
		return;
	buf_add(b, SPAN("<table><tr><th>pool"));
	for (size_t i = 0; i < a->npools; i++)
		buf_printf(b, "<th>%s", pool_name(a->pool[i]));
	buf_add(b, SPAN("<tr><td>state"));
	for (size_t i = 0; i < a->npools; i++)
		buf_printf(b, "<td>%s", page_pool_is_down(a->pool[i]) ? "down" : "up");
	for (size_t k = 0; k < PAGE_NUMBERS; k++)
		for (size_t i = 0; i < a->npools; i++) {
			page_pool_numbers(a->pool[i], number);
			if (i == 0)
				buf_printf(b, "<tr><td>%s", number[k].name);
			buf_printf(b, "<td>%llu", number[k].value);
		}
	buf_add(b, SPAN("</table>"));
}

static int
page_overview(struct weft_request *rq)
{
	struct front_app *f = &rq->app->front;
	struct buf b;

	buf_init(&b, PAGE_MAX);
	buf_printf(&b, "%s<h1>weft</h1><p>Worker %u, process %d: %u requests in flight, %llu served.</p>", page_head,
	    rq->app->worker, (int)getpid(), f->requests, f->served);
	page_pools(rq->app, &b);
	buf_add(&b, SPAN("<p><a href=\"timeline\">Timeline</a></p></body></html>\n"));
	return page_send(rq, &b, "text/html; charset=utf-8");
}

int
page_add(struct app *a, const char *prefix, char *error, size_t size)
{
	static const struct weft_route pages[] = {
		{ "GET", "/", page_overview, 0, 0 },
		{ "GET", "/timeline", page_timeline_html, 0, 0 },
		{ "GET", "/timeline.svg", page_timeline_svg, 0, 0 },
		{ "GET", "/timeline.json", page_timeline_json, 0, 0 },
		{ "GET", "/status.json", page_status_json, 0, 0 },
	};

	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (app_add_route(a, NULL, prefix, &pages[i], error, size) != 0)
			return -1;
	return 0;
}
