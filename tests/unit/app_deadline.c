/* SPDX-License-Identifier: ISC */
/* The deadline of a request, whatever its handler makes of it; and sections that it does not interrupt. */
#include "tests/unit/app_rig.h"

#include <stdio.h>

#include "tests/unit/back_fake.h"

static int (*late_test)(struct weft_request *rq);
static int late_rc;
static unsigned late_rounds;

static int
late_handler(struct weft_request *rq)
{
	return late_test(rq);
}

static int
late_setup(void **state)
{
	const struct weft_route route = { "*", "/", late_handler, 0, 500 };
	struct pool_conf conf = { .name = "db", .url = "fake://db.internal/x", .min = 1, .max = 1 };
	struct pool *p;
	struct rig *r;

	fake_reset();
	if (rig_setup(state) != 0)
		return -1;
	r = *state;
	late_rounds = 0;
	late_rc = -1;
	if (app_add_route(&r->app, NULL, "", &route, r->error, sizeof r->error) != 0)
		return -1;
	p = pool_open_driver(r->loop, &conf, &fake_sql, r->error, sizeof r->error);
	if (p == NULL || app_add_pool(&r->app, p) != 0)
		return -1;
	rig_settle(r);
	fake_all_ready();
	return 0;
}

#define LATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, late_setup, rig_teardown)

static void
begin(struct rig *r, struct answer *a, int (*test)(struct weft_request *rq))
{
	late_test = test;
	rig_new(r, a, "GET", "/", NULL);
	rig_start(r, a);
	assert_false(a->is_done);
}

/* The deadline passes; the answer is there in the same turn. */
static void
ends_at_the_deadline(struct rig *r, int (*test)(struct weft_request *rq), int status, const char *body)
{
	struct answer a;

	begin(r, &a, test);
	rig_skip(499 * USEC_PER_MSEC);
	rig_settle(r);
	assert_false(a.is_done);
	rig_skip(USEC_PER_MSEC);
	rig_settle(r);
	answer_is(&a, status, body);
	answer_free(&a);
}

#define TEXT_504 "504 Gateway Timeout\n"

/* ---- handlers that do not listen ---- */

static int
write_on(struct weft_request *rq)
{
	weft_puts(rq, "here is ");
	(void)!weft_sleep(rq, 10000);
	return weft_puts(rq, "what you wanted\n");
}

static int
write_much_on(struct weft_request *rq)
{
	int rc = WEFT_OK;

	(void)!weft_sleep(rq, 10000);
	for (int i = 0; i < 100000 && rc == WEFT_OK; i++)
		rc = weft_puts(rq, "what you wanted\n");
	assert_int_equal(rc, WEFT_TIMEOUT);
	assert_int_equal(weft_flush(rq), WEFT_TIMEOUT);
	return WEFT_OK;
}

static int
flush_on(struct weft_request *rq)
{
	(void)!weft_sleep(rq, 10000);
	weft_puts(rq, "the first half of it");
	(void)weft_flush(rq);
	return WEFT_OK;
}

static int
redirect_on(struct weft_request *rq)
{
	(void)!weft_sleep(rq, 10000);
	return weft_redirect(rq, 303, "/");
}

static int
return_the_code(struct weft_request *rq)
{
	return weft_sleep(rq, 10000);
}

static int
read_and_go_on(struct weft_request *rq)
{
	(void)weft_form(rq, "name");
	if (weft_sleep(rq, 10000) == WEFT_OK)
		return WEFT_OK;
	return WEFT_OK;
}

static int
say_it_in_own_words(struct weft_request *rq)
{
	return weft_sleep(rq, 10000) == WEFT_OK ? WEFT_OK : weft_error(rq, 503, "come back at noon");
}

/* It never has waited in vain: what it has is whole. */
static int
compute_for_long(struct weft_request *rq)
{
	if (weft_sleep(rq, 499) != WEFT_OK)
		return weft_fail(rq);
	rig_skip(USEC_PER_SEC);
	return weft_puts(rq, "done");
}

static void
the_answer_is_504(void **state)
{
	ends_at_the_deadline(*state, write_on, 504, TEXT_504);
	ends_at_the_deadline(*state, write_much_on, 504, TEXT_504);
	ends_at_the_deadline(*state, flush_on, 504, TEXT_504);
	ends_at_the_deadline(*state, redirect_on, 504, TEXT_504);
	ends_at_the_deadline(*state, return_the_code, 504, TEXT_504);
	ends_at_the_deadline(*state, read_and_go_on, 504, TEXT_504);
}

