/* SPDX-License-Identifier: ISC */
/* The master's books of connections, with workers that are numbers here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "server/quota.h"

enum { WORKERS = 8 };

/* One worker, as it sees itself. */
struct worker {
	struct quota_part part;
	unsigned held;			/* told so */
	unsigned recalled, spared, ceded;	/* asked of it and not done */
};

static struct loop *loop;
static struct quota *quota;
static struct quota_pool *page;
static struct worker worker[WORKERS];
static usec now;

static usec
test_clock(void)
{
	return now;
}

static void
on_grant(struct quota_part *part, unsigned n)
{
	((struct worker *)part->arg)->held += n;
}

static void
on_recall(struct quota_part *part, unsigned n)
{
	((struct worker *)part->arg)->recalled += n;
}

static void
on_spare(struct quota_part *part, unsigned n)
{
	((struct worker *)part->arg)->spared += n;
}

static void
on_cede(struct quota_part *part, unsigned n)
{
	((struct worker *)part->arg)->ceded += n;
}

static int
test_begin(void **state)
{
	static const struct quota_ops ops = { on_grant, on_recall, on_spare, on_cede };
	struct fiber_conf conf = { .clock = test_clock };

	(void)state;
	now = USEC_PER_SEC;
	loop = loop_new(&conf);
	quota = quota_new(loop, &ops);
	memset(worker, 0, sizeof worker);
	page = quota_open(quota, "db", "postgresql://u:secret@h/x");
	return quota == NULL || page == NULL ? -1 : 0;
}

static int
test_end(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		quota_end(&worker[i].part);
	quota_close(&page);
	quota_free(&quota);
	loop_free(&loop);
	return 0;
}

static void
begin(unsigned i, unsigned share)
{
	struct worker *w = &worker[i];

	*w = (struct worker){ .held = 0 };
	w->held = quota_begin(&w->part, page, share, w);
}

static void
give(unsigned i, unsigned n)
{
	worker[i].held -= n;
	worker[i].recalled -= n < worker[i].recalled ? n : worker[i].recalled;
	quota_give(&worker[i].part, n);
}

static void
settle(void)
{
	now += QUOTA_SETTLE;
	quota_on_timer(quota);
}

static unsigned
held(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += worker[i].held;
	return n;
}

static void
each_has_its_share_from_the_start(void **state)
{
	(void)state;
	quota_limit(page, 10);
	for (unsigned i = 0; i < 4; i++)
		begin(i, i < 2 ? 3 : 2);
	assert_int_equal(worker[0].held, 3);
	assert_int_equal(worker[3].held, 2);
	assert_int_equal(held(), 10);
}

static void
a_new_generation_gets_what_the_old_gives(void **state)
{
	(void)state;
	quota_limit(page, 4);
	begin(0, 2);
	begin(1, 2);
	/* What they can spare, so that the new ones need not begin with nothing. */
	quota_make_room(page, 2);
	assert_int_equal(worker[0].spared, 1);
	assert_int_equal(worker[1].spared, 1);
	begin(2, 2);
	begin(3, 2);
	assert_int_equal(worker[2].held, 0);
	give(0, 1);
	assert_int_equal(worker[2].held + worker[3].held, 1);
	give(1, 1);
	assert_int_equal(worker[2].held, 1);
	assert_int_equal(worker[3].held, 1);
	/* Now these serve and those drain. */
	quota_drain(&worker[0].part);
	quota_drain(&worker[1].part);
	give(0, 1);
	assert_int_equal(worker[2].held + worker[3].held, 3);
	quota_end(&worker[0].part);
	worker[1].held = 0;
	quota_end(&worker[1].part);
	/* The back end needs a moment to notice that a process has ended. */
	assert_int_equal(worker[2].held + worker[3].held, 3);
	settle();
	assert_int_equal(worker[2].held, 2);
	assert_int_equal(worker[3].held, 2);
}

