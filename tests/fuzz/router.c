/* SPDX-License-Identifier: ISC */
/*
 * Lines "+METHOD /pattern" add routes, other lines are paths to look up.  The router must choose what a plain search
 * through all routes chooses; values lie in the path; paths with dots or NUL are refused.
 */
// sources: src/request/router.c src/request/router_find.c
#include <stdio.h>

#include "fuzz.h"
#include "request/router.h"
#include "wire/urlencoded.h"

enum { ROUTES = 64 };

struct model {
	char method[40], pattern[600];
};

/* The first segment of what is left; *in moves behind it. */
static struct span
model_segment(struct span *in)
{
	struct span s = { in->at + 1, 0 };

	while (s.len + 1 < in->len && s.at[s.len] != '/')
		s.len++;
	*in = span_skip(*in, s.len + 1);
	return s;
}

static bool
model_is_equal(struct span pattern, struct span seg)
{
	char a[600], b[4096 * 4];

	if (seg.len > sizeof b)
		return false;
	return span_equal((struct span){ a, percent_decode(a, pattern, PERCENT_PLUS_IS_PLUS) },
	    (struct span){ b, percent_decode(b, seg, PERCENT_PLUS_IS_PLUS) });
}

/* Match one pattern.  score: a letter a segment, the better the smaller. */
static bool
model_match(const char *pattern, struct span path, char *score)
{
	struct span left = span_str(pattern), p, s;

	for (; left.len > 0 && path.len > 0; score++) {
		p = model_segment(&left);
		if (span_equal(p, SPAN("*"))) {
			memcpy(score, "c", 2);
			return true;
		}
		s = model_segment(&path);
		*score = p.len > 0 && p.at[0] == ':' ? 'b' : 'a';
		if (*score == 'b' ? s.len == 0 : !model_is_equal(p, s))
			return false;
	}
	*score = '\0';
	if (left.len == 2 && memcmp(left.at, "/*", 2) == 0)
		memcpy(score, "c", 2);
	else if (left.len > 0)
		return false;
	return path.len == 0;
}

static bool
model_serves(const struct model *m, const char *method)
{
	return strcmp(m->method, "*") == 0 || strcmp(m->method, method) == 0;
}

static void
check(const struct router *r, const struct model *list, unsigned n, struct span path, const char *method)
{
	char score[ROUTE_SEGMENTS_MAX + 2], best[ROUTE_SEGMENTS_MAX + 2] = "~";
	const struct model *want = NULL;
	bool any = false;
	struct route_match m;
	enum route_rc rc = router_find(r, method, path, &m);

	if (rc == ROUTE_BAD_PATH)
		return;
	must(path.len > 0 && path.at[0] == '/' && memchr(path.at, '\0', path.len) == NULL);
	must(memmem(path.at, path.len, "/../", 4) == NULL && memmem(path.at, path.len, "%00", 3) == NULL);
	for (unsigned i = 0; i < n; i++) {
		if (!model_match(list[i].pattern, path, score))
			continue;
		any = true;
		/* At one place the method's own route goes before "*". */
		if (!model_serves(&list[i], method) || strcmp(score, best) > 0
		    || (strcmp(score, best) == 0 && strcmp(list[i].method, "*") == 0))
			continue;
		memcpy(best, score, sizeof best);
		want = &list[i];
	}
	must(rc == (want != NULL ? ROUTE_FOUND : any ? ROUTE_NO_METHOD : ROUTE_NO_PATH));
	must(rc != ROUTE_NO_METHOD || m.allow[0] != '\0');
	if (rc != ROUTE_FOUND)
		return;
	must(m.target == want && strcmp(m.pattern, want->pattern) == 0);
	for (unsigned i = 0; i < m.nparams; i++)
		must(fuzz_is_within(m.param[i].value, path) && m.param[i].name != NULL);
}

static bool
add(struct router *r, struct model *m, struct span line)
{
	const char *blank = memchr(line.at, ' ', line.len);
	size_t n = blank == NULL ? 0 : (size_t)(blank - line.at);
	char error[300] = "";

	if (blank == NULL || n >= sizeof m->method || line.len - n > sizeof m->pattern
	    || memchr(line.at, '\0', line.len) != NULL)
		return false;
	snprintf(m->method, sizeof m->method, "%.*s", (int)n, line.at);
	snprintf(m->pattern, sizeof m->pattern, "%.*s", (int)(line.len - n - 1), blank + 1);
	if (router_add(r, m->method, m->pattern, m, error, sizeof error) == 0)
		return true;
	must(error[0] != '\0');
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model list[ROUTES];
	struct span whole = fuzz_copy(data, size), in = whole, line;
	struct router *r = router_new();
	unsigned n = 0;

	must(r != NULL);
	while (in.len > 0) {
		const char *end = memchr(in.at, '\n', in.len);

		line = (struct span){ in.at, end == NULL ? in.len : (size_t)(end - in.at) };
		in = span_skip(in, end == NULL ? in.len : line.len + 1);
		if (line.len > 0 && line.at[0] == '+') {
			if (n < ROUTES && add(r, &list[n], span_skip(line, 1)))
				n++;
		} else {
			check(r, list, n, line, "GET");
			check(r, list, n, line, "POST");
		}
	}
	router_free(&r);
	fuzz_free(whole);
	return 0;
}
