/* SPDX-License-Identifier: ISC */

/*
 * From a URL to a PostgreSQL connection in pipeline mode, without ever waiting:
 * a host that is a name is looked up off the loop and given to libpq as
 * addresses, then PQconnectPoll goes on whenever its socket is ready, over all
 * of start-up, TLS and authentication.  The socket may change in between.
 *
 * What libpq says when it cannot parse a URL may quote it, password and all, so
 * it parses it once before, and those words are not passed on.
 */
#include "back/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/log.h"
#include "loop/resolve.h"

/* ---- what the URL says ---- */

static const char *
postgres_option(const PQconninfoOption *o, const char *keyword)
{
	for (; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
	return NULL;
}

/* Is it a network host that libpq would look up by itself?  Sockets and lists are not. */
static bool
postgres_host_is_name(const char *host)
{
	return host != NULL && host[0] != '/' && host[0] != '@' && host[0] != '\0' && strchr(host, ',') == NULL;
}

enum weft_rc
postgres_check(const struct back_url *url, char *error, size_t size)
{
	char text[sizeof url->query + 32];
	PQconninfoOption *o;
	const char *host, *wrong = NULL;

	snprintf(text, sizeof text, "postgresql:///?%s", url->query);
	o = PQconninfoParse(text, NULL);
	if (o == NULL) {
		snprintf(error, size, "libpq does not understand the parameters behind '?' in the URL");
		return WEFT_INVALID;
	}
	host = postgres_option(o, "host");
	if (strchr(url->host, ',') != NULL || (host != NULL && strchr(host, ',') != NULL))
		wrong = "several hosts";
	else if (postgres_option(o, "service") != NULL)
		wrong = "service=";
	else if (postgres_option(o, "replication") != NULL)
		wrong = "replication=";
	PQconninfoFree(o);
	if (wrong == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s in a PostgreSQL URL cannot be used here", wrong);
	return WEFT_INVALID;
}

/* ---- connecting ---- */

static void postgres_connect_step(struct postgres *d);

static void
postgres_on_connect_event(void *arg, int what)
{
	(void)what;
	postgres_connect_step(arg);
}

static bool
postgres_is_serious(const char *severity)
{
	return severity != NULL &&
	    (strcmp(severity, "ERROR") == 0 || strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/*
 * Words that belong to no statement, on the way to the log at debug level.  An error among them says why the connection
 * is about to end.  A server's have a code; what has none is libpq's own complaint that something came which nobody had
 * asked for: the answer to the next statement would be a guess.
 */
static void
postgres_on_notice(void *arg, const PGresult *r)
{
	struct postgres *d = arg;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (text == NULL)
		text = "";
	if (code != NULL && postgres_is_serious(severity))
		fault_set(&d->why, WEFT_DOWN, code, "%s", text);
	if (d->ready && (code == NULL || postgres_is_serious(severity)))
		postgres_die(d, code, "%s", text[0] == '\0' ? "the server said what nobody had asked for" : text);
	log_debug("hear notice pool=%s code=%s text=%s", pool_name(d->conn->pool), code == NULL ? "" : code, text);
}

static void
postgres_connected(struct postgres *d)
{
	if (PQsetnonblocking(d->pg, 1) != 0 || PQenterPipelineMode(d->pg) != 1) {
		postgres_die_of_libpq(d);
		return;
	}
	d->watch = watch_new(d->loop, PQsocket(d->pg), postgres_on_event, d);
	if (d->watch == NULL || watch_want(d->watch, WATCH_READ) != 0) {
		postgres_die(d, NULL, "its socket cannot be watched");
		return;
	}
	d->ready = true;
	conn_is_ready(d->conn);
}

static void
postgres_connect_watch(struct postgres *d, int what)
{
	d->watch = watch_new(d->loop, PQsocket(d->pg), postgres_on_connect_event, d);
	if (d->watch == NULL || watch_want(d->watch, what) != 0)
		postgres_die(d, NULL, "its socket cannot be watched");
}

static void
postgres_connect_step(struct postgres *d)
{
	/* Before libpq can close its socket and open another, maybe of the same number. */
	watch_free(&d->watch);
	/* libpq keeps what a server tells of itself, and one that does not come to an end would take all memory. */
	if (++d->steps > POSTGRES_STEPS) {
		postgres_die(d, NULL, "its start-up does not come to an end");
		return;
	}
	switch (PQconnectPoll(d->pg)) {
	case PGRES_POLLING_READING:
		postgres_connect_watch(d, WATCH_READ);
		break;
	case PGRES_POLLING_WRITING:
		postgres_connect_watch(d, WATCH_WRITE);
		break;
	case PGRES_POLLING_OK:
		postgres_connected(d);
		break;
	default:
		postgres_die_of_libpq(d);
		break;
	}
}

/* Defaults stand before the URL, which may change them; behind it stands what it may not change. */
static void
postgres_connect_start(struct postgres *d, const char *hosts, const char *addresses)
{
	const char *const keyword[] = { "fallback_application_name", "gssencmode", "tcp_user_timeout", "dbname",
		"client_encoding", "host", "hostaddr", NULL };
	const char *value[] = { "weft", "disable", "10000", pool_settings(d->conn->pool)->url,
		"UTF8", hosts, addresses, NULL };

	d->pg = PQconnectStartParams(keyword, value, 1);
	if (d->pg == NULL) {
		postgres_die(d, NULL, "out of memory");
		return;
	}
	PQsetNoticeReceiver(d->pg, postgres_on_notice, d);
	if (PQstatus(d->pg) == CONNECTION_BAD) {
		postgres_die_of_libpq(d);
		return;
	}
	postgres_connect_watch(d, WATCH_WRITE);
}

/* libpq wants as many hosts as addresses; it tries one after the other. */
static void
postgres_on_resolved(void *arg, const struct resolved *r)
{
	struct postgres *d = arg;
	char hosts[RESOLVE_MAX * 257], addresses[RESOLVE_MAX * (INET6_ADDRSTRLEN + 1)];
	size_t h = 0, a = 0;

	d->resolve = NULL;
	if (r->error != 0 || r->count == 0) {
		postgres_die(d, NULL, "its host name is not known");
		return;
	}
	hosts[0] = addresses[0] = '\0';
	for (unsigned i = 0; i < r->count; i++) {
		const char *comma = i == 0 ? "" : ",";

		h += (size_t)snprintf(hosts + h, sizeof hosts - h, "%s%s", comma, d->host);
		a += (size_t)snprintf(addresses + a, sizeof addresses - a, "%s%s", comma, r->address[i].text);
	}
	postgres_connect_start(d, hosts, addresses);
}

void
postgres_connect(struct postgres *d)
{
	PQconninfoOption *o = PQconninfoParse(pool_settings(d->conn->pool)->url, NULL);
	const char *host = postgres_option(o, "host");
	bool addressed = postgres_option(o, "hostaddr") != NULL || getenv("PGHOSTADDR") != NULL;

	if (o == NULL) {
		postgres_die(d, NULL, "libpq does not understand the URL");
		return;
	}
	if (host == NULL)
		host = getenv("PGHOST");
	if (addressed || !postgres_host_is_name(host)) {
		postgres_connect_start(d, NULL, NULL);
	} else if ((size_t)snprintf(d->host, sizeof d->host, "%s", host) >= sizeof d->host) {
		postgres_die(d, NULL, "its host name is too long");
	} else {
		d->resolve = resolve_start(d->loop, d->host, 5432, postgres_on_resolved, d);
	}
	PQconninfoFree(o);
}
