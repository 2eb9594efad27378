/* SPDX-License-Identifier: ISC */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

void
fault_set(struct fault *f, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (f == NULL)
		return;
	f->rc = rc;
	snprintf(f->code, sizeof f->code, "%s", code == NULL ? "" : code);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	for (char *p = f->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}
