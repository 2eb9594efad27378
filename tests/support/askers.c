/* SPDX-License-Identifier: ISC */
/*
 * askers: many clients over FastCGI at once, some of whom leave, and what became of each request.
 *
 *	-a PATH    the unix socket, or a number and a port: 127.0.0.1:9000
 *	-u URI     what is asked for; %n is the number of the request
 *	-f N       the first number; 1 by default
 *	-n N       how many requests; without it, and without -t, until SIGTERM
 *	-t SEC     how long
 *	-k N       how many at once; 1 by default.  Each has a connection, which it keeps as long as it is answered
 *	-r N       begin so many a second at most
 *	-l N       of a thousand so many leave, by closing their connection …
 *	-w MICROS  … some time up to this after they asked
 *	-T SEC     no longer than this is waited for an answer; 60 by default
 *	-s SEED    of the random numbers
 *
 * When all is over it prints a line for each request: its number, when it began, how long it took (microseconds of the
 * monotonic clock), its status, and the first line of the answer's body.  The status is that of the
 * answer, or 0: it left; -1: the connection ended without a whole answer; -2: there was no connection; -3: no answer in time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/fcgi_param.h"
#include "wire/fcgi_rx.h"

enum {
	ASK_EVENTS = 512,
	ASK_URI = 1024,
	ASK_OUT = 4096,
	ASK_HEAD = 1024,		/* bytes of an answer that are looked at */
	ASK_TEXT = 96,
	ASK_LEFT = 0, ASK_CLOSED = -1, ASK_NO_CONNECTION = -2, ASK_LATE = -3,
};

struct result {
	usec began, took;
	int status;
	char text[ASK_TEXT];
};

struct asker {
	int fd;				/* -1: no connection */
	bool busy;
	bool connecting;		/* over TCP, and it has yet to ask */
	size_t number;			/* of its request */
	usec leaves;			/* when it does; CLOCK_NEVER: it stays */
	struct fcgi_rx rx;
	size_t tail_len, out_len;
	char tail[FCGI_HEAD_SIZE];
	char out[ASK_HEAD];		/* the beginning of the answer */
	bool is_end;			/* the record that is coming is the last */
};

static struct {
	const char *path, *uri;
	unsigned long first, count, at_once, rate, leave, seed;
	usec length, leave_within, patience;
} o = { .first = 1, .at_once = 1, .patience = 60 * USEC_PER_SEC };

static struct asker *askers;
static struct result *results;
static size_t asked, room, live;
static int epoll;
static usec now, begin_at, ticked;
static volatile sig_atomic_t stopped;

static void
on_term(int signo)
{
	stopped = 1;
}

static unsigned long
ask_random(unsigned long n)
{
	static uint64_t state;

	if (state == 0)
		state = o.seed * 2 + 88172645463325253u;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n == 0 ? 0 : state % n;
}

/* ---- the end of a request ---- */

