/* SPDX-License-Identifier: ISC */
/*
 * One transfer: the options of libcurl, of which most are there to switch something off, and its callbacks.
 *
 * libcurl would send a request anew when a kept connection ends under it, whatever its method; the function it calls
 * before each request sees to it that it does not once something was sent: what may be repeated is the pool's to know.
 * Redirects are not left to libcurl either: only the server that the pool names is ever asked.
 */
#include "back/http/http_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "back/pool.h"
#include "base/must.h"
#include "config.h"

/* ---- callbacks ---- */

/* End the transfer from within a callback, which then returns what libcurl takes for a failure. */
static void
http_easy_stop(struct http *x, enum weft_rc rc, const char *why)
{
	x->stopped = rc;
	x->why = why;
}

/* The parts of a URL that say which server is meant. */
struct http_origin {
	char *scheme, *host, *port;
};

static bool
http_origin_get(struct http_origin *o, CURLU *u)
{
	*o = (struct http_origin){ NULL, NULL, NULL };
	return curl_url_get(u, CURLUPART_SCHEME, &o->scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &o->host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &o->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
}

static void
http_origin_free(struct http_origin *o)
{
	curl_free(o->scheme);
	curl_free(o->host);
	curl_free(o->port);
}

static bool
http_origin_equal(const struct http_origin *a, const struct http_origin *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* Where location leads, seen from the URL in u; NULL unless that is on the same server, without a user of its own.  curl_free() it. */
static char *
http_easy_resolve(CURLU *u, const char *location)
{
	struct http_origin here = { NULL, NULL, NULL }, there = { NULL, NULL, NULL };
	char *user = NULL, *url = NULL;

	if (http_origin_get(&here, u) && curl_url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK && http_origin_get(&there, u) &&
	    http_origin_equal(&here, &there) && curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
		url = NULL;
	curl_free(user);
	http_origin_free(&here);
	http_origin_free(&there);
	return url;
}

/* The head says that the thing is elsewhere: where to go on, or NULL when that is the answer. */
static char *
http_easy_next(const struct http *x)
{
	const char *location = http_head_find(&x->head, "Location");
	int status = x->head.status;
	char *url = NULL, *next = NULL;
	CURLU *u;

	if (x->hops >= x->call->ask->redirects || location == NULL || status < 301 || status > 308 || (status > 303 && status < 307))
		return NULL;
	u = curl_url();
	if (u != NULL && curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url != NULL &&
	    curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		next = http_easy_resolve(u, location);
	curl_url_cleanup(u);
	return next;
}

/* The head is complete.  Returns false to end the transfer. */
static bool
http_easy_on_head(struct http *x)
{
	long version = 0;

	x->client->is_proven = true;
	if (curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK && version == CURL_HTTP_VERSION_2_0)
		http_sock_hears_http2(x->client, x->port);
	x->next = http_easy_next(x);
	if (x->next != NULL || !x->wants_stream || http_begin_stream(x))
		return true;
	http_easy_stop(x, WEFT_TOO_LARGE, "the head of the answer is too large for the request's memory");
	return false;
}

static size_t
http_easy_on_header(char *at, size_t size, size_t n, void *arg)
{
	struct http *x = arg;
	size_t len = size * n;
	const char *why = NULL;

	switch (http_head_line(&x->head, (struct span){ at, len }, &why)) {
	case HTTP_HEAD_MORE:
		return len;
	case HTTP_HEAD_COMPLETE:
		return x->call != NULL && http_easy_on_head(x) ? len : 0;
	case HTTP_HEAD_BAD:
		http_easy_stop(x, WEFT_REFUSED, why);
		break;
	case HTTP_HEAD_LARGE:
		http_easy_stop(x, WEFT_TOO_LARGE, why);
		break;
	}
	return 0;
}

static size_t
http_easy_on_body(char *at, size_t size, size_t n, void *arg)
{
	struct http *x = arg;
	size_t len = size * n;

	if (len > x->body_max - x->body_bytes) {
		http_easy_stop(x, WEFT_TOO_LARGE, "the body of the answer is over the limit");
		return 0;
	}
	if (x->stream != NULL) {
		if (!http_stream_put(x->stream, (struct span){ at, len }))
			return CURL_WRITEFUNC_PAUSE;
	} else if (x->call == NULL) {
		return 0;
	} else if (x->next == NULL && buf_add(&x->body, (struct span){ at, len }) != WEFT_OK) {
		http_easy_stop(x, WEFT_SYSTEM, "no memory for the body of the answer");
		return 0;
	}
	x->body_bytes += len;
	/* What comes with a redirect is read to keep the connection, if there is little of it. */
	return x->next != NULL && x->body_bytes > HTTP_REDIRECT_BODY ? 0 : len;
}

bool
http_easy_has_sent(struct http *x)
{
	long bytes = 0;

	return curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK && bytes > 0;
}

/* libcurl has a bound of its own for a line. */
#if LIBCURL_VERSION_NUM >= 0x080600
#define HTTP_LINE_TOO_LONG CURLE_TOO_LARGE
#else
#define HTTP_LINE_TOO_LONG CURLE_OUT_OF_MEMORY
#endif

void
http_easy_ended(struct http *x, CURLcode code)
{
	x->sent = x->sent || http_easy_has_sent(x);
	if (code == HTTP_LINE_TOO_LONG && x->sent && x->stopped == WEFT_OK && x->head.state != HTTP_HEAD_DONE)
		http_easy_stop(x, WEFT_TOO_LARGE, "a line in the head of the answer is too long");
}

/* There is a connection, new or kept, and the request is about to be sent; not for the first time, maybe. */
static int
http_easy_on_request(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct http *x = arg;

	x->port = own_port;
	if (x->attempts > 0 && (x->sent || http_easy_has_sent(x))) {
		http_easy_stop(x, WEFT_UNKNOWN, "the connection ended before an answer came");
		return CURL_PREREQFUNC_ABORT;
	}
	/* What has come since the last answer would be taken for the next one: one too many, or the words with which a server closes. */
	x->is_stale = !http_sock_meets(x->client, own_port) && !x->wants_fresh;
	if (x->is_stale)
		return CURL_PREREQFUNC_ABORT;
	x->attempts++;
	return CURL_PREREQFUNC_OK;
}

/* The addresses were given; if libcurl does not find them, no look-up of its own may hold up the loop. */
static int
http_easy_on_look_up(void *state, void *reserved, void *arg)
{
	return ((struct http *)arg)->client->has_name;
}

/* ---- options that are the same for each call ---- */

static bool
http_easy_set_numbers(CURL *e)
{
	static const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_NOSIGNAL, 1 }, { CURLOPT_FOLLOWLOCATION, 0 }, { CURLOPT_NETRC, CURL_NETRC_IGNORED },
		{ CURLOPT_HTTPAUTH, CURLAUTH_BASIC }, { CURLOPT_HTTP09_ALLOWED, 0 }, { CURLOPT_PATH_AS_IS, 1 },
		{ CURLOPT_SSL_VERIFYPEER, 1 }, { CURLOPT_SSL_VERIFYHOST, 2 }, { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
		{ CURLOPT_DNS_CACHE_TIMEOUT, -1 },
#if LIBCURL_VERSION_NUM < 0x075500
		{ CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS }, { CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS },
#endif
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (curl_easy_setopt(e, numbers[i].option, numbers[i].value) != CURLE_OK)
			return false;
	return true;
}

/* No proxy, whatever the environment says: HTTP_PROXY is a header of a request there, under CGI. */
static bool
http_easy_set_texts(CURL *e)
{
	static const struct {
		CURLoption option;
		const char *value;
	} texts[] = {
		{ CURLOPT_PROXY, "" }, { CURLOPT_NOPROXY, "*" }, { CURLOPT_USERAGENT, "weft/" PACKAGE_VERSION },
#if LIBCURL_VERSION_NUM >= 0x075500
		{ CURLOPT_PROTOCOLS_STR, "http,https" }, { CURLOPT_REDIR_PROTOCOLS_STR, "http,https" },
#endif
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (curl_easy_setopt(e, texts[i].option, texts[i].value) != CURLE_OK)
			return false;
	return true;
}

static bool
http_easy_set_callbacks(struct http *x)
{
	CURL *e = x->easy;

	return curl_easy_setopt(e, CURLOPT_PRIVATE, x) == CURLE_OK && curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->error) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_easy_on_header) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HEADERDATA, x) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, http_easy_on_body) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEDATA, x) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, http_easy_on_request) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PREREQDATA, x) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, http_sock_on_open) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, x->client) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_sock_on_close) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, x->client) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, http_easy_on_look_up) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, x) == CURLE_OK;
}

