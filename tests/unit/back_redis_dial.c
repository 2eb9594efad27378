/* SPDX-License-Identifier: ISC */
/*
 * A name of Redis' with several addresses of which the first is silent: each has its share of the time.  What names mean is
 * said by the test itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tests/unit/back_liar.h"
#include "tests/unit/back_redis_many.h"

static char url[200];
static struct liar liar;
static int silent;

/* ---- names ---- */

static struct addrinfo *
name_address(const char *number, const char *port, struct addrinfo *next)
{
	struct {
		struct addrinfo ai;
		struct sockaddr_in in;
	} *one = calloc(1, sizeof *one);

	must(one != NULL);
	one->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port == NULL ? "0" : port)) };
	must(inet_pton(AF_INET, number, &one->in.sin_addr) == 1);
	one->ai = (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP,
		.ai_addr = (struct sockaddr *)&one->in, .ai_addrlen = sizeof one->in, .ai_next = next };
	return &one->ai;
}

/* The one name there is means 127.0.0.2 and 127.0.0.1. */
int
getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
    struct addrinfo **restrict out)
{
	struct in_addr in;

	if (inet_pton(AF_INET, host, &in) == 1)
		*out = name_address(host, port, NULL);
	else if (strcmp(host, "two.test") != 0 || (hints->ai_flags & AI_NUMERICHOST))
		return EAI_NONAME;
	else
		*out = name_address("127.0.0.2", port, name_address("127.0.0.1", port, NULL));
	return 0;
}

void
freeaddrinfo(struct addrinfo *ai)
{
	struct addrinfo *next;

	for (; ai != NULL; ai = next) {
		next = ai->ai_next;
		free(ai);
	}
}

/* ---- servers ---- */

/* Listen at 127.0.0.2, and say nothing: what connects is not even accepted. */
static void
silence_begin(unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	must(inet_pton(AF_INET, "127.0.0.2", &in.sin_addr) == 1);
	silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(silent >= 0 && bind(silent, (struct sockaddr *)&in, sizeof in) == 0 && listen(silent, 64) == 0);
}

static int
test_end(void **state)
{
	pool_close(&many.pool);
	close(silent);
	return many_end(state);
}

/* Found by the first attempt, and by those behind it. */
static void
expect_found(void)
{
	struct pool_stat stat;

	many_open((struct pool_conf){ .url = url, .max = 1, .connect_timeout = 4 * USEC_PER_SEC, .queue_timeout = 10 * USEC_PER_SEC });
	many_expect("OK", "SET k v");
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.connects, 1);
	/* Long after, nothing is left of the way there. */
	back_skip(5 * USEC_PER_SEC);
	back_run(many.loop);
	many_expect("v", "GET k");
	pool_stat(many.pool, &stat);
	assert_int_equal(stat.connects, 1);
	assert_int_equal(stat.losses, 0);
}

/* ---- tests ---- */

static void
silent_address_leaves_time_for_the_next(void **state)
{
	(void)state;
	many_start((const char *const[]){ NULL });
	silence_begin(many.port[0]);
	snprintf(url, sizeof url, "redis://two.test:%u", many.port[0]);
	expect_found();
}

static void
silent_address_of_a_node_leaves_time_for_the_next(void **state)
{
	(void)state;
	many_start((const char *const[]){ "--cluster-enabled", "yes", "--cluster-config-file", "alone.conf", NULL });
	many_say(0, "CLUSTER ADDSLOTSRANGE 0 16383");
	many_await(0, "CLUSTER INFO", "cluster_state:ok");
	silence_begin(many.port[0]);
	snprintf(url, sizeof url, "redis+cluster://two.test:%u", many.port[0]);
	expect_found();
}

static void
hear_sentinel(struct liar_peer *p)
{
	char answer[80], port[8];
	int n = snprintf(port, sizeof port, "%u", many.port[0]);

	snprintf(answer, sizeof answer, "*2\r\n$8\r\ntwo.test\r\n$%d\r\n%s\r\n", n, port);
	if (memmem(p->in.at, p->in.len, "SENTINEL", 8) != NULL)
		liar_say(p, span_str(answer));
	buf_consume(&p->in, p->in.len);
}

static void
silent_address_of_a_master_leaves_time_for_the_next(void **state)
{
	(void)state;
	many_start((const char *const[]){ NULL });
	silence_begin(many.port[0]);
	snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u/mine", liar_open_tcp(&liar, many.loop, hear_sentinel));
	expect_found();
	pool_close(&many.pool);
	liar_close(&liar);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, many_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(silent_address_leaves_time_for_the_next),
		TEST(silent_address_of_a_node_leaves_time_for_the_next),
		TEST(silent_address_of_a_master_leaves_time_for_the_next),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
