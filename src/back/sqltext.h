/* SPDX-License-Identifier: ISC */
#ifndef BACK_SQLTEXT_H
#define BACK_SQLTEXT_H

/*
 * What the drivers of PostgreSQL and SQLite must know of a statement's text: its first word, and
 * how a number is written.  It is no parser: what a statement means is the
 * back end's to say.
 */

#include <stddef.h>

enum { SQL_WORD_MAX = 16, SQL_REAL_MAX = 32 };

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

/* Write x to out with as few digits as read back to the same number; "NaN", "Infinity", "-Infinity". */
void sql_real(double x, char out[SQL_REAL_MAX]);

#endif
