/* SPDX-License-Identifier: ISC */
#ifndef APP_MODULE_H
#define APP_MODULE_H

/*
 * Modules: shared objects with a route table.  A private copy is loaded, so
 * that overwriting the file does not touch a running worker, and it is never unloaded:
 * a new version is a new worker.
 */

#include <stddef.h>

#include <weft/weft.h>

struct module;

/*
 * Load a module and check its table.  Does not call its init.
 *
 * name     what weft.conf calls it; borrowed, must outlive the module
 * file     the shared object
 * error    one sentence that says why it is refused
 * Returns  the module, or NULL with *error
 */
struct module *module_load(const char *name, const char *file, char *error, size_t size);

/* Call its init.  Returns 0, or -1 with *error when init said no. */
int module_init(struct module *m, char *error, size_t size);

/* Call its fini, when its init was called and said yes. */
void module_fini(struct module *m);

/* Free the struct; the code stays loaded.  *mp becomes NULL. */
void module_free(struct module **mp);

/* Returns its name. */
const char *module_name(const struct module *m);

/* Returns how many routes it has. */
size_t module_routes(const struct module *m);

/*
 * Returns a route, n < module_routes(), valid as long as the module.  Members that a module of an
 * older version does not have are zero.
 */
struct weft_route module_route(const struct module *m, size_t n);

#endif
