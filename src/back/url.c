/* SPDX-License-Identifier: ISC */
/*
 * A back end's URL, taken apart and written down again.
 *
 * Pure.  Every part is copied into the struct, with a bound; what does not
 * fit is an error, never a cut.  Error sentences name the part that is wrong
 * and never quote it, so no password gets into a log by way of a mistyped URL.
 */
#include "back/url.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"

static enum weft_rc
back_url_bad(char *error, size_t size, const char *what)
{
	snprintf(error, size, "%s", what);
	return WEFT_INVALID;
}

static int
back_url_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode in to a terminated out; false when it is malformed, holds a control byte, or does not fit. */
static bool
back_url_decode(struct span in, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int c = (unsigned char)in.at[i];

		if (c == '%') {
			int high = in.len - i > 2 ? back_url_hex(in.at[i + 1]) : -1;
			int low = in.len - i > 2 ? back_url_hex(in.at[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

static bool
back_url_copy(struct span in, char *out, size_t size)
{
	for (size_t i = 0; i < in.len; i++)
		if ((unsigned char)in.at[i] <= 0x20 || in.at[i] == 0x7f)
			return false;
	if (in.len >= size)
		return false;
	memcpy(out, in.at, in.len);
	out[in.len] = '\0';
	return true;
}

/* The bytes of s before the first of the stop bytes; *s becomes the rest, which begins with the stop byte. */
static struct span
back_url_until(struct span *s, const char *stop)
{
	struct span head = { s->at, 0 };

	while (head.len < s->len && strchr(stop, s->at[head.len]) == NULL)
		head.len++;
	*s = span_skip(*s, head.len);
	return head;
}

static bool
back_url_scheme(struct span in, char *out, size_t size)
{
	if (in.len == 0 || in.len >= size || !isalpha((unsigned char)in.at[0]))
		return false;
	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.at[i];

		if (!isalnum(c) && c != '+' && c != '-' && c != '.')
			return false;
		out[i] = (char)tolower(c);
	}
	out[in.len] = '\0';
	return true;
}

static bool
back_url_port(struct span in, unsigned *out)
{
	unsigned port = 0;

	if (in.len == 0)
		return true;	/* "host:" is allowed by RFC 3986, 3.2.3 */
	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] < '0' || in.at[i] > '9')
			return false;
		port = port * 10 + (unsigned)(in.at[i] - '0');
		if (port > 65535)
			return false;
	}
	*out = port;
	return port != 0;
}

/* [user[:password]@], at the front of *s; an '@' in a password must be encoded, but the last one counts. */
static enum weft_rc
back_url_user(struct span *s, struct back_url *out, char *error, size_t size)
{
	size_t at = s->len;
	struct span info, user;

	while (at > 0 && s->at[at - 1] != '@')
		at--;
	if (at == 0)
		return WEFT_OK;
	info = (struct span){ s->at, at - 1 };
	*s = span_skip(*s, at);
	user = back_url_until(&info, ":");
	if (!back_url_decode(user, out->user, sizeof out->user))
		return back_url_bad(error, size, "the user in the URL is malformed or too long");
	if (info.len > 0 && !back_url_decode(span_skip(info, 1), out->password, sizeof out->password))
		return back_url_bad(error, size, "the password in the URL is malformed or too long");
	return WEFT_OK;
}

/* host[:port], all of s */
static enum weft_rc
back_url_host(struct span s, char *out, size_t room, unsigned *port, char *error, size_t size)
{
	struct span host;

	if (s.len > 0 && s.at[0] == '[') {
		s = span_skip(s, 1);
		host = back_url_until(&s, "]");
		if (s.len == 0 || host.len == 0)
			return back_url_bad(error, size, "the address in brackets in the URL has no end");
		s = span_skip(s, 1);
	} else
		host = back_url_until(&s, ":");
	if (!back_url_decode(host, out, room))
		return back_url_bad(error, size, "the host in the URL is malformed or too long");
	if (s.len > 0 && (s.at[0] != ':' || !back_url_port(span_skip(s, 1), port)))
		return back_url_bad(error, size, "the port in the URL is not a number from 1 to 65535");
	return WEFT_OK;
}

