/* SPDX-License-Identifier: ISC */
/*
 * Which request has which id.  Web servers use one id on a connection, or, if
 * they multiplex, small numbers in a row, so the id itself is the hash.  Ids chosen
 * to collide cost a walk over the live ones, of which there are few (multiplex).
 *
 * Up to FCGI_IDS_LISTED are found by walking the list.  The table comes with the next one, is
 * at most half full, doubles, and stays until the connection closes.
 */
#include <stdlib.h>

#include "base/must.h"
#include "front/fcgi_internal.h"

enum { FCGI_IDS_LISTED = 4, FCGI_IDS_FIRST = 16 };

void
fcgi_ids_init(struct fcgi_ids *t)
{
	*t = (struct fcgi_ids){ .at = NULL };
	TAILQ_INIT(&t->list);
}

void
fcgi_ids_fini(struct fcgi_ids *t)
{
	must(t->count == 0);
	free(t->at);
	t->at = NULL;
}

/* Returns where the id is, or where it would go. */
static unsigned
fcgi_ids_place(const struct fcgi_ids *t, uint16_t id)
{
	unsigned i = id & (t->size - 1);

	while (t->at[i] != NULL && t->at[i]->id != id)
		i = (i + 1) & (t->size - 1);
	return i;
}

struct fcgi_slot *
fcgi_ids_find(const struct fcgi_ids *t, uint16_t id)
{
	struct fcgi_slot *s;

	if (t->at != NULL)
		return t->at[fcgi_ids_place(t, id)];
	TAILQ_FOREACH(s, &t->list, link)
		if (s->id == id)
			return s;
	return NULL;
}

/* A table of this size with all that is in the list. */
static int
fcgi_ids_rebuild(struct fcgi_ids *t, unsigned size)
{
	struct fcgi_slot **at = calloc(size, sizeof(struct fcgi_slot *)), *s;

	if (at == NULL)
		return -1;
	free(t->at);
	t->at = at;
	t->size = size;
	TAILQ_FOREACH(s, &t->list, link)
		t->at[fcgi_ids_place(t, s->id)] = s;
	return 0;
}

int
fcgi_ids_add(struct fcgi_ids *t, struct fcgi_slot *s)
{
	if (t->at == NULL && t->count == FCGI_IDS_LISTED && fcgi_ids_rebuild(t, FCGI_IDS_FIRST) != 0)
		return -1;
	if (t->at != NULL && (t->count + 1) * 2 > t->size && fcgi_ids_rebuild(t, t->size * 2) != 0)
		return -1;
	if (t->at != NULL)
		t->at[fcgi_ids_place(t, s->id)] = s;
	TAILQ_INSERT_TAIL(&t->list, s, link);
	t->count++;
	return 0;
}

/* Close the gap at i: whoever could stand there, or nearer to its own place, moves up. */
static void
fcgi_ids_close_gap(struct fcgi_ids *t, unsigned i)
{
	unsigned mask = t->size - 1, j = i;

	for (;;) {
		j = (j + 1) & mask;
		if (t->at[j] == NULL)
			break;
		if (((j - t->at[j]->id) & mask) >= ((j - i) & mask)) {
			t->at[i] = t->at[j];
			i = j;
		}
	}
	t->at[i] = NULL;
}

void
fcgi_ids_remove(struct fcgi_ids *t, struct fcgi_slot *s)
{
	if (t->at != NULL)
		fcgi_ids_close_gap(t, fcgi_ids_place(t, s->id));
	TAILQ_REMOVE(&t->list, s, link);
	t->count--;
}

void
fcgi_ids_wrote(struct fcgi_ids *t, struct fcgi_slot *s)
{
	if (TAILQ_NEXT(s, link) == NULL)
		return;
	TAILQ_REMOVE(&t->list, s, link);
	TAILQ_INSERT_TAIL(&t->list, s, link);
}
