/* SPDX-License-Identifier: ISC */

/* The PostgreSQL driver against a server that breaks the protocol within a session. */
#include "tests/unit/back_liar_postgres.h"

#include <errno.h>
#include <libpq-fe.h>

#include "back/postgres/postgres_gather.h"

/* ---- what differs from other back ends ---- */

static const char *
lie_put(struct buf *b, size_t i)
{
	const char *name = pg_put_lie(b, i);

	if (name != NULL)
		pg_put_end(b);
	return name;
}

static const char *
unasked_put(struct buf *b, size_t i)
{
	static const char types[] = "DZCT12?RHsI";
	static const struct span errors[] = { SPAN("SFATAL\0VFATAL\0C57P01\0Mgone\0\0"), SPAN("SERROR\0VERROR\0C22012\0Mwrong\0\0") };

	if (i < sizeof types - 1) {
		pg_put(b, types[i], SPAN("\0\1\0\0\0\1x"));
		return "a message";
	}
	i -= sizeof types - 1;
	if (i < sizeof errors / sizeof *errors) {
		pg_put(b, 'E', errors[i]);
		return "an error";
	}
	pg_put_answer(b, "wrong");
	return i == sizeof errors / sizeof *errors ? "an answer" : NULL;
}

static const char *
two_put(struct buf *b, size_t i)
{
	pg_put_answer(b, "lie");
	pg_put(b, 'Z', SPAN("I"));
	return i == 0 ? "being ready twice" : NULL;
}

static const char *
flood_put(struct buf *b, size_t i)
{
	if (i == 0)
		pg_put(b, 'N', SPAN("SNOTICE\0VNOTICE\0C00000\0Mhello hello hello hello hello hello\0\0"));
	else
		pg_put(b, 'A', SPAN("\0\0\0\1channel\0payload payload payload payload payload payload\0"));
	return i == 0 ? "notices" : i == 1 ? "notifications" : NULL;
}

const struct play_side side = { PG_SIDE, .lie = lie_put, .unasked = unasked_put, .two = two_put, .flood = flood_put };

/* ---- rows ---- */

static void
a_row_that_is_not_as_described_is_an_error(void *arg)
{
	static const struct span rows[] = { SPAN("\0\2\0\0\0\1x\0\0\0\1y"), SPAN("\0\0"), SPAN("\377\377"), SPAN(""), SPAN("\0\1\0\0\0\11x"),
		SPAN("\0\1\177\377\377\377x"), SPAN("\0\1\0\0\0\1xx") };

	(void)arg;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[64];

		pg_put(&play.lie, 'T', SPAN("\0\1" PG_COLUMN));
		pg_put(&play.lie, 'D', rows[i]);
		pg_put_end(&play.lie);
		snprintf(name, sizeof name, "row %zu", i);
		play_lie(name);
	}
}

/* What follows some rows that are as they should be. */
static void
what_is_no_row_among_rows_is_an_error(void *arg)
{
	static const struct {
		const char *name;
		char type;
		struct span body;
	} lies[] = {
		{ "a row of two columns", 'D', SPAN("\0\2\0\0\0\1x\0\0\0\1y") },
		{ "another description", 'T', SPAN("\0\1" PG_COLUMN) },
		{ "a description of two columns", 'T', SPAN("\0\2" PG_COLUMN PG_COLUMN) },
		{ "a description of none", 'T', SPAN("\0\0") },
		{ "the command's end", 'C', SPAN("SELECT 3\0") },
	};
	const struct span row[] = { SPAN("\0\1\0\0\0\1x"), SPAN("\0\2\0\0\0\1x\0\0\0\1y") };

	/* Not: being ready.  libpq forgets the row that it has then, and to free it. */
	(void)arg;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		for (size_t then = 0; then < 2; then++) {
			pg_put_row(&play.lie, "x");
			pg_put(&play.lie, 'D', row[0]);
			pg_put(&play.lie, lies[i].type, lies[i].body);
			pg_put(&play.lie, 'D', row[then]);
			pg_put(&play.lie, 'D', row[then]);
			pg_put_end(&play.lie);
			play_pool(1);
			if (play_read() == WEFT_OK)
				fail_msg("%s is believed by a reader", lies[i].name);
			play_ask_well("after");
			play_close();
		}
}

static void
lengths_that_cannot_be_are_errors(void *arg)
{
	static const uint32_t lengths[] = { 0, 3, 0x7fffffff, 0x80000000, 0xffffffff };

	(void)arg;
	for (const char *type = "TDCEZ12n"; *type != '\0'; type++)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			char name[64];

			pg_put_length(&play.lie, *type, lengths[i], SPAN("some bytes"));
			pg_put_end(&play.lie);
			snprintf(name, sizeof name, "%c of %u bytes", *type, (unsigned)lengths[i]);
			play_lie(name);
		}
}

