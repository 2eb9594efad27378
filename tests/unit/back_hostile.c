/* SPDX-License-Identifier: ISC */

/*
 * The PostgreSQL driver against a server that knows the protocol and breaks it.
 *
 * The server answers each statement with its first parameter, but for the text
 * "lie", which it answers with the lie of the test.  Whatever that is: who asked gets
 * an error, who waits behind gets its own text or an error, who comes after gets its own text;
 * the memory stays, and the loop goes on.
 */
#include "back_parts_kit.h"

#include <errno.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/channel.h"
#include "back/hub.h"
#include "back/postgres/postgres_gather.h"
#include "base/log.h"
#include "base/must.h"
#include "tests/unit/back_liar.h"

#define SQL "SELECT $1"
#define CALL_TIME (200 * USEC_PER_MSEC)

static char dir[64], path[96], url[200];

static struct {
	struct kit kit;
	struct liar liar;
	struct pulse pulse;
	struct buf start;	/* said to who wants to begin */
	struct buf lie;		/* said to who asks for it … */
	bool whole;		/* … instead of, not after, the answers to Parse and Bind */
	bool last;		/* and hang up then */
	struct span flood;
	size_t flooded;
	struct span tls;	/* the answer to who wants TLS */
	char status;		/* of the transaction, with every answer; 0: as it should be */
	unsigned wrong;		/* so many LISTENs are answered as if they were something else */
	unsigned listens;
	int hub;		/* the number of the connection that asked for the last one */
	bool sour;		/* statements without a parameter are refused */
	usec connect_timeout;
} play;

/* ---- the protocol ---- */

static void
pg_number(char *to, uint32_t n)
{
	to[0] = (char)(n >> 24);
	to[1] = (char)(n >> 16);
	to[2] = (char)(n >> 8);
	to[3] = (char)n;
}

