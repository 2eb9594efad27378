/* SPDX-License-Identifier: ISC */

/*
 * The MariaDB driver against a server that knows the protocol and breaks it.
 *
 * The server answers each statement with its first parameter, but for the text
 * "lie", which it answers with the lie of the test.  Whatever that is: who asked gets
 * an error, who comes after gets its own text; no file and no password goes out, the memory stays, and the
 * loop goes on.
 */
#include "back_parts_kit.h"

#include "base/log.h"
#include "base/must.h"
#include "tests/unit/back_liar.h"

/* The library asks for as much memory as the server says it needs; ASan takes a refusal for a bug, unless it is told not to. */
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void) __attribute__((visibility("default")));

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

#define SQL "SELECT $1"
#define CALL_TIME (200 * USEC_PER_MSEC)
#define PASSWORD "hush-hush"

static char dir[64], path[96], url[200];

static struct {
	struct kit kit;
	struct liar liar;
	struct pulse pulse;
	struct buf greeting;	/* said first */
	struct buf welcome;	/* said to who says who it is */
	struct buf lie;		/* said to who asks for it */
	char when;		/* … with this command: 'P' prepare, 'X' execute, 'S' the session's set-up, 'I' who the server is, 'B' BEGIN,
				   'L' a look at the transaction, 'R' ROLLBACK, 'Z' reset, 'D' another database, 'N' a sign of life */
	bool begun;		/* a transaction is open */
	usec check_after;
	bool last;		/* and hang up then */
	struct span flood;
	size_t flooded;
	unsigned lost;		/* so many times more a prepared statement is lost … */
	unsigned lost_code;	/* … with this code */
	const char *identity;
	unsigned prepared, executed, killed;	/* how often each was heard */
	usec connect_timeout;
} play;

/* ---- the protocol ---- */

static void
my_put_head(struct buf *b, size_t len, unsigned seq)
{
	char head[4] = { (char)len, (char)(len >> 8), (char)(len >> 16), (char)seq };

	must(buf_add(b, (struct span){ head, 4 }) == WEFT_OK);
}

static void
my_put(struct buf *b, unsigned seq, struct span body)
{
	my_put_head(b, body.len, seq);
	must(buf_add(b, body) == WEFT_OK);
}

#define MY_OK "\0\0\0\2\0\0\0"
#define MY_EOF "\376\0\0\2\0"

static void
my_put_error(struct buf *b, unsigned seq, unsigned code)
{
	char body[] = "\377..#HY000wrong";

	body[1] = (char)code;
	body[2] = (char)(code >> 8);
	my_put(b, seq, (struct span){ body, sizeof body - 1 });
}

/* As MariaDB 10.11 does it, with what tells of the session's state, and without its own extensions; tls: it offers that. */
static void
my_put_greeting(struct buf *b, bool tls)
{
	char body[] = "\12" "5.5.5-10.11.0-MariaDB\0" "\1\0\0\0" "abcdefgh\0" "\376\367" "\55" "\2\0" "\377\240" "\25"
	    "\0\0\0\0\0\0" "\0\0\0\0" "abcdefghijkl\0" "mysql_native_password";

	if (tls)
		body[1 + 22 + 4 + 9 + 1] |= 0x08;
	my_put(b, 0, (struct span){ body, sizeof body });
}

/* One column "a" of text. */
#define MY_COLUMN "\3def\0\0\0\1a\0\14\55\0\377\0\0\0\375\0\0\37\0\0"

static void
my_put_column_and_row(struct buf *b, struct span row)
{
	my_put(b, 1, SPAN("\1"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_EOF));
	my_put(b, 4, row);
	my_put(b, 5, SPAN(MY_EOF));
}

static void
my_put_answer(struct buf *b, const char *tag)
{
	char row[80] = { 0, 0, (char)strlen(tag) };

	memcpy(row + 3, tag, strlen(tag));
	my_put_column_and_row(b, (struct span){ row, 3 + strlen(tag) });
}

static void
my_put_prepared(struct buf *b)
{
	my_put(b, 1, SPAN("\0\7\0\0\0\1\0\1\0\0\0\0"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_EOF));
	my_put(b, 4, SPAN(MY_COLUMN));
	my_put(b, 5, SPAN(MY_EOF));
}

/* What it takes at once, and who it is. */
static void
my_put_identity(struct buf *b)
{
	char row[64] = "\10" "16777216", *at = row + 9;

	*at = (char)strlen(play.identity);
	strcpy(at + 1, play.identity);
	my_put(b, 1, SPAN("\2"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_COLUMN));
	my_put(b, 4, SPAN(MY_EOF));
	my_put(b, 5, (struct span){ row, 10 + strlen(play.identity) });
	my_put(b, 6, SPAN(MY_EOF));
}

/* ---- the server ---- */

static void
my_lie(struct liar_peer *p)
{
	p->last = play.last;
	p->flood = play.flood;
	p->flooded = play.flooded;
	liar_say(p, buf_span(&play.lie));
}

/* Say what was put in b, or the lie that is due with this command. */
static void
my_answer(struct liar_peer *p, char when, struct buf *b)
{
	if (play.when == when && (when != 'X' || strcmp(p->tag, "lie") == 0))
		my_lie(p);
	else
		liar_say(p, buf_span(b));
}

