/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_SAME_H
#define TESTS_UNIT_BACK_SAME_H

/*
 * Tests that are the same for several databases: what is asserted stands once, in back_same_*.c; what differs between the databases
 * stands in tables, which each of them fills in.  A program of tests is such tables, the lists of tests below, and what is its own.
 *
 * Statements are MariaDB's where standards leave the choice: SLEEP(1), CONNECTION_ID(), tables seq_1_to_10 and its like.  A database
 * that has not got them is given them by its own name of them, before the tests.
 */

#include "back_parts_kit.h"

/* A list of tests has each of them in T(): SAME_DECLARE below the list, SAME_TEST in main. */
#define SAME_DECLARE(name) void name(void **state);
#define SAME_TEST(name) cmocka_unit_test(name),

/* Which certificate is asked for, and of which server. */
enum same_tls {
	SAME_TLS_ANY,		/* any at all */
	SAME_TLS_OWN,		/* the server's, by its name */
	SAME_TLS_UNTRUSTED,	/* the server's is not among those that are trusted */
	SAME_TLS_OTHER_NAME,	/* the server's, which is not for the name that is asked for */
	SAME_TLS_KINDS
};

/* The codes of errors, as the database calls them.  NULL: there it is none. */
struct same_codes {
	const char *syntax, *foreign_key, *unique, *check, *division, *many_rows, *no_table, *no_savepoint;
	const char *aborted;	/* what follows an error within a transaction; NULL: that goes on */
	const char *deadlock, *after_deadlock;
	const char *killed, *interrupted;	/* a connection, a statement: by somebody else */
	const char *killed_words;	/* what is said of that connection from then on */
	const char *read_only;
};

/* ---- the server: the table of each program ---- */

struct same_server {
	const char *url, *tcp_url;		/* over its unix socket; over TCP, by a name */
	struct same_codes code;
	const char *const *schema;		/* makes what it lacks, parent and child; ends with NULL */

	/* Ask, on a connection that is lent or, with l NULL, on any; the first answer must be this one value. */
	void (*start)(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *text);
	void (*check)(const struct kit_ask *a, const char *want);

	/* The number of a connection, by the server's count. */
	long long (*id)(struct kit *k, struct kit_lease *l);

	/* End a connection; what it is asking; let it take no notice of anything for longer than a pool has patience, and again. */
	void (*kill)(long long id);
	void (*interrupt)(long long id);
	void (*freeze)(long long id);
	void (*thaw)(long long id);		/* NULL: by itself */

	/* Stop it by a signal; start it. */
	void (*stop)(int signo);
	void (*start_again)(void);

	/* Begin to listen before it (back_cut.h).  Returns the URL; cut_stop ends it. */
	const char *(*cut)(void);

	/* Ask over a connection that is no pool's.  Returns the first value, static. */
	const char *(*admin)(const char *sql);

	/* Ask a statement that will be prepared.  Returns how many of the connection are. */
	unsigned (*prepared)(struct kit *k, struct kit_lease *l);
};
extern const struct same_server same;

/* ---- statements on shared connections ---- */

struct same_asks {
	const char *values;		/* takes an integer, a real, two texts, … as back_same_answers.c has them */
	const char *item;		/* makes a table of id, big, name, data, whose ids are counted from 8 on */
	const char *reshape;		/* the table shape: a becomes a text, and b is added, 'two' */
	const char *const *changes;	/* what changes a connection, and ends with NULL */
	unsigned keeps;			/* statements are kept prepared, at most */
	bool pipelines;			/* one connection has several statements at once */

	const char *sleepers;		/* counts the connections that are at SELECT SLEEP(10) */
	const char *sleeper;		/* says which is at SELECT SLEEP(11), or NULL */
	const char *newest, *clients;	/* say the last connection, count them; of pools alone */
	const char *kill_me, *interrupt_me;
	const char *write;		/* refused by a server that can only be read */
	void (*set_read_only)(int on);	/* make it one; NULL: write alone says so */

	const char *const *bad_urls, *const *good_urls, *const *unreachable;	/* end with NULL */
	const char *nobody;		/* a URL with a user who does not exist, of a port, which is a "%s" … */
	const char *port;		/* … this one */
	const char *has_tls;		/* says 1 */
	void (*tls_on)(void);		/* give the server a certificate for "localhost" */
	const char *(*tls_url)(enum same_tls kind);	/* static; NULL: there is no such */
};
extern const struct same_asks same_asks;

/* back_same_answers.c: what a statement answers. */
#define SAME_ANSWERS(T) \
	T(values_of_each_kind_arrive) \
	T(many_values_arrive) \
	T(results_of_each_size_arrive) \
	T(a_result_that_does_not_end_is_left) \
	T(an_error_is_its_statements_own) \
	T(each_gets_its_own_answer) \
	T(what_the_kernel_does_not_take_at_once_arrives) \
	T(what_changes_a_shared_connection_is_refused) \
	T(what_has_changed_is_prepared_anew) \
	T(so_many_statements_are_kept_prepared)
SAME_ANSWERS(SAME_DECLARE)

/* Bodies of two of them, which are asked over TLS too. */
void same_sizes_body(void *kit);
void same_tokens_body(void *kit);

