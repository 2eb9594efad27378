/* SPDX-License-Identifier: ISC */
/*
 * The receiving half of a FastCGI connection: where one record ends and the
 * next begins, and nothing else.
 *
 * A record is head, content, padding.  The head is looked at only once its 8
 * bytes are together; content passes through as it comes; padding is dropped.
 * Content and padding are counted one after the other, never as their sum,
 * which does not fit in 16 bits.  A record without content has an END too, and
 * may have padding.  What follows bytes that are not FastCGI cannot be trusted
 * to begin anywhere, so RX_SHUT is for good.
 *
 * It does not know which records make sense: types, ids and their order are
 * the connection's matter.
 */
#include "wire/fcgi_rx.h"

#include "base/must.h"

void
fcgi_rx_init(struct fcgi_rx *rx)
{
	*rx = (struct fcgi_rx){ .state = RX_HEAD };
}

/* The only writer of rx->state, and the whole diagram of the receiver. */
static void
rx_enter(struct fcgi_rx *rx, enum fcgi_rx_state next, size_t left)
{
	static const uint8_t legal[] = {
		[RX_HEAD] = 1 << RX_BODY | 1 << RX_SHUT,
		[RX_BODY] = 1 << RX_PAD | 1 << RX_HEAD,
		[RX_PAD] = 1 << RX_HEAD,
		[RX_SHUT] = 0,
	};

	must(legal[rx->state] & 1 << next);
	rx->state = next;
	rx->left = left;
}

static size_t
rx_step_head(struct fcgi_rx *rx, struct span in, struct fcgi_event *ev)
{
	switch (fcgi_head_decode(in, &rx->head)) {
	case FCGI_MORE:
		return 0;
	case FCGI_BAD:
		rx_enter(rx, RX_SHUT, 0);
		ev->kind = FCGI_EV_BAD;
		return 0;
	case FCGI_OK:
		break;
	}
	rx_enter(rx, RX_BODY, rx->head.length);
	ev->kind = FCGI_EV_RECORD;
	return FCGI_HEAD_SIZE;
}

static size_t
rx_step_body(struct fcgi_rx *rx, struct span in, struct fcgi_event *ev)
{
	size_t n = in.len < rx->left ? in.len : rx->left;

	if (rx->left == 0) {
		/* Straight to RX_HEAD where nothing is padded: RX_PAD always eats. */
		rx_enter(rx, rx->head.padding > 0 ? RX_PAD : RX_HEAD, rx->head.padding);
		ev->kind = FCGI_EV_END;
		return 0;
	}
	if (n > 0)
		*ev = (struct fcgi_event){ FCGI_EV_DATA, { in.at, n } };
	rx->left -= n;
	return n;
}

static size_t
rx_step_pad(struct fcgi_rx *rx, struct span in)
{
	size_t n = in.len < rx->left ? in.len : rx->left;

	rx->left -= n;
	if (rx->left == 0)
		rx_enter(rx, RX_HEAD, 0);
	return n;
}

size_t
fcgi_rx_step(struct fcgi_rx *rx, struct span in, struct fcgi_event *ev)
{
	*ev = (struct fcgi_event){ .kind = FCGI_EV_NONE };
	switch (rx->state) {
	case RX_HEAD:
		return rx_step_head(rx, in, ev);
	case RX_BODY:
		return rx_step_body(rx, in, ev);
	case RX_PAD:
		return rx_step_pad(rx, in);
	case RX_SHUT:
		break;
	}
	return in.len;
}

size_t
fcgi_rx_whole(struct fcgi_rx *rx, struct span in, struct span *content)
{
	struct fcgi_head head;

	if (rx->state != RX_HEAD || fcgi_head_decode(in, &head) != FCGI_OK)
		return 0;
	in = span_skip(in, FCGI_HEAD_SIZE);
	if (in.len < head.length || in.len - head.length < head.padding)
		return 0;
	rx->head = head;
	*content = (struct span){ in.at, head.length };
	return (size_t)FCGI_HEAD_SIZE + head.length + head.padding;
}
