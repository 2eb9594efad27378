/* SPDX-License-Identifier: ISC */

/* URLs with several servers, of which one is a real PostgreSQL; and what a list is cut into. */
#include "back_sql_kit.h"

#include "back/postgres/postgres.h"
#include "back_server.h"

/* ---- lists ---- */

static void
lists_are_cut(void **state)
{
	const struct postgres_names names = { "a,/run/pg,c", NULL, "1,,3", "prefer-standby" };
	const struct postgres_names one_port = { "a,b", "127.0.0.1,::1", "7", "any" };
	const struct postgres_names addresses = { NULL, "127.0.0.1", NULL, "any" };
	const char *why;
	struct postgres_hosts *h = postgres_hosts_new(&names, &why);

	(void)state;
	assert_non_null(h);
	assert_int_equal(h->count, 3);
	assert_true(h->prefers_standby);
	assert_string_equal(h->host[0].name, "a");
	assert_string_equal(h->host[0].port, "1");
	assert_string_equal(h->host[0].address, "");
	assert_string_equal(h->host[1].name, "/run/pg");
	assert_string_equal(h->host[1].port, "5432");
	assert_string_equal(h->host[2].port, "3");
	postgres_hosts_free(&h);
	h = postgres_hosts_new(&one_port, &why);
	assert_non_null(h);
	assert_int_equal(h->count, 2);
	assert_string_equal(h->host[1].address, "::1");
	assert_string_equal(h->host[0].port, "7");
	assert_string_equal(h->host[1].port, "7");
	postgres_hosts_free(&h);
	h = postgres_hosts_new(&addresses, &why);
	assert_non_null(h);
	assert_string_equal(h->host[0].name, "");
	postgres_hosts_free(&h);
	postgres_hosts_free(&h);
}

static void
lists_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		struct postgres_names names;
		const char *why;
	} bad[] = {
		{ { NULL, NULL, NULL, "any" }, "hosts" }, { { "a,b", NULL, "1,2,3", "any" }, "list of ports" },
		{ { "a", NULL, "0", "any" }, "port" }, { { "a", NULL, "65536", "any" }, "port" }, { { "a", NULL, "+1", "any" }, "port" },
		{ { "a", NULL, "1x", "any" }, "port" }, { { "a,", NULL, NULL, "any" }, "empty host" }, { { "a,b", "::1", NULL, "any" }, "hostaddr" },
		{ { "a", NULL, NULL, "first" }, "target_session_attrs" }, { { "a", NULL, NULL, "" }, "target_session_attrs" },
		{ { "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", NULL, NULL, "any" }, "16 hosts" },
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_null(postgres_hosts_new(&bad[i].names, &why));
		assert_non_null(strstr(why, bad[i].why));
	}
}

/* ---- connecting ---- */

static int hole;		/* whoever connects there gets no answer, ever */
static unsigned hole_port;

static int
hosts_set_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;

	hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (hole < 0 || bind(hole, (struct sockaddr *)&at, sizeof at) != 0 || listen(hole, 64) != 0 ||
	    getsockname(hole, (struct sockaddr *)&at, &len) != 0)
		return -1;
	hole_port = ntohs(at.sin_port);
	return server_set_up(state);
}

static int
hosts_tear_down(void **state)
{
	close(hole);
	return server_tear_down(state);
}

/*
 * Open a pool of at most one connection and 2 s to connect.
 *
 * list     what stands for the hosts; H: the hole, R: one that refuses, S: the server, by its name, X: a name that nobody has
 */