/* Every column is there: an answer, or an error; not the end of the world. */
static void
as_many_columns_as_can_be_are_no_harm(void *arg)
{
	struct kit_ask a, b;
	struct buf body;

	(void)arg;
	buf_init(&body, 4 << 20);
	must(buf_add(&body, SPAN("\377\377")) == WEFT_OK);
	for (int i = 0; i < 65535; i++)
		must(buf_add(&body, SPAN(PG_COLUMN)) == WEFT_OK);
	pg_put(&play.lie, 'T', buf_span(&body));
	pg_put_end(&play.lie);
	buf_fini(&body);
	play_pool(1);
	side.start(NULL, &a, "lie");
	side.start(NULL, &b, "behind");
	call_wait(&a.call, KIT_SOON);
	if (a.call.rc == WEFT_OK)
		assert_int_equal(a.call.rows->columns, 65535);
	kit_end(&a);
	play_check(&b, "behind", "65535 columns");
	play_ask_well("after");
	play_close();
}

/* ---- what is no great harm ---- */

/* A connection that cannot be made as it was is nobody's: it is closed. */
static void
what_cannot_be_cleaned_is_closed(void *arg)
{
	struct kit_lease l;
	struct kit_ask a;

	(void)arg;
	play_pool(1);
	for (unsigned i = 1; i <= 3; i++) {
		kit_lend(&play.kit, &l);
		pg.status = i == 1 ? 'T' : i == 2 ? 'E' : 0;
		side.start(&l, &a, "mine");
		play_check(&a, "mine", "a transaction that nobody began");
		assert_int_equal(lease_in_transaction(&l.lease), i < 3);
		if (i == 3)
			kit_lease_do(&l, "SET a = 1");
		pg.sour = i == 3;
		kit_give(&l);
		play_await_losses(i);
		pg.status = 0;
		pg.sour = false;
		play_ask_well("after");
	}
	play_close();
}

/* That which a server may say of an error, and yet little: it is the statement's error and no more. */
static void
an_error_without_a_message_is_told_all_the_same(void *arg)
{
	struct kit_ask a;

	(void)arg;
	pg_put(&play.lie, 'E', SPAN("SERROR\0VERROR\0C22012\0\0"));
	pg_put(&play.lie, 'Z', SPAN("I"));
	play_pool(1);
	side.start(NULL, &a, "lie");
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "22012");
	kit_end(&a);
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	play_close();
}

static void
what_a_server_may_say_unasked_is_no_harm(void *arg)
{
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	pg_put(&b, 'N', SPAN("SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"));
	pg_put(&b, 'S', SPAN("TimeZone\0UTC\0"));
	pg_put(&b, 'A', SPAN("\0\0\0\1channel\0payload\0"));
	play_pool(1);
	play_ask_well("before");
	for (size_t i = 0; i < 20; i++) {
		liar_say(liar_last(play.liar), buf_span(&b));
		assert_int_equal(fiber_sleep(100), WEFT_OK);
	}
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	play_close();
	buf_fini(&b);
}

#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC

/* Of one descriptor, for as long as it lasts: nothing goes, nothing comes. */
static void
gathering_concerns_one_descriptor(void *arg)
{
	int a[2], b[2];
	char c;

	(void)arg;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	assert_int_equal(send(a[1], "y", 1, 0), 1);
	postgres_gather(a[0]);
	assert_int_equal(send(a[0], "x", 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(recv(a[0], &c, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(send(b[0], "x", 1, 0), 1);
	assert_int_equal(recv(b[1], &c, 1, MSG_DONTWAIT), 1);
	assert_int_equal(send(-1, "x", 1, 0), -1);
	assert_int_equal(errno, EBADF);
	postgres_gather_end();
	assert_int_equal(recv(a[0], &c, 1, MSG_DONTWAIT), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(send(a[0], "x", 1, 0), 1);
	assert_int_equal(recv(a[1], &c, 1, MSG_DONTWAIT), 1);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_LIES(PLAY_TEST)
		PLAY(a_row_that_is_not_as_described_is_an_error),
		PLAY(what_is_no_row_among_rows_is_an_error),
		PLAY(lengths_that_cannot_be_are_errors),
		PLAY(as_many_columns_as_can_be_are_no_harm),
		PLAY(what_cannot_be_cleaned_is_closed),
		PLAY(an_error_without_a_message_is_told_all_the_same),
		PLAY(what_a_server_may_say_unasked_is_no_harm),
#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC
		PLAY(gathering_concerns_one_descriptor),
#endif
	};

	return play_run_group(tests);
}
