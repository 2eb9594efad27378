/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/stream.h"

/* What a stream's owner does when bytes come. */
enum act {
	ACT_TAKE,		/* consume all */
	ACT_ECHO,
	ACT_LINES,		/* consume whole lines only, into seen */
	ACT_FIVES,		/* consume five bytes at a time */
	ACT_NONE,
	ACT_PAUSE,		/* take three bytes and pause */
	ACT_PAUSE_ALL,		/* take nothing and pause */
	ACT_CLOSE,
	ACT_RESET,
	ACT_FLOOD,		/* write more than is allowed */
};

struct peer {
	struct loop *loop;
	struct stream *s;
	int fd;			/* the other end, blocking */
	enum act act;
	enum act on_end, on_drained;
	char seen[4096];
	size_t len;		/* bytes consumed */
	int calls, eofs, losts, drained;
};

static char big[1 << 20];

static size_t
peer_consume(struct peer *p, struct span in, size_t n)
{
	if (p->len + n <= sizeof p->seen)
		memcpy(p->seen + p->len, in.at, n);
	p->len += n;
	return n;
}

static size_t
peer_on_bytes(void *arg, struct span in)
{
	struct peer *p = arg;
	const char *nl;

	p->calls++;
	switch (p->act) {
	case ACT_TAKE:
		break;
	case ACT_ECHO:
		assert_int_equal(stream_write(p->s, in), WEFT_OK);
		break;
	case ACT_LINES:
		nl = memchr(in.at, '\n', in.len);
		return nl == NULL ? 0 : peer_consume(p, in, (size_t)(nl + 1 - in.at));
	case ACT_FIVES:
		return in.len < 5 ? 0 : peer_consume(p, in, 5);
	case ACT_NONE:
		return 0;
	case ACT_PAUSE:
		stream_pause(p->s);
		return peer_consume(p, in, 3);
	case ACT_PAUSE_ALL:
		stream_pause(p->s);
		return 0;
	case ACT_CLOSE:
		stream_close(&p->s);
		break;
	case ACT_RESET:
		stream_reset(&p->s);
		break;
	case ACT_FLOOD:
		for (int i = 0; i < 40 && stream_write(p->s, (struct span){ big, sizeof big }) == WEFT_OK; i++)
			continue;
		break;
	}
	return peer_consume(p, in, in.len);
}

static void
peer_on_end(void *arg, enum stream_end end)
{
	struct peer *p = arg;

	if (end == STREAM_EOF)
		p->eofs++;
	else
		p->losts++;
	if (p->on_end == ACT_CLOSE)
		stream_close(&p->s);
	else if (p->on_end == ACT_ECHO)
		stream_write(p->s, SPAN("after"));
}

static void
peer_on_drained(void *arg)
{
	struct peer *p = arg;

	p->drained++;
	if (p->on_drained == ACT_CLOSE)
		stream_close(&p->s);
}

static const struct stream_ops peer_ops = { peer_on_bytes, peer_on_end, peer_on_drained };

static void
peer_adopt(struct peer *p, struct loop *l, int fd, int other, enum act act, const struct stream_conf *conf)
{
	*p = (struct peer){ .loop = l, .fd = other, .act = act };
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	p->s = stream_new(l, fd, &peer_ops, p, conf);
	assert_non_null(p->s);
}

static void
peer_open(struct peer *p, struct loop *l, enum act act, const struct stream_conf *conf)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	peer_adopt(p, l, pair[0], pair[1], act, conf);
}

/* As peer_open, over TCP on loopback. */
static void
peer_open_tcp(struct peer *p, struct loop *l, enum act act)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listening = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0), fd;
	socklen_t len = sizeof a;

	assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(other, (struct sockaddr *)&a, len), 0);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	close(listening);
	peer_adopt(p, l, fd, other, act, NULL);
}

static void
peer_fini(struct peer *p)
{
	stream_close(&p->s);
	if (p->fd >= 0)
		close(p->fd);
}

