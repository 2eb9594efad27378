/* SPDX-License-Identifier: ISC */
#ifndef WIRE_HTML_H
#define WIRE_HTML_H

#include <stddef.h>

#include "base/span.h"

/*
 * Take the next piece off the front of a text that is to be safe between tags and in quoted attributes: either bytes
 * that stand for themselves, as many as there are, or what stands for one of & < > " '.  The pieces one behind the
 * other are the text, escaped; no byte becomes more than 6.
 *
 * Returns  the piece, valid as long as the text; empty when nothing is left
 * Source   HTML Living Standard, section 13.1.2 and 13.1.4
 */
struct span html_next(struct span *in);

#endif
