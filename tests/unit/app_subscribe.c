/* SPDX-License-Identifier: ISC */
/* The exported API: messages of channels, over a driver which the test plays. */
#include "tests/unit/app_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/back_fake.h"

static int (*subscribe_test)(struct weft_request *rq);
static int subscribe_rc;
static struct weft_subscription *subscribe_sub;
static char subscribe_heard[256];

static int
subscribe_handler(struct weft_request *rq)
{
	return subscribe_test(rq);
}

static void
add_pool(struct rig *r, const char *name, const struct driver *d)
{
	struct pool_conf conf = { .name = name, .url = "fake://db.internal/x", .min = 1, .max = 2 };
	struct pool *p = pool_open_driver(r->loop, &conf, d, r->error, sizeof r->error);

	if (p == NULL)
		fail_msg("%s", r->error);
	assert_int_equal(app_add_pool(&r->app, p), 0);
}

static int
subscribe_setup(void **state)
{
	struct rig *r;

	fake_reset();
	subscribe_rc = -1;
	subscribe_sub = NULL;
	subscribe_heard[0] = '\0';
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	rig_route(r, "GET", "/", subscribe_handler);
	add_pool(r, "cache", &fake_redis);
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define SUBSCRIBE_TEST(fn) cmocka_unit_test_setup_teardown(fn, subscribe_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	subscribe_test = test;
	rig_new(r, a, "GET", "/", NULL);
	rig_start(r, a);
}

static void
ends_with(struct rig *r, struct answer *a, int status, const char *body)
{
	rig_finish(r, a);
	answer_is(a, status, body);
	answer_free(a);
}

/* The channel is confirmed. */
static void
confirm(struct rig *r, const char *channel)
{
	rig_settle(r);
	fake_answer(0, HEAR_BEGIN, channel);
	rig_settle(r);
}

static struct pool_stat
stat_of(struct rig *r)
{
	struct pool_stat s;

	pool_stat(app_pool(&r->app, "cache"), &s);
	return s;
}

/* ---- the tests ---- */

/* Say what comes, until something ends it. */
static int
listen_on(struct weft_request *rq)
{
	const char *text;
	size_t len;

	if (weft_subscribe(rq, "cache", &subscribe_sub, "c") != WEFT_OK)
		return weft_fail(rq);
	for (;;) {
		subscribe_rc = weft_message(rq, subscribe_sub, &text, &len, 1000);
		if (subscribe_rc == WEFT_OK) {
			assert_int_equal(strlen(text), len);
			weft_printf(rq, "%s;", text);
		} else if (subscribe_rc == WEFT_GAP) {
			assert_null(text);
			assert_int_equal(len, 0);
			weft_puts(rq, "gap;");
		} else if (subscribe_rc == WEFT_TIMEOUT && weft_time_left(rq) > 0) {
			weft_puts(rq, "idle;");
		} else {
			return weft_printf(rq, "%s %s", weft_strerror(subscribe_rc), weft_fault_text(rq));
		}
	}
}

static void
messages_gaps_and_idle_times_are_told_apart(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, listen_on);
	confirm(r, "c");
	fake_say(0, "c", "one");
	rig_settle(r);
	rig_skip(USEC_PER_SEC);
	rig_settle(r);
	fake_say(0, "c", "two");
	fake_say(0, "c", "three");
	fake_lose(0, "gone");
	rig_settle(r);
	rig_skip(USEC_PER_SEC / 2);
	rig_settle(r);
	fake_all_ready();
	confirm(r, "c");
	fake_say(0, "c", "four");
	rig_settle(r);
	pool_end_subscriptions(app_pool(&r->app, "cache"));
	ends_with(r, &a, 200, "one;idle;two;three;gap;four;cancelled pool cache: message: cancelled");
	assert_int_equal(stat_of(r).subscriptions, 0);
}

static void
the_deadline_of_the_request_ends_it(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, listen_on);
	confirm(r, "c");
	for (int i = 0; i < 100 && !a.is_done; i++) {
		rig_skip(USEC_PER_SEC);
		rig_settle(r);
	}
	assert_int_equal(subscribe_rc, WEFT_TIMEOUT);
	rig_finish(r, &a);
	answer_free(&a);
}

static int
send_on(struct weft_request *rq)
{
	const char *text;

	if (weft_subscribe(rq, "cache", &subscribe_sub, "c") != WEFT_OK)
		return weft_fail(rq);
	while (weft_flush(rq) == WEFT_OK && (subscribe_rc = weft_message(rq, subscribe_sub, &text, NULL, -1)) == WEFT_OK)
		weft_puts(rq, text);
	return WEFT_OK;
}

/* A stream of messages has no other end, so it is no failure that the log would tell. */
static void
a_stream_that_ends_at_the_deadline_has_not_failed(void **state)
{
	struct rig *r = *state;
	struct answer a;
	char line[1024];
	ssize_t n;
	int log[2];

	assert_int_equal(pipe2(log, O_NONBLOCK), 0);
	log_open(log[1], LOG_INFO_, "test");
	begin(r, &a, send_on);
	confirm(r, "c");
	fake_say(0, "c", "one");
	rig_settle(r);
	rig_skip(100 * USEC_PER_SEC);
	rig_finish(r, &a);
	assert_int_equal(subscribe_rc, WEFT_TIMEOUT);
	answer_is(&a, 200, "one");
	answer_free(&a);
	n = read(log[0], line, sizeof line);
	log_open(2, LOG_INFO_, "test");
	close(log[0]);
	close(log[1]);
	assert_int_equal(n, -1);
}