static void
peer_send(struct peer *p, const char *bytes, size_t len)
{
	assert_int_equal(send(p->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Read at the other end, turning the loop, until len bytes have come or the end. */
static size_t
peer_receive(struct peer *p, char *to, size_t len)
{
	size_t got = 0;

	for (int i = 0; got < len && i < 20000; i++) {
		ssize_t n = recv(p->fd, to + got, len - got, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		loop_turn(p->loop, n > 0 ? 0 : USEC_PER_MSEC);
	}
	return got;
}

/* ---- reading ---- */

static void
what_comes_is_echoed_in_the_same_turn(void **state)
{
	unsigned long long in, out;
	struct peer p;
	char got[8];

	peer_open(&p, *state, ACT_ECHO, NULL);
	peer_send(&p, "hello", 5);
	loop_turn(p.loop, USEC_PER_SEC);
	assert_int_equal(recv(p.fd, got, sizeof got, MSG_DONTWAIT), 5);
	assert_memory_equal(got, "hello", 5);
	stream_count(p.s, &in, &out);
	assert_true(in == 5 && out == 5);
	assert_int_equal(p.calls, 1);
	peer_fini(&p);
}

static void
a_megabyte_is_echoed(void **state)
{
	static char got[sizeof big];
	struct peer p;
	size_t sent = 0, n = 0;

	peer_open(&p, *state, ACT_ECHO, NULL);
	while (n < sizeof big) {
		ssize_t some = send(p.fd, big + sent, sizeof big - sent, MSG_DONTWAIT);

		if (some > 0)
			sent += (size_t)some;
		loop_turn(p.loop, 0);
		some = recv(p.fd, got + n, sizeof got - n, MSG_DONTWAIT);
		if (some > 0)
			n += (size_t)some;
		assert_false(stream_is_lost(p.s));
	}
	assert_memory_equal(got, big, sizeof big);
	assert_int_equal(stream_pending(p.s), 0);
	peer_fini(&p);
}

static void
a_tail_survives_every_split(void **state)
{
	static const char text[] = "one\ntwo\n\nthree\n";
	struct peer p;

	for (size_t cut = 0; cut <= sizeof text - 1; cut++) {
		peer_open(&p, *state, ACT_LINES, NULL);
		if (cut > 0)
			peer_send(&p, text, cut);
		kit_settle(p.loop);
		if (cut < sizeof text - 1)
			peer_send(&p, text + cut, sizeof text - 1 - cut);
		TURN_UNTIL(p.loop, p.len == sizeof text - 1);
		assert_memory_equal(p.seen, text, p.len);
		peer_fini(&p);
	}
}

static void
a_tail_over_its_limit_loses_the_stream(void **state)
{
	const struct stream_conf conf = { .tail_max = 100 };
	struct peer p;

	peer_open(&p, *state, ACT_NONE, &conf);
	peer_send(&p, big, 60);
	kit_settle(p.loop);
	peer_send(&p, big, 40);
	kit_settle(p.loop);
	assert_false(stream_is_lost(p.s));
	peer_send(&p, big, 1);
	kit_settle(p.loop);
	assert_true(stream_is_lost(p.s));
	assert_int_equal(p.losts, 1);
	assert_int_equal(p.eofs, 0);
	assert_int_equal(stream_write(p.s, SPAN("x")), WEFT_CANCELED);
	assert_null(stream_reserve(p.s, 1));
	peer_fini(&p);
}

static void
a_paused_stream_keeps_all_and_goes_on(void **state)
{
	struct peer p;
	int calls;

	peer_open(&p, *state, ACT_PAUSE, NULL);
	peer_send(&p, big, 100000);	/* more than tail_max */
	kit_settle(p.loop);
	assert_int_equal(p.len, 3);
	calls = p.calls;
	peer_send(&p, big + 100000, 1000);
	kit_settle(p.loop);
	assert_int_equal(p.calls, calls);

	stream_resume(p.s);		/* from the kept bytes, and pauses again */
	assert_int_equal(p.calls, calls);
	kit_settle(p.loop);
	assert_int_equal(p.len, 6);
	p.act = ACT_FIVES;
	stream_resume(p.s);
	stream_pause(p.s);
	stream_resume(p.s);
	TURN_UNTIL(p.loop, p.len >= 100996);
	kit_settle(p.loop);
	assert_int_equal(p.len, 100996);	/* and 4 kept */
	assert_memory_equal(p.seen, big, sizeof p.seen);
	p.act = ACT_TAKE;
	peer_send(&p, big, 1);
	TURN_UNTIL(p.loop, p.len == 101001);
	peer_fini(&p);
}

/* Turns which may sleep for ever do sleep: the peer's end is not reported again and again. */
static void
a_paused_stream_does_not_spin(void **state)
{
	struct peer p;
	usec from;

	peer_open(&p, *state, ACT_TAKE, NULL);
	stream_pause(p.s);
	peer_send(&p, "x", 1);
	close(p.fd);
	p.fd = -1;
	from = clock_now();
	for (int i = 0; i < 5; i++)
		loop_turn(p.loop, 6 * USEC_PER_MSEC);
	assert_true(clock_now() - from >= 8 * USEC_PER_MSEC);
	assert_int_equal(p.calls + p.eofs + p.losts, 0);
	stream_resume(p.s);
	TURN_UNTIL(p.loop, p.losts == 1);
	assert_int_equal(p.len, 1);
	peer_fini(&p);
}

/* ---- ends ---- */

static void
after_eof_output_goes_on(void **state)
{
	struct peer p;
	char got[16];
	usec from;

	peer_open(&p, *state, ACT_TAKE, NULL);
	p.on_end = ACT_ECHO;
	peer_send(&p, "bye", 3);
	shutdown(p.fd, SHUT_WR);
	TURN_UNTIL(p.loop, p.eofs == 1);
	assert_int_equal(peer_receive(&p, got, 5), 5);
	assert_memory_equal(got, "after", 5);
	from = clock_now();
	for (int i = 0; i < 5; i++)
		loop_turn(p.loop, 6 * USEC_PER_MSEC);
	assert_true(clock_now() - from >= 8 * USEC_PER_MSEC);
	assert_int_equal(p.eofs, 1);
	assert_int_equal(p.losts, 0);
	stream_shut_write(p.s);
	assert_int_equal(stream_write(p.s, SPAN("x")), WEFT_CANCELED);
	assert_false(stream_is_lost(p.s));
	loop_turn(p.loop, 0);
	assert_int_equal(recv(p.fd, got, sizeof got, 0), 0);
	peer_fini(&p);
}

static void
shut_write_comes_after_the_last_byte(void **state)
{
	static char got[sizeof big];
	struct peer p;

	peer_open(&p, *state, ACT_TAKE, NULL);
	assert_int_equal(stream_write(p.s, (struct span){ big, sizeof big }), WEFT_OK);
	stream_shut_write(p.s);
	assert_int_equal(peer_receive(&p, got, sizeof got), sizeof got);
	assert_memory_equal(got, big, sizeof got);
	assert_int_equal(recv(p.fd, got, 1, 0), 0);
	peer_send(&p, "late", 4);	/* reading goes on */
	TURN_UNTIL(p.loop, p.len == 4);
	/* Both directions are closed in order: that is an end, not a loss. */
	close(p.fd);
	p.fd = -1;
	TURN_UNTIL(p.loop, p.eofs == 1);
	assert_int_equal(p.losts, 0);
	peer_fini(&p);
}

static void
a_unix_peer_that_is_gone_is_lost_at_once(void **state)
{
	struct peer p;

	peer_open(&p, *state, ACT_TAKE, NULL);
	close(p.fd);
	p.fd = -1;
	TURN_UNTIL(p.loop, p.losts == 1);
	assert_int_equal(p.eofs, 0);
	peer_fini(&p);
}

static void
a_tcp_peer_that_resets_is_lost(void **state)
{
	const struct linger now = { 1, 0 };
	struct peer p;

	peer_open_tcp(&p, *state, ACT_TAKE);
	setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(p.fd);
	p.fd = -1;
	TURN_UNTIL(p.loop, p.losts == 1);
	assert_int_equal(p.eofs, 0);
	assert_int_equal(stream_write(p.s, SPAN("x")), WEFT_CANCELED);
	peer_fini(&p);
}

static void
a_write_to_a_closed_peer_loses_the_stream(void **state)
{
	struct peer p;

	peer_open(&p, *state, ACT_TAKE, NULL);
	stream_pause(p.s);
	close(p.fd);
	p.fd = -1;
	assert_int_equal(stream_write(p.s, SPAN("x")), WEFT_OK);
	stream_flush(p.s);
	assert_true(stream_is_lost(p.s));
	assert_int_equal(p.losts, 0);	/* not from within a call */
	loop_turn(p.loop, 0);
	assert_int_equal(p.losts, 1);
	stream_resume(p.s);
	kit_settle(p.loop);
	assert_int_equal(p.losts, 1);
	peer_fini(&p);
}

static void
our_reset_is_seen_as_one(void **state)
{
	struct peer p;
	char got[16];

	peer_open_tcp(&p, *state, ACT_TAKE);
	stream_write(p.s, SPAN("dropped"));
	stream_reset(&p.s);
	assert_null(p.s);
	assert_int_equal(recv(p.fd, got, sizeof got, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	peer_fini(&p);

	peer_open(&p, *state, ACT_TAKE, NULL);
	stream_write(p.s, SPAN("dropped"));
	stream_reset(&p.s);
	assert_int_equal(recv(p.fd, got, sizeof got, 0), 0);
	peer_fini(&p);
}

static void
close_tries_the_rest_once(void **state)
{
	struct peer p;
	char got[16];

	peer_open(&p, *state, ACT_TAKE, NULL);
	stream_write(p.s, SPAN("rest"));
	stream_close(&p.s);
	stream_close(&p.s);
	assert_int_equal(recv(p.fd, got, sizeof got, 0), 4);
	assert_int_equal(recv(p.fd, got, sizeof got, 0), 0);
	peer_fini(&p);
}

/* ---- closing from within ---- */

static void
a_stream_may_be_closed_in_each_callback(void **state)
{
	const struct stream_conf conf = { .high_water = 10, .low_water = 5 };
	struct loop *l = *state;
	struct peer p;

	for (enum act act = ACT_CLOSE; act <= ACT_RESET; act++) {
		peer_open(&p, l, act, NULL);
		peer_send(&p, "x", 1);
		TURN_UNTIL(l, p.s == NULL);
		peer_fini(&p);
	}

	/* With a tail, and after a pause: from the kept bytes. */
	peer_open(&p, l, ACT_PAUSE, NULL);
	peer_send(&p, big, 70000);
	TURN_UNTIL(l, p.len == 3);
	p.act = ACT_CLOSE;
	stream_resume(p.s);
	TURN_UNTIL(l, p.s == NULL);
	peer_fini(&p);

	peer_open(&p, l, ACT_TAKE, NULL);
	p.on_end = ACT_CLOSE;
	shutdown(p.fd, SHUT_WR);
	TURN_UNTIL(l, p.s == NULL);
	assert_int_equal(p.eofs, 1);
	peer_fini(&p);

	peer_open(&p, l, ACT_TAKE, NULL);
	p.on_end = ACT_CLOSE;
	close(p.fd);
	p.fd = -1;
	TURN_UNTIL(l, p.s == NULL);
	assert_int_equal(p.losts, 1);
	peer_fini(&p);

	peer_open(&p, l, ACT_TAKE, &conf);
	p.on_drained = ACT_CLOSE;
	stream_write(p.s, SPAN("more than ten bytes"));
	TURN_UNTIL(l, p.s == NULL);
	assert_int_equal(p.drained, 1);
	peer_fini(&p);
	kit_settle(l);
}

/* ---- writing ---- */

static void
a_slow_reader_fills_and_drains(void **state)
{
	static char got[sizeof big];
	struct peer p;
	size_t first;
	usec from;

	peer_open(&p, *state, ACT_TAKE, NULL);
	assert_false(stream_is_full(p.s));
	assert_int_equal(stream_write(p.s, (struct span){ big, sizeof big }), WEFT_OK);
	assert_true(stream_is_full(p.s));
	kit_settle(p.loop);
	assert_true(stream_is_full(p.s));
	assert_int_equal(p.drained, 0);

	/* A reader that does not read costs nothing. */
	from = clock_now();
	for (int i = 0; i < 5; i++)
		loop_turn(p.loop, 6 * USEC_PER_MSEC);
	assert_true(clock_now() - from >= 8 * USEC_PER_MSEC);

	first = peer_receive(&p, got, sizeof big / 2);
	assert_int_equal(p.drained, 0);
	assert_int_equal(peer_receive(&p, got + first, sizeof big - first), sizeof big - first);
	assert_memory_equal(got, big, sizeof big);
	assert_int_equal(p.drained, 1);
	assert_int_equal(stream_pending(p.s), 0);
	peer_fini(&p);
}

static void
a_full_stream_that_is_sent_at_once_is_drained(void **state)
{
	const struct stream_conf conf = { .high_water = 10 };
	struct peer p;

	peer_open(&p, *state, ACT_TAKE, &conf);
	stream_write(p.s, SPAN("0123456789"));
	assert_false(stream_is_full(p.s));
	stream_write(p.s, SPAN("x"));
	assert_true(stream_is_full(p.s));
	stream_flush(p.s);
	assert_false(stream_is_full(p.s));
	assert_int_equal(p.drained, 0);
	loop_turn(p.loop, 0);
	assert_int_equal(p.drained, 1);
	stream_write(p.s, SPAN("0123456789"));
	kit_settle(p.loop);
	assert_int_equal(p.drained, 1);
	peer_fini(&p);
}

static void
output_is_bounded(void **state)
{
	const struct stream_conf conf = { .pending_max = 1000 };
	struct peer p;

	peer_open(&p, *state, ACT_TAKE, &conf);
	assert_int_equal(stream_write(p.s, (struct span){ big, 600 }), WEFT_OK);
	assert_int_equal(stream_write(p.s, (struct span){ big, 401 }), WEFT_TOO_LARGE);
	assert_true(stream_is_lost(p.s));
	assert_int_equal(stream_write(p.s, SPAN("x")), WEFT_CANCELED);
	assert_int_equal(stream_pending(p.s), 0);
	loop_turn(p.loop, 0);
	assert_int_equal(p.losts, 1);
	peer_fini(&p);

	peer_open(&p, *state, ACT_TAKE, &conf);
	assert_null(stream_reserve(p.s, 1001));
	assert_true(stream_is_lost(p.s));
	peer_fini(&p);

	peer_open(&p, *state, ACT_FLOOD, NULL);	/* within on_bytes */
	peer_send(&p, "x", 1);
	TURN_UNTIL(p.loop, p.losts == 1);
	peer_fini(&p);
}

static void
records_are_built_in_place(void **state)
{
	static char got[80000];
	struct peer p;
	char *to;

	peer_open(&p, *state, ACT_TAKE, NULL);
	to = stream_reserve(p.s, 100);
	memcpy(to, big, 40);
	stream_commit(p.s, 40);
	to = stream_reserve(p.s, 65536 + 1024);
	memcpy(to, big + 40, 65536 + 1024);
	stream_commit(p.s, 65536 + 1024);
	assert_non_null(stream_reserve(p.s, 8));
	stream_commit(p.s, 0);
	stream_write(p.s, (struct span){ big + 40 + 66560, 10 });
	assert_int_equal(stream_pending(p.s), 66610);
	assert_int_equal(peer_receive(&p, got, 66610), 66610);
	assert_memory_equal(got, big, 66610);
	peer_fini(&p);
}

static void
a_pipe_is_a_stream_too(void **state)
{
	struct peer p;
	int pair[2];
	char got[8];

	assert_int_equal(pipe(pair), 0);
	peer_adopt(&p, *state, pair[0], pair[1], ACT_TAKE, NULL);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	TURN_UNTIL(p.loop, p.len == 3);
	peer_fini(&p);

	assert_int_equal(pipe(pair), 0);
	peer_adopt(&p, *state, pair[1], pair[0], ACT_TAKE, NULL);
	stream_pause(p.s);
	stream_write(p.s, SPAN("abc"));
	stream_write(p.s, SPAN("def"));
	loop_turn(p.loop, 0);
	assert_int_equal(read(pair[0], got, sizeof got), 6);
	peer_fini(&p);
}

static void
a_regular_file_is_not_a_stream(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_null(stream_new(*state, fd, &peer_ops, NULL, NULL));
	assert_int_equal(errno, EPERM);
	assert_int_equal(close(fd), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(what_comes_is_echoed_in_the_same_turn),
		KIT_TEST(a_megabyte_is_echoed),
		KIT_TEST(a_tail_survives_every_split),
		KIT_TEST(a_tail_over_its_limit_loses_the_stream),
		KIT_TEST(a_paused_stream_keeps_all_and_goes_on),
		KIT_TEST(a_paused_stream_does_not_spin),
		KIT_TEST(after_eof_output_goes_on),
		KIT_TEST(shut_write_comes_after_the_last_byte),
		KIT_TEST(a_unix_peer_that_is_gone_is_lost_at_once),
		KIT_TEST(a_tcp_peer_that_resets_is_lost),
		KIT_TEST(a_write_to_a_closed_peer_loses_the_stream),
		KIT_TEST(our_reset_is_seen_as_one),
		KIT_TEST(close_tries_the_rest_once),
		KIT_TEST(a_stream_may_be_closed_in_each_callback),
		KIT_TEST(a_slow_reader_fills_and_drains),
		KIT_TEST(a_full_stream_that_is_sent_at_once_is_drained),
		KIT_TEST(output_is_bounded),
		KIT_TEST(records_are_built_in_place),
		KIT_TEST(a_pipe_is_a_stream_too),
		KIT_TEST(a_regular_file_is_not_a_stream),
	};

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 31 + i / 251);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
