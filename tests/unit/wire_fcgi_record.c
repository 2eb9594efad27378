/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire/fcgi_record.h"

static void
head_is_decoded(void **state)
{
	static const char wire[] = "\1\6\xff\xfe\x12\x34\xff\x99";
	struct fcgi_head h;

	(void)state;
	assert_int_equal(fcgi_head_decode((struct span){ wire, 8 }, &h), FCGI_OK);
	assert_int_equal(h.type, FCGI_STDOUT);
	assert_int_equal(h.id, 0xfffe);
	assert_int_equal(h.length, 0x1234);
	assert_int_equal(h.padding, 255);
}

static void
head_waits_for_eight_bytes(void **state)
{
	static const char wire[] = "\1\6\0\1\0\0\0\0";
	struct fcgi_head h = { .type = 99 };

	(void)state;
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(fcgi_head_decode((struct span){ wire, n }, &h), FCGI_MORE);
	assert_int_equal(fcgi_head_decode((struct span){ NULL, 0 }, &h), FCGI_MORE);
	assert_int_equal(h.type, 99);
}

static void
head_of_another_version_is_bad(void **state)
{
	struct fcgi_head h = { .type = 99 };

	(void)state;
	for (int version = 0; version < 256; version++) {
		char wire[8] = { (char)version };

		if (version == FCGI_VERSION_1)
			continue;
		for (size_t n = 1; n <= 8; n++)
			assert_int_equal(fcgi_head_decode((struct span){ wire, n }, &h), FCGI_BAD);
	}
	assert_int_equal(h.type, 99);
}

static void
head_survives_both_ways(void **state)
{
	struct fcgi_head h = { FCGI_PARAMS, 7, 0x0102, 0xfffe }, back;
	unsigned char wire[8];

	(void)state;
	memset(wire, 0xee, sizeof wire);
	fcgi_head_encode(wire, &h);
	assert_memory_equal(wire, "\1\4\1\2\xff\xfe\7\0", 8);
	assert_int_equal(fcgi_head_decode((struct span){ (char *)wire, 8 }, &back), FCGI_OK);
	assert_memory_equal(&h, &back, sizeof h);
}

/* L05, L06 */
static void
begin_is_eight_bytes(void **state)
{
	static const char body[] = "\1\3\xfe\xff\xff\xff\xff\xff\xff";
	struct fcgi_begin b = { .role = 99 };

	(void)state;
	for (size_t n = 0; n <= 9; n++)
		if (n != 8)
			assert_int_equal(fcgi_begin_decode((struct span){ body, n }, &b), FCGI_BAD);
	assert_int_equal(b.role, 99);
	assert_int_equal(fcgi_begin_decode((struct span){ body, 8 }, &b), FCGI_OK);
	assert_int_equal(b.role, 0x103);
	assert_int_equal(b.flags, 0xfe);
}

/* A17: no byte of what was there before gets out */
static void
bodies_are_encoded_whole(void **state)
{
	unsigned char wire[16];

	(void)state;
	memset(wire, 0xee, sizeof wire);
	fcgi_begin_encode(wire, 0x0102, &(struct fcgi_begin){ FCGI_FILTER, FCGI_KEEP_CONN });
	assert_memory_equal(wire, "\1\1\1\2\0\10\0\0\0\3\1\0\0\0\0\0", 16);
	memset(wire, 0xee, sizeof wire);
	fcgi_end_encode(wire, 0xffff, 0xfedcba98, FCGI_OVERLOADED);
	assert_memory_equal(wire, "\1\3\xff\xff\0\10\0\0\xfe\xdc\xba\x98\2\0\0\0", 16);
	memset(wire, 0xee, sizeof wire);
	fcgi_unknown_encode(wire, 200);
	assert_memory_equal(wire, "\1\13\0\0\0\10\0\0\xc8\0\0\0\0\0\0\0", 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_is_decoded),
		cmocka_unit_test(head_waits_for_eight_bytes),
		cmocka_unit_test(head_of_another_version_is_bad),
		cmocka_unit_test(head_survives_both_ways),
		cmocka_unit_test(begin_is_eight_bytes),
		cmocka_unit_test(bodies_are_encoded_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
