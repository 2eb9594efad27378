/* SPDX-License-Identifier: ISC */
/*
 * Lines of any kind: each is taken, or refused for a reason that is said; within the bounds.  What comes
 * out has no control byte, so it can be passed on, and every header is found by its name.
 */
// sources: src/back/http/http_head.c src/back/http/httptext.c
#include <strings.h>

#include "back/http/http_head.h"
#include "fuzz.h"

static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		must((unsigned char)*text >= 0x20 || *text == '\t');
}

static void
check_answer(const struct http_head *h)
{
	struct weft_http *answer;
	struct arena a;

	arena_init(&a, NULL, 0, 0);
	answer = http_answer_new(&a, h, SPAN("body"));
	must(answer != NULL && answer->status >= 200 && answer->status <= 599 && answer->nfields <= HTTP_FIELDS_MAX);
	for (unsigned i = 0; i < answer->nfields; i++) {
		const struct http_field *f = &answer->field[i];

		must(http_is_token(span_str(f->name)));
		check_text(f->value);
		must(http_answer_find(answer, f->name) != NULL && http_head_find(h, f->name) != NULL);
		must(strcmp(http_answer_find(answer, f->name), http_head_find(h, f->name)) == 0);
	}
	must(http_answer_find(answer, "not a name") == NULL);
	arena_fini(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_copy(data, size), rest = in;
	const char *why = NULL;
	unsigned completions = 0;
	struct http_head h;

	http_head_init(&h);
	while (rest.len > 0) {
		const char *end = memchr(rest.at, '\n', rest.len);
		struct span line = { rest.at, end == NULL ? rest.len : (size_t)(end - rest.at) + 1 };
		enum http_head_rc rc = http_head_line(&h, line, &why);

		rest = span_skip(rest, line.len);
		if (rc == HTTP_HEAD_BAD || rc == HTTP_HEAD_LARGE) {
			must(why != NULL);
			break;
		}
		must(h.bytes <= HTTP_HEAD_MAX && h.lines <= HTTP_FIELDS_MAX && h.interims <= HTTP_INTERIM_MAX);
		completions += rc == HTTP_HEAD_COMPLETE;
		must(completions == (h.state == HTTP_HEAD_DONE ? 1 : 0));
		if (rc == HTTP_HEAD_COMPLETE)
			check_answer(&h);
	}
	http_head_fini(&h);
	fuzz_free(in);
	return 0;
}
