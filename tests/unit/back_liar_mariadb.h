/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_LIAR_MARIADB_H
#define TESTS_UNIT_BACK_LIAR_MARIADB_H

/* A server that knows MariaDB's protocol and breaks it, for back_play.h. */

#include "tests/unit/back_play.h"

#define MY_PASSWORD "hush-hush"
#define MY_OK "\0\0\0\2\0\0\0"
#define MY_EOF "\376\0\0\2\0"

/* One column "a" of text. */
#define MY_COLUMN "\3def\0\0\0\1a\0\14\55\0\377\0\0\0\375\0\0\37\0\0"

struct liar_mariadb {
	struct buf welcome;	/* said to who says who it is */
	char when;		/* the lie is said in answer to 'X' execute (of "lie" alone), 'P' prepare, 'S' the session's set-up, 'I' who
				   the server is, 'B' BEGIN, 'L' a look at the transaction, 'R' ROLLBACK, 'Z' reset, 'D' another database,
				   'N' a sign of life */
	bool begun;		/* a transaction is open */
	unsigned lost;		/* so many times more a prepared statement is lost … */
	unsigned lost_code;	/* … with this code */
	const char *identity;
	unsigned prepared, executed, killed;	/* how often each was heard */
	unsigned port;		/* 0: it listens on its unix socket */
};
extern struct liar_mariadb my;

/* Put a packet into b: the head of one that is so long, all of it, an error. */
void my_put_head(struct buf *b, size_t len, unsigned seq);
void my_put(struct buf *b, unsigned seq, struct span body);
void my_put_error(struct buf *b, unsigned seq, unsigned code);

/* As MariaDB 10.11 does it, with what tells of the session's state, and without its own extensions; tls: it offers that. */
void my_put_greeting(struct buf *b, bool tls);

/* All of an answer, with a row as it stands in its packet, or of one tag; the answer to who prepares a statement. */
void my_put_column_and_row(struct buf *b, struct span row);
void my_put_answer(struct buf *b, const char *tag);
void my_put_prepared(struct buf *b);

/* What is no answer, to whatever.  my_nlies: how many there are. */
struct my_lie {
	const char *name;
	struct span body;
};
extern const struct my_lie my_lies[];
extern const size_t my_nlies;

/* Listen on loopback instead. */
void my_listen_tcp(void);

/* As play_close; then lies are told to who executes a statement. */
void my_play_close(void);

/* The members of the table that are the same for all of its tests. */
#define MY_SIDE PLAY_SQL, .open = my_open, .close = my_close, .url = my_url, .answer = my_put_answer, .attempts = 1
void my_open(void);
void my_close(void);
const char *my_url(void);

#endif
