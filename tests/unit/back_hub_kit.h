/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_HUB_KIT_H
#define TESTS_UNIT_BACK_HUB_KIT_H

/* What must hold for messages of channels, whatever server they come from: the tests of one are these, and some of its own. */

#include "back_sql_kit.h"

#include "back/channel.h"
#include "back/hub.h"
#include "tests/unit/back_support.h"

/* The server at hand. */
static struct hub_side {
	const char *url;
	const char *odd;		/* a channel's name of odd bytes */
	size_t large;			/* bytes of a message */
	void (*publish)(struct kit *k, const char *channel, const char *text, size_t len);
	void (*kill)(struct kit *k);	/* the connections of hubs */
	void (*stop)(void), (*go_on)(void);	/* the server, without a word */
} side;

/* By the loop's clock, which may be ahead. */
static inline usec
hub_now(void)
{
	return fiber_sched_now(fiber_sched(fiber_self()));
}

#define HUB_SOON (hub_now() + 20 * USEC_PER_SEC)

static inline struct pool_stat
hub_pool_stat(const struct kit *k)
{
	struct pool_stat s;

	pool_stat(k->pool, &s);
	return s;
}

static inline void
hub_with(const struct pool_conf *conf, void (*body)(void *arg))
{
	char error[256] = "";
	struct kit k = { .loop = back_loop() };

	k.pool = pool_open(k.loop, conf, error, sizeof error);
	assert_string_equal(error, "");
	kit_run(&k, body, &k);
	assert_int_equal(hub_pool_stat(&k).subscriptions, 0);
	kit_close(&k);
}

static inline void
hub_with_pool(void (*body)(void *arg))
{
	const struct pool_conf conf = { .name = "db", .url = side.url, .max = 4, .queue_timeout = 10 * USEC_PER_SEC };

	hub_with(&conf, body);
}

static inline void
hub_nap(usec length)
{
	assert_int_equal(fiber_sleep(length), WEFT_OK);
}

/* ---- listening ---- */

struct ear {
	struct subscription s;
	struct fault fault;
};

static inline void
ear_begin(struct kit *k, struct ear *e, const char *channel)
{
	if (hub_subscribe(k->pool, &e->s, span_str(channel), &e->fault) != WEFT_OK)
		fail_msg("%s: %d %s", channel, (int)e->fault.rc, e->fault.text);
}

static inline void
ear_fails(struct kit *k, const char *channel, enum weft_rc rc, const char *words)
{
	struct ear e;

	if (hub_subscribe(k->pool, &e.s, span_str(channel), &e.fault) != rc || e.fault.rc != rc || strstr(e.fault.text, words) == NULL)
		fail_msg("%s: %d %s", channel, (int)e.fault.rc, e.fault.text);
}

static inline void
ear_hears_bytes(struct ear *e, const char *bytes, size_t len)
{
	struct span text = { NULL, 0 };
	enum weft_rc rc = subscription_next(&e->s, &text, HUB_SOON);

	if (rc != WEFT_OK || text.len != len || memcmp(text.at, bytes, len) != 0)
		fail_msg("%d: %zu bytes \"%.40s\" and not %zu \"%.40s\"", (int)rc, text.len, text.at, len, bytes);
	assert_int_equal(text.at[len], '\0');
}

static inline void
ear_hears(struct ear *e, const char *text)
{
	ear_hears_bytes(e, text, strlen(text));
}

/* The wait ends so, by then at the latest. */
static inline void
ear_gets(struct ear *e, enum weft_rc rc, usec until)
{
	struct span text = { "nothing", 7 };

	assert_int_equal(subscription_next(&e->s, &text, until), rc);
}

static inline void
ear_has_gap(struct ear *e)
{
	ear_gets(e, WEFT_GAP, HUB_SOON);
}

static inline void
ear_is_silent(struct ear *e)
{
	ear_gets(e, WEFT_TIMEOUT, hub_now() + 30 * USEC_PER_MSEC);
}

static inline void
ear_end(struct ear *e)
{
	hub_unsubscribe(&e->s);
}

static inline void
hub_say(struct kit *k, const char *channel, const char *text)
{
	side.publish(k, channel, text, strlen(text));
}

/* ---- the tests ---- */

