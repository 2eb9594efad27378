/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/bench_answer.h"
#include "cli/bench_request.h"

static const struct bench_opts any = { .expect = BENCH_EXPECT_ANY };
static const struct bench_opts hello = { .expect = BENCH_EXPECT_BODY, .expect_body = "hello", .expect_len = 5 };
static const struct bench_opts five = { .expect = BENCH_EXPECT_LENGTH, .expect_len = 5 };

/* Whatever the pieces are in which it comes, the verdict is the same. */
static void
verdict(const struct bench_opts *o, const char *text, enum bench_error_kind kind)
{
	static struct bench_answer a;
	size_t len = strlen(text);

	for (size_t cut = 0; cut <= len; cut++) {
		bench_answer_init(&a);
		bench_answer_feed(&a, o, (struct span){ text, cut });
		bench_answer_feed(&a, o, (struct span){ text + cut, len - cut });
		assert_int_equal(bench_answer_end(&a, o), kind);
	}
	bench_answer_init(&a);
	for (size_t i = 0; i < len; i++)
		bench_answer_feed(&a, o, (struct span){ text + i, 1 });
	assert_int_equal(bench_answer_end(&a, o), kind);
}

static void
an_answer_is_checked_however_it_is_cut(void **state)
{
	(void)state;
	verdict(&any, "Status: 200 OK\r\nA: b\r\n\r\nanything", BENCH_OK);
	verdict(&any, "A: b\n\n", BENCH_OK);
	verdict(&hello, "A: b\r\n\r\nhello", BENCH_OK);
	verdict(&five, "A: b\r\n\r\n12345", BENCH_OK);
	verdict(&hello, "A: b\r\n\r\nhellO", BENCH_BODY);
	verdict(&hello, "A: b\r\n\r\nhell", BENCH_BODY);
	verdict(&hello, "A: b\r\n\r\nhello!", BENCH_BODY);
	verdict(&five, "A: b\r\n\r\n123456", BENCH_BODY);
	verdict(&five, "A: b\r\n\r\n", BENCH_BODY);
	verdict(&any, "Status: 404 Not Found\r\n\r\n", BENCH_STATUS);
	verdict(&hello, "status: 500\r\n\r\nanother body", BENCH_STATUS);
	verdict(&any, "Status: x\r\n\r\n", BENCH_STATUS);
	verdict(&any, "", BENCH_HEAD);
	verdict(&any, "A: b\r\n", BENCH_HEAD);
	verdict(&any, "no colon\r\n\r\n", BENCH_HEAD);
}

static void
a_line_that_never_ends_is_refused(void **state)
{
	static struct bench_answer a;
	char line[BENCH_LINE_MAX];

	(void)state;
	memset(line, 'a', sizeof line);
	bench_answer_init(&a);
	bench_answer_feed(&a, &any, (struct span){ line, sizeof line });
	bench_answer_feed(&a, &any, (struct span){ line, 1 });
	assert_int_equal(bench_answer_end(&a, &any), BENCH_HEAD);
}

/* The number stands wherever the URI does, with as many digits as it has, and the id in each record. */
static void
requests_differ_in_id_and_number(void **state)
{
	const struct bench_opts o = { .uri = "/item/%r?again=%r" };
	struct bench_request r;
	unsigned char out[4096];
	char number[8], *at, *end;
	size_t n;

	(void)state;
	assert_int_equal(bench_request_init(&r, &o), 0);
	assert_true(r.size <= sizeof out - 1);
	for (int i = 0; i < 1000; i++) {
		n = bench_request_next(&r, out, 0x0102);
		assert_true(n <= r.size);
		assert_memory_equal(out + 2, "\1\2", 2);
		assert_memory_equal(out + 18, "\1\2", 2);
		assert_memory_equal(out + n - 6, "\1\2", 2);
		assert_memory_equal(out + n - 14, "\1\2", 2);
		at = memmem(out, n, "REQUEST_URI/item/", 17);
		assert_non_null(at);
		end = memchr(at, '?', (size_t)((char *)out + n - at));
		assert_non_null(end);
		assert_true((size_t)(end - at) < 17 + sizeof number);
		memcpy(number, at + 17, (size_t)(end - at) - 17);
		number[end - at - 17] = '\0';
		assert_true(strspn(number, "0123456789") == strlen(number) && number[0] >= '1');
		assert_memory_equal(end, "?again=", 7);
		assert_memory_equal(end + 7, number, strlen(number));
		/* The lengths before the name say so as well. */
		assert_int_equal((unsigned char)at[-1], 13 + 2 * strlen(number));
	}
	bench_request_fini(&r);
}

static void
numbers_are_as_high_as_is_said(void **state)
{
	const struct bench_opts o = { .uri = "/%r", .random_max = 3 };
	struct bench_request r;
	unsigned char out[4096];
	bool seen[4] = { false };

	(void)state;
	assert_int_equal(bench_request_init(&r, &o), 0);
	for (int i = 0; i < 100; i++) {
		size_t n = bench_request_next(&r, out, 1);
		const char *at = memmem(out, n, "REQUEST_URI/", 12);

		assert_non_null(at);
		assert_in_range(at[12], '1', '3');
		seen[at[12] - '0'] = true;
	}
	assert_true(seen[1] && seen[2] && seen[3]);
	bench_request_fini(&r);
}

static void
a_uri_with_too_many_numbers_is_refused(void **state)
{
	const struct bench_opts o = { .uri = "/%r/%r/%r/%r/%r/%r/%r" };
	struct bench_request r;

	(void)state;
	assert_int_equal(bench_request_init(&r, &o), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_checked_however_it_is_cut),
		cmocka_unit_test(a_line_that_never_ends_is_refused),
		cmocka_unit_test(requests_differ_in_id_and_number),
		cmocka_unit_test(numbers_are_as_high_as_is_said),
		cmocka_unit_test(a_uri_with_too_many_numbers_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