/* The first parameter, a string, is behind id, flags, count, NULLs, a flag and its type. */
static void
my_hear_execute(struct liar_peer *p, struct span s, struct buf *b)
{
	size_t at = 1 + 4 + 1 + 4 + 1 + 1 + 2, len = s.len > at ? (unsigned char)s.at[at] : 0;

	play.executed++;
	snprintf(p->tag, sizeof p->tag, "%.*s", (int)len, s.at + at + 1);
	if (play.lost > 0) {
		play.lost--;
		my_put_error(b, 1, play.lost_code);
	} else {
		my_put_answer(b, p->tag);
	}
	my_answer(p, 'X', b);
}

/* What begins and ends a transaction, and what asks how it is. */
static bool
my_hear_transaction(struct liar_peer *p, struct span s, struct buf *b)
{
	static const char *const words[] = { "BEGIN", "DO 0", "ROLLBACK" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (s.len != 1 + strlen(words[i]) || memcmp(s.at + 1, words[i], s.len - 1) != 0)
			continue;
		play.begun = i == 0 || (i == 1 && play.begun);
		my_put(b, 1, play.begun ? SPAN("\0\0\0\3\0\0\0") : SPAN(MY_OK));
		my_answer(p, "BLR"[i], b);
		return true;
	}
	return false;
}

static void
my_hear_query(struct liar_peer *p, struct span s, struct buf *b)
{
	if (my_hear_transaction(p, s, b))
		return;
	if (s.len > 4 && memcmp(s.at + 1, "KILL", 4) == 0)
		play.killed++;
	if (s.len > 9 && memcmp(s.at + 1, "SELECT @@", 9) == 0) {
		my_put_identity(b);
		my_answer(p, 'I', b);
	} else {
		my_put(b, 1, SPAN(MY_OK));
		my_answer(p, 'S', b);
	}
}

static void
my_hear_command(struct liar_peer *p, struct span s)
{
	struct buf b;

	buf_init(&b, 8 << 20);
	switch (s.len == 0 ? 0 : s.at[0]) {
	case 1:
		liar_hang_up(p);
		break;
	case 3:
		my_hear_query(p, s, &b);
		break;
	case 0x16:
		play.prepared++;
		my_put_prepared(&b);
		my_answer(p, 'P', &b);
		break;
	case 0x17:
		my_hear_execute(p, s, &b);
		break;
	case 2:
	case 0x0e:
	case 0x1f:
		my_put(&b, 1, SPAN(MY_OK));
		my_answer(p, s.at[0] == 2 ? 'D' : s.at[0] == 0x0e ? 'N' : 'Z', &b);
		break;
	default:
		break;	/* 0x19, a statement is forgotten; an empty packet, that is no file */
	}
	buf_fini(&b);
}

static void
my_hear(struct liar_peer *p)
{
	size_t len;

	must(memmem(p->in.at, p->in.len, "root:", 5) == NULL);
	must(memmem(p->in.at, p->in.len, PASSWORD, strlen(PASSWORD)) == NULL);
	while (p->fd >= 0 && p->in.len >= 4) {
		const unsigned char *at = (const unsigned char *)p->in.at;

		len = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16;
		if (p->in.len < 4 + len)
			return;
		if (p->stage == 0) {
			p->stage = 1;
			liar_say(p, buf_span(&play.welcome));
		} else {
			my_hear_command(p, (struct span){ p->in.at + 4, len });
		}
		buf_consume(&p->in, 4 + len);
	}
}

static void
my_greet(struct liar_peer *p)
{
	if (play.connect_timeout != 0 && play.when == 'G') {
		p->last = play.last;
		p->flood = play.flood;
		p->flooded = play.flooded;
	}
	liar_say(p, buf_span(&play.greeting));
}

/* ---- the play ---- */

static int
play_begin(void **state)
{
	(void)state;
	memset(&play, 0, sizeof play);
	play.kit.loop = loop_new(NULL);
	must(play.kit.loop != NULL);
	buf_init(&play.greeting, 64 << 20);
	buf_init(&play.welcome, 1 << 20);
	buf_init(&play.lie, 4 << 20);
	play.identity = "liar 3306 1";
	my_put_greeting(&play.greeting, false);
	my_put(&play.welcome, 2, SPAN(MY_OK));
	liar_open(&play.liar, play.kit.loop, path, my_hear);
	play.liar.greet = my_greet;
	pulse_begin(&play.pulse, play.kit.loop);
	rss_begin();
	return 0;
}

static int
play_end(void **state)
{
	(void)state;
	rss_end("all");
	pulse_end(&play.pulse);
	liar_close(&play.liar);
	loop_free(&play.kit.loop);
	buf_fini(&play.greeting);
	buf_fini(&play.welcome);
	buf_fini(&play.lie);
	return 0;
}

