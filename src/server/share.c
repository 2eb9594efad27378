/* SPDX-License-Identifier: ISC */
/*
 * Each place has an inbox, a socket pair of which the worker reads one end and all others write
 * the other, and numbers in shared memory.  A worker alone writes how many it keeps,
 * but for a hint: who hands a connection on adds it at once, or many
 * that come in one go would all go to the same place.  When the receiver counts it, it writes what is true.
 *
 * A worker in which a handler computes does not look at its inbox.  Who sees that what was
 * sent is not taken sends no more.
 *
 * Both ends of an inbox stay open in the master, so what lies there when a worker
 * dies is taken by the next in its place.
 */
#include "server/share.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/fdpass.h"
#include "loop/loop.h"

enum {
	SHARE_BATCH = 16,		/* connections taken in one turn */
	SHARE_PART = 4			/* this part of another's number more than it has is no reason to hand on */
};

#define SHARE_NOBODY   UINT32_MAX
#define SHARE_PATIENCE (2 * USEC_PER_MSEC)	/* with a worker that does not take what was sent */

/* In shared memory. */
struct share_place {
	uint32_t kept;			/* connections; SHARE_NOBODY: it is vacant */
	uint32_t sent, taken;		/* through its inbox, ever */
};

struct share {
	unsigned workers;
	struct share_place *at;		/* one a worker */
	int inbox[SHARE_WORKERS_MAX][2];	/* to read, to write */
	/* In a worker. */
	unsigned place;
	struct loop *loop;
	usec since[SHARE_WORKERS_MAX];	/* there is something of ours that this one has not taken, as far as we saw */
	struct watch *watch;
	void (*take)(void *arg, int fd);
	void *arg;
};

static uint32_t
share_read(const uint32_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static void
share_add_one(uint32_t *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

struct share *
share_new(unsigned workers)
{
	struct share *s = calloc(1, sizeof *s);

	must(workers <= SHARE_WORKERS_MAX);
	if (s == NULL)
		return NULL;
	s->at = mmap(NULL, workers * sizeof *s->at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->at == MAP_FAILED) {
		free(s);
		return NULL;
	}
	for (; s->workers < workers; s->workers++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->inbox[s->workers]) != 0) {
			share_free(&s);
			return NULL;
		}
		share_vacate(s, s->workers);
	}
	return s;
}

void
share_free(struct share **sp)
{
	struct share *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->workers; i++) {
		close(s->inbox[i][0]);
		close(s->inbox[i][1]);
	}
	if (s->workers > 0)
		must(munmap(s->at, s->workers * sizeof *s->at) == 0);
	free(s);
}

unsigned
share_fds(const struct share *s, int *fds)
{
	for (unsigned i = 0; i < s->workers; i++) {
		fds[2 * i] = s->inbox[i][0];
		fds[2 * i + 1] = s->inbox[i][1];
	}
	return 2 * s->workers;
}

void
share_vacate(struct share *s, unsigned place)
{
	__atomic_store_n(&s->at[place].kept, SHARE_NOBODY, __ATOMIC_RELAXED);
}

static void
share_on_inbox(void *arg, int what)
{
	struct share *s = arg;
	char byte;
	int fd;

	for (int i = 0; i < SHARE_BATCH && fdpass_recv(s->inbox[s->place][0], &byte, sizeof byte, &fd) > 0; i++) {
		share_add_one(&s->at[s->place].taken);
		if (fd >= 0)
			s->take(s->arg, fd);
	}
}

uint32_t *
share_join(struct share *s, unsigned place, struct loop *l, void (*take)(void *arg, int fd), void *arg)
{
	must(place < s->workers);
	s->place = place;
	s->loop = l;
	s->take = take;
	s->arg = arg;
	s->watch = watch_new(l, s->inbox[place][0], share_on_inbox, s);
	if (s->watch == NULL || watch_want(s->watch, WATCH_READ) != 0) {
		watch_free(&s->watch);
		return NULL;
	}
	__atomic_store_n(&s->at[place].kept, 0, __ATOMIC_RELAXED);
	return &s->at[place].kept;
}

void
share_leave(struct share *s)
{
	share_vacate(s, s->place);
}

void
share_end(struct share *s)
{
	watch_free(&s->watch);
}

/* Does it take what it is sent?  Asked before each sending. */
static bool
share_is_awake(struct share *s, unsigned place)
{
	usec now = loop_lately(s->loop);

	if (share_read(&s->at[place].sent) == share_read(&s->at[place].taken))
		s->since[place] = now;
	return now - s->since[place] <= SHARE_PATIENCE;
}

/* Returns who of the others has the fewest; the own place when nobody else serves. */
static unsigned
share_find_least(struct share *s)
{
	unsigned least = s->place;
	uint32_t fewest = SHARE_NOBODY;

	for (unsigned i = 0; i < s->workers; i++) {
		uint32_t n = share_read(&s->at[i].kept);

		if (i != s->place && n < fewest && share_is_awake(s, i)) {
			least = i;
			fewest = n;
		}
	}
	return least;
}

bool
share_pass(struct share *s, int fd)
{
	uint32_t mine = share_read(&s->at[s->place].kept), its;
	unsigned other = share_find_least(s);

	its = share_read(&s->at[other].kept);
	if (other == s->place || its == SHARE_NOBODY || mine == SHARE_NOBODY || mine <= its + its / SHARE_PART)
		return false;
	/* Its inbox may be full. */
	if (fdpass_send(s->inbox[other][1], "", 1, fd) != 0)
		return false;
	share_add_one(&s->at[other].sent);
	share_add_one(&s->at[other].kept);
	close(fd);
	return true;
}
