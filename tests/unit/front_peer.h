/* SPDX-License-Identifier: ISC */
#ifndef FRONT_PEER_H
#define FRONT_PEER_H

/*
 * The web server's side, for the tests of the front: a bed (loop, front and a
 * small application) and peers that send bytes and look at what came back.
 *
 * The application answers by REQUEST_URI: /ok (and any other), /echo (the body back), /len
 * (its length), /var?NAME, /info/… (PATH_INFO), /sleep?MS, /big?BYTES, /parts?COUNT (16 KiB each, flushed), /log?BYTES, /text?TEXT
 * (to the log), /abort, /hang (until cancelled).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "front/fcgi_conn.h"
#include "front/front.h"
#include "wire/fcgi_record.h"

struct bed {
	struct loop *loop;
	struct front_app app;
	struct fcgi_conns *set;
	unsigned started, canceled;	/* handlers */
	enum weft_rc last;		/* what the last body or wait of a handler ended with */
};

struct peer {
	struct bed *bed;
	int fd;
	struct buf in;
	bool eof;
	bool deaf;		/* does not read */
};

/* What came for one id. */
struct seen {
	unsigned ends, closes, errs;	/* END_REQUEST, empty STDOUT, STDERR records */
	size_t max;			/* longest record */
	uint32_t status;
	uint8_t protocol;
	bool well_formed;		/* of all records of the peer: version, reserved, no record after END, whole */
	struct buf out, err;
};

/* app: limits and timeouts, may be all zero. */
void bed_open(struct bed *b, const struct front_app *app);

/* Everything must have ended: no request, no connection, no fiber. */
void bed_close(struct bed *b);

/* As bed_open, for the front that is not FastCGI. */
void bed_open_plain(struct bed *b, const struct front_app *app);

void peer_open(struct peer *p, struct bed *b);
void peer_open_tcp(struct peer *p, struct bed *b);
void peer_close(struct peer *p);

/* One turn of the loop, which waits a little at most, and read what has come. */
void peer_turn(struct peer *p);

/* Send all of it, with turns where the front does not keep up. */
void peer_send(struct peer *p, struct span bytes);

/* Send, and forget the buffer's content. */
void peer_send_buf(struct peer *p, struct buf *b);

/* Turn until the peer has so many END_REQUEST of this id (0: of any), or its end; fails when that takes seconds. */
void peer_until_ends(struct peer *p, uint16_t id, unsigned ends);

void peer_until_eof(struct peer *p);

/* Turns enough for all that can happen without time. */
void peer_settle(struct peer *p);

/* Forget what has come. */
void peer_forget(struct peer *p);

/* Collect what has come for an id; seen_free afterwards. */
void peer_seen(const struct peer *p, uint16_t id, struct seen *s);
void seen_free(struct seen *s);

/* Find the nth record of this type and id.  Returns its content, NULL at when there is none. */
struct span peer_record(const struct peer *p, uint8_t type, uint16_t id, unsigned nth);

/* The peer has got whole answers for id, and the last is good: its body is as given. */
void peer_expect(struct peer *p, uint16_t id, unsigned ends, const char *body);

/* Returns the body in a CGI response. */
struct span peer_body(struct span out);

/* ---- what is sent ---- */

enum { KEEP = 1 };

void add_record(struct buf *to, uint8_t type, uint16_t id, struct span content, uint8_t pad);
void add_begin(struct buf *to, uint16_t id, uint16_t role, uint8_t flags);
void add_pair(struct buf *to, struct span name, struct span value);
/* BEGIN, PARAMS with method and uri, their end. */
void add_head(struct buf *to, uint16_t id, uint8_t flags, const char *uri);
/* A whole request; body may be NULL. */
void add_request(struct buf *to, uint16_t id, uint8_t flags, const char *uri, const char *body);
/* The base request of 64 bytes. */
void add_base(struct buf *to, uint8_t flags);

#endif
