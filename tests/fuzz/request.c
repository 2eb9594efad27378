/* SPDX-License-Identifier: ISC */
/*
 * The input is the content of PARAMS, in either role.  A request with these variables has a method, a path and a label that can be
 * shown; it is looked up in a router; its query, cookies and headers are terminated text.
 */
// sources: src/request/*.c src/fiber/*.c
#include "fuzz.h"
#include "request/input.h"
#include "request/request.h"
#include "request/router.h"
#include "wire/fcgi_param.h"

static enum weft_rc
sink_send(void *sink, struct span head, struct span body, enum sink_more more)
{
	(void)sink;
	(void)head;
	(void)body;
	(void)more;
	must(!"nothing is sent");
	return WEFT_OK;
}

static usec
standing_clock(void)
{
	return 1000000;
}

static void
check_vars(struct request *rq)
{
	size_t bytes = 0;

	must(rq->nvars <= REQUEST_VARS_MAX && rq->vars_bytes <= REQUEST_VARS_BYTES_MAX);
	for (unsigned i = 0; i < rq->nvars; i++) {
		const struct request_var *v = &rq->var[i];
		struct span name = request_var_name(v), value = request_var_value(v);

		must(name.len > 0 && value.at[value.len] == '\0');
		must(request_var(rq, name) != NULL);
		bytes += name.len + value.len;
		if (rq->bad == WEFT_OK)
			must(memchr(name.at, '\0', name.len) == NULL && strlen(value.at) == value.len && strpbrk(value.at, "\r\n") == NULL);
	}
	must(bytes == rq->vars_bytes);
}

/* What was kept, pair by pair, against the decoder.  Returns whether the pairs end where one ends. */
static bool
check_pairs(const struct request *rq, struct span in)
{
	struct fcgi_param p;
	unsigned n = 0;

	while (fcgi_param_next(&in, &p) == FCGI_OK) {
		if (p.name.len == 0)
			continue;
		if (n == rq->nvars)
			return false;
		must(span_equal(request_var_name(&rq->var[n]), p.name) && span_equal(request_var_value(&rq->var[n]), p.value));
		n++;
	}
	must(n == rq->nvars);
	return in.len == 0;
}

static void
check_ready(struct request *rq, const struct router *router)
{
	struct route_match match;
	const char *label = fiber_label(rq->fiber);

	must(rq->method != NULL && strlen(rq->method) <= REQUEST_METHOD_MAX);
	for (const char *p = label; *p != '\0'; p++)
		must(*p >= 0x20 && *p < 0x7f);
	must((rq->bad == WEFT_OK) == (rq->bad_text == NULL));
	if (router_find(router, rq->method, rq->path, &match) == ROUTE_FOUND)
		for (unsigned i = 0; i < match.nparams; i++)
			must(fuzz_is_within(match.param[i].value, rq->path));
	must(rq->body.state != BODY_OPEN || rq->body.announced >= -1);
}

static void
check_inputs(struct request *rq)
{
	static const char *const names[] = { "a", "id", "", "a b" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *found[] = { input_query(rq, names[i]), input_cookie(rq, names[i]) };

		for (int n = 0; n < 2; n++)
			must(found[n] == NULL || strlen(found[n]) <= REQUEST_VARS_BYTES_MAX);
	}
	(void)request_header(rq, "User-Agent");
	(void)request_header(rq, "Content-Type");
	(void)request_header(rq, "");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sink_ops ops = { .send = sink_send };
	static struct timeline_ring ring;
	static struct request_conf conf;
	static struct router *router;
	struct fiber_conf fibers = { .clock = standing_clock };
	struct span whole = fuzz_copy(data, size);
	enum weft_rc taken;
	struct request *rq;
	char error[200];

	if (conf.fibers == NULL) {
		conf = (struct request_conf){ .fibers = fiber_sched_new(&fibers), .ring = &ring, .arena_max = 1 << 20 };
		router = router_new();
		must(conf.fibers != NULL && router != NULL);
		must(router_add(router, "GET", "/item/:id/*", &ring, error, sizeof error) == 0);
		must(router_add(router, "*", "/:a/b", &ring, error, sizeof error) == 0);
	}
	rq = request_new(&conf, &ops, NULL);
	must(rq != NULL);
	taken = request_vars_take(rq, whole);
	must(check_pairs(rq, whole) == (taken == WEFT_OK) || rq->bad != WEFT_OK);
	if (taken != WEFT_OK) {
		request_drop(&rq);
		fuzz_free(whole);
		return 0;
	}
	rq->role = fuzz_hash(1, data, size) % 4 == 0 ? REQUEST_AUTHORIZER : REQUEST_RESPONDER;
	request_ready(rq);
	must(rq->role == REQUEST_RESPONDER || rq->body.state == BODY_COMPLETE);
	check_vars(rq);
	check_ready(rq, router);
	check_inputs(rq);
	request_drop(&rq);
	fuzz_free(whole);
	return 0;
}
