/* SPDX-License-Identifier: ISC */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

/*
 * What every fuzz target shares.  A target is one file with one function; what
 * must hold of any input is written with must(), which aborts.
 *
 * script/fuzz links a target with src/wire and src/base; one that needs more
 * names it in a comment line of its own, relative to the top of the tree (a glob will do):
 *
 *	// sources: src/request/router.c src/request/body.c
 *	// flags: -levent_core
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/span.h"

/* One input; called by libFuzzer, or for each file of the seeds by replay.c.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy in a heap block of exactly its size, so that a sanitizer sees a read beyond it.  free() what .at points to. */
static inline struct span
fuzz_copy(const void *data, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);

	must(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	return (struct span){ copy, size };
}

/* End a copy. */
static inline void
fuzz_free(struct span copy)
{
	free((void *)(uintptr_t)copy.at);
}

/* True when the piece lies within the whole. */
static inline bool
fuzz_is_within(struct span piece, struct span whole)
{
	return piece.at >= whole.at && piece.at + piece.len <= whole.at + whole.len;
}

/* The next of a row of numbers which follows from *seed alone. */
static inline uint32_t
fuzz_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* A number which follows from the bytes (FNV-1a); also to go on from an earlier one. */
static inline uint32_t
fuzz_hash(uint32_t hash, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * 16777619u;
	return hash;
}

#endif