static void
play_pool(unsigned max, const char *at)
{
	char error[256] = "";
	struct pool_conf conf = { .name = "db", .url = at, .max = max, .call_timeout = CALL_TIME,
		.queue_timeout = 10 * USEC_PER_SEC, .connect_timeout = play.connect_timeout, .backoff = USEC_PER_MSEC,
		.check_after = play.check_after };

	play.kit.pool = pool_open(play.kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

static void
play_start(struct kit_ask *a, const struct value *tag)
{
	kit_start(&play.kit, a, SQL, tag, 1);
}

static void
play_ask_well(const char *tag)
{
	struct value v = { .kind = VALUE_TEXT, .as.bytes = span_str(tag) };
	struct kit_ask a;

	play_start(&a, &v);
	call_wait(&a.call, KIT_SOON);
	kit_assert_row(&a, tag);
	kit_end(&a);
}

static void
play_ask_lent(struct kit_lease *l, const char *tag)
{
	struct value v = { .kind = VALUE_TEXT, .as.bytes = span_str(tag) };
	struct kit_ask a;

	kit_lease_start_values(l, &a, SQL, &v, 1);
	call_wait(&a.call, KIT_SOON);
	kit_assert_row(&a, tag);
	kit_end(&a);
}

static unsigned long long
play_losses(void)
{
	struct pool_stat s;

	pool_stat(play.kit.pool, &s);
	return s.losses;
}

static void
play_await_losses(unsigned long long n)
{
	usec late = clock_now() + 5 * USEC_PER_SEC;

	while (play_losses() < n) {
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
		assert_true(clock_now() < late);
	}
}

/* Lies are clear after each. */
static void
play_clear(void)
{
	pool_close(&play.kit.pool);
	buf_clear(&play.lie);
	play.last = false;
	play.when = 'X';
}

/* Read what is a lie in parts, and give the connection back.  Returns how it ended. */
static enum weft_rc
play_read(void)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_lease l;
	struct kit_ask a;
	enum weft_rc rc;

	kit_lend(&play.kit, &l);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_start(&l, &a, SQL, &lie, 1);
	while ((rc = call_wait(&a.call, KIT_SOON)) == WEFT_OK && !a.call.last)
		kit_part_start(&l, &a, NULL, NULL, 0);
	kit_end(&a);
	kit_give(&l);
	return rc;
}

/* One lie in answer to an execute, on a pool of its own with one connection: one before, one that is lied to, one after. */
static void
play_lie(const char *name)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_ask a;

	play.when = 'X';
	play_pool(1, url);
	play_ask_well("before");
	play_start(&a, &lie);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("%s is believed", name);
	if (a.fault.text[0] == '\0' || a.call.rows != NULL)
		fail_msg("%s fails without a reason", name);
	kit_end(&a);
	play_ask_well("after");
	if (play_losses() != 1)
		fail_msg("%s: %llu connections lost", name, play_losses());
	if (play_read() == WEFT_OK)
		fail_msg("%s is believed by a reader", name);
	play_ask_well("after a reader");
	play_clear();
}

/* ---- B60: what is no answer ---- */

static const struct {
	const char *name;
	struct span body;
} my_lies[] = {
	{ "an empty packet", SPAN("") },
	{ "an OK without anything", SPAN("\0") },
	{ "an OK cut short", SPAN("\0\0\0\2") },
	{ "an OK with a length of 8 bytes that do not follow", SPAN("\0\376") },
	{ "an OK with rows of 2^64-1 and no more", SPAN("\0\376\377\377\377\377\377\377\377\377") },
	{ "a column count of 8 bytes that do not follow", SPAN("\376\377\377\377") },
	{ "2^64-1 columns", SPAN("\376\377\377\377\377\377\377\377\377") },
	{ "65536 columns", SPAN("\375\0\0\1") },
	{ "a column count of 2 bytes that do not follow", SPAN("\374") },
	{ "an end of rows", SPAN(MY_EOF) },
	{ "half an error", SPAN("\377\1") },
	{ "a request for a file", SPAN("\373/etc/passwd") },
	{ "a request for a file without a name", SPAN("\373") },
};

static void
lies_body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof my_lies / sizeof *my_lies; i++) {
		my_put(&play.lie, 1, my_lies[i].body);
		my_put(&play.lie, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 3, SPAN(MY_EOF));
		my_put(&play.lie, 4, SPAN("\0\0\1x"));
		my_put(&play.lie, 5, SPAN(MY_EOF));
		play_lie(my_lies[i].name);
	}
}

static void
b60_what_is_no_answer_is_an_error(void **state)
{
	(void)state;
	kit_run(&play.kit, lies_body, NULL);
}

/* With an answer of any kind, what comes after it is right. */
static void
play_any(void)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_ask a;

	play.when = 'X';
	play_pool(1, url);
	play_ask_well("before");
	play_start(&a, &lie);
	call_wait(&a.call, KIT_SOON);
	kit_end(&a);
	play_ask_well("after");
	(void)play_read();
	play_ask_well("after a reader");
	play_clear();
}

/* The library takes a row that ends in the midst of a length for one, with what its buffer holds behind it; no more than that. */
static void
rows_body(void *arg)
{
	static const struct span rows[] = { SPAN("\0"), SPAN("\0\0"), SPAN("\0\0\2x"), SPAN("\0\0\374\377"), SPAN("\0\0\375\377\377\377x"),
		SPAN("\0\0\376\377\377\377\377\377\377\377\377x"), SPAN("\0\0\376\0\0\0\200\0\0\0\0"), SPAN("\0\0\373"), SPAN("\0\0\377"),
		SPAN("\1\0\1x"), SPAN("\0\0\374\0\200x"), SPAN("\0\0\376\377\377\377\177"), SPAN("\0\0\376\377"), SPAN("\0\0\375\377\377") };

	(void)arg;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		my_put_column_and_row(&play.lie, rows[i]);
		play.last = true;
		play_any();
	}
	/* One more column behind it. */
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		my_put(&play.lie, 1, SPAN("\2"));
		my_put(&play.lie, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 3, SPAN(MY_COLUMN));
		my_put(&play.lie, 4, SPAN(MY_EOF));
		my_put(&play.lie, 5, rows[i]);
		my_put(&play.lie, 6, SPAN(MY_EOF));
		play.last = true;
		play_any();
	}
}

static void
b60_a_row_that_is_not_as_described_is_no_harm(void **state)
{
	(void)state;
	kit_run(&play.kit, rows_body, NULL);
}

