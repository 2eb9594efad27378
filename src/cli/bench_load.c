/* SPDX-License-Identifier: ISC */
/*
 * The load generator.  It must cost less than what it measures, or it measures
 * itself: so no libevent, no fibers, no chunks of memory, but one epoll, one read
 * for what has come, one send for the requests that follow from it, and requests that are copied (bench_request.c).
 *
 * Each connection has as many slots as requests may be under way on it; slot N is the
 * id N + 1.  A slot that is answered begins its next request at once, so the
 * number under way stays the same to the end (a closed loop).
 *
 * It ends: a request is begun only within the number or the time that was asked for; when
 * nothing has come for LOAD_PATIENCE, what is under way has failed; after LOAD_ERRORS
 * errors nothing is begun any more.
 */
#include "cli/bench_load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "cli/bench_request.h"
#include "wire/fcgi_rx.h"

enum {
	LOAD_READ = 65536,
	LOAD_EVENTS = 256,
	LOAD_ERRORS = 1000,
	LOAD_RETRY_MS = 1,
	LOAD_OUT = 2,		/* as many requests wait to be sent as may be under way, and as many again */
};

#define LOAD_NS_PER_SEC UINT64_C(1000000000)
#define LOAD_PATIENCE (10 * LOAD_NS_PER_SEC)

struct load_slot {
	bool live;
	uint64_t began;
	struct bench_answer answer;
};

enum load_state {
	LOAD_CLOSED,
	LOAD_REFUSED,		/* its backlog is full: tried again in a moment */
	LOAD_CONNECTING,
	LOAD_OPEN,
};

struct load_conn {
	struct load *load;
	int fd;
	enum load_state state;
	bool is_last;			/* no request begins on it any more */
	bool wants_write;
	unsigned live;
	struct fcgi_rx rx;
	size_t tail_len;		/* bytes of a record's head that is not whole */
	char tail[FCGI_HEAD_SIZE];
	size_t end_len;			/* bytes of END_REQUEST's content */
	unsigned char end[8];
	uint64_t connecting;		/* when it began to; 0: the requests count from when they are sent */
	size_t out_at, out_len;
	unsigned char *out;
	struct load_slot *slots;
	TAILQ_ENTRY(load_conn) link;	/* while LOAD_REFUSED */
};

struct load {
	const struct bench_opts *o;
	const struct bench_address *to;
	struct bench_result *res;
	struct bench_request request;
	int epoll;
	uint64_t now, begun_at, end_at;		/* end_at 0: no end in time */
	uint64_t heard;				/* when something was last heard */
	uint64_t begun;
	unsigned live, open;			/* requests, connections */
	TAILQ_HEAD(load_refused, load_conn) refused;
	struct load_conn *conns;
	struct load_slot *slots;
	unsigned char *out;
	char in[FCGI_HEAD_SIZE + LOAD_READ];
};

static uint64_t
load_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LOAD_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- errors and ends ---- */

static void
load_error(struct load *l, enum bench_error_kind kind, const char *what)
{
	l->res->errors[kind]++;
	l->res->failed++;
	if (l->res->why[0] == '\0')
		snprintf(l->res->why, sizeof l->res->why, "%s: %s", bench_error_name(kind), what);
}

/* May another request begin? */
static bool
load_goes_on(const struct load *l)
{
	if (l->res->failed >= LOAD_ERRORS)
		return false;
	return l->end_at > 0 ? l->now < l->end_at : l->begun < l->o->requests;
}

static void
load_slot_fail(struct load_conn *c, struct load_slot *s, enum bench_error_kind kind, const char *what)
{
	s->live = false;
	c->live--;
	c->load->live--;
	load_error(c->load, kind, what);
}

static void
load_conn_close(struct load_conn *c, enum bench_error_kind kind, const char *what)
{
	for (unsigned i = 0; c->live > 0; i++)
		if (c->slots[i].live)
			load_slot_fail(c, &c->slots[i], kind, what);
	if (c->state == LOAD_REFUSED)
		TAILQ_REMOVE(&c->load->refused, c, link);
	if (c->state == LOAD_CONNECTING || c->state == LOAD_OPEN)
		c->load->open--;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = LOAD_CLOSED;
}

/* ---- sending ---- */

static int
load_conn_watch(struct load_conn *c, int how)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };

	if (c->wants_write)
		e.events |= EPOLLOUT;
	return epoll_ctl(c->load->epoll, how, c->fd, &e);
}

