/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"

#ifdef __SANITIZE_THREAD__
enum { FIBERS = 3000 };		/* ThreadSanitizer knows 8128 at most */
#else
enum { FIBERS = 10000 };
#endif
enum { ROOM = 2048, ROUNDS = 5 };

static usec now;
static unsigned ended, timeouts, wakes;

static usec
fake_clock(void)
{
	return now;
}

struct request {
	unsigned number;
	usec length;
	unsigned char rest[ROOM - 16];
};

/* Each waits some rounds for times of its own, in an order that is no order. */
static void
serve(void *arg)
{
	struct request *rq = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		usec until = now + 1 + (rq->number * 7919 + i * 104729) % 10007;
		enum weft_rc rc = fiber_wait(WAIT_REDIS, until);

		assert_int_equal(rq->rest[rq->number % sizeof rq->rest], rq->number & 0xff);
		if (rc == WEFT_TIMEOUT) {
			assert_true(now >= until);
			timeouts++;
		} else {
			assert_int_equal(rc, WEFT_OK);
			wakes++;
		}
	}
	ended++;
}

static struct fiber *
start(struct fiber_sched *s, unsigned number)
{
	struct fiber *f = fiber_new(s, sizeof(struct request));
	struct request *rq;

	assert_non_null(f);
	rq = fiber_room(f);
	rq->number = number;
	rq->rest[number % sizeof rq->rest] = number & 0xff;
	fiber_start(f, serve, rq);
	return f;
}

/* Time goes from deadline to deadline; every wait ends at its own. */
static void
run_until_all_ended(struct fiber_sched *s)
{
	usec last = now, next;

	while (fiber_sched_alive(s) > 0) {
		next = fiber_sched_next(s);
		assert_true(next == 0 || next > last);
		if (next != 0)
			last = now = next;
		assert_true(fiber_sched_run(s) > 0);
	}
}

static void
ten_thousand_wait_at_once(void **state)
{
	const struct fiber_conf conf = { .clock = fake_clock };
	struct fiber_sched *s = fiber_sched_new(&conf);

	(void)state;
	assert_non_null(s);
	for (unsigned again = 0; again < 2; again++) {
		ended = timeouts = 0;
		for (unsigned i = 0; i < FIBERS; i++)
			start(s, i);
		assert_int_equal(fiber_sched_run(s), FIBERS);
		assert_int_equal(fiber_sched_alive(s), FIBERS);
		run_until_all_ended(s);
		assert_int_equal(ended, FIBERS);
		assert_int_equal(timeouts, FIBERS * ROUNDS);
	}
	assert_int_equal(fiber_sched_next(s), CLOCK_NEVER);
	fiber_sched_free(&s);
}

/* Every third is woken before its time; nothing is lost and nothing comes twice. */
static void
wakes_and_deadlines_mix(void **state)
{
	const struct fiber_conf conf = { .clock = fake_clock };
	struct fiber_sched *s = fiber_sched_new(&conf);
	static struct fiber *f[FIBERS];

	(void)state;
	ended = timeouts = wakes = 0;
	for (unsigned i = 0; i < FIBERS; i++)
		f[i] = start(s, i);
	fiber_sched_run(s);
	for (unsigned i = 0; i < FIBERS; i += 3)
		fiber_wake(f[i]);
	assert_int_equal(fiber_sched_run(s), (FIBERS + 2) / 3);
	run_until_all_ended(s);
	assert_int_equal(ended, FIBERS);
	assert_int_equal(wakes, (FIBERS + 2) / 3);
	assert_int_equal(timeouts, FIBERS * ROUNDS - wakes);
	fiber_sched_free(&s);
}

static void
serve_until_canceled(void *arg)
{
	enum weft_rc rc = fiber_wait(WAIT_SQL, now + 5000);

	(void)arg;
	ended += rc == WEFT_CANCELED;
	timeouts += rc == WEFT_TIMEOUT;
}

/* Half are cancelled, half reach a deadline that was moved to the present while they waited. */
static void
all_end_at_once(void **state)
{
	const struct fiber_conf conf = { .clock = fake_clock, .cache = 10 };
	struct fiber_sched *s = fiber_sched_new(&conf);
	static struct fiber *f[FIBERS];

	(void)state;
	ended = timeouts = 0;
	for (unsigned i = 0; i < FIBERS; i++) {
		f[i] = fiber_new(s, ROOM);
		assert_non_null(f[i]);
		fiber_start(f[i], serve_until_canceled, NULL);
	}
	fiber_sched_run(s);
	for (unsigned i = 0; i < FIBERS; i++) {
		if (i % 2 == 0)
			fiber_cancel(f[i]);
		else
			fiber_set_deadline(f[i], now);
	}
	assert_int_equal(fiber_sched_run(s), FIBERS);
	assert_int_equal(ended, FIBERS / 2);
	assert_int_equal(timeouts, FIBERS / 2);
	assert_int_equal(fiber_sched_alive(s), 0);
	fiber_sched_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_wait_at_once),
		cmocka_unit_test(wakes_and_deadlines_mix),
		cmocka_unit_test(all_end_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
