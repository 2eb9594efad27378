/* SPDX-License-Identifier: ISC */
/*
 * Pairs.  What is read goes to the end of its lane with the time when it may go on; what is due
 * is sent, and on the way there it is counted, flipped or cut.  A side that its lane is full for, or that
 * is held, is not read: the kernel's buffers then hold the peer up, as a slow network would.
 *
 * A pair that ends is marked dead, and freed after the turn: epoll may have told of its other side too.
 */
#include "faultproxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LANE_CHUNK = 65536, LANE_FULL = 1048576 };

/* ---- life ---- */

static void
side_close(struct side *s, enum pair_end how)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (s->fd < 0)
		return;
	/* On a unix socket there is no such thing: it is closed. */
	if (how == PAIR_RESET)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(s->fd);
	s->fd = -1;
}

static void
pair_end(struct proxy *p, struct pair *pr, enum pair_end how)
{
	if (pr->dead)
		return;
	pr->dead = true;
	p->now--;
	for (int i = 0; i < SIDES; i++)
		side_close(&pr->side[i], how);
}

static void
pair_free(struct pair *pr)
{
	for (int i = 0; i < LANES; i++)
		while (!STAILQ_EMPTY(&pr->lane[i].queue)) {
			struct chunk *c = STAILQ_FIRST(&pr->lane[i].queue);

			STAILQ_REMOVE_HEAD(&pr->lane[i].queue, link);
			free(c);
		}
	LIST_REMOVE(pr, link);
	free(pr);
}

static void
side_want(struct proxy *p, struct side *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (s->fd < 0 || s->wanted == events)
		return;
	s->wanted = events;
	epoll_ctl(p->epoll, EPOLL_CTL_MOD, s->fd, &e);
}

static int
side_open(struct proxy *p, struct side *s, int fd)
{
	struct epoll_event e = { .data.ptr = s };
	const int on = 1;

	s->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);	/* a unix socket has none */
	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e);
}

static int
pair_connect(struct proxy *p, struct pair *pr)
{
	int fd = socket(p->target.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&p->target.addr, p->target.len) != 0) {
		if (errno != EINPROGRESS) {
			close(fd);
			return -1;
		}
		pr->connecting = true;
	}
	return side_open(p, &pr->side[SIDE_SERVER], fd);
}

static void
lane_init(struct proxy *p, struct pair *pr, int i)
{
	struct lane *l = &pr->lane[i];
	const struct fault *f = &p->fault[i];

	l->pair = pr;
	l->from = i == LANE_UP ? SIDE_CLIENT : SIDE_SERVER;
	l->to = i == LANE_UP ? SIDE_SERVER : SIDE_CLIENT;
	l->cut_at = f->cut_at;
	l->cut_how = f->cut_how;
	l->flip_at = f->flip_at;
	STAILQ_INIT(&l->queue);
}

void
pair_new(struct proxy *p, int fd)
{
	struct pair *pr = calloc(1, sizeof *pr);

	if (pr == NULL) {
		close(fd);
		return;
	}
	LIST_INSERT_HEAD(&p->pairs, pr, link);
	p->ever++;
	if (++p->now > p->peak)
		p->peak = p->now;
	for (int i = 0; i < SIDES; i++)
		pr->side[i] = (struct side){ .pair = pr, .fd = -1 };
	for (int i = 0; i < LANES; i++)
		lane_init(p, pr, i);
	pr->is_hole = p->hole;
	if (side_open(p, &pr->side[SIDE_CLIENT], fd) != 0 || (!pr->is_hole && pair_connect(p, pr) != 0))
		pair_end(p, pr, PAIR_RESET);
}

/* ---- reading ---- */

static void
lane_add(struct proxy *p, struct lane *l, struct chunk *c, size_t len)
{
	const struct fault *f = &p->fault[l - l->pair->lane];
	usec due = clock_now() + f->delay_min;

	if (f->delay_max > f->delay_min)
		due += (usec)proxy_random(p, (uint64_t)(f->delay_max - f->delay_min));
	l->due = due > l->due ? due : l->due;
	c->due = l->due;
	c->at = 0;
	c->len = (uint32_t)len;
	STAILQ_INSERT_TAIL(&l->queue, c, link);
	if (f->chance > 0 && proxy_random(p, 1000000) < f->chance && l->cut_at == LANE_NOWHERE) {
		l->cut_at = l->taken + proxy_random(p, len + 1);
		l->cut_how = proxy_random(p, 2) == 0 ? PAIR_CLOSE : PAIR_RESET;
	}
	l->queued += len;
	l->taken += len;
}

