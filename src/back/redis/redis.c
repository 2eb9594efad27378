/* SPDX-License-Identifier: ISC */
/*
 * Redis, by hiredis: its context, which does not block, and its reader.
 *
 * One connection carries the commands of all requests; its ring of slots says
 * whose reply comes next.  What hiredis' asynchronous layer would do is done here, without its
 * piece of memory for each command: bytes are gathered and go out once, at the end of the
 * turn, and writability is asked for only when some are left.  What comes back is in redis_reply.c.
 *
 * A reply may lead to the end of the connection (the pool closes it) while others wait
 * behind it in hiredis' buffer.  So nothing is freed while anybody is at work in here (inside);
 * who was, looks in redis_settle() what has become of the connection, and tells the pool.
 *
 * Before a connection is ready it has said AUTH, SELECT and PING, and the server has agreed: one
 * that is loading, hangs or wants a password is found out here and not by a request.  Where sentinels know the
 * server, the same connection asks one of them first (redis_seek.c).  Of a cluster there is one for each node (redis_cluster.c).
 */
#include "back/redis/redis_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "back/pool.h"
#include "back/redis/reply.h"
#include "base/must.h"

static void redis_on_watch(void *arg, int what);

/* ---- the end ---- */

void
redis_detach(struct redis *r)
{
	redis_note_written(r);
	if (r->watch != NULL)
		watch_free(&r->watch);
	if (r->context != NULL)
		redisFree(r->context);
	r->context = NULL;
	r->connected = false;
}

void
redis_free(struct redis *r)
{
	redis_detach(r);
	if (r->timer != NULL)
		timer_free(&r->timer);
	buf_fini(&r->out);
	free(r->address);
	arena_fini(&r->setup_arena);
	explicit_bzero(r->setup_room, sizeof r->setup_room);	/* the password */
	free(r);
}

void
redis_doom_later(struct redis *r, const char *text)
{
	redis_doom(r, NULL, "%s", text);
	loop_after_turn(pool_loop(r->conn->pool), &r->task);
}

static void
redis_doom_of_hiredis(struct redis *r)
{
	const redisContext *c = r->context;

	redis_doom(r, NULL, "%s", c->err == REDIS_ERR_EOF ? "the server closed the connection" : c->errstr);
}

/* ---- the setup ---- */

void
redis_forget_setup(struct redis *r)
{
	arena_fini(&r->setup_arena);
	arena_init(&r->setup_arena, r->setup_room, sizeof r->setup_room, r->memory);
}

void
redis_send_own(struct redis *r, size_t argc, const struct span *argv)
{
	struct span command;

	if (redis_command_args(&r->setup_arena, argc, argv, &command) != WEFT_OK || buf_add(&r->out, command) != WEFT_OK) {
		redis_doom(r, NULL, "out of memory");
		return;
	}
	redis_push(r, NULL, command.len)->own = REDIS_OWN_SETUP;
	r->setup++;
}

void
redis_send_auth(struct redis *r, const char *user, const char *password)
{
	if (password[0] != '\0' && user[0] != '\0')
		redis_send_own(r, 3, (struct span[]){ SPAN("AUTH"), span_str(user), span_str(password) });
	else if (password[0] != '\0')
		redis_send_own(r, 2, (struct span[]){ SPAN("AUTH"), span_str(password) });
}

static void
redis_begin_setup(struct redis *r)
{
	const struct back_url *u = pool_url(r->conn->pool);
	char number[16];

	if (r->seek != NULL && redis_seek_asks(r->seek)) {
		redis_seek_send(r);
		return;
	}
	redis_send_auth(r, u->user, u->password);
	if (r->cluster != NULL) {
		redis_node_begin_setup(r);
		return;
	}
	if (r->seek != NULL)
		redis_send_own(r, 1, (struct span[]){ SPAN("ROLE") });
	snprintf(number, sizeof number, "%u", r->database);
	if (r->database != 0)
		redis_send_own(r, 2, (struct span[]){ SPAN("SELECT"), span_str(number) });
	redis_send_own(r, 1, (struct span[]){ SPAN("PING") });
}

/* ---- connecting ---- */

/* Writable will it be when it is connected, or cannot be.  What fails at once is reported at the end of the turn. */
void
redis_connect(struct redis *r, const char *address)
{
	loop_task_cancel(pool_loop(r->conn->pool), &r->task);
	redis_detach(r);
	r->doomed = 0;
	r->code[0] = '\0';
	r->head = r->count = r->setup = 0;
	r->given = r->written = 0;
	buf_clear(&r->out);
	r->context = address == NULL ? redisConnectUnixNonBlock(pool_url(r->conn->pool)->path) :
	    redisConnectNonBlock(address, (int)r->port);
	if (r->context == NULL || r->context->err != 0) {
		redis_doom_later(r, r->context == NULL ? "out of memory" : r->context->errstr);
		return;
	}
	redis_set_builders(r, r->context->reader);
	r->watch = watch_new(pool_loop(r->conn->pool), r->context->fd, redis_on_watch, r);
	if (r->watch == NULL || watch_want(r->watch, WATCH_WRITE) != 0)
		redis_doom_later(r, "the connection cannot be watched");
	else
		redis_begin_setup(r);
}