static void
load_conn_send(struct load_conn *c)
{
	ssize_t n = 0;
	bool rest;

	if (c->out_len > c->out_at)
		n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
	/* An error shows when it is read: there may be answers before it. */
	if (n > 0)
		c->out_at += (size_t)n;
	rest = c->out_at < c->out_len && (n >= 0 || errno == EAGAIN);
	if (!rest)
		c->out_at = c->out_len = 0;
	if (rest != c->wants_write) {
		c->wants_write = rest;
		load_conn_watch(c, EPOLL_CTL_MOD);
	}
}

static void
load_slot_begin(struct load_conn *c, unsigned i)
{
	struct load *l = c->load;
	struct load_slot *s = &c->slots[i];

	c->out_len += bench_request_next(&l->request, c->out + c->out_len, (uint16_t)(i + 1));
	s->live = true;
	s->began = c->connecting > 0 ? c->connecting : l->now;
	bench_answer_init(&s->answer);
	c->live++;
	l->live++;
	l->begun++;
}

/* A server may answer before it has read all, so what is unsent may be more than what is under way. */
static bool
load_conn_has_room(const struct load_conn *c)
{
	const struct load *l = c->load;

	return c->out_len + l->request.size <= LOAD_OUT * l->o->ids * l->request.size;
}

/* Begin what may be begun on it. */
static void
load_conn_fill(struct load_conn *c)
{
	struct load *l = c->load;

	for (unsigned i = 0; i < l->o->ids && c->live < l->o->ids && load_goes_on(l) && load_conn_has_room(c); i++)
		if (!c->slots[i].live)
			load_slot_begin(c, i);
	if (l->o->reuse == BENCH_NEW)
		c->is_last = true;
	if (c->live == 0 && !load_goes_on(l))
		load_conn_close(c, BENCH_OK, "");
	else if (c->state == LOAD_OPEN)
		load_conn_send(c);
}

/* ---- connecting ---- */

static void
load_conn_refused(struct load_conn *c)
{
	close(c->fd);
	c->fd = -1;
	c->state = LOAD_REFUSED;
	TAILQ_INSERT_TAIL(&c->load->refused, c, link);
}

static void
load_conn_failed(struct load_conn *c, int error)
{
	/* With nothing under way one error stands for the request that could not begin. */
	if (c->live == 0) {
		c->load->begun++;
		load_error(c->load, BENCH_CONNECT, strerror(error));
	}
	load_conn_close(c, BENCH_CONNECT, strerror(error));
}

