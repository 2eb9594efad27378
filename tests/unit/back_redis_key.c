/* SPDX-License-Identifier: ISC */
/* Which keys a command has, what slot they are in; and what is understood of what nodes say of each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "back/redis/redis_key.h"
#include "back/redis/redis_slots.h"
#include "back/redis/reply.h"
#include "base/must.h"

static unsigned
slot_of(const char *key)
{
	return redis_key_slot(span_str(key));
}

static void
slots_are_those_of_redis(void **state)
{
	/* As CLUSTER KEYSLOT of Redis 7 says. */
	assert_int_equal(slot_of("123456789"), 0x31c3);
	assert_int_equal(slot_of("foo"), 12182);
	assert_int_equal(slot_of("bar"), 5061);
	assert_int_equal(slot_of("hello"), 866);
	assert_int_equal(slot_of(""), 0);
	assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
	assert_int_equal(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
	assert_int_equal(slot_of("foo{}{bar}"), 8363);
	assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
	assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
	assert_int_equal(slot_of("{bar"), 4015);
	assert_true(slot_of("foo}{") < REDIS_SLOTS);
	assert_int_equal(redis_key_slot((struct span){ "\0\xff\x80", 3 }), redis_key_slot((struct span){ "a{\0\xff\x80}", 6 }));
}

/* The slot of a command that is written with blanks; -2: it is refused. */
static int
find(const char *command, const char **why)
{
	struct arena a;
	struct span out, word[40];
	size_t n = 0;
	int slot = -7;
	enum weft_rc rc;
	const char *at = command;

	while (n < 40 && *at != '\0') {
		size_t len = strcspn(at, " ");

		word[n++] = (struct span){ at, len };
		at += len + (at[len] == ' ');
	}
	arena_init(&a, NULL, 0, 0);
	must(redis_command_args(&a, n, word, &out) == WEFT_OK);
	rc = redis_key_find(out, &slot, why);
	arena_fini(&a);
	return rc == WEFT_OK ? slot : -2;
}

static void
keys_of_a_command_are_found(void **state)
{
	static const char *const of_k[] = { "GET k", "set k v", "HSET k f v", "JSON.SET k $ 1", "MGET k {k}1 {k}2", "MSET k x {k}1 y",
		"DEL k", "EVAL script 1 k x y", "EVALSHA abc 2 k {k}x y", "eval_ro s 1 k", "FCALL f 1 k a", "XREAD STREAMS k 0",
		"XREAD COUNT 2 STREAMS k {k}2 0 0", "XREADGROUP GROUP STREAMS c STREAMS k >",
		"XREADGROUP COUNT 1 GROUP g STREAMS STREAMS k >", "OBJECT ENCODING k", "XINFO STREAM k",
		"MEMORY USAGE k SAMPLES 5", "BITOP AND k {k}1 {k}2", "RENAME k {k}2", "ZUNIONSTORE k 2 {k}1 {k}2 WEIGHTS 1 2",
		"ZUNION 2 k {k}2 WITHSCORES", "LMPOP 1 k LEFT", "SORT k BY x GET y", "COPY k {k}2 DB 0", "SINTERCARD 2 k {k}2 LIMIT 1",
		"SMOVE k {k}2 member", "LCS k {k}2 LEN" };
	static const char *const of_none[] = { "PING", "INFO stats", "SCRIPT LOAD x", "EVAL s 0 a b", "KEYS *", "SCAN 0", "PUBLISH c m",
		"FLUSHALL", "TIME", "OBJECT HELP", "GET", "EVALSHA abc", "XREAD", "CLUSTER SLOTS", "CONFIG GET save" };
	static const char *const several[] = { "MGET a b", "MSET a 1 b 2", "RENAME a b", "EVAL s 2 a b", "ZUNIONSTORE a 1 b",
		"XREAD STREAMS a b 0 0", "DEL k k k x", "BITOP OR a b" };
	static const char *const unsound[] = { "EVAL s 3 a b", "EVAL s -1 a", "EVAL s x", "ZUNION 99999999999999999999 a", "LMPOP 2 a" };
	const char *why = NULL;

	for (size_t i = 0; i < sizeof of_k / sizeof *of_k; i++)
		if (find(of_k[i], &why) != (int)slot_of("k"))
			fail_msg("%s: %d", of_k[i], find(of_k[i], &why));
	for (size_t i = 0; i < sizeof of_none / sizeof *of_none; i++)
		if (find(of_none[i], &why) != REDIS_NO_SLOT)
			fail_msg("%s: %d", of_none[i], find(of_none[i], &why));
	for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
		if (find(several[i], &why) != -2)
			fail_msg("%s", several[i]);
		assert_non_null(strstr(why, "several slots"));
	}
	for (size_t i = 0; i < sizeof unsound / sizeof *unsound; i++) {
		if (find(unsound[i], &why) != -2)
			fail_msg("%s", unsound[i]);
		assert_non_null(strstr(why, "makes no sense"));
	}
}

