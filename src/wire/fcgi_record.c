/* SPDX-License-Identifier: ISC */
/*
 * The fixed layouts of FastCGI: record headers and the bodies of constant
 * size.  Every field is read and written byte by byte at its offset, so no
 * struct is ever laid over wire bytes, and every byte of what is sent is
 * written here: reserved bytes are zero, never what the buffer held before.
 */
#include "wire/fcgi_record.h"

#include <string.h>

enum { RECORD_BODY_SIZE = 8, RECORD_SIZE = FCGI_HEAD_SIZE + RECORD_BODY_SIZE };

static uint16_t
record_get_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
record_put_u16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)(v & 0xff);
}

enum fcgi_rc
fcgi_head_decode(struct span in, struct fcgi_head *out)
{
	const unsigned char *p = (const unsigned char *)in.at;

	if (in.len > 0 && p[0] != FCGI_VERSION_1)
		return FCGI_BAD;
	if (in.len < FCGI_HEAD_SIZE)
		return FCGI_MORE;
	out->type = p[1];
	out->id = record_get_u16(p + 2);
	out->length = record_get_u16(p + 4);
	out->padding = p[6];
	return FCGI_OK;
}

void
fcgi_head_encode(unsigned char out[FCGI_HEAD_SIZE], const struct fcgi_head *head)
{
	out[0] = FCGI_VERSION_1;
	out[1] = head->type;
	record_put_u16(out + 2, head->id);
	record_put_u16(out + 4, head->length);
	out[6] = head->padding;
	out[7] = 0;
}

enum fcgi_rc
fcgi_begin_decode(struct span content, struct fcgi_begin *out)
{
	const unsigned char *p = (const unsigned char *)content.at;

	if (content.len != RECORD_BODY_SIZE)
		return FCGI_BAD;
	out->role = record_get_u16(p);
	out->flags = p[2];
	return FCGI_OK;
}

/* Begin a record of 8 bytes of content, all zero. */
static unsigned char *
record_begin(unsigned char out[RECORD_SIZE], uint8_t type, uint16_t id)
{
	fcgi_head_encode(out, &(struct fcgi_head){ .type = type, .id = id, .length = RECORD_BODY_SIZE });
	return memset(out + FCGI_HEAD_SIZE, 0, RECORD_BODY_SIZE);
}

void
fcgi_begin_encode(unsigned char out[16], uint16_t id, const struct fcgi_begin *begin)
{
	unsigned char *body = record_begin(out, FCGI_BEGIN_REQUEST, id);

	record_put_u16(body, begin->role);
	body[2] = begin->flags;
}

void
fcgi_end_encode(unsigned char out[FCGI_END_SIZE], uint16_t id, uint32_t app_status, uint8_t protocol)
{
	unsigned char *body = record_begin(out, FCGI_END_REQUEST, id);

	record_put_u16(body, (uint16_t)(app_status >> 16));
	record_put_u16(body + 2, (uint16_t)(app_status & 0xffff));
	body[4] = protocol;
}

void
fcgi_unknown_encode(unsigned char out[16], uint8_t type)
{
	record_begin(out, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID)[0] = type;
}