/* back_same_waits.c: statements that take time, and are given up. */
#define SAME_WAITS(T) \
	T(waits_overlap) \
	T(a_slow_statement_delays_no_other) \
	T(an_abandoned_statement_is_cancelled) \
	T(a_late_cancel_hits_nobody) \
	T(a_statement_that_goes_on_loses_its_connection)
SAME_WAITS(SAME_DECLARE)

/* back_same_losses.c: connections that are lost. */
#define SAME_LOSSES(T) \
	T(a_killed_connection_is_replaced) \
	T(a_read_only_server_is_left) \
	T(a_rested_connection_is_asked_for_a_sign_of_life) \
	T(it_goes_on_after_a_crash_of_the_server)
SAME_LOSSES(SAME_DECLARE)

/* back_same_connects.c: how connections begin. */
#define SAME_CONNECTS(T) \
	T(urls_that_cannot_work_are_refused) \
	T(a_host_name_is_looked_up) \
	T(it_speaks_tls_and_knows_whom_it_speaks_to) \
	T(what_cannot_be_reached_is_down_and_tells_no_password) \
	T(a_pool_may_close_while_connecting)
SAME_CONNECTS(SAME_DECLARE)

/* ---- connections that are lent ---- */

/* What a borrower may leave behind. */
struct same_trail {
	const char *leave[3];	/* the last may be NULL; what fails begins with '!' */
	const char *see;	/* what a shared connection may ask … */
	const char *clean;	/* … and what it says where nothing is left; NULL: NULL */
};

struct same_leases {
	const char *begin, *commit;
	const char *set;		/* the row %2$d to the amount %1$d */
	const char *get;		/* the amount of the row %d */
	const char *add_one;		/* to row 1 */
	const char *insert;		/* %u into parent */
	const char *count, *empty;	/* parent */
	const char *sleep;		/* 10 seconds within a transaction; NULL: nothing waits there */
	const char *taint;		/* changes the connection, for whom lasts longer than a transaction … */
	const char *tainted, *untainted;	/* … how to see it, and what is said where it is not so */
	const char *const *changes;	/* what only a borrower may ask; ends with NULL … */
	const char *changes_words;	/* … and what others are told who do */
	const struct same_trail *trails;
	size_t ntrails;
	void (*next)(struct kit *k, struct kit_lease *l);	/* further looks of the next borrower; NULL: none */

	/* Of SQL alone: */
	const char *const *passes;	/* what passes with a transaction, and ends with NULL */
	enum weft_rc changed;		/* how a statement fails within a transaction whose table has changed since it was prepared … */
	const char *changed_code;
};
extern const struct same_leases same_leases;

/* back_same_lease.c: what holds for any back end with transactions. */
#define SAME_LEASES(T) \
	T(two_hundred_share_five) \
	T(nothing_is_left_behind) \
	T(shared_ones_are_not_changed) \
	T(what_cannot_be_cleaned_in_time_is_closed) \
	T(a_pool_may_close_meanwhile) \
	T(a_commit_whose_answer_is_lost_is_unknown)
SAME_LEASES(SAME_DECLARE)

/* Set a row; it must have this amount. */
void same_set(struct kit *k, struct kit_lease *l, int row, int amount);
void same_has(struct kit *k, struct kit_lease *l, int row, int amount);

/* back_same_transaction.c: what holds for those of SQL. */
#define SAME_TRANSACTIONS(T) \
	T(several_statements_are_one_transaction) \
	T(a_deadlock_ends_a_transaction_for_its_borrower_too) \
	T(prepared_statements_are_kept_where_they_can_be) \
	T(preparations_are_mended_outside_of_transactions) \
	T(a_temporary_table_is_its_borrowers_own) \
	T(a_row_is_free_at_once) \
	T(what_is_abandoned_is_cancelled_and_rolled_back) \
	T(a_late_cancel_hits_no_transaction) \
	T(a_connection_that_is_killed_takes_its_transaction_along) \
	T(a_statement_that_is_interrupted_is_its_own_failure)
SAME_TRANSACTIONS(SAME_DECLARE)

/* ---- what they use: back_same.c ---- */

/* Run a body on a fiber, with a pool of so many connections, of which it makes so many; 0: any number. */
void same_with_pool(const char *url, unsigned max, unsigned connects, void (*body)(void *kit));

/* The tables of all tests: account, 1 to 10 with 100 each; parent; child, of parent; one, with 1. */
void same_make_tables(void);

/* Ask, on a connection that is lent or, with l NULL, on any: it must go well; say this; fail so (code NULL: with any). */
void same_do(struct kit *k, struct kit_lease *l, const char *text);
void same_says(struct kit *k, struct kit_lease *l, const char *text, const char *want);
void same_fails(struct kit *k, struct kit_lease *l, const char *text, enum weft_rc rc, const char *code);

/* Start, and give up after 20 ms. */
void same_give_up(struct kit *k, struct kit_lease *l, const char *text);

void same_nap(usec length);

/* Wait until a number that is asked of the server is this one. */
void same_await(const char *sql, const char *want);

/* For the table of a database of SQL. */
void same_sql_start(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *text);
void same_sql_check(const struct kit_ask *a, const char *want);
long long same_sql_id(struct kit *k, struct kit_lease *l);

/* Stop a process that is a child, and let it go on after longer than a pool has patience. */
void same_freeze_process(pid_t pid);

#endif
