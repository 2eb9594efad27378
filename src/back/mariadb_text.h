/* SPDX-License-Identifier: ISC */
#ifndef BACK_MARIADB_TEXT_H
#define BACK_MARIADB_TEXT_H

/*
 * A statement's text as MariaDB's lexer sees it: where strings, quoted names and comments end, so that
 * $1 there is left alone, and which words come first.  It is no parser: what a statement means is the server's to say.
 */

#include "base/buf.h"

enum {
	MARIADB_TEXT_VALUES = 65535,	/* of a statement; the protocol's limit */
};

/* How the session reads quotes: settings of the server's sql_mode. */
enum {
	MARIADB_NO_BACKSLASH = 1,	/* \ is a character like any other */
	MARIADB_ANSI_QUOTES = 2,	/* "x" is a name */
};

/*
 * Write a statement as the server wants it, with a ? for each $1, $2 … that stands outside of strings, quoted
 * names and comments.
 *
 * modes    MARIADB_NO_BACKSLASH, MARIADB_ANSI_QUOTES
 * text     gets the statement, terminated
 * which    gets an unsigned short for each ?: the value it stands for, from 0
 * highest  how many values are asked for: the highest $n
 * Returns  NULL; or what is wrong with the statement, in one sentence.  Memory: look whether the buffers are bad
 */
const char *mariadb_text(const char *sql, unsigned modes, struct buf *text, struct buf *which, unsigned *highest);

/*
 * Does a statement change what the next borrower of a shared connection would
 * see: its transaction, its settings, its locks, its temporary tables?
 *
 * Returns  the word which does so ("BEGIN"), static; NULL when the statement may be sent down a shared connection
 */
const char *mariadb_session_word(const char *sql);

/* Does a statement only read, so that it may be asked again? */
int mariadb_only_reads(const char *sql);

/* Does a statement that returns rows return those which it has changed? */
int mariadb_returns_changed(const char *sql);

#endif