static uint32_t
pg_read_number(const char *at)
{
	const unsigned char *u = (const unsigned char *)at;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void
pg_put_length(struct buf *b, char type, uint32_t length, struct span body)
{
	char head[5] = { type };

	pg_number(head + 1, length);
	must(buf_add(b, (struct span){ head, 5 }) == WEFT_OK && buf_add(b, body) == WEFT_OK);
}

static void
pg_put(struct buf *b, char type, struct span body)
{
	pg_put_length(b, type, (uint32_t)body.len + 4, body);
}

static void
pg_put_start(struct buf *b)
{
	pg_put(b, 'R', SPAN("\0\0\0\0"));
	pg_put(b, 'S', SPAN("server_version\0" "15.0\0"));
	pg_put(b, 'S', SPAN("client_encoding\0UTF8\0"));
	pg_put(b, 'S', SPAN("standard_conforming_strings\0on\0"));
	pg_put(b, 'K', SPAN("\0\0\0\1\0\0\0\2"));
	pg_put(b, 'Z', SPAN("I"));
}

/* One column "a" of text. */
#define PG_COLUMN "a\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"

static void
pg_put_row(struct buf *b, const char *tag)
{
	char body[80] = { 0, 1 };
	size_t len = strlen(tag);

	pg_number(body + 2, (uint32_t)len);
	memcpy(body + 6, tag, len);
	pg_put(b, 'T', SPAN("\0\1" PG_COLUMN));
	pg_put(b, 'D', (struct span){ body, 6 + len });
}

static void
pg_put_end(struct buf *b)
{
	pg_put(b, 'C', SPAN("SELECT 1\0"));
	pg_put(b, 'Z', play.status == 0 ? SPAN("I") : (struct span){ &play.status, 1 });
}

static void
pg_put_answer(struct buf *b, const char *tag)
{
	pg_put(b, '1', SPAN(""));
	pg_put(b, '2', SPAN(""));
	pg_put_row(b, tag);
	pg_put_end(b);
}

/* A Bind's first parameter becomes the peer's tag. */
static void
pg_hear_bind(struct liar_peer *p, const char *at)
{
	uint32_t formats, len;

	at += strlen(at) + 1;
	at += strlen(at) + 1;
	formats = pg_read_number(at) >> 16;
	at += 2 + 2 * formats;
	if (pg_read_number(at) >> 16 == 0) {
		if (!p->flag)
			p->tag[0] = '\0';
		return;
	}
	len = pg_read_number(at + 2);
	must(len < sizeof p->tag);
	memcpy(p->tag, at + 6, len);
	p->tag[len] = '\0';
}

/* A hub's statements have answers of their own. */
static bool
pg_answer_hub(struct liar_peer *p, struct buf *b)
{
	bool listens = strncmp(p->tag, "LISTEN ", 7) == 0;

	if (!listens && strncmp(p->tag, "UNLISTEN ", 9) != 0 && strcmp(p->tag, "empty") != 0)
		return false;
	pg_put(b, 'n', SPAN(""));
	if (strcmp(p->tag, "empty") == 0)
		pg_put(b, 'I', SPAN(""));
	else if (listens && play.wrong > 0)
		pg_put(b, 'C', SPAN("SELECT 1\0"));
	else
		pg_put(b, 'C', listens ? SPAN("LISTEN\0") : SPAN("UNLISTEN\0"));
	pg_put(b, 'Z', SPAN("I"));
	play.wrong -= listens && play.wrong > 0;
	play.listens += listens;
	play.hub = listens ? (int)p->number : play.hub;
	return true;
}

/* Of a statement without a parameter the tag is its text, where a hub may have asked it. */
static void
pg_hear_parse(struct liar_peer *p, const char *at)
{
	at += strlen(at) + 1;
	if (at[0] == '\0' || strstr(at, "LISTEN ") != NULL)
		snprintf(p->tag, sizeof p->tag, "%s", at[0] == '\0' ? "empty" : at);
	else
		p->tag[0] = '\0';
}

static void
pg_answer(struct liar_peer *p)
{
	bool lies = strcmp(p->tag, "lie") == 0;
	struct buf b;

	buf_init(&b, 8 << 20);
	if (!(lies && play.whole)) {
		if (p->flag)
			pg_put(&b, '1', SPAN(""));
		pg_put(&b, '2', SPAN(""));
	}
	if (pg_answer_hub(p, &b)) {
		p->tag[0] = '\0';
	} else if (lies) {
		p->last = play.last;
		p->flood = play.flood;
		p->flooded = play.flooded;
	} else if (play.sour && p->tag[0] == '\0') {
		pg_put(&b, 'E', SPAN("SERROR\0VERROR\0C42501\0Mnot for you\0\0"));
		pg_put(&b, 'Z', SPAN("I"));
	} else {
		if (p->tag[0] == '\0')
			pg_put(&b, 'n', SPAN(""));
		else
			pg_put_row(&b, p->tag);
		pg_put_end(&b);
	}
	p->flag = false;
	if (lies)
		must(buf_add(&b, buf_span(&play.lie)) == WEFT_OK);
	liar_say(p, buf_span(&b));
	buf_fini(&b);
}

/* What comes before the first message: TLS, a cancel, or a start. */
static size_t
pg_hear_start(struct liar_peer *p)
{
	uint32_t len = p->in.len < 8 ? 8 : pg_read_number(p->in.at), code;

	if (p->in.len < len)
		return 0;
	code = pg_read_number(p->in.at + 4);
	if (code == 80877103 || code == 80877104) {
		liar_say(p, play.tls);
	} else if (code == 80877102) {
		liar_hang_up(p);
	} else {
		p->stage = 1;
		p->last = play.start.bad == 0 && play.connect_timeout != 0 && play.last;
		p->flood = play.connect_timeout != 0 ? play.flood : (struct span){ NULL, 0 };
		p->flooded = play.connect_timeout != 0 ? play.flooded : 0;
		liar_say(p, buf_span(&play.start));
	}
	return len;
}

static size_t
pg_hear_message(struct liar_peer *p)
{
	size_t len = p->in.len < 5 ? 5 : 1 + pg_read_number(p->in.at + 1);

	if (p->in.len < len)
		return 0;
	switch (p->in.at[0]) {
	case 'P':
		p->flag = true;
		pg_hear_parse(p, p->in.at + 5);
		break;
	case 'B':
		pg_hear_bind(p, p->in.at + 5);
		break;
	case 'S':
		pg_answer(p);
		break;
	case 'X':
		liar_hang_up(p);
		break;
	default:
		break;
	}
	return len;
}

static void
pg_hear(struct liar_peer *p)
{
	size_t n;

	while (p->fd >= 0 && (n = p->stage == 0 ? pg_hear_start(p) : pg_hear_message(p)) > 0)
		buf_consume(&p->in, n);
}

/* ---- the play ---- */

static int
play_begin(void **state)
{
	(void)state;
	memset(&play, 0, sizeof play);
	play.kit.loop = loop_new(NULL);
	must(play.kit.loop != NULL);
	buf_init(&play.start, 1 << 20);
	buf_init(&play.lie, 4 << 20);
	pg_put_start(&play.start);
	play.tls = SPAN("N");
	liar_open(&play.liar, play.kit.loop, path, pg_hear);
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
	/* A cancel's thread ends by itself. */
	for (int i = 0; i < 20; i++)
		loop_turn(play.kit.loop, USEC_PER_MSEC);
	loop_free(&play.kit.loop);
	buf_fini(&play.start);
	buf_fini(&play.lie);
	return 0;
}

static void
play_pool(unsigned max, const char *parameters)
{
	char at[256], error[256] = "";
	struct pool_conf conf = { .name = "db", .url = at, .max = max, .call_timeout = CALL_TIME,
		.queue_timeout = 20 * USEC_PER_SEC, .connect_timeout = play.connect_timeout, .backoff = USEC_PER_MSEC };

	snprintf(at, sizeof at, "%s%s", url, parameters);
	play.kit.pool = pool_open(play.kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

static void
play_start(struct kit_ask *a, const struct value *tag)
{
	kit_start(&play.kit, a, SQL, tag, 1);
}

/* An answer is one's own, or none. */
static void
play_check(struct kit_ask *a, const char *tag, const char *lie)
{
	call_wait(&a->call, KIT_SOON);
	if (a->call.rc == WEFT_OK)
		kit_assert_row(a, tag);
	else if (a->fault.text[0] == '\0')
		fail_msg("%s: \"%s\" fails without a reason", lie, tag);
	kit_end(a);
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

static void
play_start_lent(struct kit_lease *l, struct kit_ask *a, const struct value *tag)
{
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_SQL, &a->arena, &a->fault);
	a->call.sql = SQL;
	a->call.values = tag;
	a->call.nvalues = 1;
	lease_submit(&l->lease, &a->call);
}

/* One lie to a borrower, who goes on and gives the connection back. */
static void
play_lie_to_borrower(const char *name)
{
	const struct value lie = KIT_TEXT("lie"), behind = KIT_TEXT("behind");
	struct kit_ask a, b;
	struct kit_lease l;

	play_pool(1, "");
	kit_lend(&play.kit, &l);
	play_start_lent(&l, &a, &lie);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("%s is believed by a borrower", name);
	kit_end(&a);
	play_start_lent(&l, &b, &behind);
	play_check(&b, "behind", name);
	kit_give(&l);
	play_ask_well("after");
	pool_close(&play.kit.pool);
}

/* One lie to who reads rows in parts. */
static void
play_lie_to_reader(const char *name)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_lease l;
	struct kit_ask a;

	play_pool(1, "");
	kit_lend(&play.kit, &l);
	arena_init(&a.arena, NULL, 0, 0);
	kit_part_start(&l, &a, SQL, &lie, 1);
	while (call_wait(&a.call, KIT_SOON) == WEFT_OK && !a.call.last)
		kit_part_start(&l, &a, NULL, NULL, 0);
	if (a.call.rc == WEFT_OK)
		fail_msg("%s is believed by a reader", name);
	kit_end(&a);
	kit_give(&l);
	play_ask_well("after");
	pool_close(&play.kit.pool);
}

/* One lie, on a pool of its own with one connection: one before, one that is lied to, one behind in the pipeline, one after. */
static void
play_lie(const char *name)
{
	const struct value lie = KIT_TEXT("lie"), behind = KIT_TEXT("behind");
	struct kit_ask a, b;

	play_pool(1, "");
	play_ask_well("before");
	play_start(&a, &lie);
	play_start(&b, &behind);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("%s is believed", name);
	if (a.fault.text[0] == '\0' || a.call.rows != NULL)
		fail_msg("%s fails without a reason", name);
	kit_end(&a);
	play_check(&b, "behind", name);
	play_ask_well("after");
	if (play_losses() != 1)
		fail_msg("%s: %llu connections lost", name, play_losses());
	pool_close(&play.kit.pool);
	play_lie_to_borrower(name);
	play_lie_to_reader(name);
	buf_clear(&play.lie);
	play.last = play.whole = false;
}

/* ---- B55: what is no answer ---- */

static const struct {
	const char *name;
	char type;
	struct span body;
} pg_lies[] = {
	{ "an error without SQLSTATE", 'E', SPAN("SERROR\0Mwrong\0\0") },
	{ "an error without anything", 'E', SPAN("\0") },
	{ "an error without its end", 'E', SPAN("SERROR") },
	{ "an empty error", 'E', SPAN("") },
	{ "65535 columns that do not follow", 'T', SPAN("\377\377") },
	{ "a description cut short", 'T', SPAN("\0\2" PG_COLUMN) },
	{ "a column's name without its NUL", 'T', SPAN("\0\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
	{ "a description with more than it says", 'T', SPAN("\0\1" PG_COLUMN PG_COLUMN) },
	{ "a row before its description", 'D', SPAN("\0\1\0\0\0\1x") },
	{ "a command's end without its NUL", 'C', SPAN("SELECT 1") },
	{ "a type that does not exist", '?', SPAN("what") },
	{ "an authentication", 'R', SPAN("\0\0\0\0") },
	{ "a function's result", 'V', SPAN("\0\0\0\1x") },
	{ "a COPY in", 'G', SPAN("\0\0\1\0\0") },
	{ "a COPY out", 'H', SPAN("\0\0\1\0\0") },
	{ "a COPY of both", 'W', SPAN("\0\0\1\0\0") },
	{ "a COPY without its format", 'H', SPAN("") },
	{ "being ready too early", 'Z', SPAN("I") },
	{ "being ready in a state that does not exist", 'Z', SPAN("") },
	{ "a command's end too early", 'C', SPAN("SELECT 1\0") },
	{ "a NUL", '\0', SPAN("") },
};

static void
lies_body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof pg_lies / sizeof *pg_lies; i++) {
		pg_put(&play.lie, pg_lies[i].type, pg_lies[i].body);
		pg_put_end(&play.lie);
		play_lie(pg_lies[i].name);
	}
}

static void
b55_what_is_no_answer_is_an_error(void **state)
{
	(void)state;
	kit_run(&play.kit, lies_body, NULL);
}

static void
rows_body(void *arg)
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

static void
b55_a_row_that_is_not_as_described_is_an_error(void **state)
{
	(void)state;
	kit_run(&play.kit, rows_body, NULL);
}

/* What follows some rows that are as they should be. */
static void
among_rows_body(void *arg)
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
			play_lie_to_reader(lies[i].name);
			buf_clear(&play.lie);
		}
}

