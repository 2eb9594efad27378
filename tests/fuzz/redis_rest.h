/* SPDX-License-Identifier: ISC */
/* The rest of the Redis driver, for targets that read replies on a connection which is up and to one server: nothing of it is called. */
#ifndef FUZZ_REDIS_REST_H
#define FUZZ_REDIS_REST_H

#include "back/redis/redis_impl.h"
#include "base/must.h"

bool
redis_seek_on_reply(struct redis *r, const struct weft_reply *reply)
{
	must(r == NULL);
	return false;
}

void
redis_seek_end(struct redis *r, enum redis_seek_end how)
{
	must(r == NULL);
}

bool
redis_node_on_reply(struct redis *r, const struct weft_reply *reply)
{
	must(r == NULL);
	return false;
}

void
redis_node_is_ready(struct redis *r)
{
	must(r == NULL);
}

void
redis_map_on_reply(struct redis *r, const struct weft_reply *reply)
{
	must(r == NULL);
}

bool
redis_map_passes_on(struct redis *r, struct call *call, const struct weft_reply *reply)
{
	must(r == NULL);
	return false;
}

#endif