/* Of each type, in as many bytes as it takes, and less. */
static void
types_body(void *arg)
{
	static const unsigned char types[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 100, 245, 246, 247, 248, 249,
		250, 251, 252, 253, 254, 255 };

	(void)arg;
	for (size_t i = 0; i < sizeof types; i++)
		for (size_t len = 0; len < 16; len += 3) {
			char column[] = MY_COLUMN, row[] = "\0\0\14\377\377\377\377\377\377\377\377\377\377\377\377\377\377";

			column[sizeof column - 7] = (char)types[i];
			my_put(&play.lie, 1, SPAN("\1"));
			my_put(&play.lie, 2, (struct span){ column, sizeof column - 1 });
			my_put(&play.lie, 3, SPAN(MY_EOF));
			my_put(&play.lie, 4, (struct span){ row, 2 + len });
			my_put(&play.lie, 5, SPAN(MY_EOF));
			play_any();
		}
}

static void
b60_no_value_is_read_beyond_its_row(void **state)
{
	(void)state;
	kit_run(&play.kit, types_body, NULL);
}

/* A packet that says it is longer than it is, and one that says it is shorter. */
static void
lengths_body(void *arg)
{
	static const size_t lengths[] = { 0, 1, 2, 0xfffffe, 0xffffff };

	(void)arg;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char name[64];

		my_put_head(&play.lie, lengths[i], 1);
		must(buf_add(&play.lie, SPAN("some bytes")) == WEFT_OK);
		play.last = i > 2;
		snprintf(name, sizeof name, "a packet of %zu bytes", lengths[i]);
		play_lie(name);
		my_put(&play.lie, 1, SPAN("\1"));
		my_put_head(&play.lie, lengths[i], 2);
		must(buf_add(&play.lie, SPAN(MY_COLUMN)) == WEFT_OK);
		my_put(&play.lie, 3, SPAN(MY_EOF));
		play.last = i > 2;
		snprintf(name, sizeof name, "a column of %zu bytes", lengths[i]);
		play_lie(name);
	}
}

static void
b60_lengths_that_cannot_be_are_errors(void **state)
{
	(void)state;
	kit_run(&play.kit, lengths_body, NULL);
}

/* Byte after byte of a column's description, each as it should not be. */
static void
columns_body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof MY_COLUMN - 1; i++)
		for (int bad = 0; bad < 5; bad++) {
			static const char wrong[] = { (char)0xfb, (char)0xfc, (char)0xfd, (char)0xfe, (char)0xff };
			char column[] = MY_COLUMN;

			column[i] = wrong[bad];
			my_put(&play.lie, 1, SPAN("\1"));
			my_put(&play.lie, 2, (struct span){ column, sizeof column - 1 });
			my_put(&play.lie, 3, SPAN(MY_EOF));
			my_put(&play.lie, 4, SPAN("\0\0\1x"));
			my_put(&play.lie, 5, SPAN(MY_EOF));
			play.last = true;
			play_any();
		}
}

static void
b60_no_description_is_read_beyond_its_end(void **state)
{
	(void)state;
	kit_run(&play.kit, columns_body, NULL);
}

/* An OK with a state that has changed, told of in ways that do not fit. */
static void
states_body(void *arg)
{
	static const struct span states[] = { SPAN("\0\0\0\2\100\0\0\0"), SPAN("\0\0\0\2\100\0\0\0\377"),
		SPAN("\0\0\0\2\100\0\0\0\5\0\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\5\0\3\376\377\377"),
		SPAN("\0\0\0\2\100\0\0\0\7\0\5\376\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\376\377\377\377\377\377\377\377\377\0"),
		SPAN("\0\0\0\2\100\0\0\376\377\377\377\377\377\377\377\377"), SPAN("\0\0\0\2\100\0\0\0\3\1\1\0") };
	const struct value lie = KIT_TEXT("lie");

	(void)arg;
	play.when = 'X';
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		struct kit_ask a;

		my_put(&play.lie, 1, states[i]);
		play_pool(1, url);
		play_ask_well("before");
		play_start(&a, &lie);
		call_wait(&a.call, KIT_SOON);
		if (a.call.rc == WEFT_OK)
			assert_int_equal(a.call.rows->columns, 0);
		kit_end(&a);
		play_ask_well("after");
		play_clear();
	}
}

static void
b60_a_state_that_makes_no_sense_is_no_harm(void **state)
{
	(void)state;
	kit_run(&play.kit, states_body, NULL);
}

static void
cuts_body(void *arg)
{
	struct buf good;

	(void)arg;
	buf_init(&good, 4096);
	my_put_answer(&good, "lie");
	for (size_t cut = 0; cut < good.len; cut++) {
		char name[64];

		play.last = true;
		must(buf_add(&play.lie, (struct span){ good.at, cut }) == WEFT_OK);
		snprintf(name, sizeof name, "an end after %zu bytes", cut);
		play_lie(name);
	}
	buf_fini(&good);
}

static void
b60_an_answer_may_end_anywhere(void **state)
{
	(void)state;
	kit_run(&play.kit, cuts_body, NULL);
}

/* It was only being prepared, so nothing was done: the pool tries once more, and then says that it was not sent. */
static void
prepare_cuts_body(void *arg)
{
	const struct value v = KIT_TEXT("never");
	struct buf good;

	(void)arg;
	buf_init(&good, 4096);
	my_put_prepared(&good);
	play.when = 'P';
	for (size_t cut = 0; cut <= good.len; cut++) {
		bool whole = cut == good.len;
		struct kit_ask a;

		play.last = !whole;
		must(buf_add(&play.lie, (struct span){ good.at, cut }) == WEFT_OK);
		play_pool(1, url);
		play_start(&a, &v);
		call_wait(&a.call, KIT_SOON);
		if (whole)
			kit_assert_row(&a, "never");
		else
			kit_assert_fault(&a, WEFT_NOT_SENT, NULL);
		kit_end(&a);
		play_clear();
		play.when = 'P';
	}
	buf_fini(&good);
}

