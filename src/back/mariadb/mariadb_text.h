/* SPDX-License-Identifier: ISC */
#ifndef BACK_MARIADB_TEXT_H
#define BACK_MARIADB_TEXT_H

/*
 * A statement's text as MariaDB's lexer sees it: where strings, quoted names and comments end, so that
 * $1 there is left alone, and which words come first.  It is no parser: what a statement means is the server's to say.
 */

#include <stdbool.h>

#include "base/buf.h"

enum {
	MARIADB_TEXT_VALUES = 65535,	/* of a statement; the protocol's limit */
};

/* How the session reads quotes: settings of the server's sql_mode. */
enum {
	MARIADB_NO_BACKSLASH = 1,	/* \ is a character like any other */
	MARIADB_ANSI_QUOTES = 2,	/* "x" is a name */
};

/* A statement as the server wants it. */
struct mariadb_text {
	struct buf text;	/* terminated, with a ? for each $1, $2 … that stands outside of strings, quoted names and comments */
	struct buf which;	/* an unsigned short for each ?: the value it stands for, from 0 */
	unsigned highest;	/* how many values it asks for: the highest $n */
	bool leaves;		/* it may leave behind what no reply tells of: a variable of the user's, a named lock */
};

/* Begin empty. */
void mariadb_text_init(struct mariadb_text *t);

/* Free what it holds. */
void mariadb_text_fini(struct mariadb_text *t);

/*
 * Write a statement.
 *
 * modes    MARIADB_NO_BACKSLASH, MARIADB_ANSI_QUOTES
 * Returns  NULL; or what is wrong with the statement, in one sentence.  Without memory its buffers are bad
 */
const char *mariadb_text_set(struct mariadb_text *t, const char *sql, unsigned modes);

/*
 * Does a statement change what the next borrower of a shared connection would
 * see: its transaction, its settings, its locks, its temporary tables?
 *
 * Returns  the word which does so ("BEGIN"), static; NULL when the statement may be sent down a shared connection
 */
const char *mariadb_session_word(const char *sql);

/* Of words that mariadb_session_word returns: is what it does over with the transaction? */
bool mariadb_is_passing(const char *word);

/* … does the server never answer it with rows? */
bool mariadb_has_no_rows(const char *word);

/* … is a transaction that has ended by it, or by its failure, ended as it was asked for? */
bool mariadb_ends_transaction(const char *word, bool failed);

/* Does a statement give the session another role? */
bool mariadb_sets_role(const char *sql);

/* May there be anything in a statement: does it call a procedure, or is it a block? */
bool mariadb_is_opaque(const char *sql);

/* Does a statement only read, so that it may be asked again? */
bool mariadb_only_reads(const char *sql);

/* Does a statement change rows, so that it is to be told how many? */
bool mariadb_changes(const char *sql);

#endif
