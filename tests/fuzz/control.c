/* SPDX-License-Identifier: ISC */
/*
 * A client of the control socket that sends anything, in pieces: at most one line is handed on, terminated
 * and short enough, and the connection comes to its end.
 */
// sources: src/server/control.c src/loop/*.c src/fiber/*.c
// flags: -levent_core
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "loop/loop.h"
#include "server/control.h"

static struct loop *loop;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len;
static unsigned lines, closes;

static void
on_close(void *arg)
{
	must(arg == &closes);
	closes++;
}

static void
on_verb(void *arg, struct control_conn *c, const char *verb, const char *args)
{
	must(arg == &lines && control_uid(c) == geteuid() && control_take_fd(c) == -1);
	must(strlen(verb) + strlen(args) < CONTROL_LINE_MAX);
	must(strchr(verb, ' ') == NULL && strpbrk(verb, "\n") == NULL && strpbrk(args, "\n") == NULL);
	lines++;
	control_on_close(c, on_close, &closes);
	if (verb[0] == 'k')
		return;		/* kept, as a gate's is */
	control_reply(c, span_str(args));
	control_end(c);
}

static void
begin(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* An abstract name: there is nothing to clean up. */
	address_len = (socklen_t)(sizeof(sa_family_t) + 1
	    + (size_t)snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "weft-fuzz-%d", (int)getpid()));
	must(fd >= 0 && bind(fd, (struct sockaddr *)&address, address_len) == 0 && listen(fd, 16) == 0);
	loop = loop_new(NULL);
	must(loop != NULL && control_new(loop, fd, on_verb, &lines) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_hash(3, data, size);
	char answer[CONTROL_LINE_MAX];
	int sock;

	if (loop == NULL)
		begin();
	lines = closes = 0;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(sock >= 0 && connect(sock, (struct sockaddr *)&address, address_len) == 0);
	loop_turn(loop, 0);
	for (size_t n; size > 0; data += n, size -= n) {
		n = fuzz_random(&seed) % 2 == 0 ? size : fuzz_random(&seed) % size + 1;
		if (send(sock, data, n, MSG_NOSIGNAL) < 0)
			break;
		loop_turn(loop, 0);
		loop_turn(loop, 0);
		(void)recv(sock, answer, sizeof answer, 0);
	}
	close(sock);
	for (int i = 0; i < 20 && closes < lines; i++)
		loop_turn(loop, 0);
	loop_turn(loop, 0);
	must(lines <= 1 && closes == lines);
	return 0;
}
