/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fastcgi.h>
#include <stdlib.h>
#include <string.h>

#include "gate/params.h"

/* Check BEGIN_REQUEST and every header, and join the content of the PARAMS records. */
static size_t
params_join(const unsigned char *all, size_t len, unsigned char *out, size_t *records)
{
	static const unsigned char begin[16] = { 1, FCGI_BEGIN_REQUEST, 0, 1, 0, 8, 0, 0, 0, FCGI_RESPONDER };
	size_t at = sizeof begin, joined = 0;

	assert_memory_equal(all, begin, sizeof begin);
	for (*records = 0;; ++*records) {
		size_t n;

		assert_true(at + 8 <= len);
		assert_int_equal(all[at], 1);
		assert_int_equal(all[at + 1], FCGI_PARAMS);
		assert_int_equal(all[at + 3], 1);
		n = (size_t)all[at + 4] << 8 | all[at + 5];
		at += 8;
		if (n == 0)
			break;
		memcpy(out + joined, all + at, n);
		joined += n;
		at += n;
	}
	assert_int_equal(at, len);
	return joined;
}

static void
params_of_an_environment(void **state)
{
	static const char want[] = "\1\1AB\1\0X\3\4ABCa=b=";
	char *env[] = { "A=B", "X=", "nothing", "ABC=a=b=", NULL };
	unsigned char joined[64];
	size_t len, records;
	unsigned char *all = params_encode(env, &len);

	(void)state;
	assert_int_equal(params_join(all, len, joined, &records), sizeof want - 1);
	assert_memory_equal(joined, want, sizeof want - 1);
	assert_int_equal(records, 1);
	free(all);
}

static void
params_of_nothing(void **state)
{
	char *env[] = { NULL };
	unsigned char joined[1];
	size_t len, records;
	unsigned char *all = params_encode(env, &len);

	(void)state;
	assert_int_equal(params_join(all, len, joined, &records), 0);
	assert_int_equal(records, 0);
	free(all);
}

/* Whatever the length, nothing is lost at the border of a record, and no record is empty but the last. */
static void
params_of_any_length(void **state)
{
	static const size_t lengths[] = { 126, 127, 128, 65526, 65527, 65528, 65529, 65530, 65531, 131060, 131061, 131062,
		131063, 200000 };
	static char pair[200003] = "N=";
	static unsigned char joined[200100];
	char *env[] = { pair, NULL };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		size_t n = lengths[i], head = n < 128 ? 2 : 5, len, records;
		unsigned char *all;

		memset(pair + 2, 'v', n);
		pair[2] = 'a';
		pair[n + 1] = 'z';
		pair[n + 2] = '\0';
		all = params_encode(env, &len);
		assert_int_equal(params_join(all, len, joined, &records), head + 1 + n);
		assert_int_equal(records, (head + 1 + n + 65534) / 65535);
		assert_memory_equal(joined + head, "N", 1);
		assert_memory_equal(joined + head + 1, pair + 2, n);
		if (n >= 128)
			assert_int_equal((joined[1] & 0x7f) << 24 | joined[2] << 16 | joined[3] << 8 | joined[4], n);
		free(all);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(params_of_an_environment),
		cmocka_unit_test(params_of_nothing),
		cmocka_unit_test(params_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
