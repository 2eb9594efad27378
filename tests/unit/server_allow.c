/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/allow.h"

/* A connected socket's end whose peer has this address of loopback.  The other end goes to *peer. */
static int
connect_from(int family, uint32_t from, int *peer)
{
	int listener = socket(family, SOCK_STREAM, 0), fd;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };	/* "::": takes IPv4 as well */
	struct sockaddr *any = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof in : sizeof in6;
	const int off = 0;

	assert_true(listener >= 0);
	if (family == AF_INET6)
		assert_int_equal(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(bind(listener, any, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, any, &len), 0);
	in.sin_port = family == AF_INET ? in.sin_port : in6.sin6_port;
	*peer = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*peer, (struct sockaddr *)&source, sizeof source), 0);
	assert_int_equal(connect(*peer, (struct sockaddr *)&in, sizeof in), 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

static void
admits(int family, uint32_t from, const struct allow *a, bool yes)
{
	int peer, fd = connect_from(family, from, &peer);

	assert_int_equal(allow_admits(a, fd), yes);
	close(fd);
	close(peer);
}

static void
lists_of_addresses(void **state)
{
	static const char *const bad[] = { "", ",", "127.0.0.1,", ",127.0.0.1", "127.0.0.1 127.0.0.2", "127.0.0.256", "localhost", "127.1",
		"127.0.0.1/8", ":::1", "[::1]", "127.0.0.1, 127.0.0.2", "::1%lo", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001" };
	struct allow a = { .n = 0 };

	(void)state;
	assert_int_equal(allow_parse(&a, "127.0.0.1"), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(allow_parse(&a, "192.0.2.1,::1,2001:db8::7"), 0);
	assert_int_equal(a.n, 4);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		a.n = 0;
		assert_int_equal(allow_parse(&a, bad[i]), -1);
	}
	a.n = 0;
	for (int i = 0; i < ALLOW_MAX; i++)
		assert_int_equal(allow_add(&a, "::1"), 0);
	assert_int_equal(allow_add(&a, "::1"), -1);
}

static void
who_is_let_in(void **state)
{
	struct allow everybody = { .n = 0 }, two = { .n = 0 }, other = { .n = 0 };
	int pair[2];

	(void)state;
	assert_int_equal(allow_parse(&two, "127.0.0.2,127.0.0.3"), 0);
	assert_int_equal(allow_parse(&other, "::2,::ffff:127.0.0.9,7f00:2::"), 0);
	for (int i = 0; i < 2; i++) {
		int family = i == 0 ? AF_INET : AF_INET6;

		admits(family, 0x7f000001, &everybody, true);
		admits(family, 0x7f000001, &two, false);
		admits(family, 0x7f000002, &two, true);
		admits(family, 0x7f000003, &two, true);
		admits(family, 0x7f000002, &other, false);
		admits(family, 0x7f000009, &other, true);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(allow_admits(&everybody, pair[0]));
	assert_false(allow_admits(&two, pair[0]));
	close(pair[0]);
	close(pair[1]);
	assert_false(allow_admits(&two, -1));
}

static void
what_others_can_reach(void **state)
{
	static const char *const none[] = { "unix:/run/x", "127.0.0.1:9000", "127.255.0.9:1", "[::1]:9000", "nonsense", "", "a:b", "::1" };
	static const char *const some[] = { "0.0.0.0:9000", "192.0.2.1:0", "[::]:9000", "[2001:db8::1]:80", "[::ffff:127.0.0.1]:80" };

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_false(allow_is_public(none[i]));
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
		assert_true(allow_is_public(some[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_addresses),
		cmocka_unit_test(who_is_let_in),
		cmocka_unit_test(what_others_can_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