static void
handlers_may_have_an_error_of_their_own(void **state)
{
	ends_at_the_deadline(*state, say_it_in_own_words, 503, "come back at noon\n");
}

static void
who_was_not_told_is_not_late(void **state)
{
	struct answer a;

	begin(*state, &a, compute_for_long);
	rig_skip(499 * USEC_PER_MSEC);
	rig_finish(*state, &a);
	answer_is(&a, 200, "done");
	answer_free(&a);
}

static int
ask_after_the_deadline(struct weft_request *rq)
{
	struct weft_lease *lease;

	assert_int_equal(weft_sleep(rq, 10000), WEFT_TIMEOUT);
	assert_int_equal(weft_sql(rq, "db", NULL, "INSERT INTO t VALUES (1)"), WEFT_TIMEOUT);
	assert_non_null(strstr(weft_fault_text(rq), "not sent"));
	assert_int_equal(weft_lend(rq, "db", &lease), WEFT_TIMEOUT);
	assert_null(lease);
	return weft_fail(rq);
}

/* What nobody will wait for is not done. */
static void
nothing_is_sent_after_the_deadline(void **state)
{
	ends_at_the_deadline(*state, ask_after_the_deadline, 504, "504 Gateway Timeout: db: no answer in time\n");
	assert_int_equal(fake.conn[0]->conn->inflight, 0);
}

/* ---- handlers that never end ---- */

static int
wait_for_ever(struct weft_request *rq)
{
	while (late_rounds++ < 2000) {
		late_rc = weft_sleep(rq, 100);
		rig_skip(10);
	}
	assert_int_equal(weft_puts(rq, "at last"), WEFT_CANCELED);
	return WEFT_OK;
}

static int
wait_for_ever_on_a_fiber(struct weft_request *rq, void *arg)
{
	(void)arg;
	return wait_for_ever(rq);
}

static int
wait_for_who_waits_for_ever(struct weft_request *rq)
{
	return weft_wait(rq, weft_spawn(rq, wait_for_ever_on_a_fiber, NULL));
}

/* Its client has its answer soon; it goes on, and holds up nobody. */
static void
an_answer_is_given_for_it(void **state)
{
	static int (*const test[])(struct weft_request *rq) = { wait_for_ever, wait_for_who_waits_for_ever };
	struct rig *r = *state;
	struct answer a;

	for (size_t i = 0; i < 2; i++) {
		late_rounds = 0;
		begin(r, &a, test[i]);
		for (int ms = 0; ms <= 530 && !a.is_done; ms += 10) {
			rig_skip(10 * USEC_PER_MSEC);
			rig_settle(r);
		}
		answer_is(&a, 504, TEXT_504);
		assert_in_range(late_rounds, 1000, 1100);
		while (fiber_sched_alive(loop_fibers(r->loop)) > 0) {
			rig_skip(10 * USEC_PER_MSEC);
			rig_settle(r);
		}
		assert_int_equal(late_rc, i == 0 ? WEFT_TIMEOUT : WEFT_CANCELED);
		answer_free(&a);
	}
}

static int
stream_for_ever(struct weft_request *rq)
{
	do {
		late_rc = weft_puts(rq, "tick\n");
		(void)weft_flush(rq);
		(void)!weft_sleep(rq, 100);
		rig_skip(10);
	} while (late_rc == WEFT_OK && late_rounds++ < 5000);
	return WEFT_OK;
}

/* What is out cannot be taken back. */
static void
a_stream_without_end_is_reset(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, stream_for_ever);
	for (int ms = 0; ms <= 2000 && !a.is_aborted; ms += 10) {
		rig_skip(10 * USEC_PER_MSEC);
		rig_settle(r);
	}
	assert_true(a.is_aborted);
	while (fiber_sched_alive(loop_fibers(r->loop)) > 0) {
		rig_skip(10 * USEC_PER_MSEC);
		rig_settle(r);
	}
	assert_int_equal(late_rc, WEFT_CANCELED);
	answer_free(&a);
}

static void
wait_a_minute(void *rq)
{
	(void)!weft_sleep(rq, 60000);
}

static int
leave_something_slow(struct weft_request *rq)
{
	assert_int_equal(weft_defer(rq, wait_a_minute, rq), WEFT_OK);
	return weft_sleep(rq, 10000);
}

static void
cleaning_up_does_not_hold_the_answer_up(void **state)
{
	ends_at_the_deadline(*state, leave_something_slow, 504, TEXT_504);
	rig_skip(60 * USEC_PER_SEC);
}

