/* SPDX-License-Identifier: ISC */

/*
 * The servers that a URL names, tried one after the other.
 *
 * libpq has lists of its own, but looks names up within the call, and gives no server less time than TCP does: the
 * first one that does not answer takes it all.  So each try is one address of one server, which libpq is given with
 * the server's name beside it, for TLS and passwords.  What is left of connect_timeout is shared out: each server that is
 * still to come has an equal part, its name's look-up included, and of that each of its addresses; who fails at once leaves
 * its part to the others.  So libpq also knows, when something is to be cancelled, whom to ask.
 *
 * One that has not answered at all is asked last for a while, so that not every new connection waits for it in vain.
 *
 * Whether a server is of the kind that is wanted (target_session_attrs) libpq finds out.  prefer-standby takes two
 * rounds: in the second one, all who have answered in the first are good enough.
 */
#include "back/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "loop/resolve.h"

#define POSTGRES_PORT "5432"
#define POSTGRES_MUTE (30 * USEC_PER_SEC)

/* ---- the list ---- */

static unsigned
postgres_list_count(const char *list)
{
	unsigned n = 1;

	if (list == NULL)
		return 0;
	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* Cut the first word off a list, in place; *list becomes the rest, and stays at the list's end. */
static const char *
postgres_list_take(char **list)
{
	char *word = *list, *comma = strchr(word, ',');

	if (comma == NULL) {
		*list = word + strlen(word);
		return word;
	}
	*comma = '\0';
	*list = comma + 1;
	return word;
}

static bool
postgres_port_is_good(const char *port)
{
	char *end;
	long n = strtol(port, &end, 10);

	return port[0] >= '0' && port[0] <= '9' && *end == '\0' && n >= 1 && n <= 65535;
}

static bool
postgres_attrs_are_good(const char *attrs)
{
	static const char *const known[] = { "any", "read-write", "read-only", "primary", "standby", "prefer-standby", NULL };
	const char *const *k = known;

	while (*k != NULL && attrs != NULL && strcmp(*k, attrs) != 0)
		k++;
	return *k != NULL;
}

/* Returns what is wrong with the lists as such, NULL for nothing. */
static const char *
postgres_names_check(const struct postgres_names *names, unsigned n)
{
	unsigned ports = postgres_list_count(names->port), of_host = postgres_list_count(names->host);

	if (n == 0 || n > POSTGRES_HOSTS)
		return "more than 16 hosts";
	if (ports > 1 && ports != n)
		return "a list of ports with more or fewer than there are hosts";
	if (of_host > 0 && of_host != n)
		return "a hostaddr with more or fewer than there are hosts";
	if (!postgres_attrs_are_good(names->attrs))
		return "a target_session_attrs that is none of any, read-write, read-only, primary, standby and prefer-standby";
	return NULL;
}

struct postgres_hosts *
postgres_hosts_new(const struct postgres_names *names, const char **why)
{
	unsigned n = postgres_list_count(names->address != NULL ? names->address : names->host), ports = postgres_list_count(names->port);
	struct postgres_hosts *h;
	char *host, *address, *port;

	*why = postgres_names_check(names, n);
	if (*why != NULL)
		return NULL;
	*why = "out of memory: its hosts";
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return NULL;
	host = h->words[0] = strdup(names->host == NULL ? "" : names->host);
	address = h->words[1] = strdup(names->address == NULL ? "" : names->address);
	port = h->words[2] = strdup(names->port == NULL ? "" : names->port);
	h->prefers_standby = names->attrs != NULL && strcmp(names->attrs, "prefer-standby") == 0;
	if (host == NULL || address == NULL || port == NULL)
		goto bad;
	*why = "an empty host, or a port that is none,";
	for (; h->count < n; h->count++) {
		struct postgres_host *one = &h->host[h->count];

		one->number = h->count;
		one->name = postgres_list_take(&host);
		one->address = postgres_list_take(&address);
		one->port = ports == 1 && h->count > 0 ? h->host[0].port : postgres_list_take(&port);
		if (one->port[0] == '\0')
			one->port = POSTGRES_PORT;
		if (!postgres_port_is_good(one->port) || (one->name[0] == '\0' && one->address[0] == '\0'))
			goto bad;
	}
	return h;
bad:
	postgres_hosts_free(&h);
	return NULL;
}

void
postgres_hosts_free(struct postgres_hosts **hp)
{
	struct postgres_hosts *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	if (h->timer != NULL)
		timer_free(&h->timer);
	for (size_t i = 0; i < sizeof h->words / sizeof h->words[0]; i++)
		free(h->words[i]);
	free(h);
}

/* ---- whose turn it is ---- */

/* How many servers are still to come in this round, the present one too; of a first round, the second one is one more. */
static unsigned
postgres_hosts_left(const struct postgres_hosts *h)
{
	unsigned left = h->prefers_standby && h->round == 0;

	for (unsigned i = h->at; i < h->count; i++)
		left += !h->host[i].is_mute;
	return left == 0 ? 1 : left;
}

/* Those that have been mute lately stand last, else in the order of the URL. */
static void
postgres_hosts_sort(struct postgres_hosts *h, usec now)
{
	struct postgres_host mute[POSTGRES_HOSTS];
	unsigned good = 0, bad = 0;

	for (unsigned i = 0; i < h->count; i++)
		if (h->memory->mute_until[i] > now)
			mute[bad++] = h->host[i];
		else
			h->host[good++] = h->host[i];
	memcpy(h->host + good, mute, bad * sizeof mute[0]);
}

/* The present server's turn is over. */
static void
postgres_hosts_judge(struct postgres_hosts *h, usec now)
{
	struct postgres_host *one = &h->host[h->at++];

	one->is_mute = !h->answered;
	h->memory->mute_until[one->number] = h->answered ? 0 : now + POSTGRES_MUTE;
}

/* Go to the next server.  Returns false behind the last. */
static bool
postgres_hosts_move(struct postgres_hosts *h, usec now)
{
	if (h->begun)
		postgres_hosts_judge(h, now);
	h->begun = true;
	h->answered = false;
	h->addresses = h->address = 0;
	for (;;) {
		if (h->at == h->count && h->prefers_standby && h->round == 0) {
			h->round = 1;
			h->at = 0;
			h->said[0] = '\0';
		}
		if (h->at == h->count)
			return false;
		if (!h->host[h->at].is_mute)
			return true;
		h->at++;
	}
}

/* Is there more to be tried than one thing?  Of that the pool's own connect_timeout takes care. */
static bool
postgres_hosts_are_many(const struct postgres_hosts *h)
{
	return h->count > 1 || h->addresses > 1 || h->prefers_standby;
}

/* libpq's words, or ours: what went wrong, without the address, which is told anyway. */
static void
postgres_hosts_note(struct postgres_hosts *h, const char *why)
{
	const struct postgres_host *one = &h->host[h->at];
	const char *brief = strstr(why, " failed: ");
	size_t len = strlen(h->said);

	if (!postgres_hosts_are_many(h))
		snprintf(h->said, sizeof h->said, "%s", why);
	else
		snprintf(h->said + len, sizeof h->said - len, "%s%s:%s: %s", len == 0 ? "" : "; ",
		    one->name[0] == '\0' ? one->address : one->name, one->port, brief == NULL ? why : brief + strlen(" failed: "));
}

/* ---- one try ---- */

static void postgres_hosts_try(struct postgres *d);

static void
postgres_hosts_next(struct postgres *d)
{
	struct postgres_hosts *h = d->hosts;

	if (h->address == h->addresses && !postgres_hosts_move(h, loop_now(d->loop)))
		postgres_die(d, NULL, "%s", h->said);
	else
		postgres_hosts_try(d);
}

void
postgres_try_failed(struct postgres *d, const char *why)
{
	struct postgres_hosts *h = d->hosts;

	if (h == NULL) {
		postgres_die(d, NULL, "%s", why);
		return;
	}
	postgres_hosts_note(h, why);
	watch_free(&d->watch);
	PQfinish(d->pg);
	d->pg = NULL;
	d->heard = 0;
	/* What a server has said that is passed over is not why the connection ends. */
	d->why = (struct fault){ .rc = WEFT_OK };
	postgres_hosts_next(d);
}

/* It has had its part of the time. */
static void
postgres_hosts_on_timer(void *arg)
{
	struct postgres *d = arg;

	if (d->dead)
		return;
	if (d->resolve != NULL) {
		resolve_cancel(&d->resolve);
		postgres_try_failed(d, "its name was not found in time");
	} else {
		postgres_try_failed(d, "no answer in time");
	}
}

static void
postgres_hosts_connect(struct postgres *d, const char *address)
{
	struct postgres_hosts *h = d->hosts;
	const struct postgres_host *one = &h->host[h->at];
	usec now = loop_now(d->loop);
	unsigned left = h->addresses > h->address ? h->addresses - h->address : 1;
	struct postgres_try try = {
		.host = one->name[0] == '\0' ? NULL : one->name,
		.address = address,
		.port = one->port,
		.attrs = !h->prefers_standby ? NULL : h->round == 0 ? "standby" : "any",
	};

	if (postgres_hosts_are_many(h))
		timer_set(h->timer, now + (h->until - now) / left);
	h->address++;
	postgres_connect_start(d, &try);
}

static void
postgres_hosts_on_resolved(void *arg, const struct resolved *r)
{
	struct postgres *d = arg;
	struct postgres_hosts *h = d->hosts;

	d->resolve = NULL;
	if (r->error != 0 || r->count == 0) {
		postgres_try_failed(d, "its host name is not known");
		return;
	}
	h->addresses = r->count;
	for (unsigned i = 0; i < r->count; i++)
		memcpy(h->text[i], r->address[i].text, sizeof h->text[i]);
	postgres_hosts_connect(d, h->text[0]);
}

/* Is it a network host that libpq would look up by itself?  Sockets are not. */
static bool
postgres_host_is_name(const struct postgres_host *one)
{
	return one->address[0] == '\0' && one->name[0] != '/' && one->name[0] != '@';
}

/* The next address of the present server, or the first. */
static void
postgres_hosts_try(struct postgres *d)
{
	struct postgres_hosts *h = d->hosts;
	const struct postgres_host *one = &h->host[h->at];
	usec now = loop_now(d->loop);
	struct resolve *asked;

	if (h->address > 0) {
		postgres_hosts_connect(d, h->text[h->address]);
		return;
	}
	h->until = now >= h->until_all ? now : now + (h->until_all - now) / postgres_hosts_left(h);
	if (postgres_host_is_name(one)) {
		if (postgres_hosts_are_many(h))
			timer_set(h->timer, h->until);
		asked = resolve_start(d->loop, one->name, 5432, postgres_hosts_on_resolved, d);
		/* A refusal comes from within, and by now another server's name may be looked up. */
		if (asked != NULL)
			d->resolve = asked;
	} else {
		h->addresses = 1;
		postgres_hosts_connect(d, one->address[0] == '\0' ? NULL : one->address);
	}
}

void *
postgres_hosts_new_memory(const struct pool *p)
{
	(void)p;
	return calloc(1, sizeof(struct postgres_memory));
}

void
postgres_hosts_begin(struct postgres *d)
{
	struct postgres_hosts *h = d->hosts;

	h->timer = timer_new(d->loop, postgres_hosts_on_timer, d);
	if (h->timer == NULL) {
		postgres_die(d, NULL, "out of memory");
		return;
	}
	h->memory = pool_driver_data(d->conn->pool);
	postgres_hosts_sort(h, loop_now(d->loop));
	/* A bit less than the pool waits, which would not know what to say of each of them. */
	h->until_all = clock_add(loop_now(d->loop), pool_settings(d->conn->pool)->connect_timeout / 20 * 19);
	postgres_hosts_next(d);
}