static void
b60_a_preparation_may_end_anywhere(void **state)
{
	(void)state;
	kit_run(&play.kit, prepare_cuts_body, NULL);
}

static void
prepare_lies_body(void *arg)
{
	static const struct span lies[] = { SPAN(""), SPAN("\0"), SPAN("\0\7\0\0\0\1"), SPAN("\0\7\0\0\0\377\377\377\377\0\0\0"),
		SPAN("\0\7\0\0\0\0\0\2\0\0\0\0"), SPAN("\0\7\0\0\0\0\0\0\0\0\0\0"), SPAN("\377"), SPAN("\373/etc/passwd"), SPAN("\376") };
	const struct value v = KIT_TEXT("x");

	(void)arg;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct kit_ask a;

		play.when = 'P';
		my_put(&play.lie, 1, lies[i]);
		my_put(&play.lie, 2, SPAN(MY_COLUMN));
		my_put(&play.lie, 3, SPAN(MY_EOF));
		my_put(&play.lie, 4, SPAN(MY_COLUMN));
		my_put(&play.lie, 5, SPAN(MY_EOF));
		play_pool(1, url);
		play_start(&a, &v);
		if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
			fail_msg("preparation %zu is believed", i);
		kit_end(&a);
		play.when = 'X';
		play_ask_well("after");
		play_clear();
	}
}

static void
b60_what_is_no_preparation_is_an_error(void **state)
{
	(void)state;
	kit_run(&play.kit, prepare_lies_body, NULL);
}

/* Columns without end, words about progress without end. */
static void
flood_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");
	const char *kind = arg;
	struct buf many, one;
	struct kit_ask a;

	buf_init(&many, 1 << 20);
	buf_init(&one, 4096);
	if (*kind == 'p')
		my_put(&one, 1, SPAN("\377\377\377\1\1\1\0\0\0\7nothing"));
	else
		my_put(&one, 2, SPAN(MY_COLUMN));
	while (many.len < 60000)
		must(buf_add(&many, buf_span(&one)) == WEFT_OK);
	if (*kind != 'p')
		my_put(&play.lie, 1, SPAN("\1"));
	play.when = 'X';
	play.flood = buf_span(&many);
	play.flooded = 48 << 20;
	play_pool(1, url);
	play_ask_well("before");
	play_start(&a, &lie);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("an answer that never came");
	kit_end(&a);
	play.flooded = 0;
	play_ask_well("after");
	play_clear();
	buf_fini(&many);
	buf_fini(&one);
}

static void
b60_a_flood_of_progress_takes_no_memory(void **state)
{
	(void)state;
	kit_run(&play.kit, flood_body, (char *)(uintptr_t)"p");
}

static void
b60_a_flood_of_columns_takes_no_memory(void **state)
{
	(void)state;
	kit_run(&play.kit, flood_body, (char *)(uintptr_t)"c");
}

/* ---- B59 ---- */

/* Whatever it was asked, it asks for a file. */
static void
files_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");

	(void)arg;
	play.connect_timeout = 300 * USEC_PER_MSEC;
	for (const char *when = "SIPX"; *when != '\0'; when++) {
		struct kit_ask a;

		buf_clear(&play.lie);
		my_put(&play.lie, 1, SPAN("\373/etc/passwd"));
		my_put(&play.lie, 3, SPAN(MY_OK));
		play.when = *when;
		play_pool(1, url);
		play_start(&a, &lie);
		if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
			fail_msg("%c: a file is given", *when);
		kit_end(&a);
		play_clear();
		play_pool(1, url);
		play_ask_well("after");
		play_clear();
	}
}

static void
b59_no_file_is_given_to_a_server(void **state)
{
	(void)state;
	kit_run(&play.kit, files_body, NULL);
}

/* ---- what nobody asked for ---- */

static void
unasked_body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 4; i++) {
		struct buf b;

		buf_init(&b, 4096);
		if (i == 0)
			my_put(&b, 1, SPAN(MY_OK));
		else if (i == 1)
			my_put_answer(&b, "wrong");
		else if (i == 2)
			my_put_error(&b, 1, 1927);
		else
			must(buf_add(&b, SPAN("\1")) == WEFT_OK);
		play_pool(1, url);
		play_ask_well("before");
		liar_say(liar_last(&play.liar), buf_span(&b));
		play_await_losses(1);
		play_ask_well("after");
		assert_int_equal(play_losses(), 1);
		play_clear();
		buf_fini(&b);
	}
}

static void
b54_an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
	(void)state;
	kit_run(&play.kit, unasked_body, NULL);
}

/* Behind the right answer stands the one to the next statement. */
static void
two_answers_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_ask a;

	(void)arg;
	play.when = 'X';
	my_put_answer(&play.lie, "lie");
	my_put_answer(&play.lie, "wrong");
	play_pool(1, url);
	play_ask_well("before");
	play_start(&a, &lie);
	call_wait(&a.call, KIT_SOON);
	kit_assert_row(&a, "lie");
	kit_end(&a);
	play_ask_well("after");
	assert_int_equal(play_losses(), 1);
	play_clear();
}

static void
b54_a_second_answer_is_nobodys(void **state)
{
	(void)state;
	kit_run(&play.kit, two_answers_body, NULL);
}

/* ---- borrowers ---- */

