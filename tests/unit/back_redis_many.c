/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_redis_many.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"

struct many many;
enum { WORDS = 30 };
static char many_words[MANY_MAX][WORDS][64];
static char many_answer[65536];

static void
many_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* ---- servers ---- */

/* A port that is free, and whose 10000th next is, which a cluster's bus takes. */
static unsigned
many_free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	unsigned port = 0;

	for (int tries = 0; port == 0 && tries < 100; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bus = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		sin.sin_port = 0;
		must(bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
		port = ntohs(sin.sin_port);
		sin.sin_port = htons((uint16_t)(port + 10000));
		if (port > 55000 || bind(bus, (struct sockaddr *)&sin, sizeof sin) != 0)
			port = 0;
		for (unsigned i = 0; i < many.count; i++)
			if (many.port[i] == port)
				port = 0;
		close(fd);
		close(bus);
	}
	must(port != 0);
	return port;
}

void
many_restart(unsigned i)
{
	char *argv[32] = { (char *)(uintptr_t)"redis-server" };
	pid_t pid;

	for (unsigned n = 0; n < WORDS && many_words[i][n][0] != '\0'; n++)
		argv[n + 1] = strcmp(many_words[i][n], "-") == 0 ? (char *)(uintptr_t)"" : many_words[i][n];
	pid = fork();
	must(pid >= 0);
	many.pid[i] = pid;
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	perror("redis-server");
	_exit(127);
}

unsigned
many_start(const char *const *words)
{
	static const char *const usual[] = { "--bind", "127.0.0.1", "--save", "-", "--appendonly", "no", "--logfile", "/dev/null", NULL };
	unsigned i = many.count, n = 0;

	must(i < MANY_MAX);
	many.port[i] = many_free_port();
	many.count++;
	memset(many_words[i], 0, sizeof many_words[i]);
	for (; *words != NULL; words++)
		snprintf(many_words[i][n++], sizeof many_words[i][0], "%s", *words);
	for (unsigned u = 0; usual[u] != NULL; u++)
		snprintf(many_words[i][n++], sizeof many_words[i][0], "%s", usual[u]);
	snprintf(many_words[i][n++], sizeof many_words[i][0], "--port");
	snprintf(many_words[i][n++], sizeof many_words[i][0], "%u", many.port[i]);
	snprintf(many_words[i][n++], sizeof many_words[i][0], "--dir");
	snprintf(many_words[i][n++], sizeof many_words[i][0], "%s", many.dir);
	must(n < WORDS);
	many_restart(i);
	many_await(i, "PING", "\r\n");
	return i;
}

void
many_kill(unsigned i)
{
	int status;

	if (many.pid[i] <= 0)
		return;
	kill(many.pid[i], SIGCONT);
	kill(many.pid[i], SIGKILL);
	waitpid(many.pid[i], &status, 0);
	many.pid[i] = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fail_msg("no redis-server in PATH");
}

/* ---- asked directly ---- */

/* Returns a connection, or -1 where nobody takes it. */
static int
many_connect(unsigned i)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)many.port[i]),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Ask for one more thing behind it: when that is answered, so is what was asked. */
static void
many_converse(int fd, const char *const *words)
{
	/* A sentinel has no such command, and one that wants a password none at all. */
	static const char last[] = "*2\r\n$4\r\nECHO\r\n$7\r\nthe-end\r\n";
	unsigned count = 0;
	size_t len = 0;

	while (words[count] != NULL)
		count++;
	dprintf(fd, "*%u\r\n", count);
	for (; *words != NULL; words++)
		dprintf(fd, "$%zu\r\n%s\r\n", strlen(*words), *words);
	dprintf(fd, "%s", last);
	many_answer[0] = '\0';
	while (strstr(many_answer, "the-end") == NULL && strstr(many_answer, "unknown command 'ECHO'") == NULL &&
	    strstr(many_answer, "NOAUTH") == NULL && len < sizeof many_answer - 1) {
		ssize_t n = read(fd, many_answer + len, sizeof many_answer - 1 - len);

		if (n <= 0)
			return;
		len += (size_t)n;
		many_answer[len] = '\0';
	}
}

