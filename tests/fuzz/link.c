/* SPDX-License-Identifier: ISC */
/*
 * Packets of any bytes between master and worker: the input is packets, each a length (2 bytes) and bytes.  Each is a message whose text is
 * terminated within it, or the end of the link.
 */
// sources: src/server/link.c src/loop/*.c src/fiber/*.c
// flags: -levent_core
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "loop/loop.h"
#include "server/link.h"

static struct link *link_end;
static size_t sent;		/* bytes of the packet */
static unsigned messages, ends;

static void
on_message(void *arg, struct link_message *m)
{
	must(arg == &link_end && m->fd == -1 && sent >= 16);
	must(strlen(m->text) <= sent - 16);
	messages++;
}

static void
on_end(void *arg)
{
	must(arg == &link_end && sent < 16);
	ends++;
	link_free(&link_end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_ops ops = { on_message, on_end };
	static struct loop *loop;
	static int sock[2];

	if (loop == NULL) {
		loop = loop_new(NULL);
		must(loop != NULL && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sock) == 0);
	}
	link_end = link_new(loop, sock[0], &ops, &link_end);
	must(link_end != NULL);
	while (size > 2 && link_end != NULL) {
		sent = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		sent = sent < size ? sent : size;
		messages = ends = 0;
		must(send(sock[1], data, sent, MSG_NOSIGNAL) == (ssize_t)sent);
		loop_turn(loop, 0);
		must(messages + ends == 1);
		data += sent;
		size -= sent;
	}
	link_free(&link_end);
	return 0;
}