static void
what_is_no_row_among_rows_is_an_error(void **state)
{
	(void)state;
	kit_run(&play.kit, among_rows_body, NULL);
}

static void
lengths_body(void *arg)
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

static void
b55_lengths_that_cannot_be_are_errors(void **state)
{
	(void)state;
	kit_run(&play.kit, lengths_body, NULL);
}

/* A connection that cannot be made as it was is nobody's: it is closed. */
static void
unclean_body(void *arg)
{
	const struct value tag = KIT_TEXT("mine");
	struct kit_lease l;
	struct kit_ask a;

	(void)arg;
	play_pool(1, "");
	for (unsigned i = 1; i <= 3; i++) {
		kit_lend(&play.kit, &l);
		play.status = i == 1 ? 'T' : i == 2 ? 'E' : 0;
		play_start_lent(&l, &a, &tag);
		play_check(&a, "mine", "a transaction that nobody began");
		assert_int_equal(lease_in_transaction(&l.lease), i < 3);
		if (i == 3)
			kit_lease_do(&l, "SET a = 1");
		play.sour = i == 3;
		kit_give(&l);
		play_await_losses(i);
		play.status = 0;
		play.sour = false;
		play_ask_well("after");
	}
	pool_close(&play.kit.pool);
}

static void
what_cannot_be_cleaned_is_closed(void **state)
{
	(void)state;
	kit_run(&play.kit, unclean_body, NULL);
}

