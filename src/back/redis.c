/* SPDX-License-Identifier: ISC */
/*
 * Redis, by hiredis' asynchronous context.
 *
 * One connection carries the commands of all requests; its ring of slots says
 * whose reply comes next.  hiredis' six hooks are filled here: bytes go out once, at
 * the end of the turn, and writability is asked for only when some are left.
 * What comes back is in redis_reply.c.
 *
 * hiredis frees its context by itself when the connection fails.  It says so by the
 * cleanup hook; whoever called into hiredis then looks, in redis_settle(), and tells the pool: so
 * nothing is freed under a callback's feet.
 *
 * Before a connection is ready it has said AUTH, SELECT and PING, and the server has agreed: one
 * that is loading, hangs or wants a password is found out here and not by a request.
 */
#include "back/redis_impl.h"

#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "back/pool.h"
#include "back/reply.h"
#include "base/must.h"

/* ---- hiredis' hooks ---- */

static void
redis_want(struct redis *r, int wanted)
{
	if (r->wanted == wanted || r->watch == NULL)
		return;
	r->wanted = wanted;
	if (watch_want(r->watch, wanted) == 0)
		return;
	redis_doom(r, NULL, "the connection cannot be watched");
	loop_after_turn(pool_loop(r->conn->pool), &r->task);
}

static void
redis_add_read(void *arg)
{
	struct redis *r = arg;

	redis_want(r, r->wanted | WATCH_READ);
}

static void
redis_del_read(void *arg)
{
	struct redis *r = arg;

	redis_want(r, r->wanted & ~WATCH_READ);
}

/* hiredis has bytes to send.  While it connects, or when it could not send all, wait until it can; else gather. */
static void
redis_add_write(void *arg)
{
	struct redis *r = arg;

	if (r->wanted & WATCH_WRITE)
		return;
	if (r->flushing || !(r->ac->c.flags & REDIS_CONNECTED))
		redis_want(r, r->wanted | WATCH_WRITE);
	else
		loop_after_turn(pool_loop(r->conn->pool), &r->task);
}

static void
redis_del_write(void *arg)
{
	struct redis *r = arg;

	redis_want(r, r->wanted & ~WATCH_WRITE);
}

/* hiredis is about to free its context and close the descriptor. */
static void
redis_cleanup(void *arg)
{
	struct redis *r = arg;

	redis_note_written(r);
	if (r->ac->err == REDIS_ERR_EOF)
		redis_doom(r, NULL, "the server closed the connection");
	else
		redis_doom(r, NULL, "%s", r->ac->err == 0 ? "closed" : r->ac->errstr);
	watch_free(&r->watch);
	r->ac = NULL;
}

/* ---- the setup ---- */

static void
redis_send_setup(struct redis *r, size_t argc, const struct span *argv)
{
	struct span command;

	if (redis_command_args(&r->setup_arena, argc, argv, &command) != WEFT_OK ||
	    redisAsyncFormattedCommand(r->ac, redis_on_reply, NULL, command.at, command.len) != REDIS_OK) {
		redis_doom(r, NULL, "out of memory");
		return;
	}
	redis_push(r, NULL, command.len);
	r->setup++;
}

static void
redis_begin_setup(struct redis *r)
{
	const struct back_url *u = pool_url(r->conn->pool);
	char number[16];

	if (u->password[0] != '\0' && u->user[0] != '\0')
		redis_send_setup(r, 3, (struct span[]){ SPAN("AUTH"), span_str(u->user), span_str(u->password) });
	else if (u->password[0] != '\0')
		redis_send_setup(r, 2, (struct span[]){ SPAN("AUTH"), span_str(u->password) });
	snprintf(number, sizeof number, "%u", r->database);
	if (r->database != 0)
		redis_send_setup(r, 2, (struct span[]){ SPAN("SELECT"), span_str(number) });
	redis_send_setup(r, 1, (struct span[]){ SPAN("PING") });
}

/* ---- the connection ---- */

static void redis_connect_next(struct redis *r);

/* Has hiredis bytes of a reply that is not whole?  The first byte of one it takes out of its buffer before the rest is there. */
static bool
redis_is_in_reply(const redisReader *reader)
{
	if (reader->len > reader->pos)
		return true;
	if (reader->ridx < 0)
		return false;
#if HIREDIS_MAJOR >= 1
	return reader->ridx > 0 || reader->task[0]->type >= 0;
#else
	return reader->ridx > 0 || reader->rstack[0].type >= 0;
#endif
}

