/* SPDX-License-Identifier: ISC */
/*
 * The exported API: scripts of Redis, sent by their hash.
 *
 * The hash is what Redis itself has answered to SCRIPT LOAD; it is the same for a text in all pools, so one table serves a
 * worker.  Where the server does not know the script (it is new, another one, or was told to flush) it has not been run: it is sent
 * as a text, which lets the server know it too; with its keys, so that in a cluster it gets to the same node.  A text that is
 * too long to be kept is loaded each time.
 */
#include <weft/weft.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_call.h"
#include "app/app.h"
#include "app/fail.h"
#include "back/redis/reply.h"
#include "back/sql/sqltext.h"
#include "back/sql/stmts.h"

/* What is asked, and where. */
struct api_script {
	struct weft_request *rq;
	const char *pool, *text;
	const char *hash;		/* NULL: not known */
	struct weft_value *word;	/* EVALSHA or EVAL, the hash or the text, the number of keys, keys, arguments */
	size_t nwords;
};

/* Remember the hash of a text; in vain where memory is short. */
static void
api_script_keep(struct stmts *known, const char *text, const char *hash)
{
	uint32_t number = sql_hash(text);
	struct stmt *t = stmts_find(known, text, number, 0), *surplus;

	if (t != NULL)
		return;
	surplus = stmts_surplus(known);
	if (surplus != NULL) {
		free(surplus->data);
		stmts_remove(known, surplus);
	}
	t = stmts_add(known, text, number, 0);
	if (t == NULL)
		return;
	t->data = strdup(hash);
	if (t->data == NULL)
		stmts_remove(known, t);
}

static const char *
api_script_find(struct stmts *known, const char *text)
{
	struct stmt *t = stmts_find(known, text, sql_hash(text), 0);

	return t == NULL ? NULL : t->data;
}

/* Let the server know the script.  When that fails it has not been run, whatever else is unknown. */
static enum weft_rc
api_script_load(struct api_script *s, struct weft_call *c)
{
	const struct weft_value word[] = { WEFT_TEXT("SCRIPT"), WEFT_TEXT("LOAD"), WEFT_TEXT(s->text) };
	enum weft_rc rc = api_redis_ask(c, s->rq, s->pool, word, 3);

	if (rc == WEFT_UNKNOWN)
		rc = c->call.rc = c->fault.rc = WEFT_NOT_SENT;
	if (rc != WEFT_OK)
		return rc;
	s->hash = weft_reply_text(c->call.reply, NULL);
	if (s->hash == NULL) {
		api_call_fail(c, WEFT_REFUSED, "SCRIPT LOAD in pool %s was not answered with a hash", s->pool);
		return WEFT_REFUSED;
	}
	api_script_keep(&s->rq->app->scripts, s->text, s->hash);
	return WEFT_OK;
}

static enum weft_rc
api_script_run(struct api_script *s, struct weft_call *c, const char *how, const char *what)
{
	s->word[0] = WEFT_TEXT(how);
	s->word[1] = WEFT_TEXT(what);
	return api_redis_ask(c, s->rq, s->pool, s->word, s->nwords);
}

static enum weft_rc
api_script_ask(struct api_script *s, struct weft_call *c)
{
	enum weft_rc rc;

	if (s->hash == NULL && api_script_load(s, c) != WEFT_OK)
		return c->call.rc;
	rc = api_script_run(s, c, "EVALSHA", s->hash);
	if (rc != WEFT_REFUSED || strcmp(c->fault.code, "NOSCRIPT") != 0)
		return rc;
	return api_script_run(s, c, "EVAL", s->text);
}

int
weft_redis_script(struct weft_request *rq, const char *pool, struct weft_reply **reply, const char *script,
    const struct weft_value *key, size_t nkeys, const struct weft_value *arg, size_t nargs)
{
	bool fits = nkeys < SIZE_MAX / 4 / sizeof *key && nargs < SIZE_MAX / 4 / sizeof *arg;
	struct api_script s = { .rq = rq, .pool = pool, .text = script, .nwords = 3 + nkeys + nargs };
	struct weft_call c;

	if (reply != NULL)
		*reply = NULL;
	s.word = fits ? arena_alloc(&rq->rq.arena, s.nwords * sizeof *s.word) : NULL;
	if (s.word == NULL)
		return fail_note(rq, WEFT_SYSTEM, 0, "no memory for a script's keys and arguments");
	s.word[2] = WEFT_INT((long long)nkeys);
	if (nkeys > 0)
		memcpy(s.word + 3, key, nkeys * sizeof *key);
	if (nargs > 0)
		memcpy(s.word + 3 + nkeys, arg, nargs * sizeof *arg);
	s.hash = api_script_find(&rq->app->scripts, script);
	if (api_script_ask(&s, &c) != WEFT_OK)
		return fail_note_call(rq, &c);
	if (reply != NULL)
		*reply = c.call.reply;
	return WEFT_OK;
}
