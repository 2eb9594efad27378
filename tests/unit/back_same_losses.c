/* SPDX-License-Identifier: ISC */

/* Connections that are lost: killed one by one, left by us, dead without a word, and all at once. */
#include "back_same.h"

#include "back_cut.h"

/* ---- killed ---- */

static void
running_is_killed(struct kit *k)
{
	const char *id;
	struct kit_ask a;

	kit_start(k, &a, "SELECT SLEEP(11)", NULL, 0);
	/* As soon as it runs. */
	while (*(id = same.admin(same_asks.sleeper)) == '\0')
		same_nap(5 * USEC_PER_MSEC);
	same.kill(atoll(id));
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_UNKNOWN, same.code.killed);
	kit_end(&a);
}

/* The next one does not notice. */
static void
idle_is_killed(struct kit *k)
{
	for (int i = 0; i < 5; i++) {
		long long id;

		kit_do(k, "SELECT 1");
		id = atoll(same.admin(same_asks.newest));
		same.kill(id);
		while (atoll(same.admin(same_asks.newest)) == id)
			same_nap(USEC_PER_MSEC);
		same_nap(5 * USEC_PER_MSEC);	/* what it has said is heard */
		for (int j = 0; j < 4; j++)
			kit_do(k, "SELECT 1");
	}
}

static void
killed_body(void *kit)
{
	running_is_killed(kit);
	idle_is_killed(kit);
	kit_fails(kit, same_asks.kill_me, WEFT_UNKNOWN, same.code.killed);
	kit_do(kit, "SELECT 1");
	/* An end to a statement alone is an error like any other. */
	kit_fails(kit, same_asks.interrupt_me, WEFT_REFUSED, same.code.interrupted);
	kit_do(kit, "SELECT 1");
}

void
a_killed_connection_is_replaced(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, killed_body);
	same_with_pool(same.tcp_url, 2, 0, killed_body);
}

/* ---- a server that is not the right one any more ---- */

static void
read_only_body(void *kit)
{
	struct kit_ask a;
	long long before;

	kit_start(kit, &a, "SELECT SLEEP(0.05)", NULL, 0);
	kit_do(kit, "SELECT 1");
	call_wait(&a.call, KIT_SOON);
	kit_end(&a);
	before = same.id(kit, NULL);
	if (same_asks.set_read_only != NULL)
		same_asks.set_read_only(1);
	kit_fails(kit, same_asks.write, WEFT_REFUSED, same.code.read_only);
	assert_int_not_equal(same.id(kit, NULL), before);
	/* What was idle has gone too. */
	assert_int_equal(kit_stat(kit).failovers, 1);
	same_await(same_asks.clients, "1");
}

void
a_read_only_server_is_left(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 3, read_only_body);
	if (same_asks.set_read_only != NULL)
		same_asks.set_read_only(0);
}

/* ---- signs of life ---- */

#define RESTED (30 * USEC_PER_MSEC)

/* Asked for before a call that comes after a rest, and only then; where none comes, the call has not noticed. */
static void
rested_body(void *kit)
{
	for (int i = 0; i < 3; i++) {
		kit_do(kit, "SELECT 1");
		kit_do(kit, "SELECT 1");
		assert_int_equal(kit_stat(kit).checks, i);
		same_nap(2 * RESTED);
	}
	assert_int_equal(kit_stat(kit).connects, 1);
	cut_hush();
	kit_do(kit, "SELECT 1");
	assert_int_equal(kit_stat(kit).checks, 3);
	assert_int_equal(kit_stat(kit).checks_failed, 1);
	assert_int_equal(kit_stat(kit).connects, 2);
	assert_int_equal(kit_stat(kit).failed, 0);
}

void
a_rested_connection_is_asked_for_a_sign_of_life(void **state)
{
	struct kit k;

	(void)state;
	kit_open_with(&k, (struct pool_conf){ .url = same.cut(), .max = 1, .check_after = RESTED });
	kit_run(&k, rested_body, &k);
	kit_close(&k);
	cut_stop();
}

/* ---- all at once ---- */

/* It answers again soon. */
static void
recovers(struct kit *k)
{
	usec back = clock_now();
	struct kit_ask a;

	for (;;) {
		enum weft_rc rc = kit_ask(k, &a, "SELECT 1");

		kit_end(&a);
		if (rc == WEFT_OK)
			break;
		assert_true(clock_now() - back < 2 * USEC_PER_SEC);
		same_nap(10 * USEC_PER_MSEC);
	}
}

static void
crash_body(void *kit)
{
	struct kit_ask a, b;

	kit_do(kit, "SELECT 1");
	kit_start(kit, &b, "SELECT SLEEP(30)", NULL, 0);
	same_nap(20 * USEC_PER_MSEC);
	same.stop(SIGKILL);
	call_wait(&b.call, KIT_SOON);
	kit_assert_fault(&b, WEFT_UNKNOWN, NULL);
	kit_end(&b);
	kit_ask(kit, &a, "SELECT 1");
	assert_true(a.call.rc == WEFT_DOWN || a.call.rc == WEFT_UNKNOWN || a.call.rc == WEFT_NOT_SENT);
	kit_end(&a);
	same.start_again();
	recovers(kit);
}

void
it_goes_on_after_a_crash_of_the_server(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, crash_body);
}
