/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/fcgi_param.h"

static char text[70000];

static int
param_fill_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i % 26);
	return 0;
}

/* A prefix, in a block of its own size, so that a sanitizer sees a read beyond it. */
static enum fcgi_rc
param_next_of_copy(struct span s, struct span *name, struct span *value)
{
	char *copy = malloc(s.len > 0 ? s.len : 1);
	struct span in = { copy, s.len };
	struct fcgi_param p = { { text, 1 }, { text, 2 } };
	enum fcgi_rc rc;

	assert_non_null(copy);
	memcpy(copy, s.at, s.len);
	rc = fcgi_param_next(&in, &p);
	if (rc == FCGI_OK) {
		assert_int_equal(in.at + in.len - copy, s.len);
		*name = (struct span){ s.at + (p.name.at - copy), p.name.len };
		*value = (struct span){ s.at + (p.value.at - copy), p.value.len };
	} else {
		assert_true(in.at == copy && in.len == s.len);
		assert_true(p.name.at == text && p.name.len == 1 && p.value.at == text && p.value.len == 2);
	}
	free(copy);
	return rc;
}

/* Encode a pair; every prefix of it wants more, the whole is the pair. */
static void
param_check_pair(size_t name_len, size_t value_len)
{
	static char wire[2 * sizeof text + 8];
	struct span name = { text, name_len }, value = { text + 1, value_len }, n, v;
	size_t need = fcgi_param_encode(NULL, 0, name, value);
	size_t stride = need < 3000 ? 1 : 997;

	assert_int_equal(need, name_len + value_len + (name_len > 127 ? 4 : 1) + (value_len > 127 ? 4 : 1));
	wire[0] = '!';
	assert_int_equal(fcgi_param_encode(wire, need - 1, name, value), need);
	assert_int_equal(wire[0], '!');
	wire[need] = '!';
	assert_int_equal(fcgi_param_encode(wire, need, name, value), need);
	assert_int_equal(wire[need], '!');
	for (size_t cut = 0; cut < need; cut += cut < 20 ? 1 : stride)
		assert_int_equal(param_next_of_copy((struct span){ wire, cut }, &n, &v), FCGI_MORE);
	assert_int_equal(param_next_of_copy((struct span){ wire, need - 1 }, &n, &v), FCGI_MORE);
	assert_int_equal(param_next_of_copy((struct span){ wire, need + 1 }, &n, &v), FCGI_OK);
	assert_int_equal(param_next_of_copy((struct span){ wire, need }, &n, &v), FCGI_OK);
	assert_true(span_equal(n, name) && span_equal(v, value));
}

/* A08, A11, A12, A13 */
static void
param_survives_every_cut(void **state)
{
	static const size_t lens[] = { 0, 1, 2, 126, 127, 128, 255, 256, 1000, 65535, 65536 };
	enum { N = sizeof lens / sizeof lens[0] };

	(void)state;
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < N; k++)
			param_check_pair(lens[i], lens[k]);
}

/* A10: long lengths for short things */
static void
param_takes_long_forms(void **state)
{
	static const struct span wires[] = {
		{ "\3\x80\0\0\3X_Eabc", 11 },
		{ "\x80\0\0\3\3X_Eabc", 11 },
		{ "\x80\0\0\3\x80\0\0\3X_Eabc", 14 },
		{ "\3\3X_Eabc", 8 },
	};
	struct span n, v;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (size_t cut = 0; cut < wires[i].len; cut++)
			assert_int_equal(param_next_of_copy((struct span){ wires[i].at, cut }, &n, &v), FCGI_MORE);
		assert_int_equal(param_next_of_copy(wires[i], &n, &v), FCGI_OK);
		assert_true(span_equal(n, SPAN("X_E")) && span_equal(v, SPAN("abc")));
	}
}

static void
params_follow_each_other(void **state)
{
	struct span in = SPAN("\1\0A\0\1b\0\0\1\200\0\0\2Ccd\1");
	static const char *const want[] = { "A", "", "", "b", "", "", "C", "cd" };
	struct fcgi_param p;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(fcgi_param_next(&in, &p), FCGI_OK);
		assert_true(span_equal(p.name, span_str(want[2 * i])));
		assert_true(span_equal(p.value, span_str(want[2 * i + 1])));
	}
	assert_int_equal(fcgi_param_next(&in, &p), FCGI_MORE);
	assert_int_equal(in.len, 1);
	in = (struct span){ NULL, 0 };
	assert_int_equal(fcgi_param_next(&in, &p), FCGI_MORE);
}

/* B01, B11, M05: lengths that are not there, and sums that do not fit in 32 bits */
static void
param_does_not_believe_lengths(void **state)
{
	static const struct span heads[] = {
		{ "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
		{ "\xff\xff\xff\xfe\4", 5 },
		{ "\xc0\0\0\0\xc0\0\0\0", 8 },
		{ "\xff\xff\xff\xff\1", 5 },
		{ "\1\xff\xff\xff\xff", 5 },
		{ "\0\xff\xff\xff\xff", 5 },
		{ "\x7f\x7f", 2 },
	};
	char wire[128];
	struct span n, v;

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		struct span in = { wire, sizeof wire };
		struct fcgi_param p;

		memset(wire, 0x41, sizeof wire);
		memcpy(wire, "\1\1xy", 4);
		memcpy(wire + 4, heads[i].at, heads[i].len);
		assert_int_equal(fcgi_param_next(&in, &p), FCGI_OK);
		assert_int_equal(in.len, sizeof wire - 4);
		assert_int_equal(param_next_of_copy(in, &n, &v), FCGI_MORE);
	}
}

static void
param_too_long_never_fits(void **state)
{
	static const struct span huge = { NULL, FCGI_PARAM_MAX };
	char out[16];

	(void)state;
	assert_true(fcgi_param_encode(out, sizeof out, huge, SPAN("x")) == SIZE_MAX);
	assert_true(fcgi_param_encode(out, sizeof out, SPAN("x"), huge) == SIZE_MAX);
	assert_true(fcgi_param_encode(out, sizeof out, (struct span){ NULL, SIZE_MAX }, SPAN("")) == SIZE_MAX);
	assert_true(fcgi_param_encode(out, sizeof out, huge, SPAN("")) == (size_t)FCGI_PARAM_MAX + 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(param_survives_every_cut),
		cmocka_unit_test(param_takes_long_forms),
		cmocka_unit_test(params_follow_each_other),
		cmocka_unit_test(param_does_not_believe_lengths),
		cmocka_unit_test(param_too_long_never_fits),
	};

	return cmocka_run_group_tests(tests, param_fill_text, NULL);
}
