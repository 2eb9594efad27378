/* SPDX-License-Identifier: ISC */

/* The PostgreSQL driver against a server that breaks the protocol before a session begins. */
#include "tests/unit/back_liar_postgres.h"

static const char *
no_start_put(struct buf *b, size_t i)
{
	static const char types[] = "RSKENZv";
	static const uint32_t lengths[] = { 0, 0x7fffffff };
	const char *name;

	if ((name = pg_put_lie(b, i)) != NULL)
		return name;
	i -= pg_nlies;
	if (i >= 2 * (sizeof types - 1))
		return NULL;
	if (types[i / 2] != 'R')
		pg_put(b, 'R', SPAN("\0\0\0\0"));
	pg_put_length(b, types[i / 2], lengths[i % 2], SPAN(""));
	return i % 2 == 0 ? "no length" : "a great length";
}

const struct play_side side = { PG_SIDE, .no_start = no_start_put };

/* Each parameter has a name of its own, and libpq keeps them all. */
static void
a_start_without_end_takes_no_memory(void *arg)
{
	struct buf many;

	(void)arg;
	buf_init(&many, 64 << 20);
	for (unsigned i = 0; many.len < 24 << 20; i++) {
		char name[300];

		memset(name, 'x', sizeof name);
		snprintf(name, 16, "p%u", i);
		name[strlen(name)] = 'x';
		name[298] = name[299] = '\0';
		pg_put(&many, 'S', (struct span){ name, sizeof name });
	}
	buf_clear(&play.start);
	pg_put(&play.start, 'R', SPAN("\0\0\0\0"));
	play.connect_timeout = 2 * USEC_PER_SEC;
	pg.start_flood = buf_span(&many);
	/* What the server keeps to say is not what the driver takes. */
	rss_begin();
	play_start_fails("a start that does not end", side.url(), NULL);
	pg.start_flood = SPAN("");
	buf_fini(&many);
}

/* What comes in the clear behind the answer about TLS is not read as if it had come under TLS. */
static void
bytes_behind_the_answer_about_tls_are_refused(void *arg)
{
	struct span answers[] = { SPAN(""), SPAN("Sx"), SPAN("N"), SPAN("?") };
	struct buf clear;

	(void)arg;
	pg_listen_tcp();
	buf_init(&clear, 4096);
	must(buf_add(&clear, SPAN("S")) == WEFT_OK && buf_add(&clear, buf_span(&play.start)) == WEFT_OK);
	answers[0] = buf_span(&clear);
	play.connect_timeout = 200 * USEC_PER_MSEC;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		pg.tls = answers[i];
		play_start_fails("TLS that is none", side.url(), NULL);
	}
	buf_fini(&clear);
	assert_true(play.liar->accepted >= 4);
	for (struct liar_peer *p = TAILQ_FIRST(&play.liar->peers); p != NULL; p = TAILQ_NEXT(p, link))
		assert_int_equal(p->stage, 0);	/* none went on, not even to say who it is */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_STARTS(PLAY_TEST)
		PLAY(a_start_without_end_takes_no_memory),
		PLAY(bytes_behind_the_answer_about_tls_are_refused),
	};

	return play_run_group(tests);
}
