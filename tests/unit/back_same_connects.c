/* SPDX-License-Identifier: ISC */

/* How connections begin: what may be in a URL, names, TLS, and servers that are not there. */
#include "back_same.h"

static void
url_is(const char *url, enum weft_rc rc)
{
	struct pool_conf conf = { .name = "db", .url = url };
	char error[256] = "";

	if (pool_check(&conf, error, sizeof error) != rc || (rc != WEFT_OK) != (error[0] != '\0'))
		fail_msg("%s: \"%s\"", url, error);
}

void
urls_that_cannot_work_are_refused(void **state)
{
	(void)state;
	for (const char *const *url = same_asks.bad_urls; *url != NULL; url++)
		url_is(*url, WEFT_INVALID);
	for (const char *const *url = same_asks.good_urls; *url != NULL; url++)
		url_is(*url, WEFT_OK);
	url_is(same.url, WEFT_OK);
	url_is(same.tcp_url, WEFT_OK);
}

static void
one_body(void *kit)
{
	kit_do(kit, "SELECT 1");
}

void
a_host_name_is_looked_up(void **state)
{
	(void)state;
	same_with_pool(same.tcp_url, 2, 1, one_body);
}

/* ---- not there ---- */

static void
down_body(void *kit)
{
	struct kit_ask a;

	kit_ask(kit, &a, "SELECT 1");
	kit_assert_fault(&a, WEFT_DOWN, NULL);
	assert_null(strstr(a.fault.text, "hush"));
	assert_null(strstr(a.fault.text, "cret"));
	kit_end(&a);
}

void
what_cannot_be_reached_is_down_and_tells_no_password(void **state)
{
	char url[256];

	(void)state;
	for (const char *const *at = same_asks.unreachable; *at != NULL; at++)
		same_with_pool(*at, 1, 0, down_body);
	snprintf(url, sizeof url, same_asks.nobody, same_asks.port);
	same_with_pool(url, 1, 0, down_body);
}

void
a_pool_may_close_while_connecting(void **state)
{
	struct kit k;

	(void)state;
	for (int turns = 0; turns < 8; turns++) {
		kit_open_with(&k, (struct pool_conf){ .url = turns % 2 ? same.url : same.tcp_url, .max = 4, .min = 4 });
		for (int i = 0; i < turns; i++)
			loop_turn(k.loop, USEC_PER_MSEC);
		kit_close(&k);
	}
}

/* ---- TLS ---- */

/* Results of many sizes, so that some leave a part of a record behind. */
static void
tls_sizes(struct kit *k)
{
	struct kit_ask a;

	for (int i = 0; i < 400; i++) {
		struct value v = KIT_INT(1000 + i * 331);

		kit_ask_values(k, &a, "SELECT REPEAT('x', $1)", &v, 1);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_int_equal(rows_cell(a.call.rows, 0, 0).len, v.as.integer);
		kit_end(&a);
	}
}

/* The same in parts. */
static void
tls_parts(struct kit *k)
{
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(k, &l);
	for (int i = 0; i < 30; i++) {
		struct value v = KIT_INT(i * 37);

		arena_init(&a.arena, NULL, 0, 0);
		kit_part_start(&l, &a, "SELECT seq AS i, REPEAT('x', $1) FROM seq_1_to_5000", &v, 1);
		call_wait(&a.call, KIT_SOON);
		assert_int_equal(kit_part_count(&l, &a, "i"), 5000);
		kit_end(&a);
	}
	kit_give(&l);
}

static void
tls_body(void *kit)
{
	kit_says(kit, same_asks.has_tls, "1");
	tls_sizes(kit);
	same_give_up(kit, NULL, "SELECT SLEEP(10)");
	tls_parts(kit);
	same_sizes_body(kit);
	same_tokens_body(kit);
}

/* The name must be the certificate's, and the certificate one that is trusted. */
void
it_speaks_tls_and_knows_whom_it_speaks_to(void **state)
{
	static const enum same_tls good[] = { SAME_TLS_ANY, SAME_TLS_OWN };

	(void)state;
	for (enum same_tls kind = 0; kind < SAME_TLS_KINDS; kind++)
		if (same_asks.tls_url(kind) != NULL)
			same_with_pool(same_asks.tls_url(kind), 1, 0, down_body);	/* the server has none yet */
	same_asks.tls_on();
	for (size_t i = 0; i < 2; i++)
		if (same_asks.tls_url(good[i]) != NULL)
			same_with_pool(same_asks.tls_url(good[i]), 2, 2, tls_body);
	same_with_pool(same_asks.tls_url(SAME_TLS_UNTRUSTED), 1, 0, down_body);
	same_with_pool(same_asks.tls_url(SAME_TLS_OTHER_NAME), 1, 0, down_body);
}