/*
 * Whom we trust: one file.  libcurl keeps what it has read of it, and of a folder it does not: it would read a hundred
 * files for each connection, on the loop, and trust them beside the pool's own.
 */
static bool
http_easy_set_trust(struct http *x)
{
	const char *usual = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (x->client->ca[0] == '\0' && usual == NULL)
		return true;
	return curl_easy_setopt(x->easy, CURLOPT_CAINFO, x->client->ca[0] != '\0' ? x->client->ca : usual) == CURLE_OK &&
	    curl_easy_setopt(x->easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
}

/* What the pool says: who we are, how long. */
static bool
http_easy_set_pool(struct http *x)
{
	const struct back_url *u = pool_url(x->conn->pool);
	const struct pool_conf *conf = pool_settings(x->conn->pool);
	long idle = (long)(conf->idle_timeout / USEC_PER_SEC);
	CURL *e = x->easy;

	return curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(conf->connect_timeout / USEC_PER_MSEC) + 1) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, idle > 0 ? idle : 1) == CURLE_OK &&
	    (u->user[0] == '\0' || curl_easy_setopt(e, CURLOPT_USERNAME, u->user) == CURLE_OK) &&
	    (u->password[0] == '\0' || curl_easy_setopt(e, CURLOPT_PASSWORD, u->password) == CURLE_OK);
}

