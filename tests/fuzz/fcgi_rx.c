/* SPDX-License-Identifier: ISC */
/*
 * The receiver, fed whole and in pieces, against a reader that has all bytes
 * at once and knows no states.  The digests of what was seen must agree, whether or not records
 * that are all there are taken at once.
 */
#include "fuzz.h"
#include "wire/fcgi_rx.h"

enum { DIGEST_BEGIN = 0x811c9dc5 };

struct peer {
	struct fcgi_rx rx;
	uint32_t digest;
	bool takes_whole;	/* records that are all there, at once */
	size_t kept;
	char keep[FCGI_HEAD_SIZE];
};

static uint32_t
digest_mark(uint32_t digest, char mark)
{
	return fuzz_hash(digest, &mark, 1);
}

static uint32_t
digest_head(uint32_t digest, const struct fcgi_head *h)
{
	const unsigned char bytes[] = { 'R', h->type, h->padding, (unsigned char)(h->id >> 8),
		(unsigned char)(h->id & 0xff), (unsigned char)(h->length >> 8), (unsigned char)(h->length & 0xff) };

	return fuzz_hash(digest, bytes, sizeof bytes);
}

/* What should be seen, said in one loop over the whole. */
static uint32_t
digest_expected(const uint8_t *data, size_t size)
{
	uint32_t digest = DIGEST_BEGIN;
	size_t at = 0, n;

	while (at < size) {
		if (data[at] != 1)
			return digest_mark(digest, 'B');
		if (size - at < 8)
			return digest;
		struct fcgi_head h = { .type = data[at + 1],
			.id = (uint16_t)(data[at + 2] * 256 + data[at + 3]),
			.length = (uint16_t)(data[at + 4] * 256 + data[at + 5]),
			.padding = data[at + 6] };

		digest = digest_head(digest, &h);
		at += 8;
		n = size - at < h.length ? size - at : h.length;
		digest = fuzz_hash(digest, data + at, n);
		at += n;
		if (n < h.length)
			return digest;
		digest = digest_mark(digest, 'E');
		at += size - at < h.padding ? size - at : h.padding;
	}
	return digest;
}

static void
peer_note(struct peer *p, const struct fcgi_event *ev, struct span in, size_t used)
{
	switch (ev->kind) {
	case FCGI_EV_NONE:
		break;
	case FCGI_EV_RECORD:
		must(used == FCGI_HEAD_SIZE);
		p->digest = digest_head(p->digest, &p->rx.head);
		break;
	case FCGI_EV_DATA:
		must(ev->data.at == in.at && ev->data.len == used && used > 0);
		p->digest = fuzz_hash(p->digest, ev->data.at, ev->data.len);
		break;
	case FCGI_EV_END:
		p->digest = digest_mark(p->digest, 'E');
		break;
	case FCGI_EV_BAD:
		must(p->rx.state == RX_SHUT);
		p->digest = digest_mark(p->digest, 'B');
		break;
	}
}

static size_t
peer_take_whole(struct peer *p, struct span in)
{
	struct span content;
	size_t used = p->takes_whole ? fcgi_rx_whole(&p->rx, in, &content) : 0;

	if (used == 0)
		return 0;
	must(used <= in.len && fuzz_is_within(content, in));
	p->digest = digest_head(p->digest, &p->rx.head);
	p->digest = digest_mark(fuzz_hash(p->digest, content.at, content.len), 'E');
	return used;
}

static void
peer_feed(struct peer *p, const uint8_t *data, size_t size)
{
	char *joint = malloc(p->kept + size + 1);
	struct span copy, in;
	struct fcgi_event ev;
	size_t used;

	must(joint != NULL);
	memcpy(joint, p->keep, p->kept);
	if (size > 0)
		memcpy(joint + p->kept, data, size);
	in = copy = fuzz_copy(joint, p->kept + size);
	free(joint);
	do {
		while ((used = peer_take_whole(p, in)) > 0)
			in = span_skip(in, used);
		used = fcgi_rx_step(&p->rx, in, &ev);
		must(used <= in.len);
		peer_note(p, &ev, in, used);
		in = span_skip(in, used);
	} while (used > 0 || ev.kind != FCGI_EV_NONE);
	must(in.len < FCGI_HEAD_SIZE);
	p->kept = in.len;
	memcpy(p->keep, in.at, in.len);
	fuzz_free(copy);
}

static uint32_t
digest_pieces(const uint8_t *data, size_t size, size_t most, uint32_t seed)
{
	struct peer p = { .digest = DIGEST_BEGIN, .takes_whole = (seed & 1) != 0 };
	size_t n;

	fcgi_rx_init(&p.rx);
	while (size > 0) {
		n = fuzz_random(&seed) % (most + 1);
		n = n < size ? n : size;
		peer_feed(&p, data, n);
		data += n;
		size -= n;
	}
	return p.digest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer whole = { .digest = DIGEST_BEGIN };
	uint32_t expected = digest_expected(data, size), seed = fuzz_hash(DIGEST_BEGIN, data, size);

	fcgi_rx_init(&whole.rx);
	peer_feed(&whole, data, size);
	must(whole.digest == expected);
	whole = (struct peer){ .digest = DIGEST_BEGIN, .takes_whole = true };
	fcgi_rx_init(&whole.rx);
	peer_feed(&whole, data, size);
	must(whole.digest == expected);
	must(digest_pieces(data, size, 12, seed) == expected);
	must(digest_pieces(data, size, size, seed) == expected);
	return 0;
}