static void
a_generation_that_is_refused_leaves_all_as_it_was(void **state)
{
	(void)state;
	quota_limit(page, 4);
	begin(0, 2);
	begin(1, 2);
	quota_limit(page, 2);
	give(0, 1);
	begin(2, 1);
	begin(3, 1);
	assert_int_equal(worker[2].held + worker[3].held, 0);
	give(1, 1);
	assert_int_equal(held(), 2);
	quota_end(&worker[2].part);
	quota_end(&worker[3].part);
	quota_limit(page, 4);
	settle();
	assert_int_equal(worker[0].held, 2);
	assert_int_equal(worker[1].held, 2);
}

static void
more_is_granted_at_once_when_there_is_more(void **state)
{
	(void)state;
	quota_limit(page, 1);
	begin(0, 4);
	assert_int_equal(worker[0].held, 1);
	quota_limit(page, 8);
	assert_int_equal(worker[0].held, 4);
}

static void
workers_without_a_share_take_turns(void **state)
{
	unsigned turns[4] = { 0 };

	(void)state;
	quota_limit(page, 1);
	for (unsigned i = 0; i < 4; i++)
		begin(i, i == 0);
	assert_int_equal(worker[0].held, 1);
	/* All have calls that wait, all the time. */
	for (unsigned step = 0; step < 400; step++) {
		assert_int_equal(held(), 1);
		for (unsigned i = 0; i < 4; i++) {
			if (worker[i].held == 0) {
				quota_want(&worker[i].part, 1);
				quota_want(&worker[i].part, 1);
			}
		}
		for (unsigned i = 0; i < 4; i++)
			if (worker[i].recalled > 0 && worker[i].held > 0) {
				turns[i]++;
				give(i, 1);
				break;
			}
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(turns[i] >= 95 && turns[i] <= 105);
}

static void
who_has_most_gives_first(void **state)
{
	(void)state;
	quota_limit(page, 6);
	begin(0, 3);
	begin(1, 2);
	begin(2, 1);
	begin(3, 0);
	quota_want(&worker[3].part, 1);
	assert_int_equal(worker[0].recalled, 1);
	assert_int_equal(worker[1].recalled + worker[2].recalled, 0);
	give(0, 1);
	assert_int_equal(worker[3].held, 1);
	/* One that has what it is entitled to gets more only of what is not in use. */
	quota_want(&worker[3].part, 1);
	assert_int_equal(worker[0].recalled, 0);
}

/* What one lacks, the other may not need; what is its share, it gets back. */
static void
what_is_not_in_use_goes_to_whoever_can_use_it(void **state)
{
	(void)state;
	quota_limit(page, 4);
	begin(0, 2);
	begin(1, 2);
	quota_want(&worker[0].part, 2);
	assert_int_equal(worker[1].ceded, 2);
	assert_int_equal(worker[1].recalled, 0);
	give(1, 2);
	assert_int_equal(worker[0].held, 4);
	assert_int_equal(worker[1].held, 0);
	/* Now the other one has calls: one at once, and then up to its share. */
	quota_want(&worker[1].part, 5);
	assert_int_equal(worker[0].recalled, 2);
	give(0, 1);
	assert_int_equal(worker[1].held, 1);
	give(0, 1);
	assert_int_equal(worker[1].held, 2);
	/* Both want more: nobody has anything to spare, and nobody is asked. */
	quota_want(&worker[0].part, 2);
	worker[0].ceded = worker[1].ceded = 0;
	for (unsigned i = 0; i < 10; i++)
		settle();
	assert_int_equal(worker[0].recalled + worker[1].recalled, 0);
	assert_int_equal(worker[0].ceded + worker[1].ceded, 0);
	/* The calls of the one end: it may have what the other needs. */
	quota_want(&worker[0].part, 0);
	settle();
	assert_int_equal(worker[0].ceded, 3);
	give(0, 1);
	assert_int_equal(worker[1].held, 3);
	/* What comes back unasked is for whoever wants more, and else for whoever has less than his share. */
	quota_want(&worker[1].part, 0);
	give(1, 1);
	assert_int_equal(worker[0].held, 2);
}

/* However often they ask. */
static void
others_are_not_asked_all_the_time(void **state)
{
	unsigned rounds = 0;

	(void)state;
	quota_limit(page, 8);
	for (unsigned i = 0; i < 4; i++)
		begin(i, 2);
	quota_want(&worker[0].part, 1);
	quota_want(&worker[1].part, 1);
	/* Who wants more himself is not asked. */
	worker[1].ceded = worker[2].ceded = worker[3].ceded = 0;
	for (unsigned ms = 0; ms < 1000; ms++) {
		now += USEC_PER_MSEC;
		quota_want(&worker[ms % 2].part, 1 + ms % 3);
		if (now >= USEC_PER_SEC + 100 * USEC_PER_MSEC && ms % 20 == 0)
			quota_on_timer(quota);
		rounds += worker[2].ceded > 0;
		assert_true((worker[2].ceded > 0) == (worker[3].ceded > 0));
		worker[2].ceded = worker[3].ceded = 0;
	}
	assert_true(rounds >= 8 && rounds <= 10);
	assert_int_equal(worker[0].ceded + worker[1].ceded, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(worker[i].recalled, 0);
}

/* It has more than its share, and the other less than his and calls that wait: by right, and no more than that. */
static void
a_share_is_taken_from_those_who_have_more(void **state)
{
	(void)state;
	quota_limit(page, 5);
	begin(0, 3);
	begin(1, 2);
	give(1, 1);
	assert_int_equal(worker[1].held, 2);
	quota_want(&worker[0].part, 1);
	give(1, 1);
	assert_int_equal(worker[0].held, 4);
	quota_want(&worker[1].part, 9);
	for (unsigned i = 0; i < 5; i++)
		settle();
	assert_int_equal(worker[0].recalled, 1);
	give(0, 1);
	assert_int_equal(worker[1].held, 2);
	for (unsigned i = 0; i < 5; i++)
		settle();
	assert_int_equal(worker[0].recalled, 0);
}

static void
who_drains_gets_one_and_no_more(void **state)
{
	(void)state;
	quota_limit(page, 4);
	begin(0, 2);
	begin(1, 2);
	quota_drain(&worker[0].part);
	give(0, 2);
	assert_int_equal(worker[0].held, 0);
	quota_want(&worker[0].part, 3);
	assert_int_equal(worker[0].held, 1);
	settle();
	assert_int_equal(worker[0].held, 1);
	assert_int_equal(worker[1].ceded + worker[1].recalled, 0);
	/* The rest is for who goes on. */
	quota_want(&worker[1].part, 1);
	assert_int_equal(worker[1].held, 3);
}

static void
who_was_asked_in_vain_is_not_the_only_one(void **state)
{
	(void)state;
	quota_limit(page, 3);
	begin(0, 1);
	begin(1, 1);
	begin(2, 1);
	begin(3, 0);
	/* One that drains gives by itself, as soon as it can. */
	quota_drain(&worker[1].part);
	quota_want(&worker[3].part, 1);
	assert_int_equal(worker[0].recalled, 1);
	settle();
	assert_int_equal(worker[1].recalled, 0);
	assert_int_equal(worker[2].recalled, 1);
	settle();
	give(2, 1);
	assert_int_equal(worker[3].held, 1);
	/* What comes back too much goes to whoever is entitled to it. */
	give(0, 1);
	assert_int_equal(worker[2].held, 1);
	give(1, 1);
	assert_int_equal(worker[0].held, 1);
}

static void
a_worker_that_dies_while_it_wants_is_forgotten(void **state)
{
	(void)state;
	quota_limit(page, 1);
	begin(0, 1);
	begin(1, 0);
	quota_want(&worker[1].part, 1);
	quota_end(&worker[1].part);
	give(0, 1);
	assert_int_equal(worker[0].held, 1);
	quota_end(&worker[0].part);
	begin(0, 1);
	assert_int_equal(worker[0].held, 0);
	settle();
	assert_int_equal(worker[0].held, 1);
}

/* It can say what it likes. */
static void
lies_harm_only_the_liar(void **state)
{
	(void)state;
	quota_limit(page, 4);
	begin(0, 2);
	begin(1, 2);
	quota_give(&worker[0].part, 4000000000U);
	assert_int_equal(worker[0].part.held + worker[1].part.held, 4);
	quota_want(&worker[0].part, 1);
	quota_want(&worker[0].part, 1);
	assert_int_equal(worker[1].part.held, 2);
	quota_end(&worker[0].part);
	quota_give(&worker[0].part, 1);
	quota_want(&worker[0].part, 1);
	worker[0].held = 0;
}

static void
pages_are_told_apart_by_name_and_place(void **state)
{
	struct quota_pool *same = quota_open(quota, "db", "postgresql://u:other@h/x");
	struct quota_pool *elsewhere = quota_open(quota, "db", "postgresql://u:secret@h/y");
	struct quota_pool *another = quota_open(quota, "db2", "postgresql://u:secret@h/x");

	(void)state;
	assert_ptr_equal(same, page);
	assert_ptr_not_equal(elsewhere, page);
	assert_ptr_not_equal(another, page);
	assert_ptr_not_equal(another, elsewhere);
	quota_close(&same);
	quota_close(&elsewhere);
	quota_close(&another);
	assert_null(another);
}

/* Generations come and go, workers die, want and give: the sum is never more than max, and in the end all have their shares. */
static void
the_books_are_right_always(void **state)
{
	enum { MAX = 6 };
	unsigned seed = 5;

	(void)state;
	quota_limit(page, MAX);
	for (unsigned i = 0; i < 4; i++)
		begin(i, i < 2 ? 2 : 1);
	for (unsigned step = 0; step < 50000; step++) {
		unsigned i, n;

		seed = seed * 1103515245 + 12345;
		i = (seed >> 16) % WORKERS;
		n = (seed >> 10) % 3;
		switch ((seed >> 20) % 7) {
		case 0:
			if (worker[i].part.pool == NULL)
				begin(i, i % 4 < 2 ? 2 : 1);
			break;
		case 1:
			if ((seed >> 8) % 8 == 0) {
				quota_end(&worker[i].part);
				worker[i].held = 0;
			}
			break;
		case 2:
			if (worker[i].part.pool != NULL)
				quota_want(&worker[i].part, n);
			break;
		case 3:
		case 4:
			n = n < worker[i].recalled + worker[i].ceded ? n : worker[i].recalled + worker[i].ceded;
			n = n < worker[i].held ? n : worker[i].held;
			if (n > 0)
				give(i, n);
			break;
		case 5:
			if (worker[i].part.pool != NULL && (seed >> 8) % 8 == 0)
				quota_drain(&worker[i].part);
			if (worker[i].part.share == 0 && worker[i].held > 0)
				give(i, 1);
			break;
		default:
			now += (seed >> 8) % 50 * USEC_PER_MSEC;
			quota_on_timer(quota);
			break;
		}
		assert_true(held() <= MAX);
		for (i = 0; i < WORKERS; i++)
			assert_int_equal(worker[i].part.pool == NULL ? 0 : worker[i].part.held, worker[i].held);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		quota_end(&worker[i].part);
		worker[i].held = 0;
	}
	for (unsigned i = 0; i < 4; i++)
		begin(i, i < 2 ? 2 : 1);
	settle();
	assert_int_equal(held(), MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_has_its_share_from_the_start),
		T(a_new_generation_gets_what_the_old_gives),
		T(a_generation_that_is_refused_leaves_all_as_it_was),
		T(more_is_granted_at_once_when_there_is_more),
		T(workers_without_a_share_take_turns),
		T(who_has_most_gives_first),
		T(what_is_not_in_use_goes_to_whoever_can_use_it),
		T(others_are_not_asked_all_the_time),
		T(a_share_is_taken_from_those_who_have_more),
		T(who_drains_gets_one_and_no_more),
		T(who_was_asked_in_vain_is_not_the_only_one),
		T(a_worker_that_dies_while_it_wants_is_forgotten),
		T(lies_harm_only_the_liar),
		T(pages_are_told_apart_by_name_and_place),
		T(the_books_are_right_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