/* That which a server may say of an error, and yet little: it is the statement's error and no more. */
static void
no_message_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_ask a;

	(void)arg;
	pg_put(&play.lie, 'E', SPAN("SERROR\0VERROR\0C22012\0\0"));
	pg_put(&play.lie, 'Z', SPAN("I"));
	play_pool(1, "");
	play_start(&a, &lie);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_REFUSED, "22012");
	kit_end(&a);
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	pool_close(&play.kit.pool);
}

static void
b55_an_error_without_a_message_is_told_all_the_same(void **state)
{
	(void)state;
	kit_run(&play.kit, no_message_body, NULL);
}

/* Every column is there: an answer, or an error; not the end of the world. */
static void
wide_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie"), behind = KIT_TEXT("behind");
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
	play_pool(1, "");
	play_start(&a, &lie);
	play_start(&b, &behind);
	call_wait(&a.call, KIT_SOON);
	if (a.call.rc == WEFT_OK)
		assert_int_equal(a.call.rows->columns, 65535);
	kit_end(&a);
	play_check(&b, "behind", "65535 columns");
	play_ask_well("after");
	pool_close(&play.kit.pool);
}

static void
b55_65535_columns_are_no_harm(void **state)
{
	(void)state;
	kit_run(&play.kit, wide_body, NULL);
}

