/* SPDX-License-Identifier: ISC */

/*
 * From a URL to a connection: the name is looked up as for all pools, and then, on a thread, the certificate checked, the password
 * given, the session set up.
 *
 * The thread is never left waiting for a server that does not answer: it has the time that connecting may take, and who
 * no longer wants its outcome says so and shuts the socket down, by a duplicate that nobody else closes.
 * With TLS the library needs the name, to compare it with the certificate's, and looks it up once more; it is not asked
 * when that has just failed.
 */
#include "back/mariadb/mariadb.h"

#include <errmsg.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "back/pool.h"

/* How soon a thread sees that its time is over, or that it is unwanted while its socket cannot be shut down yet; milliseconds. */
enum { MARIADB_DIAL_LOOK = 100 };

/* On threads at once, of the process: a server that hangs leaves room for others' work.  Who finds no room asks again soon. */
enum { MARIADB_KILLS = 16 };

static unsigned mariadb_kills;

/* ---- what the URL says ---- */

static const char *
mariadb_place_params(const struct back_url *url, struct mariadb_place *p)
{
	static const char *const known[] = { "socket", "tls", "ca", "cert", "key", NULL };
	char value[16], name[32];
	int has_tls = back_url_param(url, "tls", value, sizeof value);

	p->tls = strcmp(value, "on") == 0;
	if (has_tls < 0 || (has_tls > 0 && !p->tls && strcmp(value, "off") != 0))
		return "tls in the URL is on or off";
	if (back_url_param(url, "socket", p->socket, sizeof p->socket) < 0)
		return "socket in the URL is malformed or too long";
	if (back_url_param(url, "ca", p->ca, sizeof p->ca) < 0 || back_url_param(url, "cert", p->cert, sizeof p->cert) < 0 ||
	    back_url_param(url, "key", p->key, sizeof p->key) < 0)
		return "a file in the URL is malformed or too long";
	if (!p->tls && (p->ca[0] != '\0' || p->cert[0] != '\0' || p->key[0] != '\0'))
		return "ca, cert and key in the URL need tls=on";
	if (back_url_param_unknown(url, known, name, sizeof name) != NULL)
		return "the parameters of a MariaDB URL are socket, tls, ca, cert and key";
	return NULL;
}

/* Returns what is wrong with the URL, or NULL. */
static const char *
mariadb_place_set(const struct back_url *url, struct mariadb_place *p)
{
	const char *wrong;

	*p = (struct mariadb_place){ .port = url->port == 0 ? 3306 : url->port };
	wrong = mariadb_place_params(url, p);
	if (wrong != NULL)
		return wrong;
	if (url->user[0] == '\0')
		return "a MariaDB URL needs a user: mariadb://user@host/database";
	if (url->host[0] != '\0' && p->socket[0] != '\0')
		return "a MariaDB URL has a host or a socket, not both";
	if (url->host[0] == '\0' && (p->tls || url->port != 0))
		return "a port and TLS in a MariaDB URL need a host";
	if (url->path[0] != '\0' && strchr(url->path + 1, '/') != NULL)
		return "the path in a MariaDB URL is the name of a database";
	snprintf(p->host, sizeof p->host, "%s", url->host);
	snprintf(p->user, sizeof p->user, "%s", url->user);
	snprintf(p->password, sizeof p->password, "%s", url->password);
	snprintf(p->database, sizeof p->database, "%s", url->path[0] == '\0' ? "" : url->path + 1);
	return NULL;
}

