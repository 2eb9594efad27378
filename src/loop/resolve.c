/* SPDX-License-Identifier: ISC */
/*
 * getaddrinfo reads files and asks name servers, and blocks for seconds if they
 * do not answer; so it runs on a thread.  It cannot be stopped: a cancelled look-up is
 * taken back if no thread has begun it, else it goes on.  The end of the loop does not wait for it.
 *
 * Look-ups that hang must not be in anybody's way.  So they have threads of their own, and a name is looked up once at a
 * time, for all who ask for it meanwhile: whoever tries again and again takes one thread, and has the answer as soon as there is one.
 */
#include "loop/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/loop_inside.h"
#include "loop/thread.h"

/* So many names at a time; others wait. */
enum { RESOLVE_THREADS = 16, RESOLVE_QUEUE = 4096 };

struct resolver {
	struct threads *threads;
	LIST_HEAD(, lookup) lookups;	/* that have not ended */
};

/* One name.  The thread's while it runs, but for what says who is to be told. */
struct lookup {
	struct thread_job job;
	struct resolver *resolver;	/* NULL: gone, and so is the list */
	LIST_ENTRY(lookup) link;
	TAILQ_HEAD(, resolve) askers;
	struct resolved result;
	unsigned port;
	char host[];
};

struct resolve {
	struct lookup *lookup;
	TAILQ_ENTRY(resolve) link;
	void (*done)(void *arg, const struct resolved *r);
	void *arg;
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
lookup_forget_askers(struct lookup *k)
{
	struct resolve *r;

	while ((r = TAILQ_FIRST(&k->askers)) != NULL) {
		TAILQ_REMOVE(&k->askers, r, link);
		free(r);
	}
}

static void
lookup_on_thread(void *arg)
{
	struct lookup *k = arg;

	resolve_look_up(k->host, k->port, 0, &k->result);
}

/* Whoever is told may cancel what others have asked for, or ask anew. */
static void
lookup_on_done(void *arg)
{
	struct lookup *k = arg;
	struct resolve *r;

	if (k->resolver != NULL)
		LIST_REMOVE(k, link);
	while ((r = TAILQ_FIRST(&k->askers)) != NULL) {
		TAILQ_REMOVE(&k->askers, r, link);
		r->done(r->arg, &k->result);
		free(r);
	}
	free(k);
}

/* The resolver goes, and with it all that asked. */
static void
lookup_on_left(void *arg)
{
	free(arg);
}

static struct resolver *
resolver_of(struct loop *l)
{
	struct resolver *all = l->names == NULL ? calloc(1, sizeof *all) : l->names;

	if (all == NULL || all == l->names)
		return all;
	all->threads = threads_new(l, RESOLVE_THREADS, RESOLVE_QUEUE);
	if (all->threads == NULL) {
		free(all);
		return NULL;
	}
	l->names = all;
	return all;
}

void
resolver_free(struct resolver **rp)
{
	struct lookup *k;

	if (*rp == NULL)
		return;
	/*
	 * Nobody is there any more who could be told, not even of what has ended already.  Each look-up is alone from now on: a
	 * thread may free one that is left while another is finished here.
	 */
	while ((k = LIST_FIRST(&(*rp)->lookups)) != NULL) {
		LIST_REMOVE(k, link);
		k->resolver = NULL;
		lookup_forget_askers(k);
	}
	threads_free(&(*rp)->threads);
	free(*rp);
	*rp = NULL;
}

void
resolver_forget(struct resolver **rp)
{
	if (*rp != NULL)
		threads_forget(&(*rp)->threads);
	free(*rp);
	*rp = NULL;
}

/* Returns the look-up of this name that is under way, or NULL. */
static struct lookup *
lookup_find(const struct resolver *all, const char *host, unsigned port)
{
	struct lookup *k;

	LIST_FOREACH(k, &all->lookups, link)
		if (k->port == port && strcmp(k->host, host) == 0)
			return k;
	return NULL;
}

/* Hand a name to a thread.  Returns NULL with *error when that is not possible. */
static struct lookup *
lookup_begin(struct resolver *all, const char *host, unsigned port, int *error)
{
	size_t len = strlen(host);
	struct lookup *k = calloc(1, sizeof *k + len + 1);

	*error = EAI_MEMORY;
	if (k == NULL)
		return NULL;
	memcpy(k->host, host, len + 1);
	k->port = port;
	k->resolver = all;
	TAILQ_INIT(&k->askers);
	k->job = (struct thread_job){ .fn = lookup_on_thread, .done = lookup_on_done, .dropped = lookup_on_left, .left = lookup_on_left,
		.arg = k };
	*error = EAI_AGAIN;
	if (threads_submit(all->threads, &k->job) != WEFT_OK) {
		free(k);
		return NULL;
	}
	LIST_INSERT_HEAD(&all->lookups, k, link);
	return k;
}

/* Ask for a name.  Returns NULL with *error when that is not possible. */
static struct resolve *
resolve_ask(struct loop *l, const char *host, unsigned port, int *error)
{
	struct resolver *all = resolver_of(l);
	struct resolve *r = calloc(1, sizeof *r);
	struct lookup *k = NULL;

	*error = EAI_MEMORY;
	if (all != NULL && r != NULL)
		k = lookup_find(all, host, port);
	if (all != NULL && r != NULL && k == NULL)
		k = lookup_begin(all, host, port, error);
	if (k == NULL) {
		free(r);
		return NULL;
	}
	r->lookup = k;
	TAILQ_INSERT_TAIL(&k->askers, r, link);
	return r;
}

struct resolve *
resolve_start(struct loop *l, const char *host, unsigned port, void (*done)(void *arg, const struct resolved *r), void *arg)
{
	struct resolve *r = NULL;
	struct resolved now;

	resolve_look_up(host, port, AI_NUMERICHOST, &now);
	if (now.error == EAI_NONAME) {		/* not a number */
		r = resolve_ask(l, host, port, &now.error);
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
	struct lookup *k;

	*rp = NULL;
	if (r == NULL)
		return;
	k = r->lookup;
	TAILQ_REMOVE(&k->askers, r, link);
	free(r);
	if (!TAILQ_EMPTY(&k->askers) || !threads_recall(k->resolver->threads, &k->job))
		return;
	LIST_REMOVE(k, link);
	free(k);
}