static void
cuts_body(void *arg)
{
	struct buf good;

	(void)arg;
	buf_init(&good, 4096);
	pg_put_answer(&good, "lie");
	for (size_t cut = 0; cut < good.len; cut++) {
		char name[64];

		play.whole = play.last = true;
		must(buf_add(&play.lie, (struct span){ good.at, cut }) == WEFT_OK);
		snprintf(name, sizeof name, "an end after %zu bytes", cut);
		play_lie(name);
	}
	buf_fini(&good);
}

static void
b55_an_answer_may_end_anywhere(void **state)
{
	(void)state;
	kit_run(&play.kit, cuts_body, NULL);
}

/* ---- what nobody asked for ---- */

static void
unasked_body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 12; i++) {
		static const char types[] = "DZCT12?RHsI";
		struct buf b;

		buf_init(&b, 4096);
		if (i < 11)
			pg_put(&b, types[i], SPAN("\0\1\0\0\0\1x"));
		else
			pg_put_answer(&b, "wrong");
		play_pool(1, "");
		play_ask_well("before");
		liar_say(liar_last(&play.liar), buf_span(&b));
		play_await_losses(1);
		play_ask_well("after");
		assert_int_equal(play_losses(), 1);
		pool_close(&play.kit.pool);
		buf_fini(&b);
	}
}

static void
b54_an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
	(void)state;
	kit_run(&play.kit, unasked_body, NULL);
}

/* A part of an answer while idle, the rest when the next has been asked for: that one does not get it. */
static void
halves_body(void *arg)
{
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	pg_put_answer(&b, "wrong");
	for (size_t cut = 1; cut < b.len; cut++) {
		const struct value v = KIT_TEXT("after");
		struct liar_peer *p;
		struct kit_ask a;

		play_pool(1, "");
		play_ask_well("before");
		p = liar_last(&play.liar);
		liar_say(p, (struct span){ b.at, cut });
		for (int i = 0; i < 3; i++)
			assert_int_equal(fiber_sleep(100), WEFT_OK);
		play_start(&a, &v);
		liar_say(p, (struct span){ b.at + cut, b.len - cut });
		call_wait(&a.call, KIT_SOON);
		kit_assert_row(&a, "after");
		kit_end(&a);
		assert_int_equal(play_losses(), 1);
		pool_close(&play.kit.pool);
	}
	buf_fini(&b);
}

static void
b54_half_an_answer_that_nobody_asked_for_is_nobodys(void **state)
{
	(void)state;
	kit_run(&play.kit, halves_body, NULL);
}

static void
error_unasked_body(void *arg)
{
	static const struct span errors[] = { SPAN("SFATAL\0VFATAL\0C57P01\0Mgone\0\0"), SPAN("SERROR\0VERROR\0C22012\0Mwrong\0\0") };

	(void)arg;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct buf b;

		buf_init(&b, 4096);
		pg_put(&b, 'E', errors[i]);
		play_pool(1, "");
		play_ask_well("before");
		liar_say(liar_last(&play.liar), buf_span(&b));
		play_await_losses(1);
		play_ask_well("after");
		pool_close(&play.kit.pool);
		buf_fini(&b);
	}
}

static void
b54_an_error_that_nobody_asked_for_ends_the_connection(void **state)
{
	(void)state;
	kit_run(&play.kit, error_unasked_body, NULL);
}

static void
talk_body(void *arg)
{
	struct buf b;

	(void)arg;
	buf_init(&b, 4096);
	pg_put(&b, 'N', SPAN("SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"));
	pg_put(&b, 'S', SPAN("TimeZone\0UTC\0"));
	pg_put(&b, 'A', SPAN("\0\0\0\1channel\0payload\0"));
	play_pool(1, "");
	play_ask_well("before");
	for (size_t i = 0; i < 20; i++) {
		liar_say(liar_last(&play.liar), buf_span(&b));
		assert_int_equal(fiber_sleep(100), WEFT_OK);
	}
	play_ask_well("after");
	assert_int_equal(play_losses(), 0);
	pool_close(&play.kit.pool);
	buf_fini(&b);
}

