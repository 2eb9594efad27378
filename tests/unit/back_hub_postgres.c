/* SPDX-License-Identifier: ISC */

/* Messages of channels, from a real PostgreSQL. */
#include "tests/unit/back_hub_kit.h"

#include <signal.h>

#include "back_server.h"
#include "base/log.h"

static void
publish(struct kit *k, const char *channel, const char *text, size_t len)
{
	struct value v[] = { { .kind = VALUE_TEXT, .as.bytes = span_str(channel) }, { .kind = VALUE_TEXT, .as.bytes = { text, len } } };
	struct kit_ask a;

	kit_start(k, &a, "SELECT pg_notify($1, $2)", v, 2);
	if (call_wait(&a.call, HUB_SOON) != WEFT_OK)
		fail_msg("notify: %s", a.fault.text);
	kit_end(&a);
}

static void
kill_hubs(struct kit *k)
{
	struct kit_ask a;

	kit_start(k, &a, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'", NULL, 0);
	assert_int_equal(call_wait(&a.call, HUB_SOON), WEFT_OK);
	kit_assert_row(&a, "1");
	kit_end(&a);
}

/* All processes of the server. */
static void
signal_all(int signo)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server.pid, (int)server.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	kill(server.pid, signo);
	while (fscanf(f, "%d", &pid) == 1)
		kill(pid, signo);
	fclose(f);
}

static void
stop(void)
{
	signal_all(SIGSTOP);
}

static void
go_on(void)
{
	signal_all(SIGCONT);
}

static int
set_up(void **state)
{
	int rc = server_set_up(state);

	side = (struct hub_side){ .url = server.url, .odd = "\x01 \xc3\xa9\r\n$3\"\"\\", .large = 7999, .publish = publish,
		.kill = kill_hubs, .stop = stop, .go_on = go_on };
	return rc;
}

/* ---- the tests ---- */

static void
names_body(void *arg)
{
	char longest[64];
	struct kit *k = arg;
	struct ear e;

	memset(longest, 'x', 63);
	longest[63] = '\0';
	ear_begin(k, &e, longest);
	hub_say(k, longest, "x");
	ear_hears(&e, "x");
	ear_end(&e);
	ear_fails(k, "1234567890123456789012345678901234567890123456789012345678901234", WEFT_INVALID, "63 bytes");
	/* No text in its encoding. */
	ear_fails(k, "\xff", WEFT_REFUSED, "invalid byte sequence");
	ear_begin(k, &e, "fine");
	hub_say(k, "fine", "x");
	ear_hears(&e, "x");
	ear_end(&e);
	assert_int_equal(hub_pool_stat(k).losses, 0);
}

static void
a_name_is_an_identifier(void **state)
{
	(void)state;
	hub_with_pool(names_body);
}

static void
commit_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct ear e;

	ear_begin(k, &e, "c");
	kit_lend(k, &l);
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "NOTIFY c, 'rolled back'");
	kit_lease_do(&l, "ROLLBACK");
	kit_lease_do(&l, "BEGIN");
	kit_lease_do(&l, "NOTIFY c, 'committed'");
	ear_is_silent(&e);
	kit_lease_do(&l, "COMMIT");
	ear_hears(&e, "committed");
	/* Who borrows a connection and listens by hand leaves nothing behind. */
	kit_lease_do(&l, "LISTEN c");
	kit_lease_do(&l, "NOTIFY c, 'by hand'");
	ear_hears(&e, "by hand");
	kit_give(&l);
	ear_end(&e);
}

static void
messages_come_when_they_are_committed(void **state)
{
	(void)state;
	hub_with_pool(commit_body);
}

static void
restart_body(void *arg)
{
	struct kit *k = arg;
	struct ear e;

	ear_begin(k, &e, "c");
	server_stop(SIGQUIT);
	ear_is_silent(&e);
	server_start();
	ear_has_gap(&e);
	hub_say(k, "c", "back");
	ear_hears(&e, "back");
	ear_end(&e);
}

static void
a_restart_is_a_gap(void **state)
{
	(void)state;
	hub_with_pool(restart_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HUB_TESTS,
		cmocka_unit_test(a_name_is_an_identifier),
		cmocka_unit_test(messages_come_when_they_are_committed),
		cmocka_unit_test(a_restart_is_a_gap),
	};

	if (!server_find())
		return 1;
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, set_up, server_tear_down);
}
