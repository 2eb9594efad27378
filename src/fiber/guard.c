/* SPDX-License-Identifier: ISC */

/*
 * What is said when a fiber crashes.
 *
 * The stack may be the very thing that is used up, so the handler has one of
 * its own.  It calls nothing but write(2), reads the running fiber, and then puts back
 * the action that was there before and returns: the same instruction faults
 * again, and whoever was there first (the default action with its core dump,
 * or AddressSanitizer with its report) sees the fault where it happened.  A
 * signal that somebody sent does not come again by itself, so it is raised.
 *
 * An alternate stack that the thread has already, as under AddressSanitizer,
 * is left in place.
 */
#include "fiber/fiber.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD_STACK_MIN = 65536, GUARD_LINE = 512, GUARD_LABEL_MAX = 256 };

/* One a process: actions of signals are the process's. */
static struct sigaction guard_old_segv, guard_old_bus;
static bool guard_is_installed;

struct guard_line {
	char at[GUARD_LINE];
	size_t len;
};

/* Add at most max bytes of text.  A label may hold anything, so what does not print is a question mark. */
static void
guard_add(struct guard_line *l, const char *text, size_t max)
{
	for (; *text != '\0' && max > 0 && l->len < sizeof l->at - 1; text++, max--)
		l->at[l->len++] = *text >= ' ' && *text <= '~' ? *text : '?';
}

static void
guard_add_number(struct guard_line *l, uintptr_t n, unsigned base)
{
	char digits[24];
	size_t i = sizeof digits;

	digits[--i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	guard_add(l, digits + i, sizeof digits);
}

static void
guard_add_overflow(struct guard_line *l, const struct fiber *f)
{
	guard_add(l, "stack overflow in ", GUARD_LINE);
	guard_add(l, fiber_label(f), GUARD_LABEL_MAX);
	guard_add(l, " (stack of ", GUARD_LINE);
	guard_add_number(l, fiber_stack_size(f), 10);
	guard_add(l, " bytes)", GUARD_LINE);
}

static void
guard_add_crash(struct guard_line *l, const struct fiber *f, int sig, const siginfo_t *info)
{
	guard_add(l, sig == SIGBUS ? "SIGBUS" : "SIGSEGV", GUARD_LINE);
	guard_add(l, f != NULL ? " in " : " outside of fibers", GUARD_LINE);
	if (f != NULL)
		guard_add(l, fiber_label(f), GUARD_LABEL_MAX);
	if (info->si_code <= 0) {
		guard_add(l, ", sent by process ", GUARD_LINE);
		guard_add_number(l, (uintptr_t)info->si_pid, 10);
		return;
	}
	guard_add(l, " at address 0x", GUARD_LINE);
	guard_add_number(l, (uintptr_t)info->si_addr, 16);
}

static void
guard_on_signal(int sig, siginfo_t *info, void *context)
{
	const struct fiber *f = fiber_self();
	struct guard_line l = { .len = 0 };
	int saved = errno;

	guard_add(&l, "weft: ", GUARD_LINE);
	if (f != NULL && info->si_code > 0 && fiber_has_guard_at(f, info->si_addr))
		guard_add_overflow(&l, f);
	else
		guard_add_crash(&l, f, sig, info);
	l.at[l.len++] = '\n';
	(void)!write(STDERR_FILENO, l.at, l.len);
	(void)sigaction(sig, sig == SIGBUS ? &guard_old_bus : &guard_old_segv, NULL);
	if (info->si_code <= 0)
		(void)raise(sig);
	errno = saved;
}

/* Give the thread an alternate stack, for good, unless it has one. */
static int
guard_set_stack(void)
{
	long want = sysconf(_SC_SIGSTKSZ);
	stack_t ss;

	if (sigaltstack(NULL, &ss) != 0)
		return -1;
	if ((ss.ss_flags & SS_DISABLE) == 0)
		return 0;
	ss = (stack_t){ .ss_size = want > GUARD_STACK_MIN ? (size_t)want : GUARD_STACK_MIN };
	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (ss.ss_sp == MAP_FAILED)
		return -1;
	return sigaltstack(&ss, NULL);
}

int
fiber_guard_install(void)
{
	struct sigaction sa = { .sa_sigaction = guard_on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	if (guard_set_stack() != 0)
		return -1;
	if (guard_is_installed)
		return 0;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSEGV, &sa, &guard_old_segv) != 0 || sigaction(SIGBUS, &sa, &guard_old_bus) != 0)
		return -1;
	guard_is_installed = true;
	return 0;
}
