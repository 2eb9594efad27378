/* SPDX-License-Identifier: ISC */
/*
 * A ring with a few good records, over which another process has scribbled: the input is patches, each a place
 * (2 bytes), a length (1 byte) and bytes.  What is collected can be drawn: text is printable, times are in order.
 */
// sources: src/request/timeline*.c src/fiber/why.c
#include "fuzz.h"
#include "request/timeline.h"

enum { GOOD = 6, MAX = 64, ROOM = 4 << 20 };

static const struct timeline_ring *
good_ring(void)
{
	static struct timeline_ring ring;

	if (ring.next != 0)
		return &ring;
	timeline_ring_init(&ring);
	for (int i = 0; i < GOOD; i++) {
		struct timeline_mark m;
		usec now = 1000000 + i * 1000;

		timeline_begin(&m, &ring, SPAN("GET /item/7"), now);
		timeline_wait(&m, WAIT_REDIS, now + 100, now + 300);
		timeline_wait(&m, WAIT_SQL, now + 400, i == 2 ? CLOCK_NEVER : now + 900);
		if (i % 2 == 0)
			timeline_end(&m, 200, now + 1000);
	}
	ring.pid = 7;
	for (int i = 0; i <= GOOD; i++)
		ring.record[i].pid = 7;
	return &ring;
}

static void
check(const struct timeline_record *r)
{
	uint32_t last = 0;

	must(r->number > 0 && r->pid > 0 && r->nsegments <= TIMELINE_SEGMENTS && r->begin >= 0);
	must(r->end == 0 || r->end >= r->begin);
	must(memchr(r->what, '\0', TIMELINE_WHAT) != NULL);
	for (const char *p = r->what; *p != '\0'; p++)
		must(*p >= 0x20 && *p < 0x7f);
	for (unsigned i = 0; i < r->nsegments; i++) {
		const struct timeline_segment *s = &r->segment[i];

		must(s->why > WAIT_NONE && s->why < WAIT_COUNT && s->from >= last && s->until >= s->from);
		last = s->until;
	}
}

static void
draw(const struct timeline_record *r, size_t n)
{
	struct buf b;

	buf_init(&b, ROOM);
	timeline_json(&b, r, n);
	must(!b.bad);
	buf_clear(&b);
	timeline_text(&b, r, n, 2000000, 80, 1);
	must(!b.bad);
	buf_clear(&b);
	timeline_svg(&b, r, n, 2000000);
	must(!b.bad);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct timeline_ring ring[2];
	struct timeline_ring *const rings[] = { &ring[0], &ring[1] };
	static struct timeline_record out[MAX];
	size_t n;

	memcpy(&ring[0], good_ring(), sizeof ring[0]);
	memcpy(&ring[1], good_ring(), sizeof ring[1]);
	while (size > 3) {
		size_t at = (size_t)data[0] << 8 | data[1], len = data[2];

		data += 3;
		size -= 3;
		len = len < size ? len : size;
		at %= sizeof ring - len;
		memcpy((char *)ring + at, data, len);
		data += len;
		size -= len;
	}
	for (size_t max = 1; max <= MAX; max *= MAX) {
		n = timeline_collect(rings, 2, out, max);
		must(n <= max);
		for (size_t i = 0; i < n; i++) {
			check(&out[i]);
			must(i == 0 || out[i].begin >= out[i - 1].begin);
		}
	}
	draw(out, n);
	return 0;
}
