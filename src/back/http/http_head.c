/* SPDX-License-Identifier: ISC */
#include "back/http/http_head.h"

#include <string.h>
#include <strings.h>

void
http_head_init(struct http_head *h)
{
	*h = (struct http_head){ .state = HTTP_HEAD_AWAITED };
	buf_init(&h->fields, HTTP_HEAD_MAX + HTTP_FIELDS_MAX);
}

void
http_head_fini(struct http_head *h)
{
	buf_fini(&h->fields);
}

void
http_head_clear(struct http_head *h)
{
	struct buf fields = h->fields;

	*h = (struct http_head){ .state = HTTP_HEAD_AWAITED, .fields = fields };
	buf_clear(&h->fields);
}

static enum http_head_rc
http_head_bad(const char **why, const char *what)
{
	*why = what;
	return HTTP_HEAD_BAD;
}

static enum http_head_rc
http_head_large(const char **why, const char *what)
{
	*why = what;
	return HTTP_HEAD_LARGE;
}

/* ---- lines ---- */

/* "HTTP/1.1 200 OK": the number, or 0. */
static int
http_head_status(struct span line)
{
	struct span version = span_take(&line, ' ');
	int status = 0;

	if (version.len < 6 || memcmp(version.at, "HTTP/", 5) != 0 || line.len < 3 || (line.len > 3 && line.at[3] != ' '))
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return 0;
		status = status * 10 + line.at[i] - '0';
	}
	return status >= 100 && status <= 599 ? status : 0;
}

static enum http_head_rc
http_head_begin(struct http_head *h, struct span line, const char **why)
{
	h->status = http_head_status(line);
	if (h->status == 0)
		return http_head_bad(why, "the answer does not begin with a status");
	if (h->status == 101)
		return http_head_bad(why, "it switches protocols, which nobody asked for");
	if (h->status < 200 && ++h->interims > HTTP_INTERIM_MAX)
		return http_head_large(why, "too many interim answers");
	h->nfields = 0;
	buf_clear(&h->fields);
	h->state = HTTP_HEAD_FIELDS;
	return HTTP_HEAD_MORE;
}

static enum http_head_rc
http_head_end(struct http_head *h)
{
	h->state = h->status < 200 ? HTTP_HEAD_AWAITED : HTTP_HEAD_DONE;
	return h->state == HTTP_HEAD_DONE ? HTTP_HEAD_COMPLETE : HTTP_HEAD_MORE;
}

static bool
http_head_is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
			return false;
	return true;
}

/* A line that begins with a blank goes on with the value before it; the break counts as one blank (RFC 9112, section 5.2). */
static enum http_head_rc
http_head_fold(struct http_head *h, struct span line, const char **why)
{
	if (h->nfields == 0)
		return http_head_bad(why, "its first header has no name");
	h->fields.len--;
	if (buf_add(&h->fields, SPAN(" ")) != WEFT_OK || buf_add(&h->fields, span_trim(line)) != WEFT_OK ||
	    buf_add(&h->fields, SPAN("\0")) != WEFT_OK)
		return http_head_large(why, "the head of the answer is too large");
	return HTTP_HEAD_MORE;
}

static enum http_head_rc
http_head_field(struct http_head *h, struct span line, const char **why)
{
	bool has_colon = memchr(line.at, ':', line.len) != NULL;
	struct span name = span_take(&line, ':');

	if (!has_colon || !http_is_token(name))
		return http_head_bad(why, "a header without a name");
	if (buf_add(&h->fields, name) != WEFT_OK || buf_add(&h->fields, SPAN("\0")) != WEFT_OK ||
	    buf_add(&h->fields, span_trim(line)) != WEFT_OK || buf_add(&h->fields, SPAN("\0")) != WEFT_OK)
		return http_head_large(why, "the head of the answer is too large");
	h->nfields++;
	return HTTP_HEAD_MORE;
}

enum http_head_rc
http_head_line(struct http_head *h, struct span line, const char **why)
{
	h->bytes += line.len;
	if (h->bytes > HTTP_HEAD_MAX)
		return http_head_large(why, "the head of the answer is too large");
	if (line.len > 0 && line.at[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (!http_head_is_text(line))
		return http_head_bad(why, "a control byte in the head of the answer");
	if (h->state == HTTP_HEAD_AWAITED)
		return http_head_begin(h, line, why);
	if (line.len == 0)
		return h->state == HTTP_HEAD_DONE ? HTTP_HEAD_MORE : http_head_end(h);
	if (++h->lines > HTTP_FIELDS_MAX)
		return http_head_large(why, "too many headers in the answer");
	if (h->state == HTTP_HEAD_DONE)
		return HTTP_HEAD_MORE;
	return line.at[0] == ' ' || line.at[0] == '\t' ? http_head_fold(h, line, why) : http_head_field(h, line, why);
}

const char *
http_head_find(const struct http_head *h, const char *name)
{
	const char *at = h->fields.at;

	for (unsigned i = 0; i < h->nfields; i++) {
		const char *value = at + strlen(at) + 1;

		if (strcasecmp(at, name) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

/* ---- the answer ---- */

struct weft_http *
http_answer_new(struct arena *a, const struct http_head *h, struct span body)
{
	struct weft_http *answer = arena_zalloc(a, sizeof *answer + h->nfields * sizeof *answer->field);
	char *at = answer == NULL ? NULL : arena_alloc(a, h->fields.len + 1);

	if (at == NULL)
		return NULL;
	answer->status = h->status;
	answer->nfields = h->nfields;
	answer->field = (struct http_field *)(answer + 1);
	if (h->fields.len > 0)
		memcpy(at, h->fields.at, h->fields.len);
	for (unsigned i = 0; i < h->nfields; i++) {
		answer->field[i].name = at;
		at += strlen(at) + 1;
		answer->field[i].value = at;
		at += strlen(at) + 1;
	}
	answer->body = (struct span){ arena_strdup(a, body), body.len };
	return answer->body.at == NULL ? NULL : answer;
}

const char *
http_answer_find(const struct weft_http *answer, const char *name)
{
	for (unsigned i = 0; i < answer->nfields; i++)
		if (strcasecmp(answer->field[i].name, name) == 0)
			return answer->field[i].value;
	return NULL;
}