/* Does this scheme name several servers? */
static bool
back_url_is_many(const char *scheme)
{
	return strcmp(scheme, "redis+sentinel") == 0 || strcmp(scheme, "redis+cluster") == 0;
}

/* May it? */
static bool
back_url_may_be_many(const char *scheme)
{
	return strcmp(scheme, "postgresql") == 0 || strcmp(scheme, "postgres") == 0;
}

/* host[:port],host[:port],…: kept as they are, if all can be taken apart. */
static enum weft_rc
back_url_hosts(struct span s, struct back_url *out, char *error, size_t size)
{
	struct span all = s;
	bool more = true;

	while (more) {
		struct span one = back_url_until(&s, ",");
		struct back_place place = { .port = 0 };

		more = s.len > 0;
		s = span_skip(s, more);
		if (back_url_host(one, place.host, sizeof place.host, &place.port, error, size) != WEFT_OK)
			return WEFT_INVALID;
		if (place.host[0] == '\0' && (more || all.len > one.len))
			return back_url_bad(error, size, "the hosts in the URL have an empty one among them");
	}
	if (!back_url_copy(all, out->host, sizeof out->host))
		return back_url_bad(error, size, "the hosts in the URL are malformed or too long");
	return WEFT_OK;
}

static enum weft_rc
back_url_authority(struct span s, struct back_url *out, char *error, size_t size)
{
	if (back_url_user(&s, out, error, size) != WEFT_OK)
		return WEFT_INVALID;
	if (back_url_is_many(out->scheme) || (back_url_may_be_many(out->scheme) && s.len > 0 && memchr(s.at, ',', s.len) != NULL))
		return back_url_hosts(s, out, error, size);
	if (s.len > 0 && memchr(s.at, ',', s.len) != NULL)
		return back_url_bad(error, size, "this kind of URL names one host");
	return back_url_host(s, out->host, sizeof((struct back_place *)0)->host, &out->port, error, size);
}

bool
back_url_is_list(const struct back_url *u)
{
	return back_url_is_many(u->scheme) || strchr(u->host, ',') != NULL;
}

/*
 * Does s, behind the authority, have an '@' that was to end the user's password?  Only in the path, where it is ours to say
 * what may be in it; anywhere, where the authority alone makes no sense.
 */
static bool
back_url_is_cut(struct span authority, struct span s, const char *scheme, enum weft_rc rc)
{
	bool is_http = strncmp(scheme, "http", 4) == 0;

	if (authority.len == 0 || memchr(authority.at, '@', authority.len) != NULL)
		return false;
	if (rc == WEFT_OK)
		s = is_http ? (struct span){ s.at, 0 } : back_url_until(&s, "?#");
	return s.len > 0 && memchr(s.at, '@', s.len) != NULL;
}

enum weft_rc
back_url_parse(const char *text, struct back_url *out, char *error, size_t size)
{
	struct span rest = span_str(text), part;
	enum weft_rc rc;

	*out = (struct back_url){ .port = 0 };
	part = back_url_until(&rest, ":/?#@");
	if (rest.len == 0 || rest.at[0] != ':' || !back_url_scheme(part, out->scheme, sizeof out->scheme))
		return back_url_bad(error, size, "the URL does not begin with a scheme, like redis://");
	rest = span_skip(rest, 1);
	if (rest.len >= 2 && rest.at[0] == '/' && rest.at[1] == '/') {
		rest = span_skip(rest, 2);
		part = back_url_until(&rest, "/?#");
		rc = back_url_authority(part, out, error, size);
		if (back_url_is_cut(part, rest, out->scheme, rc))
			return back_url_bad(error, size, "a '/', '?' or '#' before the '@' of the URL: in a password write %2F, %3F and %23");
		if (rc != WEFT_OK)
			return rc;
	}
	part = back_url_until(&rest, "?#");
	if (!back_url_decode(part, out->path, sizeof out->path))
		return back_url_bad(error, size, "the path in the URL is malformed or too long");
	if (rest.len > 0 && rest.at[0] == '?') {
		rest = span_skip(rest, 1);
		part = back_url_until(&rest, "#");
		if (!back_url_copy(part, out->query, sizeof out->query))
			return back_url_bad(error, size, "the query in the URL is malformed or too long");
	}
	if (rest.len > 0)
		return back_url_bad(error, size, "the URL has a fragment ('#'), which means nothing here");
	return WEFT_OK;
}

