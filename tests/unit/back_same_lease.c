/* SPDX-License-Identifier: ISC */

/* Connections that are lent, of any back end that has transactions: who gets them, what is left behind, and what is lost. */
#include "back_same.h"

#include "back_cut.h"

void
same_set(struct kit *k, struct kit_lease *l, int row, int amount)
{
	char text[96];

	snprintf(text, sizeof text, same_leases.set, amount, row);
	same_do(k, l, text);
}

void
same_has(struct kit *k, struct kit_lease *l, int row, int amount)
{
	char text[96], want[16];

	snprintf(text, sizeof text, same_leases.get, row);
	snprintf(want, sizeof want, "%d", amount);
	same_says(k, l, text, want);
}

/* ---- who gets them ---- */

enum { CROWD = 200 };

static struct {
	unsigned order[CROWD], served;
	struct kit *k;
} crowd;

static void
crowd_one(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct kit_lease l;
	char text[96];

	kit_lend(crowd.k, &l);
	crowd.order[crowd.served++] = me;
	same_do(crowd.k, &l, same_leases.begin);
	same_do(crowd.k, &l, same_leases.add_one);
	snprintf(text, sizeof text, same_leases.insert, me);
	same_do(crowd.k, &l, text);
	same_do(crowd.k, &l, same_leases.commit);
	kit_give(&l);
}

static void
crowd_body(void *kit)
{
	crowd.k = kit;
	crowd.served = 0;
	for (uintptr_t i = 0; i < CROWD; i++)
		kit_spawn(crowd_one, (void *)i);
}

static void
crowd_check_body(void *kit)
{
	same_has(kit, NULL, 1, 100 + CROWD);
	same_says(kit, NULL, same_leases.count, "200");
	same_set(kit, NULL, 1, 100);
	same_do(kit, NULL, same_leases.empty);
}

void
two_hundred_share_five(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, same.url, 5);
	kit_run(&k, crowd_body, &k);
	assert_int_equal(crowd.served, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(crowd.order[i], i);
	kit_run(&k, crowd_check_body, &k);
	assert_int_equal(kit_stat(&k).connects, 5);
	assert_int_equal(kit_stat(&k).failed, 0);
	kit_close(&k);
}

/* ---- what is left behind ---- */

static void
leave(struct kit *k, struct kit_lease *l, const char *text)
{
	bool fails = text[0] == '!';
	struct kit_ask a;

	same.start(k, l, &a, text + fails);
	call_wait(&a.call, KIT_SOON);
	if ((a.call.rc == WEFT_OK) == fails)
		fail_msg("%s: %d %s %s", text, (int)a.call.rc, a.fault.code, a.fault.text);
	kit_end(&a);
}

static void
trail(struct kit *k, const struct same_trail *t, long long id)
{
	struct kit_lease l;

	same_says(k, NULL, t->see, t->clean);
	kit_lend(k, &l);
	assert_int_equal(same.id(k, &l), id);
	for (size_t i = 0; i < sizeof t->leave / sizeof *t->leave && t->leave[i] != NULL; i++)
		leave(k, &l, t->leave[i]);
	kit_give(&l);
	/* The next one, who shares it, and the next who borrows it. */
	same_says(k, NULL, t->see, t->clean);
	kit_lend(k, &l);
	same_says(k, &l, t->see, t->clean);
	if (same_leases.next != NULL)
		same_leases.next(k, &l);
	kit_give(&l);
	assert_int_equal(same.id(k, NULL), id);
}

static void
trails_body(void *kit)
{
	long long id = same.id(kit, NULL);

	for (size_t i = 0; i < same_leases.ntrails; i++)
		trail(kit, &same_leases.trails[i], id);
}

void
nothing_is_left_behind(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, trails_body);
}

