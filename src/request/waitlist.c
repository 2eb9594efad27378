/* SPDX-License-Identifier: ISC */
#include "request/waitlist.h"

#include <stddef.h>

#include "fiber/fiber.h"

struct waitlist_entry {
	struct fiber *fiber;
	struct waitlist_entry *next;
};

/* Both ends of an entry's stay in the list; apart from the wait, so that the compiler sees no address of a local escape. */
static void
waitlist_put(struct waitlist *w, struct waitlist_entry *e)
{
	e->next = w->first;
	w->first = e;
}

static void
waitlist_take(struct waitlist *w, struct waitlist_entry *e)
{
	struct waitlist_entry **p = &w->first;

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
}

enum weft_rc
waitlist_wait(struct waitlist *w, enum wait_why why, usec deadline)
{
	struct waitlist_entry me = { fiber_self(), NULL };
	enum weft_rc rc;

	if (me.fiber == NULL)
		return WEFT_INVALID;
	waitlist_put(w, &me);
	rc = fiber_wait(why, deadline);
	waitlist_take(w, &me);
	return rc;
}

void
waitlist_wake(struct waitlist *w)
{
	/* A wake only makes ready: nobody leaves the list meanwhile. */
	for (struct waitlist_entry *e = w->first; e != NULL; e = e->next)
		fiber_wake(e->fiber);
}