bool
back_url_place(const struct back_url *u, unsigned index, struct back_place *out)
{
	struct span rest = span_str(u->host);
	char error[100];

	*out = (struct back_place){ .port = 0 };
	while (rest.len > 0) {
		struct span one = back_url_until(&rest, ",");

		rest = span_skip(rest, rest.len > 0);
		if (index-- == 0)
			return back_url_host(one, out->host, sizeof out->host, &out->port, error, sizeof error) == WEFT_OK;
	}
	return false;
}

/* ---- parameters ---- */

/* Take the first "name=value" off *query.  Returns false when there is none left. */
static bool
back_url_take_param(struct span *query, struct span *name, struct span *value)
{
	if (query->len == 0)
		return false;
	*value = span_take(query, '&');
	*name = span_take(value, '=');
	return true;
}

static bool
back_url_is_named(struct span name, const char *as)
{
	return name.len == strlen(as) && memcmp(name.at, as, name.len) == 0;
}

int
back_url_param(const struct back_url *u, const char *name, char *out, size_t size)
{
	struct span query = span_str(u->query), is, value;

	out[0] = '\0';
	while (back_url_take_param(&query, &is, &value)) {
		if (!back_url_is_named(is, name))
			continue;
		if (back_url_decode(value, out, size))
			return 1;
		out[0] = '\0';
		return -1;
	}
	return 0;
}

const char *
back_url_param_unknown(const struct back_url *u, const char *const *known, char *out, size_t size)
{
	struct span query = span_str(u->query), is, value;

	while (back_url_take_param(&query, &is, &value)) {
		const char *const *k = known;

		while (*k != NULL && !back_url_is_named(is, *k))
			k++;
		if (*k != NULL)
			continue;
		snprintf(out, size, "%.*s", (int)is.len, is.at);
		return out;
	}
	return NULL;
}

/* ---- writing it down ---- */

/* Text that grows in the caller's bytes and is cut where they end. */
struct back_url_text {
	char *at;
	size_t left;
};

static void
back_url_put(struct back_url_text *t, const char *fmt, struct span s)
{
	int n = snprintf(t->at, t->left, fmt, (int)s.len, s.at);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= t->left)
		len = t->left > 0 ? t->left - 1 : 0;
	t->at += len;
	t->left -= len;
}

/* PostgreSQL takes passwords as parameters as well (password=, sslpassword=): these are left out. */
static void
back_url_put_query(struct back_url_text *t, struct span query)
{
	static const char secret[] = "password";
	const char *fmt = "?%.*s";

	while (query.len > 0) {
		struct span pair = back_url_until(&query, "&"), value = pair, name = back_url_until(&value, "=");
		size_t n = sizeof secret - 1;

		query = span_skip(query, query.len > 0);
		if (memchr(name.at, '%', name.len) != NULL)
			continue;	/* an encoded name may be a secret's */
		if (name.len >= n && strncasecmp(name.at + name.len - n, secret, n) == 0)
			continue;
		back_url_put(t, fmt, pair);
		fmt = "&%.*s";
	}
}

void
back_url_describe(const struct back_url *u, char *out, size_t size)
{
	struct back_url_text t = { out, size };
	int has_authority = u->host[0] != '\0' || u->user[0] != '\0' || u->port != 0;
	int is_http = strcmp(u->scheme, "http") == 0 || strcmp(u->scheme, "https") == 0;
	char port[16];

	if (size == 0)
		return;
	out[0] = '\0';
	back_url_put(&t, has_authority || u->path[0] == '/' ? "%.*s://" : "%.*s:", span_str(u->scheme));
	if (u->user[0] != '\0' && !is_http)
		back_url_put(&t, "%.*s@", span_str(u->user));
	back_url_put(&t, strchr(u->host, ':') != NULL && !back_url_is_list(u) ? "[%.*s]" : "%.*s", span_str(u->host));
	if (u->port != 0) {
		snprintf(port, sizeof port, "%u", u->port);
		back_url_put(&t, ":%.*s", span_str(port));
	}
	back_url_put(&t, "%.*s", span_str(u->path));
	back_url_put_query(&t, span_str(u->query));
}
