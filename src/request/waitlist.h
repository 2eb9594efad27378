/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_WAITLIST_H
#define REQUEST_WAITLIST_H

/*
 * Fibers that wait for the same thing: a handler's own and those it spawned
 * may all ask for the body, or write.  An entry lives on its fiber's stack.
 */

#include <weft/rc.h>

#include "base/clock.h"
#include "fiber/why.h"

struct waitlist_entry;

struct waitlist {
	struct waitlist_entry *first;
};

/*
 * Suspend the running fiber until waitlist_wake; check the condition again then.
 *
 * Returns  as fiber_wait; WEFT_INVALID outside a fiber, where nobody can wait
 */
enum weft_rc waitlist_wait(struct waitlist *w, enum wait_why why, usec deadline) __attribute__((warn_unused_result));

/* Wake all of them. */
void waitlist_wake(struct waitlist *w);

#endif
