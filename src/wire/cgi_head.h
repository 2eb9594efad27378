/* SPDX-License-Identifier: ISC */
#ifndef WIRE_CGI_HEAD_H
#define WIRE_CGI_HEAD_H

/* The head of a CGI response: lines "Name: value" up to an empty line. */

#include "base/span.h"

enum cgi_head_rc {
	CGI_HEAD_FIELD,		/* *name and *value are the next field */
	CGI_HEAD_END,		/* the empty line; *in is moved to the body */
	CGI_HEAD_MORE,		/* no whole line yet; *in is unchanged */
	CGI_HEAD_BAD,		/* not a field: no colon, empty name, space in the name, control bytes; *in is unchanged */
};

/*
 * Take one field from the front of *in.  Lines end in LF or CR LF.
 *
 * name, value  written only on CGI_HEAD_FIELD
 *
 * Returns  see enum; spans point into *in.  The value has no leading or
 *          trailing blanks
 * Source   RFC 3875, section 6.3
 */
enum cgi_head_rc cgi_head_next(struct span *in, struct span *name, struct span *value);

/*
 * Read the value of a Status field: "404 Not Found".
 *
 * reason   written only when a code is returned; may be empty; points into value
 * Returns  the code, 100..999; 0 when the value is not a status or has control bytes
 * Source   RFC 3875, section 6.3.3
 */
int cgi_head_status(struct span value, struct span *reason);

/* True when every byte may stand in a header's name (a token) and it is not empty.  Source: RFC 9110, section 5.6.2. */
int cgi_name_is_valid(struct span name);

/* True when the value holds no control byte but tab.  Source: RFC 9110, section 5.5. */
int cgi_value_is_valid(struct span value);

/* Returns the usual reason of a status code ("Not Found"), "Unknown" for one that has none.  Static. */
const char *cgi_reason(int status);

#endif
