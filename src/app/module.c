/* SPDX-License-Identifier: ISC */
/*
 * Loading shared objects.  The file is copied into memory (memfd) and loaded
 * from there: a linker that truncates and rewrites the file, as cp and ld do,
 * would otherwise pull the pages from under running code.
 */
#include "app/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

struct module {
	const char *name;
	const struct weft_module *table;
	bool running;
};

/* Returns a descriptor of a private copy, or -1 with *error. */
static int
module_copy(const char *name, const char *file, char *error, size_t size)
{
	int from = open(file, O_RDONLY | O_CLOEXEC), to;
	struct stat st;

	if (from < 0 || fstat(from, &st) != 0) {
		snprintf(error, size, "%s: %s", file, strerror(errno));
		if (from >= 0)
			close(from);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, size, "%s: not a regular file", file);
		close(from);
		return -1;
	}
	to = memfd_create(name, MFD_CLOEXEC);
	for (off_t done = 0; to >= 0 && done < st.st_size;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)(st.st_size - done));

		if (n == 0)
			break;		/* it has become shorter: module_is_whole sees whether that matters */
		if (n < 0) {
			close(to);
			to = -1;
			break;
		}
		done += n;
	}
	if (to < 0)
		snprintf(error, size, "%s: cannot be copied to memory: %s", file, strerror(errno));
	close(from);
	return to;
}

/*
 * The loader maps what the program headers name and touches it unchecked: pages behind the file's end, as of a
 * file that a linker still writes, are a SIGBUS.  What is no ELF file at all the loader finds itself.
 *
 * Returns  true when all that is to be mapped is there
 */
static bool
module_is_whole(int fd)
{
	ElfW(Ehdr) head;
	ElfW(Phdr) part;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if (pread(fd, &head, sizeof head, 0) != sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_phentsize != sizeof part)
		return true;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		size_t size = (size_t)st.st_size, at = head.e_phoff + i * sizeof part;

		if (at > size || pread(fd, &part, sizeof part, (off_t)at) != sizeof part)
			return false;
		if (part.p_type == PT_LOAD && (part.p_offset > size || part.p_filesz > size - part.p_offset))
			return false;
	}
	return true;
}

/* dlerror names our copy; name the file instead. */
static void
module_loader_error(const char *file, const char *path, char *error, size_t size)
{
	const char *why = dlerror();

	if (why == NULL)
		why = "unknown reason";
	if (strncmp(why, path, strlen(path)) == 0)
		why += strlen(path) + strspn(why + strlen(path), ": ");
	snprintf(error, size, "%s: cannot be loaded: %s", file, why);
}

static void *
module_open(const char *name, const char *file, char *error, size_t size)
{
	int fd = module_copy(name, file, error, size);
	char path[64];
	void *handle;

	if (fd < 0)
		return NULL;
	if (!module_is_whole(fd)) {
		snprintf(error, size, "%s: cannot be loaded: the file is cut short", file);
		close(fd);
		return NULL;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		module_loader_error(file, path, error, size);
	/* The mapping keeps the copy.  But the loader knows objects by their path as well, so the
	 * descriptor stays open: its number, and with it the path, is not used again. */
	if (handle == NULL)
		close(fd);
	return handle;
}

static int
module_check_route(const char *file, const struct weft_route *r, size_t n, char *error, size_t size)
{
	const char *lacks = r->method == NULL ? "method" : r->path == NULL ? "path" : r->handler == NULL ? "handler" : NULL;

	if (lacks != NULL)
		snprintf(error, size, "%s: route %zu has no %s", file, n + 1, lacks);
	else if (r->path[0] != '/')
		snprintf(error, size, "%s: route %zu: the path \"%s\" does not begin with '/'", file, n + 1, r->path);
	else
		return 0;
	return -1;
}

static int
module_check(const struct module *m, const char *file, char *error, size_t size)
{
	const struct weft_module *t = m->table;

	if (t->abi_major != WEFT_ABI_MAJOR) {
		snprintf(error, size, "%s: built for version %u of the module interface, this server has %d: build it anew", file,
		    t->abi_major, WEFT_ABI_MAJOR);
		return -1;
	}
	if (t->abi_minor > WEFT_ABI_MINOR) {
		snprintf(error, size, "%s: built for version %u.%u of the module interface, this server has %d.%d: it needs a newer weft",
		    file, t->abi_major, t->abi_minor, WEFT_ABI_MAJOR, WEFT_ABI_MINOR);
		return -1;
	}
	if (t->routes == NULL || t->nroutes == 0) {
		snprintf(error, size, "%s: its route table is empty", file);
		return -1;
	}
	if (t->route_size < offsetof(struct weft_route, stack)) {
		snprintf(error, size, "%s: its route table is malformed", file);
		return -1;
	}
	for (size_t n = 0; n < t->nroutes; n++) {
		struct weft_route r = module_route(m, n);

		if (module_check_route(file, &r, n, error, size) != 0)
			return -1;
	}
	return 0;
}

struct module *
module_load(const char *name, const char *file, char *error, size_t size)
{
	void *handle = module_open(name, file, error, size);
	struct module *m;

	if (handle == NULL)
		return NULL;
	m = calloc(1, sizeof *m);
	if (m == NULL) {
		snprintf(error, size, "%s: out of memory", file);
		return NULL;
	}
	m->name = name;
	m->table = dlsym(handle, "weft_module");
	if (m->table == NULL) {
		snprintf(error, size, "%s: no weft module: it has no symbol weft_module (WEFT_MODULE in its source makes one)", file);
		free(m);
		return NULL;
	}
	if (module_check(m, file, error, size) != 0) {
		free(m);
		return NULL;
	}
	return m;
}

int
module_init(struct module *m, char *error, size_t size)
{
	int said = m->table->init == NULL ? 0 : m->table->init(m->name);

	m->running = said == 0;
	if (said == 0)
		return 0;
	snprintf(error, size, "module %s: its init function returned %d", m->name, said);
	return -1;
}

void
module_fini(struct module *m)
{
	if (m->running && m->table->fini != NULL)
		m->table->fini();
	m->running = false;
}

void
module_free(struct module **mp)
{
	free(*mp);
	*mp = NULL;
}

const char *
module_name(const struct module *m)
{
	return m->name;
}

size_t
module_routes(const struct module *m)
{
	return m->table->nroutes;
}

struct weft_route
module_route(const struct module *m, size_t n)
{
	const struct weft_module *t = m->table;
	struct weft_route r = { 0 };

	memcpy(&r, (const char *)t->routes + n * t->route_size, t->route_size < sizeof r ? t->route_size : sizeof r);
	return r;
}
