/* SPDX-License-Identifier: ISC */
/*
 * Redis with sentinels: which server is the master?
 *
 * What is to become the connection to the master is one to a sentinel first, which is asked for the master's address; then one
 * to that address, which says by ROLE whether it is the master.  Where any of it fails the next sentinel is asked: one that is
 * cut off from the others may long believe in a master that is none.  A sentinel has a share of connect_timeout, and
 * the master what is left of it.  When all have been asked the attempt has failed, and the pool's back-off applies.
 *
 * A pool remembers in which order its sentinels were of use: who was goes to the front, who was not to the back.
 */
#include "back/redis/redis_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/pool.h"
#include "base/log.h"
#include "base/must.h"

/* Of a pool. */
struct redis_sentinels {
	unsigned count;
	unsigned char order[REDIS_PLACES];	/* indices of the URL's places */
	bool bad[REDIS_PLACES];			/* by the same: of no use when it was last asked, and that was said */
	char master[300];			/* the last one found */
};

enum redis_seek_step {
	REDIS_SEEK_ASKS,		/* a sentinel */
	REDIS_SEEK_KNOWS,		/* it has said where the master is */
	REDIS_SEEK_TRIES,		/* that one */
};

/* An attempt to connect. */
struct redis_seek {
	struct redis *redis;
	struct redis_sentinels *all;
	unsigned char todo[REDIS_PLACES];	/* a copy of the order, as others change it meanwhile */
	unsigned next;				/* how many were asked */
	enum redis_seek_step step;
	struct back_place sentinel, master;
	char name[300];				/* the sentinel's */
	struct timer *timer;
	bool is_master;				/* it has said so */
	bool is_late;				/* there is no time for another sentinel */
	bool was_told;				/* text has what some server said, and not only that one said nothing */
	char code[sizeof((struct redis *)0)->code];
	char text[340];
};

/* ---- what a pool knows ---- */

void *
redis_seek_new_data(const struct pool *p)
{
	struct redis_sentinels *all = calloc(1, sizeof *all);
	struct back_place place;

	if (all == NULL)
		return NULL;
	for (; all->count < REDIS_PLACES && back_url_place(pool_url(p), all->count, &place); all->count++)
		all->order[all->count] = (unsigned char)all->count;
	return all;
}

/* Put a sentinel at the front or the back. */
static void
redis_seek_move(struct redis_sentinels *all, unsigned char which, enum redis_seek_end how)
{
	unsigned at = 0;

	while (all->order[at] != which)
		at++;
	if (how == REDIS_SEEK_FOUND)
		memmove(all->order + 1, all->order, at);
	else
		memmove(all->order + at, all->order + at + 1, all->count - 1 - at);
	all->order[how == REDIS_SEEK_FOUND ? 0 : all->count - 1] = which;
}

/* ---- beginning and end ---- */

static void
redis_seek_on_timer(void *arg)
{
	struct redis_seek *s = arg;
	struct redis *r = s->redis;

	redis_doom(r, NULL, "no answer in time");
	/* Its other addresses would be too late, and after the master's so would another sentinel. */
	r->tried = r->naddress;
	s->is_late = s->step == REDIS_SEEK_TRIES;
	redis_settle(r);
}

bool
redis_seek_begin(struct redis *r)
{
	struct redis_seek *s = calloc(1, sizeof *s);

	if (s == NULL)
		return false;
	s->timer = timer_new(pool_loop(r->conn->pool), redis_seek_on_timer, s);
	if (s->timer == NULL) {
		free(s);
		return false;
	}
	s->redis = r;
	s->all = pool_driver_data(r->conn->pool);
	memcpy(s->todo, s->all->order, sizeof s->todo);
	r->seek = s;
	return true;
}

static void
redis_seek_tell_master(struct redis *r)
{
	struct redis_seek *s = r->seek;
	char name[sizeof s->all->master];

	redis_url_name(&s->master, REDIS_PORT, name, sizeof name);
	if (strcmp(name, s->all->master) == 0)
		return;
	memcpy(s->all->master, name, sizeof name);
	log_info("master found pool=%s master=%s sentinel=%s", pool_name(r->conn->pool), name, s->name);
}

void
redis_seek_end(struct redis *r, enum redis_seek_end how)
{
	struct redis_seek *s = r->seek;

	if (s == NULL)
		return;
	/* A connection that is closed in the middle has taken too long. */
	if (s->next > 0)
		redis_seek_move(s->all, s->todo[s->next - 1], how);
	if (how == REDIS_SEEK_FOUND) {
		s->all->bad[s->todo[s->next - 1]] = false;
		redis_seek_tell_master(r);
	}
	r->seek = NULL;
	timer_free(&s->timer);
	free(s);
}

/* ---- the sentinel ---- */

bool
redis_seek_asks(const struct redis_seek *s)
{
	return s->step == REDIS_SEEK_ASKS;
}

/* Connect to a place; until then. */
static void
redis_seek_dial(struct redis *r, const struct back_place *place, usec until)
{
	timer_set(r->seek->timer, until);
	redis_dial(r, place->host, place->port, until);
}

void
redis_seek_next(struct redis *r)
{
	struct redis_seek *s = r->seek;
	const struct pool *p = r->conn->pool;
	struct loop *l = pool_loop(p);

	must(s->next < s->all->count);
	s->step = REDIS_SEEK_ASKS;
	s->is_master = false;
	must(back_url_place(pool_url(p), s->todo[s->next++], &s->sentinel));
	if (s->sentinel.port == 0)
		s->sentinel.port = REDIS_SENTINEL_PORT;
	redis_url_name(&s->sentinel, REDIS_SENTINEL_PORT, s->name, sizeof s->name);
	redis_seek_dial(r, &s->sentinel, clock_add(loop_now(l), pool_settings(p)->connect_timeout / (s->all->count + 1)));
}