/* ---- the map ---- */

static struct arena arena;

static struct weft_reply *
text(const char *s)
{
	return s == NULL ? reply_new(&arena, REPLY_NIL) : reply_new_text(&arena, REPLY_TEXT, span_str(s));
}

static struct weft_reply *
number(long long n)
{
	struct weft_reply *r = reply_new(&arena, REPLY_INT);

	r->integer = n;
	return r;
}

static struct weft_reply *
array(size_t n, struct weft_reply *a, struct weft_reply *b, struct weft_reply *c)
{
	struct weft_reply *r = reply_new_array(&arena, n), *all[] = { a, b, c };

	for (size_t i = 0; i < n; i++)
		r->element[i] = all[i];
	return r;
}

static struct weft_reply *
range(long long first, long long last, const char *host, long long port, const char *id)
{
	return array(3, number(first), number(last), array(3, text(host), number(port), text(id)));
}

static int
arena_begin(void **state)
{
	arena_init(&arena, NULL, 0, 0);
	return 0;
}

static int
arena_end(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void
map_is_what_was_said_last(void **state)
{
	struct slots *s = slots_new();
	struct back_place a = { "10.0.0.1", 7000 };
	int mine;

	assert_true(slots_take(s, array(3, range(0, 5, "10.0.0.1", 7000, "A"), range(6, 16382, "", 7001, "B"), range(16383, 16383, NULL, 7002, "C")),
	    "asked", SPAN("B"), &mine));
	assert_int_equal(mine, s->of[6]);
	assert_string_equal(s->node[mine]->place.host, "asked");
	assert_int_equal(s->of[0], slots_find(s, &a));
	assert_int_equal(s->of[5], s->of[0]);
	assert_int_not_equal(s->of[16383], s->of[16382]);
	assert_int_equal(s->node[s->of[16383]]->place.port, 7002);
	assert_int_equal(s->count, 3);
	/* Somebody else has all.  A number is used anew when there is no connection to its node. */
	s->node[mine]->links = 1;
	assert_true(slots_take(s, array(1, range(1, 16383, "x", 1, "X"), NULL, NULL), "asked", SPAN("B"), &mine));
	assert_int_equal(mine, SLOTS_NOWHERE);
	assert_int_equal(s->of[0], SLOTS_NOWHERE);
	assert_int_equal(s->count, 3);
	assert_string_equal(s->node[s->of[1]]->place.host, "x");
	assert_int_equal(s->node[1]->place.port, 7001);
	slots_free(s);
}

/* Where names are told, one whose name has not got around is "?": that takes nothing from the others. */
static void
node_without_a_name_is_a_hole(void **state)
{
	struct slots *s = slots_new();
	int mine;

	assert_true(slots_take(s, array(3, range(0, 5, "a", 7000, "A"), range(6, 9, "?", 7001, "B"), range(10, 16383, "c", 7002, "C")),
	    "asked", SPAN("B"), &mine));
	assert_int_equal(mine, SLOTS_NOWHERE);
	assert_int_equal(s->of[6], SLOTS_NOWHERE);
	assert_int_equal(s->of[9], SLOTS_NOWHERE);
	assert_string_equal(s->node[s->of[5]]->place.host, "a");
	assert_string_equal(s->node[s->of[10]]->place.host, "c");
	assert_int_equal(s->count, 2);
	slots_free(s);
}

static void
map_that_makes_no_sense_changes_nothing(void **state)
{
	struct slots *s = slots_new();
	int mine;
	struct weft_reply *good = range(0, 16383, "h", 1, "A");
	struct weft_reply *bad[] = { range(-1, 5, "h", 1, "A"), range(0, 16384, "h", 1, "A"), range(5, 4, "h", 1, "A"),
		range(0, 5, "h", 0, "A"), range(0, 5, "h", 65536, "A"), range(0, 5, "a b", 1, "A"), number(5), text("x"),
		array(2, number(0), number(1), NULL), array(3, number(0), number(1), array(1, text("h"), NULL, NULL)),
		array(3, text("0"), number(1), array(2, text("h"), number(1), NULL)),
		array(3, number(0), number(1), array(2, number(1), number(1), NULL)) };

	assert_true(slots_take(s, array(1, good, NULL, NULL), "", SPAN(""), &mine));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(slots_take(s, array(2, good, bad[i], NULL), "", SPAN("A"), &mine));
	assert_false(slots_take(s, array(0, NULL, NULL, NULL), "h", SPAN(""), &mine));
	assert_false(slots_take(s, text("OK"), "h", SPAN(""), &mine));
	assert_false(slots_take(s, array(1, range(0, 5, "", 1, "A"), NULL, NULL), "", SPAN(""), &mine));
	assert_false(slots_take(s, array(1, range(0, 5, "?", 1, "A"), NULL, NULL), "h", SPAN(""), &mine));
	assert_int_equal(s->count, 1);
	assert_int_equal(s->of[16383], 0);
	slots_free(s);
}

static void
nodes_have_a_bound(void **state)
{
	struct slots *s = slots_new();
	struct back_place place = { "h", 0 };

	for (unsigned i = 0; i < SLOTS_NODES; i++) {
		place.port = i + 1;
		assert_int_equal(slots_find(s, &place), i);
		s->node[i]->links = 1;
	}
	place.port = 9999;
	assert_int_equal(slots_find(s, &place), SLOTS_NOWHERE);
	s->node[77]->links = 0;
	assert_int_equal(slots_find(s, &place), 77);
	slots_free(s);
}

static void
redirects_are_read(void **state)
{
	static const char *const bad[] = { "", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h", "MOVED 1 h:", "MOVED 1 h:0",
		"MOVED 1 h:65536", "MOVED 1 h:1x", "MOVED -1 h:1", "MOVE 1 h:1", "MOVED 1 a b:1", "MOVED 1 ?:1", "ASK" };
	struct back_place place;
	unsigned slot;

	assert_true(slots_read_redirect(SPAN("MOVED 3999 127.0.0.1:6381"), "x", &slot, &place));
	assert_int_equal(slot, 3999);
	assert_string_equal(place.host, "127.0.0.1");
	assert_int_equal(place.port, 6381);
	assert_true(slots_read_redirect(SPAN("ASK 0 ::1:7000"), "x", &slot, &place));
	assert_string_equal(place.host, "::1");
	assert_true(slots_read_redirect(SPAN("ASK 16383 :7000"), "x", &slot, &place));
	assert_string_equal(place.host, "x");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (slots_read_redirect(span_str(bad[i]), "x", &slot, &place))
			fail_msg("%s", bad[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, arena_begin, arena_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slots_are_those_of_redis),
		TEST(keys_of_a_command_are_found),
		TEST(map_is_what_was_said_last),
		TEST(node_without_a_name_is_a_hole),
		TEST(map_that_makes_no_sense_changes_nothing),
		TEST(nodes_have_a_bound),
		TEST(redirects_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