bool
http_easy_new(struct http *x)
{
	x->easy = curl_easy_init();
	return x->easy != NULL && curl_easy_setopt(x->easy, CURLOPT_BUFFERSIZE, x->sips ? (long)HTTP_SIP : (long)HTTP_GULP) == CURLE_OK &&
	    http_easy_set_numbers(x->easy) && http_easy_set_texts(x->easy) && http_easy_set_callbacks(x) &&
	    http_easy_set_pool(x) && http_easy_set_trust(x);
}

void
http_easy_free(struct http *x)
{
	if (x->easy != NULL)
		curl_easy_cleanup(x->easy);
	x->easy = NULL;
	http_easy_clear(x);
}

/* ---- options of a call ---- */

static bool
http_easy_add_field(struct http *x, const char *text)
{
	struct curl_slist *longer = curl_slist_append(x->fields, text);

	if (longer == NULL)
		return false;
	x->fields = longer;
	return true;
}

/* The asker's headers.  libcurl wants "Name;" for one without a value, and sends none of which the value is blank. */
static bool
http_easy_set_fields(struct http *x, const struct http_ask *ask, bool has_body)
{
	bool ok = true, has_type = false;
	struct buf line;

	buf_init(&line, SIZE_MAX / 2);
	for (unsigned i = 0; ok && i < ask->nfields; i++) {
		const struct http_field *f = &ask->field[i];

		if (!has_body && strncasecmp(f->name, "Content-", 8) == 0)
			continue;
		has_type = has_type || strcasecmp(f->name, "Content-Type") == 0;
		buf_clear(&line);
		ok = buf_printf(&line, f->value[strspn(f->value, " \t")] == '\0' ? "%s;" : "%s: %s", f->name, f->value) == WEFT_OK &&
		    buf_add(&line, SPAN("\0")) == WEFT_OK && http_easy_add_field(x, line.at);
	}
	buf_fini(&line);
	/* libcurl would wait for a word of the server's before it sends a large body, and call any body a form. */
	if (ok && has_body)
		ok = http_easy_add_field(x, "Expect:") && (has_type || http_easy_add_field(x, "Content-Type:"));
	return ok && curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->fields) == CURLE_OK;
}