static void
a_client_that_leaves_ends_it(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, listen_on);
	confirm(r, "c");
	assert_int_equal(stat_of(r).subscriptions, 1);
	rig_gone(r, &a);
	rig_settle(r);
	assert_int_equal(subscribe_rc, WEFT_CANCELED);
	assert_int_equal(stat_of(r).subscriptions, 0);
	answer_free(&a);
}

/* Returns with it, and the server ends it. */
static int
leave_it(struct weft_request *rq)
{
	if (weft_subscribe(rq, "cache", &subscribe_sub, "c") != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, "left");
}

static void
what_a_handler_leaves_the_server_ends(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, leave_it);
	confirm(r, "c");
	ends_with(r, &a, 200, "left");
	assert_int_equal(stat_of(r).subscriptions, 0);
	rig_settle(r);
	fake_answer(0, HEAR_END, "c");
}

static int
misuse(struct weft_request *rq)
{
	struct weft_subscription *s = (struct weft_subscription *)rq;
	const char *text = "x";
	size_t len = 1;

	assert_int_equal(weft_subscribe(rq, "none", &s, "c"), WEFT_INVALID);
	assert_null(s);
	assert_string_equal(weft_fault_text(rq), "no pool is called \"none\"");
	assert_int_equal(weft_subscribe(rq, "web", &s, "c"), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "pool web: its back end has no channels");
	assert_int_equal(weft_subscribe(rq, "cache", &s, ""), WEFT_INVALID);
	assert_int_equal(weft_subscribe(rq, "cache", &s, "!"), WEFT_INVALID);
	assert_null(s);
	assert_int_equal(weft_message(rq, NULL, &text, &len, 0), WEFT_INVALID);
	assert_null(text);
	assert_int_equal(len, 0);
	weft_unsubscribe(NULL);
	if (weft_subscribe(rq, "cache", &s, "c") != WEFT_OK)
		return weft_fail(rq);
	assert_int_equal(weft_message(rq, s, &text, NULL, 0), WEFT_TIMEOUT);
	weft_unsubscribe(s);
	weft_unsubscribe(s);
	assert_int_equal(weft_message(rq, s, &text, NULL, -1), WEFT_INVALID);
	assert_string_equal(weft_fault_text(rq), "weft_message: the subscription has ended");
	return weft_puts(rq, "done");
}

static void
misuse_is_refused(void **state)
{
	struct rig *r = *state;
	struct answer a;

	add_pool(r, "web", &fake_http);
	begin(r, &a, misuse);
	confirm(r, "c");
	ends_with(r, &a, 200, "done");
}

/* ---- two fibers ---- */

static int
second(struct weft_request *rq, void *arg)
{
	const char *text;

	(void)arg;
	return weft_message(rq, subscribe_sub, &text, NULL, -1);
}

static int
two_at_once(struct weft_request *rq)
{
	struct weft_call *call[2];

	if (weft_subscribe(rq, "cache", &subscribe_sub, "c") != WEFT_OK)
		return weft_fail(rq);
	call[0] = weft_spawn(rq, second, NULL);
	call[1] = weft_spawn(rq, second, NULL);
	assert_int_equal(weft_wait(rq, call[1]), WEFT_INVALID);
	weft_unsubscribe(subscribe_sub);
	assert_int_equal(weft_wait(rq, call[0]), WEFT_CANCELED);
	return weft_puts(rq, "done");
}

static void
one_fiber_at_a_time_waits(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, two_at_once);
	confirm(r, "c");
	ends_with(r, &a, 200, "done");
}

/* ---- failures ---- */

static int
fail_to(struct weft_request *rq)
{
	subscribe_rc = weft_subscribe(rq, "cache", &subscribe_sub, "c");
	snprintf(subscribe_heard, sizeof subscribe_heard, "%s|%s", weft_fault_code(rq), weft_fault_text(rq));
	return weft_fail(rq);
}

static void
a_refusal_is_answered(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, fail_to);
	rig_settle(r);
	fake_deny(0, "c");
	ends_with(r, &a, 500, "500 Internal Server Error: cache: refused the request\n");
	assert_int_equal(subscribe_rc, WEFT_REFUSED);
	assert_string_equal(subscribe_heard, "D1|pool cache: channel c: not for you");
}

static int
give_up_for_a_gap(struct weft_request *rq)
{
	const char *text;

	if (weft_subscribe(rq, "cache", &subscribe_sub, "c") != WEFT_OK || weft_message(rq, subscribe_sub, &text, NULL, -1) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, text);
}

static void
a_gap_may_be_answered(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, give_up_for_a_gap);
	confirm(r, "c");
	fake_lose(0, "gone");
	rig_settle(r);
	rig_skip(USEC_PER_SEC / 2);
	rig_settle(r);
	fake_all_ready();
	confirm(r, "c");
	ends_with(r, &a, 503, "503 Service Unavailable\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUBSCRIBE_TEST(messages_gaps_and_idle_times_are_told_apart),
		SUBSCRIBE_TEST(the_deadline_of_the_request_ends_it),
		SUBSCRIBE_TEST(a_stream_that_ends_at_the_deadline_has_not_failed),
		SUBSCRIBE_TEST(a_client_that_leaves_ends_it),
		SUBSCRIBE_TEST(what_a_handler_leaves_the_server_ends),
		SUBSCRIBE_TEST(misuse_is_refused),
		SUBSCRIBE_TEST(one_fiber_at_a_time_waits),
		SUBSCRIBE_TEST(a_refusal_is_answered),
		SUBSCRIBE_TEST(a_gap_may_be_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
