/* SPDX-License-Identifier: ISC */
/*
 * Pairs lie in the input, in order, and cover all of it but '&' and '='.
 * Decoding never grows and may be done in place; what is encoded decodes to
 * itself, in both readings of '+'.
 */
#include "fuzz.h"
#include "wire/urlencoded.h"

static void
percent_check_decode(struct span in, enum percent_plus plus)
{
	struct span same = fuzz_copy(in.at, in.len);
	char *out = malloc(in.len + 1);
	size_t n;

	must(out != NULL);
	out[in.len] = '!';
	n = percent_decode(out, in, plus);
	must(n <= in.len && out[in.len] == '!');
	must(percent_decode((char *)(uintptr_t)same.at, same, plus) == n);
	must(memcmp(out, same.at, n) == 0);
	free(out);
	fuzz_free(same);
}

static void
percent_check_encode(struct span in)
{
	size_t need = percent_encode(NULL, 0, in);
	char *out = malloc(need + 1);

	must(out != NULL && need >= in.len && need <= 3 * in.len);
	out[need] = '!';
	must(percent_encode(out, need, in) == need && out[need] == '!');
	for (size_t i = 0; i < need; i++)
		must(strchr("&=+ ;\"'<>/?#\r\n", out[i]) == NULL);
	must(percent_decode(out, (struct span){ out, need }, (enum percent_plus)(need & 1)) == in.len);
	must(in.len == 0 || memcmp(out, in.at, in.len) == 0);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span whole = fuzz_copy(data, size), in = whole, name, value;
	const char *last = whole.at;
	size_t left = size;

	for (size_t i = 0; i < size; i++)
		left -= data[i] == '&';
	while (urlencoded_next(&in, &name, &value)) {
		must(fuzz_is_within(name, whole) && fuzz_is_within(value, whole) && fuzz_is_within(in, whole));
		must(name.at >= last && value.at >= name.at + name.len && in.at >= value.at + value.len);
		must(name.len == 0 || memchr(name.at, '=', name.len) == NULL);
		/* What is left out of a pair is its '='. */
		left -= name.len + value.len + (value.at > name.at + name.len);
		last = in.at;
		percent_check_decode(value, PERCENT_PLUS_IS_SPACE);
	}
	must(in.len == 0 && left == 0);
	percent_check_decode(whole, PERCENT_PLUS_IS_PLUS);
	percent_check_encode(whole);
	fuzz_free(whole);
	return 0;
}
