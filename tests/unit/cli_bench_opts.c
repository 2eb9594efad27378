/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/bench_opts.h"

static struct bench_opts o;
static char error[256];

/* Parse words that blanks separate.  Returns what bench_opts_parse does. */
static int
parse(const char *line)
{
	static char copy[8192];
	char *argv[32] = { (char *)"bench" };
	int argc = 1;

	assert_true(strlen(line) < sizeof copy);
	strcpy(copy, line);
	error[0] = '\0';
	for (char *word = strtok(copy, " "); word != NULL && argc < 31; word = strtok(NULL, " "))
		argv[argc++] = word;
	return bench_opts_parse(&o, argc, argv, error, sizeof error);
}

static void
refused(const char *line, const char *why)
{
	assert_int_equal(parse(line), -1);
	if (strstr(error, why) == NULL)
		fail_msg("\"%s\" is refused with: %s", line, error);
}

static void
defaults_are_set(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_null(o.address);
	assert_string_equal(o.uri, "/");
	assert_int_equal(o.requests, 10000);
	assert_int_equal(o.connections, 16);
	assert_int_equal(o.ids, 1);
	assert_int_equal(o.reuse, BENCH_KEEP);
	assert_int_equal(o.expect, BENCH_EXPECT_ANY);
	assert_int_equal(o.pid, 0);
	assert_false(o.json);
}

static void
all_options_are_taken(void **state)
{
	(void)state;
	assert_int_equal(parse("-a unix:/s -c f -n 5 -k 10000 -m 6 -K -u /a?b=%r -r 77 -v A=b=c -v D= -e Hello -P 77 -j"), 0);
	assert_string_equal(o.address, "unix:/s");
	assert_string_equal(o.config, "f");
	assert_int_equal(o.requests, 5);
	assert_int_equal(o.connections, 10000);
	assert_int_equal(o.ids, 6);
	assert_int_equal(o.reuse, BENCH_NEW);
	assert_string_equal(o.uri, "/a?b=%r");
	assert_int_equal(o.random_max, 77);
	assert_int_equal(o.nvars, 2);
	assert_string_equal(o.vars[0], "A=b=c");
	assert_int_equal(o.pid, 77);
	assert_true(o.json);
}

static void
time_takes_the_place_of_a_number(void **state)
{
	(void)state;
	assert_int_equal(parse("-t 0.5"), 0);
	assert_int_equal(o.requests, 0);
	assert_true(o.seconds > 0.49 && o.seconds < 0.51);
}

static void
what_is_expected_is_a_length_or_a_body(void **state)
{
	(void)state;
	assert_int_equal(parse("-e 13"), 0);
	assert_int_equal(o.expect, BENCH_EXPECT_LENGTH);
	assert_int_equal(o.expect_len, 13);
	assert_int_equal(parse("-e 13a"), 0);
	assert_int_equal(o.expect, BENCH_EXPECT_BODY);
	assert_string_equal(o.expect_body, "13a");
	assert_int_equal(parse("-e =13"), 0);
	assert_int_equal(o.expect, BENCH_EXPECT_BODY);
	assert_string_equal(o.expect_body, "13");
	assert_int_equal(o.expect_len, 2);
}

static void
what_cannot_be_used_is_refused(void **state)
{
	(void)state;
	refused("-n 0", "-n is a number from 1");
	refused("-n -1", "-n is a number from 1");
	refused("-n 5x", "-n is a number from 1");
	refused("-k 10001", "-k is a number from 1 to 10000");
	refused("-m 1001", "-m is a number from 1 to 1000");
	refused("-r 0", "-r is a number from 1 to 10000");
	refused("-r 10001", "-r is a number from 1 to 10000");
	refused("-P 0", "-P is a number");
	refused("-t 0", "-t is a number of seconds");
	refused("-t nan", "-t is a number of seconds");
	refused("-t 1s", "-t is a number of seconds");
	refused("-u item", "-u is a path");
	refused("-u /\x01", "-u holds no blanks");
	refused("-v A", "-v is NAME=value");
	refused("-v =a", "-v is NAME=value");
	refused("-n 5 -t 5", "-n and -t");
	refused("-k 10000 -m 10", "-k times -m");
	refused("-n", "-n wants an argument");
	refused("-x", "-x is no option");
	refused("extra", "extra: not an option");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_set),
		cmocka_unit_test(all_options_are_taken),
		cmocka_unit_test(time_takes_the_place_of_a_number),
		cmocka_unit_test(what_is_expected_is_a_length_or_a_body),
		cmocka_unit_test(what_cannot_be_used_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
