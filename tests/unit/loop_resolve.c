/* SPDX-License-Identifier: ISC */
#include "loop_kit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_number_is_answered_at_once),
		KIT_TEST(a_name_is_looked_up_on_a_thread),
		KIT_TEST(a_name_that_is_none_is_an_error),
		KIT_TEST(a_cancelled_look_up_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