enum weft_rc
mariadb_check(const struct back_url *url, char *error, size_t size)
{
	struct mariadb_place p;
	const char *wrong = mariadb_place_set(url, &p);

	explicit_bzero(&p, sizeof p);
	if (wrong == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s", wrong);
	return WEFT_INVALID;
}

/* ---- on the thread ---- */

static void
mariadb_dial_fail(struct mariadb_dial *k, unsigned number, const char *text)
{
	if (number != 0)
		snprintf(k->code, sizeof k->code, "%u", number);
	snprintf(k->text, sizeof k->text, "%s", k->ear.objection == NULL ? text : k->ear.objection);
	mysql_close(k->my);
	k->my = NULL;
}

/* A server that asks for a file of ours gets none. */
static int
mariadb_no_file(void **p, const char *name, void *arg)
{
	(void)p;
	(void)name;
	(void)arg;
	return 1;
}

static int
mariadb_no_bytes(void *p, char *at, unsigned len)
{
	(void)p;
	(void)at;
	(void)len;
	return -1;
}

static void
mariadb_no_end(void *p)
{
	(void)p;
}

static int
mariadb_no_reason(void *p, char *at, unsigned len)
{
	(void)p;
	snprintf(at, len, "no file is given to a server");
	return CR_UNKNOWN_ERROR;
}

static void
mariadb_dial_options(struct mariadb_dial *k)
{
	const struct mariadb_place *p = &k->place;
	my_bool tls = p->tls, no = 0;
	unsigned none = 0, patience = (unsigned)((k->until - clock_now()) / USEC_PER_SEC) + 1;
	unsigned protocol = p->host[0] == '\0' ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
	size_t stack = MARIADB_STACK, most = MARIADB_RESULT_MAX + 65536;

	mysql_options(k->my, MYSQL_OPT_NONBLOCK, &stack);
	mysql_options(k->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(k->my, MYSQL_OPT_LOCAL_INFILE, &none);
	mysql_set_local_infile_handler(k->my, mariadb_no_file, mariadb_no_bytes, mariadb_no_end, mariadb_no_reason, NULL);
	mysql_options(k->my, MYSQL_OPT_RECONNECT, &no);
	mysql_options(k->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &most);
	mysql_options(k->my, MYSQL_OPT_PROTOCOL, &protocol);
	mysql_options(k->my, MYSQL_OPT_CONNECT_TIMEOUT, &patience);	/* of each read before TLS is there */
	/* No plugin that would give the password away, or ask for it on a terminal. */
	mysql_options(k->my, MARIADB_OPT_RESTRICTED_AUTH,
	    "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password,parsec");
	mysql_options4(k->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "weft");
	mysql_options(k->my, MYSQL_OPT_SSL_ENFORCE, &tls);
	mysql_options(k->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &tls);
	if (p->ca[0] != '\0')
		mysql_options(k->my, MYSQL_OPT_SSL_CA, p->ca);
	if (p->cert[0] != '\0')
		mysql_options(k->my, MYSQL_OPT_SSL_CERT, p->cert);
	if (p->key[0] != '\0')
		mysql_options(k->my, MYSQL_OPT_SSL_KEY, p->key);
}

/* Let the socket be known to who may want to shut it down.  Returns false when it is unwanted already. */
static bool
mariadb_dial_publish(struct mariadb_dial *k)
{
	int fd = atomic_load(&k->fd);

	if (fd < 0)
		atomic_store(&k->fd, dup(mysql_get_socket(k->my)));
	else if (!k->published)
		(void)dup2(mysql_get_socket(k->my), fd);
	k->published = true;
	return !atomic_load(&k->unwanted);
}

/* Wait for what the library waits for.  Returns what has come of it. */
static int
mariadb_dial_wait(struct mariadb_dial *k, int waits)
{
	struct pollfd p = { .fd = mysql_get_socket(k->my) };

	p.events = (short)((waits & MYSQL_WAIT_READ ? POLLIN : 0) | (waits & MYSQL_WAIT_WRITE ? POLLOUT : 0));
	do
		if (!mariadb_dial_publish(k) || clock_now() >= k->until)
			return MYSQL_WAIT_TIMEOUT;
	while (poll(&p, 1, MARIADB_DIAL_LOOK) <= 0);
	if (p.revents & ~(POLLIN | POLLOUT))
		return waits & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
	return (p.revents & POLLIN ? MYSQL_WAIT_READ : 0) | (p.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0);
}

static bool
mariadb_dial_connect(struct mariadb_dial *k)
{
	const struct mariadb_place *p = &k->place;
	bool local = p->host[0] == '\0';
	MYSQL *ok = NULL;
	int waits;

	waits = mysql_real_connect_start(&ok, k->my, local ? NULL : p->host, p->user, p->password,
	    p->database[0] == '\0' ? NULL : p->database, p->port, p->socket[0] == '\0' ? NULL : p->socket, CLIENT_FOUND_ROWS);
	while (waits != 0)
		waits = mysql_real_connect_cont(&ok, k->my, mariadb_dial_wait(k, waits));
	if (ok == NULL)
		mariadb_dial_fail(k, mysql_errno(k->my), mysql_error(k->my));
	return ok != NULL && mariadb_dial_publish(k);
}

/* Run a statement; what a row of it says is kept.  Returns false with the reason. */
static bool
mariadb_dial_ask(struct mariadb_dial *k, const char *sql)
{
	MYSQL_RES *r;
	MYSQL_ROW row = NULL;
	int rc, waits;

	for (waits = mysql_real_query_start(&rc, k->my, sql, strlen(sql)); waits != 0;)
		waits = mysql_real_query_cont(&rc, k->my, mariadb_dial_wait(k, waits));
	r = rc == 0 ? mysql_use_result(k->my) : NULL;
	for (waits = r == NULL ? 0 : mysql_fetch_row_start(&row, r); waits != 0;)
		waits = mysql_fetch_row_cont(&row, r, mariadb_dial_wait(k, waits));
	if (row != NULL && mysql_num_fields(r) == 2 && row[0] != NULL && row[1] != NULL) {
		k->packet_max = strtoul(row[0], NULL, 10);
		snprintf(k->identity, sizeof k->identity, "%s", row[1]);
	}
	for (waits = r == NULL ? 0 : mysql_free_result_start(r); waits != 0;)
		waits = mysql_free_result_cont(r, mariadb_dial_wait(k, waits));
	if (mysql_errno(k->my) == 0)
		return true;
	mariadb_dial_fail(k, mysql_errno(k->my), mysql_error(k->my));
	return false;
}

static void
mariadb_dial_address(struct mariadb_dial *k)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;

	k->address[0] = '\0';
	if (getpeername(mysql_get_socket(k->my), (struct sockaddr *)&at, &len) != 0 || at.ss_family == AF_UNIX)
		return;
	if (getnameinfo((struct sockaddr *)&at, len, k->address, sizeof k->address, NULL, 0, NI_NUMERICHOST) != 0)
		k->address[0] = '\0';
}

static void
mariadb_dial_kill(struct mariadb_dial *k)
{
	char sql[48];

	if (strcmp(k->identity, k->wanted) != 0) {
		mariadb_dial_fail(k, 0, "another server answers");
		return;
	}
	snprintf(sql, sizeof sql, "KILL QUERY %lu", k->victim);
	if (!mariadb_dial_ask(k, sql))
		return;
	k->killed = true;
	mysql_close(k->my);
	k->my = NULL;
}

/* Returns false with the reason, or nobody wants it any more. */
static bool
mariadb_dial_all(struct mariadb_dial *k)
{
	mariadb_dial_options(k);
	if (!mariadb_dial_connect(k) || !mariadb_dial_ask(k, MARIADB_SET_UP) ||
	    !mariadb_dial_ask(k, "SELECT @@max_allowed_packet, CONCAT_WS(' ', @@hostname, @@port, @@server_id)"))
		return false;
	if (k->packet_max > 0)
		return true;
	mariadb_dial_fail(k, 0, "the server does not say who it is");
	return false;
}

/* Returns false with the reason. */
static bool
mariadb_dial_try(struct mariadb_dial *k)
{
	bool ok, late = clock_now() >= k->until;

	k->code[0] = '\0';
	k->published = false;
	k->my = late ? NULL : mysql_init(NULL);
	if (k->my == NULL) {
		snprintf(k->text, sizeof k->text, "%s", late ? "no thread was free for so long" : "out of memory");
		return false;
	}
	k->ear = (struct mariadb_ear){ .my = k->my, .most = MARIADB_DIAL_MOST, .before_tls = k->place.tls };
	mariadb_ear_set(&k->ear);
	ok = mariadb_dial_all(k);
	mariadb_ear_set(NULL);
	return ok;
}

/* Was it that nobody listens there? */
static bool
mariadb_dial_has_missed(const struct mariadb_dial *k)
{
	long code = strtol(k->code, NULL, 10);

	return (code == CR_CONNECTION_ERROR || code == CR_CONN_HOST_ERROR) && clock_now() < k->until && !atomic_load(&k->unwanted);
}

static void
mariadb_dial_run(void *arg)
{
	struct mariadb_dial *k = arg;
	unsigned n = 0;
	bool ok;

	do {
		if (n < k->addresses)
			snprintf(k->place.host, sizeof k->place.host, "%s", k->at[n]);
		ok = mariadb_dial_try(k);
	} while (!ok && ++n < k->addresses && mariadb_dial_has_missed(k));
	if (!ok)
		return;
	mariadb_dial_address(k);
	if (k->victim != 0)
		mariadb_dial_kill(k);
	else
		(void)fcntl(mysql_get_socket(k->my), F_SETFL, O_NONBLOCK);	/* TLS reads and writes as the socket lets it */
}

/* ---- on the loop ---- */

struct mariadb_dial *
mariadb_dial_new(struct mariadb *d)
{
	struct mariadb_dial *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	mariadb_ear_init();
	k->d = d;
	atomic_init(&k->unwanted, false);
	atomic_init(&k->fd, -1);
	k->until = clock_add(loop_now(d->loop), pool_settings(d->conn->pool)->connect_timeout);
	(void)mariadb_place_set(pool_url(d->conn->pool), &k->place);
	return k;
}

void
mariadb_dial_free(struct mariadb_dial *k)
{
	int fd = k == NULL ? -1 : atomic_load(&k->fd);

	if (k == NULL)
		return;
	if (fd >= 0)
		close(fd);
	mysql_close(k->my);
	explicit_bzero(k, sizeof *k);	/* the password */
	free(k);
}

static void
mariadb_dial_done(void *arg)
{
	struct mariadb_dial *k = arg;

	mariadb_kills -= k->victim != 0;
	if (k->d == NULL)
		mariadb_dial_free(k);
	else
		k->done(k);
}

static enum weft_rc
mariadb_dial_submit(struct mariadb_dial *k)
{
	struct threads *t = loop_threads(k->d->loop);
	enum weft_rc rc;

	if (k->victim != 0 && mariadb_kills == MARIADB_KILLS)
		return WEFT_BUSY;
	k->job = (struct thread_job){ .fn = mariadb_dial_run, .done = mariadb_dial_done, .dropped = mariadb_dial_done, .arg = k };
	rc = t == NULL ? WEFT_SYSTEM : threads_submit(t, &k->job);
	mariadb_kills += rc == WEFT_OK && k->victim != 0;
	return rc;
}

/* A number comes from within mariadb_dial_start, which then goes on by itself. */
static void
mariadb_dial_on_resolved(void *arg, const struct resolved *r)
{
	struct mariadb_dial *k = arg;
	bool is_number = k->resolving == NULL;

	k->resolving = NULL;
	for (unsigned i = 0; i < r->count && !k->place.tls; i++)
		memcpy(k->at[k->addresses++], r->address[i].text, sizeof k->at[0]);
	if (is_number)
		return;
	if (r->count == 0)
		snprintf(k->text, sizeof k->text, "%.100s: %.80s", k->place.host, gai_strerror(r->error));
	else if (mariadb_dial_submit(k) == WEFT_OK)
		return;
	else
		snprintf(k->text, sizeof k->text, "no thread is free");
	k->done(k);
}

enum weft_rc
mariadb_dial_start(struct mariadb_dial *k, void (*done)(struct mariadb_dial *k))
{
	k->done = done;
	/* Who has a victim knows where it is, and is not kept from it by the end of all. */
	if (k->place.host[0] != '\0' && k->victim == 0)
		k->resolving = resolve_start(k->d->loop, k->place.host, k->place.port, mariadb_dial_on_resolved, k);
	return k->resolving != NULL ? WEFT_OK : mariadb_dial_submit(k);
}

void
mariadb_dial_drop(struct mariadb_dial **kp)
{
	struct mariadb_dial *k = *kp;
	int fd;

	*kp = NULL;
	if (k == NULL)
		return;
	/* A statement that runs should end, whatever becomes of who asked for that. */
	if (k->victim != 0) {
		k->d = NULL;
		return;
	}
	if (k->resolving != NULL || threads_recall(loop_threads(k->d->loop), &k->job)) {
		resolve_cancel(&k->resolving);
		mariadb_dial_free(k);
		return;
	}
	k->d = NULL;
	atomic_store(&k->unwanted, true);
	fd = atomic_load(&k->fd);
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}