/* After each call into hiredis: has it freed its context, has the connection come to its end, is r itself to go? */
static void
redis_settle(struct redis *r)
{
	redisReader *reader;

	if (r->inside > 0)
		return;
	if (r->conn == NULL) {
		free(r->address);
		arena_fini(&r->setup_arena);
		explicit_bzero(r->setup_room, sizeof r->setup_room);	/* the password */
		free(r);
		return;
	}
	if (r->ac == NULL && r->conn->state == CONN_CONNECTING && r->tried < r->naddress && r->code[0] == '\0') {
		redis_connect_next(r);
		return;
	}
	reader = r->ac == NULL ? NULL : r->ac->c.reader;
	if (reader != NULL && !redis_owes_reply(r) && redis_is_in_reply(reader))
		redis_doom(r, NULL, "bytes came that nobody had asked for");
	if (reader != NULL && reader->len > REDIS_BUFFER)
		redis_doom(r, NULL, "a reply is larger than %d MB", REDIS_BUFFER >> 20);
	if (r->doomed)
		conn_is_dead(r->conn, r->code, "%s", r->text);
}

static void
redis_on_watch(void *arg, int what)
{
	struct redis *r = arg;

	r->inside++;
	r->flushing = 1;
	if (what & WATCH_WRITE)
		redisAsyncHandleWrite(r->ac);
	r->flushing = 0;
	if ((what & WATCH_READ) && r->ac != NULL)
		redisAsyncHandleRead(r->ac);
	r->inside--;
	redis_settle(r);
}

/* The end of the turn: send what was gathered. */
static void
redis_on_turn_end(void *arg)
{
	struct redis *r = arg;

	r->inside++;
	r->flushing = 1;
	if (r->ac != NULL && !r->doomed)
		redisAsyncHandleWrite(r->ac);
	r->flushing = 0;
	r->inside--;
	redis_settle(r);
}

/* Take a new context of hiredis' over: hooks, reader, watch. */
static bool
redis_attach(struct redis *r, redisAsyncContext *ac)
{
	r->watch = watch_new(pool_loop(r->conn->pool), ac->c.fd, redis_on_watch, r);
	if (r->watch == NULL)
		return false;
	r->ac = ac;
	r->wanted = 0;
	ac->data = r;
	ac->ev.data = r;
	ac->ev.addRead = redis_add_read;
	ac->ev.delRead = redis_del_read;
	ac->ev.addWrite = redis_add_write;
	ac->ev.delWrite = redis_del_write;
	ac->ev.cleanup = redis_cleanup;
	redis_set_builders(r, ac->c.reader);
	return true;
}

/* Begin to connect to one address.  A failure is reported at the end of the turn. */
static void
redis_connect(struct redis *r, const char *address)
{
	const struct back_url *u = pool_url(r->conn->pool);
	redisAsyncContext *ac;

	if (address == NULL)
		ac = redisAsyncConnectUnix(u->path);
	else
		ac = redisAsyncConnect(address, u->port == 0 ? REDIS_PORT : (int)u->port);
	r->doomed = 0;
	r->head = r->count = r->setup = 0;
	r->given = r->written = 0;
	if (ac == NULL || ac->err != 0 || !redis_attach(r, ac)) {
		redis_doom(r, NULL, "%s", ac == NULL || ac->err == 0 ? "out of memory" : ac->errstr);
		if (ac != NULL)
			redisAsyncFree(ac);
		loop_after_turn(pool_loop(r->conn->pool), &r->task);
		return;
	}
	redis_begin_setup(r);
}

static void
redis_connect_next(struct redis *r)
{
	redis_connect(r, r->address[r->tried++]);
}

static void
redis_on_resolved(void *arg, const struct resolved *found)
{
	struct redis *r = arg;

	r->resolving = NULL;
	r->address = found->count == 0 ? NULL : calloc(found->count, sizeof *r->address);
	if (r->address == NULL) {
		redis_doom(r, NULL, "%s: %s", pool_url(r->conn->pool)->host,
		    found->error != 0 ? gai_strerror(found->error) : "no address");
		loop_after_turn(pool_loop(r->conn->pool), &r->task);
		return;
	}
	r->naddress = found->count;
	for (unsigned i = 0; i < found->count; i++)
		memcpy(r->address[i], found->address[i].text, sizeof r->address[i]);
	redis_connect_next(r);
}

/* ---- what the pool asks ---- */

static bool
redis_is_unix(const struct back_url *u)
{
	return strcmp(u->scheme, "redis+unix") == 0;
}

/* The database's number: "/2" behind a host, "?db=2" behind a socket's path. */
static bool
redis_database(const struct back_url *u, unsigned *out)
{
	const char *text = redis_is_unix(u) ? u->query : u->path;
	const char *prefix = redis_is_unix(u) ? "db=" : "/";
	size_t n = strlen(prefix);

	*out = 0;
	if (text[0] == '\0' || strcmp(text, "/") == 0)
		return true;
	if (strncmp(text, prefix, n) != 0 || text[n] == '\0' || strlen(text + n) > 5)
		return false;
	for (text += n; isdigit((unsigned char)*text); text++)
		*out = *out * 10 + (unsigned)(*text - '0');
	return *text == '\0';
}