static int
clean_up_in_time(struct weft_request *rq)
{
	assert_int_equal(weft_defer(rq, wait_a_minute, rq), WEFT_OK);
	return weft_puts(rq, "in time");
}

/* Who has the answer can rely on what was to be done behind it. */
static void
who_is_in_time_waits_for_what_is_put_away(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, clean_up_in_time);
	rig_skip(59 * USEC_PER_SEC);
	rig_settle(r);
	assert_false(a.is_done);
	rig_skip(USEC_PER_SEC);
	rig_settle(r);
	answer_is(&a, 200, "in time");
	answer_free(&a);
}

static void
read_the_rest(void *rq)
{
	char bytes[16];

	late_rc = (int)weft_body_read(rq, bytes, sizeof bytes);
}

static int
leave_a_body_to_be_read(struct weft_request *rq)
{
	assert_int_equal(weft_defer(rq, read_the_rest, rq), WEFT_OK);
	return weft_sleep(rq, 10000);
}

/* The front brings no more of it once there is an answer, and no deadline ends the wait of a deferred function. */
static void
cleaning_up_does_not_wait_for_a_body(void **state)
{
	late_rc = 0;
	ends_at_the_deadline(*state, leave_a_body_to_be_read, 504, TEXT_504);
	assert_int_equal(late_rc, -1);
}

/* ---- sections ---- */

static int
finish_a_section(struct weft_request *rq)
{
	assert_int_equal(weft_shield(rq, 0), WEFT_INVALID);
	assert_int_equal(weft_shield(rq, WEFT_SHIELD_MAX + 1), WEFT_INVALID);
	assert_int_equal(weft_shield(rq, 2000), WEFT_OK);
	late_rc = weft_sql(rq, "db", NULL, "COMMIT");
	weft_unshield(rq);
	late_rounds = (unsigned)weft_sleep(rq, 1);
	return late_rc == WEFT_OK ? weft_puts(rq, "committed") : weft_fail(rq);
}

static void
a_section_is_finished_though_the_client_has_left(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, finish_a_section);
	rig_gone(r, &a);
	rig_skip(1500 * USEC_PER_MSEC);
	rig_settle(r);
	assert_int_equal(late_rc, -1);
	fake_reply(0);
	rig_settle(r);
	assert_int_equal(late_rc, WEFT_OK);
	assert_int_equal(late_rounds, WEFT_CANCELED);
	answer_free(&a);
}

static void
a_section_that_lasts_too_long_is_ended(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, finish_a_section);
	rig_skip(1999 * USEC_PER_MSEC);
	rig_settle(r);
	assert_false(a.is_done);
	rig_skip(USEC_PER_MSEC);
	rig_settle(r);
	assert_int_equal(late_rc, WEFT_TIMEOUT);
	answer_is(&a, 504, "504 Gateway Timeout\n");
	answer_free(&a);
}

static int
child_of_a_section(struct weft_request *rq, void *arg)
{
	(void)arg;
	return weft_sleep(rq, 1000);
}

static int
section_with_a_child(struct weft_request *rq)
{
	assert_int_equal(weft_shield(rq, 2000), WEFT_OK);
	late_rc = weft_wait(rq, weft_spawn(rq, child_of_a_section, NULL));
	weft_unshield(rq);
	return late_rc == WEFT_OK ? weft_puts(rq, "both") : weft_fail(rq);
}

/* Nothing has waited in vain, so the page goes out, though late. */
static void
fibers_begun_in_a_section_belong_to_it(void **state)
{
	struct rig *r = *state;
	struct answer a;

	begin(r, &a, section_with_a_child);
	rig_skip(1000 * USEC_PER_MSEC);
	rig_settle(r);
	answer_is(&a, 200, "both");
	answer_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LATE_TEST(the_answer_is_504),
		LATE_TEST(handlers_may_have_an_error_of_their_own),
		LATE_TEST(who_was_not_told_is_not_late),
		LATE_TEST(nothing_is_sent_after_the_deadline),
		LATE_TEST(an_answer_is_given_for_it),
		LATE_TEST(a_stream_without_end_is_reset),
		LATE_TEST(cleaning_up_does_not_hold_the_answer_up),
		LATE_TEST(who_is_in_time_waits_for_what_is_put_away),
		LATE_TEST(cleaning_up_does_not_wait_for_a_body),
		LATE_TEST(a_section_is_finished_though_the_client_has_left),
		LATE_TEST(a_section_that_lasts_too_long_is_ended),
		LATE_TEST(fibers_begun_in_a_section_belong_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
