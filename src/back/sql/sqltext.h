/* SPDX-License-Identifier: ISC */
#ifndef BACK_SQLTEXT_H
#define BACK_SQLTEXT_H

/*
 * What SQL drivers must know of a statement's text: what it leaves behind on its connection, and
 * how a number is written.  It is no parser: what a statement means is the back end's to say, and what a
 * function of the database's own does cannot be seen.  It keeps requests from each other's
 * way where somebody did not think of them, not where somebody wants to be in the way.
 */

#include <stddef.h>
#include <stdint.h>

enum { SQL_WORD_MAX = 16, SQL_INTEGER_MAX = 24, SQL_REAL_MAX = 32 };

/*
 * Write the first word of a statement, in capitals, to out (cut at SQL_WORD_MAX - 1 bytes); blanks,
 * comments, ';' and '(' before it are skipped.  Empty when there is none.
 */
void sql_first_word(const char *sql, char out[SQL_WORD_MAX]);

/*
 * Does a statement change what the next borrower of a shared connection would
 * see: its transaction, its settings, its cursors, its temporary tables?
 *
 * Returns  the word which does so ("BEGIN"), static; NULL when the statement may be sent down a shared connection
 */
const char *sql_session_word(const char *sql);

/*
 * Does a statement call a function that does the same: settings, locks that outlive a transaction, connections
 * to elsewhere?  Or does it select into a temporary table?  All of the text is looked at, also
 * strings and comments, for some of them are run (DO).
 *
 * Returns  its name ("set_config"), static; NULL when there is none
 */
const char *sql_session_call(const char *sql);

/* What a statement leaves behind on a connection that is its asker's own. */
enum sql_trace {
	SQL_LEAVES_NOTHING,
	SQL_LEAVES_TRANSACTION,		/* begun, or ended, or something that ends with it */
	SQL_LEAVES_STATE,		/* until it is reset; or nobody can say */
};
enum sql_trace sql_trace(const char *sql);

/*
 * Does a statement begin or end a transaction as a whole?  Going back to a savepoint does not.
 *
 * Returns  its first word, static; NULL when it does not
 */
const char *sql_transaction_word(const char *sql);

/* Returns a number by which statements are told apart from most others. */
uint32_t sql_hash(const char *sql);

/* Write x to out, terminated.  Returns its length. */
size_t sql_integer(long long x, char out[SQL_INTEGER_MAX]);

/* Write x to out with as few digits as read back to the same number; "NaN", "Infinity", "-Infinity". */
void sql_real(double x, char out[SQL_REAL_MAX]);

#endif
