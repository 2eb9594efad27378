/* SPDX-License-Identifier: ISC */
#ifndef BACK_REPLY_H
#define BACK_REPLY_H

/* A Redis reply as a tree in an arena. */

#include <stddef.h>

#include "base/span.h"

enum reply_kind { REPLY_NIL, REPLY_INT, REPLY_TEXT, REPLY_STATUS, REPLY_ERROR, REPLY_ARRAY };

struct weft_reply {
	enum reply_kind kind;
	long long integer;		/* REPLY_INT */
	struct span text;		/* TEXT, STATUS, ERROR; a NUL stands behind it */
	size_t count;			/* REPLY_ARRAY: its elements; an element may be an error */
	struct weft_reply **element;
};

#endif
