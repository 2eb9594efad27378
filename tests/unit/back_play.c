/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_play.h"

#define CALL_TIME (200 * USEC_PER_MSEC)

struct play play;

int
play_begin(void **state)
{
	(void)state;
	memset(&play, 0, sizeof play);
	buf_init(&play.start, 64 << 20);
	buf_init(&play.lie, 4 << 20);
	side.open();
	pulse_begin(&play.pulse, play.kit.loop);
	rss_begin();
	return 0;
}

int
play_end(void **state)
{
	(void)state;
	/* A test that has failed leaves its fibers: nothing can be ended then. */
	if (fiber_sched_alive(loop_fibers(play.kit.loop)) > 0)
		return -1;
	rss_end("all");
	pulse_end(&play.pulse);
	side.close();
	buf_fini(&play.start);
	buf_fini(&play.lie);
	return 0;
}

void
play_on_fiber(void **state)
{
	kit_run(&play.kit, (void (*)(void *))(uintptr_t)*state, NULL);
}

void
play_tell(struct liar_peer *p)
{
	p->last = play.last;
	p->flood = play.flood;
	p->flooded = play.flooded;
}

/* ---- pools ---- */

void
play_pool_at(unsigned max, const char *url)
{
	struct pool_conf conf = { .name = "db", .url = url, .max = max, .call_timeout = CALL_TIME, .queue_timeout = 20 * USEC_PER_SEC,
		.connect_timeout = play.connect_timeout, .backoff = USEC_PER_MSEC, .check_after = play.check_after };
	char error[256] = "";

	play.kit.pool = pool_open(play.kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

void
play_pool(unsigned max)
{
	play_pool_at(max, side.url());
}

void
play_close(void)
{
	pool_close(&play.kit.pool);
	buf_clear(&play.lie);
	play.last = play.whole = false;
}

unsigned long long
play_losses(void)
{
	return kit_stat(&play.kit).losses;
}

void
play_await_losses(unsigned long long n)
{
	usec late = clock_now() + 5 * USEC_PER_SEC;

	while (play_losses() < n) {
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
		assert_true(clock_now() < late);
	}
}

/* ---- asking ---- */

void
play_ask_lent(struct kit_lease *l, const char *tag)
{
	struct kit_ask a;

	side.start(l, &a, tag);
	if (call_wait(&a.call, KIT_SOON) != WEFT_OK)
		fail_msg("%s: %d %s %s", tag, (int)a.call.rc, a.fault.code, a.fault.text);
	side.check(&a, tag);
	kit_end(&a);
}

void
play_ask_well(const char *tag)
{
	play_ask_lent(NULL, tag);
}

void
play_check(struct kit_ask *a, const char *tag, const char *lie)
{
	if (call_wait(&a->call, KIT_SOON) == WEFT_OK)
		side.check(a, tag);
	else if (a->fault.text[0] == '\0')
		fail_msg("%s: \"%s\" fails without a reason", lie, tag);
	kit_end(a);
}

void
play_sql_start(struct kit_lease *l, struct kit_ask *a, const char *tag)
{
	struct value *v;

	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_SQL, &a->arena, &a->fault);
	v = arena_alloc(&a->arena, sizeof *v);
	must(v != NULL);
	*v = (struct value){ .kind = VALUE_TEXT, .as.bytes = span_str(tag) };
	a->call.sql = "SELECT $1";
	a->call.values = v;
	a->call.nvalues = 1;
	if (l != NULL)
		lease_submit(&l->lease, &a->call);
	else
		pool_submit(play.kit.pool, &a->call);
}

void
play_sql_check(const struct kit_ask *a, const char *tag)
{
	kit_assert_row(a, tag);
}

/* ---- a lie ---- */

/* Who has asked for it does not believe it. */
static void
play_is_no_answer(struct kit_ask *a, const char *name)
{
	if (call_wait(&a->call, KIT_SOON) == WEFT_OK)
		fail_msg("%s is believed", name);
	if (a->fault.text[0] == '\0' || a->call.rows != NULL)
		fail_msg("%s fails without a reason", name);
	kit_end(a);
}

static void
play_lie_to_borrower(const char *name)
{
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(&play.kit, &l);
	side.start(&l, &a, "lie");
	play_is_no_answer(&a, name);
	side.start(&l, &a, "behind");
	play_check(&a, "behind", name);
	kit_give(&l);
	play_ask_well("after a borrower");
}

enum weft_rc
play_read(void)
{
	struct kit_lease l;
	struct kit_ask a;
	enum weft_rc rc;

	kit_lend(&play.kit, &l);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_start(&l, &a, "SELECT $1", (const struct value[]){ KIT_TEXT("lie") }, 1);
	while ((rc = call_wait(&a.call, KIT_SOON)) == WEFT_OK && !a.call.last)
		kit_part_start(&l, &a, NULL, NULL, 0);
	kit_end(&a);
	kit_give(&l);
	return rc;
}

void
play_lie(const char *name)
{
	struct kit_ask a, b;

	play_pool(1);
	play_ask_well("before");
	side.start(NULL, &a, "lie");
	side.start(NULL, &b, "behind");
	play_is_no_answer(&a, name);
	play_check(&b, "behind", name);
	play_ask_well("after");
	if (side.is_sql) {
		if (play_losses() != 1)
			fail_msg("%s: %llu connections lost", name, play_losses());
		play_lie_to_borrower(name);
		if (play_read() == WEFT_OK)
			fail_msg("%s is believed by a reader", name);
		play_ask_well("after a reader");
	}
	play_close();
}

void
play_start_fails(const char *name, const char *url, const char *code)
{
	usec began = clock_now();
	struct kit_ask a;

	play_pool_at(1, url);
	side.start(NULL, &a, "never");
	call_wait(&a.call, KIT_SOON);
	if (a.call.rc != WEFT_DOWN || a.fault.text[0] == '\0' || (code != NULL && strcmp(a.fault.code, code) != 0))
		fail_msg("%s: rc %d %s %s", name, (int)a.call.rc, a.fault.code, a.fault.text);
	kit_end(&a);
	if (clock_now() - began > side.attempts * 2 * USEC_PER_SEC)
		fail_msg("%s takes too long", name);
	pool_close(&play.kit.pool);
}
