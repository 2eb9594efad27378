/* SPDX-License-Identifier: ISC */
/*
 * Name-value pairs.  A peer's lengths are only ever compared with what is
 * really there, one after the other and by subtraction: their sum is never
 * formed, so nothing wraps, and nothing is allocated or skipped by a length
 * that was merely announced.
 */
#include "wire/fcgi_param.h"

enum { PARAM_SHORT_MAX = 0x7f, PARAM_LONG_SIZE = 4 };
#define PARAM_LONG_BIT UINT32_C(0x80000000)

/* Take one length from the front of *in.  Returns 1, or 0 where it is not all there. */
static int
param_take_length(struct span *in, size_t *out)
{
	const unsigned char *p = (const unsigned char *)in->at;
	uint32_t v;

	if (in->len == 0)
		return 0;
	if (p[0] <= PARAM_SHORT_MAX) {
		*out = p[0];
		*in = span_skip(*in, 1);
		return 1;
	}
	if (in->len < PARAM_LONG_SIZE)
		return 0;
	v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*out = v & ~PARAM_LONG_BIT;
	*in = span_skip(*in, PARAM_LONG_SIZE);
	return 1;
}

size_t
fcgi_param_lengths_any(struct span in, size_t *name, size_t *value)
{
	size_t len = in.len;

	return param_take_length(&in, name) && param_take_length(&in, value) ? len - in.len : 0;
}

enum fcgi_rc
fcgi_param_next(struct span *in, struct fcgi_param *out)
{
	size_t name, value, lengths = fcgi_param_lengths(*in, &name, &value);
	struct span rest;

	if (lengths == 0)
		return FCGI_MORE;
	rest = span_skip(*in, lengths);
	if (rest.len < name || rest.len - name < value)
		return FCGI_MORE;
	out->name = (struct span){ rest.at, name };
	out->value = (struct span){ rest.at + name, value };
	*in = span_skip(rest, name + value);
	return FCGI_OK;
}

static size_t
param_length_size(size_t len)
{
	return len <= PARAM_SHORT_MAX ? 1 : PARAM_LONG_SIZE;
}

static char *
param_put_length(char *out, size_t len)
{
	uint32_t v = (uint32_t)len | PARAM_LONG_BIT;

	if (len <= PARAM_SHORT_MAX) {
		*out++ = (char)len;
		return out;
	}
	*out++ = (char)(v >> 24);
	*out++ = (char)(v >> 16 & 0xff);
	*out++ = (char)(v >> 8 & 0xff);
	*out++ = (char)(v & 0xff);
	return out;
}

static char *
param_put_bytes(char *out, struct span s)
{
	if (s.len > 0)
		memcpy(out, s.at, s.len);
	return out + s.len;
}

size_t
fcgi_param_encode(char *out, size_t size, struct span name, struct span value)
{
	size_t need;

	if (name.len > FCGI_PARAM_MAX || value.len > FCGI_PARAM_MAX - name.len)
		return SIZE_MAX;
	need = param_length_size(name.len) + param_length_size(value.len) + name.len + value.len;
	if (need > size)
		return need;
	out = param_put_length(out, name.len);
	out = param_put_length(out, value.len);
	out = param_put_bytes(out, name);
	param_put_bytes(out, value);
	return need;
}
