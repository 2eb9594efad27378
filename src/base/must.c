/* SPDX-License-Identifier: ISC */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void
must_fail(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "weft: bug: %s is false at %s:%d in %s\n", cond, file, line, func);
	abort();
}