/* A borrower begins, fails, changes the session or does not, and gives it back; in the midst of which it is lied to. */
static void
play_borrow(bool taints)
{
	const struct value v = KIT_TEXT("tag");
	struct kit_lease l;
	struct kit_ask a;

	play_pool(1, url);
	play_ask_well("before");
	kit_lend(&play.kit, &l);
	kit_lease_ask(&l, &a, "BEGIN");
	kit_end(&a);
	play.lost = 1;
	play.lost_code = 1062;
	kit_lease_start_values(&l, &a, SQL, &v, 1);
	assert_int_not_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	kit_end(&a);
	play.lost = 0;
	if (taints) {
		kit_lease_ask(&l, &a, "USE db");
		kit_end(&a);
	}
	kit_give(&l);
	play_ask_well("after");
	play.begun = false;
	play_clear();
}

static void
borrow_body(void *arg)
{
	(void)arg;
	for (const char *when = "BLRZD"; *when != '\0'; when++)
		for (size_t i = 0; i < sizeof my_lies / sizeof *my_lies; i++)
			for (int more = 0; more < 2; more++) {
				my_put(&play.lie, 1, my_lies[i].body);
				if (more) {
					my_put(&play.lie, 2, SPAN(MY_COLUMN));
					my_put(&play.lie, 3, SPAN(MY_EOF));
				}
				play.when = *when;
				play_borrow(*when == 'Z' || *when == 'D');
			}
}

/* Whatever it is, no answer to it is taken for the next one's. */
static void
b60_lies_to_a_borrower_and_after_it_are_no_harm(void **state)
{
	(void)state;
	kit_run(&play.kit, borrow_body, NULL);
}

static void
rested_body(void *arg)
{
	(void)arg;
	play.check_after = USEC_PER_MSEC;
	for (size_t i = 0; i < sizeof my_lies / sizeof *my_lies; i++) {
		my_put(&play.lie, 1, my_lies[i].body);
		my_put(&play.lie, 2, SPAN(MY_OK));
		play.when = 'N';
		play_pool(1, url);
		play_ask_well("before");
		assert_int_equal(fiber_sleep(2 * USEC_PER_MSEC), WEFT_OK);
		play_ask_well("after");
		assert_int_equal(kit_stat(&play.kit).checks_failed, 1);
		play_clear();
	}
}

static void
b60_a_sign_of_life_and_more_is_none(void **state)
{
	(void)state;
	kit_run(&play.kit, rested_body, NULL);
}

/* ---- prepared statements ---- */

static void
lost_body(void *arg)
{
	static const unsigned codes[] = { 1243, 1615 };
	const struct value v = KIT_TEXT("tag");

	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		struct kit_ask a;

		play.lost_code = codes[i];
		play_pool(1, url);
		play_ask_well("before");
		play.prepared = play.executed = 0;
		play.lost = 1;
		play_ask_well("mended");
		assert_int_equal(play.prepared, 1);
		assert_int_equal(play.executed, 2);
		/* Once, and not for ever. */
		play.lost = 5;
		play_start(&a, &v);
		call_wait(&a.call, KIT_SOON);
		kit_assert_fault(&a, WEFT_REFUSED, i == 0 ? "1243" : "1615");
		kit_end(&a);
		assert_int_equal(play.executed, 4);
		play.lost = 0;
		play_ask_well("after");
		assert_int_equal(play_losses(), 0);
		play_clear();
	}
}

static void
a_lost_preparation_is_mended_once(void **state)
{
	(void)state;
	kit_run(&play.kit, lost_body, NULL);
}

/* In a transaction what was prepared is not made anew: what was before may be lost with it. */
static void
lost_in_transaction_body(void *arg)
{
	const struct value v = KIT_TEXT("tag");
	struct kit_lease l;
	struct kit_ask a;

	(void)arg;
	play.lost_code = 1243;
	play_pool(1, url);
	play_ask_well("before");
	kit_lend(&play.kit, &l);
	kit_lease_do(&l, "BEGIN");
	play.prepared = play.executed = 0;
	play.lost = 1;
	kit_lease_start_values(&l, &a, SQL, &v, 1);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "1243");
	kit_end(&a);
	assert_true(lease_in_transaction(&l.lease));
	assert_int_equal(play.prepared, 0);
	assert_int_equal(play.executed, 1);
	kit_lease_do(&l, "ROLLBACK");
	play_ask_lent(&l, "prepared again");
	play.lost = 1;
	play_ask_lent(&l, "mended");
	assert_int_equal(play.prepared, 2);
	assert_int_equal(play.executed, 4);
	kit_give(&l);
	assert_int_equal(play_losses(), 0);
	play_clear();
}

static void
a_lost_preparation_is_not_mended_in_a_transaction(void **state)
{
	(void)state;
	kit_run(&play.kit, lost_in_transaction_body, NULL);
}

/* ---- what follows from an error ---- */

static void
failover_body(void *arg)
{
	static const struct {
		unsigned code, failovers;
	} said[] = { { 1047, 1 }, { 1053, 1 }, { 1290, 1 }, { 1836, 1 }, { 1927, 1 }, { 1792, 1 }, { 1062, 0 }, { 1213, 0 },
		{ 4031, 0 } };
	const struct value v = KIT_TEXT("tag");

	(void)arg;
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct kit_ask a;

		play.lost_code = said[i].code;
		play_pool(1, url);
		play_ask_well("before");
		play.lost = 1;
		play_start(&a, &v);
		assert_int_not_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
		kit_end(&a);
		play_ask_well("after");
		if (kit_stat(&play.kit).failovers != said[i].failovers)
			fail_msg("%u is %llu failovers", said[i].code, kit_stat(&play.kit).failovers);
		play_clear();
	}
}