void
redis_seek_send(struct redis *r)
{
	const struct back_url *u = pool_url(r->conn->pool);
	char user[sizeof u->user], password[sizeof u->password];

	back_url_param(u, "sentinel_user", user, sizeof user);
	back_url_param(u, "sentinel_password", password, sizeof password);
	redis_send_auth(r, user, password);
	explicit_bzero(password, sizeof password);
	redis_send_own(r, 3, (struct span[]){ SPAN("SENTINEL"), SPAN("get-master-addr-by-name"), redis_url_master(u) });
}

/* An array of a host and a port.  Returns false when it is something else. */
static bool
redis_seek_read_address(const struct weft_reply *reply, struct back_place *out)
{
	const struct weft_reply *host, *port;

	if (reply->kind != REPLY_ARRAY || reply->count != 2)
		return false;
	host = reply->element[0];
	port = reply->element[1];
	if (host->kind != REPLY_TEXT || port->kind != REPLY_TEXT || host->text.len == 0 || host->text.len >= sizeof out->host)
		return false;
	if (memchr(host->text.at, '\0', host->text.len) != NULL)
		return false;
	snprintf(out->host, sizeof out->host, "%s", host->text.at);
	out->port = (unsigned)strtoul(port->text.at, NULL, 10);
	return out->port > 0 && out->port <= 65535;
}

/* What a sentinel says to AUTH, or to the question. */
static void
redis_seek_on_answer(struct redis *r, const struct weft_reply *reply)
{
	struct span name = redis_url_master(pool_url(r->conn->pool));
	struct redis_seek *s = r->seek;
	char code[sizeof r->code];

	if (reply->kind == REPLY_ERROR) {
		reply_error_code(reply, code, sizeof code);
		redis_doom(r, code, "%s", reply->text.at);
	} else if (r->setup > 0 || r->doomed)
		return;
	else if (reply->kind == REPLY_NIL)
		redis_doom(r, "NOMASTER", "it knows no master \"%.*s\"", (int)name.len, name.at);
	else if (!redis_seek_read_address(reply, &s->master))
		redis_doom(r, "NOMASTER", "its answer is not the address of a master");
	else
		s->step = REDIS_SEEK_KNOWS;
}

/* ---- the master ---- */

/* The answer to ROLE: an array that begins with the role. */
static void
redis_seek_on_role(struct redis *r, const struct weft_reply *reply)
{
	const struct weft_reply *role = reply->count == 0 ? NULL : reply->element[0];

	if (role != NULL && role->kind == REPLY_TEXT && span_equal(role->text, SPAN("master")))
		r->seek->is_master = true;
	else
		redis_doom(r, NULL, "it is no master; a failover may be under way");
}

bool
redis_seek_on_reply(struct redis *r, const struct weft_reply *reply)
{
	struct redis_seek *s = r->seek;

	if (s->step == REDIS_SEEK_ASKS) {
		redis_seek_on_answer(r, reply);
		return true;
	}
	if (reply->kind == REPLY_ARRAY) {
		redis_seek_on_role(r, reply);
		return true;
	}
	if (r->setup == 0 && !s->is_master)
		redis_doom(r, NULL, "it does not say whether it is a master");
	return false;
}

/* ---- what comes next ---- */

/* This sentinel was of no use, or what it said.  What one of them said is rather reported than that another says nothing. */
static void
redis_seek_note(struct redis *r)
{
	struct redis_seek *s = r->seek;
	unsigned char which = s->todo[s->next - 1];
	bool is_told = r->code[0] != '\0' || s->step == REDIS_SEEK_TRIES;
	char name[300];

	redis_url_name(&s->master, REDIS_PORT, name, sizeof name);
	if (is_told || !s->was_told) {
		snprintf(s->code, sizeof s->code, "%s", r->code);
		if (s->step == REDIS_SEEK_TRIES)
			snprintf(s->text, sizeof s->text, "master %.70s (by sentinel %.70s): %s", name, s->name, r->text);
		else
			snprintf(s->text, sizeof s->text, "sentinel %.80s: %s", s->name, r->text);
	}
	s->was_told |= is_told;
	redis_seek_move(s->all, which, REDIS_SEEK_VAIN);
	if (s->step == REDIS_SEEK_ASKS && !s->all->bad[which])
		log_warn("sentinel of no use pool=%s sentinel=%s reason=\"%s\"", pool_name(r->conn->pool), s->name, r->text);
	s->all->bad[which] = s->step == REDIS_SEEK_ASKS;
}

bool
redis_seek_settle(struct redis *r)
{
	struct redis_seek *s = r->seek;

	if (s->step == REDIS_SEEK_KNOWS) {
		usec most = pool_settings(r->conn->pool)->connect_timeout;

		s->step = REDIS_SEEK_TRIES;
		/* A little before the pool would say less about it. */
		redis_seek_dial(r, &s->master, clock_add(r->conn->born, most - most / 20));
		return true;
	}
	if (!r->doomed || (r->code[0] == '\0' && r->tried < r->naddress))
		return false;
	redis_seek_note(r);
	/* A master that says why not will say so again. */
	if (!s->is_late && s->next < s->all->count && (s->step == REDIS_SEEK_ASKS || r->code[0] == '\0')) {
		redis_seek_next(r);
		return true;
	}
	r->doomed = 0;
	redis_doom(r, s->code, "%s", s->text);
	s->next = 0;
	return false;
}
