/* SPDX-License-Identifier: ISC */
#include "back_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pwd.h>
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

#include "base/clock.h"

struct server server;

bool
server_find(void)
{
	glob_t g;
	bool found = glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &g) == 0;

	if (found)
		snprintf(server.bin, sizeof server.bin, "%.*s", (int)(strlen(g.gl_pathv[0]) - strlen("/postgres")), g.gl_pathv[0]);
	globfree(&g);
	if (!found)
		fprintf(stderr, "no PostgreSQL server here: initdb and postgres are needed\n");
	return found;
}

/* In a child: become who may run it, and run it; quiet. */
static void
server_exec(const char *program, char *argv[])
{
	const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : NULL;
	char path[300];
	int null = open("/dev/null", O_RDWR);

	if (pw != NULL && (setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (chdir(server.dir) != 0)
		_exit(126);
	snprintf(path, sizeof path, "%s/%s", server.bin, program);
	argv[0] = path;	/* it looks for its own files beside itself */
	execv(path, argv);
	_exit(127);
}

static void
server_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* The server says in its pid file who it is, and when it takes connections. */
static bool
server_is_ready(void)
{
	char path[128], line[512] = "";
	FILE *f;
	bool ours, ready = false;

	snprintf(path, sizeof path, "%s/postmaster.pid", server.data);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	ours = fgets(line, sizeof line, f) != NULL && atoi(line) == server.pid;
	while (fgets(line, sizeof line, f) != NULL)
		ready |= strncmp(line, "ready", 5) == 0;
	fclose(f);
	return ours && ready;
}

void
server_start(void)
{
	char *argv[] = { (char *)(uintptr_t)"postgres", (char *)(uintptr_t)"-D", server.data, (char *)(uintptr_t)"-k", server.dir,
		(char *)(uintptr_t)"-p", server.port, (char *)(uintptr_t)"-c", (char *)(uintptr_t)"listen_addresses=127.0.0.1",
		(char *)(uintptr_t)"-c", (char *)(uintptr_t)"fsync=off", (char *)(uintptr_t)"-c",
		(char *)(uintptr_t)"max_connections=60", (char *)(uintptr_t)"-c", (char *)(uintptr_t)"shared_buffers=16MB", NULL };
	usec late = clock_now() + 20 * USEC_PER_SEC;

	server.pid = -1;
	for (;;) {
		assert_true(clock_now() < late);
		if (server.pid > 0 && waitpid(server.pid, NULL, WNOHANG) == server.pid)
			server.pid = -1;
		if (server.pid < 0) {
			server.pid = fork();
			if (server.pid == 0)
				server_exec("postgres", argv);
			assert_true(server.pid > 0);
		}
		server_nap();
		if (server_is_ready())
			return;
	}
}

void
server_stop(int signo)
{
	kill(server.pid, signo);
	waitpid(server.pid, NULL, 0);
	server.pid = -1;
}

static void
server_initdb(void)
{
	char *argv[] = { (char *)(uintptr_t)"initdb", (char *)(uintptr_t)"-D", server.data, (char *)(uintptr_t)"-A",
		(char *)(uintptr_t)"trust", (char *)(uintptr_t)"-U", (char *)(uintptr_t)"weft", (char *)(uintptr_t)"-E",
		(char *)(uintptr_t)"UTF8", (char *)(uintptr_t)"--locale=C", (char *)(uintptr_t)"--no-sync", NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0)
		server_exec("initdb", argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
server_free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

int
server_set_up(void **state)
{
	const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : NULL;

	(void)state;
	strcpy(server.dir, "/tmp/weft-pg-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	if (pw != NULL)
		assert_int_equal(chown(server.dir, pw->pw_uid, pw->pw_gid), 0);
	snprintf(server.data, sizeof server.data, "%s/data", server.dir);
	snprintf(server.port, sizeof server.port, "%d", server_free_port());
	snprintf(server.url, sizeof server.url, "postgresql:///postgres?host=%s&port=%s&user=weft", server.dir, server.port);
	snprintf(server.tcp_url, sizeof server.tcp_url, "postgresql://weft@localhost:%s/postgres", server.port);
	server_initdb();
	server_start();
	return 0;
}

static int
server_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
server_tear_down(void **state)
{
	(void)state;
	if (server.pid > 0)
		server_stop(SIGQUIT);
	return nftw(server.dir, server_remove, 16, FTW_DEPTH | FTW_PHYS);
}
