/* SPDX-License-Identifier: ISC */
/*
 * faultproxy LISTEN TARGET: a proxy that breaks what goes through it, as it is told while it runs.
 *
 * Addresses are unix:/path or 127.0.0.1:port; port 0 takes a free one.  Its first line is the
 * address where it listens.  Then each line of its standard input is a command, and is answered with one line:
 * "ok", "error …", or what was asked for.  It ends with its input.
 *
 *	delay LANE MIN MAX       microseconds, at random between the two, for each piece that is read; their order stays
 *	cut LANE N close|reset all|once
 *	                         end each pair, or the first that comes so far, after N bytes from now on
 *	flip LANE N BITS         flip bits of the byte with that number from now on, once
 *	dribble LANE MICROS      one byte each time; 0 ends it
 *	hold LANE on|off         let nothing go on
 *	chance LANE N            of a million pieces N have a cut in them, at a random place
 *	hole on|off              accept connections, and nothing else
 *	hang                     the pairs that there are carry nothing any more; those that come do
 *	refuse on|off            do not listen
 *	pause on|off             listen, but accept nothing: what does not fit into the backlog (of 0) is dropped
 *	end close|reset          end all pairs now
 *	seed N                   of the random numbers
 *	clear                    none of the above any more
 *	mark                     count anew
 *	stats                    pairs now, their peak, ever, the most that began within a second, cuts, bytes up and down
 *
 * LANE is up (to the server) or down.
 */
#include "faultproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

enum { PROXY_EVENTS = 256, PROXY_BACKLOG = 4096, PROXY_RECENT = 65536, PROXY_WORDS = 6 };

static struct proxy proxy = { .random = 88172645463325252 };

static struct {
	struct proxy_address at;
	int fd;				/* -1: refused */
	bool paused;
	usec recent[PROXY_RECENT];	/* when the last ones were accepted, in a ring */
	unsigned first, count, rate;
} door = { .fd = -1 };

uint64_t
proxy_random(struct proxy *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return n == 0 ? 0 : p->random % n;
}

/* ---- the listener ---- */

static int
address_parse(struct proxy_address *a, const char *text)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&a->addr;
	const char *colon = strrchr(text, ':');
	char host[64];

	if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof un->sun_path) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
		a->len = sizeof *un;
		return 0;
	}
	if (colon == NULL || (size_t)(colon - text) >= sizeof host)
		return -1;
	snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	a->len = sizeof *in;
	return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -1;
}

static int
door_open(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &door };
	const int on = 1;

	if (door.fd >= 0)
		return 0;
	door.fd = socket(door.at.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (door.fd < 0)
		return -1;
	setsockopt(door.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (door.at.addr.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&door.at.addr)->sun_path);
	if (bind(door.fd, (struct sockaddr *)&door.at.addr, door.at.len) != 0 || listen(door.fd, PROXY_BACKLOG) != 0 ||
	    getsockname(door.fd, (struct sockaddr *)&door.at.addr, &door.at.len) != 0) {
		close(door.fd);
		door.fd = -1;
		return -1;
	}
	return epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, door.fd, &e);
}

static void
door_close(void)
{
	if (door.fd >= 0)
		close(door.fd);
	door.fd = -1;
}

static void
door_print(void)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&door.at.addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&door.at.addr;

	if (door.at.addr.ss_family == AF_UNIX)
		printf("unix:%s\n", un->sun_path);
	else
		printf("127.0.0.1:%u\n", ntohs(in->sin_port));
	fflush(stdout);
}

/* How many have come within the last second, this one included. */
static void
door_count(usec now)
{
	while (door.count > 0 && (door.recent[door.first] <= now - USEC_PER_SEC || door.count == PROXY_RECENT)) {
		door.first = (door.first + 1) % PROXY_RECENT;
		door.count--;
	}
	door.recent[(door.first + door.count++) % PROXY_RECENT] = now;
	if (door.count > door.rate)
		door.rate = door.count;
}

