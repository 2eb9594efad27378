/* SPDX-License-Identifier: ISC */
/*
 * What nodes of a cluster say of each other.  The first byte says what it is: a tree that is an answer to CLUSTER SLOTS, of
 * whatever is in the bytes, and what is known after it is sound; or the text of MOVED, whose place is one that can be connected to.
 */
// sources: src/back/redis/redis_slots.c src/back/redis/redis_key.c src/back/redis/reply.c
#include "back/redis/redis_slots.h"
#include "back/redis/reply.h"
#include "fuzz.h"

struct feed {
	struct arena arena;
	struct span in;
};

static unsigned
feed_byte(struct feed *f)
{
	unsigned c;

	if (f->in.len == 0)
		return 0;
	c = (unsigned char)f->in.at[0];
	f->in = span_skip(f->in, 1);
	return c;
}

/* A reply of whatever comes next; small numbers are likely to make sense. */
static struct weft_reply *
feed_reply(struct feed *f, unsigned depth)
{
	unsigned c = feed_byte(f), n = c >> 3;
	enum reply_kind kind = depth > 3 ? c % 4 : (enum reply_kind)(c % 6);
	struct weft_reply *r;
	struct span text;

	if (kind == REPLY_ARRAY) {
		r = reply_new_array(&f->arena, n % 6);
		for (size_t i = 0; i < r->count; i++)
			r->element[i] = feed_reply(f, depth + 1);
		return r;
	}
	if (kind == REPLY_INT) {
		r = reply_new(&f->arena, kind);
		r->integer = (long long)(feed_byte(f) * 256 + feed_byte(f)) - (n == 31 ? 40000 : 0) + (n == 30 ? 40000 : 0);
		return r;
	}
	if (kind == REPLY_NIL)
		return reply_new(&f->arena, kind);
	text = (struct span){ f->in.at, n < f->in.len ? n : f->in.len };
	f->in = span_skip(f->in, text.len);
	return reply_new_text(&f->arena, kind, text);
}

static void
check_place(const struct back_place *place)
{
	must(place->port >= 1 && place->port <= 65535);
	must(place->host[0] != '\0' && memchr(place->host, '\0', sizeof place->host) != NULL);
}

static void
check_map(const struct slots *s, int mine)
{
	must(s->count <= SLOTS_NODES && mine < (int)s->count && mine >= SLOTS_NOWHERE);
	for (unsigned i = 0; i < s->count; i++)
		check_place(&s->node[i]->place);
	for (unsigned i = 0; i < REDIS_SLOTS; i++) {
		must(s->of[i] >= SLOTS_NOWHERE && s->of[i] < (int)s->count);
		must(s->of[i] < 0 || s->node[s->of[i]]->has_slots);
	}
}

static void
run_maps(struct span in)
{
	struct feed f = { .in = in };
	struct slots *s = slots_new();

	must(s != NULL);
	arena_init(&f.arena, NULL, 0, 1 << 20);
	for (int times = 0; times < 4; times++) {
		int mine;

		if (slots_take(s, feed_reply(&f, 0), "from", SPAN("a"), &mine))
			check_map(s, mine);
		else
			must(mine == SLOTS_NOWHERE);
	}
	arena_fini(&f.arena);
	slots_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_copy(data, size);
	struct back_place place;
	unsigned slot;

	if (in.len > 0 && in.at[0] != 'T')
		run_maps(span_skip(in, 1));
	else if (in.len > 0 && slots_read_redirect(span_skip(in, 1), "from", &slot, &place)) {
		must(slot < REDIS_SLOTS);
		check_place(&place);
	}
	fuzz_free(in);
	return 0;
}
