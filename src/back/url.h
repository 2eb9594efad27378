/* SPDX-License-Identifier: ISC */
#ifndef BACK_URL_H
#define BACK_URL_H

/* The URL that names a back end, taken apart. */

#include <stdbool.h>
#include <stddef.h>

#include <weft/rc.h>

struct back_url {
	char scheme[24];	/* "redis", "redis+unix", "postgresql", "sqlite", … lower case */
	char user[64];		/* percent-decoded; empty if none */
	char password[128];
	char host[512];		/* without brackets; empty if none.  Many: all of them, as they were written */
	unsigned port;		/* 0 if none, or many */
	char path[256];		/* percent-decoded, with its leading '/' if there is one */
	char query[256];	/* behind '?', still encoded */
};

/* One of many places. */
struct back_place {
	char host[256];		/* without brackets */
	unsigned port;		/* 0 if none */
};

/*
 * Take a URL apart: scheme://[user[:password]@][host][:port][/path][?query] or scheme:path.
 * Where the scheme is that of several servers (redis+sentinel, redis+cluster), or has servers in place of another
 * (postgresql), it may be host[:port],host[:port],…
 *
 * error    one sentence when it fails, at most size bytes; never holds the password
 * Returns  WEFT_OK or WEFT_INVALID
 * Source   RFC 3986, section 3
 */
enum weft_rc back_url_parse(const char *text, struct back_url *out, char *error, size_t size);

/*
 * Find the place of this index, of a scheme with many places.
 *
 * Returns  false when there are not so many
 */
bool back_url_place(const struct back_url *u, unsigned index, struct back_place *out);

/*
 * Find a parameter behind '?' and decode its value.
 *
 * Returns  1: out is set; 0: it is not there (out is empty); -1: its value is malformed, or does not fit
 */
int back_url_param(const struct back_url *u, const char *name, char *out, size_t size);

/*
 * Returns the name of the first parameter that is none of those in known, which is NULL-terminated; it is valid as long as out,
 * where it is written, cut to fit.  NULL: all are known.
 */
const char *back_url_param_unknown(const struct back_url *u, const char *const *known, char *out, size_t size);

/* Returns true when there are several hosts. */
bool back_url_is_list(const struct back_url *u);

/* Write the URL without its password, for logs and status pages, to out.  Of HTTP without the user too, which often is the secret. */
void back_url_describe(const struct back_url *u, char *out, size_t size);

#endif
