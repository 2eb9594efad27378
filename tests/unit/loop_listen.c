/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/listen.h"

static char dir[] = "/tmp/loop_listen.XXXXXX";
static char path[64], address[80];
static char error[256];

/* ---- making ---- */

static void
addresses_are_told_apart(void **state)
{
	static const char *const bad[] = {
		"", ":", "9000", ":9000", "localhost:9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:+1", "127.0.0.1:1x", "127.0.0.1:99999999999999999999", "::1:9000", "[::1:9000", "[]:9000", "[",
		"[127.0.0.1]:9000", "[::1]9000", "256.0.0.1:9000", "unix:", "unix:relative",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:1",
	};
	char text[128], full[200];
	int fd;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		error[0] = '\0';
		assert_int_equal(listen_open(bad[i], 0600, error, sizeof error), -1);
		assert_memory_equal(error, bad[i], strlen(bad[i]));
		assert_true(strlen(error) > strlen(bad[i]) + 10);
	}
	fd = listen_open("127.0.0.1:0", 0, error, sizeof error);
	assert_true(fd >= 0);
	assert_true(listen_is_listening(fd));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(listen_address(fd, text, sizeof text), 0);
	assert_memory_equal(text, "127.0.0.1:", 10);
	assert_true(atoi(text + 10) > 0);

	/* The same port again. */
	assert_int_equal(listen_open(text, 0, error, sizeof error), -1);
	snprintf(full, sizeof full, "%s: in use: another process listens on it", text);
	assert_string_equal(error, full);
	close(fd);

	fd = listen_open("[::1]:0", 0, error, sizeof error);
	if (fd >= 0) {	/* not everywhere is IPv6 */
		assert_int_equal(listen_address(fd, text, sizeof text), 0);
		assert_memory_equal(text, "[::1]:", 6);
		close(fd);
	}
	assert_int_equal(listen_open("192.0.2.1:0", 0, error, sizeof error), -1);
	assert_non_null(strstr(error, "cannot bind"));
	assert_false(listen_is_listening(0));
	assert_int_equal(listen_address(-1, text, sizeof text), -1);
}

static void
a_unix_socket_has_its_mode(void **state)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0640 };
	mode_t before = umask(027);
	char text[128];
	struct stat st;
	int fd;

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		fd = listen_open(address, modes[i], error, sizeof error);
		assert_true(fd >= 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_int_equal(listen_address(fd, text, sizeof text), 0);
		assert_string_equal(text, address);
		close(fd);
		unlink(path);
	}
	assert_int_equal(umask(before), 027);
}

static void
a_stale_socket_is_replaced_and_one_in_use_is_not(void **state)
{
	char long_address[200];
	int fd, other;

	fd = listen_open(address, 0600, error, sizeof error);
	assert_true(fd >= 0);
	assert_int_equal(listen_open(address, 0600, error, sizeof error), -1);
	assert_non_null(strstr(error, "in use"));
	close(fd);
	fd = listen_open(address, 0600, error, sizeof error);	/* nobody answers now */
	assert_true(fd >= 0);
	assert_true(listen_is_listening(fd));
	close(fd);
	unlink(path);

	other = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(listen_open(address, 0600, error, sizeof error), -1);
	assert_non_null(strstr(error, "not a socket"));
	assert_int_equal(access(path, F_OK), 0);
	close(other);
	unlink(path);

	assert_int_equal(listen_open("unix:/no/such/directory/s", 0600, error, sizeof error), -1);
	assert_non_null(strstr(error, "cannot bind: No such file or directory"));
	memset(long_address, 'x', sizeof long_address);
	memcpy(long_address, "unix:/", 6);
	long_address[5 + 108] = '\0';
	assert_int_equal(listen_open(long_address, 0600, error, sizeof error), -1);
	assert_non_null(strstr(error, "at most 107 bytes, this one has 108"));
}

/* ---- accepting ---- */

enum { CONNS = 256 };

struct door {
	struct loop *loop;
	int fd;
	struct listener *l;
	int conn[CONNS], client[CONNS];
	int conns, clients;
	int pause_at, free_at;		/* do so in the callback of this connection */
};

static void
door_on_conn(void *arg, int conn)
{
	struct door *d = arg;

	assert_true(fcntl(conn, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(conn, F_GETFD), FD_CLOEXEC);
	d->conn[d->conns++] = conn;
	if (d->conns == d->pause_at)
		listener_pause(d->l);
	if (d->conns == d->free_at)
		listener_free(&d->l);
}

static void
door_open(struct door *d, struct loop *loop, const char *at)
{
	*d = (struct door){ .loop = loop };
	d->fd = listen_open(at, 0600, error, sizeof error);
	assert_true(d->fd >= 0);
	d->l = listener_new(loop, d->fd, door_on_conn, d);
	assert_non_null(d->l);
}

static void
door_close(struct door *d)
{
	listener_free(&d->l);
	while (d->conns > 0)
		close(d->conn[--d->conns]);
	while (d->clients > 0)
		close(d->client[--d->clients]);
	close(d->fd);
	unlink(path);
}

static int
door_connect(struct door *d, int n)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	assert_int_equal(getsockname(d->fd, (struct sockaddr *)&a, &len), 0);
	for (; n > 0; n--) {
		int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -1;
		assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
		d->client[d->clients++] = fd;
	}
	return 0;
}

