/* SPDX-License-Identifier: ISC */
#ifndef SERVER_CONFIG_TEXT_H
#define SERVER_CONFIG_TEXT_H

/*
 * The text of weft.conf, prepared for libconfuse: it counts the lines of
 * comments wrongly, and knows of a section only where it ends.
 */

#include <stddef.h>

enum { CONFIG_TEXT_SECTIONS = 512, CONFIG_TEXT_MAX = 1024 * 1024 };

struct config_text {
	char *text;			/* comments are blanks; lines are kept.  Owned; terminated */
	unsigned nsections;
	struct {
		char name[16];		/* "pool" */
		unsigned line;		/* where it begins */
	} section[CONFIG_TEXT_SECTIONS];
	unsigned open_line;		/* of the innermost '{' that nothing closes; 0: all are closed */
	unsigned unset_line;		/* of the first ${NAME} without a default that the environment does not have; 0: all are there */
	char unset[64];			/* its name */
};

/*
 * Read a file.
 *
 * Returns  0; -1 with errno: it cannot be read, EFBIG over CONFIG_TEXT_MAX
 */
int config_text_read(struct config_text *t, const char *file);

/* Free the text. */
void config_text_free(struct config_text *t);

/* Returns the line on which the n-th section of that name begins; 0 when there is none. */
unsigned config_text_line(const struct config_text *t, const char *name, unsigned n);

/* Returns the line on which a statement outside of all sections begins with that name, 1 when there is none. */
unsigned config_text_option(const struct config_text *t, const char *name);

#endif
