/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_PLAY_H
#define TESTS_UNIT_BACK_PLAY_H

/*
 * A driver against a server that knows the protocol and breaks it, on the loop of the test itself.
 *
 * The server answers each question with its tag, but for the tag "lie", which it answers with the lie of the test.  Whatever that
 * is: who asked gets an error, who waits behind gets its own tag or an error, who comes after gets its own tag; the memory stays, and
 * the loop goes on.  What is asserted of all drivers stands in back_play_*.c; what differs in a table of each, which a
 * program defines.
 */

#include "back_parts_kit.h"

#include "base/log.h"
#include "base/must.h"
#include "tests/unit/back_liar.h"

struct play_side {
	/* Make a loop in play.kit.loop and a server in play.liar; and end them. */
	void (*open)(void);
	void (*close)(void);
	const char *(*url)(void);

	/* Ask for a tag, on a connection that is lent or, with l NULL, on any; the answer, which has come, must be this tag. */
	void (*start)(struct kit_lease *l, struct kit_ask *a, const char *tag);
	void (*check)(const struct kit_ask *a, const char *tag);

	/* Put an answer into b as the server gives it. */
	void (*answer)(struct buf *b, const char *tag);

	/*
	 * Put the ith of these into b.  Returns its name, or NULL when there are no more:
	 * an answer that is none; what is said unasked; a right answer to "lie", and something behind it; what floods the asker, behind
	 * what play.lie has got by then; a start that leads to nothing.  NULL: there are none.
	 */
	const char *(*lie)(struct buf *b, size_t i);
	const char *(*unasked)(struct buf *b, size_t i);
	const char *(*two)(struct buf *b, size_t i);
	const char *(*flood)(struct buf *b, size_t i);
	const char *(*no_start)(struct buf *b, size_t i);

	bool is_sql;		/* connections are lent, and results come in parts; its losses are counted */
	bool keeps_parts;	/* the client library keeps a part of a message that came with an answer, and does not say so */
	unsigned attempts;	/* to connect, before it is given up */
};
extern const struct play_side side;

struct play {
	struct kit kit;
	struct liar *liar;
	struct pulse pulse;
	struct buf start;	/* said to who connects */
	struct buf lie;		/* said to who asks for it … */
	bool whole;		/* … instead of all that belongs to an answer, where that has a part before */
	bool last;		/* and hang up then */
	struct span flood;	/* said over and over behind it … */
	size_t flooded;		/* … so many bytes */
	usec connect_timeout, check_after;
};
extern struct play play;

/* cmocka's setup and teardown of a test, which measure how much memory it takes, and how long it holds the loop. */
int play_begin(void **state);
int play_end(void **state);

/* A peer, who is to be lied to: the lie, and all that comes with it. */
void play_tell(struct liar_peer *p);

/* Open a pool of the server, or of another URL; close it, and forget the lie. */
void play_pool(unsigned max);
void play_pool_at(unsigned max, const char *url);
void play_close(void);

/* Ask for a tag, which must come. */
void play_ask_well(const char *tag);
void play_ask_lent(struct kit_lease *l, const char *tag);

/* Wait for what was asked: it is one's own, or an error that has a reason. */
void play_check(struct kit_ask *a, const char *tag, const char *lie);

unsigned long long play_losses(void);
void play_await_losses(unsigned long long n);

/* One lie, on pools of their own with one connection: one before, one that is lied to, one behind, one after; the same to
   who has borrowed the connection, and to who reads rows in parts. */
void play_lie(const char *name);

/* Read what is a lie in parts, on a connection that is lent.  Returns how that ended. */
enum weft_rc play_read(void);

/* No connection comes of it, and the pool says why: with this code, or with NULL any. */
void play_start_fails(const char *name, const char *url, const char *code);

/* Members of the table that are the same for all of SQL. */
#define PLAY_SQL .start = play_sql_start, .check = play_sql_check, .is_sql = true
void play_sql_start(struct kit_lease *l, struct kit_ask *a, const char *tag);
void play_sql_check(const struct kit_ask *a, const char *tag);

/* A test, which runs on a fiber. */
#define PLAY(name) { #name, play_on_fiber, play_begin, play_end, (void *)(uintptr_t)(name) }
void play_on_fiber(void **state);

/* A list of tests has each of them in T(): PLAY_DECLARE below the list, PLAY_TEST in main. */
#define PLAY_DECLARE(name) void name(void *arg);
#define PLAY_TEST(name) PLAY(name),

/* back_play_lies.c: what holds for each of them. */
#define PLAY_LIES(T) \
	T(what_is_no_answer_is_an_error) \
	T(an_answer_may_end_anywhere) \
	T(an_answer_that_nobody_asked_for_ends_the_connection) \
	T(half_an_answer_that_nobody_asked_for_is_nobodys) \
	T(a_second_answer_is_nobodys) \
	T(a_flood_takes_no_memory)
PLAY_LIES(PLAY_DECLARE)

/* back_play_starts.c: what holds for those that greet who connects. */
#define PLAY_STARTS(T) \
	T(a_start_that_does_not_come_to_its_end_is_given_up) \
	T(a_server_that_never_answers_delays_no_other)
PLAY_STARTS(PLAY_DECLARE)

/* Run a group of tests.  Returns for main. */
#define play_run_group(tests) (signal(SIGPIPE, SIG_IGN), log_open(2, LOG_ERROR_, "test"), cmocka_run_group_tests(tests, NULL, NULL))

#endif