static bool
http_easy_set_method(struct http *x, const char *method, struct span body, bool has_body)
{
	bool is_plain = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	CURL *e = x->easy;

	if (curl_easy_setopt(e, CURLOPT_HTTPGET, 1L) != CURLE_OK)
		return false;
	if (strcmp(method, "HEAD") == 0 && curl_easy_setopt(e, CURLOPT_NOBODY, 1L) != CURLE_OK)
		return false;
	if (has_body && (curl_easy_setopt(e, CURLOPT_POST, 1L) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.at == NULL ? "" : body.at) != CURLE_OK))
		return false;
	return curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, is_plain && !has_body ? NULL : method) == CURLE_OK;
}

static bool
http_easy_set_url(struct http *x, const char *target)
{
	char url[HTTP_URL_MAX + HTTP_TARGET_MAX + 1];

	if (x->url != NULL)
		return curl_easy_setopt(x->easy, CURLOPT_URL, x->url) == CURLE_OK;
	snprintf(url, sizeof url, "%s%s", x->client->url, target);
	return curl_easy_setopt(x->easy, CURLOPT_URL, url) == CURLE_OK;
}

/* Of a service that has no end to say, whatever the method, a length of 0 is expected. */
static bool
http_has_body(const struct http_ask *ask)
{
	return ask->body.at != NULL || strcmp(ask->method, "POST") == 0 || strcmp(ask->method, "PUT") == 0 ||
	    strcmp(ask->method, "PATCH") == 0;
}

/*
 * What libcurl has read it unfolds to its end, a thousandfold at worst, and keeps while a stream's reader is slow: so it is to read little.
 * It does not bear that to be changed of a handle for certain.
 */
static bool
http_easy_fit(struct http *x, const struct http_ask *ask)
{
	bool sips = ask->wants_stream && ask->wants_decoding;

	if (x->easy != NULL && sips == x->sips)
		return true;
	http_easy_free(x);
	x->sips = sips;
	if (http_easy_new(x))
		return true;
	http_easy_free(x);	/* not to be used without all of its options */
	return false;
}

bool
http_easy_ask(struct http *x)
{
	const struct http_ask *ask = x->call->ask;
	const char *method = x->becomes_get ? "GET" : ask->method;
	bool has_body = !x->becomes_get && http_has_body(ask);
	CURL *e;

	if (!http_easy_fit(x, ask))
		return false;
	e = x->easy;
	x->wants_stream = ask->wants_stream;
	x->body_max = ask->body_max != 0 ? ask->body_max : ask->wants_stream ? ULLONG_MAX : HTTP_BODY_MAX;
	x->error[0] = '\0';
	/* A stream stays away from HTTP/2, which has windows beside those of TCP; libcurl makes them large. */
	if (curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)(ask->wants_stream ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS)) != CURLE_OK)
		(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return http_easy_set_url(x, ask->target) && http_easy_set_method(x, method, ask->body, has_body) &&
	    http_easy_set_fields(x, ask, has_body) && curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 0L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, (long)x->wants_fresh) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ask->wants_decoding ? "gzip" : NULL) == CURLE_OK;
}

bool
http_easy_probe(struct http *x)
{
	x->error[0] = '\0';
	return http_easy_set_url(x, "/") && curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L) == CURLE_OK &&
	    curl_easy_setopt(x->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK;
}

void
http_easy_clear(struct http *x)
{
	if (x->fields != NULL && x->easy != NULL)
		curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(x->fields);
	x->fields = NULL;
	curl_free(x->url);
	curl_free(x->next);
	x->url = x->next = NULL;
}
