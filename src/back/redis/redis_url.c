/* SPDX-License-Identifier: ISC */
/* What the URLs of Redis say, and whether they can mean anything. */
#include "back/redis/redis_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

bool
redis_url_is_unix(const struct back_url *u)
{
	return strcmp(u->scheme, "redis+unix") == 0;
}

static bool
redis_url_is_sentinel(const struct back_url *u)
{
	return strcmp(u->scheme, "redis+sentinel") == 0;
}

struct span
redis_url_master(const struct back_url *u)
{
	struct span path = span_str(u->path);
	const char *end;

	path = span_skip(path, path.len > 0);
	end = path.len == 0 ? NULL : memchr(path.at, '/', path.len);
	return (struct span){ path.at, end == NULL ? path.len : (size_t)(end - path.at) };
}

/* Behind a host "/2", behind a master's name too; behind a socket's path "?db=2". */
bool
redis_url_database(const struct back_url *u, unsigned *out)
{
	const char *text = redis_url_is_unix(u) ? u->query : u->path;
	const char *prefix = redis_url_is_unix(u) ? "db=" : "/";
	size_t n = strlen(prefix);

	if (redis_url_is_sentinel(u) && text[0] != '\0')
		text += 1 + redis_url_master(u).len;
	*out = 0;
	if (text[0] == '\0' || strcmp(text, "/") == 0)
		return true;
	if (strncmp(text, prefix, n) != 0 || text[n] == '\0' || strlen(text + n) > 5)
		return false;
	for (text += n; isdigit((unsigned char)*text); text++)
		*out = *out * 10 + (unsigned)(*text - '0');
	return *text == '\0';
}

void
redis_url_name(const struct back_place *place, unsigned port, char *out, size_t size)
{
	snprintf(out, size, strchr(place->host, ':') == NULL ? "%s:%u" : "[%s]:%u", place->host, place->port == 0 ? port : place->port);
}

static enum weft_rc
redis_url_bad(char *error, size_t size, const char *why)
{
	if (why == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s", why);
	return WEFT_INVALID;
}

/* What is wrong with any of them; NULL: nothing. */
static const char *
redis_url_fault(const struct back_url *u)
{
	unsigned database;

	if (u->user[0] != '\0' && u->password[0] == '\0')
		return "redis: a user needs a password; a password alone is written :password@";
	if (!redis_url_database(u, &database))
		return redis_url_is_unix(u) ? "the database is written ?db=2" : "the database is written /2";
	return NULL;
}

enum weft_rc
redis_url_check(const struct back_url *u, char *error, size_t size)
{
	const char *why = NULL;
	bool is_unix = redis_url_is_unix(u);

	if (is_unix && (u->path[0] != '/' || u->host[0] != '\0'))
		why = "redis+unix: needs the socket's path, like redis+unix:///run/redis.sock";
	else if (is_unix && strlen(u->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		why = "the socket's path is too long";
	else if (!is_unix && u->host[0] == '\0')
		why = "redis: needs a host, like redis://127.0.0.1:6379";
	else if (!is_unix && u->query[0] != '\0')
		why = "redis: takes no parameters behind '?'";
	return redis_url_bad(error, size, why != NULL ? why : redis_url_fault(u));
}

/* The parameters of sentinels. */
static const char *
redis_url_sentinel_fault(const struct back_url *u)
{
	static const char *const known[] = { "sentinel_user", "sentinel_password", NULL };
	char user[sizeof u->user], password[sizeof u->password], name[64];
	bool is_given;

	if (back_url_param_unknown(u, known, name, sizeof name) != NULL)
		return "redis+sentinel: takes only sentinel_user= and sentinel_password= behind '?'";
	if (back_url_param(u, "sentinel_user", user, sizeof user) < 0 ||
	    back_url_param(u, "sentinel_password", password, sizeof password) < 0)
		return "sentinel_user= or sentinel_password= is malformed or too long";
	is_given = password[0] != '\0';
	explicit_bzero(password, sizeof password);
	return user[0] != '\0' && !is_given ? "sentinel_user= needs sentinel_password=" : NULL;
}

enum weft_rc
redis_url_check_sentinel(const struct back_url *u, char *error, size_t size)
{
	struct back_place beyond;
	const char *why = NULL;

	if (u->host[0] == '\0' || redis_url_master(u).len == 0)
		why = "redis+sentinel: needs sentinels and the master's name, like redis+sentinel://10.0.0.1:26379,10.0.0.2/mymaster";
	else if (back_url_place(u, REDIS_PLACES, &beyond))
		why = "redis+sentinel: takes at most 16 sentinels";
	else
		why = redis_url_sentinel_fault(u);
	return redis_url_bad(error, size, why != NULL ? why : redis_url_fault(u));
}

enum weft_rc
redis_url_check_cluster(const struct back_url *u, char *error, size_t size)
{
	struct back_place beyond;
	const char *why = NULL;

	if (u->host[0] == '\0')
		why = "redis+cluster: needs some of the nodes, like redis+cluster://10.0.0.1:6379,10.0.0.2:6379";
	else if (back_url_place(u, REDIS_PLACES, &beyond))
		why = "redis+cluster: takes at most 16 nodes to begin with; it finds the others";
	else if (u->path[0] != '\0' && strcmp(u->path, "/") != 0)
		why = "redis+cluster: a cluster has no databases with numbers, so nothing stands behind the nodes";
	else if (u->query[0] != '\0')
		why = "redis+cluster: takes no parameters behind '?'";
	return redis_url_bad(error, size, why != NULL ? why : redis_url_fault(u));
}