const char *
many_ask(unsigned i, const char *const *words)
{
	usec late = clock_now() + MANY_SOON;
	int fd;

	while ((fd = many_connect(i)) < 0) {
		must(clock_now() < late);
		many_nap();
	}
	many_converse(fd, words);
	close(fd);
	return many_answer;
}

const char *
many_say(unsigned i, const char *fmt, ...)
{
	const char *words[32] = { NULL };
	char text[1024], *rest = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (unsigned n = 0; n < 31 && (words[n] = strsep(&rest, " ")) != NULL; n++)
		continue;
	return many_ask(i, words);
}

void
many_await(unsigned i, const char *command, const char *text)
{
	usec late = clock_now() + MANY_SOON;

	while (strstr(many_say(i, "%s", command), text) == NULL) {
		if (clock_now() >= late)
			fail_msg("server %u says to %s: %s", i, command, many_answer);
		many_nap();
	}
}

/* ---- the test's frame ---- */

int
many_begin(void **state)
{
	(void)state;
	many = (struct many){ .count = 0 };
	snprintf(many.dir, sizeof many.dir, "/tmp/back_redis_many.XXXXXX");
	must(mkdtemp(many.dir) != NULL);
	many.loop = back_loop();
	return 0;
}

static int
many_remove(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)s, (void)type, (void)f;
	return remove(path);
}

int
many_end(void **state)
{
	(void)state;
	pool_close(&many.pool);
	back_run(many.loop);
	for (unsigned i = 0; i < many.count; i++)
		many_kill(i);
	nftw(many.dir, many_remove, 16, FTW_DEPTH | FTW_PHYS);
	loop_free(&many.loop);
	return 0;
}

/* ---- asked through the pool ---- */

void
many_open(struct pool_conf conf)
{
	char error[300];

	conf.name = "cache";
	conf.min = conf.min == 0 ? 1 : conf.min;
	many.pool = pool_open(many.loop, &conf, error, sizeof error);
	if (many.pool == NULL)
		fail_msg("%s", error);
}

static enum weft_rc
many_vonce(struct ask *a, const char *fmt, va_list ap)
{
	ask_init(a, many.pool, CALL_REDIS);
	must(redis_command_vformat(&a->arena, fmt, ap, &a->call.redis) == WEFT_OK);
	ask_start(a, many.loop);
	assert_true(back_run_until(many.loop, ask_is_done, a, MANY_SOON));
	return a->rc;
}

enum weft_rc
many_once(struct ask *a, const char *fmt, ...)
{
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = many_vonce(a, fmt, ap);
	va_end(ap);
	return rc;
}

unsigned
many_until_ok(usec most, const char *fmt, ...)
{
	usec late = clock_now() + most;
	enum weft_rc rc;
	struct ask a;
	unsigned n = 0;
	va_list ap;

	do {
		va_start(ap, fmt);
		rc = many_vonce(&a, fmt, ap);
		va_end(ap);
		if (rc != WEFT_OK && clock_now() >= late)
			fail_msg("%s", a.fault.text);
		ask_fini(&a);
		n++;
		loop_turn(many.loop, 5 * USEC_PER_MSEC);
	} while (rc != WEFT_OK);
	return n;
}

void
many_expect(const char *text, const char *fmt, ...)
{
	struct ask a;
	va_list ap;

	va_start(ap, fmt);
	if (many_vonce(&a, fmt, ap) != WEFT_OK)
		fail_msg("%s: %s", fmt, a.fault.text);
	va_end(ap);
	assert_true(a.call.reply->kind == REPLY_TEXT || a.call.reply->kind == REPLY_STATUS);
	assert_string_equal(a.call.reply->text.at, text);
	ask_fini(&a);
}
