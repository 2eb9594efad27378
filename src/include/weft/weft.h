/* SPDX-License-Identifier: ISC */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H
#include <weft/rc.h>
#endif
