/* SPDX-License-Identifier: ISC */

/*
 * How one stack is left and another is gone on with.  Two ways, chosen by
 * configure (--with-switch):
 *
 * asm     context_<cpu>.S pushes the registers that a call preserves, changes
 *         the stack pointer, and pops them there.  A few nanoseconds.
 * setjmp  makecontext() makes a stack; after that sigsetjmp() without the
 *         signal mask and siglongjmp() switch, since swapcontext() makes a
 *         system call each time.  The floating-point control words (rounding mode)
 *         are not kept apart by this one: whoever changes them changes them
 *         back before he waits.
 *
 * The registers lie on the stack that they belong to, and struct context
 * points to them, so a context is small.  The signal mask is no part of it.
 *
 * glibc's fortified longjmp takes a jump to another stack for an attack.  So
 * this file, and no other, is built without fortification, whatever CFLAGS
 * say: hence the #undef before anything is included.
 *
 * AddressSanitizer and ThreadSanitizer are told of every switch: context_tell_*.
 */
#undef _FORTIFY_SOURCE

#include "config.h"

#include "fiber/context.h"

#include "base/must.h"

#ifndef FIBER_SWITCH_ASM
#include <setjmp.h>
#include <ucontext.h>
#endif

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CONTEXT_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CONTEXT_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define CONTEXT_TSAN 1
#endif

#if defined(CONTEXT_ASAN)
#include <sanitizer/common_interface_defs.h>

static void
context_tell_made(struct context *c)
{
	c->shadow = NULL;
}

static void
context_tell_dropped(struct context *c)
{
}

static void
context_tell_leaving(struct context *from, struct context *to)
{
	to->from = from;
	__sanitizer_start_switch_fiber(&from->shadow, to->low, to->size);
}

static void
context_tell_leaving_for_good(struct context *from, struct context *to)
{
	to->from = from;
	__sanitizer_start_switch_fiber(NULL, to->low, to->size);
}

/* On the stack of c now.  Where it came from is learnt here: of a thread's own stack nobody else knows the bounds. */
static void
context_tell_arrived(struct context *c)
{
	const void *low;
	size_t size;

	__sanitizer_finish_switch_fiber(c->shadow, &low, &size);
	c->from->low = (char *)low;
	c->from->size = size;
}

#elif defined(CONTEXT_TSAN)
#include <sanitizer/tsan_interface.h>

static void
context_tell_made(struct context *c)
{
	c->shadow = __tsan_create_fiber(0);
}

static void
context_tell_dropped(struct context *c)
{
	__tsan_destroy_fiber(c->shadow);
}

static void
context_tell_leaving(struct context *from, struct context *to)
{
	if (from->shadow == NULL)
		from->shadow = __tsan_get_current_fiber();
	to->from = NULL;
	__tsan_switch_to_fiber(to->shadow, 0);
}

/* Its shadow cannot be destroyed while it runs: who goes on does it. */
static void
context_tell_leaving_for_good(struct context *from, struct context *to)
{
	to->from = from;
	__tsan_switch_to_fiber(to->shadow, 0);
}

static void
context_tell_arrived(struct context *c)
{
	if (c->from != NULL)
		__tsan_destroy_fiber(c->from->shadow);
	c->from = NULL;
}

#else

static inline void
context_tell_made(struct context *c)
{
}

static inline void
context_tell_dropped(struct context *c)
{
}

static inline void
context_tell_leaving(struct context *from, struct context *to)
{
}

static inline void
context_tell_leaving_for_good(struct context *from, struct context *to)
{
}

static inline void
context_tell_arrived(struct context *c)
{
}

#endif

/* The outermost C function of a context's stack. */
static void
context_run(void *arg)
{
	struct context *c = arg;

	context_tell_arrived(c);
	c->entry(c->arg);
	must_fail("entry returned", __FILE__, __LINE__, __func__);
}

#ifdef FIBER_SWITCH_ASM

/* In context_<cpu>.S: lay out a stack below top so that context_jump to the result calls fn(arg). */
void *context_prepare(void *top, void (*fn)(void *arg), void *arg);

/* Push the registers, save the stack pointer in *save, go on from the stack pointer to. */
void context_jump(void **save, void *to);

static void
context_init_stack(struct context *c)
{
	c->at = context_prepare(c->low + c->size, context_run, c);
}

static inline void
context_swap(struct context *from, struct context *to)
{
	context_jump(&from->at, to->at);
}

#else

/* What context_first_run, which can be given no pointer, runs. */
static _Thread_local struct context *context_first;

static void
context_init_stack(struct context *c)
{
	c->at = NULL;
}

static void
context_first_run(void)
{
	context_run(context_first);
}

/* Left without a return, so AddressSanitizer must not fence off its variables; nor those of context_swap. */
static _Noreturn __attribute__((no_sanitize_address)) void
context_enter(struct context *c)
{
	ucontext_t uc;

	must(getcontext(&uc) == 0);
	uc.uc_stack.ss_sp = c->low;
	uc.uc_stack.ss_size = c->size;
	uc.uc_link = NULL;
	context_first = c;
	makecontext(&uc, context_first_run, 0);
	setcontext(&uc);
	must_fail("setcontext", __FILE__, __LINE__, __func__);
}

static __attribute__((no_sanitize_address)) void
context_swap(struct context *from, struct context *to)
{
	sigjmp_buf regs;

	from->at = &regs;
	if (sigsetjmp(regs, 0) != 0)
		return;
	if (to->at == NULL)
		context_enter(to);
	siglongjmp(*(sigjmp_buf *)to->at, 1);
}

#endif

void
context_make(struct context *c, char *low, size_t size, void (*entry)(void *arg), void *arg)
{
	*c = (struct context){ .entry = entry, .arg = arg, .low = low, .size = size };
	context_tell_made(c);
	context_init_stack(c);
}

void
context_drop(struct context *c)
{
	context_tell_dropped(c);
}

void
context_switch(struct context *from, struct context *to)
{
	context_tell_leaving(from, to);
	context_swap(from, to);
	context_tell_arrived(from);
}

_Noreturn void
context_leave(struct context *from, struct context *to)
{
	context_tell_leaving_for_good(from, to);
	context_swap(from, to);
	must_fail("left for good", __FILE__, __LINE__, __func__);
}
