/* SPDX-License-Identifier: ISC */
/*
 * Three uses of one input.  As bytes: what passes the check is one whole command, and none that a shared
 * connection must not carry, and its keys are in a slot that there is.  As words, between NULs: the command made of them is taken apart to the same words.  As a
 * format: it is refused, or makes as many words as it has.
 */
// sources: src/back/redis/redis_key.c src/back/redis/redis_rule.c src/back/redis/reply.c
#include <stdio.h>
#include <strings.h>

#include "back/redis/redis_key.h"
#include "back/redis/reply.h"
#include "fuzz.h"

enum { WORDS = 64 };

/* The plainest reading: "*N\r\n", then N times "$LEN\r\n" bytes "\r\n".  Returns the number of words, 0 when it is something else. */
static size_t
model_split(struct span in, struct span *word, size_t max)
{
	size_t words = 0, n = 0, len;
	int used = 0;
	char head[32];

	for (size_t i = 0; in.len > 0 && (i == 0 || i <= words); i++) {
		const char *end = memmem(in.at, in.len, "\r\n", 2);
		size_t line = end == NULL ? 0 : (size_t)(end - in.at);

		if (line < 2 || line >= sizeof head || in.at[0] != (i == 0 ? '*' : '$') || in.at[1] < '0' || in.at[1] > '9' || (in.at[1] == '0' && line > 2))
			return 0;
		snprintf(head, sizeof head, "%.*s", (int)line, in.at);
		if (sscanf(head + 1, "%zu%n", &len, &used) != 1 || (size_t)used != line - 1)
			return 0;
		in = span_skip(in, line + 2);
		if (i == 0) {
			words = len;
			continue;
		}
		if (len > in.len || in.len - len < 2 || memcmp(in.at + len, "\r\n", 2) != 0)
			return 0;
		if (n < max)
			word[n] = (struct span){ in.at, len };
		n++;
		in = span_skip(in, len + 2);
	}
	return in.len == 0 && n == words ? n : 0;
}

static bool
is_word(struct span word, const char *name)
{
	return word.len == strlen(name) && strncasecmp(word.at, name, word.len) == 0;
}

static void
check_bytes(struct span in)
{
	static const char *const never[] = { "MULTI", "EXEC", "SUBSCRIBE", "PSUBSCRIBE", "MONITOR", "BLPOP", "BRPOP", "SELECT", "AUTH",
		"WATCH", "QUIT", "RESET", "HELLO", "SYNC", "WAIT", "DISCARD" };
	struct span word[WORDS];
	const char *why = NULL;
	int slot;

	if (redis_command_check(in, &why) != WEFT_OK) {
		must(why != NULL && why[0] != '\0');
		return;
	}
	must(model_split(in, word, WORDS) > 0);
	must(redis_key_find(in, &slot, &why) != WEFT_OK || (slot >= REDIS_NO_SLOT && slot < REDIS_SLOTS));
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		must(!is_word(word[0], never[i]));
}

static void
check_words(struct span in)
{
	struct span word[WORDS], again[WORDS], command;
	struct arena a;
	size_t n = 0;

	arena_init(&a, NULL, 0, 1 << 20);
	for (struct span rest = in; n < WORDS; n++) {
		const char *end = memchr(rest.at, '\0', rest.len);

		word[n] = (struct span){ rest.at, end == NULL ? rest.len : (size_t)(end - rest.at) };
		if (end == NULL) {
			n++;
			break;
		}
		rest = span_skip(rest, word[n].len + 1);
	}
	must(redis_command_args(&a, n, word, &command) == WEFT_OK);
	must(model_split(command, again, WORDS) == n);
	for (size_t i = 0; i < n; i++)
		must(span_equal(word[i], again[i]));
	arena_fini(&a);
}

/* Conversions that want other arguments become "%s"; at most eight of them. */
static size_t
tame(char *fmt)
{
	size_t words = 0, n = 0;

	for (char *f = fmt; *f != '\0'; f++) {
		words += *f != ' ' && (f == fmt || f[-1] == ' ');
		if (*f != '%' || f[1] == '\0')
			continue;
		if (f[1] != '%' && ++n > 8)
			*f = '.';
		else if (f[1] == 'b')
			f[1] = 's';
		if (*f == '%')
			f += f[1] != ' ';
	}
	return words;
}

static void
check_format(struct span in)
{
	static const char arg[] = "x y\r\n$3";
	struct span word[WORDS], command;
	char *fmt = malloc(in.len + 1);
	struct arena a;
	size_t words;

	must(fmt != NULL);
	memcpy(fmt, in.at, in.len);
	fmt[in.len] = '\0';
	words = tame(fmt);
	arena_init(&a, NULL, 0, 1 << 20);
	if (redis_command_format(&a, &command, fmt, arg, arg, arg, arg, arg, arg, arg, arg) == WEFT_OK)
		must(model_split(command, word, WORDS) == words && words > 0);
	arena_fini(&a);
	free(fmt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_copy(data, size);

	check_bytes(in);
	check_words(in);
	check_format(in);
	fuzz_free(in);
	return 0;
}
