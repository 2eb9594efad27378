/* SPDX-License-Identifier: ISC */
/*
 * Pairs are decoded, encoded and decoded again: the same pairs, never in more
 * bytes.  A pair that is cut anywhere wants more.
 */
#include "fuzz.h"
#include "wire/fcgi_param.h"

/* The pair, cut short at a place of chance, is not a pair. */
static void
param_check_cut(struct span pair, uint32_t *seed)
{
	struct span copy = fuzz_copy(pair.at, fuzz_random(seed) % pair.len), in = copy;
	struct fcgi_param p;

	must(fcgi_param_next(&in, &p) == FCGI_MORE);
	must(in.at == copy.at && in.len == copy.len);
	fuzz_free(copy);
}

/* Encoded into just enough room, it is the same pair, and as long as the input's where that wasted nothing. */
static void
param_check_again(const struct fcgi_param *p, size_t was)
{
	size_t need = fcgi_param_encode(NULL, 0, p->name, p->value);
	char *out = malloc(need), *small = malloc(need - 1);
	struct span in = { out, need };
	struct fcgi_param again;

	must(out != NULL && small != NULL && need <= was);
	must(fcgi_param_encode(small, need - 1, p->name, p->value) == need);
	must(fcgi_param_encode(out, need, p->name, p->value) == need);
	must(fcgi_param_next(&in, &again) == FCGI_OK && in.len == 0);
	must(span_equal(again.name, p->name) && span_equal(again.value, p->value));
	free(out);
	free(small);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span whole = fuzz_copy(data, size), in = whole, before = whole;
	uint32_t seed = fuzz_hash(1, data, size);
	struct fcgi_param p;
	enum fcgi_rc rc;

	while ((rc = fcgi_param_next(&in, &p)) == FCGI_OK) {
		size_t used = before.len - in.len;

		must(used >= 2 && in.at == before.at + used);
		must(
		    p.name.at > before.at && p.name.at + p.name.len == p.value.at && p.value.at + p.value.len == in.at);
		param_check_cut((struct span){ before.at, used }, &seed);
		param_check_again(&p, used);
		before = in;
	}
	must(rc == FCGI_MORE && in.at == before.at && in.len == before.len);
	fuzz_free(whole);
	return 0;
}