static void
connections_are_accepted_in_bounded_batches(void **state)
{
	struct door d;

	door_open(&d, *state, address);
	door_connect(&d, 100);
	loop_turn(d.loop, USEC_PER_SEC);
	assert_int_equal(d.conns, 64);
	loop_turn(d.loop, USEC_PER_SEC);
	assert_int_equal(d.conns, 100);
	loop_turn(d.loop, 0);
	door_close(&d);
}

static void
a_batch_may_be_one(void **state)
{
	struct door d;

	door_open(&d, *state, address);
	listener_set_batch(d.l, 1);
	door_connect(&d, 3);
	for (int i = 1; i <= 3; i++) {
		loop_turn(d.loop, USEC_PER_SEC);
		assert_int_equal(d.conns, i);
	}
	door_close(&d);
}

static void
tcp_connections_do_not_delay(void **state)
{
	socklen_t len = sizeof(int);
	struct door d;
	int on = 0;

	door_open(&d, *state, "127.0.0.1:0");
	door_connect(&d, 1);
	TURN_UNTIL(d.loop, d.conns == 1);
	assert_int_equal(getsockopt(d.conn[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_true(on != 0);
	door_close(&d);
}

static void
a_listener_pauses_and_resumes(void **state)
{
	struct door d;

	door_open(&d, *state, address);
	d.pause_at = 2;
	door_connect(&d, 5);
	kit_settle(d.loop);
	assert_int_equal(d.conns, 2);
	listener_resume(d.l);
	TURN_UNTIL(d.loop, d.conns == 5);
	listener_pause(d.l);
	door_connect(&d, 1);
	kit_settle(d.loop);
	listener_free(&d.l);	/* paused: it stays in the backlog for whoever has the socket */
	assert_int_equal(d.conns, 5);
	d.l = listener_new(d.loop, d.fd, door_on_conn, &d);
	TURN_UNTIL(d.loop, d.conns == 6);
	door_close(&d);
}

static void
the_last_ones_are_accepted_when_it_ends(void **state)
{
	struct door d;

	door_open(&d, *state, address);
	door_connect(&d, 70);
	listener_free(&d.l);
	assert_null(d.l);
	assert_int_equal(d.conns, 70);
	assert_true(listen_is_listening(d.fd));
	door_connect(&d, 1);
	kit_settle(d.loop);
	assert_int_equal(d.conns, 70);
	door_close(&d);
}

static void
a_listener_may_be_freed_in_its_callback(void **state)
{
	struct door d;

	door_open(&d, *state, address);
	d.free_at = 3;
	door_connect(&d, 10);
	TURN_UNTIL(d.loop, d.l == NULL);
	kit_settle(d.loop);
	assert_int_equal(d.conns, 10);
	door_close(&d);
}

/* Without descriptors it rests, logs once, does not spin, and goes on when there are some again. */
static void
want_of_descriptors_does_not_spin(void **state)
{
	struct rlimit before, low;
	int log[2], turns = 0, lines = 0;
	char text[4096];
	struct door d;
	ssize_t n;
	usec from, took;

	door_open(&d, *state, address);
	assert_int_equal(pipe2(log, O_NONBLOCK | O_CLOEXEC), 0);
	door_connect(&d, 3);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)d.client[d.clients - 1] + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	log_open(log[1], LOG_INFO_, "test");
	from = clock_now();
	for (; clock_now() - from < 350 * USEC_PER_MSEC; turns++)
		loop_turn(d.loop, 50 * USEC_PER_MSEC);
	took = clock_now() - from;
	log_open(2, LOG_INFO_, "test");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(d.conns, 0);
	assert_true(turns < 30);
	n = read(log[0], text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "accept paused"));
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	assert_true(lines <= 1 + took / USEC_PER_SEC);
	TURN_UNTIL(d.loop, d.conns == 3);
	close(log[0]);
	close(log[1]);
	door_close(&d);
}

static void
what_is_not_a_listening_socket_is_refused(void **state)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_null(listener_new(*state, p[0], door_on_conn, NULL));
	assert_int_equal(errno, ENOTSOCK);
	assert_null(listener_new(*state, -1, door_on_conn, NULL));
	assert_int_equal(errno, EBADF);
	close(p[0]);
	close(p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_told_apart),
		cmocka_unit_test(a_unix_socket_has_its_mode),
		cmocka_unit_test(a_stale_socket_is_replaced_and_one_in_use_is_not),
		KIT_TEST(connections_are_accepted_in_bounded_batches),
		KIT_TEST(a_batch_may_be_one),
		KIT_TEST(tcp_connections_do_not_delay),
		KIT_TEST(a_listener_pauses_and_resumes),
		KIT_TEST(the_last_ones_are_accepted_when_it_ends),
		KIT_TEST(a_listener_may_be_freed_in_its_callback),
		KIT_TEST(want_of_descriptors_does_not_spin),
		KIT_TEST(what_is_not_a_listening_socket_is_refused),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(address, sizeof address, "unix:%s", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
