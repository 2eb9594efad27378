/* SPDX-License-Identifier: ISC */
#ifndef BACK_REPLY_H
#define BACK_REPLY_H

/* A Redis reply as a tree in an arena; and commands in the protocol's form.  Pure: no client library. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

#include "base/arena.h"
#include "base/span.h"

enum reply_kind { REPLY_NIL, REPLY_INT, REPLY_TEXT, REPLY_STATUS, REPLY_ERROR, REPLY_ARRAY };

struct weft_reply {
	enum reply_kind kind;
	long long integer;		/* REPLY_INT */
	struct span text;		/* TEXT, STATUS, ERROR; a NUL stands behind it */
	size_t count;			/* REPLY_ARRAY: its elements; an element may be an error */
	struct weft_reply **element;
};

/* Returns a reply without text or elements, or NULL when memory is refused. */
struct weft_reply *reply_new(struct arena *a, enum reply_kind kind);

/* Copy a text into the arena, terminated.  Returns the reply or NULL. */
struct weft_reply *reply_new_text(struct arena *a, enum reply_kind kind, struct span text);

/* Returns an array of count elements, all NULL until they are put in, or NULL. */
struct weft_reply *reply_new_array(struct arena *a, size_t count);

/* Returns whether it is the status "OK". */
bool reply_is_ok(const struct weft_reply *r);

/* Copy the first word of an error's text ("WRONGTYPE") to out, cut to fit. */
void reply_error_code(const struct weft_reply *r, char *out, size_t size);

enum { REDIS_WORDS_MAX = 1024 };	/* arguments of a format; redis_command_args takes more */

/*
 * Format a command into the arena.  Each word of fmt, between blanks, is one
 * argument, also when what is put into it holds blanks or is empty.
 *
 * fmt      %s string, %b pointer and size_t, %d %i int, %u unsigned, the same with l and ll, %%
 * out      valid as long as the arena
 * Returns  WEFT_OK; WEFT_INVALID: no words, more than REDIS_WORDS_MAX, or another conversion;
 *          WEFT_SYSTEM: the arena refused
 */
enum weft_rc redis_command_vformat(struct arena *a, const char *fmt, va_list ap, struct span *out);

/* As redis_command_vformat, with arguments. */
enum weft_rc redis_command_format(struct arena *a, struct span *out, const char *fmt, ...);

/* Make a command of argc arguments.  Returns WEFT_OK, WEFT_INVALID when there are none, WEFT_SYSTEM. */
enum weft_rc redis_command_args(struct arena *a, size_t argc, const struct span *argv, struct span *out);

/*
 * May this command go down a connection that others use too?
 *
 * why      one sentence when not
 * Returns  WEFT_OK; WEFT_INVALID: it blocks, changes the connection for all that follow, or is no whole command
 */
enum weft_rc redis_command_check(struct span command, const char **why);

/* What a command does to the connection that it goes down. */
enum redis_effect {
	REDIS_PLAIN,			/* nothing */
	REDIS_WAITS,			/* it may be answered late, when others have done something */
	REDIS_BEGINS,			/* MULTI */
	REDIS_EXECUTES,			/* EXEC, DISCARD: ends that, and WATCH */
	REDIS_WATCHES,
	REDIS_UNWATCHES,
	REDIS_MOVES,			/* SELECT */
	REDIS_SPOILS,			/* what is not undone */
};

/*
 * May this command go down a connection that is lent?
 *
 * effect   set with WEFT_OK: what it does to it
 * why      one sentence when not
 * Returns  WEFT_OK; WEFT_INVALID: it is not answered once, logs in, ends the connection, or is no whole command
 */
enum weft_rc redis_command_look(struct span command, enum redis_effect *effect, const char **why);

#endif
