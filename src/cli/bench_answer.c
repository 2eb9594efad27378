/* SPDX-License-Identifier: ISC */
#include "cli/bench_answer.h"

#include <string.h>
#include <strings.h>

#include "base/must.h"
#include "wire/cgi_head.h"

void
bench_answer_init(struct bench_answer *a)
{
	a->wrong = BENCH_OK;
	a->status = 200;
	a->in_body = false;
	a->body_len = 0;
	a->kept = 0;
}

static void
bench_answer_fail(struct bench_answer *a, enum bench_error_kind kind)
{
	if (a->wrong == BENCH_OK)
		a->wrong = kind;
}

static void
bench_answer_body(struct bench_answer *a, const struct bench_opts *o, struct span in)
{
	if (o->expect != BENCH_EXPECT_ANY && in.len > o->expect_len - a->body_len)
		bench_answer_fail(a, BENCH_BODY);
	else if (o->expect == BENCH_EXPECT_BODY && in.len > 0 && memcmp(o->expect_body + a->body_len, in.at, in.len) != 0)
		bench_answer_fail(a, BENCH_BODY);
	a->body_len += in.len;
}

/* Take the fields that are whole off *in. */
static void
bench_answer_head(struct bench_answer *a, struct span *in)
{
	struct span name, value, reason;

	for (;;)
		switch (cgi_head_next(in, &name, &value)) {
		case CGI_HEAD_FIELD:
			if (name.len == 6 && strncasecmp(name.at, "Status", 6) == 0)
				a->status = cgi_head_status(value, &reason);
			break;
		case CGI_HEAD_END:
			a->in_body = true;
			return;
		case CGI_HEAD_MORE:
			return;
		case CGI_HEAD_BAD:
			bench_answer_fail(a, BENCH_HEAD);
			return;
		}
}

/* The rest of a line whose beginning was kept: complete it there, and take it.  *in is moved past it. */
static void
bench_answer_join(struct bench_answer *a, struct span *in)
{
	const char *lf = memchr(in->at, '\n', in->len);
	size_t n = lf == NULL ? in->len : (size_t)(lf - in->at) + 1;
	struct span line;

	if (n > sizeof a->line - a->kept) {
		bench_answer_fail(a, BENCH_HEAD);
		return;
	}
	memcpy(a->line + a->kept, in->at, n);
	a->kept += n;
	*in = span_skip(*in, n);
	if (lf == NULL)
		return;
	line = (struct span){ a->line, a->kept };
	a->kept = 0;
	bench_answer_head(a, &line);
	if (line.len > 0)
		bench_answer_fail(a, BENCH_HEAD);
}

void
bench_answer_feed(struct bench_answer *a, const struct bench_opts *o, struct span in)
{
	if (a->kept > 0 && in.len > 0)
		bench_answer_join(a, &in);
	if (!a->in_body && a->kept == 0 && a->wrong == BENCH_OK)
		bench_answer_head(a, &in);
	if (a->wrong != BENCH_OK)
		return;
	if (a->in_body)
		bench_answer_body(a, o, in);
	else if (in.len > sizeof a->line)
		bench_answer_fail(a, BENCH_HEAD);
	else if (in.len > 0) {
		memcpy(a->line, in.at, in.len);
		a->kept = in.len;
	}
}

enum bench_error_kind
bench_answer_end(const struct bench_answer *a, const struct bench_opts *o)
{
	if (a->wrong != BENCH_OK && a->wrong != BENCH_BODY)
		return a->wrong;
	if (!a->in_body)
		return BENCH_HEAD;
	/* A page of an error has another body, too: its status says more. */
	if (a->status != 200)
		return BENCH_STATUS;
	if (a->wrong == BENCH_OK && o->expect != BENCH_EXPECT_ANY && a->body_len != o->expect_len)
		return BENCH_BODY;
	return a->wrong;
}

const char *
bench_error_name(enum bench_error_kind kind)
{
	static const char *const names[BENCH_NKINDS] = {
		[BENCH_OK] = "ok", [BENCH_CONNECT] = "connect", [BENCH_CLOSED] = "closed", [BENCH_PROTOCOL] = "protocol",
		[BENCH_REFUSED] = "refused", [BENCH_HEAD] = "head", [BENCH_STATUS] = "status", [BENCH_BODY] = "body",
		[BENCH_TIMEOUT] = "timeout",
	};

	must(kind < BENCH_NKINDS);
	return names[kind];
}
