/* SPDX-License-Identifier: ISC */
/* Workers that share out connections: here children, each of which writes its number into what it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop.h"
#include "server/share.h"

enum { WORKERS = 3 };

static usec now = USEC_PER_SEC;
static struct share *share;
static struct loop *loop;
static uint32_t *kept;		/* our own number, in place 0 */
static pid_t child[WORKERS];
static int taken;

struct worker {
	uint32_t *kept;
	unsigned place;
};

static void
worker_on_taken(void *arg, int fd)
{
	struct worker *w = arg;
	char place = (char)w->place;

	__atomic_fetch_add(w->kept, 1, __ATOMIC_RELAXED);
	/* Who sent it may have gone. */
	send(fd, &place, 1, MSG_NOSIGNAL);
	close(fd);
}

/* A worker with so many connections; says that it is there through ready. */
static void
worker_run(unsigned place, uint32_t has, int ready)
{
	struct loop *l = loop_new(NULL);
	struct worker w = { .place = place };

	w.kept = share_join(share, place, l, worker_on_taken, &w);
	if (w.kept == NULL)
		_exit(1);
	*w.kept = has;
	if (write(ready, "", 1) != 1)
		_exit(1);
	alarm(30);
	for (;;)
		loop_turn(l, USEC_PER_SEC);
}

static void
begin_worker(unsigned place, uint32_t has)
{
	char byte;
	int p[2];

	assert_int_equal(pipe(p), 0);
	child[place] = fork();
	if (child[place] == 0)
		worker_run(place, has, p[1]);
	assert_true(child[place] > 0);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 1);
	close(p[0]);
}

static void
end_worker(unsigned place)
{
	if (child[place] == 0)
		return;
	kill(child[place], SIGKILL);
	waitpid(child[place], NULL, 0);
	child[place] = 0;
	share_vacate(share, place);
}

/* Hand a connection on whose other end is closed.  Returns whether it was handed on. */
static bool
pass_blindly(void)
{
	bool passed;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(s[0]);
	passed = share_pass(share, s[1]);
	if (!passed)
		close(s[1]);
	return passed;
}

/* Hand a connection on.  Returns the place it came to, -1 when it is to be kept. */
static int
pass(void)
{
	char place = -1;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	if (share_pass(share, s[1])) {
		assert_int_equal(close(s[1]), -1);
		assert_int_equal(errno, EBADF);
		assert_int_equal(read(s[0], &place, 1), 1);
	} else {
		assert_int_equal(close(s[1]), 0);
	}
	close(s[0]);
	return place;
}

static void
count_taken(void *arg, int fd)
{
	(void)arg;
	taken++;
	close(fd);
}

static usec
fake_clock(void)
{
	return now;
}

static int
setup(void **state)
{
	const struct fiber_conf conf = { .clock = fake_clock };

	(void)state;
	share = share_new(WORKERS);
	loop = loop_new(&conf);
	assert_non_null(share);
	assert_non_null(loop);
	kept = share_join(share, 0, loop, count_taken, NULL);
	assert_non_null(kept);
	taken = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned i = 1; i < WORKERS; i++)
		end_worker(i);
	share_leave(share);
	share_end(share);
	loop_free(&loop);
	share_free(&share);
	assert_null(share);
	return 0;
}

static void
alone_all_are_kept(void **state)
{
	(void)state;
	*kept = 1000;
	assert_int_equal(pass(), -1);
}

static void
who_has_more_hands_on_to_who_has_the_fewest(void **state)
{
	(void)state;
	begin_worker(1, 9);
	begin_worker(2, 8);
	*kept = 8;
	assert_int_equal(pass(), -1);
	*kept = 10;	/* a quarter more */
	assert_int_equal(pass(), -1);
	*kept = 11;
	assert_int_equal(pass(), 2);
	*kept = 0;
	assert_int_equal(pass(), -1);
}

/* Even with two: from the first one on. */
static void
few_are_shared_as_well(void **state)
{
	(void)state;
	begin_worker(1, 0);
	assert_int_equal(pass(), -1);
	*kept = 1;
	assert_int_equal(pass(), 1);
	assert_int_equal(pass(), -1);
}

/* A receiver that has not looked yet counts what was sent to it. */
static void
many_in_one_go_do_not_all_go_to_one(void **state)
{
	unsigned passed = 0;

	(void)state;
	begin_worker(1, 0);
	assert_int_equal(kill(child[1], SIGSTOP), 0);
	*kept = 4;
	for (int i = 0; i < 20; i++)
		passed += pass_blindly();
	assert_int_equal(passed, 4);
}

static void
nothing_goes_to_who_has_ended_or_left(void **state)
{
	(void)state;
	*kept = 100;
	begin_worker(1, 0);
	begin_worker(2, 50);
	end_worker(1);
	assert_int_equal(pass(), 2);
	end_worker(2);
	assert_int_equal(pass(), -1);
	begin_worker(1, 0);
	share_leave(share);
	assert_int_equal(pass(), -1);
}

/* What lay in the inbox of one that was killed is its successor's. */
static void
a_successor_takes_what_was_sent(void **state)
{
	int s[2];
	char place;

	(void)state;
	begin_worker(1, 0);
	assert_int_equal(kill(child[1], SIGSTOP), 0);
	*kept = 5;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_true(share_pass(share, s[1]));
	end_worker(1);
	begin_worker(1, 0);
	assert_int_equal(read(s[0], &place, 1), 1);
	assert_int_equal(place, 1);
	close(s[0]);
}

/* Such as one whose handler computes. */
static void
nothing_more_goes_to_who_does_not_look(void **state)
{
	char place;
	int s[2];

	(void)state;
	begin_worker(1, 0);
	begin_worker(2, 10);
	*kept = 100;
	assert_int_equal(pass(), 1);
	assert_int_equal(kill(child[1], SIGSTOP), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_true(share_pass(share, s[1]));
	now += USEC_PER_MSEC;
	assert_true(pass_blindly());
	now += 2 * USEC_PER_MSEC;
	assert_int_equal(pass(), 2);
	assert_int_equal(kill(child[1], SIGCONT), 0);
	assert_int_equal(read(s[0], &place, 1), 1);
	close(s[0]);
	/* It has taken the other one too, or is about to: then this comes to the second. */
	assert_in_range(pass(), 1, 2);
}

/* More than an inbox holds: the rest is kept, and what is there is taken later. */
static void
a_full_inbox_is_no_error(void **state)
{
	unsigned passed = 0;

	(void)state;
	begin_worker(1, 0);
	assert_int_equal(kill(child[1], SIGSTOP), 0);
	*kept = 1000000;
	while (passed < 5000 && pass_blindly())
		passed++;
	assert_in_range(passed, 1, 4999);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(alone_all_are_kept),
		TEST(who_has_more_hands_on_to_who_has_the_fewest),
		TEST(few_are_shared_as_well),
		TEST(many_in_one_go_do_not_all_go_to_one),
		TEST(nothing_goes_to_who_has_ended_or_left),
		TEST(a_successor_takes_what_was_sent),
		TEST(nothing_more_goes_to_who_does_not_look),
		TEST(a_full_inbox_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
