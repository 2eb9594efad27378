/* SPDX-License-Identifier: ISC */
#include "back/redis/redis_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slots *
slots_new(void)
{
	struct slots *s = calloc(1, sizeof *s);

	for (unsigned i = 0; s != NULL && i < REDIS_SLOTS; i++)
		s->of[i] = SLOTS_NOWHERE;
	return s;
}

void
slots_free(struct slots *s)
{
	for (unsigned i = 0; i < s->count; i++)
		free(s->node[i]);
	free(s);
}

/* ---- nodes ---- */

/* A number for one more: that of a node which is gone, or the next. */
static int
slots_new_number(struct slots *s)
{
	unsigned i = 0;

	while (i < s->count && (s->node[i]->has_slots || s->node[i]->links > 0))
		i++;
	if (i == SLOTS_NODES)
		return SLOTS_NOWHERE;
	if (i == s->count) {
		s->node[i] = malloc(sizeof *s->node[i]);
		if (s->node[i] == NULL)
			return SLOTS_NOWHERE;
		s->count++;
	}
	return (int)i;
}

int
slots_find(struct slots *s, const struct back_place *place)
{
	int number;

	for (unsigned i = 0; i < s->count; i++)
		if (s->node[i]->place.port == place->port && strcmp(s->node[i]->place.host, place->host) == 0)
			return (int)i;
	number = slots_new_number(s);
	if (number >= 0)
		*s->node[number] = (struct slots_node){ .place = *place };
	return number;
}

/* ---- CLUSTER SLOTS ---- */

/* A host as it is said; from where it is left out. */
static bool
slots_read_host(struct span text, const char *from, char *out, size_t size)
{
	if (text.len == 0)
		text = span_str(from);
	if (text.len == 0 || text.len >= size || span_equal(text, SPAN("?")))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f)
			return false;
	memcpy(out, text.at, text.len);
	out[text.len] = '\0';
	return true;
}

/* A range of slots with its nodes, the master first: [0, 5460, ["10.0.0.1", 6379, "id", …], …] */
struct slots_range {
	unsigned first, last;
	struct back_place master;
	bool is_known;			/* where the master is; a node whose name has not got around is "?" */
	bool is_id;			/* it is the one that was asked */
};

static bool
slots_read_range(const struct weft_reply *r, const char *from, struct span id, struct slots_range *out)
{
	const struct weft_reply *master, *host, *port;

	if (r->kind != REPLY_ARRAY || r->count < 3 || r->element[0]->kind != REPLY_INT || r->element[1]->kind != REPLY_INT)
		return false;
	if (r->element[0]->integer < 0 || r->element[1]->integer >= REDIS_SLOTS || r->element[0]->integer > r->element[1]->integer)
		return false;
	master = r->element[2];
	if (master->kind != REPLY_ARRAY || master->count < 2)
		return false;
	host = master->element[0];
	port = master->element[1];
	if ((host->kind != REPLY_TEXT && host->kind != REPLY_NIL) || port->kind != REPLY_INT || port->integer < 1 || port->integer > 65535)
		return false;
	out->first = (unsigned)r->element[0]->integer;
	out->last = (unsigned)r->element[1]->integer;
	out->master.port = (unsigned)port->integer;
	out->is_known = host->kind == REPLY_NIL || !span_equal(host->text, SPAN("?"));
	out->is_id = id.len > 0 && master->count > 2 && master->element[2]->kind == REPLY_TEXT && span_equal(master->element[2]->text, id);
	return !out->is_known || slots_read_host(host->kind == REPLY_NIL ? SPAN("") : host->text, from, out->master.host, sizeof out->master.host);
}

/* Does it make sense, and is there a node in it that can be asked? */
static bool
slots_is_map(const struct weft_reply *reply, const char *from, struct span id)
{
	struct slots_range range;
	bool is_any = false;

	if (reply->kind != REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < reply->count; i++) {
		if (!slots_read_range(reply->element[i], from, id, &range))
			return false;
		is_any |= range.is_known;
	}
	return is_any;
}

bool
slots_take(struct slots *s, const struct weft_reply *reply, const char *from, struct span id, int *mine)
{
	struct slots_range range;

	*mine = SLOTS_NOWHERE;
	if (!slots_is_map(reply, from, id))
		return false;
	for (unsigned i = 0; i < s->count; i++)
		s->node[i]->has_slots = false;
	for (unsigned i = 0; i < REDIS_SLOTS; i++)
		s->of[i] = SLOTS_NOWHERE;
	for (size_t i = 0; i < reply->count; i++) {
		int number;

		(void)slots_read_range(reply->element[i], from, id, &range);
		number = range.is_known ? slots_find(s, &range.master) : SLOTS_NOWHERE;
		if (number >= 0)
			s->node[number]->has_slots = true;
		if (range.is_id)
			*mine = number;
		for (unsigned slot = range.first; slot <= range.last; slot++)
			s->of[slot] = (int16_t)number;
	}
	return true;
}

/* ---- MOVED and ASK ---- */

/* A number of digits alone, at most most. */
static bool
slots_read_number(struct span s, unsigned most, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		*out = *out * 10 + (unsigned)(s.at[i] - '0');
		if (*out > most)
			return false;
	}
	return s.len > 0;
}

bool
slots_read_redirect(struct span text, const char *from, unsigned *slot, struct back_place *place)
{
	struct span word = span_take(&text, ' '), number = span_take(&text, ' ');
	size_t colon = text.len;

	if (!span_equal(word, SPAN("MOVED")) && !span_equal(word, SPAN("ASK")))
		return false;
	/* An IPv6 address has colons of its own, and no brackets. */
	while (colon > 0 && text.at[colon - 1] != ':')
		colon--;
	if (colon == 0 || !slots_read_number(number, REDIS_SLOTS - 1, slot) ||
	    !slots_read_number(span_skip(text, colon), 65535, &place->port) || place->port == 0)
		return false;
	return slots_read_host((struct span){ text.at, colon - 1 }, from, place->host, sizeof place->host);
}
