/* SPDX-License-Identifier: ISC */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdarg.h>

#include <weft/rc.h>

/* Why something failed: the code, the peer's own code and a sentence.  For the log and the handler; never sent to a client. */
struct fault {
	enum weft_rc rc;
	char code[32];		/* the back end's own: "23505", "WRONGTYPE", "SQLITE_BUSY"; empty if none */
	char text[200];		/* cut where it is longer; no control bytes */
};

/* Fill a fault (f may be NULL: nothing happens).  code may be NULL.  The text is cut to fit, control bytes become spaces. */
void fault_set(struct fault *f, enum weft_rc rc, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As fault_set, with "who: " put before the text where who is not NULL.  fmt may be NULL: no text. */
void fault_vset(struct fault *f, enum weft_rc rc, const char *code, const char *who, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));

#endif
