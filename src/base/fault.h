/* SPDX-License-Identifier: ISC */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <weft/rc.h>

/* Why something failed: the code, the peer's own code and a sentence.  For the log and the handler; never sent to a client. */
struct fault {
	enum weft_rc rc;
	char code[16];		/* the back end's own: "23505", "WRONGTYPE"; empty if none */
	char text[200];		/* cut where it is longer; no control bytes */
};

/* Fill a fault (f may be NULL: nothing happens).  code may be NULL.  The text is cut to fit, control bytes become spaces. */
void fault_set(struct fault *f, enum weft_rc rc, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
