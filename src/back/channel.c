/* SPDX-License-Identifier: ISC */
/*
 * A message stands in the row until all who listened when it came have read it (unread), or until it has to make place.  Its memory
 * is freed when nobody holds it any more: the row does, and who has read it last.
 */
#include "back/channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "fiber/fiber.h"

enum { CHANNEL_LOSSES = 2 };

struct message {
	STAILQ_ENTRY(message) link;
	struct channel_room *room;
	unsigned refs;			/* the row, and those who read it */
	unsigned unread;		/* by how many */
	bool is_gap;
	size_t len;
	char text[];
};

/* ---- messages ---- */

static size_t
message_size(const struct message *m)
{
	return sizeof *m + m->len + 1;
}

static void
message_unref(struct message *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	m->room->bytes -= message_size(m);
	free(m);
}

/* Returns NULL when memory is refused. */
static struct message *
message_new(struct channel_room *room, struct span text)
{
	struct message *m = malloc(sizeof *m + text.len + 1);

	if (m == NULL)
		return NULL;
	*m = (struct message){ .room = room, .refs = 1, .len = text.len };
	if (text.len > 0)
		memcpy(m->text, text.at, text.len);
	m->text[text.len] = '\0';
	room->bytes += message_size(m);
	return m;
}

/* ---- the row ---- */

static void
channel_drop_first(struct channel *c)
{
	struct message *m = STAILQ_FIRST(&c->row);

	STAILQ_REMOVE_HEAD(&c->row, link);
	c->count--;
	c->bytes -= message_size(m);
	message_unref(m);
}

/* Those that all have read stand first. */
static void
channel_trim(struct channel *c)
{
	struct message *m;

	while ((m = STAILQ_FIRST(&c->row)) != NULL && m->unread == 0)
		channel_drop_first(c);
}

/* Some have lost messages, and it cannot stand in the row. */
static void
subscription_gap(struct subscription *s)
{
	s->channel->room->gaps += !s->gap;
	s->gap = true;
	if (s->waiter != NULL)
		fiber_wake(s->waiter);
}

/* Take the oldest away from those who have not read it. */
static void
channel_lose_first(struct channel *c)
{
	struct message *m = STAILQ_FIRST(&c->row);
	struct subscription *s;

	LIST_FOREACH(s, &c->subscriptions, link) {
		if (!s->live || s->next != m)
			continue;
		s->next = STAILQ_NEXT(m, link);
		subscription_gap(s);
	}
	channel_drop_first(c);
}

/* Make place for one of this size.  Returns false when there is none, in all of the hub. */
static bool
channel_make_place(struct channel *c, size_t size)
{
	while (c->count > 0 && (c->count >= CHANNEL_MESSAGES || c->bytes + size > CHANNEL_BYTES ||
	    c->room->bytes + size > CHANNEL_ROOM))
		channel_lose_first(c);
	return c->room->bytes + size <= CHANNEL_ROOM;
}

static void
channel_append(struct channel *c, struct message *m)
{
	struct subscription *s;

	m->unread = c->live;
	STAILQ_INSERT_TAIL(&c->row, m, link);
	c->count++;
	c->bytes += message_size(m);
	LIST_FOREACH(s, &c->subscriptions, link) {
		if (!s->live)
			continue;
		c->room->gaps += m->is_gap;
		if (s->next == NULL)
			s->next = m;
		if (s->waiter != NULL)
			fiber_wake(s->waiter);
	}
}

/* Returns what is to stand in the row; NULL: there is no place for it. */
static struct message *
channel_message(struct channel *c, struct span text)
{
	if (text.len > CHANNEL_BYTES || !channel_make_place(c, sizeof(struct message) + text.len + 1))
		return NULL;
	return message_new(c->room, text);
}

static void
channel_push_gap(struct channel *c)
{
	struct message *m;
	struct subscription *s;

	if (c->live == 0)
		return;
	m = channel_message(c, SPAN(""));
	if (m != NULL) {
		m->is_gap = true;
		channel_append(c, m);
		return;
	}
	LIST_FOREACH(s, &c->subscriptions, link)
		if (s->live)
			subscription_gap(s);
}

void
channel_push(struct channel *c, struct span text)
{
	struct message *m;

	if (c->live == 0)
		return;
	c->room->messages++;
	m = channel_message(c, text);
	if (m != NULL)
		channel_append(c, m);
	else
		channel_push_gap(c);
}

/* ---- channels ---- */

struct channel *
channel_new(struct span name, struct channel_room *room)
{
	struct channel *c = calloc(1, sizeof *c + name.len + 1);

	if (c == NULL)
		return NULL;
	c->room = room;
	c->len = name.len;
	memcpy(c->name, name.at, name.len);
	LIST_INIT(&c->subscriptions);
	STAILQ_INIT(&c->row);
	return c;
}