static void
door_accept(void)
{
	int fd;

	while (door.fd >= 0 && !door.paused && (fd = accept4(door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		door_count(clock_now());
		pair_new(&proxy, fd);
	}
}

static int
door_pause(bool on)
{
	struct epoll_event e = { .events = on ? 0 : EPOLLIN, .data.ptr = &door };

	door.paused = on;
	if (door.fd < 0)
		return -1;
	return listen(door.fd, on ? 0 : PROXY_BACKLOG) == 0 ? epoll_ctl(proxy.epoll, EPOLL_CTL_MOD, door.fd, &e) : -1;
}

/* ---- commands ---- */

static bool
word_is_on(const char *word)
{
	return strcmp(word, "on") == 0;
}

static enum pair_end
word_end(const char *word)
{
	return strcmp(word, "reset") == 0 ? PAIR_RESET : PAIR_CLOSE;
}

static struct fault *
word_lane(const char *word)
{
	return &proxy.fault[strcmp(word, "up") == 0 ? LANE_UP : LANE_DOWN];
}

static uint64_t
word_number(const char *word)
{
	return strtoull(word, NULL, 10);
}

static int
do_delay(char **w)
{
	struct fault *f = word_lane(w[1]);

	f->delay_min = (usec)word_number(w[2]);
	f->delay_max = (usec)word_number(w[3]);
	return 0;
}

static int
do_cut(char **w)
{
	struct fault *f = word_lane(w[1]);

	f->cut_at = word_number(w[2]);
	f->cut_how = word_end(w[3]);
	f->cut_once = strcmp(w[4], "once") == 0;
	pairs_set_cut(&proxy, (int)(f - proxy.fault));
	return 0;
}

static int
do_flip(char **w)
{
	struct fault *f = word_lane(w[1]);

	f->flip_at = word_number(w[2]);
	f->flip = (unsigned char)word_number(w[3]);
	pairs_set_flip(&proxy, (int)(f - proxy.fault));
	return 0;
}

static int
do_dribble(char **w)
{
	word_lane(w[1])->dribble = (usec)word_number(w[2]);
	return 0;
}

static int
do_hold(char **w)
{
	word_lane(w[1])->held = word_is_on(w[2]);
	return 0;
}

static int
do_chance(char **w)
{
	word_lane(w[1])->chance = (unsigned)word_number(w[2]);
	return 0;
}

static int
do_hole(char **w)
{
	proxy.hole = word_is_on(w[1]);
	return 0;
}

static int
do_hang(char **w)
{
	struct pair *pr;

	LIST_FOREACH(pr, &proxy.pairs, link)
		pr->is_hole = true;
	return 0;
}

static int
do_refuse(char **w)
{
	if (!word_is_on(w[1]))
		return door_open();
	door_close();
	return 0;
}

static int
do_pause(char **w)
{
	return door_pause(word_is_on(w[1]));
}

static int
do_end(char **w)
{
	pairs_end(&proxy, word_end(w[1]));
	return 0;
}

static int
do_seed(char **w)
{
	proxy.random = word_number(w[1]) * 2 + 1;
	return 0;
}

static int
do_clear(char **w)
{
	proxy.hole = false;
	for (int i = 0; i < LANES; i++) {
		proxy.fault[i] = (struct fault){ .cut_at = LANE_NOWHERE, .flip_at = LANE_NOWHERE };
		pairs_set_cut(&proxy, i);
		pairs_set_flip(&proxy, i);
	}
	return door_open() == 0 ? door_pause(false) : -1;
}

static int
do_mark(char **w)
{
	proxy.peak = proxy.now;
	proxy.ever = proxy.cuts = proxy.bytes[LANE_UP] = proxy.bytes[LANE_DOWN] = 0;
	door.count = door.rate = 0;
	return 0;
}

static int
do_stats(char **w)
{
	printf("%u %u %llu %u %llu %llu %llu\n", proxy.now, proxy.peak, proxy.ever, door.rate, proxy.cuts,
	    proxy.bytes[LANE_UP], proxy.bytes[LANE_DOWN]);
	return 1;
}

static const struct {
	const char *name;
	int words;
	int (*fn)(char **w);		/* returns 0: "ok", 1: it has answered, -1: errno says why not */
} commands[] = {
	{ "delay", 4, do_delay }, { "cut", 5, do_cut }, { "flip", 4, do_flip }, { "dribble", 3, do_dribble },
	{ "hold", 3, do_hold }, { "chance", 3, do_chance }, { "hole", 2, do_hole }, { "hang", 1, do_hang }, { "refuse", 2, do_refuse },
	{ "pause", 2, do_pause }, { "end", 2, do_end }, { "seed", 2, do_seed }, { "clear", 1, do_clear },
	{ "mark", 1, do_mark }, { "stats", 1, do_stats },
};

static void
command_run(char *line)
{
	char *word[PROXY_WORDS] = { NULL }, *at = line;
	int n = 0, rc = -1;

	while (n < PROXY_WORDS && (word[n] = strsep(&at, " ")) != NULL)
		n++;
	errno = EINVAL;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, word[0]) == 0 && commands[i].words == n)
			rc = commands[i].fn(word);
	if (rc == 0)
		puts("ok");
	else if (rc < 0)
		printf("error %s\n", strerror(errno));
	fflush(stdout);
}

/* Run the commands that have come whole.  Returns false at the end of them all. */
static bool
command_read(void)
{
	static char text[4096];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof text - len);
	char *end;

	if (n <= 0)
		return false;
	len += (size_t)n;
	while ((end = memchr(text, '\n', len)) != NULL) {
		*end++ = '\0';
		command_run(text);
		len -= (size_t)(end - text);
		memmove(text, end, len);
	}
	return len < sizeof text;
}

/* ---- the loop ---- */

/* Returns false when the commands have ended. */
static bool
proxy_turn(void)
{
	struct epoll_event event[PROXY_EVENTS];
	usec next = pairs_next(&proxy);
	struct timespec left;
	bool goes_on = true;
	int n;

	next = next == CLOCK_NEVER ? USEC_PER_SEC : next - clock_now();
	next = next < 0 ? 0 : next;
	left = (struct timespec){ .tv_sec = next / USEC_PER_SEC, .tv_nsec = next % USEC_PER_SEC * 1000 };
	n = epoll_pwait2(proxy.epoll, event, PROXY_EVENTS, &left, NULL);
	for (int i = 0; i < n; i++)
		if (event[i].data.ptr == &door)
			door_accept();
		else if (event[i].data.ptr == NULL)
			goes_on = command_read();
		else
			pair_on_event(&proxy, event[i].data.ptr, event[i].events);
	pairs_run(&proxy, clock_now());
	return goes_on;
}

int
main(int argc, char **argv)
{
	struct epoll_event commands_come = { .events = EPOLLIN };

	if (argc != 3 || address_parse(&door.at, argv[1]) != 0 || address_parse(&proxy.target, argv[2]) != 0) {
		fprintf(stderr, "usage: faultproxy unix:/path|127.0.0.1:port unix:/path|127.0.0.1:port\n");
		return 2;
	}
	proxy.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (proxy.epoll < 0 || epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &commands_come) != 0 || do_clear(NULL) != 0) {
		fprintf(stderr, "faultproxy: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	door_print();
	while (proxy_turn())
		continue;
	return 0;
}
