/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LOG_TEXT_MAX = 4000, LOG_LINE_MAX = LOG_TEXT_MAX + 128 };

/* One log a process; every room writes to it, so it is the one global here. */
static struct {
	int fd;
	enum log_level least;
	char name[32];
	atomic_ulong dropped;		/* offloaded work logs from its thread */
} the_log = { .fd = 2, .least = LOG_INFO_, .name = "weft" };

void
log_open(int fd, enum log_level least, const char *name)
{
	the_log.fd = fd;
	the_log.least = least;
	snprintf(the_log.name, sizeof the_log.name, "%s", name);
}

static size_t
log_stamp(char *to, size_t size, enum log_level level)
{
	static const char *const word[] = { "debug", "info", "warn", "error" };
	struct timeval tv;
	struct tm tm;
	size_t n;
	int more;

	gettimeofday(&tv, NULL);
	gmtime_r(&tv.tv_sec, &tm);
	n = strftime(to, size, "%Y-%m-%dT%H:%M:%S", &tm);
	more = snprintf(to + n, size - n, ".%03dZ %s %s[%d]: ", (int)(tv.tv_usec / 1000), word[level],
	    the_log.name, (int)getpid());
	return more < 0 ? n : n + (size_t)more;
}

/*
 * How many bytes at text are one control character: C0, DEL, or C1 in UTF-8 (a
 * terminal takes U+009B for ESC [, and U+0085 for the end of a line).
 */
static size_t
log_control_len(const char *text)
{
	unsigned char c = (unsigned char)text[0], next = (unsigned char)text[1];

	if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
		return 2;
	return c < 0x20 || c == 0x7f;
}

/* Copy text with controls shown as \xNN; the rest of UTF-8 passes. */
static size_t
log_escape(char *to, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0, controls;

	while (*text != '\0' && n + 8 < size) {
		controls = log_control_len(text);
		if (controls == 0)
			to[n++] = *text++;
		for (; controls > 0; controls--, text++) {
			unsigned char c = (unsigned char)*text;

			to[n++] = '\\';
			to[n++] = 'x';
			to[n++] = hex[c >> 4];
			to[n++] = hex[c & 15];
		}
	}
	return n;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	/* Not on the stack: the caller may be a fiber, whose touched pages stay. */
	static _Thread_local char text[LOG_TEXT_MAX], line[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;
	size_t n;

	if (level < the_log.least)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n = log_stamp(line, sizeof line - 1, level);
	n += log_escape(line + n, sizeof line - 1 - n, text);
	line[n++] = '\n';
	if (write(the_log.fd, line, n) != (ssize_t)n)
		the_log.dropped++;
	errno = saved;
}

unsigned long
log_dropped(void)
{
	return the_log.dropped;
}