static inline void
hub_order_body(void *arg)
{
	struct ear a, b, other;
	struct kit *k = arg;
	char text[16];

	ear_begin(k, &a, "news");
	ear_begin(k, &b, "news");
	ear_begin(k, &other, "other");
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "%d", i);
		hub_say(k, "news", text);
		hub_say(k, "nobody", "x");
		if (i % 10 == 0)
			hub_say(k, "other", text);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "%d", i);
		ear_hears(&a, text);
		ear_hears(&b, text);
		if (i % 10 == 0)
			ear_hears(&other, text);
	}
	ear_is_silent(&a);
	ear_is_silent(&other);
	assert_int_equal(hub_pool_stat(k).lent, 1);
	assert_int_equal(hub_pool_stat(k).channels, 2);
	assert_int_equal(hub_pool_stat(k).subscriptions, 3);
	assert_int_equal(hub_pool_stat(k).messages, 55);
	hub_say(k, "news", "");
	ear_hears(&a, "");
	ear_end(&a);
	ear_end(&b);
	ear_end(&b);
	ear_end(&other);
}

static inline void
messages_come_in_order_to_whom_they_are_for(void **state)
{
	(void)state;
	hub_with_pool(hub_order_body);
}

static inline void
hub_come_and_go_body(void *arg)
{
	struct ear a, b;
	struct kit *k = arg;

	ear_begin(k, &a, "c");
	hub_say(k, "c", "1");
	ear_hears(&a, "1");
	hub_say(k, "c", "2");
	/* What came before is not for one who comes later. */
	hub_nap(20 * USEC_PER_MSEC);
	ear_begin(k, &b, "c");
	hub_say(k, "c", "3");
	ear_hears(&b, "3");
	ear_end(&b);
	ear_hears(&a, "2");
	ear_hears(&a, "3");
	ear_end(&a);
	ear_gets(&a, WEFT_CANCELED, HUB_SOON);
	/* Again at once, while the channel's end may be under way. */
	for (int i = 0; i < 20; i++) {
		ear_begin(k, &a, "c");
		hub_say(k, "c", "again");
		ear_hears(&a, "again");
		ear_end(&a);
		if (i % 2 == 0)
			hub_nap(2 * USEC_PER_MSEC);
	}
	assert_int_equal(hub_pool_stat(k).losses, 0);
	for (int i = 0; i < 200 && hub_pool_stat(k).channels > 0; i++)
		hub_nap(5 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).channels, 0);
}

static inline void
who_comes_later_hears_what_comes_later(void **state)
{
	(void)state;
	hub_with_pool(hub_come_and_go_body);
}

static inline void
hub_linger_body(void *arg)
{
	struct ear e;
	struct kit *k = arg;

	ear_begin(k, &e, "c");
	ear_end(&e);
	hub_nap(20 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).lent, 1);
	back_skip(HUB_LINGER);
	hub_nap(20 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).lent, 0);
	ear_begin(k, &e, "c");
	assert_int_equal(hub_pool_stat(k).lent, 1);
	/* However long it is lent. */
	back_skip(POOL_LENT_LONG);
	hub_nap(20 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).lent_long, 0);
	hub_say(k, "c", "x");
	ear_hears(&e, "x");
	ear_end(&e);
}

static inline void
the_connection_goes_some_time_after_the_last(void **state)
{
	(void)state;
	hub_with_pool(hub_linger_body);
}

static inline void
hub_odd_body(void *arg)
{
	const char *names[] = { side.odd, "a", "A", " ", "a b", "*", "[a]", "'\"\"'", "; DROP TABLE x --" };
	enum { NAMES = sizeof names / sizeof *names };
	struct ear e[NAMES];
	struct kit *k = arg;

	for (int i = 0; i < NAMES; i++)
		ear_begin(k, &e[i], names[i]);
	for (int i = 0; i < NAMES; i++)
		hub_say(k, names[i], names[i]);
	for (int i = 0; i < NAMES; i++) {
		ear_hears(&e[i], names[i]);
		ear_is_silent(&e[i]);
		ear_end(&e[i]);
	}
	ear_fails(k, "", WEFT_INVALID, "name");
}

