/* SPDX-License-Identifier: ISC */
/*
 * Two uses of one input.  As a value, in the path and in the query: it is refused, or what is made of it has the segments and parameters
 * of the format and no others, and decodes to the value.  As a path: what passes has no byte that could end it, and no way up.
 */
// sources: src/back/http/httptext.c
#include <stdio.h>

#include "back/http/httptext.h"
#include "fuzz.h"

static unsigned
hex(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The plainest decoding.  Returns the length. */
static size_t
decode(const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		out[n++] = in[i] == '%' ? (char)(hex(in[i + 1]) << 4 | hex(in[i + 2])) : in[i];
		i += in[i] == '%' ? 2 : 0;
	}
	return n;
}

/* What stands in out between before and behind is value, encoded. */
static void
check_between(const char *out, const char *before, const char *behind, const char *value)
{
	const char *at = out + strlen(before), *end = out + strlen(out) - strlen(behind);
	char *plain = malloc(strlen(out) + 1);
	size_t len;

	must(plain != NULL && end >= at && strncmp(out, before, strlen(before)) == 0 && strcmp(end, behind) == 0);
	for (const char *c = at; c < end; c++)
		must(strchr("/?#&=+;,:@ \"<>\\^`{|}", *c) == NULL && *c > 0x20 && *c < 0x7f);
	len = decode(at, (size_t)(end - at), plain);
	must(len == strlen(value) && memcmp(plain, value, len) == 0);
	free(plain);
}

static void
check_value(struct arena *a, const char *value)
{
	const char *out = NULL, *why = NULL;

	if (http_target_format(a, &out, &why, "/a/%s/b?c=d", value) == WEFT_OK) {
		check_between(out, "/a/", "/b?c=d", value);
		must(value[0] != '\0' && strcmp(value, ".") != 0 && strcmp(value, "..") != 0);
	} else {
		must(why != NULL);
	}
	if (http_target_format(a, &out, &why, "/a?b=%s&c=%d", value, 7) == WEFT_OK)
		check_between(out, "/a?b=", "&c=7", value);
	else
		must(strlen(value) * 3 > HTTP_TARGET_MAX - 16);
}

static void
check_path(const char *path)
{
	const char *why = NULL;
	char slashes[HTTP_TARGET_MAX + 3];
	size_t len;

	if (http_target_check(path, &why) != WEFT_OK) {
		must(why != NULL);
		return;
	}
	must(path[0] == '/' && strlen(path) <= HTTP_TARGET_MAX);
	for (const char *c = path; *c != '\0'; c++)
		must(*c > 0x20 && *c < 0x7f && *c != '#');
	/* Dots may be encoded; a slash that is, is no slash. */
	len = strcspn(path, "?");
	snprintf(slashes, sizeof slashes, "%.*s/", (int)len, path);
	for (char *c = slashes; (c = strstr(c, "%2")) != NULL;)
		if (c[2] == 'e' || c[2] == 'E') {
			*c = '.';
			memmove(c + 1, c + 3, strlen(c + 3) + 1);
		} else {
			c++;
		}
	must(strstr(slashes, "/./") == NULL && strstr(slashes, "/../") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct arena a;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	arena_init(&a, NULL, 0, 0);
	check_value(&a, text);
	check_path(text);
	arena_fini(&a);
	free(text);
	return 0;
}
