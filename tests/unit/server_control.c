/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/fdpass.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "server/control.h"
#include "server/gates.h"

static char folder[] = "/tmp/weft-control-XXXXXX";
static char path[64];

struct server {
	struct loop *loop;
	struct control *control;
	struct gates *gates;
	int fd;
	unsigned added, removed, closed, done;
	char *answer;
};

static void
on_added(void *arg, uint32_t id, int fd)
{
	(void)id;
	assert_true(fd >= 0);
	((struct server *)arg)->added++;
}

static void
on_removed(void *arg, uint32_t id)
{
	(void)id;
	((struct server *)arg)->removed++;
}

static void
on_verb(void *arg, struct control_conn *c, const char *verb, const char *args)
{
	struct server *s = arg;
	char *big;

	assert_int_equal(control_uid(c), geteuid());
	if (strcmp(verb, "echo") == 0) {
		control_reply(c, span_str(args));
		control_end(c);
	} else if (strcmp(verb, "big") == 0) {
		big = malloc(3000000);
		assert_non_null(big);
		memset(big, 'b', 3000000);
		control_reply(c, (struct span){ big, 3000000 });
		control_end(c);
		free(big);
	} else if (strcmp(verb, "gate") == 0) {
		if (gates_add(s->gates, c, control_take_fd(c)) != 0)
			control_end(c);
	} else {
		control_end(c);
	}
}

static int
setup(void **state)
{
	static const struct gates_ops ops = { on_added, on_removed };
	struct server *s = calloc(1, sizeof *s);
	char address[128], error[256];

	snprintf(address, sizeof address, "unix:%s", path);
	s->loop = loop_new(NULL);
	s->fd = listen_open(address, 0600, error, sizeof error);
	s->control = control_new(s->loop, s->fd, on_verb, s);
	s->gates = gates_new(&ops, s);
	*state = s;
	return s->control == NULL || s->gates == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct server *s = *state;

	control_free(&s->control);
	gates_free(&s->gates);
	loop_free(&s->loop);
	close(s->fd);
	unlink(path);
	free(s);
	return 0;
}

struct asking {
	const char *line;
	char *answer;
	int rc;
	volatile int done;
};

static void *
ask(void *arg)
{
	struct asking *a = arg;

	a->rc = control_ask(path, a->line, &a->answer);
	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Ask on a thread, as another process would, while the loop runs here. */
static char *
answer_of(struct server *s, const char *line)
{
	struct asking a = { .line = line };
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, ask, &a), 0);
	for (int i = 0; i < 5000 && !__atomic_load_n(&a.done, __ATOMIC_ACQUIRE); i++)
		loop_turn(s->loop, 1000);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(a.rc, 0);
	return a.answer;
}

static void
control_answers_a_line(void **state)
{
	char *answer = answer_of(*state, "echo two words");

	assert_string_equal(answer, "two words");
	free(answer);
	answer = answer_of(*state, "nothing");
	assert_string_equal(answer, "");
	free(answer);
}

static void
control_sends_long_answers(void **state)
{
	char *answer = answer_of(*state, "big");

	assert_int_equal(strlen(answer), 3000000);
	free(answer);
}

/* A line without an end is cut off, and costs nobody else anything. */
static void
control_drops_an_endless_line(void **state)
{
	struct server *s = *state;
	char line[CONTROL_LINE_MAX * 2], *answer;
	int sock;

	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\0';
	sock = control_connect(path, line);
	assert_true(sock >= 0);
	for (int i = 0; i < 50; i++)
		loop_turn(s->loop, 1000);
	assert_true(recv(sock, line, sizeof line, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
	close(sock);
	answer = answer_of(s, "echo on");
	assert_string_equal(answer, "on");
	free(answer);
}

static void
gates_live_as_long_as_their_connection(void **state)
{
	struct server *s = *state;
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), plain = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int gate = control_connect(path, ""), bad;

	/* An empty line is a verb nobody knows: the first gate says its line with the descriptor. */
	close(gate);
	assert_int_equal(bind(listening, &(struct sockaddr){ AF_UNIX, "" }, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listening, 5), 0);
	gate = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bad = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct { sa_family_t family; char path[108]; } sun = { .family = AF_UNIX };

		snprintf(sun.path, sizeof sun.path, "%s", path);
		assert_int_equal(connect(gate, (struct sockaddr *)&sun, sizeof sun), 0);
		assert_int_equal(connect(bad, (struct sockaddr *)&sun, sizeof sun), 0);
	}
	assert_int_equal(fdpass_send(gate, "gate\n", 5, listening), 0);
	assert_int_equal(fdpass_send(bad, "gate\n", 5, plain), 0);	/* not listening: refused */
	for (int i = 0; i < 200 && s->added < 1; i++)
		loop_turn(s->loop, 1000);
	for (int i = 0; i < 20; i++)
		loop_turn(s->loop, 1000);
	assert_int_equal(s->added, 1);
	assert_int_equal(gates_count(s->gates), 1);
	close(gate);
	for (int i = 0; i < 200 && s->removed < 1; i++)
		loop_turn(s->loop, 1000);
	assert_int_equal(s->removed, 1);
	assert_int_equal(gates_count(s->gates), 0);
	close(bad);
	close(listening);
	close(plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(control_answers_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(control_sends_long_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(control_drops_an_endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(gates_live_as_long_as_their_connection, setup, teardown),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/control.sock", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return rc;
}
