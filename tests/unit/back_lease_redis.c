/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real redis-server: MULTI and WATCH, waits, and what a borrower leaves behind. */
#include "back_same_redis.h"

#include "back/redis/reply.h"
#include "base/log.h"

/* ---- what differs from other back ends ---- */

static const struct same_trail redis_trails[] = {
	{ { "GET 1" }, "GET 1", "100" },
	{ { "MULTI", "SET 1 9" }, "GET 1", "100" },
	{ { "MULTI", "SELECT 5", "SET 1 9" }, "GET 1", "100" },
	{ { "WATCH 1" }, "GET 1", "100" },
	{ { "SELECT 5" }, "GET 1", "100" },
	{ { "WATCH 1", "SELECT 5", "MULTI" }, "GET 1", "100" },
	{ { "SELECT 5", "MULTI", "EXEC" }, "GET 1", "100" },
};

static const char *const redis_changes[] = { "MULTI", "SELECT 5", "EXEC", "WATCH 1", "UNWATCH", "MULTI", "DISCARD", NULL };

/* What was watched is watched no more. */
static void
redis_next(struct kit *k, struct kit_lease *l)
{
	same_says(k, l, "SET 1 100", "OK");
	same_says(k, l, "MULTI", "OK");
	same_says(k, l, "GET 1", "QUEUED");
	same_says(k, l, "EXEC", "[100]");
}

const struct same_leases same_leases = {
	.begin = "MULTI", .commit = "EXEC", .set = "SET %2$d %1$d", .get = "GET %d", .add_one = "INCR 1",
	.insert = "RPUSH parent %u", .count = "LLEN parent", .empty = "DEL parent", .taint = "SELECT 5",
	.changes = redis_changes, .changes_words = "shared with other requests", .next = redis_next,
	.trails = redis_trails, .ntrails = sizeof redis_trails / sizeof *redis_trails,
};

/* As same_fails, by words of what is said. */
static void
fails(struct kit *k, struct kit_lease *l, const char *command, enum weft_rc rc, const char *words)
{
	struct kit_ask a;

	redis_start(k, l, &a, command);
	if (call_wait(&a.call, KIT_SOON) != rc || strstr(a.fault.text, words) == NULL)
		fail_msg("%s: %d %s", command, (int)a.call.rc, a.fault.text);
	kit_end(&a);
}

/* ---- transactions ---- */

static void
multi_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	same_says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	same_says(k, &l, "MULTI", "OK");
	assert_true(lease_in_transaction(&l.lease));
	same_says(k, &l, "INCR a", "QUEUED");
	same_says(k, &l, "LPUSH a x", "QUEUED");
	same_says(k, &l, "BLPOP none 0", "QUEUED");
	same_says(k, NULL, "GET a", "1");
	/* Each has an answer, which may be an error. */
	same_says(k, &l, "EXEC", "[2 WRONGTYPE Operation against a key holding the wrong kind of value nil]");
	assert_false(lease_in_transaction(&l.lease));
	same_says(k, &l, "MULTI", "OK");
	same_says(k, &l, "INCR a", "QUEUED");
	same_says(k, &l, "DISCARD", "OK");
	assert_false(lease_in_transaction(&l.lease));
	/* What cannot be queued makes all of it fail. */
	same_says(k, &l, "MULTI", "OK");
	fails(k, &l, "INCR", WEFT_REFUSED, "wrong number");
	fails(k, &l, "EXEC", WEFT_REFUSED, "EXECABORT");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	same_says(k, NULL, "GET a", "2");
	assert_int_equal(kit_stat(k).open, 2);
}

static void
multi_and_exec_are_one_step(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, multi_body);
}

static void
watch_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	same_says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	same_says(k, &l, "WATCH a", "OK");
	same_says(k, NULL, "SET a 5", "OK");
	same_says(k, &l, "MULTI", "OK");
	same_says(k, &l, "SET a 2", "QUEUED");
	same_says(k, &l, "EXEC", "nil");
	same_says(k, &l, "WATCH a", "OK");
	same_says(k, &l, "MULTI", "OK");
	same_says(k, &l, "SET a 3", "QUEUED");
	same_says(k, &l, "EXEC", "[OK]");
	same_says(k, &l, "WATCH a", "OK");
	same_says(k, &l, "UNWATCH", "OK");
	kit_give(&l);
	same_says(k, NULL, "GET a", "3");
	assert_int_equal(kit_stat(k).open, 2);
}

static void
a_change_by_others_makes_exec_do_nothing(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, watch_body);
}

/* ---- what is left behind ---- */

