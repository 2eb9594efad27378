/* SPDX-License-Identifier: ISC */
/*
 * Redis commands made, and replies built, in an arena.
 *
 * The protocol wants lengths first.  So a format is first taken apart into pieces, which point
 * to where the bytes are; then one piece of memory is filled with them.
 */
#include "back/redis/reply.h"

#include <string.h>

struct weft_reply *
reply_new(struct arena *a, enum reply_kind kind)
{
	struct weft_reply *r = arena_alloc(a, sizeof *r);

	if (r != NULL)
		*r = (struct weft_reply){ .kind = kind };
	return r;
}

struct weft_reply *
reply_new_text(struct arena *a, enum reply_kind kind, struct span text)
{
	struct weft_reply *r = reply_new(a, kind);

	if (r == NULL)
		return NULL;
	r->text = (struct span){ arena_strdup(a, text), text.len };
	return r->text.at == NULL ? NULL : r;
}

struct weft_reply *
reply_new_array(struct arena *a, size_t count)
{
	struct weft_reply *r = reply_new(a, REPLY_ARRAY);

	if (r == NULL)
		return NULL;
	r->count = count;
	r->element = arena_zalloc(a, count * sizeof *r->element);
	return r->element == NULL ? NULL : r;
}

bool
reply_is_ok(const struct weft_reply *r)
{
	return r->kind == REPLY_STATUS && span_equal(r->text, SPAN("OK"));
}

void
reply_error_code(const struct weft_reply *r, char *out, size_t size)
{
	size_t n = 0;

	while (n < r->text.len && r->text.at[n] != ' ' && n + 1 < size) {
		out[n] = r->text.at[n];
		n++;
	}
	if (size > 0)
		out[n] = '\0';
}

/* ---- formatting ---- */

enum { REDIS_HEAD = 24 };	/* '$' or '*', at most 20 digits, "\r\n"; or a number with its sign */

/* A format taken apart: for each word a piece without bytes whose length is the word's, and then its pieces, none of them empty. */
struct redis_pieces {
	struct arena *arena;
	struct span *at;
	size_t count, words, bytes;
};

/* Write n's digits before end.  Returns where they begin.  Several times a command: no snprintf. */
static char *
redis_digits(char *end, unsigned long long n)
{
	do
		*--end = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return end;
}

static enum weft_rc
redis_piece_number(struct redis_pieces *p, unsigned long long n, bool is_negative)
{
	char *room = arena_alloc(p->arena, REDIS_HEAD), *at;

	if (room == NULL)
		return WEFT_SYSTEM;
	at = redis_digits(room + REDIS_HEAD, n);
	if (is_negative)
		*--at = '-';
	p->at[p->count] = (struct span){ at, (size_t)(room + REDIS_HEAD - at) };
	return WEFT_OK;
}

/* With length '\0', 'l', or 'L' for ll. */
static enum weft_rc
redis_piece_signed(struct redis_pieces *p, char length, va_list *ap)
{
	long long n = length == 'L' ? va_arg(*ap, long long) : length == 'l' ? va_arg(*ap, long) : va_arg(*ap, int);

	return redis_piece_number(p, n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n, n < 0);
}

static enum weft_rc
redis_piece_unsigned(struct redis_pieces *p, char length, va_list *ap)
{
	unsigned long long n = length == 'L' ? va_arg(*ap, unsigned long long) :
	    length == 'l'		     ? va_arg(*ap, unsigned long) :
					       va_arg(*ap, unsigned);

	return redis_piece_number(p, n, false);
}

/* The conversion behind a '%' at *fmt. */
static enum weft_rc
redis_piece_convert(struct redis_pieces *p, const char **fmt, va_list *ap)
{
	const char *f = *fmt;
	char length = f[0] != 'l' ? '\0' : f[1] == 'l' ? 'L' : 'l';
	struct span *s = &p->at[p->count];

	f += length == 'L' ? 2 : length == 'l';
	*fmt = f + (*f != '\0');
	if (*f == 'd' || *f == 'i')
		return redis_piece_signed(p, length, ap);
	if (*f == 'u')
		return redis_piece_unsigned(p, length, ap);
	if (length != '\0')
		return WEFT_INVALID;
	switch (*f) {
	case 's':
		s->at = va_arg(*ap, const char *);
		s->len = s->at == NULL ? 0 : strlen(s->at);
		return WEFT_OK;
	case 'b':
		s->at = va_arg(*ap, const char *);
		s->len = va_arg(*ap, size_t);
		if (s->at == NULL)
			s->len = 0;
		return WEFT_OK;
	case '%':
		*s = SPAN("%");
		return WEFT_OK;
	default:
		return WEFT_INVALID;
	}
}

/* The next piece of the word that *fmt stands in.  Not to be called at a blank or the end. */
static enum weft_rc
redis_piece_next(struct redis_pieces *p, const char **fmt, va_list *ap)
{
	const char *f = *fmt;

	if (*f == '%') {
		++*fmt;
		return redis_piece_convert(p, fmt, ap);
	}
	while (*f != '\0' && *f != ' ' && *f != '%')
		f++;
	p->at[p->count] = (struct span){ *fmt, (size_t)(f - *fmt) };
	*fmt = f;
	return WEFT_OK;
}

