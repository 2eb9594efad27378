/* SPDX-License-Identifier: ISC */
#ifndef WIRE_COOKIE_H
#define WIRE_COOKIE_H

#include "base/span.h"

/*
 * Take one cookie from the front of the value of a Cookie header.
 *
 * Returns  1  name and value, pointing into *in; blanks around both and one pair of quotes around
 *             the value are left out.  Pieces without '=' or with an empty name are passed over
 *          0  *in is used up
 * Source   RFC 6265, section 5.4 and 4.2.1 (the server's reading of it)
 */
int cookie_next(struct span *in, struct span *name, struct span *value);

#endif