static void
lane_read(struct proxy *p, struct lane *l)
{
	struct chunk *c = malloc(sizeof *c + LANE_CHUNK);
	ssize_t n = c == NULL ? 0 : read(l->pair->side[l->from].fd, c->bytes, LANE_CHUNK);

	if (n > 0) {
		struct chunk *small = realloc(c, sizeof *c + (size_t)n);

		lane_add(p, l, small == NULL ? c : small, (size_t)n);
		return;
	}
	free(c);
	if (n == 0)
		l->is_over = true;
	else if (errno != EAGAIN && errno != EINTR)
		pair_end(p, l->pair, errno == ECONNRESET ? PAIR_RESET : PAIR_CLOSE);
}

/* ---- sending ---- */

/* Each pair is cut, or only the first that comes so far. */
static void
lane_cut(struct proxy *p, struct lane *l)
{
	int i = (int)(l - l->pair->lane);
	struct fault *f = &p->fault[i];

	p->cuts++;
	pair_end(p, l->pair, l->cut_how);
	if (f->cut_once) {
		f->cut_once = false;
		f->cut_at = LANE_NOWHERE;
		pairs_set_cut(p, i);
	}
}

/* How much of the first chunk goes on now. */
static size_t
lane_portion(const struct fault *f, const struct lane *l, const struct chunk *c)
{
	uint64_t n = c->len - c->at;

	if (f->dribble > 0)
		n = 1;
	if (l->cut_at - l->passed < n)
		n = l->cut_at - l->passed;
	return (size_t)n;
}

static void
lane_flip(struct proxy *p, struct lane *l, struct chunk *c, size_t n)
{
	struct fault *f = &p->fault[l - l->pair->lane];

	if (l->flip_at < l->passed || l->flip_at - l->passed >= n)
		return;
	c->bytes[c->at + (l->flip_at - l->passed)] ^= (char)f->flip;
	f->flip_at = LANE_NOWHERE;
	pairs_set_flip(p, (int)(l - l->pair->lane));
}

static void
lane_passed(struct proxy *p, struct lane *l, struct chunk *c, size_t n, usec now)
{
	const struct fault *f = &p->fault[l - l->pair->lane];

	l->passed += n;
	l->queued -= n;
	p->bytes[l - l->pair->lane] += n;
	c->at += (uint32_t)n;
	c->due = f->dribble > 0 ? now + f->dribble : c->due;
	if (c->at < c->len)
		return;
	STAILQ_REMOVE_HEAD(&l->queue, link);
	if (f->dribble > 0 && !STAILQ_EMPTY(&l->queue))
		STAILQ_FIRST(&l->queue)->due = c->due;
	free(c);
}

/* Let go on what is due. */
static void
lane_send(struct proxy *p, struct lane *l, usec now)
{
	const struct fault *f = &p->fault[l - l->pair->lane];
	struct side *to = &l->pair->side[l->to];
	struct chunk *c;

	while (!l->pair->dead && !f->held && (c = STAILQ_FIRST(&l->queue)) != NULL && c->due <= now) {
		size_t n = lane_portion(f, l, c);
		ssize_t sent;

		lane_flip(p, l, c, n);
		sent = n == 0 ? 0 : send(to->fd, c->bytes + c->at, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			pair_end(p, l->pair, PAIR_RESET);
			return;
		}
		lane_passed(p, l, c, (size_t)sent, now);
		if (l->passed >= l->cut_at)
			lane_cut(p, l);
	}
	if (!l->pair->dead && !f->held && l->is_over && !l->is_shut && STAILQ_EMPTY(&l->queue)) {
		shutdown(to->fd, SHUT_WR);
		l->is_shut = true;
	}
}

/* ---- the turn ---- */

/* May its source be read? */
static bool
lane_wants(const struct proxy *p, const struct lane *l)
{
	return !p->fault[l - l->pair->lane].held && !l->pair->is_hole && !l->is_over && l->queued < LANE_FULL;
}

