/* SPDX-License-Identifier: ISC */
#include "request_rig.h"

#include "request/input.h"

static struct request_conf conf;
static struct rig_sink sink;

static struct request *
make(const char *name, const char *value)
{
	struct request *rq = request_new(&conf, &rig_ops, &sink);

	assert_non_null(rq);
	request_var_add(rq, SPAN("REQUEST_METHOD"), SPAN("POST"));
	request_var_add(rq, span_str(name), span_str(value));
	return rq;
}

static void
expect(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void
query(void **state)
{
	struct request *rq = make("QUERY_STRING", "a=1&b=x+y%21&a=2&empty=&none&c%20d=e&%61bc=def&nul=a%00b&=x");

	(void)state;
	request_ready(rq);
	expect(input_query(rq, "a"), "1");
	expect(input_query(rq, "b"), "x y!");
	expect(input_query(rq, "empty"), "");
	expect(input_query(rq, "none"), "");
	expect(input_query(rq, "c d"), "e");
	expect(input_query(rq, "abc"), "def");
	expect(input_query(rq, "nul"), NULL);
	expect(input_query(rq, "d"), NULL);
	expect(input_query(rq, "A"), NULL);
	request_drop(&rq);
	rq = make("X", "y");
	request_ready(rq);
	expect(input_query(rq, "a"), NULL);
	expect(input_cookie(rq, "a"), NULL);
	expect(input_form(rq, "a"), NULL);
	request_drop(&rq);
}

/* A name longer than any buffer, encoded throughout. */
static void
long_names(void **state)
{
	char encoded[3 * 300 + 3], name[301];
	struct request *rq;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		memcpy(encoded + i * 3, "%6e", 3);
	memcpy(encoded + 900, "=v", 3);
	memset(name, 'n', 300);
	name[300] = '\0';
	rq = make("QUERY_STRING", encoded);
	request_ready(rq);
	expect(input_query(rq, name), "v");
	name[299] = '\0';
	expect(input_query(rq, name), NULL);
	request_drop(&rq);
}

static void
form(void **state)
{
	static const char *const type[] = {
		"application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8", "text/plain",
		"application/x-www-form-urlencodedx",
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct request *rq = make("CONTENT_TYPE", type[i]);

		request_ready(rq);
		body_feed(&rq->body, SPAN("name=J%C3%B6rg&x="));
		body_feed(&rq->body, SPAN("1+2"));
		body_end(&rq->body);
		expect(input_form(rq, "name"), i < 2 ? "J\xc3\xb6rg" : NULL);
		expect(input_form(rq, "x"), i < 2 ? "1 2" : NULL);
		request_drop(&rq);
	}
	for (int way = 0; way < 2; way++) {
		struct request *rq = make("CONTENT_TYPE", type[0]);

		request_ready(rq);
		body_feed(&rq->body, SPAN("a=1"));
		body_fail(&rq->body, WEFT_CANCELED);
		expect(input_form(rq, "a"), NULL);
		request_drop(&rq);
	}
}

static void
cookies(void **state)
{
	struct request *rq = make("HTTP_COOKIE", "a=1; b=\"two\"; c=%20+");

	(void)state;
	request_var_add(rq, SPAN("HTTP_COOKIE"), SPAN("d=4; a=5"));
	request_ready(rq);
	expect(input_cookie(rq, "a"), "1");
	expect(input_cookie(rq, "b"), "two");
	expect(input_cookie(rq, "c"), "%20+");
	expect(input_cookie(rq, "d"), "4");
	expect(input_cookie(rq, "e"), NULL);
	expect(input_cookie(rq, "A"), NULL);
	request_drop(&rq);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query),
		cmocka_unit_test(long_names),
		cmocka_unit_test(form),
		cmocka_unit_test(cookies),
	};
	int failed;

	conf.fibers = rig_sched();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fiber_sched_free(&conf.fibers);
	return failed;
}
