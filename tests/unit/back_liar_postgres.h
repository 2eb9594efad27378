/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_LIAR_POSTGRES_H
#define TESTS_UNIT_BACK_LIAR_POSTGRES_H

/* A server that knows PostgreSQL's protocol and breaks it, for back_play.h. */

#include "tests/unit/back_play.h"

/* One column "a" of text. */
#define PG_COLUMN "a\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"

struct liar_postgres {
	struct span tls;	/* the answer to who wants TLS */
	char status;		/* of the transaction, with every answer; 0: as it should be */
	unsigned wrong;		/* so many LISTENs are answered as if they were something else */
	unsigned listens;	/* so many have come … */
	int hub;		/* … on the connection of this number, the last one */
	bool sour;		/* statements without a parameter are refused */
	struct span start_flood;	/* said behind what is said to who connects, once */
	unsigned port;		/* 0: it listens on its unix socket */
};
extern struct liar_postgres pg;

/* Put a message into b: with this length, or as long as it is. */
void pg_put_length(struct buf *b, char type, uint32_t length, struct span body);
void pg_put(struct buf *b, char type, struct span body);

/* A description and a row of one column; the end of a statement; all of an answer to one that has to be prepared. */
void pg_put_row(struct buf *b, const char *tag);
void pg_put_end(struct buf *b);
void pg_put_answer(struct buf *b, const char *tag);

/* What a server says to who connects. */
void pg_put_start(struct buf *b);

/* Put what is no answer, to whatever, the ith of so many.  Returns its name, or NULL when there are no more. */
const char *pg_put_lie(struct buf *b, size_t i);
extern const size_t pg_nlies;

/* Listen on loopback instead. */
void pg_listen_tcp(void);

/* The members of the table that are the same for all of its tests. */
#define PG_SIDE PLAY_SQL, .open = pg_open, .close = pg_close, .url = pg_url, .answer = pg_put_answer, .keeps_parts = true, .attempts = 5
void pg_open(void);
void pg_close(void);
const char *pg_url(void);

#endif
