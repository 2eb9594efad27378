/* SPDX-License-Identifier: ISC */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/*
 * must(cond): what cannot be false unless this program has a bug.  Always
 * compiled in; aborts with the expression and its place.  Never for a peer's
 * bytes, and never for what the operating system may refuse.
 */
#define must(cond) \
	((cond) ? (void)0 : must_fail(#cond, __FILE__, __LINE__, __func__))

/* Print where the program broke its own rule to stderr, and abort(). */
_Noreturn void must_fail(const char *cond, const char *file, int line, const char *func);

#endif
