/* SPDX-License-Identifier: ISC */
/*
 * A head is read to its end, its want of more, or its first bad line; fields
 * lie in the input, and what is accepted could be sent on: no CR, LF, NUL.
 * Read in two parts it says the same as whole.
 */
#include "fuzz.h"
#include "wire/cgi_head.h"

static uint32_t
head_note(uint32_t digest, struct span s)
{
	return fuzz_hash(fuzz_hash(digest, s.at, s.len), "", 1);
}

static void
head_check_field(struct span name, struct span value)
{
	struct span reason;
	int code;

	must(cgi_name_is_valid(name) && cgi_value_is_valid(value));
	for (size_t i = 0; i < value.len; i++)
		must(value.at[i] != '\r' && value.at[i] != '\n' && value.at[i] != '\0');
	must(value.len == 0 || (value.at[0] != ' ' && value.at[value.len - 1] != '\t'));
	code = cgi_head_status(value, &reason);
	must(code == 0 || (code >= 100 && code <= 999 && fuzz_is_within(reason, value)));
	must(cgi_reason(code) != NULL);
}

/* Read fields until something else comes, and add them to the digest. */
static enum cgi_head_rc
head_read(struct span *in, uint32_t *digest)
{
	struct span name, value, before = *in;
	enum cgi_head_rc rc;

	while ((rc = cgi_head_next(in, &name, &value)) == CGI_HEAD_FIELD) {
		must(fuzz_is_within(name, before) && fuzz_is_within(value, before) && fuzz_is_within(*in, before));
		must(value.at > name.at + name.len && in->at > value.at + value.len - (value.len == 0));
		head_check_field(name, value);
		*digest = head_note(head_note(*digest, name), value);
		before = *in;
	}
	if (rc == CGI_HEAD_END)
		must(in->at > before.at && in->at[-1] == '\n');
	else
		must(in->at == before.at && in->len == before.len);
	if (rc == CGI_HEAD_MORE)
		must(in->len == 0 || memchr(in->at, '\n', in->len) == NULL);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span whole = fuzz_copy(data, size), in = whole, part, rest, reason;
	uint32_t digest = 1, again = 1, seed = fuzz_hash(1, data, size);
	enum cgi_head_rc rc = head_read(&in, &digest), early;
	size_t cut = fuzz_random(&seed) % (size + 1), used;

	rest = part = fuzz_copy(data, cut);
	early = head_read(&rest, &again);
	used = cut - rest.len;
	fuzz_free(part);
	rest = span_skip(whole, used);
	if (early == CGI_HEAD_MORE)
		early = head_read(&rest, &again);
	must(early == rc && again == digest && rest.at == in.at);
	if (cgi_head_status(whole, &reason) != 0)
		must(fuzz_is_within(reason, whole) && cgi_value_is_valid(reason));
	fuzz_free(whole);
	return 0;
}