static void
load_conn_open(struct load_conn *c)
{
	struct load *l = c->load;
	const int on = 1;
	int rc;

	c->rx = (struct fcgi_rx){ 0 };
	fcgi_rx_init(&c->rx);
	c->tail_len = c->out_at = c->out_len = 0;
	c->is_last = c->wants_write = false;
	c->fd = socket(l->to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		load_conn_failed(c, errno);
		return;
	}
	if (l->to->addr.ss_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (l->o->reuse == BENCH_NEW && c->connecting == 0)
		c->connecting = l->now;
	rc = connect(c->fd, (const struct sockaddr *)&l->to->addr, l->to->len);
	if (rc != 0 && errno == EAGAIN) {
		load_conn_refused(c);
		return;
	}
	if (rc != 0 && errno != EINPROGRESS) {
		load_conn_failed(c, errno);
		return;
	}
	c->state = rc == 0 ? LOAD_OPEN : LOAD_CONNECTING;
	c->wants_write = rc != 0;
	l->res->connections++;
	l->open++;
	if (load_conn_watch(c, EPOLL_CTL_ADD) != 0)
		load_conn_failed(c, errno);
	else
		load_conn_fill(c);
	c->connecting = 0;
}

/* Those that found a full backlog try again, each once. */
static void
load_retry(struct load *l)
{
	struct load_conn *c, *last = TAILQ_LAST(&l->refused, load_refused);

	while ((c = TAILQ_FIRST(&l->refused)) != NULL) {
		TAILQ_REMOVE(&l->refused, c, link);
		c->state = LOAD_CLOSED;
		if (load_goes_on(l))
			load_conn_open(c);
		if (c == last)
			return;
	}
}

/* ---- answers ---- */

static struct load_slot *
load_slot_of(struct load_conn *c)
{
	unsigned id = c->rx.head.id;

	if (id == 0 || id > c->load->o->ids || !c->slots[id - 1].live)
		return NULL;
	return &c->slots[id - 1];
}

static void
load_slot_end(struct load_conn *c, struct load_slot *s)
{
	struct load *l = c->load;
	enum bench_error_kind kind = bench_answer_end(&s->answer, l->o);
	char what[64];

	if (c->end_len != sizeof c->end) {
		kind = BENCH_PROTOCOL;
		snprintf(what, sizeof what, "END_REQUEST without its content");
	} else if (c->end[4] != FCGI_REQUEST_COMPLETE) {
		kind = BENCH_REFUSED;
		snprintf(what, sizeof what, "END_REQUEST with protocol status %u", c->end[4]);
	} else if (kind == BENCH_BODY) {
		snprintf(what, sizeof what, "another body than expected");
	} else {
		snprintf(what, sizeof what, "the answer's status is %d", s->answer.status);
	}
	if (kind != BENCH_OK) {
		load_slot_fail(c, s, kind, what);
		return;
	}
	s->live = false;
	c->live--;
	l->live--;
	l->res->last_ns = l->now - l->begun_at;
	if (l->res->answered++ == 0)
		l->res->first_ns = l->res->last_ns;
	bench_hist_add(&l->res->latency, l->now - s->began);
}

/* Returns false when the peer does not speak FastCGI as it should. */
static bool
load_conn_event(struct load_conn *c, const struct fcgi_event *ev)
{
	const struct fcgi_head *head = &c->rx.head;
	struct load_slot *s = load_slot_of(c);

	switch (ev->kind) {
	case FCGI_EV_RECORD:
		c->end_len = 0;
		return s != NULL && (head->type == FCGI_STDOUT || head->type == FCGI_STDERR || head->type == FCGI_END_REQUEST);
	case FCGI_EV_DATA:
		if (head->type == FCGI_STDOUT)
			bench_answer_feed(&s->answer, c->load->o, ev->data);
		for (size_t i = 0; head->type == FCGI_END_REQUEST && i < ev->data.len && c->end_len < sizeof c->end; i++)
			c->end[c->end_len++] = (unsigned char)ev->data.at[i];
		return true;
	case FCGI_EV_END:
		if (head->type == FCGI_END_REQUEST)
			load_slot_end(c, s);
		return true;
	case FCGI_EV_NONE:
		return true;
	case FCGI_EV_BAD:
		break;
	}
	return false;
}

/* Returns false when the connection is gone. */
static bool
load_conn_take(struct load_conn *c, struct span in)
{
	struct fcgi_event ev;
	size_t n;

	do {
		n = fcgi_rx_step(&c->rx, in, &ev);
		if (!load_conn_event(c, &ev)) {
			load_conn_close(c, BENCH_PROTOCOL, "what came is not FastCGI, or answers nothing that was asked");
			return false;
		}
		in = span_skip(in, n);
	} while (n > 0 || ev.kind != FCGI_EV_NONE);
	must(in.len < sizeof c->tail);
	memcpy(c->tail, in.at, in.len);
	c->tail_len = in.len;
	return true;
}

/* The peer has ended the connection, as it may when nothing is under way.  Returns false: it is gone. */
static bool
load_conn_ended(struct load_conn *c, int error)
{
	load_conn_close(c, BENCH_CLOSED, error == 0 ? "the connection ended before the answer" : strerror(error));
	return false;
}

/* Returns false when the connection is gone. */
static bool
load_conn_read(struct load_conn *c)
{
	struct load *l = c->load;
	ssize_t n;

	memcpy(l->in, c->tail, c->tail_len);
	n = read(c->fd, l->in + c->tail_len, LOAD_READ);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return load_conn_ended(c, n < 0 ? errno : 0);
	l->now = l->heard = load_clock();
	return load_conn_take(c, (struct span){ l->in, c->tail_len + (size_t)n });
}

/* Returns false when the connection is gone. */
static bool
load_conn_connected(struct load_conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
		load_conn_failed(c, error != 0 ? error : errno);
		return false;
	}
	c->state = LOAD_OPEN;
	return true;
}