static void
pair_run(struct proxy *p, struct pair *pr, usec now)
{
	uint32_t events[SIDES] = { 0 };

	for (int i = 0; i < LANES && !pr->connecting && !pr->is_hole && !pr->dead; i++)
		lane_send(p, &pr->lane[i], now);
	if (!pr->dead && pr->lane[LANE_UP].is_shut && pr->lane[LANE_DOWN].is_shut)
		pair_end(p, pr, PAIR_CLOSE);
	for (int i = 0; i < LANES; i++) {
		const struct lane *l = &pr->lane[i];
		const struct chunk *c = STAILQ_FIRST(&l->queue);

		if (lane_wants(p, l))
			events[l->from] |= EPOLLIN;
		else if (!l->is_over)
			events[l->from] |= EPOLLRDHUP;
		/* Due, and not gone: the kernel took no more. */
		if (c != NULL && c->due <= now && !p->fault[i].held)
			events[l->to] |= EPOLLOUT;
	}
	if (pr->connecting)
		events[SIDE_SERVER] = EPOLLOUT;
	for (int i = 0; i < SIDES; i++)
		side_want(p, &pr->side[i], events[i]);
}

static void
pair_connected(struct proxy *p, struct pair *pr)
{
	socklen_t len = sizeof(int);
	int error = 0;

	pr->connecting = false;
	if (getsockopt(pr->side[SIDE_SERVER].fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		pair_end(p, pr, PAIR_RESET);
}

void
pair_on_event(struct proxy *p, struct side *s, uint32_t events)
{
	struct pair *pr = s->pair;
	int i = s == &pr->side[SIDE_CLIENT] ? LANE_UP : LANE_DOWN;
	struct lane *l = &pr->lane[i];

	if (pr->dead)
		return;
	if (pr->connecting && i == LANE_DOWN) {
		pair_connected(p, pr);
		return;
	}
	if (events & EPOLLIN)
		lane_read(p, l);
	else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && !lane_wants(p, l) && !l->is_over)
		pair_end(p, pr, PAIR_CLOSE);	/* nobody would tell of it otherwise */
	/* A socket that has come to both its ends is told of for ever. */
	if (!pr->dead && l->is_over && (events & (EPOLLHUP | EPOLLERR)))
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, s->fd, NULL);
}

void
pairs_run(struct proxy *p, usec now)
{
	struct pair *pr, *next;

	for (pr = LIST_FIRST(&p->pairs); pr != NULL; pr = LIST_NEXT(pr, link))
		if (!pr->dead)
			pair_run(p, pr, now);
	for (pr = LIST_FIRST(&p->pairs); pr != NULL; pr = next) {
		next = LIST_NEXT(pr, link);
		if (pr->dead)
			pair_free(pr);
	}
}

usec
pairs_next(const struct proxy *p)
{
	usec next = CLOCK_NEVER;
	const struct pair *pr;

	LIST_FOREACH(pr, &p->pairs, link)
		for (int i = 0; i < LANES && !pr->connecting; i++) {
			const struct chunk *c = STAILQ_FIRST(&pr->lane[i].queue);

			/* What was due already waits for the kernel. */
			if (c != NULL && !p->fault[i].held && c->due > clock_now())
				next = clock_min(next, c->due);
		}
	return next;
}

/* ---- commands ---- */

static uint64_t
lane_from_now(const struct lane *l, uint64_t n)
{
	return n == LANE_NOWHERE ? n : l->passed + n;
}

void
pairs_set_cut(struct proxy *p, int lane)
{
	const struct fault *f = &p->fault[lane];
	struct pair *pr;

	LIST_FOREACH(pr, &p->pairs, link) {
		pr->lane[lane].cut_at = lane_from_now(&pr->lane[lane], f->cut_at);
		pr->lane[lane].cut_how = f->cut_how;
	}
}

void
pairs_set_flip(struct proxy *p, int lane)
{
	struct pair *pr;

	LIST_FOREACH(pr, &p->pairs, link)
		pr->lane[lane].flip_at = lane_from_now(&pr->lane[lane], p->fault[lane].flip_at);
}

void
pairs_end(struct proxy *p, enum pair_end how)
{
	struct pair *pr;

	LIST_FOREACH(pr, &p->pairs, link)
		pair_end(p, pr, how);
}
