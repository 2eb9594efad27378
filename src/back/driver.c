/* SPDX-License-Identifier: ISC */
/* Which drivers this build has.  Each is one struct, in its own file. */
#include "back/driver.h"

#include <stdio.h>
#include <string.h>

#include "config.h"

static const struct driver *const driver_table[] = {
#ifdef HAVE_REDIS
	&driver_redis,
	&driver_redis_sentinel,
	&driver_redis_cluster,
#endif
#ifdef HAVE_POSTGRES
	&driver_postgres,
#endif
#ifdef HAVE_MARIADB
	&driver_mariadb,
#endif
#ifdef HAVE_SQLITE
	&driver_sqlite,
#endif
#ifdef HAVE_CURL
	&driver_http,
#endif
	NULL,
};

const struct driver *
driver_find(const char *scheme)
{
	for (const struct driver *const *d = driver_table; *d != NULL; d++)
		for (const char *const *s = (*d)->schemes; *s != NULL; s++)
			if (strcmp(*s, scheme) == 0)
				return *d;
	return NULL;
}

const char *
driver_why_not(const char *scheme)
{
	if (strncmp(scheme, "rediss", strlen("rediss")) == 0)
		return "there is no TLS for Redis in this build; a proxy on this host, such as stunnel, can carry redis:// over TLS";
	return NULL;
}

void
driver_list(char *out, size_t size)
{
	size_t n = 0;

	if (size > 0)
		out[0] = '\0';
	for (const struct driver *const *d = driver_table; *d != NULL; d++)
		for (const char *const *s = (*d)->schemes; *s != NULL && n < size; s++) {
			int more = snprintf(out + n, size - n, n == 0 ? "%s" : " %s", *s);

			n += more < 0 ? 0 : (size_t)more;
		}
}