static enum weft_rc
redis_pieces_of_word(struct redis_pieces *p, const char **fmt, va_list *ap)
{
	struct span *head = &p->at[p->count++];
	enum weft_rc rc = WEFT_OK;

	*head = (struct span){ NULL, 0 };
	while (**fmt != '\0' && **fmt != ' ' && rc == WEFT_OK) {
		rc = redis_piece_next(p, fmt, ap);
		if (rc != WEFT_OK || p->at[p->count].len == 0)
			continue;
		head->len += p->at[p->count++].len;
	}
	p->bytes += head->len;
	return rc;
}

/* Count the words.  Returns how many pieces there can be at most: each begins with a word, with a '%', or behind the conversion of one. */
static size_t
redis_pieces_count(struct redis_pieces *p, const char *fmt)
{
	size_t conversions = 0;

	for (char before = ' '; *fmt != '\0'; before = *fmt++) {
		p->words += before == ' ' && *fmt != ' ';
		conversions += *fmt == '%';
	}
	return 2 * (p->words + conversions);
}

static enum weft_rc
redis_pieces_take(struct redis_pieces *p, const char *fmt, va_list *ap)
{
	size_t most = redis_pieces_count(p, fmt);
	enum weft_rc rc = WEFT_OK;

	if (p->words == 0 || p->words > REDIS_WORDS_MAX)
		return WEFT_INVALID;
	p->at = arena_alloc(p->arena, most * sizeof *p->at);
	if (p->at == NULL)
		return WEFT_SYSTEM;
	for (; rc == WEFT_OK && *fmt != '\0'; fmt += *fmt == ' ')
		if (*fmt != ' ')
			rc = redis_pieces_of_word(p, &fmt, ap);
	return rc;
}

/* Write the head "$12\r\n" or "*3\r\n".  Returns its length. */
static size_t
redis_head(char *out, char kind, size_t n)
{
	char room[REDIS_HEAD], *at;
	size_t len;

	if (n < 10) {
		memcpy(out, (char[]){ kind, (char)('0' + n), '\r', '\n' }, 4);
		return 4;
	}
	room[sizeof room - 2] = '\r';
	room[sizeof room - 1] = '\n';
	at = redis_digits(room + sizeof room - 2, n);
	*--at = kind;
	len = (size_t)(room + sizeof room - at);
	memcpy(out, at, len);
	return len;
}

static char *
redis_put(char *to, struct span s)
{
	if (s.len > 0)
		memcpy(to, s.at, s.len);
	return to + s.len;
}

/* Memory for a command of these words, with its head written; *at is where the first word goes. */
static char *
redis_begin(struct arena *a, size_t words, size_t bytes, char **at)
{
	char *whole = arena_alloc(a, REDIS_HEAD + words * (REDIS_HEAD + 2) + bytes);

	if (whole != NULL)
		*at = whole + redis_head(whole, '*', words);
	return whole;
}

enum weft_rc
redis_command_vformat(struct arena *a, const char *fmt, va_list ap, struct span *out)
{
	struct redis_pieces p = { .arena = a };
	enum weft_rc rc;
	char *whole, *at;
	va_list again;

	va_copy(again, ap);
	rc = redis_pieces_take(&p, fmt, &again);
	va_end(again);
	if (rc != WEFT_OK)
		return rc;
	whole = redis_begin(a, p.words, p.bytes, &at);
	if (whole == NULL)
		return WEFT_SYSTEM;
	at += redis_head(at, '$', p.at[0].len);
	for (size_t i = 1; i < p.count; i++) {
		if (p.at[i].at == NULL) {
			at = redis_put(at, SPAN("\r\n"));
			at += redis_head(at, '$', p.at[i].len);
		} else {
			at = redis_put(at, p.at[i]);
		}
	}
	at = redis_put(at, SPAN("\r\n"));
	*out = (struct span){ whole, (size_t)(at - whole) };
	return WEFT_OK;
}

enum weft_rc
redis_command_format(struct arena *a, struct span *out, const char *fmt, ...)
{
	enum weft_rc rc;
	va_list ap;

	va_start(ap, fmt);
	rc = redis_command_vformat(a, fmt, ap, out);
	va_end(ap);
	return rc;
}

enum weft_rc
redis_command_args(struct arena *a, size_t argc, const struct span *argv, struct span *out)
{
	size_t bytes = 0;
	char *whole, *at;

	if (argc == 0)
		return WEFT_INVALID;
	for (size_t i = 0; i < argc; i++)
		bytes += argv[i].len;
	whole = redis_begin(a, argc, bytes, &at);
	if (whole == NULL)
		return WEFT_SYSTEM;
	for (size_t i = 0; i < argc; i++) {
		at += redis_head(at, '$', argv[i].len);
		at = redis_put(at, argv[i]);
		at = redis_put(at, SPAN("\r\n"));
	}
	*out = (struct span){ whole, (size_t)(at - whole) };
	return WEFT_OK;
}