/* What may change a connection is for a borrower, also after one has sent the same. */
static void
changes_body(void *kit)
{
	struct kit_lease l;
	struct kit_ask a;

	for (int round = 0; round < 2; round++) {
		for (const char *const *text = same_leases.changes; *text != NULL; text++) {
			same.start(kit, NULL, &a, *text);
			call_wait(&a.call, KIT_SOON);
			kit_assert_fault(&a, WEFT_INVALID, "");
			if (strstr(a.fault.text, same_leases.changes_words) == NULL)
				fail_msg("%s: %s", *text, a.fault.text);
			kit_end(&a);
		}
		kit_lend(kit, &l);
		for (const char *const *text = same_leases.changes; *text != NULL; text++) {
			same.start(kit, &l, &a, *text);
			assert_int_not_equal(call_wait(&a.call, KIT_SOON), WEFT_INVALID);
			kit_end(&a);
		}
		kit_give(&l);
		same_has(kit, NULL, 1, 100);
	}
}

void
shared_ones_are_not_changed(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, changes_body);
}

/* ---- given back in the middle ---- */

static void
stubborn_body(void *kit)
{
	struct kit_lease l;
	long long id;
	usec began;

	kit_lend(kit, &l);
	id = same.id(kit, &l);
	same_do(kit, &l, same_leases.begin);
	same_set(kit, &l, 4, 0);
	same.freeze(id);
	began = clock_now();
	kit_give(&l);
	same_has(kit, NULL, 4, 100);
	assert_true(clock_now() - began < 3 * USEC_PER_SEC);
	if (same.thaw != NULL)
		same.thaw(id);
}

void
what_cannot_be_cleaned_in_time_is_closed(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, stubborn_body);
}

static void
close_body(void *kit)
{
	struct kit *k = kit;
	struct kit_lease l[3];

	for (int i = 0; i < 3; i++) {
		kit_lend(k, &l[i]);
		same_do(k, &l[i], same_leases.begin);
		same_do(k, &l[i], same_leases.taint);
	}
	if (same_leases.sleep != NULL)
		same_give_up(k, &l[0], same_leases.sleep);
	/* One is being cancelled, one rolled back, one lent. */
	kit_give(&l[0]);
	kit_give(&l[1]);
	pool_close(&k->pool);
	assert_false(lease_is_live(&l[2].lease));
	kit_give(&l[2]);
}

void
a_pool_may_close_meanwhile(void **state)
{
	struct kit k;

	(void)state;
	for (int round = 0; round < 5; round++) {
		kit_open(&k, same.url, 3);
		kit_run(&k, close_body, &k);
		loop_free(&k.loop);
	}
}

/* ---- a proxy that loses what is said ---- */

/* A transaction sets a row, and the proxy cuts its end. */
static void
commit_lost(struct kit *k, enum cut_mode mode, int row, int amount)
{
	struct kit_lease l;

	kit_lend(k, &l);
	same_do(k, &l, same_leases.begin);
	same_set(k, &l, row, amount);
	cut_set(mode);
	same_fails(k, &l, same_leases.commit, WEFT_UNKNOWN, NULL);
	assert_false(lease_is_live(&l.lease));
	cut_set(CUT_PASS);
	kit_give(&l);
}

/* What was lost before is told, and nothing is tried again. */
static void
before_commit_lost(struct kit *k, int row)
{
	struct kit_lease l;
	char text[96];

	snprintf(text, sizeof text, same_leases.set, 3, row);
	kit_lend(k, &l);
	same_do(k, &l, same_leases.begin);
	same_do(k, &l, text);
	cut_set(CUT_MUTE);
	same_fails(k, &l, text, WEFT_UNKNOWN, NULL);
	cut_set(CUT_PASS);
	same_fails(k, &l, text, WEFT_NOT_SENT, NULL);
	same_fails(k, &l, same_leases.commit, WEFT_NOT_SENT, NULL);
	kit_give(&l);
}

static void
commit_lost_body(void *kit)
{
	commit_lost(kit, CUT_DEAF, 6, 1);
	commit_lost(kit, CUT_MUTE, 7, 2);
	before_commit_lost(kit, 8);
	/* One was not done and one was, and neither a second time. */
	same_has(kit, NULL, 6, 100);
	same_has(kit, NULL, 7, 2);
	same_has(kit, NULL, 8, 100);
	same_set(kit, NULL, 7, 100);
}

void
a_commit_whose_answer_is_lost_is_unknown(void **state)
{
	(void)state;
	same_with_pool(same.cut(), 1, 0, commit_lost_body);
	cut_stop();
}
