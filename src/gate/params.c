/* SPDX-License-Identifier: ISC */
#include "gate/params.h"

#include <fastcgi.h>
#include <stdlib.h>
#include <string.h>

/*
 * The pairs are measured first, then written as one stream that opens a new
 * record each time the last one is full.
 */
struct params {
	unsigned char *at;	/* the next byte */
	size_t left;		/* bytes of pairs not written yet */
	size_t room;		/* bytes left in the open record */
};

void
params_head(unsigned char *out, uint8_t type, size_t length)
{
	memset(out, 0, PARAMS_HEAD_SIZE);
	out[0] = FCGI_VERSION_1;
	out[1] = type;
	out[3] = PARAMS_REQUEST;
	out[4] = (unsigned char)(length >> 8);
	out[5] = (unsigned char)length;
}

static size_t
params_size_length(size_t n)
{
	return n < 128 ? 1 : 4;
}

/* Returns bytes that the pair takes; 0 when the string is none. */
static size_t
params_pair_length(const char *pair)
{
	const char *eq = strchr(pair, '=');
	size_t name, value;

	if (eq == NULL)
		return 0;
	name = (size_t)(eq - pair);
	value = strlen(eq + 1);
	return params_size_length(name) + params_size_length(value) + name + value;
}

static void
params_put(struct params *p, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	while (len > 0) {
		size_t n;

		if (p->room == 0) {
			p->room = p->left < PARAMS_RECORD_MAX ? p->left : PARAMS_RECORD_MAX;
			params_head(p->at, FCGI_PARAMS, p->room);
			p->at += PARAMS_HEAD_SIZE;
		}
		n = len < p->room ? len : p->room;
		memcpy(p->at, from, n);
		p->at += n;
		p->room -= n;
		p->left -= n;
		from += n;
		len -= n;
	}
}

static void
params_put_size(struct params *p, size_t n)
{
	unsigned char size[4] = { (unsigned char)(n >> 24 | 0x80), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
		(unsigned char)n };
	size_t len = params_size_length(n);

	params_put(p, size + sizeof size - len, len);
}

static void
params_put_pair(struct params *p, const char *pair)
{
	const char *eq = strchr(pair, '=');

	if (eq == NULL)
		return;
	params_put_size(p, (size_t)(eq - pair));
	params_put_size(p, strlen(eq + 1));
	params_put(p, pair, (size_t)(eq - pair));
	params_put(p, eq + 1, strlen(eq + 1));
}

unsigned char *
params_encode(char *const *env, size_t *len)
{
	struct params p = { .room = 0 };
	unsigned char *all;
	size_t heads;

	for (char *const *e = env; *e != NULL; e++)
		p.left += params_pair_length(*e);
	heads = 3 + p.left / PARAMS_RECORD_MAX + 1;
	all = calloc(1, heads * PARAMS_HEAD_SIZE + p.left);
	if (all == NULL)
		return NULL;
	params_head(all, FCGI_BEGIN_REQUEST, 8);
	all[PARAMS_HEAD_SIZE + 1] = FCGI_RESPONDER;
	p.at = all + 2 * PARAMS_HEAD_SIZE;
	for (char *const *e = env; *e != NULL; e++)
		params_put_pair(&p, *e);
	params_head(p.at, FCGI_PARAMS, 0);
	*len = (size_t)(p.at - all) + PARAMS_HEAD_SIZE;
	return all;
}
