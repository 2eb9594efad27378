/* SPDX-License-Identifier: ISC */
/*
 * getaddrinfo reads files and asks name servers, and blocks for seconds if they
 * do not answer; so it runs on a thread.  It cannot be stopped: a cancelled look-up is
 * taken back if no thread has begun it, else its result is thrown away.  The end of the loop does not wait for it.
 */
#include "loop/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/thread.h"

struct resolve {
	struct thread_job job;
	struct threads *threads;
	void (*done)(void *arg, const struct resolved *r);	/* NULL: cancelled */
	void *arg;
	struct resolved result;
	unsigned port;
	char host[];
};

static void
resolve_add(struct resolved *r, const struct addrinfo *ai)
{
	if (r->count == RESOLVE_MAX || ai->ai_addrlen > sizeof r->address[0].addr)
		return;
	memcpy(&r->address[r->count].addr, ai->ai_addr, ai->ai_addrlen);
	r->address[r->count].len = ai->ai_addrlen;
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, r->address[r->count].text, sizeof r->address[r->count].text, NULL, 0,
	    NI_NUMERICHOST) == 0)
		r->count++;
}

/* Look up; flags is 0 or AI_NUMERICHOST, with which it asks nobody. */
static void
resolve_look_up(const char *host, unsigned port, int flags, struct resolved *r)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *all = NULL;
	char service[12];

	*r = (struct resolved){ .error = EAI_SERVICE };
	if (port > 65535)
		return;
	snprintf(service, sizeof service, "%u", port);
	r->error = getaddrinfo(host, service, &hints, &all);
	if (r->error != 0)
		return;
	for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next)
		resolve_add(r, ai);
	freeaddrinfo(all);
	if (r->count == 0)
		r->error = EAI_NONAME;
}

static void
resolve_on_thread(void *arg)
{
	struct resolve *r = arg;

	resolve_look_up(r->host, r->port, 0, &r->result);
}

static void
resolve_on_done(void *arg)
{
	struct resolve *r = arg;

	if (r->done != NULL)
		r->done(r->arg, &r->result);
	free(r);
}

/* Nobody is there any more who could be told. */
static void
resolve_on_left(void *arg)
{
	free(arg);
}

/* Hand the look-up to a thread.  Returns NULL with *error when that is not possible. */
static struct resolve *
resolve_submit(struct loop *l, const char *host, unsigned port, int *error)
{
	size_t len = strlen(host);
	struct resolve *r = calloc(1, sizeof *r + len + 1);

	*error = EAI_MEMORY;
	if (r == NULL)
		return NULL;
	memcpy(r->host, host, len + 1);
	r->port = port;
	r->job = (struct thread_job){ .fn = resolve_on_thread, .done = resolve_on_done, .left = resolve_on_left, .arg = r };
	r->threads = loop_threads(l);
	*error = EAI_AGAIN;
	if (r->threads != NULL && threads_submit(r->threads, &r->job) == WEFT_OK)
		return r;
	free(r);
	return NULL;
}

struct resolve *
resolve_start(struct loop *l, const char *host, unsigned port, void (*done)(void *arg, const struct resolved *r), void *arg)
{
	struct resolve *r = NULL;
	struct resolved now;

	resolve_look_up(host, port, AI_NUMERICHOST, &now);
	if (now.error == EAI_NONAME) {		/* not a number */
		r = resolve_submit(l, host, port, &now.error);
		if (r != NULL) {
			r->done = done;
			r->arg = arg;
			return r;
		}
	}
	done(arg, &now);
	return NULL;
}

void
resolve_cancel(struct resolve **rp)
{
	struct resolve *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	r->done = NULL;
	if (threads_recall(r->threads, &r->job))
		free(r);
}
