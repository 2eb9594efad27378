/* SPDX-License-Identifier: ISC */
/*
 * Redis commands made, and replies built, in an arena.
 *
 * A command is formatted in two passes over the format: the first counts the
 * bytes, the second writes them, so the arena gives exactly one piece of memory.
 * The pieces of one word are written back to back behind a length that is known
 * from the first pass.
 */
#include "back/reply.h"

#include <stdio.h>
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

/* One conversion or run of plain bytes of a word. */
struct redis_piece {
	struct span bytes;
	char number[24];
};

static struct span
redis_piece_number(struct redis_piece *piece, const char *fmt, unsigned long long value)
{
	int n = snprintf(piece->number, sizeof piece->number, fmt, value);

	return (struct span){ piece->number, n < 0 ? 0 : (size_t)n };
}

/* Take a number after its length, '\0', 'l' or 'L' for ll, as a long long; those without a sign keep their bits. */
static unsigned long long
redis_piece_take(char length, bool is_signed, va_list *ap)
{
	if (is_signed)
		return (unsigned long long)(length == 'L' ? va_arg(*ap, long long) :
		    length == 'l'			  ? va_arg(*ap, long) :
							    va_arg(*ap, int));
	return length == 'L' ? va_arg(*ap, unsigned long long) :
	    length == 'l'    ? va_arg(*ap, unsigned long) :
			       va_arg(*ap, unsigned);
}

/* The conversion behind a '%' at *fmt; false when it is not one of ours. */
static bool
redis_piece_convert(struct redis_piece *piece, const char **fmt, va_list *ap)
{
	const char *f = *fmt;
	char length = f[0] != 'l' ? '\0' : f[1] == 'l' ? 'L' : 'l';

	f += length == 'L' ? 2 : length == 'l';
	*fmt = f + 1;
	if (*f == 'd' || *f == 'i') {
		piece->bytes = redis_piece_number(piece, "%lld", redis_piece_take(length, true, ap));
		return true;
	}
	if (*f == 'u') {
		piece->bytes = redis_piece_number(piece, "%llu", redis_piece_take(length, false, ap));
		return true;
	}
	if (length != '\0')
		return false;
	switch (*f) {
	case 's':
		piece->bytes.at = va_arg(*ap, const char *);
		piece->bytes.len = piece->bytes.at == NULL ? 0 : strlen(piece->bytes.at);
		return true;
	case 'b':
		piece->bytes.at = va_arg(*ap, const char *);
		piece->bytes.len = va_arg(*ap, size_t);
		return true;
	case '%':
		piece->bytes = SPAN("%");
		return true;
	default:
		return false;
	}
}

/* The next piece of the word that *fmt stands in.  Not to be called at a blank or the end. */
static bool
redis_piece_next(struct redis_piece *piece, const char **fmt, va_list *ap)
{
	if (**fmt == '%') {
		++*fmt;
		return redis_piece_convert(piece, fmt, ap);
	}
	piece->bytes = (struct span){ *fmt, strcspn(*fmt, " %") };
	*fmt += piece->bytes.len;
	return true;
}

enum { REDIS_HEAD = 24 };	/* '$' or '*', at most 20 digits, "\r\n" */

/* Write the head "$12\r\n" or "*3\r\n".  Returns its length.  Twice a word of every command: no snprintf. */
static size_t
redis_head(char *out, char kind, size_t n)
{
	char digit[REDIS_HEAD];
	size_t at = sizeof digit, len;

	digit[--at] = '\n';
	digit[--at] = '\r';
	do
		digit[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	digit[--at] = kind;
	len = sizeof digit - at;
	memcpy(out, digit + at, len);
	return len;
}

/* First pass: the length of each word.  Returns how many words there are, 0 when fmt is bad. */
static size_t
redis_measure(const char *fmt, va_list *ap, size_t *length)
{
	struct redis_piece piece;
	size_t words = 0;

	for (fmt += strspn(fmt, " "); *fmt != '\0'; fmt += strspn(fmt, " ")) {
		if (words == REDIS_WORDS_MAX)
			return 0;
		length[words] = 0;
		while (*fmt != '\0' && *fmt != ' ') {
			if (!redis_piece_next(&piece, &fmt, ap))
				return 0;
			length[words] += piece.bytes.len;
		}
		words++;
	}
	return words;
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
	static _Thread_local size_t length[REDIS_WORDS_MAX];	/* not on a fiber's stack */
	struct redis_piece piece;
	size_t words, bytes = 0, word = 0;
	char *whole, *at;
	va_list again;

	va_copy(again, ap);
	words = redis_measure(fmt, &again, length);
	va_end(again);
	if (words == 0)
		return WEFT_INVALID;
	for (size_t i = 0; i < words; i++)
		bytes += length[i];
	whole = redis_begin(a, words, bytes, &at);
	if (whole == NULL)
		return WEFT_SYSTEM;
	va_copy(again, ap);
	for (fmt += strspn(fmt, " "); *fmt != '\0'; fmt += strspn(fmt, " ")) {
		at += redis_head(at, '$', length[word++]);
		while (*fmt != '\0' && *fmt != ' ' && redis_piece_next(&piece, &fmt, &again))
			at = redis_put(at, piece.bytes);
		at = redis_put(at, SPAN("\r\n"));
	}
	va_end(again);
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
