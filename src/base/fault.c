/* SPDX-License-Identifier: ISC */
#include "base/fault.h"

#include <stdio.h>

void
fault_vset(struct fault *f, enum weft_rc rc, const char *code, const char *who, const char *fmt, va_list ap)
{
	int n = 0;

	if (f == NULL)
		return;
	f->rc = rc;
	snprintf(f->code, sizeof f->code, "%s", code == NULL ? "" : code);
	f->text[0] = '\0';
	if (who != NULL)
		n = snprintf(f->text, sizeof f->text, "%s: ", who);
	if (fmt != NULL && n >= 0 && (size_t)n < sizeof f->text)
		vsnprintf(f->text + n, sizeof f->text - (size_t)n, fmt, ap);
	for (char *p = f->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

void
fault_set(struct fault *f, enum weft_rc rc, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_vset(f, rc, code, NULL, fmt, ap);
	va_end(ap);
}
