/* SPDX-License-Identifier: ISC */
#ifndef FIBER_CONTEXT_H
#define FIBER_CONTEXT_H

/*
 * A place where the processor can go on: a stack, and the registers that a
 * function call must preserve, which are kept on that stack.  Knows no fibers
 * and no scheduler.
 */

#include <stddef.h>

struct context {
	void *at;		/* the registers saved on the stack; NULL: never entered */
	void (*entry)(void *arg);
	void *arg;
	char *low;		/* the stack, for those who must be told of it */
	size_t size;
	struct context *from;	/* who entered it last; kept for sanitizers only */
	void *shadow;		/* what a sanitizer keeps for it */
};

/*
 * Make a context which calls entry(arg) on a stack when it is first switched to.  entry must not return: it leaves
 * through context_leave.
 *
 * low, size  the stack, borrowed until the context was left; low + size is aligned to 16 bytes
 */
void context_make(struct context *c, char *low, size_t size, void (*entry)(void *arg), void *arg);

/*
 * Save the running context in from, go on in to.  Returns when something switches to from again.  A
 * thread's own stack is a zeroed struct context to begin with.
 */
void context_switch(struct context *from, struct context *to);

/* As context_switch, for good: from's stack may be used for something else from then on. */
_Noreturn void context_leave(struct context *from, struct context *to);

/* Forget a context that was made and never entered. */
void context_drop(struct context *c);

#endif
