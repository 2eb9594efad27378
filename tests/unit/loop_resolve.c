/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sched.h>

#include "loop/resolve.h"

struct answer {
	int calls;
	struct resolved r;
};

static void
answer_on_done(void *arg, const struct resolved *r)
{
	struct answer *a = arg;

	a->calls++;
	a->r = *r;
}

static void
a_number_is_answered_at_once(void **state)
{
	const struct sockaddr_in *in;
	const struct sockaddr_in6 *in6;
	struct answer a = { 0 };

	assert_null(resolve_start(*state, "127.0.0.1", 6379, answer_on_done, &a));
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.r.error, 0);
	assert_int_equal(a.r.count, 1);
	assert_string_equal(a.r.address[0].text, "127.0.0.1");
	in = (const struct sockaddr_in *)&a.r.address[0].addr;
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 6379);

	assert_null(resolve_start(*state, "::1", 65535, answer_on_done, &a));
	assert_int_equal(a.calls, 2);
	assert_int_equal(a.r.count, 1);
	assert_string_equal(a.r.address[0].text, "::1");
	in6 = (const struct sockaddr_in6 *)&a.r.address[0].addr;
	assert_int_equal(ntohs(in6->sin6_port), 65535);
	assert_int_equal(a.r.address[0].len, sizeof *in6);

	assert_null(resolve_start(*state, "127.0.0.1", 65536, answer_on_done, &a));
	assert_int_equal(a.calls, 3);
	assert_int_equal(a.r.error, EAI_SERVICE);
}

static void
a_name_is_looked_up_on_a_thread(void **state)
{
	struct answer a = { 0 };
	struct resolve *r = resolve_start(*state, "localhost", 80, answer_on_done, &a);

	assert_non_null(r);
	assert_int_equal(a.calls, 0);
	TURN_UNTIL(*state, a.calls == 1);
	assert_int_equal(a.r.error, 0);
	assert_true(a.r.count >= 1);
	assert_true(strcmp(a.r.address[0].text, "127.0.0.1") == 0 || strcmp(a.r.address[0].text, "::1") == 0);
}

/* A label of 64 bytes is none, so no server is asked. */
static void
a_name_that_is_none_is_an_error(void **state)
{
	char name[80] = "";
	struct answer a = { 0 };
	struct resolve *r;

	memset(name, 'x', 64);
	r = resolve_start(*state, name, 80, answer_on_done, &a);
	assert_non_null(r);
	TURN_UNTIL(*state, a.calls == 1);
	assert_true(a.r.error != 0);
	assert_int_equal(a.r.count, 0);
}

static void
a_cancelled_look_up_is_not_answered(void **state)
{
	struct answer a = { 0 }, b = { 0 };
	struct resolve *r = resolve_start(*state, "localhost", 80, answer_on_done, &a);

	resolve_cancel(&r);
	assert_null(r);
	resolve_cancel(&r);
	assert_non_null(resolve_start(*state, "localhost", 80, answer_on_done, &b));
	TURN_UNTIL(*state, b.calls == 1);
	assert_int_equal(a.calls, 0);
}

/* One look-up serves all who ask while it is under way, but for those who have left. */
static void
who_asks_for_the_same_is_told_together(void **state)
{
	struct answer a[4] = { { 0 } };
	struct resolve *r[4];

	for (int i = 0; i < 4; i++) {
		r[i] = resolve_start(*state, "localhost", i < 3 ? 80 : 81, answer_on_done, &a[i]);
		assert_non_null(r[i]);
	}
	resolve_cancel(&r[1]);
	TURN_UNTIL(*state, a[0].calls == 1 && a[2].calls == 1 && a[3].calls == 1);
	assert_int_equal(a[1].calls, 0);
	for (int i = 0; i < 4; i += 2) {
		assert_int_equal(a[i].r.error, 0);
		assert_string_equal(a[i].r.address[0].text, a[0].r.address[0].text);
	}
	assert_memory_not_equal(&a[0].r.address[0].addr, &a[3].r.address[0].addr, sizeof(struct sockaddr_in));
}

/* Who is told may forget what else he has asked for. */
static struct resolve *forgotten;

static void
answer_on_done_forget(void *arg, const struct resolved *r)
{
	answer_on_done(arg, r);
	resolve_cancel(&forgotten);
}

static void
who_is_told_may_cancel_the_next(void **state)
{
	struct answer a = { 0 }, b = { 0 };

	assert_non_null(resolve_start(*state, "localhost", 80, answer_on_done_forget, &a));
	forgotten = resolve_start(*state, "localhost", 80, answer_on_done, &b);
	assert_non_null(forgotten);
	TURN_UNTIL(*state, a.calls == 1);
	assert_null(forgotten);
	kit_settle(*state);
	assert_int_equal(b.calls, 0);
}

/* The loop ends after this function has: who asked must be there still, or have cancelled. */
static void
what_is_looked_up_at_the_end_is_left(void **state)
{
	static struct answer a;

	for (int i = 0; i < 3; i++)
		assert_non_null(resolve_start(*state, "localhost", 80 + (unsigned)i, answer_on_done, &a));
	assert_int_equal(a.calls, 0);
}

/* The loop goes while some look-ups have ended and others have not: these are their threads', those are the loop's. */
static void
some_have_ended_when_the_loop_goes(void **state)
{
	static struct answer a;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct loop *l = loop_new(NULL);

		assert_non_null(l);
		for (unsigned port = 1; port <= 8; port++)
			assert_non_null(resolve_start(l, "localhost", port, answer_on_done, &a));
		sched_yield();
		loop_free(&l);
	}
	assert_int_equal(a.calls, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_number_is_answered_at_once),
		KIT_TEST(a_name_is_looked_up_on_a_thread),
		KIT_TEST(a_name_that_is_none_is_an_error),
		KIT_TEST(a_cancelled_look_up_is_not_answered),
		KIT_TEST(who_asks_for_the_same_is_told_together),
		KIT_TEST(who_is_told_may_cancel_the_next),
		KIT_TEST(what_is_looked_up_at_the_end_is_left),
		cmocka_unit_test(some_have_ended_when_the_loop_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
