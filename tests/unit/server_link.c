/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"
#include "server/link.h"

struct seen {
	unsigned messages, ends;
	struct link_message last;
	char text[64];
	struct link *link;
};

static void
on_message(void *arg, struct link_message *m)
{
	struct seen *s = arg;

	s->messages++;
	s->last = *m;
	snprintf(s->text, sizeof s->text, "%s", m->text);
	if (m->fd >= 0)
		close(m->fd);
}

static void
on_end(void *arg)
{
	struct seen *s = arg;

	s->ends++;
	link_free(&s->link);
}

static const struct link_ops ops = { on_message, on_end };

/* Turn until the count is reached; bounded. */
static void
turn_until(struct loop *l, const unsigned *count, unsigned want)
{
	for (int i = 0; i < 20000 && *count < want; i++)
		loop_turn(l, 10000);
	assert_int_equal(*count, want);
}

static void
link_carries_text_and_descriptors(void **state)
{
	struct loop *l = loop_new(NULL);
	struct seen a = { 0 }, b = { 0 };
	int s[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	a.link = link_new(l, s[0], &ops, &a);
	b.link = link_new(l, s[1], &ops, &b);
	assert_int_equal(link_send(a.link, &(struct link_message){ LINK_WARM, 7, -5, "hello", -1 }), 0);
	turn_until(l, &b.messages, 1);
	assert_int_equal(b.last.what, LINK_WARM);
	assert_int_equal(b.last.id, 7);
	assert_int_equal(b.last.number, -5);
	assert_int_equal(b.last.fd, -1);
	assert_string_equal(b.text, "hello");
	assert_int_equal(link_send(b.link, &(struct link_message){ LINK_CONN, 1, 0, NULL, null }), 0);
	turn_until(l, &a.messages, 1);
	assert_true(a.last.fd >= 0 && a.last.fd != null);
	assert_string_equal(a.text, "");

	link_free(&a.link);
	close(s[0]);
	turn_until(l, &b.ends, 1);
	close(s[1]);
	close(null);
	loop_free(&l);
}

/* More than the socket takes waits in the queue, in order, descriptors too. */
static void
link_queues_for_a_slow_peer(void **state)
{
	enum { MANY = 3000 };
	struct loop *l = loop_new(NULL);
	struct seen a = { 0 }, b = { 0 };
	int s[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	a.link = link_new(l, s[0], &ops, &a);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(link_send(a.link,
		    &(struct link_message){ LINK_LISTEN, i, 0, "0123456789", i % 10 == 0 ? null : -1 }), 0);
	b.link = link_new(l, s[1], &ops, &b);
	turn_until(l, &b.messages, MANY);
	assert_int_equal(b.last.id, MANY - 1);
	link_free(&a.link);
	link_free(&b.link);
	close(s[0]);
	close(s[1]);
	close(null);
	loop_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_carries_text_and_descriptors),
		cmocka_unit_test(link_queues_for_a_slow_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
