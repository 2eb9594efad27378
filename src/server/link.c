/* SPDX-License-Identifier: ISC */
#include "server/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/fdpass.h"
#include "loop/loop.h"

enum { LINK_QUEUE_MAX = 8192 };

/* What travels: this, then the text with its terminator. */
struct link_wire {
	uint32_t what;
	uint32_t id;
	int64_t number;
};

struct link_packet {
	STAILQ_ENTRY(link_packet) next;
	int fd;
	size_t len;
	char bytes[];
};

struct link {
	struct watch *watch;
	int sock;
	const struct link_ops *ops;
	void *arg;
	unsigned queued;
	STAILQ_HEAD(, link_packet) queue;
};

static void
link_packet_free(struct link_packet *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

/* Too many descriptors on their way (unix(7)), or no memory now: later.  The peer takes some off meanwhile. */
static bool
link_is_busy(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM;
}

static void
link_flush(struct link *k)
{
	struct link_packet *p;

	while ((p = STAILQ_FIRST(&k->queue)) != NULL) {
		if (fdpass_send(k->sock, p->bytes, p->len, p->fd) != 0 && link_is_busy(errno))
			break;
		/* Any other failure: the peer is gone, which reading reports. */
		STAILQ_REMOVE_HEAD(&k->queue, next);
		k->queued--;
		link_packet_free(p);
	}
	watch_want(k->watch, p == NULL ? WATCH_READ : WATCH_READ | WATCH_WRITE);
}

int
link_take(struct link *k)
{
	static _Thread_local char bytes[sizeof(struct link_wire) + LINK_TEXT_MAX + 1];
	struct link_wire wire;
	struct link_message m;
	int fd = -1;
	ssize_t n = fdpass_recv(k->sock, bytes, sizeof bytes - 1, &fd);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < (ssize_t)sizeof wire) {
		watch_want(k->watch, 0);
		k->ops->on_end(k->arg);
		return 0;
	}
	bytes[n] = '\0';
	memcpy(&wire, bytes, sizeof wire);
	m = (struct link_message){ wire.what, wire.id, wire.number, bytes + sizeof wire, fd };
	k->ops->on_message(k->arg, &m);
	return 1;
}

static void
link_on_ready(void *arg, int what)
{
	struct link *k = arg;

	if (what & WATCH_WRITE)
		link_flush(k);
	/* One message a turn: the callee may free the link. */
	if (what & WATCH_READ)
		link_take(k);
}

struct link *
link_new(struct loop *l, int sock, const struct link_ops *ops, void *arg)
{
	struct link *k;
	int flags = fcntl(sock, F_GETFL);

	/* A worker's end comes as one that blocks, and a master that is stopped must not stop its workers. */
	if (flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) != 0)
		return NULL;
	k = calloc(1, sizeof *k);
	if (k == NULL)
		return NULL;
	k->sock = sock;
	k->ops = ops;
	k->arg = arg;
	STAILQ_INIT(&k->queue);
	k->watch = watch_new(l, sock, link_on_ready, k);
	if (k->watch == NULL) {
		free(k);
		return NULL;
	}
	watch_want(k->watch, WATCH_READ);
	return k;
}

void
link_free(struct link **lp)
{
	struct link *k = *lp;
	struct link_packet *p;

	*lp = NULL;
	if (k == NULL)
		return;
	watch_free(&k->watch);
	while ((p = STAILQ_FIRST(&k->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&k->queue, next);
		link_packet_free(p);
	}
	free(k);
}

int
link_send(struct link *k, const struct link_message *m)
{
	size_t text = m->text == NULL ? 0 : strnlen(m->text, LINK_TEXT_MAX);
	struct link_packet *p = k->queued == LINK_QUEUE_MAX ? NULL : malloc(sizeof *p + sizeof(struct link_wire) + text);
	struct link_wire wire = { m->what, m->id, m->number };

	if (p == NULL) {
		log_error("message between master and worker dropped what=%u queued=%u", m->what, k->queued);
		return -1;
	}
	p->len = sizeof wire + text;
	memcpy(p->bytes, &wire, sizeof wire);
	if (text > 0)
		memcpy(p->bytes + sizeof wire, m->text, text);
	p->fd = m->fd < 0 ? -1 : fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
	if (m->fd >= 0 && p->fd < 0) {
		log_error("message between master and worker dropped: %s", strerror(errno));
		free(p);
		return -1;
	}
	STAILQ_INSERT_TAIL(&k->queue, p, next);
	k->queued++;
	link_flush(k);
	return 0;
}