void
channel_free(struct channel **cp)
{
	struct channel *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	must(LIST_EMPTY(&c->subscriptions) && STAILQ_EMPTY(&c->row));
	free(c);
}

void
channel_add(struct channel *c, struct subscription *s)
{
	s->channel = c;
	c->room->subscriptions++;
	LIST_INSERT_HEAD(&c->subscriptions, s, link);
}

void
channel_begin_one(struct channel *c, struct subscription *s)
{
	s->live = true;
	c->live++;
	if (s->waiter != NULL)
		fiber_wake(s->waiter);
}

void
channel_begin(struct channel *c)
{
	struct subscription *s;

	channel_push_gap(c);
	LIST_FOREACH(s, &c->subscriptions, link)
		if (!s->live)
			channel_begin_one(c, s);
}

static void
subscription_over(struct subscription *s, enum weft_rc rc, const struct fault *why)
{
	s->over = rc;
	if (s->fault != NULL && why != NULL)
		*s->fault = *why;
	if (s->waiter != NULL)
		fiber_wake(s->waiter);
}

/* Take s out of the channel, with what it has not read. */
static void
channel_remove(struct channel *c, struct subscription *s)
{
	for (struct message *m = s->next; m != NULL; m = STAILQ_NEXT(m, link))
		m->unread--;
	s->next = NULL;
	s->channel = NULL;
	c->room->subscriptions--;
	c->live -= s->live;
	LIST_REMOVE(s, link);
	channel_trim(c);
}

void
channel_lose(struct channel *c, const struct fault *why)
{
	struct subscription *s, *next;

	for (s = LIST_FIRST(&c->subscriptions); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->live || ++s->losses < CHANNEL_LOSSES)
			continue;
		channel_remove(c, s);
		subscription_over(s, why->rc, why);
	}
}

void
channel_fail(struct channel *c, const struct fault *why)
{
	struct subscription *s, *next;

	for (s = LIST_FIRST(&c->subscriptions); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->live)
			continue;
		channel_remove(c, s);
		subscription_over(s, why->rc, why);
	}
}

void
channel_refuse(struct channel *c, const struct fault *why)
{
	struct subscription *s;

	while ((s = LIST_FIRST(&c->subscriptions)) != NULL) {
		channel_remove(c, s);
		subscription_over(s, why->rc, why);
	}
}

void
channel_stop(struct channel *c, enum weft_rc rc)
{
	struct subscription *s;

	LIST_FOREACH(s, &c->subscriptions, link)
		subscription_over(s, rc, NULL);
}

/* ---- subscriptions ---- */

static enum weft_rc
subscription_wait(struct subscription *s, enum wait_why why, usec until)
{
	enum weft_rc rc;

	s->waiter = fiber_self();
	rc = fiber_wait(why, until);
	s->waiter = NULL;
	return rc;
}

enum weft_rc
subscription_await(struct subscription *s, enum wait_why why, usec until)
{
	enum weft_rc rc = WEFT_OK;

	while (!s->live && s->over == WEFT_OK && rc == WEFT_OK)
		rc = subscription_wait(s, why, until);
	return s->over != WEFT_OK ? s->over : s->live ? WEFT_OK : rc;
}

/* Read the next one that stands there. */
static enum weft_rc
subscription_take(struct subscription *s, struct span *text)
{
	struct message *m = s->next;

	s->next = STAILQ_NEXT(m, link);
	m->refs++;
	m->unread--;
	s->held = m;
	channel_trim(s->channel);
	*text = (struct span){ m->text, m->len };
	return m->is_gap ? WEFT_GAP : WEFT_OK;
}

enum weft_rc
subscription_next(struct subscription *s, struct span *text, usec until)
{
	enum weft_rc rc = fiber_may_wait(WAIT_MESSAGE);

	message_unref(s->held);
	s->held = NULL;
	/* However many messages there are, who is cancelled comes to an end. */
	if (rc != WEFT_OK)
		return rc;
	while (!s->gap && s->next == NULL) {
		if (s->over != WEFT_OK || rc != WEFT_OK)
			return s->over != WEFT_OK ? s->over : rc;
		rc = subscription_wait(s, WAIT_MESSAGE, until);
	}
	if (s->gap) {
		s->gap = false;
		return WEFT_GAP;
	}
	return subscription_take(s, text);
}

void
subscription_leave(struct subscription *s)
{
	message_unref(s->held);
	s->held = NULL;
	if (s->channel == NULL)
		return;
	channel_remove(s->channel, s);
	s->gap = false;
	subscription_over(s, WEFT_CANCELED, NULL);
}
