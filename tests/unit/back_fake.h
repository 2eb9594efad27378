/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_FAKE_H
#define TESTS_UNIT_BACK_FAKE_H

/*
 * A driver whose connections do what the test says, when it says so.  It keeps
 * the pipeline of each as a driver must, and checks what the pool asks of it.
 */

#include "back/driver.h"

#define FAKE_BEGIN "BEGIN FAKE"

enum { FAKE_DEPTH = 16, FAKE_DEEP = 256, FAKE_CONNS = 256, FAKE_HEARD = 64 };

struct fake_conn {
	struct conn *conn;
	struct call *pipe[FAKE_DEEP];	/* NULL: abandoned */
	unsigned count, written;	/* owed; of these, with bytes sent */
	bool is_broken;			/* send() says WEFT_NOT_SENT */
	bool is_washing;		/* clean() has been called; ready when nothing is owed */
	bool is_asked;			/* for a sign of life */
	int socket;			/* -1: none */
	struct {
		enum hear what;
		char channel[16];
	} hear[FAKE_HEARD];		/* what a hub has asked */
	unsigned heard;
};

/* All connections open now, in the order in which they were opened. */
struct fake_world {
	struct fake_conn *conn[FAKE_CONNS];
	unsigned count;
	unsigned opens, closes, abandons, cleans, pings;	/* since fake_reset */
	enum conn_clean clean;			/* what clean() says */
	bool open_fails;
	bool has_sockets;			/* open() makes socket pairs, whose other ends are peer[], in the order of opens */
	int peer[FAKE_CONNS];
	unsigned peers;
	unsigned rows;				/* given by fake_part */
	enum weft_rc refuse;			/* what send() says of every call; WEFT_OK: takes it */
};
extern struct fake_world fake;

/* Like SQL: does not pipeline behind what is slow.  Like Redis: does.  Like HTTP: one call at a time. */
extern const struct driver fake_sql, fake_redis, fake_http;

void fake_reset(void);

/* All that connect are ready. */
void fake_all_ready(void);

/* One reply on connection i: the oldest call is done.  With bytes written so far. */
void fake_reply(unsigned i);

/* No reply on connection i to the oldest call, and the connection goes on: an HTTP service has closed one of its own. */
void fake_fail(unsigned i, enum weft_rc rc);

/* One reply on connection i: a part of a result, with so many rows: 1, 2, 3 … since fake_reset, in a column n. */
enum fake_more { FAKE_MORE, FAKE_LAST };
void fake_part(unsigned i, size_t rows, enum fake_more more);

/* One reply on connection i: the oldest call is refused, and the transaction it is in goes on, or not. */
enum fake_end { FAKE_GOES_ON, FAKE_ROLLS_BACK };
void fake_error(unsigned i, const char *code, enum fake_end end);

/* Connection i is lost, or could not be made. */
void fake_lose(unsigned i, const char *why);

/* It gives the sign of life that it was asked for. */
void fake_pong(unsigned i);

/* The oldest call of connection i is refused, with this code. */
void fake_refuse(unsigned i, const char *code);

/* Connection i is lost, or could not be made, and the back end said so with this code. */
void fake_lose_code(unsigned i, const char *code);

/* The oldest question of a hub's on connection i is this, and is answered; or refused. */
void fake_answer(unsigned i, enum hear what, const char *channel);
void fake_deny(unsigned i, const char *channel);

/* A message comes. */
void fake_say(unsigned i, const char *channel, const char *text);

/* All its bytes so far have been sent. */
void fake_flush(unsigned i);

#endif