static void
hosts_open(struct kit *k, const char *list, const char *query)
{
	char url[900], error[256] = "";
	size_t n = (size_t)snprintf(url, sizeof url, "postgresql://weft@");
	struct pool_conf conf = { .name = "db", .url = url, .max = 1, .queue_timeout = 4 * USEC_PER_SEC, .connect_timeout = 2 * USEC_PER_SEC };

	for (; *list != '\0'; list++) {
		if (*list == 'H')
			n += (size_t)snprintf(url + n, sizeof url - n, "127.0.0.1:%u", hole_port);
		else if (*list == 'R')
			n += (size_t)snprintf(url + n, sizeof url - n, "127.0.0.1:1");
		else if (*list == 'S')
			n += (size_t)snprintf(url + n, sizeof url - n, "localhost:%s", server.port);
		else if (*list == 'X')
			n += (size_t)snprintf(url + n, sizeof url - n, "name.invalid");
		else
			n += (size_t)snprintf(url + n, sizeof url - n, "%c", *list);
	}
	snprintf(url + n, sizeof url - n, "/postgres?%s", query);
	k->loop = loop_new(NULL);
	k->pool = pool_open(k->loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

/* What one statement came to, and how long that took, the connecting with it. */
struct hosts_ask {
	struct kit *kit;
	enum weft_rc rc;
	char text[200];
	usec took;
};

static void
hosts_ask_body(void *arg)
{
	struct hosts_ask *h = arg;
	struct kit_ask a;
	usec began = clock_now();

	h->rc = kit_ask(h->kit, &a, "SELECT 1");
	h->took = clock_now() - began;
	snprintf(h->text, sizeof h->text, "%s", a.fault.text);
	kit_end(&a);
}

static struct hosts_ask
hosts_ask(const char *list, const char *query)
{
	struct kit k;
	struct hosts_ask h = { .kit = &k };

	hosts_open(&k, list, query);
	kit_run(&k, hosts_ask_body, &h);
	kit_close(&k);
	return h;
}

static void
who_does_not_answer_is_passed_over(void **state)
{
	static const struct {
		const char *list;
		usec least, most;		/* of 2 s: a part for each that is to come */
	} order[] = {
		{ "S,H", 0, 900 }, { "R,S", 0, 900 }, { "R,R,R,S,H", 0, 900 }, { "X,S", 0, 1900 }, { "H,S", 900, 1400 }, { "H,H,H,S", 1400, 1900 },
		{ "R,H,S", 900, 1400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		struct hosts_ask h = hosts_ask(order[i].list, "");

		if (h.rc != WEFT_OK)
			fail_msg("%s: %d %s", order[i].list, h.rc, h.text);
		if (h.took < order[i].least * USEC_PER_MSEC || h.took > order[i].most * USEC_PER_MSEC)
			fail_msg("%s: %lld ms", order[i].list, (long long)(h.took / USEC_PER_MSEC));
	}
}

static void
mute_body(void *arg)
{
	struct hosts_ask *h = arg;
	struct kit_ask a;

	hosts_ask_body(h);
	assert_int_equal(h->rc, WEFT_OK);
	assert_true(h->took > 900 * USEC_PER_MSEC);
	kit_ask(h->kit, &a, "SELECT pg_terminate_backend(pg_backend_pid())");
	kit_end(&a);
	hosts_ask_body(h);
}

/* It costs the first connection its part of the time, and not the next ones. */
static void
who_did_not_answer_lately_is_asked_last(void **state)
{
	struct kit k;
	struct hosts_ask h = { .kit = &k };

	(void)state;
	hosts_open(&k, "H,S", "");
	kit_run(&k, mute_body, &h);
	kit_close(&k);
	assert_int_equal(h.rc, WEFT_OK);
	assert_true(h.took < 900 * USEC_PER_MSEC);
}

static void
each_of_them_is_named_when_none_will_do(void **state)
{
	struct hosts_ask h = hosts_ask("R,H", "");
	char want[64];

	(void)state;
	assert_int_equal(h.rc, WEFT_DOWN);
	assert_in_range(h.took, USEC_PER_SEC, 5 * USEC_PER_SEC);
	assert_non_null(strstr(h.text, "127.0.0.1:1: Connection refused; "));
	snprintf(want, sizeof want, "127.0.0.1:%u: no answer in time", hole_port);
	if (strstr(h.text, want) == NULL)
		fail_msg("%s", h.text);
}

static void
the_kind_of_server_counts(void **state)
{
	static const struct {
		const char *list, *attrs;
		enum weft_rc rc;
		const char *words;
	} kind[] = {
		{ "S", "any", WEFT_OK, "" }, { "R,S", "read-write", WEFT_OK, "" }, { "S", "primary", WEFT_OK, "" },
		{ "S", "prefer-standby", WEFT_OK, "" }, { "R,S", "prefer-standby", WEFT_OK, "" },
		{ "S,R", "standby", WEFT_DOWN, "hot standby" }, { "R,S", "read-only", WEFT_DOWN, "not read-only" },
	};
	char query[64];

	(void)state;
	for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
		struct hosts_ask h;

		snprintf(query, sizeof query, "target_session_attrs=%s", kind[i].attrs);
		h = hosts_ask(kind[i].list, query);
		if (h.rc != kind[i].rc || strstr(h.text, kind[i].words) == NULL)
			fail_msg("%s %s: %d %s", kind[i].list, kind[i].attrs, h.rc, h.text);
	}
}

/* Who has not answered in the first round is not asked again. */
static void
the_second_round_is_for_who_answered(void **state)
{
	struct hosts_ask h = hosts_ask("H,S", "target_session_attrs=prefer-standby");

	(void)state;
	if (h.rc != WEFT_OK)
		fail_msg("%d %s", h.rc, h.text);
	assert_in_range(h.took, 500 * USEC_PER_MSEC, 1000 * USEC_PER_MSEC);
}

static void
cancel_body(void *arg)
{
	struct kit *k = arg;
	struct pool_stat stat;
	struct kit_ask a;

	kit_do(k, "SELECT 1");
	kit_start(k, &a, "SELECT pg_sleep(10)", NULL, 0);
	assert_int_equal(call_wait(&a.call, clock_now() + 50 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
	kit_do(k, "SELECT 1");
	pool_stat(k->pool, &stat);
	assert_int_equal(stat.losses, 0);
	assert_int_equal(stat.connects, 1);
}

/* Else it would go to the first one, and the statement would go on until its connection was closed. */
static void
a_cancel_goes_to_whom_it_is_for(void **state)
{
	struct kit k;

	(void)state;
	hosts_open(&k, "R,S", "");
	kit_run(&k, cancel_body, &k);
	kit_close(&k);
}

static void
a_pool_may_close_meanwhile(void **state)
{
	struct kit k;

	(void)state;
	for (int ms = 0; ms < 400; ms += 37) {
		struct call call;
		usec until;

		hosts_open(&k, "X,H,S", "");
		until = clock_now() + ms * USEC_PER_MSEC;
		call_init(&call, CALL_SQL, NULL, NULL);
		call.sql = "SELECT 1";
		pool_submit(k.pool, &call);
		while (clock_now() < until)
			loop_turn(k.loop, USEC_PER_MSEC);
		kit_close(&k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_cut),
		cmocka_unit_test(lists_that_do_not_fit_are_refused),
		cmocka_unit_test(who_does_not_answer_is_passed_over),
		cmocka_unit_test(who_did_not_answer_lately_is_asked_last),
		cmocka_unit_test(each_of_them_is_named_when_none_will_do),
		cmocka_unit_test(the_kind_of_server_counts),
		cmocka_unit_test(the_second_round_is_for_who_answered),
		cmocka_unit_test(a_cancel_goes_to_whom_it_is_for),
		cmocka_unit_test(a_pool_may_close_meanwhile),
	};

	if (!server_find())
		return 1;
	return cmocka_run_group_tests(tests, hosts_set_up, hosts_tear_down);
}
