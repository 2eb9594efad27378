/* SPDX-License-Identifier: ISC */
#include "path_back.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "base/span.h"

enum { PATH_BACK_ROOM = 65536 };

/* What came and is not answered yet, and the answer. */
static struct {
	char in[PATH_BACK_ROOM], out[PATH_BACK_ROOM];
	size_t have, len;
} path_back;

static void
path_say(struct span s)
{
	must(s.len <= sizeof path_back.out - path_back.len);
	memcpy(path_back.out + path_back.len, s.at, s.len);
	path_back.len += s.len;
}

/* Take what comes from the first who connects by take(), which returns how many bytes it has understood. */
static void
path_back_serve(int listener, size_t (*take)(const char *at, size_t len))
{
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	while ((n = read(fd, path_back.in + path_back.have, sizeof path_back.in - path_back.have)) > 0) {
		size_t done = 0, more;

		path_back.have += (size_t)n;
		while ((more = take(path_back.in + done, path_back.have - done)) > 0)
			done += more;
		path_back.have -= done;
		memmove(path_back.in, path_back.in + done, path_back.have);
		if (path_back.len > 0 && write(fd, path_back.out, path_back.len) != (ssize_t)path_back.len)
			_exit(1);
		path_back.len = 0;
	}
	_exit(0);
}

/* ---- Redis ---- */

/* A command whose words are not longer than nine bytes: all that is known of it is its number of lines. */
static size_t
path_take_command(const char *at, size_t len)
{
	unsigned lines = len < 2 ? 1 : 2 * (unsigned)(at[1] - '0') + 1;
	const char *end = at;

	for (unsigned i = 0; i < lines; i++) {
		end = memchr(end, '\n', len - (size_t)(end - at));
		if (end == NULL)
			return 0;
		end++;
	}
	if (memmem(at, (size_t)(end - at), "\r\nGET\r\n", 7) != NULL)
		path_say(SPAN("$13\r\nHello, Redis!\r\n"));
	else
		path_say(memmem(at, (size_t)(end - at), "PING", 4) != NULL ? SPAN("+PONG\r\n") : SPAN("+OK\r\n"));
	return (size_t)(end - at);
}

void
path_be_redis(int listener)
{
	path_back_serve(listener, path_take_command);
}

/* ---- PostgreSQL ---- */

static size_t
path_read_length(const char *at)
{
	const unsigned char *u = (const unsigned char *)at;

	return (size_t)u[0] << 24 | (size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3];
}

static void
path_say_message(char type, struct span body)
{
	size_t length = body.len + 4;
	char head[] = { type, 0, 0, (char)(length >> 8), (char)length };

	path_say((struct span){ head, sizeof head });
	path_say(body);
}

static void
path_say_start(void)
{
	path_say_message('R', SPAN("\0\0\0\0"));
	path_say_message('S', SPAN("server_version\0" "15.0\0"));
	path_say_message('S', SPAN("client_encoding\0UTF8\0"));
	path_say_message('S', SPAN("standard_conforming_strings\0on\0"));
	path_say_message('K', SPAN("\0\0\0\1\0\0\0\2"));
	path_say_message('Z', SPAN("I"));
}

/* What a connection begins with has no type before its length. */
static size_t
path_take_message(const char *at, size_t len)
{
	static bool begun;
	size_t head = begun ? 1 : 0, whole = len < head + 4 ? SIZE_MAX : head + path_read_length(at + head);

	if (whole > len)
		return 0;
	if (!begun)
		path_say_start();
	else if (at[0] == 'P')
		path_say_message('1', SPAN(""));
	else if (at[0] == 'B')
		path_say_message('2', SPAN(""));
	else if (at[0] == 'D')
		path_say_message('T', SPAN("\0\1randomnumber\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0"));
	else if (at[0] == 'E')
		path_say_message('D', SPAN("\0\1\0\0\0\0017"));
	if (begun && at[0] == 'E')
		path_say_message('C', SPAN("SELECT 1\0"));
	else if (begun && at[0] == 'S')
		path_say_message('Z', SPAN("I"));
	begun = true;
	return whole;
}

void
path_be_postgres(int listener)
{
	path_back_serve(listener, path_take_message);
}
