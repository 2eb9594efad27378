/* SPDX-License-Identifier: ISC */
/* A URL is refused in one sentence, or its parts are terminated and printable, and its description is cut where the room ends. */
// sources: src/back/url.c
#include "back/url.h"
#include "fuzz.h"

static void
check_part(const char *part, size_t size)
{
	must(memchr(part, '\0', size) != NULL);
	for (; *part != '\0'; part++)
		must((unsigned char)*part >= 0x20 && *part != 0x7f);
}

static void
check(const struct back_url *u)
{
	static const char *const known[] = { "a", NULL };
	char whole[2048], cut[64], value[16];
	struct back_place place;
	int found;

	check_part(u->scheme, sizeof u->scheme);
	check_part(u->user, sizeof u->user);
	check_part(u->password, sizeof u->password);
	check_part(u->host, sizeof u->host);
	check_part(u->path, sizeof u->path);
	check_part(u->query, sizeof u->query);
	for (unsigned i = 0; back_url_place(u, i, &place); i++) {
		must(i <= sizeof u->host && place.port <= 65535);
		check_part(place.host, sizeof place.host);
	}
	found = back_url_param(u, "a", value, sizeof value);
	must(found >= -1 && found <= 1);
	if (found >= 0)
		check_part(value, sizeof value);
	(void)back_url_param_unknown(u, known, value, sizeof value);
	must(memchr(value, '\0', sizeof value) != NULL);
	must(u->scheme[0] != '\0' && u->port <= 65535);
	memset(whole, 'x', sizeof whole);
	back_url_describe(u, whole, sizeof whole);
	check_part(whole, sizeof whole);
	for (size_t n = 1; n <= sizeof cut; n += 9) {
		back_url_describe(u, cut, n);
		must(strlen(cut) < n && strncmp(cut, whole, strlen(cut)) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct back_url u;
	char error[128] = "", *text = malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (back_url_parse(text, &u, error, sizeof error) == WEFT_OK)
		check(&u);
	else
		must(error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL);
	free(text);
	return 0;
}