static void
asker_close(struct asker *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void
asker_end(struct asker *a, int status)
{
	struct result *r = &results[a->number];

	a->busy = false;
	live--;
	r->took = now - r->began;
	r->status = status;
	if (status <= 0)
		asker_close(a);
}

/* A whole answer is in out. */
static void
asker_answered(struct asker *a)
{
	const char *status, *body;
	size_t n = 0;

	a->out[a->out_len] = '\0';
	status = strncmp(a->out, "Status: ", 8) == 0 ? a->out : strstr(a->out, "\r\nStatus: ");
	body = strstr(a->out, "\r\n\r\n");
	if (body == NULL) {
		asker_end(a, ASK_CLOSED);
		return;
	}
	for (body += 4; *body != '\0' && *body != '\n' && n < ASK_TEXT - 1; body++)
		results[a->number].text[n++] = *body;
	asker_end(a, status == NULL ? 200 : atoi(strchr(status, ' ')));
}

/* ---- asking ---- */

static size_t
ask_add(char *to, size_t at, const char *name, const char *value, size_t len)
{
	return at + fcgi_param_encode(to + at, ASK_OUT - at, span_str(name), (struct span){ value, len });
}

static size_t
ask_encode(unsigned char *out, const char *uri)
{
	const struct fcgi_begin begin = { .role = FCGI_RESPONDER, .flags = FCGI_KEEP_CONN };
	struct fcgi_head head = { .type = FCGI_PARAMS, .id = 1 };
	size_t path = strcspn(uri, "?"), n = 0;
	char params[ASK_OUT];

	n = ask_add(params, n, "REQUEST_METHOD", "GET", 3);
	n = ask_add(params, n, "REQUEST_URI", uri, strlen(uri));
	n = ask_add(params, n, "SCRIPT_NAME", "", 0);
	n = ask_add(params, n, "PATH_INFO", uri, path);
	n = ask_add(params, n, "QUERY_STRING", uri[path] == '?' ? uri + path + 1 : "", uri[path] == '?' ? strlen(uri + path + 1) : 0);
	n = ask_add(params, n, "SERVER_PROTOCOL", "HTTP/1.1", 8);
	fcgi_begin_encode(out, 1, &begin);
	head.length = (uint16_t)n;
	fcgi_head_encode(out + 16, &head);
	memcpy(out + 24, params, n);
	head.length = 0;
	fcgi_head_encode(out + 24 + n, &head);
	head.type = FCGI_STDIN;
	fcgi_head_encode(out + 32 + n, &head);
	return 40 + n;
}

static socklen_t
ask_address(struct sockaddr_storage *to)
{
	struct sockaddr_un *un = (struct sockaddr_un *)to;
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	const char *colon = strrchr(o.path, ':');
	char host[64];

	memset(to, 0, sizeof *to);
	if (o.path[0] == '/' || colon == NULL || (size_t)(colon - o.path) >= sizeof host) {
		un->sun_family = AF_UNIX;
		strncpy(un->sun_path, o.path, sizeof un->sun_path - 1);
		return sizeof *un;
	}
	snprintf(host, sizeof host, "%.*s", (int)(colon - o.path), o.path);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? sizeof *in : 0;
}

static int
asker_connect(struct asker *a)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = a };
	struct sockaddr_storage to;
	socklen_t len = ask_address(&to);

	a->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	fcgi_rx_init(&a->rx);
	a->tail_len = 0;
	a->connecting = a->fd >= 0 && connect(a->fd, (struct sockaddr *)&to, len) != 0;
	if (a->fd < 0 || (a->connecting && errno != EINPROGRESS))
		return -1;
	if (a->connecting)
		e.events = EPOLLOUT;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, a->fd, &e);
}

/* Room for one more result. */
static void
results_grow(void)
{
	if (asked < room)
		return;
	room = room == 0 ? 4096 : room * 2;
	results = realloc(results, room * sizeof *results);
	if (results == NULL)
		abort();
}

static void
ask_expand(char *uri, size_t number)
{
	const char *mark = strstr(o.uri, "%n");

	if (mark == NULL)
		snprintf(uri, ASK_URI, "%s", o.uri);
	else
		snprintf(uri, ASK_URI, "%.*s%zu%s", (int)(mark - o.uri), o.uri, o.first + number, mark + 2);
}

static void
asker_send(struct asker *a)
{
	unsigned char out[2 * ASK_OUT];
	char uri[ASK_URI];
	size_t n;

	ask_expand(uri, a->number);
	n = ask_encode(out, uri);
	if (send(a->fd, out, n, MSG_NOSIGNAL) != (ssize_t)n)	/* a new socket takes so little */
		asker_end(a, ASK_CLOSED);
}

static void
asker_connected(struct asker *a)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = a };
	int error = 0;
	socklen_t len = sizeof error;

	a->connecting = false;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0 || epoll_ctl(epoll, EPOLL_CTL_MOD, a->fd, &e) != 0)
		asker_end(a, ASK_NO_CONNECTION);
	else
		asker_send(a);
}

static void
asker_ask(struct asker *a)
{
	results_grow();
	a->number = asked++;
	a->busy = true;
	a->out_len = 0;
	a->is_end = false;
	a->leaves = CLOCK_NEVER;
	live++;
	now = clock_now();
	results[a->number] = (struct result){ .began = now };
	if (o.leave > 0 && ask_random(1000) < o.leave)
		a->leaves = now + (usec)ask_random((unsigned long)o.leave_within);
	if (a->fd < 0 && asker_connect(a) != 0)
		asker_end(a, ASK_NO_CONNECTION);
	else if (!a->connecting)
		asker_send(a);
}

/* ---- what comes ---- */

