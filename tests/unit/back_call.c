/* SPDX-License-Identifier: ISC */
/* Faults, and Redis commands and replies as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "back/call.h"
#include "back/redis/reply.h"

static void
fault_is_cut_and_cleaned(void **state)
{
	struct fault f;
	char text[400];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	fault_set(&f, WEFT_REFUSED, "A-CODE-THAT-IS-TOO-LONG-FOR-ITS-PLACE", "a\r\nb\x7f %s", text);
	assert_int_equal(f.rc, WEFT_REFUSED);
	assert_int_equal(strlen(f.code), sizeof f.code - 1);
	assert_int_equal(strlen(f.text), sizeof f.text - 1);
	assert_int_equal(strncmp(f.text, "a  b  xxx", 9), 0);
	fault_set(&f, WEFT_DOWN, NULL, "down");
	assert_string_equal(f.code, "");
}

static void
call_given_up_before_it_was_asked_is_done(void **state)
{
	struct fault f;
	struct call c;

	call_init(&c, CALL_SQL, NULL, &f);
	assert_int_equal(c.state, CALL_NEW);
	call_abandon(&c, WEFT_CANCELED);
	assert_int_equal(c.state, CALL_DONE);
	assert_int_equal(c.rc, WEFT_CANCELED);
	call_abandon(&c, WEFT_TIMEOUT);
	assert_int_equal(c.rc, WEFT_CANCELED);
	assert_string_equal(f.text, "cancelled");
}

static void
command_words_are_arguments(void **state)
{
	struct arena a;
	struct span out;

	arena_init(&a, NULL, 0, 0);
	assert_int_equal(redis_command_format(&a, &out, "  SET key:%s:%d %s  %b %%%u%lld ", "a b", -7, "", "x\0y", (size_t)3,
	    UINT_MAX, LLONG_MIN), WEFT_OK);
	assert_true(span_equal(out, SPAN("*5\r\n$3\r\nSET\r\n$10\r\nkey:a b:-7\r\n$0\r\n\r\n$3\r\nx\0y\r\n"
	    "$31\r\n%4294967295-9223372036854775808\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "A %llu %i %lli", ULLONG_MAX, 5, 6LL), WEFT_OK);
	assert_true(span_equal(out, SPAN("*4\r\n$1\r\nA\r\n$20\r\n18446744073709551615\r\n$1\r\n5\r\n$1\r\n6\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "A %ld %lu %li", -1L, ULONG_MAX, LONG_MIN), WEFT_OK);
	assert_true(span_equal(out, SPAN("*4\r\n$1\r\nA\r\n$2\r\n-1\r\n$20\r\n18446744073709551615\r\n$20\r\n-9223372036854775808\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "GET %s", (char *)NULL), WEFT_OK);
	assert_true(span_equal(out, SPAN("*2\r\n$3\r\nGET\r\n$0\r\n\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "GET %b", (char *)NULL, (size_t)7), WEFT_OK);
	assert_true(span_equal(out, SPAN("*2\r\n$3\r\nGET\r\n$0\r\n\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "%d%%%u%s%%", 1, 2u, "3"), WEFT_OK);
	assert_true(span_equal(out, SPAN("*1\r\n$5\r\n1%23%\r\n")));
	assert_int_equal(redis_command_format(&a, &out, "%s%s", "", ""), WEFT_OK);
	assert_true(span_equal(out, SPAN("*1\r\n$0\r\n\r\n")));
	arena_fini(&a);
}

static void
command_that_cannot_be_is_refused(void **state)
{
	static char many[9001];
	struct arena a;
	struct span out;

	arena_init(&a, NULL, 0, 8192);
	assert_int_equal(redis_command_format(&a, &out, "   "), WEFT_INVALID);
	assert_int_equal(redis_command_format(&a, &out, "GET %x", 1), WEFT_INVALID);
	assert_int_equal(redis_command_format(&a, &out, "GET %"), WEFT_INVALID);
	assert_int_equal(redis_command_format(&a, &out, "GET %l", 1L), WEFT_INVALID);
	assert_int_equal(redis_command_format(&a, &out, "GET %ls", L""), WEFT_INVALID);
	for (size_t i = 0; i <= REDIS_WORDS_MAX; i++)
		memcpy(many + 2 * i, "a ", 2);
	assert_int_equal(redis_command_format(&a, &out, many), WEFT_INVALID);
	assert_int_equal(redis_command_format(&a, &out, "SET %b", many, (size_t)9000), WEFT_SYSTEM);
	assert_int_equal(redis_command_args(&a, 0, NULL, &out), WEFT_INVALID);
	assert_int_equal(redis_command_args(&a, 1, &(struct span){ many, 9000 }, &out), WEFT_SYSTEM);
	arena_fini(&a);
}

static void
command_of_spans(void **state)
{
	struct span argv[] = { SPAN("SET"), { NULL, 0 }, SPAN("a b") }, out;
	struct arena a;

	arena_init(&a, NULL, 0, 0);
	assert_int_equal(redis_command_args(&a, 3, argv, &out), WEFT_OK);
	assert_true(span_equal(out, SPAN("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na b\r\n")));
	arena_fini(&a);
}

static void
commands_that_would_harm_others_are_refused(void **state)
{
	static const char *const harm[] = { "blpop k 0", "BRPOP k 0", "BLMOVE a b LEFT RIGHT 0", "BRPOPLPUSH a b 0", "BZPOPMIN k 0",
		"bzpopmax k 0", "BLMPOP 0 1 k LEFT", "BZMPOP 0 1 k MIN", "XREAD COUNT 1 BLOCK 0 STREAMS s 0",
		"XREADGROUP GROUP g c block 0 STREAMS s 0", "XREADGROUP GROUP g streams BLOCK 0 STREAMS s >", "WAIT 1 0",
		"WAITAOF 1 1 0", "MULTI", "EXEC", "DISCARD", "WATCH k",
		"UNWATCH", "SELECT 1", "AUTH x", "QUIT", "RESET", "HELLO 3", "CLIENT REPLY OFF", "client tracking on", "CLIENT NO-TOUCH on", "SUBSCRIBE c",
		"PSUBSCRIBE c", "SSUBSCRIBE c", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "monitor", "SYNC", "PSYNC ? -1" };
	static const char *const fine[] = { "GET k", "SET k v", "BITCOUNT k", "XREAD COUNT 1 STREAMS block 0",
		"XREADGROUP GROUP block block STREAMS s >", "CLIENT SETNAME reply", "CLIENT ID", "EVAL x 0", "PING", "WAITING", "SELECTOR", "Z", "EXISTS multi", "LPOP k", "SCRIPT LOAD x" };
	struct arena a;
	struct span out;
	const char *why;

	arena_init(&a, NULL, 0, 0);
	for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
		assert_int_equal(redis_command_format(&a, &out, harm[i]), WEFT_OK);
		if (redis_command_check(out, &why) != WEFT_INVALID)
			fail_msg("%s", harm[i]);
		assert_non_null(strstr(why, "shared"));
	}
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		assert_int_equal(redis_command_format(&a, &out, fine[i]), WEFT_OK);
		if (redis_command_check(out, &why) != WEFT_OK)
			fail_msg("%s: %s", fine[i], why);
	}
	arena_fini(&a);
}

static void
a_borrower_may_do_more(void **state)
{
	static const struct {
		const char *command;
		enum redis_effect effect;
	} fine[] = { { "GET k", REDIS_PLAIN }, { "blpop k 0", REDIS_WAITS }, { "XREAD COUNT 1 BLOCK 0 STREAMS s 0", REDIS_WAITS },
		{ "XREAD STREAMS block 0", REDIS_PLAIN }, { "MULTI", REDIS_BEGINS }, { "exec", REDIS_EXECUTES },
		{ "DISCARD", REDIS_EXECUTES }, { "WATCH a b", REDIS_WATCHES }, { "UNWATCH", REDIS_UNWATCHES }, { "SELECT 1", REDIS_MOVES },
		{ "CLIENT TRACKING on", REDIS_SPOILS }, { "CLIENT ID", REDIS_PLAIN } };
	static const char *const never[] = { "SUBSCRIBE c", "monitor", "PSYNC ? -1", "AUTH x", "HELLO 3", "RESET", "QUIT", "CLIENT REPLY OFF" };
	enum redis_effect effect;
	struct arena a;
	struct span out;
	const char *why;

	arena_init(&a, NULL, 0, 0);
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		assert_int_equal(redis_command_format(&a, &out, fine[i].command), WEFT_OK);
		if (redis_command_look(out, &effect, &why) != WEFT_OK)
			fail_msg("%s: %s", fine[i].command, why);
		assert_int_equal(effect, fine[i].effect);
		for (size_t cut = 0; cut < out.len; cut++)
			assert_int_equal(redis_command_look((struct span){ out.at, cut }, &effect, &why), WEFT_INVALID);
	}
	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		assert_int_equal(redis_command_format(&a, &out, never[i]), WEFT_OK);
		if (redis_command_look(out, &effect, &why) != WEFT_INVALID)
			fail_msg("%s", never[i]);
		assert_null(strstr(why, "shared"));
	}
	arena_fini(&a);
}

static void
bytes_that_are_not_one_command_are_refused(void **state)
{
	static const char whole[] = "*2\r\n$3\r\nGET\r\n$12\r\n123456789012\r\n";
	static const struct span bad[] = { { "", 0 }, { "PING\r\n", 6 }, { "*0\r\n", 4 }, { "*-1\r\n", 5 }, { "*1\r\n$-1\r\n", 9 },
		{ "*1\r\n$4\r\nPINGxx", 14 }, { "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", 28 },
		{ "*1\r\n$99999999999999999999999\r\nPING\r\n", 37 }, { "*1\r\n$\r\nPING\r\n", 13 },
		{ "*1\r\n$0\r\n\r\n", 10 }, { "*01\r\n$4\r\nPING\r\n", 15 }, { "*1\r\n$04\r\nPING\r\n", 15 } };
	const char *why;

	assert_int_equal(redis_command_check((struct span){ whole, sizeof whole - 1 }, &why), WEFT_OK);
	for (size_t cut = 0; cut < sizeof whole - 1; cut++)
		assert_int_equal(redis_command_check((struct span){ whole, cut }, &why), WEFT_INVALID);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(redis_command_check(bad[i], &why), WEFT_INVALID);
}

static void
replies_are_built_within_the_arena(void **state)
{
	struct weft_reply *r;
	char code[16], small[4];
	struct arena a;

	arena_init(&a, NULL, 0, 8192);
	r = reply_new_text(&a, REPLY_ERROR, SPAN("WRONGTYPE Operation"));
	reply_error_code(r, code, sizeof code);
	assert_string_equal(code, "WRONGTYPE");
	reply_error_code(r, small, sizeof small);
	assert_string_equal(small, "WRO");
	r = reply_new_array(&a, 3);
	assert_int_equal(r->count, 3);
	assert_null(r->element[2]);
	assert_null(reply_new_array(&a, 10000));
	assert_null(reply_new_text(&a, REPLY_TEXT, (struct span){ small, 1 << 20 }));
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_is_cut_and_cleaned),
		cmocka_unit_test(call_given_up_before_it_was_asked_is_done),
		cmocka_unit_test(command_words_are_arguments),
		cmocka_unit_test(command_that_cannot_be_is_refused),
		cmocka_unit_test(command_of_spans),
		cmocka_unit_test(commands_that_would_harm_others_are_refused),
		cmocka_unit_test(a_borrower_may_do_more),
		cmocka_unit_test(bytes_that_are_not_one_command_are_refused),
		cmocka_unit_test(replies_are_built_within_the_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
