/* SPDX-License-Identifier: ISC */
#ifndef BACK_STMTS_H
#define BACK_STMTS_H

/*
 * The statements that one connection has prepared, found by their text; at
 * most so many, the least recently used goes first.  What "prepared" means is
 * the driver's: it keeps a number, a name or a pointer with each, and undoes that
 * itself before it removes one.
 */

#include <stdint.h>
#include <sys/queue.h>

enum { STMTS_BUCKETS = 256, STMTS_TEXT_MAX = 16384, STMTS_NAME_MAX = 28 };

struct stmt {
	TAILQ_ENTRY(stmt) used;		/* most recently used first */
	struct stmt *next;		/* in its bucket */
	uint32_t hash;
	uint64_t shape;			/* what else tells two statements of the same text apart */
	unsigned number;		/* these three are the driver's */
	char name[STMTS_NAME_MAX];
	void *data;
	char text[];
};

struct stmts {
	TAILQ_HEAD(stmt_list, stmt) used;
	struct stmt *bucket[STMTS_BUCKETS];
	unsigned count;
	unsigned max;
};

/* Begin empty; the driver holds at most max. */
void stmts_init(struct stmts *s, unsigned max);

/* Returns the statement, now the most recently used; NULL when it is not among them.  Valid until it is removed.  hash is the text's sql_hash. */
struct stmt *stmts_find(struct stmts *s, const char *text, uint32_t hash, uint64_t shape);

/* Returns the statement that has to be removed before another may be added; NULL while there is room. */
struct stmt *stmts_surplus(struct stmts *s);

/* Add one that is not there yet; there must be room.  Returns it; NULL out of memory, or when the text is over STMTS_TEXT_MAX. */
struct stmt *stmts_add(struct stmts *s, const char *text, uint32_t hash, uint64_t shape);

/* Forget and free one. */
void stmts_remove(struct stmts *s, struct stmt *t);

#endif