/* Writable for the first time. */
static void
redis_check_connected(struct redis *r)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(r->context->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0)
		r->connected = true;
	else
		redis_doom(r, NULL, "%s", strerror(error));
}

/* ---- bytes ---- */

/* Read once, and take the replies that are whole. */
static void
redis_read(struct redis *r)
{
	redisReader *reader = r->context->reader;
	void *reply;

	if (redisBufferRead(r->context) != REDIS_OK) {
		redis_doom_of_hiredis(r);
		return;
	}
	while (r->conn != NULL && redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL)
		redis_on_reply(r, reply);
	if (reader->err != 0)
		redis_doom(r, NULL, "%s", reader->errstr);
}

/* Nothing more can be sent.  What came before is still somebody's reply. */
static void
redis_read_last(struct redis *r)
{
	redisContext *c = r->context;
	char why[sizeof r->text];
	int n = 0;

	snprintf(why, sizeof why, "%s", c->errstr);
	c->err = 0;
	while (r->conn != NULL && !r->doomed && ioctl(c->fd, FIONREAD, &n) == 0 && n > 0)
		redis_read(r);
	redis_doom(r, NULL, "%s", why);
}

/* Send what was gathered, and what the kernel did not take before. */
static void
redis_flush(struct redis *r)
{
	redisContext *c = r->context;
	int done = 1;

	if (r->out.len > 0 && redisAppendFormattedCommand(c, r->out.at, r->out.len) != REDIS_OK) {
		redis_doom_of_hiredis(r);
		return;
	}
	if (r->out.size > REDIS_OUT)
		buf_fini(&r->out);
	buf_clear(&r->out);
	if (redisBufferWrite(c, &done) != REDIS_OK)
		redis_read_last(r);
	else if (watch_want(r->watch, done ? WATCH_READ : WATCH_READ | WATCH_WRITE) != 0)
		redis_doom(r, NULL, "the connection cannot be watched");
}

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

static void
redis_check_reader(struct redis *r, const redisReader *reader)
{
	if (redis_is_in_reply(reader) && !r->hearing && !redis_owes_reply(r))
		redis_doom(r, NULL, "bytes came that nobody had asked for");
	if (reader->len > REDIS_BUFFER)
		redis_doom(r, NULL, "a reply is larger than %d MB", REDIS_BUFFER >> 20);
}

void
redis_settle(struct redis *r)
{
	if (r->inside > 0)
		return;
	if (r->conn == NULL) {
		redis_free(r);
		return;
	}
	if (r->context != NULL && !r->doomed)
		redis_check_reader(r, r->context->reader);
	if (r->seek != NULL && redis_seek_settle(r))
		return;
	if (!r->doomed)
		return;
	if (!r->is_up && r->tried < r->naddress && r->code[0] == '\0')
		redis_dial_next(r);
	else if (r->cluster != NULL)
		redis_node_is_dead(r);
	else
		conn_is_dead(r->conn, r->code, "%s", r->text);
}

static void
redis_on_watch(void *arg, int what)
{
	struct redis *r = arg;

	r->inside++;
	if (!r->connected)
		redis_check_connected(r);
	if ((what & WATCH_WRITE) && !r->doomed)
		redis_flush(r);
	if ((what & WATCH_READ) && !r->doomed)
		redis_read(r);
	r->inside--;
	redis_settle(r);
}

/* The end of the turn: send what was gathered. */
static void
redis_on_turn_end(void *arg)
{
	struct redis *r = arg;

	r->inside++;
	if (!r->doomed)
		redis_flush(r);
	r->inside--;
	redis_settle(r);
}

/* ---- what the pool asks ---- */

struct redis *
redis_new(struct conn *c)
{
	struct redis *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->conn = c;
	r->task = (struct loop_task){ .fn = redis_on_turn_end, .arg = r };
	r->memory = REDIS_SETUP_MEMORY;
	arena_init(&r->setup_arena, r->setup_room, sizeof r->setup_room, r->memory);
	buf_init(&r->out, SIZE_MAX / 2);
	TAILQ_INIT(&r->waiting);
	return r;
}

