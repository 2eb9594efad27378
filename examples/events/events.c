/* SPDX-License-Identifier: ISC */
/*
 * events: what is published to a channel of Redis, in the browser at once.
 *
 *	GET /			a page that shows the channel "news", and publishes to it
 *	GET /events/:channel	its messages as server-sent events
 *	POST /say/:channel	publish the body of the request
 *	GET /last/:channel	what was said last
 *	GET /next/:channel	the next message, or nothing after 20 seconds: a long poll
 *
 * Messages are not kept by Redis for those who do not listen just then; so what was said last is kept as a value, too.  The page reads
 * that at its beginning, and again wherever messages may have been lost: then it gets the event "gap".
 *
 * page.h is page.html as a C string; the whole build is
 *
 *	sed 's/["\\]/\\&/g; s|.*|"&\\n"|' page.html > page.h
 *	cc -std=c11 -D_DEFAULT_SOURCE -fPIC -shared $(pkg-config --cflags weft) -I. -o events.so events.c
 */
#include <weft/weft.h>

#include <string.h>

enum { EVENTS_ALIVE = 15000, EVENTS_POLL = 20000 };	/* milliseconds */

static const char events_html[] =
#include "page.h"
;

/* A message as an event: each line of it on a line of its own. */
static void
events_send(struct weft_request *rq, const char *text)
{
	for (;;) {
		size_t n = strcspn(text, "\r\n");

		weft_puts(rq, "data: ");
		weft_write(rq, text, n);
		weft_puts(rq, "\n");
		if (text[n] == '\0')
			break;
		text += n + (strncmp(text + n, "\r\n", 2) == 0 ? 2 : 1);
	}
	weft_puts(rq, "\n");
}

static int
events_stream(struct weft_request *rq)
{
	struct weft_subscription *sub;
	const char *text;

	if (weft_subscribe(rq, "events", &sub, weft_param(rq, "channel")) != WEFT_OK)
		return weft_fail(rq);
	weft_set_header(rq, "Content-Type", "text/event-stream");
	weft_set_header(rq, "Cache-Control", "no-store");
	weft_set_header(rq, "X-Accel-Buffering", "no");		/* nginx: pass it on at once */
	weft_puts(rq, ": here\n\n");
	while (weft_flush(rq) == WEFT_OK) {
		switch (weft_message(rq, sub, &text, NULL, EVENTS_ALIVE)) {
		case WEFT_OK:
			events_send(rq, text);
			break;
		case WEFT_GAP:
			weft_puts(rq, "event: gap\ndata:\n\n");
			break;
		case WEFT_TIMEOUT:
			/* After an hour, by weft.conf: the browser connects again. */
			if (weft_time_left(rq) == 0)
				return WEFT_OK;
			weft_puts(rq, ": still here\n\n");
			break;
		default:
			return WEFT_OK;
		}
	}
	return WEFT_OK;
}

static int
events_next(struct weft_request *rq)
{
	struct weft_subscription *sub;
	const char *text;
	size_t len;

	if (weft_subscribe(rq, "events", &sub, weft_param(rq, "channel")) != WEFT_OK)
		return weft_fail(rq);
	weft_set_header(rq, "Content-Type", "text/plain; charset=utf-8");
	weft_set_header(rq, "Cache-Control", "no-store");
	switch (weft_message(rq, sub, &text, &len, EVENTS_POLL)) {
	case WEFT_OK:
		return weft_write(rq, text, len);
	case WEFT_TIMEOUT:
		return weft_status(rq, 204, NULL);
	default:
		return weft_fail(rq);		/* 503, also for a gap: ask again */
	}
}

/* Kept and published in one step: whoever is told of it finds it. */
static const char events_say_script[] =
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('PUBLISH', ARGV[2], ARGV[1])";

static int
events_say(struct weft_request *rq)
{
	const char *channel = weft_param(rq, "channel"), *body;
	size_t len;

	if (weft_body(rq, &body, &len) != WEFT_OK)
		return weft_fail(rq);
	if (weft_redis_script(rq, "events", NULL, events_say_script,
	    (struct weft_value[]){ WEFT_TEXT(weft_sprintf(rq, "last:%s", channel)) }, 1,
	    (struct weft_value[]){ WEFT_BYTES(body, len), WEFT_TEXT(channel) }, 2) != WEFT_OK)
		return weft_fail(rq);
	return weft_status(rq, 204, NULL);
}

static int
events_last(struct weft_request *rq)
{
	struct weft_reply *last;
	const char *text;
	size_t len = 0;

	if (weft_redis(rq, "events", &last, "GET last:%s", weft_param(rq, "channel")) != WEFT_OK)
		return weft_fail(rq);
	text = weft_reply_text(last, &len);
	weft_set_header(rq, "Content-Type", "text/plain; charset=utf-8");
	weft_set_header(rq, "Cache-Control", "no-store");
	return weft_write(rq, text == NULL ? "" : text, text == NULL ? 0 : len);
}

static int
events_page(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/html; charset=utf-8");
	return weft_write(rq, events_html, sizeof events_html - 1);
}

WEFT_MODULE(
	{ "GET", "/", events_page },
	{ "GET", "/events/:channel", events_stream, .timeout_ms = 3600 * 1000 },	/* then the browser connects again */
	{ "GET", "/next/:channel", events_next },
	{ "GET", "/last/:channel", events_last },
	{ "POST", "/say/:channel", events_say },
)
