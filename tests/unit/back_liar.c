/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_liar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/loop.h"

/* Sanitizers cost time, and keep freed memory for long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 8, MOST_GROWTH_KB = 512 * 1024 };
#else
enum { SLOWER = 1, MOST_GROWTH_KB = 16 * 1024 };
#endif
enum { FLOOD_AT_ONCE = 65536 };
#define MOST_CPU (SLOWER * 50 * USEC_PER_MSEC)
#define MOST_LATE (SLOWER * 500 * USEC_PER_MSEC)
#define PULSE (5 * USEC_PER_MSEC)

/* ---- the server ---- */

void
liar_hang_up(struct liar_peer *p)
{
	if (p->fd < 0)
		return;
	watch_free(&p->watch);
	close(p->fd);
	p->fd = -1;
}

static void
liar_send(void *arg)
{
	struct liar_peer *p = arg;

	while (p->fd >= 0 && (p->out.len > 0 || p->flooded > 0)) {
		ssize_t n;

		if (p->out.len == 0) {
			size_t len = p->flood.len - p->flood_at < FLOOD_AT_ONCE ? p->flood.len - p->flood_at : FLOOD_AT_ONCE;

			must(buf_add(&p->out, (struct span){ p->flood.at + p->flood_at, len }) == WEFT_OK);
			p->flood_at = (p->flood_at + len) % p->flood.len;
			p->flooded -= p->flooded < len ? p->flooded : len;
		}
		n = send(p->fd, p->out.at, p->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			(void)watch_want(p->watch, WATCH_READ | WATCH_WRITE);
			return;
		}
		if (n <= 0)
			liar_hang_up(p);
		else
			buf_consume(&p->out, (size_t)n);
	}
	if (p->fd < 0)
		return;
	(void)watch_want(p->watch, WATCH_READ);
	if (p->last)
		liar_hang_up(p);
}

void
liar_say(struct liar_peer *p, struct span s)
{
	must(buf_add(&p->out, s) == WEFT_OK);
	if (p->liar->delay == 0)
		liar_send(p);
	else
		timer_set(p->timer, loop_now(p->liar->loop) + p->liar->delay);
}

static void
liar_on_event(void *arg, int what)
{
	struct liar_peer *p = arg;
	char in[16384];
	ssize_t n;

	if (what & WATCH_WRITE)
		liar_send(p);
	if (!(what & WATCH_READ) || p->fd < 0)
		return;
	n = recv(p->fd, in, sizeof in, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		liar_hang_up(p);
		return;
	}
	must(buf_add(&p->in, (struct span){ in, (size_t)n }) == WEFT_OK);
	p->liar->hear(p);
}

static void
liar_on_accept(void *arg, int what)
{
	struct liar *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct liar_peer *p;

	(void)what;
	if (fd < 0)
		return;
	p = calloc(1, sizeof *p);
	must(p != NULL);
	p->liar = l;
	p->fd = fd;
	p->number = ++l->accepted;
	buf_init(&p->in, 64 << 20);
	buf_init(&p->out, 64 << 20);
	p->watch = watch_new(l->loop, fd, liar_on_event, p);
	p->timer = timer_new(l->loop, liar_send, p);
	must(p->watch != NULL && p->timer != NULL);
	must(watch_want(p->watch, WATCH_READ) == 0);
	TAILQ_INSERT_HEAD(&l->peers, p, link);
	if (l->greet != NULL)
		l->greet(p);
}

static void
liar_listen(struct liar *l, struct loop *loop, const struct sockaddr *at, socklen_t len, void (*hear)(struct liar_peer *p))
{
	memset(l, 0, sizeof *l);
	l->loop = loop;
	l->hear = hear;
	TAILQ_INIT(&l->peers);
	l->fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0);
	must(bind(l->fd, at, len) == 0 && listen(l->fd, 64) == 0);
	l->watch = watch_new(loop, l->fd, liar_on_accept, l);
	must(l->watch != NULL && watch_want(l->watch, WATCH_READ) == 0);
}

void
liar_open(struct liar *l, struct loop *loop, const char *path, void (*hear)(struct liar_peer *p))
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	liar_listen(l, loop, (struct sockaddr *)&un, sizeof un, hear);
	snprintf(l->path, sizeof l->path, "%s", path);
}

unsigned
liar_open_tcp(struct liar *l, struct loop *loop, void (*hear)(struct liar_peer *p))
{
	return liar_open_port(l, loop, 0, hear);
}

unsigned
liar_open_port(struct liar *l, struct loop *loop, unsigned port, void (*hear)(struct liar_peer *p))
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof in;

	liar_listen(l, loop, (struct sockaddr *)&in, sizeof in, hear);
	must(getsockname(l->fd, (struct sockaddr *)&in, &len) == 0);
	return ntohs(in.sin_port);
}

void
liar_close(struct liar *l)
{
	struct liar_peer *p;

	while ((p = TAILQ_FIRST(&l->peers)) != NULL) {
		TAILQ_REMOVE(&l->peers, p, link);
		liar_hang_up(p);
		timer_free(&p->timer);
		buf_fini(&p->in);
		buf_fini(&p->out);
		free(p);
	}
	watch_free(&l->watch);
	close(l->fd);
	if (l->path[0] != '\0')
		unlink(l->path);
}

struct liar_peer *
liar_last(struct liar *l)
{
	struct liar_peer *p = TAILQ_FIRST(&l->peers);

	while (p != NULL && p->fd < 0)
		p = TAILQ_NEXT(p, link);
	return p;
}

/* ---- measures ---- */

static usec
pulse_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (usec)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

static void
pulse_look(struct pulse *p)
{
	usec late = clock_now() - p->due, cpu = pulse_cpu() - p->cpu;

	if (late > p->worst_late)
		p->worst_late = late;
	if (cpu > p->worst_cpu)
		p->worst_cpu = cpu;
}

static void
pulse_beat(void *arg)
{
	struct pulse *p = arg;

	pulse_look(p);
	p->cpu = pulse_cpu();
	p->due = clock_now() + PULSE;
	timer_set(p->timer, loop_now(p->loop) + PULSE);
}

void
pulse_begin(struct pulse *p, struct loop *loop)
{
	*p = (struct pulse){ .loop = loop, .cpu = pulse_cpu(), .due = clock_now() + PULSE };
	p->timer = timer_new(loop, pulse_beat, p);
	must(p->timer != NULL);
	timer_set(p->timer, loop_now(loop) + PULSE);
}

void
pulse_end(struct pulse *p)
{
	pulse_look(p);
	timer_free(&p->timer);
	if (p->worst_cpu > MOST_CPU || p->worst_late > MOST_LATE)
		fail_msg("the loop was held: %lld us computing, %lld us late", (long long)p->worst_cpu, (long long)p->worst_late);
}

static long
rss_read(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kb = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = atol(line + strlen(name));
	fclose(f);
	return kb;
}

static long rss_before;

void
rss_begin(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "we");	/* "5": forget the peak */

	if (f != NULL) {
		fputs("5", f);
		fclose(f);
	}
	rss_before = rss_read("VmHWM:");
}

void
rss_end(const char *what)
{
	long grown = rss_read("VmHWM:") - rss_before;

	if (grown > MOST_GROWTH_KB)
		fail_msg("%s: memory grew by %ld KB", what, grown);
}