static void
a_server_that_is_not_the_right_one_is_left(void **state)
{
	(void)state;
	kit_run(&play.kit, failover_body, NULL);
}

/* Who leaves while the statement is being prepared does not have it executed. */
static void
unprepared_body(void *arg)
{
	const struct value v = KIT_TEXT("never");
	struct kit_ask a;

	(void)arg;
	play.liar.delay = 50 * USEC_PER_MSEC;
	play_pool(1, url);
	play_start(&a, &v);
	while (play.prepared == 0)
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	play_ask_well("after");
	assert_int_equal(play.prepared, 1);
	assert_int_equal(play.executed, 1);
	assert_int_equal(play.killed, 0);
	assert_int_equal(play_losses(), 0);
	play_clear();
}

static void
what_is_left_while_it_is_prepared_is_not_executed(void **state)
{
	(void)state;
	kit_run(&play.kit, unprepared_body, NULL);
}

/* ---- cancels ---- */

/* The statement is never answered.  The KILL goes to the server that runs it, not to another behind the same address. */
static void
cancels_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");

	(void)arg;
	play.when = 'X';
	for (int other = 0; other < 2; other++) {
		struct kit_ask a;

		play.killed = 0;
		play.identity = "liar 3306 1";
		play_pool(1, url);
		play_ask_well("before");
		play_start(&a, &lie);
		play.identity = other ? "liar 3306 2" : "liar 3306 1";
		assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
		kit_end(&a);
		play_ask_well("after");
		if (other)
			assert_int_equal(play.killed, 0);
		else
			assert_true(play.killed > 0);
		assert_int_equal(play_losses(), 1);
		play_clear();
	}
}

static void
a_cancel_goes_to_the_same_server(void **state)
{
	(void)state;
	kit_run(&play.kit, cancels_body, NULL);
}

/* ---- B57, B58: before it begins ---- */

/* No connection comes of it, within its time, and the pool says why. */
static void
play_start_fails(const char *name, const char *at, const char *code)
{
	const struct value v = KIT_TEXT("never");
	usec began = clock_now();
	struct kit_ask a;

	play_pool(1, at);
	play_start(&a, &v);
	call_wait(&a.call, KIT_SOON);
	if (a.call.rc != WEFT_DOWN || a.fault.text[0] == '\0' || (code != NULL && strcmp(a.fault.code, code) != 0))
		fail_msg("%s: rc %d %s %s", name, (int)a.call.rc, a.fault.code, a.fault.text);
	kit_end(&a);
	if (clock_now() - began > 2 * USEC_PER_SEC)
		fail_msg("%s takes too long", name);
	pool_close(&play.kit.pool);
}

static void
starts_body(void *arg)
{
	struct buf good = play.greeting;

	(void)arg;
	buf_init(&play.greeting, 1 << 20);
	play.connect_timeout = 100 * USEC_PER_MSEC;
	play.when = 'G';
	play_start_fails("a server that never speaks", url, NULL);
	for (size_t i = 0; i < sizeof my_lies / sizeof *my_lies; i++) {
		buf_clear(&play.greeting);
		my_put(&play.greeting, 0, my_lies[i].body);
		play_start_fails(my_lies[i].name, url, NULL);
	}
	buf_clear(&play.greeting);
	my_put_error(&play.greeting, 0, 1040);
	play_start_fails("too many connections", url, "1040");
	buf_clear(&play.greeting);
	my_put_head(&play.greeting, 0xffffff, 0);
	play_start_fails("a great length", url, NULL);
	play.last = true;
	for (size_t cut = 0; cut < good.len; cut++) {
		buf_clear(&play.greeting);
		must(buf_add(&play.greeting, (struct span){ good.at, cut }) == WEFT_OK);
		play_start_fails("a greeting that ends", url, NULL);
		/* As short a packet, and whole. */
		if (cut < 4)
			continue;
		buf_clear(&play.greeting);
		my_put(&play.greeting, 0, (struct span){ good.at + 4, cut - 4 });
		play_start_fails("a greeting cut short", url, NULL);
	}
	play.last = false;
	buf_fini(&play.greeting);
	play.greeting = good;
}

static void
b57_a_start_that_does_not_come_to_its_end_is_given_up(void **state)
{
	(void)state;
	kit_run(&play.kit, starts_body, NULL);
}

/* What comes after the greeting: who may come in, and the first answers. */
static void
welcomes_body(void *arg)
{
	static const char *const asks[] = { "\376mysql_clear_password\0", "\376dialog\0Password: ", "\376mysql_old_password\0abcdefgh",
		"\376no_such_plugin\0", "\376" };
	static const size_t lens[] = { 22, 18, 28, 16, 1 };

	(void)arg;
	play.connect_timeout = 200 * USEC_PER_MSEC;
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		buf_clear(&play.welcome);
		my_put(&play.welcome, 2, (struct span){ asks[i], lens[i] });
		play_start_fails(asks[i], url, NULL);
	}
	buf_clear(&play.welcome);
	my_put_error(&play.welcome, 2, 1045);
	play_start_fails("access denied", url, "1045");
	buf_clear(&play.welcome);
	play_start_fails("no answer to who we are", url, NULL);
	my_put(&play.welcome, 2, SPAN(MY_OK));
	for (const char *when = "SI"; *when != '\0'; when++)
		for (size_t i = 0; i < sizeof my_lies / sizeof *my_lies; i++) {
			buf_clear(&play.lie);
			play.when = *when;
			my_put(&play.lie, 1, my_lies[i].body);
			if (*when == 'S' && i > 0 && i < 5)
				continue;	/* the library takes any such OK for one */
			play_start_fails(my_lies[i].name, url, NULL);
		}
}

