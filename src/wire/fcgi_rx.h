/* SPDX-License-Identifier: ISC */
#ifndef WIRE_FCGI_RX_H
#define WIRE_FCGI_RX_H

/*
 * The receiver: bytes in, record events out.  It holds no bytes; it counts
 * them.  However the network cuts the bytes, the concatenated events are the
 * same.  One receiver a connection; it does not know requests.
 */

#include <stddef.h>

#include "wire/fcgi_record.h"

enum fcgi_rx_state { RX_HEAD, RX_BODY, RX_PAD, RX_SHUT };

struct fcgi_rx {
	enum fcgi_rx_state state;
	size_t left;			/* bytes left of the content or padding */
	struct fcgi_head head;		/* the present record */
};

enum fcgi_event_kind {
	FCGI_EV_NONE,		/* nothing to report */
	FCGI_EV_RECORD,		/* a record begins: rx->head */
	FCGI_EV_DATA,		/* bytes of its content */
	FCGI_EV_END,		/* its content is complete */
	FCGI_EV_BAD,		/* not FastCGI; close.  Reported once; later bytes are swallowed */
};

struct fcgi_event {
	enum fcgi_event_kind kind;
	struct span data;		/* FCGI_EV_DATA only; points into the step's input */
};

/* Begin at a record boundary. */
void fcgi_rx_init(struct fcgi_rx *rx);

/*
 * Consume a prefix of in and report at most one event.
 *
 * Returns  bytes consumed.  The caller goes on with the rest; it stops when a
 *          step consumes nothing and reports FCGI_EV_NONE, and keeps the rest
 *          (at most 7 bytes) to put in front of what comes next
 * Owns     nothing; ev->data is valid as long as in
 */
size_t fcgi_rx_step(struct fcgi_rx *rx, struct span in, struct fcgi_event *ev);

/*
 * Take one record whose head, content and padding are all at the front of in, as most are: the same as the
 * steps which would report its RECORD, its DATA and its END, in one.
 *
 * content  written only when a record is taken; points into in.  rx->head is the record's then
 * Returns  bytes consumed; 0 where there is no whole record, or not the beginning of one: go on with fcgi_rx_step
 */
size_t fcgi_rx_whole(struct fcgi_rx *rx, struct span in, struct span *content);

#endif
