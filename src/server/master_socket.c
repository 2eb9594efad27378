/* SPDX-License-Identifier: ISC */
/* The listening sockets that the master makes, shared by the generations that name their addresses. */
#include "server/master_own.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/listen.h"
#include "server/config.h"

struct master_socket *
master_socket_find(struct master *m, const char *address)
{
	struct master_socket *s;

	LIST_FOREACH (s, &m->sockets, link)
		if (strcmp(s->address, address) == 0)
			return s;
	return NULL;
}

static const char *
master_socket_path(const char *address)
{
	return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

static int
master_socket_group(const char *path, const char *group, char *error, size_t size)
{
	struct group *gr;

	if (path == NULL || group[0] == '\0')
		return 0;
	gr = getgrnam(group);
	if (gr != NULL && chown(path, (uid_t)-1, gr->gr_gid) == 0)
		return 0;
	snprintf(error, size, "%s: group \"%s\": %s", path, group, gr == NULL ? "unknown" : strerror(errno));
	return -1;
}

struct master_socket *
master_socket_open(struct master *m, const char *address, mode_t mode, const char *group, char *error, size_t size)
{
	struct master_socket *s = calloc(1, sizeof *s);
	const char *path = master_socket_path(address);
	struct stat st;

	if (s == NULL || (s->address = strdup(address)) == NULL) {
		snprintf(error, size, "out of memory");
		free(s);
		return NULL;
	}
	s->fd = listen_open(address, mode, error, size);
	if (s->fd < 0 || master_socket_group(path, group, error, size) != 0) {
		if (s->fd >= 0)
			close(s->fd);
		free(s->address);
		free(s);
		return NULL;
	}
	if (path != NULL && stat(path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	LIST_INSERT_HEAD(&m->sockets, s, link);
	return s;
}

/* Close it, and remove its file if it is still ours: another server may have taken the path. */
void
master_socket_close(struct master_socket *s)
{
	const char *path = master_socket_path(s->address);
	struct stat st;

	if (path != NULL && s->ino != 0 && stat(path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
	LIST_REMOVE(s, link);
	close(s->fd);
	free(s->address);
	free(s);
}

/* Close the sockets that the serving generation no longer names. */
void
master_socket_sweep(struct master *m)
{
	const struct config *c = m->serving->config;
	struct master_socket *s, *next;

	for (s = LIST_FIRST(&m->sockets); s != NULL; s = next) {
		bool named = false;

		next = LIST_NEXT(s, link);
		for (size_t i = 0; i < c->nlistens && !named; i++)
			named = strcmp(c->listen[i].address, s->address) == 0;
		if (!named && s != m->control_socket)
			master_socket_close(s);
	}
}
