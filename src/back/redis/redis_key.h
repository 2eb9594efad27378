/* SPDX-License-Identifier: ISC */
#ifndef BACK_REDIS_KEY_H
#define BACK_REDIS_KEY_H

/* Which keys a command of Redis has, and in which slot of a cluster they are.  Pure. */

#include <weft/rc.h>

#include "base/span.h"

enum { REDIS_SLOTS = 16384, REDIS_NO_SLOT = -1 };

/* Returns the slot of a key: of its {tag}, where it has one.  0 to REDIS_SLOTS - 1. */
unsigned redis_key_slot(struct span key);

/*
 * Find the slot that a command belongs to.
 *
 * command  one whole command (redis_command_check)
 * slot     set with WEFT_OK; REDIS_NO_SLOT: it has no key
 * why      one sentence when it belongs to none
 * Returns  WEFT_OK; WEFT_INVALID: its keys are in several slots, or the number of keys in it makes no sense
 */
enum weft_rc redis_key_find(struct span command, int *slot, const char **why);

#endif
