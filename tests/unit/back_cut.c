/* SPDX-License-Identifier: ISC */
#include "back_cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct {
		_Atomic int mode;
		_Atomic unsigned count, hushed;		/* connections that have come; those up to here are hushed */
	} *shared;
	unsigned number;				/* of the one that this process is for */
	char from[108], to[108];
	pid_t pid;
} cut;

static int
cut_socket(const char *path, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof un->sun_path, "%s", path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
cut_connect(void)
{
	struct sockaddr_un un;
	int fd = cut_socket(cut.to, &un);

	return connect(fd, (struct sockaddr *)&un, sizeof un) == 0 ? fd : -1;
}

/* From one to the other, once.  Returns false at the end, or where the mode cuts. */
static bool
cut_pass(int from, int to, enum cut_mode cuts)
{
	char bytes[16384];
	ssize_t n = read(from, bytes, sizeof bytes);

	if (n <= 0 || atomic_load(&cut.shared->mode) == (int)cuts)
		return false;
	if (cut.number <= atomic_load(&cut.shared->hushed))
		return true;
	return write(to, bytes, (size_t)n) == n;
}

/* One connection in a process of its own. */
static void
cut_serve(int client)
{
	int upstream = cut_connect();
	struct pollfd p[2] = { { client, POLLIN, 0 }, { upstream, POLLIN, 0 } };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (upstream < 0 || poll(p, 2, -1) < 0)
			_exit(1);
		if (p[0].revents != 0 && !cut_pass(client, upstream, CUT_DEAF))
			_exit(0);
		if (p[1].revents != 0 && !cut_pass(upstream, client, CUT_MUTE))
			_exit(0);
	}
}

static void
cut_run(int fd)
{
	int client;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		cut.number = atomic_fetch_add(&cut.shared->count, 1) + 1;
		if (fork() == 0)
			cut_serve(client);
		close(client);
	}
	_exit(0);
}

void
cut_start(const char *from, const char *to)
{
	struct sockaddr_un un;
	int fd = cut_socket(from, &un);

	cut.shared = mmap(NULL, sizeof *cut.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(cut.shared, MAP_FAILED);
	snprintf(cut.from, sizeof cut.from, "%s", from);
	snprintf(cut.to, sizeof cut.to, "%s", to);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 8), 0);
	cut.pid = fork();
	if (cut.pid == 0)
		cut_run(fd);
	close(fd);
}

void
cut_stop(void)
{
	kill(cut.pid, SIGKILL);
	waitpid(cut.pid, NULL, 0);
	unlink(cut.from);
	munmap(cut.shared, sizeof *cut.shared);
}

void
cut_set(enum cut_mode mode)
{
	atomic_store(&cut.shared->mode, (int)mode);
}

void
cut_hush(void)
{
	atomic_store(&cut.shared->hushed, atomic_load(&cut.shared->count));
}
