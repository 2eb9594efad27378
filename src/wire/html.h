/* SPDX-License-Identifier: ISC */
#ifndef WIRE_HTML_H
#define WIRE_HTML_H

#include <stddef.h>

#include "base/span.h"

/*
 * Escape & < > " ' so that the text is safe between tags and in quoted attributes.
 *
 * out, size  nothing is written when the result does not fit
 * Returns    bytes of the result, also when that is more than size; not terminated
 * Source     HTML Living Standard, section 13.1.2 and 13.1.4
 */
size_t html_escape(char *out, size_t size, struct span in);

#endif