static inline void
names_may_have_odd_bytes(void **state)
{
	(void)state;
	hub_with_pool(hub_odd_body);
}

static inline void
hub_large_body(void *arg)
{
	char *text = malloc(side.large);
	struct ear e, other;
	struct kit *k = arg;

	assert_non_null(text);
	for (size_t i = 0; i < side.large; i++)
		text[i] = (char)('a' + i % 26);
	ear_begin(k, &e, "c");
	ear_begin(k, &other, "d");
	side.publish(k, "c", text, side.large);
	hub_say(k, "d", "small");
	ear_hears(&other, "small");
	ear_hears_bytes(&e, text, side.large);
	ear_is_silent(&e);
	ear_end(&e);
	ear_end(&other);
	free(text);
}

static inline void
messages_may_be_large(void **state)
{
	(void)state;
	hub_with_pool(hub_large_body);
}

static inline void
hub_slow_body(void *arg)
{
	struct ear slow, quick;
	struct kit *k = arg;
	char text[16];

	ear_begin(k, &slow, "c");
	ear_begin(k, &quick, "c");
	for (int i = 0; i < CHANNEL_MESSAGES + 44; i++) {
		snprintf(text, sizeof text, "%d", i);
		hub_say(k, "c", text);
		ear_hears(&quick, text);
	}
	ear_has_gap(&slow);
	for (int i = 44; i < CHANNEL_MESSAGES + 44; i++) {
		snprintf(text, sizeof text, "%d", i);
		ear_hears(&slow, text);
	}
	ear_is_silent(&slow);
	assert_int_equal(hub_pool_stat(k).gaps, 1);
	hub_say(k, "c", "on");
	ear_hears(&slow, "on");
	ear_end(&slow);
	ear_end(&quick);
}

static inline void
who_is_slow_loses_the_oldest(void **state)
{
	(void)state;
	hub_with_pool(hub_slow_body);
}

static inline void
hub_kill_body(void *arg)
{
	struct ear e[12], late;
	struct kit *k = arg;
	char name[16];

	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "c%d", i % 6);
		ear_begin(k, &e[i], name);
	}
	hub_say(k, "c0", "before");
	hub_nap(50 * USEC_PER_MSEC);
	side.kill(k);
	ear_hears(&e[0], "before");
	for (int i = 0; i < 12; i++)
		if (i != 6)
			ear_has_gap(&e[i]);
	ear_begin(k, &late, "c5");
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "c%d", i);
		hub_say(k, name, name);
	}
	/* In its place. */
	ear_hears(&e[6], "before");
	ear_has_gap(&e[6]);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "c%d", i % 6);
		ear_hears(&e[i], name);
		ear_is_silent(&e[i]);
		ear_end(&e[i]);
	}
	ear_hears(&late, "c5");
	ear_end(&late);
	assert_true(hub_pool_stat(k).losses > 0);
	assert_int_equal(hub_pool_stat(k).gaps, 12);
}

static inline void
a_lost_connection_is_a_gap_and_messages_come_again(void **state)
{
	(void)state;
	hub_with_pool(hub_kill_body);
}

static inline void
hub_stopped_body(void *arg)
{
	struct ear e;
	struct kit *k = arg;
	usec until = hub_now() + 10 * USEC_PER_SEC;

	ear_begin(k, &e, "c");
	/* While it answers, silence is no loss. */
	hub_nap(600 * USEC_PER_MSEC);
	assert_int_equal(hub_pool_stat(k).losses, 0);
	side.stop();
	while (hub_pool_stat(k).losses == 0) {
		ear_gets(&e, WEFT_TIMEOUT, hub_now() + 10 * USEC_PER_MSEC);
		assert_true(hub_now() < until);
	}
	side.go_on();
	ear_has_gap(&e);
	hub_say(k, "c", "alive");
	ear_hears(&e, "alive");
	ear_end(&e);
}

static inline void
silence_is_looked_into(void **state)
{
	const struct pool_conf conf = { .name = "db", .url = side.url, .max = 4, .queue_timeout = 10 * USEC_PER_SEC,
		.check_after = 100 * USEC_PER_MSEC, .connect_timeout = 400 * USEC_PER_MSEC };

	(void)state;
	hub_with(&conf, hub_stopped_body);
}

/* ---- those who wait ---- */

