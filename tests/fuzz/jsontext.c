/* SPDX-License-Identifier: ISC */
/* A text is UTF-8 where jansson says so too, and its string reads back as what it was. */
// flags: -ljansson
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "wire/jsontext.h"

static size_t
jsontext_write(char *out, size_t size, struct span in)
{
	size_t len = 0;

	out[len++] = '"';
	while (in.len > 0) {
		struct span piece = jsontext_next(&in);

		must(piece.len > 0 && len + piece.len < size);
		memcpy(out + len, piece.at, piece.len);
		len += piece.len;
	}
	out[len++] = '"';
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_copy(data, size);
	json_t *value = json_stringn(size > 0 ? text.at : "", size), *again;
	char *out = malloc(6 * size + 2);
	size_t len = jsontext_write(out, 6 * size + 2, text);

	must(jsontext_is_utf8(text) == (value != NULL));
	if (value != NULL) {
		again = json_loadb(out, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		must(again != NULL && json_equal(value, again));
		json_decref(again);
		json_decref(value);
	}
	free(out);
	fuzz_free(text);
	return 0;
}