static void
b57_a_start_without_an_end_gives_nothing_away(void **state)
{
	(void)state;
	kit_run(&play.kit, welcomes_body, NULL);
}

static void
start_flood_body(void *arg)
{
	struct buf many;

	(void)arg;
	buf_init(&many, 1 << 20);
	while (many.len < 60000)
		my_put(&many, 1, SPAN("\377\377\377\1\1\1\0\0\0\7nothing"));
	play.connect_timeout = 2 * USEC_PER_SEC;
	play.flood = buf_span(&many);
	play.flooded = 24 << 20;
	play.when = 'I';
	my_put(&play.lie, 1, SPAN("\2"));
	for (int i = 0; i < 2; i++)
		play_start_fails("a start that does not end", url, NULL);
	play.flood = (struct span){ NULL, 0 };
	buf_fini(&many);
}

static void
b57_a_start_without_end_takes_no_memory(void **state)
{
	(void)state;
	kit_run(&play.kit, start_flood_body, NULL);
}

/* One connection is good, the next never comes: the first goes on, and takes over what had waited for it. */
static void
silent_body(void *arg)
{
	const struct value one = KIT_TEXT("one"), two = KIT_TEXT("two");
	struct kit_ask a, b;

	(void)arg;
	play.connect_timeout = 300 * USEC_PER_MSEC;
	play_pool(2, url);
	play_ask_well("before");
	buf_clear(&play.greeting);
	play_start(&a, &one);
	play_start(&b, &two);
	call_wait(&a.call, KIT_SOON);
	kit_assert_row(&a, "one");
	call_wait(&b.call, KIT_SOON);
	kit_assert_row(&b, "two");
	kit_end(&a);
	kit_end(&b);
	for (int i = 0; i < 20; i++)
		play_ask_well("meanwhile");
	while (liar_last(&play.liar)->number > 1)	/* until the silent one is given up */
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	pool_close(&play.kit.pool);
}

static void
b57_a_server_that_never_answers_delays_no_other(void **state)
{
	(void)state;
	kit_run(&play.kit, silent_body, NULL);
}

/* No TLS, TLS that never comes, and what comes in the clear behind the greeting. */
static void
tls_body(void *arg)
{
	char at[128];

	snprintf(at, sizeof at, "mariadb://u:" PASSWORD "@127.0.0.1:%u/db?tls=on", *(unsigned *)arg);
	play.connect_timeout = 300 * USEC_PER_MSEC;
	play_start_fails("no TLS", at, NULL);
	buf_clear(&play.greeting);
	my_put_greeting(&play.greeting, true);
	buf_clear(&play.welcome);
	play_start_fails("TLS that never comes", at, NULL);
	must(buf_add(&play.welcome, SPAN("x")) == WEFT_OK);
	play_start_fails("TLS that is none", at, NULL);
	buf_clear(&play.welcome);
	for (int i = 0; i < 4; i++) {
		buf_clear(&play.greeting);
		my_put_greeting(&play.greeting, true);
		if (i < 3)
			my_put(&play.greeting, (unsigned)i + 1, SPAN(MY_OK));
		else
			must(buf_add(&play.greeting, SPAN("\0")) == WEFT_OK);
		play_start_fails("words before TLS", at, NULL);
	}
}

static void
b58_bytes_behind_the_greeting_are_refused(void **state)
{
	unsigned port;

	(void)state;
	liar_close(&play.liar);
	port = liar_open_tcp(&play.liar, play.kit.loop, my_hear);
	play.liar.greet = my_greet;
	kit_run(&play.kit, tls_body, &port);
	assert_true(play.liar.accepted >= 7);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, play_begin, play_end)
	const struct CMUnitTest tests[] = {
		T(b60_what_is_no_answer_is_an_error),
		T(b60_a_row_that_is_not_as_described_is_no_harm),
		T(b60_no_value_is_read_beyond_its_row),
		T(b60_lengths_that_cannot_be_are_errors),
		T(b60_no_description_is_read_beyond_its_end),
		T(b60_a_state_that_makes_no_sense_is_no_harm),
		T(b60_an_answer_may_end_anywhere),
		T(b60_a_preparation_may_end_anywhere),
		T(b60_what_is_no_preparation_is_an_error),
		T(b60_a_flood_of_progress_takes_no_memory),
		T(b60_a_flood_of_columns_takes_no_memory),
		T(b59_no_file_is_given_to_a_server),
		T(b54_an_answer_that_nobody_asked_for_ends_the_connection),
		T(b54_a_second_answer_is_nobodys),
		T(a_lost_preparation_is_mended_once),
		T(a_lost_preparation_is_not_mended_in_a_transaction),
		T(b60_lies_to_a_borrower_and_after_it_are_no_harm),
		T(b60_a_sign_of_life_and_more_is_none),
		T(a_server_that_is_not_the_right_one_is_left),
		T(what_is_left_while_it_is_prepared_is_not_executed),
		T(a_cancel_goes_to_the_same_server),
		T(b57_a_start_that_does_not_come_to_its_end_is_given_up),
		T(b57_a_start_without_an_end_gives_nothing_away),
		T(b57_a_start_without_end_takes_no_memory),
		T(b57_a_server_that_never_answers_delays_no_other),
		T(b58_bytes_behind_the_greeting_are_refused),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	strcpy(dir, "/tmp/weft-liar-XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(url, sizeof url, "mariadb://u:" PASSWORD "@/db?socket=%s", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