static void
load_conn_on_event(struct load_conn *c, uint32_t events)
{
	bool there = true;

	if (c->state == LOAD_CONNECTING)
		there = load_conn_connected(c);
	if (there && (events & EPOLLOUT))
		load_conn_send(c);
	if (there && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		there = load_conn_read(c);
	/* All is answered, and the server has ended it or will: a connection that was not to be kept. */
	if (there && c->is_last && c->live == 0 && (events & (EPOLLRDHUP | EPOLLHUP)))
		there = load_conn_ended(c, 0);
	if (there && !c->is_last)
		load_conn_fill(c);
	else if (!there && load_goes_on(c->load))
		load_conn_open(c);
}

/* ---- the run ---- */

static void
load_give_up(struct load *l)
{
	for (unsigned i = 0; i < l->o->connections; i++)
		load_conn_close(&l->conns[i], BENCH_TIMEOUT, "nothing came for 10 seconds");
}

/* Is anything awaited? */
static bool
load_is_busy(const struct load *l)
{
	return l->live > 0 || (load_goes_on(l) && (l->open > 0 || !TAILQ_EMPTY(&l->refused)));
}

static void
load_loop(struct load *l)
{
	struct epoll_event events[LOAD_EVENTS];
	int n;

	while (load_is_busy(l)) {
		n = epoll_wait(l->epoll, events, LOAD_EVENTS, TAILQ_EMPTY(&l->refused) ? 100 : LOAD_RETRY_MS);
		l->now = load_clock();
		for (int i = 0; i < n; i++)
			load_conn_on_event(events[i].data.ptr, events[i].events);
		load_retry(l);
		if (l->now - l->heard > LOAD_PATIENCE) {
			if (l->live == 0)
				load_error(l, BENCH_TIMEOUT, "nothing came for 10 seconds");
			load_give_up(l);
			return;
		}
	}
}

/* As many descriptors as we may have.  If they are too few, connecting says so. */
static void
load_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int
load_init(struct load *l)
{
	unsigned k = l->o->connections, m = l->o->ids;

	load_raise_limit();
	TAILQ_INIT(&l->refused);
	l->epoll = -1;
	if (bench_request_init(&l->request, l->o) != 0) {
		errno = E2BIG;
		return -1;
	}
	l->conns = calloc(k, sizeof *l->conns);
	l->slots = calloc((size_t)k * m, sizeof *l->slots);
	l->out = malloc((size_t)k * m * LOAD_OUT * l->request.size);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->conns == NULL || l->slots == NULL || l->out == NULL || l->epoll < 0)
		return -1;
	for (unsigned i = 0; i < k; i++) {
		struct load_conn *c = &l->conns[i];

		c->load = l;
		c->fd = -1;
		c->slots = l->slots + (size_t)i * m;
		c->out = l->out + (size_t)i * m * LOAD_OUT * l->request.size;
	}
	return 0;
}

static void
load_fini(struct load *l)
{
	bench_request_fini(&l->request);
	for (unsigned i = 0; l->conns != NULL && i < l->o->connections; i++)
		if (l->conns[i].fd >= 0)
			close(l->conns[i].fd);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l->conns);
	free(l->slots);
	free(l->out);
}

int
bench_load_run(const struct bench_opts *o, const struct bench_address *to, struct bench_result *res, char *error, size_t size)
{
	struct load *l = calloc(1, sizeof *l);
	int rc = -1;

	*res = (struct bench_result){ 0 };
	if (l == NULL) {
		snprintf(error, size, "%s", strerror(errno));
		return -1;
	}
	l->o = o;
	l->to = to;
	l->res = res;
	if (load_init(l) == 0) {
		l->now = l->heard = l->begun_at = load_clock();
		l->end_at = o->seconds > 0 ? l->now + (uint64_t)(o->seconds * 1e9) : 0;
		for (unsigned i = 0; i < o->connections && load_goes_on(l); i++)
			load_conn_open(&l->conns[i]);
		load_loop(l);
		res->ns = load_clock() - l->begun_at;
		rc = 0;
	} else {
		snprintf(error, size, "%s", errno == E2BIG ? "the variables do not fit into one record, or -u has %r too often" : strerror(errno));
	}
	load_fini(l);
	free(l);
	return rc;
}

/* ---- addresses ---- */

static int
bench_address_unix(struct bench_address *a, const char *path, char *error, size_t size)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;

	if (path[0] == '\0' || strlen(path) >= sizeof un->sun_path) {
		snprintf(error, size, "unix:%s: the path has 1 to %zu bytes", path, sizeof un->sun_path - 1);
		return -1;
	}
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	a->len = sizeof *un;
	return 0;
}

int
bench_address_parse(struct bench_address *a, const char *text, char *error, size_t size)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	struct span host;
	char name[256];
	int rc;

	*a = (struct bench_address){ .len = 0 };
	if (strncmp(text, "unix:", 5) == 0)
		return bench_address_unix(a, text + 5, error, size);
	host = (struct span){ text, colon == NULL ? 0 : (size_t)(colon - text) };
	if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
		host = (struct span){ host.at + 1, host.len - 2 };
	if (host.len == 0 || host.len >= sizeof name || colon[1] == '\0') {
		snprintf(error, size, "%s: not an address; write unix:/path, 127.0.0.1:9000 or [::1]:9000", text);
		return -1;
	}
	memcpy(name, host.at, host.len);
	name[host.len] = '\0';
	rc = getaddrinfo(name, colon + 1, &hints, &found);
	if (rc != 0) {
		snprintf(error, size, "%s: %s", text, gai_strerror(rc));
		return -1;
	}
	memcpy(&a->addr, found->ai_addr, found->ai_addrlen);
	a->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