static void
spoilt_body(void *arg)
{
	static const char *const left[] = { "CLIENT NO-EVICT on", "READWRITE", "CLIENT TRACKING off" };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	long long id;

	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		id = same.id(k, NULL);
		kit_lend(k, &l);
		redis_start(k, &l, &a, left[i]);
		(void)call_wait(&a.call, KIT_SOON);
		kit_end(&a);
		kit_give(&l);
		assert_true(same.id(k, NULL) != id);
	}
	/* Nobody knows what a command has done whose answer was not waited for. */
	id = same.id(k, NULL);
	kit_lend(k, &l);
	redis_start(k, &l, &a, "MULTI");
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	same_says(k, &l, "INCR n", "QUEUED");
	kit_give(&l);
	same_says(k, NULL, "GET n", "nil");
	assert_true(same.id(k, NULL) != id);
}

static void
what_cannot_be_undone_is_closed(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, spoilt_body);
}

static void
refused_body(void *arg)
{
	static const char *const never[][2] = { { "SUBSCRIBE c", "answered once" }, { "MONITOR", "answered once" },
		{ "CLIENT REPLY OFF", "answered once" }, { "SCRIPT DEBUG YES", "answered once" }, { "AUTH x", "user" },
		{ "HELLO 3", "protocol" }, { "RESET", "give it back" }, { "QUIT", "give it back" } };
	struct kit *k = arg;
	struct kit_lease l;
	long long id = same.id(k, NULL);

	kit_lend(k, &l);
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		fails(k, &l, never[i][0], WEFT_INVALID, never[i][1]);
	assert_true(lease_is_live(&l.lease));
	kit_give(&l);
	assert_int_equal(same.id(k, NULL), id);
}

static void
some_may_never_be_sent(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, refused_body);
}

/* ---- waits ---- */

struct waiting {
	struct kit *k;
	struct fiber *fiber;
	enum weft_rc rc;
	char text[100];
	bool is_done;
};

static void
wait_fiber(void *arg)
{
	struct waiting *w = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(w->k, &l);
	redis_start(w->k, &l, &a, "BLPOP list 0");
	w->rc = call_wait(&a.call, CLOCK_NEVER);
	if (w->rc == WEFT_OK)
		redis_text(a.call.reply, w->text, sizeof w->text);
	kit_end(&a);
	kit_give(&l);
	w->is_done = true;
}

static void
wait_begin(struct waiting *w, struct kit *k, usec deadline)
{
	*w = (struct waiting){ .k = k };
	w->fiber = fiber_new(loop_fibers(k->loop), 0);
	assert_non_null(w->fiber);
	fiber_set_deadline(w->fiber, deadline);
	fiber_start(w->fiber, wait_fiber, w);
}

static void
await(const struct waiting *w)
{
	for (int i = 0; i < 500 && !w->is_done; i++)
		same_nap(10 * USEC_PER_MSEC);
	assert_true(w->is_done);
}

static void
wait_body(void *arg)
{
	struct kit *k = arg;
	struct waiting w;

	wait_begin(&w, k, CLOCK_NEVER);
	/* For longer than call_timeout, and what the pool has patience for beyond that. */
	for (int i = 0; i < 26; i++) {
		same_nap(50 * USEC_PER_MSEC);
		same_says(k, NULL, "PING", "PONG");
	}
	assert_false(w.is_done);
	same_says(k, NULL, "RPUSH list x", "1");
	await(&w);
	assert_int_equal(w.rc, WEFT_OK);
	assert_string_equal(w.text, "[list x]");
	assert_int_equal(kit_stat(k).open, 2);
	assert_int_equal(kit_stat(k).losses, 0);
}

static void
a_wait_outlasts_call_timeout_and_hinders_nobody(void **state)
{
	struct kit k;

	(void)state;
	kit_open_with(&k, (struct pool_conf){ .url = same.url, .max = 2, .call_timeout = 100 * USEC_PER_MSEC });
	kit_run(&k, wait_body, &k);
	kit_close(&k);
}

static void
given_up_body(void *arg)
{
	struct kit *k = arg;
	struct waiting w;

	for (int late = 0; late < 2; late++) {
		wait_begin(&w, k, late ? clock_now() + 100 * USEC_PER_MSEC : CLOCK_NEVER);
		same_nap(50 * USEC_PER_MSEC);
		assert_int_equal(kit_stat(k).lent, 1);
		if (!late)
			fiber_cancel(w.fiber);
		await(&w);
		assert_int_equal(w.rc, late ? WEFT_TIMEOUT : WEFT_CANCELED);
		assert_int_equal(kit_stat(k).lent, 0);
		/* Redis does not wait any more either: what comes now is nobody's. */
		same_nap(20 * USEC_PER_MSEC);
		same_says(k, NULL, "RPUSH list y", "1");
		same_says(k, NULL, "LPOP list", "y");
		assert_int_equal(kit_stat(k).busy, 0);
		assert_int_equal(kit_stat(k).losses, 0);
	}
}