static void
b54_what_a_server_may_say_unasked_is_no_harm(void **state)
{
	(void)state;
	kit_run(&play.kit, talk_body, NULL);
}

/* 48 MB of it, before an answer and while idle. */
static void
flood_body(void *arg)
{
	const struct value lie = KIT_TEXT("lie");
	struct kit_ask a;
	struct buf line, many;

	buf_init(&line, 4096);
	buf_init(&many, 1 << 20);
	if (*(const char *)arg == 'A')
		pg_put(&line, 'A', SPAN("\0\0\0\1channel\0payload payload payload payload payload payload\0"));
	else
		pg_put(&line, 'N', SPAN("SNOTICE\0VNOTICE\0C00000\0Mhello hello hello hello hello hello\0\0"));
	while (many.len < 60000)
		must(buf_add(&many, buf_span(&line)) == WEFT_OK);
	play.flood = buf_span(&many);
	play.flooded = 48 << 20;
	play_pool(1, "");
	play_ask_well("before");
	play_start(&a, &lie);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		fail_msg("an answer that never came");
	kit_end(&a);
	play.flooded = 0;
	play_ask_well("after");
	liar_last(&play.liar)->flood = buf_span(&many);
	liar_last(&play.liar)->flooded = 48 << 20;
	liar_say(liar_last(&play.liar), buf_span(&line));
	play_ask_well("while it comes, or after");
	pool_close(&play.kit.pool);
	play.flood = (struct span){ NULL, 0 };
	buf_fini(&line);
	buf_fini(&many);
}

static void
b55_a_flood_of_notices_takes_no_memory(void **state)
{
	(void)state;
	kit_run(&play.kit, flood_body, (char *)(uintptr_t)"N");
}

static void
b55_a_flood_of_notifications_takes_no_memory(void **state)
{
	(void)state;
	kit_run(&play.kit, flood_body, (char *)(uintptr_t)"A");
}

/* ---- B57, B58: before it begins ---- */

/* No connection comes of it, however often it is tried, and the pool says why. */
static void
play_start_fails(const char *name, const char *parameters)
{
	const struct value v = KIT_TEXT("never");
	usec began = clock_now();
	struct kit_ask a;

	play_pool(1, parameters);
	play_start(&a, &v);
	call_wait(&a.call, KIT_SOON);
	if (a.call.rc != WEFT_DOWN || a.fault.text[0] == '\0')
		fail_msg("%s: rc %d %s", name, (int)a.call.rc, a.fault.text);
	kit_end(&a);
	/* Five attempts. */
	if (clock_now() - began > 5 * 2 * USEC_PER_SEC)
		fail_msg("%s takes too long", name);
	pool_close(&play.kit.pool);
}

static void
starts_body(void *arg)
{
	struct buf good = play.start;

	(void)arg;
	buf_init(&play.start, 1 << 20);
	play.connect_timeout = 50 * USEC_PER_MSEC;
	play_start_fails("a server that never answers", "");
	for (size_t i = 0; i < sizeof pg_lies / sizeof *pg_lies; i++) {
		buf_clear(&play.start);
		pg_put(&play.start, pg_lies[i].type == 'R' ? 'T' : pg_lies[i].type, pg_lies[i].body);
		play_start_fails(pg_lies[i].name, "");
	}
	for (const char *type = "RSKENZv"; *type != '\0'; type++) {
		buf_clear(&play.start);
		if (*type != 'R')
			pg_put(&play.start, 'R', SPAN("\0\0\0\0"));
		pg_put_length(&play.start, *type, 0, SPAN(""));
		play_start_fails("no length", "");
		buf_clear(&play.start);
		if (*type != 'R')
			pg_put(&play.start, 'R', SPAN("\0\0\0\0"));
		pg_put_length(&play.start, *type, 0x7fffffff, SPAN(""));
		play_start_fails("a great length", "");
	}
	play.last = true;
	for (size_t cut = 0; cut < good.len; cut++) {
		buf_clear(&play.start);
		must(buf_add(&play.start, (struct span){ good.at, cut }) == WEFT_OK);
		play_start_fails("a start that ends", "");
	}
	play.last = false;
	buf_fini(&play.start);
	play.start = good;
}

static void
b57_a_start_that_does_not_come_to_its_end_is_given_up(void **state)
{
	(void)state;
	kit_run(&play.kit, starts_body, NULL);
}

