/* SPDX-License-Identifier: ISC */

/*
 * From a URL to a PostgreSQL connection in pipeline mode, without ever waiting:
 * a host that is a name is looked up off the loop and given to libpq as an
 * address (postgres_hosts.c), then PQconnectPoll goes on whenever its socket is ready, over all
 * of start-up, TLS and authentication.  The socket may change in between.
 *
 * What libpq says when it cannot parse a URL may quote it, password and all, so
 * it parses it once before, and those words are not passed on.
 */
#include "back/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "back/pool.h"
#include "base/log.h"

/* ---- what the URL says ---- */

static const char *
postgres_option(const PQconninfoOption *o, const char *keyword)
{
	for (; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
	return NULL;
}

/* What is said of the servers, by the URL or else by the environment. */
static void
postgres_names(const PQconninfoOption *o, struct postgres_names *names)
{
	names->host = postgres_option(o, "host");
	names->address = postgres_option(o, "hostaddr");
	names->port = postgres_option(o, "port");
	names->attrs = postgres_option(o, "target_session_attrs");
	if (names->host == NULL)
		names->host = getenv("PGHOST");
	if (names->address == NULL)
		names->address = getenv("PGHOSTADDR");
	if (names->port == NULL)
		names->port = getenv("PGPORT");
	if (names->attrs == NULL)
		names->attrs = getenv("PGTARGETSESSIONATTRS");
	if (names->attrs == NULL)
		names->attrs = "any";
}

/* Returns what is wrong with the servers, NULL for nothing. */
static const char *
postgres_check_names(const PQconninfoOption *o)
{
	struct postgres_hosts *hosts;
	struct postgres_names names;
	const char *why;

	postgres_names(o, &names);
	if (names.host == NULL && names.address == NULL)
		return NULL;
	hosts = postgres_hosts_new(&names, &why);
	if (hosts == NULL)
		return why;
	postgres_hosts_free(&hosts);
	return NULL;
}

enum weft_rc
postgres_check(const struct back_url *url, char *error, size_t size)
{
	char text[sizeof url->query + sizeof url->host + 32];
	const char *wrong = NULL;
	PQconninfoOption *o;

	snprintf(text, sizeof text, "postgresql://%s/?%s", back_url_is_list(url) ? url->host : "", url->query);
	o = PQconninfoParse(text, NULL);
	if (o == NULL) {
		snprintf(error, size, "libpq does not understand the hosts, or the parameters behind '?', in the URL");
		return WEFT_INVALID;
	}
	if (postgres_option(o, "service") != NULL)
		wrong = "service=";
	else if (postgres_option(o, "replication") != NULL)
		wrong = "replication=";
	else
		wrong = postgres_check_names(o);
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
	postgres_hosts_free(&d->hosts);
	conn_is_ready(d->conn);
}

/* The first line of what libpq says; the rest is advice. */
static void
postgres_connect_failed(struct postgres *d)
{
	const char *text = PQerrorMessage(d->pg);
	char line[sizeof d->why.text];

	snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
	if (d->hosts != NULL)
		d->hosts->answered = true;
	postgres_try_failed(d, line);
}

static void
postgres_connect_watch(struct postgres *d, int what)
{
	d->watch = watch_new(d->loop, PQsocket(d->pg), postgres_on_connect_event, d);
	if (d->watch == NULL || watch_want(d->watch, what) != 0)
		postgres_die(d, NULL, "its socket cannot be watched");
}

/* Count what the server has said and libpq will read now. */
static size_t
postgres_connect_heard(struct postgres *d)
{
	int n = 0;

	if (ioctl(PQsocket(d->pg), FIONREAD, &n) == 0 && n > 0)
		d->heard += (size_t)n;
	return ++d->heard;
}

static void
postgres_connect_step(struct postgres *d)
{
	/* Before libpq can close its socket and open another, maybe of the same number. */
	watch_free(&d->watch);
	/* libpq keeps what a server tells of itself, and one that does not come to an end would take all memory. */
	if (postgres_connect_heard(d) > POSTGRES_START) {
		postgres_try_failed(d, "its start-up does not come to an end");
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
		postgres_connect_failed(d);
		break;
	}
}

/* Defaults stand before the URL, which may change them; behind it stands what it may not change. */
void
postgres_connect_start(struct postgres *d, const struct postgres_try *t)
{
	const char *const keyword[] = { "fallback_application_name", "gssencmode", "tcp_user_timeout", "dbname",
		"client_encoding", "host", "hostaddr", "port", "target_session_attrs", NULL };
	const char *const value[] = { "weft", "disable", "10000", pool_settings(d->conn->pool)->url,
		"UTF8", t->host, t->address, t->port, t->attrs, NULL };

	d->pg = PQconnectStartParams(keyword, value, 1);
	if (d->pg == NULL) {
		postgres_die(d, NULL, "out of memory");
		return;
	}
	PQsetNoticeReceiver(d->pg, postgres_on_notice, d);
	/* Not from here: the next try, and all after it, would be made within this one, on the stack of who asks. */
	if (PQstatus(d->pg) == CONNECTION_BAD)
		postgres_flush_later(d);
	else
		postgres_connect_watch(d, WATCH_WRITE);
}

void
postgres_connect_end_turn(struct postgres *d)
{
	if (d->pg != NULL && PQstatus(d->pg) == CONNECTION_BAD)
		postgres_connect_failed(d);
}

void
postgres_connect(struct postgres *d)
{
	PQconninfoOption *o = PQconninfoParse(pool_settings(d->conn->pool)->url, NULL);
	const struct postgres_try as_it_says = { .host = NULL };
	struct postgres_names names;
	const char *why;

	if (o == NULL) {
		postgres_die(d, NULL, "libpq does not understand the URL");
		return;
	}
	postgres_names(o, &names);
	if (names.host == NULL && names.address == NULL) {
		postgres_connect_start(d, &as_it_says);
	} else if ((d->hosts = postgres_hosts_new(&names, &why)) == NULL) {
		postgres_die(d, NULL, "%s cannot be used", why);
	} else {
		postgres_hosts_begin(d);
	}
	PQconninfoFree(o);
}