static void
a_wait_given_up_ends_the_connection(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, given_up_body);
}

static void
many_body(void *arg)
{
	enum { N = 200 };
	struct kit *k = arg;
	struct waiting *w = calloc(N, sizeof *w);

	for (int i = 0; i < N; i++)
		wait_begin(&w[i], k, CLOCK_NEVER);
	for (int i = 0; i < 500 && kit_stat(k).lent < N; i++)
		same_nap(10 * USEC_PER_MSEC);
	assert_int_equal(kit_stat(k).lent, N);
	same_says(k, NULL, "PING", "PONG");
	for (int i = 0; i < N; i++) {
		struct kit_ask a;

		redis_start(k, NULL, &a, "RPUSH list z");
		assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
		kit_end(&a);
	}
	for (int i = 0; i < N; i++) {
		await(&w[i]);
		assert_int_equal(w[i].rc, WEFT_OK);
	}
	same_says(k, NULL, "LLEN list", "0");
	free(w);
}

static void
hundreds_wait(void **state)
{
	(void)state;
	same_with_pool(same.url, 201, 0, many_body);
}

/* ---- the connection is lost ---- */

static void
killed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	char command[60];

	same_says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	snprintf(command, sizeof command, "CLIENT KILL ID %lld", same.id(k, &l));
	same_says(k, &l, "MULTI", "OK");
	same_says(k, &l, "SET a 2", "QUEUED");
	same_says(k, NULL, command, "1");
	same_nap(50 * USEC_PER_MSEC);
	assert_false(lease_is_live(&l.lease));
	fails(k, &l, "EXEC", WEFT_NOT_SENT, "gone");
	fails(k, &l, "SET a 3", WEFT_NOT_SENT, "gone");
	kit_give(&l);
	same_says(k, NULL, "GET a", "1");
}

static void
killed_waiting_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	char command[60];

	kit_lend(k, &l);
	snprintf(command, sizeof command, "CLIENT KILL ID %lld", same.id(k, &l));
	redis_start(k, &l, &a, "BLPOP list 0");
	same_nap(20 * USEC_PER_MSEC);
	same_says(k, NULL, command, "1");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_UNKNOWN);
	kit_end(&a);
	fails(k, &l, "PING", WEFT_NOT_SENT, "gone");
	kit_give(&l);
}

static void
a_lost_connection_is_told_once_and_for_all(void **state)
{
	(void)state;
	same_with_pool(same.url, 2, 0, killed_body);
	same_with_pool(same.url, 2, 0, killed_waiting_body);
}

/* ---- scripts, down any connection ---- */

static void
script_body(void *arg)
{
	static const char sha[] = "b1bcc2a8a1e8507c9d84b63f7d10ae362e581c51";
	struct kit *k = arg;
	char command[80];

	/* By SCRIPT LOAD's answer, and by what Redis calls the failure, weft_redis_script goes. */
	snprintf(command, sizeof command, "EVALSHA %s 0", sha);
	fails(k, NULL, command, WEFT_REFUSED, "NOSCRIPT");
	same_says(k, NULL, "SCRIPT LOAD return\t500", sha);
	same_says(k, NULL, command, "500");
	same_says(k, NULL, "SCRIPT FLUSH", "OK");
	fails(k, NULL, command, WEFT_REFUSED, "NOSCRIPT");
}

static void
scripts_are_known_by_their_hash(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 0, script_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_LEASES(SAME_TEST)
		cmocka_unit_test(multi_and_exec_are_one_step),
		cmocka_unit_test(a_change_by_others_makes_exec_do_nothing),
		cmocka_unit_test(what_cannot_be_undone_is_closed),
		cmocka_unit_test(some_may_never_be_sent),
		cmocka_unit_test(a_wait_outlasts_call_timeout_and_hinders_nobody),
		cmocka_unit_test(a_wait_given_up_ends_the_connection),
		cmocka_unit_test(hundreds_wait),
		cmocka_unit_test(a_lost_connection_is_told_once_and_for_all),
		cmocka_unit_test(scripts_are_known_by_their_hash),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, redis_set_up, redis_tear_down);
}