/* Each parameter has a name of its own, and libpq keeps them all. */
static void
start_flood_body(void *arg)
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
	play.flood = buf_span(&many);
	play.flooded = many.len;
	/* What the server keeps to say is not what the driver takes. */
	rss_begin();
	play_start_fails("a start that does not end", "");
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
	play_pool(2, "");
	play_ask_well("before");
	buf_clear(&play.start);
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

/* What comes in the clear behind the answer about TLS is not read as if it had come under TLS. */
static void
tls_body(void *arg)
{
	struct buf clear;
	struct span answers[4];

	buf_init(&clear, 4096);
	must(buf_add(&clear, SPAN("S")) == WEFT_OK && buf_add(&clear, buf_span(&play.start)) == WEFT_OK);
	answers[0] = buf_span(&clear);
	answers[1] = SPAN("Sx");
	answers[2] = SPAN("N");
	answers[3] = SPAN("?");
	play.connect_timeout = 200 * USEC_PER_MSEC;
	snprintf(url, sizeof url, "postgresql://u@127.0.0.1:%u/db", *(unsigned *)arg);
	for (size_t i = 0; i < 4; i++) {
		play.tls = answers[i];
		play_start_fails("TLS that is none", "?sslmode=require");
	}
	buf_fini(&clear);
}

static void
b58_bytes_behind_the_answer_about_tls_are_refused(void **state)
{
	char before[sizeof url];
	unsigned port;

	(void)state;
	memcpy(before, url, sizeof url);
	liar_close(&play.liar);
	port = liar_open_tcp(&play.liar, play.kit.loop, pg_hear);
	kit_run(&play.kit, tls_body, &port);
	memcpy(url, before, sizeof url);
	assert_true(play.liar.accepted >= 4);
	for (struct liar_peer *p = TAILQ_FIRST(&play.liar.peers); p != NULL; p = TAILQ_NEXT(p, link))
		assert_int_equal(p->stage, 0);	/* none went on, not even to say who it is */
}

#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC

/* Of one descriptor, for as long as it lasts: nothing goes, nothing comes. */
static void
gathering_concerns_one_descriptor(void **state)
{
	int a[2], b[2];
	char c;

	(void)state;
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

/* ---- a hub ---- */

/* The connection of the hub, once it has asked so often. */
static struct liar_peer *
play_hub(unsigned listens)
{
	usec late = clock_now() + 5 * USEC_PER_SEC;
	struct liar_peer *p;

	while (play.listens < listens) {
		assert_int_equal(fiber_sleep(USEC_PER_MSEC), WEFT_OK);
		assert_true(clock_now() < late);
	}
	TAILQ_FOREACH(p, &play.liar.peers, link)
		if ((int)p->number == play.hub)
			return p;
	fail_msg("the hub's connection is gone");
	return NULL;
}

static void
play_notify(struct liar_peer *p, const char *text)
{
	struct buf b, body;

	buf_init(&b, 4096);
	buf_init(&body, 4096);
	buf_add(&body, SPAN("\0\0\0\1c\0"));
	buf_add(&body, (struct span){ text, strlen(text) + 1 });
	pg_put(&b, 'A', buf_span(&body));
	liar_say(p, buf_span(&b));
	buf_fini(&body);
	buf_fini(&b);
}

static void
play_hub_pool(void)
{
	char error[256] = "";
	struct pool_conf conf = { .name = "db", .url = url, .max = 2, .queue_timeout = 20 * USEC_PER_SEC, .backoff = USEC_PER_MSEC,
		.connect_timeout = 200 * USEC_PER_MSEC, .check_after = 100 * USEC_PER_MSEC };

	play.listens = 0;
	play.kit.pool = pool_open(play.kit.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
}

static void
play_hears(struct subscription *s, enum weft_rc rc, const char *text)
{
	struct span got = { "", 0 };

	assert_int_equal(subscription_next(s, &got, KIT_SOON), rc);
	if (rc == WEFT_OK)
		assert_string_equal(got.at, text);
}

static void
hub_lies_body(void *arg)
{
	/* A type, how long it says it is (0: as long as it is), and its bytes. */
	static const struct {
		char type;
		uint32_t length;
		struct span body;
	} lies[] = {
		{ 'A', 0, SPAN("\0\0\0\1c") }, { 'A', 0, SPAN("\0\0\0\1c\0x") }, { 'A', 0, SPAN("") }, { 'A', 2000000000, SPAN("\0\0\0\1c\0x\0") },
		{ 'A', 3, SPAN("") }, { 'C', 0, SPAN("LISTEN\0") }, { 'Z', 0, SPAN("I") }, { 'D', 0, SPAN("\0\1\0\0\0\1x") },
		{ 'E', 0, SPAN("SFATAL\0VFATAL\0C57P01\0Mgo away\0\0") }, { 'A', 0x80000000, SPAN("\0") },
	};
	struct subscription s;
	struct fault fault;
	enum weft_rc rc;

	(void)arg;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct span got;
		struct buf b;

		buf_init(&b, 4096);
		pg_put_length(&b, lies[i].type, lies[i].length == 0 ? (uint32_t)lies[i].body.len + 4 : lies[i].length, lies[i].body);
		play_hub_pool();
		assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
		play_notify(play_hub(1), "one");
		play_hears(&s, WEFT_OK, "one");
		liar_say(play_hub(1), buf_span(&b));
		play_await_losses(1);
		/* libpq makes a text of what lacks its end, with what comes next: a server may say any text. */
		while ((rc = subscription_next(&s, &got, KIT_SOON)) == WEFT_OK)
			assert_string_equal(got.at, "x1");
		assert_int_equal(rc, WEFT_GAP);
		play_notify(play_hub(2), "two");
		play_hears(&s, WEFT_OK, "two");
		hub_unsubscribe(&s);
		pool_close(&play.kit.pool);
		buf_fini(&b);
	}
}

static void
what_is_no_notification_is_a_gap(void **state)
{
	(void)state;
	kit_run(&play.kit, hub_lies_body, NULL);
}

static void
hub_wrong_body(void *arg)
{
	struct subscription s;
	struct fault fault;

	(void)arg;
	play.wrong = 1;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
	assert_int_equal(play.listens, 2);
	hub_unsubscribe(&s);
	pool_close(&play.kit.pool);
	play.wrong = 2;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_NOT_SENT);
	assert_non_null(strstr(fault.text, "do not match"));
	pool_close(&play.kit.pool);
}