struct hub_waiter {
	struct kit *k;
	struct ear ear;
	struct fiber *fiber;
	enum weft_rc rc;
	char text[16];
	usec deadline;
	bool has_begun, is_done;
};

static inline void
hub_waiter_run(void *arg)
{
	struct hub_waiter *w = arg;
	struct span text = { NULL, 0 };

	w->fiber = fiber_self();
	ear_begin(w->k, &w->ear, "c");
	fiber_set_deadline(w->fiber, w->deadline);
	w->has_begun = true;
	w->rc = subscription_next(&w->ear.s, &text, CLOCK_NEVER);
	if (w->rc == WEFT_OK)
		snprintf(w->text, sizeof w->text, "%s", text.at);
	ear_end(&w->ear);
	w->is_done = true;
}

static inline void
hub_wait_body(void *arg)
{
	enum { MANY = 200 };
	static struct hub_waiter w[MANY];
	struct kit *k = arg;
	unsigned done;

	for (int i = 0; i < MANY; i++) {
		w[i] = (struct hub_waiter){ .k = k, .deadline = CLOCK_NEVER };
		kit_spawn(hub_waiter_run, &w[i]);
	}
	do {
		hub_nap(5 * USEC_PER_MSEC);
		done = 0;
		for (int i = 0; i < MANY; i++)
			done += w[i].has_begun;
	} while (done < MANY);
	assert_int_equal(hub_pool_stat(k).lent, 1);
	fiber_cancel(w[3].fiber);
	fiber_set_deadline(w[5].fiber, hub_now());
	hub_nap(10 * USEC_PER_MSEC);
	assert_int_equal(w[3].rc, WEFT_CANCELED);
	assert_int_equal(w[5].rc, WEFT_TIMEOUT);
	assert_true(w[3].is_done && w[5].is_done && !w[4].is_done);
	/* Its end, seen by another fiber. */
	hub_unsubscribe(&w[7].ear.s);
	hub_nap(10 * USEC_PER_MSEC);
	assert_true(w[7].is_done);
	assert_int_equal(w[7].rc, WEFT_CANCELED);
	hub_say(k, "c", "wake");
	for (int i = 0; i < MANY; i++) {
		for (int n = 0; n < 1000 && !w[i].is_done; n++)
			hub_nap(5 * USEC_PER_MSEC);
		assert_true(w[i].is_done);
		if (i != 3 && i != 5 && i != 7)
			assert_string_equal(w[i].text, "wake");
	}
}

static inline void
all_who_wait_are_woken(void **state)
{
	(void)state;
	hub_with_pool(hub_wait_body);
}

static inline void
hub_drain_body(void *arg)
{
	struct ear a, b;
	struct kit *k = arg;

	ear_begin(k, &a, "c");
	ear_begin(k, &b, "d");
	hub_say(k, "c", "last");
	hub_nap(50 * USEC_PER_MSEC);
	pool_end_subscriptions(k->pool);
	assert_int_equal(hub_pool_stat(k).lent, 0);
	hub_say(k, "c", "too late");
	ear_hears(&a, "last");
	ear_gets(&a, WEFT_CANCELED, HUB_SOON);
	ear_gets(&b, WEFT_CANCELED, HUB_SOON);
	ear_fails(k, "c", WEFT_CANCELED, "cancelled");
	ear_end(&a);
	ear_end(&b);
}

static inline void
a_worker_that_drains_ends_them(void **state)
{
	(void)state;
	hub_with_pool(hub_drain_body);
}

#define HUB_TESTS \
	cmocka_unit_test(messages_come_in_order_to_whom_they_are_for), cmocka_unit_test(who_comes_later_hears_what_comes_later), \
	cmocka_unit_test(the_connection_goes_some_time_after_the_last), cmocka_unit_test(names_may_have_odd_bytes), \
	cmocka_unit_test(messages_may_be_large), cmocka_unit_test(who_is_slow_loses_the_oldest), \
	cmocka_unit_test(a_lost_connection_is_a_gap_and_messages_come_again), cmocka_unit_test(silence_is_looked_into), \
	cmocka_unit_test(all_who_wait_are_woken), cmocka_unit_test(a_worker_that_drains_ends_them)

#endif
