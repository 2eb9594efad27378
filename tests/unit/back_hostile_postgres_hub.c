/* SPDX-License-Identifier: ISC */

/* The connection of a hub, to a PostgreSQL that breaks the protocol. */
#include "tests/unit/back_liar_postgres.h"

#include "back/channel.h"
#include "back/hub.h"

const struct play_side side = { PG_SIDE };

/* The connection of the hub, once it has asked so often. */
static struct liar_peer *
play_hub(unsigned listens)
{
	usec late = clock_now() + 5 * USEC_PER_SEC;
	struct liar_peer *p;

	while (pg.listens < listens) {
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
		assert_true(clock_now() < late);
	}
	TAILQ_FOREACH(p, &play.liar->peers, link)
		if ((int)p->number == pg.hub)
			return p;
	fail_msg("the hub's connection is gone");
	return NULL;
}

static void
play_notify(struct liar_peer *p, const char *text)
{
	struct buf b, body;

	buf_init(&b, 4096);
	buf_init(&body, 4096);
	buf_add(&body, SPAN("\0\0\0\1c\0"));
	buf_add(&body, (struct span){ text, strlen(text) + 1 });
	pg_put(&b, 'A', buf_span(&body));
	liar_say(p, buf_span(&b));
	buf_fini(&body);
	buf_fini(&b);
}

static void
play_hub_pool(void)
{
	char error[256] = "";
	struct pool_conf conf = { .name = "db", .url = side.url(), .max = 2, .queue_timeout = 20 * USEC_PER_SEC, .backoff = USEC_PER_MSEC,
		.connect_timeout = 200 * USEC_PER_MSEC, .check_after = 100 * USEC_PER_MSEC };

	pg.listens = 0;
	play.kit.pool = pool_open(play.kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

static void
play_hears(struct subscription *s, enum weft_rc rc, const char *text)
{
	struct span got = { "", 0 };

	assert_int_equal(subscription_next(s, &got, KIT_SOON), rc);
	if (rc == WEFT_OK)
		assert_string_equal(got.at, text);
}

static void
what_is_no_notification_is_a_gap(void *arg)
{
	/* A type, how long it says it is (0: as long as it is), and its bytes. */
	static const struct {
		char type;
		uint32_t length;
		struct span body;
	} lies[] = {
		{ 'A', 0, SPAN("\0\0\0\1c") }, { 'A', 0, SPAN("\0\0\0\1c\0x") }, { 'A', 0, SPAN("") }, { 'A', 2000000000, SPAN("\0\0\0\1c\0x\0") },
		{ 'A', 3, SPAN("") }, { 'C', 0, SPAN("LISTEN\0") }, { 'Z', 0, SPAN("I") }, { 'D', 0, SPAN("\0\1\0\0\0\1x") },
		{ 'E', 0, SPAN("SFATAL\0VFATAL\0C57P01\0Mgo away\0\0") }, { 'A', 0x80000000, SPAN("\0") },
	};
	struct subscription s;
	struct fault fault;
	enum weft_rc rc;

	(void)arg;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct span got;
		struct buf b;

		buf_init(&b, 4096);
		pg_put_length(&b, lies[i].type, lies[i].length == 0 ? (uint32_t)lies[i].body.len + 4 : lies[i].length, lies[i].body);
		play_hub_pool();
		assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
		play_notify(play_hub(1), "one");
		play_hears(&s, WEFT_OK, "one");
		liar_say(play_hub(1), buf_span(&b));
		play_await_losses(1);
		/* libpq makes a text of what lacks its end, with what comes next: a server may say any text. */
		while ((rc = subscription_next(&s, &got, KIT_SOON)) == WEFT_OK)
			assert_string_equal(got.at, "x1");
		assert_int_equal(rc, WEFT_GAP);
		play_notify(play_hub(2), "two");
		play_hears(&s, WEFT_OK, "two");
		hub_unsubscribe(&s);
		play_close();
		buf_fini(&b);
	}
}

static void
a_wrong_answer_to_listen_is_asked_again_once(void *arg)
{
	struct subscription s;
	struct fault fault;

	(void)arg;
	pg.wrong = 1;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
	assert_int_equal(pg.listens, 2);
	hub_unsubscribe(&s);
	play_close();
	pg.wrong = 2;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_NOT_SENT);
	assert_non_null(strstr(fault.text, "do not match"));
	play_close();
}

/* Alive, and silent: it is asked, and answers. */
static void
silence_is_no_loss_where_it_is_answered(void *arg)
{
	struct subscription s;
	struct fault fault;

	(void)arg;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
	assert_int_equal(fiber_sleep(500 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(play_losses(), 0);
	play_notify(play_hub(1), "still");
	play_hears(&s, WEFT_OK, "still");
	hub_unsubscribe(&s);
	play_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(what_is_no_notification_is_a_gap),
		PLAY(a_wrong_answer_to_listen_is_asked_again_once),
		PLAY(silence_is_no_loss_where_it_is_answered),
	};

	return play_run_group(tests);
}