static void
a_wrong_answer_to_listen_is_asked_again_once(void **state)
{
	(void)state;
	kit_run(&play.kit, hub_wrong_body, NULL);
}

/* Alive, and silent: it is asked, and answers. */
static void
hub_silent_body(void *arg)
{
	struct subscription s;
	struct fault fault;

	(void)arg;
	play_hub_pool();
	assert_int_equal(hub_subscribe(play.kit.pool, &s, SPAN("c"), &fault), WEFT_OK);
	assert_int_equal(fiber_sleep(500 * USEC_PER_MSEC), WEFT_OK);
	assert_int_equal(play_losses(), 0);
	play_notify(play_hub(1), "still");
	play_hears(&s, WEFT_OK, "still");
	hub_unsubscribe(&s);
	pool_close(&play.kit.pool);
}

static void
silence_is_no_loss_where_it_is_answered(void **state)
{
	(void)state;
	kit_run(&play.kit, hub_silent_body, NULL);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, play_begin, play_end)
	const struct CMUnitTest tests[] = {
		T(b55_what_is_no_answer_is_an_error),
		T(b55_a_row_that_is_not_as_described_is_an_error),
		T(what_is_no_row_among_rows_is_an_error),
		T(b55_lengths_that_cannot_be_are_errors),
		T(what_cannot_be_cleaned_is_closed),
		T(b55_an_error_without_a_message_is_told_all_the_same),
		T(b55_65535_columns_are_no_harm),
		T(b55_an_answer_may_end_anywhere),
		T(b55_a_flood_of_notices_takes_no_memory),
		T(b55_a_flood_of_notifications_takes_no_memory),
		T(b54_an_answer_that_nobody_asked_for_ends_the_connection),
		T(b54_half_an_answer_that_nobody_asked_for_is_nobodys),
		T(b54_an_error_that_nobody_asked_for_ends_the_connection),
		T(b54_what_a_server_may_say_unasked_is_no_harm),
		T(b57_a_start_that_does_not_come_to_its_end_is_given_up),
		T(b57_a_start_without_end_takes_no_memory),
		T(b57_a_server_that_never_answers_delays_no_other),
		T(b58_bytes_behind_the_answer_about_tls_are_refused),
		T(what_is_no_notification_is_a_gap),
		T(a_wrong_answer_to_listen_is_asked_again_once),
		T(silence_is_no_loss_where_it_is_answered),
#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC
		T(gathering_concerns_one_descriptor),
#endif
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	strcpy(dir, "/tmp/weft-liar-XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/.s.PGSQL.5432", dir);
	snprintf(url, sizeof url, "postgresql:///db?user=u&host=%s", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