static enum weft_rc
redis_open(struct conn *c)
{
	const struct back_url *u = pool_url(c->pool);
	struct redis *r = redis_new(c);

	if (r == NULL)
		return WEFT_SYSTEM;
	redis_url_database(u, &r->database);
	if (c->driver == &driver_redis_sentinel && !redis_seek_begin(r)) {
		redis_free(r);
		return WEFT_SYSTEM;
	}
	c->driver_data = r;
	if (r->seek != NULL)
		redis_seek_next(r);
	else if (redis_url_is_unix(u))
		redis_connect(r, NULL);
	else
		redis_dial(r, u->host, u->port, clock_add(c->born, pool_settings(c->pool)->connect_timeout));
	return WEFT_OK;
}

struct redis_slot *
redis_put(struct redis *r, struct call *call)
{
	if (buf_add(&r->out, call->redis) != WEFT_OK) {
		redis_doom_later(r, "out of memory");
		return NULL;
	}
	/* What the kernel did not take before goes first, when it is writable. */
	if (sdslen(r->context->obuf) == 0)
		loop_after_turn(pool_loop(r->conn->pool), &r->task);
	return redis_push(r, call, call->redis.len);
}

static enum weft_rc
redis_send(struct conn *c, struct call *call)
{
	struct redis *r = c->driver_data;
	struct redis_slot *slot;
	const char *why;

	if ((call->lease == NULL ? redis_command_check(call->redis, &why) : redis_lease_check(r, call, &why)) != WEFT_OK) {
		call_explain(call, WEFT_INVALID, NULL, "%s", why);
		return WEFT_INVALID;
	}
	slot = r->doomed ? NULL : redis_put(r, call);
	if (slot == NULL)
		return WEFT_NOT_SENT;
	conn_took(c, call, slot);
	return WEFT_OK;
}

static void
redis_abandon(struct conn *c, struct call *call)
{
	struct redis *r = c->driver_data;
	struct redis_slot *s = call->slot;

	must(s->call == call);
	s->call = NULL;
	r->spoilt |= call->lease != NULL;
}

/* Its answer is dealt with like that of the first PING: the connection is ready. */
static void
redis_ping(struct conn *c)
{
	static const struct span ping = SPAN("*1\r\n$4\r\nPING\r\n");
	struct redis *r = c->driver_data;

	/* There may be many such answers in the life of a connection. */
	redis_forget_setup(r);
	if (r->doomed || buf_add(&r->out, ping) != WEFT_OK) {
		redis_doom_later(r, "out of memory");
		return;
	}
	redis_push(r, NULL, ping.len)->own = REDIS_OWN_SETUP;
	r->setup++;
	loop_after_turn(pool_loop(c->pool), &r->task);
}

static int
redis_socket(const struct conn *c)
{
	const struct redis *r = c->driver_data;

	return r->context == NULL ? -1 : r->context->fd;
}

void
redis_end(struct redis *r)
{
	loop_task_cancel(pool_loop(r->conn->pool), &r->task);
	redis_seek_end(r, REDIS_SEEK_VAIN);
	if (r->resolving != NULL)
		resolve_cancel(&r->resolving);
	if (r->watch != NULL)
		watch_free(&r->watch);
	redis_note_written(r);
	for (; r->count > 0; redis_pop(r)) {
		struct redis_slot s = *redis_first(r);

		if (s.call != NULL)
			call_finish(s.call, s.begin < r->written ? WEFT_UNKNOWN : WEFT_NOT_SENT, NULL, NULL);
	}
	r->doomed = 1;
	r->conn = NULL;
	redis_settle(r);
}

static void
redis_close(struct conn *c)
{
	struct redis *r = c->driver_data;

	c->driver_data = NULL;
	redis_end(r);
}

static const char *const redis_failover[] = { "READONLY", "LOADING", "MASTERDOWN", NULL };

/* What the drivers have in common that reach one server. */
#define REDIS_ONE                                                                                                            \
	.name = "Redis", .kind = CALL_REDIS, .why = WAIT_REDIS, .depth = REDIS_DEPTH, .shares_slow = true,                   \
	.open = redis_open, .send = redis_send, .abandon = redis_abandon, .clean = redis_clean, .close = redis_close,        \
	.ping = redis_ping, .socket = redis_socket, .failover = redis_failover, .channel = redis_channel, .hear = redis_hear

const struct driver driver_redis = {
	REDIS_ONE,
	.schemes = (const char *const[]){ "redis", "redis+unix", NULL },
	.check = redis_url_check,
};

const struct driver driver_redis_sentinel = {
	REDIS_ONE,
	.schemes = (const char *const[]){ "redis+sentinel", NULL },
	.check = redis_url_check_sentinel,
	.new_data = redis_seek_new_data,
	.free_data = free,
};