static enum weft_rc
redis_check(const struct back_url *u, char *error, size_t size)
{
	const char *why = NULL;
	unsigned database;

	if (redis_is_unix(u) && (u->path[0] != '/' || u->host[0] != '\0'))
		why = "redis+unix: needs the socket's path, like redis+unix:///run/redis.sock";
	else if (redis_is_unix(u) && strlen(u->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		why = "the socket's path is too long";
	else if (!redis_is_unix(u) && u->host[0] == '\0')
		why = "redis: needs a host, like redis://127.0.0.1:6379";
	else if (!redis_is_unix(u) && u->query[0] != '\0')
		why = "redis: takes no parameters behind '?'";
	else if (u->user[0] != '\0' && u->password[0] == '\0')
		why = "redis: a user needs a password; a password alone is written :password@";
	else if (!redis_database(u, &database))
		why = redis_is_unix(u) ? "the database is written ?db=2" : "the database is written /2";
	if (why == NULL)
		return WEFT_OK;
	snprintf(error, size, "%s", why);
	return WEFT_INVALID;
}

static enum weft_rc
redis_open(struct conn *c)
{
	const struct back_url *u = pool_url(c->pool);
	struct loop *l = pool_loop(c->pool);
	struct redis *r = calloc(1, sizeof *r);
	struct resolve *resolving;

	if (r == NULL)
		return WEFT_SYSTEM;
	r->conn = c;
	c->driver_data = r;
	r->task = (struct loop_task){ .fn = redis_on_turn_end, .arg = r };
	arena_init(&r->setup_arena, r->setup_room, sizeof r->setup_room, 4096);
	redis_database(u, &r->database);
	if (redis_is_unix(u)) {
		redis_connect(r, NULL);
		return WEFT_OK;
	}
	resolving = resolve_start(l, u->host, u->port == 0 ? REDIS_PORT : u->port, redis_on_resolved, r);
	if (resolving != NULL)
		r->resolving = resolving;
	return WEFT_OK;
}

static enum weft_rc
redis_send(struct conn *c, struct call *call)
{
	struct redis *r = c->driver_data;
	const char *why;
	size_t before;

	if (redis_command_check(call->redis, &why) != WEFT_OK) {
		call_explain(call, WEFT_INVALID, NULL, "%s", why);
		return WEFT_INVALID;
	}
	if (r->doomed || r->ac == NULL)
		return WEFT_NOT_SENT;
	before = sdslen(r->ac->c.obuf);
	if (redisAsyncFormattedCommand(r->ac, redis_on_reply, NULL, call->redis.at, call->redis.len) != REDIS_OK ||
	    sdslen(r->ac->c.obuf) - before != call->redis.len) {
		redis_doom(r, NULL, "out of memory");
		loop_after_turn(pool_loop(c->pool), &r->task);
		return WEFT_NOT_SENT;
	}
	conn_took(c, call, redis_push(r, call, call->redis.len));
	return WEFT_OK;
}

static void
redis_abandon(struct conn *c, struct call *call)
{
	struct redis_slot *s = call->slot;

	must(s->call == call);
	s->call = NULL;
}

static void
redis_close(struct conn *c)
{
	struct redis *r = c->driver_data;
	struct loop *l = pool_loop(c->pool);

	c->driver_data = NULL;
	loop_task_cancel(l, &r->task);
	if (r->resolving != NULL)
		resolve_cancel(&r->resolving);
	redis_note_written(r);
	for (; r->count > 0; redis_pop(r)) {
		struct redis_slot s = *redis_first(r);

		if (s.call != NULL)
			call_finish(s.call, s.begin < r->written ? WEFT_UNKNOWN : WEFT_NOT_SENT, NULL, NULL);
	}
	r->setup = 0;
	r->doomed = 1;
	r->conn = NULL;
	if (r->ac != NULL)
		redisAsyncFree(r->ac);	/* within a callback it waits for that to return */
	redis_settle(r);
}

static const char *const redis_schemes[] = { "redis", "redis+unix", NULL };

const struct driver driver_redis = {
	.name = "Redis",
	.schemes = redis_schemes,
	.kind = CALL_REDIS,
	.why = WAIT_REDIS,
	.depth = REDIS_DEPTH,
	.shares_slow = true,
	.check = redis_check,
	.open = redis_open,
	.send = redis_send,
	.abandon = redis_abandon,
	.close = redis_close,
};
