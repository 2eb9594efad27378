/* SPDX-License-Identifier: ISC */
#include "back/sql/stmts.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

void
stmts_init(struct stmts *s, unsigned max)
{
	*s = (struct stmts){ .max = max };
	TAILQ_INIT(&s->used);
}

struct stmt *
stmts_find(struct stmts *s, const char *text, uint32_t hash, uint64_t shape)
{
	struct stmt *t = s->bucket[hash % STMTS_BUCKETS];

	while (t != NULL && (t->hash != hash || t->shape != shape || strcmp(t->text, text) != 0))
		t = t->next;
	if (t != NULL && t != TAILQ_FIRST(&s->used)) {
		TAILQ_REMOVE(&s->used, t, used);
		TAILQ_INSERT_HEAD(&s->used, t, used);
	}
	return t;
}

struct stmt *
stmts_surplus(struct stmts *s)
{
	return s->count < s->max ? NULL : TAILQ_LAST(&s->used, stmt_list);
}

struct stmt *
stmts_add(struct stmts *s, const char *text, uint32_t hash, uint64_t shape)
{
	size_t len = strlen(text);
	struct stmt *t = len > STMTS_TEXT_MAX ? NULL : calloc(1, sizeof *t + len + 1);

	must(s->count < s->max);
	if (t == NULL)
		return NULL;
	memcpy(t->text, text, len + 1);
	t->shape = shape;
	t->hash = hash;
	t->next = s->bucket[hash % STMTS_BUCKETS];
	s->bucket[hash % STMTS_BUCKETS] = t;
	TAILQ_INSERT_HEAD(&s->used, t, used);
	s->count++;
	return t;
}

void
stmts_remove(struct stmts *s, struct stmt *t)
{
	struct stmt **at = &s->bucket[t->hash % STMTS_BUCKETS];

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	TAILQ_REMOVE(&s->used, t, used);
	s->count--;
	free(t);
}