static void
asker_on_record(struct asker *a, const struct fcgi_event *ev)
{
	size_t n;

	if (ev->kind == FCGI_EV_RECORD)
		a->is_end = a->rx.head.type == FCGI_END_REQUEST;
	if (ev->kind == FCGI_EV_DATA && a->rx.head.type == FCGI_STDOUT) {
		n = ev->data.len < ASK_HEAD - 1 - a->out_len ? ev->data.len : ASK_HEAD - 1 - a->out_len;
		memcpy(a->out + a->out_len, ev->data.at, n);
		a->out_len += n;
	}
	if (ev->kind == FCGI_EV_END && a->is_end && a->busy)
		asker_answered(a);
}

static void
asker_on_event(struct asker *a)
{
	static char in[FCGI_HEAD_SIZE + 65536];
	struct fcgi_event ev;
	struct span left;
	ssize_t got;
	size_t n;

	if (a->fd < 0)
		return;
	now = clock_now();
	if (a->connecting) {
		asker_connected(a);
		return;
	}
	memcpy(in, a->tail, a->tail_len);
	got = read(a->fd, in + a->tail_len, sizeof in - a->tail_len);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	now = clock_now();
	if (got <= 0) {
		if (a->busy)
			asker_end(a, ASK_CLOSED);
		asker_close(a);
		return;
	}
	left = (struct span){ in, a->tail_len + (size_t)got };
	do {
		n = fcgi_rx_step(&a->rx, left, &ev);
		asker_on_record(a, &ev);
		left = span_skip(left, n);
	} while ((n > 0 || ev.kind != FCGI_EV_NONE) && a->fd >= 0);
	a->tail_len = left.len < sizeof a->tail ? left.len : 0;
	memcpy(a->tail, left.at, a->tail_len);
}

/* ---- the run ---- */

static bool
goes_on(void)
{
	if (stopped || (o.length > 0 && now >= begin_at + o.length))
		return false;
	return o.count == 0 || asked < o.count;
}

/* May one more begin, by the rate? */
static bool
is_time(void)
{
	return o.rate == 0 || (double)asked < (double)(now - begin_at) * (double)o.rate / 1e6;
}

/* Those who are free ask; those whose time has come leave. */
static void
askers_turn(void)
{
	now = clock_now();
	for (size_t i = 0; i < o.at_once && goes_on() && is_time(); i++)
		if (!askers[i].busy)
			asker_ask(&askers[i]);
	if (now - ticked < USEC_PER_MSEC)
		return;
	ticked = now;
	for (size_t i = 0; i < o.at_once; i++) {
		struct asker *a = &askers[i];

		if (a->busy && a->leaves <= now)
			asker_end(a, ASK_LEFT);
		else if (a->busy && now - results[a->number].began > o.patience)
			asker_end(a, ASK_LATE);
	}
}

static void
askers_run(void)
{
	struct epoll_event event[ASK_EVENTS];
	int pause = o.rate > 0 || o.leave > 0 ? 1 : 20, n;

	for (askers_turn(); live > 0 || goes_on(); askers_turn()) {
		n = epoll_wait(epoll, event, ASK_EVENTS, pause);
		for (int i = 0; i < n; i++)
			asker_on_event(event[i].data.ptr);
	}
}

static void
raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "a:u:f:n:t:k:r:l:w:T:s:")) != -1) {
		double seconds = c == 'a' || c == 'u' ? 0 : strtod(optarg, NULL);
		unsigned long n = (unsigned long)seconds;

		switch (c) {
		case 'a': o.path = optarg; break;
		case 'u': o.uri = optarg; break;
		case 'f': o.first = n; break;
		case 'n': o.count = n; break;
		case 't': o.length = (usec)(seconds * 1e6); break;
		case 'k': o.at_once = n; break;
		case 'r': o.rate = n; break;
		case 'l': o.leave = n; break;
		case 'w': o.leave_within = (usec)n; break;
		case 'T': o.patience = (usec)(seconds * 1e6); break;
		case 's': o.seed = n; break;
		default: return -1;
		}
	}
	return o.path != NULL && o.uri != NULL && o.at_once > 0 && optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
	if (options(argc, argv) != 0) {
		fprintf(stderr, "usage: askers -a path -u uri [-fnkrlwTs number] [-t seconds]\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	raise_files();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	askers = calloc(o.at_once, sizeof *askers);
	if (epoll < 0 || askers == NULL)
		return 1;
	for (size_t i = 0; i < o.at_once; i++)
		askers[i].fd = -1;
	begin_at = now = clock_now();
	askers_run();
	for (size_t i = 0; i < asked; i++)
		printf("%zu %lld %lld %d %s\n", o.first + i, (long long)results[i].began, (long long)results[i].took,
		    results[i].status, results[i].text);
	return 0;
}
